"""The sandbox's git host is a real one: both doors, their locks, and what tests may play."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from sandbox import proctree
from sandbox.errors import SandboxError
from sandbox.git_env import access, configured
from sandbox.git_server import GitServer, Repository, git_server
from sandbox.progress import silent
from sandbox.working_copy import WorkingCopy

BIG = os.urandom(2_000_000)


@pytest.fixture
async def git(tmp_path: Path) -> AsyncIterator[GitServer]:
    async with git_server(tmp_path / "host", say=silent) as it:
        yield it


@pytest.fixture
async def repository(git: GitServer) -> Repository:
    return await git.create("team/app")


@pytest.mark.parametrize("door", ["http", "ssh"])
async def test_clone_and_push(repository: Repository, tmp_path: Path, door: str) -> None:
    mine = await WorkingCopy.clone(repository, tmp_path / "mine", over=door)  # type: ignore[arg-type] # parametrize knows strings
    commit = await mine.commit_and_push("Add two files", {"apps/web.yaml": "a: 1\n", "big": BIG})

    theirs = await WorkingCopy.clone(repository, tmp_path / "theirs", over=door)  # type: ignore[arg-type] # as above
    assert await theirs.head() == commit
    assert await theirs.log() == ["Add two files"]
    assert theirs.read("apps/web.yaml") == "a: 1\n"
    assert (await theirs.git("branch", "--show-current")).strip() == "main"


async def test_a_push_onto_a_moved_branch_is_refused(
    repository: Repository, tmp_path: Path
) -> None:
    mine = await WorkingCopy.clone(repository, tmp_path / "mine")
    await mine.commit_and_push("First", {"a": "1"})
    theirs = await WorkingCopy.clone(repository, tmp_path / "theirs")
    await theirs.commit_and_push("Theirs", {"b": "1"})

    with pytest.raises(SandboxError, match="rejected"):
        await mine.commit_and_push("Mine", {"c": "1"})

    await mine.pull()
    await mine.push()
    assert await mine.log() == ["Mine", "Theirs", "First"]


@pytest.mark.parametrize(
    ("login", "status"),
    [
        ("Basic flux:{password}", 200),
        ("Basic anybody:{token}", 200),
        ("Bearer {token}", 200),
        ("Basic flux:wrong", 401),
        ("Basic somebody:{password}", 401),
        ("Bearer {password}", 401),
        ("Basic %%%", 401),
        ("", 401),
    ],
)
async def test_who_gets_in(git: GitServer, repository: Repository, login: str, status: int) -> None:
    filled = login.format(password=git.password, token=git.token)
    if filled.startswith("Basic ") and ":" in filled:
        filled = aiohttp.encode_basic_auth(*filled.removeprefix("Basic ").split(":"))
    headers = {"Authorization": filled} if filled else {}
    assert await _ask(repository, headers) == status
    assert [(request.method, request.status) for request in git.requests] == [("GET", status)]


async def test_a_wrong_password_is_refused_to_git(git: GitServer, repository: Repository) -> None:
    wrong = access(
        git.http_url, username="flux", password="x", private_key_file=None, known_hosts_file=None
    )
    stranger = WorkingCopy(directory=Path("/"), environment=wrong)
    with pytest.raises(SandboxError, match=r"(?i)authentication|username"):
        await stranger.git("ls-remote", repository.http_url)


async def test_ssh_serves_git_alone_and_only_to_its_key(
    repository: Repository, tmp_path: Path
) -> None:
    key = tmp_path / "other"
    made = await asyncio.create_subprocess_exec(
        "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)
    )
    await made.wait()
    command = repository.environment["GIT_SSH_COMMAND"]
    right = WorkingCopy(directory=Path("/"), environment=repository.environment)
    assert repository.ssh_url is not None
    with pytest.raises(SandboxError, match="this server serves git alone"):
        await right.git("ls-remote", repository.ssh_url.replace("team", "../team"))

    others = command.replace(command.split("-i ")[1].split()[0], str(key))
    stranger = dict(repository.environment) | {"GIT_SSH_COMMAND": others}
    with pytest.raises(SandboxError, match="Permission denied"):
        await WorkingCopy(directory=Path("/"), environment=stranger).git(
            "ls-remote", repository.ssh_url
        )


async def test_the_host_key_is_checked(repository: Repository, tmp_path: Path) -> None:
    command = repository.environment["GIT_SSH_COMMAND"]
    known = command.split("UserKnownHostsFile=")[1].split()[0]
    empty = tmp_path / "empty"
    empty.touch()
    unknown = dict(repository.environment) | {"GIT_SSH_COMMAND": command.replace(known, str(empty))}
    assert repository.ssh_url is not None
    with pytest.raises(SandboxError, match="Host key verification failed"):
        await WorkingCopy(directory=Path("/"), environment=unknown).git(
            "ls-remote", repository.ssh_url
        )


async def test_packed_bodies_and_the_older_protocol(repository: Repository, tmp_path: Path) -> None:
    mine = await WorkingCopy.clone(repository, tmp_path / "mine")
    await mine.commit_and_push("First", {"a": "1"})
    theirs = await WorkingCopy.clone(repository, tmp_path / "theirs")
    # What one has and wants is named in the request, which git packs above 1 KiB.
    for number in range(20):
        await mine.git("commit", "--quiet", "--allow-empty", "--message", f"Mine {number}")
        await theirs.git("commit", "--quiet", "--allow-empty", "--message", f"Theirs {number}")
        await theirs.git("branch", f"other-{number}")
    await theirs.git("push", "--quiet", "--all")

    trace = tmp_path / "trace"
    password = repository.environment["GIT_CONFIG_VALUE_0"]
    old = configured({"protocol.version": "0", "http.extraHeader": password})
    environment = dict(repository.environment) | old | {"GIT_TRACE_CURL": str(trace)}
    await WorkingCopy(directory=mine.directory, environment=environment).git("fetch", "--quiet")

    assert "Content-Encoding: gzip" in trace.read_text()
    assert (await mine.git("rev-parse", "origin/main")).strip() == await theirs.head()


async def test_an_outage_and_its_end(git: GitServer, repository: Repository) -> None:
    headers = {"Authorization": f"Bearer {git.token}"}
    git.fail()
    assert await _ask(repository, headers) == 503

    git.hold()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await _ask(repository, headers)
    held = asyncio.create_task(_ask(repository, headers))
    git.resume()
    assert await held == 200


async def test_without_authentication_everybody_gets_in(tmp_path: Path) -> None:
    async with git_server(tmp_path, authenticate=False, say=silent) as it:
        assert await _ask(await it.create("app"), {}) == 200


async def test_names_that_would_leave_the_root_are_refused(git: GitServer) -> None:
    for name in ("../x", "/x", "a//b", "a b", ""):
        with pytest.raises(SandboxError, match="cannot be a repository's name"):
            await git.create(name)


async def test_two_side_by_side_that_go_without_a_trace(tmp_path: Path) -> None:
    before = proctree.descendants(os.getpid())
    async with AsyncExitStack() as stack:
        one, two = [
            await stack.enter_async_context(git_server(tmp_path / name, say=silent))
            for name in ("a", "b")
        ]
        assert one.http_url != two.http_url
        assert one.ssh_url != two.ssh_url
        await one.create("same")
        await two.create("same")
    assert proctree.descendants(os.getpid()) <= before


async def _ask(repository: Repository, headers: dict[str, str]) -> int:
    url = f"{repository.http_url}/info/refs?service=git-upload-pack"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        await answer.read()
        return answer.status
