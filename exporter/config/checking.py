"""Checks documents against their models: every mistake at once, each with its place and what to write instead."""

import difflib
import re
import reprlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator
from pydantic_core import ErrorDetails

Model = TypeVar("Model", bound="Schema")
Item = TypeVar("Item")
Path = tuple[int | str, ...]
"""The keys and indexes that lead to a value in a document."""

MOST_PROBLEMS = 50
"""How many problems of a file are reported; beyond that, their number."""
NO_VALUE = "has no value; write one, or leave it out"
LONGEST_SHOWN = 80
"""Characters of a value that a message repeats, about."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: where it is and what to write instead."""

    place: str
    """Like `targets[0].queries[2].esp`, or `line 3, column 7` where the file is not YAML."""
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


class ConfigError(Exception):
    """A settings file is invalid; `problems` lists why."""

    def __init__(self, source: str, problems: tuple[Problem, ...]) -> None:
        if (rest := len(problems) - MOST_PROBLEMS) > 0:
            problems = (*problems[:MOST_PROBLEMS], Problem("file", f"has {rest} more mistakes"))
        super().__init__("\n".join(f"{source}: {problem}" for problem in problems))
        self.source = source
        self.problems = problems


class InvalidValue(ValueError):
    """A value that cannot be used: why, and what to write instead. `{}` in the text is the value, unquoted."""

    def __init__(self, value: object, why: str, at: Path = ()) -> None:
        super().__init__(f"{shown(value)} {_filled(why, shown(value))}")
        self.value = value
        self.why = why
        self.at = at

    def message(self, written: str | None) -> str:
        """Return the message; `written` is the source of a value that is not text."""
        if self.value is None:
            return NO_VALUE
        if written is None or isinstance(self.value, str):  # a text here is the key of the source
            return str(self)
        return f"{_cut(written)} {_filled(self.why, _cut(written))}"


class InvalidValues(ValueError):
    """Several of them, each at its place below the value that is checked."""

    def __init__(self, wrongs: Iterable[InvalidValue]) -> None:
        self.wrongs = tuple(wrongs)
        super().__init__("; ".join(map(str, self.wrongs)))


class Conflict(ValueError):
    """Two settings that do not go together; `key` is the one to blame."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


class Schema(BaseModel):
    """Settings as written: no unknown key, no value of a wrong type, no key without a value."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)

    examples: ClassVar[dict[str, str]] = {}
    """What to write for keys that are missing."""
    rejected: ClassVar[dict[str, str]] = {}
    """Keys that look right and are not, and what to do instead."""
    secret: ClassVar[tuple[str, ...]] = ()
    """Keys whose values no message repeats."""

    @field_validator("*", mode="before")
    @classmethod
    def _has_a_value(cls, value: object) -> object:
        """Reject null: an empty variable of a template must not mean "all" or "off"."""
        if value is None:
            raise not_text(None)
        return value

    @classmethod
    def conflicts(cls, item: dict[str, Any]) -> Iterator[tuple[str | Path, str]]:
        """Yield keys or paths, and why, that do not go together as given, whether or not their values are sound."""
        yield from ()


def not_text(value: object) -> InvalidValue:
    """Return what is wrong with a value that should be text."""
    if isinstance(value, dict | list):
        return InvalidValue(value, "is not a single value; write it without brackets and keys")
    return InvalidValue(value, "is not text; quote it: '{}'")


def each(values: Iterable[tuple[int | str, object]], check: Callable[[Any], Item]) -> tuple[Item, ...]:
    """Return values as `check` makes them. Raise InvalidValues with all that it rejects, each at its index or key."""
    sound, wrongs = [], []
    for step, value in values:
        try:
            sound.append(check(value))
        except InvalidValue as wrong:
            wrongs.append(InvalidValue(wrong.value, wrong.why, (step, *wrong.at)))
        except InvalidValues as several:
            wrongs += [InvalidValue(wrong.value, wrong.why, (step, *wrong.at)) for wrong in several.wrongs]
    if wrongs:
        raise InvalidValues(wrongs)
    return tuple(sound)


def check(
    model: type[Model],
    item: object,
    place: str,
    problems: list[Problem],
    children: tuple[str, ...] = (),
    *,
    source: object = None,
) -> Model | None:
    """Return the item as its model; add what is wrong with it to `problems`.

    `children` are checked elsewhere. `source` is the item as it was read, where some of its values have been replaced.
    """
    read = item if source is None else source
    if isinstance(item, dict):
        item = {key: value for key, value in item.items() if key not in children}
        problems += [
            Problem(join(place, at if isinstance(at, tuple) else (at,)), text) for at, text in model.conflicts(item)
        ]
    try:
        return model.model_validate(item)
    except ValidationError as error:
        for detail in error.errors():
            problems += _problems(model, place, detail, children, read)
        return None


