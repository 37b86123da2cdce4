"""
Signs commits and tags with an OpenPGP or an SSH key, by the programs that git itself uses.

The key is read anew for each signature, so it may be rotated; it reaches the programs by their
input or by a file that only we can read, never by a command line. Runs in threads.
"""

import shutil

from shared.config.git import Signing
from shared.config.secrets import SecretRef
from shared.git.objects import Sign
from shared.runtime import gnupg, programs
from shared.runtime.errors import PermanentError
from shared.runtime.own_folder import own_folder

_WHAT = "signing key"


def signer(signing: Signing | None) -> Sign | None:
    """
    Return what signs as *signing* says; None for nothing.

    Raises:
        PermanentError: the program for it is not installed.
    """
    if signing is None:
        return None
    if signing.ssh is not None:
        _check("ssh-keygen", "openssh-client")
        return SshKey(signing.ssh)
    assert signing.openpgp is not None, "the configuration asks for one of them"
    _check("gpg", "gnupg")
    return OpenPgpKey(signing.openpgp)


class SshKey:
    """An SSH private key, as `gpg.format=ssh` has it."""

    def __init__(self, key: SecretRef) -> None:
        self._key = key

    def __call__(self, data: bytes) -> str:
        """Sign *data*."""
        with own_folder("ssh") as folder:
            file = folder / "key"
            file.touch(mode=0o600)
            file.write_text(f"{programs.read(self._key, what=_WHAT)}\n")
            argv = ["ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-f", str(file)]
            return programs.run(argv, data, folder, what=_WHAT)


class OpenPgpKey:
    """An OpenPGP private key without passphrase."""

    def __init__(self, key: SecretRef) -> None:
        self._keyrings = gnupg.Keyrings(key, what=_WHAT)

    def __call__(self, data: bytes) -> str:
        """Sign *data*."""
        return self._keyrings.current().run("--armor", "--detach-sign", data=data)


def _check(program: str, package: str) -> None:
    if shutil.which(program) is None:
        raise PermanentError(f"git.signing needs {program}: install {package}")
