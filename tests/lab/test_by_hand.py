"""A deployment that a person made with the guide's own commands, taken over by the stack and given back."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.lab.adoption import Theirs, adopted, given_back, refused
from tests.lab.snapshot import NODES
from tests.nodes import ROOT, Lab, Stack

pytestmark = [pytest.mark.lab, pytest.mark.engine, pytest.mark.slow]


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
    theirs = Theirs.on(lab)

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

    said = refused(lab, stack, theirs)
    # The packaged file says `verbose = True` too, and the guide's line stands below it.
    for difference in ("[DEFAULT] enabled_apis: not in the stack", "[DEFAULT] rootwrap_config: not in the file"):
        assert difference in said

    adopted(lab, stack, tmp_path)
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

    given_back(lab, stack, theirs)
