"""Releases are given, awaited and watched as by Flux v1's fluxctl."""

from tests.unit.fluxctl.gateway import Gateway, Printed, Several
from tests.unit.fluxctl.given import (
    CART,
    CART_ID,
    JOBS,
    SHA,
    SUCCESS,
    SYNC,
    UPDATE,
    WATCH,
    succeeded,
)


async def test_a_release_is_given_awaited_shown_and_awaited_again(gateway: Gateway) -> None:
    gateway.answers |= {
        UPDATE: "job 1",
        JOBS: Several(
            {"StatusString": "queued", "Result": {}, "Err": ""},
            succeeded(revision=SHA, result={CART_ID: SUCCESS}),
        ),
        SYNC: [],
    }
    printed = await gateway.run(
        "release", "-n", "shop", "--workload", "Deployment/cart,shop:deployment/pay",
        "--update-all-images=true", "--user", "Ana <ana@example.com>", "-m", "roll out",
        "--exclude", "deployment/a,deployment/b", "--controller", "daemonset/agent",
    )  # fmt: skip

    assert printed == Printed(
        out=(
            "WORKLOAD              STATUS   UPDATES\n"
            "shop:deployment/cart  success  cart: quay.io/shop/cart:1.3.0 -> 1.4.0\n"
        ),
        err=(
            "Flag --controller has been deprecated, changed to --workload, use that instead\n"
            "Submitting release ...\nCommit pushed:\t5d0c6a1\nCommit applied:\t5d0c6a1\n"
        ),
        code=0,
    )
    assert gateway.sent == [
        {
            "type": "image",
            "cause": {"Message": "roll out", "User": "Ana <ana@example.com>"},
            "spec": {
                "ServiceSpecs": [CART_ID, "shop:deployment/pay", "shop:daemonset/agent"],
                "ImageSpec": "<all latest>",
                "Kind": "execute",
                "Excludes": ["shop:deployment/a", "shop:deployment/b"],
                "Force": False,
            },
        }
    ]
    jobs = [one for one in gateway.asked if "v6/jobs" in one]
    assert jobs == ["/api/flux/v6/jobs?id=job+1"] * 3
    assert gateway.asked[-1] == f"/api/flux/v6/sync?ref={SHA}"


async def test_a_dry_run_prints_its_table_and_waits_for_nothing(gateway: Gateway) -> None:
    gateway.answers |= {UPDATE: "1", JOBS: succeeded(result={})}
    printed = await gateway.run("release", "--all", "-i", "quay.io/a/b:1", "--dry-run")
    assert printed.out == "WORKLOAD   STATUS   UPDATES\n"
    assert printed.err == "Submitting dry-run release ...\n"
    assert gateway.sent[0]["spec"]["Kind"] == "plan"
    assert not any("v6/sync" in one for one in gateway.asked)


async def test_without_a_result_there_was_nothing_to_do(gateway: Gateway) -> None:
    gateway.answers |= {UPDATE: "1", JOBS: {"StatusString": "succeeded"}}
    printed = await gateway.run("automate", "-w", "deployment/cart")
    assert printed == Printed(out="", err="Nothing to do\n", code=0)


async def test_a_failed_job_ends_with_its_error(gateway: Gateway) -> None:
    failed = {"StatusString": "failed", "Err": "no changes made in repo", "Result": {}}
    gateway.answers |= {UPDATE: "1", JOBS: failed}
    printed = await gateway.run("release", "--all", "--update-all-images")
    assert (printed.out, printed.code) == ("", 1)
    assert printed.err == (
        "Submitting release ...\n"
        "Error: no changes made in repo\nRun 'fluxctl release --help' for usage.\n"
    )


async def test_a_wait_that_is_too_long_is_told_in_full_but_for_the_first_of_a_release(
    gateway: Gateway,
) -> None:
    gateway.answers |= {UPDATE: "1", JOBS: {"StatusString": "running"}}
    late = "Error: timeout\nRun 'fluxctl {} --help' for usage.\n"
    printed = await gateway.run("--timeout", "200ms", "lock", "-w", "deployment/cart")
    assert printed.err.startswith("\nWe timed out waiting for the result of the operation.")
    assert printed.err.endswith("is safe to retry operations.\n" + late.format("lock"))
    printed = await gateway.run("--timeout", "200ms", "release", "--all", "--update-all-images")
    assert printed.err == "Submitting release ...\n" + late.format("release")
    assert printed.code == 1


async def test_a_release_that_is_slow_to_be_applied_is_no_failure(gateway: Gateway) -> None:
    done = succeeded(revision=SHA, result={CART_ID: SUCCESS})
    gateway.answers |= {UPDATE: "1", JOBS: done, SYNC: [SHA]}
    printed = await gateway.run("--timeout", "0.3s", "release", "--all", "--update-all-images")
    assert printed.code == 0
    assert "The operation succeeded, but we timed out" in printed.err


async def test_a_rollout_is_watched_until_all_are_ready(gateway: Gateway) -> None:
    rollout = {"Desired": 3, "Updated": 1, "Ready": 2, "Outdated": 2, "Messages": None}
    updating = {**CART, "Status": "updating", "Rollout": rollout}
    gateway.answers |= {
        UPDATE: "1",
        JOBS: succeeded(revision=SHA, result={CART_ID: SUCCESS, "a:b/c": {"Status": "skipped"}}),
        SYNC: [],
        WATCH: Several([updating], [{**CART, "Rollout": {"Updated": 3, "Desired": 3}}]),
    }
    printed = await gateway.run("release", "--all", "--update-all-images", "-w", "-v")
    assert (
        "WORKLOAD              CONTAINER  IMAGE                     RELEASE   REPLICAS\n"
        "shop:deployment/cart  cart       quay.io/shop/cart:1.3.0   updating  "
        "1/3 (2 outdated, 2 ready)\n"
        "                      proxy      envoyproxy/envoy:v1.20.0            \n\n"
    ) in printed.out
    assert printed.err.endswith("Monitoring rollout ...\nAll workloads ready.\n")
    assert gateway.asked[-1] == (
        "/api/flux/v11/services?namespace=&services=shop%3Adeployment%2Fcart"
    )


async def test_a_rollout_with_a_problem_ends_the_watch(gateway: Gateway) -> None:
    wrong = {**CART, "Rollout": {"Messages": ["no quota", "no node"]}}
    gateway.answers |= {UPDATE: "1", JOBS: succeeded(result={CART_ID: SUCCESS}), WATCH: [wrong]}
    printed = await gateway.run("release", "--all", "--update-all-images", "--watch")
    assert printed.code == 0
    assert printed.err.endswith(
        "There was a problem releasing shop:deployment/cart:\nno quota\nno node\n"
    )
