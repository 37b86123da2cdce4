"""
The whole of `flux.yaml`, as frozen models with their defaults.

Names follow Flux v1's flags where it had one (`--git-path` is `git.paths`). Every field's
docstring says what it does and what it costs to change.
"""

from ipaddress import ip_address
from pathlib import Path
from typing import Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)

from shared.config.consistency import PORTS, contradictions
from shared.config.durations import Duration, Period
from shared.config.secrets import SecretRef
from shared.config.values import MessageTemplate, Name, Port, RefName, RepoPath, ServiceAccount


class Model(BaseModel):
    """Frozen, and strict about unknown keys: a typing mistake must not go unnoticed."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


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


class GitAuth(Model):
    """How to prove to the git host who we are; at most one kind."""

    username: str | None = None
    password: SecretRef | None = None
    token: SecretRef | None = None
    """Sent as a bearer token."""
    private_key: SecretRef | None = None
    """An SSH private key, unencrypted."""
    known_hosts: SecretRef | None = None
    """The SSH host keys that are trusted. Without it the keys of well-known hosts are."""


class Signing(Model):
    """With which key commits and the sync tag are signed; exactly one, without a passphrase."""

    openpgp: SecretRef | None = None
    """An armoured private key. Flux v1: --git-gpg-key-import and --git-signing-key."""
    ssh: SecretRef | None = None
    """A private key in the form of `ssh-keygen`."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.openpgp is None) == (self.ssh is None):
            raise ValueError("give exactly one of openpgp and ssh")
        return self


class PullRequests(Model):
    """Where the pull requests of *push_branch* are opened."""

    host: Literal["github", "gitlab", "gitea", "bitbucket"]
    """Whose API it is; `gitea` is Forgejo's as well."""
    token: SecretRef
    """It may read and write pull requests."""
    api: str = Field(default="", pattern=r"^(https?://[^\s?#]*[^\s?#/])?$")
    """Where it is; empty: at github.com, gitlab.com, bitbucket.org, or `/api/v1` of the host."""


class CommitMessages(Model):
    """
    Templates in Jinja2 that take the place of Flux v1's words, by kind of commit.

    They may use `kind`, `user`, `message` (a person's own), `images`, `changes` (each with
    `workload`, `container`, `current`, `target`), `workloads`, and `default`, which is what stands
    there without a template.
    """

    auto: MessageTemplate = ""
    """Of automated updates."""
    release: MessageTemplate = ""
    """Of releases by people."""
    policy: MessageTemplate = ""
    """Of locks, tag filters and the like."""


class Git(Model):
    """A branch of a repository, and the paths of it that count."""

    url: str = Field(min_length=1)
    """As git takes it: `ssh://`, `https://`, or `git@host:path`."""
    branch: str = ""
    """Empty: the remote's HEAD."""
    paths: tuple[RepoPath, ...] = ()
    """Folders, relative to the root; none means all."""
    poll_interval: Period = 300.0
    """How often to look without being told. Flux v1: --git-poll-interval."""
    timeout: Period = 20.0
    """For each network operation. Flux v1: --git-timeout."""
    readonly: bool = False
    """Never write. Flux v1: --git-readonly."""
    user: str = "Flux"
    """Committer's name. Flux v1: --git-user."""
    email: str = "flux@localhost"
    """Committer's address. Flux v1: --git-email."""
    push_branch: RefName = ""
    """Push to this branch instead, for people to merge."""
    pull_request: PullRequests | None = None
    """Keep a pull request of *push_branch* open while something waits there."""
    set_author: bool = False
    """Who gave an order is the author of its commit. Flux v1: --git-set-author."""
    commit: Literal["batch", "per-workload", "per-image"] = "batch"
    """How many commits the updates that are found together become; they are pushed together."""
    messages: CommitMessages = CommitMessages()
    notes_ref: RefName = "flux"
    """Below `refs/notes/`: where each commit's job, spec and result are noted. Empty: nowhere.
    Flux v1: --git-notes-ref."""
    sync_tag: RefName = "flux-sync"
    """The tag that follows what was applied; of syncs that share one, the newest counts. Empty: no
    tag. Flux v1: --git-sync-tag."""
    ci_skip: bool = False
    """End each commit message with `[ci skip]`. Flux v1: --git-ci-skip."""
    ci_skip_message: str = ""
    """What to end each commit message with instead. Flux v1: --git-ci-skip-message."""
    signing: Signing | None = None
    auth: GitAuth = GitAuth()

    @model_validator(mode="after")
    def _requests_need_a_branch(self) -> Self:
        if self.pull_request and not self.push_branch:
            raise ValueError("pull_request needs push_branch: the branch that it is opened for")
        if self.push_branch and self.push_branch == self.branch:
            raise ValueError(f"push_branch {self.push_branch!r} must be another branch than branch")
        return self


