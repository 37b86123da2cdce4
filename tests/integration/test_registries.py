"""Lists of tags are read whole or not at all, and what is wrong with a registry is told."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sandbox.oci_registry import Tokens, faults
from services.registry_scanner.ports import UnreadableError
from shared.runtime.errors import TemporaryError
from tests.integration.registries import TAGS, Scanner, scanning


@pytest.fixture
async def scanner(tmp_path: Path) -> AsyncIterator[Scanner]:
    async with scanning(tmp_path) as started:
        yield started


async def test_all_pages_are_read_by_their_relative_links_one_request_each(
    scanner: Scanner,
) -> None:
    assert await scanner.tags(scanner.image) == TAGS
    assert len(scanner.own.asked) == 9


async def test_a_list_of_up_to_a_thousand_tags_costs_one_request(scanner: Scanner) -> None:
    scanner.own.page = 1000
    scanner.own.content.push("web", *TAGS[:1000])
    assert await scanner.tags(f"{scanner.own.host}/web") == TAGS[:1000]
    assert [(one.method, one.path) for one in scanner.own.asked] == [
        ("GET", "/v2/web/tags/list?n=1000")
    ]


async def test_a_token_that_expires_between_pages_is_fetched_anew(scanner: Scanner) -> None:
    scanner.own.door = Tokens(uses=4)

    assert await scanner.tags(scanner.image) == TAGS
    assert scanner.own.count("/token") == 3
    assert scanner.own.count("/tags/list") == 9 + 3  # each expiry costs one page a second request


async def test_a_short_rest_between_pages_is_waited_for_and_the_list_is_whole(
    scanner: Scanner,
) -> None:
    scanner.own.fail(faults.status(429, Retry_After="1"), where="tags/list", after=4, times=1)
    begin = time.monotonic()

    assert await scanner.tags(scanner.image) == TAGS
    assert len(scanner.own.asked) == 9 + 1
    assert time.monotonic() - begin >= 0.95


async def test_a_limit_between_pages_makes_no_list_of_the_pages_before(scanner: Scanner) -> None:
    scanner.own.fail(faults.status(429), where="tags/list", after=4, times=1)

    error = await scanner.failure(scanner.image)
    assert isinstance(error, TemporaryError)
    assert error.dependency == f"registry {scanner.own.host}"
    assert error.reason == "it limits our rate"
    assert await scanner.tags(scanner.image) == TAGS


async def test_a_long_rest_is_an_error_capped_and_kept_for_all_images_of_that_host_alone(
    scanner: Scanner,
) -> None:
    scanner.own.content.push("other", "1.0.0")
    scanner.elsewhere.content.push("other", "1.0.0")
    scanner.own.fail(faults.status(429, Retry_After="86400"), times=1)
    async with scanner.reading() as registries:
        with pytest.raises(TemporaryError, match="limits our rate") as limited:
            await registries.tags(scanner.image)
        with pytest.raises(TemporaryError, match="left alone for another") as resting:
            await registries.tags(f"{scanner.own.host}/other")
        assert await registries.tags(f"{scanner.elsewhere.host}/other") == ["1.0.0"]

    assert limited.value.retry_after == 600
    assert resting.value.retry_after == pytest.approx(600, abs=5)
    assert len(scanner.own.asked) == 1


async def test_a_registry_that_asks_for_short_rests_without_end_is_an_error(
    scanner: Scanner,
) -> None:
    scanner.own.fail(faults.status(429, Retry_After="0"))
    assert isinstance(await scanner.failure(scanner.image), TemporaryError)
    assert len(scanner.own.asked) == 4


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ('<{elsewhere}/v2/acme/web/tags/list?last=x>; rel="next"', "lies on {elsewhere}"),
        ('<//{elsewhere_host}/v2/acme/web/tags/list>; rel="next"', "lies on {elsewhere}"),
        ('<mailto:me>; rel="next"', "next page is at 'mailto:me'"),
        ('<http://[>; rel="next"', "next page is at 'http://['"),
        ('</v2/acme/web/tags/list?n=1000>; rel="next"', "has no end"),
    ],
)
async def test_a_link_that_leads_elsewhere_nowhere_or_in_circles_is_refused(
    scanner: Scanner,
    link: str,
    expected: str,
) -> None:
    places = {"elsewhere": scanner.elsewhere.url, "elsewhere_host": scanner.elsewhere.host}
    scanner.own.fail(faults.headers({"Link": link.format(**places)}))

    error = await scanner.failure(scanner.image)
    assert isinstance(error, UnreadableError)
    assert expected.format(**places) in str(error)
    assert scanner.elsewhere.asked == []


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, "names no way in"),
        (403, r"refuses us \(403\); give registries a username"),
        (404, "has no such image"),
        (418, "answers 418"),
    ],
)
async def test_a_refusal_is_told_with_image_and_host_and_not_tried_again(
    scanner: Scanner, status: int, expected: str
) -> None:
    scanner.own.fail(faults.status(status))
    with pytest.raises(UnreadableError, match=expected) as caught:
        await scanner.tags(scanner.image)
    assert str(caught.value).startswith(f"{scanner.image}: {scanner.own.host}")
    assert len(scanner.own.asked) == 1


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"<html>log in</html>", b'{"tags": ["1.0.0"', b"[" * 100_000, b"\xff\xfe"),
        *({}, [], 7, {"tags": "1.0.0"}, {"tags": {"1.0.0": 1}}, b'{"tags": []}' + b" " * 8_000_000),
    ],
)
async def test_an_answer_that_is_no_list_of_tags_is_an_error_and_never_an_empty_list(
    scanner: Scanner, body: object
) -> None:
    scanner.own.fail(faults.says(body, content_type="text/html"))
    assert isinstance(await scanner.failure(scanner.image), UnreadableError)


@pytest.mark.parametrize(
    ("found", "expected"),
    [(None, []), ([], []), (["1.0", 7, None, "a b", "../../x", "1.0\n", "x" * 129, "1.1"], 2)],
)
async def test_what_can_be_no_tag_is_left_out(
    scanner: Scanner, found: object, expected: object
) -> None:
    scanner.own.fail(faults.says({"name": "acme/web", "tags": found}))
    assert await scanner.tags(scanner.image) == (["1.0", "1.1"] if expected == 2 else expected)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (faults.hangs(), "no answer within 0.5 s"),
        (faults.truncated(stalls=True), "no answer within 0.5 s"),
        (faults.truncated(), "it closes the connection in the middle"),
        (faults.cut(), "it closes the connection in the middle"),
        (faults.status(500), "it answers 500"),
        (faults.headers({"X-Long": "x" * 100_000}), "its answer is no HTTP"),
    ],
)
async def test_a_registry_in_trouble_is_a_temporary_error_that_names_it(
    scanner: Scanner, fault: faults.Fault, expected: str
) -> None:
    scanner.own.fail(fault, after=2)
    scanner.timeout = 0.5

    error = await scanner.failure(scanner.image)
    assert isinstance(error, TemporaryError)
    assert error.dependency == f"registry {scanner.own.host}"
    assert error.reason.startswith(expected)


async def test_a_slow_answer_in_time_is_as_good_as_any(scanner: Scanner) -> None:
    scanner.own.fail(faults.slow(0.2), times=2)
    assert await scanner.tags(scanner.image) == TAGS


@pytest.mark.parametrize("image", ["UPPER/Case", "registry.example.com:99999/web"])
async def test_an_image_that_can_not_be_asked_for_is_told(scanner: Scanner, image: str) -> None:
    error = await scanner.failure(image)
    assert isinstance(error, UnreadableError)
    assert str(error).startswith(f"{image}: ")


async def test_a_registry_that_hangs_slows_no_other(scanner: Scanner) -> None:
    scanner.own.fail(faults.hangs())
    scanner.timeout = 30.0
    scanner.elsewhere.content.push("web", "1.0.0")
    async with scanner.reading() as registries:
        hanging = [
            asyncio.create_task(registries.tags(f"{scanner.own.host}/web{number}"))
            for number in range(150)
        ]
        while len(scanner.own.asked) < scanner.concurrency:
            await asyncio.sleep(0.01)
        assert await registries.tags(f"{scanner.elsewhere.host}/web") == ["1.0.0"]
        assert not any(task.done() for task in hanging)
        for task in hanging:
            task.cancel()
        await asyncio.wait(hanging)
    assert len(scanner.own.asked) == scanner.concurrency
