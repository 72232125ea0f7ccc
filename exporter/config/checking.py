"""Documents held against their models: every mistake at once, each with its place and what to write instead."""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

Model = TypeVar("Model", bound="Schema")


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: where it stands and what to write instead."""

    place: str
    """Like `targets[0].queries[2].esp`, or `line 3, column 7` where the file is not YAML."""
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


class ConfigError(Exception):
    """A file of settings cannot be used; `problems` says why."""

    def __init__(self, source: str, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(f"{source}: {problem}" for problem in problems))
        self.source = source
        self.problems = problems


class Conflict(ValueError):
    """Two settings that do not go together; `key` is the one to blame."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


class Schema(BaseModel):
    """Settings as they are written: no key too many, no value of another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)

    examples: ClassVar[dict[str, str]] = {}
    """What to write for keys that are missing."""
    refused: ClassVar[dict[str, str]] = {}
    """Keys that look right and are not, and what to do instead."""
    secret: ClassVar[tuple[str, ...]] = ()
    """Keys whose values no message repeats."""

    @classmethod
    def conflicts(cls, item: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the keys, and why, that do not go together as given, whether or not their values are sound."""
        yield from ()


def check(
    model: type[Model], item: object, place: str, problems: list[Problem], children: tuple[str, ...] = ()
) -> Model | None:
    """Return the item as its model; add what is wrong with it to `problems`. `children` are checked elsewhere."""
    if isinstance(item, dict):
        item = {key: value for key, value in item.items() if key not in children}
        problems += [Problem(join(place, (key,)), text) for key, text in model.conflicts(item)]
    try:
        return model.model_validate(item)
    except ValidationError as error:
        problems += [_problem(model, place, detail, children) for detail in error.errors()]
        return None


def join(place: str, path: tuple[int | str, ...]) -> str:
    """Return `targets[0].queries[2].esp` for a place and a path below it."""
    steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return re.sub(r"^\.", "", place + steps)


def _problem(model: type[Schema], place: str, detail: ErrorDetails, children: tuple[str, ...]) -> Problem:
    where, value, kind = join(place, detail["loc"]), detail["input"], detail["type"]
    if kind == "extra_forbidden":
        key = str(detail["loc"][-1])
        if key in model.refused:
            return Problem(where, model.refused[key])
        known = [*_below(model, detail["loc"][:-1]).model_fields, *(children if len(detail["loc"]) == 1 else ())]
        close = difflib.get_close_matches(key, known, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"the keys here are {', '.join(sorted(known))}"
        return Problem(where, f"unknown key {key!r}; {hint}")
    if kind == "missing":
        return Problem(where, f"is missing; write {model.examples.get(str(detail['loc'][-1]), 'it')}")
    if kind == "value_error":
        error = detail["ctx"]["error"]
        return Problem(join(where, (error.key,)) if isinstance(error, Conflict) else where, str(error))
    if kind in ("model_type", "dict_type"):
        return Problem(where, "is not a block of settings; write its keys in lines of their own below it")
    shown = "the value" if any(step in model.secret for step in detail["loc"]) else repr(value)
    return Problem(where, f"{shown} is not right: {detail['msg'][0].lower()}{detail['msg'][1:]}")


def _below(model: type[Schema], path: tuple[int | str, ...]) -> type[Schema]:
    """Return the model that stands at `path` in a model."""
    for step in path:
        annotation = model.model_fields[str(step)].annotation
        model = next(each for each in (annotation, *get_args(annotation)) if isinstance(each, type))
    return model
