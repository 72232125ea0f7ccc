"""A window at a terminal and in cron: right numbers or none, the reason beside them, and a status."""

import asyncio
import csv
import io
import json
import os
import pty
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from exporter.commands import show_formats, show_rows
from exporter.commands.show_formats import FORMATS
from exporter.commands.show_reading import Reading, WindowReader
from exporter.commands.show_rows import Group
from exporter.config.model import Config
from exporter.plan import calendar
from exporter.reload import load
from exporter.simulator.behaviour import Behaviour
from exporter.simulator.faults import Fault
from exporter.simulator.server import Simulator
from exporter.simulator.traffic import Traffic
from exporter.store import snapshot
from tests.support.clock import ScriptedClock
from tests.support.command_line import run
from tests.support.processes import PATIENCE, program, until
from tests.support.programs import KEYS, SENDERS, write_config

ROOT = Path(__file__).parents[2]
TRAFFIC = Traffic()
ESPS = "gmail.com, yahoo.com, outlook.com, icloud.com, others"
QUERIES = f"""
      - name: account
        statistics: [engagement, delivery]
      - name: by_sender
        account_name: [{", ".join(SENDERS)}]
        statistics: [engagement, delivery]
      - name: by_esp
        account_name: {SENDERS[0]}
        esp: [{ESPS}]
"""


def account(*faults: Fault, **behaviour: object) -> Simulator:
    made = Behaviour(**{"calls_per_minute": 100_000, **behaviour})  # type: ignore[arg-type]
    return Simulator(TRAFFIC, clock=ScriptedClock(skip_sleeps=True), faults=list(faults), behaviour=made)


def config(path: Path, url: str, *, queries: str = QUERIES, head: str = "", rate: float = 6000) -> Path:
    path.write_text(
        f"{head}\npoll_interval: 1h\nwindows: [today, 7d]\ntargets:\n  - name: shop\n    endpoint: {url}\n"
        f"    rate_limit_per_minute: {rate}\n    queries:{queries}"
    )
    return path


async def read(
    api: Simulator,
    folder: Path,
    *,
    window: str = "7d",
    query: str | None = None,
    environment: Mapping[str, str] = KEYS,
    **settings: Any,
) -> Reading:
    async with api.listen() as url:
        made: Config = load(config(folder / "config.yaml", url, **settings))
        return await WindowReader(made, api.clock, window, query, environment=environment).read()


def one(groups: list[Group], query: str, statistic: str = "engagement") -> Group:
    (group,) = [each for each in groups if (each.query, each.statistic.name) == (query, statistic)]
    return group


