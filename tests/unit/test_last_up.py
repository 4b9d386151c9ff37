"""What a state says of the last `up`: a short hash of each property that a look finds out, which a refresh that is stored leaves as it is."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import Any

import pulumi
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pulumi import dynamic

from nova_infra.compute import ServiceReport
from nova_infra.masking import fingerprint
from nova_infra.records import Records
from nova_infra.remote.inspection import Package
from nova_infra.remote.operation import Operated
from nova_infra.resources import node_packages, node_role
from nova_infra.resources.compute_node import REASON, ComputeNodeLifecycle
from nova_infra.resources.controller_node import ControllerNodeLifecycle
from nova_infra.resources.database import DatabaseLifecycle
from nova_infra.resources.endpoint import Endpoint, EndpointArgs
from nova_infra.resources.keystone_user import KeystoneUserLifecycle
from nova_infra.resources.last_up import LAST_UP, short_hash
from nova_infra.resources.lifecycle import Lifecycle
from nova_infra.resources.node_packages import NodePackagesLifecycle
from nova_infra.resources.node_role import NodeRole

from .nodes import NOVA_CONF, state_of
from .servers import Unreachable
from .test_put_back_by_hand import CASES, NODE, PINNED, Deed, World, content, world
from .test_resources import ALL_KINDS, CONNECTION, DATABASE, URL, USER, lifecycle

__all__ = ["world"]

# Each kind with all inputs that it may have.
FULL: list[tuple[type[Lifecycle], dict[str, Any]]] = [
    (kind, {NodePackagesLifecycle: PINNED, ControllerNodeLifecycle: NODE, ComputeNodeLifecycle: {**NODE, "scheduling": "enabled"}}.get(kind, wanted))
    for kind, wanted, _ in ALL_KINDS
]  # fmt: skip
EVERY_KIND = pytest.mark.parametrize(("kind", "wanted"), FULL, ids=[each[0].__name__ for each in FULL])
DRIFT = pytest.mark.parametrize(
    ("kind", "wanted", "taken", "put_back"), [each[1:] for each in CASES], ids=[each[0] for each in CASES]
)


@pytest.fixture(autouse=True)
def applied(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is decided about the machine is done there already."""

    def operate(*_: Any, **__: Any) -> Operated:
        packages = {name: world.packages.get(name, Package("none", "-")) for name in (*PINNED["packages"], "one")}
        return Operated(
            [], dataclasses.replace(world.machine.facts(), packages=packages, notes={node_packages.ADDED: ""})
        )

    monkeypatch.setattr(node_role, "operate", operate)
    monkeypatch.setattr(node_packages, "operate", operate)
    monkeypatch.setattr(NodeRole, "_wait_until_done", lambda *_: None)


def made(world: World, kind: type[Lifecycle], wanted: dict[str, Any]) -> dict[str, Any]:
    """The state after an `up`."""
    outs: dict[str, Any] = lifecycle(kind, world.reached).create(wanted).outs
    return outs


