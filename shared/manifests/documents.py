"""
A text's YAML documents as plain values, each with its place.

What can't be read, or was not meant to be (too large, too deep, aliases that explode), raises
`YamlError`; nothing else is raised, and nothing hangs.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.cyaml import CParser  # type: ignore[attr-defined] # the stubs do not re-export it

from shared.manifests.builder import Builder, YamlError
from shared.manifests.lines import ANY_BREAK

__all__ = ["MAX_CHARACTERS", "Document", "YamlError", "documents"]

MAX_CHARACTERS = 8 * 1024 * 1024
"""A file of manifests is smaller; what is larger was not meant to be one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document of a text."""

    value: Any
    """As JSON would say it: dict, list, str, int, float, bool, None."""
    line: int
    """Of its first value, from 1."""
    start: int
    """Where it starts in the text, in characters: at its `---`, or at its first value."""
    lines: dict[int, int] = field(repr=False)
    """Lines of the mappings near the top, by `id()`: items of lists have places too."""


def documents(text: str) -> list[Document]:
    """
    Read all documents of *text*.

    Raises: YamlError.
    """
    if len(text) > MAX_CHARACTERS:
        size = MAX_CHARACTERS // 2**20
        raise YamlError(None, f"the file is larger than {size} MB; split it")
    bom = text.startswith("\ufeff")
    parser = CParser(text[1:] if bom else text)
    try:
        return list(_read(parser, offset=int(bom)))
    except yaml.MarkedYAMLError as error:
        raise YamlError(*_in_words(error, text)) from error
    except yaml.YAMLError as error:
        raise YamlError(*_unreadable(error, text)) from error
    finally:
        parser.dispose()


def _read(parser: CParser, *, offset: int) -> Iterator[Document]:
    while True:
        event: Any = parser.get_event()
        if isinstance(event, yaml.DocumentStartEvent):
            start: Any = event.start_mark
            builder = Builder(parser)
            value = builder.document()
            line = builder.first_line or start.line + 1
            yield Document(value=value, line=line, start=start.index + offset, lines=builder.lines)
        elif isinstance(event, yaml.StreamEndEvent):
            return


def _in_words(error: yaml.MarkedYAMLError, text: str) -> tuple[int | None, str]:
    lines = text.splitlines()
    marks = [mark for mark in (error.problem_mark, error.context_mark) if mark]
    # What is missing is missed behind the last line.
    numbers = [min(mark.line + 1, len(lines)) for mark in marks] if lines else []
    mark = text.find("\ufeff", 1)
    if numbers and mark > 0 and (number := _line_of(text, mark)) <= numbers[0]:
        return number, "not valid YAML: a byte order mark stands within the file; remove it"
    for number in numbers:
        line = lines[number - 1]
        if "{{" in line:
            return number, "not valid YAML: it looks like a template, which must be rendered first"
        if re.match(r" *\t", line):
            return number, "not valid YAML: the line is indented with a tab; YAML wants spaces"
    where = numbers[0] if numbers else None
    return where, f"not valid YAML: {error.problem or error.context}"


def _unreadable(error: yaml.YAMLError, text: str) -> tuple[int | None, str]:
    if not isinstance(error, yaml.reader.ReaderError):
        return None, f"not valid YAML: {error}"
    line = _line_of(text, error.position)
    return line, f"not valid YAML: {error.reason} (#x{error.character:04x})"


def _line_of(text: str, place: int) -> int:
    return len(ANY_BREAK.findall(text, 0, place)) + 1
