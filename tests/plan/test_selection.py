"""Which discovered combinations are polled: the oldest that fit, never instead of one that is configured."""

import itertools
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config import loader
from exporter.config.model import Config
from exporter.directmail.model import Filters
from exporter.plan import cardinality, selection
from exporter.plan.combinations import Combination
from exporter.plan.selection import Discovered
from exporter.plan.target_plan import TargetPlan

DISCOVER = "{discover: true}"


def made(*queries: str, head: str = "", rate: float = 60, targets: int = 1) -> Config:
    """Return a config whose targets t0, t1... have the queries, each the inside of a YAML block."""
    text = f"{head}\ntargets:\n"
    for number in range(targets):
        text += f"  - name: t{number}\n    region: us-east-1\n    rate_limit_per_minute: {rate}\n    queries:\n"
        text += "".join(f"      - {{name: q{index}, {query}}}\n" for index, query in enumerate(queries))
    config, problems = loader.parse(text)
    assert config is not None, problems
    assert problems == ()
    return config


def found(pages_per_cell: float = 1.0, **values: Mapping[str, float]) -> Discovered:
    return Discovered(values, {"engagement": pages_per_cell})


def ages(text: str, first: float = 1.0) -> dict[str, float]:
    """Return one value for each letter, each a second younger than the one before."""
    return {letter: first + index for index, letter in enumerate(text)}


def plan_of(config: Config, known: Discovered) -> TargetPlan:
    (only,) = selection.plans(config, {"t0": known})
    return only


def shown(each: TargetPlan) -> list[str]:
    """Return each combination as its query and its values."""
    return [f"{item.query}:{''.join(item.filters)}" for item in each.combinations]


class TestWhatAQueryComesTo:
    def test_every_discovered_value_is_polled(self) -> None:
        each = plan_of(made(f"tag_name: {DISCOVER}, account_name: x"), found(tag_name=ages("ab")))
        assert [item.filters for item in each.combinations] == [Filters("x", "a"), Filters("x", "b")]

    def test_lists_multiply_discovered_ones_too(self) -> None:
        config = made(f"account_name: {DISCOVER}, tag_name: {DISCOVER}, esp: [gmail.com, others]")
        each = plan_of(config, found(account_name=ages("xy"), tag_name=ages("ab")))
        assert len(each.combinations) == len(set(each.combinations)) == 8

    def test_there_are_no_values_before_the_first_list(self) -> None:
        each = plan_of(made("esp: others", f"tag_name: {DISCOVER}, account_name: x"), Discovered())
        assert shown(each) == ["q0:others"]
        assert each.left_out == 0

    @pytest.mark.parametrize(
        ("options", "values"),
        [
            pytest.param("include: [news]", "news", id="the-whole-value"),
            pytest.param("include: [news.*]", "news newsletter", id="a-prefix"),
            pytest.param("include: ['.*news']", "news oldnews", id="a-suffix"),
            pytest.param("include: [news, 'old.*']", "news oldnews", id="one-of-several"),
            pytest.param("include: [news|old]", "news", id="alternatives-are-anchored-too"),
            pytest.param("exclude: [news]", "newsletter oldnews NEWS", id="all-but-one"),
            pytest.param("include: ['.*news.*'], exclude: ['.*letter']", "news oldnews", id="both"),
            pytest.param("include: ['(?i)news']", "news NEWS", id="with-flags"),
            pytest.param("limit: 2", "news newsletter", id="the-oldest"),
            pytest.param("exclude: [news], limit: 2", "newsletter oldnews", id="the-limit-counts-what-matches"),
        ],
    )
    def test_expressions_are_matched_against_the_whole_value(self, options: str, values: str) -> None:
        names = {"news": 1.0, "newsletter": 2.0, "oldnews": 3.0, "NEWS": 4.0}
        each = plan_of(made(f"config_set_id: {{discover: true, {options}}}"), found(config_set_id=names))
        assert [item.filters.config_set_id for item in each.combinations] == values.split()

    def test_the_exclude_of_a_query_applies_to_discovered_values_too(self) -> None:
        config = made(
            f"account_name: [x, y], tag_name: {DISCOVER}, "
            "exclude: [{tag_name: a}, {account_name: y, tag_name: b}, {tag_name: unheard-of}]"
        )
        each = plan_of(config, found(tag_name=ages("abc")))
        assert shown(each) == ["q0:xb", "q0:xc", "q0:yc"]
        assert each.left_out == 0


