"""Who gets in at a git host, who is told what is wrong, and who waits for whom."""

import asyncio
from pathlib import Path

import pytest

from sandbox.git_server import git_server
from sandbox.progress import silent
from sandbox.working_copy import WorkingCopy
from shared.config.git import Git
from shared.git.mirror import Mirror
from shared.runtime.errors import TemporaryError
from tests.integration.git_place import Place, commit


@pytest.mark.parametrize("kind", ["password", "token", "ssh", "token as password"])
async def test_every_way_of_proving_who_we_are(git_place: Place, kind: str) -> None:
    git = git_place.git
    assert git.private_key_file
    assert git.known_hosts_file
    auth = {
        "password": {"username": git.username, "password": git_place.secret(git.password)},
        "token as password": {"username": "x", "password": git_place.secret(git.token)},
        "token": {"token": git_place.secret(git.token)},
        "ssh": {
            "private_key": {"file": str(git.private_key_file)},
            "known_hosts": {"file": str(git.known_hosts_file)},
        },
    }[kind]
    url = git_place.repository.ssh_url if kind == "ssh" else git_place.repository.http_url
    mirror = await git_place.mirror(url=url, auth=auth)
    head = await mirror.fetch()

    assert head == await git_place.copy.head()
    assert (await mirror.push(await commit(mirror, head, {"a.yaml": b"a: 9\n"}), head)).landed


@pytest.mark.parametrize(
    ("auth", "told"),
    [
        ({"username": "flux", "password": "wrong-secret"}, "refuses our credentials"),
        ({"token": "wrong-secret"}, "refuses our credentials"),
        ({}, "asks for credentials; set git.auth"),
    ],
)
async def test_a_refusal_names_the_remedy_and_no_secret(
    git_place: Place, auth: dict[str, str], told: str
) -> None:
    secrets = {"password", "token"}
    given = {k: git_place.secret(v) if k in secrets else v for k, v in auth.items()}
    mirror = await git_place.mirror(auth=given)

    with pytest.raises(TemporaryError, match=told) as caught:
        await mirror.fetch()
    assert caught.value.dependency == "git host 127.0.0.1"
    assert "wrong-secret" not in str(caught.value)


async def test_a_secret_that_is_not_there_yet_is_waited_for(git_place: Place) -> None:
    missing = git_place.root / "password"
    auth = {"username": git_place.git.username, "password": {"file": str(missing)}}
    mirror = await git_place.mirror(auth=auth)

    with pytest.raises(TemporaryError, match="No such file"):
        await mirror.fetch()
    missing.write_text(git_place.git.password)
    assert await mirror.fetch() == await git_place.copy.head()


async def test_a_host_whose_key_nobody_vouched_for_is_refused(git_place: Place) -> None:
    key = {"private_key": {"file": str(git_place.git.private_key_file)}}
    mirror = await git_place.mirror(url=git_place.repository.ssh_url, auth=key)

    with pytest.raises(TemporaryError, match=r"not known; set git\.auth\.known_hosts"):
        await mirror.fetch()


async def test_a_silent_host_ends_in_time_and_holds_up_no_other_mirror(
    git_place: Place, tmp_path: Path
) -> None:
    async with git_server(tmp_path / "other", say=silent, authenticate=False) as other:
        well = await other.create("well")
        copy = await WorkingCopy.clone(well, tmp_path / "well")
        head = await copy.commit_and_push("First", {"a": "1"})
        silent_ones = [await git_place.mirror(f"silent-{n}", timeout=5.0) for n in range(8)]
        healthy = await Mirror.open(git_place.root / "well", Git(url=well.http_url))
        git_place.git.hold()
        waiting = [asyncio.create_task(one.fetch()) for one in silent_ones]
        try:
            assert await healthy.fetch() == head
            assert not any(one.done() for one in waiting)
            failures = await asyncio.gather(*waiting, return_exceptions=True)
        finally:
            git_place.git.resume()

    assert all(isinstance(one, TemporaryError) for one in failures)


async def test_a_fetch_that_nobody_waits_for_any_more_keeps_the_mirror_to_itself(
    tmp_path: Path,
) -> None:
    arrived, released = asyncio.Event(), asyncio.Event()

    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await released.wait()
        writer.close()

    async with await asyncio.start_server(hold, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        mirror = await Mirror.open(tmp_path / "mirror", Git(url=f"http://127.0.0.1:{port}/a"))
        fetching = asyncio.create_task(mirror.fetch())
        await asyncio.wait_for(arrived.wait(), 30)
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetching
        looking = asyncio.create_task(mirror.is_ancestor("", ""))
        done, _ = await asyncio.wait({looking}, timeout=0.2)
        released.set()

        assert not done
        assert not await asyncio.wait_for(looking, 30)
