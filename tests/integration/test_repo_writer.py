"""repo_writer on a real git host: what lands, what is told again, and what spoils only itself."""

import json
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from sandbox.errors import SandboxError
from sandbox.git_server import GitServer, Repository, git_server
from sandbox.progress import silent
from sandbox.working_copy import WorkingCopy
from services.repo_writer import handlers
from services.repo_writer.git_repo import GitRepo
from services.repo_writer.refusals import Refusals
from services.repo_writer.settings import Place
from services.repo_writer.settings import Repository as Written
from shared.bus.port import Outcome
from shared.config.git import Git
from shared.contract import (
    Cause,
    Envelope,
    OrderCompleted,
    SyncCompleted,
    UpdatePushed,
    UpdateRejected,
)
from shared.git import transport
from shared.runtime.errors import TemporaryError
from tests.unit.repo_writer.fakes import FakeRegistry
from tests.unit.repo_writer.given import (
    AUTOMATED,
    HOST,
    REPOSITORY,
    WEB,
    deployment,
    events,
    found,
    policies,
    release,
    said,
)

API = "default:deployment/api"


@dataclass(frozen=True, kw_only=True)
class World:
    """A host with one repository, and somebody's working copy of it."""

    git: GitServer
    repository: Repository
    copy: WorkingCopy
    root: Path

    async def writer(
        self, name: str = "mirror", *places: Place, over: str = "http", **settings: Any
    ) -> GitRepo:
        """Start a writer; under another *name* it is a process that has lost its disk."""
        where = {"url": self.repository.http_url, "auth": self._login(), "user": "Flux."}
        if over == "ssh":
            where |= {"url": self.repository.ssh_url, "auth": self._key()}
        git = Git.model_validate({**where, **settings})
        transport.configure(self.root / "home", [git])
        everything = Place(sync="apps", paths=(), default_namespace="default")
        tags = {"apps": git.sync_tag}
        written = Written(git=git, places=places or (everything,), tags=tags)
        return await GitRepo.open(self.root / name, written)

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


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with git_server(tmp_path / "host", say=silent) as git:
        repository = await git.create("team/apps")
        copy = await WorkingCopy.clone(repository, tmp_path / "copy")
        await copy.commit_and_push("First", {"web.yaml": AUTOMATED, "note": "a"})
        root = tmp_path / "mirrors"
        root.mkdir()
        yield World(git=git, repository=repository, copy=copy, root=root)


async def handle(
    repo: GitRepo, group: Iterable[Envelope], refusals: Refusals | None = None
) -> Outcome:
    registry = FakeRegistry(web=("1.1.0", "1.0.0"))
    return await handlers.on_group(
        REPOSITORY,
        list(group),
        repos={REPOSITORY: repo},
        registry=registry,
        refusals=refusals or Refusals(),
    )


async def test_an_update_lands_and_every_other_byte_stays(world: World) -> None:
    odd = ("\ufeff# grün 😀\n" + AUTOMATED + "# no end of line").replace("\n", "\r\n").encode()
    await world.copy.commit_and_push("Odd", {"web.yaml": odd})
    await handle(await world.writer(), said(found()))

    assert await world.log() == [f"Auto-release {HOST}/web:1.1.0", "Odd", "First"]
    after = (world.copy.directory / "web.yaml").read_bytes()
    assert after == odd.replace(b"web:1.0.0", b"web:1.1.0")


@pytest.mark.parametrize("since", ["nothing", "commit", "merge"])
async def test_who_died_after_the_push_tells_it_again_and_writes_nothing(
    world: World, since: str
) -> None:
    group = said(release(f"{HOST}/web:1.1.0", WEB), policies(WEB, locked="true"), found())
    first = await handle(await world.writer(), group)
    if since == "merge":  # a person had committed before they pulled
        world.copy.write({"note": "b"})
        await world.copy.commit("Theirs")
        await world.copy.git("pull", "--quiet", "--no-rebase", "--no-edit")
        await world.copy.git("push", "--quiet")
    elif since == "commit":
        await world.copy.pull()
        await world.copy.commit_and_push("Theirs", {"note": "b"})
    before = await world.log()
    again = await handle(await world.writer("another"), group)

    assert await world.log() == before
    assert not again.failed
    assert [draft.id for draft in again.events if isinstance(draft.message, UpdatePushed)] == [
        draft.id for draft in first.events if isinstance(draft.message, UpdatePushed)
    ]
    for kind in (UpdatePushed, OrderCompleted):
        assert events(again, kind)[:2] == events(first, kind)[:2]