class TestNumbers:
    @pytest.mark.parametrize("window", ["today", "yesterday", "7d", "30d"])
    async def test_each_combination_has_the_accounts_counts_of_the_window(self, window: str, tmp_path: Path) -> None:
        api = account()
        groups = show_rows.groups(await read(api, tmp_path, window=window))
        days = calendar.window_days(window, TRAFFIC.today(api.clock.time()))
        for row in one(groups, "by_sender").rows:
            sender = row.combination.filters.account_name
            counts = [TRAFFIC.counts(day, api.clock.time(), sender=sender) for day in days]
            if window != "today":  # which grows while it is read
                assert row.values["emails"] == sum(each.emails for each in counts)
            emails = row.values["emails"]
            assert row.values.get("open_ratio") == (row.values["opens"] / emails if emails else None)
        for row in one(groups, "by_sender", "delivery").rows:
            requested = row.values["requested"]
            assert row.values.get("success_ratio") == (row.values["delivered"] / requested if requested else None)

    async def test_queries_come_in_the_order_of_the_config_discovered_ones_too(self, tmp_path: Path) -> None:
        queries = "\n      - {name: by_tag, account_name: news@mail.example.com, tag_name: {discover: true}}" + QUERIES
        groups = show_rows.groups(await read(account(), tmp_path, queries=queries, window="today"))
        assert [group.query for group in groups if group.statistic.name == "engagement"][:2] == ["by_tag", "account"]

    async def test_counts_of_events_are_added_up_and_those_of_recipients_are_not(self, tmp_path: Path) -> None:
        groups = show_rows.groups(await read(account(), tmp_path))
        whole = one(groups, "account").rows[0].values
        sums = one(groups, "by_sender").sums
        assert sums.keys() == {"emails", "opens", "clicks", "open_ratio", "click_ratio"}
        assert sums["emails"] == whole["emails"]
        assert sums["open_ratio"] == sums["opens"] / sums["emails"]
        delivery = one(groups, "by_sender", "delivery").sums
        assert delivery.keys() == set(show_rows.names(one(groups, "account", "delivery").statistic))
        assert one(groups, "account").sums == {}

    async def test_a_row_without_numbers_leaves_no_sum(self, tmp_path: Path) -> None:
        fault = Fault("forbidden", where={"AccountName": SENDERS[1]})
        fault.name = "unknown_sender"
        groups = show_rows.groups(await read(account(fault), tmp_path, query="by_sender"))
        group = one(groups, "by_sender")
        assert (group.sums, group.no_sums) == ({}, "1 of 3 rows has no numbers")
        (row,) = [row for row in group.rows if not row.values]
        assert row.combination.filters.account_name == SENDERS[1]
        assert row.is_failure
        assert "InvalidMailAddress.NotFound" in row.problem

    async def test_a_domain_and_its_subdomain_are_not_added_up(self, tmp_path: Path) -> None:
        queries = "\n      - {name: by_domain, domain: [example.com, mail.example.com, notify.example.com]}\n"
        groups = show_rows.groups(await read(account(domain_filter="subdomains"), tmp_path, queries=queries))
        group = groups[0]
        assert all(row.values for row in group.rows)
        assert not group.sums
        overlap = "domain=mail.example.com may overlap with domain=example.com"
        assert group.no_sums == overlap or "notify" in group.no_sums

    async def test_the_largest_come_first_and_rows_without_the_value_last(self, tmp_path: Path) -> None:
        queries = (
            f"\n      - name: by_tag\n        account_name: {SENDERS[0]}\n"
            "        tag_name: [none, weekly-newsletter, promo, nothing]\n"
        )
        reading = await read(account(), tmp_path, queries=queries)
        rows = one(show_rows.groups(reading, "open_ratio"), "by_tag").rows
        ratios = [row.values.get("open_ratio") for row in rows]
        assert ratios[2:] == [None, None]
        assert ratios[0] > ratios[1] > 0  # type: ignore[operator]
        assert [row.combination.filters.tag_name for row in rows][2:] == ["none", "nothing"]

    @pytest.mark.parametrize("way", ["error", "empty", "whole"])
    async def test_a_filter_that_the_account_cannot_use_has_no_numbers_and_is_no_failure(
        self, way: str, tmp_path: Path
    ) -> None:
        api = account(no_dedicated_ips=way)
        groups = show_rows.groups(await read(api, tmp_path))
        rows = one(groups, "by_esp").rows
        assert all(row.values == {} and row.problem.startswith("filter not supported: ") for row in rows)
        assert not any(row.is_failure for row in rows)
        assert all(row.values for row in one(groups, "by_sender").rows)
        if way == "error":
            rejected = [seen for seen in api.requests if "Esp" in seen.parameters]
            assert 5 <= len(rejected) < 35, "a rejected filter is not requested for every day"

    async def test_a_day_that_the_api_gives_no_more_is_named_with_the_longest_window(self, tmp_path: Path) -> None:
        reading = await read(account(strict_span=True), tmp_path, window="30d", query="account")
        (row,) = one(show_rows.groups(reading), "account").rows
        assert row.values == {}
        assert row.problem == "the API no longer has 2026-03-23, 30 days ago; the longest window is 29d"

    async def test_discovered_values_are_listed_first(self, tmp_path: Path) -> None:
        queries = (
            f"\n      - {{name: tags, account_name: {SENDERS[0]}, tag_name: {{discover: true, include: 'p.*'}}}}\n"
        )
        api = account()
        groups = show_rows.groups(await read(api, tmp_path, queries=queries))
        assert {row.combination.filters.tag_name for row in groups[0].rows} == {"password-reset", "promo"}
        assert api.requests[0].action == "QueryTagByParam"


