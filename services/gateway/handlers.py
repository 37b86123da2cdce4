"""
What the gateway does for a request: signals, orders and questions on the bus.

Nothing is answered before the broker has confirmed it. What can't be said within a few seconds is
an error that names who is silent, never a request that hangs.
"""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

from services.gateway.domain import images
from services.gateway.domain.errors import missing, unavailable, unprocessable
from services.gateway.domain.services import current_images
from services.gateway.domain.specs import (
    ALL,
    GitChange,
    ImageChange,
    Request,
    Spec,
)
from services.gateway.domain.view import View
from services.gateway.ports import Post
from services.gateway.settings import Settings
from shared.bus.port import NoAnswerError
from shared.contract import (
    ContainersSpec,
    Draft,
    HeadQuestion,
    HeadTold,
    ImageSpec,
    PlanMade,
    PlanQuestion,
    PolicySpec,
    PollRequested,
    ScanRequested,
    SyncRequested,
    Tag,
    TagsListed,
    TagsQuestion,
    UpdateRequested,
)
from shared.contract.envelope import uuid7
from shared.git.identity import same_repository
from shared.images import ImageRef, InvalidReferenceError
from shared.manifests import Policies

SAY = 5.0
"""Seconds for the broker to confirm."""
ANSWER = 20.0
"""Seconds for a stage to answer."""


