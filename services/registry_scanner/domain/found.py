"""Whom the tags of an image move, and which tags a creation time is needed of."""

from collections.abc import Iterable, Sequence

from services.registry_scanner.domain.wanted import Use
from shared.contract import ImagesFound
from shared.images import Candidate, Choice, ImageRef, TagPolicy, choose


def needing_created(tags: Iterable[str], uses: Sequence[Use]) -> frozenset[str]:
    """Return the tags whose creation time some policy orders by: a matching one, or a current."""
    ordering = [use for use in uses if use.policy.valid and use.policy.needs_created]
    return frozenset(
        tag
        for tag in tags
        if any(use.policy.matches(tag) or use.current.tag == tag for use in ordering)
    )


def found(tags: Sequence[Candidate], uses: Iterable[Use]) -> list[ImagesFound]:
    """Return an update for every container whose policy prefers another tag."""
    updates = []
    choices: dict[tuple[TagPolicy, ImageRef], Choice] = {}
    for use in uses:
        # Many containers have one image and one policy in common.
        asked = use.policy, use.current
        if asked not in choices:
            choices[asked] = choose(tags, *asked)
        choice = choices[asked]
        if choice.chosen is None or choice.chosen.tag == use.held:
            continue
        updates.append(
            ImagesFound(
                repository=use.repository,
                sync=use.sync,
                workload=use.workload,
                container=use.container,
                current=str(use.current),
                chosen=str(use.current.with_tag(choice.chosen.tag)),
                digest=choice.chosen.digest,
                created=choice.chosen.created,
                policy_digest=use.policy_digest,
                why=choice.why,
            )
        )
    return updates
