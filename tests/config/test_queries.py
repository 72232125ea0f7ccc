"""Queries: of several blocks, with every mistake of a list at its index."""

import pytest

from exporter.config import loader
from exporter.config.checking import MOST_PROBLEMS, ConfigError
from exporter.config.queries import FILTER_KEYS
from exporter.plan import validation
from exporter.reload import checked

HEAD = "targets:\n  - name: shop\n    region: us-east-1\n    queries:\n"
TAGS = """\
      - name: by-tag
        account_name: news@mail.example.com
        tag_name: [weekly, promo]
      - name: by-tag
        account_name: receipts@mail.example.com
        tag_name: [invoice, reminder]
"""


def found(text: str) -> list[str]:
    sound, mistakes = loader.parse(text)
    return [str(problem) for problem in (*mistakes, *(validation.problems(sound) if sound else ()))]


class TestBlocks:
    """The same name again: one more block of the same query."""

    def test_blocks_over_the_same_filters_are_one_query(self) -> None:
        sound, problems = loader.parse(HEAD + TAGS)
        assert problems == ()
        assert sound is not None
        assert validation.problems(sound) == ()
        assert [query.name for query in sound.targets[0].queries] == ["by-tag", "by-tag"]

    def test_what_is_wrong_with_a_block_hides_nothing_of_the_others(self) -> None:
        text = HEAD + (
            "      - {name: by-tag, account_name: [a@mail.example.com, ''], note: x, exclude: [{account_name: b}]}\n"
            "      - {name: by-tag, account_name: c@mail.example.com, tag_name: weekly, exclude: [{tag_name: promo}]}\n"
        )
        assert [problem.split(": ")[0] for problem in found(text)] == [
            "targets[0].queries[0].exclude[0].account_name",
            "targets[0].queries[0].account_name[1]",
            "targets[0].queries[0].note",
            "targets[0].queries[1].exclude[0].tag_name",
            "targets[0].queries[1]",
        ]

    def test_a_misspelt_filter_is_not_reported_as_a_block_of_other_filters_too(self) -> None:
        (problem,) = found(HEAD + TAGS.replace("tag_name: [invoice", "tagname: [invoice"))
        assert problem.startswith("targets[0].queries[1].tagname: unknown key 'tagname'; did you mean 'tag_name'?")

    def test_blocks_over_other_filters_are_not(self) -> None:
        text = HEAD + TAGS + "      - {name: by-tag, account_name: product@mail.example.com}\n"
        (problem,) = found(text)
        assert problem == (
            "targets[0].queries[2]: has the filters account_name, but 'by-tag' at targets[0].queries[0] has "
            "the filters account_name, tag_name; blocks of one query have the same filters: give this one another name"
        )

    def test_a_discovered_filter_is_the_same_filter(self) -> None:
        text = HEAD + TAGS.replace("[invoice, reminder]", "{discover: true}")
        assert found(text) == []

    def test_a_combination_may_be_in_one_block_only(self) -> None:
        text = HEAD + TAGS + "      - {name: by-tag, account_name: news@mail.example.com, tag_name: [other, promo]}\n"
        (problem,) = found(text)
        assert problem == (
            "targets[0].queries[2]: the combination account_name=news@mail.example.com, tag_name=promo is in query "
            "'by-tag' at targets[0].queries[0] too; a target may have it only once; remove it here or add it to this "
            "query's exclude"
        )

    def test_a_target_may_not_occur_again(self) -> None:
        target = "  - {name: shop, region: us-east-1, queries: [{name: account}]}\n"
        assert found(f"targets:\n{target}{target}") == [
            "targets[1].name: 'shop' is also the name of targets[0]; give each its own name"
        ]