class Handlers:
    """Acts on the bus for one target; what it knows is in the view."""

    def __init__(self, settings: Settings, view: View, post: Post) -> None:
        self._settings = settings
        self._view = view
        self._post = post

    async def update(self, request: Request) -> str:
        """Order an update, or plan it; return the job's id."""
        if request.spec is None:
            return await self._sync()
        parts = self._by_repository(request.spec)
        if request.plan:
            return await self._plan(request, parts)
        job = self._view.jobs.open(uuid7(), orders=len(parts), spec=request.sent)
        orders = (
            UpdateRequested(repository=repository, spec=spec, cause=request.cause)
            for repository, spec in parts.items()
        )
        await self._say(*(Draft(message=order, correlationid=job.id) for order in orders))
        return job.id

    async def notify(self, change: GitChange | ImageChange) -> None:
        """Pass on that a branch moved or an image was pushed, where somebody cares."""
        if isinstance(change, GitChange):
            signals = [
                Draft(message=PollRequested(repository=name, reason="webhook"))
                for name, one in self._settings.repositories.items()
                if same_repository(one.url, change.url)
                and change.branch in {"", one.branch or change.branch}
            ]
        else:
            wanted = change.image in self._automated_images()
            signal = Draft(message=ScanRequested(image=change.image, reason="webhook"))
            signals = [signal] if wanted else []
        await self._say(*signals)

    async def images(
        self, wanted: Collection[str], namespace: str, fields: Collection[str]
    ) -> list[Mapping[str, Any]]:
        """Return the images of workloads with what their registries have."""
        declared = self._view.workloads()
        names = [
            name
            for name in sorted({*declared, *self._view.live})
            if (not wanted or name in wanted) and name.startswith(f"{namespace}:" * bool(namespace))
        ]
        containers = {name: self._containers(name) for name in names}
        tags = await self._tags({image for some in containers.values() for _, image in some})
        return [
            {"ID": name, "Containers": [self._shape(name, *c, tags, fields) for c in some]}
            for name, some in containers.items()
        ]

    def pending(self, ref: str) -> list[str]:
        """Return the commits up to *ref* that are not applied, the newest first."""
        for repository, branch in self._view.branches.items():
            place = branch.find(ref) if ref else 0
            if place is not None and branch.revisions:
                return branch.pending(place, self._view.applied(repository))
        raise unprocessable(f"the revision {ref!r} is not known on any branch that is watched")

    async def _sync(self) -> str:
        """Poll every branch and ask for every sync; the job is done when the head is known."""
        job = self._view.jobs.open(uuid7(), orders=1, spec={"type": "sync", "spec": {}})
        head = HeadTold(error="no sync is configured for this target")
        for repository, one in self._settings.repositories.items():
            head = await self._head(repository)
            signals = (SyncRequested(sync=sync, reason="person") for sync in one.syncs)
            await self._say(*(Draft(message=signal, correlationid=job.id) for signal in signals))
            if head.error is None:
                self._view.branch(repository).push(head.revision)
        if head.error is None:
            job.complete(job.id, head.revision, {})
        else:
            job.reject(job.id, head.error)
        return job.id

    async def _head(self, repository: str) -> HeadTold:
        try:
            told = await self._ask(HeadQuestion(repository=repository))
        except NoAnswerError as error:
            return HeadTold(error=str(error))
        return told if isinstance(told, HeadTold) else HeadTold(error="git-watcher said nothing")

    async def _plan(self, request: Request, parts: Mapping[str, Spec]) -> str:
        job = self._view.jobs.open(uuid7(), orders=len(parts), spec=request.sent)
        for repository, spec in parts.items():
            try:
                made = await self._ask(PlanQuestion(repository=repository, spec=spec))
            except NoAnswerError as error:
                raise unavailable(str(error)) from error
            if not isinstance(made, PlanMade) or made.error:
                raise unprocessable(getattr(made, "error", None) or "the plan came to nothing")
            job.complete(repository, "", made.result)
        job.result = job.result or {}
        return job.id

    def _by_repository(self, spec: Spec) -> Mapping[str, Spec]:
        """Take *spec* apart by the repository that declares each workload."""
        if not self._settings.repositories:
            raise missing("no sync is configured for this target")
        names = _named(spec)
        if ALL in names:
            return dict.fromkeys(self._settings.repositories, spec)
        first = next(iter(self._settings.repositories))
        declared = self._view.workloads()
        parts: dict[str, list[str]] = {}
        for name in names:
            repository = declared[name][0].repository if name in declared else first
            parts.setdefault(repository, []).append(name)
        return {
            repository: _only(spec, some) for repository, some in (parts or {first: []}).items()
        }

    def _automated_images(self) -> frozenset[str]:
        return frozenset(
            canonical
            for _, workload in self._view.workloads().values()
            if workload.policies.get("automated") == "true"
            for container in workload.containers
            if (canonical := _canonical(container.image)) is not None
        )

    def _containers(self, name: str) -> list[tuple[str, str]]:
        found = self._view.workloads().get(name)
        return current_images(self._view.live.get(name), found[1] if found else None)

    async def _tags(self, written: Collection[str]) -> Mapping[str, TagsListed]:
        """Ask for the tags of every image repository, all at once."""
        wanted = sorted({one for image in written if (one := _canonical(image)) is not None})
        async with asyncio.TaskGroup() as group:
            asked = {
                image: group.create_task(self._listed(image), name=f"tags of {image}")
                for image in wanted
            }
        return {image: task.result() for image, task in asked.items()}

    async def _listed(self, image: str) -> TagsListed:
        try:
            listed = await self._ask(TagsQuestion(image=image))
        except NoAnswerError as error:
            return TagsListed(image=image, error=str(error))
        return listed if isinstance(listed, TagsListed) else TagsListed(image=image)

    def _shape(
        self,
        name: str,
        container: str,
        image: str,
        tags: Mapping[str, TagsListed],
        fields: Collection[str],
    ) -> Mapping[str, Any]:
        canonical = _canonical(image)
        if canonical is None:
            return {"Name": container, "Current": {"ID": "", "Labels": {}}}
        found = self._view.workloads().get(name)
        policies = Policies(values=found[1].policies if found else {})
        listed = tags[canonical]
        known: tuple[Tag, ...] = listed.tags
        shape = images.container(
            container, image, policies.tag_policy(container), known, listed.error
        )
        return images.only(fields, shape)

    async def _ask(self, question: HeadQuestion | PlanQuestion | TagsQuestion) -> Any:
        return await self._post.ask(question, timeout=ANSWER)

    async def _say(self, *drafts: Draft) -> None:
        try:
            async with asyncio.timeout(SAY):
                await self._post.publish(*drafts)
        except TimeoutError as error:
            raise unavailable(
                f"the broker did not confirm within {SAY:g} s; is RabbitMQ running?"
            ) from error


def _canonical(image: str) -> str | None:
    try:
        return ImageRef.parse(image).canonical_repository
    except InvalidReferenceError:
        return None


def _named(spec: Spec) -> list[str]:
    return list(spec.workloads if isinstance(spec, ImageSpec) else spec.changes)


def _only(spec: Spec, names: list[str]) -> Spec:
    """Return the part of *spec* that concerns *names*."""
    match spec:
        case ImageSpec():
            return spec.model_copy(update={"workloads": tuple(names)})
        case ContainersSpec():
            return spec.model_copy(update={"changes": {n: spec.changes[n] for n in names}})
        case PolicySpec():
            return spec.model_copy(update={"changes": {n: spec.changes[n] for n in names}})