class TestTheBudget:
    async def test_requests_are_spaced_by_the_targets_rate(self, tmp_path: Path) -> None:
        api = account()
        before = api.clock.monotonic()
        queries = f"\n      - {{name: by_sender, account_name: [{', '.join(SENDERS)}]}}\n"
        await read(api, tmp_path, queries=queries, rate=30)
        assert len(api.requests) == 21
        assert api.clock.monotonic() - before >= 20 * 2

    async def test_one_query_alone_is_requested_where_it_is_named(self, tmp_path: Path) -> None:
        api = account()
        await read(api, tmp_path, query="account")
        assert len(api.requests) == 14
        assert not any("AccountName" in seen.parameters for seen in api.requests)

    async def test_a_rejected_key_costs_one_request_an_operation(self, tmp_path: Path) -> None:
        api = account()
        wrong = {**KEYS, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "wrong"}
        reading = await read(api, tmp_path, environment=wrong)
        assert len(api.requests) <= 2
        (error,) = reading.target_failures.values()
        assert error.reason == "auth"
        assert all(row.problem.startswith("not read: ") for group in show_rows.groups(reading) for row in group.rows)

    async def test_a_missing_permission_ends_the_requests_of_one_statistic(self, tmp_path: Path) -> None:
        api = account(Fault("forbidden", action="SenderStatisticsByTagNameAndBatchID"))
        reading = await read(api, tmp_path)
        assert [seen.action for seen in api.requests].count("SenderStatisticsByTagNameAndBatchID") <= 2
        groups = show_rows.groups(reading)
        assert all(row.values for row in one(groups, "by_sender").rows)
        assert not any(row.values for row in one(groups, "by_sender", "delivery").rows)

    async def test_progress_is_reported_from_nothing_to_all(self, tmp_path: Path) -> None:
        steps: list[tuple[int, int, float]] = []
        api = account()
        async with api.listen() as url:
            made = load(config(tmp_path / "config.yaml", url))
            reader = WindowReader(
                made, api.clock, "7d", "account", environment=KEYS, progress=lambda *step: steps.append(step)
            )
            await reader.read()
        assert [step[:2] for step in steps] == [(done, 14) for done in range(15)]
        left = [seconds for _, _, seconds in steps]
        assert left == sorted(left, reverse=True)
        assert (left[0], left[-1]) == (pytest.approx(7 * 60.25 / 6000), 0.0)


