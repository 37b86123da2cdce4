"""`gateway`: the HTTP API for fluxctl and webhooks."""

from ipaddress import ip_address
from typing import Self

from pydantic import model_validator

from shared.config.secrets import SecretRef
from shared.config.strict import Model
from shared.config.values import Name


class Gateway(Model):
    """The HTTP API for fluxctl and webhooks."""

    listen: str = "127.0.0.1:3030"
    """`host:port`; port 0 picks a free one. Flux v1: --listen."""
    token: SecretRef | None = None
    """Asked of every client; needed wherever *listen* is not loopback."""
    target: Name = "default"
    """Flux v1's ids have no room for a target: one gateway serves one."""

    @model_validator(mode="after")
    def _a_token_off_loopback(self) -> Self:
        host, _, port = self.listen.rpartition(":")
        if not (port.isascii() and port.isdigit() and int(port) <= 65535):
            raise ValueError(f"listen {self.listen!r} must be host:port, as in 127.0.0.1:3030")
        if self.token is None and not _is_loopback(host.strip("[]")):
            raise ValueError(
                f"listen {self.listen!r} can be reached from outside, so gateway.token is needed"
            )
        return self


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
