"""Which requests a webhook is asked about, by the rules of Kubernetes' API reference."""

from typing import Any

import pytest

from services.cluster_applier.domain.selection import request, ruled, selected
from services.cluster_applier.putting import operations
from shared.manifests import ObjectId

DEPLOYMENT = "/apis/apps/v1/namespaces/n/deployments/web"
SECRET = "/api/v1/namespaces/n/secrets/s"
NAMESPACE = "/api/v1/namespaces/n"
EVENT = "/apis/events.k8s.io/v1/namespaces/n/events/e"
APPLY = ("CREATE", "UPDATE")


def rule(group: str, version: str, resource: str, *operations: str, **more: str) -> dict[str, Any]:
    listed = {"apiGroups": [group], "apiVersions": [version], "resources": [resource]}
    return {**listed, "operations": list(operations or ("*",)), **more}


@pytest.mark.parametrize(
    ("path", "one", "is_about"),
    [
        (DEPLOYMENT, rule("apps", "v1", "deployments"), True),
        (DEPLOYMENT, rule("*", "*", "*"), True),
        (DEPLOYMENT, rule("*", "*", "*/*"), True),
        (DEPLOYMENT, rule("apps", "v1", "deployments/*"), True),
        (DEPLOYMENT, rule("apps", "v1", "deployments/scale"), False),
        (DEPLOYMENT, rule("apps", "v1", "*/scale"), False),
        (DEPLOYMENT, rule("apps", "v1", "daemonsets"), False),
        (DEPLOYMENT, rule("", "v1", "deployments"), False),
        (DEPLOYMENT, rule("extensions", "v1beta1", "deployments"), True),
        (EVENT, rule("", "v1", "events"), True),
        (DEPLOYMENT, rule("apps", "v1beta1", "deployments"), True),
        (DEPLOYMENT, rule("apps", "v1", "deployments", "UPDATE"), True),
        (DEPLOYMENT, rule("apps", "v1", "deployments", "DELETE", "CONNECT"), False),
        (DEPLOYMENT, rule("apps", "v1", "deployments", scope="Namespaced"), True),
        (DEPLOYMENT, rule("apps", "v1", "deployments", scope="Cluster"), False),
        (SECRET, rule("", "v1", "secrets", scope="*"), True),
        (NAMESPACE, rule("", "v1", "namespaces", scope="Cluster"), True),
        (NAMESPACE, rule("", "v1", "namespaces", scope="Namespaced"), False),
    ],
)
def test_rules_name_kinds_operations_and_scope(
    path: str, one: dict[str, Any], *, is_about: bool
) -> None:
    assert ruled({"rules": [rule("x", "v1", "y"), one]}, request(path, APPLY)) is is_about


def test_a_webhook_that_matches_exactly_is_not_asked_about_other_versions() -> None:
    asked = request(DEPLOYMENT, APPLY)
    for one in (
        rule("apps", "v1beta1", "deployments"),
        rule("extensions", "v1", "deployments"),
    ):
        assert not ruled({"matchPolicy": "Exact", "rules": [one]}, asked)
    assert ruled({"matchPolicy": "Exact", "rules": [rule("apps", "v1", "deployments")]}, asked)


def test_a_webhook_without_rules_is_asked_about_nothing() -> None:
    assert not ruled({"rules": None}, request(SECRET, ("DELETE",)))
    assert not ruled({}, request(SECRET, ("DELETE",)))


def expression(operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": "tier", "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("selector", "labels", "is_selected"),
    [
        (None, {}, True),
        ({}, {"tier": "web"}, True),
        ({"matchLabels": {"tier": "web"}}, {"tier": "web", "app": "a"}, True),
        ({"matchLabels": {"tier": "web", "app": "b"}}, {"tier": "web", "app": "a"}, False),
        ({"matchLabels": {"tier": "web"}}, {}, False),
        (expression("In", "web", "db"), {"tier": "db"}, True),
        (expression("In", "web", "db"), {"tier": "x"}, False),
        (expression("In", "web"), {}, False),
        (expression("NotIn", "web"), {"tier": "web"}, False),
        (expression("NotIn", "web"), {"tier": "db"}, True),
        (expression("NotIn", "web"), {}, True),
        (expression("Exists"), {"tier": ""}, True),
        (expression("Exists"), {}, False),
        (expression("DoesNotExist"), {"tier": ""}, False),
        (expression("DoesNotExist"), {}, True),
        (expression("Resembles", "web"), {}, True),
        ({**expression("Exists"), "matchLabels": {"app": "a"}}, {"tier": "web"}, False),
    ],
)
def test_selectors_compare_labels(
    selector: Any, labels: dict[str, str], *, is_selected: bool
) -> None:
    assert selected(selector, labels) is is_selected


def test_what_asks_to_be_created_anew_may_be_deleted() -> None:
    forced = b'{"metadata": {"annotations": {"fluxcd.io/force": "enabled"}}}'
    job, widget = ObjectId.parse("batch/Job n/j"), ObjectId.parse("example.com/Widget n/w")
    assert operations(job, forced) == {"CREATE", "UPDATE", "DELETE"}
    assert operations(job, b'{"metadata": {}}') == {"CREATE", "UPDATE"}
    assert operations(widget, forced) == {"CREATE", "UPDATE"}
