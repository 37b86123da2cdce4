"""What cluster-applier decides: what to apply, what to delete, what is drift. No cluster."""

import pytest

from services.cluster_applier.domain.asked import asked
from services.cluster_applier.domain.drift import GONE, WHOLE, Drift, Drifts
from services.cluster_applier.domain.fence import Verdict, judge
from services.cluster_applier.domain.fields import MOST
from services.cluster_applier.domain.health import health
from services.cluster_applier.domain.inventory import Applied, Inventory, decoded
from services.cluster_applier.domain.ledger import Ledger, Seen
from services.cluster_applier.domain.ownership import last_manager, ours
from services.cluster_applier.domain.plan import Wanted, obsolete, plan, reason_to_keep
from services.cluster_applier.domain.scaling import Scaling
from services.cluster_applier.domain.stages import staged
from services.cluster_applier.domain.status import rollout, state
from shared.bundle.chunks import Entry
from shared.bundle.format import Header
from shared.contract import StateDeclared, SyncRequested
from shared.manifests import ObjectId


def wanted(text: str, digest: str = "d") -> Wanted:
    entry = Entry(id=text, version="v1", digest=digest, file="a.yaml", chunk=0, offset=0, length=1)
    return Wanted(id=ObjectId.parse(text), entry=entry, path="/")


def header(revision: str, *ancestors: str, **more: object) -> Header:
    values = {"sync": "apps", "target": "t", "repository": "r", "url": "u", "revision": revision}
    return Header.model_validate({**values, "ancestors": (revision, *ancestors), **more})


def inventory(**objects: Applied) -> Inventory:
    named = {name.replace("_", " "): one for name, one in objects.items()}
    return Inventory(sync="apps", repository="r", revision="b", height=2, objects=named)


@pytest.mark.parametrize(
    ("bundle", "verdict"),
    [
        (header("b", "a", height=2), Verdict.GO),
        (header("c", "b", "a", height=3), Verdict.GO),
        (header("a", height=1), Verdict.STALE),
        (header("x", "a", height=3), Verdict.KEEP),
        (header("x", "a", height=1, rewritten=True), Verdict.GO),
        (header("c", "b", height=3, generation=-1), Verdict.STALE),
        (header("z", height=1, repository="other"), Verdict.KEEP),
    ],
)
def test_an_older_bundle_is_never_applied_over_a_newer_one(
    bundle: Header, verdict: Verdict
) -> None:
    assert judge(bundle, inventory()) is verdict


def test_nothing_applied_yet_lets_every_bundle_in() -> None:
    assert judge(header("a"), Inventory(sync="apps")) is Verdict.GO


def test_only_what_is_new_changed_or_drifted_is_applied() -> None:
    known = inventory(
        ConfigMap_a=Applied(digest="same"),
        ConfigMap_b=Applied(digest="old"),
        ConfigMap_c=Applied(digest="same"),
        ConfigMap_d=Applied(),
    )
    all_wanted = [wanted(f"ConfigMap {name}", "same") for name in "abcde"]
    todo = plan(all_wanted, known, drifted={"ConfigMap c"})

    assert [one.id.name for one in todo.apply] == ["b", "c", "d", "e"]
    assert todo.unchanged == 1


def test_what_is_declared_no_more_is_deleted_in_the_reverse_of_the_stages() -> None:
    known = inventory(
        ConfigMap_a=Applied(),
        Namespace_ours=Applied(created=True),
        Namespace_theirs=Applied(created=False),
        Deployment_web=Applied(),
        ConfigMap_kept=Applied(),
        ConfigMap_ignored=Applied(),
    )
    gone = obsolete(known, {"ConfigMap kept"}, {"ConfigMap ignored"})

    assert [name for name, _ in gone] == ["Deployment web", "ConfigMap a", "Namespace ours"]


@pytest.mark.parametrize(
    ("so", "why"),
    [
        ({}, ""),
        ({"prune": False}, "prune is off for this sync"),
        ({"problems": 2}, "2 parts of the desired state could not be read"),
        ({"failed": True}, "not everything could be applied"),
        ({"certain": False}, "it is not certain that this revision is newer than the one before"),
    ],
)
def test_nothing_is_deleted_unless_all_was_read_and_applied_and_is_new(
    so: dict[str, int], why: str
) -> None:
    best = {"prune": True, "problems": 0, "failed": False, "certain": True}
    assert reason_to_keep(**{**best, **so}) == why


