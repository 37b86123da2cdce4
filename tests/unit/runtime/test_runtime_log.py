"""What a process logs, as it arrives at its standard error."""

import json
import subprocess
import sys
from typing import Any

PREAMBLE = """
import logging, warnings, structlog
from shared.runtime import log
from shared.runtime.masking import Masking
mask = Masking(lambda: frozenset({{"hunter22"}}))
log.configure({settings}mask=mask, service="gateway", replica="r1")
logger = structlog.get_logger("here")
"""


def logged(program: str, settings: str = "") -> str:
    done = subprocess.run(
        [sys.executable, "-c", PREAMBLE.format(settings=settings) + program],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout == ""
    return done.stderr


def lines(program: str, settings: str = "") -> list[dict[str, Any]]:
    return [json.loads(line) for line in logged(program, settings).splitlines()]


def test_a_line_is_json_with_service_replica_level_and_time() -> None:
    (line,) = lines("logger.info('started', workers=['a'])")

    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "started",
        "level": "info",
        "service": "gateway",
        "replica": "r1",
        "workers": ["a"],
    }


def test_only_what_reaches_the_level_is_logged() -> None:
    assert [one["event"] for one in lines("logger.debug('a'); logger.info('b')")] == ["b"]
    assert lines("logger.info('a')", "level='warning', ") == []
    assert len(lines("logger.debug('a')", "level='debug', ")) == 1


def test_a_line_of_a_thread_is_bound_too() -> None:
    (line,) = lines(
        "import threading; t = threading.Thread(target=lambda: logger.info('a')); t.start()"
    )

    assert line["service"] == "gateway"


def test_libraries_log_the_same_way_from_warning_on() -> None:
    told = lines(
        "logging.getLogger('lib').info('a')\n"
        "logging.getLogger('lib').warning('b %s', 'c://u:p@h')\n"
        "logging.getLogger('aio_pika').error('d')\n"
        "warnings.warn('e', stacklevel=1)\n"
    )

    assert [(one["event"], one["level"]) for one in told[:1]] == [("b c://***@h", "warning")]
    assert told[0]["logger"] == "lib"
    assert told[0]["service"] == "gateway"
    assert "UserWarning: e" in told[1]["event"]
    assert len(told) == 2


def test_secrets_are_masked_in_nested_values_and_tracebacks() -> None:
    program = """
try:
    raise ValueError("no hunter22 at c://u:p@h")
except ValueError:
    logger.exception("failed", nested={"list": ["hunter22", "amqp://flux:pass@h/v"]})
    logging.getLogger("lib").exception("failed hunter22")
"""
    for form in ("", "form='console', "):
        text = logged(program, form)
        assert text.count("ValueError") >= 2
        assert "hunter22" not in text
        assert "u:p" not in text
        assert "flux:pass" not in text


def test_what_is_no_json_is_logged_all_the_same() -> None:
    (line,) = lines("logger.info('a', error=ValueError('b'), raw=b'c')")

    assert line["error"] == "b"


def test_the_console_form_has_no_colours_where_nobody_looks_on() -> None:
    text = logged("logger.info('started')", "form='console', ")

    assert "started" in text
    assert "\033" not in text


def test_a_crash_is_logged_once_with_its_masked_traceback() -> None:
    (line,) = lines("raise ExceptionGroup('hunter22', [ValueError('a')])")

    assert line["event"] == "crashed"
    assert line["level"] == "critical"
    assert "ValueError: a" in line["exception"]
    assert "hunter22" not in line["exception"]
