"""What is encoded is decoded to the same; what can't be trusted ends in a sentence."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contract import Draft, Envelope, Message, ScanRequested
from shared.contract.codec import LARGEST, MalformedError, decode, encode
from tests.unit.contract.samples import IMAGE, NOW, SAMPLES

ENVELOPE = replace(Draft(message=ScanRequested(image=IMAGE)).sealed("/gateway/1"), time=NOW)
HEADERS, BODY = encode(ENVELOPE)


def with_header(name: str, value: object) -> dict[str, object]:
    return {**HEADERS, f"cloudEvents:{name}": value}


@pytest.mark.parametrize("message", SAMPLES, ids=lambda one: one.type)
def test_every_message_comes_back_as_it_was(message: Message) -> None:
    cause = Draft(message=ScanRequested(image=IMAGE)).sealed("/gateway/1")
    sealed = replace(
        Draft(message=message, cause=cause).sealed("/repo-writer/1"), deadline=NOW, reply_to="here"
    )
    headers, body = encode(sealed)

    assert decode(headers, body, reply_to="here") == sealed
    assert all(name.startswith("cloudEvents:") for name in headers)


def test_what_a_newer_producer_adds_is_passed_over() -> None:
    body = json.dumps({"image": IMAGE, "reason": "never heard of", "new": {"field": 1}}).encode()

    envelope = decode({**with_header("extension", "x"), "x-death": [{}], "n": None}, body)

    assert envelope.message == ScanRequested(image=IMAGE, reason="never heard of")


def test_without_a_correlation_a_message_is_its_own_first_cause() -> None:
    headers = {key: value for key, value in HEADERS.items() if "correlation" not in key}

    assert decode(headers, BODY).correlationid == ENVELOPE.id
    assert decode(with_header("causationid", None), BODY).causationid is None
    assert decode(HEADERS, BODY, reply_to="").reply_to is None


@pytest.mark.parametrize(
    ("headers", "body", "reason"),
    [
        ({}, BODY, "the CloudEvents attribute 'type' is missing"),
        (with_header("type", "x" * 500), BODY, "unknown type 'x+'"),
        (with_header("type", b"scan.requested.v1"), BODY, "'type' is bytes, not text"),
        (with_header("type", ["a"]), BODY, "'type' is list, not text"),
        (with_header("type", {}), BODY, "'type' is dict, not text"),
        (with_header("specversion", "2.0"), BODY, "specversion must be 1.0"),
        (with_header("id", 7), BODY, "'id' is int, not text"),
        (with_header("id", None), BODY, "'id' is missing"),
        (with_header("id", ""), BODY, "'id' is missing"),
        (with_header("id", "x" * 256), BODY, "'id' must be printable, 255 bytes at most"),
        (with_header("correlationid", "a\nb"), BODY, "'correlationid' must be printable"),
        (with_header("causationid", 0), BODY, "'causationid' is int, not text"),
        (with_header("source", None), BODY, "'source' is missing"),
        (with_header("time", "yesterday"), BODY, "time 'yesterday' is no RFC 3339 time"),
        (with_header("time", "2026-01-02T03:04:05"), BODY, "has no time zone"),
        (with_header("deadline", "soon"), BODY, "deadline 'soon' is no RFC 3339 time"),
        (with_header("deadline", 5), BODY, "'deadline' is int, not text"),
        (HEADERS, b"", "body: Invalid JSON"),
        (HEADERS, b"\xff{", "body: Invalid JSON"),
        (HEADERS, b"[]", "body: "),
        (HEADERS, b"{}", "image: Field required"),
        (HEADERS, b'{"image": 5}', "image: Input should be a valid string"),
        (HEADERS, b'{"image": "\\ud800"}', "body: Invalid JSON"),
        (HEADERS, b"[" * 5000, "body: Invalid JSON"),
        (HEADERS, b" " * (LARGEST + 1), "the body has 12000001 bytes, 12000000 are allowed"),
    ],
)
def test_what_is_malformed_is_told_in_a_sentence(
    headers: dict[str, object], body: bytes, reason: str
) -> None:
    with pytest.raises(MalformedError, match=reason) as raised:
        decode(headers, body)

    assert len(str(raised.value)) < 500


def test_values_are_not_repeated_in_the_sentence() -> None:
    with pytest.raises(MalformedError) as raised:
        decode(HEADERS, b'{"image": ["hunter22"]}')

    assert "hunter22" not in str(raised.value)


json_values: Any = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=9) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=9,
)
header_values: Any = json_values | st.binary(max_size=9) | st.datetimes() | st.decimals()


@given(
    changed=st.dictionaries(st.sampled_from(sorted(HEADERS)), header_values, max_size=3),
    type_=st.sampled_from([one.type for one in SAMPLES]),
    body=json_values.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=30),
)
def test_anything_becomes_an_envelope_or_a_malformed_error(
    changed: dict[str, object], type_: str, body: bytes
) -> None:
    try:
        envelope = decode({**with_header("type", type_), **changed}, body)
    except MalformedError:
        return
    assert isinstance(envelope, Envelope)
    assert envelope.time < datetime.max.replace(tzinfo=UTC)
