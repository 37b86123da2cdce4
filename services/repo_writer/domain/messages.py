"""
Commit messages, in Flux v1's words; a person's own message stands for them.

A template of the repository's owner, where there is one, has the last word.
"""

from collections.abc import Mapping
from typing import Any

from services.repo_writer.domain.plan import Plan
from services.repo_writer.domain.style import Style
from shared.config.templates import rendered
from shared.contract import (
    AnySpec,
    Cause,
    ContainersSpec,
    ImageSpec,
    PolicyChange,
    PolicySpec,
    RollbackSpec,
)

_POLICY_WORDS = {"automated": ("Automated", "Deautomated"), "locked": ("Locked", "Unlocked")}
_ORDER = ("Automated", "Deautomated", "Locked", "Unlocked", "Updated policies")


def worded(
    plan: Plan,
    kind: str,
    style: Style,
    *,
    cause: Cause,
    spec: AnySpec | None,
) -> str:
    """Return the words of the commit that *plan* becomes."""
    built_in = _held(plan) if plan.held and not spec else automated(plan)
    text = ordered(spec, cause, plan) if spec else built_in
    if template := style.templates.get(kind):
        text = rendered(template, _values(plan, kind, cause, text)).strip() or text
    return f"{text.rstrip()}\n\n{style.ci_skip}"


def _values(plan: Plan, kind: str, cause: Cause, default: str) -> Mapping[str, Any]:
    changed = {name: one for name, one in sorted(plan.result.items()) if one.status == "success"}
    changes = [
        {"workload": name, **change.model_dump()}
        for name, one in changed.items()
        for change in one.changes
    ]
    return {
        "kind": kind,
        "user": cause.user,
        "message": cause.message,
        "images": sorted({one["target"] for one in changes}),
        "changes": changes,
        "workloads": list(changed),
        "default": default,
    }


def automated(plan: Plan) -> str:
    """Return the message of an automated update."""
    images = sorted({change.target for one in plan.result.values() for change in one.changes})
    if len(images) == 1:
        return f"Auto-release {images[0]}"
    lines = "\n".join(f" - {image}" for image in images)
    return f"Auto-release multiple ({len(images)}) images\n\n{lines}"


def ordered(spec: AnySpec, cause: Cause, plan: Plan) -> str:
    """Return the message of a person's order; it names the locks that were overridden."""
    text = _ordered(spec, cause, plan)
    return (
        f"{text.rstrip()}\n\nOverrides the lock of {', '.join(plan.forced)}"
        if plan.forced
        else text
    )


def _ordered(spec: AnySpec, cause: Cause, plan: Plan) -> str:
    if isinstance(spec, PolicySpec):
        return _policies(spec.changes, cause)
    if cause.message.strip():
        return cause.message
    if isinstance(spec, RollbackSpec):
        return _rolled_back(plan)
    return _containers(plan) if isinstance(spec, ContainersSpec) else _release(spec)


def _held(plan: Plan) -> str:
    lines = [
        f"{name}: {container} is not set to {tag} again, which was reverted"
        for name, some in sorted(plan.held.items())
        for container, tag in some
    ]
    return "\n".join([f"Hold {', '.join(sorted(plan.held))}", "", *lines])


def _rolled_back(plan: Plan) -> str:
    changes = [
        f"{name}: {one.container}: {one.current} -> {one.target}"
        for name, result in sorted(plan.result.items())
        for one in result.changes
    ]
    return "\n".join([f"Roll back {', '.join(sorted(plan.held))}", "", *changes])


def _release(spec: ImageSpec) -> str:
    workloads = ", ".join(name.strip("<>") for name in spec.workloads)
    return f"Release {spec.image.strip('<>')} to {workloads}"


def _containers(plan: Plan) -> str:
    changed = {name: one for name, one in sorted(plan.result.items()) if one.status == "success"}
    lines = [f"Update image refs in {', '.join(changed)}"]
    for name, one in changed.items():
        lines += ["", name, *(f"- {change.target}" for change in one.changes)]
    return "\n".join(lines)


def _policies(changes: Mapping[str, PolicyChange], cause: Cause) -> str:
    by_word: dict[str, list[str]] = {}
    for name, change in sorted(changes.items()):
        for word in _words(change):
            by_word.setdefault(word, []).append(name)
    lines = [f"{word}: {', '.join(by_word[word])}" for word in _ORDER if word in by_word]
    if cause.message.strip():
        return "\n".join([cause.message.rstrip(), "", *(f"- {line}" for line in lines)])
    if len(lines) > 1:
        return "\n".join(["Updated workload policies", "", *(f"- {line}" for line in lines)])
    return "\n".join(lines)


def _words(change: PolicyChange) -> set[str]:
    other = "Updated policies"
    added = {_POLICY_WORDS.get(name, (other, other))[0] for name in change.add}
    return added | {_POLICY_WORDS.get(name, (other, other))[1] for name in change.remove}
