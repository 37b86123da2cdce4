"""A registry is shown who we are where it asks, and nobody else is; nobody reads it in a log."""

import asyncio
import traceback
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import aiohttp
import pytest
from structlog.testing import capture_logs
from yarl import URL

from sandbox.oci_registry import Basic, Door, Tokens, faults
from services.registry_scanner import hosts
from services.registry_scanner.access import Access
from services.registry_scanner.ports import UnreadableError
from shared.images import ImageRef
from shared.runtime.errors import TemporaryError
from tests.integration.registries import PASSWORD, TAGS, USERNAME, Scanner, scanning

DOORS: Mapping[str, Callable[[], Door]] = {
    "basic": lambda: Basic(username=USERNAME, password=PASSWORD),
    "token": lambda: Tokens(login=(USERNAME, PASSWORD)),
}


@pytest.fixture
async def scanner(tmp_path: Path) -> AsyncIterator[Scanner]:
    async with scanning(tmp_path) as started:
        yield started


async def test_everybodys_registry_is_shown_nothing(scanner: Scanner) -> None:
    scanner.login = True
    await scanner.tags(scanner.image)
    assert {one.scheme for one in scanner.own.asked} == {""}


@pytest.mark.parametrize(
    ("login", "door"),
    [
        (False, Tokens()),
        (False, Tokens(says_life=False, field_name="access_token")),
        (False, Tokens(also_basic=True)),
        (True, Tokens(login=(USERNAME, PASSWORD))),
        (True, Tokens(login=(USERNAME, PASSWORD), also_basic=True)),
    ],
)
async def test_a_token_is_fetched_once_with_our_login_or_anonymously(
    scanner: Scanner, *, login: bool, door: Tokens
) -> None:
    scanner.login, scanner.own.door = login, door
    async with scanner.reading() as registries:
        for _ in range(2):
            assert await registries.tags(scanner.image) == TAGS

    tokens = [one for one in scanner.own.asked if one.path.startswith("/token")]
    assert [one.scheme for one in tokens] == ["basic" if login else ""]
    assert len(scanner.own.asked) == 1 + 1 + 9 + 9


async def test_repositories_of_one_host_at_once_get_tokens_of_their_own_one_each_and_anew(
    scanner: Scanner,
) -> None:
    names = [f"team/{number}" for number in range(30)]
    for name in names:
        scanner.own.content.push(name, name.replace("/", "-"))
    scanner.own.door = Tokens(life=3)
    async with scanner.reading() as registries:
        for challenged in (len(names), 0):
            scanner.own.asked.clear()
            found = await asyncio.gather(
                *(registries.tags(f"{scanner.own.host}/{name}") for name in names)
            )
            assert found == [[name.replace("/", "-")] for name in names]
            assert scanner.own.count("/token") == len(names)
            assert len(scanner.own.asked) <= 2 * len(names) + challenged
            if challenged:
                await asyncio.sleep(3)  # so long a token lives


async def test_many_requests_whose_token_has_expired_fetch_one_new_token(scanner: Scanner) -> None:
    for number in range(20):
        scanner.own.content.push("web", f"main-{number}", created="2026-01-01T00:00:00Z")
    door = scanner.own.door = Tokens()
    image = f"{scanner.own.host}/web"
    async with scanner.reading() as registries:
        tags = await registries.tags(image)
        door.issued.clear()
        scanner.own.asked.clear()
        # One is refused only after another has fetched the new token.
        scanner.own.fail(faults.slow(0.3), where="/manifests/", times=1)
        found = await registries.candidates(image, tags, tags)
    assert all(one.created for one in found)
    assert scanner.own.count("/token") == 1


@pytest.mark.parametrize("asks_for", ["basic", "token"])
async def test_a_wrong_password_is_refused_with_the_remedy_and_not_repeated(
    scanner: Scanner, asks_for: str
) -> None:
    login = (USERNAME, "another")
    scanner.own.door = Basic(username=USERNAME, password="another")
    if asks_for == "token":
        scanner.own.door = Tokens(login=login)
    scanner.login = True
    async with scanner.reading() as registries:
        for expected in (2, 1):
            scanner.own.asked.clear()
            with pytest.raises(UnreadableError, match=r"refuses us \(401\).*username"):
                await registries.tags(scanner.image)
            assert len(scanner.own.asked) == expected


async def test_an_unknown_scheme_is_refused(scanner: Scanner) -> None:
    scanner.own.fail(faults.status(401, WWW_Authenticate="Negotiate"))
    assert "names no way in" in str(await scanner.failure(scanner.image))


@pytest.mark.parametrize(
    "answer",
    [
        faults.status(403),
        *(faults.says(one) for one in (b"not json", [], {"token": "a\r\nb"}, {"token": 7}, {})),
    ],
)
async def test_a_token_service_that_answers_nonsense_is_named(
    scanner: Scanner, answer: faults.Fault
) -> None:
    scanner.own.door = Tokens()
    scanner.own.fail(answer, where="/token")
    error = await scanner.failure(scanner.image)
    assert isinstance(error, UnreadableError)
    assert "token service 127.0.0.1" in str(error)


