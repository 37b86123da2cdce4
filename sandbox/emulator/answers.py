"""What the API says when it refuses, and when there is nothing but success to tell."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from sandbox.emulator.kinds import Resource

Cause = tuple[str, str, str]  # reason, message, field


class ApiError(Exception):
    """A refusal, with the `Status` to answer with."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: dict[str, Any] | None = None,
        causes: Sequence[Cause] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
        }
        if reason:
            self.status["reason"] = reason
        if causes:
            listed = [{"reason": why, "message": text, "field": at} for why, text, at in causes]
            details = {**(details or {}), "causes": listed}
        if details is not None:
            self.status["details"] = details
        self.status["code"] = code


def success(resource: Resource, name: str, uid: str) -> dict[str, Any]:
    """Tell that the object *name* is gone."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": _details(resource, name) | {"uid": uid},
    }


def not_found(resource: Resource, name: str) -> ApiError:
    """Tell that there is no object *name*."""
    message = f'{resource.qualified} "{name}" not found'
    return ApiError(404, "NotFound", message, details=_details(resource, name))


def exists(resource: Resource, name: str) -> ApiError:
    """Tell that there already is an object *name*."""
    message = f'{resource.qualified} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, details=_details(resource, name))


def stale(resource: Resource, name: str) -> ApiError:
    """Tell that the writer had not seen the newest version of the object."""
    message = (
        f'Operation cannot be fulfilled on {resource.qualified} "{name}": the object has been '
        "modified; please apply your changes to the latest version and try again"
    )
    return ApiError(409, "Conflict", message, details=_details(resource, name))


def precondition(resource: Resource, name: str, what: str, given: str, found: str) -> ApiError:
    """Tell that a deletion was meant for another object, or another version of it."""
    hint = "deleted and then recreated" if what == "UID" else "modified"
    kind = ".".join(filter(None, (resource.kind, resource.group)))
    message = (
        f'Operation cannot be fulfilled on {kind} "{name}": the {what} in the precondition '
        f"({given}) does not match the {what} in record ({found}). The object might have been "
        f"{hint}"
    )
    details = _details(resource, name) | {"kind": resource.kind}
    return ApiError(409, "Conflict", message, details=details)


def invalid(resource: Resource, name: str, causes: Sequence[Cause]) -> ApiError:
    """Tell what is wrong with the object *name*."""
    kind = ".".join(filter(None, (resource.kind, resource.group)))
    told = [f"{at}: {text}" for _, text, at in causes]
    listed = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
    message = f'{kind} "{name}" is invalid: {listed}'
    details = _details(resource, name) | {"kind": resource.kind}
    return ApiError(422, "Invalid", message, details=details, causes=causes)


def terminating(resource: Resource, name: str, namespace: str) -> ApiError:
    """Tell that the namespace of a new object is on its way out."""
    message = (
        f'{resource.qualified} "{name}" is forbidden: unable to create new content in namespace '
        f"{namespace} because it is being terminated"
    )
    why = f"namespace {namespace} is being terminated"
    return ApiError(
        403,
        "Forbidden",
        message,
        details=_details(resource, name),
        causes=[("NamespaceTerminating", why, "metadata.namespace")],
    )


def bad_request(message: str) -> ApiError:
    """Tell that a request makes no sense."""
    return ApiError(400, "BadRequest", message)


def expired(message: str) -> ApiError:
    """Tell that the asked-for version of the past is no longer known."""
    return ApiError(410, "Expired", message)


def conflicts(found: Sequence[tuple[str, str]]) -> ApiError:
    """Tell which owners are in the way of an apply, each with the field (both as text)."""
    if len(found) == 1:
        message = f"Apply failed with 1 conflict: conflict with {found[0][0]}: {found[0][1]}"
    else:
        message = f"Apply failed with {len(found)} conflicts: " + "\n".join(
            "\n".join((f"conflicts with {owner}:", *(f"- {field}" for _, field in fields)))
            for owner, fields in groupby(found, key=lambda one: one[0])
        )
    causes = [("FieldManagerConflict", f"conflict with {owner}", at) for owner, at in found]
    return ApiError(409, "Conflict", message, causes=causes)


def _details(resource: Resource, name: str) -> dict[str, Any]:
    group = {"group": resource.group} if resource.group else {}
    return {"name": name, **group, "kind": resource.plural}