class TestFormats:
    async def shown(self, style: str, folder: Path, *faults: Fault) -> str:
        api = account(*faults)
        groups = show_rows.groups(await read(api, folder, query="by_sender"))
        return FORMATS[style](groups, "7d", api.clock.time())

    async def test_numbers_of_a_table_end_below_each_other(self, tmp_path: Path) -> None:
        text = await self.shown("table", tmp_path)
        engagement, delivery = text.split("\n\n")
        title, *lines = engagement.splitlines()
        assert title == "shop: by_sender, engagement, 7d (2026-04-15 to 2026-04-21)"
        assert "sum of 3" in lines[-1]
        assert set(lines[-2]) == {"-"}
        rows = [line for line in lines if "@" in line]
        assert len(rows) == 3
        assert len({len(row) for row in rows}) == 1
        assert len({row.index("%") for row in rows}) == 1
        assert "success_" in delivery
        assert max(map(len, text.splitlines())) <= 120

    async def test_a_table_explains_below_why_a_row_has_no_numbers(self, tmp_path: Path) -> None:
        fault = Fault("error", action="GetTrackList", where={"AccountName": SENDERS[1], "StartTime": "2026-04-20"})
        lines = (await self.shown("table", tmp_path, fault)).split("\n\n")[0].splitlines()
        assert lines[-2] == "No sum: 1 of 3 rows has no numbers."
        assert lines[-1].startswith(f"- {SENDERS[1]}: 2026-04-20 could not be read: the API failed")

    async def test_csv_has_the_same_columns_for_every_request(self, tmp_path: Path) -> None:
        rows = list(csv.DictReader(io.StringIO(await self.shown("csv", tmp_path))))
        assert list(rows[0]) == [*show_formats.FIELDS, *show_formats.VALUES, "problem"]
        assert len(rows) == 6, "no sums among the rows"
        first, last = rows[0], rows[-1]
        assert (first["statistic"], first["requested"], last["statistic"], last["emails"]) == (
            *("engagement", ""),
            *("delivery", ""),
        )
        assert (first["window"], first["start"], first["end"]) == ("7d", "2026-04-15", "2026-04-21")
        assert int(first["opens"]) / int(first["emails"]) == pytest.approx(float(first["open_ratio"]), abs=1e-6)

    async def test_json_has_rows_and_sums_and_null_for_unknown_values(self, tmp_path: Path) -> None:
        fault = Fault("error", action="GetTrackList", where={"AccountName": SENDERS[1]})
        document = json.loads(await self.shown("json", tmp_path, fault))
        assert document.keys() == {"at", "window", "rows", "sums"}
        assert document["at"].startswith("2026-04-22T")
        assert [each["statistic"] for each in document["sums"]] == ["delivery"]
        assert document["sums"][0]["rows"] == 3
        lost = [row for row in document["rows"] if row["problem"]]
        assert [(row["account_name"], row["emails"]) for row in lost] == [(SENDERS[1], None)]

    def test_every_field_is_documented(self) -> None:
        page = (ROOT / "docs" / "show.md").read_text().split("## CSV and JSON")[1]
        rows = re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)
        assert tuple(re.findall(r"`(\w+)`", " ".join(rows))) == (
            *show_formats.FIELDS,
            *show_formats.VALUES,
            "problem",
        )

    async def test_wide_characters_are_two_columns(self, tmp_path: Path) -> None:
        queries = f"\n      - name: by_tag\n        account_name: {SENDERS[0]}\n        tag_name: [promo, 双十一]\n"
        groups = show_rows.groups(await read(account(), tmp_path, queries=queries))
        promo, wide = (
            line for line in FORMATS["table"](groups, "7d", 0.0).splitlines() if "promo" in line or "双" in line
        )
        assert len(promo) == len(wide) + 3


async def on_disk(path: Path, *, combinations: int, days: int) -> None:
    """Return when a running exporter has written so many days of so many combinations."""
    async with asyncio.timeout(PATIENCE):
        while True:
            records = (await snapshot.read(path)).records.values()
            if len(records) == combinations and all(len(record.cells) == days for record in records):
                return
            await asyncio.sleep(0.05)


class TestStateFile:
    async def test_a_running_exporter_is_not_disturbed_and_what_it_knows_is_not_requested(self, tmp_path: Path) -> None:
        api = Simulator(TRAFFIC, behaviour=Behaviour(calls_per_minute=100_000))
        async with api.listen() as url:
            path = write_config(tmp_path / "config.yaml", url, head=f"state_file: {tmp_path / 'state.db'}")
            flags = ("--config.file", str(path))
            async with program(*flags, "--web.listen-address", "127.0.0.1:0", environment=KEYS) as exporter:
                address = await exporter.address()
                await until(f"http://{address}/metrics", 'tag_name="",target="shop",window="yesterday"')
                await on_disk(tmp_path / "state.db", combinations=2, days=2)
                requests = len(api.requests)
                async with program("show", *flags, "--window", "yesterday", environment=KEYS) as show:
                    await show.line_with("sum of 2")
                    assert await show.process.wait() == 0
                assert len(api.requests) == requests
                async with program("show", *flags, "--window", "2d", environment=KEYS) as show:
                    assert await show.process.wait() == 0
                assert len(api.requests) == requests + 2
                assert await exporter.end() == 0
        assert not [line for line in exporter.lines if "level=error" in line or "level=warning" in line]

    async def test_a_file_of_another_account_is_not_used(self, tmp_path: Path) -> None:
        api = Simulator(TRAFFIC, behaviour=Behaviour(calls_per_minute=100_000))
        state = tmp_path / "state.db"
        async with api.listen() as url:
            path = write_config(tmp_path / "config.yaml", url, head=f"state_file: {state}")
            flags = ("--config.file", str(path))
            async with program(*flags, "--web.listen-address", "127.0.0.1:0", environment=KEYS) as exporter:
                address = await exporter.address()
                await until(f"http://{address}/metrics", 'window="yesterday"')
                assert await exporter.end() == 0
            path.write_text(path.read_text().replace("timeout: 60s", "timeout: 60s\n    timezone: UTC"))
            requests, before = len(api.requests), state.read_bytes()
            async with program("show", *flags, "--window", "yesterday", environment=KEYS) as show:
                assert await show.process.wait() == 0
        assert len(api.requests) == requests + 2
        assert state.read_bytes() == before

    async def test_a_file_that_cannot_be_read_is_noted_and_everything_requested(self, tmp_path: Path) -> None:
        state = tmp_path / "state.db"
        state.mkdir()
        api = account()
        reading = await read(api, tmp_path, query="account", head=f"state_file: {state}")
        (note,) = reading.notes
        assert "is a directory" in note
        assert note.endswith("requesting everything")
        assert len(api.requests) == 14


