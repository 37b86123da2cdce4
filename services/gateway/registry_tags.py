"""
What registries have of the images in use, asked of registry-scanner when a person wants to see it.

Creation times cost a registry two requests for each new tag, and some count them against a quota
that automation needs too. So the tags are listed first; creation times are asked for where there
are not too many, and what does not come in time is shown without.
"""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

from services.gateway.asking import Asking
from services.gateway.domain import images
from services.gateway.domain.errors import ApiError
from services.gateway.domain.names import canonical
from services.gateway.domain.services import current_images, names
from services.gateway.domain.view import View
from shared.contract import TagsListed, TagsQuestion
from shared.manifests import Policies
from shared.manifests.holds import holds

DATED = 250
"""Tags of an image up to which creation times are asked for; beyond, those are shown that
automation has read."""

Images = list[tuple[str, str]]
"""Container and image."""


class RegistryTags:
    """Lists images with their tags."""

    def __init__(self, view: View, asking: Asking) -> None:
        self._view = view
        self._asking = asking

    async def images(
        self, wanted: Collection[str], namespace: str, fields: Collection[str]
    ) -> list[Mapping[str, Any]]:
        """Return the images of workloads with what their registries have."""
        containers = {name: self._containers(name) for name in names(self._view, namespace, wanted)}
        tags = await self._tags({image for some in containers.values() for _, image in some})
        found: list[Mapping[str, Any]] = []
        for name, some in containers.items():
            policies = self._policies(name)
            # Thousands of tags must not hold up others.
            shapes = await asyncio.to_thread(_shapes, policies, some, tags, fields)
            found.append({"ID": name, "Containers": shapes})
        return found

    def _containers(self, name: str) -> Images:
        _, declared = self._view.workloads().get(name) or (None, None)
        return current_images(self._view.live.get(name), declared)

    def _policies(self, name: str) -> Policies:
        _, declared = self._view.workloads().get(name) or (None, None)
        return Policies(values=declared.policies if declared else {})

    async def _tags(self, written: Collection[str]) -> Mapping[str, TagsListed]:
        """Ask for the tags of every image repository, all at once."""
        wanted = sorted({one for image in written if (one := canonical(image)) is not None})
        async with asyncio.TaskGroup() as group:
            asked = {
                image: group.create_task(self._listed(image), name=f"tags of {image}")
                for image in wanted
            }
        return {image: task.result() for image, task in asked.items()}

    async def _listed(self, image: str) -> TagsListed:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._asking.answer
        try:
            listed = await self._asking.ask(TagsQuestion(image=image, created=False), TagsListed)
        except ApiError as error:
            return TagsListed(image=image, error=error.error)
        if listed.error or not 0 < len(listed.tags) <= DATED or until <= loop.time():
            return listed
        if all(tag.created for tag in listed.tags):
            return listed
        try:
            dated = await self._asking.ask(
                TagsQuestion(image=image), TagsListed, until - loop.time()
            )
        except ApiError:
            return listed
        return listed if dated.error else dated


def _shapes(
    policies: Policies, some: Images, tags: Mapping[str, TagsListed], fields: Collection[str]
) -> list[Mapping[str, Any]]:
    shapes = []
    for container, image in some:
        listed = tags.get(canonical(image) or "") or TagsListed(image=image)
        policy = policies.tag_policy(container)
        hold = holds(policies).get(container)
        shape = images.container(container, image, policy, listed.tags, listed.error, hold=hold)
        shapes.append(images.only(fields, shape))
    return shapes
