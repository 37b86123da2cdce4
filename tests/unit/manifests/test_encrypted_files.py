"""Files that SOPS has encrypted are known by what they hold, and told as far as one can read."""

import json

import pytest

from shared.manifests import containers, load

CIPHER = "ENC[AES256_GCM,data:DX1okqliKA==,iv:SAlN/Ww3=,tag:1TBevZaQ==,type:str]"
SOPS = f"sops: {{mac: '{CIPHER}', version: 3.13.3}}\n"
DEPLOYMENT = f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, annotations: {{fluxcd.io/automated: "true", secret: "{CIPHER}"}}}}
spec:
  template:
    spec:
      containers:
        - {{name: web, image: "acme/web:1", args: ["{CIPHER}", plain]}}
        - {{name: side, image: "{CIPHER}"}}
"""
SECRET = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: login}}\ndata: {{p: '{CIPHER}'}}\n"
HIDDEN = f"apiVersion: '{CIPHER}'\nkind: '{CIPHER}'\nmetadata: {{name: '{CIPHER}'}}\n"


def test_what_is_named_is_told_without_what_is_encrypted() -> None:
    loaded = load(f"{DEPLOYMENT}{SOPS}---\n{SECRET}{SOPS}---\n{HIDDEN}{SOPS}", file="a.yaml")
    web, login = loaded.objects
    assert loaded.encrypted
    assert [str(one.id) for one in (web, login)] == [
        "apps/Deployment default/web",
        "Secret default/login",
    ]
    assert "ENC[" not in json.dumps(web.object)
    assert [one.image for one in containers(web.object)] == ["acme/web:1"]
    assert web.object["spec"]["template"]["spec"]["containers"][0]["args"] == ["plain"]
    assert loaded.problems == ()


def test_the_file_is_encrypted_though_only_one_document_says_so() -> None:
    assert load(f"{SECRET}---\n{SECRET}{SOPS}", file="a.yaml").encrypted


def test_json_is_known_too() -> None:
    text = json.dumps({"kind": CIPHER, "sops": {"mac": CIPHER}}, indent="\t")
    assert load(text, file="a.yaml").encrypted


@pytest.mark.parametrize(
    "text",
    [
        SECRET,  # somebody's value may look like a ciphertext
        f"{SECRET}sops: {{version: '1'}}\n",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {sops: '{mac: 1}'}\n",
        "sops: [mac]\n",
    ],
)
def test_what_only_looks_like_it_is_a_file_like_any_other(text: str) -> None:
    assert not load(text, file="a.yaml").encrypted


@pytest.mark.parametrize("field", ["apiVersion", "kind", "name", "namespace"])
def test_an_object_whose_name_is_encrypted_in_part_is_not_told(field: str) -> None:
    fields = {"apiVersion": "v1", "kind": "Secret", "name": "a", "namespace": "b", field: CIPHER}
    metadata = {"name": fields["name"], "namespace": fields["namespace"]}
    value = {"apiVersion": fields["apiVersion"], "kind": fields["kind"], "metadata": metadata}
    loaded = load(json.dumps({**value, "sops": {"mac": CIPHER}}), file="a.yaml")
    assert loaded.objects == ()
    assert loaded.problems == ()
