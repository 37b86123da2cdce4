"""What all tests share: in CI a skipped test fails, and the real control plane must be used."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import Scheduling

from sandbox import controlplane_build
from sandbox.errors import MissingError
from tests import sharing
from tests.leftovers import temporary_folder


def pytest_configure() -> None:
    # Else pytest-asyncio asks for "the" loop, and Python 3.11 makes one that nobody closes.
    asyncio.set_event_loop(None)
    # A machine that is busy for a fifth of a second has found no bug.
    settings.register_profile("flux", deadline=None)
    settings.load_profile("flux")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):  # one of several processes
        items.sort(key=lambda item: sharing.rank(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    config.option.loadscopereorder = False  # by the number of tests, the longest would come last
    return sharing.ByPlace(config, log)


@pytest.fixture(scope="session", autouse=True)
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    tmp_path_factory.getbasetemp()  # it stays, for who looks why a test failed
    with temporary_folder():
        yield


def pytest_sessionstart(session: pytest.Session) -> None:
    if os.environ.get("CI") and not controlplane_build.is_built():
        session.exitstatus = 1
        pytest.exit("CI must test on the real control plane: run `make controlplane`", 1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Iterator[None]:
    with _skipped_where_missing():
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    with _skipped_where_missing():
        yield


@contextmanager
def _skipped_where_missing() -> Iterator[None]:
    """A given broker is not ours to kill; without CI the rest is worth testing all the same."""
    try:
        yield
    except MissingError as missing:
        pytest.skip(str(missing))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    if os.environ.get("CI") and skipped:
        terminalreporter.write_line(f"{len(skipped)} skipped tests: in CI none may be", red=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter and reporter.stats.get("skipped"):
        session.exitstatus = 1
