"""Who may use the API: whoever shows the token, in any of the ways that clients know."""

import base64
from collections.abc import Mapping
from hmac import compare_digest

SAFE = ("GET", "HEAD")


def is_allowed(authorization: str, token: str) -> bool:
    """
    Tell whether an Authorization header shows *token*.

    fluxctl sends `Scope-Probe token=T`, others `Bearer T`; flux-recv can only put it into its URL
    (Basic, as the password, or as the user where there is no password).
    """
    scheme, _, rest = authorization.partition(" ")
    match scheme.lower():
        case "scope-probe":
            shown = rest.strip().removeprefix("token=").encode(errors="surrogateescape")
        case "bearer":
            shown = rest.strip().encode(errors="surrogateescape")
        case "basic":
            shown = _password(rest)
        case _:
            shown = b""
    return compare_digest(shown, token.encode())


def is_foreign(method: str, headers: Mapping[str, str]) -> bool:
    """
    Tell whether a browser sends this for a page of somebody else's.

    On loopback there may be no token, and bodies need no Content-Type: any page that a person
    visits could give orders. Neither fluxctl nor webhooks send these headers.
    """
    if method in SAFE:
        return False
    site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
    if site is not None:
        return site not in {"same-origin", "none"}
    return origin is not None and origin.partition("://")[2] != headers.get("Host", "")


def _password(encoded: str) -> bytes:
    try:
        user, _, password = base64.b64decode(encoded.strip()).partition(b":")
    except ValueError:
        return b""
    return password or user
