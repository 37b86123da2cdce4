"""
The patch file of `patchUpdated`: what updates make of generated objects, kept beside them.

It holds a document for each object that is patched. An update is made where it stands, so that
no other byte changes; only where that can't be, the document of that one object is written anew.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import yaml

from shared.manifests.documents import Document, YamlError, documents
from shared.manifests.edit import Edit, edit
from shared.manifests.ids import object_id
from shared.manifests.lines import ends_line, line_start
from shared.manifests.load import Declared, Loaded, Problem, load
from shared.manifests.patches import PatchError, difference, equal, merged
from shared.manifests.splice import EditError, write

Patches = Mapping[str, Declared]
"""By the id of the object that is patched."""


class _Dumper(yaml.CSafeDumper):
    """Writes strings so that YAML 1.1 and 1.2 both read strings."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _string(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = None if write(text) == text else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _string)


def dump(value: Mapping[str, Any]) -> str:
    """Return an object as a document of YAML."""
    return "---\n" + yaml.dump(value, Dumper=_Dumper, allow_unicode=True, width=2**20)


def patched(
    objects: Iterable[Declared], text: str, *, file: str, default_namespace: str
) -> tuple[tuple[Declared, ...], tuple[Problem, ...]]:
    """
    Return *objects* with what the patch file says of them, and what is wrong with that.

    Raises:
        PatchError: it can't be read. Without it the objects would be what they were once.
    """
    loaded = load(text, file=file, default_namespace=default_namespace)
    _check_readable(loaded)
    patches = {str(one.workload_id): one for one in loaded.objects}
    found, problems = [], list[Problem]()
    for one in objects:
        patch = patches.pop(str(one.workload_id), None)
        try:
            found.append(_merged(one, patch))
        except PatchError as error:
            problems.append(_problem(patch, str(error)))
    problems += (
        _problem(one, f"it patches {name}, which no generator prints; remove that document")
        for name, one in patches.items()
    )
    return tuple(found), tuple(problems)


def _check_readable(loaded: Loaded) -> None:
    if loaded.encrypted:
        raise PatchError("it is encrypted; a patch file must be readable")
    for one in loaded.problems:
        raise PatchError(f"line {one.line}: {one.message}" if one.line else one.message)


def updated(
    text: str, objects: Iterable[Declared], edits: Sequence[Edit], *, default_namespace: str
) -> str:
    """
    Return the patch file by which *objects*, as they are generated, are changed by *edits* too.

    Raises: EditError, PatchError.
    """
    by_name = {str(one.workload_id): one for one in [*objects][::-1]}
    by_workload: dict[str, list[Edit]] = {}
    for one in edits:
        by_workload.setdefault(str(one.workload), []).append(one)
    for name, some in sorted(by_workload.items()):
        if name not in by_name:
            raise EditError(f"{name} is not generated")
        text = _updated(text, by_name[name], some, default_namespace)
    return text


def _updated(text: str, generated: Declared, edits: Sequence[Edit], namespace: str) -> str:
    now = _merged(generated, _patch(text, generated, namespace)).object
    after = edit(dump(now), edits, default_namespace=namespace)
    wanted = documents(after)[0].value
    if equal(now, wanted):
        return text
    try:
        there = edit(text, edits, default_namespace=namespace)
        if equal(_merged(generated, _patch(there, generated, namespace)).object, wanted):
            return there
    except EditError:  # the patch says nothing of that field yet
        pass
    had_any = bool(generated.object["metadata"].get("annotations"))
    patch = difference(generated.object, _annotated(wanted) if had_any else wanted)
    return _with_document(text, generated, patch, namespace)


def _annotated(value: dict[str, Any]) -> dict[str, Any]:
    """Have annotations, though none: a patch takes away single ones, and not those to come."""
    metadata = value["metadata"]
    return {**value, "metadata": {**metadata, "annotations": metadata.get("annotations") or {}}}


def _merged(one: Declared, patch: Declared | None) -> Declared:
    return replace(one, object=merged(one.object, patch.object)) if patch else one


def _patch(text: str, generated: Declared, namespace: str) -> Declared | None:
    found = load(text, file="", default_namespace=namespace).objects
    return next((one for one in found if one.workload_id == generated.workload_id), None)


def _with_document(text: str, generated: Declared, patch: Mapping[str, Any], namespace: str) -> str:
    """Put *patch* into the place of the object's document, or where it sorts."""
    new = dump(_named(generated, patch)) if patch else ""
    try:
        read = documents(text)
    except YamlError as error:
        raise EditError(f"the patch file: {error.message}") from error
    starts = [line_start(text, one.start) for one in read]
    for place, one in enumerate(read):
        name = _name(one, namespace)
        if name == str(generated.workload_id):
            end = starts[place + 1] if place + 1 < len(read) else len(text)
            kept = _comments_at_the_end(text[starts[place] : end])
            return text[: starts[place]] + new + kept + _headed(text[end:])
        if name > str(generated.workload_id):
            return text[: starts[place]] + new + _headed(text[starts[place] :])
    return (f"{text}\n" if text and not ends_line(text) else text) + new


def _comments_at_the_end(document: str) -> str:
    """Return what stands between a document and the next one, and so belongs to both."""
    lines = document.splitlines(keepends=True)
    while lines and (not lines[-1].strip() or lines[-1].startswith("#")):
        lines.pop()
    return document[len("".join(lines)) :]


def _headed(rest: str) -> str:
    """Part what follows from a document that ends before it."""
    return rest if not rest.strip() or rest.startswith("---") else f"---\n{rest}"


def _name(document: Document, namespace: str) -> str:
    """Return which object a document patches; nothing for what patches none."""
    if isinstance(document.value, dict):
        with suppress(ValueError):
            return str(object_id(document.value, default_namespace=namespace).workload)
    return ""


def _named(generated: Declared, patch: Mapping[str, Any]) -> dict[str, Any]:
    metadata = generated.object["metadata"]
    names = {key: metadata[key] for key in ("name", "namespace") if metadata.get(key)}
    return {
        **patch,
        "apiVersion": generated.object["apiVersion"],
        "kind": generated.object["kind"],
        "metadata": {**(patch.get("metadata") or {}), **names},
    }


def _problem(patch: Declared | None, message: str) -> Problem:
    assert patch is not None, "only a patch can be at fault"
    return Problem(file=patch.file, line=patch.line, message=message)
