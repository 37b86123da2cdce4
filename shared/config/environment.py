"""
Overrides from the environment: `FLUX__SYNCS__0__GIT__URL` sets `syncs.0.git.url`.

Double underscores part the keys, numbers are places in a list (the next free one adds to it), and
values are YAML scalars; lists and mappings in one line, `[a, b]`, are taken too.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import yaml

from shared.config.consistency import Keys

PREFIX = "FLUX__"


class Overrides:
    """What the environment sets in the values of a file."""

    def __init__(self, values: dict[str, Any], environment: Mapping[str, str]) -> None:
        self.values: dict[str, Any] = _unshared(values)
        self.mistakes: list[str] = []
        self._variables: dict[Keys, str] = {}
        named = {_keys(name): name for name in environment if name.startswith(PREFIX)}
        for keys in sorted(named, key=_in_order):
            self._set(keys, environment[named[keys]], named[keys])

    def variable(self, where: Keys) -> str | None:
        """Return the name of the variable that set what stands at *where*."""
        surroundings = (where[:depth] for depth in range(len(where), 0, -1))
        return next(filter(None, map(self._variables.get, surroundings)), None)

    def _set(self, keys: Keys, text: str, name: str) -> None:
        try:
            value = _value(text)
            place: Any = self.values
            for key, following in pairwise(keys):
                place = _child(place, key, [] if isinstance(following, int) else {})
            _child(place, keys[-1], None)
            place[keys[-1]] = value
        except _MistakeError as mistake:
            self.mistakes.append(f"{name}: {mistake}")
        else:
            self._variables[keys] = name


class _MistakeError(Exception):
    """What is wrong with a variable."""


def _keys(name: str) -> Keys:
    parts = name.removeprefix(PREFIX).split("__")
    return tuple(int(part) if part.isascii() and part.isdigit() else part.lower() for part in parts)


def _in_order(keys: Keys) -> list[tuple[int, str]]:
    """Sort numbers as numbers, so that a list is filled from its start."""
    return [(key, "") if isinstance(key, int) else (-1, key) for key in keys]


def _value(text: str) -> Any:
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise _MistakeError("no valid YAML scalar; put the value in quotes") from error
    # `a: b` is meant as text here.
    meant = not isinstance(value, dict | list) or text.lstrip().startswith(("[", "{"))
    return value if meant else text


def _child(place: Any, key: str | int, fresh: Any) -> Any:
    """Return what *place* has under *key*; what is not there yet, or has no value, is *fresh*."""
    if isinstance(place, dict) and isinstance(key, str) and key:
        if place.get(key) is None:
            place[key] = fresh
        return place[key]
    if isinstance(place, list) and isinstance(key, int):
        if key > len(place):
            raise _MistakeError(f"the list has {len(place)} items, so {key} is no place in it")
        if key == len(place):
            place.append(fresh)
        if place[key] is None:
            place[key] = fresh
        return place[key]
    raise _MistakeError(f"there is nothing called {key!r} to override")


def _unshared(values: Any) -> Any:
    """Copy *values*; what an anchor made one object becomes several."""
    if isinstance(values, dict):
        return {key: _unshared(value) for key, value in values.items()}
    return [_unshared(value) for value in values] if isinstance(values, list) else values
