"""
Declares everything on RabbitMQ, once, with an administrator's credentials.

Services declare nothing: they look whether what they need is there and say what is missing.
`python -m shared.bus.topology --config flux.yaml` is run before the services start, and again
whenever syncs are added; it changes nothing that is right. What is declared stands in `layout`,
what the services' users may do in `grants`.
"""

import argparse
import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

import aio_pika
import aiohttp
import structlog
from aio_pika.abc import AbstractChannel

from shared.bus.grants import grant, service_of
from shared.bus.layout import Topology, topology
from shared.bus.management import Management
from shared.bus.rabbit_link import BROKEN, nodes
from shared.config import secrets
from shared.config.broker import Broker
from shared.config.load import ConfigError, load
from shared.config.model import Config
from shared.contract.registry import SERVICES
from shared.runtime import log
from shared.runtime.errors import PermanentError
from shared.runtime.masking import Masking, without_userinfo

logger = structlog.get_logger(__name__)


async def declare(
    wanted: Topology,
    *,
    amqp_url: str,
    management_url: str | None,
    service_urls: Mapping[str, str] | None = None,
) -> None:
    """
    Declare *wanted*; what is there already with the same arguments stays as it is.

    Policies (limits) and the users in *service_urls* go by the management API; without
    *management_url* limits are left out, and that is said.

    Raises:
        PermanentError: the users can't be made; the sentence says why.
    """
    users = _users(service_urls or {}, amqp_url, management_url)
    connection = await aio_pika.connect(nodes(amqp_url)[0])
    async with connection, connection.channel() as channel:
        await _declare(channel, wanted)
    logger.info("topology declared", queues=len(wanted.queues), bindings=len(wanted.bindings))
    if management_url is None:
        logger.warning("no broker.management_url, so no limits are set on queues and streams")
        return
    async with Management.open(management_url, nodes(amqp_url)[0]) as management:
        await management.limit(wanted.policies)
        logger.info("limits set", policies=[policy.name for policy in wanted.policies])
        for service, (user, password) in users.items():
            await management.admit(user, password, grant(service))
        if users:
            logger.info("users made", users=[user for user, _ in users.values()])


async def _declare(channel: AbstractChannel, wanted: Topology) -> None:
    for name, kind in wanted.exchanges.items():
        await channel.declare_exchange(name, kind, durable=True)
    queues = {
        queue.name: await channel.declare_queue(
            queue.name, durable=True, arguments=dict(queue.arguments)
        )
        for queue in wanted.queues
    }
    for binding in wanted.bindings:
        await queues[binding.queue].bind(binding.exchange, binding.key)


def _users(
    urls: Mapping[str, str], administrator: str, management_url: str | None
) -> Mapping[str, tuple[str, str]]:
    """Return the user and the password of each service."""
    if urls and management_url is None:
        raise PermanentError("users for the services can only be made with broker.management_url")
    users = {}
    for service, url in urls.items():
        node = nodes(url)[0]
        if service_of(node.user) != service or not node.password:
            raise PermanentError(
                f"the broker address of {service} must have a password, and a user that is called"
                f" {service} or ends in .{service}"
            )
        if node.path != nodes(administrator)[0].path:
            raise PermanentError(
                f"the broker address of {service} names the virtual host {node.path}, but the"
                f" topology is declared on {nodes(administrator)[0].path}"
            )
        users[service] = node.user or "", node.password
    return users


def _service_urls(broker: Broker) -> Mapping[str, str]:
    """Return the address of each service: of all, or of none where they share one."""
    given = {name: broker.service_urls.of(name) for name in SERVICES}
    missing = [name for name, ref in given.items() if not ref.is_given()]
    if len(missing) == len(SERVICES):
        logger.warning("no service has a broker user of its own, so every one may say everything")
        return {}
    if missing:
        lacks = ", ".join(f"{name} ({given[name].env})" for name in missing)
        raise PermanentError(f"some services have a broker user of their own, not so: {lacks}")
    return {name: ref.read() for name, ref in given.items()}


async def _declare_for(config: Config) -> None:
    mask = Masking(secrets.known)
    log.configure(
        level=config.log.level, form=config.log.format, mask=mask, service="topology", replica=""
    )
    wanted = topology((sync.target, sync.name) for sync in config.syncs)
    broker = config.broker
    await declare(
        wanted,
        amqp_url=broker.url.read(),
        management_url=broker.management_url,
        service_urls=_service_urls(broker),
    )


def main() -> int:
    """Declare what `flux.yaml` needs: 0 if it is there now, 2 for mistakes in the file."""
    parser = argparse.ArgumentParser(prog="python -m shared.bus.topology", description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("flux.yaml"), help="default: flux.yaml")
    path = parser.parse_args().config
    try:
        asyncio.run(_declare_for(load(path)))
    except (ConfigError, PermanentError) as error:
        return _say(f"nothing was declared:\n{error}", 2)
    except (*BROKEN, aiohttp.ClientError) as error:
        reason = without_userinfo(str(error) or type(error).__name__)
        return _say(f"the broker refuses, or is not there: {reason}; try again", 1)
    return 0


def _say(sentence: str, code: int) -> int:
    print(sentence, file=sys.stderr)  # noqa: T201 - a terminal's
    return code


if __name__ == "__main__":
    sys.exit(main())
