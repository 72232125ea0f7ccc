"""The config: one broken file per mistake, each with its place and its fix."""

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from exporter.config import credentials, durations, loader, queries, scalars, schema
from exporter.directmail import ram_credentials
from exporter.directmail.listing import OPERATIONS
from exporter.directmail.model import Filters
from exporter.plan import validation

ROOT = Path(__file__).parents[2]
SOUND = """\
targets:
  - name: shop
    region: us-east-1
    queries:
      - name: account
"""
T, Q = "targets[0]", "targets[0].queries[0]"


def top(line: str) -> str:
    return f"{line}\n{SOUND}"


def target(line: str) -> str:
    return SOUND.replace("    region: us-east-1\n", f"    region: us-east-1\n    {line}\n")


ROLE = "acs:ram::1234567890123456:role/directmail-exporter"


def with_credentials(block: str) -> str:
    return target(f"credentials: {block}")


def query(line: str) -> str:
    return SOUND + f"        {line}\n"


# text of the config, place of the mistake, what the message must say
BROKEN = [
    pytest.param("", "file", "start from config.example.yaml", id="empty-file"),
    pytest.param("just text", "file", "start from config.example.yaml", id="no-mapping"),
    pytest.param("a: [1,\nb: 2", "line 2, column 5", "not valid YAML", id="yaml-syntax"),
    pytest.param("a: 'open", "line 1, column 9", "not valid YAML", id="yaml-open-quote"),
    pytest.param("\tx: 1", "line 1, column 1", "not valid YAML", id="yaml-tab"),
    pytest.param(
        top("max_series: 1\nmax_series: 2"), "line 2, column 1", "first in line 1; remove one", id="key-twice"
    ),
    pytest.param(
        query("esp: others\n        esp: others"), "line 7, column 9", "'esp' is set twice", id="key-twice-deep"
    ),
    pytest.param("1: x", "line 1, column 1", "quote it", id="key-that-is-no-text"),
    pytest.param("a: 2026-13-45", "line 1, column 4", "quote it", id="date-that-is-none"),
    pytest.param(top("windws: [today]"), "windws", "did you mean 'windows'?", id="unknown-key"),
    pytest.param(target("quota: 5"), f"{T}.quota", "the keys here are", id="unknown-key-of-a-target"),
    pytest.param(
        query("acount_name: a@x.com"), f"{Q}.acount_name", "did you mean 'account_name'?", id="unknown-filter"
    ),
    pytest.param(top("refresh: {recnt: 1h}"), "refresh.recnt", "did you mean 'recent'?", id="unknown-key-of-refresh"),
    pytest.param("targets: []", "targets", "write a list with at least one target", id="no-targets"),
    pytest.param("max_series: 5", "targets", "is missing", id="targets-missing"),
    pytest.param("targets: {name: x}", "targets", "is not a list", id="targets-no-list"),
    pytest.param("targets: [5]", T, "5 is not a target", id="target-no-block"),
    pytest.param(
        SOUND.replace("name: shop", "name: my shop"), f"{T}.name", "use letters, digits, _ and -", id="name-with-space"
    ),
    pytest.param(SOUND.replace("name: shop\n    ", ""), f"{T}.name", "is missing; write a name", id="name-missing"),
    pytest.param(
        f"{SOUND}  - name: shop\n    region: us-east-1\n    queries: [{{name: q}}]",
        "targets[1].name",
        "give each its own",
        id="target-name-twice",
    ),
    pytest.param(
        f"{SOUND}      - {{name: account, account_name: a@x.com}}",
        "targets[0].queries[1]",
        "has the filters account_name, but 'account' at targets[0].queries[0] has no filter; blocks of one query have",
        id="blocks-with-other-filters",
    ),
    pytest.param(SOUND.replace("us-east-1", "moon-1"), f"{T}.region", "'moon-1' is not a region", id="unknown-region"),
    pytest.param(
        SOUND.replace("    region: us-east-1\n", ""),
        f"{T}.region",
        "is missing; write region: ap-southeast-1, or endpoint",
        id="no-region-no-endpoint",
    ),
    pytest.param(
        target("endpoint: https://x.example.com"),
        f"{T}.region",
        "set either region or endpoint, not both",
        id="region-and-endpoint",
    ),
    pytest.param(
        SOUND.replace("region: us-east-1", "endpoint: dm.example.com"),
        f"{T}.endpoint",
        "write https://host",
        id="endpoint-without-scheme",
    ),
    pytest.param(
        SOUND.replace("region: us-east-1", "endpoint: https://x/path"),
        f"{T}.endpoint",
        "write https://host",
        id="endpoint-with-path",
    ),
    pytest.param(
        SOUND.replace("region: us-east-1", "endpoint: https://x:port"),
        f"{T}.endpoint",
        "write https://host",
        id="endpoint-with-odd-port",
    ),
    pytest.param(
        SOUND.replace("region: us-east-1", "endpoint: https://x\n    vpc: true"),
        f"{T}.vpc",
        "needs region",
        id="vpc-without-region",
    ),
    pytest.param(target("vpc: 'yes'"), f"{T}.vpc", "neither true nor false", id="flag-in-quotes"),
    pytest.param(
        target("timezone: Mars/Phobos"), f"{T}.timezone", "'Mars/Phobos' is not a time zone", id="unknown-zone"
    ),
    pytest.param(target("timezone: 8"), f"{T}.timezone", "write a name such as Asia/Shanghai", id="zone-as-number"),
    pytest.param(
        target("rate_limit_per_minute: 0"), f"{T}.rate_limit_per_minute", "not a number from 0.1", id="no-calls-at-all"
    ),
    pytest.param(
        target("rate_limit_per_minute: fast"), f"{T}.rate_limit_per_minute", "'fast' is not a number", id="rate-as-text"
    ),
    pytest.param(target("timeout: 10"), f"{T}.timeout", "10 has no unit; write 10s", id="duration-without-unit"),
    pytest.param(target("timeout: 0s"), f"{T}.timeout", "is zero", id="duration-of-nothing"),
    pytest.param(target("page_size: 0"), f"{T}.page_size", "not a whole number from 1 to 1000", id="pages-of-nothing"),
    pytest.param(target("page_size: 10.5"), f"{T}.page_size", "not a whole number", id="pages-of-halves"),
    pytest.param(
        target("labels: {esp: x}"), f"{T}.labels.esp", "'esp' is a label that the exporter", id="label-of-ours"
    ),
    pytest.param(
        target("labels: {team-a: x}"), f"{T}.labels.team-a", "'team-a' is not a label name", id="label-with-dash"
    ),
    pytest.param(
        target("labels: {__team: x}"), f"{T}.labels.__team", "'__team' is not a label name", id="label-reserved"
    ),
    pytest.param(target("labels: {team: 5}"), f"{T}.labels.team", "quote it: '5'", id="label-value-no-text"),
    pytest.param(target("labels: team"), f"{T}.labels", "write labels: {team: growth}", id="labels-no-block"),
    pytest.param(query("tag_name: promo"), f"{Q}.tag_name", "needs account_name", id="tag-without-sender"),
    pytest.param(query("esp: gmial.com"), f"{Q}.esp", "write one of gmail.com, yahoo.com", id="unknown-provider"),
    pytest.param(
        query("esp: [gmail.com, GMAIL.com]"), f"{Q}.esp[1]", "'GMAIL.com' is listed twice", id="provider-twice"
    ),
    pytest.param(query("account_name: []"), f"{Q}.account_name", "is an empty list", id="empty-list"),
    pytest.param(query("account_name: ''"), f"{Q}.account_name", "leave the key out", id="empty-value"),
    pytest.param(query("account_name: [a@x.com, a@x.com]"), f"{Q}.account_name[1]", "listed twice", id="value-twice"),
    pytest.param(query("dedicated_ip_pool_id: 12"), f"{Q}.dedicated_ip_pool_id", "quote it: '12'", id="value-no-text"),
    pytest.param(query("domain: [a.com, '']"), f"{Q}.domain[1]", "leave the key out", id="empty-domain"),
    pytest.param(query("domain: 12.5"), f"{Q}.domain", "quote it: '12.5'", id="domain-no-text"),
    pytest.param(query("statistics: []"), f"{Q}.statistics", "is an empty list", id="no-statistics"),
    pytest.param(query("statistics:"), f"{Q}.statistics", "has no value", id="statistics-empty"),
    pytest.param(
        query("statistics: [engagement, opens]"),
        f"{Q}.statistics[1]",
        "'opens' is not a statistic; write one or more of engagement, delivery",
        id="unknown-statistic",
    ),
    pytest.param(query("statistics: Delivery"), f"{Q}.statistics", "is not a statistic", id="statistic-in-capitals"),
    pytest.param(
        query("statistics: {delivery: true}"), f"{Q}.statistics", "is not a statistic", id="statistics-as-block"
    ),
    pytest.param(
        query("statistics: [delivery, delivery]"), f"{Q}.statistics[1]", "is listed twice", id="statistic-twice"
    ),
    pytest.param(
        query("config_set_id: set-1\n        statistics: [engagement, delivery]"),
        f"{Q}.config_set_id",
        "is not a filter of the statistic delivery; remove it, or remove delivery from",
        id="filter-that-a-statistic-does-not-know",
    ),
    pytest.param(
        target("labels: {domain: x}"), f"{T}.labels.domain", "'domain' is a label that", id="label-of-a-filter"
    ),
    pytest.param(
        target("labels: {statistic: x}"), f"{T}.labels.statistic", "'statistic' is a label that", id="label-of-health"
    ),
    pytest.param(
        query("exclude: [{esp: others}]"), f"{Q}.exclude[0].esp", "is not a value of the query", id="exclude-of-nothing"
    ),
    pytest.param(
        query("account_name: a\n        exclude: [{account_name: a}]"),
        f"{Q}.exclude",
        "excludes every combination",
        id="exclude-of-all",
    ),
    pytest.param(
        query("exclude: [{colour: red}]"),
        f"{Q}.exclude[0].colour",
        "'colour' is not a filter",
        id="exclude-of-no-filter",
    ),
    pytest.param(query("exclude: {esp: others}"), f"{Q}.exclude", "is not a list; write one", id="exclude-no-list"),
    pytest.param(
        query("esp: {discover: true}"), f"{Q}.esp", "cannot be discovered; write some of", id="discovered-esp"
    ),
    pytest.param(
        query("account_name: {discover: false}"),
        f"{Q}.account_name.discover",
        "or list the values",
        id="no-discovery",
    ),
    pytest.param(
        query("account_name: {include: [a]}"),
        f"{Q}.account_name.discover",
        "write discover: true",
        id="discover-missing",
    ),
    pytest.param(
        query("account_name: {discover: 'yes'}"),
        f"{Q}.account_name.discover",
        "neither true nor",
        id="discover-in-quotes",
    ),
    pytest.param(
        query("account_name: {discover: true, includ: [a]}"),
        f"{Q}.account_name.includ",
        "did you mean 'include'?",
        id="unknown-key-of-discovery",
    ),
    pytest.param(
        query("account_name: {discover: true, include: [a, '(']}"),
        f"{Q}.account_name.include[1]",
        "'(' is not a regular expression: missing )",
        id="broken-expression",
    ),
    pytest.param(
        query("account_name: {discover: true, exclude: 5}"),
        f"{Q}.account_name.exclude",
        "quote it: '5'",
        id="expression-no-text",
    ),
    pytest.param(
        query("account_name: {discover: true, exclude: []}"),
        f"{Q}.account_name.exclude",
        "is an empty list",
        id="no-expressions",
    ),
    pytest.param(
        query("account_name: {discover: true, limit: 0}"),
        f"{Q}.account_name.limit",
        "not a whole number from 1",
        id="limit-of-nothing",
    ),
    pytest.param(
        query("tag_name: {discover: true}"), f"{Q}.tag_name", "discovery needs account_name", id="tags-without-sender"
    ),
    pytest.param(
        query("account_name: {discover: true}\n        exclude: [{esp: others}]"),
        f"{Q}.exclude[0].esp",
        "is not a value of the query",
        id="exclude-of-nothing-beside-discovery",
    ),
    pytest.param(top("discovery_interval: 30s"), "discovery_interval", "write 1m or more", id="discovery-too-often"),
    pytest.param(top("account_interval: 30s"), "account_interval", "write 1m or more", id="account-too-often"),
    pytest.param(top("domains_interval:"), "domains_interval", "has no value", id="domains-without-interval"),
    pytest.param(top("windows: []"), "windows", "is an empty list", id="no-windows"),
    pytest.param(top("windows: [31d]"), "windows[0]", "'31d' is not a window", id="window-too-long"),
    pytest.param(top("windows: [0d]"), "windows[0]", "'0d' is not a window", id="window-of-nothing"),
    pytest.param(top("windows: [week]"), "windows[0]", "write today, yesterday, or 1d to 30d", id="unknown-window"),
    pytest.param(top("windows: [today, today]"), "windows[1]", "listed twice", id="window-twice"),
    pytest.param(top("poll_interval: 500ms"), "poll_interval", "write 1s or more", id="poll-too-fast"),
    pytest.param(top("poll_interval: soon"), "poll_interval", "'soon' is not a duration", id="poll-no-duration"),
    pytest.param(top("poll_interval:"), "poll_interval", "write auto", id="poll-empty"),
    pytest.param(
        top("poll_interval: 5m\nstale_after: 5m"),
        "stale_after",
        "not longer than the poll interval",
        id="stale-too-soon",
    ),
    pytest.param(top("max_series: many"), "max_series", "'many' is not a whole number", id="series-as-text"),
    pytest.param(top("reported_rates: 1"), "reported_rates", "neither true nor false", id="flag-as-number"),
    pytest.param(top("state_file: ''"), "state_file", "is not a path", id="path-of-nothing"),
    pytest.param(
        with_credentials("{type: guess}"),
        f"{T}.credentials.type",
        "write one of default, ram_role_arn",
        id="unknown-credentials",
    ),
    pytest.param(
        with_credentials("{access_key_id_file: a}"),
        f"{T}.credentials.access_key_secret_file",
        "is missing",
        id="half-a-key",
    ),
    pytest.param(
        with_credentials("{type: ram_role_arn}"), f"{T}.credentials.role_arn", "is missing", id="role-missing"
    ),
    pytest.param(
        with_credentials(f"{{type: ram_role_arn, role_arn: '{ROLE}', access_key_id_file: a}}"),
        f"{T}.credentials.access_key_secret_file",
        "is missing",
        id="a-role-with-half-a-key",
    ),
    pytest.param(
        with_credentials("{type: oidc_role_arn, role_arn: directmail-exporter}"),
        f"{T}.credentials.role_arn",
        "acs:ram::",
        id="a-role-by-its-name",
    ),
    pytest.param(
        with_credentials(f"{{type: oidc_role_arn, oidc_provider_arn: '{ROLE}'}}"),
        f"{T}.credentials.oidc_provider_arn",
        "oidc-provider/",
        id="a-role-for-a-provider",
    ),
    pytest.param(
        with_credentials("{type: oidc_role_arn, session_duration: 5m}"),
        f"{T}.credentials.session_duration",
        "write 15m to 12h",
        id="a-session-too-short",
    ),
    pytest.param(
        with_credentials("{type: oidc_role_arn, sts_endpoint: sts.example.com/path}"),
        f"{T}.credentials.sts_endpoint",
        "write a host such as",
        id="sts-with-a-path",
    ),
    pytest.param(
        with_credentials("{type: ecs_ram_role, sts_endpoint: sts.example.com}"),
        f"{T}.credentials.sts_endpoint",
        "does not apply to",
        id="sts-for-a-type-that-has-none",
    ),
    pytest.param(
        with_credentials("{type: credentials_uri, credentials_uri: 'localhost:9000'}"),
        f"{T}.credentials.credentials_uri",
        "write one such as http://",
        id="a-uri-without-http",
    ),
    pytest.param(
        with_credentials("{type: default, role_arn: x}"),
        f"{T}.credentials.role_arn",
        "does not apply to",
        id="role-too-many",
    ),
]


