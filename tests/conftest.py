"""Fixtures that need the lab or a browser. Where that cannot be used a test says why: skipped for a person, failed in CI."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

import tests.browser
from tests.browser import Browser
from tests.nodes import Lab, why_not
from tests.wheel import Installed, install


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the lab's nodes stay in one process, one after the other, while `make test` runs the others beside them."""
    for item in items:
        fixtures: list[str] = getattr(item, "fixturenames", [])
        if item.get_closest_marker("lab") or "lab" in fixtures:
            item.add_marker(pytest.mark.xdist_group("lab"))


@pytest.fixture(scope="session")
def lab() -> Lab:
    _need(why_not())
    return Lab()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    _need(tests.browser.why_not())
    with tests.browser.browser() as opened:
        yield opened


def _need(reason: str) -> None:
    if reason:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(tmp_path_factory.mktemp("installed"))
