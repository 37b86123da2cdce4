"""A mirror against a real git host: what it reads, what it writes, and what it survives."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox.git_server import GitServer, Repository, git_server
from sandbox.progress import silent
from sandbox.working_copy import WorkingCopy
from services.git_watcher.branch import Branch
from services.git_watcher.generating import Generating
from services.git_watcher.handlers import on_group
from services.git_watcher.settings import Settings
from shared.bundle.store import Shelf
from shared.bus.memory import MemoryBroker
from shared.config.git import Git
from shared.config.model import Config
from shared.config.renderer import Renderer
from shared.contract import Draft, PollRequested
from shared.git import tidy, transport
from shared.git.mirror import Mirror
from shared.rendering.client import HttpRenderer
from shared.rendering.generators import Generators
from shared.runtime.errors import PermanentError, TemporaryError

HOOK = "#!/bin/sh\necho 'the release is frozen' >&2\nexit 1\n"


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


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with git_server(tmp_path / "host", say=silent) as git:
        repository = await git.create("team/apps")
        copy = await WorkingCopy.clone(repository, tmp_path / "copy")
        await copy.commit_and_push("First", {"a.yaml": "a: 1\n", "apps/web.yaml": "web: 1\n"})
        root = tmp_path / "mirrors"
        root.mkdir()
        yield Place(git=git, repository=repository, copy=copy, root=root)


async def commit(mirror: Mirror, parent: str, files: Mapping[str, bytes | None]) -> str:
    return await mirror.commit(parent, files, "Ours", committer=("Flux", "flux@example.com"))


async def test_a_fetch_finds_the_head_and_an_unchanged_one_costs_one_listing(place: Place) -> None:
    mirror = await place.mirror()
    assert await mirror.fetch() == await place.copy.head()
    assert mirror.branch == "main"

    second = await place.copy.commit_and_push("Second", {"b.yaml": "b: 1\n"})
    assert await mirror.fetch() == second
    place.git.requests.clear()
    assert await mirror.fetch() == second
    assert [request.method for request in place.git.requests if request.status == 200] == ["GET"]


async def test_what_a_revision_holds(place: Place) -> None:
    mirror = await place.mirror()
    head = await mirror.fetch()

    assert [path for path, _ in await mirror.files(head, [])] == ["a.yaml", "apps/web.yaml"]
    assert await mirror.files(head, ["./apps", "apps"]) == await mirror.files(head, ["apps"])
    assert await mirror.files(head, ["."]) == await mirror.files(head, [])
    ((_, blob),) = await mirror.files(head, ["apps"])
    assert await mirror.blobs([blob]) == [await mirror.blob(blob)] == [b"web: 1\n"]
    assert await mirror.read(head, "apps/web.yaml") == b"web: 1\n"
    with pytest.raises(PermanentError, match="no 'nowhere'"):
        await mirror.files(head, ["nowhere"])
    with pytest.raises(PermanentError, match=r"no 'a\.yml'"):
        await mirror.read(head, "a.yml")


async def test_history(place: Place) -> None:
    mirror = await place.mirror()
    first = await mirror.fetch()
    assert await mirror.height(first) == 0
    for number in range(3):
        await place.copy.commit_and_push(f"Commit {number}", {"a.yaml": f"a: {number + 2}\n"})
    head = await mirror.fetch()

    assert await mirror.height(head) == 3
    await place.copy.commit_and_push("One more", {"a.yaml": "a: 9\n"})
    assert await mirror.height(await mirror.fetch()) == 4
    assert (await mirror.ancestors(head, 10))[-1] == first
    assert len(await mirror.ancestors(head, 2)) == 2
    log = await mirror.log(head, 2)
    assert [one.message for one in log] == ["Commit 2\n", "Commit 1\n"]
    assert await mirror.is_ancestor(first, head)
    assert not await mirror.is_ancestor(head, first)
    for unknown in ("", "torn", "0" * 40):
        assert not await mirror.is_ancestor(unknown, head)


async def test_a_history_that_was_rewritten(place: Place) -> None:
    mirror = await place.mirror()
    old = await place.copy.commit_and_push("Old", {"a.yaml": "a: 2\n"})
    assert await mirror.fetch() == old
    assert await mirror.height(old) == 1
    await place.copy.git("reset", "--quiet", "--hard", "HEAD~1")
    place.copy.write({"a.yaml": "a: 3\n"})
    new = await place.copy.commit("New")
    await place.copy.push("--force")

    assert await mirror.fetch() == new
    assert not await mirror.is_ancestor(old, new)
    assert await mirror.height(new) == 1


async def test_links_lead_to_files_of_the_tree_and_nowhere_else(place: Place) -> None:
    copy = place.copy.directory
    (copy / "apps/near.yaml").symlink_to("../a.yaml")
    (copy / "apps/twice.yaml").symlink_to("near.yaml")
    (copy / "apps/out.yaml").symlink_to("../../../../etc/passwd")
    (copy / "apps/absolute.yaml").symlink_to("/etc/passwd")
    (copy / "apps/circle.yaml").symlink_to("circle.yaml")
    (copy / "apps/folder").symlink_to(".")
    await place.copy.commit_and_push("Links", {})
    mirror = await place.mirror()
    head = await mirror.fetch()

    assert [path for path, _ in await mirror.files(head, ["apps"])] == ["a.yaml", "apps/web.yaml"]
    assert [path for path, _ in await mirror.files(head, ["apps/near.yaml"])] == ["a.yaml"]


async def test_what_git_allows_and_nobody_expects_spoils_only_itself(place: Place) -> None:
    blob = place.plumb("hash-object", "-w", "--stdin", given=b"a: 1\n").strip()
    tree = place.plumb("mktree", "-z", given=f"100644 blob {blob}\t".encode() + b"b\xf6se.yaml\0")
    raw = f"tree {tree.strip()}\n".encode()
    raw += b"author J\xf6rg <a@example.com> 99999999999999 +9959\n"
    raw += b"committer x <y@example.com> 1700000000 +0000\nencoding none-such\n\nbl\xf6d\n"
    head = place.plumb("hash-object", "-t", "commit", "-w", "--stdin", "--literally", given=raw)
    place.plumb("update-ref", "refs/heads/main", head.strip())
    mirror = await place.mirror()

    assert await mirror.fetch() == head.strip()
    assert [path for path, _ in await mirror.files(head.strip(), [])] == ["b\ufffdse.yaml"]
    (commit,) = await mirror.log(head.strip(), 5)
    assert (commit.author, commit.message) == ("J\ufffdrg <a@example.com>", "bl\ufffdd\n")


async def test_a_commit_changes_its_files_and_nothing_else(place: Place) -> None:
    (place.copy.directory / "run.sh").write_text("#!/bin/sh\n")
    (place.copy.directory / "run.sh").chmod(0o755)
    await place.copy.commit_and_push("Script", {"deep/er/x.yaml": "x\n"})
    mirror = await place.mirror()
    head = await mirror.fetch()
    files = {"run.sh": b"#!/bin/sh\nexit\n", "new/one.yaml": b"1\n", "deep/er/x.yaml": None}
    ours = await commit(mirror, head, files)

    assert (await mirror.push(ours, head)).landed
    assert await place.copy.pull() == ours
    names = sorted((await place.copy.git("ls-files")).split())
    assert names == ["a.yaml", "apps/web.yaml", "new/one.yaml", "run.sh"]
    assert os.access(place.copy.directory / "run.sh", os.X_OK)
    assert (await place.copy.git("log", "-1", "--format=%an <%ae> %s")).strip() == (
        "Flux <flux@example.com> Ours"
    )


async def test_a_push_onto_a_moved_branch_changes_nothing(place: Place) -> None:
    mirror = await place.mirror()
    head = await mirror.fetch()
    theirs = await place.copy.commit_and_push("Theirs", {"b.yaml": "b: 1\n"})
    ours = await commit(mirror, head, {"a.yaml": b"a: 9\n"})

    assert not (await mirror.push(ours, head)).landed
    assert await mirror.fetch() == theirs
    assert (await mirror.push(await commit(mirror, theirs, {"a.yaml": b"a: 9\n"}), theirs)).landed
    await place.copy.pull()
    assert await place.copy.log() == ["Ours", "Theirs", "First"]


async def test_of_two_writers_one_wins_each_round(place: Place) -> None:
    async def write(name: str) -> int:
        mirror, rounds = await place.mirror(name), 0
        for number in range(5):
            pushed = False
            while not pushed:
                head = await mirror.fetch()
                ours = await commit(mirror, head, {f"{name}-{number}": b"x"})
                pushed, rounds = (await mirror.push(ours, head)).landed, rounds + 1
        return rounds

    await asyncio.gather(write("one"), write("two"))
    await place.copy.pull()
    assert len(await place.copy.log()) == 11
    assert len(await place.copy.log("--merges")) == 0


async def test_a_push_that_landed_but_was_never_answered_has_landed(place: Place) -> None:
    hook = place.repository.path / "hooks/post-receive"
    hook.write_text("#!/bin/sh\nsleep 4\n")
    hook.chmod(0o755)
    mirror = await place.mirror(timeout="1s")
    head = await mirror.fetch()
    ours = await commit(mirror, head, {"a.yaml": b"a: 9\n"})

    assert (await mirror.push(ours, head)).landed
    assert await place.copy.pull() == ours


async def test_a_hook_that_refuses_is_quoted(place: Place) -> None:
    mirror = await place.mirror()
    head = await mirror.fetch()
    hook = place.repository.path / "hooks/pre-receive"
    hook.write_text(HOOK)
    hook.chmod(0o755)

    with pytest.raises(
        PermanentError, match=r"refuses the push to main: pre-receive.*the release is frozen"
    ):
        await mirror.push(await commit(mirror, head, {"a.yaml": b"a: 9\n"}), head)


async def test_who_may_only_read_is_told_so(place: Place) -> None:
    mirror = await place.mirror()
    head = await mirror.fetch()
    ours = await commit(mirror, head, {"a.yaml": b"a: 9\n"})
    place.git.fail(403)

    with pytest.raises(PermanentError, match=r"may not write \(403\); check git.auth"):
        await mirror.push(ours, head)
    with pytest.raises(TemporaryError, match="403"):
        await mirror.fetch()


@pytest.mark.parametrize("kind", ["password", "token", "ssh", "token as password"])
async def test_every_way_of_proving_who_we_are(place: Place, kind: str) -> None:
    git = place.git
    assert git.private_key_file
    assert git.known_hosts_file
    auth = {
        "password": {"username": git.username, "password": place.secret(git.password)},
        "token as password": {"username": "x", "password": place.secret(git.token)},
        "token": {"token": place.secret(git.token)},
        "ssh": {
            "private_key": {"file": str(git.private_key_file)},
            "known_hosts": {"file": str(git.known_hosts_file)},
        },
    }[kind]
    url = place.repository.ssh_url if kind == "ssh" else place.repository.http_url
    mirror = await place.mirror(url=url, auth=auth)
    head = await mirror.fetch()

    assert head == await place.copy.head()
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
    place: Place, auth: dict[str, str], told: str
) -> None:
    secrets = {"password", "token"}
    given = {k: place.secret(v) if k in secrets else v for k, v in auth.items()}
    mirror = await place.mirror(auth=given)

    with pytest.raises(TemporaryError, match=told) as caught:
        await mirror.fetch()
    assert caught.value.dependency == "git host 127.0.0.1"
    assert "wrong-secret" not in str(caught.value)


async def test_a_secret_that_is_not_there_yet_is_waited_for(place: Place) -> None:
    missing = place.root / "password"
    auth = {"username": place.git.username, "password": {"file": str(missing)}}
    mirror = await place.mirror(auth=auth)

    with pytest.raises(TemporaryError, match="No such file"):
        await mirror.fetch()
    missing.write_text(place.git.password)
    assert await mirror.fetch() == await place.copy.head()


async def test_a_host_whose_key_nobody_vouched_for_is_refused(place: Place) -> None:
    key = {"private_key": {"file": str(place.git.private_key_file)}}
    mirror = await place.mirror(url=place.repository.ssh_url, auth=key)

    with pytest.raises(TemporaryError, match=r"not known; set git\.auth\.known_hosts"):
        await mirror.fetch()


async def test_a_branch_that_is_not_there_is_waited_for(place: Place) -> None:
    mirror = await place.mirror(branch="release")
    with pytest.raises(TemporaryError, match=r"no branch .release.; push it, or set git\.branch"):
        await mirror.fetch()
    await place.copy.git("push", "--quiet", "origin", "HEAD:release")
    assert await mirror.fetch() == await place.copy.head()


async def test_a_default_branch_is_followed_when_it_gets_another_name(place: Place) -> None:
    mirror = await place.mirror()
    await mirror.fetch()
    place.plumb("branch", "--move", "main", "trunk")
    place.plumb("symbolic-ref", "HEAD", "refs/heads/trunk")

    assert await mirror.fetch() == await place.copy.head()
    assert mirror.branch == "trunk"


async def test_a_silent_host_ends_in_time_and_holds_up_no_other_mirror(
    place: Place, tmp_path: Path
) -> None:
    async with git_server(tmp_path / "other", say=silent, authenticate=False) as other:
        well = await other.create("well")
        copy = await WorkingCopy.clone(well, tmp_path / "well")
        head = await copy.commit_and_push("First", {"a": "1"})
        silent_ones = [await place.mirror(f"silent-{n}", timeout=2.0) for n in range(8)]
        healthy = await Mirror.open(place.root / "well", Git(url=well.http_url))
        place.git.hold()
        waiting = asyncio.gather(*(one.fetch() for one in silent_ones), return_exceptions=True)
        try:
            async with asyncio.timeout(1.5):
                assert await healthy.fetch() == head
            failures = await asyncio.wait_for(waiting, 15)
        finally:
            place.git.resume()

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
        await asyncio.wait_for(arrived.wait(), 5)
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetching
        looking = asyncio.create_task(mirror.is_ancestor("", ""))
        done, _ = await asyncio.wait({looking}, timeout=0.2)
        released.set()

        assert not done
        assert not await asyncio.wait_for(looking, 10)


async def test_a_repository_further_up_is_never_taken_for_the_mirror(place: Place) -> None:
    inside = place.copy.directory / "state/mirror"
    inside.mkdir(parents=True)
    mirror = await Mirror.open(inside, place.config())
    await mirror.fetch()

    assert (inside / "HEAD").exists()
    assert "refs/flux" not in await place.copy.git("for-each-ref")


@pytest.mark.parametrize("damage", ["junk", "packs", "head", "gone", "ref", "lock"])
async def test_a_mirror_that_was_damaged_is_made_anew_and_notes_survive(
    place: Place, damage: str
) -> None:
    mirror = await place.mirror()
    head = await mirror.fetch()
    await mirror.note("observed", head)
    folder = place.root / "mirror"
    if damage in {"junk", "head"}:
        (folder / "HEAD").write_text("junk\n" if damage == "junk" else "")
    elif damage == "packs":
        for pack in folder.glob("objects/pack/*.pack"):
            pack.chmod(0o600)
            pack.write_bytes(pack.read_bytes()[:40])
    elif damage == "gone":
        shutil.rmtree(folder / "objects")
    elif damage == "lock":
        (folder / "refs/flux/head.lock").touch()
    else:
        (folder / "refs/flux/head").write_text("0123")
    new = await place.copy.commit_and_push("Second", {"b.yaml": "b: 1\n"})
    again = await Mirror.open(folder, place.config())

    assert await eventually(again, new) == [b"a: 1\n", b"web: 1\n", b"b: 1\n"]
    assert await again.note("observed") == head


async def eventually(mirror: Mirror, revision: str) -> list[bytes]:
    """Read everything as a stage does: again after what is temporary, five times at most."""
    for _ in range(4):
        try:
            return await everything(mirror, revision)
        except TemporaryError:
            continue
    return await everything(mirror, revision)


async def everything(mirror: Mirror, revision: str) -> list[bytes]:
    assert await mirror.fetch() == revision
    files = dict(await mirror.files(revision, []))
    return await mirror.blobs([files["a.yaml"], files["apps/web.yaml"], files["b.yaml"]])


async def test_a_push_that_died_half_way_leaves_nothing_in_the_way(place: Place) -> None:
    mirror = await place.mirror()
    head = await mirror.fetch()
    lock = place.root / "mirror/refs/flux/move/0.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    with pytest.raises(TemporaryError, match="mirror: can't be read"):
        await mirror.push(await commit(mirror, head, {"a.yaml": b"a: 9\n"}), head)

    assert await mirror.fetch() == head
    assert (await mirror.push(await commit(mirror, head, {"a.yaml": b"a: 9\n"}), head)).landed


async def test_a_folder_that_we_may_not_write_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PermanentError, match="set state_dir to a folder that we may write"):
        await Mirror.open(tmp_path / "file/mirror", Git(url="https://git.example.com/a"))


async def test_what_is_pushed_comes_out_of_the_stream(place: Place) -> None:
    document = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {v: '%s'}\n"
    git = place.config(paths=["apps"])
    settings = Settings.of(
        Config.model_validate({"syncs": [{"name": "apps", "git": git.model_dump()}]})
    )
    ((name, repository),) = settings.repositories.items()
    mirror = await place.mirror()
    generating = Generating(Generators(mirror, HttpRenderer(Renderer())))
    branch = Branch(name, mirror, repository.syncs, generating)
    async with MemoryBroker([("default", "apps")]).connect("/git-watcher/1") as bus:
        shelf, values = Shelf(bus, "default", "apps"), []
        for value in "12":
            await place.copy.commit_and_push("Push", {"apps/web.yaml": document % value})
            poll = Draft(message=PollRequested(repository=name)).sealed("/test")
            await on_group(name, [poll], branches={name: branch}, bus=bus)
            bundle = await shelf.newest()
            assert bundle
            assert bundle.header.revision == await place.copy.head()
            values.append(json.loads(bundle.object(bundle.header.index[0]))["data"]["v"])

    assert values == ["1", "2"]
    assert bundle.header.height == 2
    assert len(bundle.header.ancestors) == 3


async def test_packs_do_not_pile_up(place: Place) -> None:
    mirror = await place.mirror()
    head = ""
    for number in range(tidy.MANY_PACKS + 3):
        blob = place.plumb("hash-object", "-w", "--stdin", given=f"{number}".encode()).strip()
        tree = place.plumb("mktree", given=f"100644 blob {blob}\ta\n".encode()).strip()
        parent = ("-p", head) if head else ()
        identity = ("-c", "user.name=x", "-c", "user.email=x@example.com")
        head = place.plumb(*identity, "commit-tree", tree, *parent, "-m", f"{number}").strip()
        place.plumb("update-ref", "refs/heads/main", head)
        assert await mirror.fetch() == head

    assert len(list((place.root / "mirror/objects/pack").glob("*.pack"))) < 10
    assert await mirror.height(head) == tidy.MANY_PACKS + 2
    assert await mirror.read(head, "a") == f"{tidy.MANY_PACKS + 2}".encode()
