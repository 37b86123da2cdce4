"""The workloads of one file, and what of it could not be read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from services.repo_writer.domain.state import Workload
from shared.manifests import Container, Declared, Loaded, Policies, Problem, containers, load


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """What a writer takes from one file."""

    workloads: tuple[Workload, ...] = ()
    unread: tuple[Problem, ...] = ()


_NOTHING = File()
_WORDS = (b"image", b"repository.fluxcd.io/")
"""Most files of most repositories have none of them, and no images; reading YAML is slow."""


def read(path: str, data: bytes, default_namespace: str) -> File:
    """Read a file; what stands in it raises nothing."""
    if not any(word in data for word in _WORDS):
        return _NOTHING
    if "\ufffd" in path:  # what it is really called is lost, so nothing can be written there
        problem = Problem(file=path, line=None, message="the file's name is no UTF-8; rename it")
        return File(unread=(problem,))
    loaded = load(data, file=path, default_namespace=default_namespace)
    file = taken(loaded, default_namespace)
    return replace(file, unread=file.unread or _unnamed(loaded, path))


def taken(loaded: Loaded, default_namespace: str, folder: str | None = None) -> File:
    """Return what a writer takes of what was read, or printed in a *folder*."""
    found = ((one, containers(one.object)) for one in loaded.objects)
    return File(
        workloads=tuple(
            _workload(one, some, default_namespace, folder) for one, some in found if some
        ),
        unread=loaded.problems,
    )


def _unnamed(loaded: Loaded, path: str) -> tuple[Problem, ...]:
    """Return that a file may hold workloads whose very names are encrypted."""
    if not loaded.encrypted or loaded.objects:
        return ()
    return (Problem(file=path, line=None, message="it is encrypted, and its names can't be read"),)


def _workload(
    declared: Declared, found: Iterable[Container], default_namespace: str, folder: str | None
) -> Workload:
    return Workload(
        id=declared.workload_id,
        file=declared.file,
        line=declared.line,
        default_namespace=default_namespace,
        containers=_images(found),
        policies=Policies.of(declared.object),
        folder=folder,
    )


def _images(found: Iterable[Container]) -> Mapping[str, str]:
    """Return the images by container; of two with one name the first counts, as for an edit."""
    images: dict[str, str] = {}
    for container in found:
        images.setdefault(container.name, container.image)
    return images
