"""The contract as an AsyncAPI 3 document: exchanges, who says what there, and who hears it."""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from shared.contract.message import (
    PARTITIONS,
    Announcement,
    Command,
    Event,
    Message,
    Question,
    Reply,
)
from shared.contract.registry import ANSWERS, MESSAGES, PUBLISHERS, SERVICES, hearers
from shared.contract.schemas import filename, summary

CHANNELS: Mapping[str, tuple[str, type[Message]]] = {
    "events": ("flux.events", Event),
    "commands": ("flux.commands", Command),
    "replies": ("flux.replies", Reply),
    "presence": ("flux.presence", Announcement),
}
"""The exchange of each family of messages, by the name of its channel."""

_TITLES = {
    "events": "Facts, in the past tense. What must lead to work is said again while it holds.",
    "commands": "What is asked of its owner: signals, a person's orders, and questions.",
    "replies": "Answers, to the address that a question names in AMQP's reply_to.",
    "presence": "Replicas of a stage tell each other that they are there. Kept nowhere.",
}

_ATTRIBUTES: Mapping[str, Mapping[str, Any]] = {
    "specversion": {"const": "1.0"},
    "id": {
        "description": "A UUIDv7; a UUIDv5 where the same fact may be told twice.",
        "maxLength": 255,
    },
    "source": {"description": "Who says it: `/<service>/<replica>`."},
    "type": {"description": "What it is, with its version."},
    "subject": {"description": "What it is about, at its receiver."},
    "time": {"description": "When it was said.", "format": "date-time"},
    "correlationid": {"description": "From the first cause to the last effect.", "maxLength": 255},
    "causationid": {"description": "The id of the message that led to it.", "maxLength": 255},
    "deadline": {
        "description": "After this nobody waits for an answer any more.",
        "format": "date-time",
    },
}
_REQUIRED = ("specversion", "id", "source", "type", "time")


def text() -> str:
    """Return the document as it is checked in."""
    return yaml.dump(document(), Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as such, and what occurs twice twice."""

    def ignore_aliases(self, data: Any) -> bool:
        """Never abbreviate."""
        return data is not self

    def represent_str(self, data: str) -> yaml.ScalarNode:
        """Return a literal block for several lines."""
        return self.represent_scalar(
            "tag:yaml.org,2002:str", data, style="|" if "\n" in data else None
        )


_Dumper.add_representer(str, _Dumper.represent_str)


def document() -> dict[str, Any]:
    """Return the document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Flux",
            "version": "1.0.0",
            "description": inspect.getdoc(inspect.getmodule(Message)),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {name: _channel(name) for name in CHANNELS},
        "operations": dict(_operations()),
        "components": {
            "messages": {kind: _message(message) for kind, message in MESSAGES.items()},
            "schemas": {"attributes": _attributes()},
        },
    }


def _channel(name: str) -> dict[str, Any]:
    exchange, family = CHANNELS[name]
    address, parameters = _ADDRESSES.get(family, ("{type}.{partition}", _KEY))
    return {
        "address": address,
        "title": exchange,
        "description": _TITLES[name],
        "parameters": parameters,
        "messages": {
            kind: {"$ref": f"#/components/messages/{kind}"}
            for kind, message in MESSAGES.items()
            if issubclass(message, family)
        },
        "bindings": {
            "amqp": {
                "is": "routingKey",
                "exchange": {
                    "name": exchange,
                    "type": "topic",
                    "durable": True,
                    "autoDelete": False,
                },
                "bindingVersion": "0.3.0",
            }
        },
    }


_KEY = {
    "type": {"description": "The message's type.", "location": "$message.header#/cloudEvents:type"},
    "partition": {
        "description": f"crc32 of the subject (UTF-8) modulo {PARTITIONS}.",
        "enum": [str(number) for number in range(PARTITIONS)],
    },
}
_ADDRESSES: Mapping[type[Message], tuple[str, dict[str, Any]]] = {
    Reply: (
        "{type}.{address}",
        {"type": _KEY["type"], "address": {"description": "The reply_to of the question."}},
    ),
    Announcement: ("{service}", {"service": {"description": "The stage."}}),
}
"""The families that go by another key than type and partition."""


def _operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for service in SERVICES:
        for channel in CHANNELS:
            said = [one for one in _of(channel) if service in PUBLISHERS[one.type]]
            heard = [one for one in _of(channel) if service in hearers(one)]
            yield from _told(service, "send", channel, said)
            yield from _told(service, "receive", channel, heard)


def _told(
    service: str, action: str, channel: str, messages: list[type[Message]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield an operation for all *messages*, and one for each question, which has a reply."""
    plain = [one for one in messages if not issubclass(one, Question)]
    if plain:
        yield f"{service}.{action}.{channel}", _operation(service, action, channel, plain)
    for question in messages:
        if issubclass(question, Question):
            operation = _operation(service, action, channel, [question])
            reply = {
                "channel": {"$ref": "#/channels/replies"},
                "messages": [{"$ref": f"#/channels/replies/messages/{ANSWERS[question].type}"}],
            }
            yield f"{service}.{action}.{question.type}", {**operation, "reply": reply}


def _operation(
    service: str, action: str, channel: str, messages: list[type[Message]]
) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "tags": [{"name": service}],
        "messages": [{"$ref": f"#/channels/{channel}/messages/{one.type}"} for one in messages],
    }


def _of(channel: str) -> list[type[Message]]:
    return [one for one in MESSAGES.values() if issubclass(one, CHANNELS[channel][1])]


def _message(message: type[Message]) -> dict[str, Any]:
    says, hears = ", ".join(PUBLISHERS[message.type]), ", ".join(hearers(message))
    return {
        "name": message.type,
        "title": message.__name__,
        "summary": summary(message),
        "description": f"{message.__mro__[1].__name__}. Said by {says}; heard by {hears}.",
        "contentType": "application/json",
        "correlationId": {"location": "$message.header#/cloudEvents:correlationid"},
        "headers": {
            "allOf": [
                {"$ref": "#/components/schemas/attributes"},
                {"properties": {"cloudEvents:type": {"const": message.type}}},
            ]
        },
        "payload": {"$ref": f"schemas/{filename(message)}"},
    }


def _attributes() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "CloudEvents 1.0 attributes, binary mode.",
        "required": [f"cloudEvents:{name}" for name in _REQUIRED],
        "properties": {
            f"cloudEvents:{name}": {"type": "string", **facts}
            for name, facts in _ATTRIBUTES.items()
        },
    }
