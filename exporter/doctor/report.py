"""Findings for people and for tickets, as far as the stream can carry them.

Texts of the API or the config may have control characters, or characters that the encoding lacks: they are escaped.
"""

import json
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from exporter.doctor.findings import LEVELS, NOTE, PROBLEM, Finding

FORMATS = ("text", "json")
_WIDTH = 110


class Report(NamedTuple):
    """What was found at one target."""

    target: str
    endpoint: str
    requests: int
    findings: tuple[Finding, ...]


def is_well(reports: Sequence[Report]) -> bool:
    """Return whether there are no problems."""
    return not any(finding.level == PROBLEM for report in reports for finding in report.findings)


def as_json(reports: Sequence[Report], encoding: str = "utf-8") -> str:
    """Return a list of objects with the keys target, check, level, text, fix and request_id."""
    found = [{"target": report.target, **each._asdict()} for report in reports for each in report.findings]
    text = json.dumps(found, indent=2, ensure_ascii=False)
    if not _is_encodable(text, encoding):
        return json.dumps(found, indent=2)
    return "".join(each if _is_harmless(each) else json.dumps(each)[1:-1] for each in text)


def as_text(reports: Sequence[Report], encoding: str = "utf-8") -> str:
    """Return the findings to read, each with its fix below."""
    lines: list[str] = []
    for report in reports:
        calls = f"{report.requests} call{'s' * (report.requests != 1)}"
        lines += [f"target {report.target}: {report.endpoint}, {calls}", ""]
        width = max(len(each.check) for each in report.findings)
        for each in report.findings:
            lines += _finding(each, width)
        lines.append("")
    levels = [each.level for report in reports for each in report.findings]
    counts = {level: levels.count(level) for level in (PROBLEM, NOTE)}
    counted = ", ".join(f"{count} {level}{'s' * (count != 1)}" for level, count in counts.items() if count)
    verdict = "No problems found" if is_well(reports) else "Problems found"
    lines.append(f"{verdict}{': ' if counted else ''}{counted}.")
    text = "".join(each if _is_harmless(each) else each.encode("unicode_escape").decode() for each in "\n".join(lines))
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _is_harmless(character: str) -> bool:
    return character.isprintable() or character == "\n"


def _is_encodable(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _finding(finding: Finding, width: int) -> list[str]:
    head = f"  {finding.level:<{max(map(len, LEVELS))}}  {finding.check:<{width}}  "
    indent = " " * len(head)
    lines = textwrap.wrap(finding.text, _WIDTH, initial_indent=head, subsequent_indent=indent)
    fix, *block = finding.fix.split("\n")
    if fix:
        lines += textwrap.wrap(fix, _WIDTH, initial_indent=f"{indent}-> ", subsequent_indent=f"{indent}   ")
    lines += [f"{indent}   {line}" for line in block]
    if finding.request_id and (finding.level == PROBLEM or "RequestId" in finding.fix):
        lines.append(f"{indent}   RequestId {finding.request_id}")
    return lines
