"""
What a bare repository holds: files, histories, new commits. No network; runs in threads.

A tree is what people made it: links, names that are no UTF-8, dates out of the calendar and
unknown encodings must spoil nothing but themselves.
"""

import posixpath
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pygit2
from pygit2.enums import FileMode, RepositoryOpenFlag, SortMode

from shared.contract import Commit
from shared.runtime.errors import PermanentError

NOTES = "flux"
"""The folder in a mirror for what is remembered beside git."""
_REVISION = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
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


def first_parents(repository: pygit2.Repository, revision: str) -> Iterator[pygit2.Commit]:
    """Yield *revision* and what it was built on, the newest first."""
    commit: pygit2.Commit | None = repository[revision].peel(pygit2.Commit)
    while commit is not None:
        yield commit
        commit = commit.parents[0] if commit.parent_ids else None


def log(repository: pygit2.Repository, revision: str, limit: int) -> list[Commit]:
    """Return the newest *limit* commits up to *revision*, by first parents."""
    return [_told(commit) for commit in islice(first_parents(repository, revision), limit)]


def recent(
    repository: pygit2.Repository, revision: str, limit: int, who: pygit2.Signature
) -> list[tuple[Commit, str]]:
    """
    Return those that *who* made among the newest *limit* commits in *revision*, merged ones too.

    Each with its first parent. A commit has two makers: the author may be whom it was made for, the
    committer who rebased it.
    """
    name = (who.raw_name, who.raw_email)
    return [
        (_told(one), str(one.parent_ids[0]) if one.parent_ids else "")
        for one in islice(repository.walk(revision, SortMode.TIME), limit)
        if name in {(by.raw_name, by.raw_email) for by in (one.author, one.committer)}
    ]


def ancestors(repository: pygit2.Repository, revision: str, limit: int) -> list[str]:
    """Return the newest *limit* revisions up to *revision*, by first parents."""
    return [str(one.id) for one in islice(first_parents(repository, revision), limit)]


def height(repository: pygit2.Repository, revision: str, known: tuple[str, int]) -> int:
    """Return how many first parents *revision* has; *known* is the height of another one."""
    walker = repository.walk(revision, SortMode.NONE)
    walker.simplify_first_parent()
    steps = -1
    for steps, one in enumerate(walker):
        if str(one.id) == known[0]:
            return known[1] + steps
    return steps


def is_ancestor(repository: pygit2.Repository, old: str, new: str) -> bool:
    """Tell whether *new* was built on *old*, which may be unknown here."""
    if not _REVISION.fullmatch(old) or old not in repository:
        return False
    return old == new or repository.descendant_of(new, old)


def note(directory: Path, key: str, text: str | None) -> str:
    """Return what is noted under *key* beside git; with *text*, note that first, whole or not."""
    file = directory / NOTES / key
    if text is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_name(f".{key}.new")
        new.write_text(text)
        new.replace(file)
        return text
    return file.read_text(errors="replace") if file.exists() else ""


def commit(
    repository: pygit2.Repository,
    parent: str,
    changed: Mapping[str, bytes | None],
    message: str,
    makers: tuple[pygit2.Signature, pygit2.Signature],
) -> str:
    """
    Return a new commit on *parent* in which the files *changed* differ; None removes one.

    *makers* are its author and its committer.
    """
    tree: pygit2.Oid | None = _tree(repository, parent).id
    for path, data in changed.items():
        tree = _put(repository, tree, path.split("/"), data)
    tree = tree or repository.TreeBuilder().write()
    return str(repository.create_commit(None, *makers, message, tree, [parent]))


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


def _put(
    repository: pygit2.Repository, tree: pygit2.Oid | None, path: Sequence[str], data: bytes | None
) -> pygit2.Oid | None:
    """Return *tree* with a file changed: only the trees along its path are written."""
    name, *rest = path
    old = repository[tree].peel(pygit2.Tree) if tree else None
    builder = repository.TreeBuilder(old) if old is not None else repository.TreeBuilder()
    entry = old[name] if old is not None and name in old else None
    if rest:
        below = entry.id if isinstance(entry, pygit2.Tree) else None
        _set(builder, name, _put(repository, below, rest, data), FileMode.TREE)
    else:
        mode = entry.filemode if isinstance(entry, pygit2.Blob) else FileMode.BLOB
        _set(builder, name, None if data is None else repository.create_blob(data), mode)
    return builder.write() if len(builder) else None


def _set(builder: pygit2.TreeBuilder, name: str, new: pygit2.Oid | None, mode: int) -> None:
    if new is not None:
        builder.insert(name, new, mode)
    elif builder.get(name) is not None:
        builder.remove(name)


def _told(commit: pygit2.Commit) -> Commit:
    author = commit.author
    name = author.raw_name.decode("utf-8", "replace")
    email = author.raw_email.decode("utf-8", "replace")
    return Commit(
        revision=str(commit.id),
        author=f"{name} <{email}>",
        message=commit.raw_message.decode("utf-8", "replace"),
        time=_time(author.time),
    )


def _time(seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return datetime.fromtimestamp(0, UTC)
