"""
The SSH door of the git host: a real ``sshd`` on loopback, for this user, for git alone.

It has a host key and an authorized key of its own; no account, key or configuration of the
machine counts.
"""

import os
import pwd
import shlex
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sandbox import apt, process
from sandbox.errors import SandboxError
from sandbox.ports import free_port
from sandbox.progress import Say

_KNOWN = ("/usr/sbin/sshd", "/usr/local/sbin/sshd")
_START_TIMEOUT = 20.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class SshDoor:
    """Where the door is, the key that opens it, and the key by which it is known."""

    url: str
    private_key_file: Path
    known_hosts_file: Path


@asynccontextmanager
async def sshd(directory: Path, root: Path, *, say: Say) -> AsyncIterator[SshDoor | None]:
    """Serve the repositories below *root* by SSH; None, and said why, if that cannot be."""
    if _find_sshd() is None and apt.is_allowed():
        await apt.install("openssh-server", why="git is served by SSH, too", say=say)
    server, user = _find_sshd(), _user()
    if server is None or user is None:
        missing = (
            "no account with a shell for this user" if server else "no sshd: install openssh-server"
        )
        say(f"git is served by HTTP alone, not by SSH: there is {missing}")
        yield None
        return
    port = free_port()
    await _make_keys(directory, port)
    configuration = _configure(directory, root, port)
    await _allow_many_failures(server, configuration)
    argv = [server, "-D", "-e", "-f", configuration]
    async with process.running("sshd", argv, log=directory / "sshd.log", grace=2) as child:

        async def is_ready() -> bool:
            return await process.greets(port, b"", b"SSH-2.0")

        await child.wait_until(is_ready, timeout=_START_TIMEOUT)
        yield SshDoor(
            url=f"ssh://{user}@127.0.0.1:{port}",
            private_key_file=directory / "client_key",
            known_hosts_file=directory / "known_hosts",
        )


async def _make_keys(directory: Path, port: int) -> None:
    _remove_keys(directory)
    for name in ("host_key", "client_key"):
        keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "sandbox", "-f"]
        await process.run([*keygen, directory / name])
    _make_known(directory, port)


def _remove_keys(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name in ("host_key", "client_key"):
        (directory / name).unlink(missing_ok=True)  # ssh-keygen would ask


def _make_known(directory: Path, port: int) -> None:
    client = (directory / "client_key.pub").read_text()
    (directory / "authorized_keys").write_text(client)
    kind, key, _ = (directory / "host_key.pub").read_text().split()
    (directory / "known_hosts").write_text(f"[127.0.0.1]:{port} {kind} {key}\n")


def _configure(directory: Path, root: Path, port: int) -> Path:
    only_git = directory / "only-git"
    only_git.write_text(_only_git(root))
    only_git.chmod(0o755)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd insists when it is root
    configuration = directory / "sshd_config"
    configuration.write_text(_configuration(directory, only_git, port))
    return configuration


def _configuration(directory: Path, only_git: Path, port: int) -> str:
    quoted = str(directory).replace("%", "%%")
    settings = {
        "ListenAddress": "127.0.0.1",
        "Port": str(port),
        "HostKey": f'"{directory}/host_key"',
        "AuthorizedKeysFile": f'"{quoted}/authorized_keys"',
        "PidFile": "none",
        "UsePAM": "no",
        # The directory may lie below one that others may write to, such as /tmp.
        "StrictModes": "no",
        "PermitRootLogin": "prohibit-password",
        "AuthenticationMethods": "publickey",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "ForceCommand": shlex.quote(str(only_git)),
        "AcceptEnv": "GIT_PROTOCOL",
        "DisableForwarding": "yes",
        "PermitTTY": "no",
        "PermitUserRC": "no",
        "PermitUserEnvironment": "no",
        "UseDNS": "no",
        "MaxStartups": "200",
        "PrintMotd": "no",
        "LogLevel": "VERBOSE",
    }
    return "".join(f"{name} {value}\n" for name, value in settings.items())


async def _allow_many_failures(server: Path, configuration: Path) -> None:
    # Newer ones (9.8) make an address wait that gave a wrong key, older ones do not know the word.
    option = "PerSourcePenalties no"
    with suppress(SandboxError):
        await process.run([server, "-t", "-f", configuration, "-o", option])
        _append(configuration, option)


def _append(path: Path, line: str) -> None:
    with path.open("a") as text:
        text.write(f"{line}\n")


def _only_git(root: Path) -> str:
    """Write the command that every session gets in the place of what it asks for."""
    return f"""#!/bin/sh
# Fetches and pushes below the repositories' folder, and nothing else.
refuse() {{ echo "this server serves git alone" >&2; exit 128; }}

case "$SSH_ORIGINAL_COMMAND" in
  "git-upload-pack '/"*"'") verb=upload-pack ;;
  "git-receive-pack '/"*"'") verb=receive-pack ;;
  *) refuse ;;
esac
name=${{SSH_ORIGINAL_COMMAND#*\\'/}}
name=${{name%\\'}}
case "$name" in *[!A-Za-z0-9._/-]* | *..* | -* | /*) refuse ;; esac

export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
PATH={shlex.quote(os.environ.get("PATH", os.defpath))}
cd {shlex.quote(str(root))} && exec git "$verb" "$name"
"""


def _find_sshd() -> Path | None:
    found = shutil.which("sshd") or next(filter(os.path.exists, _KNOWN), None)
    # It starts itself again for each connection, by this path.
    return Path(found).absolute() if found else None


def _user() -> str | None:
    try:
        account = pwd.getpwuid(os.geteuid())
    except KeyError:
        return None
    # sshd runs what it runs by the account's shell.
    return None if account.pw_shell.endswith(("/nologin", "/false")) else account.pw_name