@pytest.mark.parametrize(("text", "place", "says"), BROKEN)
def test_a_mistake_names_its_place_and_its_fix(text: str, place: str, says: str) -> None:
    _, problems = loader.parse(text)
    assert any(problem.place == place and says in problem.text for problem in problems), problems


def test_there_are_enough_broken_files() -> None:
    assert len(BROKEN) >= 40


def test_all_mistakes_are_reported_together() -> None:
    text = """
poll_interval: 5
windows: [40d]
targets:
  - name: a
    region: mars
    credentials: {typ: default}
    queries:
      - name: q
        tag_name: x
        esp: aol.com
      - name: q
  - region: us-east-1
    page_size: 0
    queries: []
"""
    _, problems = loader.parse(text)
    assert {problem.place for problem in problems} == {
        "poll_interval",
        "windows[0]",
        "targets[0].region",
        "targets[0].credentials.typ",
        "targets[0].queries[0].tag_name",
        "targets[0].queries[0].esp",
        "targets[0].queries[1]",
        "targets[1].name",
        "targets[1].page_size",
        "targets[1].queries",
    }


@pytest.mark.parametrize("key", scalars.NOT_INLINE)
def test_a_secret_in_the_config_is_rejected_and_not_repeated(key: str) -> None:
    _, problems = loader.parse(with_credentials(f"{{{key}: Canary123}}"))
    (problem,) = [problem for problem in problems if problem.place.endswith(key)]
    assert f"write {key}_file" in problem.text
    assert not any("Canary123" in str(each) for each in problems)


