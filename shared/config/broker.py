"""`broker`: where RabbitMQ is, and as whom each service comes."""

from pydantic import Field

from shared.config.secrets import SecretRef
from shared.config.strict import Model


class ServiceUrls(Model):
    """
    The broker's address as each service has it: with a user that is called like the service
    (`git-watcher`, or longer with that at its end: `prod.git-watcher`).

    The topology makes these users and lets each say what its service says, and no more.
    """

    git_watcher: SecretRef = SecretRef(env="AMQP_URL_GIT_WATCHER")
    registry_scanner: SecretRef = SecretRef(env="AMQP_URL_REGISTRY_SCANNER")
    repo_writer: SecretRef = SecretRef(env="AMQP_URL_REPO_WRITER")
    cluster_applier: SecretRef = SecretRef(env="AMQP_URL_CLUSTER_APPLIER")
    gateway: SecretRef = SecretRef(env="AMQP_URL_GATEWAY")

    def of(self, service: str) -> SecretRef:
        """Return that of *service*."""
        found: SecretRef = getattr(self, service.replace("-", "_"))
        return found


class Broker(Model):
    """RabbitMQ."""

    url: SecretRef = SecretRef(env="AMQP_URL")
    """`amqp://user:password@host:5672/vhost`, from a file or an environment variable; of a cluster
    the address of each node, with commas between. The topology needs an administrator's."""
    service_urls: ServiceUrls = ServiceUrls()
    """A service whose variable here is not set takes *url*: simple, but then the broker lets every
    service say everything."""
    prefetch: int = Field(default=200, ge=1, le=2000)
    """Messages a partition takes at once; more folds better, and redelivers more after a crash."""
    management_url: str | None = None
    """RabbitMQ's own pages: for people, and for the limits and users that the topology sets. No
    service calls it."""

    def url_of(self, service: str) -> SecretRef:
        """Return where *service* finds its address: its own, or the one for all."""
        own = self.service_urls.of(service)
        return own if own.is_given() else self.url
