"""Strategies for hypothesis: config texts, valid and broken in many ways."""

import json
from pathlib import Path

import yaml
from hypothesis import strategies as st

_EXAMPLE = (Path(__file__).parents[2] / "config.example.yaml").read_text()
_LINES = [line for line in _EXAMPLE.splitlines() if line and not line.lstrip().startswith("#")]

SCALARS = (
    *(
        "",
        "~",
        "''",
        '""',
        "no",
        "yes",
        "007",
        "1.10",
        "12:30:45",
        "0x1F",
        "1_000",
        "-1",
        "0",
        ".nan",
        ".inf",
        "1.0e+999",
    ),
    *(
        "2026-04-22",
        "2026-13-45",
        "9" * 400,
        "9" * 5000,
        "9" * 400 + "s",
        "5min",
        "1h30m",
        "auto",
        "*",
        "'*'",
        "<<",
        "=",
        "@",
    ),
    *(
        '"\\ud83c\\udf89"',
        '"\\ud83c"',
        '"\\0"',
        '"\\x1b"',
        '"\\u2028"',
        '"\\ufeff"',
        "\N{BEER MUG}",
        "a\N{SOFT HYPHEN}b",
    ),
    *(
        "[]",
        "{}",
        "[[]]",
        "[~]",
        "[a, a]",
        "[5, no, 007]",
        "{a: b}",
        "&x [*x]",
        "*unknown",
        "!!set {a}",
        "!!binary x",
        "!x y",
    ),
    *("https://xn--a", "'https://a\\b'", "http://[::1", "https://h:99999", "https://u:p@h", "http://127.0.0.1:1"),
    *("/", "/dev/null", "/dev/full", "'/a\\0b'", "Asia/Shanghai", "../etc", "Europe", "us-east-1", "[us-east-1]"),
    *(
        "x" * 100_000,
        "{discover: true}",
        "{discover: true, include: '('}",
        "{discover: yes, limit: 007}",
        "today",
        "[7d, 8d]",
    ),
)
KEYS = (
    *("poll_interval", "windows", "refresh", "recent", "older", "stale_after", "state_file", "max_series", "targets"),
    *("discovery_interval", "reported_rates", "name", "region", "endpoint", "vpc", "timezone", "rate_limit_per_minute"),
    *(
        "timeout",
        "page_size",
        "labels",
        "credentials",
        "type",
        "access_key_id_file",
        "queries",
        "account_name",
        "tag_name",
    ),
    *(
        "esp",
        "domain",
        "dedicated_ip",
        "exclude",
        "statistics",
        "delivery",
        "discover",
        "include",
        "limit",
        "",
        "a b",
        "\n",
        "\N{BEER MUG}",
        "team",
    ),
)
VALUES = (
    *(
        "",
        "*",
        "news@mail.example.com",
        "promo",
        "gmail.com",
        "us-east-1",
        "5m",
        "1s",
        "today",
        "7d",
        "http://127.0.0.1:1",
    ),
    *("\0", "\ud83c", "\N{BEER MUG}", "a\nb", " a", "x" * 1000, None, True, 0, 1, -1, 2**70, 1e300, 0.1),
)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """Return the example config with some of its lines changed, lost, doubled or moved."""
    lines = list(_LINES)
    for _ in range(draw(st.integers(0, 4))):
        index = draw(st.integers(0, len(lines) - 1))
        line = lines[index]
        change = draw(st.sampled_from(["value", "value", "value", "cut", "double", "swap", "insert"]))
        if change == "value" and ": " in line:
            lines[index] = line.partition(": ")[0] + ": " + draw(st.sampled_from(SCALARS))
        elif change == "cut":
            del lines[index]
        elif change == "double":
            lines.insert(index, line)
        elif change == "swap":
            lines.insert(draw(st.integers(0, len(lines) - 1)), lines.pop(index))
        else:
            at = draw(st.integers(0, len(line)))
            lines[index] = line[:at] + draw(st.text(max_size=3)) + line[at:]
    return "\n".join(lines)


_leaves = st.sampled_from(VALUES) | st.text(max_size=5)
_trees = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


def _query(keys: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    some = st.sampled_from(["a@x.com", "b@x.com", "promo", "5", "gmail.com"])
    filters = st.fixed_dictionaries(
        {"name": st.sampled_from(["q", "r", "by-x"])},
        optional={
            "account_name": some | st.lists(some, max_size=3) | st.just({"discover": True}) | keys,
            "tag_name": some | st.lists(some, max_size=3) | st.just({"discover": True, "limit": 3}),
            "esp": st.sampled_from(["gmail.com", ["others", "Yahoo.com"], "aol.com"]),
            "domain": some | st.just({"discover": True}),
            "config_set_id": some,
            "exclude": keys | st.just([{"tag_name": "promo"}]),
            "statistics": st.sampled_from(["engagement", ["delivery"], ["delivery", "engagement"], ["opens"], []])
            | keys,
        },
    )
    return filters | keys


_targets = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["shop", "fair", "x-1", ""]),
        "endpoint": st.sampled_from(["http://127.0.0.1:1", "http://127.0.0.1:1", "https://x y"]),
        "queries": st.lists(_query(_leaves), max_size=3) | _trees,
    },
    optional={"labels": _trees, "timezone": _leaves, "page_size": _leaves, "timeout": _leaves, "vpc": _leaves},
)
generated = st.builds(
    lambda document, write: write(document),
    st.fixed_dictionaries(
        {"targets": st.lists(_targets, max_size=3) | _trees},
        optional=dict.fromkeys(("poll_interval", "windows", "refresh", "stale_after", "max_series"), _trees),
    )
    | _trees,
    st.sampled_from([json.dumps, lambda document: yaml.dump(document, allow_unicode=True)]),
)
"""Structures like a config's, or like nothing, as JSON and as YAML."""

texts = mutated() | generated | st.text()
