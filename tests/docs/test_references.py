"""The references in docs/ against what they describe: config, metrics, reasons, changelog, the map of the code."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from exporter import __version__
from exporter.config import loader
from exporter.config.checking import Schema
from exporter.directmail.classification import failure
from exporter.directmail.errors import REASONS
from exporter.reload import checked
from tests.support.own_metrics import CATALOGUE
from tools import references
from tools.rooms import modules

ROOT = Path(__file__).parents[2]
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text()
TROUBLESHOOTING = (ROOT / "docs" / "troubleshooting.md").read_text()
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
CHILDREN = {"Top": {"targets"}, "Target": {"credentials", "queries"}}
"""Keys whose blocks have models, and tables, of their own."""
LEAST: dict[str, Any] = {"name": "a", "region": "us-east-1", "discover": True}
"""What the models need beside the key that is checked."""


def schemas(parent: type[Schema] = Schema) -> Iterator[type[Schema]]:
    """Yield every model of the config, whatever module it is in."""
    for model in parent.__subclasses__():
        name = model.__module__
        if name.startswith("exporter.") and not name.startswith("exporter.web"):  # that is Prometheus' own format
            yield model
            yield from schemas(model)


def tables() -> list[dict[str, dict[str, str]]]:
    """Return the page's tables of keys: key -> column -> text."""
    found = []
    for block in re.findall(r"^\| key \|.*\n\|[ -|]+\n(?:\|.*\n)+", CONFIGURATION, re.MULTILINE):
        head, _, *rows = [[cell.strip() for cell in line.strip("|\n").split(" | ")] for line in block.splitlines()]
        found.append({row[0].strip("`"): dict(zip(head, row, strict=True)) for row in rows})
    return found


def table_of(model: type[Schema]) -> dict[str, dict[str, str]]:
    """Return the table that speaks most of the model's keys and least of others."""
    keys = model.model_fields.keys()
    return max(tables(), key=lambda table: len(table.keys() & keys) - len(table.keys() - keys))


def value_of(model: type[Schema], key: str, text: str) -> object:
    """Return what the model makes of a key that is written like this."""
    given = {name: value for name, value in LEAST.items() if name in model.model_fields}
    if key == "endpoint":
        del given["region"]
    if key == "exclude" and "account_name" in model.model_fields:
        given |= {"account_name": "a@example.com", "tag_name": ["test", "weekly"]}
    return getattr(model.model_validate({**given, key: yaml.safe_load(text)}), key)


@pytest.mark.parametrize("model", list(schemas()), ids=lambda model: model.__name__)
def test_every_key_of_the_config_is_in_the_reference_and_no_other(model: type[Schema]) -> None:
    keys = {field.alias or name for name, field in model.model_fields.items()}
    assert set(table_of(model)) == keys | CHILDREN.get(model.__name__, set())


@pytest.mark.parametrize("model", list(schemas()), ids=lambda model: model.__name__)
def test_defaults_of_the_reference_are_what_they_say(model: type[Schema]) -> None:
    for key, row in table_of(model).items():
        if key not in model.model_fields:
            continue
        field = model.model_fields[key]
        written = row.get("default", "none")
        assert (written == "required") == field.is_required(), key
        if written.startswith("`"):
            default = field.get_default(call_default_factory=True)
            assert value_of(model, key, written.strip("`")) == default, key


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", CONFIGURATION, re.DOTALL))
def test_the_references_configs_work(block: str) -> None:
    sound, problems = loader.parse(block)
    assert checked("docs/configuration.md", sound, problems)


@pytest.mark.parametrize("model", list(schemas()), ids=lambda model: model.__name__)
def test_the_example_shows_every_key_with_a_value_that_is_accepted(model: type[Schema]) -> None:
    """In lines that are comments too. A block is shown by its keys."""
    example = (ROOT / "config.example.yaml").read_text()
    for key in model.model_fields:
        shown = re.findall(rf"^[\s#-]*{key}:(?: (.+?))??(?:\s+#.*)?$", example, re.MULTILINE)
        assert shown, key
        assert "" in shown or any(is_accepted(model, key, text) for text in shown), key


def is_accepted(model: type[Schema], key: str, text: str) -> bool:
    try:
        value_of(model, key, text)
    except (ValidationError, yaml.YAMLError):
        return False
    return True


def test_the_reference_of_metrics_matches_the_code() -> None:
    assert (ROOT / "docs" / "metrics.md").read_text() == references.text(), "run make docs"


def test_the_reference_names_the_fields_of_each_metric() -> None:
    reported = dict(re.findall(r"^\| `(directmail_track_\w+)`.*? \| (.*?) \|", references.text(), re.MULTILINE))
    assert reported["directmail_track_emails"] == "`TotalNumber`"
    assert reported["directmail_track_unique_open_ratio"] == "`RcptUniqueOpenCount` / `TotalNumber`"
    assert reported["directmail_track_click_to_open_ratio"] == "`RcptUniqueClickCount` / `RcptUniqueOpenCount`"
    assert reported["directmail_track_reported_click_rate"] == "`RcptClickRate`, weighted by `TotalNumber`"


