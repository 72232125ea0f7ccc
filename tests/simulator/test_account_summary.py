"""Quota, reputation, state and senders of the account: consistent with its mail."""

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.simulator import account, account_summary, incidents
from exporter.simulator.account import STREAMS
from exporter.simulator.behaviour import Behaviour
from exporter.simulator.call import Call, Inventory
from exporter.simulator.faults import Fault
from exporter.simulator.server import Simulator
from exporter.simulator.traffic import SHANGHAI, Choices, Traffic
from tests.support.clock import ScriptedClock
from tests.support.signed import send

NOW = datetime(2026, 4, 24, 4, tzinfo=UTC).timestamp()
HOUR, DAY = 3600, 86_400
SENDERS = sorted({stream.sender for stream in STREAMS})
NEWS, NOTIFY, PRODUCT = "news@mail.example.com", "no-reply@notify.example.com", "product@mail.example.com"
QUIET = Traffic()


def call(now: float = NOW, *texts: str, **behaviour: Any) -> Call:
    """Return a request to the account; the incidents' starts are counted from NOW."""
    planned = [incidents.parse(text, NOW) for text in texts]
    traffic = Traffic(incidents=planned) if planned else QUIET
    return Call({}, now, traffic, SENDERS, Inventory(), Behaviour(**behaviour))


def summary(now: float = NOW, *texts: str, **behaviour: Any) -> dict[str, Any]:
    return account_summary.summary(call(now, *texts, **behaviour))


def senders(now: float = NOW, *texts: str, **behaviour: Any) -> dict[str, dict[str, str]]:
    found = account_summary.senders(call(now, *texts, **behaviour))["data"]["mailAddress"]
    return {item["AccountName"]: item for item in found}


@settings(max_examples=25)
@given(st.floats(-25 * DAY, 10 * DAY, allow_nan=False))
def test_the_senders_counts_of_day_and_month_add_up_to_the_mail_that_was_requested(seconds: float) -> None:
    now = NOW + seconds
    today = QUIET.today(now)
    month = [today.replace(day=number) for number in range(1, today.day + 1)]
    found = senders(now)
    for name, days in (("Daily", month[-1:]), ("Month", month)):
        requested = sum(QUIET.delivery(day, now).requested for day in days)
        assert sum(int(item[f"{name}Count"]) for item in found.values()) == requested
        assert sum(int(item[f"{name}ReqCount"]) for item in found.values()) == requested
    free = summary(now)
    assert free["DailyRemainFreeQuota"] == max(0, account.DAILY_FREE - QUIET.delivery(today, now).requested)
    assert free["RemainFreeQuota"] == account.FREE - requested


def test_a_senders_day_begins_at_midnight_in_the_accounts_zone_and_its_month_on_the_first() -> None:
    end = datetime(2026, 5, 1, tzinfo=SHANGHAI).timestamp()
    before, after = (senders(end + seconds)[NOTIFY] for seconds in (-60, 60))
    assert (int(before["DailyCount"]) > 8000, int(after["DailyCount"]) < 100) == (True, True)
    assert (int(before["MonthCount"]) > 200_000, int(after["MonthCount"]) < 100) == (True, True)
    far = Traffic(choices=Choices(ZoneInfo("America/New_York")))
    item = account_summary.senders(Call({"KeyWord": NOTIFY}, end, far, SENDERS, Inventory(), Behaviour()))
    (other,) = item["data"]["mailAddress"]
    assert int(other["DailyCount"]) == far.delivery(date(2026, 4, 30), end, sender=NOTIFY).requested > 1000


def test_where_the_count_is_the_limit_the_requests_are_still_there() -> None:
    used, limit = senders()[NOTIFY], senders(sender_counts="limit")[NOTIFY]
    assert limit["DailyCount"] == str(account.DAILY_QUOTA)
    assert limit["MonthCount"] == str(account.MONTHLY_QUOTA)
    for name in ("DailyReqCount", "MonthReqCount"):
        assert used[name] == limit[name]


def test_the_kind_of_mail_is_a_filter() -> None:
    kinds = {
        kind: account_summary.senders(Call({"Sendtype": kind}, NOW, QUIET, SENDERS, Inventory(), Behaviour()))
        for kind in ("batch", "trigger")
    }
    found = {kind: [item["AccountName"] for item in each["data"]["mailAddress"]] for kind, each in kinds.items()}
    assert found == {"batch": [NEWS, PRODUCT], "trigger": [NOTIFY]}


def test_the_summary_of_a_healthy_account_counts_what_it_has() -> None:
    found = summary()
    assert all(type(value) is int for name, value in found.items() if name != "IpChannelType")
    assert (found["DailyQuota"], found["MonthQuota"]) == (account.DAILY_QUOTA, account.MONTHLY_QUOTA)
    assert (found["Domains"], found["MailAddresses"], found["Tags"]) == (2, 3, 6)
    assert (found["QuotaLevel"], found["MaxQuotaLevel"], found["UserStatus"]) == (7, 10, 0)


