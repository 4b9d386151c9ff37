"""A deployment that a person made with the guide's own commands, taken over by the stack and given back."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.lab.snapshot import snapshot
from tests.nodes import ROOT, Lab, Stack

pytestmark = [pytest.mark.lab, pytest.mark.engine, pytest.mark.slow]

NODES = ("controller", "compute1")
# nova's records of itself get new times; the fingerprints of what runs are compared one by one below.
FILES = "/etc/nova/nova.conf /etc/nova/nova-compute.conf"


def files(lab: Lab, node: str) -> str:
    return lab.run(
        node,
        f"for file in {FILES}; do [ ! -e $file ] || stat -c '%n %U %G %a %Y' $file; done; sha256sum {FILES} 2>/dev/null; true",
    )


def one_of_each(lab: Lab) -> None:
    assert len([row for row in lab.table("keystone user-list") if row["name"] == "nova"]) == 1
    (service,) = [row for row in lab.table("keystone service-list") if row["type"] == "compute"]
    assert len([row for row in lab.table("keystone endpoint-list") if row["service_id"] == service["id"]]) == 1
    rows = [(row["Binary"], row["Host"]) for row in lab.table("nova service-list")]
    assert len(rows) == len(set(rows)) == 5


@pytest.fixture(scope="module")
def by_hand(lab: Lab) -> None:
    done = subprocess.run(
        [ROOT / "lab" / "by-hand", "--no-instance", "--at-once"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def stack(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    made = Stack(Path(tmp_path_factory.mktemp("backend")))
    made.create()
    return made


def test_a_deployment_made_by_hand_is_refused_adopted_and_given_back(
    lab: Lab, by_hand: None, stack: Stack, tmp_path: Path
) -> None:
    before = {node: files(lab, node) for node in NODES}
    untouched = snapshot(lab)
    processes = {node: lab.processes(node) for node in NODES}

    told = json.loads(stack.command("check", "--json").stdout)
    assert {(each["where"], each["subject"]) for each in told["problems"]} == {(node, "adoption") for node in NODES}
    assert all("somebody has written /etc/nova/nova" in each["what"] for each in told["problems"])
    adoptable = " ".join(each["what"] for each in told["notes"])
    for record in (
        "the schema nova is",
        "the user 'nova'@'%'",
        "the user nova is",
        "the service of",
        "the endpoint of",
    ):
        assert record in adoptable

    refused = stack.up(check=False)
    said = refused.stdout + refused.stderr
    assert refused.returncode != 0
    assert "Traceback" not in said
    assert f"controller ({lab.address('controller')}): somebody has written what the stack would overwrite" in said
    # The packaged file says `verbose = True` too, and the guide's line stands below it.
    for difference in (
        "[DEFAULT] verbose: another value",
        "[DEFAULT] enabled_apis: not in the stack",
        "[DEFAULT] rootwrap_config: not in the file",
    ):
        assert difference in said
    assert "adopt: true" in said
    assert {node: files(lab, node) for node in NODES} == before
    assert {node: lab.processes(node) for node in NODES} == processes

    adopting = stack.configured(tmp_path, controllers=[{"adopt": True}], computeDefaults={"adopt": True})
    stack.up("--config-file", adopting)
    one_of_each(lab)
    assert {row["State"] for row in lab.table("nova service-list")} == {"up"}
    stack.pulumi(
        "preview", "--refresh", "--diff", "--expect-no-changes", "--non-interactive", "--config-file", adopting
    )
    for node in NODES:
        kept = lab.run(node, "stat -c '%a %U' /var/lib/nova-infra/original/etc/nova/nova.conf").split()
        assert kept == ["600", "root"]

    done = stack.command("teardown", "--json")
    ends = {each["name"].removeprefix("nova-"): each for each in json.loads(done.stdout)["resources"]}
    assert (done.returncode, [each["name"] for each in ends.values() if each["refuses"]]) == (0, [])
    kept = {name: " ".join(each["keeps"]) for name, each in ends.items() if each["keeps"]}
    assert set(kept) == {"database", "user", "service", "endpoint", "compute1"}
    assert all("before us" in each for each in kept.values())
    assert not [each for end in ends.values() for each in end["removes"] if "dropping" in each or "deleting" in each]

    stack.destroy()
    assert {node: files(lab, node) for node in NODES} == before
    assert snapshot(lab).differences(untouched) == {}
    one_of_each(lab)
    assert {node: set(lab.processes(node)) for node in NODES} == {node: set(processes[node]) for node in NODES}
    assert {row["State"] for row in lab.table("nova service-list")} == {"up"}
