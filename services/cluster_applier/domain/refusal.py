"""Why the API server refused an object, in words that help and hold no secret."""

import re
from collections.abc import Mapping
from typing import Any

from services.cluster_applier.domain.manner import may_recreate
from shared.manifests import ObjectId

_WEBHOOK = re.compile('Internal error occurred: failed calling webhook "(?P<name>[^"]+)"')
_CONVERSION = re.compile("conversion webhook for (?P<kind>.+?) failed: (?P<unreachable>Post )?")
CONVERTS = "for conversion of "
"""How the name of a webhook begins that makes one version of a kind out of another."""
_UNCHANGEABLE = re.compile(
    "Forbidden: updates to|updates may not change|is immutable|may not (be )?change|cannot change"
)
_UNREADABLE = ("failed to create typed patch object", "unable to convert unstructured object")
"""How a server refuses with 500 what is no object of its kind: values of another type or form."""
_DENIED = re.compile(
    "(admission webhook \"[^\"]*\"|ValidatingAdmissionPolicy '[^']*' with binding '[^']*')"
    " denied (the )?request"
)
"""What a webhook or a policy of admission has to say follows."""


def sentence(status: int, reason: str, body: Any, *, named: ObjectId, secret: bool) -> str:
    """Return why an object was refused, and what to do where that is known."""
    said = reason
    if secret and (found := denied(reason)):
        said = f"{found}; its words may hold values"
    elif secret and status in {400, 422, 500} and not webhook(reason):
        said = _without_values(status, body)
    if status == 422 and _UNCHANGEABLE.search(reason):
        return f"{said}; {_remedy(named)}"
    if status == 403 and "cannot impersonate" in reason:
        return f"{said}; allow Flux's own account the verb impersonate of serviceaccounts there"
    if _CONVERSION.match(reason):
        return f"{said}; see spec.conversion of the CustomResourceDefinition of {named.kind}"
    return said


def _remedy(named: ObjectId) -> str:
    """Return what helps where a field can't be changed."""
    if may_recreate(named):
        return (
            "change it back, or annotate it with fluxcd.io/force: enabled, and it is deleted and"
            " created anew"
        )
    return "change it back, or delete it by hand, with all that it holds, and it is created anew"


def webhook(reason: str) -> str:
    """Return the webhook that could not be asked, where that is why an object was refused."""
    if found := _WEBHOOK.match(reason):
        return found["name"]
    found = _CONVERSION.match(reason)
    return f"{CONVERTS}{found['kind']}" if found and found["unreachable"] else ""


def denied(reason: str) -> str:
    """Return that admission refused an object, and who, where that is so; none of its words."""
    found = _DENIED.search(reason)
    return found[0] if found else ""


def is_final(status: int, reason: str) -> bool:
    """Tell whether the same object would be refused for ever: only a change of it helps."""
    return not denied(reason) and (
        status in {400, 413, 422} or (status == 500 and unreadable(reason))
    )


def lacks_namespace(status: int, body: Any) -> bool:
    """Tell whether an object's namespace is missing, or about to go."""
    if status == 404:
        return details(body).get("kind") == "namespaces"
    terminating = (cause.get("reason") == "NamespaceTerminating" for cause in causes(body))
    return status == 403 and any(terminating)


def unreadable(reason: str) -> bool:
    """Tell whether an object is refused as none of its kind, which is its own fault."""
    return any(said in reason for said in _UNREADABLE)


def details(body: Any) -> Mapping[str, Any]:
    """Return what a refusal tells beside its reason; nothing where somebody else has answered."""
    found = body.get("details") if isinstance(body, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def causes(body: Any) -> list[Mapping[str, Any]]:
    """Return the single causes that a refusal tells."""
    found = details(body).get("causes")
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _without_values(status: int, body: Any) -> str:
    fields = [
        f"{cause.get('field') or 'the object'} ({cause.get('reason') or 'invalid'})"
        for cause in causes(body)
    ]
    where = ", ".join(fields) or "check that every value is a string, in base64 under data"
    return f"the API server refuses it (HTTP {status}; its words may hold values): {where}"
