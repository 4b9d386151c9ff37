"""The end of a deployment: what is refused, and that machines and servers are as they were."""

from __future__ import annotations

import subprocess
from pathlib import Path

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


def test_up_after_destroy_works_again(lab: Lab, deployed: Stack, tmp_path: Path) -> None:
    deployed.up("--config-file", deployed.configured(tmp_path, computeDefaults={"drain": True}))
    assert {(row["Binary"], row["State"]) for row in lab.table("nova service-list")} == {
        (binary, "up") for binary, _ in SERVICES_OF_THE_GUIDE
    }


def test_a_node_that_is_drained_is_removed_when_its_last_instance_has_left(
    lab: Lab, deployed: Stack, before: Snapshot
) -> None:
    lab.boot("the-last-one")
    destroy = deployed.running("destroy", "--yes", "--skip-preview", "--non-interactive")
    assert destroy.stdout
    printed = ""
    for line in destroy.stdout:
        printed += line
        if "draining: no new instances; still here: 1 instance: the-last-one" in line:
            break
    (row,) = [row for row in lab.table("nova service-list") if row["Host"] == "compute1"]
    assert (row["Status"], row["State"]) == ("disabled", "up")
    lab.delete_instance("the-last-one")
    printed += destroy.stdout.read()
    assert destroy.wait(120) == 0, printed
    assert snapshot(lab).differences(before) == {}
    assert deployed.resources() == []


def test_git_sees_nothing_of_all_this() -> None:
    status = subprocess.run(
        ["git", "status", "--porcelain", "stacks", ".lab"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert status.stdout == ""
