"""Names, containers and policies of objects, in Flux v1's words."""

from typing import Any

import pytest

from shared.manifests import EditError, ObjectId, Policies, WorkloadId, containers, load, set_image


@pytest.mark.parametrize(
    ("text", "workload"),
    [
        ("apps/Deployment shop/web", "shop:deployment/web"),
        ("Service shop/web", "shop:service/web"),
        ("Namespace shop", "<cluster>:namespace/shop"),
        ("rbac.authorization.k8s.io/ClusterRole system:x", "<cluster>:clusterrole/system:x"),
    ],
)
def test_ids_are_read_as_they_are_written(text: str, workload: str) -> None:
    found = ObjectId.parse(text)
    assert str(found) == text
    assert str(found.workload) == workload
    assert WorkloadId.parse(workload) == found.workload


def test_the_old_form_means_every_kind() -> None:
    old = WorkloadId.parse("shop/web")
    assert str(old) == "shop/web"
    assert old.means(WorkloadId.parse("shop:Deployment/web"))
    assert not old.means(WorkloadId.parse("other:deployment/web"))
    completed = WorkloadId.parse("Deployment/web", default_namespace="shop")
    assert str(completed) == "shop:deployment/web"


@pytest.mark.parametrize("text", ["", "web", "a:b", "a:b/c/d", "<x>:b/c"])
def test_a_bad_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no workload id like"):
        WorkloadId.parse(text)


POD = {
    "containers": [{"name": "a", "image": "x:1"}, {"name": "none"}, "odd", {"image": "y"}],
    "initContainers": [{"name": "i", "image": "z:1"}],
}
TEMPLATE = {"template": {"spec": POD}}


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("Pod", POD),
        ("CronJob", {"jobTemplate": {"spec": TEMPLATE}}),
        *(
            (kind, TEMPLATE)
            for kind in ("Deployment", "DaemonSet", "StatefulSet", "Job", "ReplicaSet")
        ),
        ("ReplicationController", TEMPLATE),
        # Custom resources, by structure.
        ("Rollout", TEMPLATE),
        ("SidecarSet", POD),
        ("AdvancedCronJob", {"template": {"jobTemplate": {"spec": TEMPLATE}}}),
        ("UnitedDeployment", {"template": {"cloneSetTemplate": {"spec": TEMPLATE}}}),
        ("Nearest", {"aTemplate": {"spec": TEMPLATE}, **TEMPLATE}),
    ],
)
def test_containers_come_before_init_containers(kind: str, spec: Any) -> None:
    value = {"kind": kind, "spec": spec}
    found = [(one.name, one.image, one.init) for one in containers(value)]
    assert found == [("a", "x:1", False), ("i", "z:1", True)]


@pytest.mark.parametrize(
    "spec",
    [
        None,
        [],
        "x",
        {"template": None},
        {"template": {"spec": 5}},
        {"containers": {"a": 1}},
    ],
)
def test_a_broken_workload_has_no_containers(spec: Any) -> None:
    for kind in ("Deployment", "HelmRelease", "Rollout", 5, None):
        assert containers({"kind": kind, "spec": spec}) == ()
    for group in ("kustomize.config.k8s.io/v1beta1", "kustomize.toolkit.fluxcd.io/v1"):
        value = {"apiVersion": group, "kind": "Kustomization", "spec": spec, "images": spec}
        assert containers(value) == ()


def test_a_kustomization_declares_what_it_makes_of_images() -> None:
    entries = [
        {"name": "a"},
        {"name": "b", "newTag": "1"},
        {"name": "c", "newName": "x/c", "newTag": 1.1},
        {"name": "d", "newName": "x/d", "digest": "sha256:0"},
        {"name": ""},
        {"newTag": "2"},
        "odd",
    ]
    whole = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    found = containers({**whole, "images": entries})
    assert [one.image for one in found] == ["a", "b:1", "x/c", "x/d@sha256:0"]
    toolkit = {"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization"}
    assert containers({**toolkit, "spec": {"images": entries}}) == found


def test_a_kustomization_without_a_name_is_for_kustomize_alone() -> None:
    text = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: {}\n{}images: []\n"
    for kind, metadata in (("Kustomization", ""), ("Component", "metadata: {labels: {}}\n")):
        loaded = load(text.format(kind, metadata), file="kustomization.yaml")
        assert (loaded.objects, loaded.problems) == ((), ())


def test_what_nests_without_end_is_not_searched_without_end() -> None:
    spec: Any = {"containers": [{"name": "a", "image": "x"}]}
    for _ in range(100):
        spec = {"template": {"spec": spec}}
    assert containers({"kind": "Odd", "spec": spec}) == ()


@pytest.mark.parametrize("name", [None, 5])
def test_only_knatives_one_container_may_have_no_name(name: Any) -> None:
    one = {"image": "a:1"} if name is None else {"image": "a:1", "name": name}
    for version, some, names in (
        ("serving.knative.dev/v1", [one], ["user-container"] if name is None else []),
        ("serving.knative.dev/v1", [one, one], []),
        ("apps/v1", [one], []),
    ):
        value = {"apiVersion": version, "kind": "Service", "spec": {"containers": some}}
        assert [one.name for one in containers(value)] == names


