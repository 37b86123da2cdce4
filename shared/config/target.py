"""`targets`: a cluster, the way in, and the keys by which its Secrets travel."""

from pathlib import Path

from pydantic import Field

from shared.config.durations import Period
from shared.config.secrets import SecretRef
from shared.config.strict import Model
from shared.config.values import Name


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


class Decryption(Model):
    """
    The keys of files that SOPS has encrypted; cluster-applier alone reads them.

    Cloud services are asked as sops asks them: by its environment, see the documentation.
    """

    age: SecretRef | None = None
    """Private keys as `age-keygen` writes them, one a line."""
    openpgp: SecretRef | None = None
    """Armoured private keys without a passphrase. Flux v1: --git-gpg-key-import."""
    timeout: Period = 30.0
    """For each file."""


class Target(Model):
    """A cluster."""

    name: Name = "default"
    kubeconfig: Path | None = None
    """None: the service account of the pod we run in; outside of a pod what kubectl would take."""
    context: str | None = None
    kubeconfig_secret: KubeconfigSecret | None = None
    """Where the cluster that *kubeconfig* leads to keeps the kubeconfig of this target; read
    again when it changes, or is refused."""
    namespace: Name = "flux-system"
    """Where the inventories are kept; made if it is missing."""
    concurrency: int = Field(default=16, ge=1, le=256)
    """Requests under way at once."""
    timeout: Period = 40.0
    """For each request; a webhook may take 30 s, and is named only where we wait longer."""
    seal: Seal | None = None
    """Without it Secrets lie in the broker as they lie in git."""
    decryption: Decryption = Field(default_factory=Decryption)
