"""
What Flux keeps in a repository beside the branch: the notes of its commits, and the sync tag.

Both are for people and their tools. What the host says against them stops no commit; it is logged.
"""

import asyncio
import random
from collections.abc import Mapping

import structlog

from shared.config.git import Git
from shared.git.mirror import Mirror
from shared.git.objects import Sign
from shared.git.remote import Pushed
from shared.runtime.errors import FluxError, PermanentError

logger = structlog.get_logger(__name__)

TRIES = 5
"""Pushes of a note that others race with; the commit that it is of has landed already."""


def refs(git: Git, tags: Mapping[str, str]) -> list[str]:
    """Return the refs that a mirror must follow; *tags* are those of syncs."""
    notes = [f"refs/notes/{git.notes_ref}"] if git.notes_ref else []
    aside = [f"refs/heads/{git.push_branch}"] if git.push_branch else []
    return [*notes, *aside, *sorted({f"refs/tags/{tag}" for tag in tags.values() if tag})]


class Notes:
    """The notes of our commits."""

    def __init__(self, mirror: Mirror, git: Git) -> None:
        self._mirror = mirror
        self._ref = f"refs/notes/{git.notes_ref}" if git.notes_ref else ""
        self._who = (git.user, git.email)

    async def moves(self, notes: Mapping[str, str]) -> Mapping[str, str]:
        """Return where the ref must go so that commits have *notes*."""
        if not self._ref or not notes:
            return {}
        # As git itself spreads them, so that a folder of thousands is not written for each.
        files = {f"{one[:2]}/{one[2:]}": text.encode() for one, text in notes.items()}
        parent = self._mirror.beside.get(self._ref, "")
        message = "Notes added by Flux"
        return {self._ref: await self._mirror.commit(parent, files, message, committer=self._who)}

    async def make_sure(self, pushed: Pushed, notes: Mapping[str, str]) -> None:
        """Push the notes again if others were faster; the commits are there without them."""
        reason = pushed.refused.get(self._ref) if pushed.landed else None
        try:
            for attempt in range(TRIES):
                if reason is None:
                    return
                await asyncio.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311 - jitter
                await self._mirror.fetch()
                again = await self._mirror.move(await self.moves(notes))
                reason = again.refused.get(self._ref) if again.landed else "it moved meanwhile"
        except FluxError as error:
            reason = str(error)
        if reason:
            self.give_up(reason)

    def give_up(self, reason: str) -> None:
        """Say that a commit has no note."""
        remedy = "allow it, or set git.notes_ref to nothing"
        logger.warning("no notes", ref=self._ref, reason=reason, remedy=remedy)


class SyncTag:
    """The tags that say how far the clusters are."""

    def __init__(self, mirror: Mirror, git: Git, sign: Sign | None) -> None:
        self._mirror = mirror
        self._who = (git.user, git.email)
        self._sign = sign
        self._known: dict[str, str] = {}
        """Where each tag is, as far as we know: a sync is told every few minutes for ever."""

    async def move(self, name: str, revision: str, head: str) -> None:
        """
        Move the tag *name* to *revision*, forward only.

        Raises:
            PermanentError: the host refuses.
            TemporaryError: the host can't be reached.
        """
        ref = f"refs/tags/{name}"
        if await self._is_there(ref, revision, head):
            return
        tag = await self._mirror.tag(
            revision, name, "Sync pointer", tagger=self._who, sign=self._sign
        )
        pushed = await self._mirror.move({ref: tag})
        if ref in pushed.refused:
            raise PermanentError(f"the host does not move {ref}: {pushed.refused[ref]}")
        if pushed.landed:
            self._known[name] = revision
            logger.info("sync tag moved", tag=name, revision=revision)

    def is_known(self, name: str, revision: str) -> bool:
        """Tell whether the tag was seen at *revision*, without asking the host."""
        return self._known.get(name) == revision

    async def _is_there(self, ref: str, revision: str, head: str) -> bool:
        """Tell whether *revision* is no step forward on the way to *head*."""
        if not await self._mirror.is_ancestor(revision, head):
            return True
        at = self._mirror.beside.get(ref)
        if at is None:
            return False
        commit = await self._mirror.peeled(at)
        on_branch = await self._mirror.is_ancestor(commit, head)
        there = on_branch and await self._mirror.is_ancestor(revision, commit)
        if there:
            self._known[ref.removeprefix("refs/tags/")] = revision
        return there
