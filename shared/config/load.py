"""Reads `flux.yaml` and reports all its mistakes together, each with its line."""

import difflib
import os
import time
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from shared.config.model import Config
from shared.runtime.errors import FluxError

PREFIX = "FLUX__"
"""Environment variables that override keys: `FLUX__SYNCS__0__GIT__URL`."""

Path_ = tuple[str | int, ...]


class ConfigError(FluxError):
    """All that is wrong with a configuration, a line each."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


def load(path: Path) -> Config:
    """
    Return the configuration at *path*, with the overrides of the environment.

    Raises:
        ConfigError: with every mistake.
    """
    text = _read(path)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise ConfigError([f"{path}{line}: no valid YAML: {problem}"]) from error
    if not isinstance(values, dict):
        raise ConfigError([f"{path}: a mapping is expected, with the key syncs"])
    overrides = _override(values)
    values.setdefault("generation", int(path.stat().st_mtime or time.time()))
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        lines = dict(_lines(node, ()))
        mistakes = [_mistake(path, one, lines, overrides) for one in _causes(error)]
        raise ConfigError(list(dict.fromkeys(mistakes))) from error
    return _placed(config, path.parent)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError([f"{path}: {reason}; name your file by --config"]) from error


def _override(values: dict[str, Any]) -> Mapping[Path_, str]:
    """Put the environment's overrides into *values*; return which variable set which key."""
    places: dict[Path_, str] = {}
    for name, text in sorted(os.environ.items()):
        if not name.startswith(PREFIX):
            continue
        keys: Path_ = tuple(
            int(part) if part.isdigit() else part.lower()
            for part in name.removeprefix(PREFIX).split("__")
        )
        _set(values, keys, yaml.safe_load(text), name)
        places[keys] = name
    return places


def _set(values: Any, keys: Path_, value: Any, name: str) -> None:
    for key, following in pairwise(keys):
        fresh: Any = [] if isinstance(following, int) else {}
        values = _child(values, key, fresh, name)
    _child(values, keys[-1], value, name)
    values[keys[-1]] = value


def _child(values: Any, key: str | int, fresh: Any, name: str) -> Any:
    if isinstance(values, list) and isinstance(key, int):
        if key > len(values):
            raise ConfigError([f"{name}: the list has {len(values)} items"])
        if key == len(values):
            values.append(fresh)
        return values[key]
    if isinstance(values, dict) and isinstance(key, str):
        return values.setdefault(key, fresh)
    raise ConfigError([f"{name}: there is nothing at {key!r} to override"])


def _lines(node: yaml.Node | None, path: Path_) -> Iterator[tuple[Path_, int]]:
    if node is None:
        return
    yield path, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield (*path, key.value), key.start_mark.line + 1
            yield from (
                found for found in _lines(value, (*path, key.value)) if found[0][len(path) + 1 :]
            )
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _lines(item, (*path, index))


def _causes(error: ValidationError) -> list[ErrorDetails]:
    """Leave out that a list is too short where its items are at fault."""
    found = error.errors()
    return [
        one
        for one in found
        if one["type"] != "too_short"
        or not any(
            other["loc"][: len(one["loc"])] == one["loc"] for other in found if other is not one
        )
    ]


def _mistake(
    path: Path, error: ErrorDetails, lines: Mapping[Path_, int], overrides: Mapping[Path_, str]
) -> str:
    where = tuple(error["loc"])
    named = ".".join(map(str, where))
    variable = next(
        (overrides[where[:n]] for n in range(len(where), 0, -1) if where[:n] in overrides), None
    )
    line = next((lines[where[:n]] for n in range(len(where), -1, -1) if where[:n] in lines), 1)
    place = variable or f"{path}:{line}"
    return f"{place}: {named + ': ' if named else ''}{_sentence(error, where)}"


def _sentence(error: ErrorDetails, where: Path_) -> str:
    if error["type"] == "extra_forbidden":
        close = difflib.get_close_matches(str(where[-1]), _known(where[:-1]), n=1)
        return "unknown key" + (f"; did you mean {close[0]}?" if close else "")
    if error["type"] == "missing":
        return "is missing"
    return error["msg"].removeprefix("Value error, ")


def _known(where: Path_) -> list[str]:
    """Return the keys that there are at a place."""
    model: Any = Config
    for key in where:
        if isinstance(key, int):
            continue
        model = _model(model.model_fields[key].annotation)
    return list(model.model_fields) if model else []


def _model(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model, getattr(annotation, "__args__", ()))), None)


def _placed(config: Config, base: Path) -> Config:
    """Make the paths of the file relative to the file."""
    targets = tuple(
        target.model_copy(update={"kubeconfig": target.kubeconfig and base / target.kubeconfig})
        for target in config.targets
    )
    return config.model_copy(update={"targets": targets, "state_dir": base / config.state_dir})
