"""`fluxctl sync` tells what it waits for, and what stands in its way."""

import pytest

from tests.unit.fluxctl.gateway import Gateway, Printed
from tests.unit.fluxctl.given import CONFIG, JOBS, SHA, SYNC, SYNC_STATE, SYNCS, UPDATE, succeeded

READY = {
    "remote": {"url": "ssh://git@git.example.com/shop.git", "branch": "main", "path": ""},
    "status": "ready",
    "errors": "",
}


async def test_a_sync_tells_what_it_waits_for(gateway: Gateway) -> None:
    gateway.answers |= {CONFIG: READY, UPDATE: "1", JOBS: succeeded(revision=SHA), SYNC: None}
    assert await gateway.run("sync") == Printed(
        out="",
        err=(
            "Synchronizing with ssh://git@git.example.com/shop.git\n"
            "Revision of main to apply is 5d0c6a1\n"
            "Waiting for 5d0c6a1 to be applied ...\nDone.\n"
        ),
        code=0,
    )
    assert gateway.sent == [
        False,
        {"type": "sync", "cause": {"Message": "", "User": ""}, "spec": {}},
    ]
    assert gateway.asked[-2:] == ["/api/flux/v6/sync?ref=5d0c6a1", SYNCS]


async def test_a_sync_tells_what_waits_to_be_deleted_and_allows_it_when_asked_to(
    gateway: Gateway,
) -> None:
    why = "this revision takes away 6 of 10 objects"
    held = [{**SYNC_STATE, "prune_held": 6, "prune_reason": why}]
    gateway.answers |= {CONFIG: READY, UPDATE: "1", JOBS: succeeded(revision=SHA), SYNC: None}
    gateway.answers[SYNCS] = held
    printed = await gateway.run("sync")
    assert printed.err.endswith(f"Done.\napps: nothing is pruned: {why}\n")
    gateway.answers[SYNCS] = [{**SYNC_STATE, "prune_held": 0}]
    printed = await gateway.run("sync", "--allow-prune")
    assert printed.err.endswith("to be applied ...\nDone.\n")
    assert [one["spec"] for one in gateway.sent if one] == [{}, {"allow_prune": True}]
    gateway.answers[SYNCS] = held
    assert (await gateway.run("--timeout", "1s", "sync", "--allow-prune")).code == 1


async def test_a_sync_that_is_suspended_is_not_waited_for_and_told(gateway: Gateway) -> None:
    gateway.answers |= {CONFIG: READY, UPDATE: "1", JOBS: succeeded(revision=SHA), SYNC: None}
    gateway.answers[SYNCS] = [{**SYNC_STATE, "held": "suspended by a: maintenance"}]
    printed = await gateway.run("sync")
    assert printed.err.endswith("Done.\napps: suspended by a: maintenance\n")
    assert printed.code == 0


async def test_a_sync_that_fails_names_its_job(gateway: Gateway) -> None:
    failed = {"StatusString": "failed", "Err": "git host: refused", "Result": {}}
    gateway.answers |= {CONFIG: READY, UPDATE: "j", JOBS: failed}
    printed = await gateway.run("sync")
    assert printed.code == 1
    assert printed.err == (
        "Synchronizing with ssh://git@git.example.com/shop.git\n"
        'Failed to complete sync job (ID "j")\n'
        "Error: git host: refused\nRun 'fluxctl sync --help' for usage.\n"
    )


async def test_an_unverified_head_is_a_warning_and_the_last_good_commit_is_awaited(
    gateway: Gateway,
) -> None:
    why = "branch HEAD in the git repo is not verified; last verified commit was 5d0c6a1"
    failed = {"StatusString": "failed", "Err": why, "Result": {"revision": SHA}}
    gateway.answers |= {CONFIG: READY, UPDATE: "j", JOBS: failed, SYNC: []}
    printed = await gateway.run("sync")
    assert printed.code == 0
    assert f"Warning: {why}\nRevision of main to apply is 5d0c6a1\n" in printed.err


@pytest.mark.parametrize(
    ("status", "errors", "said"),
    [
        ("unconfigured", "", "no git repository is configured"),
        (
            "unreachable",
            "refused",
            "can not connect to git repository with URL U\n\nFull error message: refused",
        ),
        ("new", "", "git repository U is not ready to sync"),
        ("cloned", "why", "git repository U is not ready to sync\n\nFull error message: why"),
    ],
)
async def test_a_repository_that_is_not_ready_is_not_synced(
    gateway: Gateway, status: str, errors: str, said: str
) -> None:
    gateway.answers[CONFIG] = {"remote": {"url": "U"}, "status": status, "errors": errors}
    printed = await gateway.run("sync")
    assert printed.err == f"Error: {said}\nRun 'fluxctl sync --help' for usage.\n"
    assert printed.code == 1
    assert len(gateway.asked) == 1