async def test_a_persons_commit_is_not_read_as_ours(world: World) -> None:
    group = said(policies(WEB, locked="true"))
    forged = f"Theirs\n\nFlux-Kind: policy\nFlux-Order: {group[0].id}\nFlux-Policy: {WEB}"
    await world.copy.commit_and_push(forged, {"note": "b"})
    await handle(await world.writer(), group)

    assert (await world.log())[0] == f"Locked: {WEB}"


async def test_words_that_git_could_not_hold_do_not_cut_ours_off(world: World) -> None:
    cause = Cause(user="A\x00B \ud800", message="why\x00\r\n\r\nand\x1b[31m how\ud800")
    group = said(policies(WEB, locked="true", cause=cause))
    done = [events(await handle(await world.writer(name), group), OrderCompleted) for name in "ab"]

    assert await world.log() == ["why", "First"]
    assert done[0] == done[1]
    assert done[0][0].revision == await world.copy.head()


async def test_an_order_is_its_givers_commit_in_our_name(world: World) -> None:
    evil = Cause(user="Eve\ncommitter Ann <a@b> 0 +0000 <e@example.com>", message="Mine")
    group = said(policies(WEB, locked="true", cause=evil))
    done = [
        events(await handle(await world.writer(name, set_author=True), group), OrderCompleted)
        for name in "ab"
    ]

    assert await world.log() == ["Mine", "First"]
    assert done[0] == done[1]
    made_by = await world.copy.git("log", "-1", "--format=%an <%ae> by %cn <%ce>")
    assert made_by.strip() == (
        "Evecommitter Ann a@b 0 +0000 e@example.com <flux@localhost> by Flux. <flux@localhost>"
    )


async def test_every_commit_has_its_note_in_the_same_push(world: World) -> None:
    repo = await world.writer()
    world.git.requests.clear()
    await handle(repo, said(found(), policies(WEB, note="x")))
    pushes = [one for one in world.git.requests if one.path.endswith("/git-receive-pack")]
    await handle(await world.writer("another"), said(release(f"{HOST}/web:1.1.0", WEB)))

    assert len(pushes) == 1
    await world.log()
    await world.copy.git("fetch", "--quiet", "origin", "refs/notes/flux:refs/notes/flux")
    notes = [json.loads(one) for one in await noted(world)]
    assert [one["spec"]["type"] for one in notes] == ["image", "policy"]


async def noted(world: World) -> list[str]:
    heads = (await world.copy.git("log", "--format=%H", "-2")).split()
    return [await world.copy.git("notes", "--ref=flux", "show", one) for one in heads]


async def test_a_note_that_others_raced_with_is_pushed_again(world: World) -> None:
    world.hook("update", "[ $1 != refs/notes/flux ] || [ -e raced ] || { touch raced; exit 1; }")
    outcome = await handle(await world.writer(), said(found()))

    assert events(outcome, UpdatePushed)
    await world.copy.git("fetch", "--quiet", "origin", "refs/notes/flux:refs/notes/flux")
    await world.log()
    note = await world.copy.git("notes", "--ref=flux", "show", "HEAD")
    assert json.loads(note)["result"][WEB]["Status"] == "success"