class TestStatistics:
    """What is requested about a query's combinations."""

    def wanted(self, *lines: str) -> tuple[str, ...]:
        """Return what the target of queries that are written like this is polled for."""
        sound, problems = loader.parse(HEAD + "".join(f"      - {{{line}}}\n" for line in lines))
        assert problems == ()
        assert sound is not None
        assert validation.problems(sound) == ()
        return sound.targets[0].statistics

    @pytest.mark.parametrize(
        ("written", "wanted"),
        [
            pytest.param("", ("engagement",), id="default"),
            pytest.param(", statistics: delivery", ("delivery",), id="lone"),
            pytest.param(", statistics: [delivery, engagement]", ("engagement", "delivery"), id="both"),
        ],
    )
    def test_a_target_is_polled_for_what_its_queries_name(self, written: str, wanted: tuple[str, ...]) -> None:
        assert self.wanted(f"name: q{written}") == wanted

    def test_queries_may_differ_and_each_has_its_own(self) -> None:
        queries = ("name: q, account_name: a@x.com, statistics: [delivery]", "name: r")
        assert self.wanted(*queries) == ("engagement", "delivery")
        sound, _ = loader.parse(HEAD + "".join(f"      - {{{line}}}\n" for line in queries))
        assert sound is not None
        assert [query.statistics for query in sound.targets[0].queries] == [("delivery",), ("engagement",)]

    @pytest.mark.parametrize("key", [key for key in FILTER_KEYS if key not in ("tag_name", "esp", "config_set_id")])
    def test_delivery_supports_every_filter_but_one(self, key: str) -> None:
        assert self.wanted(f"name: q, {key}: a, statistics: delivery") == ("delivery",)

    def test_a_combination_may_be_in_one_query_of_each_statistic(self) -> None:
        assert self.wanted("name: q", "name: r, statistics: delivery") == ("engagement", "delivery")
        (problem,) = found(HEAD + "      - {name: q}\n      - {name: r, statistics: [delivery, engagement]}\n")
        assert problem.startswith("targets[0].queries[1]: the combination (no filter) is in query 'q'")

    @pytest.mark.parametrize(
        "value", [pytest.param("set-1", id="given"), pytest.param("{discover: true}", id="discovered")]
    )
    @pytest.mark.parametrize(
        "statistics", [pytest.param("delivery", id="alone"), pytest.param("[engagement, delivery]", id="both")]
    )
    def test_a_filter_that_a_statistic_does_not_support_is_an_error_with_its_place(
        self, statistics: str, value: str
    ) -> None:
        (problem,) = found(HEAD + f"      - {{name: q, config_set_id: {value}, statistics: {statistics}}}\n")
        assert problem == (
            "targets[0].queries[0].config_set_id: is not a filter of the statistic delivery; remove it, or remove "
            "delivery from this query's statistics"
        )

    def test_it_is_reported_beside_every_other_mistake_of_the_query(self) -> None:
        """Whatever is wrong with the statistics themselves, too."""
        line = "config_set_id: [a, a], esp: aol.com, tag_name: x, statistics: [delivery, [], openings, delivery, 5]"
        assert [
            problem.split(": ")[0].removeprefix("targets[0].queries[0].")
            for problem in found(f"{HEAD}      - {{name: q, {line}}}\n")
        ] == [
            "tag_name",
            "config_set_id",
            "esp",
            "config_set_id[1]",
            *(f"statistics[{index}]" for index in (1, 2, 3, 4)),
        ]


@pytest.mark.parametrize("name", ["by-sender", "2nd", "a", "_", "news_2026-04"])
def test_a_name_has_letters_digits_and_both_lines(name: str) -> None:
    assert found(f"targets: [{{name: {name}, region: us-east-1, queries: [{{name: {name}}}]}}]") == []


@pytest.mark.parametrize("key", ["account_name", "domain", "dedicated_ip", "config_set_id"])
def test_a_star_is_rejected_with_a_hint_to_discovery(key: str) -> None:
    (problem,) = found(HEAD + f"      - {{name: all, {key}: ['*']}}\n")
    assert problem.startswith(f"targets[0].queries[0].{key}[0]: '*' is not a value; write {{discover: true}}")


def test_every_mistake_of_every_list_is_reported_at_its_index() -> None:
    text = """\
windows: [today, 1w, 31d, today, 5]
targets:
  - name: shop
    region: us-east-1
    labels: {team-a: x, esp: y, fine: z, number: 5}
    queries:
      - name: q
        account_name: [a@x.com, 5, ' b', a@x.com]
        esp: [aol.com, gmail.com, GMAIL.com]
        exclude: [{tag: x, esp: [a]}, 5, {}, {account_name: a@x.com}]
      - name: r
        account_name: {discover: true, include: ['(', 5, fine], limit: x}
"""
    assert [line.split(": ")[0] for line in found(text)] == [
        *("windows[1]", "windows[2]", "windows[3]", "windows[4]"),
        *("targets[0].labels.team-a", "targets[0].labels.esp", "targets[0].labels.number"),
        *(f"targets[0].queries[0].account_name[{index}]" for index in (1, 2, 3)),
        *(f"targets[0].queries[0].esp[{index}]" for index in (0, 2)),
        *(f"targets[0].queries[0].exclude[{step}" for step in ("0].tag", "0].esp", "1]", "2]")),
        *(f"targets[0].queries[1].account_name.{step}" for step in ("include[0]", "include[1]", "limit")),
    ]


