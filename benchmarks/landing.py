"""Writing to git: from what was found to the commit on the branch, without registry and cluster."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.row import LARGE, TIMES, Row, at_most, median, timed
from benchmarks.usage import resident
from sandbox.broker import rabbitmq
from sandbox.git_server import GitServer, Repository, git_server
from sandbox.process import Child
from sandbox.progress import to_stderr
from sandbox.working_copy import WorkingCopy
from sandbox.writer_stage import WriterStage, writer_stage
from shared.contract import Draft, Envelope, ImagesFound, PollRequested, StateDeclared
from shared.manifests import Policies

QUIET = 0.1
"""The default of `automation.quiet`."""
FILES, MANY, WRITERS, EACH = 10_000, 500, 20, 10
POLICIES = {"automated": "true"}
DIGEST = Policies(values=POLICIES).digest()


async def measure() -> list[Row]:
    """Measure one update of 10,000 files, 500 at once, and 20 writers on one branch."""
    with TemporaryDirectory(prefix="flux-writing-") as directory:
        root = Path(directory)
        async with git_server(root / "git", say=to_stderr) as git:
            async with rabbitmq(root / "broker", say=to_stderr) as broker:
                folder = root / "stage"
                folder.mkdir()
                async with writer_stage(broker, git, folder, "bench") as stage:
                    rows = [*await _of_many_files(stage, git), *await _many_at_once(stage)]
            (root / "writers").mkdir()
            return [*rows, *await _many_writers(git, root / "writers")]


def manifest(name: str, image: str = "", tag: str = "1.0.0") -> str:
    return (
        f"apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\n  annotations:\n"
        '    fluxcd.io/automated: "true"\nspec:\n  template:\n    spec:\n      containers:\n'
        f"        - name: main\n          image: registry.example.com/{image or name}:{tag}\n"
    )


def found(repository: str, name: str, image: str, old: str, new: str) -> ImagesFound:
    return ImagesFound(
        repository=repository,
        sync="apps",
        workload=f"default:deployment/{name}",
        container="main",
        current=f"registry.example.com/{image}:{old}",
        chosen=f"registry.example.com/{image}:{new}",
        policy_digest=DIGEST,
        why="it is newer",
    )


async def _of_many_files(stage: WriterStage, git: GitServer) -> list[Row]:
    files = {f"apps/{n // 100}/f{n}.yaml": manifest(f"f{n}") for n in range(FILES)}
    # In a repository of its own, so that we need not fetch what it pushes.
    bare = await WorkingCopy.clone(await git.create("bare/apps"), stage.root / "bare")
    for copy in (bare, stage.copy):
        await _add(copy, files)
    async with stage.writer() as writer:
        ours, floors = [], []
        for turn in range(TIMES + 1):
            git.requests.clear()
            ours.append(await _landed(stage, ["f7"], lambda _: "f7", turn))
            floors.append(await timed(lambda turn=turn: _bare(bare, turn)))  # type: ignore[misc]
        fetched = sum(one.path.endswith("/git-upload-pack") for one in git.requests)
        memory = resident(writer.pid)
    floor = median(floors[1:])
    bar = QUIET + 2 * floor
    name = "land.1-of-10000"
    return [
        at_most(f"{name}.to-pushed", median(ours[1:]), "s", floor=floor, bar=bar),
        at_most(f"{name}.fetches", fetched, "transfers", floor=0, bar=0),
        at_most(f"{name}.memory", memory, "MiB", bar=150),
        await _watched(stage),
    ]


async def _watched(stage: WriterStage) -> Row:
    """Let git-watcher read the same files, and five changes of one of them."""
    async with stage.writer("watcher", service="git_watcher") as watcher:
        await stage.told(_declares(await stage.copy.pull()))
        for turn in range(LARGE):
            await _add(stage.copy, {"apps/0/f9.yaml": manifest("f9", tag=f"1.{turn}.1")})
            await stage.bus.publish(Draft(message=PollRequested(repository=stage.repository)))
            await stage.told(_declares(await stage.copy.head()))
        memory = resident(watcher.pid)
    return at_most("land.1-of-10000.watcher-memory", memory, "MiB", bar=150)


def _declares(revision: str) -> Callable[[list[Envelope]], bool]:
    def fits(heard: list[Envelope]) -> bool:
        newest = heard[-1].message
        return isinstance(newest, StateDeclared) and newest.revision == revision

    return fits


async def _bare(copy: WorkingCopy, turn: int) -> None:
    """Commit and push a change of the same size with git."""
    copy.write({"apps/0/f8.yaml": manifest("f8", tag=f"1.{turn + 1}.0")})
    await copy.git("commit", "--quiet", "--all", "--message", "Floor")
    await copy.push()


async def _many_at_once(stage: WriterStage) -> list[Row]:
    one = [f"one{n}" for n in range(MANY)]
    own = [f"own{n}" for n in range(MANY)]
    await stage.copy.pull()
    files = {f"one/{name}.yaml": manifest(name, "one") for name in one}
    await _add(stage.copy, files | {f"own/{name}.yaml": manifest(name) for name in own})
    changed = {path: f"{text}# floor\n" for path, text in files.items()}
    floor = await timed(lambda: _add(stage.copy, changed))
    rows = []
    async with stage.writer():
        await _landed(stage, ["f7"], lambda _: "f7", TIMES + 1)
        cases: list[tuple[str, Sequence[str], Callable[[str], str]]] = [
            ("500-workloads-of-1-image", one, lambda _: "one"),
            ("500-workloads-of-500-images", own, lambda name: name),
        ]
        for title, names, image in cases:
            head = await stage.copy.pull()
            times = [await _landed(stage, names, image, turn, still=2.0) for turn in range(LARGE)]
            await stage.copy.pull()
            commits = len(await stage.copy.log(f"{head}..HEAD")) / LARGE
            bar = QUIET + 1.5
            rows += [
                at_most(f"land.{title}.to-pushed", median(times), "s", floor=floor, bar=bar),
                at_most(f"land.{title}.commits", commits, "commits", floor=1, bar=1),
            ]
    return rows


async def _landed(
    stage: WriterStage,
    names: Iterable[str],
    image: Callable[[str], str],
    turn: int,
    *,
    still: float = 0.2,
) -> float:
    """Say that *names* have newer images; return the seconds from the last one to the last push."""
    old, new = f"1.{turn}.0", f"1.{turn + 1}.0"
    every = [found(stage.repository, name, image(name), old, new) for name in names]
    *before, last = (
        Draft(message=one.model_copy(update={"under_way": left}), correlationid=new)
        for left, one in zip(reversed(range(len(every))), every, strict=True)
    )
    await stage.bus.publish(*before)
    head, begin = stage.branch.read_text(), time.perf_counter()
    await stage.bus.publish(last)
    moved = 0.0
    async with asyncio.timeout(120):
        while not moved or time.perf_counter() - moved < still:
            if stage.branch.read_text() != head:
                head, moved = stage.branch.read_text(), time.perf_counter()
            await asyncio.sleep(0.002)
    return moved - begin


async def _many_writers(git: GitServer, root: Path) -> list[Row]:
    repository = await git.create("many/writers")
    copy = await WorkingCopy.clone(repository, root / "copy")
    names = [f"w{n}" for n in range(WRITERS * EACH)]
    await _add(copy, {f"{name}.yaml": manifest(name) for name in names})
    floor = 0.0
    for turn in range(WRITERS * EACH):
        copy.write({"floor": str(turn)})
        await copy.commit("Floor")
        floor += await timed(copy.push)
    head = await copy.head()
    async with _writers(git, repository, root, names) as children:
        ours = await timed(lambda: _race(children))
    await copy.pull()
    written = [line for line in await copy.log(f"{head}..HEAD") if line.startswith("Auto")]
    landed = float(len(set(written)) - (len(written) - len(set(written))))
    title = "land.20-writers-of-10"
    return [
        at_most(f"{title}.all-pushed", ours, "s", floor=floor, bar=3 * floor),
        at_most(f"{title}.missing", WRITERS * EACH - landed, "commits", floor=0, bar=0),
    ]


@asynccontextmanager
async def _writers(
    git: GitServer, repository: Repository, root: Path, names: Sequence[str]
) -> AsyncIterator[Sequence[Child]]:
    secret = root / "password"
    secret.write_text(git.password)
    auth = {"username": git.username, "password": {"file": str(secret)}}
    children = []
    try:
        for number in range(WRITERS):
            some = names[number * EACH : (number + 1) * EACH]
            updates = [found("r", name, name, "1.0.0", "1.1.0").model_dump() for name in some]
            settings = {
                "git": {"url": repository.http_url, "branch": "main", "auth": auth},
                "directory": str(root / f"writer-{number}"),
                "updates": updates,
            }
            file = root / f"{number}.json"
            file.write_text(json.dumps(settings))
            argv = [sys.executable, "-m", "benchmarks.one_writer", file]
            pipe = asyncio.subprocess.PIPE
            log = root / f"{number}.log"
            child = await Child.start(f"writer {number}", argv, log=log, stdin=pipe, stdout=pipe)
            children.append(child)
            await child.first_line(timeout=60)
        yield children
    finally:
        for child in children:
            await child.stop()


async def _race(children: Iterable[Child]) -> None:
    running = list(children)
    for child in running:
        await child.write_line("go")
    for child in running:
        assert await child.wait() == 0, child


async def _add(copy: WorkingCopy, files: dict[str, str]) -> None:
    await copy.commit_and_push("Add", files)