@pytest.mark.parametrize("answer", [faults.hangs(), faults.cut(), faults.status(503)])
async def test_a_token_service_in_trouble_is_a_temporary_error_of_its_registry(
    scanner: Scanner, answer: faults.Fault
) -> None:
    scanner.own.door = Tokens()
    scanner.own.fail(answer, where="/token")
    scanner.timeout = 0.5
    error = await scanner.failure(scanner.image)
    assert isinstance(error, TemporaryError)
    assert error.dependency == f"registry {scanner.own.host}"
    assert "token service 127.0.0.1" in error.reason


@pytest.mark.parametrize(
    "realm", ["http://{host}/token", "ftp://{host}/token", "/token", "", "h:["]
)
async def test_a_login_is_not_shown_to_a_token_service_without_tls(
    scanner: Scanner, realm: str
) -> None:
    scanner.login = True
    registry = scanner.registry("registry.example.com", insecure=False)
    ref = ImageRef.parse("registry.example.com/web")
    challenge = f'Bearer realm="{realm.format(host=scanner.own.host)}",service="s"'
    async with aiohttp.ClientSession() as session:
        access = Access(session, {registry.host: registry}, lambda _: None)
        with pytest.raises(UnreadableError, match="without TLS"):
            await access.answered(ref, [challenge], {})
    assert scanner.own.asked == []


@pytest.mark.parametrize("door", DOORS)
async def test_a_redirect_is_followed_to_the_last_page_without_what_we_are(
    scanner: Scanner, door: str
) -> None:
    scanner.own.door = DOORS[door]()
    scanner.elsewhere.content.push("acme/web", *TAGS)
    scanner.elsewhere.page = 300
    scanner.login = True
    scanner.own.fail(faults.redirects(scanner.elsewhere.url), where="/v2/", after=1)

    assert await scanner.tags(scanner.image) == TAGS
    assert {one.scheme for one in scanner.elsewhere.asked} == {""}
    assert len(scanner.elsewhere.asked) == 9


@pytest.mark.parametrize("hop", ["redirect", "page"])
async def test_a_challenge_from_where_we_were_redirected_gets_no_answer(
    scanner: Scanner, hop: str
) -> None:
    scanner.elsewhere.content.push("acme/web", *TAGS)
    scanner.elsewhere.door = Tokens(login=(USERNAME, PASSWORD)) if hop == "redirect" else None
    scanner.elsewhere.page = 300
    scanner.elsewhere.fail(
        faults.status(401, WWW_Authenticate='Basic realm="give"'), where="last=", times=3
    )
    scanner.login = True
    scanner.own.fail(faults.redirects(scanner.elsewhere.url))

    assert "refuses us (401)" in str(await scanner.failure(scanner.image))
    assert {one.scheme for one in (*scanner.own.asked, *scanner.elsewhere.asked)} == {""}
    assert scanner.elsewhere.count("/token") == 0


async def test_redirects_without_end_are_a_temporary_error(scanner: Scanner) -> None:
    scanner.own.fail(faults.redirects(scanner.own.url))
    assert "redirects without end" in str(await scanner.failure(scanner.image))


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "fault",
    [
        faults.status(401, WWW_Authenticate='Basic realm="again"'),
        faults.status(403),
        faults.status(429),
        faults.says(b"nonsense"),
        faults.cut(),
        faults.truncated(),
        faults.hangs(),
        faults.headers({"X-Long": "x" * 100_000}),
        faults.redirects("http://127.0.0.1:1"),
    ],
)
async def test_what_we_show_is_in_no_error_and_no_log(
    scanner: Scanner, door: str, fault: faults.Fault
) -> None:
    scanner.own.door = DOORS[door]()
    scanner.login, scanner.timeout = True, 0.5
    scanner.own.fail(fault, where="/v2/", after=2)
    with capture_logs() as logs:
        error = await scanner.failure(scanner.image)

    told = "".join(traceback.format_exception(error)) + str(logs)
    shown = aiohttp.encode_basic_auth(USERNAME, PASSWORD).partition(" ")[2]
    tokens = scanner.own.door.issued if isinstance(scanner.own.door, Tokens) else ()
    assert {one.scheme for one in scanner.own.asked} > {""}
    assert not [secret for secret in (PASSWORD, shown, *tokens) if secret in told]


async def test_a_redirect_to_a_place_without_tls_is_refused_where_the_registry_has_it(
    scanner: Scanner,
) -> None:
    ref = ImageRef.parse("registry.example.com/acme/web")
    scanner.own.fail(faults.redirects(scanner.elsewhere.url))
    async with aiohttp.ClientSession() as session, session.get(scanner.own.url) as answer:
        with pytest.raises(UnreadableError, match="without TLS"):
            hosts._refuse_downgrade(answer, ref, URL("https://registry.example.com/v2/"))
        hosts._refuse_downgrade(answer, ref, URL(scanner.own.url))
