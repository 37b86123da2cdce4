"""Single fields: how they are called, whose they are, and an object without them."""

from typing import Any

from services.cluster_applier.answers import Answer
from services.cluster_applier.domain.fields import (
    Owned,
    lost,
    others_paths,
    our_paths,
    owned,
    text,
    without,
)

WEB = 'k:{"name":"web"}'


def entry(manager: str, fields: Any, operation: str = "Update") -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "fieldsV1": fields}


def ours(fields: Any) -> dict[str, Any]:
    return entry("flux", fields, "Apply")


def test_a_path_is_written_as_the_api_server_writes_it() -> None:
    path = ("f:spec", 'k:{"protocol":"TCP","containerPort":80}', 'v:"x"', "i:3", "f:a.b/c")
    assert text(path) == '.spec[containerPort=80,protocol="TCP"][="x"][3].a.b/c'


def test_what_others_changed_is_named_with_them_and_what_was_removed_as_a_whole() -> None:
    image, env = {"f:image": {}}, {'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}}}
    before = [
        ours({"f:spec": {"f:containers": {WEB: {".": {}}}}}),
        entry("kubectl-edit", {"f:spec": {"f:containers": {WEB: image}}}),
    ]
    after = [ours({"f:spec": {"f:containers": {WEB: {".": {}, **image, "f:env": env}}}})]

    assert owned(lost(before, our_paths(after)), before) == (
        Owned(field='.spec.containers[name="web"].env[name="A"]', manager=""),
        Owned(field='.spec.containers[name="web"].image', manager="kubectl-edit"),
    )
    assert lost(after, our_paths(after)) == []


def test_only_the_fields_of_others_that_conflict_are_left_out() -> None:
    key = "f:app.kubernetes.io/name"
    entries = [
        ours({"f:data": {"f:k": {}}}),
        entry(
            "someone", {"f:data": {"f:k": {}, "f:free": {}}, "f:metadata": {"f:labels": {key: {}}}}
        ),
    ]
    found = others_paths(entries, {".data.k", ".metadata.labels.app.kubernetes.io/name"})
    value = {
        "metadata": {"labels": {"app.kubernetes.io/name": "x", "b": "y"}},
        "data": {"k": "1", "free": "2"},
    }

    assert set(found.values()) == {"someone"}
    assert without(value, found) == {"metadata": {"labels": {"b": "y"}}, "data": {"free": "2"}}
    assert value["data"] == {"k": "1", "free": "2"}


def test_an_item_is_found_by_its_keys_and_what_is_not_there_is_no_mistake() -> None:
    value = {"ports": [{"containerPort": 80}, {"containerPort": 81}], "set": ["a", "b"]}
    port = 'k:{"containerPort":80,"protocol":"TCP"}'

    assert without(value, [("f:ports", port)])["ports"] == [{"containerPort": 81}]
    assert without(value, [("f:set", 'v:"a"')])["set"] == ["b"]
    assert without(value, [("f:spec", "f:x"), ("f:ports", "f:x"), ()]) == value


def test_conflicts_are_read_from_an_answer_and_nothing_else_is_one() -> None:
    cause = {"reason": "FieldManagerConflict", "field": ".data.k"}
    said = {"details": {"causes": [{**cause, "message": 'conflict with "a" using v1'}, {}]}}

    assert Answer(status=409, body=said).conflicts == (Owned(field=".data.k", manager="a"),)
    for body in (None, "x", {}, {"details": None}):
        assert Answer(status=409, body=body).conflicts == ()
