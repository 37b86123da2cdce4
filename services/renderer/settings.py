"""The slice of `flux.yaml` that the renderer takes."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from shared.config.model import Config
from shared.config.secrets import SecretRef
from shared.runtime.errors import PermanentError


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the renderer needs."""

    host: str
    port: int
    token: SecretRef
    environment: Mapping[str, str] = field(default_factory=dict)
    """What generators see beside PATH and HOME."""
    network: bool = False
    concurrency: int = 2

    @classmethod
    def of(cls, config: Config, environment: Mapping[str, str] = os.environ) -> Self:
        """
        Take our slice.

        Raises:
            PermanentError: there is none.
        """
        own = config.renderer
        if own is None:
            raise PermanentError("flux.yaml has no renderer: write `renderer: {}`")
        host, _, port = own.listen.rpartition(":")
        return cls(
            host=host.strip("[]"),
            port=int(port),
            token=own.token,
            environment={
                name: environment[name] for name in own.environment if name in environment
            },
            network=own.network,
            concurrency=own.concurrency,
        )
