"""YAML as it is read: what cannot be used is rejected with its place, and what is not a text keeps its source."""

import json

import pytest

from exporter.config import loader, yamlfile

CONFIG = """\
targets:
  - name: shop
    region: us-east-1
    queries:
      - name: account
        account_name: %s
"""
PLACE = "targets[0].queries[0].account_name"


def problems(written: str) -> list[str]:
    return [str(problem) for problem in loader.parse(CONFIG % written)[1]]


def test_json_with_an_emoji_is_yaml() -> None:
    """JSON writes characters beyond the first 65,536 as two escapes."""
    text = json.dumps({"a": "Oktoberfest \N{BEER MUG}", "\N{PARTY POPPER}": 1})
    assert "\\ud83c\\udf7a" in text
    assert yamlfile.load(text) == {"a": "Oktoberfest \N{BEER MUG}", "\N{PARTY POPPER}": 1}


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        pytest.param('a: "\\ud83c"', "line 1, column 4", "half of a character", id="half-a-pair"),
        pytest.param('a: 1\nb: "\\udf89\\ud83c"', "line 2, column 4", "half of a character", id="a-pair-turned-round"),
        pytest.param('{"a": {"\\ud83c": 1}}', "line 1, column 8", "half of a character", id="half-a-key"),
        pytest.param('a: "x\\0"', "line 1, column 4", "'\\x00' in it, which is not text", id="nul"),
        pytest.param('a: ["\\x1b[2J"]', "line 1, column 5", "'\\x1b' in it", id="escape"),
        pytest.param('a: "\\x85\\x80"', "line 1, column 4", "'\\x80' in it", id="a-control-above-ascii"),
        pytest.param("a: 1\nb: \x00", "line 2, column 4", "'\\x00' in it, which is not text", id="nul-unescaped"),
        pytest.param("a: !!bool maybe", "line 1, column 4", "is not a valid bool", id="tag"),
        pytest.param("a: !!timestamp x", "line 1, column 4", "is not a valid timestamp", id="no-time"),
        pytest.param(f"a: {'9' * 5000}", "line 1, column 4", "is not a valid int", id="endless-number"),
        pytest.param("[" * 3000, "file", "is nested too deeply", id="deep"),
        pytest.param("1: x", "line 1, column 1", "the key 1 is not text; quote it", id="key-no-text"),
        pytest.param("? [a]\n: b", "line 1, column 3", "the key is not text; quote it", id="key-no-scalar"),
    ],
)
def test_what_cannot_be_used_is_rejected_with_its_place(text: str, place: str, says: str) -> None:
    with pytest.raises(yamlfile.NotYaml) as caught:
        yamlfile.load(text)
    assert caught.value.place == place
    assert says in caught.value.text
    assert len(caught.value.text) < 200


def test_a_password_that_is_read_as_something_else_is_not_repeated() -> None:
    for written in ("!Canary123", "*Canary123", "!!bool Canary123", '"\\0Canary123"'):
        with pytest.raises(yamlfile.NotYaml) as caught:
            yamlfile.load(f"a: {written}")
        assert "Canary123" not in caught.value.text


class TestUnquotedValues:
    """A message repeats them as they are written, and says how to quote them."""

    @pytest.mark.parametrize(
        "written", ["007", "1.10", "no", "12:30:45", "0x1F", "1_000", "2026-04-22", ".5", "+7", "1.0e+3", ".inf", "Yes"]
    )
    def test_a_lone_value(self, written: str) -> None:
        assert problems(written) == [f"{PLACE}: {written} is not text; quote it: '{written}'"]

    def test_values_in_a_list(self) -> None:
        assert problems("[a@x.com, 007, 'b@x.com', no]") == [
            f"{PLACE}[1]: 007 is not text; quote it: '007'",
            f"{PLACE}[3]: no is not text; quote it: 'no'",
        ]

    def test_a_mistake_of_a_key_repeats_the_key(self) -> None:
        text = CONFIG.replace("region:", "labels: {esp: 5}\n    region:") % "a@x.com"
        assert [str(problem) for problem in loader.parse(text)[1]] == [
            "targets[0].labels.esp: 'esp' is a label that the exporter or Prometheus sets; choose another name"
        ]

    def test_values_that_an_anchor_or_a_merge_brought(self) -> None:
        text = "x: &x {team: 007}\n" + CONFIG.replace("region:", "labels: {<<: *x, a: no}\n    region:") % "a@x.com"
        found = [str(problem) for problem in loader.parse(text)[1] if "labels" in problem.place]
        assert found == [
            "targets[0].labels.team: 007 is not text; quote it: '007'",
            "targets[0].labels.a: no is not text; quote it: 'no'",
        ]

    @pytest.mark.parametrize("written", ["0100", "1:40", "0x64", "1e2"])
    def test_a_number_that_not_everybody_reads_alike_is_none(self, written: str) -> None:
        """YAML 1.1 reads them as 64, 100, 100 and a text."""
        text = f"max_series: {written}\n" + CONFIG % "a@x.com"
        (problem,) = loader.parse(text)[1]
        assert problem.place == "max_series"
        assert written in problem.text.split(" is not a whole number")[0]

    def test_a_number_with_its_thousands_apart_is_one(self) -> None:
        config, found = loader.parse("max_series: 250_000\n" + CONFIG % "a@x.com")
        assert found == ()
        assert config is not None
        assert config.max_series == 250_000


@pytest.mark.parametrize("written", ["", "~", "null", "''", "' '"])
@pytest.mark.parametrize(
    ("line", "place"),
    [
        pytest.param("state_file: {}", "state_file", id="path"),
        pytest.param("stale_after: {}", "stale_after", id="duration"),
        pytest.param("max_series: {}", "max_series", id="number"),
        pytest.param("windows: {}", "windows", id="list"),
        pytest.param("refresh: {{recent: {}}}", "refresh.recent", id="below"),
        pytest.param("reported_rates: {}", "reported_rates", id="flag"),
    ],
)
def test_a_key_that_is_there_has_a_value(line: str, place: str, written: str) -> None:
    """An empty variable of a template must not mean "off", or "all"."""
    found = loader.parse(line.format(written) + "\n" + CONFIG % "a@x.com")[1]
    assert [problem.place for problem in found] == [place]


@pytest.mark.parametrize("written", ["", "~", "''"])
@pytest.mark.parametrize("key", ["account_name", "tag_name", "esp", "dedicated_ip", "exclude", "name"])
def test_a_filter_without_a_value_is_not_every_value(key: str, written: str) -> None:
    """`account_name:` with nothing behind it would show the whole account as one sender."""
    query = {"account_name": "a@x.com", "name": "x"} | {key: written}
    block = ", ".join(f"{name}: {value}" for name, value in query.items())
    text = f"targets:\n  - name: shop\n    region: us-east-1\n    queries:\n      - {{{block}}}\n"
    assert [problem.place for problem in loader.parse(text)[1]] == [f"targets[0].queries[0].{key}"]


def test_lists_have_no_gaps() -> None:
    assert problems("[a@x.com, , ]") != []
    assert problems("[a@x.com, ~]") == [f"{PLACE}[1]: has no value; write one, or leave it out"]
