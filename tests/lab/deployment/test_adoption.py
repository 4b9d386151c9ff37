"""A deployment of which no stack knows, as someone else has left it: refused, taken over, and given back.

test_by_hand.py does it with one that was made by the guide's own commands.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.adoption import Theirs, adopted, given_back, refused
from tests.lab.snapshot import NODES
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
    theirs = Theirs.on(lab)
    refused(lab, unknown, theirs)
    adopted(lab, unknown, tmp_path)
    given_back(lab, unknown, theirs)
