"""
Which requests a webhook is asked about.

The rules are those of Kubernetes' API reference, admissionregistration.k8s.io/v1: of
`ValidatingWebhook` and `MutatingWebhook` the fields rules, matchPolicy, namespaceSelector and
objectSelector. In doubt a request is selected: matchConditions are taken to hold, and an equivalent
kind is one of any version.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

Labels = Mapping[str, str]
Webhook = Mapping[str, Any]
"""One of the `webhooks` of a configuration."""

_SHARING = (
    frozenset({"", "events.k8s.io"}),
    frozenset({"extensions", "apps", "networking.k8s.io"}),
)
"""Groups that serve the same objects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the API server is asked to do."""

    group: str
    version: str
    plural: str
    namespace: str
    """Empty for what is in none."""
    operations: frozenset[str]
    """One of these it is: `CREATE`, `UPDATE`, `DELETE`."""

    @property
    def is_namespace(self) -> bool:
        """Whether it is about a namespace itself."""
        return (self.group, self.plural) == ("", "namespaces")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """Whether a webhook is asked about an object."""

    yes: bool
    unknown: str = ""
    """Why that can't be told, if so; then it may be."""


def request(path: str, operations: Collection[str]) -> Request:
    """Return what is asked at the *path* of an object."""
    _, root, *rest = path.split("/")
    group = rest.pop(0) if root == "apis" else ""
    version, *inside, plural, _ = rest
    return Request(
        group=group,
        version=version,
        plural=plural,
        namespace=inside[1] if inside else "",
        operations=frozenset(operations),
    )


def ruled(webhook: Webhook, asked: Request) -> bool:
    """Tell whether any rule of a webhook is about a request."""
    exact = webhook.get("matchPolicy") == "Exact"
    return any(_is_about(rule, asked, exact=exact) for rule in webhook.get("rules") or ())


def selected(selector: Mapping[str, Any] | None, labels: Labels) -> bool:
    """Tell whether a label selector selects what has *labels*; an empty one selects all."""
    selector = selector or {}
    equal = (selector.get("matchLabels") or {}).items()
    return all(labels.get(key) == value for key, value in equal) and all(
        _holds(one, labels) for one in selector.get("matchExpressions") or ()
    )


def labels_of(metadata: Mapping[str, Any] | None) -> Labels:
    """Return the labels that are in the *metadata* of an object."""
    found = (metadata or {}).get("labels")
    return found if isinstance(found, Mapping) else {}


def _is_about(rule: Mapping[str, Any], asked: Request, *, exact: bool) -> bool:
    return (
        _is_of_kind(rule, asked, exact=exact)
        and _is_in_scope(rule.get("scope") or "*", asked)
        and _has(rule.get("operations"), asked.operations)
    )


def _is_of_kind(rule: Mapping[str, Any], asked: Request, *, exact: bool) -> bool:
    groups = {asked.group}
    if not exact:
        groups = groups.union(*(one for one in _SHARING if asked.group in one))
    resources = {asked.plural, "*/*", f"{asked.plural}/*"}
    return (
        _has(rule.get("apiGroups"), groups)
        and (not exact or _has(rule.get("apiVersions"), {asked.version}))
        and _has(rule.get("resources"), resources)
    )


def _is_in_scope(scope: str, asked: Request) -> bool:
    return scope == "*" or (scope == "Namespaced") == bool(asked.namespace)


def _has(listed: Collection[str] | None, wanted: Collection[str]) -> bool:
    return not {"*", *wanted}.isdisjoint(listed or ())


def _holds(expression: Mapping[str, Any], labels: Labels) -> bool:
    key, values = expression.get("key"), expression.get("values") or ()
    match expression.get("operator"):
        case "In":
            return labels.get(str(key)) in values
        case "NotIn":
            return labels.get(str(key)) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case _:
            return True
