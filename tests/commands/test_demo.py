"""The demo: everything is shown within seconds, at whatever hour it is started."""

from datetime import datetime, timedelta
from pathlib import Path

import click
import pytest

from exporter.commands import demo
from tests.support.processes import program, until

MIDNIGHT = datetime.fromisoformat("2028-02-28T23:30:00+00:00")
"""Half an hour before a leap day."""


@pytest.mark.parametrize("hours", range(48))
def test_it_is_morning_where_the_demos_account_lives_whatever_the_hour_here(hours: int) -> None:
    now = (MIDNIGHT + timedelta(hours=hours)).timestamp()
    zone = demo.morning_zone(now)
    there = datetime.fromtimestamp(now, zone)
    assert (there.hour, there.minute) == (10, 30)
    made = demo.settings("http://127.0.0.1:1", zone=zone)
    assert made.targets[0].timezone == zone, "both sides know the zone"


async def test_the_demo_shows_every_window_of_every_kind_of_breakdown_without_an_account() -> None:
    async with program("demo", "--listen", "127.0.0.1:0") as running:
        address = await running.address()
        assert "It is 10:" in await running.line_with("where the account's day begins (Etc/GMT")
        text = await until(
            f"http://{address}/metrics", 'esp="others",query="by_esp",tag_name="",target="demo",window="30d"'
        )
        assert await running.end() == 0
    for window in ("today", "yesterday", "7d", "30d"):
        assert f'window="{window}"' in text
    for query in ("account", "by_sender", "by_esp", "by_tag", "by_dedicated_ip", "by_config_set_id"):
        assert f'query="{query}"' in text
    assert "directmail_track_reported_unique_open_rate{" in text
    assert 'directmail_up{target="demo"} 1.0' in text


@pytest.mark.parametrize("speed", ["1", "61", "600", "1000"])
def test_the_demo_can_go_as_fast_as_it_says(speed: str) -> None:
    given = demo.command.make_context("demo", ["--speed", speed]).params["speed"]
    assert demo.settings("http://127.0.0.1:1", given).targets


def test_the_demo_refuses_a_speed_that_its_budget_has_no_calls_for() -> None:
    with pytest.raises(click.BadParameter, match="1<=x<=1000"):
        demo.command.make_context("demo", ["--speed", "1001"])


async def test_an_incident_in_the_demo_shows_in_its_numbers() -> None:
    opens = 'directmail_track_unique_open_ratio{account_name="news@mail.example.com",config_set_id="",dedicated_ip="",'
    flags = ("--incident", "bad_subject:start=-20d,for=20d,factor=0.01", "--timezone", "Asia/Tokyo")
    async with program("demo", "--listen", "127.0.0.1:0", *flags) as running:
        address = await running.address()
        text = await until(
            f"http://{address}/metrics",
            f'{opens}dedicated_ip_pool_id="",domain="",esp="",query="by_sender",tag_name="",target="demo",window="7d"',
        )
        await running.line_with("where the account's day begins (Asia/Tokyo)")
        await running.end()
    line = next(
        line for line in text.splitlines() if line.startswith(opens) and 'esp=""' in line and 'window="7d"' in line
    )
    assert float(line.rsplit(" ", 1)[1]) < 0.2


async def test_the_demo_can_write_the_past_first_and_tells_how_to_load_it(tmp_path: Path) -> None:
    history = tmp_path / "history.om"
    async with program("demo", "--listen", "127.0.0.1:0", "--history", str(history)) as running:
        await running.line_with(f"promtool tsdb create-blocks-from openmetrics {history} {tmp_path / 'history'}")
        assert await running.end() == 0
    text = history.read_text()
    assert text.count('directmail_track_emails{query="account",target="demo",window="yesterday"') == 30
    assert text.endswith("# EOF\n")
