"""The drift report after a refresh that was stored and not followed by a repair: what nobody has repaired is still said, what somebody has put back is in order."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nova_infra.commands import drift as command
from nova_infra.commands.state import Managed
from nova_infra.compute import ServiceReport
from nova_infra.drift import asking
from nova_infra.drift.comparison import STORED, Difference, stored
from nova_infra.drift.page import as_page
from nova_infra.drift.report import DRIFTED, IN_ORDER, UNREACHABLE, Observed, Report, as_json
from nova_infra.drift.text import as_text
from nova_infra.errors import DatabaseError
from nova_infra.node import SCHEMA_NOT_KNOWN
from nova_infra.resources.compute_node import REASON, ComputeNodeLifecycle
from nova_infra.resources.controller_node import ControllerNodeLifecycle
from nova_infra.resources.database import DatabaseLifecycle
from nova_infra.resources.keystone_user import KeystoneUserLifecycle
from nova_infra.resources.last_up import LAST_UP
from nova_infra.resources.lifecycle import Lifecycle
from nova_infra.resources.service import ServiceLifecycle
from nova_infra.resources.service_check import ServiceCheckLifecycle
from tests import reports

from .test_drift import PREFIX, page
from .test_last_up import DRIFT, applied, differing, made
from .test_put_back_by_hand import CASES, HOSTS, NODE, OF_SERVERS, ROLES, Deed, World, content, grants, role, world
from .test_resources import SERVICE, lifecycle

__all__ = ["applied", "world"]

SAID = "differs from what the last `pulumi up` made; a stored refresh has found it, `pulumi preview --diff` shows both values"


def managed(world: World, kind: type[Lifecycle], state: dict[str, Any], secrets: Any = ()) -> Managed:
    """The resource as an export of a state has it."""
    resource = lifecycle(kind, world.reached)
    name = kind.__name__.removesuffix("Lifecycle")
    left_out = {"state_schema", "remarks", LAST_UP, *kind.computed}
    return Managed(
        urn=f"{PREFIX}pulumi-python:dynamic/nova:{name}::nova-{name.lower()}",
        name=f"nova-{name.lower()}",
        type=f"pulumi-python:dynamic/nova:{name}",
        id=resource.name_of(state),
        inputs={"__provider": "code", **{key: value for key, value in state.items() if key not in left_out}},
        outputs={"__provider": "code", **state},
        secrets=frozenset(secrets),
        access=world.reached,
    )


def refreshed(world: World, kind: type[Lifecycle], state: dict[str, Any]) -> dict[str, Any]:
    """The state after a refresh that is stored."""
    outs: dict[str, Any] = lifecycle(kind, world.reached).read(kind().name_of(state), state).outs
    return outs


def asked(*resources: Managed) -> Report:
    return asking.ask(resources, lambda _text: None)


def one(world: World, kind: type[Lifecycle], state: dict[str, Any]) -> Observed:
    (seen,) = asked(managed(world, kind, state)).resources
    return seen


def paths(seen: Observed, change: str = STORED) -> set[str]:
    return {each.path for each in seen.differences if each.change == change}


@DRIFT
def test_what_a_stored_refresh_has_found_is_drift_until_somebody_puts_it_right(
    world: World, kind: type[Lifecycle], wanted: dict[str, Any], taken: Deed, put_back: Deed
) -> None:
    resource, state = lifecycle(kind, world.reached), made(world, kind, wanted)
    key = resource.name_of(wanted)
    assert one(world, kind, state).status == IN_ORDER
    taken(world)
    stored_state = refreshed(world, kind, state)
    assert resource.diff(key, stored_state, wanted).changes is True
    report = asked(managed(world, kind, stored_state))
    (seen,) = report.resources
    if kind is ServiceCheckLifecycle:
        # Nova has not answered.
        assert seen.status == UNREACHABLE
    else:
        assert (seen.status, command.code(report)) == (DRIFTED, command.DIFFERENT)
        assert paths(seen) == {each.path for each in seen.differences}
        assert paths(seen) == differing(resource.read(key, state).inputs, wanted)
    # A second refresh that is stored hides nothing either.
    assert one(world, kind, refreshed(world, kind, stored_state)).differences == seen.differences
    put_back(world)
    repaired = resource.update(key, stored_state, wanted).outs
    for in_order in (stored_state, refreshed(world, kind, stored_state), repaired):
        report = asked(managed(world, kind, in_order))
        assert [each.differences for each in report.resources] == [()]
        assert command.code(report) == command.IN_ORDER


@DRIFT
def test_what_the_stack_has_come_to_want_is_in_order(
    world: World, kind: type[Lifecycle], wanted: dict[str, Any], taken: Deed, put_back: Deed
) -> None:
    resource, state = lifecycle(kind, world.reached), made(world, kind, wanted)
    taken(world)
    stored_state = refreshed(world, kind, state)
    # `up` opens no connection for it.
    news = {key: stored_state[key] for key in wanted}
    taken_over = resource.update(resource.name_of(wanted), stored_state, news).outs
    assert one(world, kind, taken_over).status == (UNREACHABLE if kind is ServiceCheckLifecycle else IN_ORDER)


@DRIFT
def test_what_an_up_has_repaired_is_in_order(
    world: World, kind: type[Lifecycle], wanted: dict[str, Any], taken: Deed, put_back: Deed
) -> None:
    state = made(world, kind, wanted)
    taken(world)
    if kind not in OF_SERVERS:
        # This machine does nothing that is decided.
        put_back(world)
    stored_state = refreshed(world, kind, state)
    repaired = lifecycle(kind, world.reached).update(kind().name_of(wanted), stored_state, wanted).outs
    assert one(world, kind, repaired).status == IN_ORDER


@DRIFT
def test_a_state_of_an_earlier_version_is_compared_as_it_was(
    world: World, kind: type[Lifecycle], wanted: dict[str, Any], taken: Deed, put_back: Deed
) -> None:
    state = {key: value for key, value in made(world, kind, wanted).items() if key != LAST_UP}
    taken(world)
    answered = kind is not ServiceCheckLifecycle
    assert paths(one(world, kind, state)) == set()
    assert one(world, kind, state).status == (DRIFTED if answered else UNREACHABLE)
    assert one(world, kind, refreshed(world, kind, state)).status == (IN_ORDER if answered else UNREACHABLE)


# ------------------------------------------------------------ beside what is named


@DRIFT
def test_what_no_refresh_has_stored_is_named_with_both_values_only(
    world: World, kind: type[Lifecycle], wanted: dict[str, Any], taken: Deed, put_back: Deed
) -> None:
    state = made(world, kind, wanted)
    taken(world)
    assert paths(one(world, kind, state)) == set()


def test_what_is_named_with_both_values_is_not_said_twice(world: World) -> None:
    state = made(world, KeystoneUserLifecycle, ROLES)
    world.reached.identity.roles.discard(role("admin"))
    stored_state = refreshed(world, KeystoneUserLifecycle, state)
    world.reached.identity.roles.discard(role("member"))
    (said,) = one(world, KeystoneUserLifecycle, stored_state).differences
    assert str(said) == (
        'roles: ["admin (missing)", "member", "observer"] => ["admin (missing)", "member (missing)", "observer"]'
    )


def test_drift_before_a_stored_refresh_and_drift_after_it_are_both_said(world: World) -> None:
    state = made(world, DatabaseLifecycle, HOSTS)
    grants(world, "localhost").discard("DROP")
    stored_state = refreshed(world, DatabaseLifecycle, state)
    grants(world, "%").discard("DROP")
    seen = one(world, DatabaseLifecycle, stored_state)
    assert [str(each) for each in seen.differences] == [
        'hosts["%"].privileges: ["DROP", "INSERT", "SELECT"] => ["DROP (not granted)", "INSERT", "SELECT"]',
        f"hosts: {SAID}",
    ]


def test_drift_of_another_property_is_named_beside_what_a_refresh_has_stored(world: World) -> None:
    state = made(world, ControllerNodeLifecycle, NODE)
    content("[DEFAULT]\nverbose = False\n")(world)
    stored_state = refreshed(world, ControllerNodeLifecycle, state)
    world.machine.present["/var/lib/nova/first"] = True
    seen = one(world, ControllerNodeLifecycle, stored_state)
    assert paths(seen, "changed") == {"absent"}
    assert paths(seen) == {"options", "services"}


def test_of_a_list_or_a_text_the_value_that_was_found_is_said(world: World) -> None:
    state = made(world, KeystoneUserLifecycle, ROLES)
    world.reached.identity.roles.discard(role("admin"))
    (said,) = one(world, KeystoneUserLifecycle, refreshed(world, KeystoneUserLifecycle, state)).differences
    assert str(said) == f'roles: ["admin (missing)", "member", "observer"] {SAID}'


def test_what_was_found_while_mariadb_did_not_answer_is_a_note_while_it_does_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {**NODE, "schema": "current"}
    world.machine.schema = (280, 280)
    state = made(world, ControllerNodeLifecycle, wanted)
    database = managed(world, DatabaseLifecycle, made(world, DatabaseLifecycle, HOSTS))

    def refuse(_name: str) -> Any:
        raise DatabaseError("MariaDB does not answer")

    world.machine.schema = (None, None)  # type: ignore[assignment]
    stored_state = refreshed(world, ControllerNodeLifecycle, state)
    assert stored_state["schema"] == SCHEMA_NOT_KNOWN
    controller = managed(world, ControllerNodeLifecycle, stored_state)
    assert paths(asked(database, controller).resources[1]) == {"schema"}
    monkeypatch.setattr(world.reached.database, "schema", refuse)
    seen = asked(database, controller).resources[1]
    assert (seen.status, seen.differences) == (IN_ORDER, ())
    assert "MariaDB could not be asked" in seen.remarks[-1]


# ------------------------------------------------------------ how it is shown


def test_programs_get_the_value_on_both_sides_and_null_of_a_mapping() -> None:
    there = {"roles": ["admin (missing)"], "options": {"/etc/nova/nova.conf": {}}, "email": "PW-ONE"}
    seen = Observed("nova-user", "KeystoneUser", "Keystone", DRIFTED, stored(there, hidden=[("email",)]))
    said: Any = as_json(reports.report(seen))["resources"]
    assert said[0]["differences"] == [
        {"path": "email", "change": "stored", "recorded": None, "found": None, "secret": True},
        {"path": "options", "change": "stored", "recorded": None, "found": None, "secret": False},
        {"path": "roles", "change": "stored", "recorded": '["admin (missing)"]', "found": '["admin (missing)"]', "secret": False},
    ]  # fmt: skip


def test_no_form_of_the_report_has_a_secret_of_what_a_refresh_has_stored() -> None:
    there = {"email": "PW-ONE", "description": "the same as PW-ONE", "options": {"a": {"b": {"c": "PW-ONE"}}}}
    seen = Observed("x", "Service", "Keystone", DRIFTED, stored(there, hidden=[("email",)], secrets=["PW-ONE"]))
    report = reports.report(seen)
    for text in (as_text(report), json.dumps(as_json(report)), as_page(report), repr(report)):
        assert "PW-" not in text


def test_the_table_and_the_page_say_where_it_is_found() -> None:
    there = {"roles": ["admin (missing)"], "hosts": {"%": {}}}
    report = reports.report(Observed("nova-x", "Database", "MariaDB", DRIFTED, stored(there)))
    column = "".join(line.split("|")[-2].strip() for line in as_text(report).splitlines() if line.startswith("|"))
    assert f"hosts: {SAID}".replace(" ", "") in column.replace(" ", "")
    seen = page(report)
    assert [each["colspan"] for each in seen.all("td", colspan="2")] == ["2", "2"]
    shown = " ".join(seen.texts)
    assert f"hosts {SAID}".replace("`", "") in shown
    assert f'roles ["admin (missing)"] {SAID}'.replace("`", "") in shown


@pytest.mark.parametrize(
    ("there", "marked"),
    [
        ({"reporting": ["nova-cert", "nova-compute (no record)"]}, ["nova-compute"]),
        ({"scheduling": "disabled"}, ["nova-compute"]),
        # Which of them it is, a hash does not tell.
        ({"services": {"nova-cert": {}}}, ["nova-cert", "nova-compute", "nova-scheduler"]),
        ({"options": {}}, []),
    ],
)
def test_on_the_map_a_service_has_drifted_when_it_may_be_what_a_refresh_has_stored(
    there: dict[str, Any], marked: list[str]
) -> None:
    services = ("nova-cert", "nova-compute", "nova-scheduler")
    report = reports.report(
        Observed("nova-compute1", "ComputeNode", "compute1", DRIFTED, stored(there), services=services)
    )
    assert "tile drifted" in as_page(report)
    shown = page(report)
    for name in services:
        following = shown.texts[shown.texts.index(name) + 1]
        assert (following == DRIFTED) == (name in marked), name


def test_what_is_alike_on_many_nodes_is_one_line(world: World) -> None:
    differences = (Difference("options", STORED, "", ""),)
    names = [f"compute{number:02}" for number in range(1, 21)]
    report = reports.report(*(each for name in names for each in reports.compute(name, DRIFTED, *differences)))
    assert as_text(report).count("options:") == 1


def test_the_report_of_a_service_says_what_a_preview_says(world: World) -> None:
    """Neither more nor less: the engine asks `diff`."""
    service, state = lifecycle(ServiceLifecycle, world.reached), made(world, ServiceLifecycle, SERVICE)
    ((taken, put_back),) = [each[3:] for each in CASES if each[0] == "a service's description"]
    taken(world)
    stored_state = refreshed(world, ServiceLifecycle, state)
    assert service.diff("compute/nova", stored_state, SERVICE).changes is True
    assert one(world, ServiceLifecycle, stored_state).status == DRIFTED
    ours = {**SERVICE, "description": "Ours"}
    taken_over = service.update("compute/nova", stored_state, ours).outs
    assert service.diff("compute/nova", taken_over, ours).changes is False
    assert one(world, ServiceLifecycle, taken_over).status == IN_ORDER
    put_back(world)
    assert [str(each) for each in one(world, ServiceLifecycle, taken_over).differences] == [
        'description: "Ours" => "OpenStack Compute"'
    ]


def test_a_node_that_a_removal_has_disabled_is_drift_after_a_stored_refresh_too(world: World) -> None:
    state = made(world, ComputeNodeLifecycle, NODE)
    world.report("nova-cert")
    world.reached.compute.reports.append(
        ServiceReport("1", "nova-compute", "compute1", "nova", "disabled", "up", "", REASON)
    )
    stored_state = refreshed(world, ComputeNodeLifecycle, state)
    assert paths(one(world, ComputeNodeLifecycle, stored_state)) == {"being_removed"}
    world.report("nova-cert", "nova-compute")
    assert one(world, ComputeNodeLifecycle, stored_state).status == IN_ORDER