def test_a_usual_day_and_month_stay_well_below_their_quota() -> None:
    for day in range(1, 31):
        requested = QUIET.delivery(date(2026, 4, day), NOW + 20 * DAY).requested
        assert requested < 0.6 * account.DAILY_QUOTA
    assert int(senders(NOW + 6.4 * DAY)[NEWS]["MonthCount"]) < 0.5 * account.MONTHLY_QUOTA


@pytest.mark.parametrize("factor", [0.97, 0.5])
def test_a_quota_that_is_used_up_is_so_by_the_end_of_the_day(factor: float) -> None:
    text = f"quota_used:factor={factor}"
    midnight = datetime(2026, 4, 25, tzinfo=SHANGHAI).timestamp()
    late = senders(midnight - 1)
    for name, quota in (("Daily", "DailyQuota"), ("Month", "MonthQuota")):
        used = sum(int(item[f"{name}ReqCount"]) for item in late.values())
        assert used / summary(NOW, text)[quota] == pytest.approx(factor, abs=0.005)
    assert summary(NOW, text)["DailyQuota"] == summary(midnight - 1, text)["DailyQuota"]
    assert summary(midnight + DAY, text)["DailyQuota"] == account.DAILY_QUOTA
    assert summary(NOW - 1, text)["DailyQuota"] == account.DAILY_QUOTA


def test_a_reputation_that_fell_is_a_lower_level() -> None:
    assert [summary(NOW + seconds, "reputation_fell")["QuotaLevel"] for seconds in (-1, 1)] == [7, 2]
    assert summary(NOW, "reputation_fell:factor=99")["QuotaLevel"] == 10


@pytest.mark.parametrize(
    ("states", "codes", "bits"),
    [
        pytest.param([1], 1, 1, id="frozen"),
        pytest.param([4], 4, 4, id="restricted"),
        pytest.param([1, 2], 2, 3, id="frozen-and-overdue"),
        pytest.param([8, 1, 4], 8, 13, id="three"),
    ],
)
def test_several_states_are_the_largest_code_or_all_bits(states: list[int], codes: int, bits: int) -> None:
    texts = [f"account_frozen:factor={state}" for state in states]
    assert summary(NOW, *texts)["UserStatus"] == codes
    assert summary(NOW, *texts, user_status="bits")["UserStatus"] == bits


async def test_a_frozen_account_reports_it_sends_nothing_more_and_still_responds() -> None:
    planned = incidents.parse("account_frozen", NOW)
    simulator = Simulator(Traffic(incidents=[planned]), clock=ScriptedClock(NOW + HOUR))
    today = {"StartTime": "2026-04-24", "EndTime": "2026-04-24"}
    async with simulator.listen():
        assert (await send(simulator, action="DescAccountSummary")).document["UserStatus"] == 1
        (row,) = (await send(simulator, today, action="SenderStatisticsByTagNameAndBatchID")).document["data"]["stat"]
        (sender,) = (await send(simulator, {"KeyWord": NEWS}, action="QueryMailAddressByParam")).document["data"][
            "mailAddress"
        ]
    before = QUIET.delivery(date(2026, 4, 24), NOW)
    assert int(row["requestCount"]) == before.requested > 0
    assert sender["AccountStatus"] == "1"


@pytest.mark.parametrize("fault", ["no_data", "empty"])
async def test_faults_leave_nothing_of_the_summary(fault: str) -> None:
    assert (await corrupted(fault, "DescAccountSummary")).keys() == {"RequestId"}


async def test_faults_spoil_what_is_counted() -> None:
    nulls = await corrupted("stat_null", "DescAccountSummary")
    assert {value for name, value in nulls.items() if name != "RequestId"} == {None}
    assert (await corrupted("negative", "DescAccountSummary"))["DailyQuota"] == "-5"
    assert (await corrupted("non_numeric", "DescAccountSummary"))["QuotaLevel"] == "many"
    assert float((await corrupted("exponents", "DescAccountSummary"))["DailyQuota"]) == account.DAILY_QUOTA
    first, second, _ = (await corrupted("negative", "QueryMailAddressByParam"))["data"]["mailAddress"]
    assert (first["DailyCount"], first["MonthReqCount"]) == ("-5", "-5")
    assert int(second["DailyCount"]) > 0


async def corrupted(fault: str, action: str) -> dict[str, Any]:
    simulator = Simulator(clock=ScriptedClock(NOW), faults=[Fault(fault)])
    async with simulator.listen():
        return (await send(simulator, action=action)).document
