"""
What was before what in a bare repository. No network; runs in threads.

Dates out of the calendar, names that are no UTF-8 and unknown encodings must spoil nothing.
"""

import re
from collections.abc import Container, Iterator
from datetime import UTC, datetime
from itertools import islice, takewhile

import pygit2
from pygit2.enums import SortMode

from shared.contract import Commit

_REVISION = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def first_parents(repository: pygit2.Repository, revision: str) -> Iterator[pygit2.Commit]:
    """Yield *revision* and what it was built on, the newest first."""
    commit: pygit2.Commit | None = repository[revision].peel(pygit2.Commit)
    while commit is not None:
        yield commit
        commit = commit.parents[0] if commit.parent_ids else None


def log(repository: pygit2.Repository, revision: str, limit: int) -> list[Commit]:
    """Return the newest *limit* commits up to *revision*, by first parents."""
    return [_told(commit) for commit in islice(first_parents(repository, revision), limit)]


def before(
    repository: pygit2.Repository, revision: str, files: Container[str], limit: int
) -> dict[str, list[str]]:
    """
    Return by file the revisions after which it was changed, the newest first.

    Of the newest *limit* commits up to *revision*, by first parents.
    """
    found: dict[str, list[str]] = {}
    for one in islice(first_parents(repository, revision), limit):
        if not one.parent_ids:
            break
        parent = repository[one.parent_ids[0]].peel(pygit2.Commit)
        for delta in one.tree.diff_to_tree(parent.tree).deltas:
            if (file := delta.old_file.path) in files:
                found.setdefault(file, []).append(str(parent.id))
    return found


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


def since(
    repository: pygit2.Repository, revision: str, head: str, limit: int
) -> list[pygit2.Commit]:
    """Return what *head* was after *revision* was begun, the newest of them, by first parents."""
    begun = repository.merge_base(revision, head)
    newest = islice(first_parents(repository, head), limit)
    return list(takewhile(lambda one: one.id != begun, newest))


def pending(repository: pygit2.Repository, revision: str, base: str) -> list[pygit2.Commit]:
    """Return the commits of *revision* that *base* has not, the newest first."""
    walker = repository.walk(revision, SortMode.TOPOLOGICAL)
    walker.hide(base)
    return list(walker)


def is_by(commit: pygit2.Commit, who: pygit2.Signature) -> bool:
    """Tell whether *who* committed it."""
    by = commit.committer
    return (by.raw_name, by.raw_email) == (who.raw_name, who.raw_email)


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
