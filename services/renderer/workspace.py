"""
The files that commands run on: unpacked into a fresh folder, looked through afterwards, and gone.

Nothing outside of the tree is looked at, so nothing outside of it can come back.
"""

import hashlib
import os
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from services.renderer.domain import Entry, RefusedChangeError, check_size, differing
from shared.runtime.own_folder import own_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """A fresh folder with a tree, and a home beside it."""

    tree: Path
    home: Path

    def folder(self, name: str) -> Path | None:
        """Return a folder of the tree; None if there is none of that name."""
        found = (self.tree / name).resolve()
        inside = found.is_relative_to(self.tree) and found.is_dir()
        return found if inside else None


@contextmanager
def workspace(tar: BinaryIO) -> Iterator[Workspace]:
    """Unpack *tar* for the length of the block."""
    with own_folder("render") as base:
        found = Workspace(tree=base / "tree", home=base / "home")
        found.tree.mkdir()
        found.home.mkdir()
        with tarfile.open(fileobj=tar, mode="r:") as packed:
            packed.extractall(found.tree, filter=_harmless)  # noqa: S202 - filtered
        yield found


def _harmless(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo | None:
    """Leave out links that lead out of the tree; they lead nowhere here."""
    try:
        return tarfile.data_filter(member, path)
    except tarfile.FilterError:
        return None


def entries(tree: Path) -> Mapping[str, Entry]:
    """Return what stands in the tree, by path, without its folders."""
    return {str(path.relative_to(tree)): _entry(path) for path in _below(tree)}


def changes(tree: Path, before: Mapping[str, Entry]) -> Mapping[str, bytes | None]:
    """
    Return the files that differ, with their contents; None: it is gone.

    Raises:
        RefusedChangeError, TooMuchError: that can't be a commit.
    """
    after = entries(tree)
    found: dict[str, bytes | None] = {}
    size = 0
    for path in differing(before, after):
        if path in after:
            size += (tree / path).stat(follow_symlinks=False).st_size
            check_size(path, size)
        found[path] = _content(tree / path) if path in after else None
    return found


def _below(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as inside:
        for one in inside:
            if one.is_dir(follow_symlinks=False):
                yield from _below(Path(one.path))
            else:
                yield Path(one.path)


def _entry(path: Path) -> Entry:
    if path.is_symlink():
        return Entry(kind="link", digest=str(path.readlink()))
    if not path.is_file():
        return Entry(kind="other")
    with path.open("rb") as file:
        return Entry(kind="file", digest=hashlib.file_digest(file, "sha256").hexdigest())


def _content(path: Path) -> bytes:
    """Read a file that may have become a link since we looked."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            return file.read()
    except OSError as error:
        raise RefusedChangeError(f"changes {path.name} while it is read") from error
