"""
`.flux.yaml`: which programs print the manifests of a folder, and how updates are written there.

As in Flux v1: version 1, and exactly one of `patchUpdated`, `commandUpdated` and `scanForFiles`.
What is misspelt is told, all of it at once: a command that is passed over would be missed late.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from posixpath import normpath
from typing import Any

from shared.manifests.documents import YamlError, documents
from shared.manifests.load import decode

NAME = ".flux.yaml"
TIMEOUT = 60.0
"""Seconds of a command that says nothing of its own."""
SHORTEST = 1.0
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_DURATION = re.compile(f"(?:{_PART.pattern})+")
_UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_KINDS = ("commandUpdated", "patchUpdated", "scanForFiles")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One line for `/bin/sh`."""

    text: str
    timeout: float = TIMEOUT


@dataclass(frozen=True, slots=True, kw_only=True)
class Updater:
    """What changes files so that the generators print something else; none where it can't."""

    image: Command | None = None
    policy: Command | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FluxYaml:
    """What a `.flux.yaml` says."""

    scan: bool = False
    """The files of the folder are manifests, whatever a `.flux.yaml` further up says."""
    generators: tuple[Command, ...] = ()
    updaters: tuple[Updater, ...] = ()
    patch_file: str | None = None
    """Relative to the folder; None where updaters do the updates."""


class FluxYamlError(ValueError):
    """A `.flux.yaml` that can't be followed; the sentence names every mistake."""


def parse(data: bytes | str) -> FluxYaml:
    """
    Read a `.flux.yaml`.

    Raises: FluxYamlError.
    """
    try:
        read = documents(decode(data))
    except YamlError as error:
        place = f"line {error.line}: " if error.line else ""
        raise FluxYamlError(f"{place}{error.message}") from error
    if len(read) != 1 or not isinstance(read[0].value, dict):
        raise FluxYamlError("it must be one mapping with version: 1 and one of " + _listed(_KINDS))
    reader = _Reader()
    found = reader.whole(read[0].value)
    if reader.mistakes:
        raise FluxYamlError("; ".join(reader.mistakes))
    return found


class _Reader:
    """Reads what is right, and notes what is not."""

    def __init__(self) -> None:
        self.mistakes: list[str] = []

    def whole(self, value: Mapping[str, Any]) -> FluxYaml:
        version = value.get("version")
        if isinstance(version, bool) or version != 1:
            self._note("version", f"must be 1, and is {version!r}" if version else "must be 1")
        self._unknown("", value, ("version", *_KINDS))
        kinds = [kind for kind in _KINDS if kind in value]
        if len(kinds) != 1:
            said = f"there are {_listed(kinds)}" if kinds else "there is none"
            self.mistakes.append(f"exactly one of {_listed(_KINDS)} must be given; {said}")
            return FluxYaml()
        return self._kind(kinds[0], value[kinds[0]])

    def _kind(self, kind: str, value: Any) -> FluxYaml:
        if kind == "scanForFiles":
            self._mapping(kind, value or {}, ())
            return FluxYaml(scan=True)
        own = "patchFile" if kind == "patchUpdated" else "updaters"
        inside = self._mapping(kind, value, ("generators", own))
        generators = self._list(f"{kind}.generators", inside.get("generators"), needed=True)
        commands = tuple(self._command(at, one) for at, one in generators)
        if kind == "patchUpdated":
            file = self._patch_file(inside.get("patchFile"))
            return FluxYaml(generators=commands, patch_file=file)
        updaters = self._list(f"{kind}.updaters", inside.get("updaters"))
        return FluxYaml(
            generators=commands, updaters=tuple(self._updater(at, one) for at, one in updaters)
        )

    def _updater(self, at: str, value: Any) -> Updater:
        inside = self._mapping(at, value, ("containerImage", "policy"))
        commands = {
            key: self._command(f"{at}.{key}", inside[key])
            for key in ("containerImage", "policy")
            if key in inside
        }
        return Updater(image=commands.get("containerImage"), policy=commands.get("policy"))

    def _command(self, at: str, value: Any) -> Command:
        inside = self._mapping(at, value, ("command", "timeout"))
        text = inside.get("command")
        if not isinstance(text, str) or not text.strip() or "\0" in text:
            self._note(f"{at}.command", "must be a line for the shell")
            text = ""
        return Command(text=text, timeout=self._timeout(f"{at}.timeout", inside.get("timeout")))

    def _timeout(self, at: str, value: Any) -> float:
        if value is None:
            return TIMEOUT
        seconds = _seconds(value) if isinstance(value, str) else None
        if seconds is None or seconds < SHORTEST:
            self._note(at, f"must be a duration of at least 1s, as 90s or 2m, and is {value!r}")
            return TIMEOUT
        return seconds

    def _patch_file(self, value: Any) -> str:
        if not isinstance(value, str) or not value.strip("./") or value.startswith("/"):
            self._note("patchUpdated.patchFile", "must be a path relative to the folder")
            return ""
        return normpath(value)

    def _mapping(self, at: str, value: Any, known: tuple[str, ...]) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            self._note(at, "must be a mapping")
            return {}
        self._unknown(at, value, known)
        return value

    def _unknown(self, at: str, value: Mapping[str, Any], known: tuple[str, ...]) -> None:
        for key in value:
            if key not in known:
                where = f"{at}.{key}" if at else str(key)
                takes = f"takes {_listed(known)}" if known else "takes nothing"
                self.mistakes.append(f"{where} is not known; {at or 'the file'} {takes}")

    def _list(self, at: str, value: Any, *, needed: bool = False) -> Iterator[tuple[str, Any]]:
        if value is None and not needed:
            return
        if not isinstance(value, list) or (needed and not value):
            self._note(at, "must be a list of commands")
            return
        for index, one in enumerate(value):
            yield f"{at}.{index}", one

    def _note(self, at: str, what: str) -> None:
        self.mistakes.append(f"{at} {what}")


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)


def _seconds(text: str) -> float | None:
    if not _DURATION.fullmatch(text):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
