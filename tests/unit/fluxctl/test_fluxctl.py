"""fluxctl prints what Flux v1's does. The gateway is played by recorded answers."""

import json
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import web

from fluxctl import tables
from fluxctl.arguments import parse
from sandbox import process
from sandbox.errors import SandboxError

CART = {
    "ID": "shop:deployment/cart",
    "Containers": [
        {"Name": "cart", "Current": {"ID": "quay.io/shop/cart:1.3.0"}},
        {"Name": "proxy", "Current": {"ID": "envoyproxy/envoy:v1.20.0"}},
    ],
    "Status": "ready",
    "Automated": True,
    "Locked": True,
}
REPORT = {"ID": "shop:cronjob/report", "Containers": None, "Status": "ready"}


class Gateway:
    """Answers by path, and notes what it was sent."""

    def __init__(self) -> None:
        self.answers: dict[str, object] = {"/api/v1/syncs": []}
        self.sent: list[object] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            self.sent.append(json.loads(await request.text()))
        answer = self.answers.get(request.path)
        if isinstance(answer, web.Response):
            return answer
        return web.json_response(answer)

    async def run(self, *arguments: str) -> str:
        argv = [sys.executable, "-m", "fluxctl", "--url", self.url, *arguments]
        return await process.run(argv)


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    found = Gateway()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", found.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/api/flux"
    yield found
    await runner.cleanup()


async def test_workloads_are_a_table_that_lines_up(gateway: Gateway) -> None:
    gateway.answers["/api/flux/v6/services"] = [CART, REPORT]
    assert await gateway.run("list-workloads", "-n", "shop") == (
        "WORKLOAD              CONTAINER  IMAGE                     RELEASE  POLICY\n"
        "shop:cronjob/report                                        ready    \n"
        "shop:deployment/cart  cart       quay.io/shop/cart:1.3.0   ready    automated,locked\n"
        "                      proxy      envoyproxy/envoy:v1.20.0           \n"
    )


async def test_output_json_is_what_the_gateway_said(gateway: Gateway) -> None:
    gateway.answers["/api/flux/v6/services"] = [CART]
    assert json.loads(await gateway.run("list-workloads", "-a", "-o", "json")) == [CART]


def images(*tags: str, current: str) -> list[dict]:
    available = [{"ID": f"quay.io/shop/cart:{tag}"} for tag in tags]
    available[0]["CreatedAt"] = "2024-05-01T08:00:00Z"
    container = {
        "Name": "cart",
        "Current": {"ID": f"quay.io/shop/cart:{current}"},
        "Available": available,
    }
    return [{"ID": "shop:deployment/cart", "Containers": [container]}]


def shown(found: list[dict], limit: int) -> list[str]:
    return [row[2].strip() for row in tables.images(found, limit)]


def test_images_show_newer_current_and_older_tags() -> None:
    found = images("1.4.0", "1.3.0", "1.2.0", current="1.3.0")
    assert tables.table(None, tables.images(found, 10)) == (
        "shop:deployment/cart  cart  quay.io/shop/cart  \n"
        "                            |   1.4.0          01 May 24 08:00 UTC\n"
        "                            '-> 1.3.0          \n"
        "                                1.2.0          \n"
    )


def test_the_current_image_is_shown_beyond_the_limit_and_when_it_is_not_listed() -> None:
    found = images("5", "4", "3", "2", current="2")
    assert shown(found, 2)[1:] == ["|   5", "|   4", ":   (1 image(s) omitted)", "'-> 2"]
    assert shown(images("5", current="1"), 10)[1:] == ["|   5", "'-> 1"]


def test_results_hide_what_was_skipped_until_asked() -> None:
    change = {"Container": "web", "Current": "quay.io/acme/web:1.1.0", "Target": "x/web:1.2.0"}
    result = {
        "demo:deployment/api": {"Status": "skipped", "Error": "locked"},
        "demo:deployment/db": {"Status": "ignored", "Error": "not included"},
        "demo:deployment/web": {"Status": "success", "PerContainer": [change]},
    }
    assert tables.results(result, 0) == (
        "WORKLOAD             STATUS   UPDATES\n"
        "demo:deployment/web  success  web: quay.io/acme/web:1.1.0 -> 1.2.0\n"
    )
    assert "skipped  locked" in tables.results(result, 1)
    assert "not included" not in tables.results(result, 1)
    assert "not included" in tables.results(result, 2)
    assert tables.results({}, 0) == "WORKLOAD   STATUS   UPDATES\n"


