"""Several processes' lines on one terminal, each after the name of who wrote it."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import BinaryIO

_COLOURS = (36, 33, 35, 32, 34, 31)
_CHUNK = 65536
LONGEST = 1_000_000
"""Bytes after which a line is broken, so that one without an end does not fill the memory."""


class Terminal:
    """Writes whole lines only, so that those of two processes never mix."""

    def __init__(self, stream: BinaryIO, names: Sequence[str], *, own: str = "services") -> None:
        self._stream = stream
        self._own = own
        self._is_terminal = stream.isatty()
        self._coloured = self._is_terminal and not os.environ.get("NO_COLOR")
        width = max(map(len, (*names, own)))
        colours = [_COLOURS[at % len(_COLOURS)] for at in range(len(names))]
        self._prefixes = {
            name: self._prefix(name.ljust(width), colour)
            for name, colour in zip((*names, own), (*colours, 1), strict=True)
        }

    def environment(self) -> Mapping[str, str]:
        """Return what makes a service log for people where people look on."""
        if not self._is_terminal:
            return {}
        colour = {"FORCE_COLOR": "1"} if self._coloured else {}
        return {"FLUX__LOG__FORMAT": "console", **colour}

    def say(self, text: str) -> None:
        """Write a line of our own."""
        self.write(self._own, text.encode())

    def write(self, name: str, line: bytes) -> None:
        """Write a *line* of *name*."""
        self._stream.write(self._prefixes[name] + line + b"\n")
        self._stream.flush()

    async def follow(self, name: str, output: asyncio.StreamReader) -> None:
        """Write all lines of *output*, also a last one that has no end."""
        rest = b""
        while chunk := await output.read(_CHUNK):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > LONGEST:
                lines, rest = [*lines, rest], b""
            for line in lines:
                self.write(name, line)
        if rest:
            self.write(name, rest)

    def _prefix(self, text: str, colour: int) -> bytes:
        return (f"\033[{colour}m{text} |\033[0m " if self._coloured else f"{text} | ").encode()