def test_namespaces_come_before_definitions_before_the_rest_before_webhooks() -> None:
    kinds = ("ValidatingWebhookConfiguration", "Widget", "Deployment", "Secret", "Namespace")
    ids = [ObjectId.parse(f"{kind} x") for kind in (*kinds, "CustomResourceDefinition")]
    order = [some for _, some in staged((one, one.kind) for one in ids)]

    assert order == [
        ["Namespace"],
        ["CustomResourceDefinition"],
        ["Secret"],
        ["Deployment"],
        ["Widget"],
        ["ValidatingWebhookConfiguration"],
    ]


def test_an_inventory_survives_its_config_map_and_a_broken_one_says_so() -> None:
    kept = inventory(ConfigMap_a=Applied(digest="d", fields="f", uid="u", created=True))
    assert decoded(kept.encoded()) == kept
    with pytest.raises(ValueError, match="can't be read"):
        decoded({"inventory": "AAAA"})


def seen(fields: str, version: int = 1, name: str = "ConfigMap a") -> Seen:
    return Seen(
        id=name, fields=fields, version=version, manager="kubectl-edit", at=1.0, gone=not fields
    )


def test_a_change_of_our_fields_is_drift_and_anything_else_is_not() -> None:
    ledger = Ledger()
    ledger.claim(inventory(ConfigMap_a=Applied(fields="ours")))

    assert ledger.judge(seen("ours")) is None
    assert ledger.judge(seen("", name="ConfigMap unknown")) is None
    sync, drift = ledger.judge(seen("other")) or ("", None)
    assert sync == "apps"
    assert drift is not None
    assert drift.what == "changed"
    gone = ledger.judge(seen(""))
    assert gone is not None
    assert gone[1].what == "deleted"


def test_our_own_write_is_no_drift_but_a_change_right_after_it_is() -> None:
    ledger = Ledger()
    ledger.claim(inventory(ConfigMap_a=Applied(fields="before")))
    ledger.begin("ConfigMap a")
    assert ledger.judge(seen("after", version=5)) is None
    assert ledger.end("ConfigMap a", "apps", "after", 5) is None

    ledger.begin("ConfigMap a")
    assert ledger.judge(seen("theirs", version=7)) is None
    late = ledger.end("ConfigMap a", "apps", "after", 6)
    assert late is not None
    assert late.version == 7


def test_what_was_read_before_an_object_was_applied_tells_nothing_of_it() -> None:
    ledger, kind, name = Ledger(), ("", "ConfigMap"), "ConfigMap a"
    ledger.end(name, "apps", "after", 6)

    assert ledger.judge(seen("before", version=5)) is None
    assert list(ledger.missing(kind, (), 1.0, version=5)) == []
    assert [one.id for one in ledger.missing(kind, (), 1.0, version=6)] == [name]
    assert ledger.judge(seen("theirs", version=7)) is not None

    # A cluster that was restored from a backup counts from less again.
    ledger.claim(inventory(ConfigMap_a=Applied(fields="after")))
    assert ledger.judge(seen("theirs", version=5)) is not None


def test_the_first_owner_of_an_object_keeps_it() -> None:
    ledger = Ledger()
    ledger.claim(inventory(ConfigMap_a=Applied(fields="f")))
    other = Inventory(sync="other", objects={"ConfigMap a": Applied(fields="g")})
    ledger.claim(other)

    assert ledger.owner("ConfigMap a") == "apps"
    assert ledger.judge(seen("f")) is None


def drift(version: int = 1) -> Drift:
    return Drift(what="changed", manager="somebody", seen=0.0, version=version)


def test_a_change_that_came_after_the_answer_stays_to_be_put_back() -> None:
    drifts = Drifts()
    drifts.see("a", drift(version=9))

    assert drifts.correct("a", 8, now=1.0) is None
    assert "a" in drifts.pending
    assert drifts.correct("a", 10, now=2.0) is not None
    assert not drifts.pending


