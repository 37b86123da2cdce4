"""
Where the values of a YAML document stand in its text, to the character.

ruamel's composer gives each node its exact place; it is slow (about 0.4 MB/s), so only the
documents that are edited come here. An alias stays an alias, with a place of its own.
"""

import re
from dataclasses import dataclass
from typing import Any, cast

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from shared.manifests.documents import YamlError
from shared.manifests.scalars import ScalarError, key_text, resolve

Step = str | int

_PROPERTIES = re.compile(r"(?:[&!][^\s]*\s+)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """
    A node and where its text stands.

    A scalar's text includes an anchor or tag before it: *content* is where the value starts.
    """

    node: Any
    start: int
    end: int
    in_flow: bool
    """Inside `{}` or `[]`, where fewer characters may stand unquoted."""
    key_end: int | None = None
    """Where its key ends, if it is the value of one."""

    @property
    def is_mapping(self) -> bool:
        """Whether it is a mapping."""
        return isinstance(self.node, MappingNode)

    @property
    def is_flow(self) -> bool:
        """Whether it is written with `{}` or `[]`."""
        return bool(getattr(self.node, "flow_style", False))

    @property
    def is_alias(self) -> bool:
        """Whether it is `*name`."""
        return isinstance(self.node, _Alias)

    @property
    def is_scalar(self) -> bool:
        """Whether it is a scalar."""
        return isinstance(self.node, ScalarNode)

    @property
    def style(self) -> str:
        """`'`, `"`, `|`, `>`, or empty for a plain scalar."""
        return getattr(self.node, "style", None) or ""

    @property
    def anchor(self) -> str | None:
        """The anchor, if it has one."""
        return getattr(self.node, "anchor", None)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is written at all, as in `key:`."""
        return self.is_scalar and self.start == self.end

    def content(self, text: str) -> int:
        """Return where the value starts, after anchor and tag; if empty, after its colon."""
        if self.is_empty and self.key_end is not None:
            # The parser puts it where the next token is, maybe lines below.
            return text.find(":", self.key_end) + 1
        if not (self.anchor or text[self.start : self.start + 1] == "!"):
            return self.start
        found = _PROPERTIES.match(text, self.start, self.end)
        return found.end() if found else self.end


class _Alias(Node):
    """Stands for `*name`; *target* is the node of the anchor."""

    __slots__ = ("target",)
    id = "alias"

    def __init__(self, target: Any, event: Any) -> None:
        super().__init__(None, None, event.start_mark, event.end_mark)
        self.target = target


class _PlacedComposer(Composer):
    """A composer that leaves aliases where they are."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Compose a node, an alias as an alias."""
        if not self.parser.check_event(AliasEvent):
            return super().compose_node(parent, index)
        event = self.parser.peek_event()
        return _Alias(super().compose_node(parent, index), event)


def compose(text: str) -> Place:
    """
    Find the places of the one document in *text*.

    Raises: YamlError where this parser does not accept what the other one has.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _PlacedComposer
    try:
        found = list(yaml.compose_all(text))
    except YAMLError as error:
        reason = " ".join(str(getattr(error, "problem", None) or error).split())
        raise YamlError(None, f"its places can't be found: {reason}") from error
    if len(found) != 1:
        raise YamlError(None, "its places can't be found: it is not exactly one document")
    return _place(found[0], in_flow=False)


def entries(mapping: Place) -> list[tuple[Place, Place]]:
    """Return keys and values of a mapping in their order, merges included."""
    in_flow = mapping.is_flow or mapping.in_flow
    return [
        (_place(key, in_flow=in_flow), _place(value, in_flow=in_flow, key=key))
        for key, value in mapping.node.value
    ]


def child(place: Place, step: Step) -> Place | None:
    """Return the value under a key or index; through aliases and merges, to the anchor."""
    place = target(place)
    node = place.node
    in_flow = place.is_flow or place.in_flow
    if isinstance(node, SequenceNode) and isinstance(step, int):
        return _place(node.value[step], in_flow=in_flow) if step < len(node.value) else None
    if not isinstance(node, MappingNode):
        return None
    found = [value for key, value in entries(place) if key_of(key) == step]
    return found[-1] if found else _merged(place, step)


def walk(place: Place, path: tuple[Step, ...]) -> Place | None:
    """Follow *path* from *place*."""
    at: Place | None = place
    for step in path:
        at = child(at, step) if at else None
    return at


def target(place: Place) -> Place:
    """Return what an alias stands for; anything else is itself."""
    return _place(place.node.target, in_flow=place.in_flow) if place.is_alias else place


def key_of(key: Place) -> str | None:
    """Return the name of a key as it is read."""
    node = target(key).node
    if not isinstance(node, ScalarNode):
        return None
    value = cast("str", node.value)
    try:
        return value if node.style else key_text(resolve(value))
    except ScalarError:
        return None


def _merged(mapping: Place, step: Step) -> Place | None:
    for key, value in entries(mapping):
        if key_of(key) == "<<" and not key.style:
            source = target(value)
            inner = source.node.value if isinstance(source.node, SequenceNode) else [source.node]
            for node in inner:
                found = child(_place(node, in_flow=source.in_flow), step)
                if found:
                    return found
    return None


def _place(node: Any, *, in_flow: bool, key: Any = None) -> Place:
    return Place(
        node=node,
        start=node.start_mark.index,
        end=node.end_mark.index,
        in_flow=in_flow,
        key_end=key.end_mark.index if key else None,
    )
