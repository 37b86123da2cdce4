"""
Reads JSON objects as Flux v1's server did: names in any case, null as nothing, wrong types refused.

What Go's decoder took from hand-written requests must go on working here.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from services.gateway.domain.errors import bad_request


class Fields:
    """The fields of one JSON object; *place* is what its errors call it."""

    def __init__(self, found: Any, place: str) -> None:
        if not isinstance(found, Mapping):
            raise bad_request(f"{place} must be a JSON object")
        self._found: Mapping[str, Any] = found
        self._place = place

    def __contains__(self, name: str) -> bool:
        return self._key(name) in self._found

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def value(self, name: str) -> Any:
        """Return whatever stands there, or None."""
        return self._found.get(self._key(name))

    def text(self, name: str) -> str:
        """Return a string; empty if there is none."""
        return str(self._typed(name, str, "a string") or "")

    def flag(self, name: str) -> bool:
        """Return a boolean; False if there is none."""
        return bool(self._typed(name, bool, "true or false"))

    def items(self, name: str) -> list[Any]:
        """Return a list; empty if there is none."""
        return list(self._typed(name, list, "a list") or ())

    def object(self, name: str) -> "Fields":
        """Return the fields of an object; none if there is none."""
        found = self.value(name)
        return Fields({} if found is None else found, f"{self._place}.{name}")

    def _key(self, name: str) -> str:
        if name in self._found:
            return name
        return next((key for key in self._found if key.lower() == name.lower()), name)

    def _typed(self, name: str, kind: type, said: str) -> Any:
        found = self.value(name)
        if found is not None and not isinstance(found, kind):
            raise bad_request(f"{self._place}.{name} must be {said}")
        return found


DEEPEST = 50
"""Levels of a body; readers of the log take some 200."""


def check_text(body: Any) -> None:
    """
    Refuse what can't be said on: characters that no name has (NUL, halves of surrogate pairs), and
    objects inside objects without end.

    Raises:
        ApiError: 400.
    """
    level = [body]
    for _ in range(DEEPEST):
        if not level:
            return
        level = [one for found in level for one in _inside(found)]
    raise bad_request(f"the body is nested more than {DEEPEST} levels deep")


def _inside(found: Any) -> list[Any]:
    match found:
        case str() if "\0" in found or any("\ud800" <= one <= "\udfff" for one in found):
            raise bad_request(f"{found[:80]!a} holds a character that can't be stored")
        case list():
            return found
        case dict():
            return [*found, *found.values()]
    return []
