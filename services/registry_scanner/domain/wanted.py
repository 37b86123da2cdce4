"""Who uses which image, and under which policy: what `state.declared` says, folded."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from shared.contract import StateDeclared, Workload
from shared.images import ImageRef, InvalidReferenceError, TagPolicy
from shared.manifests import Policies
from shared.manifests.holds import holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A container whose image follows the registry."""

    repository: str
    sync: str
    workload: str
    container: str
    current: ImageRef
    policy: TagPolicy
    policy_digest: str
    held: str = ""
    """A tag that somebody went back from, and that is not proposed again."""


class Wanted:
    """All uses of automated images, by canonical image repository."""

    def __init__(self, syncs: Collection[str]) -> None:
        self._syncs = frozenset(syncs)
        self._uses: dict[str, Mapping[str, tuple[Use, ...]]] = {}

    def fold(self, state: StateDeclared) -> frozenset[str]:
        """Take in what a sync declares; return the images of which something new is said."""
        if state.sync not in self._syncs:
            return frozenset()
        before = self._uses.get(state.sync, {})
        after = _by_image(state)
        self._uses[state.sync] = after
        return frozenset(image for image, uses in after.items() if before.get(image) != uses)

    def images(self) -> frozenset[str]:
        """Return every image that is read without being asked for."""
        return frozenset(image for uses in self._uses.values() for image in uses)

    def of(self, image: str) -> tuple[Use, ...]:
        """Return the containers that use *image*."""
        return tuple(use for uses in self._uses.values() for use in uses.get(image, ()))


def _by_image(state: StateDeclared) -> Mapping[str, tuple[Use, ...]]:
    found: dict[str, tuple[Use, ...]] = {}
    for workload in state.workloads:
        for use in _uses(state, workload):
            image = use.current.canonical_repository
            found[image] = (*found.get(image, ()), use)
    return found


def _uses(state: StateDeclared, workload: Workload) -> list[Use]:
    policies = Policies(values=workload.policies)
    if not policies.automated or policies.locked or policies.ignored:
        return []
    uses, held = [], holds(policies)
    for container in workload.containers:
        try:
            current = ImageRef.parse(container.image)
        except InvalidReferenceError:
            continue
        uses.append(
            Use(
                repository=state.repository,
                sync=state.sync,
                workload=workload.id,
                container=container.name,
                current=current,
                policy=policies.tag_policy(container.name),
                policy_digest=workload.policy_digest,
                held=held[container.name].tag if container.name in held else "",
            )
        )
    return uses
