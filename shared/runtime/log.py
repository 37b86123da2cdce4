"""Logs as events with keys: JSON lines for machines, colours on a terminal; never a secret."""

import logging
import re
import sys
from typing import Any

import structlog

_USERINFO = re.compile(r"(?<=://)[^/@\s'\"]+@")
_LEVELS = {name: getattr(logging, name.upper()) for name in ("debug", "info", "warning", "error")}


def configure(*, level: str = "info", form: str = "auto", **bound: str) -> None:
    """Set up structlog, and the standard logging of libraries (from warning on) through it."""
    console = form == "console" or (form == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        without_credentials,
    ]
    rendering: list[Any] = (
        [structlog.dev.ConsoleRenderer()]
        if console
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(**bound)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
            foreign_pre_chain=shared,
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    # Our own reconnection tells of a lost broker, once.
    for library in ("aio_pika", "aiormq"):
        logging.getLogger(library).setLevel(logging.CRITICAL)


def without_credentials(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    """Mask user and password in every URL that is logged."""
    return {
        key: _USERINFO.sub("***@", value) if isinstance(value, str) else value
        for key, value in event.items()
    }
