"""A YAML file as plain values, and the line of each of them."""

from dataclasses import dataclass
from typing import Any

import yaml

from shared.config.consistency import Keys

# libyaml's is ten times as fast; it is missing from some builds of PyYAML.
_Loader: Any = yaml.CSafeLoader if getattr(yaml, "__with_libyaml__", False) else yaml.SafeLoader


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What a file says, where, and what it says twice."""

    values: Any
    lines: dict[Keys, int]
    twice: dict[Keys, int]
    """By a key that is given again: the line in which it was given first."""

    def line(self, where: Keys) -> int:
        """Return the line of what stands at *where*, or else of what surrounds it."""
        surroundings = (where[:depth] for depth in range(len(where), -1, -1))
        return next((self.lines[keys] for keys in surroundings if keys in self.lines), 1)


class InvalidYamlError(Exception):
    """The text is no YAML that we can read."""

    def __init__(self, line: int | None, problem: str) -> None:
        super().__init__(problem)
        self.line = line


def parse(text: str) -> Document:
    """
    Return what *text* says.

    Raises:
        InvalidYamlError: it says nothing that can be read.
    """
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            places = _Places(node)
            values = None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error)
        raise InvalidYamlError(mark.line + 1 if mark else None, problem) from error
    except ValueError as error:  # what looks like a time, but is none: 2024-99-99
        raise InvalidYamlError(None, str(error)) from error
    return Document(values={} if values is None else values, lines=places.lines, twice=places.twice)


class _Places:
    """The lines of a node and of all below it."""

    def __init__(self, node: yaml.Node | None) -> None:
        self.lines: dict[Keys, int] = {}
        self.twice: dict[Keys, int] = {}
        if node is not None:
            self._walk(node, (), frozenset())

    def _walk(self, node: yaml.Node, where: Keys, above: frozenset[int]) -> None:
        line = node.start_mark.line + 1
        if id(node) in above:
            raise InvalidYamlError(line, "an anchor that contains itself")
        above |= {id(node)}
        self.lines.setdefault(where, line)
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode):
                    self._note(key, (*where, key.value))
                    self._walk(value, (*where, key.value), above)
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self._walk(item, (*where, index), above)

    def _note(self, key: yaml.ScalarNode, where: Keys) -> None:
        if where in self.lines and key.value != "<<":
            self.twice.setdefault(where, self.lines[where])
        self.lines[where] = key.start_mark.line + 1
