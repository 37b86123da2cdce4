"""Names as they are typed, and what is meant where something is left out."""

import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fluxctl.errors import CommandError

_FULL = re.compile(r"(<cluster>|[a-zA-Z0-9_-]+):([a-zA-Z0-9_-]+)/([a-zA-Z0-9_.:-]+)")
_SHORT = re.compile(r"([a-zA-Z0-9_-]+)/([a-zA-Z0-9_.:-]+)")
_KINDS = ("glob:", "semver:", "regexp:")


def workload(name: str, namespace: str) -> str:
    """Return the full id of a workload, `namespace:kind/name`."""
    if found := _FULL.fullmatch(name):
        return f"{found[1]}:{found[2].lower()}/{found[3]}"
    if found := _SHORT.fullmatch(name):
        return f"{namespace}:{found[1].lower()}/{found[2]}"
    raise CommandError(f"parsing {name}: invalid service ID\nWrite kind/name, like deployment/web.")


def listed(values: Iterable[str]) -> list[str]:
    """Take options that repeat and options with commas alike."""
    return [one for value in values for one in value.split(",") if one]


def pattern(text: str) -> str:
    """Return a tag pattern with its kind."""
    if text.startswith("regex:"):
        return "regexp:" + text.removeprefix("regex:")
    return text if text.startswith(_KINDS) else f"glob:{text}"


def image(text: str) -> str:
    """Return an image to update to; it must say its tag."""
    name = text.partition("@")[0]
    if name.rfind(":") <= name.rfind("/"):
        raise CommandError(
            "blank tag (if you want latest, explicitly state the tag :latest): invalid image ID"
        )
    return text


def namespace(context: str | None) -> str:
    """Return the namespace of kubectl's context, else `default`."""
    configs = [_loaded(path) for path in _kubeconfigs()]
    wanted = context or next(filter(None, (one.get("current-context") for one in configs)), None)
    for config in configs:
        for one in config.get("contexts") or ():
            if isinstance(one, Mapping) and one.get("name") == wanted:
                return str((one.get("context") or {}).get("namespace") or "default")
    return "default"


def user() -> str:
    """Return `Name <email>` of git's configuration, or what of it there is."""
    name, email = (_git_config(key) for key in ("user.name", "user.email"))
    return f"{name} <{email}>" if name and email else name or email


def _kubeconfigs() -> list[Path]:
    named = os.environ.get("KUBECONFIG", "")
    return [Path(one) for one in named.split(os.pathsep) if one] or [Path("~/.kube/config")]


def _loaded(path: Path) -> Mapping[str, Any]:
    try:
        text = path.expanduser().read_text()
    except (OSError, RuntimeError, UnicodeDecodeError):
        return {}
    import yaml  # noqa: PLC0415 - slow to load, and mostly not needed

    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, Mapping) else {}


def _git_config(key: str) -> str:
    argv = ["git", "config", "--get", key]
    try:
        found = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip()