def test_what_is_sound_is_there_beside_the_mistakes() -> None:
    sound, problems = loader.parse(f"{SOUND}  - name: other\n    region: mars\n    queries: [{{name: q}}]\n")
    assert sound is not None
    assert [each.name for each in sound.targets] == ["shop"]
    assert [problem.place for problem in problems] == ["targets[1].region"]


def test_defaults_are_those_of_the_contract() -> None:
    sound, problems = loader.parse(SOUND)
    assert problems == ()
    assert sound is not None
    assert (sound.poll_interval, sound.windows) == (None, ("today", "yesterday", "7d", "30d"))
    assert (sound.refresh.recent, sound.refresh.older) == (3600, 12 * 3600)
    assert (sound.stale_after, sound.state_file, sound.max_series, sound.reported_rates) == (None, None, 100_000, False)
    assert (sound.discovery_interval, sound.account_interval, sound.domains_interval) == (3600, None, None)
    (shop,) = sound.targets
    assert (shop.rate_limit_per_minute, shop.timeout, shop.page_size) == (30, 10, 100)
    assert shop.timezone == ZoneInfo("Asia/Shanghai")
    assert shop.credentials.type == "environment"
    assert shop.endpoint == "https://dm.us-east-1.aliyuncs.com"
    assert [query.statistics for query in shop.queries] == [("engagement",)]