class TestTwins:
    @pytest.mark.parametrize(
        ("queries", "combinations"),
        [
            pytest.param(
                [f"account_name: {DISCOVER}", f"account_name: {DISCOVER}"], ["q0:x", "q0:y"], id="the-first-keeps-it"
            ),
            pytest.param(
                [f"account_name: {DISCOVER}", "account_name: y"], ["q1:y", "q0:x"], id="a-named-one-goes-first"
            ),
            pytest.param(
                [f"account_name: x, tag_name: {DISCOVER}", f"account_name: {DISCOVER}, tag_name: [a, c]"],
                ["q0:xa", "q0:xb", "q1:xc", "q1:ya", "q1:yc"],
                id="where-two-matrices-cross",
            ),
            pytest.param(
                ["account_name: {discover: true, exclude: [x]}", f"account_name: {DISCOVER}"],
                ["q0:y", "q1:x"],
                id="only-what-the-first-has",
            ),
        ],
    )
    def test_the_same_filters_are_polled_once(self, queries: list[str], combinations: list[str]) -> None:
        same = dict.fromkeys("xy", 1.0), dict.fromkeys("ab", 1.0)
        each = plan_of(made(*queries), found(account_name=same[0], tag_name=same[1]))
        assert sorted(shown(each)) == sorted(combinations)
        assert each.left_out == 0


class TestWhatFits:
    def test_what_is_over_the_limit_is_left_out_and_counted(self) -> None:
        config = made("account_name: [x, y], tag_name: {discover: true, limit: 2}")
        each = plan_of(config, found(tag_name=ages("abcde")))
        assert shown(each) == ["q0:xa", "q0:ya", "q0:xb", "q0:yb"]
        assert each.left_out == 6

    def test_max_series_keeps_the_oldest_and_what_is_configured(self) -> None:
        config = made("esp: [gmail.com, others]", f"config_set_id: {DISCOVER}", head="windows: [today]\nmax_series: 97")
        each = plan_of(config, found(config_set_id=ages("abcde")))
        assert shown(each) == ["q0:gmail.com", "q0:others", "q1:a", "q1:b", "q1:c"]
        assert each.left_out == 2
        each_has = cardinality.of_a_combination(config, "engagement")
        bounds = cardinality.SERIES_PER_TARGET_WINDOW
        assert bounds + 5 * each_has <= 97 < bounds + 6 * each_has

    def test_newer_values_displace_none(self) -> None:
        config = made(
            f"config_set_id: {DISCOVER}", f"dedicated_ip: {DISCOVER}", head="windows: [today]\nmax_series: 60"
        )
        first = plan_of(config, found(config_set_id={"z": 5.0, "y": 6.0}, dedicated_ip={"b": 7.0}))
        later = plan_of(config, found(config_set_id={"z": 5.0, "y": 6.0, "a": 9.0}, dedicated_ip={"b": 7.0, "c": 9.0}))
        assert shown(first) == shown(later) == ["q0:z", "q0:y", "q1:b"]
        assert (first.left_out, later.left_out) == (0, 2)

    def test_of_one_age_the_configs_order_decides_and_then_the_apis(self) -> None:
        config = made(
            f"dedicated_ip: {DISCOVER}", f"config_set_id: {DISCOVER}", head="windows: [today]\nmax_series: 60"
        )
        each = plan_of(config, found(config_set_id={"z": 1.0, "a": 1.0}, dedicated_ip={"y": 1.0, "b": 1.0}))
        assert shown(each) == ["q0:y", "q0:b", "q1:z"]

    def test_a_fixed_poll_interval_bounds_them_by_the_budget(self) -> None:
        config = made("esp: others", f"config_set_id: {DISCOVER}", head="windows: [today]\npoll_interval: 1m", rate=10)
        each = plan_of(config, found(config_set_id=ages("abcdefghijklmno")))
        assert each.requests_per_minute <= 10
        assert len(each.combinations) == 9
        assert each.left_out == 7

    def test_cells_of_several_pages_leave_room_for_fewer(self) -> None:
        config = made(f"config_set_id: {DISCOVER}", head="windows: [today]\npoll_interval: 1m", rate=10)
        values = ages("abcdefghijklmno")
        assert len(plan_of(config, found(3.0, config_set_id=values)).combinations) == 3

    def test_auto_stretches_the_interval_up_to_what_stays_fresh(self) -> None:
        values = {f"v{number}": 1.0 for number in range(1000)}
        queries = "config_set_id: {discover: true, limit: 1000}"
        free = plan_of(made(queries, head="windows: [today]", rate=10), found(config_set_id=values))
        assert (len(free.combinations), free.left_out) == (1000, 0)
        bound = plan_of(made(queries, head="windows: [today]\nstale_after: 20m", rate=10), found(config_set_id=values))
        assert bound.poll_interval < 1200 < free.poll_interval
        assert bound.left_out == 1000 - len(bound.combinations) > 0

    def test_max_series_is_shared_by_age_over_all_targets(self) -> None:
        config = made(f"config_set_id: {DISCOVER}", head="windows: [today]\nmax_series: 61", targets=2)
        one, two = selection.plans(
            config,
            {"t0": found(config_set_id=ages("abc", first=10)), "t1": found(config_set_id=ages("xyz", first=9.5))},
        )
        assert (shown(one), shown(two)) == (["q0:a"], ["q0:x", "q0:y"])
        assert (one.left_out, two.left_out) == (2, 1)

    def test_each_statistic_of_a_query_is_a_plan_with_a_budget_of_its_own(self) -> None:
        queries = f"dedicated_ip: {DISCOVER}, statistics: [engagement, delivery]"
        config = made(queries, head="windows: [today]\npoll_interval: 1m", rate=10)
        plans = selection.plans(config, {"t0": found(dedicated_ip=ages("abcdefghijklmno"))})
        assert [(each.statistic, each.action, len(each.combinations), each.left_out) for each in plans] == [
            ("engagement", "GetTrackList", 9, 6),
            ("delivery", "SenderStatisticsByTagNameAndBatchID", 9, 6),
        ]

    def test_max_series_counts_what_each_statistic_exposes(self) -> None:
        queries = f"dedicated_ip: {DISCOVER}, statistics: [engagement, delivery]"
        config = made(queries, head="windows: [today]\nmax_series: 70")
        sizes = {name: cardinality.of_a_combination(config, name) for name in ("engagement", "delivery")}
        plans = selection.plans(config, {"t0": found(dedicated_ip=ages("abc"))})
        shown_series = sum(len(each.combinations) * sizes[each.statistic] for each in plans)
        assert sizes == {"engagement": 19, "delivery": 15}
        assert 2 + shown_series <= 70 < 2 + shown_series + min(sizes.values())

    def test_what_multiplies_to_millions_is_neither_made_nor_miscounted(self) -> None:
        options = "{discover: true, limit: 100000}"
        config = made(f"account_name: {options}, tag_name: {options}, config_set_id: {options}")
        values = {str(number): 1.0 for number in range(1000)}
        each = plan_of(config, found(account_name=values, tag_name=values, config_set_id=values))
        assert len(each.combinations) + each.left_out == 1000**3
        assert 1000 < len(each.combinations) < 3000


