"""The golden cases of edits on a real git host: what lands is what a person would write."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.repo_writer.settings import Place
from shared.contract import (
    Change,
    ContainersSpec,
    OrderCompleted,
    PolicyChange,
    PolicySpec,
    UpdateRequested,
)
from shared.manifests import containers, load
from shared.manifests.policies import policy_name
from tests.integration.writer_world import BY_BOTH_DOORS, World, handle
from tests.unit.repo_writer.given import REPOSITORY, events, said

CASES = sorted((Path(__file__).parents[1] / "testdata" / "edits").iterdir())
WRITABLE = 60
"""Of the cases at least so many are orders of people; others are annotations of none of ours."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A golden case as the orders that lead to it."""

    name: str
    before: bytes
    after: bytes
    orders: tuple[UpdateRequested, ...]
    namespace: str


def cases() -> Iterator[Case]:
    for folder in CASES:
        wanted = json.loads((folder / "edit.json").read_text())
        if "refused" in wanted:
            continue
        namespace = wanted.get("default_namespace", "default")
        before = (folder / "before.yaml").read_bytes()
        orders = list(_orders(wanted["edits"], folder.name, _images(before, namespace)))
        if None in orders:
            continue
        yield Case(
            name=folder.name,
            before=before,
            after=(folder / "after.yaml").read_bytes(),
            orders=tuple(one for one in orders if one),
            namespace=namespace,
        )


def _images(before: bytes, namespace: str) -> Mapping[tuple[str, str], str]:
    found = load(before, file="", default_namespace=namespace).objects
    return {
        (str(one.workload_id), container.name): container.image
        for one in found
        for container in reversed(containers(one.object))
    }


def _orders(
    edits: list[Any], sync: str, images: Mapping[tuple[str, str], str]
) -> Iterator[UpdateRequested | None]:
    """Yield what people would order; None for what nobody can."""
    changes: dict[str, list[Change]] = {}
    for one in edits:
        if "image" not in one:
            yield _policies(one["workload"], one["annotations"], sync, images)
        elif images[one["workload"], one["container"]] != one["image"]:
            change = Change(container=one["container"], current="", target=one["image"])
            changes.setdefault(one["workload"], []).append(change)
    if changes:
        spec = ContainersSpec(
            changes={name: tuple(some) for name, some in changes.items()}, force=True
        )
        yield UpdateRequested(repository=REPOSITORY, spec=spec, syncs=(sync,))


def _policies(
    workload: str,
    annotations: Mapping[str, str | None],
    sync: str,
    images: Mapping[tuple[str, str], str],
) -> UpdateRequested | None:
    names = {key: policy_name(key) if "/" in key else key for key in annotations}
    ours = workload in {name for name, _ in images} and None not in names.values()
    if not ours or "" in annotations.values():  # which, given as a policy, removes it
        return None
    add = {str(names[key]): text for key, text in annotations.items() if text is not None}
    remove = tuple(str(names[key]) for key, text in annotations.items() if text is None)
    spec = PolicySpec(changes={workload: PolicyChange(add=add, remove=remove)})
    return UpdateRequested(repository=REPOSITORY, spec=spec, syncs=(sync,))


@BY_BOTH_DOORS
async def test_awkward_files_become_to_the_byte_what_was_ordered(world: World) -> None:
    some = list(cases())
    await world.copy.commit_and_push("Cases", {f"{one.name}/a.yaml": one.before for one in some})
    places = [
        Place(sync=one.name, paths=(one.name,), default_namespace=one.namespace) for one in some
    ]
    group = said(*(order for one in some for order in one.orders))
    outcome = await handle(await world.writer("mirror", *places), group)

    assert len(some) > WRITABLE
    failed = {one.id: one.message.syncs for one in group if one.id in outcome.failed}
    assert failed == {}
    assert len(events(outcome, OrderCompleted)) == len(group)
    await world.copy.pull()
    for one in some:
        assert (world.copy.directory / one.name / "a.yaml").read_bytes() == one.after, one.name