@pytest.mark.parametrize(
    ("region", "vpc", "endpoint"),
    [
        ("cn-hangzhou", "false", "https://dm.aliyuncs.com"),
        ("cn-hangzhou", "true", "https://dm-vpc.cn-hangzhou.aliyuncs.com"),
        ("ap-southeast-1", "false", "https://dm.ap-southeast-1.aliyuncs.com"),
        ("eu-central-1", "true", "https://dm-vpc.eu-central-1.aliyuncs.com"),
    ],
)
def test_a_region_has_its_hosts(region: str, vpc: str, endpoint: str) -> None:
    sound, _ = loader.parse(SOUND.replace("region: us-east-1", f"region: {region}\n    vpc: {vpc}"))
    assert sound is not None
    assert sound.targets[0].endpoint == endpoint


@pytest.mark.parametrize(
    ("given", "endpoint"),
    [
        ("http://127.0.0.1:8025", "http://127.0.0.1:8025"),
        ("https://dm.example.com/", "https://dm.example.com"),
        ("http://[::1]:8025", "http://[::1]:8025"),
    ],
)
def test_an_endpoint_replaces_the_region(given: str, endpoint: str) -> None:
    sound, problems = loader.parse(SOUND.replace("region: us-east-1", f"endpoint: {given}"))
    assert problems == ()
    assert sound is not None
    assert sound.targets[0].endpoint == endpoint


