"""Secrets stay secret: a canary in every secret input is in nothing that comes out."""

import asyncio
import base64
import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from uuid import uuid4

import aio_pika
import aiohttp
import pytest
import yaml
from yarl import URL

from sandbox.everything import Everything
from sandbox.images import Images
from sandbox.installation import SERVICES
from sandbox.progress import silent
from sandbox.sops import Keys
from sandbox.sops import keys as make_keys
from sandbox.world import World
from sandbox.world import world as a_world
from shared.bus import names, rabbit
from shared.bus.port import Bus
from tests.faults.test_replicas import config_map, wait_value

pytestmark = [
    *(pytest.mark.e2e, pytest.mark.rabbit, pytest.mark.cluster, pytest.mark.faults),
    pytest.mark.timeout(240),
]

VALUE = f"canary-value-{token_hex(12)}"
"""In a Secret in git."""
OF_GIT = "value of a Secret"
ENCRYPTED = f"canary-encrypted-{token_hex(12)}"
"""In files that SOPS has encrypted."""
TOKEN = f"canary-token-{token_hex(12)}"
SECRET = """\
apiVersion: v1
kind: Secret
metadata: {{name: {name}, namespace: {namespace}}}
{field}: {{password: {value}}}
"""


@pytest.fixture
async def keys(tmp_path: Path) -> AsyncIterator[Keys]:
    async with make_keys(tmp_path, say=silent) as found:
        yield found


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """Everything that comes out, as bytes by where it was found."""

    world: World
    place: Everything
    directory: Path

    def logs(self) -> Mapping[str, bytes]:
        return {str(path): path.read_bytes() for path in self.directory.glob("flux/logs/*")}

    def state(self) -> Mapping[str, bytes]:
        return _files(self.directory / "flux" / "state")

    def broker_disk(self) -> Mapping[str, bytes]:
        found = _files(self.place.git.root.parents[1] / "broker" / "mnesia")
        # Its own users' passwords, of which it keeps hashes, are no input of ours.
        assert any("stream" in name for name in found)
        assert any("quorum" in name for name in found)
        return found

    async def pages(self) -> Mapping[str, bytes]:
        """Return the health pages and metrics of all, and what the gateway answers."""
        flux = self.world.flux
        urls = [
            f"http://127.0.0.1:{flux.ports[service]}/{page}"
            for service in SERVICES
            for page in ("readyz", "metrics")
        ]
        api = flux.gateway_url
        urls += [f"{api}/{page}" for page in ("v11/services", "v6/export?HEAD", "v6/images")]
        root = api.removesuffix("/api/flux")
        urls += [f"{root}/api/v1/{page}" for page in ("syncs", "events", "dead-letters")]
        async with aiohttp.ClientSession() as session:
            return {url: await _body(session, url) for url in urls}

    async def streams(self, bus: Bus) -> Mapping[str, bytes]:
        found = {}
        for stream in (names.LOG, names.DECLARED):
            records: list[bytes] = []
            try:
                async with asyncio.timeout(3):
                    async for record in bus.read(stream):
                        records += [record.body, str(record.headers).encode()]
            except TimeoutError:
                found[stream] = b"\n".join(records)
            assert len(records) > 2
        return found


def _files(root: Path) -> Mapping[str, bytes]:
    # A write-ahead log is as long as it may become, and ends in zeros.
    paths = [path for path in root.rglob("*") if path.is_file()]
    return {str(path): path.read_bytes().rstrip(b"\0") for path in paths}