def test_who_insists_is_put_back_three_times_and_then_left_alone_until_forgiven() -> None:
    drifts = Drifts()
    often = []
    for turn in range(3):
        assert drifts.see("a", drift(turn))
        corrected = drifts.correct("a", turn + 1, now=float(turn))
        assert corrected is not None
        often.append(corrected.contested)

    assert often == [frozenset(), frozenset(), {WHOLE}]
    assert not drifts.see("a", drift(9))
    drifts.forgive()
    assert drifts.see("a", drift(9))


def managed(*ours: str, **others: str) -> tuple[dict[str, object], ...]:
    """Return the managedFields of an object with these fields of ours, and others by manager."""
    entries = {"flux": ours, **{manager: (key,) for manager, key in others.items()}}
    return tuple(
        {
            "manager": manager,
            "operation": "Apply" if manager == "flux" else "Update",
            "fieldsV1": {"f:data": {f"f:{key}": {} for key in keys}},
        }
        for manager, keys in entries.items()
    )


def changed(by: str, *ours: str, key: str = "", version: int = 1) -> Drift:
    entries = managed(*ours, **({by: key} if key else {}))
    return Drift(what="changed", manager=by, seen=0.0, version=version, managed=entries)


A, B = ("f:data", "f:a"), ("f:data", "f:b")


def insisting(*drifts: Drift) -> Drifts:
    found = Drifts()
    for turn, one in enumerate(drifts):
        assert found.see("x", one)
        assert found.correct("x", 9, float(turn), managed("a", "b"))
    return found


def test_fields_are_counted_each_for_itself_and_a_deletion_too() -> None:
    a, b = changed("eve", "b", key="a"), changed("bob", "a", key="b")
    gone = Drift(what="deleted", manager="", seen=0.0)
    found = insisting(a, b, a, b, gone, gone)
    assert not found.contested

    assert found.see("x", a)
    corrected = found.correct("x", 9, 9.0, managed("a", "b"))
    assert corrected is not None
    assert (corrected.fields, corrected.contested) == ({A}, {A})
    assert not found.see("x", a)
    assert found.see("x", gone)
    corrected = found.correct("x", 9, 9.0, managed("a", "b"))
    assert corrected is not None
    assert (corrected.fields, corrected.contested) == (frozenset(), {GONE})
    assert not found.see("x", gone)
    assert found.see("x", b)


def test_what_is_contested_is_left_out_only_while_others_have_it() -> None:
    a, b = changed("eve", "b", key="a"), changed("bob", "a", key="b")
    found = insisting(a, a, a)
    assert not found.see("x", a)
    assert found.see("x", b)  # it is ours at the moment: without it, it would go
    assert found.left("x") == []
    both = changed("eve", key="a")
    assert found.see("x", both)
    assert found.left("x") == [A]
    # Applied without it: what is ours has less, and the rest is put back once more.
    assert found.correct("x", 9, 4.0, managed("b", eve="a"))
    assert not found.see("x", a)
    assert found.see("x", both)


def test_what_was_deleted_comes_back_as_a_whole_though_a_field_of_it_is_contested() -> None:
    found = insisting(*(changed("eve", "b", key="a") for _ in range(3)))
    assert found.see("x", Drift(what="deleted", manager="", seen=0.0))
    assert found.left("x") == []
    assert found.correct("x", 9, 4.0, managed("a", "b"))
    assert not found.see("x", changed("eve", "b", key="a"))


def test_very_many_fields_are_counted_as_the_object() -> None:
    many = [f"k{number}" for number in range(MOST + 1)]
    found = Drifts()
    for _ in range(3):
        assert found.see("x", changed("eve"))
        corrected = found.correct("x", 9, 1.0, managed(*many))
    assert corrected is not None
    assert corrected.contested == {WHOLE}
    assert not found.see("x", changed("bob", *many[1:]))


def test_who_reverts_himself_or_is_left_what_he_took_is_not_corrected() -> None:
    found = Drifts()
    assert found.see("x", changed("eve", "b", key="a", version=7))
    assert found.correct("x", 7, 1.0, managed("b")) is None
    assert not found.pending