async def test_a_release_sends_the_spec_waits_and_prints_the_result(gateway: Gateway) -> None:
    name = "shop:deployment/cart"
    result = {name: {"Status": "success", "PerContainer": None}}
    gateway.answers |= {
        "/api/flux/v9/update-manifests": "job-1",
        "/api/flux/v6/jobs": {
            "StatusString": "succeeded",
            "Err": "",
            "Result": {"revision": "a" * 40, "result": result},
        },
        "/api/flux/v6/sync": [],
    }
    printed = await gateway.run(
        "release", "-n", "shop", "--workload", "deployment/cart", "--update-all-images",
        "--user", "Flux", "-m", "roll out", "--exclude", "deployment/a,deployment/b",
    )  # fmt: skip

    assert f"{name}  success" in printed
    assert gateway.sent == [
        {
            "type": "image",
            "cause": {"Message": "roll out", "User": "Flux"},
            "spec": {
                "ServiceSpecs": [name],
                "ImageSpec": "<all latest>",
                "Kind": "execute",
                "Excludes": ["shop:deployment/a", "shop:deployment/b"],
                "Force": False,
            },
        }
    ]


async def test_policies_are_sent_as_flux_v1_sends_them(gateway: Gateway) -> None:
    gateway.answers |= {
        "/api/flux/v9/update-manifests": "job-1",
        "/api/flux/v6/jobs": {"StatusString": "succeeded", "Result": {"result": {}}},
    }
    await gateway.run(
        "policy", "-w", "deployment/cart", "--user", "Flux", "-m", "freeze", "--lock",
        "--tag", "cart=semver:~1.4", "--tag", "proxy=*", "--tag-all", "main-*",
    )  # fmt: skip
    (sent,) = gateway.sent

    assert sent["spec"] == {  # type: ignore[index, call-overload]
        "default:deployment/cart": {
            "add": {
                "tag_all": "glob:main-*",
                "tag.cart": "semver:~1.4",
                "locked": "true",
                "locked_user": "Flux",
                "locked_msg": "freeze",
            },
            "remove": {"tag.proxy": "true"},
        }
    }


@pytest.mark.parametrize(
    ("prepare", "arguments", "said"),
    [
        (lambda _: None, ("release", "--all"), "exactly one of --update-image"),
        (lambda _: None, ("release", "--update-all-images"), "--all, or at least one"),
        (lambda _: None, ("lock", "-w", "web"), "write kind/name"),
        (
            lambda g: g.answers.update({"/api/flux/v6/services": _error(422, "a helpful text")}),
            ("list-workloads", "-a"),
            "a helpful text",
        ),
        (
            lambda g: g.answers.update({"/api/flux/v6/services": _error(401, "")}),
            ("list-workloads", "-a"),
            "--token or FLUX_SERVICE_TOKEN",
        ),
        (
            lambda g: setattr(g, "url", "http://127.0.0.1:9/api/flux"),
            ("list-workloads", "-a"),
            "Is it running there?",
        ),
    ],
)
async def test_what_goes_wrong_is_told_with_a_remedy(
    gateway: Gateway,
    prepare: Callable[[Gateway], object],
    arguments: tuple[str, ...],
    said: str,
) -> None:
    prepare(gateway)
    with pytest.raises(SandboxError, match="exit code 1") as failed:
        await gateway.run(*arguments)
    assert said in str(failed.value)
    assert "Traceback" not in str(failed.value)


def _error(status: int, help_: str) -> web.Response:
    body = {"type": "user", "help": help_, "error": "short"}
    return web.json_response(body, status=status)


def test_problems_of_files_are_told_below_the_table() -> None:
    sync = {
        "name": "apps",
        "branch": "main",
        "declared": "a" * 40,
        "applied": "b" * 40,
        "error": "",
        "failed": {},
        "prune_reason": "1 parts of the desired state could not be read",
        "problems": [{"file": "web.yaml", "line": 12, "message": "not valid YAML"}],
        "dependencies_down": {"git host x": "refused"},
    }
    assert tables.syncs([sync]) == (
        "SYNC  BRANCH  DECLARED  APPLIED  STATE\n"
        "apps  main    aaaaaaa   bbbbbbb  applying, 1 problem(s)\n"
    )
    assert tables.problems([sync])[0] == "web.yaml:12: not valid YAML"
    assert tables.down([sync]) == ["git host x: refused"]


def test_options_may_stand_before_or_behind_the_command() -> None:
    before = parse(["--url", "http://a", "--timeout", "5s", "sync"])
    behind = parse(["sync", "--url", "http://a", "--timeout", "1m30s"])
    assert (before.url, before.timeout) == ("http://a", 5.0)
    assert (behind.url, behind.timeout) == ("http://a", 90.0)
    assert Path(sys.executable).exists()
