"""A query as written: values of some filters, given or to be discovered, and what to leave out of their product."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from math import prod
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from exporter.config.checking import Conflict, InvalidValue, Path, Problem, Schema, check, each, join, not_text, shown
from exporter.config.scalars import Flag, Name, Pattern, several, text, whole
from exporter.directmail.model import Filters
from exporter.directmail.statistics.registry import DEFAULT, STATISTICS

FILTER_KEYS = Filters._fields
DISCOVERABLE = tuple(key for key in FILTER_KEYS if key != "esp")
"""The filters whose values the API can list."""
ESPS = ("gmail.com", "yahoo.com", "outlook.com", "icloud.com", "others")
"""The mailbox providers that the API can filter by (GetTrackList's documentation)."""

MOST_COMBINATIONS = 1_000_000
"""What the lists of a config may multiply to; `max_series` cannot be set to allow more."""


class Discover(Schema):
    """Values of a filter that the API lists and that match."""

    examples: ClassVar[dict[str, str]] = {"discover": "discover: true"}

    discover: Flag
    include: tuple[Pattern, ...] = ()
    exclude: tuple[Pattern, ...] = ()
    limit: Annotated[int, whole(1, 100_000)] = 200

    @field_validator("discover", mode="after")
    @classmethod
    def _true(cls, value: bool) -> bool:
        if not value:
            raise ValueError("false is not valid; write discover: true, or list the values")
        return value

    @field_validator("include", "exclude", mode="before")
    @classmethod
    def _some(cls, value: object) -> tuple[object, ...]:
        items = value if isinstance(value, list) else [value]
        if not items:
            raise ValueError("[] is an empty list; write at least one regular expression, or leave the key out")
        return tuple(items)


def _value(value: object) -> str:
    if value == "*":
        raise InvalidValue(
            value, "is not a value; write {discover: true} for all that the API lists, each with its own series"
        )
    return text(value)


def _choice(value: object) -> object:
    return value if isinstance(value, Discover) else several(value, _value)


def _esp(value: object) -> str:
    if isinstance(value, str) and value.lower() in ESPS:
        return value.lower()
    raise InvalidValue(value, f"is not a mailbox provider of Direct Mail; write one of {', '.join(ESPS)}")


def _esps(value: object) -> tuple[str, ...]:
    if isinstance(value, dict):
        raise ValueError(f"cannot be discovered; write some of {', '.join(ESPS)}")
    return several(value, _esp)


def _excluded(entry: object) -> dict[str, str]:
    if not isinstance(entry, dict) or not entry:
        raise InvalidValue(entry, "is empty; write a list such as [{tag_name: promo}]")
    return dict(each(((key, (key, item)) for key, item in entry.items()), _excluded_value))


def _excluded_value(pair: tuple[str, object]) -> tuple[str, str]:
    key, value = pair
    if key not in FILTER_KEYS:
        raise InvalidValue(key, f"is not a filter; use {', '.join(FILTER_KEYS)}")
    if not isinstance(value, str):
        raise not_text(value)
    return key, value.lower() if key == "esp" else value


def _excluded_in_vain(item: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """Yield values, with their paths, that a query as it is written excludes and does not have."""
    lists = {key: [given] if isinstance(given := item.get(key, []), str) else given for key in FILTER_KEYS}
    known = {
        key: {value.lower() if key == "esp" else value for value in given if isinstance(value, str)}
        for key, given in lists.items()
        if isinstance(given, list)
    }
    entries = item.get("exclude")
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        for key, value in entry.items() if isinstance(entry, dict) else ():
            if key in known and isinstance(value, str):
                excluded = value.lower() if key == "esp" else value
                if excluded not in known[key]:
                    yield ("exclude", index, key), excluded


def _statistic(value: object) -> str:
    if isinstance(value, str) and value in STATISTICS:
        return value
    raise InvalidValue(value, f"is not a statistic; write one or more of {', '.join(STATISTICS)}")


def _statistics(value: object) -> tuple[str, ...]:
    return several(value, _statistic)


Choice = Annotated[tuple[str, ...] | Discover, BeforeValidator(_choice)]


class Query(Schema):
    """A query whose discovered filters are models already; `checked` makes it from what is written."""

    examples: ClassVar[dict[str, str]] = {"name": "a name such as `name: by_sender`"}

    name: Name
    account_name: Choice | None = None
    tag_name: Choice | None = None
    domain: Choice | None = None
    esp: Annotated[tuple[str, ...], BeforeValidator(_esps)] | None = None
    dedicated_ip: Choice | None = None
    dedicated_ip_pool_id: Choice | None = None
    config_set_id: Choice | None = None
    exclude: list[dict[str, str]] = Field(default_factory=list)
    statistics: Annotated[tuple[str, ...], BeforeValidator(_statistics)] = DEFAULT

    @field_validator("exclude", mode="before")
    @classmethod
    def _plain_entries(cls, value: object) -> object:
        if not isinstance(value, list):
            raise InvalidValue(value, "is not a list; write one such as [{tag_name: promo}]")
        return list(each(enumerate(value), _excluded))

    @classmethod
    def conflicts(cls, item: dict[str, Any]) -> Iterator[tuple[str | Path, str]]:
        if "tag_name" in item and "account_name" not in item:
            given = "discovery" if isinstance(item["tag_name"], Discover) else shown(item["tag_name"])
            text = "needs account_name, as the API reports tags per sender only; add account_name"
            yield "tag_name", f"{given} {text}"
        written = item.get("statistics", DEFAULT)
        named = written if isinstance(written, list | tuple) else [written]
        for name in dict.fromkeys(name for name in named if isinstance(name, str) and name in STATISTICS):
            for key in (key for key in FILTER_KEYS if key in item and key not in STATISTICS[name].parameters):
                fix = f"remove it, or remove {name} from this query's statistics"
                yield key, f"is not a filter of the statistic {name}; {fix}"
        for path, value in _excluded_in_vain(item):
            yield path, f"{shown(value)} is not a value of the query; remove or correct it"

    @model_validator(mode="after")
    def _sound_matrix(self) -> Self:
        filters, discovered = self.filters, self.discovered
        if (size := prod(map(len, filters.values()))) > MOST_COMBINATIONS:
            raise ValueError(f"its lists multiply to {size} combinations; write fewer values")
        if self.exclude and not discovered and all(is_excluded(row, self.exclude) for row in rows(filters)):
            raise Conflict(
                "exclude", "excludes every combination of the query; remove some of its entries, or the query"
            )
        return self

    @property
    def filters(self) -> dict[str, tuple[str, ...]]:
        """The filters whose values are given."""
        return {key: given for key in FILTER_KEYS if isinstance(given := getattr(self, key), tuple)}

    @property
    def discovered(self) -> dict[str, Discover]:
        """The filters whose values the API is to list."""
        return {key: given for key in FILTER_KEYS if isinstance(given := getattr(self, key), Discover)}


def rows(filters: Mapping[str, Sequence[str]]) -> Iterator[dict[str, str]]:
    """Yield the lists multiplied, in their order."""
    return (dict(zip(filters, values, strict=True)) for values in product(*filters.values()))


def is_excluded(row: Mapping[str, str], exclude: Iterable[Mapping[str, str]]) -> bool:
    """Return whether an entry of `exclude` matches these filters."""
    return any(all(row.get(key) == value for key, value in entry.items()) for entry in exclude)


def checked(item: object, place: str, problems: list[Problem]) -> Query | None:
    """Return the query, None where it is invalid; add its problems to `problems`."""
    blocks = (
        {key: item[key] for key in DISCOVERABLE if isinstance(item.get(key), dict)} if isinstance(item, dict) else {}
    )
    models = {key: check(Discover, block, join(place, (key,)), problems) for key, block in blocks.items()}
    # A mistake within a block must not hide one beside it.
    placeholder = Discover(discover=True)
    found = check(
        Query,
        {**item, **{key: model or placeholder for key, model in models.items()}} if isinstance(item, dict) else item,
        place,
        problems,
        source=item,
    )
    is_sound = None not in models.values() and not (isinstance(item, dict) and any(_excluded_in_vain(item)))
    return found if is_sound else None
