"""
The environment of every git command that the sandbox runs: the same on all machines.

Nobody's own configuration is read, nothing is asked, and what lets a client in stands in
variables, where neither a process list nor a repository's configuration shows it.
"""

import base64
import os
import shlex
from collections.abc import Mapping
from pathlib import Path


def quiet() -> dict[str, str]:
    """Give what git needs and no person's settings."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "HOME": "/nonexistent",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": "Flux",
        "GIT_AUTHOR_EMAIL": "user@example.com",
        "GIT_COMMITTER_NAME": "Flux",
        "GIT_COMMITTER_EMAIL": "user@example.com",
    }


def access(
    http_url: str,
    *,
    username: str,
    password: str,
    private_key_file: Path | None,
    known_hosts_file: Path | None,
) -> dict[str, str]:
    """Let the git command in at *http_url* by password, and by SSH with the key."""
    login = base64.b64encode(f"{username}:{password}".encode()).decode()
    environment = quiet() | configured(
        {
            f"http.{http_url}/.extraHeader": f"Authorization: Basic {login}",
            "init.defaultBranch": "main",
        }
    )
    if private_key_file is not None and known_hosts_file is not None:
        environment["GIT_SSH_COMMAND"] = _ssh(private_key_file, known_hosts_file)
    return environment


def configured(settings: Mapping[str, str]) -> dict[str, str]:
    """Put git's own *settings* into variables."""
    variables = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings.items()):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return variables


def _ssh(private_key_file: Path, known_hosts_file: Path) -> str:
    options = {
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "UserKnownHostsFile": str(known_hosts_file),
        "GlobalKnownHostsFile": "none",
        "StrictHostKeyChecking": "yes",
        "BatchMode": "yes",
    }
    command = ["ssh", "-F", "none", "-i", str(private_key_file)]
    for name, value in options.items():
        command += ["-o", f"{name}={value}"]
    return shlex.join(command)
