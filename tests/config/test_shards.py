"""Shards: who polls which target, what the hostname says, and a process that has only its part."""

import re
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from exporter.app import App
from exporter.commands import check
from exporter.commands.main import cli
from exporter.config import loader
from exporter.config.checking import ConfigError
from exporter.config.model import Config
from exporter.config.shards import WHOLE, NoOrdinal, Shard, divide, owner, parse
from exporter.plan import cardinality, target_plan, validation
from exporter.reload import load
from exporter.web.server import Options
from tests.support.processes import get, program, started, until
from tests.support.programs import KEYS, simulator

NAMES = [f"account_{number}" for number in range(1000)]
names = st.lists(st.text(min_size=1, max_size=20), unique=True, max_size=30)


@dataclass(frozen=True)
class Named:
    name: str


def targets(*wanted: str, head: str = "", endpoint: str = "http://127.0.0.1:9") -> str:
    """Return a config of targets with two senders each."""
    return f"{head}\npoll_interval: 1h\nwindows: [today, yesterday]\ntargets:\n" + "".join(
        f"  - name: {name}\n    endpoint: {endpoint}\n    rate_limit_per_minute: 6000\n"
        "    queries: [{name: by_sender, account_name: [news@mail.example.com, product@mail.example.com]}]\n"
        for name in wanted
    )


def sound(text: str) -> Config:
    config, problems = loader.parse(text)
    assert config is not None
    assert problems == ()
    return config


@given(names, st.integers(1, 12))
def test_every_target_has_one_shard_and_no_other(wanted: list[str], count: int) -> None:
    all_of_them = [Named(name) for name in wanted]
    parts = [Shard(index, count).part(all_of_them) for index in range(count)]
    assert sorted((each for part in parts for each in part), key=all_of_them.index) == all_of_them
    assert tuple(parts) == divide(all_of_them, count)


@given(names, st.integers(1, 12))
def test_adding_a_shard_moves_targets_to_it_and_none_between_the_others(wanted: list[str], count: int) -> None:
    for name in wanted:
        assert owner(name, count + 1) in (owner(name, count), count)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 15])
def test_one_shard_more_moves_about_its_share(count: int) -> None:
    moved = sum(owner(name, count) != owner(name, count + 1) for name in NAMES)
    assert 0.8 / (count + 1) < moved / len(NAMES) < 1.2 / (count + 1)


@pytest.mark.parametrize("count", [2, 3, 4, 8])
def test_shards_have_about_equal_parts(count: int) -> None:
    sizes = [len(part) for part in divide([Named(name) for name in NAMES], count)]
    assert max(sizes) < 1.2 * len(NAMES) / count


@given(names, st.integers(1, 12), st.randoms())
def test_neither_order_nor_neighbours_move_a_target(wanted: list[str], count: int, random: object) -> None:
    before = {name: owner(name, count) for name in wanted}
    some = [Named(name) for name in reversed(wanted[::2])]
    after = {each.name: index for index, part in enumerate(divide(some, count)) for each in part}
    assert after == {each.name: before[each.name] for each in some}


def test_the_hash_is_the_same_in_every_version() -> None:
    """Another response here would move accounts at an update."""
    chosen = ("marketing", "shop", "billing", "news", "crm")
    assert [owner(name, 3) for name in chosen] == [2, 2, 1, 1, 1]
    assert [owner(name, 8) for name in chosen] == [4, 6, 1, 5, 1]


def test_settings_of_a_target_do_not_move_it() -> None:
    (target,) = sound(targets("shop")).targets
    moved = replace(target, endpoint="https://dm-vpc.example.com", rate_limit_per_minute=1.0, region="us-east-1")
    for index in range(5):
        assert bool(Shard(index, 5).part([target])) == bool(Shard(index, 5).part([moved]))


@pytest.mark.parametrize(
    ("text", "hostname", "shard"),
    [
        pytest.param("0/1", "any", WHOLE, id="alone"),
        pytest.param("2/3", "any", Shard(2, 3), id="by-number"),
        pytest.param("auto/4", "exporter-3", Shard(3, 4), id="pod"),
        pytest.param("auto/1000", "dm-a-2-exporter-999", Shard(999, 1000), id="long-name"),
        pytest.param("auto/4", "exporter-0.exporter.mail.svc.cluster.local", Shard(0, 4), id="whole-name"),
    ],
)
def test_a_shard_is_named_or_read_from_the_hostname(text: str, hostname: str, shard: Shard) -> None:
    assert parse(text, hostname) == shard


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        pytest.param("", "write I/N such as 0/3, or auto/3", id="empty"),
        pytest.param("3", "write I/N such as 0/3, or auto/3", id="one-number"),
        pytest.param("1/two", "write I/N such as 0/3, or auto/3", id="no-number"),
        pytest.param("-1/3", "write I/N such as 0/3, or auto/3", id="negative"),
        pytest.param("3/3", "3 shards have the numbers 0 to 2", id="counted-from-1"),
        pytest.param("0/0", "write 1 to 1000", id="none"),
        pytest.param("0/1001", "write 1 to 1000", id="too-many"),
        pytest.param("auto/0", "write 1 to 1000", id="none-by-hostname"),
    ],
)
def test_a_wrong_shard_is_a_wrong_flag_with_the_fix(text: str, fix: str) -> None:
    result = CliRunner().invoke(cli, [f"--shard={text}"])
    assert result.exit_code == 2
    assert fix in result.output


