"""
What a bare repository holds: files, and new commits of them. No network; runs in threads.

A tree is what people made it: links, names that are no UTF-8, dates out of the calendar and
unknown encodings must spoil nothing but themselves.
"""

import posixpath
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pygit2
from pygit2.enums import DeltaStatus, FileMode, ObjectType, RepositoryOpenFlag

from shared.git.memo import NOTES
from shared.runtime.errors import PermanentError

Sign = Callable[[bytes], str]
"""Returns the armoured signature of an object."""
DELTAS = 2_000
"""Changed files, above which all are looked at."""
LINKS = 8
"""Links on the way to a file; more is a circle."""


def opened(directory: Path) -> pygit2.Repository:
    """Open the bare repository in *directory*, or make a new one of it."""
    try:
        # Without these flags a repository further up, of whomever, would be taken for ours.
        flags = RepositoryOpenFlag.NO_SEARCH | RepositoryOpenFlag.BARE
        return pygit2.Repository(str(directory), flags)
    except pygit2.GitError:
        return anew(directory)


def anew(directory: Path) -> pygit2.Repository:
    """Make an empty bare repository in *directory*; what is noted there stays."""
    if directory.is_symlink() or not directory.is_dir():
        directory.unlink(missing_ok=True)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    for old in directory.iterdir():
        if old.is_dir() and not old.is_symlink() and old.name != NOTES:
            shutil.rmtree(old)
        elif old.name != NOTES:
            old.unlink()
    return pygit2.init_repository(str(directory), bare=True)


def files(
    repository: pygit2.Repository, revision: str, paths: Sequence[str]
) -> list[tuple[str, str]]:
    """
    Return path and blob of every file below *paths*, all where there are none.

    A link stands for the file that it leads to; links to folders or out of the tree, and
    submodules, for nothing.

    Raises:
        PermanentError: there is nothing at one of *paths*.
    """
    tree = _tree(repository, revision)
    found: set[tuple[str, str]] = set()
    for path in [posixpath.normpath(path) for path in paths] or ["."]:
        if path == ".":
            found.update(_below(tree, "", tree))
            continue
        try:
            start = tree[path]
        except KeyError as error:
            raise PermanentError(f"there is no {path!r} at {revision[:7]}") from error
        found.update(_of_entry(start, path, tree))
    return sorted(found)


def changed(repository: pygit2.Repository, old: str, new: str) -> list[tuple[str, str]] | None:
    """
    Return path and blob of every file that *new* has otherwise than *old*; no blob: it is gone.

    None where that does not tell all: links, submodules, new files, or very many.
    """
    if old not in repository:
        return None
    deltas = list(_tree(repository, old).diff_to_tree(_tree(repository, new)).deltas)
    if len(deltas) > DELTAS or any(_is_more(delta) for delta in deltas):
        return None
    return [
        (one.old_file.path, "" if one.status == DeltaStatus.DELETED else str(one.new_file.id))
        for one in deltas
    ]


def _is_more(delta: pygit2.DiffDelta) -> bool:
    if delta.status not in {DeltaStatus.DELETED, DeltaStatus.MODIFIED}:
        return True
    modes = {delta.old_file.mode, delta.new_file.mode}
    return bool(modes & {FileMode.LINK, FileMode.COMMIT})


def read(repository: pygit2.Repository, revision: str, path: str) -> bytes:
    """
    Return a file.

    Raises:
        PermanentError: there is none of that name.
    """
    try:
        entry = _tree(repository, revision)[path]
    except KeyError as error:
        raise PermanentError(f"there is no {path!r} at {revision[:7]}") from error
    return blob(repository, str(entry.id))


def blob(repository: pygit2.Repository, identity: str) -> bytes:
    """Return the content of a blob."""
    return repository[identity].peel(pygit2.Blob).data


def commit(
    repository: pygit2.Repository,
    parent: str,
    changed: Mapping[str, bytes | None],
    message: str,
    makers: tuple[pygit2.Signature, pygit2.Signature],
    *,
    sign: Sign | None = None,
) -> str:
    """
    Return a new commit on *parent* in which the files *changed* differ; None removes one.

    *makers* are its author and its committer.
    """
    tree: pygit2.Oid | None = _tree(repository, parent).id if parent else None
    tree = put(repository, tree, changed) if changed else tree
    tree = tree or repository.TreeBuilder().write()
    parents: list[pygit2.Oid | str] = [parent] if parent else []
    return made(repository, makers, message, tree, parents, sign=sign)


