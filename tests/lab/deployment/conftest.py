"""One deployment for the tests of this folder: made by the first, looked at from many sides, destroyed by the last ones."""

from __future__ import annotations

import time
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
def first_up(stack: Stack, before: Snapshot) -> list[tuple[float, str]]:
    """The lines of the first `pulumi up`, each with the second in which it came."""
    began = time.monotonic()
    engine = stack.running("up", "--yes", "--skip-preview", "--non-interactive")
    assert engine.stdout
    lines = [(time.monotonic() - began, line.rstrip()) for line in engine.stdout]
    assert engine.wait(60) == 0, "\n".join(line for _, line in lines)
    return lines


@pytest.fixture(scope="package")
def deployed(stack: Stack, first_up: list[tuple[float, str]]) -> Stack:
    """The stack after its first `pulumi up`."""
    return stack
