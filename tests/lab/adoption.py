"""A deployment that no stack knows: what it is before, that a stack refuses to overwrite it, takes it over when told to, and gives it back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.lab.snapshot import NODES, Snapshot, snapshot
from tests.nodes import Lab, Stack

# nova's records of itself get new times; the fingerprints of what runs are compared one by one below.
FILES = "/etc/nova/nova.conf /etc/nova/nova-compute.conf"


@dataclass(frozen=True)
class Theirs:
    """The files of both nodes, what machines and servers hold, and the processes of nova."""

    files: dict[str, str]
    held: Snapshot
    processes: dict[str, dict[str, str]]

    @classmethod
    def on(cls, lab: Lab) -> Theirs:
        """As it is now."""
        return cls(_files(lab), snapshot(lab), _processes(lab))


def refused(lab: Lab, stack: Stack, theirs: Theirs) -> str:
    """What an `up` says that may not overwrite it, and that changes nothing."""
    done = stack.up(check=False)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "Traceback" not in said
    assert f"controller ({lab.address('controller')}): somebody has written what the stack would overwrite" in said
    assert "[DEFAULT] verbose: another value" in said
    assert "adopt: true" in said
    assert _files(lab) == theirs.files
    assert _processes(lab) == theirs.processes
    return said


def adopted(lab: Lab, stack: Stack, folder: Path) -> None:
    """`up` takes it over when the stack says so: nothing is there twice, and there is nothing left to do."""
    settings = stack.configured(folder, controllers=[{"adopt": True}], computeDefaults={"adopt": True})
    stack.up("--config-file", settings)
    _one_of_each(lab)
    assert {row["State"] for row in lab.table("nova service-list")} == {"up"}
    stack.pulumi(
        "preview", "--refresh", "--diff", "--expect-no-changes", "--non-interactive", "--config-file", settings
    )


def given_back(lab: Lab, stack: Stack, theirs: Theirs) -> None:
    """`destroy` leaves it as it was, with its services running."""
    stack.destroy()
    assert _files(lab) == theirs.files
    assert snapshot(lab).differences(theirs.held) == {}
    _one_of_each(lab)
    assert {node: set(each) for node, each in _processes(lab).items()} == {
        node: set(each) for node, each in theirs.processes.items()
    }
    assert {row["State"] for row in lab.table("nova service-list")} == {"up"}


def _files(lab: Lab) -> dict[str, str]:
    script = f"for file in {FILES}; do [ ! -e $file ] || stat -c '%n %U %G %a %Y' $file; done; sha256sum {FILES} 2>/dev/null; true"
    return {node: lab.run(node, script) for node in NODES}


def _processes(lab: Lab) -> dict[str, dict[str, str]]:
    return {node: lab.processes(node) for node in NODES}


def _one_of_each(lab: Lab) -> None:
    assert len([row for row in lab.table("keystone user-list") if row["name"] == "nova"]) == 1
    (service,) = [row for row in lab.table("keystone service-list") if row["type"] == "compute"]
    assert len([row for row in lab.table("keystone endpoint-list") if row["service_id"] == service["id"]]) == 1
    rows = [(row["Binary"], row["Host"]) for row in lab.table("nova service-list")]
    assert len(rows) == len(set(rows)) == 5
