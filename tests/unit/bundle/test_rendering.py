"""What files mean to a sync: what of an object is applied. No git."""

import base64
import json
from dataclasses import replace

import pytest

from shared.bundle.chunks import digest_of
from shared.bundle.format import Header
from shared.bundle.packing import joined, pack
from shared.bundle.render import File, Rendered, read, render
from shared.bundle.sealing import Opener, Sealer, generate
from shared.contract import EncryptedFile
from shared.manifests.marks import CHECKSUM

HEADER = Header(sync="apps", target="default", repository="r", url="u", revision="1")
BY_GO = "0839f5b75c0da44f9fad830258b2835310a822b8"
"""Of `CONFIG`, as Go 1.26 and go-yaml v2.4.0 make it."""
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: v}\n"


def file(text: str, path: str = "a.yaml") -> File:
    return read(path, text.encode(), default_namespace="shop", mark_set="set")


def rendered(**texts: str) -> Rendered:
    return render(file(text, f"{name}.yaml") for name, text in texts.items())


def body(text: str) -> dict:
    (item,) = file(text).items
    return json.loads(item.body)


def test_an_object_gets_its_namespace_and_our_mark() -> None:
    metadata = body(CONFIG)["metadata"]
    assert metadata["namespace"] == "shop"
    assert metadata["labels"]["fluxcd.io/sync-gc-mark"].startswith("sha256.")


def test_an_object_carries_the_checksum_of_what_git_declares() -> None:
    annotated = CONFIG.replace("{name: a}", "{name: a, annotations: {b: c}}")
    assert body(CONFIG)["metadata"]["annotations"] == {CHECKSUM: BY_GO}
    assert body(annotated)["metadata"]["annotations"].keys() == {CHECKSUM, "b"}
    own = annotated.replace("b: c", f"{CHECKSUM}: mine")
    assert body(own)["metadata"]["annotations"] == {CHECKSUM: "mine"}


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
def test_a_checksum_alone_makes_no_object_differ(kind: str) -> None:
    """What was applied before there were checksums is not applied again for them."""
    private, public = generate()
    sealer = Sealer(public_key=public, fingerprint_key=b"k")
    plain = f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: a, namespace: shop}}\n"
    exported = plain.replace("shop", "shop, uid: x")
    (one,), (other,) = (
        read("a", text.encode(), default_namespace="", mark_set="", sealer=sealer).items
        for text in (plain, exported)
    )
    opener = Opener(private) if kind == "Secret" else None
    bodies = [opener.open(item.body) if opener else item.body for item in (one, other)]
    values = [json.loads(body) for body in bodies]
    sums = {value["metadata"].pop("annotations")[CHECKSUM] for value in values}
    encoded = json.dumps(values[0], separators=(",", ":")).encode()

    assert (len(sums), values[0]) == (2, values[1])
    assert one.digest == other.digest
    assert one.digest == (sealer.digest_of(encoded) if opener else digest_of(encoded))


def test_secrets_are_sealed_and_nothing_else_is() -> None:
    private, public = generate()
    sealer = Sealer(public_key=public, fingerprint_key=b"k")
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {k: canary}\n"
    text = f"{secret}---\n{CONFIG}"
    sealed, plain = read(
        "a.yaml", text.encode(), default_namespace="shop", mark_set="set", sealer=sealer
    ).items
    open_ = file(text).items

    assert (sealed.sealed, plain.sealed) == (True, False)
    assert Opener(private).open(sealed.body) == open_[0].body
    assert sealed.digest not in {open_[0].digest, sealed.body}
    assert plain == open_[1]


def test_only_kinds_of_known_scope_are_given_or_denied_a_namespace() -> None:
    namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, namespace: wrong}\n"
    custom = "apiVersion: acme.example.com/v1\nkind: Widget\nmetadata: {name: w}\n"

    assert "namespace" not in body(namespace)["metadata"]
    assert "namespace" not in body(custom)["metadata"]
    assert file(custom).items[0].id.namespace == ""


