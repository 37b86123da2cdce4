"""fluxctl prints what Flux v1's does, byte by byte."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from tests.unit.fluxctl.gateway import Gateway, Printed, Several, a_gateway, refusal, run

CART_ID, REPORT_ID = "shop:deployment/cart", "shop:cronjob/report"
SHA = "5d0c6a1b2e3f40718293a4b5c6d7e8f901234567"
ZERO = {"ID": "", "Labels": {}}
CART = {
    "ID": CART_ID,
    "Containers": [
        {
            "Name": "cart",
            "Current": {"ID": "quay.io/shop/cart:1.3.0", "Labels": {}},
            "LatestFiltered": ZERO,
        },
        {
            "Name": "proxy",
            "Current": {"ID": "envoyproxy/envoy:v1.20.0", "Labels": {}},
            "LatestFiltered": ZERO,
        },
    ],
    "ReadOnly": "",
    "Status": "ready",
    "Rollout": {
        "Desired": 2, "Updated": 2, "Ready": 2, "Available": 2, "Outdated": 0, "Messages": None,
    },
    "SyncError": "",
    "Antecedent": "",
    "Labels": {"app": "cart"},
    "Automated": True,
    "Locked": True,
    "Ignore": False,
    "Policies": {"automated": "true", "locked": "true", "tag.cart": "semver:>=1 <2"},
}  # fmt: skip
REPORT = {"ID": REPORT_ID, "Containers": None, "Status": "ready"}
SERVICES, IMAGES = "/api/flux/v6/services", "/api/flux/v10/images"
UPDATE, JOBS, SYNC = (f"/api/flux/{one}" for one in ("v9/update-manifests", "v6/jobs", "v6/sync"))
CONFIG, WATCH = "/api/flux/v9/git-repo-config", "/api/flux/v11/services"
SYNCS = "/api/v1/syncs"
SUCCESS = {
    "Status": "success",
    "PerContainer": [
        {
            "Container": "cart",
            "Current": "quay.io/shop/cart:1.3.0",
            "Target": "quay.io/shop/cart:1.4.0",
        }
    ],
}


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with a_gateway() as found:
        yield found


def succeeded(**result: object) -> dict:
    return {"StatusString": "succeeded", "Err": "", "Result": result}


async def test_workloads_are_a_table_that_lines_up(gateway: Gateway) -> None:
    gateway.answers[SERVICES] = [CART, REPORT]
    printed = await gateway.run("list-workloads", "-n", "shop")
    assert printed == Printed(
        out=(
            "WORKLOAD              CONTAINER  IMAGE                     RELEASE  POLICY\n"
            "shop:cronjob/report                                        ready    \n"
            "shop:deployment/cart  cart       quay.io/shop/cart:1.3.0   ready    automated,locked\n"
            "                      proxy      envoyproxy/envoy:v1.20.0           \n"
        ),
        err="",
        code=0,
    )
    assert gateway.asked[0] == "/api/flux/v6/services?namespace=shop"


async def test_a_container_says_which_workloads_are_shown_and_they_are_shown_whole(
    gateway: Gateway,
) -> None:
    gateway.answers[SERVICES] = [CART, REPORT]
    found = await gateway.run("list-controllers", "-a", "-c", "proxy", "--no-headers")
    assert found.out == (
        "shop:deployment/cart  cart   quay.io/shop/cart:1.3.0   ready  automated,locked\n"
        "                      proxy  envoyproxy/envoy:v1.20.0         \n"
    )
    assert gateway.asked[0] == "/api/flux/v6/services?namespace="
    found = await gateway.run("list-workloads", "-a", "-c", "nothing", "-o", "json")
    assert found.out == "null\n"


@pytest.mark.parametrize("empty", [[], None])
async def test_an_empty_list_is_the_header_alone(gateway: Gateway, empty: object) -> None:
    gateway.answers |= {SERVICES: empty, IMAGES: empty}
    found = await gateway.run("list-workloads")
    assert found.out == "WORKLOAD  CONTAINER  IMAGE  RELEASE  POLICY\n"
    found = await gateway.run("list-images")
    assert found.out == "WORKLOAD  CONTAINER  IMAGE  CREATED\n"
    found = await gateway.run("list-workloads", "--no-headers")
    assert found.out == ""
    found = await gateway.run("list-images", "-o", "json")
    assert found.out == f"{json.dumps(empty)}\n"


async def test_json_is_written_anew_in_one_line_as_the_original_writes_it(gateway: Gateway) -> None:
    gateway.answers[SERVICES] = [{**CART, "New": "field"}, {"ID": "a:b/c"}]
    found = await gateway.run("list-workloads", "-a", "-o", "json")
    bare = (
        '{"ID":"a:b/c","Containers":null,"ReadOnly":"","Status":"","Rollout":{"Desired":0,'
        '"Updated":0,"Ready":0,"Available":0,"Outdated":0,"Messages":null},"SyncError":"",'
        '"Antecedent":"","Labels":null,"Automated":false,"Locked":false,"Ignore":false,'
        '"Policies":null}'
    )
    whole = json.dumps(CART, separators=(",", ":")).replace(">", "\\u003e").replace("<", "\\u003c")
    assert found.out == f"[{bare},{whole}]\n"


async def test_problems_of_files_are_told_beside_the_table(gateway: Gateway) -> None:
    problem = {"file": "web.yaml", "line": 12, "message": "not valid YAML"}
    gateway.answers |= {SERVICES: [REPORT], SYNCS: [{**SYNC_STATE, "problems": [problem]}]}
    found = await gateway.run("list-workloads", "-a", "-o", "json")
    assert json.loads(found.out)[0]["ID"] == REPORT_ID
    assert found.err == (
        "\nWarning: not all that git declares could be read and applied:\n"
        "  web.yaml:12: not valid YAML\n"
    )


SYNC_STATE = {
    "name": "apps",
    "branch": "main",
    "declared": "a" * 40,
    "applied": "b" * 40,
    "error": "",
    "failed": {},
    "prune_reason": "",
    "problems": [],
    "dependencies_down": {},
}


async def test_syncs_are_shown_with_what_is_wrong(gateway: Gateway) -> None:
    gateway.answers[SYNCS] = [
        {
            **SYNC_STATE,
            "problems": [{"file": "a.yaml", "line": None, "message": "no"}],
            "dependencies_down": {"git host x": "refused"},
            "prune_reason": "a file could not be read",
        }
    ]
    found = await gateway.run("syncs")
    assert found.out == (
        "SYNC  BRANCH  DECLARED  APPLIED  STATE\n"
        "apps  main    aaaaaaa   bbbbbbb  applying, 1 problem(s)\n"
    )
    assert found.err == (
        "a.yaml: no\napps: nothing is pruned: a file could not be read\ngit host x: refused\n"
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


async def test_policies_are_sent_as_flux_v1_sends_them(gateway: Gateway) -> None:
    gateway.answers |= {UPDATE: "1", JOBS: succeeded(result={})}
    await gateway.run(
        "policy", "-w", "deployment/cart", "--user", "Flux", "-m", "freeze", "--lock",
        "--tag", "cart=semver:~1.4,job=regex:^v", "--tag", "proxy=*", "--tag-all", "main-*",
    )  # fmt: skip
    (sent,) = gateway.sent

    assert sent["spec"] == {
        "default:deployment/cart": {
            "add": {
                "tag_all": "glob:main-*",
                "tag.cart": "semver:~1.4",
                "tag.job": "regexp:^v",
                "locked": "true",
                "locked_user": "Flux",
                "locked_msg": "freeze",
            },
            "remove": {"tag.proxy": "true"},
        }
    }


@pytest.mark.parametrize(
    ("command", "change"),
    [
        ("automate", {"add": {"automated": "true"}, "remove": {}}),
        ("deautomate", {"add": {}, "remove": {"automated": "true"}}),
        ("lock", {"add": {"locked": "true"}, "remove": {}}),
        (
            "unlock",
            {"add": {}, "remove": dict.fromkeys(("locked", "locked_msg", "locked_user"), "true")},
        ),
        ("policy", {"add": {}, "remove": {}}),
    ],
)
async def test_each_command_changes_its_own_policies(
    gateway: Gateway, command: str, change: dict
) -> None:
    gateway.answers |= {UPDATE: "1", JOBS: succeeded(result={})}
    printed = await gateway.run(command, "-n", "shop", "-w", "deployment/cart", "--user", "")
    assert printed.code == 0
    assert gateway.sent[0]["spec"] == {CART_ID: change}


@pytest.mark.parametrize("how", [("deployment/cart",), ("-w", "deployment/cart")])
async def test_a_rollback_names_one_workload(gateway: Gateway, how: tuple[str, ...]) -> None:
    gateway.answers |= {UPDATE: "1", JOBS: succeeded(result={})}
    printed = await gateway.run("rollback", "-n", "shop", *how)
    assert printed.code == 0
    (sent,) = gateway.sent
    assert (sent["type"], sent["spec"]) == ("rollback", {"Workloads": [CART_ID]})


async def test_a_hold_is_ended_by_policy(gateway: Gateway) -> None:
    gateway.answers |= {UPDATE: "1", JOBS: succeeded(result={})}
    await gateway.run("policy", "-n", "shop", "-w", "deployment/cart", "--unhold")
    assert gateway.sent[0]["spec"] == {CART_ID: {"add": {}, "remove": {"held": "true"}}}


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


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            refusal(422, {"type": "user", "help": "a helpful\ntext\n", "error": "short"}),
            "== Error ==\n\na helpful\ntext\n\n",
        ),
        (
            refusal(404, {"help": "only help"}),
            'Error: executing HTTP request: 404 Not Found {"help": "only help"}\n',
        ),
        (refusal(500, "[]"), "Error: executing HTTP request: decoding response body of error: "),
        (
            refusal(503, "away", kind="text/plain"),
            "Error: executing HTTP request: 503 Service Unavailable away\n",
        ),
        (refusal(401, "whatever"), "== Error ==\n\nThe request failed authentication\n\n"),
        (refusal(200, ""), "Error: decoding response from server: EOF\n"),
        (refusal(200, "no json"), "Error: decoding response from server: "),
        (refusal(206, "[]"), "Error: executing HTTP request: 206 "),
    ],
)
async def test_what_the_gateway_refuses_is_told_as_the_original_tells_it(
    gateway: Gateway, answer: object, said: str
) -> None:
    gateway.answers[SERVICES] = answer
    printed = await gateway.run("list-workloads", "-a")
    assert printed.err.startswith(said)
    assert (printed.out, printed.code) == ("", 1)
    assert said.startswith("== Error") or printed.err.endswith(
        "\nRun 'fluxctl list-workloads --help' for usage.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("release", "--all"), "please supply exactly one of --update-image=<image> or"),
        (("release", "--all", "--update-all-images", "-i", "a:1"), "please supply exactly one of"),
        (("release", "--update-all-images"), "please supply either --all, or at least one"),
        (("release", "--all", "-i", "nginx"), "blank tag (if you want latest"),
        (("release", "--all", "-i", "a:1", "-w", "--dry-run"), "cannot use --watch with --dry-run"),
        (("release", "--all", "--update-all-images", "-f"), "--force has no effect when used"),
        (("release", "--all", "-i", "a:1", "--interactive"), "--interactive needs a terminal"),
        (("lock",), "-w, --workload is required"),
        (("rollback",), "name one workload: fluxctl rollback <workload>"),
        (("lock", "-w", "web"), "parsing web: invalid service ID"),
        (("policy", "--lock", "--unlock", "-w", "a/b"), "lock and unlock both specified"),
        (
            ("policy", "-w", "a/b", "--tag", "c=semver:>=1"),
            "invalid container/tag pair: \"c=semver:>=1\". Expected format is 'container=filter'",
        ),
        (("list-images", "-o", "yaml"), "invalid output format specified"),
        (("list-images", "extra"), "expected no (non-flag) arguments"),
        (("list-images", "--nonsense=1"), "unknown flag: --nonsense"),
        (("list-images", "-x"), "unknown shorthand flag: 'x' in -x"),
        (("list-images", "-n"), "flag needs an argument: --namespace"),
        (("list-images", "-l", "-1", "-o", "json"), "opts.limit cannot be less than 0"),
        (("nonsense",), 'unknown command "nonsense" for "fluxctl"\nRun'),
        (("save",), 'unknown command "save" for "fluxctl"\nsave is not needed here: use `kubectl'),
        (("--url", "localhost:3030/api/flux", "sync"), "must begin with http://"),
        (("--url", "http://127.0.0.1:9/api/flux", "sync"), "Is it running there?"),
        (("--url", "http://[::1/api/flux", "sync"), "Invalid IPv6 URL"),
        (("--url", "http://127.0.0.1:port/", "sync"), "Is it running there?"),
    ],
)
async def test_what_can_not_be_is_told_in_a_sentence(
    gateway: Gateway, arguments: tuple[str, ...], said: str
) -> None:
    gateway.answers[IMAGES] = []
    printed = await gateway.run(*arguments)
    assert said in printed.err
    assert printed.err.startswith("Error: ")
    assert printed.err.splitlines()[-1].startswith("Run 'fluxctl")
    assert printed.out == ""
    assert printed.code == 1


async def test_warnings_do_not_stop_a_release(gateway: Gateway) -> None:
    gateway.answers |= {UPDATE: "1", JOBS: succeeded(result={})}
    printed = await gateway.run("release", "--all", "-i", "a/b:1", "--force")
    assert printed.err.startswith("Warning: --force will not ignore locked workloads when used")
    assert printed.code == 0


@pytest.mark.parametrize(
    ("flags", "environment", "header"),
    [
        ((), {}, None),
        (("--token", "a"), {"FLUX_SERVICE_TOKEN": "b"}, "Scope-Probe token=a"),
        ((), {"FLUX_SERVICE_TOKEN": "b"}, "Scope-Probe token=b"),
        ((), {"FLUX_SERVICE_TOKEN": "b", "WEAVE_CLOUD_TOKEN": "c"}, "Scope-Probe token=c"),
    ],
)
async def test_the_token_comes_from_the_flag_or_the_environment(
    gateway: Gateway, flags: tuple[str, ...], environment: dict, header: str | None
) -> None:
    gateway.answers[SERVICES] = []
    await gateway.run("list-workloads", *flags, **environment)
    assert gateway.headers[0].get("Authorization") == header


async def test_the_url_is_read_as_the_original_reads_it(gateway: Gateway) -> None:
    gateway.answers[SERVICES] = []
    host = gateway.url.removeprefix("http://").removesuffix("/api/flux")
    proxies = {"http_proxy": "http://127.0.0.1:9", "no_proxy": "", "NO_PROXY": ""}
    url = f"http://bob:p%40w@{host}/api%2Fflux//x/../?a=1#f"
    printed = await run("list-workloads", FLUX_URL=url, FLUX_TIMEOUT="nonsense", **proxies)
    assert printed.code == 0
    assert gateway.asked[0] == "/api/flux/v6/services?namespace=default"
    assert gateway.headers[0]["Authorization"] == "Basic Ym9iOnBAdw=="


async def test_the_namespace_is_that_of_kubectls_context(gateway: Gateway, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        "current-context: here\ncontexts:\n"
        "- {name: here, context: {namespace: shop}}\n- {name: there, context: {namespace: bar}}\n"
    )
    gateway.answers[SERVICES] = []
    for flags in ((), ("--context", "there"), ("-n", "mine"), ("-a",), ("--context", "nowhere")):
        await gateway.run("list-workloads", *flags, KUBECONFIG=f"/nonexistent:{config}")
    asked = [one.rpartition("=")[2] for one in gateway.asked if "services" in one]
    assert asked == ["shop", "bar", "mine", "", "default"]


async def test_help_and_version_need_no_gateway() -> None:
    found = await run("version")
    assert (found.out, found.err, found.code) == ("0.1.0\n", "", 0)
    found = await run()
    assert "list-workloads" in found.out
    assert found.code == 0


@pytest.mark.parametrize(
    ("command", "path", "answer"),
    [
        ("list-workloads", SERVICES, {"ID": "a:b/c"}),
        ("list-workloads", SERVICES, [{}]),
        ("list-workloads", SERVICES, [{"ID": "a:b/c", "Containers": [1]}]),
        (
            "list-images",
            IMAGES,
            [{"ID": "a:b/c", "Containers": [{"Available": [{"ID": "x:1", "CreatedAt": "soon"}]}]}],
        ),
        ("syncs", SYNCS, [{}]),
    ],
)
async def test_an_answer_that_is_not_what_the_api_promises_is_told(
    gateway: Gateway, command: str, path: str, answer: object
) -> None:
    gateway.answers[path] = answer
    printed = await gateway.run(command)
    assert printed.err.startswith("Error: decoding response from server: ")
    assert (printed.out, printed.code) == ("", 1)


async def test_a_server_without_our_own_api_is_no_mistake(gateway: Gateway) -> None:
    gateway.answers |= {SERVICES: [REPORT], SYNCS: [{"nonsense": 1}]}
    printed = await gateway.run("list-workloads", "-a", "--no-headers")
    assert printed == Printed(out="shop:cronjob/report      ready  \n", err="", code=0)


async def test_a_token_is_shown_to_no_other_host(gateway: Gateway) -> None:
    elsewhere = gateway.url.replace("127.0.0.1", "localhost").replace("/api/flux", "/elsewhere")
    gateway.answers |= {
        SERVICES: web.Response(status=307, headers={"Location": elsewhere}),
        "/elsewhere": [REPORT],
    }
    printed = await gateway.run("list-workloads", "--token", "s3cret")
    assert printed.out
    shown = {
        path: one.get("Authorization")
        for path, one in zip(gateway.asked, gateway.headers, strict=True)
    }
    assert shown["/api/flux/v6/services?namespace=default"] == "Scope-Probe token=s3cret"
    assert shown["/elsewhere"] is None


async def test_a_reader_who_has_seen_enough_ends_the_command_quietly(gateway: Gateway) -> None:
    gateway.answers[SERVICES] = [{**CART, "ID": f"a:b/{number}"} for number in range(5_000)]
    argv = f"{sys.executable} -m fluxctl --url {gateway.url} list-workloads -a | head -n 1"
    process = await asyncio.create_subprocess_shell(
        argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert out.startswith(b"WORKLOAD")
    assert err == b""
