"""Every page of the documentation: links lead somewhere, commands, flags, configs and queries are real."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import promql_parser
import pytest
import yaml

from exporter.commands.main import SUBCOMMANDS, cli
from exporter.config import loader
from exporter.reload import checked
from tests.support.command_line import subcommand
from tests.support.own_metrics import all_metrics

ROOT = Path(__file__).parents[2]
PREFIXES = {"directmail_track", "directmail_query", "directmail_exporter"}
NOT_PAGES = {"build", "dist", "node_modules", "venv"}
LONGEST_LINE = 200


def _pages() -> Iterator[Path]:
    yield from sorted(ROOT.glob("*.md"))
    for folder in sorted(ROOT.iterdir()):
        if folder.is_dir() and not folder.name.startswith(".") and folder.name not in NOT_PAGES:
            yield from sorted(folder.rglob("*.md"))


PAGES = {str(path.relative_to(ROOT)): path.read_text() for path in _pages()}
every_page = pytest.mark.parametrize("name", PAGES)


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def commands(text: str) -> Iterator[list[str]]:
    """Yield the arguments of every directmail-exporter that a page runs, in blocks and in lines of code."""
    fenced = re.findall(r"^```(?:sh|bash|console)?\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    indented = re.findall(r"(?:^    \S.*\n?)+", text, re.MULTILINE)
    inline = [code for code in re.findall(r"`([^`\n]+)`", text) if code.startswith("directmail-exporter ")]
    for block in (*fenced, *indented, *inline):
        for line in block.replace("\\\n", " ").splitlines():
            if not re.search(r"(?:^|\s)directmail-exporter(?:\s|$)", line):
                continue
            words = shlex.split(re.split(r"\s{2,}#|\s#\s|[|;>&]", line)[0].replace("'", '"'), posix=False)
            if "directmail-exporter" in words and not {"build", "install"} & set(words):
                yield words[words.index("directmail-exporter") + 1 :]


def prose(text: str) -> Iterator[str]:
    """Yield the lines of a page that are neither code nor a row of a table."""
    for line in re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE).splitlines():
        if not line.startswith(("|", "    ")):
            yield line


def known_metrics() -> set[str]:
    names = all_metrics()
    return names | {f"{name}_{suffix}" for name in names for suffix in ("bucket", "sum", "count")}


@every_page
def test_no_line_of_prose_is_too_long_to_review(name: str) -> None:
    long = [line for line in prose(PAGES[name]) if len(line) > LONGEST_LINE]
    assert long == []


@every_page
def test_every_link_leads_to_a_file_and_a_heading(name: str) -> None:
    lost = []
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGES[name]):
        if re.match(r"[a-z]+:", target):
            continue
        link, _, anchor = target.partition("#")
        path = (ROOT / name).parent / link if link else ROOT / name
        page = str(path.resolve().relative_to(ROOT.resolve()))
        if not path.exists() or (anchor and anchor not in anchors(PAGES[page])):
            lost.append(target)
    assert lost == []


@every_page
def test_every_command_and_its_flags_exist(name: str) -> None:
    for words in commands(PAGES[name]):
        command: click.Command = cli
        if words and words[0] in SUBCOMMANDS:
            command = subcommand(words.pop(0))
        known = {option for parameter in command.params for option in parameter.opts} | {"--help", "-h", "--version"}
        flags = {word.split("=")[0] for word in words if word.startswith("-")}
        assert flags <= known, " ".join(words)


@pytest.mark.parametrize("name", ["README.md", *(name for name in PAGES if name.startswith("docs/"))])
def test_every_flag_in_the_text_exists(name: str) -> None:
    every = [cli, *map(subcommand, SUBCOMMANDS)]
    known = {option for command in every for parameter in command.params for option in parameter.opts}
    named = {flag.split("=")[0] for flag in re.findall(r"`(--[\w.-]+(?:=\S+?)?)`", PAGES[name])}
    assert {flag for flag in named if flag.startswith(("--config", "--web", "--log", "--shard"))} <= known


@every_page
def test_every_make_target_exists(name: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^    )make ([a-z-]+)", PAGES[name], re.MULTILINE)) <= targets


@every_page
def test_every_metric_that_is_named_exists(name: str) -> None:
    """Names that end with _ or * stand for several."""
    named = re.findall(r"\b(directmail_(?:track|query|exporter|up)\w*)\b(?!\*)", PAGES[name])
    assert {each for each in named if not each.endswith("_")} - PREFIXES <= known_metrics()


@every_page
def test_every_config_works(name: str) -> None:
    for block in blocks(PAGES[name], "yaml"):
        document = yaml.safe_load(block)
        if isinstance(document, dict) and "targets" in document:
            sound, problems = loader.parse(block)
            files = [problem for problem in problems if "cannot be read" in problem.text]
            assert checked(name, sound, tuple(set(problems) - set(files)))


@every_page
def test_every_query_parses(name: str) -> None:
    """A block has one query, or several that begin at the margin."""
    for block in blocks(PAGES[name], "promql"):
        queries = block.splitlines() if re.search(r"\n(?=\w)", block) else [block]
        for query in queries:
            promql_parser.parse(re.sub(r"\$__\w+", "5m", query))


@every_page
def test_no_command_mounts_a_single_file(name: str) -> None:
    """An editor writes another file in its place, and the container keeps the old one."""
    mounted = re.findall(r"(?:-v|--volume)[ =](\S+?):", PAGES[name])
    assert not [source for source in mounted if Path(source).suffix]


def test_the_index_names_every_page() -> None:
    written = {page.removeprefix("docs/") for page in PAGES if page.startswith("docs/")} - {"README.md"}
    assert written <= set(re.findall(r"\]\((\S+?\.md)\)", PAGES["docs/README.md"]))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("    directmail-exporter --config.fil x\n", ["--config.fil", "x"], id="indented"),
        pytest.param("```sh\ndirectmail-exporter doctor \\\n  --x\n```\n", ["doctor", "--x"], id="over-two-lines"),
        pytest.param("Run `directmail-exporter demo --y=3`.\n", ["demo", "--y=3"], id="inline"),
        pytest.param("    docker run -v a:b directmail-exporter --z\n", ["--z"], id="in-a-container"),
    ],
)
def test_a_command_is_found_in_every_block(text: str, words: list[str]) -> None:
    assert list(commands(text)) == [words]
