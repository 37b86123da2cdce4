"""
Small stand-ins for the APIs of git hosts, as far as pull requests go.

They take what the published schemas take: the paths, the way a token is shown, the fields that are
required and no others. What is wrong is a 400 that says so.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

TOKEN = "pull-request-token"

Show = Callable[[int, Mapping[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a host's schema says."""

    prefix: str
    path: str
    token: tuple[str, str]
    required: frozenset[str]
    known: frozenset[str]
    update: str
    changeable: frozenset[str]
    show: Show


def _github(number: int, one: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "number": number,
        "html_url": f"https://host.example.com/pull/{number}",
        "title": one["title"],
        "body": one.get("body"),
        "state": one["state"],
        "head": {"ref": one["head"], "repo": {"id": one.get("fork", 1)}},
        "base": {"ref": one["base"], "repo": {"id": 1}},
    }


def _gitlab(number: int, one: Mapping[str, Any]) -> Mapping[str, Any]:
    same = {key: one.get(key) for key in ("title", "description", "source_branch", "target_branch")}
    url = f"https://host.example.com/pull/{number}"
    projects = {"source_project_id": one.get("fork", 1), "target_project_id": 1}
    numbers = {"id": 9000 + number, "iid": number}
    return {**numbers, "web_url": url, "state": one["state"], **same, **projects}


def _bitbucket(number: int, one: Mapping[str, Any]) -> Mapping[str, Any]:
    same = {key: one.get(key) for key in ("title", "description")}
    source = {**one["source"], "repository": {"uuid": f"{{{one.get('fork', 1)}}}"}}
    ends = {"source": source, "destination": {**one["destination"], "repository": {"uuid": "{1}"}}}
    links = {"html": {"href": f"https://host.example.com/pull/{number}"}}
    return {"id": number, "links": links, "state": one["state"], **same, **ends}


RULES = {
    "github": Rules(
        prefix="",
        path="repos/{project}/pulls",
        token=("Authorization", f"Bearer {TOKEN}"),
        required=frozenset({"head", "base", "title"}),
        known=frozenset({"title", "head", "base", "body", "draft", "maintainer_can_modify"}),
        update="PATCH",
        changeable=frozenset({"title", "body", "state", "base"}),
        show=_github,
    ),
    "gitea": Rules(
        prefix="/api/v1",
        path="repos/{project}/pulls",
        token=("Authorization", f"token {TOKEN}"),
        required=frozenset({"head", "base", "title"}),
        known=frozenset({"title", "head", "base", "body", "assignee", "labels", "milestone"}),
        update="PATCH",
        changeable=frozenset({"title", "body", "state", "base"}),
        show=_github,
    ),
    "gitlab": Rules(
        prefix="/api/v4",
        path="projects/{quoted}/merge_requests",
        token=("PRIVATE-TOKEN", TOKEN),
        required=frozenset({"source_branch", "target_branch", "title"}),
        known=frozenset({"source_branch", "target_branch", "title", "description", "labels"}),
        update="PUT",
        changeable=frozenset({"title", "description", "state_event"}),
        show=_gitlab,
    ),
    "bitbucket": Rules(
        prefix="/2.0",
        path="repositories/{project}/pullrequests",
        token=("Authorization", f"Bearer {TOKEN}"),
        required=frozenset({"title", "source"}),
        known=frozenset({"title", "source", "destination", "description", "reviewers"}),
        update="PUT",
        changeable=frozenset({"title", "description"}),
        show=_bitbucket,
    ),
}


@dataclass(kw_only=True)
class PullHost:
    """A host with requests, by number."""

    kind: str
    rules: Rules
    project: str
    url: str = ""
    requests: dict[int, dict[str, Any]] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)
    down: int = 0
    """The status of all answers, where it is not 0."""

    def open(self) -> list[Mapping[str, Any]]:
        return [
            self.rules.show(number, one)
            for number, one in self.requests.items()
            if one["state"] == "open" and "fork" not in one
        ]

    def forked(self) -> None:
        """Have every request once more, from a fork whose branch has the same name."""
        for number, one in [*self.requests.items()]:
            self.requests[number + 1_000] = {**one, "fork": 2}

    def listed(self) -> list[Mapping[str, Any]]:
        """What a list of open requests has, the newest first: forks' too, as where no filter is."""
        return [
            self.rules.show(number, one)
            for number, one in reversed(self.requests.items())
            if one["state"] == "open"
        ]

    async def answer(self, request: web.Request) -> web.Response:
        raw = request.raw_path.partition("?")[0].removeprefix(f"{self.rules.prefix}/")
        self.heard.append(f"{request.method} {raw}")
        name, value = self.rules.token
        if self.down or request.headers.get(name) != value:
            return web.json_response({"message": f"no: {value}"}, status=self.down or 401)
        path = self.rules.path.format(project=self.project, quoted=self.project.replace("/", "%2F"))
        if not raw.startswith(path):
            return web.json_response({"message": "Not Found"}, status=404)
        rest = raw.removeprefix(path).strip("/").split("/")
        body = await request.json() if request.can_read_body else {}
        try:
            return web.json_response(self._answer(request, [p for p in rest if p], body))
        except ValueError as error:
            return web.json_response({"message": str(error)}, status=400)

    def _answer(self, request: web.Request, rest: list[str], body: Mapping[str, Any]) -> Any:
        if request.method == "GET" and not rest:
            found = self.listed() if request.query.get("page", "1") == "1" else []
            return {"values": found} if self.rules.show is _bitbucket else found
        if request.method == "POST" and not rest:
            return self._opened(body)
        one = self.requests[int(rest[0])]
        if rest[1:] == ["decline"] and request.method == "POST":
            one["state"] = "closed"
        elif request.method == self.rules.update:
            self._update(one, body)
        else:
            raise ValueError(f"{request.method} is not allowed here")
        return self.rules.show(int(rest[0]), one)

    def _opened(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        missing, unknown = self.rules.required - set(body), set(body) - self.rules.known
        if missing or unknown:
            raise ValueError(f"missing {sorted(missing)}, unknown {sorted(unknown)}")
        if self.open():
            raise ValueError("a pull request for these branches already exists")
        number = len(self.requests) + 1
        self.requests[number] = {**body, "state": "open"}
        return self.rules.show(number, self.requests[number])

    def _update(self, one: dict[str, Any], body: Mapping[str, Any]) -> None:
        if unknown := set(body) - self.rules.changeable:
            raise ValueError(f"unknown {sorted(unknown)}")
        closing = body.get("state") == "closed" or body.get("state_event") == "close"
        one.update(body)
        one["state"] = "closed" if closing else one["state"]


@asynccontextmanager
async def pull_host(kind: str, project: str) -> AsyncIterator[PullHost]:
    host = PullHost(kind=kind, rules=RULES[kind], project=project)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", host.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    _, port = runner.addresses[0][:2]
    host.url = f"http://127.0.0.1:{port}{host.rules.prefix}"
    try:
        yield host
    finally:
        await runner.cleanup()


def words(one: Mapping[str, Any]) -> tuple[str, str]:
    """Return title and body of a request as any host shows it."""
    return one["title"], one.get("body") or one.get("description") or ""
