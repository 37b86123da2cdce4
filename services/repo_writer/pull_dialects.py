"""
How each host of pull requests words what is done with them.

GitHub, GitLab, Gitea (and Forgejo) and Bitbucket Cloud differ in paths, in names of fields and in
how a token is shown. Nothing is sent here: `pull_requests` does that.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

from services.repo_writer.domain.proposal import Proposal

APIS = {
    "github": "https://api.github.com",
    "gitlab": "https://gitlab.com/api/v4",
    "bitbucket": "https://api.bitbucket.org/2.0",
}
"""Where the API of a public host is; the others have it below their own name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A request that is open."""

    number: str
    url: str
    title: str
    body: str


class Dialect(Protocol):
    """How a host words it. Paths are relative to its API and to the repository."""

    def headers(self, token: str) -> Mapping[str, str]:
        """Return how a token is shown."""

    def listing(self, head: str, base: str) -> tuple[str, Mapping[str, str]]:
        """Return where the open requests are listed."""

    def found(self, one: Mapping[str, Any], head: str, base: str) -> Found | None:
        """Return what an item of the list says, if it is of these branches."""

    def opening(self, head: str, base: str, what: Proposal) -> tuple[str, Mapping[str, Any]]:
        """Return where and with what a request is opened, by POST."""

    def updating(self, number: str, what: Proposal) -> tuple[str, str, Mapping[str, Any]]:
        """Return how its words are changed."""

    def closing(self, number: str) -> tuple[str, str, Mapping[str, Any]]:
        """Return how it is closed without a merge."""


class GitHub:
    """GitHub, also Enterprise, of API version 2022-11-28."""

    def __init__(self, project: str) -> None:
        self._owner = project.partition("/")[0]
        self._pulls = f"repos/{quote(project)}/pulls"

    def headers(self, token: str) -> Mapping[str, str]:
        """Show the token as a bearer."""
        return {
            "Authorization": f"Bearer {token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }

    def listing(self, head: str, base: str) -> tuple[str, Mapping[str, str]]:
        """List by branches."""
        return self._pulls, {"state": "open", "head": f"{self._owner}:{head}", "base": base}

    def found(self, one: Mapping[str, Any], head: str, base: str) -> Found | None:
        """Take what is of these branches."""
        if (one["head"]["ref"], one["base"]["ref"]) != (head, base) or _is_forked(
            one["head"].get("repo"), one["base"].get("repo"), "id"
        ):
            return None
        number, body = str(one["number"]), one.get("body") or ""
        return Found(number=number, url=one["html_url"], title=one["title"], body=body)

    def opening(self, head: str, base: str, what: Proposal) -> tuple[str, Mapping[str, Any]]:
        """Open it from head to base."""
        return self._pulls, {"title": what.title, "body": what.body, "head": head, "base": base}

    def updating(self, number: str, what: Proposal) -> tuple[str, str, Mapping[str, Any]]:
        """Change title and body."""
        return "PATCH", f"{self._pulls}/{number}", {"title": what.title, "body": what.body}

    def closing(self, number: str) -> tuple[str, str, Mapping[str, Any]]:
        """Close it by its state."""
        return "PATCH", f"{self._pulls}/{number}", {"state": "closed"}


class Gitea(GitHub):
    """Gitea and Forgejo: GitHub's words, but for the token and the list, which has no filter."""

    def headers(self, token: str) -> Mapping[str, str]:
        """Show the token in Gitea's own way."""
        return {"Authorization": f"token {token}", "Accept": "application/json"}

    def listing(self, head: str, base: str) -> tuple[str, Mapping[str, str]]:
        """List all that are open."""
        del head, base
        return self._pulls, {"state": "open", "limit": "50"}


class GitLab:
    """GitLab, whose requests are merge requests with numbers of their project."""

    def __init__(self, project: str) -> None:
        self._requests = f"projects/{quote(project, safe='')}/merge_requests"

    def headers(self, token: str) -> Mapping[str, str]:
        """Show the token in GitLab's own header."""
        return {"PRIVATE-TOKEN": token}

    def listing(self, head: str, base: str) -> tuple[str, Mapping[str, str]]:
        """List by branches."""
        return self._requests, {"state": "opened", "source_branch": head, "target_branch": base}

    def found(self, one: Mapping[str, Any], head: str, base: str) -> Found | None:
        """Take what is of these branches."""
        if (one["source_branch"], one["target_branch"]) != (head, base) or (
            one.get("source_project_id") != one.get("target_project_id")
        ):
            return None
        number, body = str(one["iid"]), one.get("description") or ""
        return Found(number=number, url=one["web_url"], title=one["title"], body=body)

    def opening(self, head: str, base: str, what: Proposal) -> tuple[str, Mapping[str, Any]]:
        """Open it from source to target."""
        words = {"title": what.title, "description": what.body}
        return self._requests, {"source_branch": head, "target_branch": base, **words}

    def updating(self, number: str, what: Proposal) -> tuple[str, str, Mapping[str, Any]]:
        """Change title and description."""
        words = {"title": what.title, "description": what.body}
        return "PUT", f"{self._requests}/{number}", words

    def closing(self, number: str) -> tuple[str, str, Mapping[str, Any]]:
        """Close it by an event."""
        return "PUT", f"{self._requests}/{number}", {"state_event": "close"}


class Bitbucket:
    """Bitbucket Cloud."""

    def __init__(self, project: str) -> None:
        self._requests = f"repositories/{quote(project)}/pullrequests"

    def headers(self, token: str) -> Mapping[str, str]:
        """Show the token as a bearer."""
        return {"Authorization": f"Bearer {token}", "Accept": "application/json"}

    def listing(self, head: str, base: str) -> tuple[str, Mapping[str, str]]:
        """List by a query; names of branches hold no quotes."""
        query = f'source.branch.name="{head}" AND destination.branch.name="{base}" AND state="OPEN"'
        return self._requests, {"q": query}

    def found(self, one: Mapping[str, Any], head: str, base: str) -> Found | None:
        """Take what is of these branches."""
        source, destination = one["source"], one["destination"]
        if (source["branch"]["name"], destination["branch"]["name"]) != (head, base) or _is_forked(
            source.get("repository"), destination.get("repository"), "uuid"
        ):
            return None
        url, body = one["links"]["html"]["href"], one.get("description") or ""
        return Found(number=str(one["id"]), url=url, title=one["title"], body=body)

    def opening(self, head: str, base: str, what: Proposal) -> tuple[str, Mapping[str, Any]]:
        """Open it from source to destination."""
        return self._requests, {
            "title": what.title,
            "description": what.body,
            "source": {"branch": {"name": head}},
            "destination": {"branch": {"name": base}},
        }

    def updating(self, number: str, what: Proposal) -> tuple[str, str, Mapping[str, Any]]:
        """Change title and description."""
        words = {"title": what.title, "description": what.body}
        return "PUT", f"{self._requests}/{number}", words

    def closing(self, number: str) -> tuple[str, str, Mapping[str, Any]]:
        """Decline it."""
        return "POST", f"{self._requests}/{number}/decline", {}


def _is_forked(of: Mapping[str, Any] | None, into: Mapping[str, Any] | None, key: str) -> bool:
    """Tell whether anybody may have opened it: their branch may be called as ours is."""
    return (of or {}).get(key) != (into or {}).get(key)


DIALECTS: Mapping[str, Callable[[str], Dialect]] = {
    "github": GitHub,
    "gitlab": GitLab,
    "gitea": Gitea,
    "bitbucket": Bitbucket,
}
"""By the name of the host in the configuration; each is made for a project."""
