"""
Updates of what generators print: in the patch file, or by the updaters of `.flux.yaml`.

An update counts when the generators, run again, print what was wanted; else nothing of it is
written, and the reason is told. What fails together is tried one workload after the other.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from services.repo_writer.domain.plan import Edit, Edits
from services.repo_writer.domain.proof import Values, by_name, contradiction, wanted
from services.repo_writer.domain.state import Spot
from services.repo_writer.generated import Readings
from services.repo_writer.ports import Files, Reasons
from shared.git.mirror import Mirror
from shared.manifests import EditError, SetImage, WorkloadId
from shared.manifests.flux_yaml import Command
from shared.manifests.patch_file import updated
from shared.manifests.patches import PatchError
from shared.manifests.policies import policy_name
from shared.rendering.client import FailedError, Renderer
from shared.rendering.generators import Generated, Generators, Governed, Read, failure, run
from shared.rendering.protocol import LARGEST_TREE, Order
from shared.runtime.errors import PermanentError

Environment = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """An updater that is run for one change."""

    what: str
    """For people."""
    command: Command
    environment: Environment


class Updating:
    """Updates folders of one repository."""

    def __init__(
        self, mirror: Mirror, generators: Generators, readings: Readings, renderer: Renderer
    ) -> None:
        self._mirror = mirror
        self._generators = generators
        self._readings = readings
        self._renderer = renderer

    async def updated(self, revision: str, files: Files, edits: Edits) -> tuple[Files, Reasons]:
        """
        Return the files by which *edits* come true, on top of *files*, and why some do not.

        Raises:
            TemporaryError: the renderer is not there.
        """
        tree = await self._mirror.tree(revision, files)
        found: dict[str, bytes | None] = {}
        failures: dict[Spot, str] = {}
        for some in _by_folder(edits):
            tree, more, failed = await self._folder(tree, some)
            found |= more
            failures |= failed
        return found, failures

    async def _folder(self, tree: str, edits: Edits) -> tuple[str, Files, Reasons]:
        try:
            after, files = await self._proven(tree, edits)
        except (EditError, PatchError, PermanentError) as error:
            if len(edits) == 1:
                return tree, {}, dict.fromkeys(edits, str(error))
        else:
            return after, files, {}
        found: dict[str, bytes | None] = {}
        failures: dict[Spot, str] = {}
        for spot, some in edits.items():
            tree, more, failed = await self._folder(tree, {spot: some})
            found |= more
            failures |= failed
        return tree, found, failures

    async def _proven(self, tree: str, edits: Edits) -> tuple[str, Files]:
        """Return another tree in which all *edits* are made, and which files differ."""
        spot = next(iter(edits))
        before, read = await self._generated(tree, spot)
        meant = await asyncio.to_thread(_meant, read, edits, spot.default_namespace)
        governed = before.governed
        if governed.patch_file is None:
            files = await self._by_updaters(tree, governed, edits)
        else:
            files = await asyncio.to_thread(_in_patch_file, before, read, edits)
        after = await self._mirror.tree(tree, files)
        _, now = await self._generated(after, spot)
        strictly = governed.patch_file is not None
        told = await asyncio.to_thread(_contradiction, now, meant, strictly=strictly)
        if told:
            raise PermanentError(f"{governed.file}: {told}")
        return after, files

    async def _generated(self, tree: str, spot: Spot) -> tuple[Generated, Read]:
        folder = spot.folder or ""
        governed = await self._generators.governed(tree, folder)
        if governed is None:
            raise PermanentError(f"{spot.file}: nothing is generated in {folder or '.'} any more")
        generated = await self._generators.generated(tree, governed)
        return generated, await self._readings.of(generated, spot.default_namespace)

    async def _by_updaters(self, tree: str, governed: Governed, edits: Edits) -> Files:
        calls = list(_calls(governed, edits))
        order = Order(
            folder=governed.folder,
            runs=tuple(run(one.command, one.environment) for one in calls),
            changes=True,
        )
        try:
            packed = await self._mirror.packed(tree, LARGEST_TREE)
            return (await self._renderer.run(order, packed)).changed
        except FailedError as error:
            call = calls[(error.number or 1) - 1]
            raise failure(governed, call.what, call.command, error) from error


def _by_folder(edits: Edits) -> Iterator[Edits]:
    folders: dict[tuple[str | None, str], dict[Spot, tuple[Edit, ...]]] = {}
    for spot, some in edits.items():
        folders.setdefault((spot.folder, spot.default_namespace), {})[spot] = some
    yield from folders.values()


def _meant(before: Read, edits: Edits, namespace: str) -> Values:
    return wanted(by_name(before.declared), edits, namespace)


def _contradiction(now: Read, meant: Values, *, strictly: bool) -> str:
    return contradiction(by_name(now.declared), meant, strictly=strictly)


def _in_patch_file(before: Generated, read: Read, edits: Edits) -> Files:
    namespace = next(iter(edits)).default_namespace
    together = [one for some in edits.values() for one in some]
    text = updated(before.patch, read.printed, together, default_namespace=namespace)
    file = before.governed.patch_file or ""
    return {file: text.encode()} if text != before.patch else {}


def _calls(governed: Governed, edits: Edits) -> Iterator[_Call]:
    """
    Return the updaters to run: all of them for each container, and for each policy.

    Raises: EditError.
    """
    for some in edits.values():
        for one in some:
            kind = "containerImage" if isinstance(one, SetImage) else "policy"
            for environment in _environments(one):
                commands = list(_commands(governed, kind))
                if not commands:
                    reason = f"no updater has a {kind} command"
                    raise EditError(f"{governed.file}: {reason}; change it by hand")
                for number, command in commands:
                    what = f"updater {number}, {kind}, for {one.workload}"
                    yield _Call(what=what, command=command, environment=environment)


def _commands(governed: Governed, kind: str) -> Iterator[tuple[int, Command]]:
    for number, updater in enumerate(governed.config.updaters, start=1):
        command = updater.image if kind == "containerImage" else updater.policy
        if command:
            yield number, command


def _environments(one: Edit) -> Iterator[Environment]:
    """Return what updaters are told, as in Flux v1."""
    workload = _workload(one.workload)
    if isinstance(one, SetImage):
        if one.image.tag is None or one.image.digest is not None:
            raise EditError(f"{one.image}: updaters take an image with a tag and no digest")
        yield {
            **workload,
            "FLUX_CONTAINER": one.container,
            "FLUX_IMG": one.image.repository,
            "FLUX_TAG": one.image.tag,
        }
        return
    for key, value in one.changes.items():
        policy = (policy_name(key) or key) if "/" in key else key
        told = {} if value is None else {"FLUX_POLICY_VALUE": value}
        yield {**workload, "FLUX_POLICY": policy, **told}


def _workload(workload: WorkloadId) -> Environment:
    return {
        "FLUX_WORKLOAD": str(workload),
        "FLUX_WL_NS": workload.namespace,
        "FLUX_WL_KIND": workload.kind,
        "FLUX_WL_NAME": workload.name,
    }