@pytest.mark.parametrize(
    ("hostname", "words"),
    [
        pytest.param("exporter", "does not end with a number", id="no-number"),
        pytest.param("exporter7", "does not end with a number", id="no-dash"),
        pytest.param("exporter-7f9c6", "does not end with a number", id="deployment"),
        pytest.param(
            "exporter-3", "has the number 3, but 3 shards have the numbers 0 to 2", id="more-pods-than-shards"
        ),
    ],
)
def test_a_hostname_that_names_no_shard_is_status_1(hostname: str, words: str) -> None:
    with pytest.raises(NoOrdinal):
        parse("auto/3", hostname)
    result = CliRunner().invoke(cli, ["--shard=auto/3"], env={"HOSTNAME": hostname})
    assert result.exit_code == 1
    assert words in result.output
    assert "Traceback" not in result.output


def test_a_shard_that_a_command_would_ignore_is_a_wrong_flag() -> None:
    result = CliRunner().invoke(cli, ["--shard=1/3", "doctor"])
    assert result.exit_code == 2
    assert "write --shard after doctor" in result.output


def test_every_shard_reports_the_mistakes_of_all(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(targets("shop", "billing", "news").replace("endpoint: http://127.0.0.1:9", "region: mars"))
    reported = set()
    for index in range(3):
        with pytest.raises(ConfigError) as error:
            load(path, Shard(index, 3))
        reported.add(error.value.problems)
    (problems,) = reported
    assert [problem.place for problem in problems] == [f"targets[{index}].region" for index in range(3)]


def test_max_series_is_per_process_and_all_shards_reject_together() -> None:
    config = sound(targets(*NAMES[:9], head="max_series: 300"))
    parts = divide(config.targets, 3)
    largest = max(range(3), key=lambda index: len(parts[index]))
    series = cardinality.of_targets(config, parts[largest])
    fits = replace(config, max_series=series)
    assert validation.problems(fits, 3) == ()
    assert [problem.place for problem in validation.problems(fits, 1)] == ["max_series"]
    (problem,) = validation.problems(replace(config, max_series=series - 1), 3)
    assert problem.text.startswith(f"the queries of shard {largest}/3 would expose {series} series")


def test_the_check_shows_the_part_and_the_whole() -> None:
    config = sound(targets("shop", "billing", "news"))
    lines = check.report(config, Shard(1, 3)).splitlines()
    table = {line[:10]: line.split()[-5:] for line in lines[1:5]}
    assert lines[0].split() == ["targets", "combinations", "series", "calls", "a", "minute"]
    assert [lines[row].split()[2] for row in (1, 2, 3)] == ["0", "2", "1"]
    assert lines[2].endswith("<- this one")
    assert table["all shards"][1:4] == ["3", "6", str(cardinality.of_targets(config, config.targets))]
    assert [line for line in lines if line.startswith("target ")] == [
        f"target {name}: http://127.0.0.1:9, days begin in Asia/Shanghai" for name in ("billing", "news")
    ]
    assert "No target belongs to this shard" in check.report(config, Shard(0, 3))


def test_the_check_counts_every_statistic_of_a_target() -> None:
    text = targets("shop", "billing", "news")
    both = sound(
        text.replace("product@mail.example.com]", "product@mail.example.com], statistics: [engagement, delivery]")
    )
    lines = check.report(both, Shard(2, 3)).splitlines()
    (whole,) = [line.split() for line in lines if line.startswith("all shards")]
    engagement, delivery, bounds = 2 * 10 + 5 + 4, 2 * 7 + 4 + 4, 2 * 2
    calls = sum(plan.requests_per_minute for plan in target_plan.make_all(both))
    assert whole[2:] == ["3", "12", str(3 * (2 * (engagement + delivery) + bounds)), f"{calls:.1f}"]
    assert [line for line in lines if re.match("  [a-z]+ ", line)] == [
        "  engagement (GetTrackList):",
        "  delivery (SenderStatisticsByTagNameAndBatchID):",
    ]
    assert lines.count("    query by_sender: 2 combinations") == 2


def test_backfill_and_doctor_handle_the_targets_of_their_shard(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(targets("shop", "billing"))
    history = tmp_path / "history.om"
    flags = ["--config.file", str(path), "--shard=0/3"]
    labels = ["--label", "job=directmail", "--label", "instance=localhost:10058"]
    filled = CliRunner().invoke(cli, ["backfill", *flags, *labels, "--output", str(history)])
    assert filled.exit_code == 0
    assert history.read_text().endswith("# EOF\n")
    requested = CliRunner().invoke(cli, ["doctor", *flags])
    assert requested.exit_code == 0
    assert "No target of the config belongs to this shard" in requested.output


async def test_a_shard_polls_its_part_and_keeps_to_it_over_a_reload(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    async with simulator().listen() as url:
        path.write_text(targets("shop", "billing", endpoint=url))
        shard = Shard(1, 3)
        app = App(
            load(path, shard),
            Options(listen_addresses=("127.0.0.1:0",)),
            environment=KEYS,
            config_file=path,
            shard=shard,
        )
        task, base = await started(app)
        text = await until(f"{base}/metrics", 'directmail_up{target="billing"} 1.0')
        assert 'directmail_exporter_shard_info{shard="1",shards="3"} 1.0' in text
        assert 'target="shop"' not in text
        path.write_text(targets("shop", "billing", "news", endpoint=url))
        assert await app.reload() == ()
        text = await until(f"{base}/metrics", 'directmail_up{target="news"} 1.0')
        page = (await get(f"{base}/"))[1]
        app.stop()
        await task
    assert 'target="shop"' not in text
    assert "This is shard 1/3, of the shards 0 to 2. It polls 2 of the config's 3 targets" in page.replace("&#39;", "'")


async def test_two_processes_share_one_config_and_request_nothing_twice(tmp_path: Path) -> None:
    names = ("shop", "billing", "news", "crm")
    path = tmp_path / "config.yaml"
    account = simulator()
    parts = [{each.name for each in part} for part in divide([Named(name) for name in names], 2)]
    async with account.listen() as url, AsyncExitStack() as both:
        path.write_text(targets(*names, endpoint=url))
        texts = []
        for part, shard in zip(parts, ("0/2", "1/2"), strict=True):
            flags = ("--config.file", str(path), "--shard", shard, "--web.listen-address", "127.0.0.1:0")
            address = await (await both.enter_async_context(program(*flags, environment=KEYS))).address()
            await until(f"http://{address}/-/ready", "OK")
            for name in part:
                await until(f"http://{address}/metrics", f'directmail_up{{target="{name}"}} 1.0')
            texts.append((await get(f"http://{address}/metrics"))[1])
    polled = [set(re.findall(r'^directmail_up{target="(\w+)"} 1', text, re.MULTILINE)) for text in texts]
    assert polled == parts
    assert all(polled)
    assert set.union(*polled) == set(names)
    requests = [seen.parameters for seen in account.requests if seen.outcome == "OK"]
    requested = Counter((parameters["AccountName"], parameters["StartTime"]) for parameters in requests)
    assert max(requested.values()) == len(names), "each target asks a day of a sender once"


async def test_a_shard_without_targets_is_healthy_and_logs_it(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(targets("shop", "billing", head=f"state_file: {tmp_path / 'state.db'}"))
    app = App(load(path), Options(listen_addresses=("127.0.0.1:0",)), environment=KEYS, shard=Shard(0, 3))
    task, base = await started(app)
    assert await get(f"{base}/-/ready") == (200, "OK\n")
    assert await get(f"{base}/-/healthy") == (200, "OK\n")
    assert "No target of the config belongs to this shard" in (await get(f"{base}/"))[1]
    text = (await get(f"{base}/metrics"))[1]
    app.stop()
    await task
    assert 'directmail_exporter_shard_info{shard="0",shards="3"} 1.0' in text
    assert "directmail_up{" not in text


async def test_a_process_alone_is_shard_0_of_1(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(targets("shop"))
    app = App(load(path), Options(listen_addresses=("127.0.0.1:0",)), environment=KEYS)
    task, base = await started(app)
    text, page = (await get(f"{base}/metrics"))[1], (await get(f"{base}/"))[1]
    app.stop()
    await task
    assert 'directmail_exporter_shard_info{shard="0",shards="1"} 1.0' in text
    assert "This is shard" not in page
