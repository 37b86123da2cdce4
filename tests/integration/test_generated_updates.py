"""repo_writer on real git and a real renderer: updates of what programs print, and their proof."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.git_server import GitServer, Repository, git_server
from sandbox.progress import silent
from sandbox.working_copy import WorkingCopy
from services.git_watcher.branch import Branch
from services.git_watcher.generating import Generating
from services.git_watcher.settings import Settings as WatcherSettings
from services.repo_writer import handlers
from services.repo_writer.git_repo import GitRepo
from services.repo_writer.refusals import Refusals
from services.repo_writer.settings import Place
from services.repo_writer.settings import Repository as Written
from shared.bus.port import Outcome
from shared.config.git import Git
from shared.config.model import Config
from shared.contract import Message, OrderCompleted, UpdatePushed, UpdateRejected
from shared.git import transport
from shared.git.mirror import Mirror
from shared.rendering.client import Renderer
from shared.rendering.generators import Generators
from shared.rendering.protocol import Done, Order
from shared.runtime.errors import TemporaryError
from tests.integration.renderer_stage import Process, renderer
from tests.unit.repo_writer.fakes import FakeRegistry
from tests.unit.repo_writer.given import (
    AUTOMATED,
    HOST,
    REPOSITORY,
    WEB,
    deployment,
    events,
    found,
    policies,
    release,
    said,
)

API = "default:deployment/api"
PATCHED = """\
version: 1
patchUpdated:
  generators:
    - command: cat ../base/*.yaml
  patchFile: flux-patch.yaml
"""
SET_IMAGE = 'sed -i "s|image: $FLUX_IMG:[^ ]*|image: $FLUX_IMG:$FLUX_TAG|" ../base/*.yaml'
SET_POLICY = (
    'test -n "${FLUX_POLICY_VALUE+x}" && sed -i "s|^  annotations:|&\\n    fluxcd.io/$FLUX_POLICY:'
    ' \\"$FLUX_POLICY_VALUE\\"|" ../base/$FLUX_WL_NAME.yaml'
    ' || sed -i "/fluxcd.io.$FLUX_POLICY:/d" ../base/$FLUX_WL_NAME.yaml'
)


def updated_by(image: str, policy: str = SET_POLICY) -> str:
    quoted = [one.replace("'", "''") for one in (image, policy)]
    return (
        "version: 1\ncommandUpdated:\n  generators:\n  - command: cat ../base/*.yaml\n"
        f"  updaters:\n  - containerImage: {{command: '{quoted[0]}'}}\n"
        f"    policy: {{command: '{quoted[1]}'}}\n"
    )


BASE = {"base/web.yaml": f"---\n{AUTOMATED}", "base/api.yaml": f"---\n{deployment('api', '1')}"}


@dataclass(frozen=True, kw_only=True)
class World:
    """A host and a renderer that all tests share, and the *door* by which writers come."""

    git: GitServer
    renderer: Process
    root: Path
    door: str

    def settings(self, repository: Repository) -> Git:
        url: str | None = repository.http_url
        auth: Mapping[str, object] = {
            "username": self.git.username,
            "password": {"file": str(self.root / "password")},
        }
        if self.door == "ssh":
            url = repository.ssh_url
            auth = {
                "private_key": {"file": str(self.git.private_key_file)},
                "known_hosts": {"file": str(self.git.known_hosts_file)},
            }
        return Git.model_validate(
            {"url": url, "auth": auth, "paths": ["staging"], "manifest_generation": True}
        )


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A repository of one test's own, a writer to it, and somebody's working copy."""

    world: World
    git: Git
    copy: WorkingCopy
    repo: GitRepo
    directory: Path

    async def handle(self, *messages: Message) -> Outcome:
        return await handlers.on_group(
            REPOSITORY,
            said(*messages),
            repos={REPOSITORY: self.repo},
            registry=FakeRegistry(web=("1.1.0", "1.0.0")),
            refusals=Refusals(),
        )

    async def files(self) -> Mapping[str, str]:
        await self.copy.pull()
        return {
            str(path.relative_to(self.copy.directory)): path.read_text()
            for path in self.copy.directory.rglob("*")
            if path.is_file() and ".git" not in path.relative_to(self.copy.directory).parts
        }

    async def declared(self) -> tuple[Mapping[str, str], list[str]]:
        """Return what git_watcher declares: images by workload, and problems."""
        config = Config.model_validate(
            {
                "syncs": [{"name": "apps", "git": self.git.model_dump(exclude_none=True)}],
                "renderer": self.world.renderer.settings.model_dump(exclude_none=True),
            }
        )
        (one,) = WatcherSettings.of(config).repositories.values()
        mirror = await Mirror.open(self.directory / "watched", self.git)
        generators = Generators(mirror, self.world.renderer.client)
        branch = Branch(REPOSITORY, mirror, one.syncs, Generating(generators))
        state = (await branch.declare(one.syncs[0], await branch.head())).state
        images = {one.id: one.containers[0].image for one in state.workloads}
        return images, [f"{one.file}: {one.message}" for one in state.problems]


@pytest.fixture(scope="module", params=["http", "ssh"])
async def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    root = tmp_path_factory.mktemp("generated")
    (root / "renderer").mkdir()
    async with (
        git_server(root / "host", say=silent) as git,
        renderer(root / "renderer") as process,
    ):
        (root / "password").write_text(git.password)
        yield World(git=git, renderer=process, root=root, door=request.param)


async def stage(
    world: World, tmp_path: Path, flux_yaml: str, *, lies: str = "", **files: str
) -> Stage:
    repository = await world.git.create(f"team/{tmp_path.name.replace('_', '-').strip('-')[-40:]}")
    copy = await WorkingCopy.clone(repository, tmp_path / "copy")
    await copy.commit_and_push("First", {**BASE, "staging/.flux.yaml": flux_yaml, **files})
    git = world.settings(repository)
    transport.configure(tmp_path / "home", [git])
    place = Place(
        sync="apps", paths=("staging",), default_namespace="default", manifest_generation=True
    )
    written = Written(git=git, places=(place,))
    client: Renderer = world.renderer.client
    client = Lying(client, lies) if lies else client
    repo = await GitRepo.open(tmp_path / "mirror", written, client)
    return Stage(world=world, git=git, copy=copy, repo=repo, directory=tmp_path)


def rejections(outcome: Outcome) -> list[str]:
    return [one.reason for one in events(outcome, UpdateRejected)]


async def test_an_automated_update_stands_in_the_patch_file(world: World, tmp_path: Path) -> None:
    place = await stage(world, tmp_path, PATCHED)
    outcome = await place.handle(found())
    files = await place.files()

    assert len(events(outcome, UpdatePushed)) == 1
    assert files["base/web.yaml"] == BASE["base/web.yaml"]
    assert files["staging/flux-patch.yaml"] == (
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  template:\n"
        f"    spec:\n      containers:\n      - image: {HOST}/web:1.1.0\n        name: main\n"
    )
    assert await place.declared() == ({API: f"{HOST}/api:1", WEB: f"{HOST}/web:1.1.0"}, [])
    again = await place.handle(found())
    assert len(events(again, UpdatePushed)) == 1  # told again, and not written
    assert await place.files() == files


async def test_releases_and_policies_are_merged_into_the_patch_file(
    world: World, tmp_path: Path
) -> None:
    mine = (
        "# mine\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: api}\n"
        "spec: {replicas:   3}\n"
    )
    place = await stage(world, tmp_path, PATCHED, **{"staging/flux-patch.yaml": mine})
    outcome = await place.handle(
        policies(API, locked="true"),
        release(f"{HOST}/web:1.1.0", WEB),
        policies(WEB, locked="true"),
    )
    patch = (await place.files())["staging/flux-patch.yaml"]

    done = events(outcome, OrderCompleted)
    assert [[one.status for one in each.result.values()].count("success") for each in done] == [
        1,
        1,
        1,
    ]
    assert patch.startswith("# mine\n")
    assert "replicas:   3" in patch
    assert patch.count('fluxcd.io/locked: "true"') == 2
    assert rejections(await place.handle(found("1.1.1", "1.1.0"))) == ["locked"]


async def test_images_and_policies_are_written_by_updaters(world: World, tmp_path: Path) -> None:
    place = await stage(world, tmp_path, updated_by(SET_IMAGE))
    await place.handle(found())
    await place.handle(policies(WEB, locked_msg="frozen"))
    files = await place.files()

    assert f"image: {HOST}/web:1.1.0 # kept" in files["base/web.yaml"]
    assert 'fluxcd.io/locked_msg: "frozen"' in files["base/web.yaml"]
    assert files["base/api.yaml"] == BASE["base/api.yaml"]
    assert "staging/flux-patch.yaml" not in files


@pytest.mark.parametrize(
    ("updater", "reason"),
    [
        ("true", f"after the update main would have {HOST}/web:1.0.0, and not {HOST}/web:1.1.0"),
        (f"{SET_IMAGE}; sed -i s/api:1/api:2/ ../base/api.yaml", "would have registry.example.com"),
        ("echo no kubeyaml here >&2; exit 127", "ended with 127: no kubeyaml here"),
        ("ln -s /etc/passwd leak", "changes staging/leak, which is no plain file"),
        ("rm .flux.yaml", "nothing is generated in staging any more"),
        (f"{SET_IMAGE}; rm ../base/api.yaml", f"{API} is gone after the update"),
    ],
)
async def test_what_an_updater_makes_otherwise_is_not_written_and_told(
    world: World, tmp_path: Path, updater: str, reason: str
) -> None:
    place = await stage(world, tmp_path, updated_by(updater))
    before = await place.files()
    (told,) = rejections(await place.handle(found()))

    assert told.startswith("unwritable: staging/.flux.yaml: ")
    assert reason in told
    assert await place.files() == before


class Lying:
    """A renderer that was taken over: it wants more to be written than the updater did."""

    def __init__(self, honest: Renderer, more: str) -> None:
        self._honest = honest
        self._more = more

    async def run(self, order: Order, tree: bytes) -> Done:
        done = await self._honest.run(order, tree)
        if not order.changes:
            return done
        return done.model_copy(update={"changed": {**done.changed, self._more: b"x"}})


@pytest.mark.parametrize("path", ["../outside", ".git/config", "base/link"])
async def test_a_renderer_that_lies_makes_no_commit_that_git_would_refuse(
    world: World, tmp_path: Path, path: str
) -> None:
    place = await stage(world, tmp_path, updated_by(SET_IMAGE), lies=path)
    (place.copy.directory / "base/link").symlink_to("web.yaml")
    await place.copy.commit_and_push("Link", {})
    before = await place.files()
    (told,) = rejections(await place.handle(found()))
    assert path in told
    assert await place.files() == before


async def test_one_that_fails_does_not_hold_up_the_others(world: World, tmp_path: Path) -> None:
    picky = f'test "$FLUX_WL_NAME" != api && {SET_IMAGE}'
    api = deployment("api", "1.0.0", automated="true", **{"tag.main": "semver:~1"})
    place = await stage(world, tmp_path, updated_by(picky), **{"base/api.yaml": f"---\n{api}"})
    outcome = await place.handle(found(workload=API), found())

    assert "web:1.1.0" in (await place.files())["base/web.yaml"]
    (told,) = rejections(outcome)
    assert "updater 1, containerImage, for default:deployment/api (`test" in told


async def test_an_update_lands_on_what_others_have_pushed_meanwhile(
    world: World, tmp_path: Path
) -> None:
    place = await stage(world, tmp_path, PATCHED)
    await place.repo.fetch()
    await place.copy.commit_and_push("Theirs", {"base/web.yaml": BASE["base/web.yaml"] + "# x\n"})
    await place.handle(found())
    files = await place.files()
    assert "web:1.1.0" in files["staging/flux-patch.yaml"]
    assert files["base/web.yaml"].endswith("# x\n")


async def test_a_reverted_update_of_a_generated_workload_is_held(
    world: World, tmp_path: Path
) -> None:
    place = await stage(world, tmp_path, PATCHED)
    await place.handle(found())
    await place.copy.pull()
    await place.copy.git("revert", "--no-edit", "HEAD")
    await place.copy.git("push", "--quiet")
    (told,) = rejections(await place.handle(found()))
    assert told.startswith("held: 1.1.0 written in ")
    patch = (await place.files())["staging/flux-patch.yaml"]
    assert "fluxcd.io/held:" in patch


async def test_a_renderer_that_is_gone_is_waited_for(world: World, tmp_path: Path) -> None:
    place = await stage(world, tmp_path, PATCHED)
    await world.renderer.kill()
    try:
        with pytest.raises(TemporaryError, match="renderer: "):
            await place.handle(found())
        images, problems = await place.declared()
        assert (images, len(problems)) == ({}, 1)
    finally:
        await world.renderer.start()
    await place.handle(found())
    assert "web:1.1.0" in (await place.files())["staging/flux-patch.yaml"]