def test_what_an_export_carries_is_left_out() -> None:
    exported = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  uid: x\n  resourceVersion: '1'\n"
        "  creationTimestamp: null\n  managedFields: []\nstatus: {}\ndata: {k: v}\n"
    )
    assert body(exported)["metadata"].keys() == {"name", "namespace", "labels", "annotations"}
    assert "status" not in body(exported)


def test_a_kustomization_is_no_object_of_a_cluster() -> None:
    found = rendered(
        kustomization="apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
        "metadata: {name: x}\nimages: [{name: web, newTag: v1}]\n",
        a=CONFIG,
    )
    assert [item.id.name for item in found.items] == ["a"]
    assert [one.containers[0].image for one in found.workloads] == ["web:v1"]
    nameless = rendered(k="apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n")
    assert not nameless.problems


def test_string_data_becomes_data() -> None:
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {k: v}\n"
    assert body(secret)["data"] == {"k": base64.b64encode(b"v").decode()}
    assert "stringData" not in body(secret)


def test_a_broken_file_is_a_problem_with_its_line_and_spoils_only_itself() -> None:
    found = rendered(bad="a: b\nc: [\n", good=CONFIG)

    assert len(found.items) == 1
    (problem,) = found.problems
    assert (problem.file, problem.line is not None) == ("bad.yaml", True)


def test_of_two_declarations_of_one_object_the_first_counts_and_the_second_is_told() -> None:
    found = rendered(a=CONFIG, b=CONFIG.replace("k: v", "k: w"))

    assert [item.file for item in found.items] == ["a.yaml"]
    assert found.problems[0].file == "b.yaml"
    assert "a.yaml:1" in found.problems[0].message


def test_an_ignored_object_is_neither_applied_nor_forgotten() -> None:
    ignored = CONFIG.replace("{name: a}", '{name: a, annotations: {"fluxcd.io/ignore": "true"}}')
    found = rendered(a=ignored)

    assert not found.items
    assert found.skipped == ("ConfigMap shop/a",)


CIPHER = "ENC[AES256_GCM,data:DX1o==,iv:SAlN=,tag:1TBe==,type:str]"
ENCRYPTED = f"""\
# a comment
apiVersion: apps/v1
kind:   Deployment
metadata: {{name: web}}
spec: {{template: {{spec: {{containers: [{{name: web, image: "web:1", args: ["{CIPHER}"]}}]}}}}}}
sops: {{mac: "{CIPHER}"}}
"""


def test_an_encrypted_file_travels_whole_and_sealed() -> None:
    private, public = generate()
    sealer = Sealer(public_key=public, fingerprint_key=b"k")
    data = ENCRYPTED.encode()
    found = read("a.yaml", data, default_namespace="shop", mark_set="set", sealer=sealer)
    assert found.items == ()
    assert found.whole
    assert found.whole.sealed
    assert Opener(private).open(found.whole.body) == data
    packed = pack(HEADER, render([found]).whole)
    (place,) = packed.files
    opened = replace(packed, opener=Opener(private)).object(place)
    assert (opened, place.file, packed.objects) == (data, "a.yaml", ())


def test_of_an_encrypted_file_is_told_what_can_be_read() -> None:
    found = rendered(a=ENCRYPTED, b=CONFIG)
    assert found.encrypted == (EncryptedFile(file="a.yaml", objects=("apps/Deployment shop/web",)),)
    assert [one.id for one in found.workloads] == ["shop:deployment/web"]
    assert [str(one.id) for one in found.items] == ["ConfigMap shop/a"]


def test_objects_join_a_bundle_in_memory_and_the_rest_stays() -> None:
    packed = pack(HEADER, (*file(CONFIG).items, *rendered(a=ENCRYPTED).whole))
    (more,) = file(CONFIG.replace("name: a", "name: b")).items
    both = joined(packed, [replace(more, encrypted=True)], problems=1)
    assert [(one.id, one.encrypted) for one in both.objects] == [
        ("ConfigMap shop/a", False),
        ("ConfigMap shop/b", True),
    ]
    assert [json.loads(both.object(one))["metadata"]["name"] for one in both.objects] == [
        "a",
        "b",
    ]
    assert both.object(both.files[0]) == ENCRYPTED.encode()
    assert (both.header.problems, packed.header.problems) == (1, 0)
    assert both.digest != packed.digest