def made(
    repository: pygit2.Repository,
    makers: tuple[pygit2.Signature, pygit2.Signature],
    message: str,
    tree: pygit2.Oid,
    parents: list[pygit2.Oid | str],
    *,
    sign: Sign | None,
) -> str:
    """Return a new commit, signed if that is wished for; no ref is made for it."""
    if sign is None:
        return str(repository.create_commit(None, *makers, message, tree, parents))
    text = str(repository.create_commit_string(*makers, message, tree, parents))
    return str(repository.create_commit_with_signature(text, sign(text.encode())))


def tag(
    repository: pygit2.Repository,
    revision: str,
    name: str,
    message: str,
    *,
    by: pygit2.Signature,
    sign: Sign | None = None,
) -> str:
    """Return a new annotated tag of *revision*; no ref of ours is made for it."""
    text = (
        f"object {revision}\ntype commit\ntag {name}\n"
        f"tagger {by.name} <{by.email}> {by.time} +0000\n\n{message}\n"
    )
    text += sign(text.encode()) if sign else ""
    return str(repository.write(ObjectType.TAG, text.encode()))


def peeled(repository: pygit2.Repository, identity: str) -> str:
    """Return the commit that *identity* is, or is a tag of; empty if it is of something else."""
    try:
        return str(repository[identity].peel(pygit2.Commit).id)
    except (pygit2.InvalidSpecError, pygit2.GitError):
        return ""


def _tree(repository: pygit2.Repository, revision: str) -> pygit2.Tree:
    return repository[revision].peel(pygit2.Tree)


def _below(tree: pygit2.Tree, path: str, root: pygit2.Tree) -> Iterator[tuple[str, str]]:
    for entry in tree:
        name = (entry.raw_name or b"").decode("utf-8", "replace")
        yield from _of_entry(entry, f"{path}/{name}" if path else name, root)


def _of_entry(entry: pygit2.Object, path: str, root: pygit2.Tree) -> Iterator[tuple[str, str]]:
    if isinstance(entry, pygit2.Tree):
        yield from _below(entry, path, root)
    elif entry.filemode == FileMode.LINK:
        yield from _followed(entry, path, root)
    elif entry.filemode != FileMode.COMMIT:
        yield path, str(entry.id)


def _followed(entry: pygit2.Object, path: str, root: pygit2.Tree) -> Iterator[tuple[str, str]]:
    for _ in range(LINKS):
        target = entry.data.decode("utf-8", "replace") if isinstance(entry, pygit2.Blob) else ""
        path = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        if path not in root:
            return
        entry = root[path]
        if entry.filemode != FileMode.LINK:
            break
    if isinstance(entry, pygit2.Blob) and entry.filemode != FileMode.LINK:
        yield path, str(entry.id)


def put(
    repository: pygit2.Repository, tree: pygit2.Oid | None, changed: Mapping[str, bytes | None]
) -> pygit2.Oid | None:
    """Return *tree* with files changed: each tree on the way to them is written once."""
    old = repository[tree].peel(pygit2.Tree) if tree else None
    builder = repository.TreeBuilder(old) if old is not None else repository.TreeBuilder()
    below: dict[str, dict[str, bytes | None]] = {}
    for path, data in changed.items():
        name, slash, rest = path.partition("/")
        if slash:
            below.setdefault(name, {})[rest] = data
            continue
        entry = old[name] if old is not None and name in old else None
        mode = entry.filemode if isinstance(entry, pygit2.Blob) else FileMode.BLOB
        _set(builder, name, None if data is None else repository.create_blob(data), mode)
    for name, some in below.items():
        entry = old[name] if old is not None and name in old else None
        inner = entry.id if isinstance(entry, pygit2.Tree) else None
        _set(builder, name, put(repository, inner, some), FileMode.TREE)
    return builder.write() if len(builder) else None


def _set(builder: pygit2.TreeBuilder, name: str, new: pygit2.Oid | None, mode: int) -> None:
    if new is not None:
        builder.insert(name, new, mode)
    elif builder.get(name) is not None:
        builder.remove(name)