def join(place: str, path: Path) -> str:
    """Return `targets[0].queries[2].esp` for a place and a path below it."""
    steps = "".join(
        f".{step}" if isinstance(step, str) and re.fullmatch(r"[\w-]{1,60}", step) else f"[{shown(step)}]"
        for step in path
    )
    return re.sub(r"^\.", "", place + steps)


def shown(value: object) -> str:
    """Return a value as a message repeats it: a text in quotes, whatever is long or deep cut short."""
    return _Shown().repr(value)


class _Shown(reprlib.Repr):
    """Bounded whatever the value: aliases can make a few lines of YAML an endless structure."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 2
        self.maxlist = self.maxdict = 3
        self.maxstring = self.maxother = LONGEST_SHOWN

    def repr1(self, x: Any, level: int) -> str:
        if isinstance(x, dict):
            return self.repr_dict(x, level)
        return self.repr_list(x, level) if isinstance(x, list) else super().repr1(x, level)


def _filled(why: str, value: str) -> str:
    return why.replace("{}", value.strip("'"))


def _cut(text: str) -> str:
    half = LONGEST_SHOWN // 2
    return text if len(text) <= LONGEST_SHOWN else f"{text[:half]}...{text[-half:]}"


def _problems(
    model: type[Schema], place: str, detail: ErrorDetails, children: tuple[str, ...], read: object
) -> Iterator[Problem]:
    path, kind = detail["loc"], detail["type"]
    error: object = detail.get("ctx", {}).get("error")
    is_secret = any(step in model.secret for step in path)
    if kind == "extra_forbidden":
        yield Problem(join(place, path), _unknown(model, path, children))
    elif kind == "missing":
        yield Problem(join(place, path), f"is missing; write {model.examples.get(str(path[-1]), 'it')}")
    elif isinstance(error, InvalidValues):
        yield from (_wrong(place, path, wrong, read, is_secret=is_secret) for wrong in error.wrongs)
    elif isinstance(error, InvalidValue) and error.value is None:
        example = model.examples.get(str(path[-1]) if path else "")
        yield Problem(join(place, path), f"has no value; write {example}" if example else NO_VALUE)
    elif isinstance(error, InvalidValue):
        yield _wrong(place, path, error, read, is_secret=is_secret)
    elif kind == "value_error":
        at = (error.key,) if isinstance(error, Conflict) else ()
        yield Problem(join(place, (*path, *at)), str(error))
    elif kind in ("model_type", "dict_type"):
        text = "is not a block of settings; write its keys in lines of their own below it"
        yield Problem(join(place, path), text)
    elif kind == "string_type":
        yield _wrong(place, path, not_text(detail["input"]), read, is_secret=is_secret)
    else:
        why = f"is invalid: {detail['msg'][0].lower()}{detail['msg'][1:]}"
        yield _wrong(place, path, InvalidValue(detail["input"], why), read, is_secret=is_secret)


def _wrong(place: str, path: Path, wrong: InvalidValue, read: object, *, is_secret: bool) -> Problem:
    where, written = _found(read, (*path, *wrong.at))
    if is_secret and wrong.value is not None:
        return Problem(join(place, where), f"the value {wrong.why.partition(':')[0]}")
    return Problem(join(place, where), wrong.message(written))


def _found(read: object, path: Path) -> tuple[Path, str | None]:
    """Return how far a path leads in what was read, and the source of what is there, unless that is a text.

    It ends early where a single value is written for a list of one.
    """
    found: Path = ()
    written = None
    for step in path:
        if not isinstance(read, dict | list) or (isinstance(read, dict) and isinstance(step, int)):
            return found, written
        held: dict[Any, Any] = read if isinstance(read, dict) else dict(enumerate(read))
        if step not in held:
            return path, None
        read, written = held[step], getattr(read, "written", {}).get(step)
        found += (step,)
    return found, written


def _unknown(model: type[Schema], path: Path, children: tuple[str, ...]) -> str:
    key = str(path[-1])
    if key in model.rejected:
        return model.rejected[key]
    known = [*_below(model, path[:-1]).model_fields, *(children if len(path) == 1 else ())]
    close = difflib.get_close_matches(key[:LONGEST_SHOWN], known, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"the keys here are {', '.join(sorted(known))}"
    return f"unknown key {shown(key)}; {hint}"


def _below(model: type[Schema], path: Path) -> type[Schema]:
    """Return the model at `path` in a model."""
    for step in path:
        annotation = model.model_fields[str(step)].annotation
        model = next(each for each in (annotation, *get_args(annotation)) if isinstance(each, type))
    return model
