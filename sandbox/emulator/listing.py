"""Lists in pages."""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from sandbox.emulator.answers import bad_request, expired
from sandbox.emulator.bodies import Target
from sandbox.emulator.selectors import selection
from sandbox.emulator.store import Object, Store


def page(
    store: Store, target: Target, query: Mapping[str, str]
) -> tuple[list[Object], dict[str, Any]]:
    """
    Return the objects that *query* asks for, with the list's own metadata.

    A later page shows what there is then, where the real server shows what there was.
    """
    selected = selection(query.get("labelSelector", ""), query.get("fieldSelector", ""))
    objects = [obj for obj in store.select(target.resource, target.namespace) if selected(obj)]
    version = store.version
    if token := query.get("continue"):
        version, start = _read(token, store)
        objects = [obj for obj in objects if _key(obj) > start]
    metadata: dict[str, Any] = {"resourceVersion": str(version)}
    limit = _number(query.get("limit", ""))
    if limit and len(objects) > limit:
        metadata["continue"] = _write(version, _key(objects[limit - 1]))
        metadata["remainingItemCount"] = len(objects) - limit
        objects = objects[:limit]
    return objects, metadata


def _key(obj: Object) -> list[str]:
    return [obj["metadata"].get("namespace", ""), obj["metadata"]["name"]]


def _number(text: str) -> int:
    if text and not text.isdecimal():
        raise bad_request(f"limit: {text!r} is no number")
    return int(text or 0)


def _write(version: int, last: list[str]) -> str:
    return base64.urlsafe_b64encode(json.dumps([version, last]).encode()).decode()


def _read(token: str, store: Store) -> tuple[int, list[str]]:
    try:
        version, last = json.loads(base64.urlsafe_b64decode(token))
    except (binascii.Error, ValueError, TypeError) as error:
        raise bad_request(f"invalid continue token: {error}") from error
    if version < store.oldest:
        raise expired("the provided continue parameter is too old")
    return version, last
