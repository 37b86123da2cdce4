"""A branch behind `ports.Repo`, on the mirror that git-watcher uses as well."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Self

from services.repo_writer.aside import Aside
from services.repo_writer.beside import Notes, SyncTag, refs
from services.repo_writer.declarations import Declarations
from services.repo_writer.domain.plan import Edits
from services.repo_writer.domain.reading import File
from services.repo_writer.domain.state import State
from services.repo_writer.domain.style import Person
from services.repo_writer.generated import Folders, Readings
from services.repo_writer.ports import Files, Reasons
from services.repo_writer.settings import Repository
from services.repo_writer.signing import signer
from services.repo_writer.updating import Updating
from shared.git.identity import host
from shared.git.mirror import Mirror
from shared.git.remote import Pushed
from shared.rendering.client import Renderer
from shared.rendering.generators import Generators
from shared.runtime.errors import PermanentError

LOG_DEPTH = 500
"""Commits that are searched for what was written already; a redelivery is seconds old."""


class GitRepo:
    """Implements `ports.Repo`."""

    def __init__(self, mirror: Mirror, repository: Repository, renderer: Renderer) -> None:
        self.host = host(repository.git.url)
        self.readonly = repository.git.readonly
        self.style = repository.style
        self._mirror = mirror
        self._sign = signer(repository.git.signing)
        self._notes = Notes(mirror, repository.git)
        self._sync_tag = SyncTag(mirror, repository.git, self._sign)
        self._aside = (
            Aside(mirror, repository.git, self._sign) if repository.git.push_branch else None
        )
        self.aside = repository.git.push_branch
        self._tags = repository.tags
        self._git = repository.git
        generators = Generators(mirror, renderer)
        readings = Readings()
        self._folders = Folders(generators, readings, repository.places)
        self._declarations = Declarations(mirror, repository.places, self._folders)
        self._updating = Updating(mirror, generators, readings, renderer)

    @classmethod
    async def open(cls, directory: Path, repository: Repository, renderer: Renderer) -> Self:
        """Open the mirror in *directory*, or a new one."""
        git = repository.git
        mirror = await Mirror.open(directory, git, refs(git, repository.tags))
        return cls(mirror, repository, renderer)

    async def fetch(self) -> str:
        """Return what to build on: the head of the branch, and what waits to be merged."""
        head = await self._mirror.fetch()
        return await self._aside.base(head) if self._aside else head

    async def state(self, revision: str, syncs: Collection[str] = ()) -> State:
        """Return what *syncs* (or all) declare at *revision*; each blob is parsed once."""
        return await self._declarations.state(revision, syncs)

    async def text(self, revision: str, file: str) -> bytes:
        """Return a file as it is at *revision*."""
        return await self._mirror.read(revision, file)

    async def texts(self, revision: str, files: Sequence[str]) -> Sequence[bytes]:
        """Return files that are all there at *revision*."""
        return await self._mirror.texts(revision, files)

    async def generated(self, revision: str, folder: str, default_namespace: str) -> File:
        """Return what generators print in *folder* at *revision*."""
        return await self._folders.file(revision, folder, default_namespace)

    async def regenerated(self, revision: str, files: Files, edits: Edits) -> tuple[Files, Reasons]:
        """Return the files that make generators print what *edits* say, and why some can't."""
        return await self._updating.updated(revision, files, edits)

    async def commit(
        self, parent: str, files: Files, message: str, *, author: Person | None = None
    ) -> str:
        """Make a commit on *parent*, in the mirror only."""
        git = self._git
        by = (author.name, author.email or git.email) if author else None
        return await self._mirror.commit(
            parent,
            files,
            message,
            committer=(git.user, git.email),
            author=by,
            sign=self._sign,
        )

    async def push(self, revision: str, *, expected: str, notes: Mapping[str, str]) -> bool:
        """Move the branch from *expected* to *revision*, and its notes with it."""
        beside = await self._notes.moves(notes)
        try:
            pushed = await self._push(revision, expected, beside)
        except PermanentError as error:
            if not beside:
                raise
            # A hook that knows branches only refuses all of a push for the sake of its notes.
            pushed = await self._push(revision, expected, {})
            self._notes.give_up(str(error))
        await self._notes.make_sure(pushed, notes)
        return pushed.landed

    async def _push(self, revision: str, expected: str, beside: Mapping[str, str]) -> Pushed:
        if self._aside:
            return await self._aside.push(revision, beside)
        return await self._mirror.push(revision, expected, beside)

    async def propose(self, tip: str) -> str:
        """Keep the pull request as what waits is; return where people see it."""
        return await self._aside.propose(tip) if self._aside else ""

    def is_marked(self, sync: str, revision: str) -> bool:
        """Tell whether the tag of *sync* was seen at *revision*, or there is none."""
        tag = self._tags.get(sync)
        return self.readonly or not tag or self._sync_tag.is_known(tag, revision)

    async def mark(self, sync: str, revision: str, *, head: str) -> None:
        """Move the tag of *sync* to *revision*, forward only."""
        await self._sync_tag.move(self._tags[sync], revision, head)

    async def before(self, revision: str, files: Collection[str]) -> Mapping[str, Sequence[str]]:
        """Return by file the revisions after which it was changed, the newest first."""
        return await self._mirror.before(revision, files, LOG_DEPTH)

    async def written(self, revision: str) -> Sequence[tuple[str, str, str]]:
        """Return our newest commits that *revision* contains."""
        recent = await self._mirror.recent(
            revision, LOG_DEPTH, name=self._git.user, email=self._git.email
        )
        return [(commit.revision, parent, commit.message) for commit, parent in recent]
