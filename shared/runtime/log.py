"""
Logs as events with keys: JSON lines for machines, colours on a terminal; never a secret.

What libraries log by the standard library goes the same way, from warning on, and so does the crash
that ends a process. Secrets are masked last of all, in the finished line, so that they are found in
nested values and tracebacks, too.
"""

import logging
import os
import sys
from collections.abc import Callable, Mapping, MutableMapping
from types import TracebackType
from typing import Any

import structlog

from shared.runtime.masking import without_userinfo

_LEVELS = {name: getattr(logging, name.upper()) for name in ("debug", "info", "warning", "error")}

Event = MutableMapping[str, Any]
Mask = Callable[[str], str]


def configure(
    *, level: str = "info", form: str = "auto", mask: Mask = without_userinfo, **bound: str
) -> None:
    """Set up all logging of this process; *bound* is part of every line."""
    first = _first(bound)
    last = _last(console=is_console(form), mask=mask)
    structlog.configure(
        processors=[*first, *last],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
            foreign_pre_chain=[*first, structlog.stdlib.add_logger_name],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.captureWarnings(capture=True)
    # Our own reconnection tells of a lost broker, once.
    for library in ("aio_pika", "aiormq"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
    sys.excepthook = _crashed


def is_console(form: str) -> bool:
    """Say whether *form* (auto, json or console) means lines for people here."""
    return form == "console" or (form == "auto" and sys.stderr.isatty())


def _first(bound: Mapping[str, str]) -> list[Any]:
    def bind(_: Any, __: str, event: Event) -> Event:
        return {**bound, **event}

    return [
        structlog.contextvars.merge_contextvars,
        bind,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _last(*, console: bool, mask: Mask) -> list[Any]:
    def masked(_: Any, __: str, line: str) -> str:
        return mask(line)

    # Rich tracebacks would show local variables, and with them secrets and whole manifests.
    rendering = (
        [
            structlog.dev.ConsoleRenderer(
                colors=_coloured(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
        if console
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    )
    return [*rendering, masked]


def _coloured() -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    return sys.stderr.isatty() or bool(os.environ.get("FORCE_COLOR"))


def _crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    structlog.get_logger(__name__).critical("crashed", exc_info=(kind, error, trace))
