"""
A plan's edits as the new contents of files.

All edits of a file are made at once: two workloads that share an anchor move together. Where that
is not safe, in smaller and smaller groups, so that what can't be edited fails alone.
"""

import asyncio
from collections.abc import Iterable, Mapping

from services.repo_writer.domain.plan import Edits
from services.repo_writer.domain.state import Spot
from services.repo_writer.ports import Files, Reasons, Repo
from shared.manifests import EditError, edit

SLICE = 50
"""Files that are read and edited in one go in a thread: some 20 ms."""


async def edited(repo: Repo, revision: str, edits: Edits) -> tuple[Files, Reasons]:
    """Return the files that become others, and of every edit that could not be made why."""
    files, failures = await _in_files(
        repo, revision, {spot: some for spot, some in edits.items() if spot.folder is None}
    )
    generated = {spot: some for spot, some in edits.items() if spot.folder is not None}
    if not generated:
        return files, failures
    more, failed = await repo.regenerated(revision, files, generated)
    return {**files, **more}, {**failures, **failed}


async def _in_files(
    repo: Repo, revision: str, edits: Edits
) -> tuple[dict[str, bytes], dict[Spot, str]]:
    by_file: dict[str, dict[Spot, None]] = {}
    for spot in edits:
        by_file.setdefault(spot.file, {})[spot] = None
    files: dict[str, bytes] = {}
    failures: dict[Spot, str] = {}
    names = list(by_file)
    for start in range(0, len(names), SLICE):
        some = names[start : start + SLICE]
        old = dict(zip(some, await repo.texts(revision, some), strict=True))
        new, failed = await asyncio.to_thread(_all_edited, old, by_file, edits)
        files |= new
        failures |= failed
    return files, failures


def _all_edited(
    old: Mapping[str, bytes], spots: Mapping[str, Iterable[Spot]], edits: Edits
) -> tuple[dict[str, bytes], dict[Spot, str]]:
    files: dict[str, bytes] = {}
    failures: dict[Spot, str] = {}
    for file, data in old.items():
        text, failed = _edited(data.decode(), {spot: edits[spot] for spot in spots[file]})
        failures |= {spot: f"{file}: {reason}" for spot, reason in failed.items()}
        if (new := text.encode()) != data:
            files[file] = new
    return files, failures


def _edited(text: str, edits: Edits) -> tuple[str, dict[Spot, str]]:
    """Edit a file; where a sync takes another namespace for the default one, once for each."""
    failures: dict[Spot, str] = {}
    for namespace in dict.fromkeys(spot.default_namespace for spot in edits):
        some = {spot: one for spot, one in edits.items() if spot.default_namespace == namespace}
        text, failed = _edited_in(text, some, namespace)
        failures |= failed
    return text, failures


def _edited_in(text: str, edits: Edits, namespace: str) -> tuple[str, Mapping[Spot, str]]:
    together = [one for some in edits.values() for one in some]
    try:
        return edit(text, together, default_namespace=namespace), {}
    except EditError as error:
        if len(edits) == 1:
            return text, dict.fromkeys(edits, str(error))
    # By halves: one by one, a file of thousands of workloads would be read thousands of times.
    spots = list(edits)
    failures: dict[Spot, str] = {}
    for half in (spots[: len(spots) // 2], spots[len(spots) // 2 :]):
        text, failed = _edited_in(text, {spot: edits[spot] for spot in half}, namespace)
        failures |= failed
    return text, failures
