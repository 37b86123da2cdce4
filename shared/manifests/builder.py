"""
The value of one YAML document, built from libyaml's events.

From events and not from nodes, for three reasons: it is several times as fast; nesting is
counted before it hurts (libyaml's composer recurses in C, and some ten thousand open
sequences end the process); and the cost of aliases is known before they are expanded.
"""

from typing import Any

import yaml
from yaml.cyaml import CParser  # type: ignore[attr-defined] # the stubs do not re-export it

from shared.manifests.scalars import ScalarError, key_text, resolve, resolve_tagged

MAX_DEPTH = 200
"""The deepest schemas of custom resources stay below 100."""
MAX_EXPANDED = 200_000
"""Values that aliases may add to a document."""

_MERGE_TAG = "tag:yaml.org,2002:merge"
_MERGE = object()
_NO_KEY = object()
_OPEN = object()


class YamlError(ValueError):
    """The text can't be read; *line* counts from 1."""

    def __init__(self, line: int | None, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


class _Frame:
    """A mapping or sequence that is still open."""

    __slots__ = ("anchor", "before", "height", "key", "merged", "value")

    def __init__(self, value: dict[str, Any] | list[Any], anchor: str | None, before: int) -> None:
        self.value = value
        self.anchor = anchor
        self.before = before  # values counted when it was opened
        self.key: Any = _NO_KEY
        self.merged: set[str] | None = None  # keys that only a merge has set
        self.height = 1  # levels inside it, itself included


class Builder:
    """Builds the value of one document."""

    def __init__(self, parser: CParser) -> None:
        self.parser = parser
        self.lines: dict[int, int] = {}
        self.first_line = 0
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[Any, int, int]] = {}  # value, how many, how deep
        self._count = 0
        self._expanded = 0
        self._root: Any = None

    def document(self) -> Any:
        """Consume events up to the end of the document."""
        handlers = {
            yaml.ScalarEvent: self._scalar,
            yaml.MappingStartEvent: self._open,
            yaml.SequenceStartEvent: self._open,
            yaml.MappingEndEvent: self._close,
            yaml.SequenceEndEvent: self._close,
            yaml.AliasEvent: self._alias,
        }
        while True:
            event: Any = self.parser.get_event()
            handler = handlers.get(type(event))
            if handler is None:  # the end of the document
                return self._root
            if not self.first_line:
                self.first_line = event.start_mark.line + 1
            handler(event)

    def _scalar(self, event: Any) -> None:
        plain, quoted = event.implicit
        merges = event.value == "<<" and (plain or event.tag == _MERGE_TAG)
        if merges and self._expects_key():
            self._stack[-1].key = _MERGE
            return
        try:
            if plain:
                value = resolve(event.value)
            elif quoted:
                value = event.value
            else:
                value = resolve_tagged(event.tag, event.value)
        except ScalarError as error:
            raise YamlError(event.start_mark.line + 1, str(error)) from error
        self._count += 1
        if event.anchor:
            self._anchors[event.anchor] = (value, 1, 0)
        self._put(value, event)

    def _open(self, event: Any) -> None:
        depth = len(self._stack)
        self._check_depth(depth + 1, event)
        if self._expects_key():
            message = "a mapping or list can't be a key; is it a template, not yet rendered?"
            raise YamlError(event.start_mark.line + 1, message)
        value: dict[str, Any] | list[Any]
        value = {} if isinstance(event, yaml.MappingStartEvent) else []
        # Documents, and items of lists of lists: enough to name the place of an object.
        if depth <= 4 and type(value) is dict:
            self.lines[id(value)] = event.start_mark.line + 1
        if event.anchor:
            self._anchors[event.anchor] = (_OPEN, 0, 0)
        self._stack.append(_Frame(value, event.anchor, self._count))
        self._count += 1

    def _close(self, event: Any) -> None:
        frame = self._stack.pop()
        if frame.anchor:
            size = self._count - frame.before
            self._anchors[frame.anchor] = (frame.value, size, frame.height)
        self._raise_height(frame.height)
        self._put(frame.value, event)

    def _alias(self, event: Any) -> None:
        line = event.start_mark.line + 1
        if event.anchor not in self._anchors:
            raise YamlError(line, f"the alias *{event.anchor} has no anchor before it")
        value, size, height = self._anchors[event.anchor]
        if value is _OPEN:
            raise YamlError(line, f"the alias *{event.anchor} stands inside its own anchor")
        self._count += size
        self._expanded += size
        if self._expanded > MAX_EXPANDED:
            message = f"its aliases expand to more than {MAX_EXPANDED:,} values"
            raise YamlError(line, message)
        self._check_depth(len(self._stack) + height, event)
        self._raise_height(height)
        self._put(_copy(value), event)

    def _check_depth(self, depth: int, event: Any) -> None:
        if depth > MAX_DEPTH:
            line = event.start_mark.line + 1
            raise YamlError(line, f"values are nested deeper than {MAX_DEPTH} levels")

    def _raise_height(self, inner: int) -> None:
        if self._stack:
            self._stack[-1].height = max(self._stack[-1].height, inner + 1)

    def _expects_key(self) -> bool:
        if not self._stack:
            return False
        frame = self._stack[-1]
        return type(frame.value) is dict and frame.key is _NO_KEY

    def _put(self, value: Any, event: Any) -> None:
        if not self._stack:
            self._root = value
            return
        frame = self._stack[-1]
        if type(frame.value) is list:
            frame.value.append(value)
        elif frame.key is _NO_KEY:
            self._put_key(frame, value, event)
        else:
            key, frame.key = frame.key, _NO_KEY
            if key is _MERGE:
                _merge(frame, value, event.start_mark.line + 1)
            else:
                frame.value[key] = value

    def _put_key(self, frame: _Frame, value: Any, event: Any) -> None:
        line = event.start_mark.line + 1
        if isinstance(value, dict | list):  # by an alias
            raise YamlError(line, "a mapping or list can't be a key")
        try:
            key = key_text(value)
        except ScalarError as error:
            raise YamlError(line, str(error)) from error
        if key in frame.value:
            if not frame.merged or key not in frame.merged:
                raise YamlError(line, f"the key {key!r} stands twice in one mapping")
            frame.merged.discard(key)
        frame.key = key


def _merge(frame: _Frame, value: Any, line: int) -> None:
    """Merge as kubectl does: over what stands before it, the first of a list over the rest."""
    sources = value if isinstance(value, list) else [value]
    if not all(isinstance(source, dict) for source in sources):
        raise YamlError(line, "`<<` merges a mapping, or a list of mappings, and nothing else")
    assert isinstance(frame.value, dict)  # only mappings have keys
    frame.merged = frame.merged or set()
    for source in reversed(sources):
        frame.value.update(source)
        frame.merged.update(source)


def _copy(value: Any) -> Any:
    # Depth is bounded by MAX_DEPTH, size by MAX_EXPANDED.
    if type(value) is dict:
        return {key: _copy(item) for key, item in value.items()}
    if type(value) is list:
        return [_copy(item) for item in value]
    return value