@pytest.mark.parametrize(
    ("hook", "script"),
    [("update", "[ $1 = refs/heads/main ]"), ("pre-receive", "! grep -q refs/notes/")],
)
async def test_a_host_that_takes_no_notes_gets_the_commit(
    world: World, hook: str, script: str
) -> None:
    world.hook(hook, script)
    with structlog.testing.capture_logs() as logs:
        outcome = await handle(await world.writer(), said(found()))

    assert events(outcome, UpdatePushed)
    assert await world.log() == [f"Auto-release {HOST}/web:1.1.0", "First"]
    (told,) = [one for one in logs if one["event"] == "no notes"]
    assert "hook declined" in told["reason"]


async def test_the_sync_tag_goes_forward_only(world: World) -> None:
    repo, first = await world.writer(), await world.copy.head()
    second = await world.copy.commit_and_push("Second", {"note": "b"})
    third = await world.copy.commit_and_push("Third", {"note": "c"})
    seen = []
    for revision in (second, first, "0" * 40, third, second, third):
        await handle(repo, said(completed(revision)))
        seen.append(await tag(world))
    assert seen == [second, second, second, third, third, third]
    kind = world.copy.git("for-each-ref", "--format=%(objecttype) %(contents)", "refs/tags")
    assert (await kind).split("\n")[0] == "tag Sync pointer"

    await world.copy.git("reset", "--quiet", "--hard", first)
    world.copy.write({"note": "z"})
    other = await world.copy.commit("Other")
    await world.copy.push("--force")
    for revision in (third, first):  # the one is history no more, the other is on the new branch
        await handle(await world.writer("another"), said(completed(revision)))
    assert await tag(world) == first
    assert other != first


def completed(revision: str) -> SyncCompleted:
    return SyncCompleted(sync="apps", target="default", repository=REPOSITORY, revision=revision)


async def tag(world: World) -> str:
    await world.copy.git("fetch", "--quiet", "--force", "origin", "tag", "flux-sync")
    return (await world.copy.git("rev-parse", "flux-sync^{commit}")).strip()


async def test_a_tag_that_is_where_it_should_be_costs_no_request(world: World) -> None:
    repo, head = await world.writer(), await world.copy.head()
    await handle(repo, said(completed(head)))
    world.git.requests.clear()
    await handle(repo, said(completed(head)))
    assert not world.git.requests


async def test_paths_overlap_charts_are_left_out_and_a_missing_path_harms_nobody(
    world: World,
) -> None:
    chart = {"apps/chart/Chart.yaml": "name: x\n", "apps/chart/values.yaml": "image: x\n"}
    files = {"apps/chart/templates/api.yaml": deployment("api", "0.1.0"), **chart}
    files["apps/web.yaml"] = AUTOMATED.replace("web", "api")
    await world.copy.commit_and_push("Apps", files)
    places = [
        Place(sync="one", paths=("missing", "apps"), default_namespace="default"),
        Place(sync="two", paths=(), default_namespace="other"),
        Place(sync="three", paths=("apps/web.yaml",), default_namespace="default"),
    ]
    updates = [
        found(workload=API).model_copy(update={"sync": "one"}),
        found(workload="other:deployment/api").model_copy(update={"sync": "two"}),
    ]
    outcome = await handle(await world.writer("mirror", *places), said(*updates))

    assert not events(outcome, UpdateRejected)
    (pushed,) = events(outcome, UpdatePushed)
    assert set(pushed.result) == {API, "other:deployment/api"}
    await world.log()
    assert "api:0.1.0" in world.copy.read("apps/chart/templates/api.yaml")
    assert "api:1.1.0" in world.copy.read("apps/web.yaml")


async def test_workloads_of_one_name_are_written_where_they_were_found(world: World) -> None:
    files = {"prod/web.yaml": AUTOMATED, "staging/web.yaml": AUTOMATED.replace("1.0.0", "1.0.5")}
    await world.copy.commit_and_push("Two", {**files, "web.yaml": "# moved\n"})
    places = [
        Place(sync=name, paths=(name,), default_namespace="default") for name in ("prod", "staging")
    ]
    repo = await world.writer("mirror", *places)
    update = found(current="1.0.5").model_copy(update={"sync": "staging"})
    order = policies(WEB, locked="true").model_copy(update={"syncs": ("prod",)})
    outcome = await handle(repo, said(update, order))

    assert not outcome.failed
    assert await world.log() == [f"Auto-release {HOST}/web:1.1.0", f"Locked: {WEB}", "Two", "First"]
    assert world.copy.read("staging/web.yaml") == AUTOMATED.replace("1.0.0", "1.1.0")
    assert "fluxcd.io/locked" in world.copy.read("prod/web.yaml")


