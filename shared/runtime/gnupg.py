"""
OpenPGP keys for programs that ask gpg: each secret in a folder of gpg of its own.

Keys reach gpg by its input, never by a command line. Runs in threads.
"""

import hashlib
import threading
import weakref

from shared.config.secrets import SecretRef
from shared.runtime import programs
from shared.runtime.own_folder import OwnFolder


class Keyring:
    """A folder of gpg; gpg's agent ends by itself when the folder is gone."""

    def __init__(self, keys: str, *, what: str) -> None:
        self.digest = hashlib.sha256(keys.encode()).hexdigest()
        # In a short path: below it there is a socket, whose name may have 107 characters.
        own = OwnFolder("gpg")
        self.folder = own.path
        weakref.finalize(self, own.remove)
        self._what = what
        self.run("--import", data=keys.encode())

    def run(self, *arguments: str, data: bytes) -> str:
        """Return what gpg makes of *data*."""
        argv = ["gpg", "--homedir", str(self.folder), "--batch", "--quiet", "--no-tty"]
        return programs.run([*argv, *arguments], data, self.folder, what=self._what)


class Keyrings:
    """The keyring of one secret, which may be rotated."""

    def __init__(self, key: SecretRef, *, what: str) -> None:
        """*what* names the key to people: `signing key`."""
        self._key = key
        self._what = what
        self._keyring: Keyring | None = None
        self._lock = threading.Lock()

    def current(self) -> Keyring:
        """
        Return the keyring of what the secret is now.

        Raises:
            TemporaryError: the secret can't be read, or holds no keys.
        """
        keys = programs.read(self._key, what=self._what)
        with self._lock:
            known = self._keyring
            if known is None or known.digest != hashlib.sha256(keys.encode()).hexdigest():
                known = self._keyring = Keyring(keys, what=self._what)
            return known