class Sync(Model):
    """These paths of this repository belong on this target."""

    name: Name
    git: Git
    target: Name = "default"
    prune: bool = True
    """Delete what was applied by this sync and is in git no more. Flux v1:
    --sync-garbage-collection."""
    prune_limit: float = Field(default=0.5, ge=0, le=1)
    """The share of a sync's objects that one push may take away; more, and everything in any case,
    waits for `fluxctl sync --allow-prune`."""
    prune_dry_run: bool = False
    """Only tell what would be deleted, also where *prune* is off. Flux v1:
    --sync-garbage-collection-dry."""
    sync_interval: Period = 300.0
    """How often all is compared, even if nothing seems to have changed."""
    default_namespace: Name = "default"
    """For objects that name none."""
    depends_on: tuple[Name, ...] = ()
    """Other syncs; a revision is applied only once they are applied and ready, those of the same
    repository at that revision or a later one."""
    wait: bool = False
    """Tell a revision as applied only once all of it is ready."""
    wait_timeout: Period = 300.0
    """Seconds after which it is told as not healthy instead; it is waited for all the same."""
    namespaces: tuple[Name, ...] = ()
    """Only objects of these namespaces are applied, and cluster-scoped ones; of namespaces
    themselves these. None: of all. Flux v1: --k8s-allow-namespace."""
    service_account: ServiceAccount = ""
    """`namespace/name`: applies and deletes as this account, so that the sync can do no more than
    it may. Flux's own account must be allowed to impersonate it. Empty: as Flux itself."""


class KubeconfigSecret(Model):
    """A Secret that holds a kubeconfig."""

    name: Name
    namespace: Name = "flux-system"
    key: str = Field(default="value", min_length=1)
    """As Cluster API names it. The kubeconfig may name no files and run no programs."""


class Seal(Model):
    """The pair of keys by which Secrets travel; `python -m shared.bundle.keys` makes one."""

    public_key: SecretRef
    """Only git-watcher reads it, and seals every Secret to it."""
    private_key: SecretRef
    """Only cluster-applier reads it, and opens them."""


class Target(Model):
    """A cluster."""

    name: Name = "default"
    kubeconfig: Path | None = None
    """None: the service account of the pod we run in; outside of a pod what kubectl would take."""
    context: str | None = None
    kubeconfig_secret: KubeconfigSecret | None = None
    """Where the cluster that *kubeconfig* leads to keeps the kubeconfig of this target; read at
    start."""
    namespace: Name = "flux-system"
    """Where the inventories are kept; made if it is missing."""
    concurrency: int = Field(default=16, ge=1, le=256)
    """Requests under way at once."""
    timeout: Period = 30.0
    """For each request."""
    seal: Seal | None = None
    """Without it Secrets lie in the broker as they lie in git."""


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


class Health(Model):
    """Where each service serves /livez, /readyz and /metrics."""

    host: str = "127.0.0.1"
    git_watcher: Port = PORTS["git_watcher"]
    registry_scanner: Port = PORTS["registry_scanner"]
    repo_writer: Port = PORTS["repo_writer"]
    cluster_applier: Port = PORTS["cluster_applier"]
    gateway: Port = PORTS["gateway"]


class Log(Model):
    """How much is logged, and in which form."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"
    """auto: console on a terminal, JSON elsewhere."""


class Config(Model):
    """`flux.yaml`."""

    generation: int = Field(default=0, ge=0)
    """Raised by its owner: of two replicas with different files the newer wins. 0: the time at
    which the file was changed last."""
    broker: Broker = Broker()
    syncs: tuple[Sync, ...] = Field(min_length=1)
    targets: tuple[Target, ...] = (Target(),)
    registries: tuple[Registry, ...] = ()
    automation: Automation = Automation()
    gateway: Gateway = Gateway()
    health: Health = Health()
    log: Log = Log()
    state_dir: Path = Path("/var/lib/flux")
    """Caches that cost time when lost, and nothing else. Each service has a folder of its own."""
    shutdown_grace: Period = 20.0
    """How long a service may finish what it holds after SIGTERM."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        found = [
            f"{'.'.join(map(str, where))}: {what}"
            for where, what in contradictions(self.model_dump())
        ]
        if found:
            raise ValueError("; ".join(found))
        return self
