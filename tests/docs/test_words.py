"""Old words do not come back: pages, manifests, `--help`, HELP texts, errors, log lines, comments, names."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.commands.main import SUBCOMMANDS
from tests.support.command_line import run
from tests.support.own_metrics import CATALOGUE

ROOT = Path(__file__).parents[2]
INSTEAD = {
    r"mend(?:s|ed|ing)?": "fix",
    r"told|tells of": "logged, reported, shows",
    r"(?<!connection )refuse[sd]?": "rejects, rejected",
    r"(?:is|are) taken": "is accepted",
    r"asks?|asked|asking|takes? (?:no|this) question": "requests",
    r"nobody knows": "unknown",
    r"(?:go(?:es)?|going|went) (?:on|by)": "continues, follows",
    r"stands?(?!-| for| in for| still)": "is set, is listed, both are set, is used",
    r"whoever": "the reader, or who it is",
    r"(?<!there )(?:is|are|was|were) no (?!longer)\w+": "is not a, is unknown",
    r"in the place of": "instead of",
    r"forgotten|forgets?": "discarded, discards",
    r"(?:is|are) looked at": "is read, are checked",
    r"held against": "compared with",
    r"takes? in|taken in|takes? up": "stores, adds",
    r"spoils?|spoilt": "corrupts, corrupted",
    r"holds? up": "delays, blocks",
}
"""Patterns of words, and what to write instead."""
NAMES = re.compile(
    r"(?i)(?:^|_)(?:mend(?:ed|s)?|told|tells?|asked|asks?|nobody|whoever|refus\w+|forg[eo]t\w*|spoilt|taken)(?:_|$)"
)
"""Words that do not come back in the names of code."""
PAGES = [
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "benchmarks/README.md", "config.example.yaml"),
    *("compose.yaml", "Dockerfile", "Makefile", "pyproject.toml", "grafana/.lint"),
    *(
        str(path.relative_to(ROOT))
        for folder, pattern in [
            ("docs", "**/*.md"),
            ("exporter", "**/*.html"),
            ("prometheus", "**/*.yml"),
            ("grafana/provisioning", "**/*.yml"),
            ("deploy/chart", "*.yaml"),
            ("deploy/chart", "values.schema.json"),
            ("deploy/chart/templates", "*"),
            ("deploy/kubernetes", "*.yaml"),
            ("deploy/kubernetes/openshift", "*.yaml"),
            ("deploy/systemd", "*"),
            ("tests/grafana/types", "*.ts"),
        ]
        for path in sorted((ROOT / folder).glob(pattern))
    ),
]
"""Pages, and files that users edit; what is generated from them is as they are."""
MODULES = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "exporter").rglob("*.py"))]
COMMENTED = [
    *MODULES,
    *(
        str(path.relative_to(ROOT))
        for folder, pattern in [
            ("tools", "**/*.py"),
            ("benchmarks", "*.py"),
            ("tests", "**/*.py"),
        ]
        for path in sorted((ROOT / folder).glob(pattern))
    ),
]
"""Modules whose comments and docstrings are read."""


def found(text: str) -> list[str]:
    """Return the old words of a text, each with its surroundings and what to write instead."""
    flat = re.sub(r"\s+(?:#+\s+)?", " ", text)
    return [
        f"{flat[max(0, match.start() - 40) : match.end() + 40]!r}: write {better}"
        for pattern, better in INSTEAD.items()
        for match in re.finditer(rf"\b(?:{pattern})(?!\w)", flat, re.IGNORECASE)
    ]


def names(source: str) -> set[str]:
    """Return what a module defines or uses, in lower case with underscores."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name))
            case ast.Name(id=name) | ast.arg(arg=name) | ast.Attribute(attr=name):
                found.add(name)
    return found


def literals(source: str) -> Iterator[str]:
    """Yield the texts of a module but its docstrings; a formatted one without its values."""
    tree = ast.parse(source)
    comments = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in comments:
            yield node.value


def comments(source: str) -> Iterator[str]:
    """Yield the docstrings of a module, and its comments; those of lines that follow each other are one."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield text
    lines: list[str] = []
    last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            if token.start[0] > last + 1:
                yield " ".join(lines)
                lines = []
            lines.append(token.string.lstrip("# "))
            last = token.start[0]
    yield " ".join(lines)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_the_fields_words(name: str) -> None:
    assert found((ROOT / name).read_text()) == []


@pytest.mark.parametrize("name", MODULES)
def test_errors_and_log_lines_have_the_fields_words(name: str) -> None:
    texts = [text for text in literals((ROOT / name).read_text()) if " " in text.strip()]
    assert [each for text in texts for each in found(text)] == []


@pytest.mark.parametrize("name", COMMENTED)
def test_comments_and_docstrings_have_the_fields_words(name: str) -> None:
    assert [each for text in comments((ROOT / name).read_text()) for each in found(text)] == []


@pytest.mark.parametrize("folder", ["exporter", "tools", "tests", "benchmarks"])
def test_names_in_the_code_have_the_fields_words(folder: str) -> None:
    paths = sorted((ROOT / folder).rglob("*.py"))
    found = {str(path.relative_to(ROOT)): sorted(filter(NAMES.search, names(path.read_text()))) for path in paths}
    assert {path: old for path, old in found.items() if old} == {}


def test_thresholds_and_labels_of_the_rules_have_the_fields_words() -> None:
    used = {
        str(path.relative_to(ROOT)): {name for name in re.findall(r"\w*_\w+", path.read_text()) if NAMES.search(name)}
        for path in sorted((ROOT / "prometheus").rglob("*.yml"))
    }
    assert {path: old for path, old in used.items() if old} == {}


@pytest.mark.parametrize("command", ["", *SUBCOMMANDS])
def test_help_has_the_fields_words(command: str) -> None:
    assert found(run(*command.split(), "--help").output) == []


def test_help_texts_of_metrics_have_the_fields_words() -> None:
    assert {name: words for name, each in CATALOGUE.items() if (words := found(each["help"]))} == {}


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        pytest.param("A `problem` has to be mended.", "mend", id="mend"),
        pytest.param("the key\nis taken from a file", "is taken", id="over-two-lines"),
        pytest.param("# a config\n  # is taken from there", "is taken", id="over-two-comments"),
        pytest.param("'x' is no incident", "is no", id="no-article"),
        pytest.param("The API refuses it.", "refuses", id="refuse"),
    ],
)
def test_an_old_word_is_found(text: str, pattern: str) -> None:
    (only,) = found(text)
    assert pattern in only


def test_comments_of_lines_that_follow_each_other_are_read_as_one() -> None:
    source = '"""A module."""\n\n# The key is\n# taken from a file.\n\nx = 1  # one\n'
    assert [each for each in comments(source) if each] == ["A module.", "The key is taken from a file.", "one"]


@pytest.mark.parametrize("text", ["connection refused", "there is no data", "it is no longer there", "amend", "tasks"])
def test_a_right_word_is_left_alone(text: str) -> None:
    assert found(text) == []
