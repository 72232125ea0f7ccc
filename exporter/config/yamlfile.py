"""YAML as it is read here: safe types, text keys, each key once, mistakes with line and column."""

import re
from typing import Any

import yaml


class NotYaml(Exception):
    """The text is no YAML that we take; `place` has line and column."""

    def __init__(self, mark: yaml.Mark | None, text: str) -> None:
        super().__init__(text)
        self.place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "file"
        self.text = text


class _Loader(yaml.SafeLoader):
    """YAML's safe types, keys at most once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[Any, yaml.Mark] = {}
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise NotYaml(key_node.start_mark, f"the key {key!r} is not text; quote it")
            if key in seen:
                text = f"the key {key!r} stands twice, first in line {seen[key].line + 1}; remove one of them"
                raise NotYaml(key_node.start_mark, text)
            seen[key] = key_node.start_mark
        return super().construct_mapping(node, deep)


def load(text: str) -> object:
    """Return the document. Raise NotYaml where it is none, or has a key twice."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506  a subclass of the safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # A password that begins with * or ! is read as an alias or a tag, and would be told by its name.
        why = re.sub(r"\b(alias|tag) '.*", r"\1", error.problem or error.context or "")
        raise NotYaml(mark, f"not valid YAML: {why}; check indentation, colons and quotes") from None
    except yaml.YAMLError as error:
        raise NotYaml(None, f"not valid YAML: {str(error).splitlines()[0]}") from None
    except (ValueError, RecursionError) as error:  # an impossible date such as 2026-13-45, or absurd nesting
        raise NotYaml(None, f"not valid YAML: {error}; quote values that are not dates") from None
