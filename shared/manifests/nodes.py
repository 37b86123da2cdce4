"""
Where the values of a YAML document stand in its text, to the character.

From the events of the same parser that reads the values, so that both agree on what is YAML. An
alias stays an alias, with a place of its own.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml
from yaml.cyaml import CParser  # type: ignore[attr-defined] # the stubs do not re-export it

from shared.manifests.documents import YamlError
from shared.manifests.scalars import ScalarError, key_text, resolve

Step = str | int
Kind = Literal["scalar", "mapping", "sequence", "alias"]
_KINDS: dict[type, Kind] = {
    yaml.ScalarEvent: "scalar",
    yaml.MappingStartEvent: "mapping",
    yaml.SequenceStartEvent: "sequence",
    yaml.AliasEvent: "alias",
}

_PROPERTIES = re.compile(r"(?:[&!][^\s]*\s+)+")


@dataclass(slots=True, kw_only=True, eq=False)
class Node:
    """A value as it is written; *end* of a block is where the next thing starts."""

    kind: Kind
    start: int
    end: int
    flow: bool = False
    style: str = ""
    anchor: str | None = None
    text: str = ""
    """Of a scalar, as it is read."""
    items: list["Node"] = field(default_factory=list)
    """Of a sequence."""
    pairs: list[tuple["Node", "Node"]] = field(default_factory=list)
    """Of a mapping."""
    target: "Node | None" = None
    """Of an alias: what it stands for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """
    A node and where its text stands.

    A scalar's text includes an anchor or tag before it: *content* is where the value starts.
    """

    node: Node
    start: int
    end: int
    in_flow: bool
    """Inside `{}` or `[]`, where fewer characters may stand unquoted."""
    key_end: int | None = None
    """Where its key ends, if it is the value of one."""

    @property
    def is_mapping(self) -> bool:
        """Whether it is a mapping."""
        return self.node.kind == "mapping"

    @property
    def is_flow(self) -> bool:
        """Whether it is written with `{}` or `[]`."""
        return self.node.flow

    @property
    def is_alias(self) -> bool:
        """Whether it is `*name`."""
        return self.node.kind == "alias"

    @property
    def is_scalar(self) -> bool:
        """Whether it is a scalar."""
        return self.node.kind == "scalar"

    @property
    def style(self) -> str:
        """`'`, `"`, `|`, `>`, or empty for a plain scalar."""
        return self.node.style

    @property
    def anchor(self) -> str | None:
        """The anchor, if it has one."""
        return self.node.anchor

    @property
    def is_empty(self) -> bool:
        """Whether nothing is written at all, as in `key:`."""
        return self.is_scalar and self.start == self.end

    @property
    def is_null(self) -> bool:
        """Whether it says null, by a word or by nothing."""
        return self.is_scalar and not self.style and resolve(self.node.text) is None

    def content(self, text: str) -> int:
        """Return where the value starts, after anchor and tag; if empty, after its colon."""
        if self.is_empty and self.key_end is not None:
            # The parser puts it where the next token is, maybe lines below.
            return text.find(":", self.key_end) + 1
        if not (self.anchor or text[self.start : self.start + 1] == "!"):
            return self.start
        found = _PROPERTIES.match(text, self.start, self.end)
        return found.end() if found else self.end


def compose(text: str) -> Place:
    """
    Find the places of the one document in *text*.

    Raises: YamlError where it can't be read by itself.
    """
    parser = CParser(text)
    try:
        found = _Composer(parser).documents()
    except yaml.YAMLError as error:
        raise YamlError(None, f"its places can't be found: {error}") from error
    finally:
        parser.dispose()
    if len(found) != 1:
        raise YamlError(None, "its places can't be found: it is not exactly one document")
    return _place(found[0], in_flow=False)


class _Composer:
    """Makes nodes of events. What it is given was read before: depth and aliases are in order."""

    def __init__(self, parser: CParser) -> None:
        self._parser = parser
        self._anchors: dict[str, Node] = {}

    def documents(self) -> list[Node]:
        found = []
        while (event := self._next()) is not None:
            if type(event) is yaml.DocumentStartEvent:
                self._anchors = {}
                found.append(self._node(self._next()))
        return found

    def _next(self) -> Any:
        return self._parser.get_event()

    def _node(self, event: Any) -> Node:
        kind = _KINDS[type(event)]
        start, end = event.start_mark.index, event.end_mark.index
        if kind == "alias":
            return Node(kind=kind, start=start, end=end, target=self._anchors[event.anchor])
        node = Node(kind=kind, start=start, end=end, anchor=event.anchor)
        if event.anchor:
            self._anchors[event.anchor] = node
        if kind == "scalar":
            node.text, node.style = event.value, event.style or ""
        else:
            node.flow = bool(event.flow_style)
            self._fill(node)
        return node

    def _fill(self, node: Node) -> None:
        while type(event := self._next()) in _KINDS:
            one = self._node(event)
            if node.kind == "sequence":
                node.items.append(one)
            else:
                node.pairs.append((one, self._node(self._next())))
        node.end = event.end_mark.index


def entries(mapping: Place) -> list[tuple[Place, Place]]:
    """Return keys and values of a mapping in their order, merges included."""
    in_flow = mapping.is_flow or mapping.in_flow
    return [
        (_place(key, in_flow=in_flow), _place(value, in_flow=in_flow, key=key))
        for key, value in mapping.node.pairs
    ]


def child(place: Place, step: Step) -> Place | None:
    """Return the value under a key or index; through aliases and merges, to the anchor."""
    place = target(place)
    node = place.node
    in_flow = place.is_flow or place.in_flow
    if node.kind == "sequence" and isinstance(step, int):
        return _place(node.items[step], in_flow=in_flow) if step < len(node.items) else None
    if node.kind != "mapping":
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
    found = place.node.target
    return _place(found, in_flow=place.in_flow) if found else place


def key_of(key: Place) -> str | None:
    """Return the name of a key as it is read."""
    node = target(key).node
    if node.kind != "scalar":
        return None
    try:
        return node.text if node.style else key_text(resolve(node.text))
    except ScalarError:
        return None


def _merged(mapping: Place, step: Step) -> Place | None:
    for key, value in entries(mapping):
        if key_of(key) == "<<" and not key.style:
            source = target(value)
            for node in source.node.items if source.node.kind == "sequence" else [source.node]:
                found = child(_place(node, in_flow=source.in_flow), step)
                if found:
                    return found
    return None


def _place(node: Node, *, in_flow: bool, key: Node | None = None) -> Place:
    return Place(
        node=node,
        start=node.start,
        end=node.end,
        in_flow=in_flow,
        key_end=key.end if key else None,
    )
