"""How pygit2 talks to a host: who we are, whom we trust, how long we wait, what its errors mean."""

import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pygit2
import structlog

from shared.config.model import Git
from shared.git.identity import host
from shared.runtime.errors import FluxError, PermanentError, TemporaryError

logger = structlog.get_logger(__name__)

_USERINFO = re.compile(r"://[^/@\s]+@")


class RefusedError(PermanentError):
    """The host does not take a push, in its own words."""


class Callbacks(pygit2.RemoteCallbacks):
    """Credentials, host keys and the end of patience for one network operation."""

    def __init__(self, git: Git) -> None:
        super().__init__()
        self._git = git
        self._asked = 0
        self._until = time.monotonic() + git.timeout
        self.expected: str | None = None
        """For a push: the commit that the branch must be at."""
        self.refused: str | None = None

    def credentials(self, _url: str, username: str | None, allowed: int) -> Any:
        """Show who we are, once; libgit2 asks again for ever if that is wrong."""
        self._asked += 1
        auth = self._git.auth
        if self._asked > 1:
            raise TemporaryError(self._name, "it refuses our credentials; check git.auth")
        if auth.private_key and allowed & pygit2.enums.CredentialType.SSH_KEY:
            return pygit2.KeypairFromMemory(username or "git", None, auth.private_key.read(), "")
        if allowed & pygit2.enums.CredentialType.USERNAME and not (
            allowed & pygit2.enums.CredentialType.USERPASS_PLAINTEXT
        ):
            self._asked -= 1
            return pygit2.Username(username or "git")
        if auth.password:
            return pygit2.UserPass(auth.username or username or "git", auth.password.read())
        raise TemporaryError(self._name, "it asks for credentials; set git.auth")

    def custom_headers(self) -> list[str]:
        """Send a bearer token, if that is how we prove who we are."""
        token = self._git.auth.token
        return [f"Authorization: Bearer {token.read()}"] if token else []

    def certificate_check(self, _certificate: Any, valid: bool, _name: bytes | str) -> bool:  # noqa: FBT001 - pygit2's signature
        """Trust only what is known; pygit2 itself would take any SSH host key."""
        if not valid:
            raise TemporaryError(
                self._name,
                "its host key or certificate is not known; set git.auth.known_hosts",
            )
        return True

    def transfer_progress(self, _: Any) -> None:
        """End what takes too long; timeouts of sockets don't bound the whole."""
        if time.monotonic() > self._until:
            raise TemporaryError(self._name, f"no end after git.timeout ({self._git.timeout:g} s)")

    def push_negotiation(self, updates: Any) -> None:
        """Refuse to push if the branch is not where we built on: a compare-and-swap."""
        for update in updates:
            if self.expected is not None and str(update.src) != self.expected:
                raise MovedError

    def push_update_reference(self, _: str, message: str | None) -> None:
        """Note the host's refusal; pygit2 returns normally after one."""
        self.refused = message

    @property
    def _name(self) -> str:
        return dependency(self._git)


class MovedError(FluxError):
    """The branch is not where it was expected."""


def dependency(git: Git) -> str:
    """Return the git host's name for people."""
    return f"git host {host(git.url)}"


def translated(error: Exception, git: Git) -> Exception:
    """Return *error* in our words, without credentials."""
    if isinstance(error, FluxError):
        return error
    text = _USERINFO.sub("://", str(error)) or type(error).__name__
    return TemporaryError(dependency(git), text)


def configure(home: Path, gits: Iterable[Git]) -> None:
    """
    Set what libgit2 knows only once a process: patience, and the SSH host keys that are trusted.

    Call it once, before the first mirror is used. Both timeouts must be set: with the first alone
    plain HTTP fails.
    """
    folder = home / ".ssh"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    trusted = {git.auth.known_hosts.read() for git in gits if git.auth.known_hosts}
    (folder / "known_hosts").write_text("\n".join(sorted(trusted)))
    pygit2.settings.homedir = str(home)
    pygit2.settings.server_connect_timeout = 10_000
    pygit2.settings.server_timeout = 30_000
