"""Machines and servers that do not answer, or are others: how it comes about, and what is said of it. Nothing is changed then.

`assert_refused` takes one of CAUSES; test_machines_that_do_not_answer.py runs them, and matrix.py writes what is said into docs/drift.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.lab.drift.files_kinds import SQLITE
from tests.lab.drift.kinds import preview, processes, servers
from tests.nodes import Lab, Stack, eventually

AREA = "Refused and not reachable"
KEY = "/etc/ssh/ssh_host_ed25519_key"
KEYSTONE = "Keystone at http://controller:35357/v2.0 as admin (tenant admin): "
MARIADB = "MariaDB at controller:"
COMPUTE_API = "The compute API in region regionOne: listing its services failed: "


@dataclass(frozen=True)
class Cause:
    """One way in which a machine or server is not there, or is another."""

    name: str
    """As a row of docs/drift.md."""
    happens: Callable[[Lab], AbstractContextManager[None]]
    silent: Mapping[str, str]
    """Resource -> how the sentence begins that says why it cannot be looked at; {address} is that of compute1. Of all others the report tells
    whether they are in order. A plan and `up` end with that of the first."""
    unknown: frozenset[tuple[str, str]] = frozenset()
    """(resource, input) which others cannot be asked for then, and whose value in the state says so until the next refresh."""
    slow: bool = False
    """Whether it is waited for, again and again."""
    drifted: str = ""
    """A node that answers and has drifted meanwhile: that is shown, and not repaired."""

    def said(self, lab: Lab) -> dict[str, str]:
        """`silent`, with the address."""
        return {name: words.format(address=lab.address("compute1")) for name, words in self.silent.items()}


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
        # Nova's first answer after that may be an error: it finds its connections to the database gone.
        assert eventually(lambda: "nova-scheduler" in lab.openstack("nova service-list", check=False))


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


def all_of_compute1(sentence: str) -> dict[str, str]:
    return dict.fromkeys(("nova-compute1", "nova-compute1-packages"), sentence)


def all_of_keystone(sentence: str) -> dict[str, str]:
    return dict.fromkeys(("nova-user", "nova-service", "nova-endpoint"), sentence)


NOT_REACHABLE = Cause(
    "a node is not reachable",
    partial(without_sshd, node="compute1"),
    all_of_compute1("compute1 (ubuntu@{address}): no SSH connection: "),
    drifted="controller",
)
# Nobody says that it is gone: the connection is taken, and nothing comes.
SILENT = Cause(
    "a node takes connections and does not answer",
    lambda lab: lab.frozen("compute1"),
    all_of_compute1("compute1 (ubuntu@{address}): "),
    slow=True,
)
ANOTHER_HOST_KEY = Cause(
    "another machine is at the address of a node: its host key is another one",
    another_host_key,
    all_of_compute1("compute1 (ubuntu@{address}): its host key is not the one we trust: "),
)
ANOTHER_HOST_NAME = Cause(
    "the host name of a node is changed",
    another_host_name,
    all_of_compute1("compute1 ({address}): the machine at this address calls itself renamed. "),
)
KEYSTONE_STOPPED = Cause(
    "Keystone is not reachable",
    partial(stopped, server="keystone"),
    {**all_of_keystone(KEYSTONE), "nova-check": COMPUTE_API},
    drifted="compute1",
    slow=True,
)
# The servers are behind the first controller.
CONTROLLER_NOT_REACHABLE = Cause(
    "the controller is not reachable, and with it the servers behind it",
    partial(without_sshd, node="controller"),
    dict.fromkeys(
        (
            "nova-controller",
            "nova-controller-packages",
            "nova-database",
            *all_of_keystone(""),
            "nova-check",
        ),
        "controller (ubuntu@",
    ),
    slow=True,
)
# Keystone keeps its users there, and nova-manage asks for 60 s, each time.
MARIADB_STOPPED = Cause(
    "MariaDB is not reachable",
    partial(stopped, server="mariadb"),
    {"nova-database": MARIADB, **all_of_keystone(KEYSTONE), "nova-check": COMPUTE_API},
    # Nova answers then, with an error.
    unknown=frozenset({("nova-controller", "schema"), ("nova-check", "look_again")}),
    slow=True,
)
CAUSES = [
    NOT_REACHABLE,
    SILENT,
    ANOTHER_HOST_KEY,
    KEYSTONE_STOPPED,
    ANOTHER_HOST_NAME,
    CONTROLLER_NOT_REACHABLE,
    MARIADB_STOPPED,
]


def assert_refused(lab: Lab, stack: Stack, cause: Cause, *settings: str) -> str:
    """Plan and `up` fail with the sentence that is returned; the report has it, and the others as they are; nothing is changed."""
    with drifted(lab, cause.drifted):
        recorded, said = inputs(stack, cause), cause.said(lab)
        running, servers_before = processes(lab), servers(lab)
        with cause.happens(lab):
            plan = preview(stack, *settings)
            assert_in_the_report(stack, said, cause.drifted)
            done = stack.up("--refresh", *settings, check=False)
        if cause.drifted:
            assert lab.run(cause.drifted, f"ls {SQLITE}").strip() == SQLITE
            assert (f"nova-{cause.drifted}", "absent[0]") in plan.found, plan.text
        assert processes(lab) == running
        # A server that was stopped is another process now.
        assert servers(lab) == servers_before or cause in (KEYSTONE_STOPPED, MARIADB_STOPPED)
    assert plan.failed, plan.text
    assert done.returncode != 0, done.stdout
    words = next(iter(said.values()))
    sentences = [sentence(text, words) for text in (plan.text + plan.error, done.stdout + done.stderr)]
    assert not plan.steps("create") | plan.steps("delete") | plan.steps("update"), plan.text
    assert inputs(stack, cause) == recorded
    if cause.drifted:
        # A refresh that came to no end has stored the drift; it is no more.
        stack.up("--refresh", "--expect-no-changes", *settings)
    return sentences[0]


@contextmanager
def drifted(lab: Lab, node: str) -> Iterator[None]:
    """A file that is to be gone is there again on the node meanwhile; without a node nothing is.

    No option: of a service that its package has started nobody would know what it has read.
    """
    if not node:
        yield
        return
    lab.run(node, f"touch {SQLITE}")
    try:
        yield
    finally:
        lab.run(node, f"rm {SQLITE}")


def assert_in_the_report(stack: Stack, said: Mapping[str, str], node: str = "") -> None:
    """`python -m nova_infra drift` names those that it could not ask, and why; the others are in order but the node; it stores nothing."""
    state = stack.state()
    done = stack.command("drift", "--json")
    assert done.returncode == 3, done.stdout + done.stderr
    resources = {each["name"]: each for each in json.loads(done.stdout)["resources"]}
    silent = {name: each["reason"] for name, each in resources.items() if each["status"] == "not reachable"}
    assert silent.keys() == said.keys(), done.stdout
    assert {name: reason for name, reason in silent.items() if not reason.startswith(said[name])} == {}
    others = {name: each["status"] for name, each in resources.items() if name not in said}
    assert {name for name, status in others.items() if status != "in order"} == ({f"nova-{node}"} if node else set()), (
        done.stdout
    )
    assert stack.state() == state


def sentence(printed: str, words: str) -> str:
    """The error that pulumi prints and that begins with these words."""
    found = re.search(rf"error: .*?nova_infra\.errors\.\w+: ({re.escape(words)}.*)", printed)
    assert found, f"{words!r} is not said:\n{printed}"
    assert "Traceback" not in printed, printed
    return found[1].strip()


def inputs(stack: Stack, cause: Cause) -> dict[str, tuple[Any, dict[str, Any]]]:
    """Resource -> id and inputs in the state, secrets in plain, without those that the cause leaves unknown, and what has drifted meanwhile."""
    return {
        each["urn"]: (
            each.get("id"),
            {
                key: value
                for key, value in each.get("inputs", {}).items()
                if (each["urn"].split("::")[-1], key) not in {*cause.unknown, (f"nova-{cause.drifted}", "absent")}
            },
        )
        for each in json.loads(stack.pulumi("stack", "export", "--show-secrets").stdout)["deployment"]["resources"]
    }
