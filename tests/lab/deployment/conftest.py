"""One deployment for the tests of this folder: made by the first, looked at from many sides, destroyed by the last ones.

It stands in a lab of its own beside the one of `make lab`, so that other tests use that one at the same time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import need
from tests.lab.snapshot import Snapshot, snapshot
from tests.nodes import Lab, Stack, lab_state, why_not


@pytest.fixture(scope="package")
def lab() -> Iterator[Lab]:
    """A second lab: other names, another network, another folder."""
    need(why_not())
    name, folder = os.environ.get("LAB_NAME", "nova-lab"), lab_state() / "second"
    own = {
        "LAB_STATE": str(folder),
        "LAB_NAME": f"{name}-2",
        "LAB_COMPUTES": "1",
        "LAB_LIGHT": "0",
    }
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in own.items():
            patch.setenv(variable, value)
        patch.delenv("LAB_SUBNET", raising=False)
        made = Lab()
        made.up()
        yield made
        made.down()


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
