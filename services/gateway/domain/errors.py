"""Errors in the shape that Flux v1's clients show: `help` is what a person reads."""

from dataclasses import dataclass
from typing import Any

from shared.runtime.errors import FluxError


@dataclass(eq=False)  # else it has no hash, which some of Python's own code asks of an exception
class ApiError(FluxError):
    """A request that can't be answered."""

    status: int
    kind: str
    """missing | user | server"""
    error: str
    help: str = ""

    def json(self) -> dict[str, Any]:
        """Return the body; `error` is never empty, and `help` ends with a line feed."""
        return {"type": self.kind, "help": f"{self.help or self.error}\n", "error": self.error}


def bad_request(error: str) -> ApiError:
    """Return the error for a body or a parameter that can't be read."""
    return ApiError(400, "user", error)


def unprocessable(error: str) -> ApiError:
    """Return the error for a request that was read and can't be done."""
    return ApiError(422, "user", error)


def missing(error: str, help_: str = "") -> ApiError:
    """Return the error for what is not there."""
    return ApiError(404, "missing", error, help_)


def not_found(method: str, path: str, why: str = "") -> ApiError:
    """Return the error for what is not served; the original says it of a wrong method too."""
    shown = path.removeprefix("/api/flux")
    help_ = why or f"Nothing is served at {method} {shown}; is fluxctl of another version?"
    return missing("API endpoint not found", help_)


def unavailable(error: str) -> ApiError:
    """Return the error for a part of Flux that does not answer."""
    return ApiError(503, "server", error)


def bug() -> ApiError:
    """Return the error for what we did not foresee."""
    return ApiError(
        500,
        "server",
        "internal error of the gateway",
        "The gateway met an error of its own; its log says which, with a traceback.",
    )
