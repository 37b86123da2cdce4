"""Watches, and what happens by itself: the emulator shows what the real API server shows."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from sandbox.emulator import record
from sandbox.kube import is_rolled_out
from tests.integration.twins import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    MERGE,
    METADATA,
    Twin,
    config_map,
    definition,
    deployment,
    entry,
    twin,
    version,
)

pytestmark = pytest.mark.cluster

DEFINITIONS = "apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture(scope="module", params=["emulator", "real"])
async def it(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Twin]:
    async with twin(request.param, tmp_path_factory.mktemp(request.param)) as running:
        yield running


async def test_a_watch_with_labels_tells_what_enters_and_leaves(it: Twin) -> None:
    place = CONFIG_MAPS.format(await it.namespace())
    _, listed = await it.call("GET", place)
    async with it.watch(place, resourceVersion=version(listed), labelSelector="app=x") as events:
        await it.applied(place, config_map("unseen", {"app": "y"}))
        await it.applied(place, config_map("a", {"app": "x"}))
        await it.applied(place, config_map("a", {"app": "x"}, key="1"))
        left = await it.applied(place, config_map("a", {"app": "y"}, key="1"))
        await it.applied(place, config_map("a", {"app": "x"}))
        await it.call("DELETE", f"{place}/a")
        seen = [await events.next() for _ in range(5)]

    assert [kind for kind, _ in seen] == ["ADDED", "MODIFIED", "DELETED", "ADDED", "DELETED"]
    assert version(seen[2][1]) == version(left)
    assert seen[2][1]["metadata"]["labels"] == {"app": "x"}


async def test_a_watch_without_version_begins_with_what_there_is(it: Twin) -> None:
    place = CONFIG_MAPS.format(await it.namespace())
    await it.applied(place, config_map("a", {"app": "x"}))
    async with it.watch(place, labelSelector="app") as events:
        kind, obj = await events.next()
    assert (kind, obj["metadata"]["name"]) == ("ADDED", "a")


async def test_a_streamed_list_says_where_it_ends(it: Twin) -> None:
    place = CONFIG_MAPS.format(await it.namespace())
    await it.applied(place, config_map("a", {"app": "x"}))
    async with it.watch(
        place,
        labelSelector="app",
        sendInitialEvents="true",
        resourceVersionMatch="NotOlderThan",
        allowWatchBookmarks="true",
    ) as events:
        first, last = await events.next(), await events.next()
    assert (first[0], last[0]) == ("ADDED", "BOOKMARK")
    assert last[1]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_an_edit_shows_in_a_watch_of_metadata_alone(it: Twin) -> None:
    place = DEPLOYMENTS.format(await it.namespace())
    live = await it.applied(place, deployment("a", replicas=0))
    await _until(it, f"{place}/a", is_rolled_out)
    before = entry(live)
    params = {"fieldSelector": "metadata.name=a", "resourceVersion": version(live)}
    async with it.watch(place, METADATA, **params) as events:
        image = {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "w:2"}]}}}}
        await it.call(
            "PATCH",
            f"{place}/a",
            image,
            "application/strategic-merge-patch+json",
            fieldManager="kubectl-set",
        )
        kind, seen = await events.next()
        while entry(seen) == before:  # its status moved
            kind, seen = await events.next()

    assert (kind, seen["kind"]) == ("MODIFIED", "PartialObjectMetadata")
    assert "spec" not in seen
    taken = entry(seen, "kubectl-set")["f:spec"]["f:template"]["f:spec"]["f:containers"]
    assert taken == {'k:{"name":"web"}': {"f:image": {}}}
    _, after = await it.call("GET", f"{place}/a")
    container = after["spec"]["template"]["spec"]["containers"][0]
    assert (container["image"], len(container["ports"])) == ("w:2", 1)


async def test_a_bookmark_comes_before_the_end(it: Twin) -> None:
    place = CONFIG_MAPS.format(await it.namespace())
    _, listed = await it.call("GET", place)
    params = {"resourceVersion": version(listed), "timeoutSeconds": "4", "labelSelector": "none"}
    async with it.watch(place, allowWatchBookmarks="true", **params) as events:
        last = await it.applied(place, config_map("unselected"))
        kind, obj = await events.next()
        end = kind
        while end == "BOOKMARK":
            end, more = await events.next()
            obj = more or obj
    assert (kind, end) == ("BOOKMARK", "END")
    assert obj["kind"] == "ConfigMap"
    assert int(version(obj)) >= int(version(last))


async def test_a_version_that_is_too_old_is_expired(it: Twin) -> None:
    plural = await _defined(it, "Expired")
    place = f"apis/twins.example.com/v1/{plural}"
    async with it.watch(place, resourceVersion="1") as events:
        kind, status = await events.next()
    assert (kind, status["code"], status["reason"]) == ("ERROR", 410, "Expired")
    assert "too old resource version" in status["message"]


async def test_a_deployment_becomes_ready_and_rolls_over(it: Twin) -> None:
    place = DEPLOYMENTS.format(await it.namespace())
    await it.applied(place, deployment("a", replicas=2))
    first = await _until(it, f"{place}/a", is_rolled_out)
    await it.applied(place, deployment("a", replicas=2, image="web:2"))
    second = await _until(it, f"{place}/a", lambda live: _is_done(live, "2"))

    status = second["status"]
    assert (first["metadata"]["generation"], second["metadata"]["generation"]) == (1, 2)
    assert status["observedGeneration"] == 2
    assert [status[f"{n}eplicas"] for n in ("r", "updatedR", "readyR", "availableR")] == [2] * 4
    conditions = {one["type"]: (one["status"], one["reason"]) for one in status["conditions"]}
    assert conditions["Available"] == ("True", "MinimumReplicasAvailable")
    assert conditions["Progressing"] == ("True", "NewReplicaSetAvailable")
    assert entry(first) == entry(second)


async def test_a_custom_resource_is_served_after_its_definition(it: Twin) -> None:
    plural = await _defined(it, "Widget")
    found = await it.get("apis/twins.example.com/v1")
    assert plural in [kind["name"] for kind in found["resources"]]
    place = f"apis/twins.example.com/v1/namespaces/{await it.namespace()}/{plural}"
    created = await it.applied(place, _widget("a", color="red"))
    same = await it.applied(place, _widget("a", color="red"))
    await it.applied(place, _widget("a", size=3), "other")
    await it.call("PATCH", f"{place}/a/status", {"status": {"ready": True}}, MERGE)
    left = await it.applied(place, _widget("a", color="blue", parts=["x"]))

    assert version(created) == version(same)
    assert left["spec"]["color"] == "blue"
    assert left["spec"]["parts"] == [{"name": "x"}]
    assert (left["spec"]["size"], left["status"]) == (3, {"ready": True})
    assert left["metadata"]["generation"] == 3
    spec = {"f:color": {}, "f:parts": {'k:{"name":"x"}': {".": {}, "f:name": {}}}}
    assert entry(left) == {"f:spec": spec}


async def test_what_belonged_to_an_object_goes_with_it(it: Twin) -> None:
    place = CONFIG_MAPS.format(await it.namespace())
    owner = await it.applied(place, config_map("owner"))
    metadata = {"kind": "ConfigMap", "apiVersion": "v1", "name": "owner"}
    mine = config_map("mine")
    mine["metadata"]["ownerReferences"] = [{**metadata, "uid": owner["metadata"]["uid"]}]
    await it.applied(place, mine)
    await it.call("DELETE", f"{place}/owner", {"propagationPolicy": "Background"})
    await _until(it, f"{place}/mine", lambda live: live["kind"] == "Status")


async def test_a_namespace_takes_its_objects_along(it: Twin) -> None:
    namespace = await it.namespace()
    place = CONFIG_MAPS.format(namespace)
    account = f"api/v1/namespaces/{namespace}/serviceaccounts/default"
    await _until(it, account, lambda live: live["kind"] == "ServiceAccount")
    await it.applied(place, config_map("a"))
    _, leaving = await it.call("DELETE", f"api/v1/namespaces/{namespace}")
    status, refused = await it.apply(place, config_map("b"))

    assert leaving["status"]["phase"] == "Terminating"
    assert (status, refused["details"]["causes"][0]["reason"]) == (403, "NamespaceTerminating")
    await _until(it, f"{place}/a", lambda live: live["kind"] == "Status")


async def test_kinds_are_as_they_were_recorded(it: Twin) -> None:
    if it.kind == "emulator":  # it is made of what was recorded
        return
    said = await record.record(it.api)
    assert json.loads(record.text(said)) == json.loads(record.RECORDED.read_text()), (
        "run python -m sandbox.emulator.record KUBECONFIG"
    )


async def _until(it: Twin, place: str, done: Callable[[Any], bool]) -> Any:
    """Look until *done* says so, and return what there is then."""
    found: Any = None
    try:
        async with asyncio.timeout(30):
            while not done(found := (await it.call("GET", place))[1]):
                await asyncio.sleep(0.01)
    except TimeoutError as error:
        raise TimeoutError(f"{place} did not become so: {found}") from error
    return found


def _is_done(live: Any, revision: str) -> bool:
    annotations = live["metadata"].get("annotations", {})
    of_revision = annotations["deployment.kubernetes.io/revision"] == revision
    # The old pods are counted until they are gone.
    is_alone = live["status"].get("replicas") == live["spec"]["replicas"]
    return of_revision and is_alone and is_rolled_out(live)


def _widget(name: str, parts: Sequence[str] = (), **spec: Any) -> dict[str, Any]:
    listed = {"parts": [{"name": part} for part in parts]} if parts else {}
    return {
        "apiVersion": "twins.example.com/v1",
        "kind": "Widget",
        "metadata": {"name": name},
        "spec": {**spec, **listed},
    }


async def _defined(it: Twin, kind: str) -> str:
    """Define a kind, wait until it is served, and return its plural."""
    wanted = definition(kind)
    name, plural = wanted["metadata"]["name"], wanted["spec"]["names"]["plural"]
    await it.applied(DEFINITIONS, wanted)
    await _until(it, f"{DEFINITIONS}/{name}", _is_established)
    async with asyncio.timeout(30):
        while not await it.serves(f"apis/twins.example.com/v1/{plural}"):
            await asyncio.sleep(0.01)
    return plural


def _is_established(live: Any) -> bool:
    conditions = live.get("status", {}).get("conditions") or ()
    return ("Established", "True") in [(one["type"], one["status"]) for one in conditions]
