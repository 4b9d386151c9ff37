"""A deployment whose engine is killed again and again, in the worst moments. In the end it is complete, and nothing is there twice."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.held import proxy
from tests.lab.snapshot import snapshot
from tests.nodes import Lab, Stack, eventually

pytestmark = [pytest.mark.lab, pytest.mark.engine]

SERVICES = 5


def started_by(stack: Stack) -> list[int]:
    """The processes that the stack's engines have started and left."""
    mark = f"PULUMI_BACKEND_URL=file://{stack.backend}".encode()
    found = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            # Those of the engine's plugins; a shell of this test has the same variable.
            if process.name.isdigit() and b"pulumi-" in (process / "cmdline").read_bytes().replace(
                b"pulumi.dynamic", b"pulumi-"
            ):
                found += [int(process.name)] if mark in (process / "environ").read_bytes() else []
    return found


def at_work(stack: Stack) -> set[int]:
    """Those of them that are connected to a node."""
    connections = subprocess.run(
        ["ss", "-tnpH", "state", "established", "dport", "=", ":22"], capture_output=True, text=True, check=True
    ).stdout
    return set(started_by(stack)) & {int(pid) for pid in re.findall(r"pid=(\d+)", connections)}


def kill_when(stack: Stack, arguments: list[str], moment: str | Callable[[], bool]) -> None:
    """Runs pulumi and kills the engine with -9 at that moment: a line that it prints, or a condition."""
    printed = ""
    with stack.running(*arguments, "--yes", "--skip-preview", "--non-interactive") as engine:
        assert engine.stdout
        if callable(moment):
            assert eventually(moment, seconds=60), "the moment did not come"
            engine.send_signal(signal.SIGKILL)
        else:
            for line in engine.stdout:
                printed += line
                if re.search(moment, line):
                    engine.send_signal(signal.SIGKILL)
                    break
        printed += engine.stdout.read()
    assert engine.returncode == -signal.SIGKILL, f"it ended before {moment}:\n{printed}"
    assert eventually(lambda: not at_work(stack), seconds=10), "what the engine had started goes on without it"
    # The engine's language host, and a provider that was never given anything to do, do not see that it is gone.
    for pid in started_by(stack):
        os.kill(pid, signal.SIGTERM)


def test_a_deployment_killed_in_the_worst_moments_is_completed_and_taken_away(
    lab: Lab, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    before = snapshot(lab)
    stack = Stack(Path(tmp_path_factory.mktemp("backend")))
    stack.create()
    bridge = re.sub(r"\.\d+$", ".1", lab.address("controller"))

    with proxy(bridge, (lab.address("controller"), 35357)) as (keystone, port):
        # After a POST to Keystone and before its answer: the record is made, and nobody has heard of it. And while apt works.
        keystone.hold = b"POST /v2.0/OS-KSADM/services"
        held = stack.configured(tmp_path, identity={"admin_url": f"http://{bridge}:{port}/v2.0"})
        kill_when(
            stack,
            ["up", "--config-file", held],
            lambda: keystone.answered.is_set() and lab.run("controller", "pgrep -x dpkg; true") != "",
        )
        assert lab.run("controller", "pgrep -x apt-get; true") != "", "apt is never cut off"
        keystone.hold = b""
        assert len([row for row in lab.table("keystone service-list") if row["type"] == "compute"]) == 1

        # While the tables are made.
        again(stack)
        kill_when(stack, ["up"], r"controller: nova-manage db sync")

    # Between a file and the restart of what reads it.
    again(stack)
    kill_when(stack, ["up"], r"compute1: writing /etc/nova/nova.conf")

    again(stack)
    stack.up()
    assert_complete_and_nothing_twice(lab)
    stack.pulumi("preview", "--refresh", "--diff", "--expect-no-changes", "--non-interactive")
    assert stack.pending() == []

    # While a compute node is taken away.
    kill_when(stack, ["destroy"], r"compute1: stopping nova-compute")
    again(stack)
    stack.destroy()
    assert snapshot(lab).differences(before) == {}
    assert stack.resources() == []


@pytest.mark.slow
def test_an_engine_killed_while_it_saves_its_state_only_at_the_end_restarts_nothing_twice(
    lab: Lab, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = Stack(Path(tmp_path_factory.mktemp("backend")))
    stack.create()
    stack.up()
    state, old = stack.state(), processes(lab)
    changed = stack.configured(tmp_path, options={"all": {"DEFAULT": {"cpu_allocation_ratio": "2.0"}}})

    # The controller is done and works again, compute1 has its file and no restart.
    monkeypatch.setenv("PULUMI_SKIP_CHECKPOINTS", "true")
    kill_when(stack, ["up", "--config-file", changed], r"compute1: writing /etc/nova/nova.conf")
    monkeypatch.delenv("PULUMI_SKIP_CHECKPOINTS")
    cut_off = processes(lab)
    assert [name for name in old["controller"] if cut_off["controller"][name] == old["controller"][name]] == []

    # What docs/operations.md says of it.
    stack.pulumi("cancel", "--yes", "--stack", "lab")
    assert stack.state() == state
    stack.up("--config-file", changed)

    after = processes(lab)
    assert after["controller"] == cut_off["controller"]
    assert after["compute1"] != old["compute1"]
    for node in after:
        assert "cpu_allocation_ratio = 2.0\n" in lab.run(node, "cat /etc/nova/nova.conf")
    stack.pulumi("preview", "--refresh", "--expect-no-changes", "--non-interactive", "--config-file", changed)
    stack.destroy("--config-file", changed)


def processes(lab: Lab) -> dict[str, dict[str, str]]:
    """Node -> nova's services there, each with its process and when that was started."""
    return {node: lab.processes(node) for node in ("controller", "compute1")}


def again(stack: Stack) -> None:
    """What docs/operations.md says about an engine that was killed; nothing asks a question."""
    stack.pulumi("cancel", "--yes", "--stack", "lab")
    stack.pulumi("refresh", "--yes", "--skip-preview", "--clear-pending-creates", "--non-interactive")
    assert stack.pending() == []


def assert_complete_and_nothing_twice(lab: Lab) -> None:
    rows = lab.table("nova service-list")
    assert len(rows) == SERVICES
    assert len({(row["Binary"], row["Host"]) for row in rows}) == SERVICES
    assert {row["State"] for row in rows} == {"up"}
    assert "cirros-0.3.3-x86_64" in lab.openstack("nova image-list")
    (user,) = [row for row in lab.table("keystone user-list") if row["name"] == "nova"]
    roles = lab.table(f"keystone user-role-list --user {user['id']} --tenant service")
    assert [row["name"] for row in roles] == ["admin"]
    (service,) = [row for row in lab.table("keystone service-list") if row["type"] == "compute"]
    assert len([row for row in lab.table("keystone endpoint-list") if row["service_id"] == service["id"]]) == 1
    assert sorted(row[0] for row in lab.sql("SELECT Host FROM mysql.user WHERE User = 'nova'")) == ["%", "localhost"]
    for node in ("controller", "compute1"):
        assert lab.run(node, "dpkg --audit") == ""
        assert lab.run(node, "ls /usr/sbin/policy-rc.d* 2>/dev/null; true") == ""
        duplicates = lab.run(node, "pgrep -fc '^[^ ]*python[^ ]* /usr/bin/nova-manage'; true").strip()
        assert duplicates == "0"
