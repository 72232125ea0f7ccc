"""The config lines that the doctor prints: what fits what it saw, ready to be written into the target."""

import pytest
import yaml

from exporter.config import loader
from exporter.directmail.model import Filters
from exporter.doctor.checks.settings import lines
from exporter.doctor.findings import NOTE, OK
from exporter.simulator.faults import Fault
from tests.doctor.test_checks import NOW, account, evidence, response, row, week
from tests.support.clock import ScriptedClock
from tests.support.doctor import Visit, assert_readable, config_text, simulator, visit


def printed(seen: Visit) -> list[str]:
    """Return the lines that are printed, without the sentence before them."""
    return seen.one("settings").fix.splitlines()[1:]


async def test_a_config_that_fits_is_printed_as_it_is() -> None:
    seen = await visit(simulator(rows="hour"))
    assert seen.one("settings").level == OK
    assert printed(seen) == ["timezone: Asia/Shanghai", "page_size: 100", "# esp: works in by_esp"]


@pytest.mark.parametrize(
    ("zone", "behaviour", "line"),
    [
        pytest.param("Asia/Shanghai", {}, "timezone: Asia/Shanghai  # fits; so do others", id="fits-as-others-do"),
        pytest.param("Asia/Tokyo", {"rows": "hour"}, "timezone: Asia/Shanghai  # Asia/Tokyo does not fit", id="zone"),
        pytest.param("UTC", {}, "timezone: Asia/Shanghai  # UTC does not fit", id="too-far-west"),
        pytest.param(
            "Asia/Shanghai",
            {"largest_page": 20},
            "page_size: 20  # the maximum of the API, which ignores 100",
            id="page-size",
        ),
        pytest.param(
            "Asia/Shanghai", {"no_dedicated_ips": "error"}, "# esp: rejected: remove it from by_esp", id="esp-rejected"
        ),
        pytest.param(
            "Asia/Shanghai",
            {"no_dedicated_ips": "empty"},
            "# esp: returns nothing: remove it from by_esp",
            id="esp-empty",
        ),
        pytest.param(
            "Asia/Shanghai",
            {"no_dedicated_ips": "whole"},
            "# esp: is ignored: remove it from by_esp",
            id="esp-ignored",
        ),
    ],
)
async def test_what_does_not_fit_is_printed_as_it_should_be(zone: str, behaviour: dict[str, object], line: str) -> None:
    seen = await visit(simulator(**behaviour), zone=zone)
    assert line in printed(seen)
    assert seen.one("settings").level == (OK if "fits" in line else NOTE)
    assert_readable(seen.report)


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "UTC"])
async def test_the_lines_are_a_part_of_a_config_that_loads(zone: str) -> None:
    seen = await visit(simulator(largest_page=20, no_dedicated_ips="error"), zone=zone)
    written = yaml.safe_load("\n".join(printed(seen)))
    assert written == {"timezone": "Asia/Shanghai", "page_size": 20}
    settings = f"page_size: {written['page_size']}"
    text = config_text("https://dm.example.com", zone=written["timezone"], settings=settings)
    assert loader.parse(text)[1] == ()


async def test_tomorrows_mail_means_a_zone_further_east() -> None:
    clock = ScriptedClock("2026-04-22T18:30:00+00:00", skip_sleeps=True)
    seen = await visit(simulator(clock=clock), zone="UTC")
    assert printed(seen)[0].startswith("timezone: Asia/Shanghai  # the API's days start earlier than in UTC")


async def test_without_the_zone_of_create_time_the_timezone_is_unknown() -> None:
    seen = await visit(simulator(Fault("forbidden", action="QueryDomainByParam")))
    assert printed(seen)[0] == "timezone: Asia/Shanghai  # unknown; compare a day with the console"


async def test_a_visit_that_ended_early_prints_no_lines() -> None:
    assert (await visit(simulator(Fault("forbidden")))).of("settings") == []


def test_an_unknown_setting_is_printed_as_configured_with_a_note() -> None:
    found = lines([evidence(response(row(), size=None), account=account())])
    assert found.level == OK
    assert "page_size: 100  # unknown" in found.fix


def test_a_filter_beside_too_little_mail_is_left_out() -> None:
    parts = {Filters(): week(row(counts=(99, 0, 0, 0, 0))), Filters(dedicated_ip="192.0.2.1"): week()}
    assert "dedicated_ip" not in lines([evidence(response(row()), parts=parts)]).fix


def test_a_zone_that_fits_nothing_known_is_left_as_it_is() -> None:
    hours = [row("2026-04-21T12:00Z"), row("2026-04-22T11:00Z")]
    known = evidence(response(*hours), zone="UTC", account=account(0), began_at=NOW + 86_400)
    assert "timezone: UTC  # does not fit; compare a day with the console" in lines([known]).fix
