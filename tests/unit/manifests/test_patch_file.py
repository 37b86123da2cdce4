"""An update of a generated object stands in the patch file, and nothing else changes there."""

import pytest
import yaml

from shared.images import ImageRef
from shared.manifests import Annotate, EditError, SetImage, WorkloadId, load
from shared.manifests.load import Declared
from shared.manifests.patch_file import patched, updated
from shared.manifests.patches import PatchError

OBJECTS = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: api, namespace: shop}
spec: {template: {spec: {containers: [{name: api, image: "api:1"}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  annotations: {fluxcd.io/automated: "true"}
spec:
  template:
    spec:
      containers: [{name: web, image: "web:1"}, {name: side, image: "side:1"}]
---
apiVersion: helm.fluxcd.io/v1
kind: HelmRelease
metadata: {name: chart, namespace: shop}
spec: {values: {image: {repository: chart, tag: "1"}}}
"""
WEB = WorkloadId.parse("default:deployment/web")
API = WorkloadId.parse("shop:deployment/api")
CHART = WorkloadId.parse("shop:helmrelease/chart")


def objects() -> tuple[Declared, ...]:
    return load(OBJECTS, file="out").objects


def image(workload: WorkloadId, container: str, name: str) -> SetImage:
    return SetImage(workload=workload, container=container, image=ImageRef.parse(name))


def write(text: str, *edits: SetImage | Annotate) -> str:
    return updated(text, objects(), edits, default_namespace="default")


def images(text: str) -> dict[str, str]:
    found, problems = patched(objects(), text, file="patch.yaml", default_namespace="default")
    assert problems == ()
    after = {one.id.name: one.object for one in found}
    pods = [one for name in ("api", "web") for one in _containers(after[name])]
    tag = after["chart"]["spec"]["values"]["image"]["tag"]
    return {one["name"]: one["image"] for one in pods} | {"chart": tag}


def _containers(value: dict) -> list[dict]:
    return value["spec"]["template"]["spec"]["containers"]


def test_the_first_update_writes_the_file_as_sorted_documents() -> None:
    text = write(
        "",
        image(CHART, "chart-image", "chart:2"),
        image(WEB, "side", "side:2"),
        image(API, "api", "api:2"),
    )
    assert text.startswith("---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n")
    names = [one["metadata"]["name"] for one in yaml.safe_load_all(text)]
    assert names == ["web", "api", "chart"]  # by their ids
    assert "web:1" not in text
    assert images(text) == {"api": "api:2", "web": "web:1", "side": "side:2", "chart": "2"}


def test_the_next_update_changes_the_value_and_no_other_byte() -> None:
    first = write("", image(WEB, "side", "side:2"), image(API, "api", "api:2"))
    mine = "# by hand\n" + first.replace("side:2", "side:2   # pinned") + "# the end"
    after = write(mine, image(WEB, "side", "side:3"))
    assert after == mine.replace("side:2", "side:3")


def test_a_patch_is_extended_and_the_other_documents_stay_as_they_are() -> None:
    mine = (
        "---\n# the api\napiVersion: apps/v1\nkind: Deployment\n"
        "metadata: {name: api, namespace: shop}\nspec: {replicas:   7}\n# at the end\n"
    )
    after = write(mine, image(WEB, "web", "web:2"))
    assert after.endswith(mine)
    again = write(after, image(API, "api", "api:2"), image(WEB, "side", "side:2"))
    assert images(again) == {"api": "api:2", "web": "web:2", "side": "side:2", "chart": "1"}
    assert "replicas: 7" in again
    assert again.endswith("# at the end\n")


def test_flux_v1s_patches_are_read_and_extended() -> None:
    mine = """\
---
apiVersion: apps/v1
kind: Deployment
metadata:
  annotations:
    fluxcd.io/locked: "true"
  name: web
spec:
  template:
    spec:
      $setElementOrder/containers:
      - name: web
      - name: side
      containers:
      - image: web:2
        name: web
"""
    assert images(mine)["web"] == "web:2"
    assert write(mine, image(WEB, "web", "web:3")) == mine.replace("web:2", "web:3")


def test_annotations_are_set_removed_and_forgotten() -> None:
    text = write("", Annotate(workload=WEB, changes={"automated": None, "locked": "true"}))
    assert yaml.safe_load(text)["metadata"]["annotations"] == {
        "fluxcd.io/automated": None,
        "fluxcd.io/locked": "true",
    }
    text = write(text, Annotate(workload=WEB, changes={"locked": None}))
    assert yaml.safe_load(text)["metadata"]["annotations"] == {"fluxcd.io/automated": None}
    text = write(text, Annotate(workload=WEB, changes={"automated": "true"}))
    (web,) = (one for one in _after(text) if one.id.name == "web")
    assert web.object["metadata"]["annotations"] == {"fluxcd.io/automated": "true"}


def _after(text: str) -> tuple[Declared, ...]:
    return patched(objects(), text, file="patch.yaml", default_namespace="default")[0]


def test_what_is_so_already_changes_nothing() -> None:
    assert write("", image(WEB, "web", "web:1")) == ""
    assert write("# mine\n", Annotate(workload=WEB, changes={"automated": "true"})) == "# mine\n"


def test_strings_stay_strings_in_what_is_written() -> None:
    for value in ("true", "1e3", "0644", "1.10", "22:22", "y", "", "a: b", "two\nlines"):
        text = write("", Annotate(workload=API, changes={"example.com/x": value}))
        (api,) = (one for one in _after(text) if one.id.name == "api")
        assert api.object["metadata"]["annotations"] == {"example.com/x": value}


@pytest.mark.parametrize(
    ("patch", "problem"),
    [
        (
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: gone}\n",
            (
                "patch.yaml:1: it patches default:deployment/gone, which no generator prints;"
                " remove that document"
            ),
        ),
        (
            (
                "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n"
                "spec: {template: {spec: {containers: [{image: x}]}}}"
            ),
            "patch.yaml:1: spec.template.spec.containers: an item to merge has no name",
        ),
    ],
)
def test_what_can_not_be_merged_is_told_and_spoils_only_itself(patch: str, problem: str) -> None:
    found, problems = patched(objects(), patch, file="patch.yaml", default_namespace="default")
    assert [str(one) for one in problems] == [problem]
    assert {"api", "chart"} <= {one.id.name for one in found}


@pytest.mark.parametrize(
    ("patch", "reason"),
    [
        ("a: [", "line 1: not valid YAML"),
        ("a: 1\n---\napiVersion: apps/v1\nkind: Deployment\n", "line 3: the Deployment has no met"),
        ("kind: Secret\nmetadata: {name: a}\nsops: {mac: 'ENC[x]', version: 3.9.0}", "encrypted"),
    ],
)
def test_a_patch_file_that_can_not_be_read_is_not_passed_over(patch: str, reason: str) -> None:
    with pytest.raises(PatchError, match=reason):
        patched(objects(), patch, file="patch.yaml", default_namespace="default")


def test_an_update_of_what_is_not_generated_is_refused() -> None:
    with pytest.raises(EditError, match="default:deployment/gone is not generated"):
        write("", image(WorkloadId.parse("default:deployment/gone"), "a", "a:1"))
    with pytest.raises(EditError, match="it has no container 'other'"):
        write("", image(WEB, "other", "a:1"))
