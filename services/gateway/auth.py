"""Who may use the API: whoever shows the token, in any of the ways that clients know."""

import base64
import binascii
from hmac import compare_digest


def is_allowed(authorization: str, token: str) -> bool:
    """
    Tell whether an Authorization header shows *token*.

    fluxctl sends `Scope-Probe token=T`, others `Bearer T`; flux-recv can only put it into its URL
    (Basic, as the password).
    """
    scheme, _, rest = authorization.partition(" ")
    match scheme.lower():
        case "scope-probe":
            shown = rest.strip().removeprefix("token=")
        case "bearer":
            shown = rest.strip()
        case "basic":
            shown = _password(rest)
        case _:
            shown = ""
    return compare_digest(shown.encode(), token.encode())


def _password(encoded: str) -> str:
    try:
        return base64.b64decode(encoded.strip()).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""
