"""
One talk with a git host each: what it has, what we get of it, what we move there.

Runs in threads. How we prove who we are, and how patient we are, is `transport`'s.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pygit2

from shared.config.git import Git
from shared.git import transport
from shared.git.transport import Callbacks, RefusedError
from shared.runtime.errors import TemporaryError

NOTHING = "0" * 40
"""The revision of a ref that is not there."""
_HERE = "refs/flux/here/"
_PUSH = "refs/flux/move/"

Moves = Mapping[str, tuple[str, str]]
"""By ref of the host: where it is expected to be, and where it is to go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """What a host has: our branch, and those of the other refs that were asked for."""

    ref: str
    revision: str
    beside: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """What came of a push."""

    landed: bool
    """False: something was not where it was expected; nothing was moved."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """By ref, in the host's words: what it did not move."""


def heads(repository: pygit2.Repository, git: Git, beside: Iterable[str], call: Callbacks) -> Heads:
    """Return where the branch is now, and the refs *beside* it that are there."""
    remote = repository.remotes.create_anonymous(git.url)
    found = {str(head.name): head for head in remote.list_heads(callbacks=call)}
    ref = transport.branch_ref(git, found)
    others = {name: str(found[name].oid) for name in beside if name in found}
    return Heads(ref=ref, revision=str(found[ref].oid), beside=others)


def fetch(repository: pygit2.Repository, git: Git, wanted: Heads, call: Callbacks) -> None:
    """
    Get everything that *wanted* names.

    Raises:
        TemporaryError: it was moved back between the two questions.
    """
    refs = (wanted.ref, *wanted.beside)
    remote = repository.remotes.create_anonymous(git.url)
    remote.fetch([f"+{ref}:{_HERE}{ref}" for ref in refs], callbacks=call)
    if not is_here(repository, wanted):
        raise TemporaryError(transport.dependency(git), f"{wanted.ref} moved meanwhile")


def is_here(repository: pygit2.Repository, wanted: Heads) -> bool:
    """Tell whether nothing needs to be got."""
    return all(one in repository for one in (wanted.revision, *wanted.beside.values()))


def specs(repository: pygit2.Repository, moves: Moves) -> list[str]:
    """Return what to push for *moves*; it stands under refs of the mirror's own."""
    for number, (_, new) in enumerate(moves.values()):
        repository.references.create(f"{_PUSH}{number}", new, force=True)
    return [f"+{_PUSH}{number}:{ref}" for number, ref in enumerate(moves)]


def move(repository: pygit2.Repository, git: Git, what: Sequence[str], call: Callbacks) -> None:
    """
    Push *what* by compare-and-swap; `Callbacks.refused` then holds what the host refuses.

    Raises:
        RefusedError: the host lets us move nothing.
        MovedError: something is not where it was expected.
    """
    remote = repository.remotes.create_anonymous(git.url)
    try:
        remote.push(list(what), callbacks=call)
    except pygit2.GitError as error:
        if transport.forbidden(error):
            ref = what[0].partition(":")[2]
            raise refusal(git, ref, "we may not write (403); check git.auth") from error
        raise TemporaryError(transport.dependency(git), call.words(str(error))) from error


def refusal(git: Git, ref: str, reason: str) -> RefusedError:
    """Return the error of a host that does not move *ref*."""
    host, name = transport.dependency(git), ref.removeprefix("refs/heads/")
    return RefusedError(f"{host} refuses the push to {name}: {reason}")
