"""Patches are merged as Kubernetes does it, and found so that merging them gives what is wanted."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from shared.manifests.patches import PatchError, difference, equal, merged

POD = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, annotations: {a: "1", b: "2"}, finalizers: [one]}
spec:
  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1}}
  template:
    spec:
      initContainers: [{name: init, image: "init:1"}]
      containers:
      - name: web
        image: web:1
        args: [x, y]
        env: [{name: A, value: "1"}, {name: B, value: "2"}]
        ports: [{containerPort: 80, name: http}]
        volumeMounts: [{mountPath: /data, name: data}]
      - {name: side, image: "side:1"}
      volumes: [{name: data, emptyDir: {}}]
"""


def pod(patch: str) -> Any:
    """Return the spec of the pod after *patch*."""
    return merged(yaml.safe_load(POD), _in_pod(patch))["spec"]["template"]["spec"]


def _in_pod(patch: str) -> dict[str, Any]:
    return {"spec": {"template": {"spec": yaml.safe_load(patch)}}}


def test_items_of_a_built_in_kind_are_found_by_their_keys() -> None:
    after = pod(
        """
        containers:
        - name: web
          image: web:2
          args: [z]
          env: [{name: B, value: "3"}, {name: C, value: "4"}]
          ports: [{containerPort: 80, name: web}, {containerPort: 81}]
          volumeMounts: [{mountPath: /data, readOnly: true}]
        - {name: new, image: "new:1"}
        initContainers: [{name: init, image: "init:2"}]
        volumes: [{name: data, emptyDir: {medium: Memory}}]
        """
    )
    web, side, new = after["containers"]
    assert (web["image"], side["image"], new["image"]) == ("web:2", "side:1", "new:1")
    assert web["args"] == ["z"]
    assert [(one["name"], one["value"]) for one in web["env"]] == [
        ("A", "1"),
        ("B", "3"),
        ("C", "4"),
    ]
    assert web["ports"] == [{"containerPort": 80, "name": "web"}, {"containerPort": 81}]
    assert web["volumeMounts"] == [{"mountPath": "/data", "name": "data", "readOnly": True}]
    assert after["initContainers"] == [{"name": "init", "image": "init:2"}]
    assert after["volumes"] == [{"name": "data", "emptyDir": {"medium": "Memory"}}]


def test_null_removes_and_directives_are_obeyed() -> None:
    after = merged(
        yaml.safe_load(POD),
        yaml.safe_load(
            """
            metadata: {annotations: {a: null}, finalizers: [two]}
            spec:
              strategy: {$retainKeys: [type], type: Recreate}
              template:
                spec:
                  volumes: [{$patch: delete, name: data}]
                  $setElementOrder/containers: [{name: side}, {name: web}]
                  containers:
                  - name: web
                    env: [{$patch: replace}, {name: Z, value: "0"}]
            """
        ),
    )
    spec = after["spec"]["template"]["spec"]
    assert after["metadata"]["annotations"] == {"b": "2"}
    assert after["metadata"]["finalizers"] == ["one", "two"]
    assert after["spec"]["strategy"] == {"type": "Recreate"}
    assert spec["volumes"] == []
    assert [one["name"] for one in spec["containers"]] == ["side", "web"]
    assert spec["containers"][1]["env"] == [{"name": "Z", "value": "0"}]


def test_custom_resources_are_merged_as_json() -> None:
    release = yaml.safe_load(
        """
        apiVersion: helm.fluxcd.io/v1
        kind: HelmRelease
        metadata: {name: web}
        spec: {values: {image: {repository: a, tag: "1"}, hosts: [{name: x}], old: 1}}
        """
    )
    patch = yaml.safe_load(
        "spec: {values: {image: {tag: '2'}, hosts: [{name: y}], old: null, $odd: 1}}"
    )
    assert merged(release, patch)["spec"]["values"] == {
        "image": {"repository": "a", "tag": "2"},
        "hosts": [{"name": "y"}],
        "$odd": 1,
    }


def test_a_services_ports_are_found_by_their_numbers() -> None:
    service = yaml.safe_load(
        "apiVersion: v1\nkind: Service\nspec: {ports: [{port: 80, name: a}, {port: 81}]}"
    )
    after = merged(service, {"spec": {"ports": [{"port": 81, "name": "b"}]}})
    assert after["spec"]["ports"] == [{"port": 80, "name": "a"}, {"port": 81, "name": "b"}]


@pytest.mark.parametrize(
    ("patch", "reason"),
    [
        ("{containers: [{image: x}]}", "spec.template.spec.containers: an item to merge has no na"),
        ("{containers: [{$patch: drop, name: web}]}", r"\$patch is 'drop', which is not known"),
    ],
)
def test_a_patch_that_can_not_be_merged_says_where(patch: str, reason: str) -> None:
    with pytest.raises(PatchError, match=reason):
        pod(patch)


def test_a_changed_image_is_a_patch_of_that_container_alone() -> None:
    before, after = yaml.safe_load(POD), yaml.safe_load(POD.replace("web:1", "web:2"))
    assert difference(before, after) == _in_pod("containers: [{name: web, image: 'web:2'}]")
    assert difference(before, before) == {}


names = st.sampled_from(["a", "b", "c"])
values = st.sampled_from(["1", "2", 1, 1.0, True])
containers = st.dictionaries(
    names, st.fixed_dictionaries({"env": st.dictionaries(names, values)}), max_size=3
)


def object_of(kind: str, found: dict[str, Any], annotations: dict[str, Any]) -> dict[str, Any]:
    listed = [
        {"name": name, "env": [{"name": k, "value": v} for k, v in one["env"].items()]}
        for name, one in sorted(found.items())
    ]
    return {
        "apiVersion": "apps/v1" if kind == "Deployment" else "example.com/v1",
        "kind": kind,
        "metadata": {"name": "web", "annotations": annotations},
        "spec": {"template": {"spec": {"containers": listed}}},
    }


@given(
    kind=st.sampled_from(["Deployment", "Rollout"]),
    one=containers,
    other=containers,
    before=st.dictionaries(names, values),
    after=st.dictionaries(names, values),
)
def test_merging_the_difference_gives_what_is_wanted(
    kind: str, one: Any, other: Any, before: Any, after: Any
) -> None:
    old, new = object_of(kind, one, before), object_of(kind, other, after)
    found = merged(old, difference(old, new))
    assert equal(_sorted(found), _sorted(new))


def _sorted(value: Any) -> Any:
    """Leave out the order of merged lists, which a patch does not say."""
    if isinstance(value, dict):
        return {key: _sorted(one) for key, one in value.items()}
    return sorted(map(_sorted, value), key=repr) if isinstance(value, list) else value


def test_numbers_and_truth_are_not_the_same_though_python_says_so() -> None:
    assert not equal({"a": 1}, {"a": True})
    assert not equal({"a": 1}, {"a": 1.0})
    assert equal({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]})