async def test_a_hook_that_refuses_one_message_lets_the_others_pass(world: World) -> None:
    world.hook(
        "pre-receive",
        "read old new ref\n"
        "git log --format=%s $old..$new | grep -q forbidden && echo 'no ticket' && exit 1\nexit 0",
    )
    bad = policies(WEB, note="x", cause=Cause(message="forbidden"))
    group = said(bad, policies(WEB, locked_msg="y"))
    outcome = await handle(await world.writer(), group)

    assert "no ticket" in str(outcome.failed[group[0].id])
    assert [one.order for one in events(outcome, OrderCompleted)] == [group[1].id]
    assert await world.log() == [f"Updated policies: {WEB}", "First"]


async def test_a_git_revert_is_held_by_whatever_process_comes_next(world: World) -> None:
    await handle(await world.writer(), said(found()))
    await world.log()
    await world.copy.git("revert", "--no-edit", "HEAD")
    await world.copy.push()
    outcome = await handle(await world.writer("another"), said(found()))

    (rejected,) = events(outcome, UpdateRejected)
    assert rejected.reason.startswith("held: 1.1.0 written in ")
    assert (await world.log())[0] == f"Hold {WEB}"
    text = world.copy.read("web.yaml")
    assert "    fluxcd.io/held: 'main: 1.1.0 (written in " in text or 'held: "main: 1.1.0' in text
    assert "web:1.0.0" in text


PROTECTED = r"""
printf 'error: GH006: Protected branch.\n\033[31mSay %s\033[0m to nobody.\n' "$(cat secret)" >&2
exit 1"""


@pytest.mark.parametrize("over", ["http", "ssh"])
async def test_a_protected_branch_is_told_in_the_words_of_its_host_without_secrets(
    world: World, over: str
) -> None:
    (world.repository.path / "secret").write_text(world.git.password)
    world.hook("update", PROTECTED)
    login = await world.writer("other")  # has read the password, which is known as a secret then
    await login.fetch()
    group = said(policies(WEB, locked_msg="x"))
    outcome = await handle(await world.writer(over=over), group)

    reason = str(outcome.failed[group[0].id])
    assert "refuses the push to main: hook declined: error: GH006: Protected branch.: " in reason
    assert "Say *** to nobody." in reason
    assert world.git.password not in reason
    assert reason.isprintable()
    (rejected,) = events(await handle(await world.writer(over=over), said(found())), UpdateRejected)
    assert "GH006: Protected branch." in rejected.reason
    assert await world.log() == ["First"]


@pytest.mark.parametrize("over", ["http", "ssh"])
@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("[receive]\n\tmaxInputSize = 10\n", "pack exceeds maximum allowed size"),
        ("[receive]\n\thideRefs = refs/heads/main\n", "is it hidden from who pushes?"),
        ("[http]\n\treceivepack = false\n", "we may not write (403)"),
    ],
)
async def test_what_a_host_never_takes_is_not_tried_for_ever(
    world: World, over: str, setting: str, words: str
) -> None:
    if over == "ssh" and "http" in setting:  # there the host breaks off, with words of its own
        door = next(world.root.parent.rglob("only-git"))
        archived = '"git-receive-pack "*) echo "ERROR: it is archived" >&2; exit 1 ;;'
        door.write_text(door.read_text().replace(" in\n", f" in\n  {archived}\n", 1))
        words = "ERROR: it is archived"
    world.settings(setting)
    group = said(policies(WEB, locked_msg="x"))
    outcome = await handle(await world.writer(over=over), group)

    assert words in str(outcome.failed[group[0].id])
    assert await world.log() == ["First"]


