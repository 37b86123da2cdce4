"""What a mirror writes to a real git host, and what the host says to it."""

import asyncio
import os

import pytest

from shared.runtime.errors import PermanentError, TemporaryError
from tests.integration.git_place import Place, commit

HOOK = "#!/bin/sh\necho 'the release is frozen' >&2\nexit 1\n"


async def test_a_commit_changes_its_files_and_nothing_else(git_place: Place) -> None:
    (git_place.copy.directory / "run.sh").write_text("#!/bin/sh\n")
    (git_place.copy.directory / "run.sh").chmod(0o755)
    await git_place.copy.commit_and_push("Script", {"deep/er/x.yaml": "x\n"})
    mirror = await git_place.mirror()
    head = await mirror.fetch()
    files = {"run.sh": b"#!/bin/sh\nexit\n", "new/one.yaml": b"1\n", "deep/er/x.yaml": None}
    ours = await commit(mirror, head, files)

    assert (await mirror.push(ours, head)).landed
    assert await git_place.copy.pull() == ours
    names = sorted((await git_place.copy.git("ls-files")).split())
    assert names == ["a.yaml", "apps/web.yaml", "new/one.yaml", "run.sh"]
    assert os.access(git_place.copy.directory / "run.sh", os.X_OK)
    assert (await git_place.copy.git("log", "-1", "--format=%an <%ae> %s")).strip() == (
        "Flux <flux@example.com> Ours"
    )


async def test_a_push_onto_a_moved_branch_changes_nothing(git_place: Place) -> None:
    mirror = await git_place.mirror()
    head = await mirror.fetch()
    theirs = await git_place.copy.commit_and_push("Theirs", {"b.yaml": "b: 1\n"})
    ours = await commit(mirror, head, {"a.yaml": b"a: 9\n"})

    assert not (await mirror.push(ours, head)).landed
    assert await mirror.fetch() == theirs
    assert (await mirror.push(await commit(mirror, theirs, {"a.yaml": b"a: 9\n"}), theirs)).landed
    await git_place.copy.pull()
    assert await git_place.copy.log() == ["Ours", "Theirs", "First"]


async def test_of_two_writers_one_wins_each_round(git_place: Place) -> None:
    async def write(name: str) -> int:
        mirror, rounds = await git_place.mirror(name), 0
        for number in range(5):
            pushed = False
            while not pushed:
                head = await mirror.fetch()
                ours = await commit(mirror, head, {f"{name}-{number}": b"x"})
                pushed, rounds = (await mirror.push(ours, head)).landed, rounds + 1
        return rounds

    await asyncio.gather(write("one"), write("two"))
    await git_place.copy.pull()
    assert len(await git_place.copy.log()) == 11
    assert len(await git_place.copy.log("--merges")) == 0


async def test_a_push_that_landed_but_was_never_answered_has_landed(git_place: Place) -> None:
    hook = git_place.repository.path / "hooks/post-receive"
    hook.write_text("#!/bin/sh\nsleep 4\n")
    hook.chmod(0o755)
    mirror = await git_place.mirror(timeout="1s")
    head = await mirror.fetch()
    ours = await commit(mirror, head, {"a.yaml": b"a: 9\n"})

    assert (await mirror.push(ours, head)).landed
    assert await git_place.copy.pull() == ours


async def test_a_push_that_died_half_way_leaves_nothing_in_the_way(git_place: Place) -> None:
    mirror = await git_place.mirror()
    head = await mirror.fetch()
    lock = git_place.root / "mirror/refs/flux/move/0.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    with pytest.raises(TemporaryError, match="mirror: can't be read"):
        await mirror.push(await commit(mirror, head, {"a.yaml": b"a: 9\n"}), head)

    assert await mirror.fetch() == head
    assert (await mirror.push(await commit(mirror, head, {"a.yaml": b"a: 9\n"}), head)).landed


async def test_a_hook_that_refuses_is_quoted(git_place: Place) -> None:
    mirror = await git_place.mirror()
    head = await mirror.fetch()
    hook = git_place.repository.path / "hooks/pre-receive"
    hook.write_text(HOOK)
    hook.chmod(0o755)

    with pytest.raises(
        PermanentError, match=r"refuses the push to main: pre-receive.*the release is frozen"
    ):
        await mirror.push(await commit(mirror, head, {"a.yaml": b"a: 9\n"}), head)


async def test_who_may_only_read_is_told_so(git_place: Place) -> None:
    mirror = await git_place.mirror()
    head = await mirror.fetch()
    ours = await commit(mirror, head, {"a.yaml": b"a: 9\n"})
    git_place.git.fail(403)

    with pytest.raises(PermanentError, match=r"may not write \(403\); check git.auth"):
        await mirror.push(ours, head)
    with pytest.raises(TemporaryError, match="403"):
        await mirror.fetch()