def test_providers_are_sent_as_the_api_lists_them() -> None:
    sound, _ = loader.parse(query("esp: [Gmail.COM, Others]"))
    assert sound is not None
    assert sound.targets[0].queries[0].filters["esp"] == ("gmail.com", "others")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("1h30m", 5400), ("1d", 86_400), ("2w", 1_209_600), ("1500ms", 1.5), ("1y", 31_536_000)],
)
def test_durations_are_those_of_prometheus(text: str, seconds: float) -> None:
    assert durations.parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "m5", "1m1h", "-5m", "5 m", "1.5h", "٣m"])
def test_other_durations_are_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        durations.parse_duration(text)


def test_mistakes_within_and_beside_a_discovered_filter_are_reported_together() -> None:
    _, problems = loader.parse(query("account_name: {discover: true, limit: 0}\n        esp: aol.com"))
    assert {problem.place for problem in problems} == {f"{Q}.account_name.limit", f"{Q}.esp"}


def test_a_discovered_filter_is_frozen_with_its_expressions() -> None:
    options = "{discover: true, include: news.*, exclude: ['.*old'], limit: 3}"
    sound, problems = loader.parse(query(f"account_name: {options}\n        exclude: [{{account_name: unheard-of}}]"))
    assert problems == ()
    assert sound is not None
    (only,) = sound.targets[0].queries
    assert only.filters == {}
    assert [name for name in ("news", "newsold", "old", "anews") if only.discovered["account_name"].matches(name)] == [
        "news"
    ]
    assert only.discovered["account_name"].limit == 3
    assert sound.targets[0].discovered == ("account_name",)


