"""What is found together lands together on a real git host, in as many commits as wished for."""

import asyncio

import pytest

from sandbox.errors import SandboxError
from services.repo_writer.settings import Place
from shared.contract import OrderCompleted, UpdatePushed, UpdateRejected
from tests.integration.writer_world import BY_BOTH_DOORS, World, completed, handle, notes
from tests.unit.repo_writer.given import (
    AUTOMATED,
    HOST,
    WEB,
    events,
    found,
    policies,
    release,
    said,
)

pytestmark = BY_BOTH_DOORS

API, ODD = "default:deployment/api", "prod:deployment/odd"
DEFAULT = AUTOMATED.replace("name: web", "name: api").replace("web:1.0.0", "api:1.0.0")
SIDE = f"        - name: side\n          image: {HOST}/api:1.0.0\n"


def side() -> object:
    images = {"current": f"{HOST}/api:1.0.0", "chosen": f"{HOST}/api:1.1.0"}
    return found().model_copy(update={"container": "side", **images})


WEB_IMAGE, API_IMAGE = f"{HOST}/web:1.1.0", f"{HOST}/api:1.1.0"


@pytest.mark.parametrize(
    ("commit", "subjects"),
    [
        ("batch", ["Auto-release multiple (2) images"]),
        ("per-workload", ["Auto-release multiple (2) images", f"Auto-release {API_IMAGE}"]),
        ("per-image", [f"Auto-release {WEB_IMAGE}", f"Auto-release {API_IMAGE}"]),
    ],
)
async def test_what_is_found_together_is_one_push_over_files_and_workloads(
    world: World, commit: str, subjects: list[str]
) -> None:
    await world.copy.commit_and_push(
        "Two", {"web.yaml": AUTOMATED + SIDE, "apps/api.yaml": DEFAULT}
    )
    world.hook("post-receive", "grep -c refs/heads/main >> pushes")
    repo = await world.writer(commit=commit, ci_skip=True)
    outcome = await handle(repo, said(found(), side(), found(workload=API)))

    assert (await world.log())[: -len(["Two", "First"])] == subjects
    assert (world.repository.path / "pushes").read_text() == "1\n"
    assert len(events(outcome, UpdatePushed)) == len(subjects)
    text = world.copy.read("web.yaml") + world.copy.read("apps/api.yaml")
    assert text == (AUTOMATED + SIDE + DEFAULT).replace("1.0.0", "1.1.0")
    noted = await notes(world)
    assert [one["spec"]["type"] for one in noted] == ["auto"] * len(subjects)
    for number in range(len(subjects)):
        body = await world.copy.git("log", "-1", "--format=%B", f"HEAD~{number}")
        assert "\n\n[ci skip]\n\nFlux-Kind: auto\n" in body
    if commit == "batch":
        body = await world.copy.git("log", "-1", "--format=%B")
        assert body.startswith(f"{subjects[0]}\n\n - {API_IMAGE}\n - {WEB_IMAGE}\n\n[ci skip]")


async def test_updates_of_several_syncs_are_one_commit(world: World) -> None:
    odd = AUTOMATED.replace("name: web", "name: odd\n  namespace: prod")
    await world.copy.commit_and_push("Two", {"prod/odd.yaml": odd, "web.yaml": "# gone\n"})
    await world.copy.commit_and_push("Apps", {"apps/web.yaml": AUTOMATED})
    places = [
        Place(sync="apps", paths=("apps",), default_namespace="default"),
        Place(sync="prod", paths=("prod",), default_namespace="default"),
    ]
    other = found().model_copy(update={"workload": ODD, "sync": "prod"})
    outcome = await handle(await world.writer("mirror", *places), said(found(), other))

    (pushed,) = events(outcome, UpdatePushed)
    assert set(pushed.result) == {WEB, ODD}
    assert (await world.log())[0] == f"Auto-release {WEB_IMAGE}"


TEMPLATE = (
    "{{ kind | upper }}: {{ images | join(', ') }}"
    "{% for one in changes %} {{ one.workload }}{% endfor %}"
)


async def test_words_and_author_are_as_the_repository_wishes(world: World) -> None:
    repo = await world.writer(
        messages={"auto": TEMPLATE, "release": "{{ default }} for {{ user }}"},
        ci_skip_message="\n\n***NO_CI***",
        user="Bot",
        email="bot@example.com",
    )
    await handle(repo, said(found()))
    await handle(repo, said(release(f"{HOST}/web:1.0.0", WEB)))

    assert (await world.log())[:2] == [
        f"Release {HOST}/web:1.0.0 to {WEB} for Flux",
        f"AUTO: {WEB_IMAGE} {WEB}",
    ]
    told = await world.copy.git("log", "-1", "--format=%an <%ae> %cn <%ce>%n%B")
    assert told.startswith("Bot <bot@example.com> Bot <bot@example.com>\n")
    assert "\n\n***NO_CI***\n\nFlux-Kind: release\n" in told


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (AUTOMATED.replace("web:1.0.0", "web:1.0.5"), "superseded"),
        (AUTOMATED.replace("semver:~1", "semver:~1.0"), "policy-changed"),
        (AUTOMATED.replace('automated: "true"', 'locked: "true"'), "locked"),
        (AUTOMATED.replace('automated: "true"', 'automated: "false"'), "not-automated"),
        ("# empty\n", "not-found"),
    ],
)
async def test_an_update_is_written_only_while_image_and_policy_are_those_it_was_found_for(
    world: World, text: str, reason: str
) -> None:
    repo = await world.writer()
    await repo.state(await repo.fetch())
    head = await world.copy.commit_and_push("Theirs", {"web.yaml": text})
    (rejected,) = events(await handle(repo, said(found())), UpdateRejected)

    assert rejected.reason == reason
    assert (
        await world.copy.git("ls-remote", "origin", "refs/heads/main")
        == f"{head}\trefs/heads/main\n"
    )


