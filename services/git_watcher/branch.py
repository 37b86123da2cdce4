"""One branch and what its syncs declare: renders what changed, remembers what was said."""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from functools import partial

import structlog
from prometheus_client import Counter, Histogram

from services.git_watcher.declaration import Declaration
from services.git_watcher.domain.marker import Marker
from services.git_watcher.generating import Generating, Made
from services.git_watcher.ports import Mirror
from services.git_watcher.settings import SyncSettings
from shared.bundle import render
from shared.bundle.format import Bundle, Header
from shared.bundle.packing import pack
from shared.bundle.render import File, Rendered
from shared.contract import Commit, Problem, RevisionObserved, StateDeclared
from shared.manifests.files import manifests
from shared.manifests.marks import set_name
from shared.runtime import faults
from shared.runtime.errors import FluxError, PermanentError, TemporaryError

logger = structlog.get_logger(__name__)

SLICE = 40
"""Files that are read in one go in a thread, so that the event loop gets its turns."""
ANCESTORS = 200
COMMITS = 50

PARSED = Counter("flux_git_watcher_files_parsed_total", "Files read and parsed")
FETCH = Histogram("flux_git_watcher_fetch_seconds", "Time to ask a host, and to fetch what is new")
RENDER = Histogram("flux_git_watcher_render_seconds", "Time to render one sync")

Key = tuple[str, str]
"""Path and blob."""


