"""
Commits that wait on a branch of their own until people have merged them.

That branch is the branch plus what waits. Where the branch has moved, what waits is put onto its
head anew, commit by commit; what is there already, or no longer fits, is dropped. Commits of others
on it (a reviewer's) are never rewritten.
"""

from collections.abc import Mapping, Sequence

from services.repo_writer.domain.proposal import proposal
from services.repo_writer.pull_requests import PullRequest
from shared.config.git import Git
from shared.git.identity import host, project
from shared.git.mirror import Mirror
from shared.git.objects import Sign
from shared.git.remote import Pushed, refusal


class Aside:
    """The branch that is pushed to, and its pull request."""

    def __init__(self, mirror: Mirror, git: Git, sign: Sign | None) -> None:
        self.branch = git.push_branch
        self._ref = f"refs/heads/{git.push_branch}"
        self._mirror = mirror
        self._git = git
        self._sign = sign
        self._request = (
            PullRequest(git.pull_request, project(git.url), host(git.url))
            if git.pull_request
            else None
        )
        self._proposed: tuple[str, str, str] = ("", "", "")
        """Head of the branch, what waits, and where people see it."""
        self._head = self._waiting = ""

    async def base(self, head: str) -> str:
        """Return what to build on: the *head* of the branch, and on it what waits already."""
        self._head, self._waiting = head, self._mirror.beside.get(self._ref, "")
        if await self._mirror.is_ancestor(self._waiting, head):
            return head
        who = (self._git.user, self._git.email)
        return await self._mirror.rebased(self._waiting or head, head, who=who, sign=self._sign)

    async def push(self, revision: str, notes: Mapping[str, str]) -> Pushed:
        """
        Move the branch to *revision*, from where the last fetch saw it.

        Raises:
            PermanentError: the host refuses, in its own words.
        """
        pushed = await self._mirror.move({self._ref: revision, **notes})
        if self._ref in pushed.refused:
            raise refusal(self._git, self._ref, pushed.refused[self._ref])
        self._waiting = revision if pushed.landed else self._waiting
        return pushed

    async def propose(self, tip: str) -> str:
        """
        Have one open request for what waits, or none; return where people see it.

        Raises:
            TemporaryError: its host can't be reached, or refuses.
        """
        if self._proposed[:2] == (self._head, tip):
            return self._proposed[2]
        messages = await self._mirror.pending(tip, self._head)
        if messages and tip != self._waiting:
            await self.push(tip, {})
        self._proposed = (self._head, tip, await self._asked(messages))
        stale = self._waiting and not messages
        if stale and not await self._mirror.is_ancestor(self._waiting, tip):
            # Else it would come back once it was reverted. Not before its request is closed: to a
            # host that would be a merge.
            await self.push(tip, {})
        return self._proposed[2]

    async def _asked(self, messages: Sequence[str]) -> str:
        base = self._mirror.branch
        if self._request is None:
            return ""
        if messages:
            return await self._request.propose(self.branch, base, proposal(messages))
        await self._request.withdraw(self.branch, base)
        return ""