async def test_a_lock_in_the_race_of_a_push_wins(world: World) -> None:
    """Whoever pushes while ours is under way is heard: the update is planned anew on theirs."""
    locked = AUTOMATED.replace("annotations:", 'annotations:\n    fluxcd.io/locked: "true"')
    theirs = await world.copy.commit_and_push("Lock", {"web.yaml": locked})
    await world.copy.git("push", "--quiet", "--force", "origin", "HEAD~1:main", "HEAD:aside")
    world.hook(
        "update",
        f"[ $1 = refs/heads/main ] && [ ! -e raced ] && touch raced"
        f" && git update-ref refs/heads/main {theirs} $2; exit 0",
    )
    outcome = await handle(await world.writer(), said(found()))

    assert (world.repository.path / "raced").exists()
    assert [one.reason for one in events(outcome, UpdateRejected)] == ["locked"]
    assert await world.log() == ["Lock", "First"]


async def test_several_installations_and_people_lose_nothing_and_double_nothing(
    world: World,
) -> None:
    names = [f"n{number}" for number in range(4)]
    files = {f"{name}.yaml": AUTOMATED.replace("web", name) for name in names}
    await world.copy.commit_and_push("Many", files)
    writers = [await world.writer(name) for name in names]
    updates = [found(workload=f"default:deployment/{name}") for name in names]

    async def person() -> None:
        for number in range(3):
            world.copy.write({"note": str(number)})
            await world.copy.commit(f"Person {number}")
            while True:
                await world.copy.git("pull", "--quiet", "--rebase")
                try:
                    await world.copy.push()
                    break
                except SandboxError:  # somebody was faster
                    continue

    async with asyncio.TaskGroup() as group:
        group.create_task(person())
        # Each installation is told of everything, as two daemons of one repository are.
        tasks = [group.create_task(handle(one, said(*updates))) for one in writers]
    landed = [one for task in tasks for one in events(task.result(), UpdatePushed)]

    subjects = await world.log()
    assert sorted(one for one in subjects if one.startswith("Person")) == [
        f"Person {number}" for number in range(3)
    ]
    assert {name for one in landed for name in one.result} == {one.workload for one in updates}
    assert len([one for one in subjects if one.startswith("Auto-release")]) == 1
    for name in names:
        assert f"{name}:1.1.0" in world.copy.read(f"{name}.yaml")


async def test_a_read_only_repository_is_never_written(world: World) -> None:
    repo = await world.writer(readonly=True)
    group = said(found(), policies(WEB, locked="true"), release(f"{HOST}/web:1.1.0", WEB))
    outcome = await handle(repo, group)
    await handle(repo, said(completed(await world.copy.head())))

    told = {str(error) for error in outcome.failed.values()}
    assert told == {"cannot make a working clone of a read-only git repo"}
    assert [one.reason for one in events(outcome, UpdateRejected)] == [f"unwritable: {told.pop()}"]
    refs = (await world.copy.git("ls-remote", "origin")).split()[1::2]
    assert sorted(refs) == ["HEAD", "refs/heads/main"]


async def test_a_file_with_odd_ends_of_lines_and_one_that_cannot_be_edited_spoil_nothing(
    world: World,
) -> None:
    old = AUTOMATED.replace("web", "old").replace("\n", "\r").encode()
    merged = (
        "x: &x {name: main, image: registry.example.com/odd:1.0.0}\n"
        + AUTOMATED.replace("web", "odd").partition("        - name")[0]
        + "        - <<: *x\n"
    )
    await world.copy.commit_and_push("Odd", {"old.yaml": old, "odd.yaml": merged})
    names = ("old", "odd", "web")
    group = said(*(found(workload=f"default:deployment/{name}") for name in names))
    lock = policies("default:deployment/old", locked_msg="why")
    outcome = await handle(await world.writer(), [*said(lock), *group])

    assert set(events(outcome, UpdatePushed)[-1].result) == {WEB}
    reasons = {one.workload: one.reason for one in events(outcome, UpdateRejected)}
    assert reasons["default:deployment/old"] == "policy-changed"  # by the order before it
    assert reasons["default:deployment/odd"].startswith(
        "unwritable: odd.yaml: line 1: default:deployment/odd: the edit would change more"
    )
    assert len(events(outcome, OrderCompleted)) == 1
    await world.copy.pull()
    after = (world.copy.directory / "old.yaml").read_bytes()
    assert after == old.replace(
        b'    fluxcd.io/tag.main: "semver:~1"\r',
        b'    fluxcd.io/tag.main: "semver:~1"\r    fluxcd.io/locked_msg: why\r',
    )
