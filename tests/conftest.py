"""Fixtures that need the lab or a browser. Where that cannot be used a test says why: skipped for a person, failed in CI."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

import tests.browser
from tests.browser import Browser
from tests.nodes import ROOT, Lab, why_not
from tests.wheel import Installed, install

# A script's background commands ignore Ctrl-C, and so would all that they start. Pulumi interrupts its plugins at its end, and waits 5 s
# for those that ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)

DEPLOYMENT = ROOT / "tests" / "lab" / "deployment"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one lab's nodes stay in one process, one after the other, while `make test` runs the others beside them."""
    for item in items:
        fixtures: list[str] = getattr(item, "fixturenames", [])
        if DEPLOYMENT in item.path.parents:
            # They have a lab of their own.
            item.add_marker(pytest.mark.xdist_group("deployment"))
        elif item.get_closest_marker("lab") or "lab" in fixtures:
            item.add_marker(pytest.mark.xdist_group("lab"))


@pytest.fixture(scope="session")
def lab() -> Lab:
    need(why_not())
    return Lab()


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
