"""The published contract is current, complete, and true of every message."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from shared.bus import names
from shared.contract import Event, Message, Question, Reply, asyncapi, schemas
from shared.contract.__main__ import main
from shared.contract.codec import encode
from shared.contract.envelope import Draft
from shared.contract.registry import ANSWERS, LISTENERS, MESSAGES, PUBLISHERS, SERVICES, hearers
from tests.unit.contract.samples import SAMPLES

DOCS = Path(__file__).parents[3] / "docs"
DOCUMENT = asyncapi.document()


def test_every_message_is_in_the_registry_and_has_a_sample() -> None:
    assert {sample.type for sample in SAMPLES} == set(MESSAGES)
    assert all(MESSAGES[one.type] is type(one) for one in SAMPLES)
    assert list(MESSAGES) == sorted(MESSAGES)


def test_what_is_checked_in_is_current(tmp_path: Path) -> None:
    main(["--docs", str(tmp_path)])

    made = {path.relative_to(tmp_path): path.read_text() for path in tmp_path.rglob("*.*")}
    checked_in = {
        path.relative_to(DOCS): path.read_text()
        for path in (DOCS / "asyncapi.yaml", *(DOCS / "schemas").glob("*.v[0-9]*.json"))
    }
    assert sorted(made) == sorted(checked_in), "run `make schemas`"
    for name, text in made.items():
        assert text == checked_in[name], f"{name}: run `make schemas`"


def test_the_schema_of_a_type_that_is_gone_is_removed(tmp_path: Path) -> None:
    gone = tmp_path / "schemas" / "gone.v1.json"
    gone.parent.mkdir()
    gone.write_text("{}")
    (tmp_path / "schemas" / "flux.schema.json").write_text("{}")

    main(["--docs", str(tmp_path)])

    assert not gone.exists()
    assert (tmp_path / "schemas" / "flux.schema.json").exists()


@pytest.mark.parametrize("message", SAMPLES, ids=lambda one: one.type)
def test_a_sample_of_each_message_is_valid_by_its_schema(message: Message) -> None:
    schema = schemas.schema(type(message))
    jsonschema.Draft202012Validator.check_schema(schema)
    headers, body = encode(Draft(message=message).sealed("/test/1"))
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())

    validator.validate(json.loads(body))
    validator.validate({**json.loads(body), "of_a_newer_producer": 1})
    jsonschema.validate(dict(headers), DOCUMENT["components"]["schemas"]["attributes"])


@pytest.mark.parametrize("message", MESSAGES.values(), ids=lambda one: one.type)
def test_a_message_that_lacks_a_field_is_not_valid(message: type[Message]) -> None:
    schema = schemas.schema(message)
    valid = jsonschema.Draft202012Validator(schema).is_valid({})

    assert valid == (not schema.get("required"))
    assert schema["$id"] == f"{message.type}.json"


def test_fields_are_described_by_their_docstrings() -> None:
    state = schemas.schema(MESSAGES["state.declared.v1"])

    assert state["properties"]["revision"]["description"].startswith("Empty while nothing")
    assert state["$defs"]["Workload"]["properties"]["id"]["description"] == "`namespace:kind/name`"


def test_every_message_has_publishers_and_hearers_among_the_services() -> None:
    assert set(PUBLISHERS) == set(MESSAGES)
    assert set(LISTENERS) <= set(MESSAGES)
    for message in MESSAGES.values():
        assert PUBLISHERS[message.type], message.type
        assert hearers(message), message.type
        assert set(PUBLISHERS[message.type]) | set(hearers(message)) <= set(SERVICES)


def test_every_question_has_an_answer_from_its_receiver_to_who_asked() -> None:
    questions = {one for one in MESSAGES.values() if issubclass(one, Question)}
    replies = {one for one in MESSAGES.values() if issubclass(one, Reply)}

    assert set(ANSWERS) == questions
    assert set(ANSWERS.values()) == replies
    for question, reply in ANSWERS.items():
        assert PUBLISHERS[reply.type] == (question.receiver,)
        assert set(hearers(reply)) == set(PUBLISHERS[question.type])


def test_the_gateway_hears_every_event() -> None:
    assert all(
        "gateway" in hearers(message) for message in MESSAGES.values() if issubclass(message, Event)
    )


def test_channels_are_the_exchanges_of_the_bus() -> None:
    assert {
        kind: DOCUMENT["channels"][channel]["bindings"]["amqp"]["exchange"]["name"]
        for channel in DOCUMENT["channels"]
        for kind in DOCUMENT["channels"][channel]["messages"]
    } == {kind: names.exchange(message) for kind, message in MESSAGES.items()}


def test_every_reference_in_the_document_leads_somewhere() -> None:
    document = yaml.safe_load(asyncapi.text())
    references = list(_references(document))

    assert document == json.loads(json.dumps(DOCUMENT))
    assert len(references) > 100
    for reference in references:
        _follow(document, reference)


def _references(node: Any) -> Any:
    if isinstance(node, dict):
        yield from (value for key, value in node.items() if key == "$ref")
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for item in node:
            yield from _references(item)


def _follow(document: Any, reference: str) -> None:
    file, _, pointer = reference.partition("#")
    if file:
        assert (DOCS / file).exists(), reference
        return
    for part in pointer.strip("/").split("/"):
        document = document[part]
