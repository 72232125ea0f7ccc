"""The text that promtool imports, and a replayed past of the demo's exporter."""

import os
import stat
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from exporter.commands import demo
from exporter.commands.demo_replay import moments, replay
from exporter.config.model import Refresh
from exporter.metrics.history import History, whole_file
from exporter.metrics.text_format import Family
from exporter.plan.combinations import Combination
from exporter.simulator.incidents import Incident
from exporter.simulator.traffic import Traffic

HOUR, DAY = 3600, 86_400
START = 1_776_700_800.0  # 2026-04-21, midnight in Shanghai
NOTIFY = "no-reply@notify.example.com"
SCRAPED = {"job": "directmail", "instance": "127.0.0.1:10058"}
SETTINGS = replace(demo.settings("http://127.0.0.1:1", 60), windows=("today", "yesterday"), refresh=Refresh(HOUR, DAY))

Samples = dict[tuple[str, str, str], dict[float, float]]


def samples(history: History) -> Samples:
    """Return value by time for each (name, query, window), as a strict parser reads them."""
    found: Samples = {}
    for family in text_string_to_metric_families("".join(history.lines())):
        for sample in family.samples:
            key = (sample.name, sample.labels.get("query", ""), sample.labels.get("window", ""))
            found.setdefault(key, {})[float(sample.timestamp)] = sample.value
    return found


def of_notify(combination: Combination) -> bool:
    return (combination.query, combination.filters.account_name) == ("by_sender", NOTIFY)


def played(traffic: Traffic, hours: int, chosen: Callable[[Combination], bool] = of_notify) -> Samples:
    times = moments(START, START + hours * HOUR, HOUR)
    return samples(replay(SETTINGS, {"demo": traffic}, times, labels=SCRAPED, chosen=chosen))


@pytest.fixture(scope="module")
def two_days() -> tuple[Traffic, Samples]:
    traffic = Traffic()
    return traffic, played(traffic, 48)


def test_a_pipe_or_device_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as reader:
        read = reader.submit(pipe.read_text)
        with whole_file(pipe) as file:
            file.write("# EOF\n")
    assert read.result() == "# EOF\n"
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_link_is_followed_and_not_replaced(tmp_path: Path) -> None:
    link, aim = tmp_path / "link", tmp_path / "aim"
    link.symlink_to(aim)
    with whole_file(link) as file:
        file.write("# EOF\n")
    assert link.is_symlink()
    assert aim.read_text() == "# EOF\n"


def test_a_family_without_samples_is_left_out() -> None:
    history = History([Family("a_total", "A.", "counter"), Family("b", "B.", "gauge")])
    history.series("b", {"x": "2"}).add(10.0, 1.5)
    history.series("a_total", {"x": "1"})
    assert "".join(history.lines()) == '# HELP b B.\n# TYPE b gauge\nb{x="2"} 1.5 10\n# EOF\n'
    assert len(history) == 1


def test_moments_are_round() -> None:
    assert list(moments(100, 1900, 900)) == [900, 1800]


def test_today_is_what_the_api_counts_at_each_moment(two_days: tuple[Traffic, Samples]) -> None:
    traffic, found = two_days
    shown = found["directmail_track_unique_opens", "by_sender", "today"]
    assert list(shown) == list(moments(START, START + 2 * DAY, HOUR))
    assert all(
        value == traffic.counts(traffic.today(at), at, sender=NOTIFY).unique_opens for at, value in shown.items()
    )


def test_yesterday_changes_at_midnight_and_grows_with_late_opens(two_days: tuple[Traffic, Samples]) -> None:
    _, found = two_days
    shown = found["directmail_track_unique_opens", "by_sender", "yesterday"]
    first, second = ([shown[START + day * DAY + hour * HOUR] for hour in range(24)] for day in range(2))
    for of_day in (first, second):
        assert of_day == sorted(of_day)
        assert of_day[-1] > of_day[0]
    assert second[0] > 1.5 * found["directmail_track_unique_opens", "by_sender", "today"][START + 12 * HOUR]


