"""Whatever goes wrong, the answer is JSON that the original fluxctl can show."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.gateway import requests
from services.gateway.http_api import serving
from shared.bus.transport import UnroutableError
from shared.contract import Draft, Question, Reply
from shared.runtime.errors import PermanentError
from tests.unit.gateway.stage import CART, Stage, a_stage

IMAGE_SPEC = {"ServiceSpecs": [CART], "ImageSpec": "<all latest>", "Kind": "execute"}


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with a_stage() as found:
        yield found


class Broken:
    """A bus that fails in the way it is told to."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def publish(self, *_: Draft) -> None:
        raise self._error

    async def ask(self, _: Question, *, timeout: float) -> Reply:  # noqa: ARG002 - the port's name
        raise self._error


def shown(error: object, kind: str) -> str:
    """Check the form; return what a person reads."""
    assert isinstance(error, dict)
    assert set(error) == {"type", "help", "error"}
    assert error["type"] == kind
    assert error["error"]
    return str(error["help"])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "v7/nothing"),
        ("GET", "v6/services/"),
        ("GET", ""),
        ("POST", "v6/services"),
        ("DELETE", "v6/jobs"),
        ("OPTIONS", "v9/update-manifests"),
        ("GET", "v9/update-manifests"),
        ("GET", "v6/jobs"),
        ("GET", "v6/sync"),
        ("POST", "v6/update-images?service=x&image=y"),
    ],
)
async def test_what_is_not_served_is_a_404(stage: Stage, method: str, path: str) -> None:
    status, error = await stage.send(method, path)
    assert (status, error["error"]) == (404, "API endpoint not found")
    help_ = shown(error, "missing")
    assert "/api/flux" not in help_


async def test_head_is_answered_where_the_original_does(stage: Stage) -> None:
    for path, status in (("v6/services", 404), ("v6/export", 422)):
        async with stage.session.head(f"{stage.url}/{path}") as answer:
            assert answer.status == status


@pytest.mark.parametrize("path", ["v1/anything", "v5/release", "v3/"])
async def test_old_versions_are_gone(stage: Stage, path: str) -> None:
    status, error = await stage.send("POST", path)
    assert (status, error["error"]) == (410, "API endpoint deprecated")


@pytest.mark.parametrize(("method", "status"), [("GET", 301), ("POST", 308)])
async def test_doubled_slashes_lead_to_the_right_place(
    stage: Stage, method: str, status: int
) -> None:
    url = stage.url.replace("/api/flux", "//api/flux//v6/services?namespace=shop")
    async with stage.session.request(method, url, allow_redirects=False) as answer:
        assert answer.status == status
        assert answer.headers["Location"] == "/api/flux/v6/services?namespace=shop"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"no json",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"type":1,"spec":{}}',
        b'{"type":"image"}',
        b'{"type":"nonsense","spec":{}}',
        b'{"type":"image","spec":[]}',
        b'{"type":"image","spec":"x"}',
        b'{"type":"image","spec":null}',
        b'{"type":"image","spec":{},"cause":[]}',
        b'{"type":"image","spec":{},"cause":{"User":{"a":1}}}',
        b'{"type":"policy","spec":{"shop:deployment/cart":[]}}',
        b'{"type":"policy","spec":{"shop:deployment/cart":{"add":"locked"}}}',
        b'{"type":"policy","spec":{"shop:deployment/cart":{"add":{"locked":true}}}}',
        b'{"type":"policy","spec":{"<all>":{"add":{"locked":"true"}}}}',
        b'{"type":"policy","spec":{"cart":{}}}',
        b'{"type":"containers","spec":{"Kind":"execute","ContainerSpecs":[]}}',
        b'{"type":"containers","spec":{"Kind":"execute","ContainerSpecs":{"<all>":[]}}}',
        b'{"type":"containers","spec":{"ContainerSpecs":{}}}',
        b'{"type":"auto","spec":{"Changes":[{"WorkloadID":"shop:deployment/cart"}]}}',
        b'{"type":"policy","cause":{"User":"a\\u0000b"},"spec":{}}',
        b'{"type":"policy","cause":{"User":"a\\ud800"},"spec":{}}',
        b'{"type":"policy","spec":{"shop:deployment/cart":{"add":{"\\ud800":"true"}}}}',
    ],
)
async def test_a_body_that_can_not_be_read_is_told_what_is_wrong(stage: Stage, body: bytes) -> None:
    status, error = await stage.post("v9/update-manifests", body)
    assert status == 400
    assert shown(error, "user")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ServiceSpecs", "<all>"),
        ("ServiceSpecs", [1]),
        ("ServiceSpecs", ["web"]),
        ("ImageSpec", 1),
        ("ImageSpec", ""),
        ("ImageSpec", "quay.io/shop/cart"),
        ("ImageSpec", "UPPER:1"),
        ("Kind", "try"),
        ("Kind", None),
        ("Excludes", "x"),
        ("Excludes", ["<all>"]),
        ("Force", "yes"),
    ],
)
async def test_a_field_of_the_wrong_type_is_refused(
    stage: Stage, field: str, value: object
) -> None:
    body = {"type": "image", "spec": {**IMAGE_SPEC, field: value}}
    assert (await stage.post("v9/update-manifests", body))[0] == 400


