"""A refresh of machines and servers that do not answer, or are others: named, never answered for from the state, and nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from tests.lab.drift.kinds import preview, processes
from tests.nodes import Lab, Stack, eventually

pytestmark = [pytest.mark.lab, pytest.mark.engine]

KEY = "/etc/ssh/ssh_host_ed25519_key"


@contextmanager
def without_sshd(lab: Lab, node: str) -> Iterator[None]:
    """Nothing listens there."""
    lab.inside(node, "kill $(cat /run/sshd.pid)")
    try:
        yield
    finally:
        lab.inside(node, "/usr/sbin/sshd")


@contextmanager
def stopped(lab: Lab, server: str) -> Iterator[None]:
    lab.inside("controller", f"service {server} stop")
    try:
        yield
    finally:
        lab.inside("controller", f"service {server} start")
        assert eventually(lambda: "service" in lab.openstack("keystone tenant-list", check=False))


@contextmanager
def another_host_key(lab: Lab) -> Iterator[None]:
    """As another machine at the address has it."""
    again = "kill -HUP $(cat /run/sshd.pid)"
    lab.inside(
        "compute1",
        f"mkdir /srv/keys && mv {KEY} {KEY}.pub /srv/keys && ssh-keygen -q -t ed25519 -N '' -f {KEY} && {again}",
    )
    try:
        yield
    finally:
        lab.inside("compute1", f"mv /srv/keys/* /etc/ssh/ && rmdir /srv/keys && {again}")


@contextmanager
def another_host_name(lab: Lab) -> Iterator[None]:
    lab.enter("compute1", "hostname", "renamed")
    try:
        yield
    finally:
        lab.enter("compute1", "hostname", "compute1")


def known(stack: Stack) -> dict[object, object]:
    """The resources in the state, by their ids; of nodes what is known of their services."""
    return {each["urn"]: (each.get("id"), each.get("inputs", {}).get("services")) for each in stack.resources()}  # type: ignore[attr-defined]


CAUSES = {
    "nobody answers": (partial(without_sshd, node="compute1"), "compute1 (ubuntu@{address}):"),
    "another host key": (another_host_key, "host key"),
    "Keystone is stopped": (partial(stopped, server="keystone"), "Keystone"),
    "another host name": (another_host_name, "the machine at this address calls itself renamed"),
    # The servers are behind the first controller.
    "the way to the servers is cut": (partial(without_sshd, node="controller"), "controller (ubuntu@"),
    "MariaDB is stopped": (partial(stopped, server="mariadb"), "MariaDB"),
}
# What is behind the first controller is waited for, and nova-manage asks a MariaDB that is not there for 60 s, each time.
SLOW = {"the way to the servers is cut", "MariaDB is stopped"}


@pytest.mark.parametrize("cause", [pytest.param(each, marks=[pytest.mark.slow] * (each in SLOW)) for each in CAUSES])
def test_whoever_is_not_there_is_named_and_its_state_stays(lab: Lab, deployed: Stack, cause: str) -> None:
    happens, words = CAUSES[cause]
    state, before = known(deployed), processes(lab)
    with happens(lab):
        plan = preview(deployed)
        done = deployed.up("--refresh", check=False)
    for said, failed in ((plan.text + plan.error, plan.failed), (done.stdout + done.stderr, done.returncode != 0)):
        assert failed, said
        assert words.format(address=lab.address("compute1")) in " ".join(said.split()), said
        assert "Traceback" not in said
    assert not plan.steps("create") | plan.steps("delete") | plan.steps("update"), plan.text
    assert known(deployed) == state
    assert processes(lab) == before


def test_once_all_answer_again_there_is_nothing_to_do(lab: Lab, deployed: Stack) -> None:
    before = processes(lab)
    deployed.up("--refresh", "--expect-no-changes")
    assert processes(lab) == before
    # A refresh that came to no end has recorded a newer table of those that answered than the stack put out.
    recorded = {str(each["urn"]).split("::")[-1]: each.get("outputs") for each in deployed.resources()}
    assert deployed.outputs()["service_list"] == recorded["nova-check"]["service_list"]  # type: ignore[index]