def test_the_filters_that_can_be_discovered_are_those_that_some_operation_lists() -> None:
    """They do not import each other."""
    assert set(queries.DISCOVERABLE) == set(OPERATIONS)


METRICS = json.loads((ROOT / "docs/metrics.json").read_text(encoding="utf-8"))["metrics"]
LABELLED = [metric for metric in METRICS if not metric["name"].startswith("directmail_exporter_")]
"""The data and health series, which have a target's constant labels."""


@pytest.mark.parametrize("label", sorted({label for metric in LABELLED for label in metric["labels"]}))
def test_a_constant_label_never_replaces_a_label_of_a_series(label: str) -> None:
    _, problems = loader.parse(target(f"labels: {{{label}: x}}"))
    assert [problem.place for problem in problems] == [f"{T}.labels.{label}"]


def test_the_config_is_frozen() -> None:
    sound, _ = loader.parse(target("labels: {team: growth}"))
    assert sound is not None
    with pytest.raises(AttributeError):
        sound.max_series = 5  # type: ignore[misc]
    with pytest.raises(TypeError):
        sound.targets[0].labels["team"] = "other"  # type: ignore[index]


class TestFiles:
    def test_a_missing_file_is_reported_with_where_to_start(self, tmp_path: Path) -> None:
        _, (problem,) = loader.read(tmp_path / "none.yaml")
        assert "start from config.example.yaml" in problem.text

    def test_a_file_that_is_not_utf8_is_reported_with_the_byte(self, tmp_path: Path) -> None:
        path = tmp_path / "config.yaml"
        path.write_bytes(b"a: \xff")
        _, (problem,) = loader.read(path)
        assert problem.place == "byte 3"

    def test_a_secret_file_that_cannot_be_read_is_a_mistake(self, tmp_path: Path) -> None:
        path = tmp_path / "config.yaml"
        path.write_text(with_credentials("{access_key_id_file: /nowhere/id, access_key_secret_file: /nowhere/secret}"))
        _, problems = loader.read(path)
        assert [problem.place for problem in problems] == [
            f"{T}.credentials.access_key_id_file",
            f"{T}.credentials.access_key_secret_file",
        ]

    @pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir])
    def test_a_secret_file_that_is_none_is_a_mistake(self, make: Callable[[Path], None], tmp_path: Path) -> None:
        """To open a pipe would wait for a writer."""
        make(tmp_path / "id")
        (tmp_path / "secret").touch()
        files = f"access_key_id_file: {tmp_path / 'id'}, access_key_secret_file: {tmp_path / 'secret'}"
        (tmp_path / "config.yaml").write_text(with_credentials(f"{{{files}}}"))
        _, (problem,) = loader.read(tmp_path / "config.yaml")
        assert problem.place == f"{T}.credentials.access_key_id_file"
        assert "it is not a file" in problem.text


