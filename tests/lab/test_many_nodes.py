"""A deployment on a controller and twelve light nodes: what happens on one node, and on no other.

NOVA_MANY_NODES=100 does the same with so many; CONTRIBUTING.md says when.
"""

from __future__ import annotations

import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.lab.snapshot import Snapshot, snapshot
from tests.nodes import Lab, Stack, lab_script

pytestmark = [pytest.mark.lab, pytest.mark.engine, pytest.mark.slow]

NODES = [f"light{number:03}" for number in range(1, int(os.environ.get("NOVA_MANY_NODES", "12")) + 1)]
NEW = NODES[-1]
THREE = ["light002", "light005", "light009"]
LOOKED_AT = ("controller", *THREE, NEW)


@dataclass(frozen=True)
class Seen:
    """A node without a login to it: how many logins there were, which process nova-compute is, the options in its nova.conf."""

    logins: int
    process: str
    options: str


@dataclass
class Deployment:
    """The stack of light nodes."""

    lab: Lab
    stack: Stack
    directory: Path
    before: Snapshot

    def up(
        self,
        *arguments: str,
        nodes: list[str],
        concurrency: int = 8,
        ratio: str = "1.0",
        jump: str = "",
        check: bool = True,
    ) -> str:
        """What `pulumi up` prints for these nodes, so many operations at once, one option for all, and a node to go through."""
        path = self.settings(nodes, concurrency, ratio, jump)
        done = self.stack.up("--config-file", path, *arguments, check=check)
        assert check or done.returncode != 0, "it was to fail"
        return done.stdout

    def settings(self, nodes: list[str], concurrency: int = 8, ratio: str = "1.0", jump: str = "") -> str:
        """The path of the stack's settings."""
        options = {"all": {"DEFAULT": {"cpu_allocation_ratio": ratio}}}
        through = {"jumpHost": {"host": self.lab.address(jump), "user": "ubuntu"}} if jump else {}
        path = self.stack.configured(self.directory, concurrency=concurrency, options=options, **through)
        settings = yaml.safe_load(Path(path).read_text())
        computes = settings["config"]["nova:computes"]
        settings["config"]["nova:computes"] = [each for each in computes if each["name"] in nodes]
        Path(path).write_text(yaml.safe_dump(settings))
        return path

    def seen(self) -> dict[str, Seen]:
        """All light nodes, as they are."""
        with ThreadPoolExecutor(4) as threads:
            return dict(zip(NODES, threads.map(self._seen, NODES), strict=True))

    def _seen(self, node: str) -> Seen:
        script = (
            "grep -c Accepted /var/log/sshd.log; cat /var/run/nova/nova-compute.pid 2>/dev/null || echo none; "
            "grep -h '^cpu_allocation_ratio' /etc/nova/nova.conf 2>/dev/null || echo none"
        )
        logins, process, options = on(self.lab, node, script).splitlines()
        return Seen(int(logins), process, options)