class TestTheCommand:
    @pytest.mark.parametrize(
        ("flags", "says"),
        [
            (
                ["--query", "tags"],
                "--query: 'tags' is not a query of the config; write one of account, by_sender, by_esp",
            ),
            (["--window", "1w"], "--window: '1w' is not a window; write 7d"),
            (["--window", "31d"], "--window: '31d' is not a window; write today, yesterday, or 1d to 30d"),
            (["--sort", "size"], "--sort: 'size' is not a count or rate of it; write one of emails, opens"),
            (["--query", "by_esp", "--sort", "requested"], "--sort: 'requested' is not a count or rate of it"),
        ],
    )
    def test_what_is_unknown_is_one_line_with_the_choices(self, flags: list[str], says: str, tmp_path: Path) -> None:
        path = config(tmp_path / "config.yaml", "http://127.0.0.1:1")
        result = run("show", "--config.file", str(path), *flags)
        assert result.exit_code == 1
        (line,) = result.output.splitlines()
        assert line.startswith(says)

    def test_a_shard_without_targets_shows_nothing_and_is_well(self, tmp_path: Path) -> None:
        path = config(tmp_path / "config.yaml", "http://127.0.0.1:1")
        results = [run("show", "--config.file", str(path), "--shard", f"{shard}/2") for shard in (0, 1)]
        (empty,) = [result for result in results if result.exit_code == 0]
        assert empty.output == "No target of the config belongs to this shard; nothing to show.\n"

    @pytest.mark.parametrize(
        ("key", "says"),
        [
            ({**KEYS, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "x"}, "shop: the API rejected the credentials"),
            ({}, "shop: no credentials: ALIBABA_CLOUD_ACCESS_KEY_ID"),
        ],
    )
    async def test_a_denied_key_is_one_line_and_status_1(self, key: dict[str, str], says: str, tmp_path: Path) -> None:
        async with account().listen() as url:
            path = config(tmp_path / "config.yaml", url)
            async with program("show", "--config.file", str(path), "--format", "csv", environment=key) as show:
                await show.line_with(says)
                assert await show.process.wait() == 1
        assert sum(says in line for line in show.lines) == 1

    async def test_a_bar_is_on_the_terminal_while_it_requests_and_nothing_of_it_on_stdout(self, tmp_path: Path) -> None:
        api = Simulator(TRAFFIC, behaviour=Behaviour(calls_per_minute=100_000))
        terminal, end = pty.openpty()
        async with api.listen() as url:
            path = config(tmp_path / "config.yaml", url)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "exporter", "show", "--config.file", str(path), "--format", "json"),
                stdout=asyncio.subprocess.PIPE,
                stderr=end,
                env={**os.environ, **KEYS, "TERM": "xterm", "COLUMNS": "100"},
                cwd=ROOT,
            )
            async with asyncio.timeout(PATIENCE):
                output, _ = await process.communicate()
        os.close(end)
        shown = os.read(terminal, 1_000_000).decode()
        os.close(terminal)
        assert process.returncode == 0
        assert "requests" in shown
        assert json.loads(output)["window"] == "7d"
