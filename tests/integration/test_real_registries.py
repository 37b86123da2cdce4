"""Both registries of the sandbox, with and without a password, are read alike."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sandbox.docker_registry import docker_registry
from sandbox.images import Images
from sandbox.oci_registry import Basic, oci_registry
from sandbox.progress import silent
from sandbox.registry import Registry
from services.registry_scanner.created_cache import CreatedCache
from services.registry_scanner.oci_registry import OciRegistries
from services.registry_scanner.ports import UnreadableError
from services.registry_scanner.settings import Settings
from shared.config.model import Config
from shared.runtime.errors import TemporaryError

CREATED = datetime(2026, 3, 1, 12, tzinfo=UTC)
LOGIN = ("robot", "canary-5f1d0c")

Start = Callable[..., Awaitable[Registry]]


@pytest.fixture(params=["docker-registry", "our own"])
async def start(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts the registry of a kind, with or without a login."""
    async with AsyncExitStack() as stack:

        async def start(login: tuple[str, str] | None = None) -> Registry:
            own = oci_registry(door=login and Basic(username=login[0], password=login[1]))
            debians = docker_registry(tmp_path / "registry", login, say=silent)
            return await stack.enter_async_context(own if request.param == "our own" else debians)

        yield start


@pytest.fixture
async def free(start: Start) -> Registry:
    return await start()


@pytest.fixture
async def guarded(start: Start) -> Registry:
    return await start(LOGIN)


@asynccontextmanager
async def reading(
    directory: Path, host: str, password: str | None = None
) -> AsyncIterator[OciRegistries]:
    registry: dict[str, object] = {"host": host, "insecure": True}
    if password:
        (directory / "password").write_text(f"{password}\n")
        registry |= {"username": LOGIN[0], "password": {"file": str(directory / "password")}}
    config = Config.model_validate(
        {
            "syncs": [{"name": "apps", "git": {"url": "https://git.example.com/apps"}}],
            "registries": [registry],
            "state_dir": str(directory / "state"),
        }
    )
    settings = Settings.of(config)
    async with AsyncExitStack() as stack:
        cache = stack.enter_context(CreatedCache(settings.state_dir / "created.sqlite"))
        yield await stack.enter_async_context(OciRegistries(settings, cache))


async def test_tags_creation_times_and_digests_are_those_that_were_pushed(
    free: Registry, tmp_path: Path
) -> None:
    async with Images(free.host) as images:
        await images.push("acme/web", "main-1", created=CREATED)
        digest = await images.push("acme/web", "main-2", created=CREATED)
    image = f"{free.host}/acme/web"
    async with reading(tmp_path, free.host) as registries:
        tags = await registries.tags(image)
        one, two = await registries.candidates(image, tags, tags)
        assert registries.requests(image) == 1 + 4

    assert tags == ["main-1", "main-2"]
    assert (one.created, two.created, two.digest) == (CREATED, CREATED, digest)


async def test_a_label_says_the_creation_time_of_a_reproducible_build(
    free: Registry, tmp_path: Path
) -> None:
    labels = {"org.opencontainers.image.created": CREATED.isoformat()}
    async with Images(free.host) as images:
        await images.push("web", "it", created=datetime(1970, 1, 1, tzinfo=UTC), labels=labels)
    async with reading(tmp_path, free.host) as registries:
        (found,) = await registries.candidates(f"{free.host}/web", ["it"], ["it"])
    assert found.created == CREATED


async def test_with_the_password_a_guarded_registry_is_read(
    guarded: Registry, tmp_path: Path
) -> None:
    async with Images(guarded.host, LOGIN) as images:
        await images.push("acme/web", "1.0.0")
    async with reading(tmp_path, guarded.host, LOGIN[1]) as registries:
        for requests in (2, 3):  # the first is answered with the question who we are
            assert await registries.tags(f"{guarded.host}/acme/web") == ["1.0.0"]
            assert registries.requests(f"{guarded.host}/acme/web") == requests


@pytest.mark.parametrize("password", [None, "another"])
async def test_without_the_password_it_is_a_refusal_that_names_the_remedy(
    guarded: Registry, tmp_path: Path, password: str | None
) -> None:
    async with reading(tmp_path, guarded.host, password) as registries:
        with pytest.raises(UnreadableError, match=r"refuses us \(401\); give registries") as told:
            await registries.tags(f"{guarded.host}/acme/web")
    assert guarded.host in str(told.value)
    assert "another" not in str(told.value)


async def test_an_image_that_is_not_there_is_told(free: Registry, tmp_path: Path) -> None:
    async with reading(tmp_path, free.host) as registries:
        with pytest.raises(UnreadableError, match="has no such image"):
            await registries.tags(f"{free.host}/acme/web")


async def test_a_registry_that_is_away_is_a_temporary_error_until_it_is_back(
    free: Registry, tmp_path: Path
) -> None:
    async with Images(free.host) as images:
        await images.push("web", "1.0.0")
    async with reading(tmp_path, free.host) as registries:
        assert await registries.tags(f"{free.host}/web") == ["1.0.0"]
        await free.stop()
        with pytest.raises(TemporaryError, match=f"registry {free.host}: ") as away:
            await registries.tags(f"{free.host}/web")
        await free.start()
        assert await registries.tags(f"{free.host}/web") == ["1.0.0"]
    assert away.value.dependency == f"registry {free.host}"
