"""The same random writes, by several managers, leave the same object and owners on both."""

import json
import random
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.integration.twins import APPLY, DEPLOYMENTS, MERGE, Twin, deployment, twin

pytestmark = pytest.mark.cluster

Write = tuple[str, Any, str, dict[str, str]]  # method, body, its type, parameters

WRITES = 300
STRATEGIC = "application/strategic-merge-patch+json"


async def test_random_writes_lead_to_the_same_object(tmp_path: Path) -> None:
    # A fixed seed: what differs one day must differ on the next one, too.
    seed = 36
    dice = random.Random(seed)
    async with AsyncExitStack() as stack:
        both = [
            await stack.enter_async_context(twin(kind, tmp_path / kind))
            for kind in ("emulator", "real")
        ]
        place = DEPLOYMENTS.format(await both[0].namespace())
        await both[1].call("POST", "api/v1/namespaces", _namespace(place))
        for number in range(WRITES):
            write = _write(dice)
            seen = [await _done(it, place, write) for it in both]
            emulated, real = (json.dumps(it, indent=1, sort_keys=True).split("\n") for it in seen)
            assert emulated == real, f"seed {seed}, write {number}: {write}"


async def _done(it: Twin, place: str, write: Write) -> Any:
    method, body, content_type, params = write
    path = place if method == "POST" else f"{place}/web"
    status, said = await it.call(method, path, body, content_type, **params)
    if status >= 400 and status != 404:
        return status, sorted(cause["field"] for cause in said["details"].get("causes", ()))
    _, live = await it.call("GET", f"{place}/web")
    return status, _comparable(live)


def _comparable(live: Any) -> Any:
    """Leave out what time and the controllers have done."""
    if live["kind"] == "Status":
        return None
    metadata = live["metadata"]
    owners = {
        f"{it['manager']} {it['operation']} {it.get('subresource')}": it["fieldsV1"]
        for it in metadata["managedFields"]
        if it.get("subresource") != "status"
    }
    return live["spec"], metadata.get("labels"), metadata["generation"], owners


def _write(dice: random.Random) -> Write:
    ways, weights = zip(*_WAYS.items(), strict=True)
    return dice.choices(ways, weights)[0](dice)


def _apply(dice: random.Random) -> Write:
    force = {"force": "true"} if dice.random() < 0.6 else {}
    return (
        "PATCH",
        _manifest(dice),
        APPLY,
        {"fieldManager": dice.choice(["flux", "other"]), **force},
    )


def _edit(dice: random.Random) -> Write:
    patch = {
        "metadata": {"labels": _some(dice, {"a": ["1", "3", None], "c": ["1", None]})},
        "spec": _some(dice, {"replicas": [0, 2], "minReadySeconds": [1, 3]}),
    }
    return "PATCH", patch, MERGE, {"fieldManager": "kubectl-edit"}


def _set(dice: random.Random) -> Write:
    return _strategic({"name": "web", **_container(dice)})


def _unset(dice: random.Random) -> Write:
    order = [{"name": name} for name in dice.sample("ABCD", 4)]
    gone = [{"name": dice.choice("ABCD"), "$patch": "delete"}]
    return _strategic({"name": "web", "env": gone, "$setElementOrder/env": order})


def _strategic(container: dict[str, Any]) -> Write:
    patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
    return "PATCH", patch, STRATEGIC, {"fieldManager": "kubectl-set"}


def _replace(dice: random.Random) -> Write:
    return "PUT", _manifest(dice), "application/json", {"fieldManager": "kubectl-replace"}


def _create(dice: random.Random) -> Write:
    return "POST", _manifest(dice), "application/json", {"fieldManager": "kubectl-create"}


def _delete(_: random.Random) -> Write:
    return "DELETE", None, MERGE, {}


_WAYS: Mapping[Callable[[random.Random], Write], int] = {
    _apply: 10,
    _edit: 3,
    _set: 4,
    _unset: 2,
    _replace: 1,
    _create: 1,
    _delete: 1,
}


def _manifest(dice: random.Random) -> dict[str, Any]:
    manifest = deployment("web", **_some(dice, {"replicas": [0, 1], "minReadySeconds": [1, 2]}))
    spec = manifest["spec"]["template"]["spec"]
    spec["containers"][0] |= _container(dice)
    if dice.random() < 0.3:
        spec["containers"].insert(dice.randrange(2), {"name": "side", "image": "side:1"})
    if dice.random() < 0.3:
        spec["volumes"] = [{"name": "tmp", "emptyDir": {}}]
        spec["containers"][0]["volumeMounts"] = [{"name": "tmp", "mountPath": "/tmp"}]
    if dice.random() < 0.3:
        spec["nodeSelector"] = _some(dice, {"disk": ["a", "b"], "zone": ["a"]})
    if labels := _some(dice, {"a": ["1", "2"], "b": ["1", "2"]}):
        manifest["metadata"]["labels"] = labels
    return manifest


def _container(dice: random.Random) -> dict[str, Any]:
    names = [name for name in "ABCD" if dice.random() < 0.5]
    dice.shuffle(names)
    env = [{"name": name, "value": dice.choice("12")} for name in names]
    return {"image": dice.choice(["web:1", "web:2"]), "env": env} | _some(
        dice, {"args": [["a"], ["a", "b"]], "resources": [{"limits": {"cpu": "1"}}, {}]}
    )


def _some(dice: random.Random, choices: Mapping[str, list[Any]]) -> dict[str, Any]:
    return {name: dice.choice(some) for name, some in choices.items() if dice.random() < 0.5}


def _namespace(place: str) -> dict[str, Any]:
    return {"metadata": {"name": place.split("/")[4]}}
