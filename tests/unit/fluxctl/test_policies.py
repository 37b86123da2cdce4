"""Policies, rollbacks and holds are sent as Flux v1 sends them."""

import pytest

from tests.unit.fluxctl.gateway import Gateway
from tests.unit.fluxctl.given import CART_ID, JOBS, UPDATE, succeeded


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
