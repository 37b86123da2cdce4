"""
All messages there are, by type, and who says and hears each.

The tables of services are what AsyncAPI documents, and what the permissions of the services' users
on the broker are made of (`shared.bus.grants`).
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType, ModuleType

from shared.contract import cluster, control, git, images, orders, presence, updates
from shared.contract.message import Announcement, Event, Message, Question, Reply

SERVICES = ("git-watcher", "registry-scanner", "repo-writer", "cluster-applier", "gateway")

STAGES = SERVICES[:-1]
"""Those that work by partition, and so meet dependencies that are down."""

MODULES = (cluster, control, git, images, orders, presence, updates)
"""Where the contract is written down."""


def _found(modules: Iterable[ModuleType]) -> Mapping[str, type[Message]]:
    """Return the concrete messages that *modules* define."""
    messages: dict[str, type[Message]] = {}
    for module in modules:
        for value in vars(module).values():
            if not (isinstance(value, type) and issubclass(value, Message)):
                continue
            if "type" in vars(value) and messages.setdefault(value.type, value) is not value:
                raise TypeError(f"{value.type} is the type of two messages")
    return MappingProxyType(dict(sorted(messages.items())))


MESSAGES = _found(MODULES)

PUBLISHERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "dependency.down.v1": STAGES,
        "dependency.up.v1": STAGES,
        "diff.made.v1": ("cluster-applier",),
        "diff.question.v1": ("gateway",),
        "drift.contested.v1": ("cluster-applier",),
        "drift.corrected.v1": ("cluster-applier",),
        "head.question.v1": ("gateway",),
        "head.told.v1": ("git-watcher",),
        "images.found.v1": ("registry-scanner",),
        "order.accepted.v1": ("repo-writer", "cluster-applier"),
        "order.completed.v1": ("repo-writer", "cluster-applier", "gateway"),
        "order.given.v1": ("gateway",),
        "order.rejected.v1": ("repo-writer", "cluster-applier", "gateway"),
        "plan.made.v1": ("repo-writer",),
        "plan.question.v1": ("gateway",),
        "poll.requested.v1": ("git-watcher", "cluster-applier", "gateway"),
        "replica.present.v1": STAGES,
        "revision.observed.v1": ("git-watcher",),
        "scan.completed.v1": ("registry-scanner",),
        "scan.failed.v1": ("registry-scanner",),
        "scan.requested.v1": ("registry-scanner", "gateway"),
        "state.declared.v1": ("git-watcher",),
        "suspend.requested.v1": ("gateway",),
        "sync.completed.v1": ("cluster-applier",),
        "sync.failed.v1": ("cluster-applier",),
        "sync.held.v1": ("cluster-applier",),
        "sync.requested.v1": ("cluster-applier", "gateway"),
        "tags.listed.v1": ("registry-scanner",),
        "tags.question.v1": ("repo-writer", "gateway"),
        "update.pushed.v1": ("repo-writer",),
        "update.rejected.v1": ("repo-writer",),
        "update.requested.v1": ("gateway",),
        "workload.changed.v1": ("cluster-applier",),
    }
)
"""Who says what; a service that ticks says its own signals."""

ANSWERS: Mapping[type[Question], type[Reply]] = MappingProxyType(
    {
        git.HeadQuestion: git.HeadTold,
        images.TagsQuestion: images.TagsListed,
        updates.PlanQuestion: updates.PlanMade,
        control.DiffQuestion: control.DiffMade,
    }
)
"""What a question is answered with."""

LISTENERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"replica.present.v1": ("gateway",), "state.declared.v1": ("registry-scanner",)}
)
"""Who listens to what is said to others; besides, the gateway reads every event in `flux.log`."""


def hearers(message: type[Message]) -> tuple[str, ...]:
    """Return the services that get *message*: its receiver first, then who reads along."""
    heard = [message.receiver] if message.receiver else []
    heard += LISTENERS.get(message.type, ())
    if issubclass(message, Announcement):
        heard += PUBLISHERS[message.type]
    if issubclass(message, Event):
        heard.append("gateway")
    for question, reply in ANSWERS.items():
        if reply is message:
            heard += PUBLISHERS[question.type]
    return tuple(dict.fromkeys(heard))
