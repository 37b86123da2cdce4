"""Commits and the sync tag are signed as git itself would sign them."""

import subprocess
import tempfile
from pathlib import Path

import pytest

from sandbox.errors import SandboxError
from shared.contract import Cause, UpdatePushed
from shared.runtime.errors import TemporaryError
from tests.integration.writer_world import BY_BOTH_DOORS, World, completed, handle, tag
from tests.unit.repo_writer.given import (
    HOST,
    WEB,
    events,
    found,
    policies,
    release,
    said,
)

pytestmark = BY_BOTH_DOORS


def run(*argv: object, data: str = "") -> str:
    command = [str(one) for one in argv]
    done = subprocess.run(command, input=data, capture_output=True, text=True, check=True)
    return done.stdout


def ssh_key(folder: Path) -> tuple[Path, dict[str, str]]:
    """Make a key; return it, and the settings by which git verifies it."""
    key = folder / "signing"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    key.chmod(0o644)  # as Kubernetes mounts it for a group
    allowed = folder / "allowed"
    allowed.write_text(f"flux@localhost {key.with_suffix('.pub').read_text()}")
    return key, {"gpg.format": "ssh", "gpg.ssh.allowedSignersFile": str(allowed)}


def openpgp_key(folder: Path) -> tuple[Path, dict[str, str]]:
    home = Path(tempfile.mkdtemp(prefix="gpg-"))  # a short path: gpg's sockets lie there
    gpg = ("gpg", "--homedir", home, "--batch", "--quiet")
    run(*gpg, "--passphrase", "", "--quick-generate-key", "Flux <flux@localhost>", "ed25519")
    key = folder / "signing"
    key.write_text(run(*gpg, "--armor", "--export-secret-keys"))
    wrapper = folder / "verify"
    wrapper.write_text(f'#!/bin/sh\nexec gpg --homedir {home} "$@"\n')
    wrapper.chmod(0o755)
    return key, {"gpg.program": str(wrapper)}


@pytest.mark.parametrize("kind", ["ssh", "openpgp"])
async def test_commits_and_the_tag_are_signed_as_git_verifies(world: World, kind: str) -> None:
    key, settings = (ssh_key if kind == "ssh" else openpgp_key)(world.root)
    signing = {kind: {"file": str(key)}}
    repo = await world.writer(signing=signing, set_author=True)
    lock = policies(WEB, note="x", cause=Cause(user="Änn <a@b>", message="grün"))
    await handle(repo, said(lock))
    await handle(repo, said(release(f"{HOST}/web:1.1.0", WEB)))
    await world.log()
    await handle(repo, said(completed(await world.copy.head())))

    await tag(world)
    verify = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    for what in ("verify-commit HEAD", "verify-commit HEAD^", "verify-tag flux-sync"):
        await world.copy.git(*verify, *what.split())
    with pytest.raises(SandboxError):
        await world.copy.git(*verify, "verify-commit", "HEAD~2")
    await world.copy.git("fsck", "--strict", "--no-dangling")


@pytest.mark.parametrize("kind", ["ssh", "openpgp"])
async def test_a_key_that_cannot_sign_is_waited_for_and_never_shown(
    world: World, kind: str
) -> None:
    key = world.root / "signing"
    repo = await world.writer(signing={kind: {"file": str(key)}})
    with pytest.raises(TemporaryError, match=r"signing key: secret file .*No such file"):
        await handle(repo, said(found()))
    key.write_text("-----BEGIN A KEY-----\nhunter2hunter2\n")
    with pytest.raises(TemporaryError, match=r"signing key: (gpg|ssh-keygen): ") as caught:
        await handle(repo, said(found()))
    assert "hunter2" not in str(caught.value)

    key.unlink()
    (ssh_key if kind == "ssh" else openpgp_key)(world.root)
    assert events(await handle(repo, said(found())), UpdatePushed)