def test_the_counters_count_growth_since_the_first_poll(two_days: tuple[Traffic, Samples]) -> None:
    traffic, found = two_days
    counted = found["directmail_track_observed_emails_total", "by_sender", ""]
    assert counted[START] == 0
    last = START + 47 * HOUR
    both_days = sum(traffic.counts(traffic.today(at), last, sender=NOTIFY).emails for at in (START, last))
    assert counted[last] == both_days


def test_the_exporters_own_metrics_that_the_rules_need_are_there(two_days: tuple[Traffic, Samples]) -> None:
    _, found = two_days
    own = {name: list(values.values())[-1] for (name, *_), values in found.items()}
    assert own["up"] == own["directmail_up"] == own["directmail_query_success"] == 1
    assert own["directmail_query_last_success_timestamp_seconds"] == START + 47 * HOUR
    assert own["directmail_exporter_poll_interval_seconds"] == 300
    assert own["directmail_exporter_api_requests_total"] > 48
    assert own["directmail_exporter_api_request_errors_total"] == 0


def test_an_incident_of_the_traffic_is_in_the_past_too() -> None:
    stopped = Incident("sender_stopped", START + 6 * HOUR, START + 12 * HOUR, NOTIFY, factor=0.0)
    counted = played(Traffic(incidents=[stopped]), 16)["directmail_track_observed_emails_total", "by_sender", ""]
    assert counted[START + 6 * HOUR] == counted[START + 12 * HOUR] > 0
    assert counted[START + 15 * HOUR] > counted[START + 12 * HOUR]


def test_the_account_is_in_the_past_too_with_its_incidents() -> None:
    lost = Incident("cname_lost", START + 6 * HOUR, START + 12 * HOUR, domain="mail.example.com")
    traffic = Traffic(incidents=[lost])
    history = replay(
        replace(SETTINGS, account_interval=HOUR),
        {"demo": traffic},
        moments(START, START + 24 * HOUR, HOUR),
        labels=SCRAPED,
        chosen=of_notify,
    )
    cname = 'directmail_domain_verified{check="cname",domain="mail.example.com",'
    mails = f'directmail_sender_emails{{account_name="{NOTIFY}",'
    lines = [line for line in "".join(history.lines()).splitlines() if line.startswith((cname, mails))]
    shown = {
        name: [float(line.split()[-2]) for line in lines if line.startswith(name) and 'window="month"' not in line]
        for name in (cname, mails)
    }
    assert shown[cname] == [1.0] * 6 + [0.0] * 6 + [1.0] * 12
    day = traffic.today(START)
    requested = [traffic.delivery(day, START + hour * HOUR, sender=NOTIFY).requested for hour in range(24)]
    assert shown[mails] == requested


def test_only_what_is_wanted_is_written() -> None:
    times = moments(START, START + 2 * HOUR, HOUR)
    history = replay(
        SETTINGS,
        {"demo": Traffic()},
        times,
        labels=SCRAPED,
        chosen=of_notify,
        wanted=lambda name, labels: name == "directmail_track_observed_emails_total",
    )
    assert {name for name, *_ in samples(history)} == {"directmail_track_observed_emails_total"}


def test_promtool_makes_blocks_of_it(tool: Callable[[str], Path], tmp_path: Path) -> None:
    text = tmp_path / "history.om"
    times = moments(START, START + 6 * HOUR, HOUR)
    history = replay(SETTINGS, {"demo": Traffic()}, times, labels=SCRAPED, chosen=of_notify)
    history.write(text)
    command = [tool("promtool"), "tsdb", "create-blocks-from", "openmetrics", text, tmp_path / "data"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    written = sum(int(line.split()[4]) for line in made.stdout.splitlines()[1:])
    assert written == len(history)
