"""Reads YAML strictly: safe types, text keys, each key once, mistakes with line and column.

Values other than text keep their source, so that messages can repeat them as written.
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml
from yaml.reader import Reader

_PLAIN_NUMBER = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)(?:\.[0-9_]*(?:[eE][-+][0-9]+)?)?", re.ASCII)
"""Unambiguous numbers: no octal 0100, no sexagesimal 1:40."""
_ODD = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What PyYAML's constructors raise for a text that does not fit its tag."""


class NotYaml(Exception):
    """The text is not valid YAML; `place` has line and column."""

    def __init__(self, mark: yaml.Mark | None, text: str) -> None:
        super().__init__(text)
        self.place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "file"
        self.text = text


class Block(dict[str, Any]):
    """A mapping."""

    written: dict[str, str]
    """The source of unquoted values that YAML does not read as text, such as 007 and no."""


class Items(list[Any]):
    """A sequence."""

    written: dict[int, str]
    """As in a Block, by index."""


class Unclear:
    """A number with an unexpected meaning in YAML 1.1; no setting accepts it."""

    def __init__(self, source: str) -> None:
        self._source = source

    def __repr__(self) -> str:
        return self._source


class _Loader(yaml.SafeLoader):
    """YAML's safe types, keys at most once."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except _ODD:  # the value is not repeated: it may be a password
            text = f"is not a valid {node.tag.rpartition(':')[2]}; quote it"
            raise NotYaml(node.start_mark, text) from None

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        """Return the text; a character that JSON writes as two escapes is one."""
        text = super().construct_scalar(node)
        if not isinstance(text, str) or not Reader.NON_PRINTABLE.search(text):
            return text
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
        if odd := Reader.NON_PRINTABLE.search(text):
            raise NotYaml(node.start_mark, _not_text(odd[0]))
        return text

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[Any, yaml.Mark] = {}
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                what = f"{key_node.value[:40]} " if isinstance(key_node, yaml.ScalarNode) else ""
                raise NotYaml(key_node.start_mark, f"the key {what}is not text; quote it")
            if key in seen:
                text = f"the key {key!r} is set twice, first in line {seen[key].line + 1}; remove one of them"
                raise NotYaml(key_node.start_mark, text)
            seen[key] = key_node.start_mark
        return super().construct_mapping(node, deep)

    def block(self, node: yaml.MappingNode) -> Iterator[Block]:
        block = Block()
        yield block
        block.update(self.construct_mapping(node))
        block.written = {key.value: value.value for key, value in node.value if _is_no_text(value)}

    def items(self, node: yaml.SequenceNode) -> Iterator[Items]:
        items = Items()
        yield items
        items.extend(self.construct_sequence(node))
        items.written = {index: value.value for index, value in enumerate(node.value) if _is_no_text(value)}

    def number(self, node: yaml.ScalarNode) -> object:
        if not _PLAIN_NUMBER.fullmatch(node.value):
            return Unclear(node.value)
        is_whole = node.tag == "tag:yaml.org,2002:int"
        return self.construct_yaml_int(node) if is_whole else self.construct_yaml_float(node)


_Loader.add_constructor("tag:yaml.org,2002:map", _Loader.block)
_Loader.add_constructor("tag:yaml.org,2002:seq", _Loader.items)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.number)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.number)


def load(text: str) -> object:
    """Return the document: Blocks, Items and scalars. Raise NotYaml where it is none, or has a key twice."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506  a subclass of the safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # A password that begins with * or ! is read as an alias or a tag, and would be reported by its name.
        why = re.sub(r"\b(alias|tag) '.*", r"\1", error.problem or error.context or "")
        raise NotYaml(mark, f"not valid YAML: {why}; check indentation, colons and quotes") from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        mark = yaml.Mark("", 0, before.count("\n"), len(before.rpartition("\n")[2]), None, 0)
        raise NotYaml(mark, _not_text(chr(error.character))) from None
    except RecursionError:
        raise NotYaml(None, "is nested too deeply") from None


def _is_no_text(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.style is None and node.tag != "tag:yaml.org,2002:str"


def _not_text(character: str) -> str:
    is_half = "\ud800" <= character <= "\udfff"
    return f"has {character!a} in it, {'half of a character' if is_half else 'which is not text'}; remove it"
