"""Repositories and syncs, for people."""

from collections.abc import Mapping
from typing import Any, Protocol

from services.gateway.domain.view import View
from shared.git.identity import host
from shared.runtime.masking import without_userinfo


class Repository(Protocol):
    """A branch as it is configured."""

    @property
    def url(self) -> str:
        """Without credentials."""

    @property
    def branch(self) -> str:
        """Empty for the remote's HEAD."""

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of all its syncs."""

    @property
    def syncs(self) -> tuple[str, ...]:
        """The names of its syncs."""


NO_KEY: Mapping[str, Any] = {"key": "", "fingerprints": None}
"""The gateway knows no key of git's; it is in the secrets of the stages that use it."""


def git_repo_config(repositories: Mapping[str, Repository], view: View) -> Mapping[str, Any]:
    """Return the first repository and its state, as Flux v1's `git-repo-config` does."""
    one = next(iter(repositories.values()), None)
    if one is None:
        return _config("", "", (), "unconfigured", "")
    state = next((view.declared[name] for name in one.syncs if name in view.declared), None)
    down = _git_down(one.url, view)
    status = "unreachable" if down else "ready" if state else "new"
    return _config(one.url, one.branch or (state.branch if state else ""), one.paths, status, down)


def _config(
    url: str, branch: str, paths: tuple[str, ...], status: str, errors: str
) -> Mapping[str, Any]:
    return {
        "remote": {"url": url, "branch": branch, "path": ",".join(paths)},
        "publicSSHKey": NO_KEY,
        "status": status,
        "errors": errors,
    }


def syncs(repositories: Mapping[str, Repository], view: View) -> list[Mapping[str, Any]]:
    """Return how far each sync is, and what is wrong with it."""
    return [_sync(name, one, view) for one in repositories.values() for name in one.syncs]


def _sync(name: str, one: Repository, view: View) -> Mapping[str, Any]:
    state, done, failed = view.declared.get(name), view.completed.get(name), view.failed.get(name)
    problems = {(p.file, p.line): p.message for p in (state.problems if state else ())}
    return {
        "name": name,
        "url": one.url,
        "branch": one.branch or (state.branch if state else ""),
        "paths": list(one.paths),
        "declared": state.revision if state else "",
        "applied": done.revision if done else "",
        "objects": state.objects if state else 0,
        "encrypted": [one.file for one in state.encrypted] if state else [],
        "workloads": len(state.workloads) if state else 0,
        "counts": dict(done.counts) if done else {},
        "failed": view.errors.get(name, {}),
        "error": failed.reason if failed else "",
        "held": view.held[name].reason if name in view.held else "",
        "healthy": done.healthy if done else None,
        "unhealthy": {one.id: one.message for one in done.unhealthy} if done else {},
        "problems": [
            {"file": file, "line": line, "message": message}
            for (file, line), message in problems.items()
        ],
        "pruned": done.pruned if done else None,
        "prune_reason": done.prune_reason if done else "",
        "prune_held": done.prune_held if done else 0,
        "dependencies_down": {
            dependency: without_userinfo(reason) for dependency, reason in view.down.items()
        },
    }


def _git_down(url: str, view: View) -> str:
    name = f"git host {host(url)}"
    reason = view.down.get(name)
    return without_userinfo(f"{name}: {reason}") if reason else ""
