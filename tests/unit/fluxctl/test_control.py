"""fluxctl suspend, resume and diff."""

import sys
from io import StringIO
from typing import Any

import pytest

from fluxctl.control import _lines, _shows_colours
from tests.unit.fluxctl.gateway import Gateway

DIFF = "/api/v1/syncs/apps/diff"
FOUND: dict[str, Any] = {
    "revision": "5d0c6a1b2e",
    "objects": [
        {
            "id": "ConfigMap shop/a",
            "action": "configured",
            "text": "--- cluster\n+++ git\n@@ -1 +1 @@\n-k: '1'\n+k: '2'\n same\x1b[2J",
            "file": "a.yaml",
            "line": 3,
        },
        {"id": "ConfigMap shop/b", "action": "deleted", "text": "", "file": "", "line": None},
    ],
    "left_off": 2,
}


async def test_a_difference_is_shown_object_by_object_without_colours_in_a_pipe(
    gateway: Gateway,
) -> None:
    gateway.answers[DIFF] = FOUND
    printed = await gateway.run("diff", "apps")

    assert printed.code == 0
    assert printed.out.splitlines()[0] == "configured ConfigMap shop/a (a.yaml:3)"
    assert "-k: '1'\n+k: '2'\n same\ufffd[2J\n" in printed.out
    assert "deleted ConfigMap shop/b\n" in printed.out
    assert "\x1b" not in printed.out
    assert "2 more objects differ, and are not shown." in printed.err


def test_on_a_terminal_what_comes_is_green_and_what_goes_is_red() -> None:
    lines = list(_lines(FOUND, coloured=True))
    assert "\x1b[31m-k: '1'\x1b[0m" in lines
    assert "\x1b[32m+k: '2'\x1b[0m" in lines
    assert lines[0].startswith("\x1b[1m")
    assert all("\x1b[2J" not in line for line in lines)


class Screen(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("given", "coloured"), [("", True), ("1", False)])
def test_who_wants_no_colours_gets_none_on_a_terminal_either(
    monkeypatch: pytest.MonkeyPatch, given: str, coloured: object
) -> None:
    monkeypatch.setattr(sys, "stdout", Screen())
    monkeypatch.setenv("NO_COLOR", given)
    assert _shows_colours() is coloured


async def test_a_sync_without_differences_says_so(gateway: Gateway) -> None:
    gateway.answers[DIFF] = {**FOUND, "objects": [], "left_off": 0}
    printed = await gateway.run("diff", "apps")
    assert (printed.out, printed.code) == ("", 0)
    assert printed.err == "apps is as git declares it at 5d0c6a1.\n"


@pytest.mark.parametrize(("command", "said"), [("suspend", "is suspended"), ("resume", "goes on")])
async def test_an_order_is_given_and_awaited(gateway: Gateway, command: str, said: str) -> None:
    gateway.answers[f"/api/v1/syncs/apps/{command}"] = "job-1"
    gateway.answers["/api/flux/v6/jobs"] = {"StatusString": "succeeded", "Result": {}}
    printed = await gateway.run(command, "apps", "--user", "a", "-m", "why")
    assert printed.code == 0, printed.err
    assert said in printed.err
    assert any(f"{command}?message=why&user=a" in one for one in gateway.asked)