def test_a_lone_value_has_no_index() -> None:
    assert [line.split(": ")[0] for line in found("windows: x\n" + HEAD + "      - {name: q, esp: aol.com}\n")] == [
        "windows",
        "targets[0].queries[0].esp",
    ]


def test_every_value_that_cannot_be_excluded_is_reported() -> None:
    text = HEAD + "      - {name: q, esp: [icloud.com, others], exclude: [{esp: gmail.com}, {account_name: x}]}\n"
    assert [line.split(": ")[0] for line in found(text)] == [
        "targets[0].queries[0].exclude[0].esp",
        "targets[0].queries[0].exclude[1].account_name",
    ]


class TestFewWords:
    """A message is a line that a terminal shows, whatever the value."""

    @pytest.mark.parametrize(
        "line",
        [
            pytest.param("windows: [{}]", id="text"),
            pytest.param("x{}: 1", id="key"),
            pytest.param("state_file: [{}]", id="list"),
            pytest.param("poll_interval: {{a: {}}}", id="block"),
            pytest.param("max_series: '{}'", id="number"),
        ],
    )
    def test_however_long_it_is(self, line: str) -> None:
        text = f"{line.format('x' * 420_000)}\n{HEAD}      - {{name: q}}\n"
        (problem,) = found(text)
        assert len(problem) < 400

    def test_however_often_it_holds_itself(self) -> None:
        bomb = "".join(f"x{n}: &x{n} [*x{n - 1}, *x{n - 1}, *x{n - 1}]\n" for n in range(1, 40))
        text = f"x0: &x0 [a]\n{bomb}windows: [*x39]\nstate_file: &self [*self]\n{HEAD}      - {{name: q}}\n"
        problems = found(text)
        assert {"windows[0]", "state_file"} <= {line.split(": ")[0] for line in problems}
        assert max(map(len, problems)) < 400

    def test_however_many_mistakes_there_are(self) -> None:
        queries = "".join(f"      - {{name: q{number}, esp: x}}\n" for number in range(1000))
        with pytest.raises(ConfigError) as caught:
            checked("config.yaml", *loader.parse(HEAD + queries))
        assert len(caught.value.problems) == MOST_PROBLEMS + 1
        assert str(caught.value.problems[-1]) == f"file: has {1000 - MOST_PROBLEMS} more mistakes"

    def test_a_key_that_is_not_a_word_is_quoted_in_its_place(self) -> None:
        (problem,) = found(f'"a\\nb": 1\n{HEAD}      - {{name: q}}\n')
        assert problem.startswith(r"['a\nb']: unknown key 'a\nb'")


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("region: [eu-central-1]", id="region"),
        pytest.param("region: us-east-1\n    timezone: [UTC]", id="zone"),
        pytest.param("endpoint: [https://x]", id="endpoint"),
        pytest.param("region: us-east-1\n    credentials: {type: [default]}", id="credentials"),
        pytest.param("region: us-east-1\n    labels: [a]", id="labels"),
        pytest.param("region: us-east-1\n    credentials: {type: {a: b}, role_arn: [x]}", id="role"),
    ],
)
def test_a_list_in_the_place_of_a_text_is_rejected(line: str) -> None:
    assert found(f"targets:\n  - name: shop\n    {line}\n    queries: [{{name: q}}]\n")


def test_lists_that_multiply_to_more_than_memory_has_are_not_multiplied() -> None:
    many = [f"v{number}" for number in range(1000)]
    (problem,) = found(HEAD + f"      - {{name: q, account_name: {many}, tag_name: {many}, dedicated_ip: {many}}}\n")
    assert problem == "targets[0].queries[0]: its lists multiply to 1000000000 combinations; write fewer values"
    block = f"      - {{name: q, account_name: {many[:900]}, tag_name: {many[:900]}, dedicated_ip: %s}}\n"
    (problem,) = found(HEAD + block % "a" + block % "b")
    assert problem == "targets: the queries multiply to 1620000 combinations; write fewer filter values"
