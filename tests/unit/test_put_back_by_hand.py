"""What somebody has put back by hand after a refresh has taken its absence into the state is as the stack wants it: nothing remains of it.

A refresh that is stored (`pulumi refresh`, or an `up --refresh` that failed elsewhere) makes what it has found the inputs of the state, and the
next one is asked with these.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import pytest

from nova_infra import adoption, node
from nova_infra.compute import ServiceReport
from nova_infra.errors import ComputeError
from nova_infra.grants import GRANT_OPTION, Schema
from nova_infra.records import Records
from nova_infra.remote.inspection import Facts, Package
from nova_infra.resources import node_packages, node_role
from nova_infra.resources.compute_node import ComputeNodeLifecycle
from nova_infra.resources.controller_node import ControllerNodeLifecycle
from nova_infra.resources.database import DatabaseLifecycle
from nova_infra.resources.endpoint import EndpointLifecycle
from nova_infra.resources.keystone_user import KeystoneUserLifecycle
from nova_infra.resources.lifecycle import Lifecycle
from nova_infra.resources.node_packages import NodePackagesLifecycle
from nova_infra.resources.service import ServiceLifecycle
from nova_infra.resources.service_check import ServiceCheckLifecycle

from .nodes import NOVA_CONF, SQLITE, Machine, state_of
from .servers import Reached
from .test_resources import ALL_KINDS, CHECK, DATABASE, ENDPOINT, PACKAGES, SERVICE, USER, lifecycle

ROLES = {**USER, "roles": ["admin", "member", "observer"]}
HOSTS = {
    **DATABASE,
    "hosts": {
        "%": {"privileges": ["DROP", "INSERT", "SELECT"], "password": "NOVA_DBPASS", "password_works": True},
        "localhost": {"privileges": ["ALL"], "password": "NOVA_DBPASS", "password_works": True},
    },
}
NODE = {
    **state_of(
        {
            "node": "compute1",
            "options": {NOVA_CONF: {"DEFAULT": {"verbose": "True"}}},
            "services": {"nova-cert": {}, "nova-compute": {}},
            "absent": ["/var/lib/nova/first", SQLITE],
        }
    ),
    "reporting": ["nova-cert", "nova-compute"],
}
PINNED = {**PACKAGES, "packages": {"nova-compute": "present", "sysfsutils": "2.1", "zlib": "present"}}
THERE = {name: Package("install ok installed", "2.1") for name in PINNED["packages"]}


@dataclasses.dataclass
class World:
    """Servers, and the machine compute1."""

    reached: Reached
    machine: Machine
    packages: dict[str, Package]

    def report(self, *services: str) -> None:
        rows = [ServiceReport("1", each, "compute1", "nova", "enabled", "up", "", "") for each in services]
        self.reached.compute.reports = rows
        # Of another process: all nodes of one ask nova once.
        self.reached.records = Records(self.reached.compute.services)

    def restart(self, name: str) -> None:
        self.machine.clock += node.CLOCK_SECONDS
        self.machine.stop(name)
        self.machine.start(name)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """All is as the stack wants it."""
    reached, machine, packages = Reached(), Machine(NODE, "qemu"), dict(THERE)
    machine.do(node.decide(NODE, machine.facts()))
    # Time goes on while things are done there, and the clock is not to be off.
    machine.clock = int(time.time()) - 30
    monkeypatch.setattr(node_role, "inspect", lambda *_, **__: machine.facts())
    notes = {node_packages.ADDED: "sysfsutils", node_packages.NAMED: ""}

    def asked(_connection: Any, question: Any, **_more: Any) -> Facts:
        of = {name: packages.get(name, Package("none", "-")) for name in question.packages}
        return Facts("compute1", machine.clock, "qemu", "sysv", packages=of, notes=notes)

    monkeypatch.setattr(node_packages, "inspect", asked)
    monkeypatch.setattr(reached.compute, "images", list, raising=False)
    there = World(reached, machine, packages)
    there.report("nova-cert", "nova-compute")
    for kind, wanted in ((ServiceLifecycle, SERVICE), (EndpointLifecycle, ENDPOINT)):
        lifecycle(kind, reached).create(wanted)
    return there


Deed = Callable[[World], Any]


def silent(world: World) -> None:
    def refuse() -> Any:
        raise ComputeError("HTTP 401")

    world.reached.compute.services = refuse  # type: ignore[method-assign, assignment]


def answering(world: World) -> None:
    del world.reached.compute.services  # type: ignore[method-assign]


def role(name: str) -> tuple[str, str, str]:
    return ("nova", name, "service")


def grants(world: World, host: str) -> set[str]:
    return world.reached.database.grants["nova", host, "nova"]


def everything(world: World) -> None:
    world.reached.database.create_user("nova", "%", "NOVA_DBPASS")
    world.reached.database.grant("nova", "%", "nova", ["DROP", "INSERT", "SELECT"])


def content(text: str) -> Deed:
    def write(world: World) -> None:
        world.machine.clock += node.CLOCK_SECONDS
        world.machine.write(NOVA_CONF, text)
        world.machine.clock += node.CLOCK_SECONDS
        for name in ("nova-cert", "nova-compute"):
            world.restart(name)

    return write


def package(name: str, status: str, version: str = "2.1") -> Deed:
    return lambda world: world.packages.update({name: Package(status, version)})


def replaced(records: str, **content: str) -> Deed:
    """As in v2.0: one is deleted, another made."""

    def replace(world: World) -> None:
        there = getattr(world.reached.identity, records)
        (old,) = there
        there["another" + old] = dataclasses.replace(there.pop(old), id="another" + old, **content)

    return replace


OF = "service_records", "endpoint_records"
CASES: list[tuple[str, type[Lifecycle], dict[str, Any], Deed, Deed]] = [
    (
        "all roles",
        *(KeystoneUserLifecycle, ROLES),
        lambda world: world.reached.identity.roles.clear(),
        lambda world: world.reached.identity.roles.update(map(role, ROLES["roles"])),
    ),
    (
        "the first role",
        *(KeystoneUserLifecycle, ROLES),
        lambda world: world.reached.identity.roles.discard(role("admin")),
        lambda world: world.reached.identity.roles.add(role("admin")),
    ),
    (
        "a user that is let in",
        *(KeystoneUserLifecycle, ROLES),
        lambda world: world.reached.identity.passwords.update(nova="another"),
        lambda world: world.reached.identity.passwords.update(nova="NOVA_PASS"),
    ),
    (
        "the user at a host",
        *(DatabaseLifecycle, HOSTS),
        lambda world: world.reached.database.drop_user("nova", "%"),
        everything,
    ),
    (
        "a privilege",
        *(DatabaseLifecycle, HOSTS),
        lambda world: grants(world, "%").discard("DROP"),
        lambda world: grants(world, "%").add("DROP"),
    ),
    (
        "a privilege of all",
        *(DatabaseLifecycle, HOSTS),
        lambda world: grants(world, "localhost").discard("DROP"),
        lambda world: grants(world, "localhost").add("DROP"),
    ),
    (
        "privileges that are not too many",
        *(DatabaseLifecycle, HOSTS),
        lambda world: grants(world, "%").update({"DELETE", GRANT_OPTION}),
        lambda world: grants(world, "%").difference_update({"DELETE", GRANT_OPTION}),
    ),
    (
        "the character set",
        *(DatabaseLifecycle, HOSTS),
        lambda world: world.reached.database.alter_schema("nova", Schema("latin1", "latin1_bin")),
        lambda world: world.reached.database.alter_schema("nova", Schema("utf8", "utf8_general_ci")),
    ),
    (
        "a service's description",
        *(ServiceLifecycle, SERVICE),
        replaced(OF[0], description="Ours"),
        replaced(OF[0], description=SERVICE["description"]),
    ),
    (
        "an endpoint's URL",
        *(EndpointLifecycle, ENDPOINT),
        replaced(OF[1], admin_url="http://192.0.2.7"),
        replaced(OF[1], admin_url=ENDPOINT["admin_url"]),
    ),
    (
        "a file that is not there",
        *(ControllerNodeLifecycle, NODE),
        lambda world: world.machine.present.update({SQLITE: True}),
        lambda world: world.machine.present.update({SQLITE: False}),
    ),
    (
        "nova's records of both services",
        *(ComputeNodeLifecycle, NODE),
        lambda world: world.report(),
        lambda world: world.report("nova-cert", "nova-compute"),
    ),
    (
        "nova's record of the first service",
        *(ControllerNodeLifecycle, NODE),
        lambda world: world.report("nova-compute"),
        lambda world: world.report("nova-cert", "nova-compute"),
    ),
    (
        "a service that runs and starts at boot",
        *(ComputeNodeLifecycle, NODE),
        lambda world: (world.machine.stop("nova-cert"), world.machine.do([node.call("set_boot", "nova-cert", "off")])),
        lambda world: (world.restart("nova-cert"), world.machine.do([node.call("set_boot", "nova-cert", "enabled")])),
    ),
    (
        "an option's value",
        *(ComputeNodeLifecycle, NODE),
        content("[DEFAULT]\nverbose = False\n"),
        content("[DEFAULT]\nverbose = True\n"),
    ),
    (
        "a file without an option more",
        *(ComputeNodeLifecycle, NODE),
        content("[DEFAULT]\nverbose = True\nby_hand = 1\n"),
        content("[DEFAULT]\nverbose = True\n"),
    ),
    (
        "a package",
        *(NodePackagesLifecycle, PINNED),
        package("nova-compute", "deinstall ok config-files"),
        package("nova-compute", "install ok installed"),
    ),
    (
        "a package with a pin",
        *(NodePackagesLifecycle, PINNED),
        package("sysfsutils", "none", "-"),
        package("sysfsutils", "install ok installed"),
    ),
    (
        "a pinned version",
        *(NodePackagesLifecycle, PINNED),
        package("sysfsutils", "install ok installed", "9"),
        package("sysfsutils", "install ok installed"),
    ),
    (
        "a package that is configured",
        *(NodePackagesLifecycle, PINNED),
        package("zlib", "install ok half-configured"),
        package("zlib", "install ok installed"),
    ),
    ("nova's answer", *(ServiceCheckLifecycle, CHECK), silent, answering),
]


@pytest.mark.parametrize(
    ("kind", "wanted", "taken", "put_back"), [each[1:] for each in CASES], ids=[each[0] for each in CASES]
)
def test_what_was_put_back_by_hand_after_a_stored_refresh_is_as_wanted_and_nothing_is_said_of_it(
    world: World, kind: type[Lifecycle], wanted: dict[str, Any], taken: Deed, put_back: Deed
) -> None:
    resource = lifecycle(kind, world.reached)
    made = {**wanted, **(resource.create(wanted).outs if kind in OF_SERVERS else {})}
    key = resource.name_of(wanted)
    assert resource.read(key, made).inputs == wanted, "it begins as wanted"
    taken(world)
    stored = resource.read(key, made)
    assert stored.inputs != wanted
    assert resource.diff(key, stored.outs, wanted).changes
    # A second refresh finds the same.
    assert resource.read(key, stored.outs).inputs == stored.inputs
    put_back(world)
    seen = resource.read(key, stored.outs)
    assert seen.inputs == wanted
    assert seen.outs["remarks"] == []


OF_SERVERS = (KeystoneUserLifecycle, DatabaseLifecycle, ServiceLifecycle, EndpointLifecycle)


@pytest.mark.parametrize(
    "what", ["the user at a host", "a privilege", "the first role", "privileges that are not too many"]
)
def test_destroy_after_a_stored_refresh_leaves_what_was_there_before_us_and_nothing_else(
    world: World, what: str
) -> None:
    ((_what, kind, wanted, taken, put_back),) = [each for each in CASES if each[0] == what]
    reached, resource = world.reached, lifecycle(kind, world.reached)
    if kind is KeystoneUserLifecycle:
        # Theirs, with a role that the stack names too.
        reached.identity.create_user("nova", "theirs", "", True)
        reached.identity.roles.add(role("observer"))
    made = resource.create(wanted).outs
    taken(world)
    stored = resource.read("nova", made).outs
    put_back(world)
    resource.delete("nova", stored)
    assert (reached.database.hashes, reached.database.grants) == ({}, {})
    assert reached.identity.roles == ({role("observer")} if kind is KeystoneUserLifecycle else set())


def test_a_node_is_given_up_after_a_stored_refresh_as_before_it(world: World) -> None:
    world.machine.present[SQLITE] = True
    stored = lifecycle(ControllerNodeLifecycle, world.reached).read("compute1", NODE).outs
    assert stored["absent"] == ["/var/lib/nova/first", f"{SQLITE} (is there)"]
    assert adoption.undo(stored, world.machine.facts()) == adoption.undo(NODE, world.machine.facts())
    assert node.question(stored) == node.question(NODE)


def test_every_kind_of_resource_is_asked() -> None:
    assert {each[1] for each in CASES} == {each[0] for each in ALL_KINDS}
