"""The end of a deployment: what is refused, and that machines and servers are as they were."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.lab.deployment.conftest import FirstUp
from tests.lab.snapshot import NODES, snapshot
from tests.nodes import ROOT, Lab, Stack

from .test_deployment import SERVICES_OF_THE_GUIDE

pytestmark = [
    pytest.mark.lab,
    pytest.mark.engine,
    pytest.mark.usefixtures("used_up"),
    pytest.mark.xdist_group("deployment-2"),
]


def told(stack: Stack) -> tuple[int, dict[str, dict[str, Any]]]:
    """How `python -m nova_infra teardown` ends, and what it tells of each resource."""
    done = stack.command("teardown", "--stack", "lab", "--json")
    assert "Traceback" not in done.stderr
    resources = json.loads(done.stdout)["resources"]
    return done.returncode, {each["name"].removeprefix("nova-"): each for each in resources}


def test_destroy_refuses_while_an_instance_is_on_a_compute_node(lab: Lab, deployed: Stack) -> None:
    lab.boot("in-the-way")
    try:
        code, ends = told(deployed)
        assert code == 2
        assert {name for name, each in ends.items() if each["refuses"]} == {"compute1"}
        assert "compute1 still has 1 instance: in-the-way" in ends["compute1"]["refuses"][0]
        assert {row["Status"] for row in lab.table("nova service-list")} == {"enabled"}
        refused = deployed.destroy(check=False)
        assert refused.returncode != 0
        assert "compute1 still has 1 instance" in refused.stdout + refused.stderr
        assert "in-the-way" in refused.stdout + refused.stderr
        assert "Traceback" not in refused.stdout + refused.stderr
        assert {row["State"] for row in lab.table("nova service-list")} == {"up"}
    finally:
        lab.delete_instance("in-the-way")


def test_what_is_protected_is_told_with_the_way_to_lift_it(lab: Lab, deployed: Stack, tmp_path: Path) -> None:
    guarded = {"protect": True, "database": {"on_delete": "refuse"}}
    deployed.up("--config-file", deployed.configured(tmp_path, **guarded))
    processes = {node: lab.processes(node) for node in NODES}

    code, ends = told(deployed)
    assert code == 2
    protected = {name for name, each in ends.items() if each["refuses"]}
    assert protected == {"database", "user", "service", "endpoint", "controller", "controller-packages"}
    assert any("set on_delete to drop" in each for each in ends["database"]["refuses"])
    # It looks first: with --skip-preview Pulumi removes what is not protected before it comes to what is.
    refused = deployed.pulumi("destroy", "--yes", "--non-interactive", check=False)
    assert refused.returncode != 0
    assert "protected" in refused.stdout + refused.stderr
    assert {node: lab.processes(node) for node in NODES} == processes

    # The command that is told lifts it, for one; the setting for all.
    command = re.search(r"`pulumi (state unprotect --stack lab '[^']*')`", ends["user"]["refuses"][0])
    assert command
    deployed.pulumi(*shlex.split(command[1]), "--yes", "--non-interactive")
    assert told(deployed)[1]["user"]["refuses"] == []
    deployed.up()
    assert told(deployed)[0] == 0
    assert {node: lab.processes(node) for node in NODES} == processes


def test_destroy_waits_for_instances_does_what_was_told_and_leaves_machines_and_servers_as_they_were(
    lab: Lab, deployed: Stack, first_up: FirstUp, tmp_path: Path
) -> None:
    there = snapshot(lab)
    code, ends = told(deployed)
    assert code == 0
    assert snapshot(lab).differences(there) == {}
    removed = {name: "; ".join(each["removes"]) for name, each in ends.items()}
    assert "dropping the schema nova with its data" in removed["database"]
    assert "deleting its record in nova" in removed["compute1"]
    assert not [each for end in ends.values() for each in (*end["keeps"], *end["refuses"])]

    deployed.up("--config-file", deployed.configured(tmp_path, computeDefaults={"drain": True}))
    lab.boot("the-last-one")
    with deployed.running("destroy", "--yes", "--skip-preview", "--non-interactive") as destroy:
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
    assert destroy.returncode == 0, printed

    nodes = [each for name, each in ends.items() if name.startswith(NODES)]
    deeds = [deed for each in nodes for deed in each["removes"] if deed.startswith(("stopping", "putting", "removing"))]
    assert len(deeds) == 7
    assert [deed for deed in deeds if deed not in " ".join(printed.split())] == []
    assert snapshot(lab).differences(first_up.before) == {}
    assert deployed.resources() == []


@pytest.mark.slow
def test_up_after_destroy_works_again(lab: Lab, deployed: Stack) -> None:
    deployed.up()
    assert {(row["Binary"], row["State"]) for row in lab.table("nova service-list")} == {
        (binary, "up") for binary, _ in SERVICES_OF_THE_GUIDE
    }
    deployed.destroy()


def test_stack_rm_removes_the_stack(deployed: Stack) -> None:
    done = deployed.command("teardown", "--stack", "lab")
    assert (done.returncode, done.stdout.strip()) == (
        0,
        "The stack has no resources of nova-infra: nothing was deployed, or all of it was destroyed.",
    )
    # Without --preserve-config the stack's file in the repository would go too.
    deployed.pulumi("stack", "rm", "lab", "--yes", "--preserve-config", "--non-interactive")
    assert json.loads(deployed.pulumi("stack", "ls", "--json").stdout) == []
    # No state, no history, no lock. What is left is Pulumi's own: see The end in docs/state.md.
    state = deployed.backend / ".pulumi"
    kept = {path.relative_to(state).as_posix() for path in state.rglob("*") if path.is_file()}
    assert {each for each in kept if not each.startswith("backups/nova/lab/lab.")} <= {
        "meta.yaml",
        "stacks/nova/lab.json.bak",
    }


def test_git_sees_nothing_of_all_this() -> None:
    status = subprocess.run(
        ["git", "status", "--porcelain", "stacks", ".lab"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert status.stdout == ""
