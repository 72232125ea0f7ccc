"""The doctor and its recording end with findings, whatever values the fields of responses have."""

import asyncio
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.config import loader
from exporter.directmail.statistics.delivery import DELIVERY
from exporter.directmail.statistics.engagement import ENGAGEMENT
from exporter.doctor import recording
from exporter.doctor.examination import examine
from exporter.doctor.recording import CallRecorder
from exporter.doctor.sanitizing import Sanitizer
from tests.support.clock import ScriptedClock
from tests.support.doctor import KEYS, NOW, assert_readable, config_text

TIMES = (
    "0001-01-01T00:00:00+14:00",
    "0001-01-01T00:00Z",
    "9999-12-31T23:59Z",
    "9999-12-31T23:59:59-12:00",
    "9999-12-31",
)
SOUND_TIMES = ("2026-04-22T10:15Z", "2026-04-21", "2026-04-22T09:15+08:00", "1776852930", "1776852930000")
times = st.sampled_from([*TIMES, *SOUND_TIMES, "9" * 13, "0" * 10, "٢٠٢٦", "\ud800", "", 0, 2**53, 1776852930, None])
counts = st.sampled_from(["0", "7", "1,000", "1e3", 7, 2**53, 0.0, "", None])
rates = st.sampled_from(["85.34", "1e-300", "85.34 %", "5.", "0." + "3" * 12, "999999", 1e300, 10**400, "\ud800", None])
small = st.sampled_from([0, 1, 2, -1, "1", 2**53, 10**400, 1e300, "", None, [], True])
names = st.sampled_from(["a@b.example", "\ud800", "x" * 300, "", "\x00", "İ" * 9, 7])
rows = st.fixed_dictionaries(
    {
        **dict.fromkeys((*ENGAGEMENT.fields, *DELIVERY.fields), counts),
        **{rate.field: rates for rate in ENGAGEMENT.rates.values()},
        "CreateTime": times,
    }
)
items = st.fixed_dictionaries(
    {
        **dict.fromkeys(("AccountName", "DomainName", "TagName", "Id", "Ip"), names),
        **dict.fromkeys(("DomainId", "DailyReqCount", "ConfirmStatus", "SpfAuthStatus"), small),
        "CreateTime": times,
        "UtcCreateTime": times,
    }
)
documents = st.builds(
    lambda numbers, stat, listed: {
        **numbers,
        "RequestId": "R-1",
        "data": {"stat": stat, "domain": listed, "tag": listed, "mailAddress": listed},
        **dict.fromkeys(("ConfigSets", "Ips", "IpPools"), listed),
    },
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            (
                *("PageNo", "PageSize", "Total", "TotalPages", "PageNumber", "TotalCount", "TotalCounts"),
                *("DailyQuota", "RemainFreeQuota", "QuotaLevel", "MaxQuotaLevel", "UserStatus", "DkimAuthStatus"),
            ),
            small,
        ),
    ),
    st.lists(rows, max_size=3),
    st.lists(items, max_size=2),
)
dates = st.sampled_from(["", "Wed, 22 Apr 2026 10:15:30 GMT", "Mon, 01 Jan 0001 00:00:00 +1400", "9999", "x" * 99])


async def visited(answers: list[tuple[dict[str, Any], str]]) -> None:
    """Examine a server that gives these answers in turn, and record it."""
    given_answers = 0

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal given_answers
        try:
            await reader.readuntil(b"\r\n\r\n")
            document, date = answers[given_answers % len(answers)]
            given_answers += 1
            body = json.dumps(document).encode()
            head = f"HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
        finally:
            writer.close()

    clock = ScriptedClock(NOW, skip_sleeps=True)
    async with await asyncio.start_server(respond, "127.0.0.1", 0) as server:
        text = config_text(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", top="account_interval: 1h")
        sound, problems = loader.parse(text + "\n        statistics: [engagement, delivery]\ndomains_interval: 1h\n")
        assert sound is not None, problems
        recorder = CallRecorder(clock)
        (found,) = await examine(sound, clock, KEYS, {"shop": recorder})
        assert_readable(found)
        for scaled in (True, False):
            made = recording.files(sound.targets[0], recorder.kept, found.findings, Sanitizer.random(scaled=scaled))
            assert "".join(made.values()).encode("utf-8", "surrogatepass")


@given(answers=st.lists(st.tuples(documents, dates), min_size=1, max_size=6))
@settings(max_examples=15)
def test_no_values_end_the_doctor(answers: list[tuple[dict[str, Any], str]]) -> None:
    asyncio.run(visited(answers))
