"""All messages there are, by type."""

from collections.abc import Iterator, Mapping

from shared.contract import cluster, git, images, orders, updates  # noqa: F401 - defines them
from shared.contract.message import Message


def _concrete(message: type[Message]) -> Iterator[type[Message]]:
    if "type" in message.__dict__:
        yield message
    for child in message.__subclasses__():
        yield from _concrete(child)


MESSAGES: Mapping[str, type[Message]] = {
    message.type: message for message in sorted(_concrete(Message), key=lambda found: found.type)
}