def on(lab: Lab, node: str, script: str) -> str:
    """What a script prints that runs on a node, without SSH."""
    command = ["podman", "exec", lab.container(node), "sh", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.fixture(scope="module")
def deployment(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """All nodes but one are up, eight operations at once: the smaller of `concurrency` and --parallel."""
    lab_script("up", LAB_LIGHT=str(len(NODES)))
    stack = Stack(tmp_path_factory.mktemp("backend"))
    stack.create()
    deployed = Deployment(lab, stack, tmp_path_factory.mktemp("settings"), snapshot(lab, LOOKED_AT))
    deployed.up("--parallel", "16", nodes=NODES[:-1])
    return deployed


def counts(printed: str) -> dict[str, int]:
    """What the engine counts at the end: created, updated, replaced, errored ..."""
    summary = printed[printed.rindex("Resources:") :]
    return {
        what: int(number) for number, what in re.findall(r"(\d+) (created|updated|replaced|deleted|errored)", summary)
    }


def states(lab: Lab) -> dict[str, str]:
    """Host -> the state of its nova-compute, as nova lists it."""
    rows = lab.table("nova service-list --binary nova-compute")
    return {row["Host"]: row["State"] for row in rows}


def test_nova_lists_all_light_nodes_as_up(deployment: Deployment) -> None:
    assert states(deployment.lab) == dict.fromkeys(NODES[:-1], "up")


def test_adding_one_node_opens_no_ssh_to_any_other_compute(deployment: Deployment) -> None:
    before = deployment.seen()

    deployment.up(nodes=NODES)

    after = deployment.seen()
    assert [node for node in NODES if after[node].logins != before[node].logins] == [NEW]
    assert states(deployment.lab)[NEW] == "up"


def test_more_or_fewer_operations_at_once_move_nodes_to_other_providers_and_change_nothing(
    deployment: Deployment,
) -> None:
    before = deployment.seen()

    for concurrency, providers in ((16, {"created": 2}), (4, {"deleted": 3})):
        printed = deployment.up(nodes=NODES, concurrency=concurrency)
        assert counts(printed) == providers
        deployment.stack.pulumi(
            *("preview", "--non-interactive", "--expect-no-changes"),
            *("--config-file", deployment.settings(NODES, concurrency)),
        )

    assert deployment.seen() == before


def test_one_option_for_all_restarts_each_node_once_and_leaves_no_drift(deployment: Deployment) -> None:
    before = deployment.seen()

    printed = deployment.up(nodes=NODES, ratio="2.0")

    after = deployment.seen()
    assert "replaced" not in counts(printed)
    assert {each.options for each in after.values()} == {"cpu_allocation_ratio = 2.0"}
    assert [node for node in NODES if after[node].process == before[node].process] == []
    deployment.stack.pulumi(
        *("preview", "--refresh", "--non-interactive", "--expect-no-changes"),
        *("--config-file", deployment.settings(NODES, ratio="2.0")),
    )


def test_behind_a_jump_host_every_node_is_reached_from_there_and_from_nowhere_else(deployment: Deployment) -> None:
    jump, *behind = NODES
    from_jump = f"grep -c 'Accepted .* from {deployment.lab.address(jump)} ' /var/log/sshd.log || true"
    before = deployment.seen()

    deployment.up(nodes=NODES, ratio="2.5", jump=jump)

    after = deployment.seen()
    assert {each.options for each in after.values()} == {"cpu_allocation_ratio = 2.5"}
    logins = {node: after[node].logins - before[node].logins for node in behind}
    assert logins == {node: int(on(deployment.lab, node, from_jump)) for node in behind}
    assert set(logins.values()) == {1}


def test_after_a_failure_on_three_nodes_the_next_up_does_only_these(deployment: Deployment) -> None:
    before = deployment.seen()
    for node in THREE:
        on(deployment.lab, node, "service ssh stop")
    try:
        printed = deployment.up("--continue-on-error", nodes=NODES, ratio="3.0", check=False)
    finally:
        for node in THREE:
            on(deployment.lab, node, "service ssh start")

    failed = deployment.seen()
    assert sorted(set(re.findall(r"error: .*?(light\d+) ", printed))) == THREE
    assert [node for node in NODES if failed[node].options != "cpu_allocation_ratio = 3.0"] == THREE
    assert [failed[node] for node in THREE] == [before[node] for node in THREE]

    printed = deployment.up(nodes=NODES, ratio="3.0")

    after = deployment.seen()
    assert {each.options for each in after.values()} == {"cpu_allocation_ratio = 3.0"}
    # The three, and the check that looks at all.
    assert counts(printed) == {"updated": len(THREE) + 1}
    assert [node for node in NODES if after[node].process != failed[node].process] == THREE


def test_one_node_is_removed_by_target_and_the_next_up_brings_it_back(deployment: Deployment) -> None:
    before, target = deployment.seen(), THREE[0]

    deployment.stack.destroy(
        *("--target", f"**::nova-{target}-packages", "--target-dependents"),
        *("--config-file", deployment.settings(NODES, ratio="3.0")),
    )

    after = deployment.seen()
    assert after[target].process == "none"
    others = [node for node in NODES if node != target]
    assert [after[node] for node in others] == [before[node] for node in others]
    assert states(deployment.lab) == dict.fromkeys(others, "up")
    assert snapshot(deployment.lab, [target]).on_nodes() == deployment.before.on_nodes(target)

    printed = deployment.up(nodes=NODES, ratio="3.0")

    # Its packages, itself, and the check that looks at all.
    assert counts(printed) == {"created": 3}
    assert states(deployment.lab) == dict.fromkeys(NODES, "up")
    back = deployment.seen()
    assert [node for node in others if back[node].process != before[node].process] == []


def test_destroy_leaves_light_nodes_as_they_were(deployment: Deployment) -> None:
    deployment.stack.destroy("--config-file", deployment.settings(NODES, ratio="3.0"))

    assert snapshot(deployment.lab, LOOKED_AT).differences(deployment.before) == {}
    assert deployment.stack.resources() == []
    assert {each.process for each in deployment.seen().values()} == {"none"}
