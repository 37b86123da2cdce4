"""What the tests of a mirror share: a real git host for each of them, and how to reach it."""

import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.git_server import GitServer, Repository, git_server
from sandbox.progress import silent
from sandbox.working_copy import WorkingCopy
from shared.config.git import Git
from shared.git import transport
from shared.git.mirror import Mirror


@dataclass(frozen=True, kw_only=True)
class Place:
    """A host with one repository, somebody's working copy of it, and a folder for mirrors."""

    git: GitServer
    repository: Repository
    copy: WorkingCopy
    root: Path

    def config(self, **changes: Any) -> Git:
        auth = {"username": self.git.username, "password": self.secret(self.git.password)}
        return Git.model_validate({"url": self.repository.http_url, "auth": auth, **changes})

    def secret(self, value: str) -> Mapping[str, str]:
        file = self.root / f"secret-{len(list(self.root.iterdir()))}"
        file.write_text(f"{value}\n")
        return {"file": str(file)}

    async def mirror(self, name: str = "mirror", **changes: Any) -> Mirror:
        git = self.config(**changes)
        transport.configure(self.root / "home", [git])
        return await Mirror.open(self.root / name, git)

    def plumb(self, *arguments: str, given: bytes = b"") -> str:
        """Run git in the host's own repository, for what the porcelain would refuse."""
        command = ["git", "-C", str(self.repository.path), *arguments]
        return subprocess.run(command, input=given, capture_output=True, check=True).stdout.decode()


@asynccontextmanager
async def git_host_of_its_own(folder: Path) -> AsyncIterator[Place]:
    """Start a host: a test may hold it up, break it, or lock it."""
    async with git_server(folder / "host", say=silent) as git:
        repository = await git.create("team/apps")
        copy = await WorkingCopy.clone(repository, folder / "copy")
        await copy.commit_and_push("First", {"a.yaml": "a: 1\n", "apps/web.yaml": "web: 1\n"})
        root = folder / "mirrors"
        root.mkdir()
        yield Place(git=git, repository=repository, copy=copy, root=root)


async def commit(mirror: Mirror, parent: str, files: Mapping[str, bytes | None]) -> str:
    return await mirror.commit(parent, files, "Ours", committer=("Flux", "flux@example.com"))
