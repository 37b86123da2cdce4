"""Why: after faults as before, each tag, object, update and revision has one reason of a list."""

import asyncio
import re
from collections import Counter
from collections.abc import Sequence

import pytest

from sandbox.world import World
from shared.contract import (
    ImagesFound,
    RevisionObserved,
    StateDeclared,
    SyncCompleted,
    UpdatePushed,
    UpdateRejected,
)
from shared.images import Candidate, ImageRef, Reason, TagPolicy, choose
from shared.runtime.faults import VARIABLE
from tests.faults.history import History, history

pytestmark = [
    *(pytest.mark.e2e, pytest.mark.rabbit, pytest.mark.cluster, pytest.mark.faults),
    pytest.mark.timeout(240),
]

ACTIONS = {"created", "configured", "unchanged", "deleted", "skipped", "failed"}
REJECTED = re.compile(
    "superseded|locked|not-automated|policy-changed|not-found|(held|unwritable): .+"
)
TAGS = ("1.0.0", "1.1.0", "1.2.0-rc.1", "0.9.0", "2.0.0", "latest", "main-1")
FAULTS = {
    "registry-scanner": "publish.after=crash",
    "repo-writer": "push.after=crash",
    "git-watcher": "bundle.after=crash",
    "cluster-applier": "apply.after=crash",
}


async def test_after_faults_each_tag_object_update_and_revision_has_one_reason(
    world: World,
) -> None:
    names = ("web", "api", "idle")
    await asyncio.gather(*(world.push_image(name, "1.0.0") for name in names))
    files = {f"{name}.yaml": world.deployment(name) for name in names}
    files["idle.yaml"] = files["idle.yaml"].replace('automated: "true"', 'automated: "false"')
    await world.push("Begin", files)
    await asyncio.gather(*(world.wait_image(name, "1.0.0") for name in names))

    async with history(world.flux, world.namespace) as told:
        await crash_while(world, names)
        async with asyncio.timeout(60):
            while not applied(told) >= {await world.copy.pull()}:
                await asyncio.sleep(0.2)
        check_tags(await world.images.tags(f"{world.namespace}/web"), f"{world.host}/web:1.0.0")
        check_objects(told)
        check_updates(told)
        await check_revisions(world, told)


async def crash_while(world: World, names: Sequence[str]) -> None:
    """Push new tags, and let each stage die on its way once."""
    for service, fault in FAULTS.items():
        await world.flux.stop(service)
        await world.flux.launch(service, env={VARIABLE: fault})
    await asyncio.gather(*(world.push_image(name, *TAGS[1:]) for name in names))
    await asyncio.gather(*(world.image_hook(name) for name in names))
    for service in FAULTS:
        await world.flux.children[service].wait()
        await world.flux.kill(service)
        await world.flux.start(service)
    await asyncio.gather(*(world.wait_image(name, "1.1.0") for name in names[:2]))


def check_tags(tags: Sequence[str], image: str) -> None:
    for policy in ("semver:1.x", "semver:*", "glob:main-*", "regexp:^2", "semver:no", ""):
        found = choose(
            [Candidate(tag=tag) for tag in tags], TagPolicy.parse(policy), ImageRef.parse(image)
        )
        assert set(found.reasons) == set(tags)
        assert set(found.reasons.values()) <= set(Reason)
        assert found.why


def check_objects(told: History) -> None:
    declared = {
        one.message.revision: one.message.objects
        for one in told.of(StateDeclared)
        if isinstance(one.message, StateDeclared)
    }
    for one in told.of(SyncCompleted):
        done = one.message
        assert set(done.counts) <= ACTIONS
        assert sum(done.counts.values()) == declared[done.revision]
        ids = Counter(result.id for result in done.objects)
        assert set(ids.values()) <= {1}
        assert all(result.message for result in done.objects if result.action == "failed")
        assert done.pruned or done.prune_reason


def check_updates(told: History) -> None:
    """Each update that was found is pushed by one commit, or rejected for reasons of the list."""
    pushed = Counter(
        (workload, change.target)
        for revision in {
            one.message.revision: one.message for one in told.of(UpdatePushed)
        }.values()
        for workload, result in revision.result.items()
        for change in result.changes
    )
    rejected = {
        (one.message.workload, one.message.chosen): one.message.reason
        for one in told.of(UpdateRejected)
    }
    found = {(one.message.workload, one.message.chosen) for one in told.of(ImagesFound)}
    assert set(pushed.values()) == {1}
    assert found
    assert found <= pushed.keys() | rejected.keys()
    assert all(REJECTED.fullmatch(reason) for reason in rejected.values())


async def check_revisions(world: World, told: History) -> None:
    """Each head was applied, or a newer one in its place."""
    newest = (await world.copy.git("rev-list", "HEAD")).split()
    observed = {one.message.revision for one in told.of(RevisionObserved)}
    assert observed <= set(newest)
    assert newest[0] in applied(told)


def applied(told: History) -> set[str]:
    return {one.message.revision for one in told.of(SyncCompleted)}
