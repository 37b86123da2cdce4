"""A branch in memory as git_watcher's port wants it, and a bus that keeps what it is told."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import TypeVar

from shared.bundle.format import Assembler, Bundle
from shared.contract import Commit, Draft, Message
from shared.rendering.client import FailedError
from shared.rendering.protocol import Done, Failed, Order
from shared.runtime.errors import PermanentError, TemporaryError

M = TypeVar("M", bound=Message)


class FakeMirror:
    """Commits are files on a parent; what is noted survives as it would on disk."""

    branch = "main"

    def __init__(self) -> None:
        self.head = ""
        self.commits: dict[str, tuple[str, Mapping[str, str]]] = {}
        self.notes: dict[str, str] = {}
        self.contents: dict[str, bytes] = {}
        self.fetches = 0
        self.looked_at: list[str] = []
        """The blobs that were asked for."""
        self.down = False
        self.too_large = False
        self.read_only = False
        """Nothing can be noted: we die between saying and remembering."""

    def push(self, files: Mapping[str, str], *, parent: str | None = None) -> str:
        """Commit *files* as all there is, on the head or on another *parent*."""
        revision = f"{len(self.commits) + 1:040x}"
        self.commits[revision] = (self.head if parent is None else parent, files)
        self.head = revision
        return revision

    async def fetch(self) -> str:
        self.fetches += 1
        if self.down:
            raise TemporaryError("git host git.example.com", "no answer")
        return self.head

    async def files(self, revision: str, paths: Sequence[str]) -> list[tuple[str, str]]:
        tree = self.commits[revision][1]
        for path in paths:
            if not any(self._below(name, path) for name in tree):
                raise PermanentError(f"there is no {path!r} at {revision[:7]}")
        wanted = [n for n in tree if not paths or any(self._below(n, path) for path in paths)]
        return sorted((name, self._blob(tree[name])) for name in wanted)

    async def blobs(self, identities: Sequence[str]) -> list[bytes]:
        self.looked_at += identities
        return [self.contents[one] for one in identities]

    async def blob(self, identity: str) -> bytes:
        return self.contents[identity]

    async def read(self, revision: str, path: str) -> bytes:
        tree = self.commits[revision][1]
        if path not in tree:
            raise PermanentError(f"there is no {path!r}")
        return tree[path].encode()

    async def tree(self, revision: str) -> str:
        same = (one for one, (_, files) in self.commits.items() if files == self._tree(revision))
        return next(same)

    async def nearest(self, revision: str, path: str, name: str) -> tuple[str, str] | None:
        tree = self._tree(revision)
        parts = [part for part in path.split("/") if part]
        while True:
            there = "/".join([*parts, name])
            if there in tree:
                return there, self._blob(tree[there])
            if not parts:
                return None
            parts.pop()

    async def packed(self, revision: str, limit: int) -> bytes:
        """Pack nothing: the fake renderer knows what it answers."""
        assert limit > 0
        if self.too_large:
            raise PermanentError("too many files")
        return revision.encode()

    def _tree(self, revision: str) -> Mapping[str, str]:
        return self.commits[revision][1]

    async def log(self, revision: str, limit: int) -> list[Commit]:
        time = datetime(2026, 1, 1, tzinfo=UTC)
        return [
            Commit(revision=one, author="Flux <flux@example.com>", message="m" * 600, time=time)
            for one in await self.ancestors(revision, limit)
        ]

    async def ancestors(self, revision: str, limit: int) -> list[str]:
        found = []
        while revision and len(found) < limit:
            found.append(revision)
            revision = self.commits[revision][0]
        return found

    async def height(self, revision: str) -> int:
        return len(await self.ancestors(revision, 10_000)) - 1

    async def is_ancestor(self, old: str, new: str) -> bool:
        return old in await self.ancestors(new, 10_000)

    async def note(self, key: str, text: str | None = None) -> str:
        if text is not None:
            if self.read_only:
                raise OSError("the process ended here")
            self.notes[key] = text
        return self.notes.get(key, "")

    def _blob(self, text: str) -> str:
        data = text.encode()
        identity = sha256(data).hexdigest()[:40]
        self.contents[identity] = data
        return identity

    @staticmethod
    def _below(name: str, path: str) -> bool:
        return name == path or name.startswith(f"{path}/")


class FakeRenderer:
    """Answers each command with what it was told that the command prints."""

    def __init__(self) -> None:
        self.prints: dict[str, str] = {}
        self.orders: list[Order] = []
        self.down = False

    async def run(self, order: Order, tree: bytes) -> Done:
        assert tree
        if self.down:
            raise TemporaryError("renderer", "no answer")
        self.orders.append(order)
        for number, run in enumerate(order.runs, start=1):
            if run.command not in self.prints:
                failed = Failed(number=number, reason="ended with 127", stderr="not found")
                raise FailedError(failed)
        return Done(outputs=tuple(self.prints[run.command].encode() for run in order.runs))


class FakeBus:
    """Keeps messages and bundles in the order in which they were confirmed."""

    def __init__(self) -> None:
        self.said: list[Draft | Bundle] = []

    async def publish(self, *drafts: Draft) -> None:
        self.said += drafts

    async def append(self, key: str, records: Sequence[tuple[Mapping[str, str], bytes]]) -> None:
        assembler = Assembler()
        whole = [assembler.take(headers, body) for headers, body in records][-1]
        assert whole is not None
        assert key == f"{whole.header.target}.{whole.header.sync}"
        self.said.append(whole)

    def messages(self, kind: type[M]) -> list[M]:
        drafts = [one.message for one in self.said if isinstance(one, Draft)]
        return [one for one in drafts if isinstance(one, kind)]

    def bundles(self) -> list[Bundle]:
        return [one for one in self.said if isinstance(one, Bundle)]

    def order(self, sync: str | None = None) -> list[str]:
        """Return what was said, of one sync or of all, in one word each."""
        return [
            one.message.type.removesuffix(".v1") if isinstance(one, Draft) else "bundle"
            for one in self.said
            if sync is None or _sync(one) == sync
        ]

    def forget(self) -> None:
        self.said.clear()


def _sync(said: Draft | Bundle) -> str | None:
    about = said.header if isinstance(said, Bundle) else said.message
    return getattr(about, "sync", None)
