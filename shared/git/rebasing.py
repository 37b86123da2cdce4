"""
Commits put onto another head one by one, as `git cherry-pick` would. Runs in threads.

What does not fit there, or is there already, is left out.
"""

from collections.abc import Sequence

import pygit2

from shared.git.objects import Sign, made


def rebased(
    repository: pygit2.Repository,
    commits: Sequence[pygit2.Commit],
    onto: str,
    *,
    since: Sequence[pygit2.Commit] = (),
    by: pygit2.Signature,
    sign: Sign | None = None,
) -> str:
    """
    Return *onto* with *commits* on it, the oldest first; those that don't fit are left out.

    So are those that one of the commits *since* had: they were merged, and maybe reverted.
    """
    tip = repository[onto].peel(pygit2.Commit)
    for one in commits:
        tree = _with(repository, one, tip)
        if (
            tree is not None
            and tree != tip.tree.id
            and not any(_with(repository, one, other) == other.tree.id for other in since)
        ):
            new = made(repository, (one.author, by), one.message, tree, [tip.id], sign=sign)
            tip = repository[new].peel(pygit2.Commit)
    return str(tip.id)


def _with(
    repository: pygit2.Repository, one: pygit2.Commit, on: pygit2.Commit
) -> pygit2.Oid | None:
    """Return what *on* is with what *one* changes; None if that does not fit."""
    index = repository.merge_trees(one.parents[0].tree, on.tree, one.tree)
    return None if index.conflicts else index.write_tree(repository)
