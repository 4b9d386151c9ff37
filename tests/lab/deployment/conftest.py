"""One deployment for the tests of this folder: made by the first, looked at from many sides, destroyed by the last ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.snapshot import Snapshot, snapshot
from tests.nodes import Lab, Stack


@pytest.fixture(scope="package")
def stack(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    made = Stack(Path(tmp_path_factory.mktemp("backend")))
    made.create()
    return made


@pytest.fixture(scope="package")
def before(lab: Lab, stack: Stack) -> Snapshot:
    """What the machines and servers held before the first `up`."""
    lab.reset()
    return snapshot(lab)


@pytest.fixture(scope="package")
def deployed(stack: Stack, before: Snapshot) -> Stack:
    """The stack after its first `pulumi up`."""
    stack.up()
    return stack
