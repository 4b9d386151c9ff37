"""The end of a deployment: what is refused, and that machines and servers are as they were."""

from __future__ import annotations

import subprocess

import pytest

from tests.lab.snapshot import Snapshot, snapshot
from tests.nodes import ROOT, Lab, Stack

from .test_deployment import SERVICES_OF_THE_GUIDE

pytestmark = [pytest.mark.lab, pytest.mark.engine]


def test_destroy_refuses_while_an_instance_is_on_a_compute_node(lab: Lab, deployed: Stack) -> None:
    lab.boot("in-the-way")
    try:
        refused = deployed.destroy(check=False)
        assert refused.returncode != 0
        assert "compute1 still has 1 instance" in refused.stdout + refused.stderr
        assert "in-the-way" in refused.stdout + refused.stderr
        assert "Traceback" not in refused.stdout + refused.stderr
        assert {row["State"] for row in lab.table("nova service-list")} == {"up"}
    finally:
        lab.delete_instance("in-the-way")


def test_destroy_leaves_machines_and_servers_as_they_were(lab: Lab, deployed: Stack, before: Snapshot) -> None:
    deployed.destroy()
    assert snapshot(lab).differences(before) == {}
    assert deployed.resources() == []


def test_up_after_destroy_works_again(lab: Lab, deployed: Stack) -> None:
    deployed.up()
    assert {(row["Binary"], row["State"]) for row in lab.table("nova service-list")} == {
        (binary, "up") for binary, _ in SERVICES_OF_THE_GUIDE
    }
    deployed.destroy()


def test_git_sees_nothing_of_all_this() -> None:
    status = subprocess.run(
        ["git", "status", "--porcelain", "stacks", ".lab"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert status.stdout == ""