VALUES = st.dictionaries(st.sampled_from("abcde"), st.integers(1, 4).map(float), max_size=5).map(
    lambda values: dict(sorted(values.items(), key=lambda item: item[1]))
)


@given(accounts=VALUES, tags=VALUES, limit=st.integers(1, 4), room=st.integers(0, 12))
def test_exactly_the_oldest_of_all_that_is_wanted_is_chosen(
    accounts: dict[str, float], tags: dict[str, float], limit: int, room: int
) -> None:
    """Compared with the plain way: make everything, sort it, cut it."""
    options = f"{{discover: true, limit: {limit}}}"
    config = made(
        f"account_name: {options}, tag_name: {DISCOVER}, exclude: [{{account_name: a, tag_name: b}}]",
        head=f"windows: [today]\nmax_series: {2 + 19 * room or 1}",
    )
    each = plan_of(config, found(account_name=accounts, tag_name=tags))
    every = [
        (max(accounts[account], tags[tag]), Combination("t0", "engagement", "q0", Filters(account, tag)))
        for account, tag in itertools.product(list(accounts)[:limit], tags)
        if (account, tag) != ("a", "b")
    ]
    chosen = set(each.combinations)
    assert len(chosen) == min(room, len(every))
    assert chosen <= {combination for _, combination in every}
    oldest_left = min((age for age, item in every if item not in chosen), default=99.0)
    assert all(age <= oldest_left for age, item in every if item in chosen)
    over = len(list(accounts)[limit:]) * len(tags)
    assert each.left_out == len(every) - len(chosen) + over
