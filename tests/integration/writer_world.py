"""What repo-writer's tests share: a repository at a real git host, and writers that come to it."""

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from sandbox.git_server import GitServer, Repository
from sandbox.working_copy import WorkingCopy
from services.repo_writer import handlers
from services.repo_writer.git_repo import GitRepo
from services.repo_writer.refusals import Refusals
from services.repo_writer.settings import Place
from services.repo_writer.settings import Repository as Written
from shared.bus.port import Outcome
from shared.config.git import Git
from shared.config.renderer import Renderer
from shared.contract import Envelope, SyncCompleted
from shared.git import transport
from shared.rendering.client import HttpRenderer
from tests.unit.repo_writer.fakes import FakeRegistry
from tests.unit.repo_writer.given import AUTOMATED, REPOSITORY

BY_BOTH_DOORS = pytest.mark.parametrize("world", ["http", "ssh"], indirect=True)


@dataclass(frozen=True, kw_only=True)
class World:
    """A repository at a host, somebody's working copy of it, and by which *door* writers come."""

    git: GitServer
    repository: Repository
    copy: WorkingCopy
    root: Path
    door: str

    async def writer(
        self, name: str = "mirror", *places: Place, over: str = "", **settings: Any
    ) -> GitRepo:
        """Start a writer; under another *name* it is a process that has lost its disk."""
        where = {"url": self.repository.http_url, "auth": self._login(), "user": "Flux."}
        if (over or self.door) == "ssh":
            where |= {"url": self.repository.ssh_url, "auth": self._key()}
        git = Git.model_validate({**where, **settings})
        transport.configure(self.root / "home", [git])
        everything = Place(sync="apps", paths=(), default_namespace="default")
        tags = {"apps": git.sync_tag}
        written = Written(git=git, places=places or (everything,), tags=tags)
        return await GitRepo.open(self.root / name, written, HttpRenderer(Renderer()))

    def _login(self) -> Mapping[str, Any]:
        secret = self.root / "password"
        secret.write_text(self.git.password)
        return {"username": self.git.username, "password": {"file": str(secret)}}

    def _key(self) -> Mapping[str, Any]:
        return {
            "private_key": {"file": str(self.git.private_key_file)},
            "known_hosts": {"file": str(self.git.known_hosts_file)},
        }

    def hook(self, name: str, script: str) -> None:
        hook = self.repository.path / "hooks" / name
        hook.write_text(f"#!/bin/sh\n{script}\n")
        hook.chmod(0o755)

    def settings(self, text: str) -> None:
        """Add to the settings of the repository at its host."""
        with (self.repository.path / "config").open("a") as config:
            config.write(text)

    async def log(self) -> list[str]:
        await self.copy.pull()
        return await self.copy.log()


@asynccontextmanager
async def writer_world(git: GitServer, root: Path, door: str) -> AsyncIterator[World]:
    """Make a repository of its own for one test."""
    repository = await git.create(f"t{uuid4().hex[:8]}/apps")
    copy = await WorkingCopy.clone(repository, root / "copy")
    await copy.commit_and_push("First", {"web.yaml": AUTOMATED, "note": "a"})
    mirrors = root / "mirrors"
    mirrors.mkdir()
    yield World(git=git, repository=repository, copy=copy, root=mirrors, door=door)


async def handle(
    repo: GitRepo,
    group: Iterable[Envelope],
    refusals: Refusals | None = None,
    registry: FakeRegistry | None = None,
) -> Outcome:
    return await handlers.on_group(
        REPOSITORY,
        list(group),
        repos={REPOSITORY: repo},
        registry=registry or FakeRegistry(web=("1.1.0", "1.0.0")),
        refusals=refusals or Refusals(),
    )


def completed(revision: str) -> SyncCompleted:
    return SyncCompleted(sync="apps", target="default", repository=REPOSITORY, revision=revision)


async def notes(world: World) -> list[Any]:
    """Return the notes of the commits of the branch, the newest first."""
    await world.copy.pull()
    await world.copy.git("fetch", "--quiet", "origin", "refs/notes/flux:refs/notes/flux")
    noted = (await world.copy.git("notes", "--ref=flux", "list")).split()[1::2]
    heads = (await world.copy.git("log", "--format=%H")).split()
    return [
        json.loads(await world.copy.git("notes", "--ref=flux", "show", one))
        for one in heads
        if one in noted
    ]


async def tag(world: World) -> str:
    await world.copy.git("fetch", "--quiet", "--force", "origin", "tag", "flux-sync")
    return (await world.copy.git("rev-parse", "flux-sync^{commit}")).strip()
