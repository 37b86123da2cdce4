"""The names on the broker, as people read them on RabbitMQ's management page."""

from uuid import uuid4

from shared.contract import Announcement, Command, Event, Message, Reply, partition

EVENTS = "flux.events"
COMMANDS = "flux.commands"
REPLIES = "flux.replies"
PRESENCE = "flux.presence"
REPLAY = "flux.replay"
STATE = "flux.state"
DEAD = "flux.dead"
LOG = "flux.log"
DECLARED = "flux.declared"


def exchange(message: type[Message]) -> str:
    """Return the exchange that messages of this type are published to."""
    if issubclass(message, Event):
        return EVENTS
    if issubclass(message, Command):
        return COMMANDS
    if issubclass(message, Reply):
        return REPLIES
    if issubclass(message, Announcement):
        return PRESENCE
    raise TypeError(f"{message.__name__} belongs to no family of messages")


def routing_key(message: Message) -> str:
    """Return `<type>.<partition>`, the partition of its subject at the receiver."""
    if isinstance(message, Announcement):
        return message.subject
    return f"{message.type}.{partition(message.subject)}"


def reply_key(reply: Reply, address: str) -> str:
    """Return the key under which *reply* gets to who asked: by its type, so that it is checked."""
    return f"{reply.type}.{address}"


def reply_binding(address: str) -> str:
    """Return what the replies to *address* are bound by."""
    return f"#.{address}"


def own_queue(service: str, exchange: str, binding: str) -> str:
    """
    Return a new name for a queue that lives as long as its connection.

    `git-watcher.presence.1f…`; of who hears about others `gateway.presence.git-watcher.1f…`.
    """
    about = [] if binding == service or "#" in binding else [binding]
    return ".".join((service, exchange.removeprefix("flux."), *about, uuid4().hex[:12]))


def queue(service: str, number: int) -> str:
    """Return the name of a stage's partition queue: `repo-writer.7`."""
    return f"{service}.{number}"


def state_key(target: str, sync: str) -> str:
    """Return the routing key on `flux.state` under which a sync's bundles are published."""
    return f"{target}.{sync}"


def state_stream(target: str, sync: str) -> str:
    """Return the stream that keeps a sync's newest bundles."""
    return f"{STATE}.{target}.{sync}"
