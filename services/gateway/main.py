"""Wires the gateway together. The only module here that knows every other one."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from services.gateway.alarm import Alarm
from services.gateway.asking import Asking
from services.gateway.attendance import Attendance
from services.gateway.checkpoint import Checkpoint
from services.gateway.control import Control
from services.gateway.dead_letters import DeadLetters
from services.gateway.domain.view import View
from services.gateway.follow import Follower
from services.gateway.handlers import Handlers
from services.gateway.http_api import Api, serving
from services.gateway.registry_tags import RegistryTags
from services.gateway.settings import Settings
from services.gateway.stream import Listeners
from shared.bus.port import Bus, Worker
from shared.config.model import Config
from shared.runtime import service
from shared.runtime.health import Health


@asynccontextmanager
async def wire(config: Config, bus: Bus, health: Health) -> AsyncIterator[Mapping[str, Worker]]:
    """Yield the workers of the gateway; its API is served meanwhile."""
    settings = Settings.of(config)
    if settings.token:
        settings.token.read()  # one that is not there is told now, not to the first client
    view, listeners = View(settings.target, settings.syncs), Listeners()
    asking = Asking(bus, view)
    checkpoint = Checkpoint(settings.state_dir / "view.checkpoint", of=settings.about)
    follower = Follower(bus, view, listeners, checkpoint)
    health.check("log", follower.problem)
    alarm = Alarm(bus)
    handlers, tags = Handlers(settings, view, asking), RegistryTags(view, asking)
    api = Api(
        settings,
        view,
        handlers=handlers,
        tags=tags,
        follower=follower,
        listeners=listeners,
        dead=DeadLetters(bus, alarm),
        control=Control(view, handlers, asking),
    )
    async with serving(api, settings.host, settings.port):
        yield {
            "follow": follower.run,
            "attendance": Attendance(bus, view).run,
            "alarm": alarm.run,
        }


def main() -> None:
    """Run the gateway until it is told to stop."""
    service.main("gateway", wire)
