"""What others own of an object, and what becomes ours of it when we apply it first."""

import json
from pathlib import Path
from typing import Any

from aiohttp import web

from services.cluster_applier.domain.manner import Manner
from services.cluster_applier.domain.takeover import SCALER, taken_over
from services.cluster_applier.sending import send
from tests.unit.cluster_applier.fakes import FakeApi, serving

PATH = "/apis/apps/v1/namespaces/n/deployments/web"


def entry(manager: str, fields: Any, operation: str = "Update", **more: str) -> Any:
    return {"manager": manager, "operation": operation, "fieldsV1": fields, **more}


def test_what_is_ours_is_nobody_elses_and_the_rest_stays_theirs() -> None:
    item = 'k:{"name":"web"}'
    ours = {"f:spec": {"f:list": {item: {".": {}, "f:image": {}}}, "f:whole": {}, "f:map": {}}}
    scaled = entry("kube", {"f:spec": {"f:whole": {}}}, subresource="scale")
    theirs = {
        "f:spec": {
            "f:list": {item: {".": {}, "f:image": {}, "f:policy": {}}},
            "f:whole": {"f:inside": {}},
            "f:map": {},
            "f:own": {},
        }
    }
    metadata = {
        "managedFields": [
            entry("flux", ours, "Apply"),
            entry("helm", theirs),
            entry("person", {"f:spec": {"f:map": {}}}),
            scaled,
        ]
    }
    left = {"f:spec": {"f:list": {item: {"f:policy": {}}}, "f:own": {}}}
    found = taken_over(metadata, leave=False)
    assert found == [entry("helm", left), scaled, {**found[-1], "fieldsV1": ours}]
    assert taken_over({"managedFields": found}, leave=False) is None


def test_what_is_not_ours_yet_is_left_alone() -> None:
    metadata = {"managedFields": [entry("helm", {"f:spec": {"f:own": {}}})]}
    assert taken_over(metadata, leave=False) is None


async def test_replicas_are_handed_over_before_anything_is_applied_whatever_was_forgotten(
    tmp_path: Path,
) -> None:
    """As of an object whose inventory is lost, and that no watch has shown yet."""
    api, asked = FakeApi(), []
    fields = {"f:spec": {"f:replicas": {}}}
    metadata = {"name": "web", "uid": "u", "managedFields": [entry("flux", fields, "Apply")]}

    async def patched(request: web.Request) -> web.Response:
        body = json.loads(await request.text())
        asked.append(body)
        is_probe = isinstance(body, dict) and "resourceVersion" in body["metadata"]
        return web.json_response({"metadata": metadata}, status=409 if is_probe else 200)

    api.on("GET", PATH, (200, {"metadata": metadata}))
    api.on("PATCH", PATH, patched)
    async with serving(api, tmp_path) as kube:
        await send(kube, PATH, b'{"metadata": {}}', Manner(first=True, leave=True))

    _, handed_over, *_ = asked
    managers = {one["manager"] for one in handed_over[0]["value"]}
    assert managers == {"flux", SCALER}