async def _body(session: aiohttp.ClientSession, url: str) -> bytes:
    """Return what a page holds; of one that has no end what comes within two seconds."""
    found = b""
    async with session.get(url, headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
        with suppress(TimeoutError):
            async with asyncio.timeout(2):
                async for data in answer.content.iter_any():
                    found += data
    return found


def spellings(secret: str) -> list[bytes]:
    """Return how a secret may be written: plain, and in base64 at any place of a longer text."""
    found = [secret.encode()]
    for shift in range(3):
        text = base64.b64encode(b"x" * shift + secret.encode())
        found.append(text[4 if shift else 0 : len(text) // 4 * 4 - 4])
    return found


def leaks(outputs: Mapping[str, bytes], canaries: Mapping[str, str]) -> list[str]:
    written = {name: spellings(secret) for name, secret in canaries.items()}
    return [
        f"{name} in {place}"
        for place, content in outputs.items()
        for name, some in written.items()
        if any(spelling in content for spelling in some)
    ]


@asynccontextmanager
async def guarded_world(place: Everything, directory: Path) -> AsyncIterator[World]:
    """A world with a registry that asks for a password, and a gateway that asks for a token."""
    password = directory / "registry-password"
    password.write_text(place.registry_password)
    guarded = {
        "host": place.registry_auth.host,
        "insecure": True,
        "username": place.registry_username,
        "password": {"file": str(password)},
    }
    plain = {"host": place.registry.host, "insecure": True}
    config = {"registries": [plain, guarded], "automation": {"interval": "2s"}}
    name = f"secret-{uuid4().hex[:6]}"
    async with a_world(place, directory, name, log={"level": "debug"}, **config) as world:
        yield world


async def command_lines(seen: set[bytes]) -> None:
    """Take in the command lines of all processes there are, for ever."""
    while True:
        await asyncio.to_thread(_look, seen)
        await asyncio.sleep(0.1)


def _look(seen: set[bytes]) -> None:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            seen.add(path.read_bytes())


async def provoke(world: World, place: Everything) -> None:
    """Have everything that holds a secret be used, refused, and told of."""
    await place_image(place, world, "1.0.0")
    image = f"{place.registry_auth.host}/{world.namespace}/web"
    deployment = world.deployment("web").replace(f"{world.host}/{world.namespace}/web", image)
    files = {
        "web.yaml": deployment,
        "good.yaml": _secret(world, "good", "stringData"),
        "refused.yaml": _secret(world, "refused", "data"),  # it is no base64
        "broken.yaml": _secret(world, "broken", "stringData") + "  x: [\n",
    }
    await world.push("Add all", files)
    await world.kube.wait("Secret", "good", bool, namespace=world.namespace)
    await place_image(place, world, "1.1.0")
    async with asyncio.timeout(60):
        while f"{image}:1.1.0" not in world.copy.read("web.yaml"):
            await world.copy.pull()
    for status in (401, 503):
        place.git.fail(status)
        await world.git_hook()
        await asyncio.sleep(1)
    place.git.resume()
    await place.registry_auth.stop()
    await asyncio.sleep(3)
    await place.registry_auth.start()
    await garbage(world)
    await world.push("Value 1", config_map(world, 1, "a"))
    await wait_value(world, "a", 1, timeout=60)


async def provoke_sops(world: World, keys: Keys) -> None:
    """Have an encrypted file be applied, and others be refused and told of."""
    secret = _secret(world, "sealed", "stringData").replace(VALUE, ENCRYPTED)
    bad = secret.replace(f"password: {ENCRYPTED}", f"password: [{ENCRYPTED}]")
    rules = ("--age", keys.age, "--encrypted-regex", "^stringData$")
    good = await keys.encrypted(secret, *rules)
    files = {
        "sealed.yaml": good,
        "changed.yaml": good.replace("name: sealed", "name: changed"),
        "bad.yaml": await keys.encrypted(bad.replace("name: sealed", "name: bad"), *rules),
        "foreign.yaml": await keys.encrypted(secret, "--pgp", keys.openpgp),
    }
    await world.push("Add encrypted files", files)
    await world.kube.wait("Secret", "sealed", bool, namespace=world.namespace)
    async with asyncio.timeout(60):
        while len(re.findall("encrypted file not applied", await _said(world))) < 3:
            await asyncio.sleep(0.1)


async def _said(world: World) -> str:
    return await asyncio.to_thread(world.flux.log("cluster-applier").read_text)


async def place_image(place: Everything, world: World, tag: str) -> None:
    login = (place.registry_username, place.registry_password)
    async with Images(place.registry_auth.host, login) as images:
        await images.push(f"{world.namespace}/web", tag)


async def garbage(world: World) -> None:
    """Put what nobody understands into a queue, so that a dead letter is made."""
    connection = await aio_pika.connect(world.flux.amqp_url)
    async with connection, connection.channel() as channel:
        exchange = await channel.get_exchange(names.COMMANDS, ensure=False)
        await exchange.publish(aio_pika.Message(b"{"), "poll.requested.v1.0")
    async with asyncio.timeout(60):
        while not await world.flux.depth(names.DEAD):
            await asyncio.sleep(0.1)


async def with_token(world: World) -> None:
    """Start the gateway with a token, and come to it with it, without it, and with another."""
    await world.flux.stop("gateway")
    env = {"FLUX__GATEWAY__TOKEN__ENV": "GATEWAY_TOKEN", "GATEWAY_TOKEN": TOKEN}
    await world.flux.start("gateway", env=env)
    url = f"{world.flux.gateway_url}/v11/services"
    wanted = {f"Bearer {TOKEN}": 200, f"Scope-Probe token={TOKEN}": 200, f"Bearer {TOKEN}x": 401}
    async with aiohttp.ClientSession() as session:
        for shown, status in wanted.items():
            async with session.get(url, headers={"Authorization": shown}) as answer:
                assert answer.status == status


def _secret(world: World, name: str, field: str) -> str:
    return SECRET.format(name=name, namespace=world.namespace, field=field, value=VALUE)


async def test_no_secret_comes_out_anywhere(
    place: Everything, tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{keys.programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FLUX__TARGETS__0__DECRYPTION__AGE__FILE", str(keys.age_file))
    canaries = {
        "value of an encrypted file": ENCRYPTED,
        "age key": keys.age_file.read_text().split()[-1],
        "git password": place.git.password,
        "registry password": place.registry_password,
        "broker password": place.broker.password,
        "gateway token": TOKEN,
        OF_GIT: VALUE,
        **cluster_credentials(place),
    }
    lines: set[bytes] = set()
    async with guarded_world(place, tmp_path) as world:
        watching = asyncio.create_task(command_lines(lines))
        await provoke(world, place)
        await provoke_sops(world, keys)
        await with_token(world)
        watching.cancel()
        canaries |= broker_passwords(world)
        canaries["sealing key"] = (tmp_path / "flux" / "seal.key").read_text().strip()
        outputs = Outputs(world=world, place=place, directory=tmp_path)
        async with rabbit.connect(world.flux.amqp_url, source="/test/secrets") as bus:
            streams = await outputs.streams(bus)
            async with bus.dead_letters() as letters:
                dead = {"flux.dead": b"\n".join([str(one).encode() async for one in letters])}
        told = {**outputs.logs(), **streams, **dead, **await outputs.pages()}
        told["command lines"] = b"\n".join(lines)

        # What is no secret is found in each of them, so that we know that we looked.
        everywhere = {place.rpartition("/")[2] for place in told}
        assert {"cluster-applier.log", names.LOG, names.DEAD, "syncs"} <= everywhere
        assert len(leaks(told, {"namespace": world.namespace})) > len(SERVICES)
        assert leaks(outputs.broker_disk(), {"namespace": world.namespace})
        assert leaks(told, canaries) == []
        assert leaks(outputs.broker_disk(), canaries) == []
        del canaries[OF_GIT]  # the mirrors hold what git holds
        assert leaks(outputs.state(), canaries) == []
    assert leaks(outputs.logs(), canaries) == []


def broker_passwords(world: World) -> Mapping[str, str]:
    """Return the password of each service's own user of the broker."""
    urls = {name: URL(value) for name, value in world.flux.env.items() if "AMQP_URL" in name}
    assert len(urls) > len(SERVICES)
    return {f"broker password, {name}": str(url.password) for name, url in urls.items()}


def cluster_credentials(place: Everything) -> Mapping[str, str]:
    """Return what shows the API server who we are."""
    found = yaml.safe_load(place.cluster.kubeconfig.read_text())
    user = found["users"][0]["user"]
    secret = user.keys() & {"token", "client-key-data", "password"}
    assert secret
    return {name: str(user[name]) for name in secret}
