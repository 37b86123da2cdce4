"""
What the generators of a folder print, and the patch file makes of it.

A program may read any file of the repository, so the key to what is remembered is the tree of all
of them: while it stays, no program runs again. Failures are not remembered.
"""

import asyncio
from dataclasses import dataclass, replace
from posixpath import basename, dirname, join, normpath
from typing import Protocol

from shared.manifests import Declared, load
from shared.manifests.flux_yaml import NAME, Command, FluxYaml, FluxYamlError, parse
from shared.manifests.load import Problem
from shared.manifests.patch_file import patched
from shared.manifests.patches import PatchError
from shared.rendering.client import FailedError, Renderer
from shared.rendering.protocol import LARGEST_TREE, Order, Run
from shared.runtime.errors import PermanentError

KEPT = 4
"""Trees of a folder whose output is remembered: what is written is looked at before and after."""


_ENCRYPTED = Problem(
    file="", line=None, message="it is encrypted by sops, which opens files of git alone"
)


class Trees(Protocol):
    """The files of a repository. See `shared.git.store`."""

    async def tree(self, revision: str) -> str:
        """Return the id of the tree of *revision*."""

    async def nearest(self, revision: str, path: str, name: str) -> tuple[str, str] | None:
        """Return path and blob of the file *name* at *path* or, nearest to it, above."""

    async def blob(self, identity: str) -> bytes:
        """Return the content of a blob."""

    async def read(self, revision: str, path: str) -> bytes:
        """Return a file as it is at *revision*, or raise PermanentError."""

    async def packed(self, revision: str, limit: int) -> bytes:
        """Return all files of *revision* as a tar."""


class GenerationError(PermanentError):
    """A folder whose manifests can't be generated; the sentence says where and why."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(f"{file}: {reason}")
        self.file = file
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Governed:
    """A folder whose manifests are generated."""

    folder: str
    file: str
    """Its `.flux.yaml`."""
    config: FluxYaml

    @property
    def patch_file(self) -> str | None:
        """The path of the patch file in the repository."""
        name = self.config.patch_file
        return None if name is None else normpath(join(self.folder, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """The objects of a folder. Their place is its `.flux.yaml`."""

    printed: tuple[Declared, ...]
    declared: tuple[Declared, ...]
    """The same, with the patch file."""
    problems: tuple[Problem, ...]
    """What could not be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """What a folder declares."""

    governed: Governed
    outputs: tuple[bytes, ...]
    """As the generators printed it."""
    patch: str = ""
    """The text of the patch file."""

    def read(self, default_namespace: str) -> Read:
        """
        Return what it says; some seconds for the largest outputs, so in a thread.

        Raises:
            GenerationError: the patch file can't be read.
        """
        file, objects, problems = self.governed.file, [], []
        for number, output in enumerate(self.outputs, start=1):
            loaded = load(output, file="", default_namespace=default_namespace)
            if loaded.encrypted:
                problems.append(_printed(file, number, _ENCRYPTED))
                continue
            objects += [replace(one, file=file, line=1) for one in loaded.objects]
            problems += [_printed(file, number, one) for one in loaded.problems]
        if not self.patch:
            return Read(printed=tuple(objects), declared=tuple(objects), problems=tuple(problems))
        patch_file = self.governed.patch_file or ""
        try:
            found, wrong = patched(
                objects, self.patch, file=patch_file, default_namespace=default_namespace
            )
        except PatchError as error:
            raise GenerationError(patch_file, str(error)) from error
        return Read(printed=tuple(objects), declared=found, problems=(*problems, *wrong))


def _printed(file: str, number: int, problem: Problem) -> Problem:
    line = f", line {problem.line}" if problem.line else ""
    message = f"output of generator {number}{line}: {problem.message}"
    return Problem(file=file, line=None, message=message)


class Generators:
    """Generates the manifests of folders of one repository."""

    def __init__(self, trees: Trees, renderer: Renderer) -> None:
        self._trees = trees
        self._renderer = renderer
        self._known: dict[str, dict[str, Generated]] = {}
        """By folder and tree."""
        self._one_at_a_time = asyncio.Lock()

    async def governed(self, revision: str, path: str) -> Governed | None:
        """
        Return how the manifests of *path* are generated; None where they are its files.

        Raises:
            GenerationError: its `.flux.yaml` can't be followed.
        """
        folder = dirname(path) if basename(path) == NAME else path
        found = await self._trees.nearest(revision, folder, NAME)
        if found is None:
            return None
        file, blob = found
        try:
            config = parse(await self._trees.blob(blob))
        except FluxYamlError as error:
            raise GenerationError(file, str(error)) from error
        governed = Governed(folder=folder, file=file, config=config)
        if (governed.patch_file or "").startswith("../"):
            reason = f"patchUpdated.patchFile {config.patch_file} leads out of the repository"
            raise GenerationError(file, reason)
        return None if config.scan else governed

    async def generated(self, revision: str, governed: Governed) -> Generated:
        """
        Return what *governed* declares at *revision*; while its tree stays, nothing is run.

        Raises:
            GenerationError: a command fails.
            TemporaryError: the renderer is not there.
        """
        tree = await self._trees.tree(revision)
        async with self._one_at_a_time:
            known = self._known.setdefault(governed.folder, {})
            if tree not in known:
                known[tree] = await self._run(tree, governed)
                for old in [*known][:-KEPT]:
                    del known[old]
            return known[tree]

    async def _run(self, tree: str, governed: Governed) -> Generated:
        patch = await self._patch(tree, governed)
        order = Order(
            folder=governed.folder,
            runs=tuple(run(command) for command in governed.config.generators),
        )
        try:
            done = await self._renderer.run(order, await self._trees.packed(tree, LARGEST_TREE))
        except FailedError as error:
            number = error.number or 1
            command = governed.config.generators[number - 1]
            raise failure(governed, f"generator {number}", command, error) from error
        except PermanentError as error:  # there are too many files
            raise GenerationError(governed.file, str(error)) from error
        return Generated(governed=governed, outputs=done.outputs, patch=patch)

    async def _patch(self, tree: str, governed: Governed) -> str:
        if governed.patch_file is None:
            return ""
        try:
            return (await self._trees.read(tree, governed.patch_file)).decode()
        except PermanentError:  # nothing was updated yet
            return ""
        except UnicodeDecodeError as error:
            raise GenerationError(governed.patch_file, "the file is not UTF-8 text") from error


def run(command: Command, environment: dict[str, str] | None = None) -> Run:
    """Return a command as the renderer wants it."""
    return Run(command=command.text, timeout=command.timeout, environment=environment)


def failure(governed: Governed, what: str, command: Command, error: FailedError) -> GenerationError:
    """Return why an order failed, and *what* of it if it was a *command*."""
    if error.number is None:
        return GenerationError(governed.file, str(error))
    line = " ".join(command.text.split())
    shown = line if len(line) <= 60 else f"{line[:57]}..."
    where = f" in {governed.folder}" if governed.folder else ""
    return GenerationError(governed.file, f"{what} (`{shown}`){where}: {error}")
