"""Which files of a tree are manifests. All that read a repository must agree on it."""

from collections.abc import Iterable, Sequence
from posixpath import basename, dirname

ENDINGS = (".yaml", ".yml")


def manifests(files: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """
    Return path and blob of the manifests among *files*, in the order of their paths.

    Helm charts, folders with both Chart.yaml and values.yaml, hold templates and no manifests.
    """
    charts = _charts(path for path, _ in files)
    found = {(path, blob) for path, blob in files if path.endswith(ENDINGS)}
    return sorted(key for key in found if not _inside(key[0], charts))


def _charts(paths: Iterable[str]) -> frozenset[str]:
    marks: dict[str, set[str]] = {}
    for path in paths:
        if basename(path) in {"Chart.yaml", "values.yaml"}:
            marks.setdefault(dirname(path), set()).add(basename(path))
    return frozenset(folder for folder, found in marks.items() if len(found) == 2)


def _inside(path: str, folders: frozenset[str]) -> bool:
    folder = dirname(path) if folders else ""
    while folder not in folders:
        if not folder:
            return False
        folder = dirname(folder)
    return True
