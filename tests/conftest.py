"""Fixtures that need the lab or a browser. Where that cannot be used a test says why: skipped for a person, failed in CI."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import tests.browser
import tests.own_lab
from tests import second_try
from tests.browser import Browser
from tests.nodes import Lab
from tests.own_lab import OwnLab
from tests.wheel import Installed, install

# A script's background commands ignore Ctrl-C, and so would all that they start. Pulumi interrupts its plugins at its end, and waits 5 s
# for those that ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    second_try.pytest_addoption(parser)


def pytest_configure(config: pytest.Config) -> None:
    second_try.pytest_configure(config)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Times())


class Times:
    """How long the tests of each folder took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        parts = report.nodeid.split("/")
        if len(parts) > 2:
            self.seconds[parts[1]] = self.seconds.get(parts[1], 0) + report.duration

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self.seconds:
            return
        each = [f"{folder} {seconds:.0f} s" for folder, seconds in sorted(self.seconds.items(), reverse=True)]
        terminalreporter.write_line(f"time of tests, over all processes: {', '.join(each)}")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What shares nodes, or what its file makes with the engine or with pip, stays together. Each process has one lab, whatever groups it gets."""
    for item in items:
        if item.get_closest_marker("xdist_group"):
            continue
        if "own_lab" in getattr(item, "fixturenames", []):
            item.add_marker(pytest.mark.xdist_group(item.path.parent.name))
        elif item.path.parent.name == "integration":
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture(scope="session")
def own_lab() -> Iterator[OwnLab]:
    """The lab of this process."""
    need(tests.own_lab.why_not())
    with tests.own_lab.own_lab() as made:
        yield made


@pytest.fixture(scope="module")
def lab(own_lab: OwnLab, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Nodes where the guide's chapter begins. The tests of a file put back what they change on them."""
    own_lab.begin_at()
    with put_back(own_lab, request):
        yield own_lab


@contextmanager
def put_back(lab: OwnLab, request: pytest.FixtureRequest) -> Iterator[None]:
    """A file that puts back what it changes leaves the nodes to the next one, unless a test failed: it may have left anything."""
    failed = request.session.testsfailed
    yield
    if request.session.testsfailed > failed:
        lab.used()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    need(tests.browser.why_not())
    with tests.browser.browser() as opened:
        yield opened


def need(reason: str) -> None:
    """Ends the test where something that it needs cannot be used."""
    if reason:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(tmp_path_factory.mktemp("installed"))