class TestExample:
    """`config.example.yaml` is documentation that loads."""

    def test_it_loads_and_its_plan_fits(self) -> None:
        sound, problems = loader.read(ROOT / "config.example.yaml")
        assert sound is not None
        assert (*problems, *validation.problems(sound)) == ()

    @pytest.mark.parametrize(
        "key",
        sorted(
            {
                key
                for model in (
                    schema.Top,
                    schema.Refresh,
                    schema.Target,
                    credentials.Credentials,
                    queries.Query,
                    queries.Discover,
                )
                for key in model.model_fields
            }
        ),
    )
    def test_it_shows_every_key(self, key: str) -> None:
        assert re.search(rf"\b{key}:", (ROOT / "config.example.yaml").read_text())

    def test_its_values_are_the_defaults(self) -> None:
        sound, _ = loader.read(ROOT / "config.example.yaml")
        plain, _ = loader.parse(SOUND)
        assert sound is not None
        assert plain is not None
        for field in (
            "poll_interval",
            "windows",
            "refresh",
            "stale_after",
            "state_file",
            "max_series",
            "discovery_interval",
            "account_interval",
            "domains_interval",
            "reported_rates",
        ):
            assert getattr(sound, field) == getattr(plain, field)
        for field in ("timezone", "rate_limit_per_minute", "timeout", "page_size", "credentials"):
            assert getattr(sound.targets[0], field) == getattr(plain.targets[0], field)


def test_the_configs_filters_are_the_clients() -> None:
    """They do not import each other."""
    assert Filters._fields == queries.FILTER_KEYS


@pytest.mark.parametrize(
    ("block", "options"),
    [
        pytest.param("{type: oidc_role_arn}", {}, id="rrsa-has-it-all-in-the-environment"),
        pytest.param(
            f"{{type: ram_role_arn, role_arn: '{ROLE}', external_id: x, session_duration: 1h30m}}",
            {"role_arn": ROLE, "external_id": "x", "session_duration": "5400"},
            id="a-role-of-another-account",
        ),
        pytest.param(
            "{type: oidc_role_arn, sts_endpoint: sts-vpc.ap-southeast-1.aliyuncs.com}",
            {"sts_endpoint": "https://sts-vpc.ap-southeast-1.aliyuncs.com"},
            id="sts-inside-a-vpc",
        ),
        pytest.param(
            "{type: oidc_role_arn, sts_endpoint: 'http://127.0.0.1:8080/'}",
            {"sts_endpoint": "http://127.0.0.1:8080"},
            id="sts-with-its-scheme",
        ),
        pytest.param(
            "{type: credentials_uri, credentials_uri: 'http://127.0.0.1:9000/credentials?a=b'}",
            {"credentials_uri": "http://127.0.0.1:9000/credentials?a=b"},
            id="a-uri",
        ),
    ],
)
def test_roles_are_accepted_as_written(block: str, options: dict[str, str]) -> None:
    sound, problems = loader.parse(with_credentials(block))
    assert problems == ()
    assert sound is not None
    assert dict(sound.targets[0].credentials.options) == options


def test_an_invalid_uri_is_not_repeated_since_it_may_contain_a_token() -> None:
    _, problems = loader.parse(with_credentials("{type: credentials_uri, credentials_uri: 'host/?token=Canary123'}"))
    assert len(problems) == 1
    assert "Canary123" not in str(problems[0])


@pytest.mark.parametrize("kind", credentials.TYPES)
def test_a_type_whose_package_is_missing_is_one_line_with_the_command(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs = {"ram_role_arn": f", role_arn: '{ROLE}'", "credentials_uri": ", credentials_uri: 'http://127.0.0.1:9'"}
    (tmp_path / "config.yaml").write_text(with_credentials(f"{{type: {kind}{needs.get(kind, '')}}}"))
    assert loader.read(tmp_path / "config.yaml")[1] == ()
    monkeypatch.setitem(sys.modules, "alibabacloud_credentials.client", None)
    (problem,) = loader.read(tmp_path / "config.yaml")[1]
    assert str(problem) == (
        f"{T}.credentials.type: {kind} needs alibabacloud-credentials. "
        "Install it: pip install alibabacloud-credentials."
    )


def test_the_types_that_may_be_written_are_those_that_exist() -> None:
    assert tuple(ram_credentials.TYPES) == credentials.TYPES
