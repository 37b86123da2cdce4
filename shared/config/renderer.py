"""`renderer`: the process that runs the generators and updaters of `.flux.yaml` files."""

from pydantic import Field

from shared.config.secrets import SecretRef
from shared.config.strict import Model
from shared.config.values import HttpUrl, Listen, Variable


class Renderer(Model):
    """Runs other people's programs; give it a container of its own, with nothing in it."""

    url: HttpUrl = "http://127.0.0.1:3031"
    """Where git-watcher and repo-writer find it."""
    listen: Listen = "127.0.0.1:3031"
    """`host:port` that it serves; port 0 picks a free one."""
    token: SecretRef = SecretRef(env="RENDERER_TOKEN")
    """Asked of who orders something to be run. It protects nothing but the renderer itself."""
    environment: tuple[Variable, ...] = ()
    """Variables of the renderer's own environment that generators see, beside PATH and HOME."""
    network: bool = False
    """Whether programs may use the network. If not, it is cut off as far as the system lets the
    renderer do that; a NetworkPolicy does it in any case."""
    concurrency: int = Field(default=2, ge=1, le=64)
    """Orders that are carried out at once."""
