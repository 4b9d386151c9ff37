"""Fixtures that need the lab. Where it cannot be used a test says why: skipped for a person, failed in CI."""

from __future__ import annotations

import os

import pytest

from tests.nodes import Lab, why_not
from tests.wheel import Installed, install


@pytest.fixture(scope="session")
def lab() -> Lab:
    reason = why_not()
    if reason:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return Lab()


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(tmp_path_factory.mktemp("installed"))