async def test_what_the_host_refused_is_not_pushed_again_at_every_scan(world: World) -> None:
    world.hook("update", "exit 1")
    repo, refusals = await world.writer(), Refusals()
    first = await handle(repo, said(found()), refusals)
    world.git.requests.clear()
    again = await handle(repo, said(found()), refusals)
    assert events(again, UpdateRejected) == events(first, UpdateRejected)
    assert not [one for one in world.git.requests if "receive-pack" in one.path]

    world.hook("update", "exit 0")
    assert events(await handle(repo, said(found("1.2.0")), refusals), UpdatePushed)
    await world.copy.pull()
    await world.copy.commit_and_push("Back", {"web.yaml": AUTOMATED})
    assert events(await handle(repo, said(found()), refusals), UpdatePushed)


HOSTILE = "x\x00\n\nFlux-Kind: release\nFlux-Order: y\r\x1b[31m\u2028\ud800 `$(id)` --amend <a@b>"


@pytest.mark.parametrize("set_author", [True, False])
async def test_words_from_outside_break_out_of_nothing(world: World, *, set_author: bool) -> None:
    words = HOSTILE.replace("\ud800", "")
    cause = Cause(user=HOSTILE, message=HOSTILE)
    order = policies(WEB, locked="true", locked_user=words, locked_msg=words, cause=cause)
    group = said(order)
    repo = await world.writer(set_author=set_author)
    (pushed,) = events(await handle(repo, group), UpdatePushed)

    await world.log()
    await world.copy.git("fetch", "--quiet", "origin", "refs/notes/flux:refs/notes/flux")
    await world.copy.git("fsck", "--strict", "--no-dangling")
    assert pushed.revision == await world.copy.head()
    keys = await world.copy.git("log", "-1", "--format=%(trailers:key=Flux-Order,valueonly)")
    assert keys.split() == [group[0].id]
    note = json.loads(await world.copy.git("notes", "--ref=flux", "show", "HEAD"))
    assert note["spec"]["cause"]["User"] == HOSTILE
    assert (await repo.state(pushed.revision)).workloads[WEB].policies.locked_message == words
    refs = (await world.copy.git("ls-remote", "origin")).split()[1::2]
    assert sorted(refs) == ["HEAD", "refs/heads/main", "refs/notes/flux"]


def run(*argv: object, data: str = "") -> str:
    command = [str(one) for one in argv]
    done = subprocess.run(command, input=data, capture_output=True, text=True, check=True)
    return done.stdout


def ssh_key(folder: Path) -> tuple[Path, dict[str, str]]:
    """Make a key; return it, and the settings by which git verifies it."""
    key = folder / "signing"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    key.chmod(0o644)  # as Kubernetes mounts it for a group
    allowed = folder / "allowed"
    allowed.write_text(f"flux@localhost {key.with_suffix('.pub').read_text()}")
    return key, {"gpg.format": "ssh", "gpg.ssh.allowedSignersFile": str(allowed)}


def openpgp_key(folder: Path) -> tuple[Path, dict[str, str]]:
    home = Path(tempfile.mkdtemp(prefix="gpg-"))
    gpg = ("gpg", "--homedir", home, "--batch", "--quiet")
    run(*gpg, "--passphrase", "", "--quick-generate-key", "Flux <flux@localhost>", "ed25519")
    key = folder / "signing"
    key.write_text(run(*gpg, "--armor", "--export-secret-keys"))
    wrapper = folder / "verify"
    wrapper.write_text(f'#!/bin/sh\nexec gpg --homedir {home} "$@"\n')
    wrapper.chmod(0o755)
    return key, {"gpg.program": str(wrapper)}


