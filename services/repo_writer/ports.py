"""What the handlers need from outside, in our words."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from services.repo_writer.domain.plan import Edits
from services.repo_writer.domain.reading import File
from services.repo_writer.domain.state import Spot, State
from services.repo_writer.domain.style import Person, Style
from shared.images import Candidate

Files = Mapping[str, bytes | None]
"""New contents of files; None: it is gone."""
Reasons = Mapping[Spot, str]
"""Why edits could not be made."""


class Repo(Protocol):
    """One branch that is written to. All revisions are commit ids."""

    @property
    def host(self) -> str:
        """The git host, for people."""

    @property
    def readonly(self) -> bool:
        """Whether writing is switched off."""

    @property
    def aside(self) -> str:
        """The branch on which commits wait until people merge them; empty: they don't wait."""

    @property
    def style(self) -> Style:
        """How commits are to be made here."""

    async def fetch(self) -> str:
        """
        Return what to build on: the head of the branch, as the host has it now, and what waits.

        Raises:
            TemporaryError: the host can't be reached.
        """

    async def state(self, revision: str, syncs: Collection[str] = ()) -> State:
        """Return what *syncs* (or all) declare at *revision*; known files are not read again."""

    async def text(self, revision: str, file: str) -> bytes:
        """
        Return a file as it is at *revision*.

        Raises:
            PermanentError: there is none.
        """

    async def texts(self, revision: str, files: Sequence[str]) -> Sequence[bytes]:
        """Return files that are all there at *revision*."""

    async def generated(self, revision: str, folder: str, default_namespace: str) -> File:
        """
        Return what generators print in *folder* at *revision*.

        Raises:
            PermanentError: they fail, or there are none.
            TemporaryError: the renderer is not there.
        """

    async def regenerated(self, revision: str, files: Files, edits: Edits) -> tuple[Files, Reasons]:
        """
        Return the files that make generators print what *edits* say, and why some can't.

        *files* differ from *revision* already.

        Raises:
            TemporaryError: the renderer is not there.
        """

    async def commit(
        self, parent: str, files: Files, message: str, *, author: Person | None = None
    ) -> str:
        """Return a new commit on *parent* in which *files* differ; nothing is pushed yet."""

    async def push(self, revision: str, *, expected: str, notes: Mapping[str, str]) -> bool:
        """
        Move the branch from *expected* to *revision*; False if it has moved meanwhile.

        Its commits get *notes*, as far as the host takes them.

        Raises:
            PermanentError: the host refuses, in its own words.
            TemporaryError: the host can't be reached.
        """

    async def written(self, revision: str) -> Sequence[tuple[str, str, str]]:
        """
        Return revision, parent and message of the newest commits that *revision* contains.

        Only of commits in our name, and of merged ones too: a person who pulls before pushing puts
        ours on a side line.
        """

    async def before(self, revision: str, files: Collection[str]) -> Mapping[str, Sequence[str]]:
        """Return by file the revisions after which it was changed lately, the newest first."""

    async def propose(self, tip: str) -> str:
        """
        Have a pull request open for what waits at *tip*; return where people see it, if anywhere.

        Raises:
            TemporaryError: its host can't be reached, or refuses.
        """

    def is_marked(self, sync: str, revision: str) -> bool:
        """Tell whether all know already that *sync* is at *revision*; asks nobody."""

    async def mark(self, sync: str, revision: str, *, head: str) -> None:
        """
        Move the tag of *sync* to *revision* if that is a step forward on the way to *head*.

        Raises:
            PermanentError: the host refuses, in its own words.
            TemporaryError: the host can't be reached.
        """


class Registry(Protocol):
    """What the registries have, asked of the scanner."""

    async def tags(self, images: Mapping[str, bool]) -> Mapping[str, tuple[Candidate, ...]]:
        """
        Return the tags of canonical image repositories; what can't be read is left out.

        Of some repositories (those that are true) the creation times are needed.

        Raises:
            TemporaryError: nobody answers.
        """
