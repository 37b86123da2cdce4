"""`registries` and `automation`: where images are looked for, and how."""

from pydantic import Field

from shared.config.durations import Duration, Period
from shared.config.secrets import SecretRef
from shared.config.strict import Model


class Registry(Model):
    """What a registry needs that differs from the defaults."""

    host: str = Field(min_length=1)
    """`ghcr.io`, `127.0.0.1:5000`"""
    insecure: bool = False
    """Plain HTTP. Flux v1: --registry-insecure-host."""
    username: str | None = None
    password: SecretRef | None = None


class Automation(Model):
    """How images are looked for and written."""

    interval: Period = 45.0
    """How often the tags of automated images are read: one request each. Flux v1:
    --automation-interval, beside which it read all tags about once a minute."""
    quiet: Duration = 0.1
    """A batch gathers what is found until nothing came for so long, and no scan of the same cause
    is under way."""
    max_wait: Duration = 2.0
    """A batch gathers at most so long, or as long as *quiet* if that is longer."""
    registry_timeout: Period = 10.0
    """For each request to a registry."""
    registry_concurrency: int = Field(default=8, ge=1, le=64)
    """Requests under way at once to one registry."""
