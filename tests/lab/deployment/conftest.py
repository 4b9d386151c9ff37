"""Stories that begin with a deployment. The first of them in a process makes it; each file gets a copy of its nodes and of its state."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import put_back
from tests.lab.snapshot import NODES, Snapshot, snapshot
from tests.lab.watched import command_lines
from tests.nodes import Lab, Stack, eventually
from tests.own_lab import OwnLab

KEPT = "deployed"
# `up` notes which process it has started, and what that has read. It is so of a copy too: its files are those that were read then.
AS_STARTED_BY_UP = """cd /var/lib/nova-infra && for note in service.nova-*; do
  pid=$(cat /var/run/nova/${note#service.}.pid) && ticks=$(sed 's/^.*) //' /proc/$pid/stat | awk '{print $20}') &&
    sed -i "s/^[0-9]* /$ticks /" $note || exit 1
done"""


@dataclass(frozen=True)
class FirstUp:
    """The first `pulumi up` of this process, and what it left."""

    before: Snapshot
    """What the machines and servers held before it."""
    lines: list[tuple[float, str]]
    """What it printed, each line with the second in which it came."""
    command_lines: set[str]
    """Of all processes that ran meanwhile, here and on the nodes."""
    backend: Path


@pytest.fixture(scope="session")
def first_up(own_lab: OwnLab, tmp_path_factory: pytest.TempPathFactory) -> FirstUp:
    """On new nodes, which are then kept as they are."""
    own_lab.begin_at()
    before = snapshot(own_lab)
    stack = Stack(tmp_path_factory.mktemp("backend"))
    stack.create()
    own_lab.used()
    began = time.monotonic()
    with command_lines() as seen, stack.running("up", "--yes", "--skip-preview", "--non-interactive") as engine:
        assert engine.stdout
        lines = [(time.monotonic() - began, line.rstrip()) for line in engine.stdout]
    assert engine.returncode == 0, "\n".join(line for _, line in lines)
    own_lab.keep(KEPT)
    return FirstUp(before, lines, seen, stack.backend)


@pytest.fixture(scope="module")
def lab(own_lab: OwnLab, first_up: FirstUp, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """The nodes as the first `up` left them. The tests of a file put back what they change on them, or use `used_up`."""
    began = time.monotonic()
    if own_lab.begin_at(KEPT):
        wait_for_reports(own_lab, began)
        for node in NODES:
            own_lab.run(node, AS_STARTED_BY_UP)
    with put_back(own_lab, request):
        yield own_lab


def wait_for_reports(lab: Lab, began: float) -> None:
    """Until each of nova's services has reported since then. What is kept says when it did before."""
    ages = "SELECT TIMESTAMPDIFF(SECOND, COALESCE(updated_at, created_at), UTC_TIMESTAMP()) FROM nova.services WHERE deleted = 0 AND topic IS NOT NULL"

    def all_report() -> bool:
        return all(int(age) < time.monotonic() - began for (age,) in lab.sql(ages))

    assert eventually(all_report), "services of nova do not report after their nodes were started"


@pytest.fixture(scope="module")
def used_up(lab: Lab, own_lab: OwnLab) -> Iterator[None]:
    """For a file that does not put back what it changes."""
    yield
    own_lab.used()


@pytest.fixture(scope="module")
def deployed(lab: Lab, first_up: FirstUp, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """A stack with the state that the first `pulumi up` left."""
    stack = Stack(tmp_path_factory.mktemp("backend") / "copy")
    shutil.copytree(first_up.backend, stack.backend)
    return stack