def differing(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    return {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}


def unlike(resource: Any, stored: dict[str, Any], inputs: dict[str, Any]) -> set[str]:
    return {key for key, same in resource.as_last_up(stored, inputs).items() if not same}


@EVERY_KIND
def test_after_an_up_a_look_finds_everything_as_that_made_it(
    world: World, kind: type[Lifecycle], wanted: dict[str, Any]
) -> None:
    resource, state = lifecycle(kind, world.reached), made(world, kind, wanted)
    assert state[LAST_UP].keys() == set(kind.looked_at)
    seen = resource.read(resource.name_of(wanted), state)
    assert seen.inputs == wanted
    assert resource.as_last_up(state, seen.inputs) == dict.fromkeys((*kind.looked_at, *kind.only_found), True)
    assert seen.outs[LAST_UP] == state[LAST_UP]


@EVERY_KIND
def test_it_is_no_input_and_makes_no_difference(world: World, kind: type[Lifecycle], wanted: dict[str, Any]) -> None:
    resource, state = lifecycle(kind, world.reached), made(world, kind, wanted)
    key = resource.name_of(wanted)
    assert LAST_UP not in resource.read(key, state).inputs
    assert resource.diff(key, state, wanted).changes is False
    assert resource.update(key, state, wanted).outs[LAST_UP] == state[LAST_UP]


@EVERY_KIND
def test_it_is_small_enough_for_a_fleet(world: World, kind: type[Lifecycle], wanted: dict[str, Any]) -> None:
    assert len(json.dumps(made(world, kind, wanted)[LAST_UP])) < 200


def test_what_the_machine_decides_is_as_wanted_where_it_has_decided_so(world: World) -> None:
    wanted = {**NODE, "options": {NOVA_CONF: {"DEFAULT": {"verbose": "True"}, "libvirt": {"virt_type": "auto"}}}}
    state = made(world, ComputeNodeLifecycle, wanted)
    compute = lifecycle(ComputeNodeLifecycle, world.reached)
    content("[DEFAULT]\nverbose = True\n[libvirt]\nvirt_type = qemu\n")(world)
    assert "options" not in unlike(compute, state, compute.read("compute1", state).inputs)
    content("[DEFAULT]\nverbose = True\n[libvirt]\nvirt_type = kvm\n")(world)
    assert "options" in unlike(compute, state, compute.read("compute1", state).inputs)


# ------------------------------------------------------------ a refresh that is stored


@DRIFT
def test_a_refresh_that_is_stored_leaves_it_as_it_is_until_the_next_up(
    world: World, kind: type[Lifecycle], wanted: dict[str, Any], taken: Deed, put_back: Deed
) -> None:
    resource, state = lifecycle(kind, world.reached), made(world, kind, wanted)
    key = resource.name_of(wanted)
    taken(world)
    stored = resource.read(key, state)
    assert stored.outs[LAST_UP] == state[LAST_UP]
    assert unlike(resource, stored.outs, stored.inputs) == differing(stored.inputs, wanted) != set()
    again = resource.read(key, stored.outs)
    assert unlike(resource, again.outs, again.inputs) == differing(stored.inputs, wanted)
    put_back(world)
    seen = resource.read(key, again.outs)
    assert unlike(resource, seen.outs, seen.inputs) == set()
    repaired = resource.update(key, again.outs, wanted).outs
    assert repaired[LAST_UP] == state[LAST_UP]
    assert resource.diff(key, repaired, wanted).changes is False


@pytest.mark.parametrize("said", [{}, {"scheduling": "enabled"}])
def test_what_only_a_look_finds_is_unlike_the_last_up_while_it_is_there(world: World, said: dict[str, str]) -> None:
    wanted = {**NODE, **said}
    compute, state = lifecycle(ComputeNodeLifecycle, world.reached), made(world, ComputeNodeLifecycle, {**NODE, **said})
    record = ServiceReport("1", "nova-compute", "compute1", "nova", "disabled", "up", "", REASON)
    world.reached.compute.reports = [*world.reached.compute.reports[:1], record]
    world.reached.records = Records(world.reached.compute.services)
    stored = compute.read("compute1", state)
    assert unlike(compute, stored.outs, stored.inputs) == {"being_removed", *said}
    world.report("nova-cert", "nova-compute")
    seen = compute.read("compute1", stored.outs)
    assert unlike(compute, seen.outs, seen.inputs) == set()
    assert compute.diff("compute1", stored.outs, wanted).changes is True


@DRIFT
def test_a_stack_that_comes_to_want_what_a_stored_refresh_has_found_stores_that_once_and_opens_no_connection(
    world: World, kind: type[Lifecycle], wanted: dict[str, Any], taken: Deed, put_back: Deed
) -> None:
    resource, state = lifecycle(kind, world.reached), made(world, kind, wanted)
    key = resource.name_of(wanted)
    taken(world)
    stored = resource.read(key, state)
    assert resource.diff(key, stored.outs, stored.inputs).changes is True
    taken_over = lifecycle(kind, Unreachable()).update(key, stored.outs, stored.inputs).outs
    assert {**taken_over, LAST_UP: {}} == {**stored.outs, LAST_UP: {}}
    assert unlike(resource, taken_over, stored.inputs) == set()
    assert resource.diff(key, taken_over, stored.inputs).changes is False


# ------------------------------------------------------------ an earlier version's state, and what is no drift


@EVERY_KIND
def test_a_state_of_an_earlier_version_gets_it_with_the_next_change_and_not_by_a_refresh(
    world: World, kind: type[Lifecycle], wanted: dict[str, Any]
) -> None:
    resource, state = lifecycle(kind, world.reached), made(world, kind, wanted)
    key = resource.name_of(wanted)
    earlier = {name: value for name, value in state.items() if name != LAST_UP}
    assert LAST_UP not in resource.read(key, earlier).outs
    assert resource.as_last_up(earlier, wanted) == {}
    assert resource.diff(key, earlier, wanted).changes is False
    assert resource.update(key, earlier, wanted).outs[LAST_UP] == state[LAST_UP]


@EVERY_KIND
def test_a_change_of_what_only_state_needs_stores_it_without_a_connection(
    world: World, kind: type[Lifecycle], wanted: dict[str, Any]
) -> None:
    state = made(world, kind, wanted)
    for name in kind.kept_in_state:
        outs = lifecycle(kind, Unreachable()).update("id", state, {**wanted, name: "another"}).outs
        assert (outs[name], outs[LAST_UP]) == ("another", state[LAST_UP])


def test_to_leave_scheduling_to_operators_again_is_stored_without_a_connection(world: World) -> None:
    state = made(world, ComputeNodeLifecycle, {**NODE, "scheduling": "enabled"})
    left = lifecycle(ComputeNodeLifecycle, Unreachable()).update("compute1", state, NODE).outs
    assert left[LAST_UP] == {key: each for key, each in state[LAST_UP].items() if key != "scheduling"}


@EVERY_KIND
def test_another_password_of_an_administrator_makes_nothing_unlike_the_last_up(
    world: World, kind: type[Lifecycle], wanted: dict[str, Any]
) -> None:
    resource, state = lifecycle(kind, world.reached), made(world, kind, wanted)
    world.reached.fingerprint_key = "another"
    seen = resource.read(resource.name_of(wanted), state)
    assert unlike(resource, state, seen.inputs) == set()
    assert resource.last_up(wanted) == state[LAST_UP]


def test_an_option_by_hand_stays_unlike_the_last_up_under_another_password_of_an_administrator(world: World) -> None:
    compute, state = lifecycle(ComputeNodeLifecycle, world.reached), made(world, ComputeNodeLifecycle, NODE)
    content("[DEFAULT]\nverbose = True\nby_hand = 1\n")(world)
    stored = compute.read("compute1", state)
    world.reached.fingerprint_key = "another"
    seen = compute.read("compute1", stored.outs)
    assert differing(stored.inputs, seen.inputs) == {"options"}
    assert unlike(compute, seen.outs, seen.inputs) == unlike(compute, stored.outs, stored.inputs)
    content("[DEFAULT]\nverbose = True\n")(world)
    seen = compute.read("compute1", stored.outs)
    assert unlike(compute, seen.outs, seen.inputs) == set()


# ------------------------------------------------------------ secrets


def options_of(**values: Any) -> dict[str, Any]:
    state = state_of({"options": {NOVA_CONF: {"DEFAULT": values}}, "services": {"nova-cert": {}}})
    # What a service reads is told by a fingerprint that is slow to guess.
    state["services"] = {}
    return {**state, "hidden": [[NOVA_CONF, "DEFAULT", "quiet"]]}


def hosts_of(password: str) -> dict[str, Any]:
    return {**DATABASE, "hosts": {host: {**at, "password": password} for host, at in DATABASE["hosts"].items()}}


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        (KeystoneUserLifecycle, USER, {**USER, "password": "another"}),
        (DatabaseLifecycle, DATABASE, hosts_of("another")),
        (ComputeNodeLifecycle, options_of(rabbit_password="PW-ONE"), options_of(rabbit_password="PW-TWO")),
        (ComputeNodeLifecycle, options_of(quiet="PW-ONE"), options_of(quiet=["PW-TWO", "PW-THREE"])),
        (ControllerNodeLifecycle, options_of(connection="mysql://nova:a@b"), options_of(connection="mysql://nova:c@b")),
    ],
)
def test_it_is_the_same_with_any_other_secret_so_that_nobody_can_guess_one_from_it(
    kind: type[Lifecycle], one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert one != other
    assert kind().last_up(one) == kind().last_up(other)


@pytest.mark.parametrize("name", ["rabbit_password", "quiet"])
def test_a_secret_option_that_came_or_went_or_is_another_one_on_the_node_is_unlike_the_last_up(name: str) -> None:
    compute = ComputeNodeLifecycle()
    wanted = options_of(**{name: "PW-ONE"})
    state = {**wanted, LAST_UP: compute.last_up(wanted)}
    shown = fingerprint("PW-TWO", "key")
    for there in (
        {},
        {name: "PW-ONE", "another_password": f"not in the stack ({shown})"},
        {name: "PW-ONE", f"{name} (found)": f"another value ({shown})"},
        # It was gone, a refresh was stored, and somebody has put one back: whether it is ours nobody knows.
        {name: f"not in the stack ({shown})"},
    ):
        assert unlike(compute, state, options_of(**there)) == {"options"}
    assert unlike(compute, state, options_of(**{name: "PW-ONE"})) == set()


@pytest.mark.parametrize("secret", [False, True], ids=["plain", "a secret"])
def test_where_a_program_gives_what_may_be_a_secret_the_engine_keeps_it_as_one(
    monkeypatch: pytest.MonkeyPatch, secret: bool
) -> None:
    given: list[pulumi.ResourceOptions] = []
    monkeypatch.setattr(
        dynamic.Resource, "__init__", lambda _self, _lifecycle, _name, _inputs, opts: given.append(opts)
    )

    async def program() -> None:
        url: Any = pulumi.Output.from_input(URL) if secret else URL
        urls = {"public_url": url, "internal_url": URL, "admin_url": URL}
        Endpoint("endpoint", EndpointArgs("regionOne", "compute", "nova", **urls))

    asyncio.run(program())
    assert given[0].additional_secret_outputs == ([LAST_UP] if secret else None)


# ------------------------------------------------------------ hashes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=10,
)


@given(JSON, JSON)
def test_values_have_one_hash_when_they_are_equal(one: Any, other: Any) -> None:
    assert (short_hash(one) == short_hash(other)) == (
        json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    )


def test_the_order_of_keys_is_no_difference_and_that_of_items_is_one() -> None:
    assert short_hash({"a": 1, "b": [1, 2]}) == short_hash({"b": [1, 2], "a": 1})
    assert short_hash([1, 2]) != short_hash([2, 1])


def test_a_number_of_the_wire_is_the_same_number(world: World) -> None:
    packages = lifecycle(NodePackagesLifecycle, world.reached)
    wire = {**PINNED, "connection": {**CONNECTION, "port": 22.0}, "packages": {"one": 1.0}}
    assert packages.create({**PINNED, "packages": {"one": 1}}).outs[LAST_UP] == packages.create(wire).outs[LAST_UP]


def test_the_hash_is_the_one_that_earlier_runs_have_stored() -> None:
    """sha256sum of `{"a": ["b", 1]}`."""
    assert short_hash({"a": ["b", 1]}) == "ef601316"
