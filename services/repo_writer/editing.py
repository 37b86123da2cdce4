"""
A plan's edits as the new contents of files.

All edits of a file are made at once: two workloads that share an anchor move together. Where that
is not safe, one by one, so that a workload that can't be edited fails alone.
"""

import asyncio
from collections.abc import Mapping

from services.repo_writer.domain.plan import Edit
from services.repo_writer.domain.state import State
from services.repo_writer.ports import Repo
from shared.manifests import EditError, edit
from shared.runtime.errors import PermanentError

Edits = Mapping[str, tuple[Edit, ...]]
"""By workload."""


async def edited(
    repo: Repo, revision: str, edits: Edits, state: State
) -> tuple[dict[str, bytes], dict[str, str]]:
    """Return the files that become others, and by workload why its edits could not be made."""
    places: dict[tuple[str, str], list[str]] = {}
    for name in edits:
        places.setdefault((state[name].file, state[name].default_namespace), []).append(name)
    files: dict[str, bytes] = {}
    failures: dict[str, str] = {}
    for (file, namespace), names in places.items():
        some = {name: edits[name] for name in names}
        try:
            old = files[file] if file in files else await repo.text(revision, file)
            new, failed = await asyncio.to_thread(_edited, old.decode(), some, namespace)
        except (PermanentError, UnicodeDecodeError) as error:
            failures |= dict.fromkeys(names, f"{file}: {error}")
            continue
        failures |= {name: f"{file}: {reason}" for name, reason in failed.items()}
        if new.encode() != old:
            files[file] = new.encode()
    return files, failures


def _edited(text: str, edits: Edits, namespace: str) -> tuple[str, dict[str, str]]:
    together = [one for some in edits.values() for one in some]
    try:
        return edit(text, together, default_namespace=namespace), {}
    except EditError as error:
        if len(edits) == 1:
            return text, dict.fromkeys(edits, str(error))
    failures = {}
    for name, some in edits.items():
        try:
            text = edit(text, some, default_namespace=namespace)
        except EditError as error:
            failures[name] = str(error)
    return text, failures
