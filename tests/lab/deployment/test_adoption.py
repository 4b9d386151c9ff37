"""A deployment of which no stack knows, as someone else has left it: refused, taken over, and given back.

test_by_hand.py does it with one that was made by the guide's own commands.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.snapshot import NODES, snapshot
from tests.lab.test_by_hand import files, one_of_each
from tests.nodes import Lab, Stack

pytestmark = [pytest.mark.lab, pytest.mark.engine, pytest.mark.usefixtures("used_up")]

NOVA_CONF = "/etc/nova/nova.conf"


@pytest.fixture
def unknown(lab: Lab, tmp_path: Path) -> Stack:
    """A stack without a state, for nodes that hold no notes of ours, which differ from it in one option."""
    for node in NODES:
        lab.run(node, f"rm -r /var/lib/nova-infra; sed -i 's/^verbose = True/verbose = False/' {NOVA_CONF}")
    stack = Stack(tmp_path / "unknown")
    stack.create()
    return stack


def test_what_someone_else_has_deployed_is_refused_adopted_and_given_back(
    lab: Lab, unknown: Stack, tmp_path: Path
) -> None:
    before, there = {node: files(lab, node) for node in NODES}, snapshot(lab)
    processes = {node: lab.processes(node) for node in NODES}

    refused = unknown.up(check=False)
    said = refused.stdout + refused.stderr
    assert refused.returncode != 0
    assert "Traceback" not in said
    assert f"controller ({lab.address('controller')}): somebody has written what the stack would overwrite" in said
    assert "[DEFAULT] verbose: another value" in said
    assert "adopt: true" in said
    assert {node: files(lab, node) for node in NODES} == before
    assert {node: lab.processes(node) for node in NODES} == processes

    adopting = unknown.configured(tmp_path, controllers=[{"adopt": True}], computeDefaults={"adopt": True})
    unknown.up("--config-file", adopting)
    one_of_each(lab)
    assert {row["State"] for row in lab.table("nova service-list")} == {"up"}
    arguments = ("--refresh", "--diff", "--expect-no-changes", "--non-interactive", "--config-file", adopting)
    unknown.pulumi("preview", *arguments)

    unknown.destroy()
    assert {node: files(lab, node) for node in NODES} == before
    assert snapshot(lab).differences(there) == {}
    one_of_each(lab)
    assert {node: set(lab.processes(node)) for node in NODES} == {node: set(processes[node]) for node in NODES}