def test_our_fields_are_told_by_our_entry_alone() -> None:
    mine = {"manager": "flux", "operation": "Apply", "fieldsV1": {"f:data": {}}}
    status = {"manager": "flux", "operation": "Apply", "subresource": "status", "fieldsV1": {}}
    other = {"manager": "kubectl", "operation": "Update", "time": "2", "fieldsV1": {"f:x": {}}}

    assert ours({"managedFields": [other, mine]}) == ours({"managedFields": [mine, status]}) != ""
    assert ours({"managedFields": [other]}) == ours({}) == ""
    assert last_manager({"managedFields": [mine, other]}) == "kubectl"


def deployment(**status: int) -> dict[str, object]:
    return {
        "kind": "Deployment",
        "metadata": {"generation": 2},
        "spec": {"replicas": 2},
        "status": {"observedGeneration": 2, **status},
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (deployment(replicas=2, updatedReplicas=2, availableReplicas=2), "ready"),
        (deployment(replicas=3, updatedReplicas=2, availableReplicas=2), "updating"),
        (deployment(replicas=2, updatedReplicas=1, availableReplicas=2), "updating"),
        (deployment(observedGeneration=1), "started"),
        ({"kind": "CronJob", "metadata": {}, "spec": {}}, "ready"),
        ({"apiVersion": "batch/v1", "kind": "Job"}, "updating"),
        ({"apiVersion": "v1", "kind": "Pod", "status": {"phase": "Failed"}}, "error"),
    ],
)
def test_a_workload_is_ready_when_all_replicas_are_new_and_available(
    value: dict[str, object], expected: str
) -> None:
    assert state(value, rollout(value), health(value)) == expected


def test_a_failed_rollout_is_an_error_with_its_message() -> None:
    value = deployment(replicas=1)
    condition = {"type": "Progressing", "status": "False", "message": "too late"}
    value["status"] = {**value["status"], "conditions": [condition]}  # type: ignore[dict-item]

    assert rollout(value).messages == ("too late",)
    assert state(value, rollout(value), health(value)) == "error"


NO_STATUS = (
    None,
    "text",
    ["text", None],
    {"conditions": "text"},
    {"conditions": [1, None, {"type": ["x"], "status": {}, "message": {}}]},
    {"observedGeneration": [1], "replicas": "many", "updatedReplicas": None, "readyReplicas": {}},
    {"observedGeneration": 2, "desiredNumberScheduled": "many"},
)


@pytest.mark.parametrize("status", NO_STATUS, ids=str)
@pytest.mark.parametrize("version", ["apps/v1", "apps.example.com/v1"])
@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Gear"])
def test_whatever_an_object_shows_as_its_status_can_be_told(
    status: object, version: str, kind: str
) -> None:
    metadata = {"name": "a", "generation": 2}
    for spec in (status, {"replicas": status}):
        value = {"apiVersion": version, "kind": kind, "metadata": metadata}
        value |= {"spec": spec, "status": status}
        assert state(value, rollout(value), health(value)) != "error"


@pytest.mark.parametrize("spec", ["text", {"scaleTargetRef": "text"}, {"scaleTargetRef": [1]}])
def test_an_autoscaler_that_names_nothing_scales_nothing(spec: object) -> None:
    named = ObjectId.parse("keda.sh/ScaledObject n/a")
    assert Scaling().see(named, {"spec": spec}) == ()


def test_a_group_is_one_look_for_the_last_declaration() -> None:
    base = {"sync": "apps", "target": "t", "repository": "r", "url": "u", "branch": "b"}
    messages = [
        StateDeclared.model_validate({**base, "revision": "1", "bundle": "one"}),
        SyncRequested(sync="apps", reason="drift", objects=("ConfigMap a",)),
        StateDeclared.model_validate({**base, "revision": "2", "bundle": "two"}),
        SyncRequested(sync="apps", reason="person"),
    ]
    look = asked(messages)

    assert (look.digest, look.person, look.tick) == ("two", True, True)
    assert look.drifted == {"ConfigMap a"}