def test_a_release_has_the_images_of_its_values() -> None:
    text = """\
apiVersion: helm.fluxcd.io/v1
kind: HelmRelease
metadata:
  name: r
  annotations:
    repository.fluxcd.io/deep: p.q.repo
    tag.fluxcd.io/deep: p.q.tag
    registry.fluxcd.io/lost: nowhere
    repository.fluxcd.io/lost: p.q.repo
spec:
  values:
    zeta: {image: a/z, tag: v1, registry: ghcr.io}
    beta: {image: {repository: a/b, tag: "1"}}
    gamma: {image: {repository: a/g, tag: 1.10}}
    image: {repository: top, registry: quay.io}
    other: {image: [1]}
    eta: {image: "quay.io/a/e:old", tag: v1}
    p: {q: {repo: deep/er, tag: v2}}
"""
    (one,) = load(text, file="f").objects
    assert [(found.name, found.image) for found in containers(one.object)] == [
        ("chart-image", "quay.io/top"),
        ("beta", "a/b:1"),
        ("deep", "deep/er:v2"),
        ("eta", "quay.io/a/e:v1"),
        ("gamma", "a/g"),
        ("zeta", "ghcr.io/a/z:v1"),
    ]


RELEASE = """\
apiVersion: helm.fluxcd.io/v1
kind: HelmRelease
metadata: {{name: r}}
spec: {{values: {{image: {{repository: a/b, tag: {tag}}}}}}}
"""


@pytest.mark.parametrize(
    "tag", ["1.10", "1e3", "0123", "0x1F", "1_000", "true", "on", "null", "~", "", "2024-01-01"]
)
def test_a_tag_that_is_no_text_is_replaced_by_one(tag: str) -> None:
    for new in ("1.20", "1e5", "0777", "no", "null", "v2", "2024-02-02"):
        text = RELEASE.format(tag=tag)
        after = set_image(text, "default:helmrelease/r", "chart-image", f"a/b:{new}")
        (one,) = load(after, file="f").objects
        assert one.object["spec"]["values"]["image"] == {"repository": "a/b", "tag": new}
        assert after.partition("tag:")[0] == text.partition("tag:")[0]


@pytest.mark.parametrize("registry", ["ghcr.io/acme", "mirror", "127.0.0.1:5000/x"])
def test_a_registry_that_is_more_or_less_than_a_host_stays(registry: str) -> None:
    text = RELEASE.format(tag=f"t1, registry: '{registry}'")
    for image in (f"{registry}/a/b:v2", f"{registry}/c:v2"):
        after = set_image(text, "default:helmrelease/r", "chart-image", image)
        path = image.removeprefix(f"{registry}/").removesuffix(":v2")
        assert after == text.replace("t1", "v2").replace("a/b", path)


def test_a_tag_that_is_a_mapping_is_not_written_beside() -> None:
    with pytest.raises(EditError, match="a mapping or list where a text was expected"):
        set_image(RELEASE.format(tag="{x: 1}"), "default:helmrelease/r", "chart-image", "a/b:2")


def test_policies_are_read_under_all_spellings() -> None:
    policies = Policies.from_annotations(
        {
            "fluxcd.io/automated": "true",
            "flux.weave.works/locked": "true",
            "flux.weave.works/locked_user": "Flux <user@example.com>",
            "fluxcd.io/locked_msg": "why",
            "filter.fluxcd.io/web": "semver:~1",
            "flux.weave.works/tag.web": "glob:old-*",
            "fluxcd.io/tag.side": "regexp:(",
            "example.com/other": "x",
        }
    )
    assert policies.automated
    assert policies.locked
    assert not policies.ignored
    assert (policies.locked_user, policies.locked_message) == ("Flux <user@example.com>", "why")
    assert str(policies.tag_policy("web")) == "semver:~1"
    assert policies.tag_pattern("more") == "glob:*"
    assert [one[:20] for one in policies.problems(["web", "side"])] == ["regexp:( matches no "]


@pytest.mark.parametrize("value", ["True", "yes", "1", "", "false", "sync_only"])
def test_a_policy_is_on_only_if_it_says_true(value: str) -> None:
    policies = Policies.from_annotations({f"fluxcd.io/{p}": value for p in ("automated", "ignore")})
    assert not policies.automated
    assert not policies.ignored
    assert policies.sync_only == (value == "sync_only")


def test_the_fingerprint_is_of_the_meaning() -> None:
    one = Policies.from_annotations({"filter.fluxcd.io/c": "x", "fluxcd.io/automated": "true"})
    same = Policies.from_annotations({"fluxcd.io/automated": "true", "fluxcd.io/tag.c": "x"})
    other = Policies.from_annotations({"fluxcd.io/automated": "true", "fluxcd.io/tag.c": "y"})
    assert one.digest() == same.digest()
    assert one.digest() != other.digest()


def test_annotations_that_are_no_strings_mean_nothing() -> None:
    value = {"metadata": {"annotations": {"fluxcd.io/automated": True}}}
    assert not Policies.of(value).automated
    assert not Policies.of({"metadata": None}).automated
