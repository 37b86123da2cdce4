"""
Templates of commit messages: Jinja2's sandbox, with nothing in it that can call, loop or grow wild.

A template sees plain values only. It reaches no attribute, method or function, and its text is cut
off by an error where it becomes longer than any commit message should be.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jinja2 import Template, TemplateError, TemplateSyntaxError, nodes
from jinja2.filters import FILTERS
from jinja2.runtime import LoopContext, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from shared.runtime.errors import PermanentError

NAMES = frozenset({"kind", "user", "message", "images", "changes", "workloads", "default"})
"""What a template may use."""
LONGEST = 65_536
"""Characters of a message."""

_FILTERS = (
    *("first", "join", "last", "length", "list", "lower", "map", "reject", "rejectattr"),
    *("select", "selectattr", "sort", "trim", "truncate", "unique", "upper"),
)


_ALLOWED = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.For, nodes.If, nodes.Name),
    *(nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Const, nodes.Filter, nodes.Keyword),
    *(nodes.Test, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.CondExpr),
    *(nodes.Tuple, nodes.List),
)
"""No variables that could grow from line to line, no arithmetic, no calls, no other files."""


class _Sandbox(ImmutableSandboxedEnvironment):
    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Let nothing be reached but how far a loop is; items of mappings are no attributes."""
        return isinstance(obj, LoopContext) and super().is_safe_attribute(obj, attr, value)

    def is_safe_callable(self, _: Any) -> bool:
        """Let nothing be called."""
        return False


_SANDBOX = _Sandbox(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
_SANDBOX.globals.clear()
_SANDBOX.filters = {name: FILTERS[name] for name in _FILTERS}


@lru_cache(maxsize=64)
def compiled(text: str) -> Template:
    """
    Return the template that *text* is.

    Raises:
        ValueError: it is none, or uses what there is not; the sentence says on which line.
    """
    try:
        tree = _SANDBOX.parse(text)
        _check(tree)
        return _SANDBOX.from_string(tree)
    except TemplateSyntaxError as error:
        raise ValueError(f"template, line {error.lineno}: {error.message}") from error


def rendered(text: str, values: Mapping[str, Any]) -> str:
    """
    Return what the template *text* makes of *values*, whose keys are `NAMES`.

    Raises:
        PermanentError: it can't be made, or is too long.
    """
    parts, length = [], 0
    try:
        for part in compiled(text).generate(values):
            length += len(part)
            if length > LONGEST:
                raise PermanentError(f"the message of git.messages is longer than {LONGEST}")
            parts.append(part)
    except (TemplateError, TypeError, ValueError) as error:
        raise PermanentError(f"the template in git.messages fails: {error}") from error
    return "".join(parts)


def _check(tree: nodes.Template) -> None:
    own = {one.name for one in tree.find_all(nodes.Name) if one.ctx == "store"}
    for one in tree.find_all(nodes.Node):
        if not isinstance(one, _ALLOWED):
            raise TemplateSyntaxError(f"{_word(one)} is not allowed in a message", one.lineno)
        if isinstance(one, nodes.Name) and one.name not in NAMES | own | {"loop"}:
            known = ", ".join(sorted(NAMES))
            raise TemplateSyntaxError(f"there is no {one.name!r}; there are {known}", one.lineno)


def _word(node: nodes.Node) -> str:
    return type(node).__name__.lower()
