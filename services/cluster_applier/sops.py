"""
Decrypts files by the program sops: from its input to its output, and nowhere on a disk.

It gets the keys of one target, and of our environment what cloud services need for theirs. What it
says of a failure may hold values, or hashes of them, unless it could not get at a key: only that is
told, masked; else the exit code says which sentence of ours fits.
"""

import asyncio
import os
import re
from collections.abc import Mapping

from services.cluster_applier.domain.recipients import Recipients, recipients
from services.cluster_applier.running import Said, run
from shared.config import secrets
from shared.config.target import Decryption
from shared.runtime.errors import PermanentError, TemporaryError
from shared.runtime.gnupg import Keyring, Keyrings
from shared.runtime.masking import Masking
from shared.runtime.programs import read as read_key

COMMAND = ("sops", "decrypt", "--input-type", "yaml", "--output-type", "yaml")
TOLD = 600
"""Characters of what it says."""
NO_KEY = 128
_WHAT = "decryption key"
_PASSED = re.compile(
    "PATH|HOME|TMPDIR|XDG_CONFIG_HOME|SSL_CERT_(FILE|DIR)|(HTTPS?|NO)_PROXY|(https?|no)_proxy"
    "|(AWS|AZURE|CLOUDSDK|GOOGLE|HUAWEICLOUD|SOPS|VAULT)_.+"
)
_SECRET = re.compile("(KEY|SECRET|TOKEN|PASSWORD|_SK|GOOGLE_CREDENTIALS)$")
_CHANGED = "something else than sops has changed it; go back to an older commit, and edit that"
_REASONS = {
    24: f"its MAC can't be read: {_CHANGED}",
    25: f"a value of it can't be decrypted: {_CHANGED}",
    51: f"its MAC does not fit: {_CHANGED}",
    52: f"it has no MAC: {_CHANGED}",
}
_REQUEST = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MASK = Masking(secrets.known)


class Sops:
    """Decrypts with the keys of one target."""

    def __init__(self, settings: Decryption) -> None:
        self._settings = settings
        self._keyrings = (
            Keyrings(settings.openpgp, what=_WHAT) if settings.openpgp is not None else None
        )

    async def __call__(self, data: bytes) -> bytes:
        """
        Return what a file says, decrypted.

        Raises:
            PermanentError: it can't be decrypted, unless it or our keys change.
            TemporaryError: whom it needs for that does not answer.
        """
        keyring = await asyncio.to_thread(self._keyrings.current) if self._keyrings else None
        said = await self._run(data, self._environment(keyring))
        if said.code == 0:
            return said.output
        if said.code == NO_KEY:
            raise _no_key(recipients(data), said.errors)
        raise PermanentError(_REASONS.get(said.code, f"sops can't read it (exit code {said.code})"))

    def _environment(self, keyring: Keyring | None) -> Mapping[str, str]:
        found = {name: one for name, one in os.environ.items() if _PASSED.fullmatch(name)}
        for name in filter(_SECRET.search, found):
            if found[name]:
                secrets.SecretRef(env=name).read()  # so that it is masked from now on
        if self._settings.age is not None:
            found["SOPS_AGE_KEY"] = read_key(self._settings.age, what=_WHAT)
        if keyring is not None:
            found["GNUPGHOME"] = str(keyring.folder)
        return found

    async def _run(self, data: bytes, environment: Mapping[str, str]) -> Said:
        try:
            async with asyncio.timeout(self._settings.timeout):
                # Not in a folder of ours: there may be a .sops.yaml.
                return await run(COMMAND, environment=environment, data=data)
        except TimeoutError as error:
            late = f"no answer within {self._settings.timeout:g} s, see decryption.timeout"
            raise TemporaryError("sops", late) from error
        except OSError as error:
            raise PermanentError(
                "sops is not installed where cluster-applier runs; build the image with SOPS,"
                " as docs/applying.md says, or put it on its PATH"
            ) from error


def _no_key(who: Recipients, errors: str) -> PermanentError | TemporaryError:
    lines = (line for line in errors.splitlines() if not line.startswith("["))  # its log
    # A number of each request would make it news each time.
    text = _REQUEST.sub("...", " ".join(" ".join(lines).replace("|", " ").split()))
    text = text.partition(" Recovery failed")[0]
    said = _MASK(text)[:TOLD]
    reason = (
        f"none of our keys opens it; it is encrypted to {who}: give targets[].decryption one of"
        f" them, or encrypt it to ours; sops says: {said}"
    )
    return TemporaryError("sops", reason) if who.asked else PermanentError(reason)
