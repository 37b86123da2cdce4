"""
Signs commits and tags with an OpenPGP or an SSH key, by the programs that git itself uses.

The key is read anew for each signature, so it may be rotated; it reaches the programs by their
input or by a file that only we can read, never by a command line. Runs in threads.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path

from shared.config import secrets
from shared.config.git import Signing
from shared.git.objects import Sign
from shared.runtime.errors import PermanentError, TemporaryError
from shared.runtime.masking import Masking

PATIENCE = 20.0
_MASK = Masking(secrets.known)


def signer(signing: Signing | None) -> Sign | None:
    """
    Return what signs as *signing* says; None for nothing.

    Raises:
        PermanentError: the program for it is not installed.
    """
    if signing is None:
        return None
    if signing.ssh is not None:
        return SshKey(_program("ssh-keygen", "openssh-client"), signing.ssh)
    assert signing.openpgp is not None, "the configuration asks for one of them"
    return OpenPgpKey(_program("gpg", "gnupg"), signing.openpgp)


class SshKey:
    """An SSH private key, as `gpg.format=ssh` has it."""

    def __init__(self, program: str, key: secrets.SecretRef) -> None:
        self._program = program
        self._key = key

    def __call__(self, data: bytes) -> str:
        """Sign *data*."""
        with tempfile.TemporaryDirectory(prefix="flux-") as folder:
            file = Path(folder) / "key"
            file.touch(mode=0o600)
            file.write_text(f"{_read(self._key)}\n")
            argv = [self._program, "-q", "-Y", "sign", "-n", "git", "-f", str(file)]
            return _run(argv, data, Path(folder))


class OpenPgpKey:
    """An OpenPGP private key without passphrase, in a keyring of its own."""

    def __init__(self, program: str, key: secrets.SecretRef) -> None:
        self._program = program
        self._key = key
        self._keyring: _Keyring | None = None
        self._lock = threading.Lock()

    def __call__(self, data: bytes) -> str:
        """Sign *data*."""
        key = _read(self._key)
        digest = hashlib.sha256(key.encode()).hexdigest()
        with self._lock:
            if self._keyring is None or self._keyring.digest != digest:
                self._keyring = _Keyring(self._program, key, digest)
            return self._keyring.sign(data)


class _Keyring:
    """A folder of gpg with one key in it; gpg's agent ends by itself when the folder is gone."""

    def __init__(self, program: str, key: str, digest: str) -> None:
        self.digest = digest
        # In a short path: below it there is a socket, whose name may have 107 characters.
        self._folder = Path(tempfile.mkdtemp(prefix="flux-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._argv = [program, "--homedir", str(self._folder), "--batch", "--quiet", "--no-tty"]
        self._run("--import", data=key.encode())

    def sign(self, data: bytes) -> str:
        """Sign *data* with the one key."""
        return self._run("--armor", "--detach-sign", data=data)

    def _run(self, *arguments: str, data: bytes) -> str:
        return _run([*self._argv, *arguments], data, self._folder)


def _program(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise PermanentError(f"git.signing needs {name}: install {package}")
    return found


def _read(key: secrets.SecretRef) -> str:
    try:
        return key.read()
    except PermanentError as error:  # people can put it there, and the same work succeeds
        raise TemporaryError("signing key", str(error)) from error


def _run(argv: Sequence[str], data: bytes, home: Path) -> str:
    environment: Mapping[str, str] = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LC_ALL": "C",
    }
    try:
        done = subprocess.run(
            argv, input=data, capture_output=True, env=environment, timeout=PATIENCE, check=True
        )
    except subprocess.CalledProcessError as error:
        said = " ".join(error.stderr.decode(errors="replace").split())
        raise TemporaryError("signing key", _MASK(f"{Path(argv[0]).name}: {said}")) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TemporaryError("signing key", f"{Path(argv[0]).name} does not sign") from error
    return done.stdout.decode()
