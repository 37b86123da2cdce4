"""
A person's clone of a repository: files are written, committed and pushed by the git command.

For tests and the demo. What Flux itself does with git is elsewhere.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from sandbox import process
from sandbox.errors import MissingError
from sandbox.git_server import Repository


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingCopy:
    """A clone in *directory*."""

    directory: Path
    environment: Mapping[str, str]

    @classmethod
    async def clone(
        cls, repository: Repository, directory: Path, *, over: Literal["http", "ssh"] = "http"
    ) -> Self:
        """
        Clone *repository* into *directory*, which must not exist.

        Raises:
            SandboxError: git refused; the text holds what it said.
        """
        url = repository.http_url if over == "http" else repository.ssh_url
        if url is None:
            raise MissingError(f"{repository.name} is not served by SSH: install openssh-server")
        await process.run(["git", "clone", "--quiet", url, directory], env=repository.environment)
        return cls(directory=directory, environment=repository.environment)

    def write(self, files: Mapping[str, str | bytes]) -> None:
        """Write *files*, paths below the clone to their content."""
        for name, content in files.items():
            path = self.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def read(self, name: str) -> str:
        """Read the file *name* as it is here now."""
        return (self.directory / name).read_text()

    def remove(self, name: str) -> None:
        """Remove the file or folder *name*."""
        path = self.directory / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()

    async def commit(self, message: str) -> str:
        """Commit everything as it is here now, and return the commit's id."""
        await self.git("add", "--all")
        await self.git("commit", "--quiet", "--message", message)
        return await self.head()

    async def push(self, *options: str) -> None:
        """Push the branch to where it came from."""
        await self.git("push", "--quiet", *options, "origin", "HEAD")

    async def commit_and_push(self, message: str, files: Mapping[str, str | bytes]) -> str:
        """Write *files*, commit and push; return the commit's id."""
        self.write(files)
        commit = await self.commit(message)
        await self.push()
        return commit

    async def pull(self) -> str:
        """Get what others have pushed, put our own commits on it, and return the new head."""
        await self.git("pull", "--quiet", "--rebase")
        return await self.head()

    async def head(self) -> str:
        """Return the id of the newest commit."""
        return (await self.git("rev-parse", "HEAD")).strip()

    async def log(self, *options: str) -> list[str]:
        """List the subjects of the commits, newest first."""
        return (await self.git("log", "--format=%s", *options)).splitlines()

    async def show(self, revision: str = "HEAD") -> str:
        """Show one commit with its message and diff, or a file (``HEAD:path``)."""
        return await self.git("show", "--no-color", revision)

    async def git(self, *arguments: str) -> str:
        """
        Run git here, and return what it printed.

        Raises:
            SandboxError: it failed; the text holds what it said.
        """
        return await process.run(["git", "-C", self.directory, *arguments], env=self.environment)
