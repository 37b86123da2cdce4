"""Why the API server refused an object, in words that help and hold no secret."""

import re
from collections.abc import Mapping
from typing import Any

_WEBHOOK = re.compile('Internal error occurred: failed calling webhook "(?P<name>[^"]+)"')
_FORBIDDING = ("Forbidden: updates to", "field is immutable", "may not be changed")
_DENIED = " denied the request"
"""What an admission webhook has to say follows."""


def sentence(status: int, reason: str, body: Any, *, secret: bool) -> str:
    """Return why an object was refused, and what to do where that is known."""
    if secret and status in {400, 422, 500} and not webhook(reason):
        return _without_values(status, body)
    if secret and _DENIED in reason:
        return f"{reason.partition(_DENIED)[0]}{_DENIED}; its words may hold values"
    if status == 422 and any(said in reason for said in _FORBIDDING):
        return (
            f"{reason}; a field that was changed can't be: change it back, or delete the object"
            " by hand, and it is created anew"
        )
    if status == 403 and "cannot impersonate" in reason:
        return f"{reason}; allow Flux's own account the verb impersonate of serviceaccounts there"
    return reason


def webhook(reason: str) -> str:
    """Return the webhook that could not be asked, where that is why an object was refused."""
    found = _WEBHOOK.match(reason)
    return found["name"] if found else ""


def is_final(status: int, reason: str) -> bool:
    """Tell whether the same object would be refused for ever: only a change of it helps."""
    return "admission webhook" not in reason and (
        status in {400, 422} or (status == 500 and "typed patch" in reason)
    )


def _without_values(status: int, body: Any) -> str:
    details = (body.get("details") or {}) if isinstance(body, Mapping) else {}
    causes = [
        f"{cause.get('field') or 'the object'} ({cause.get('reason') or 'invalid'})"
        for cause in details.get("causes") or ()
    ]
    where = ", ".join(causes) or "check that every value is a string, in base64 under data"
    return f"the API server refuses it (HTTP {status}; its words may hold values): {where}"
