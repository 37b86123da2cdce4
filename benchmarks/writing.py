"""Many workloads at once, from what repo-writer is told to the commit on a git host over HTTP."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.row import LARGE, Row, at_most, median, timed
from sandbox.git_server import git_server
from sandbox.progress import to_stderr
from sandbox.working_copy import WorkingCopy
from services.repo_writer import handlers
from services.repo_writer.git_repo import GitRepo
from services.repo_writer.refusals import Refusals
from services.repo_writer.settings import Place, Repository
from shared.config.git import Git
from shared.config.renderer import Renderer
from shared.contract import Draft, ImagesFound, ImageSpec, Message, UpdateRequested
from shared.git import transport
from shared.images import Candidate
from shared.manifests import Policies
from shared.rendering.client import HttpRenderer

Messages = Callable[[Sequence[str], str, str], Iterable[Message]]
"""Makes what is told of images that go from one tag to another."""

MANY, MOST = 500, 10_000
REPOSITORY = "git.example.com/team/apps#main"
POLICIES = {"automated": "true", "tag.main": "semver:~1"}

_WORKLOAD = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: w{number}
  annotations:
    fluxcd.io/automated: "true"
    fluxcd.io/tag.main: semver:~1
spec:
  template:
    spec:
      containers:
        - name: main
          image: {image}
"""


@dataclass(frozen=True, kw_only=True)
class Installation:
    """A repository of workloads, a writer of it, and somebody's working copy."""

    repo: GitRepo
    copy: WorkingCopy
    images: Sequence[str]
    """By workload, without tag."""

    async def write(self, messages: Iterable[Message], tag: str) -> None:
        outcome = await handlers.on_group(
            REPOSITORY,
            [Draft(message=one).sealed("/benchmarks") for one in messages],
            repos={REPOSITORY: self.repo},
            registry=Registry(tag),
            refusals=Refusals(),
        )
        assert not outcome.failed, outcome.failed

    async def bare(self, turn: int) -> float:
        """Commit and push a change of the same files with git."""
        await self.copy.pull()
        files = {
            path: f"{text}# {turn}\n"
            for path in _paths(len(self.images))
            for text in [self.copy.read(path)]
        }
        return await timed(lambda: self.copy.commit_and_push("Floor", files))


@dataclass(frozen=True, slots=True)
class Registry:
    """Has two tags of everything."""

    tag: str

    async def tags(self, images: Mapping[str, bool]) -> Mapping[str, tuple[Candidate, ...]]:
        return dict.fromkeys(images, (Candidate(tag="1.0.0"), Candidate(tag=self.tag)))


async def measure() -> list[Row]:
    """Measure 500 workloads of one image, 500 images, and a release of 10,000 workloads."""
    rows = []
    for name, images in (
        ("one-image", ["registry.example.com/app"] * MANY),
        ("500-images", [f"registry.example.com/app-{number}" for number in range(MANY)]),
    ):
        value, floor = await _measured(images, _found, LARGE)
        rows.append(at_most(f"write.500-workloads.{name}", value, "s", floor=floor, bar=1.5))
    images = [f"registry.example.com/app-{number}" for number in range(MOST)]
    value, floor = await _measured(images, _release, 3)
    return [*rows, at_most("write.release.10000", value, "s", floor=floor, bar=5)]


async def _measured(images: Sequence[str], messages: Messages, times: int) -> tuple[float, float]:
    ours, floors = [], []
    async with _installation(images) as found:
        for turn in range(times):
            old, new = f"1.{turn}.0", f"1.{turn + 1}.0"
            told = list(messages(images, old, new))
            ours.append(await timed(lambda told=told, new=new: found.write(told, new)))  # type: ignore[misc]
            floors.append(await found.bare(turn))
    return median(ours), median(floors)


def _found(images: Sequence[str], old: str, new: str) -> Iterable[Message]:
    for number, image in enumerate(images):
        yield ImagesFound(
            repository=REPOSITORY,
            sync="apps",
            workload=f"default:deployment/w{number}",
            container="main",
            current=f"{image}:{old}",
            chosen=f"{image}:{new}",
            policy_digest=Policies(values=POLICIES).digest(),
            why="newer",
        )


def _release(_images: Sequence[str], _old: str, _new: str) -> Iterable[Message]:
    spec = ImageSpec(workloads=("<all>",), image="<all latest>")
    yield UpdateRequested(repository=REPOSITORY, spec=spec)


@asynccontextmanager
async def _installation(images: Sequence[str]) -> AsyncIterator[Installation]:
    with TemporaryDirectory(prefix="flux-bench-") as directory:
        root = Path(directory)
        async with git_server(root / "host", say=to_stderr) as host:
            repository = await host.create("team/apps")
            copy = await WorkingCopy.clone(repository, root / "copy")
            files = {
                path: _WORKLOAD.format(number=number, image=f"{image}:1.0.0")
                for (number, image), path in zip(
                    enumerate(images), _paths(len(images)), strict=True
                )
            }
            await copy.commit_and_push("First", files)
            (root / "password").write_text(host.password)
            auth = {"username": host.username, "password": {"file": str(root / "password")}}
            settings = {"url": repository.http_url, "auth": auth, "timeout": "2m"}
            git = Git.model_validate(settings)
            transport.configure(root / "home", [git])
            place = Place(sync="apps", paths=(), default_namespace="default")
            repo = await GitRepo.open(
                root / "mirror", Repository(git=git, places=(place,)), HttpRenderer(Renderer())
            )
            await repo.state(await repo.fetch())
            yield Installation(repo=repo, copy=copy, images=images)


def _paths(count: int) -> list[str]:
    return [f"apps-{number // 100}/w{number}.yaml" for number in range(count)]
