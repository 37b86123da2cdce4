"""Workloads and syncs are shown as Flux v1 shows them, byte by byte."""

import json

import pytest

from tests.unit.fluxctl.gateway import Gateway, Printed
from tests.unit.fluxctl.given import CART, IMAGES, REPORT, REPORT_ID, SERVICES, SYNC_STATE, SYNCS


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
