"""
Secrets on their way to a cluster: sealed to its public key, opened by who holds the private one.

Whoever reads the broker, its disk or its backups finds ciphertext. NaCl's sealed boxes (X25519,
XSalsa20-Poly1305) need nothing of the sender but the public key, and add `OVERHEAD` bytes to any
text, so that a bundle of equal objects is equal. Read `keys` for how a pair is made.
"""

import base64
import binascii
from dataclasses import dataclass
from hashlib import blake2b

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from shared.runtime.errors import PermanentError

OVERHEAD = 48
REMEDY = "give targets[].seal a pair of keys, see `python -m shared.bundle.keys --help`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealer:
    """Seals to one target."""

    public_key: str
    """Base64 of 32 bytes."""
    fingerprint_key: bytes
    """Only who knows it can try guesses of a Secret's value against its fingerprint."""

    @property
    def name(self) -> str:
        """A short name of the public key."""
        return blake2b(_decoded(self.public_key), digest_size=8).hexdigest()

    def seal(self, body: bytes) -> bytes:
        """Return *body* as only the holder of the private key can read it."""
        return bytes(SealedBox(PublicKey(_decoded(self.public_key))).encrypt(body))

    def digest_of(self, body: bytes) -> str:
        """Return the fingerprint of a body, as long as an open one's."""
        return blake2b(body, key=self.fingerprint_key, digest_size=8).hexdigest()


class Opener:
    """Opens what was sealed to one target."""

    def __init__(self, private_key: str) -> None:
        """
        Take the private key, base64 of 32 bytes.

        Raises:
            PermanentError: it is none.
        """
        self._key = PrivateKey(_decoded(private_key))

    def open(self, sealed: bytes) -> bytes:
        """
        Return what was sealed.

        Raises:
            PermanentError: it was sealed to another key, or was changed on its way.
        """
        try:
            return bytes(SealedBox(self._key).decrypt(sealed))
        except CryptoError as error:
            raise PermanentError(
                "it was changed on its way, or not sealed to our key: seal.public_key and"
                " seal.private_key of its target must be a pair, in the files of all services"
            ) from error


def generate() -> tuple[str, str]:
    """Return a new pair: the private key and the public one, each as base64."""
    key = PrivateKey.generate()
    return _encoded(bytes(key)), _encoded(bytes(key.public_key))


def _encoded(key: bytes) -> str:
    return base64.b64encode(key).decode()


def _decoded(key: str) -> bytes:
    try:
        decoded = base64.b64decode(key, validate=True)
    except binascii.Error:
        decoded = b""
    if len(decoded) != PrivateKey.SIZE:
        raise PermanentError(f"a key to seal with is no base64 of 32 bytes; {REMEDY}")
    return decoded
