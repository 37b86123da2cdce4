"""The folder of a mirror: whose it is, and what it survives."""

import shutil
from pathlib import Path

import pytest

from shared.config.git import Git
from shared.git import tidy
from shared.git.mirror import Mirror
from shared.runtime.errors import PermanentError, TemporaryError
from tests.integration.git_place import Place


async def test_a_repository_further_up_is_never_taken_for_the_mirror(git_place: Place) -> None:
    inside = git_place.copy.directory / "state/mirror"
    inside.mkdir(parents=True)
    mirror = await Mirror.open(inside, git_place.config())
    await mirror.fetch()

    assert (inside / "HEAD").exists()
    assert "refs/flux" not in await git_place.copy.git("for-each-ref")


@pytest.mark.parametrize("damage", ["junk", "packs", "head", "gone", "ref", "lock"])
async def test_a_mirror_that_was_damaged_is_made_anew_and_notes_survive(
    git_place: Place, damage: str
) -> None:
    mirror = await git_place.mirror()
    head = await mirror.fetch()
    await mirror.note("observed", head)
    folder = git_place.root / "mirror"
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
    new = await git_place.copy.commit_and_push("Second", {"b.yaml": "b: 1\n"})
    again = await Mirror.open(folder, git_place.config())

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


async def test_a_folder_that_we_may_not_write_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PermanentError, match="set state_dir to a folder that we may write"):
        await Mirror.open(tmp_path / "file/mirror", Git(url="https://git.example.com/a"))


async def test_packs_do_not_pile_up(git_place: Place) -> None:
    mirror = await git_place.mirror()
    head = ""
    for number in range(tidy.MANY_PACKS + 3):
        blob = git_place.plumb("hash-object", "-w", "--stdin", given=f"{number}".encode()).strip()
        tree = git_place.plumb("mktree", given=f"100644 blob {blob}\ta\n".encode()).strip()
        parent = ("-p", head) if head else ()
        identity = ("-c", "user.name=x", "-c", "user.email=x@example.com")
        head = git_place.plumb(*identity, "commit-tree", tree, *parent, "-m", f"{number}").strip()
        git_place.plumb("update-ref", "refs/heads/main", head)
        assert await mirror.fetch() == head

    assert len(list((git_place.root / "mirror/objects/pack").glob("*.pack"))) < 10
    assert await mirror.height(head) == tidy.MANY_PACKS + 2
    assert await mirror.read(head, "a") == f"{tidy.MANY_PACKS + 2}".encode()
