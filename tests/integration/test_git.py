"""A mirror of a real git host: what it reads, and what it follows."""

import json

import pytest

from services.git_watcher.branch import Branch
from services.git_watcher.generating import Generating
from services.git_watcher.handlers import on_group
from services.git_watcher.settings import Settings
from shared.bundle.store import Shelf
from shared.bus.memory import MemoryBroker
from shared.config.model import Config
from shared.config.renderer import Renderer
from shared.contract import Draft, PollRequested
from shared.rendering.client import HttpRenderer
from shared.rendering.generators import Generators
from shared.runtime.errors import PermanentError, TemporaryError
from tests.integration.git_place import Place


async def test_a_fetch_finds_the_head_and_an_unchanged_one_costs_one_listing(
    git_place: Place,
) -> None:
    mirror = await git_place.mirror()
    assert await mirror.fetch() == await git_place.copy.head()
    assert mirror.branch == "main"

    second = await git_place.copy.commit_and_push("Second", {"b.yaml": "b: 1\n"})
    assert await mirror.fetch() == second
    git_place.git.requests.clear()
    assert await mirror.fetch() == second
    assert [request.method for request in git_place.git.requests if request.status == 200] == [
        "GET"
    ]


async def test_what_a_revision_holds(git_place: Place) -> None:
    mirror = await git_place.mirror()
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


async def test_history(git_place: Place) -> None:
    mirror = await git_place.mirror()
    first = await mirror.fetch()
    assert await mirror.height(first) == 0
    for number in range(3):
        await git_place.copy.commit_and_push(f"Commit {number}", {"a.yaml": f"a: {number + 2}\n"})
    head = await mirror.fetch()

    assert await mirror.height(head) == 3
    await git_place.copy.commit_and_push("One more", {"a.yaml": "a: 9\n"})
    assert await mirror.height(await mirror.fetch()) == 4
    assert (await mirror.ancestors(head, 10))[-1] == first
    assert len(await mirror.ancestors(head, 2)) == 2
    log = await mirror.log(head, 2)
    assert [one.message for one in log] == ["Commit 2\n", "Commit 1\n"]
    assert await mirror.is_ancestor(first, head)
    assert not await mirror.is_ancestor(head, first)
    for unknown in ("", "torn", "0" * 40):
        assert not await mirror.is_ancestor(unknown, head)


async def test_a_history_that_was_rewritten(git_place: Place) -> None:
    mirror = await git_place.mirror()
    old = await git_place.copy.commit_and_push("Old", {"a.yaml": "a: 2\n"})
    assert await mirror.fetch() == old
    assert await mirror.height(old) == 1
    await git_place.copy.git("reset", "--quiet", "--hard", "HEAD~1")
    git_place.copy.write({"a.yaml": "a: 3\n"})
    new = await git_place.copy.commit("New")
    await git_place.copy.push("--force")

    assert await mirror.fetch() == new
    assert not await mirror.is_ancestor(old, new)
    assert await mirror.height(new) == 1


async def test_links_lead_to_files_of_the_tree_and_nowhere_else(git_place: Place) -> None:
    copy = git_place.copy.directory
    (copy / "apps/near.yaml").symlink_to("../a.yaml")
    (copy / "apps/twice.yaml").symlink_to("near.yaml")
    (copy / "apps/out.yaml").symlink_to("../../../../etc/passwd")
    (copy / "apps/absolute.yaml").symlink_to("/etc/passwd")
    (copy / "apps/circle.yaml").symlink_to("circle.yaml")
    (copy / "apps/folder").symlink_to(".")
    await git_place.copy.commit_and_push("Links", {})
    mirror = await git_place.mirror()
    head = await mirror.fetch()

    assert [path for path, _ in await mirror.files(head, ["apps"])] == ["a.yaml", "apps/web.yaml"]
    assert [path for path, _ in await mirror.files(head, ["apps/near.yaml"])] == ["a.yaml"]


async def test_what_git_allows_and_nobody_expects_spoils_only_itself(git_place: Place) -> None:
    blob = git_place.plumb("hash-object", "-w", "--stdin", given=b"a: 1\n").strip()
    tree = git_place.plumb(
        "mktree", "-z", given=f"100644 blob {blob}\t".encode() + b"b\xf6se.yaml\0"
    )
    raw = f"tree {tree.strip()}\n".encode()
    raw += b"author J\xf6rg <a@example.com> 99999999999999 +9959\n"
    raw += b"committer x <y@example.com> 1700000000 +0000\nencoding none-such\n\nbl\xf6d\n"
    head = git_place.plumb("hash-object", "-t", "commit", "-w", "--stdin", "--literally", given=raw)
    git_place.plumb("update-ref", "refs/heads/main", head.strip())
    mirror = await git_place.mirror()

    assert await mirror.fetch() == head.strip()
    assert [path for path, _ in await mirror.files(head.strip(), [])] == ["b\ufffdse.yaml"]
    (commit,) = await mirror.log(head.strip(), 5)
    assert (commit.author, commit.message) == ("J\ufffdrg <a@example.com>", "bl\ufffdd\n")


async def test_a_branch_that_is_not_there_is_waited_for(git_place: Place) -> None:
    mirror = await git_place.mirror(branch="release")
    with pytest.raises(TemporaryError, match=r"no branch .release.; push it, or set git\.branch"):
        await mirror.fetch()
    await git_place.copy.git("push", "--quiet", "origin", "HEAD:release")
    assert await mirror.fetch() == await git_place.copy.head()


async def test_a_default_branch_is_followed_when_it_gets_another_name(git_place: Place) -> None:
    mirror = await git_place.mirror()
    await mirror.fetch()
    git_place.plumb("branch", "--move", "main", "trunk")
    git_place.plumb("symbolic-ref", "HEAD", "refs/heads/trunk")

    assert await mirror.fetch() == await git_place.copy.head()
    assert mirror.branch == "trunk"


async def test_what_is_pushed_comes_out_of_the_stream(git_place: Place) -> None:
    document = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {v: '%s'}\n"
    git = git_place.config(paths=["apps"])
    settings = Settings.of(
        Config.model_validate({"syncs": [{"name": "apps", "git": git.model_dump()}]})
    )
    ((name, repository),) = settings.repositories.items()
    mirror = await git_place.mirror()
    generating = Generating(Generators(mirror, HttpRenderer(Renderer())))
    branch = Branch(name, mirror, repository.syncs, generating)
    async with MemoryBroker([("default", "apps")]).connect("/git-watcher/1") as bus:
        shelf, values = Shelf(bus, "default", "apps"), []
        for value in "12":
            await git_place.copy.commit_and_push("Push", {"apps/web.yaml": document % value})
            poll = Draft(message=PollRequested(repository=name)).sealed("/test")
            await on_group(name, [poll], branches={name: branch}, bus=bus)
            bundle = await shelf.newest()
            assert bundle
            assert bundle.header.revision == await git_place.copy.head()
            values.append(json.loads(bundle.object(bundle.objects[0]))["data"]["v"])

    assert values == ["1", "2"]
    assert bundle.header.height == 2
    assert len(bundle.header.ancestors) == 3
