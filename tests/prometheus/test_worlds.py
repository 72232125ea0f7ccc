"""Simulated weeks have what the rules read, and an account whose incident shows in what it says of itself."""

from collections.abc import Iterable

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from exporter.clock import HOUR
from exporter.commands.demo_account import AccountSeries
from exporter.commands.demo_series import FilteredHistory
from exporter.metrics import account
from exporter.metrics.history import History
from exporter.simulator import incidents
from exporter.simulator.incidents import MARKETING
from exporter.simulator.traffic import Traffic
from tests.support.boards import selectors
from tests.support.own_metrics import CATALOGUE
from tests.support.rule_files import EVERY_RULE
from tools.stack.worlds import METRICS, MOMENT, World, settings

NOT_JUDGED = {
    "directmail_exporter_shard_info",
    "directmail_exporter_discovery_success",
    "directmail_exporter_credentials_expiry_timestamp_seconds",
    "directmail_exporter_config_last_reload_successful",
    "directmail_exporter_state_writable",
}
"""Metrics that alerts on the exporter's own installation read: no incident is about them."""
Shown = dict[tuple[str, ...], list[float]]
"""Values by metric and the labels that are the account's own, in the order of their names."""


def shown(times: Iterable[float], *written: str) -> Shown:
    """Return what an account with these incidents shows at these times."""
    traffic = Traffic(incidents=[incidents.parse(text, MOMENT) for text in written])
    history = History(account.FAMILIES)
    (target,) = settings([World("shop")]).targets
    series = AccountSeries(
        target, traffic, HOUR, FilteredHistory(history, {"job": "directmail"}, lambda name, labels: True)
    )
    for at in times:
        series.add(at)
    found: Shown = {}
    for family in text_string_to_metric_families("".join(history.lines())):
        for sample in family.samples:
            assert (sample.labels.pop("target"), sample.labels.pop("job")) == ("shop", "directmail")
            found.setdefault((sample.name, *(sample.labels[name] for name in sorted(sample.labels))), []).append(
                sample.value
            )
    return found


def test_a_world_has_every_metric_that_an_alert_on_its_incident_may_read() -> None:
    read = {selector.name for rule in EVERY_RULE for selector, _ in selectors(rule["expr"])} & CATALOGUE.keys()
    played = METRICS | {family.name for family in account.FAMILIES}
    assert read - played == NOT_JUDGED


@pytest.mark.parametrize(
    ("incident", "series"),
    [
        pytest.param("account_frozen", ("directmail_account_state", "frozen"), id="state"),
        pytest.param("cname_lost", ("directmail_domain_verified", "cname", MARKETING), id="domain"),
        pytest.param("reputation_fell", ("directmail_account_reputation_level",), id="reputation"),
        pytest.param("quota_used", ("directmail_account_daily_quota_emails",), id="quota"),
    ],
)
def test_an_incident_of_the_account_changes_only_its_own_state_or_domain(
    incident: str, series: tuple[str, ...]
) -> None:
    times = (MOMENT - HOUR, MOMENT + HOUR)
    usual, struck = shown(times), shown(times, incident)
    kind = {"directmail_account_state", "directmail_domain_verified", "directmail_account_reputation_level"}
    changed = {each for each in usual if each[0] in {*kind, series[0]} and usual[each] != struck[each]}
    assert changed == {series}
    assert struck[series][0] == usual[series][0]


def test_an_account_is_read_every_hour_and_held_in_between() -> None:
    found = shown([MOMENT + minutes * 60 for minutes in (0, 15, 45, 60)])
    read_at = found["directmail_account_read_last_success_timestamp_seconds", "DescAccountSummary"]
    assert read_at == [MOMENT, MOMENT, MOMENT, MOMENT + HOUR]
    assert found["directmail_account_read_success", "DescDomain"] == [1, 1, 1, 1]


def test_what_the_senders_sent_is_what_the_account_used() -> None:
    found = shown([MOMENT + HOUR])
    used = sum(
        values[0]
        for series, values in found.items()
        if (series[0], series[-1]) == ("directmail_sender_emails", "today")
    )
    traffic = Traffic()
    assert used == traffic.delivery(traffic.today(MOMENT), MOMENT + HOUR).requested > 0
