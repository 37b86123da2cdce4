"""
A git host for the sandbox: bare repositories, behind HTTP and behind SSH.

Both doors are git's own: `git_http` serves ``git http-backend``, `git_ssh` a real ``sshd``.
`working_copy` is a person's side of it.
"""

import re
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox import git_http, git_ssh, process
from sandbox.errors import SandboxError
from sandbox.git_env import access, quiet
from sandbox.git_http import Door, Request
from sandbox.progress import Say, to_stderr

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
_CONFIGURATION = {
    "http.receivepack": "true",
    # As the public hosts have it: any commit may be fetched, with filters.
    "uploadpack.allowAnySHA1InWant": "true",
    "uploadpack.allowFilter": "true",
    # It would go on in the background when we are gone.
    "receive.autogc": "false",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """One repository, and what a client needs to reach it (no secret is in its addresses)."""

    name: str
    path: Path
    http_url: str
    ssh_url: str | None
    environment: Mapping[str, str]  # for the git command: lets it in by both doors


@dataclass(frozen=True, slots=True, kw_only=True)
class GitServer:
    """Where the host is, and who gets in."""

    http_url: str
    ssh_url: str | None  # None: there is no sshd
    username: str
    password: str
    token: str  # as a bearer token, or in the place of the password
    private_key_file: Path | None
    known_hosts_file: Path | None
    root: Path
    door: Door

    @property
    def requests(self) -> list[Request]:
        """What HTTP has been asked since the start, oldest first; clear it at will."""
        return self.door.requests

    def fail(self, status: int = 503) -> None:
        """Answer every HTTP request with *status* from now on."""
        self.door.fail(status)

    def hold(self) -> None:
        """Take HTTP requests, and leave them without an answer from now on."""
        self.door.hold()

    def resume(self) -> None:
        """End what `fail` or `hold` began; requests that were held are served."""
        self.door.resume()

    async def create(self, name: str) -> Repository:
        """
        Make an empty repository with the default branch ``main``.

        Raises:
            SandboxError: the name is no path of plain words, or is taken.
        """
        if not _NAME.fullmatch(name):
            raise SandboxError(f"{name!r} cannot be a repository's name: use words, '/' between")
        path = self.root / f"{name}.git"
        if path.exists():
            raise SandboxError(f"the repository {name} exists already")
        init = ["git", "init", "--quiet", "--bare", "--initial-branch=main", path]
        await process.run(init, env=quiet())
        with (path / "config").open("a") as config:
            for key, value in _CONFIGURATION.items():
                section, _, variable = key.partition(".")
                config.write(f"[{section}]\n\t{variable} = {value}\n")
        return self.repository(name)

    def repository(self, name: str) -> Repository:
        """Say how the repository *name* is reached, whether it exists or not."""
        return Repository(
            name=name,
            path=self.root / f"{name}.git",
            http_url=f"{self.http_url}/{name}.git",
            ssh_url=f"{self.ssh_url}/{name}.git" if self.ssh_url else None,
            environment=self.environment(),
        )

    def environment(self) -> dict[str, str]:
        """Give the variables that let the git command in, by HTTP and by SSH."""
        return access(
            self.http_url,
            username=self.username,
            password=self.password,
            private_key_file=self.private_key_file,
            known_hosts_file=self.known_hosts_file,
        )


@asynccontextmanager
async def git_server(
    directory: Path, *, authenticate: bool = True, say: Say = to_stderr
) -> AsyncIterator[GitServer]:
    """
    Run a git host with all its files in *directory* for the length of the block.

    With *authenticate* off, HTTP lets everybody in; SSH never does.
    """
    root = _folder(directory, "repositories")
    password, token = secrets.token_hex(16), secrets.token_hex(20)
    door = Door(root, username="flux", password=password, token=token, open_to_all=not authenticate)
    async with AsyncExitStack() as stack:
        say("starting the git server (git http-backend, sshd)")
        http_url = await stack.enter_async_context(git_http.serving(door))
        ssh = await stack.enter_async_context(
            git_ssh.sshd(_folder(directory, "ssh"), root, say=say)
        )
        yield GitServer(
            http_url=http_url,
            ssh_url=ssh.url if ssh else None,
            username=door.username,
            password=password,
            token=token,
            private_key_file=ssh.private_key_file if ssh else None,
            known_hosts_file=ssh.known_hosts_file if ssh else None,
            root=root,
            door=door,
        )


def _folder(directory: Path, name: str) -> Path:
    folder = directory.absolute() / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
