"""The rules under scrape configs that keep more labels, beside queries by domain, with constant labels of the targets.

The unit tests are run again with other series, and must find the same alerts.
"""

import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.rule_files import EVERY_RULE, ROOT, RULES, UNIT_TESTS, load, run, with_less

ALERTING, RUNBOOKS = ((ROOT / "docs" / name).read_text() for name in ("alerting.md", "runbooks.md"))
STAYING = [path for path in UNIT_TESTS if not path.stem.startswith("moves")]
"""Those whose exporters stay where they are."""

KEPT = "node", "container", "pod", "controller_revision_hash"
"""Labels that tell where an exporter runs, and change when it moves."""
COUNTED = re.compile(r"directmail_(track|delivery)_(?!window)")
"""Metrics with the filter labels that the rules add up."""
VALUES = re.compile(r"(?P<first>_|stale|-?[\d.]+)(?P<step>[+-][\d.]+)?(?:x(?P<times>\d+))?")


def expanded(values: str) -> Iterator[str]:
    """Yield the samples that promtool's notation stands for; `_` is none."""
    for part in values.split():
        found = VALUES.fullmatch(part)
        assert found, part
        first, times = found["first"], int(found["times"] or 0)
        if first == "_":
            yield from ["_"] * max(times, 1)
        elif first == "stale":
            yield first
        else:
            step = float(found["step"] or 0)
            yield from (f"{float(first) + step * index:.10g}" for index in range(times + 1))


def labelled(series: str, **labels: str) -> str:
    added = ",".join(f'{name}="{value}"' for name, value in labels.items())
    return f"{series[:-1]},{added}}}"


def moved(series: str, values: str, part: float) -> Iterator[dict[str, str]]:
    """Yield a series as a scrape config that keeps more labels has it: another one from some sample on."""
    samples = list(expanded(values))
    at = round(len(samples) * part)
    yield {"series": labelled(series, **dict.fromkeys(KEPT, "a")), "values": " ".join([*samples[:at], "stale"])}
    yield {"series": labelled(series, **dict.fromkeys(KEPT, "b")), "values": " ".join([*["_"] * at, *samples[at:]])}


def by_domain(series: str, values: str) -> Iterator[dict[str, str]]:
    """Yield a series and, where it counts mail, what a query by domain shows beside it: other numbers."""
    yield {"series": series, "values": values}
    if COUNTED.match(series) and "domain=" not in series:
        other = (sample if sample in {"_", "stale"} else f"{float(sample) * 3 + 7:.10g}" for sample in expanded(values))
        name = re.sub(r'query="\w+"', 'query="by_domain"', series)
        yield {"series": labelled(name, domain="mail.example.com"), "values": " ".join(other)}


def rewritten(path: Path, change: Callable[[str, str], Iterator[dict[str, str]]], folder: Path) -> Path:
    """Write a file of unit tests with its series changed, into a folder."""
    case: dict[str, Any] = with_less(path, folder)
    for test in case["tests"]:
        test["input_series"] = [new for old in test["input_series"] for new in change(old["series"], old["values"])]
    written = folder / path.name
    written.write_text(yaml.safe_dump(case, sort_keys=False, width=10_000_000))
    return written


@pytest.mark.parametrize("path", STAYING, ids=lambda path: path.stem)
def test_an_exporter_that_moves_and_a_query_by_domain_change_no_alert(
    path: Path, tool: Callable[[str], Path], tmp_path: Path
) -> None:
    """Whatever labels of its place a scrape config keeps.

    Alerts on mail look back for days: it moves after what they look back at. Those on the exporter do not.
    """
    part = 0.3 if load(path)["evaluation_interval"] == "5m" else 0.7

    def changed(series: str, values: str) -> Iterator[dict[str, str]]:
        for each in by_domain(series, values):
            yield from moved(each["series"], each["values"], part)

    run(tool("promtool"), "test", "rules", rewritten(path, changed, tmp_path))


def test_what_is_aggregated_names_what_it_keeps() -> None:
    """But for the providers of recorded series, whose labels are known."""
    left_out = [
        (labels, of)
        for rule in EVERY_RULE
        for labels, of in re.findall(r"without \(([^)]*)\)\s*\(\s*(\w*)", rule["expr"])
    ]
    assert {labels for labels, _ in left_out} == {"esp"}
    assert {of for _, of in left_out} == {"stream_esp"}


def test_rules_by_provider_or_of_all_mail_leave_out_queries_by_domain() -> None:
    """In the rules and in the runbooks."""
    requested = [
        (name, selector)
        for text in (*(rule["expr"] for rule in EVERY_RULE), RUNBOOKS)
        for name, selector in re.findall(r"\b(directmail_\w+)\{([^}]*)\}", text)
        if re.search(r"\besp!?=", selector)
    ]
    assert len(requested) > 50
    assert [each for each in requested if 'domain=""' not in each[1]] == []


def test_the_line_that_is_documented_keeps_a_constant_label(tool: Callable[[str], Path], tmp_path: Path) -> None:
    """The label `team`, which the target has on its data and query series, arrives with its alerts."""
    (line,) = re.findall(r"^    (sed -i .*team.*)$", ALERTING, re.MULTILINE)
    shutil.copytree(RULES, tmp_path / "prometheus")
    command = shlex.split(line)
    assert command.pop() == "prometheus/*.rules.yml"
    run(*command, *sorted((tmp_path / "prometheus").glob("*.rules.yml")))

    def constant(series: str, values: str) -> Iterator[dict[str, str]]:
        ours = re.match(r"directmail_(track|delivery|query)_", series)
        yield {"series": labelled(series, team="growth") if ours else series, "values": values}

    path = rewritten(tmp_path / "prometheus" / "tests" / "tracking_test.yml", constant, tmp_path)
    case = load(path)
    for test in case["tests"]:
        test.pop("alert_rule_test", None)
        for check in test["promql_expr_test"]:
            check["expr"] = re.sub(r'(alertname="DirectMail(Tracking|Click)\w+")', r'\1,team="growth"', check["expr"])
    path.write_text(yaml.safe_dump(case, sort_keys=False, width=10_000_000))
    run(tool("promtool"), "test", "rules", path)