class Branch:
    """A branch of a repository with its syncs."""

    def __init__(
        self,
        repository: str,
        mirror: Mirror,
        syncs: Sequence[SyncSettings],
        generating: Generating,
    ) -> None:
        self.repository = repository
        self.mirror = mirror
        self.syncs = tuple(syncs)
        self._generating = generating
        self._files: dict[tuple[str, str], dict[Key, File]] = {}
        self._declared: dict[str, Declaration] = {}

    async def head(self) -> str:
        """Return the head of the branch, as the host has it now."""
        with FETCH.time():
            return await self.mirror.fetch()

    async def declare(self, sync: SyncSettings, revision: str) -> Declaration:
        """Return what *sync* declares at *revision*; nothing is read twice."""
        known = self._declared.get(sync.name)
        if (
            known
            and known.state.revision == revision
            and known.config == sync.digest
            and not known.may_succeed(sync.interval)
        ):
            return known
        before = known.bundle if known else None
        with RENDER.time():
            rendered, failure = await self._render(sync, revision)
            bundle = await self._bundle(sync, revision, rendered, before)
        declaration = Declaration(
            state=self._state(sync, rendered, bundle, _commits(before, bundle)),
            bundle=bundle,
            config=sync.digest,
            failure=failure,
        )
        self._declared[sync.name] = declaration
        _tell(declaration.state, known.state.problems if known else ())
        return declaration

    def outage(self) -> TemporaryError | None:
        """Return what a declaration waits for that will be complete once it is back."""
        failures = (one.failure for one in self._declared.values())
        return next((one for one in failures if isinstance(one, TemporaryError)), None)

    async def published(self, sync: SyncSettings) -> str:
        """Return the digest of the bundle that was published last, as far as we know."""
        return (await self._marker(sync)).bundle

    async def mark(self, declaration: Declaration) -> None:
        """Remember, last of all, that a declaration was published and said."""
        state = declaration.state
        declaration.said = time.monotonic()
        rewritten = declaration.bundle.header.rewritten
        marker = Marker(revision=state.revision, bundle=state.bundle, rewritten=rewritten)
        await faults.reach("marker.before")
        await self.mirror.note(f"published-{state.sync}", str(marker))
        await faults.reach("marker.after")

    async def observe(self, revision: str) -> RevisionObserved | None:
        """Return the news of a head that was not told yet; `mark_observed` when it is told."""
        before = await self.mirror.note("observed")
        if before == revision:
            return None
        commits = await self.mirror.log(revision, COMMITS)
        return RevisionObserved(
            repository=self.repository,
            url=self.syncs[0].url,
            branch=self.mirror.branch,
            revision=revision,
            commits=tuple(_short(commit) for commit in commits),
            rewritten=bool(before) and not await self.mirror.is_ancestor(before, revision),
        )

    async def mark_observed(self, revision: str) -> None:
        """Remember that a head was told."""
        await self.mirror.note("observed", revision)

    async def _render(self, sync: SyncSettings, revision: str) -> tuple[Rendered, FluxError | None]:
        missing: list[Problem] = []
        found: list[Key] = []
        generated: list[Made] = []
        mark_set = self._mark_set(sync)
        for path in sync.paths or ("",):
            try:
                if made := await self._generating.made(sync, revision, path, mark_set):
                    generated.append(made)
                else:
                    found += await self.mirror.files(revision, [path] if path else [])
            except PermanentError as error:
                missing.append(Problem(file=path, message=str(error)))
        keys = await asyncio.to_thread(manifests, found)
        files = [*await self._read(sync, keys), *(one.file for one in generated)]
        rendered = await asyncio.to_thread(render.render, files)
        failure = next((one.failure for one in generated if one.failure), None)
        return replace(rendered, problems=(*missing, *rendered.problems)), failure

    async def _read(self, sync: SyncSettings, keys: Sequence[Key]) -> list[File]:
        scope = (sync.digest, self.mirror.branch)
        known = dict(self._files.get(scope, {}))
        new = [key for key in keys if key not in known]
        read = partial(
            render.read,
            default_namespace=sync.default_namespace,
            mark_set=self._mark_set(sync),
            sealer=sync.sealer,
        )
        for start in range(0, len(new), SLICE):
            some = new[start : start + SLICE]
            data = await self.mirror.blobs([blob for _, blob in some])
            files = await asyncio.to_thread(_parse, read, some, data)
            known.update(zip(some, files, strict=True))
        PARSED.inc(len(new))
        self._files[scope] = {key: known[key] for key in keys}
        return list(self._files[scope].values())

    def _mark_set(self, sync: SyncSettings) -> str:
        return set_name(sync.marked_url, self.mirror.branch, sync.paths)

    async def _marker(self, sync: SyncSettings) -> Marker:
        return Marker.parse(await self.mirror.note(f"published-{sync.name}"))

    async def _is_rewritten(self, sync: SyncSettings, revision: str) -> bool:
        before = await self._marker(sync)
        if before.revision == revision:
            return before.rewritten
        return bool(before.revision) and not await self.mirror.is_ancestor(
            before.revision, revision
        )

    async def _bundle(
        self, sync: SyncSettings, revision: str, rendered: Rendered, before: Bundle | None
    ) -> Bundle:
        header = Header(
            sync=sync.name,
            target=sync.target,
            repository=self.repository,
            url=sync.url,
            branch=self.mirror.branch,
            revision=revision,
            height=await self.mirror.height(revision),
            ancestors=tuple(await self.mirror.ancestors(revision, ANCESTORS)),
            rewritten=await self._is_rewritten(sync, revision),
            generation=sync.generation,
            default_namespace=sync.default_namespace,
            problems=len(rendered.problems),
            skipped=rendered.skipped,
            mark_set=self._mark_set(sync),
            sealed_to=sync.sealer.name if sync.sealer else "",
        )
        items = (*rendered.items, *rendered.whole)
        return await asyncio.to_thread(pack, header, items, before)

    def _state(
        self, sync: SyncSettings, rendered: Rendered, bundle: Bundle, commits: int
    ) -> StateDeclared:
        return StateDeclared(
            sync=sync.name,
            target=sync.target,
            repository=self.repository,
            url=sync.url,
            branch=self.mirror.branch,
            paths=sync.paths,
            revision=bundle.header.revision,
            commits=commits,
            bundle=bundle.digest,
            workloads=rendered.workloads,
            objects=len(rendered.items),
            encrypted=rendered.encrypted,
            problems=rendered.problems,
        )


def _parse(
    read: Callable[[str, bytes], File], keys: Iterable[Key], data: Iterable[bytes]
) -> list[File]:
    return [read(path, text) for (path, _), text in zip(keys, data, strict=True)]


def _commits(before: Bundle | None, bundle: Bundle) -> int:
    """Return how many commits came since *before*; of a history that was rewritten, one."""
    return max(1, bundle.header.height - before.header.height) if before else 1


def _short(commit: Commit) -> Commit:
    """Keep of a message what people read in a list."""
    return commit.model_copy(update={"message": commit.message[:500]})


def _tell(state: StateDeclared, told: Collection[Problem]) -> None:
    for problem in state.problems:
        if problem in told:
            continue
        logger.error(
            "manifest unreadable", file=problem.file, line=problem.line, problem=problem.message
        )
    logger.info("rendered", sync=state.sync, revision=state.revision[:12], objects=state.objects)