@pytest.mark.parametrize("change", [{"Current": ""}, {"Current": None}, {"Target": ""}, 1])
async def test_images_of_containers_are_references(stage: Stage, change: object) -> None:
    ticked = {"Container": "cart", "Current": "a:1", "Target": "a:2"}
    some = [{**ticked, **change} if isinstance(change, dict) else change]
    body = {"type": "containers", "spec": {"Kind": "execute", "ContainerSpecs": {CART: some}}}
    assert (await stage.post("v9/update-manifests", body))[0] == 400


async def test_a_body_that_is_too_large_is_refused(stage: Stage) -> None:
    status, error = await stage.post("v9/update-manifests", b" " * 2_000_000)
    assert status == 413
    assert "1000000 bytes" in shown(error, "user")


async def test_a_body_that_does_not_come_is_not_waited_for_for_ever(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "SLOWEST_BODY", 0.05)
    host, _, port = stage.url.removeprefix("http://").partition("/")[0].partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /v11/notify HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
    assert b" 408 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_a_bug_is_told_in_the_same_form() -> None:
    async with a_stage(post=lambda _: Broken(ZeroDivisionError("secret detail"))) as stage:
        body = {"type": "image", "spec": {**IMAGE_SPEC, "Kind": "plan"}}
        status, error = await stage.post("v9/update-manifests", body)
        assert status == 500
        assert "log" in shown(error, "server")
        assert "secret detail" not in str(error)


@pytest.mark.parametrize("kind", ["plan", "execute"])
async def test_a_broker_without_our_queues_is_told_with_the_remedy(kind: str) -> None:
    async with a_stage(post=lambda _: Broken(UnroutableError("update.requested.v1.3"))) as stage:
        body = {"type": "image", "spec": {**IMAGE_SPEC, "Kind": kind}}
        status, error = await stage.post("v9/update-manifests", body)
        assert status == 503
        assert "python -m shared.bus.topology" in shown(error, "server")


async def test_images_are_listed_with_the_reason_where_nobody_can_be_asked() -> None:
    async with a_stage(post=lambda _: Broken(UnroutableError("tags.question.v1.3"))) as stage:
        _, found = await stage.get("v10/images", service=CART)
        assert "shared.bus.topology" in found[0]["Containers"][0]["AvailableError"]


async def test_a_plan_that_nobody_makes_names_who_should() -> None:
    async with a_stage(alive=(), deadline=0.05) as stage:
        body = {"type": "image", "spec": {**IMAGE_SPEC, "Kind": "plan"}}
        status, error = await stage.post("v9/update-manifests", body)
        assert status == 503
        assert "is repo-writer running?" in shown(error, "server")


async def test_who_is_known_to_be_away_is_not_asked_and_named_at_once() -> None:
    async with a_stage(deadline=60) as stage:
        stage.view.present = {"repo-writer": frozenset(), "registry-scanner": frozenset({"one"})}
        body = {"type": "image", "spec": {**IMAGE_SPEC, "Kind": "plan"}}
        status, error = await stage.post("v9/update-manifests", body)
        assert status == 503
        assert "no replica of repo-writer is running" in shown(error, "server")


async def test_a_broker_that_does_not_confirm_is_told() -> None:
    class Silent(Broken):
        async def publish(self, *_: Draft) -> None:
            await asyncio.Event().wait()

    async with a_stage(post=lambda _: Silent(OSError()), deadline=0.05) as stage:
        status, error = await stage.post(
            "v9/update-manifests", {"type": "image", "spec": IMAGE_SPEC}
        )
        assert status == 503
        assert "is RabbitMQ running?" in shown(error, "server")


async def test_nothing_is_answered_from_half_of_the_past() -> None:
    async with a_stage() as stage:
        await stage.follower.wait_caught_up(1)
        stage.follower._caught_up.clear()
        status, error = await stage.get("v6/services", namespace="")
        assert status == 503
        assert "has not read its past yet" in shown(error, "server")


async def test_the_key_can_not_be_made_anew(stage: Stage) -> None:
    assert await stage.get("v6/identity.pub") == (200, {"key": "", "fingerprints": None})
    for path, body in (("v6/identity.pub", b""), ("v9/git-repo-config", True)):
        status, error = await stage.post(path, body)
        assert status == 422
        assert "git.auth.private_key" in shown(error, "user")


@pytest.mark.parametrize("strange", ["%00", "%ff", "..%2F..", "x" * 5_000])
async def test_strange_parameters_are_told_as_unknown(stage: Stage, strange: str) -> None:
    status, error = await stage.send("GET", f"v6/jobs?id={strange}")
    assert status == 404
    assert shown(error, "missing")
    assert (await stage.send("GET", f"v6/services?services={strange}"))[0] == 400
    assert await stage.send("GET", f"v6/services?namespace={strange}") == (200, [])


async def test_a_port_that_is_taken_is_told_by_the_name_of_its_setting() -> None:
    async with a_stage() as stage:
        port = int(stage.url.rpartition(":")[2].partition("/")[0])
        with pytest.raises(PermanentError, match=r"gateway\.listen"):
            async with serving(stage.api, "127.0.0.1", port):
                pass