def test_the_reference_says_what_many_metrics_share_once() -> None:
    """The HELP texts have it each."""
    page = references.text()
    shared = ("Polled from the API", "growth observed", "Computed from", "1 or 0", "Unix seconds")
    for words in shared:
        assert sum(words in each["help"] for each in CATALOGUE.values()) > 3, words
        assert page.count(words) <= 1, words


def test_the_ends_of_names_say_the_types_as_the_reference_has_it() -> None:
    for name, each in CATALOGUE.items():
        kind = "counter" if name.endswith("_total") else "histogram" if name.endswith("_duration_seconds") else "gauge"
        assert each["type"] == kind, name


def reasons() -> dict[str, str]:
    """Return the sections of the troubleshooting page that are about a reason."""
    parts = re.split(r"^## (.+)\n", TROUBLESHOOTING, flags=re.MULTILINE)[1:]
    return {title: text for title, text in zip(parts[::2], parts[1::2], strict=True) if "- **Codes:**" in text}


def test_every_reason_has_its_section_and_no_other() -> None:
    assert tuple(reasons()) == REASONS


@pytest.mark.parametrize("reason", REASONS)
def test_a_reason_says_what_to_check_and_how_to_fix_it(reason: str) -> None:
    section = reasons()[reason]
    assert [line.split(":**")[0] for line in section.splitlines() if line.startswith("- **")] == [
        "- **Codes",
        "- **Check",
        "- **Fix",
    ]


@pytest.mark.parametrize("reason", REASONS)
def test_the_codes_of_a_reason_are_classified_so(reason: str) -> None:
    (line,) = re.findall(r"- \*\*Codes:\*\* (.*?)\n-", reasons()[reason], re.DOTALL)
    codes = re.findall(r"`([\w.]+)`", line)
    assert bool(codes) == (not line.startswith("none"))
    assert {failure("GetTrackList", 400, {"Code": code}, {}, 0.0).reason for code in codes} <= {reason}


@pytest.mark.parametrize(
    "message",
    [
        "config reloaded; no change",
        "certificate not trusted",
        "is not a listening socket",
        "the client certificate has no allowed name",
        "too many password checks in progress",
        "connection limit reached; closing idle connections",
    ],
)
def test_a_message_that_the_page_explains_is_one_of_the_program(message: str) -> None:
    sources = "".join(path.read_text() for path in (ROOT / "exporter").rglob("*.py"))
    assert message in TROUBLESHOOTING
    assert message in sources


def test_every_code_that_the_client_classifies_is_explained() -> None:
    source = (ROOT / "exporter" / "directmail" / "classification.py").read_text()
    families = re.findall(r'^    "(\w+)": \w+,$', source, re.MULTILINE)
    assert len(families) > 10
    assert [family for family in families if f"`{family}`" not in TROUBLESHOOTING] == []


def test_the_changelog_keeps_its_form() -> None:
    """That of keepachangelog.com."""
    assert CHANGELOG.startswith("# Changelog\n")
    versions = re.findall(r"^## (.+)$", CHANGELOG, re.MULTILINE)
    assert versions[0] in ("Unreleased", "[Unreleased]")
    assert all(re.fullmatch(r"\[?\d+\.\d+\.\d+\]? - \d{4}-\d\d-\d\d", version) for version in versions[1:])
    numbers = [tuple(map(int, re.findall(r"\d+", version)[:3])) for version in versions[1:]]
    assert numbers == sorted(numbers, reverse=True)
    kinds = set(re.findall(r"^### (.+)$", CHANGELOG, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    for line in CHANGELOG.partition("\n## ")[2].splitlines()[1:]:
        assert line == "" or line.startswith(("## ", "### ", "- ", "  ")), line


def test_the_version_is_one_of_the_changelog_or_still_unreleased() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)
    released = re.findall(r"^## \[?(\d+\.\d+\.\d+)\]?", CHANGELOG, re.MULTILINE)
    assert not released or released[0] == __version__


def test_the_version_is_written_in_one_place() -> None:
    places = [ROOT / "pyproject.toml", ROOT / "Dockerfile", ROOT / "Makefile", *(ROOT / "exporter").rglob("*.py")]
    assert [path.name for path in places if f'"{__version__}"' in path.read_text()] == ["__init__.py"]


def test_the_walk_and_the_map_name_every_room() -> None:
    walk = (ROOT / "CONTRIBUTING.md").read_text()
    the_map = (ROOT / "exporter" / "__init__.py").read_text()
    named = set(re.findall(r"`(\w+)(?:\.py|/)?`", walk)) | set(re.findall(r"`(\w+)/", walk))
    rooms = {name.partition(".")[0] for name in modules() if name} - {"__main__"}
    assert {name for name in rooms if not re.search(rf"\b{name}\b", the_map)} == set(), "the map does not name them"
    floor = {"clock", "logs", "watch"}
    assert rooms - floor - named == set(), "the walk does not name them"
