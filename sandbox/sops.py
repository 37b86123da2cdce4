"""Encrypts files as people do, with keys that it makes: age's, and OpenPGP's."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox import apt, process, sops_build
from sandbox.errors import MissingError
from sandbox.progress import Say, to_stderr


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Two pairs of keys: the private halves lie in files, as people keep them."""

    programs: Path
    """The folder of sops."""
    age: str
    age_file: Path
    openpgp: str
    openpgp_file: Path
    home: Path
    """Where gpg keeps the pair."""

    async def encrypted(self, text: str, *arguments: str) -> str:
        """Return *text* encrypted by sops; *arguments* are its own: `--age`, `--pgp`, rules."""
        return await self._sops("encrypt", text, *arguments)

    async def rotated(self, text: str) -> str:
        """Return an encrypted file with a new data key, and so with other bytes."""
        file = self.home / "rotated.yaml"
        file.write_text(text)
        await process.run([self.programs / "sops", "rotate", "-i", file], env=self._environment())
        return file.read_text()

    async def _sops(self, what: str, text: str, *arguments: str) -> str:
        file = self.home / "plain.yaml"
        file.write_text(text)
        argv = [self.programs / "sops", what, *arguments, file]
        return await process.run(argv, env=self._environment())

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self.programs}:/usr/bin:/bin",
            "HOME": str(self.home),
            "GNUPGHOME": str(self.home),
            "SOPS_AGE_KEY_FILE": str(self.age_file),
        }


@asynccontextmanager
async def keys(directory: Path, *, say: Say = to_stderr) -> AsyncIterator[Keys]:
    """
    Make keys below *directory*, which must have a short name: gpg's sockets lie there.

    What gpg starts for them ends with the block.

    Raises:
        MissingError: gpg is not there, and may not be installed.
    """
    programs = await sops_build.build(say=say)
    if shutil.which("gpg") is None:
        if not apt.is_allowed():
            raise MissingError("gpg is not installed: install gnupg")
        await apt.install("gnupg", why="encrypts with OpenPGP keys", say=say)
    home = directory / "gnupg"
    home.mkdir(mode=0o700)
    try:
        yield await _made(directory, programs, home)
    finally:
        await process.run(["gpgconf", "--homedir", home, "--kill", "gpg-agent"])


async def _made(directory: Path, programs: Path, home: Path) -> Keys:
    age_file = directory / "age.key"
    await process.run([programs / "age-keygen", "-o", age_file])
    age = (await process.run([programs / "age-keygen", "-y", age_file])).strip()
    openpgp_file = directory / "openpgp.asc"
    gpg = ["gpg", "--homedir", home, "--batch", "--quiet", "--passphrase", ""]
    who = ["Flux <flux@localhost>", "future-default", "default", "never"]
    await process.run([*gpg, "--quick-gen-key", *who])
    openpgp_file.write_text(await process.run([*gpg, "--armor", "--export-secret-keys"]))
    listed = await process.run([*gpg, "--list-keys", "--with-colons"])
    openpgp = next(line for line in listed.splitlines() if line.startswith("fpr")).split(":")[9]
    return Keys(
        programs=programs,
        age=age,
        age_file=age_file,
        openpgp=openpgp,
        openpgp_file=openpgp_file,
        home=home,
    )
