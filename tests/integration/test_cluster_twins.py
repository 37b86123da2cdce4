"""Reads and writes: the emulator answers as the real API server does."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.twins import (
    APPLY,
    CONFIG_MAPS,
    DEPLOYMENTS,
    JSON_PATCH,
    MERGE,
    METADATA,
    METADATA_LIST,
    Twin,
    config_map,
    deployment,
    entry,
    env_of,
    twin,
    version,
)

pytestmark = pytest.mark.cluster

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@pytest.fixture(scope="module", params=["emulator", "real"])
async def it(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Twin]:
    async with twin(request.param, tmp_path_factory.mktemp(request.param)) as running:
        yield running


async def test_both_forms_of_discovery_tell_a_kind(it: Twin) -> None:
    groups = (await it.get("apis", AGGREGATED))["items"]
    apps = next(group for group in groups if group["metadata"]["name"] == "apps")
    found = {kind["resource"]: kind for kind in apps["versions"][0]["resources"]}["deployments"]
    assert found["responseKind"]["kind"] == "Deployment"
    assert found["scope"] == "Namespaced"
    assert found["shortNames"] == ["deploy"]
    assert {sub["subresource"] for sub in found["subresources"]} == {"status", "scale"}

    listed = (await it.get("apis/apps/v1"))["resources"]
    classic = next(kind for kind in listed if kind["name"] == "deployments")
    assert (classic["kind"], classic["namespaced"]) == ("Deployment", True)
    core = (await it.get("api", AGGREGATED))["items"][0]["versions"][0]["resources"]
    assert {"configmaps", "namespaces", "secrets"} <= {kind["resource"] for kind in core}


async def test_apply_creates_and_the_same_again_changes_nothing(it: Twin) -> None:
    place = CONFIG_MAPS.format(await it.namespace())
    wanted = config_map("a", {"app": "x"}, key="1")
    status, created = await it.apply(place, wanted)
    again, same = await it.apply(place, wanted)
    changed = await it.applied(place, config_map("a", {"app": "x"}, key="2"))

    assert (status, again) == (201, 200)
    assert version(created) == version(same) != version(changed)
    assert entry(changed) == {
        "f:data": {"f:key": {}},
        "f:metadata": {"f:labels": {"f:app": {}}},
    }


async def test_a_dropped_field_goes_unless_another_owns_it(it: Twin) -> None:
    place = CONFIG_MAPS.format(await it.namespace())
    await it.applied(place, config_map("a", {"app": "x"}, mine="1", ours="1"))
    await it.applied(place, config_map("a", ours="1"), "other")
    left = await it.applied(place, config_map("a"))

    assert left["data"] == {"ours": "1"}
    assert "labels" not in left["metadata"]
    assert entry(left, "other") == {"f:data": {"f:ours": {}}}


async def test_a_conflict_names_the_field_and_force_takes_it(it: Twin) -> None:
    place = DEPLOYMENTS.format(await it.namespace())
    await it.applied(place, deployment("a"))
    status, refused = await it.apply(place, deployment("a", image="web:2"), "other")

    field = '.spec.template.spec.containers[name="web"].image'
    cause = {"reason": "FieldManagerConflict", "message": 'conflict with "flux"', "field": field}
    assert (status, refused["details"]["causes"]) == (409, [cause])
    assert refused["message"] == f'Apply failed with 1 conflict: conflict with "flux": {field}'
    taken = await it.applied(place, deployment("a", image="web:2"), "other", force="true")
    mine = entry(taken)["f:spec"]["f:template"]["f:spec"]["f:containers"]['k:{"name":"web"}']
    assert "f:image" not in mine
    assert mine["f:ports"] == {
        'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}
    }


async def test_two_managers_share_the_environment_of_a_container(it: Twin) -> None:
    place = DEPLOYMENTS.format(await it.namespace())
    await it.applied(place, deployment("a", env={"B": "1", "C": "1"}))
    both = await it.applied(place, deployment("a", env={"A": "2", "C": "1"}), "other")
    assert list(env_of(both)) == ["B", "A", "C"]
    left = await it.applied(place, deployment("a", env={"D": "1"}))
    assert env_of(left) == {"A": "2", "C": "1", "D": "1"}


async def test_an_edit_takes_the_changed_fields_from_our_entry(it: Twin) -> None:
    place = DEPLOYMENTS.format(await it.namespace())
    before = await it.applied(place, deployment("a", replicas=1))
    scaled = {"spec": {"replicas": 2}}
    await it.call("PATCH", f"{place}/a/scale", scaled, MERGE, fieldManager="kubectl")
    _, after = await it.call("GET", f"{place}/a")

    assert after["metadata"]["generation"] == 2
    assert "f:replicas" in entry(before)["f:spec"]
    assert "f:replicas" not in entry(after)["f:spec"]
    assert entry(after, "kubectl") == {"f:spec": {"f:replicas": {}}}
    other = {"metadata": {"annotations": {"note": "x"}}}
    await it.call("PATCH", f"{place}/a", other, MERGE, fieldManager="kubectl-edit")
    _, annotated = await it.call("GET", f"{place}/a")
    assert entry(annotated) == entry(after)


async def test_a_handed_over_entry_lets_us_remove_what_it_held(it: Twin) -> None:
    place = CONFIG_MAPS.format(await it.namespace())
    body = config_map("a", old="1", kept="1")
    _, live = await it.call("POST", place, body, fieldManager="kubectl-client-side-apply")
    found = live["metadata"]["managedFields"][0]
    handed = [{**found, "manager": "flux", "operation": "Apply"}]
    operations = [
        {"op": "replace", "path": "/metadata/managedFields", "value": handed},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": version(live)},
    ]
    status, _ = await it.call("PATCH", f"{place}/a", operations, JSON_PATCH)
    left = await it.applied(place, config_map("a", kept="1"), force="true")
    assert (status, left["data"]) == (200, {"kept": "1"})
    stale, _ = await it.call("PATCH", f"{place}/a", operations, JSON_PATCH)
    assert stale == 409


async def test_deletion_asks_for_the_right_object(it: Twin) -> None:
    place = CONFIG_MAPS.format(await it.namespace())
    live = await it.applied(place, config_map("a"))
    uid = live["metadata"]["uid"]
    for wrong in ({"uid": "no"}, {"resourceVersion": "1"}):
        status, said = await it.call("DELETE", f"{place}/a", {"preconditions": wrong})
        assert (status, said["reason"]) == (409, "Conflict")
    right = {"uid": uid, "resourceVersion": version(live)}
    status, said = await it.call("DELETE", f"{place}/a", {"preconditions": right})
    assert (status, said["status"], said["details"]["uid"]) == (200, "Success", uid)
    status, said = await it.call("GET", f"{place}/a")
    assert (status, said["reason"]) == (404, "NotFound")


async def test_a_finalizer_holds_an_object(it: Twin) -> None:
    place = CONFIG_MAPS.format(await it.namespace())
    held = config_map("a")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    await it.applied(place, held)
    status, _ = await it.call("DELETE", f"{place}/a")
    _, waiting = await it.call("GET", f"{place}/a")
    free = {"metadata": {"finalizers": None}}
    await it.call("PATCH", f"{place}/a", free, MERGE)
    gone, _ = await it.call("GET", f"{place}/a")
    assert (status, "deletionTimestamp" in waiting["metadata"], gone) == (200, True, 404)


async def test_a_dry_run_shows_what_would_be_and_leaves_it(it: Twin) -> None:
    place = CONFIG_MAPS.format(await it.namespace())
    status, _ = await it.apply(place, config_map("a", key="1"), dryRun="All")
    missing, _ = await it.call("GET", f"{place}/a")
    before = await it.applied(place, config_map("a", key="1", old="1"))
    shown = await it.applied(place, config_map("a", key="2"), dryRun="All")
    await it.call("DELETE", f"{place}/a", dryRun="All")
    _, after = await it.call("GET", f"{place}/a")

    assert (status, missing) == (201, 404)
    assert shown["data"] == {"key": "2"}
    assert (version(before), before["data"]) == (version(after), after["data"])


async def test_refusals_have_their_codes_and_names(it: Twin) -> None:
    namespace = await it.namespace()
    place, maps = DEPLOYMENTS.format(namespace), CONFIG_MAPS.format(namespace)
    live = await it.applied(place, deployment("a"))
    owned = {**config_map("a"), "metadata": {"name": "a", "managedFields": [{"manager": "x"}]}}
    stale = deployment("a")
    stale["metadata"]["resourceVersion"] = "1"
    twice = deployment("a")
    twice["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "A"}, {"name": "A"}]
    other_selector = deployment("a", selector={"matchLabels": {"app": "b"}})
    nowhere = CONFIG_MAPS.format("nowhere")
    cases = [
        (await it.apply(nowhere, config_map("a")), 404, 'namespaces "nowhere" not found'),
        (await it.apply(maps, owned), 400, "metadata.managedFields must be nil"),
        (await it.apply(place, stale, force="true"), 409, "the object has been modified"),
        (await it.call("PUT", f"{place}/a", stale), 409, "the object has been modified"),
        (await it.apply(place, other_selector), 422, "field is immutable"),
        (await it.apply(place, deployment("a", bla=1)), 500, ".spec.bla: field not declared"),
        (await it.apply(place, twice), 500, 'env: duplicate entries for key [name="A"]'),
        (await it.call("POST", place, deployment("a")), 409, 'deployments.apps "a" already'),
        (await it.call("PATCH", f"{maps}/a", config_map("a"), APPLY), 422, "fieldManager"),
        (await it.call("PATCH", f"{maps}/b", config_map("a"), APPLY, fieldManager="x"), 400, "(a)"),
        (await it.call("GET", maps, labelSelector="a in b"), 400, "unable to parse requirement"),
        (
            await it.call("POST", place, deployment("b", bla=1), fieldValidation="Strict"),
            400,
            'strict decoding error: unknown field "spec.bla"',
        ),
    ]
    for (status, said), code, text in cases:
        assert (status, said["code"], said["kind"]) == (code, code, "Status"), said
        assert text in said["message"]
    _, same = await it.call("GET", f"{place}/a")
    assert same["spec"] == live["spec"]


async def test_lists_come_in_pages_and_selections(it: Twin) -> None:
    place = CONFIG_MAPS.format(await it.namespace())
    for name, app in (("a", "x"), ("b", "x"), ("c", "y")):
        await it.applied(place, config_map(name, {"app": app, f"is-{name}": ""}))

    async def names(**params: str) -> list[str]:
        _, found = await it.call("GET", place, **params)
        return [one["metadata"]["name"] for one in found["items"] if one["metadata"]["name"] < "k"]

    assert await names(labelSelector="app=x") == ["a", "b"]
    assert await names(labelSelector="app in (y, z)") == ["c"]
    assert await names(labelSelector="app,!is-a") == ["b", "c"]
    assert await names(labelSelector="app!=x,app") == ["c"]
    assert await names(fieldSelector="metadata.name=b") == ["b"]
    _, first = await it.call("GET", place, labelSelector="app", limit="2")
    rest = await names(
        labelSelector="app", limit="2", **{"continue": first["metadata"]["continue"]}
    )
    assert ([one["metadata"]["name"] for one in first["items"]], rest) == (["a", "b"], ["c"])


async def test_metadata_alone_can_be_read(it: Twin) -> None:
    place = CONFIG_MAPS.format(await it.namespace())
    await it.applied(place, config_map("a", {"app": "x"}, key="1"))
    one = await it.get(f"{place}/a", METADATA)
    many = await it.get(f"{place}", METADATA_LIST)
    assert (one["kind"], one["metadata"]["labels"]) == ("PartialObjectMetadata", {"app": "x"})
    assert "data" not in one
    assert many["kind"] == "PartialObjectMetadataList"
    assert {item["metadata"]["name"] for item in many["items"]} >= {"a"}
