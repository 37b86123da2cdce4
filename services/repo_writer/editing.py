"""
A plan's edits as the new contents of files.

All edits of a file are made at once: two workloads that share an anchor move together. Where that
is not safe, one by one, so that a workload that can't be edited fails alone.
"""

import asyncio
from collections.abc import Mapping

from services.repo_writer.domain.plan import Edits
from services.repo_writer.domain.state import Spot
from services.repo_writer.ports import Repo
from shared.manifests import EditError, edit
from shared.runtime.errors import PermanentError


async def edited(
    repo: Repo, revision: str, edits: Edits
) -> tuple[dict[str, bytes], dict[Spot, str]]:
    """Return the files that become others, and of every edit that could not be made why."""
    places: dict[tuple[str, str], list[Spot]] = {}
    for spot in edits:
        places.setdefault((spot.file, spot.default_namespace), []).append(spot)
    files: dict[str, bytes] = {}
    failures: dict[Spot, str] = {}
    for (file, namespace), spots in places.items():
        some = {spot: edits[spot] for spot in spots}
        try:
            old = files[file] if file in files else await repo.text(revision, file)
            new, failed = await asyncio.to_thread(_edited, old.decode(), some, namespace)
        except (PermanentError, UnicodeDecodeError) as error:
            failures |= dict.fromkeys(spots, f"{file}: {error}")
            continue
        failures |= {spot: f"{file}: {reason}" for spot, reason in failed.items()}
        if new.encode() != old:
            files[file] = new.encode()
    return files, failures


def _edited(text: str, edits: Edits, namespace: str) -> tuple[str, Mapping[Spot, str]]:
    together = [one for some in edits.values() for one in some]
    try:
        return edit(text, together, default_namespace=namespace), {}
    except EditError as error:
        if len(edits) == 1:
            return text, dict.fromkeys(edits, str(error))
    failures = {}
    for spot, some in edits.items():
        try:
            text = edit(text, some, default_namespace=namespace)
        except EditError as error:
            failures[spot] = str(error)
    return text, failures
