"""When an alert fires, rules with time running faster, and where the programs are: without running any."""

import re
import socket
from pathlib import Path

import pytest
import yaml

from exporter.simulator import incidents
from tools.stack import programs, rules
from tools.stack.incidents import API, CAMPAIGNS, HEAD, MAIL, TAIL, Findings, Verdict, markdown
from tools.stack.verdicts import episodes
from tools.stack.worlds import World


@pytest.mark.parametrize(
    ("moments", "waits", "keeps", "found"),
    [
        pytest.param([0, 60, 120], 0, 0, [(0, 180)], id="at-once-without-for"),
        pytest.param([0, 60], 120, 0, [], id="not-before-for-has-passed"),
        pytest.param([0, 60, 120, 180], 120, 0, [(120, 240)], id="when-for-has-passed"),
        pytest.param([0, 60, 180, 240], 120, 0, [], id="a-gap-begins-anew"),
        pytest.param([0, 60, 240], 60, 180, [(60, 480)], id="kept-over-a-gap"),
        pytest.param([0, 600], 0, 60, [(0, 120), (600, 720)], id="twice"),
        pytest.param([], 0, 0, [], id="never"),
    ],
)
def test_an_alert_fires_as_in_prometheus(
    moments: list[float], waits: float, keeps: float, found: list[tuple[float, float]]
) -> None:
    assert episodes(moments, 60, waits, keeps) == found


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("30m", 1800), ("1h30m", 5400), ("13d", 1_123_200), ("500ms", 0.5), ("0s", 0)],
)
def test_durations_are_read(written: str, seconds: float) -> None:
    assert rules.seconds(written) == seconds


def test_scaled_rules_differ_in_time_alone(tmp_path: Path) -> None:
    durations = re.compile(r"\d+(?:ms|[smhdwy])\b")
    for written, original in zip(rules.scaled(tmp_path, 60, 5.0), (rules.RECORDING, rules.ALERTS), strict=True):
        ours, theirs = (
            [rule for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]
            for path in (written, original)
        )
        assert len(ours) == len(theirs)
        for scaled, rule in zip(ours, theirs, strict=True):
            expression = scaled["expr"].replace("(5.000 + time() * 60)", "time()")
            assert re.sub(r"\d+ms", "X", expression) == re.sub(rules.IN_EXPRESSION, "X", rule["expr"])
            assert not durations.search(re.sub(r"\w+:\w+:\w+|\d+ms", "", expression))
            assert rules.seconds(scaled.get("for", "0s")) == pytest.approx(rules.seconds(rule.get("for", "0s")) / 60)


def test_a_backfill_records_ratios_after_what_they_are_made_of(tmp_path: Path) -> None:
    first, second = (path.read_text() for path in rules.passes(tmp_path))
    assert "record: stream_esp:directmail_track_emails:increase6h" in first
    assert "record: stream_esp:directmail_unique_opens_per_emails:relative_increase6h" in second


def test_webhooks_are_called_at_the_address_that_is_named() -> None:
    config = yaml.safe_load(rules.routes("127.0.0.1:7", 60))
    urls = {webhook["url"] for each in config["receivers"] for webhook in each.get("webhook_configs", [])}
    assert urls == {f"http://127.0.0.1:7/{name}" for name in ("on-call", "email-operations", "daily-digest")}
    assert config["route"]["routes"][0]["group_wait"] == "2000ms"


def test_every_incident_of_the_simulator_has_its_world_and_alerts_that_exist() -> None:
    worlds = [world for world in (*MAIL, *CAMPAIGNS, *API) if world.incident]
    assert {world.incident.partition(":")[0] for world in worlds} == set(incidents.NAMES)
    known = {f"{alert.name.removeprefix('DirectMail')} {alert.severity}" for alert in rules.alerts()}
    assert {title for world in worlds for title in world.must | world.may} <= known


def test_the_table_shows_what_fired_and_what_was_inhibited() -> None:
    """An alert that has one severity is shown without it."""
    world = World("w", "esp_spam", must=frozenset({"EspOpenRateDrop critical"}))
    delays = {"EspOpenRateDrop critical": 7200.0, "ClickRateDrop info": 9000.0}
    verdict = Verdict(world, delays, frozenset({"VolumeSpike warning"}))
    assert verdict.missing == frozenset()
    assert verdict.unexpected == {"ClickRateDrop info"}
    assert markdown(Findings([verdict], [], 20)).splitlines()[2:] == [
        "| `w` | **EspOpenRateDrop critical** 2.0, ClickRateDrop 2.5; muted: VolumeSpike |",
        "| 20 quiet weeks | none critical |",
    ]


def test_the_page_of_incidents_is_as_it_would_be_written_but_for_what_was_measured() -> None:
    page = (Path(__file__).parents[2] / "docs" / "incidents.md").read_text()
    assert page.startswith(HEAD)
    assert page.endswith(TAIL)


def test_a_missing_program_is_named_with_the_line_that_brings_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(programs.Missing, match="prometheus, promtool, prometheus-alertmanager: not installed; apt-get"):
        programs.find()


async def test_a_program_that_fails_is_reported_with_its_output() -> None:
    with pytest.raises(programs.Broken, match="python3 ended with 3: alas"):
        await programs.run("python3", "-c", "import sys; sys.exit(print('alas', file=sys.stderr) or 3)")


def test_a_requested_address_that_is_in_use_is_not_used() -> None:
    in_use = programs.free_address()
    host, _, port = in_use.partition(":")
    with socket.create_server((host, int(port))):
        assert programs.free_address(in_use) != in_use
    assert programs.free_address(in_use) == in_use
