"""
The JSON Schema of every payload, generated from the models.

The docstring under a field becomes its description. It is read from the source only here, so
that no service spends time on it when it starts.
"""

import ast
import inspect
import json
import textwrap
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from shared.contract.message import Message
from shared.contract.registry import MESSAGES, MODULES

_MODELS: Mapping[str, type[BaseModel]] = {
    name: value
    for module in MODULES
    for name, value in vars(module).items()
    if isinstance(value, type) and issubclass(value, BaseModel)
}

DIALECT = GenerateJsonSchema.schema_dialect


def filename(message: type[Message]) -> str:
    """Return the name of the file that holds the schema of *message*."""
    return f"{message.type}.json"


def schema(message: type[Message]) -> dict[str, Any]:
    """Return the JSON Schema of the payload of *message*."""
    made = message.model_json_schema()
    _describe(made, message)
    for name, definition in made.get("$defs", {}).items():
        _describe(definition, _MODELS[name])
    return {"$schema": DIALECT, "$id": filename(message), **made}


def files() -> Mapping[str, str]:
    """Return the text of each schema's file, by its name."""
    return {
        filename(message): json.dumps(schema(message), indent=2) + "\n"
        for message in MESSAGES.values()
    }


def summary(documented: type) -> str:
    """Return the first paragraph of a docstring, in one line."""
    return " ".join(inspect.getdoc(documented).partition("\n\n")[0].split())  # type: ignore[union-attr] # all have one


def _describe(node: dict[str, Any], model: type[BaseModel]) -> None:
    node["description"] = inspect.getdoc(model)
    for name, text in _docstrings(model).items():
        if name in node.get("properties", {}):
            node["properties"][name]["description"] = text


def _docstrings(model: type[BaseModel]) -> Mapping[str, str]:
    """Return the literal docstring below each field."""
    (defined,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(defined, ast.ClassDef)
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in pairwise(defined.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
