"""What of a command's work is taken, and what is told of its failure. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.rendering.protocol import LARGEST_OUTPUT

LINES = 12
WORDS = 2_000
"""Characters that are told of what a command wrote to stderr."""


class TooMuchError(Exception):
    """More was made than is taken; the sentence says of what."""


class RefusedChangeError(Exception):
    """What a command has made of the tree can't be a commit; the sentence says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What stands at a path of a tree."""

    kind: str
    """file | link | other"""
    digest: str = ""
    """Changes with its content, or with where it leads."""


def differing(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> Sequence[str]:
    """
    Return the paths of the files that are other ones, new, or gone.

    Raises:
        RefusedChangeError: a link or something stranger was changed or made, or a `.git`.
    """
    paths = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
    for path in paths:
        if ".git" in path.split("/"):
            raise RefusedChangeError(f"makes {path}, which git takes for its own")
        if path.encode(errors="replace").decode() != path:
            raise RefusedChangeError("changes a file whose name is not UTF-8")
        kinds = {one.kind for one in (before.get(path), after.get(path)) if one}
        if kinds != {"file"}:
            raise RefusedChangeError(f"changes {path}, which is no plain file")
    return paths


def last_lines(said: bytes) -> str:
    """Return the end of what a command wrote to stderr, in one line for people."""
    lines = said.decode("utf-8", "replace").splitlines()[-LINES:]
    text = "; ".join(filter(None, (" ".join(_shown(line).split()) for line in lines)))
    return text if len(text) <= WORDS else f"...{text[-WORDS:]}"


def check_size(path: str, size: int) -> None:
    """Raise TooMuchError if changed files have become too many with *path*."""
    if size > LARGEST_OUTPUT:
        raise TooMuchError(f"changes more than {LARGEST_OUTPUT // 2**20} MB, {path} among it")


def _shown(line: str) -> str:
    return "".join(character if character.isprintable() else " " for character in line)
