"""`syncs[].git`: a branch, the way in, and how it is written to."""

from typing import Literal, Self

from pydantic import Field, model_validator

from shared.config.durations import Period
from shared.config.secrets import SecretRef
from shared.config.strict import Model
from shared.config.values import MessageTemplate, RefName, RepoPath


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
    manifest_generation: bool = False
    """Run the programs that a `.flux.yaml` in one of *paths*, or above it, names; needs *renderer*.
    Who writes to the repository then decides what runs there. Flux v1: --manifest-generation."""
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
