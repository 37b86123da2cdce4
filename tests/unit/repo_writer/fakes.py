"""A branch and a registry in memory, as repo_writer's ports want them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from services.repo_writer.domain.reading import read
from services.repo_writer.domain.state import State
from services.repo_writer.domain.style import Person, Style
from shared.images import Candidate
from shared.runtime.errors import PermanentError

Files = Mapping[str, bytes]
START, HOUR = datetime(2026, 1, 1, tzinfo=UTC), timedelta(hours=1)


class FakeRepo:
    """Commits are files and a message on a parent; the branch can be moved by others."""

    host = "git.example.com"

    def __init__(self, files: Mapping[str, str], *, readonly: bool = False) -> None:
        self.readonly = readonly
        self.style = Style()
        self.aside = ""
        self.notes: dict[str, str] = {}
        self.marks: dict[str, str] = {}
        self.authors: dict[str, Person | None] = {}
        self.commits: dict[str, tuple[str, Files, str]] = {}
        self._states: dict[tuple[str, tuple[str, ...]], State] = {}
        self.branch = ""
        self.branch = self._add("", {k: v.encode() for k, v in files.items()}, "Begin")
        self.pushes = 0
        self.fetches = 0
        self.foreign = {self.branch}
        """Commits of others."""
        self.rule: Callable[[str], bool] | None = None
        """What the host asks of every message."""
        self.race: list[Mapping[str, str]] = []
        """What others push, one before each push of ours."""

    async def fetch(self) -> str:
        self.fetches += 1
        return self.branch

    async def state(self, revision: str, syncs: Collection[str] = ()) -> State:
        """Of a file in the folder of a sync (`@name/`) only that sync reads it."""
        if (key := (revision, tuple(syncs))) not in self._states:
            self._states[key] = self._read(revision, syncs)
        return self._states[key]

    def _read(self, revision: str, syncs: Collection[str]) -> State:
        files = [
            read(path, text, "default")
            for path, text in sorted(self.commits[revision][1].items())
            if not (path.startswith("@") and syncs) or path[1:].partition("/")[0] in syncs
        ]
        return State.of(
            (one for file in files for one in file.workloads),
            (one for file in files for one in file.unread),
        )

    async def text(self, revision: str, file: str) -> bytes:
        files = self.commits[revision][1]
        if file not in files:
            raise PermanentError(f"there is no {file!r} at {revision}")
        return files[file]

    async def texts(self, revision: str, files: Sequence[str]) -> Sequence[bytes]:
        return [await self.text(revision, file) for file in files]

    async def commit(
        self, parent: str, files: Files, message: str, *, author: Person | None = None
    ) -> str:
        revision = self._add(parent, {**self.commits[parent][1], **files}, message)
        self.authors[revision] = author
        return revision

    async def push(self, revision: str, *, expected: str, notes: Mapping[str, str]) -> bool:
        self.pushes += 1
        if self.race:
            await self.edit(self.race.pop())
        if self.branch != expected:
            return False
        told = [message for _, _, message in await self._log(revision)]
        if self.rule and not all(map(self.rule, told)):
            raise PermanentError("git host git.example.com refuses the push: no ticket")
        self.branch = revision
        self.notes |= notes
        return True

    async def before(self, revision: str, files: Collection[str]) -> Mapping[str, Sequence[str]]:
        found: dict[str, list[str]] = {}
        while parent := self.commits[revision][0]:
            old, new = (self.commits[one][1] for one in (parent, revision))
            for file in files:
                if old.get(file) != new.get(file):
                    found.setdefault(file, []).append(parent)
            revision = parent
        return found

    async def propose(self, tip: str) -> str:
        return f"https://git.example.com/pulls/{tip[-1]}"

    def is_marked(self, sync: str, revision: str) -> bool:
        return self.readonly or self.marks.get(sync) == revision

    async def mark(self, sync: str, revision: str, *, head: str) -> None:
        assert head == self.branch
        if self.rule and not self.rule(sync):
            raise PermanentError("the host does not move it")
        self.marks[sync] = revision

    async def written(self, revision: str) -> Sequence[tuple[str, str, str]]:
        return [one for one in await self._log(revision) if one[0] not in self.foreign]

    async def _log(self, revision: str) -> Sequence[tuple[str, str, str]]:
        found = []
        while revision:
            parent, _, message = self.commits[revision]
            found.append((revision, parent, message))
            revision = parent
        return found

    async def edit(self, files: Mapping[str, str], message: str = "By hand") -> None:
        """Push as somebody else."""
        new = {key: value.encode() for key, value in files.items()}
        self.branch = self._add(self.branch, {**self.commits[self.branch][1], **new}, message)
        self.foreign.add(self.branch)

    def file(self, path: str) -> str:
        return self.commits[self.branch][1][path].decode()

    async def subjects(self) -> list[str]:
        return [message.splitlines()[0] for _, _, message in await self._log(self.branch)]

    def _add(self, parent: str, files: Files, message: str) -> str:
        revision = f"{len(self.commits):040x}"
        self.commits[revision] = (parent, files, message)
        return revision


class FakeRegistry:
    """Has the tags that it is given; *created* names the hours at which some were made."""

    def __init__(self, created: Mapping[str, int] | None = None, **tags: Sequence[str]) -> None:
        self.created = created or {}
        self._tags = {f"registry.example.com/{name}": some for name, some in tags.items()}

    async def tags(self, images: Mapping[str, bool]) -> Mapping[str, tuple[Candidate, ...]]:
        return {
            image: tuple(self._candidate(tag, created) for tag in self._tags[image])
            for image, created in images.items()
            if image in self._tags
        }

    def _candidate(self, tag: str, created: bool) -> Candidate:  # noqa: FBT001 -- as the port has it
        hours = self.created.get(tag) if created else None
        return Candidate(tag=tag, created=None if hours is None else START + hours * HOUR)
