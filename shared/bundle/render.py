"""Puts a sync together out of its files; a file is read once for as long as it stays the same."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from shared.bundle.chunks import digest_of
from shared.bundle.desired import content, has_known_scope
from shared.bundle.packing import Item, Piece
from shared.bundle.sealing import Sealer
from shared.contract import Container, EncryptedFile, Problem, Workload
from shared.manifests import Declared, Loaded, Policies, containers, load
from shared.manifests.kustomize import GROUP as KUSTOMIZE


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """What one file declares, with its objects encoded."""

    items: tuple[Item, ...] = ()
    workloads: tuple[Workload, ...] = ()
    skipped: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    whole: Piece | None = None
    """The file itself, where it is encrypted."""
    encrypted: EncryptedFile | None = None
    """What can be told of it then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """What all files of a sync declare together."""

    items: tuple[Item, ...]
    workloads: tuple[Workload, ...]
    skipped: tuple[str, ...]
    problems: tuple[Problem, ...]
    whole: tuple[Piece, ...] = ()
    encrypted: tuple[EncryptedFile, ...] = ()


def read(
    path: str, data: bytes, *, default_namespace: str, mark_set: str, sealer: Sealer | None = None
) -> File:
    """
    Return what a file declares; what can't be read is a problem and spoils only itself.

    Secrets are sealed if there is a *sealer*, and so are encrypted files, which stay whole.
    """
    loaded = load(data, file=path, default_namespace=default_namespace)
    if loaded.encrypted:
        return _encrypted(path, data, loaded, sealer)
    return encoded(loaded, mark_set=mark_set, sealer=sealer)


def encoded(loaded: Loaded, *, mark_set: str, sealer: Sealer | None = None) -> File:
    """Return what was read with its objects encoded."""
    problems = [
        Problem(file=one.file, line=one.line, message=one.message) for one in loaded.problems
    ]
    items, workloads, skipped = [], [], []
    for declared in loaded.objects:
        policies = Policies.of(declared.object)
        # A Kustomization's images may be automated, but no cluster serves it.
        is_served = declared.id.group != KUSTOMIZE
        if is_served and policies.unapplied:
            skipped.append(str(declared.id))
        elif is_served:
            try:
                items.append(_item(declared, policies, mark_set, sealer))
            except ValueError as error:
                problems.append(Problem(file=declared.file, line=declared.line, message=str(error)))
                continue
        workloads += _workload(declared, policies)
    return File(
        items=tuple(items),
        workloads=tuple(workloads),
        skipped=tuple(skipped),
        problems=tuple(problems),
    )


def _encrypted(path: str, data: bytes, loaded: Loaded, sealer: Sealer | None) -> File:
    return File(
        workloads=tuple(
            workload
            for declared in loaded.objects
            for workload in _workload(declared, Policies.of(declared.object))
        ),
        whole=Piece(
            body=sealer.seal(data) if sealer else data,
            digest=sealer.digest_of(data) if sealer else digest_of(data),
            file=path,
            sealed=sealer is not None,
        ),
        encrypted=EncryptedFile(
            file=path, objects=tuple(str(declared.id) for declared in loaded.objects)
        ),
    )


def render(files: Iterable[File]) -> Rendered:
    """Return what *files* declare, in their order; of two of one object the first counts."""
    items: dict[str, Item] = {}
    workloads: dict[str, Workload] = {}
    skipped: list[str] = []
    problems: list[Problem] = []
    files = tuple(files)
    for file in files:
        problems += file.problems
        skipped += file.skipped
        for item in file.items:
            known = items.setdefault(str(item.id), item)
            if known is not item:
                problems.append(_twice(item, known))
        for workload in file.workloads:
            workloads.setdefault(workload.id, workload)
    return Rendered(
        items=tuple(items.values()),
        workloads=tuple(workloads.values()),
        skipped=tuple(skipped),
        problems=tuple(problems),
        whole=tuple(file.whole for file in files if file.whole),
        encrypted=tuple(file.encrypted for file in files if file.encrypted),
    )


def _item(declared: Declared, policies: Policies, mark_set: str, sealer: Sealer | None) -> Item:
    if policies.manner_problem:
        raise ValueError(policies.manner_problem)
    found = content(declared, mark_set)
    sealed = sealer if declared.id.is_secret else None
    named = declared.id
    if not has_known_scope(declared):
        written = declared.object["metadata"].get("namespace") or ""
        named = replace(named, namespace=written)
    return Item(
        id=named,
        version=declared.object["apiVersion"].rpartition("/")[2],
        body=sealed.seal(found.body) if sealed else found.body,
        digest=sealed.digest_of(found.compared) if sealed else digest_of(found.compared),
        file=declared.file,
        line=declared.line,
        sealed=sealed is not None,
    )


def _workload(declared: Declared, policies: Policies) -> list[Workload]:
    found = containers(declared.object)
    if not found:
        return []
    workload = Workload(
        id=str(declared.workload_id),
        file=declared.file,
        containers=tuple(Container(name=one.name, image=one.image) for one in found),
        policies=policies.values,
        policy_digest=policies.digest(),
    )
    return [workload]


def _twice(item: Item, known: Item) -> Problem:
    return Problem(
        file=item.file,
        line=item.line,
        message=f"{item.id} is declared already in {known.file}:{known.line}; remove one of them",
    )