@pytest.mark.parametrize("kind", ["ssh", "openpgp"])
async def test_commits_and_the_tag_are_signed_as_git_verifies(world: World, kind: str) -> None:
    key, settings = (ssh_key if kind == "ssh" else openpgp_key)(world.root)
    signing = {kind: {"file": str(key)}}
    repo = await world.writer(signing=signing, set_author=True)
    lock = policies(WEB, note="x", cause=Cause(user="Änn <a@b>", message="grün"))
    await handle(repo, said(lock))
    await handle(repo, said(release(f"{HOST}/web:1.1.0", WEB)))
    await world.log()
    await handle(repo, said(completed(await world.copy.head())))

    await tag(world)
    verify = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    for what in ("verify-commit HEAD", "verify-commit HEAD^", "verify-tag flux-sync"):
        await world.copy.git(*verify, *what.split())
    with pytest.raises(SandboxError):
        await world.copy.git(*verify, "verify-commit", "HEAD~2")
    await world.copy.git("fsck", "--strict", "--no-dangling")


@pytest.mark.parametrize("kind", ["ssh", "openpgp"])
async def test_a_key_that_cannot_sign_is_waited_for_and_never_shown(
    world: World, kind: str
) -> None:
    key = world.root / "signing"
    repo = await world.writer(signing={kind: {"file": str(key)}})
    with pytest.raises(TemporaryError, match=r"signing key: secret file .*No such file"):
        await handle(repo, said(found()))
    key.write_text("-----BEGIN A KEY-----\nhunter2hunter2\n")
    with pytest.raises(TemporaryError, match=r"signing key: (gpg|ssh-keygen): ") as caught:
        await handle(repo, said(found()))
    assert "hunter2" not in str(caught.value)

    key.unlink()
    (ssh_key if kind == "ssh" else openpgp_key)(world.root)
    assert events(await handle(repo, said(found())), UpdatePushed)


async def test_what_is_followed_is_what_would_be_read_anew(world: World) -> None:
    places = [
        Place(sync="one", paths=("apps",), default_namespace="default"),
        Place(sync="two", paths=(), default_namespace="other"),
    ]
    files = {f"apps/{name}.yaml": deployment(name, "1") for name in "abcd"}
    files["base/f.yaml"] = deployment("f", "1")
    world.copy.write(files)
    (world.copy.directory / "apps/link.yaml").symlink_to("../base/f.yaml")
    await world.copy.commit_and_push("Many", {})
    following = await world.writer("mirror", *places)
    changes: list[Mapping[str, str | None]] = [
        {"apps/a.yaml": deployment("a", "2")},
        {"base/f.yaml": deployment("f", "2")},
        {"apps/a.yaml": None, "apps/b.yaml": deployment("b", "2"), "note": "c"},
        {"apps/e.yaml": deployment("e", "1")},
        {"apps/b.yaml": deployment("c", "1")},
        {"apps/b.yaml": deployment("b", "3"), "apps/c.yaml": "image: {"},
        {"apps/c.yaml": deployment("c", "3")},
        {"apps/Chart.yaml": "name: x\n", "apps/values.yaml": "image: x\n"},
        {"apps/d.yaml": deployment("d", "2")},
        {"apps/Chart.yaml": None},
    ]
    for number, change in enumerate(changes):
        for file, text in change.items():
            if text is None:
                world.copy.remove(file)
            else:
                world.copy.write({file: text})
        await world.copy.commit(f"Change {number}")
        await world.copy.push()
        anew = await world.writer(f"anew-{number}", *places)
        head = await following.fetch()
        assert head == await anew.fetch()
        for syncs in ((), ("one",), ("two",), ("one", "two")):
            assert await following.state(head, syncs) == await anew.state(head, syncs)


async def test_a_file_is_parsed_once_however_often_the_branch_moves(world: World) -> None:
    repo = await world.writer()
    states = [await repo.state(await repo.fetch())]
    await world.copy.commit_and_push("Others", {"more.yaml": deployment("more", "1")})
    states.append(await repo.state(await repo.fetch()))

    assert states[0].workloads[WEB] is states[1].workloads[WEB]
    assert set(states[1].workloads) == {WEB, "default:deployment/more"}
