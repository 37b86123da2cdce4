"""How pygit2 talks to a host: who we are, whom we trust, how long we wait, what its errors mean."""

import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pygit2
import structlog

from shared.config import secrets
from shared.config.git import Git
from shared.git import known_hosts
from shared.git.identity import host, without_credentials
from shared.runtime.errors import FluxError, PermanentError, TemporaryError
from shared.runtime.masking import Masking

logger = structlog.get_logger(__name__)

_MASK = Masking(secrets.known)
_PROGRESS = re.compile(r"\d+% \(\d+/\d+\)")
# Colours, and what would hide text in a terminal or end a line of a log.
_SPOKEN = re.compile("\x1b\\[[0-9;]*[A-Za-z]|[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_FORBIDDEN = "unexpected http status code: 403"
"""libgit2 has no other way of saying it."""


WORDS = 500
"""Characters that we keep of what a host says."""


class RefusedError(PermanentError):
    """The host does not take a push, in its own words."""


class Callbacks(pygit2.RemoteCallbacks):
    """Credentials, host keys and the end of patience for one network operation."""

    def __init__(self, git: Git, expected: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._git = git
        self._asked = 0
        self._until = time.monotonic() + git.timeout
        self._abandoned = False
        self._expected = expected or {}
        self.refused: dict[str, str] = {}
        """By ref: why the host did not take what was pushed."""
        self._said = ""

    def credentials(self, _url: str, username: str | None, allowed: int) -> Any:
        """Show who we are, once; libgit2 asks again for ever if that is wrong."""
        self._asked += 1
        auth = self._git.auth
        if self._asked > 1 or auth.token:
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

    def abandon(self) -> None:
        """End at the next sign of life: nobody waits for the result any more."""
        self._abandoned = True

    def transfer_progress(self, _: Any) -> None:
        """End what takes too long; timeouts of sockets don't bound the whole."""
        self._go_on()

    def sideband_progress(self, string: str) -> None:
        """Note what the host has to say; end one that talks and talks."""
        self._said = (self._said + string)[-WORDS:]
        self._go_on()

    def push_transfer_progress(self, _sent: int, _all: int, _bytes: int) -> None:
        """End a push that takes too long."""
        self._go_on()

    def push_negotiation(self, updates: Any) -> None:
        """Refuse to push if a ref is not where we built on: a compare-and-swap."""
        for update in updates:
            if str(update.src) != self._expected[update.dst_refname]:
                raise MovedError

    def push_update_reference(self, ref: str, message: str | None) -> None:
        """Note the host's refusal; pygit2 returns normally after one."""
        if message:
            self.refused[ref] = self.words(message)

    def words(self, reason: str) -> str:
        """Return *reason*, and what the host had to say, in one line that may be shown."""
        said = [line for line in re.split(r"[\r\n]+", self._said) if not _PROGRESS.search(line)]
        lines = (_SPOKEN.sub("", line).strip() for line in (reason, *said))
        return _MASK(": ".join(filter(None, lines)))

    def _go_on(self) -> None:
        if self._abandoned or time.monotonic() > self._until:
            raise too_slow(self._git)

    @property
    def _name(self) -> str:
        return dependency(self._git)


class MovedError(FluxError):
    """The branch is not where it was expected."""


def dependency(git: Git) -> str:
    """Return the git host's name for people."""
    return f"git host {host(git.url)}"


def branch_ref(git: Git, heads: Mapping[str, Any]) -> str:
    """
    Return the branch among a host's *heads*: the one configured, else the one that HEAD is.

    Raises:
        TemporaryError: there is none; people can push it.
    """
    branch = git.branch or _default(heads)
    ref = f"refs/heads/{branch}"
    if ref not in heads:
        wanted = f"no branch {branch!r}" if git.branch else "no branch yet"
        where = without_credentials(git.url)
        raise TemporaryError(dependency(git), f"{where} has {wanted}; push it, or set git.branch")
    return ref


def _default(heads: Mapping[str, Any]) -> str:
    head = heads.get("HEAD")
    if head is None:
        return ""
    if head.symref_target:
        return str(head.symref_target).removeprefix("refs/heads/")
    same = {name for name, one in heads.items() if one.oid == head.oid}
    return next((one for one in ("main", "master") if f"refs/heads/{one}" in same), "")


def too_slow(git: Git) -> TemporaryError:
    """Return the error of an operation that did not end in time."""
    reason = f"no end after git.timeout ({git.timeout:g} s); raise it for a large repository"
    return TemporaryError(dependency(git), reason)


def translated(error: Exception, git: Git) -> Exception:
    """
    Return *error* in our words, without credentials.

    What people must repair (a branch, a key, a secret's file) is temporary as well: once they
    have, the same work succeeds, and nobody should have to restart us for it.
    """
    if isinstance(error, RefusedError | TemporaryError | MovedError):
        return error
    text = _MASK(str(error).strip()) or type(error).__name__
    return TemporaryError(dependency(git), text)


def forbidden(error: Exception) -> bool:
    """Tell whether the host knows us and says no: it would say so again."""
    return _FORBIDDEN in str(error)


def configure(home: Path, gits: Iterable[Git]) -> None:
    """
    Set what libgit2 knows only once a process: patience, and the SSH host keys that are trusted.

    Call it once, before the first mirror is used. Both timeouts must be set: with the first alone
    plain HTTP fails.
    """
    some = tuple(gits)
    folder = home / ".ssh"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    trusted = {git.auth.known_hosts.read() for git in some if git.auth.known_hosts}
    (folder / "known_hosts").write_text(known_hosts.merged(sorted(trusted)))
    patience = max((git.timeout for git in some), default=30.0)
    pygit2.settings.homedir = str(home)
    pygit2.settings.server_connect_timeout = int(min(patience, 10.0) * 1000)
    pygit2.settings.server_timeout = int(patience * 1000)
