"""
A revision's files as a whole: packed for programs that run on them, and changed by these.

No network; runs in threads. Wherever a revision is asked for, a tree does as well.
"""

import io
import posixpath
import tarfile
from collections.abc import Iterator, Mapping

import pygit2
from pygit2.enums import FileMode

from shared.git.objects import put
from shared.runtime.errors import PermanentError


def root(repository: pygit2.Repository, revision: str) -> str:
    """Return the id of the tree of *revision*: the same for the same files."""
    return str(_tree(repository, revision).id)


def nearest(
    repository: pygit2.Repository, revision: str, path: str, name: str
) -> tuple[str, str] | None:
    """Return path and blob of the file *name* at *path* or, nearest to it, above."""
    tree = _tree(repository, revision)
    folder = posixpath.normpath(path) if path else "."
    while True:
        there = posixpath.normpath(posixpath.join(folder, name))
        entry = tree[there] if there in tree else None  # noqa: SIM401 - a tree has no get
        if isinstance(entry, pygit2.Blob) and entry.filemode != FileMode.LINK:
            return there, str(entry.id)
        if folder == ".":
            return None
        folder = posixpath.dirname(folder) or "."


def changed(repository: pygit2.Repository, revision: str, files: Mapping[str, bytes | None]) -> str:
    """
    Return the id of a tree in which *files* differ from *revision*; None: it is gone.

    Raises:
        PermanentError: one of them is no plain file, or can't be one.
    """
    before = _tree(repository, revision)
    for path in files:
        _check(before, path)
    tree = put(repository, before.id, files)
    return str(tree or repository.TreeBuilder().write())


def packed(repository: pygit2.Repository, revision: str, limit: int) -> bytes:
    """
    Return all files of *revision* as a tar: links as links, submodules as empty folders.

    Raises:
        PermanentError: they have more than *limit* bytes.
    """
    size = 0
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, content in _members(_tree(repository, revision), ""):
            size += len(content) + tarfile.BLOCKSIZE
            if size > limit:
                raise PermanentError(
                    f"the repository has more than {limit // 2**20} MB of files, too many for"
                    " generators"
                )
            tar.addfile(info, io.BytesIO(content))
    return data.getvalue()


def _check(tree: pygit2.Tree, path: str) -> None:
    """Whoever names a file may mean more than a file: a link elsewhere, or git's own."""
    parts = path.split("/")
    if any(part in {"", ".", ".."} or part.lower() == ".git" or "\0" in part for part in parts):
        raise PermanentError(f"{path!r} can't be a file of a repository")
    for end in range(1, len(parts) + 1):
        there = "/".join(parts[:end])
        if there in tree and tree[there].filemode in {FileMode.LINK, FileMode.COMMIT}:
            raise PermanentError(f"{there!r} is no plain file, and is not changed")


def _members(tree: pygit2.Tree, path: str) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    for entry in tree:
        name = (entry.raw_name or b"").decode("utf-8", "surrogateescape")
        info = tarfile.TarInfo(f"{path}/{name}" if path else name)
        if isinstance(entry, pygit2.Tree) or entry.filemode == FileMode.COMMIT:
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            yield info, b""
        if isinstance(entry, pygit2.Tree):
            yield from _members(entry, info.name)
        elif isinstance(entry, pygit2.Blob) and entry.filemode == FileMode.LINK:
            info.type = tarfile.SYMTYPE
            info.linkname = entry.data.decode("utf-8", "surrogateescape")
            yield info, b""
        elif isinstance(entry, pygit2.Blob):
            info.size = entry.size
            info.mode = 0o755 if entry.filemode == FileMode.BLOB_EXECUTABLE else 0o644
            yield info, entry.data


def _tree(repository: pygit2.Repository, revision: str) -> pygit2.Tree:
    return repository[revision].peel(pygit2.Tree)
