"""What can not be is told as the original tells it; nothing secret is shown to others."""

import asyncio
import sys
from pathlib import Path

import pytest
from aiohttp import web

from tests.unit.fluxctl.gateway import Gateway, Printed, refusal, run
from tests.unit.fluxctl.given import CART, IMAGES, JOBS, REPORT, SERVICES, SYNCS, UPDATE, succeeded


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
