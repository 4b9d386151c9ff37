"""Resources: what the engine asks of them, and what they do in which order, cut off anywhere."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import re
import time
import types
from typing import Any

import pytest
from pulumi.runtime import rpc

from nova_infra import node
from nova_infra.compute import Image, Server, ServiceReport
from nova_infra.errors import (
    ComputeError,
    ComputeSilent,
    ConnectionFailed,
    DeadlineExceeded,
    IdentityError,
    NoConnection,
    Refused,
    RemoteError,
    StepFailed,
)
from nova_infra.grants import ALL, GRANT_OPTION, Schema, native_hash
from nova_infra.records import Records
from nova_infra.remote.operation import Operated
from nova_infra.remote.script import Answer
from nova_infra.resources import compute_node, node_role
from nova_infra.resources.compute_node import REASON, ComputeNodeLifecycle
from nova_infra.resources.controller_node import ControllerNodeLifecycle
from nova_infra.resources.database import DatabaseLifecycle
from nova_infra.resources.endpoint import EndpointLifecycle
from nova_infra.resources.keystone_user import KeystoneUserLifecycle
from nova_infra.resources.lifecycle import Lifecycle
from nova_infra.resources.node_packages import NodePackagesLifecycle
from nova_infra.resources.service import ServiceLifecycle
from nova_infra.resources.service_check import ServiceCheckLifecycle, image_table, service_table

from .nodes import NOVA_CONF, Machine, state_of
from .servers import Died, Reached, Unreachable

URL = "http://controller:8774/v2/%(tenant_id)s"
CONNECTION = {"host": "10.0.0.31", "port": 22, "user": "ubuntu", "host_key": ""}
SERVICE = {"name": "nova", "type": "compute", "description": "OpenStack Compute"}
ENDPOINT = {
    "region": "regionOne",
    "service_type": "compute",
    "service_name": "nova",
    "public_url": URL,
    "internal_url": URL,
    "admin_url": URL,
}
USER = {
    "name": "nova",
    "password": "NOVA_PASS",
    "tenant": "service",
    "roles": ["admin"],
    "email": "",
    "enabled": True,
    "default_tenant": "",
    "password_works": True,
}
DATABASE = {
    "name": "nova",
    "user": "nova",
    "charset": "utf8",
    "collation": "utf8_general_ci",
    "hosts": {
        host: {"privileges": [ALL], "password": "NOVA_DBPASS", "password_works": True} for host in ("localhost", "%")
    },
    "on_delete": "drop",
}
PACKAGES = {
    "node": "compute1",
    "connection": CONNECTION,
    "packages": {"nova-compute": "present"},
    "on_unreachable": "refuse",
}
NODE = state_of({"node": "compute1", "options": {NOVA_CONF: {}}, "services": {"nova-compute": {}}})
CHECK: dict[str, Any] = {
    "services": {"compute1": ["nova-compute"]},
    "restarts": {"compute1": "1"},
    "awaits": {},
    "look_again": False,
}

ALL_KINDS: list[tuple[type[Lifecycle], dict[str, Any], str]] = [
    (ServiceLifecycle, SERVICE, "compute/nova"),
    (EndpointLifecycle, ENDPOINT, "regionOne/compute/nova"),
    (KeystoneUserLifecycle, USER, "nova"),
    (DatabaseLifecycle, DATABASE, "nova"),
    (NodePackagesLifecycle, PACKAGES, "compute1"),
    (ControllerNodeLifecycle, NODE, "compute1"),
    (ComputeNodeLifecycle, NODE, "compute1"),
    (ServiceCheckLifecycle, CHECK, "services"),
]
KINDS = pytest.mark.parametrize(("kind", "wanted", "key"), ALL_KINDS, ids=[each[0].__name__ for each in ALL_KINDS])
# A database user that only new settings name is not in the state before their `up` has ended: destroy cannot know of it.
IN_KEYSTONE = pytest.mark.parametrize(
    ("kind", "wanted", "key"), ALL_KINDS[:3], ids=[e[0].__name__ for e in ALL_KINDS[:3]]
)
IN_SERVERS = pytest.mark.parametrize(
    ("kind", "wanted", "key"), ALL_KINDS[:4], ids=[e[0].__name__ for e in ALL_KINDS[:4]]
)


@pytest.fixture
def reached() -> Reached:
    return Reached()


def lifecycle(kind: type[Lifecycle], reached: Any) -> Any:
    made = kind()
    made.access = reached
    return made


def with_service(reached: Reached) -> None:
    """What an endpoint needs."""
    reached.identity.create_service("nova", "compute", "OpenStack Compute")
    reached.log.done.clear()


# ------------------------------------------------------------ what the engine asks


@KINDS
def test_the_id_is_the_natural_key(kind: type[Lifecycle], wanted: dict[str, Any], key: str) -> None:
    assert kind().name_of(wanted) == key


@KINDS
def test_good_inputs_pass_the_check_as_they_are(kind: type[Lifecycle], wanted: dict[str, Any], key: str) -> None:
    result = lifecycle(kind, Unreachable()).check({}, wanted)
    assert result.inputs == wanted
    assert not result.failures


@KINDS
def test_a_change_of_identity_is_refused_at_preview_with_the_way_to_do_it(
    kind: type[Lifecycle], wanted: dict[str, Any], key: str
) -> None:
    for name in kind.identity:
        result = lifecycle(kind, Unreachable()).check(wanted, {**wanted, name: "another"})
        assert [failure.property for failure in result.failures] == [name]
        assert "cannot become 'another'" in result.failures[0].reason
        assert "pulumi up" in result.failures[0].reason
    assert kind.identity or kind is ServiceCheckLifecycle


@KINDS
def test_an_identity_that_is_not_known_yet_is_no_change(
    kind: type[Lifecycle], wanted: dict[str, Any], key: str
) -> None:
    for name in kind.identity:
        assert not lifecycle(kind, Unreachable()).check(wanted, {**wanted, name: rpc.UNKNOWN}).failures


@KINDS
def test_nothing_replaces_and_a_forced_replacement_deletes_first(
    kind: type[Lifecycle], wanted: dict[str, Any], key: str
) -> None:
    for name in wanted:
        answer = lifecycle(kind, Unreachable()).diff("id", wanted, {**wanted, name: "another"})
        assert answer.changes is True
        assert not answer.replaces
        assert answer.delete_before_replace is True


@KINDS
def test_outputs_and_pulumis_own_properties_are_no_difference(
    kind: type[Lifecycle], wanted: dict[str, Any], key: str
) -> None:
    olds = {**wanted, "state_schema": 2, "adopted": True, "__provider": "old code"}
    assert lifecycle(kind, Unreachable()).diff("id", olds, {**wanted, "__provider": "new code"}).changes is False


@KINDS
def test_a_change_of_what_only_state_needs_opens_no_connection(
    kind: type[Lifecycle], wanted: dict[str, Any], key: str
) -> None:
    for name in kind.kept_in_state:
        stored = {**dict.fromkeys((*kind.computed, "remarks"), "as it was"), "state_schema": 2}
        olds = {**wanted, **stored, "__provider": "code"}
        news = {**wanted, name: "keep" if name == "on_delete" else {**CONNECTION, "host": "192.0.2.9"}}
        outs = lifecycle(kind, Unreachable()).update("id", olds, news).outs
        assert outs == {**news, **stored, "last_up": kind().last_up(news)}


@pytest.mark.parametrize("schema", [1, 3, 1.0, "2", None])
@KINDS
def test_a_state_of_another_version_is_refused_before_anything_is_touched(
    kind: type[Lifecycle], wanted: dict[str, Any], key: str, schema: Any
) -> None:
    state = {**wanted, "state_schema": schema, "adopted": True, "__provider": "code"}
    only_kept = {**wanted, **dict.fromkeys(kind.kept_in_state, "another")}
    for operation in (
        lambda of: of.read(key, state),
        lambda of: of.update(key, state, {**wanted, "enabled": False}),
        lambda of: of.update(key, state, only_kept),
        lambda of: of.delete(key, state),
    ):
        with pytest.raises(Refused) as refusal:
            operation(lifecycle(kind, Unreachable()))
        said = str(refusal.value)
        assert all(
            word in said for word in (f"{kind.kind} {key}", "another version", "pulumi state delete", "`pulumi up`")
        )


@IN_SERVERS
def test_a_state_is_of_this_version_also_as_a_number_of_the_wire(
    reached: Reached, kind: type[Lifecycle], wanted: dict[str, Any], key: str
) -> None:
    assert lifecycle(kind, reached).read(key, {**wanted, "state_schema": 2.0}).id == ""


def test_what_only_destroy_uses_is_kept_in_state_without_a_connection() -> None:
    assert {kind.__name__: set(kind.kept_in_state) for kind, _, _ in ALL_KINDS if kind.kept_in_state} == {
        "DatabaseLifecycle": {"on_delete"},
        "ControllerNodeLifecycle": {"adopt", "on_unreachable", "wait"},
        "ComputeNodeLifecycle": {"adopt", "on_unreachable", "wait", "drain"},
        "NodePackagesLifecycle": {"on_unreachable"},
    }


@IN_SERVERS
def test_what_was_made_reads_back_as_wanted_and_twice_is_once(
    reached: Reached, kind: type[Lifecycle], wanted: dict[str, Any], key: str
) -> None:
    if kind is EndpointLifecycle:
        with_service(reached)
    made = lifecycle(kind, reached).create({**wanted, "__provider": "code"})
    assert made.id == key
    assert made.outs["state_schema"] == 2
    assert "__provider" not in made.outs
    done = list(reached.log.done)
    # A whole number comes back from the engine as a float, and what was stored comes with the provider's code.
    read = lifecycle(kind, reached).read(key, {**made.outs, "__provider": "code"})
    assert (read.id, read.inputs, read.outs) == (key, wanted, made.outs)
    again = lifecycle(kind, reached).create(wanted)
    assert again.outs == made.outs
    assert lifecycle(kind, reached).update(key, made.outs, wanted).outs == made.outs
    assert reached.log.done == done


@IN_SERVERS
def test_what_is_gone_is_said_to_be_gone(
    reached: Reached, kind: type[Lifecycle], wanted: dict[str, Any], key: str
) -> None:
    read = lifecycle(kind, reached).read(key, wanted)
    assert (read.id, read.outs) == ("", {})


def creation(reached: Reached, kind: type[Lifecycle], wanted: dict[str, Any]) -> Any:
    """The outputs of a create that is cut off after each operation once, and run again."""
    for cut in range(20):
        reached.log.done.clear()
        reached.log.dies_after = 1
        try:
            return lifecycle(kind, reached).create(wanted).outs
        except Died:
            assert cut < 19, "it never ends"
    raise AssertionError


@IN_SERVERS
def test_a_create_that_is_cut_off_again_and_again_ends_with_one_of_each_and_it_is_ours(
    reached: Reached, kind: type[Lifecycle], wanted: dict[str, Any], key: str
) -> None:
    if kind is EndpointLifecycle:
        with_service(reached)
    outs = creation(reached, kind, wanted)
    reached.log.dies_after = None
    assert outs["adopted"] is False
    assert lifecycle(kind, reached).read(key, outs).inputs == wanted
    identity, database = reached.identity, reached.database
    records = (
        len(identity.service_records),
        len(identity.endpoint_records),
        len(identity.users),
        len(database.schemas),
    )
    assert (
        records
        == {
            ServiceLifecycle: (1, 0, 0, 0),
            EndpointLifecycle: (1, 1, 0, 0),
            KeystoneUserLifecycle: (0, 0, 1, 0),
            DatabaseLifecycle: (0, 0, 0, 1),
        }[kind]
    )


@IN_SERVERS
def test_destroy_leaves_what_was_there_before_us(
    reached: Reached, kind: type[Lifecycle], wanted: dict[str, Any], key: str
) -> None:
    if kind is EndpointLifecycle:
        with_service(reached)
    lifecycle(kind, reached).make(wanted)
    reached.notes.clear()  # somebody else made it
    made = lifecycle(kind, reached).create(wanted)
    assert made.outs["adopted"] is True
    reached.log.done.clear()
    lifecycle(kind, reached).delete(key, made.outs)
    assert reached.log.done == []
    assert reached.notes == {}


@IN_SERVERS
def test_destroy_takes_away_what_we_made_and_can_be_run_again(
    reached: Reached, kind: type[Lifecycle], wanted: dict[str, Any], key: str
) -> None:
    if kind is EndpointLifecycle:
        with_service(reached)
    made = lifecycle(kind, reached).create(wanted)
    reached.log.done.clear()
    for _ in range(20):
        reached.log.dies_after = len(reached.log.done) + 1
        try:
            lifecycle(kind, reached).delete(key, made.outs)
            break
        except Died:
            assert reached.notes, "the note outlives a run that died"
    reached.log.dies_after = None
    lifecycle(kind, reached).delete(key, made.outs)
    assert lifecycle(kind, reached).read(key, made.outs).id == ""
    assert reached.notes == {}
    assert not reached.identity.users
    assert not reached.database.hashes
    assert not reached.identity.endpoint_records


# ------------------------------------------------------------ catalog


def test_a_service_is_updated_by_a_new_record_with_all_endpoints_before_the_old_one_goes(reached: Reached) -> None:
    made = lifecycle(ServiceLifecycle, reached).create(SERVICE).outs
    identity = reached.identity
    for region in ("regionOne", "somebody's"):
        identity.create_endpoint(made["service_id"], region, URL, URL, URL)
    reached.log.done.clear()
    changed = lifecycle(ServiceLifecycle, reached).update("id", made, {**SERVICE, "description": "new"}).outs
    assert reached.log.done == [
        "create service new",
        f"create endpoint regionOne {URL}",
        f"create endpoint somebody's {URL}",
        "delete service OpenStack Compute",
    ]
    assert changed["service_id"] in identity.service_records
    assert {each.service_id for each in identity.endpoint_records.values()} == {changed["service_id"]}


def test_a_record_that_the_update_has_deleted_is_not_listed_as_another_one(reached: Reached) -> None:
    made = lifecycle(ServiceLifecycle, reached).create(SERVICE).outs
    changed = lifecycle(ServiceLifecycle, reached).update("id", made, {**SERVICE, "description": "new"}).outs
    assert changed["other_records"] == []


@pytest.mark.parametrize("cut", range(5))
def test_an_update_of_a_service_that_was_cut_off_leaves_one_record_with_its_endpoints(
    reached: Reached, cut: int
) -> None:
    made = lifecycle(ServiceLifecycle, reached).create(SERVICE).outs
    for region in ("regionOne", "somebody's"):
        reached.identity.create_endpoint(made["service_id"], region, URL, URL, URL)
    wanted = {**SERVICE, "description": "new"}
    reached.log.dies_after = len(reached.log.done) + cut
    with contextlib.suppress(Died):
        lifecycle(ServiceLifecycle, reached).update("id", made, wanted)
    reached.log.dies_after = None
    lifecycle(ServiceLifecycle, reached).update("id", made, wanted)
    assert [each.description for each in reached.identity.service_records.values()] == ["new"]
    assert sorted(each.region for each in reached.identity.endpoint_records.values()) == ["regionOne", "somebody's"]


def test_somebodys_service_with_another_description_becomes_as_wanted_and_there_is_still_one(reached: Reached) -> None:
    theirs = reached.identity.create_service("nova", "compute", "theirs")
    reached.identity.create_endpoint(theirs.id, "regionOne", URL, URL, URL)
    made = lifecycle(ServiceLifecycle, reached).create(SERVICE).outs
    assert [each.description for each in reached.identity.service_records.values()] == ["OpenStack Compute"]
    assert [each.service_id for each in reached.identity.endpoint_records.values()] == [made["service_id"]]
    assert (made["adopted"], made["other_records"]) == (True, [])
    assert lifecycle(ServiceLifecycle, reached).read("compute/nova", made).inputs == SERVICE


def test_an_edit_by_somebody_else_is_a_new_uuid_and_still_our_service(reached: Reached) -> None:
    made = lifecycle(ServiceLifecycle, reached).create(SERVICE).outs
    reached.identity.service_records.clear()
    theirs = reached.identity.create_service("nova", "compute", "edited")
    read = lifecycle(ServiceLifecycle, reached).read("compute/nova", made)
    assert read.inputs == {**SERVICE, "description": "edited"}
    assert read.outs["service_id"] == theirs.id


def test_further_records_are_shown_and_left_alone(reached: Reached) -> None:
    first = reached.identity.create_service("nova", "compute", "OpenStack Compute")
    second = reached.identity.create_service("nova", "compute", "OpenStack Compute")
    reached.log.done.clear()
    made = lifecycle(ServiceLifecycle, reached).create(SERVICE).outs
    assert (made["service_id"], made["other_records"]) == (first.id, [second.id])
    assert reached.log.done == []


def test_a_second_service_is_said_with_the_way_to_be_rid_of_it(reached: Reached) -> None:
    made = lifecycle(ServiceLifecycle, reached).create(SERVICE).outs
    second = reached.identity.create_service("nova", "compute", "theirs")
    read = lifecycle(ServiceLifecycle, reached).read("compute/nova", made)
    assert read.inputs == SERVICE
    assert read.outs["remarks"] == [
        f"Keystone has another service compute/nova, {second.id} ('theirs'): it is left as it is. If nobody needs it: "
        f"keystone service-delete {second.id}, which deletes its endpoints too."
    ]


@pytest.mark.parametrize("of_the_same_service", [True, False])
@pytest.mark.parametrize(
    ("second", "clients_get"),
    [
        ("http://192.0.2.7:8774/v2/%(tenant_id)s", "that one (http://192.0.2.7:8774/v2/1234)"),
        (URL, "the same URL of both"),
    ],
)
def test_a_second_endpoint_is_said_with_the_one_that_clients_get(
    reached: Reached, second: str, clients_get: str, of_the_same_service: bool
) -> None:
    with_service(reached)
    made = lifecycle(EndpointLifecycle, reached).create(ENDPOINT).outs
    (service,) = reached.identity.service_records
    if not of_the_same_service:
        service = reached.identity.create_service("nova-too", "compute", "").id
    theirs = reached.identity.create_endpoint(service, "regionOne", second, second, second)
    read = lifecycle(EndpointLifecycle, reached).read("regionOne/compute/nova", made)
    assert read.inputs == ENDPOINT
    assert read.outs["remarks"] == [
        f"Keystone has another endpoint of compute in regionOne, {theirs.id}: it is left as it is. Clients get {clients_get}. "
        f"If nobody needs it: keystone endpoint-delete {theirs.id}."
    ]


def test_a_second_endpoint_that_no_client_gets_is_said_so(reached: Reached) -> None:
    with_service(reached)
    (service,) = reached.identity.service_records
    theirs = reached.identity.create_endpoint(
        service, "regionOne", "http://192.0.2.7", "http://192.0.2.7", "http://192.0.2.7"
    )
    ours = reached.identity.create_endpoint(service, "regionOne", URL, URL, URL)
    (said,) = remarks_of(reached, EndpointLifecycle, ENDPOINT, "regionOne/compute/nova")
    assert theirs.id in said
    assert ours.id not in said
    assert "Clients get that of the stack (http://controller:8774/v2/1234)." in said


def test_endpoints_of_other_regions_and_types_are_nothing_to_be_said(reached: Reached) -> None:
    with_service(reached)
    (service,) = reached.identity.service_records
    reached.identity.create_endpoint(service, "regionTwo", URL, URL, URL)
    image = reached.identity.create_service("glance", "image", "")
    reached.identity.create_endpoint(image.id, "regionOne", URL, URL, URL)
    assert remarks_of(reached, EndpointLifecycle, ENDPOINT, "regionOne/compute/nova") == []


def test_a_record_that_fits_is_adopted_before_one_that_does_not(reached: Reached) -> None:
    first = reached.identity.create_service("nova", "compute", "theirs")
    second = reached.identity.create_service("nova", "compute", "OpenStack Compute")
    reached.log.done.clear()
    made = lifecycle(ServiceLifecycle, reached).create(SERVICE).outs
    assert (made["service_id"], made["other_records"]) == (second.id, [first.id])
    assert reached.log.done == []


def test_of_several_records_the_first_becomes_as_wanted_and_the_others_are_left_alone(reached: Reached) -> None:
    first = reached.identity.create_service("nova", "compute", "theirs")
    second = reached.identity.create_service("nova", "compute", "theirs too")
    made = lifecycle(ServiceLifecycle, reached).create(SERVICE).outs
    assert first.id not in reached.identity.service_records
    assert made["other_records"] == [second.id]
    lifecycle(ServiceLifecycle, reached).delete("id", made)
    assert sorted(e.description for e in reached.identity.service_records.values()) == ["theirs", "theirs too"]


def test_an_update_never_takes_the_record_of_somebody_else(reached: Reached) -> None:
    made = lifecycle(ServiceLifecycle, reached).create(SERVICE).outs
    theirs = reached.identity.create_service("nova", "compute", "new")
    changed = lifecycle(ServiceLifecycle, reached).update("id", made, {**SERVICE, "description": "new"}).outs
    assert changed["service_id"] != theirs.id
    lifecycle(ServiceLifecycle, reached).delete("id", changed)
    assert list(reached.identity.service_records) == [theirs.id]


RECORDS = pytest.mark.parametrize(
    ("kind", "wanted", "key"),
    [
        pytest.param(ServiceLifecycle, SERVICE, "compute/nova", id="service"),
        pytest.param(EndpointLifecycle, ENDPOINT, "regionOne/compute/nova", id="endpoint"),
    ],
)


def records_of(reached: Reached, kind: type[Lifecycle]) -> dict[str, Any]:
    identity = reached.identity
    return identity.service_records if kind is ServiceLifecycle else identity.endpoint_records


@RECORDS
@pytest.mark.parametrize("came", ["before ours", "after ours"])
@pytest.mark.parametrize("refreshed", [False, True], ids=["", "refreshed"])
def test_when_ours_is_gone_it_is_made_anew_beside_that_of_somebody_else_which_stays(
    reached: Reached, kind: type[Lifecycle], wanted: dict[str, Any], key: str, came: str, *, refreshed: bool
) -> None:
    if kind is EndpointLifecycle:
        with_service(reached)
    made = lifecycle(kind, reached).create(wanted).outs
    if came == "before ours":
        # Nobody has noted a record of ours in that Keystone yet.
        reached.notes.clear()
        records_of(reached, kind).clear()
        MADE_BEFORE[kind](reached)
        ours = reached.identity.create_service("nova", "compute", SERVICE["description"])
        if kind is EndpointLifecycle:
            del reached.identity.service_records[ours.id]
            service = next(iter(reached.identity.service_records))
            reached.identity.create_endpoint(service, "regionOne", URL, URL, URL)
        made = lifecycle(kind, reached).create(wanted).outs
    else:
        MADE_BEFORE[kind](reached)
    state = lifecycle(kind, reached).read(key, made).outs if refreshed else made
    ((theirs, said),) = [(uuid, each) for uuid, each in records_of(reached, kind).items() if uuid != made[kind.uuid]]
    del records_of(reached, kind)[made[kind.uuid]]
    if refreshed:
        assert lifecycle(kind, reached).read(key, state).id == ""
    made = lifecycle(kind, reached).create(wanted).outs
    assert records_of(reached, kind)[theirs] == said
    assert (made["adopted"], made["other_records"]) == (False, [theirs])
    assert lifecycle(kind, reached).read(key, made).inputs == wanted
    lifecycle(kind, reached).delete(key, made)
    assert records_of(reached, kind) == {theirs: said}


@RECORDS
def test_when_ours_is_gone_one_of_somebody_else_that_says_the_same_is_adopted_and_stays(
    reached: Reached, kind: type[Lifecycle], wanted: dict[str, Any], key: str
) -> None:
    if kind is EndpointLifecycle:
        with_service(reached)
    MADE_BEFORE[kind](reached)
    made = lifecycle(kind, reached).create(wanted).outs
    del records_of(reached, kind)[made[kind.uuid]]
    if kind is ServiceLifecycle:
        reached.identity.create_service("nova", "compute", SERVICE["description"])
    else:
        reached.identity.create_endpoint(next(iter(reached.identity.service_records)), "regionOne", URL, URL, URL)
    before = dict(records_of(reached, kind))
    made = lifecycle(kind, reached).create(wanted).outs
    assert (made["adopted"], records_of(reached, kind)) == (True, before)


@RECORDS
def test_a_run_that_died_after_it_had_made_ours_finds_it_also_when_the_stack_says_something_else_by_then(
    reached: Reached, kind: type[Lifecycle], wanted: dict[str, Any], key: str
) -> None:
    if kind is EndpointLifecycle:
        with_service(reached)
    lifecycle(kind, reached).create(wanted)
    news = {**wanted, **CHANGED[kind]}
    made = lifecycle(kind, reached).create(news).outs
    assert list(records_of(reached, kind)) == [made[kind.uuid]]
    assert lifecycle(kind, reached).read(key, made).inputs == news
    # And once more, after a change that was done.
    made = lifecycle(kind, reached).update(key, made, wanted).outs
    made = lifecycle(kind, reached).create(news).outs
    assert list(records_of(reached, kind)) == [made[kind.uuid]]


def test_an_endpoint_is_ours_again_after_its_service_was_made_anew(reached: Reached) -> None:
    service = lifecycle(ServiceLifecycle, reached).create(SERVICE).outs
    made = lifecycle(EndpointLifecycle, reached).create(ENDPOINT).outs
    theirs = reached.identity.create_endpoint(service["service_id"], "regionOne", "http://a", "http://a", "http://a")
    lifecycle(ServiceLifecycle, reached).update("id", service, {**SERVICE, "description": "new"})
    assert {theirs.id, made["endpoint_id"]}.isdisjoint(reached.identity.endpoint_records)
    read = lifecycle(EndpointLifecycle, reached).read("id", made)
    assert read.inputs == ENDPOINT
    lifecycle(EndpointLifecycle, reached).delete("id", read.outs)
    assert [each.public_url for each in reached.identity.endpoint_records.values()] == ["http://a"]


def copied_by_a_service_update(reached: Reached, *urls: str) -> tuple[dict[str, Any], str]:
    """The state of our endpoint from before an update of the service, beside those of others; and its UUID now."""
    service = lifecycle(ServiceLifecycle, reached).create(SERVICE).outs
    made = lifecycle(EndpointLifecycle, reached).create(ENDPOINT).outs
    for url in urls:
        reached.identity.create_endpoint(service["service_id"], "regionOne", url, url, url)
    state = lifecycle(EndpointLifecycle, reached).read("id", made).outs
    lifecycle(ServiceLifecycle, reached).update("id", service, {**SERVICE, "description": "new"})
    return state, next(each.id for each in reached.identity.endpoint_records.values() if each.public_url == URL)


def test_a_copy_of_somebody_elses_endpoint_is_not_taken_for_ours_that_was_deleted(reached: Reached) -> None:
    state, ours = copied_by_a_service_update(reached, "http://a", "http://b")
    del reached.identity.endpoint_records[ours]
    theirs = dict(reached.identity.endpoint_records)
    assert lifecycle(EndpointLifecycle, reached).read("id", state).id == ""
    lifecycle(EndpointLifecycle, reached).delete("id", state)
    assert reached.identity.endpoint_records == theirs


def test_an_update_makes_ours_anew_beside_the_copy_of_somebody_elses(reached: Reached) -> None:
    state, ours = copied_by_a_service_update(reached, "http://a")
    del reached.identity.endpoint_records[ours]
    theirs = dict(reached.identity.endpoint_records)
    outs = lifecycle(EndpointLifecycle, reached).update("id", state, {**ENDPOINT, "public_url": "http://c"}).outs
    assert outs["other_records"] == list(theirs)
    lifecycle(EndpointLifecycle, reached).delete("id", outs)
    assert reached.identity.endpoint_records == theirs


def test_a_copy_is_adopted_with_its_own_urls_when_the_adopted_endpoint_is_gone(reached: Reached) -> None:
    service = lifecycle(ServiceLifecycle, reached).create(SERVICE).outs
    for url in (URL, "http://a"):
        reached.identity.create_endpoint(service["service_id"], "regionOne", url, url, url)
    assert lifecycle(EndpointLifecycle, reached).create(ENDPOINT).outs["found"]["public_url"] == URL
    lifecycle(ServiceLifecycle, reached).update("id", service, {**SERVICE, "description": "new"})
    records = reached.identity.endpoint_records
    del records[next(each.id for each in records.values() if each.public_url == URL)]
    made = lifecycle(EndpointLifecycle, reached).create(ENDPOINT).outs
    lifecycle(EndpointLifecycle, reached).delete("id", made)
    assert [each.public_url for each in reached.identity.endpoint_records.values()] == ["http://a"]


def test_an_endpoint_is_updated_by_a_new_record_before_the_old_one_goes(reached: Reached) -> None:
    with_service(reached)
    made = lifecycle(EndpointLifecycle, reached).create(ENDPOINT).outs
    reached.log.done.clear()
    wanted = {**ENDPOINT, "public_url": "https://cloud/v2"}
    changed = lifecycle(EndpointLifecycle, reached).update("id", made, wanted).outs
    assert reached.log.done == ["create endpoint regionOne https://cloud/v2", f"delete endpoint regionOne {URL}"]
    assert list(reached.identity.endpoint_records) == [changed["endpoint_id"]]
    assert changed["other_records"] == []


@pytest.mark.parametrize("cut", range(3))
def test_an_update_of_an_endpoint_that_was_cut_off_leaves_one_record(reached: Reached, cut: int) -> None:
    with_service(reached)
    made = lifecycle(EndpointLifecycle, reached).create(ENDPOINT).outs
    wanted = {**ENDPOINT, "public_url": "https://cloud/v2"}
    reached.log.dies_after = len(reached.log.done) + cut
    with contextlib.suppress(Died):
        lifecycle(EndpointLifecycle, reached).update("id", made, wanted)
    reached.log.dies_after = None
    lifecycle(EndpointLifecycle, reached).update("id", made, wanted)
    assert [each.public_url for each in reached.identity.endpoint_records.values()] == ["https://cloud/v2"]


def test_an_endpoint_of_another_region_is_not_ours(reached: Reached) -> None:
    with_service(reached)
    service = next(iter(reached.identity.service_records))
    reached.identity.create_endpoint(service, "elsewhere", URL, URL, URL)
    made = lifecycle(EndpointLifecycle, reached).create(ENDPOINT).outs
    assert made["adopted"] is False
    assert len(reached.identity.endpoint_records) == 2


def test_an_endpoint_without_its_service_says_what_is_missing(reached: Reached) -> None:
    with pytest.raises(IdentityError, match="no service compute/nova"):
        lifecycle(EndpointLifecycle, reached).create(ENDPOINT)


def test_a_url_without_scheme_is_refused_at_preview() -> None:
    failures = (
        lifecycle(EndpointLifecycle, Unreachable()).check({}, {**ENDPOINT, "admin_url": "controller:8774"}).failures
    )
    assert [failure.property for failure in failures] == ["admin_url"]
    assert not lifecycle(EndpointLifecycle, Unreachable()).check({}, {**ENDPOINT, "admin_url": rpc.UNKNOWN}).failures


# ------------------------------------------------------------ user


@pytest.mark.parametrize("missing", [{"tenant": "nope"}, {"roles": ["admin", "nope"]}])
def test_a_missing_tenant_or_role_stops_before_a_user_is_made(reached: Reached, missing: dict[str, Any]) -> None:
    with pytest.raises(IdentityError, match="nope"):
        lifecycle(KeystoneUserLifecycle, reached).create({**USER, **missing})
    assert reached.log.done == []
    assert reached.notes == {}


def test_a_new_password_is_tried_before_it_is_set(reached: Reached) -> None:
    made = lifecycle(KeystoneUserLifecycle, reached).create(USER).outs
    reached.log.done.clear()
    lifecycle(KeystoneUserLifecycle, reached).update("nova", made, {**USER, "password": "new"})
    assert reached.log.done == ["set password of nova"]
    # The first run died after it: the second finds that it works.
    lifecycle(KeystoneUserLifecycle, reached).update("nova", made, {**USER, "password": "new"})
    assert reached.log.done == ["set password of nova"]


def test_a_password_is_tried_at_most_once_an_operation(reached: Reached) -> None:
    made = lifecycle(KeystoneUserLifecycle, reached).create(USER).outs
    reached.identity.tried = 0
    lifecycle(KeystoneUserLifecycle, reached).read("nova", made)
    assert reached.identity.tried == 1


def test_a_password_set_by_somebody_else_is_drift_and_never_shown(reached: Reached) -> None:
    made = lifecycle(KeystoneUserLifecycle, reached).create(USER).outs
    reached.identity.passwords["nova"] = "hunter2"
    seen = lifecycle(KeystoneUserLifecycle, reached).read("nova", made).inputs
    # A plan masks every secret, so that it does not show that one differs: another property says it.
    assert seen == {**USER, "password_works": False}
    assert "hunter2" not in repr(seen)
    lifecycle(KeystoneUserLifecycle, reached).update("nova", {**made, **seen}, USER)
    assert reached.identity.passwords["nova"] == "NOVA_PASS"


def test_a_password_that_somebody_put_right_after_a_refresh_is_no_drift_any_more(reached: Reached) -> None:
    made = lifecycle(KeystoneUserLifecycle, reached).create(USER).outs
    reached.identity.passwords["nova"] = "hunter2"
    seen = lifecycle(KeystoneUserLifecycle, reached).read("nova", made).outs
    reached.identity.passwords["nova"] = "NOVA_PASS"
    assert lifecycle(KeystoneUserLifecycle, reached).read("nova", seen).inputs == USER


def test_a_user_that_gets_no_token_anyway_is_not_tried(reached: Reached) -> None:
    made = lifecycle(KeystoneUserLifecycle, reached).create(USER).outs
    reached.identity.update_user(reached.identity.users["nova"], "", False)
    reached.identity.tried = 0
    seen = lifecycle(KeystoneUserLifecycle, reached).read("nova", made).inputs
    assert seen == {**USER, "enabled": False}
    assert reached.identity.tried == 0


def test_the_role_in_the_new_tenant_is_granted_before_that_in_the_old_one_is_taken(reached: Reached) -> None:
    made = lifecycle(KeystoneUserLifecycle, reached).create(USER).outs
    reached.log.done.clear()
    lifecycle(KeystoneUserLifecycle, reached).update("nova", made, {**USER, "tenant": "other"})
    assert reached.log.done == ["grant admin in other", "take admin in service"]


def test_the_command_that_takes_a_role_away_is_one_of_the_shell_whatever_the_role_is_called(reached: Reached) -> None:
    made = lifecycle(KeystoneUserLifecycle, reached).create(USER).outs
    reached.identity.roles.add(("nova", "our $role", "service"))
    (said,) = lifecycle(KeystoneUserLifecycle, reached).read("nova", made).outs["remarks"]
    assert "keystone user-role-remove --user nova --role 'our $role' --tenant service." in said


def test_a_role_that_the_stack_never_named_is_shown_and_left(reached: Reached) -> None:
    made = lifecycle(KeystoneUserLifecycle, reached).create(USER).outs
    reached.identity.roles.add(("nova", "member", "service"))
    read = lifecycle(KeystoneUserLifecycle, reached).read("nova", made)
    assert read.inputs == USER
    assert read.outs["other_roles"] == ["member"]
    assert read.outs["remarks"] == [
        "The user nova has the role member in the tenant service, which the stack does not name: it is left as it is. If nobody needs it: "
        "keystone user-role-remove --user nova --role member --tenant service."
    ]
    lifecycle(KeystoneUserLifecycle, reached).update("nova", read.outs, {**USER, "email": "a@b"})
    assert ("nova", "member", "service") in reached.identity.roles


def test_the_default_tenant_is_set_and_its_drift_is_seen_by_name(reached: Reached) -> None:
    wanted = {**USER, "default_tenant": "service"}
    made = lifecycle(KeystoneUserLifecycle, reached).create(wanted).outs
    assert made["other_roles"] == ["_member_"]
    read = lifecycle(KeystoneUserLifecycle, reached).read("nova", made)
    assert read.inputs == wanted
    # Keystone itself gives that role.
    assert read.outs["remarks"] == []
    reached.identity.set_default_tenant(reached.identity.users["nova"], "other")
    read = lifecycle(KeystoneUserLifecycle, reached).read("nova", made)
    assert read.inputs == {**wanted, "default_tenant": "other"}
    lifecycle(KeystoneUserLifecycle, reached).update("nova", read.outs, wanted)
    assert reached.identity.users["nova"].default_tenant_id == "service"


def test_of_a_default_tenant_that_the_stack_no_longer_names_keystones_role_is_nothing_to_say(reached: Reached) -> None:
    user = lifecycle(KeystoneUserLifecycle, reached)
    made = user.create({**USER, "default_tenant": "service"}).outs
    changed = user.update("nova", made, USER).outs
    assert user.read("nova", changed).outs["remarks"] == []
    # Where it is another tenant's, somebody has given the role.
    reached.identity.set_default_tenant(reached.identity.users["nova"], "other")
    reached.identity.roles.add(("nova", "_member_", "service"))
    (said,) = user.read("nova", changed).outs["remarks"]
    assert "has the role _member_ in the tenant service" in said


def test_a_default_tenant_that_the_stack_does_not_name_is_left(reached: Reached) -> None:
    made = lifecycle(KeystoneUserLifecycle, reached).create(USER).outs
    reached.identity.set_default_tenant(reached.identity.users["nova"], "other")
    assert lifecycle(KeystoneUserLifecycle, reached).read("nova", made).inputs == USER
    lifecycle(KeystoneUserLifecycle, reached).update("nova", made, {**USER, "email": "a@b"})
    assert reached.identity.users["nova"].default_tenant_id == "other"


def test_a_default_tenant_that_is_missing_stops_before_anything_is_made(reached: Reached) -> None:
    with pytest.raises(IdentityError, match="nowhere"):
        lifecycle(KeystoneUserLifecycle, reached).create({**USER, "default_tenant": "nowhere"})
    assert (reached.log.done, reached.notes) == ([], {})


def test_a_default_tenant_where_there_was_none_stays_and_destroy_says_so(
    reached: Reached, capsys: pytest.CaptureFixture[str]
) -> None:
    user = reached.identity.create_user("nova", "THEIRS", "", True)
    reached.identity.add_role(user, "member", "service")
    made = lifecycle(KeystoneUserLifecycle, reached).create({**USER, "default_tenant": "service"}).outs
    lifecycle(KeystoneUserLifecycle, reached).delete("nova", made)
    assert "nova" in capsys.readouterr().out
    assert reached.identity.roles == {("nova", "member", "service")}


def test_a_role_that_an_adopted_user_had_is_not_taken_when_the_stack_names_another(reached: Reached) -> None:
    user = reached.identity.create_user("nova", "THEIRS", "", True)
    reached.identity.add_role(user, "admin", "service")
    made = lifecycle(KeystoneUserLifecycle, reached).create({**USER, "roles": ["admin", "observer"]}).outs
    lifecycle(KeystoneUserLifecycle, reached).update("nova", made, {**USER, "roles": ["member"]})
    assert reached.identity.roles == {("nova", "admin", "service"), ("nova", "member", "service")}


def test_a_wrong_password_is_tried_once_also_when_it_is_repaired(reached: Reached) -> None:
    made = lifecycle(KeystoneUserLifecycle, reached).create(USER).outs
    reached.identity.passwords["nova"] = "theirs"
    reached.identity.tried = 0
    lifecycle(KeystoneUserLifecycle, reached).update("nova", {**made, "password": "another password"}, USER)
    assert reached.identity.tried == 1
    assert reached.identity.passwords["nova"] == "NOVA_PASS"


def test_a_user_without_a_role_is_refused_at_preview() -> None:
    failures = lifecycle(KeystoneUserLifecycle, Unreachable()).check({}, {**USER, "roles": [], "tenant": ""}).failures
    assert sorted(failure.property for failure in failures) == ["roles", "tenant"]


# ------------------------------------------------------------ database


def test_a_database_is_made_in_the_guides_order(reached: Reached) -> None:
    lifecycle(DatabaseLifecycle, reached).create(DATABASE)
    assert reached.log.done == [
        "create schema nova",
        "create user nova@localhost",
        "grant ALL to nova@localhost",
        "create user nova@%",
        "grant ALL to nova@%",
    ]


def test_destroy_of_a_database_is_refused_with_the_way_to_do_it(reached: Reached) -> None:
    made = lifecycle(DatabaseLifecycle, reached).create({**DATABASE, "on_delete": "refuse"}).outs
    with pytest.raises(Refused) as refusal:
        lifecycle(DatabaseLifecycle, reached).delete("nova", made)
    assert all(word in str(refusal.value) for word in ("nova", "on_delete", "drop", "keep", "pulumi up"))
    assert "nova" in reached.database.schemas


def test_a_database_that_is_kept_keeps_its_user_too(reached: Reached) -> None:
    made = lifecycle(DatabaseLifecycle, reached).create({**DATABASE, "on_delete": "keep"}).outs
    reached.log.done.clear()
    lifecycle(DatabaseLifecycle, reached).delete("nova", made)
    assert reached.log.done == []


def test_a_user_that_others_share_stays_without_what_was_ours(reached: Reached) -> None:
    made = lifecycle(DatabaseLifecycle, reached).create(DATABASE).outs
    reached.database.grant("nova", "%", "theirs", [ALL])
    lifecycle(DatabaseLifecycle, reached).delete("nova", made)
    assert list(reached.database.hashes) == [("nova", "%")]
    assert list(reached.database.grants) == [("nova", "%", "theirs")]


def test_a_host_that_is_no_longer_named_loses_its_user(reached: Reached) -> None:
    made = lifecycle(DatabaseLifecycle, reached).create(DATABASE).outs
    only = {
        **DATABASE,
        "hosts": {"localhost": {"privileges": [ALL], "password": "NOVA_DBPASS", "password_works": True}},
    }
    lifecycle(DatabaseLifecycle, reached).update("nova", made, only)
    assert list(reached.database.hashes) == [("nova", "localhost")]


def test_another_user_is_there_before_the_old_one_goes(reached: Reached) -> None:
    made = lifecycle(DatabaseLifecycle, reached).create(DATABASE).outs
    reached.log.done.clear()
    lifecycle(DatabaseLifecycle, reached).update("nova", made, {**DATABASE, "user": "nova2"})
    done = reached.log.done
    assert max(n for n, deed in enumerate(done) if deed.startswith("grant")) < min(
        n for n, deed in enumerate(done) if deed.startswith("drop")
    )
    assert {user for user, _ in reached.database.hashes} == {"nova2"}


def test_privileges_are_sets_and_only_what_differs_is_granted_and_revoked(reached: Reached) -> None:
    one = {"%": {"privileges": ["DELETE", "SELECT"], "password": "NOVA_DBPASS", "password_works": True}}
    two = {"%": {"privileges": ["INSERT", "SELECT"], "password": "NOVA_DBPASS", "password_works": True}}
    made = lifecycle(DatabaseLifecycle, reached).create({**DATABASE, "hosts": one}).outs
    reached.log.done.clear()
    lifecycle(DatabaseLifecycle, reached).update("nova", made, {**DATABASE, "hosts": two})
    assert reached.log.done == ["revoke DELETE from nova@%", "grant INSERT to nova@%"]


def test_the_grant_option_by_hand_is_drift_and_is_taken_away_without_taking_all(reached: Reached) -> None:
    made = lifecycle(DatabaseLifecycle, reached).create(DATABASE).outs
    reached.database.grant("nova", "%", "nova", [GRANT_OPTION])
    read = lifecycle(DatabaseLifecycle, reached).read("nova", made)
    assert read.inputs is not None
    assert read.inputs["hosts"]["%"]["privileges"] == [ALL, "GRANT OPTION (not in the stack)"]
    reached.log.done.clear()
    lifecycle(DatabaseLifecycle, reached).update("nova", read.outs, DATABASE)
    assert reached.log.done == ["revoke GRANT OPTION from nova@%"]


def privileges_seen(reached: Reached, written: list[str], granted: set[str]) -> list[str]:
    at = {"privileges": written, "password": "NOVA_DBPASS", "password_works": True}
    made = lifecycle(DatabaseLifecycle, reached).create({**DATABASE, "hosts": {"%": at}}).outs
    reached.database.grants["nova", "%", "nova"] = granted
    inputs = lifecycle(DatabaseLifecycle, reached).read("nova", made).inputs
    assert inputs is not None
    # A second refresh sees the same.
    assert lifecycle(DatabaseLifecycle, reached).read("nova", inputs).inputs == inputs
    seen: list[str] = inputs["hosts"]["%"]["privileges"]
    return seen


@pytest.mark.parametrize(
    ("written", "granted", "seen"),
    [
        ([ALL], {"SELECT", "INSERT", "DELETE"}, ["ALL (not granted: DROP)"]),
        (
            [ALL],
            {"SELECT", GRANT_OPTION},
            ["ALL (not granted: DELETE, DROP, INSERT)", "GRANT OPTION (not in the stack)"],
        ),
        ([ALL], set(), ["ALL (not granted)"]),
        (
            [ALL, GRANT_OPTION],
            {"SELECT", "INSERT", "DELETE", "DROP"},
            [ALL, "GRANT OPTION (not granted)"],
        ),
        (["DROP", "SELECT"], {"SELECT", "INSERT"}, ["DROP (not granted)", "SELECT", "INSERT (not in the stack)"]),
        (
            ["DROP", "SELECT"],
            {"SELECT", "INSERT", "DELETE", "DROP"},
            ["DROP", "SELECT", "DELETE (not in the stack)", "INSERT (not in the stack)"],
        ),
        (["SELECT"], {"SELECT", GRANT_OPTION}, ["SELECT", "GRANT OPTION (not in the stack)"]),
    ],
)
def test_each_privilege_that_is_missing_or_too_much_is_named_in_its_place(
    reached: Reached, written: list[str], granted: set[str], seen: list[str]
) -> None:
    assert privileges_seen(reached, written, granted) == seen


def remarks_of(reached: Reached, kind: type[Lifecycle], wanted: dict[str, Any], key: str) -> list[str]:
    """What is said after a refresh in which nothing has drifted."""
    read = lifecycle(kind, reached).read(key, lifecycle(kind, reached).create(wanted).outs)
    assert read.inputs == wanted
    remarks: list[str] = read.outs["remarks"]
    return remarks


def test_a_database_of_which_nobody_else_knows_has_nothing_to_be_said_of(reached: Reached) -> None:
    reached.database.create_user("keystone", "%", "x")
    reached.database.grant("keystone", "%", "keystone", ["SELECT"])
    assert remarks_of(reached, DatabaseLifecycle, DATABASE, "nova") == []


def test_other_users_of_the_schema_are_said_and_left(reached: Reached) -> None:
    reached.database.create_user("report", "%", "x")
    reached.database.grant("report", "%", "nova", ["SELECT"])
    reached.database.create_user("nova", "192.0.2.7", "x")
    reached.database.grant("nova", "192.0.2.7", "nova", ["SELECT"])
    before = reached.database.grants.copy()
    said = remarks_of(reached, DatabaseLifecycle, DATABASE, "nova")
    assert said == [
        "'nova'@'192.0.2.7' has privileges on the schema nova, and the stack does not name it: it is left as it is. What it may do: "
        "SHOW GRANTS FOR 'nova'@'192.0.2.7'. If nobody needs it: DROP USER 'nova'@'192.0.2.7'.",
        "'report'@'%' has privileges on the schema nova, and the stack does not name it: it is left as it is. What it may do: "
        "SHOW GRANTS FOR 'report'@'%'. If nobody needs it: DROP USER 'report'@'%'.",
        "Logins of nova from 192.0.2.7 are taken for 'nova'@'192.0.2.7', whose host is more exact than that of 'nova'@'%': they need its password, "
        "and may do what it may. If nobody needs it: DROP USER 'nova'@'192.0.2.7'.",
    ]
    assert reached.database.grants.items() >= before.items()


@pytest.mark.parametrize(
    ("ours", "anonymous", "from_where"),
    [
        (["%"], "localhost", "localhost"),
        (["%", "localhost"], "controller", "controller"),
        (["%", "localhost"], "192.0.2.%", "192.0.2.%"),
        (["192.0.%"], "192.0.2.7", "192.0.2.7"),
        (["192.0._.7"], "192.0.2.7", "192.0.2.7"),
        (["%", "localhost"], "localhost", ""),
        (["localhost"], "controller", ""),
        (["%"], "%", ""),
        (["192.0.2.%"], "192.0.%", ""),
    ],
)
def test_an_anonymous_user_that_the_server_takes_for_ours_is_said(
    reached: Reached, ours: list[str], anonymous: str, from_where: str
) -> None:
    reached.database.hashes["", anonymous] = ""
    hosts = dict.fromkeys(ours, DATABASE["hosts"]["%"])
    said = remarks_of(reached, DatabaseLifecycle, {**DATABASE, "hosts": hosts}, "nova")
    assert len(said) == bool(from_where)
    if from_where:
        assert said[0].startswith(
            f"Logins of nova from {from_where} are taken for the anonymous user ''@'{from_where}'"
        )
        assert said[0].endswith(f"DROP USER ''@'{from_where}'.")


@pytest.mark.parametrize(("ours", "theirs"), [(["%"], "192.0.2.7"), (["%", "localhost"], "192.0.2.%")])
def test_an_account_of_our_own_name_that_the_server_takes_for_ours_is_said(
    reached: Reached, ours: list[str], theirs: str
) -> None:
    # It may do nothing on our schema, so that nobody else speaks of it.
    reached.database.create_user("nova", theirs, "another")
    hosts = dict.fromkeys(ours, DATABASE["hosts"]["%"])
    (said,) = remarks_of(reached, DatabaseLifecycle, {**DATABASE, "hosts": hosts}, "nova")
    assert said.startswith(f"Logins of nova from {theirs} are taken for 'nova'@'{theirs}', ")
    assert said.endswith(f"DROP USER 'nova'@'{theirs}'.")


def test_an_account_of_our_own_name_with_a_wider_host_is_in_nobodys_way(reached: Reached) -> None:
    reached.database.create_user("nova", "%", "another")
    hosts = {"192.0.2.7": DATABASE["hosts"]["%"]}
    assert remarks_of(reached, DatabaseLifecycle, {**DATABASE, "hosts": hosts}, "nova") == []


def test_drift_of_a_database_is_shown_host_by_host_and_no_hash_with_it(reached: Reached) -> None:
    made = lifecycle(DatabaseLifecycle, reached).create(DATABASE).outs
    database = reached.database
    database.schemas["nova"] = Schema("latin1", "latin1_swedish_ci")
    database.set_password("nova", "%", "hunter2")
    database.drop_user("nova", "localhost")
    seen = lifecycle(DatabaseLifecycle, reached).read("nova", made).inputs
    assert (seen["charset"], seen["collation"]) == ("latin1", "latin1_swedish_ci")
    missing = {"privileges": ["ALL (not granted)"], "password": "NOVA_DBPASS", "password_works": "no such user"}
    assert seen["hosts"]["localhost"] == missing
    assert seen["hosts"]["%"] == {"privileges": [ALL], "password": "NOVA_DBPASS", "password_works": False}
    assert native_hash("hunter2") not in repr(seen)
    lifecycle(DatabaseLifecycle, reached).update("nova", {**made, **seen}, DATABASE)
    assert lifecycle(DatabaseLifecycle, reached).read("nova", made).inputs == DATABASE


@pytest.mark.parametrize(
    ("bad", "property_"),
    [
        ({"name": ""}, "name"),
        ({"user": ""}, "user"),
        ({"on_delete": "destroy"}, "on_delete"),
        ({"hosts": {}}, "hosts"),
        ({"hosts": {"%": {"privileges": [ALL], "password": ""}}}, "hosts[%].password"),
        ({"hosts": {"%": {"privileges": ["SELECT", "FILE"], "password": "x"}}}, "hosts[%].privileges"),
        ({"hosts": {"%": {"privileges": ["ALL ON *.* TO x; --"], "password": "x"}}}, "hosts[%].privileges"),
        ({"hosts": {"Controller": {"privileges": [ALL], "password": "x"}}}, "hosts[Controller]"),
    ],
)
def test_a_database_with_a_bad_input_is_refused_at_preview(bad: dict[str, Any], property_: str) -> None:
    failures = lifecycle(DatabaseLifecycle, Unreachable()).check({}, {**DATABASE, **bad}).failures
    assert [failure.property for failure in failures] == [property_]


@IN_SERVERS
def test_what_is_not_known_at_preview_is_no_problem(kind: type[Lifecycle], wanted: dict[str, Any], key: str) -> None:
    for name in set(wanted) - {"on_delete"}:
        assert not lifecycle(kind, Unreachable()).check({}, {**wanted, name: rpc.UNKNOWN}).failures
    for at in ({"privileges": rpc.UNKNOWN}, {"privileges": [ALL, rpc.UNKNOWN]}, {"password": rpc.UNKNOWN}):
        hosts = {"%": {"privileges": [ALL], "password": "x", **at}, "localhost": rpc.UNKNOWN}
        assert not lifecycle(DatabaseLifecycle, Unreachable()).check({}, {**DATABASE, "hosts": hosts}).failures
    roles = lifecycle(KeystoneUserLifecycle, Unreachable()).check({}, {**USER, "roles": [rpc.UNKNOWN]})
    assert not roles.failures


# ------------------------------------------------------------ database: what was there before us, and the dump


def theirs(reached: Reached) -> None:
    """A schema and a user at one host that somebody has made before us."""
    database = reached.database
    database.create_schema("nova", Schema("latin1", "latin1_swedish_ci"))
    database.create_user("nova", "%", "THEIRS")
    database.grant("nova", "%", "nova", ["SELECT", GRANT_OPTION])
    reached.log.done.clear()


def test_destroy_puts_back_what_we_changed_on_an_adopted_database(reached: Reached) -> None:
    theirs(reached)
    made = lifecycle(DatabaseLifecycle, reached).create(DATABASE).outs
    assert made["adopted"] is True
    assert made["found"] == {
        "schema": {"charset": "latin1", "collation": "latin1_swedish_ci"},
        "users": {
            "nova": {
                "localhost": {"found": False, "privileges": [], "asked": [[ALL]]},
                "%": {"found": True, "privileges": [GRANT_OPTION, "SELECT"], "asked": [[ALL]]},
            }
        },
    }
    assert lifecycle(DatabaseLifecycle, reached).read("nova", made).inputs == DATABASE
    lifecycle(DatabaseLifecycle, reached).delete("nova", made)
    assert reached.database.schemas == {"nova": Schema("latin1", "latin1_swedish_ci")}
    assert list(reached.database.hashes) == [("nova", "%")]
    assert reached.database.grants == {("nova", "%", "nova"): {"SELECT", GRANT_OPTION}}


def test_an_adopted_schema_is_not_dropped_and_so_not_dumped(reached: Reached) -> None:
    theirs(reached)
    made = lifecycle(DatabaseLifecycle, reached).create({**DATABASE, "on_delete": "dump"}).outs
    reached.log.done.clear()
    lifecycle(DatabaseLifecycle, reached).delete("nova", made)
    assert not [deed for deed in reached.log.done if deed.startswith(("dump", "drop schema"))]


def test_what_was_there_is_known_from_the_note_when_the_state_does_not_say_it(reached: Reached) -> None:
    theirs(reached)
    made = lifecycle(DatabaseLifecycle, reached).create(DATABASE).outs
    lifecycle(DatabaseLifecycle, reached).delete("nova", {**made, "adopted": False, "found": None})
    assert reached.database.schemas == {"nova": Schema("latin1", "latin1_swedish_ci")}


def test_what_was_there_is_known_from_the_state_when_there_is_no_note(reached: Reached) -> None:
    theirs(reached)
    made = lifecycle(DatabaseLifecycle, reached).create(DATABASE).outs
    reached.notes.clear()
    lifecycle(DatabaseLifecycle, reached).delete("nova", made)
    assert reached.database.schemas == {"nova": Schema("latin1", "latin1_swedish_ci")}
    assert reached.notes == {}


def test_a_host_that_is_named_later_may_be_somebodys(reached: Reached) -> None:
    only = {**DATABASE, "hosts": {"localhost": DATABASE["hosts"]["localhost"]}}
    made = lifecycle(DatabaseLifecycle, reached).create(only).outs
    reached.database.create_user("nova", "%", "THEIRS")
    changed = lifecycle(DatabaseLifecycle, reached).update("nova", made, DATABASE).outs
    assert changed["found"]["users"]["nova"]["%"] == {"found": True, "privileges": [], "asked": [[ALL]]}
    lifecycle(DatabaseLifecycle, reached).delete("nova", changed)
    assert list(reached.database.hashes) == [("nova", "%")]
    assert not reached.database.grants


def test_a_host_that_was_no_longer_named_is_looked_at_anew_when_it_is_named_again(reached: Reached) -> None:
    only = {**DATABASE, "hosts": {"localhost": DATABASE["hosts"]["localhost"]}}
    outs = lifecycle(DatabaseLifecycle, reached).create(DATABASE).outs
    outs = lifecycle(DatabaseLifecycle, reached).update("nova", outs, only).outs
    reached.database.create_user("nova", "%", "THEIRS")
    outs = lifecycle(DatabaseLifecycle, reached).update("nova", outs, DATABASE).outs
    lifecycle(DatabaseLifecycle, reached).delete("nova", outs)
    assert list(reached.database.hashes) == [("nova", "%")]


def privileges_at(privileges: list[str]) -> dict[str, Any]:
    return {**DATABASE, "hosts": {"%": {"privileges": privileges, "password": "NOVA_DBPASS", "password_works": True}}}


THEIRS = {("nova", "%", "nova"): {"SELECT", GRANT_OPTION}, ("nova", "%", "elsewhere"): {"SELECT"}}


def their_privileges(reached: Reached) -> None:
    theirs(reached)
    reached.database.grant("nova", "%", "elsewhere", ["SELECT"])


@pytest.mark.parametrize("operation", ["delete", "update"])
def test_privileges_that_somebody_else_granted_after_us_stay_also_after_a_refresh(
    reached: Reached, operation: str
) -> None:
    their_privileges(reached)
    made = lifecycle(DatabaseLifecycle, reached).create(privileges_at(["SELECT", "INSERT"])).outs
    reached.database.grant("nova", "%", "nova", ["DELETE"])
    seen = lifecycle(DatabaseLifecycle, reached).read("nova", made).outs
    assert "DELETE (not in the stack)" in seen["hosts"]["%"]["privileges"]
    if operation == "delete":
        lifecycle(DatabaseLifecycle, reached).delete("nova", seen)
    else:
        here = {**DATABASE, "hosts": {"localhost": DATABASE["hosts"]["localhost"]}}
        lifecycle(DatabaseLifecycle, reached).update("nova", seen, here)
    assert reached.database.grants["nova", "%", "nova"] == {"SELECT", GRANT_OPTION, "DELETE"}


@pytest.mark.parametrize("refreshed", [False, True], ids=["", "refreshed"])
@pytest.mark.parametrize("first", [["SELECT", "INSERT"], ["DROP"], [ALL]])
@pytest.mark.parametrize("second", [["SELECT", "DELETE"], ["DELETE", "DROP"], [ALL]])
def test_their_privileges_are_put_back_after_an_update_of_ours_that_was_cut_off(
    first: list[str], second: list[str], *, refreshed: bool
) -> None:
    # Without notes nothing tells what a run that died has done.
    for cut, noted in [*((n, True) for n in range(6)), (None, True), (None, False)]:
        reached = Reached()
        their_privileges(reached)
        state = lifecycle(DatabaseLifecycle, reached).create(privileges_at(first)).outs
        reached.log.dies_after = None if cut is None else len(reached.log.done) + cut
        with contextlib.suppress(Died):
            state = lifecycle(DatabaseLifecycle, reached).update("nova", state, privileges_at(second)).outs
        reached.log.dies_after = None
        if not noted:
            reached.notes.clear()
        if refreshed:
            state = lifecycle(DatabaseLifecycle, reached).read("nova", state).outs
        lifecycle(DatabaseLifecycle, reached).delete("nova", state)
        assert reached.database.grants == THEIRS, (cut, noted)


def test_privileges_as_the_stack_writes_them_are_no_drift(reached: Reached) -> None:
    at = {"privileges": ["select", "Drop", "SELECT"], "password": "NOVA_DBPASS", "password_works": True}
    wanted = {**DATABASE, "hosts": {"%": at}}
    made = lifecycle(DatabaseLifecycle, reached).create(wanted).outs
    assert lifecycle(DatabaseLifecycle, reached).read("nova", made).inputs == wanted


def test_a_database_is_dumped_before_it_is_dropped_and_once_it_is_gone_no_more(reached: Reached) -> None:
    made = lifecycle(DatabaseLifecycle, reached).create({**DATABASE, "on_delete": "dump"}).outs
    reached.log.done.clear()
    for _ in range(2):
        lifecycle(DatabaseLifecycle, reached).delete("nova", made)
    assert reached.log.done == ["dump nova", "drop schema nova", "drop user nova@localhost", "drop user nova@%"]


def test_a_dump_that_fails_or_is_cut_off_drops_nothing(reached: Reached) -> None:
    made = lifecycle(DatabaseLifecycle, reached).create({**DATABASE, "on_delete": "dump"}).outs
    reached.log.done.clear()
    reached.log.dies_after = 0
    with pytest.raises(Died):
        lifecycle(DatabaseLifecycle, reached).delete("nova", made)
    assert reached.log.done == []
    assert "nova" in reached.database.schemas


# ------------------------------------------------------------ cut off anywhere


def their_user(reached: Reached) -> None:
    user = reached.identity.create_user("nova", "THEIRS", "theirs@example.org", False)
    reached.identity.add_role(user, "member", "service")
    reached.identity.set_default_tenant(user, "admin")


MADE_BEFORE: dict[Any, Any] = {
    ServiceLifecycle: lambda reached: reached.identity.create_service("nova", "compute", "theirs"),
    EndpointLifecycle: lambda reached: reached.identity.create_endpoint(
        next(iter(reached.identity.service_records)), "regionOne", "http://theirs", URL, URL
    ),
    KeystoneUserLifecycle: their_user,
    DatabaseLifecycle: theirs,
}
CHANGED: dict[Any, dict[str, Any]] = {
    ServiceLifecycle: {"description": "new"},
    EndpointLifecycle: {"public_url": "https://cloud/v2"},
    KeystoneUserLifecycle: {
        "password": "new",
        "email": "new@example.org",
        "default_tenant": "other",
        "tenant": "other",
        "roles": ["member"],
    },
    DatabaseLifecycle: {
        "user": "nova2",
        "collation": "utf8_bin",
        "hosts": {"%": {"privileges": ["SELECT"], "password": "new", "password_works": True}},
    },
}


def with_endpoints(reached: Reached, kind: type[Lifecycle]) -> None:
    """What else hangs on a service: endpoints of two regions."""
    if kind is ServiceLifecycle:
        for record in list(reached.identity.service_records):
            for region in ("regionOne", "somebody's"):
                reached.identity.create_endpoint(record, region, URL, URL, URL)


def there(reached: Reached) -> Any:
    """All that is in the servers, without Keystone's UUIDs and the passwords."""
    identity, database = reached.identity, reached.database
    services = {each.id: (each.type, each.name, each.description) for each in identity.service_records.values()}
    return (
        sorted(services.values()),
        sorted((services[e.service_id], e.region, e.public_url) for e in identity.endpoint_records.values()),
        sorted((user.name, user.email, user.enabled, user.default_tenant_id) for user in identity.users.values()),
        sorted(identity.roles),
        dict(database.schemas),
        sorted(database.hashes),
        {key: set(each) for key, each in database.grants.items()},
    )


def every_cut(deeds: int) -> list[tuple[int, ...]]:
    """After how many deeds one run is cut off, or several in turn, where a whole run does so many: after each of them at least once."""
    return [*((cut,) for cut in range(deeds + 1)), (1, 1), (2, 1), (1, 2), (3, 1), (1, 1, 1, 1)]


def begun(kind: type[Lifecycle], *, adopted: bool) -> Reached:
    """Servers with what the resource needs, and where it is adopted with what was there before us."""
    reached = Reached()
    if kind is EndpointLifecycle:
        with_service(reached)
    if adopted:
        MADE_BEFORE[kind](reached)
    return reached


def cut_off(reached: Reached, operation: Any, cuts: tuple[int, ...]) -> Any:
    """Runs it, ends it after so many deeds each time, and then runs it whole."""
    for cut in cuts:
        reached.log.dies_after = len(reached.log.done) + cut
        with contextlib.suppress(Died):
            operation()
    reached.log.dies_after = None
    return operation()


ADOPTED = pytest.mark.parametrize("adopted", [False, True], ids=["ours", "adopted"])
# pulumi refresh before each run.
REFRESHED = pytest.mark.parametrize("refreshed", [False, True], ids=["", "refreshed"])


@ADOPTED
@IN_SERVERS
def test_make_that_is_cut_off_and_run_again_is_as_if_it_had_run_once(
    kind: type[Lifecycle], wanted: dict[str, Any], key: str, adopted: bool
) -> None:
    def end(cuts: tuple[int, ...]) -> tuple[int, Any]:
        reached = begun(kind, adopted=adopted)
        with_endpoints(reached, kind)
        before = len(reached.log.done)
        outs = cut_off(reached, lambda: lifecycle(kind, reached).create(wanted).outs, cuts)
        deeds = len(reached.log.done) - before
        assert lifecycle(kind, reached).read(key, outs).inputs == wanted, cuts
        assert outs["adopted"] is adopted, cuts
        return deeds, (there(reached), outs["found"], outs.get("other_records"), reached.notes)

    deeds, whole = end(())
    for cuts in every_cut(deeds):
        assert end(cuts)[1] == whole, cuts


@ADOPTED
@REFRESHED
@IN_SERVERS
def test_change_that_is_cut_off_and_run_again_is_as_if_it_had_run_once(
    kind: type[Lifecycle], wanted: dict[str, Any], key: str, *, adopted: bool, refreshed: bool
) -> None:
    news = {**wanted, **CHANGED[kind]}

    def end(cuts: tuple[int, ...]) -> tuple[int, Any]:
        reached = begun(kind, adopted=adopted)
        with_endpoints(reached, kind)
        state = [lifecycle(kind, reached).create(wanted).outs]

        def update() -> Any:
            # A refresh looks at what a run that died has left.
            if refreshed and state[0] and kind in (ServiceLifecycle, EndpointLifecycle):
                state[0] = lifecycle(kind, reached).read(key, state[0]).outs
            if not state[0]:
                # It looked gone, because two runs have died in the middle: the engine makes it.
                return lifecycle(kind, reached).create(news).outs
            return lifecycle(kind, reached).update(key, state[0], news).outs

        before = len(reached.log.done)
        outs = cut_off(reached, update, cuts)
        deeds = len(reached.log.done) - before
        assert lifecycle(kind, reached).read(key, outs).inputs == news, cuts
        # Where a refresh has seen that all is done, nothing tells the note so.
        return deeds, (there(reached), outs["adopted"], outs["found"], refreshed or reached.notes)

    deeds, whole = end(())
    for cuts in every_cut(deeds):
        assert end(cuts)[1] == whole, cuts


@ADOPTED
@IN_SERVERS
def test_remove_that_is_cut_off_and_run_again_leaves_what_was_there_before_us(
    kind: type[Lifecycle], wanted: dict[str, Any], key: str, adopted: bool
) -> None:
    def removed(cuts: tuple[int, ...]) -> int:
        reached = begun(kind, adopted=adopted)
        if adopted:
            with_endpoints(reached, kind)
        before = there(reached)
        outs = lifecycle(kind, reached).create(wanted).outs
        assert there(reached) != before
        done = len(reached.log.done)
        cut_off(reached, lambda: lifecycle(kind, reached).delete(key, outs), cuts)
        assert there(reached) == before, cuts
        assert reached.notes == {}, cuts
        return len(reached.log.done) - done

    for cuts in every_cut(removed(())):
        removed(cuts)


@ADOPTED
@IN_KEYSTONE
def test_a_destroy_after_a_change_that_was_cut_off_leaves_what_was_there_before_us(
    kind: type[Lifecycle], wanted: dict[str, Any], key: str, adopted: bool
) -> None:
    news = {**wanted, **CHANGED[kind]}
    if kind is KeystoneUserLifecycle:
        news = {**wanted, "password": "new"}
    # Until one is not cut off any more.
    for cut in itertools.count():
        reached = Reached()
        if kind is EndpointLifecycle:
            with_service(reached)
        if adopted:
            MADE_BEFORE[kind](reached)
        before = there(reached)
        outs = lifecycle(kind, reached).create(wanted).outs
        reached.log.dies_after = len(reached.log.done) + cut
        died = True
        with contextlib.suppress(Died):
            outs = lifecycle(kind, reached).update(key, outs, news).outs
            died = False
        reached.log.dies_after = None
        lifecycle(kind, reached).delete(key, outs)
        assert there(reached) == before, cut
        assert reached.notes == {}, cut
        if not died:
            break
    assert cut > 0


# ------------------------------------------------------------ what was there before us is gone


@pytest.mark.parametrize("operation", ["create", "update"])
@IN_KEYSTONE
def test_what_is_made_anew_where_an_adopted_one_was_deleted_is_ours_and_goes(
    kind: type[Lifecycle], wanted: dict[str, Any], key: str, operation: str
) -> None:
    news = {**wanted, **CHANGED[kind]}

    def made_and_removed(cuts: tuple[int, ...]) -> int:
        reached = Reached()
        if kind is EndpointLifecycle:
            with_service(reached)
        nothing = there(reached)
        MADE_BEFORE[kind](reached)
        state = lifecycle(kind, reached).create(wanted).outs
        assert state["adopted"] is True
        deleted_by_somebody(reached, kind)
        before = len(reached.log.done)
        outs = cut_off(
            reached,
            lambda: (
                lifecycle(kind, reached).create(news).outs
                if operation == "create"
                else lifecycle(kind, reached).update(key, state, news).outs
            ),
            cuts,
        )
        deeds = len(reached.log.done) - before
        assert (outs["adopted"], outs["found"]) == (False, {}), cuts
        lifecycle(kind, reached).delete(key, outs)
        assert there(reached) == nothing, cuts
        assert reached.notes == {}, cuts
        return deeds

    for cuts in every_cut(made_and_removed(())):
        made_and_removed(cuts)


@IN_KEYSTONE
def test_an_update_where_an_adopted_one_was_deleted_is_ours_also_without_notes(
    kind: type[Lifecycle], wanted: dict[str, Any], key: str
) -> None:
    reached = Reached()
    if kind is EndpointLifecycle:
        with_service(reached)
    nothing = there(reached)
    MADE_BEFORE[kind](reached)
    state = lifecycle(kind, reached).create(wanted).outs
    deleted_by_somebody(reached, kind)
    reached.notes.clear()
    outs = lifecycle(kind, reached).update(key, state, {**wanted, **CHANGED[kind]}).outs
    reached.notes.clear()
    lifecycle(kind, reached).delete(key, outs)
    assert there(reached) == nothing


def deleted_by_somebody(reached: Reached, kind: type[Lifecycle]) -> None:
    identity = reached.identity
    if kind is ServiceLifecycle:
        identity.service_records.clear()
    identity.endpoint_records.clear()
    identity.users.clear()
    identity.roles.clear()


def test_a_record_made_anew_beside_one_of_somebody_else_is_ours_and_only_it_goes() -> None:
    def made_and_removed(cuts: tuple[int, ...]) -> int:
        reached = Reached()
        adopted = reached.identity.create_service("nova", "compute", SERVICE["description"])
        theirs = reached.identity.create_service("nova", "compute", "theirs")
        state = lifecycle(ServiceLifecycle, reached).create(SERVICE).outs
        assert (state["adopted"], state["other_records"]) == (True, [theirs.id])
        reached.identity.delete_service(adopted.id)
        news = {**SERVICE, "description": "new"}
        before = len(reached.log.done)
        outs = cut_off(reached, lambda: lifecycle(ServiceLifecycle, reached).update("id", state, news).outs, cuts)
        deeds = len(reached.log.done) - before
        lifecycle(ServiceLifecycle, reached).delete("id", outs)
        assert list(reached.identity.service_records) == [theirs.id], cuts
        return deeds

    for cuts in every_cut(made_and_removed(())):
        made_and_removed(cuts)


def test_roles_in_the_tenant_of_the_next_run_are_found_too_when_the_first_one_died(reached: Reached) -> None:
    user = reached.identity.create_user("nova", "THEIRS", "", True)
    reached.identity.add_role(user, "admin", "other")
    # It died after its first deed: the note speaks of its tenant only.
    reached.log.dies_after = len(reached.log.done) + 1
    with pytest.raises(Died):
        lifecycle(KeystoneUserLifecycle, reached).create(USER)
    reached.log.dies_after = None
    made = lifecycle(KeystoneUserLifecycle, reached).create({**USER, "tenant": "other"}).outs
    lifecycle(KeystoneUserLifecycle, reached).delete("nova", made)
    assert ("nova", "admin", "other") in reached.identity.roles


# ------------------------------------------------------------ compute node, last check


def report(host: str, binary: str, state: str = "up", number: str = "6") -> ServiceReport:
    return ServiceReport(number, binary, host, "nova", "enabled", state, "2015-02-11T08:58:17.000000", "")


def test_a_compute_node_with_instances_is_not_taken_away(reached: Reached) -> None:
    reached.compute.reports = [report("compute1", "nova-compute")]
    reached.compute.instances = [Server("41", "web", "ACTIVE"), Server("42", "db", "SHUTOFF")]
    with pytest.raises(Refused) as refusal:
        lifecycle(ComputeNodeLifecycle, reached).delete("compute1", NODE)
    assert all(word in str(refusal.value) for word in ("compute1", "2 instances", "web (41, ACTIVE)", "db", "migrate"))
    # Disabled while they are counted, so that none is scheduled in between; nothing on the machine is touched.
    assert reached.log.done == ["disable nova-compute on compute1", "enable nova-compute on compute1"]


def test_a_node_that_another_run_holds_is_not_left_half_way(reached: Reached, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = reached.node("compute1", None)
    waited = []

    def run(calls: Any, **more: Any) -> Any:
        answer = machine.run(calls, **more)
        if next(each.function for each in calls) == "lock" and not waited:
            # It had to wait for the lock: nothing behind it was done.
            waited.append(calls)
            reached.log.done.clear()
            answer.again = True
        return answer

    held = types.SimpleNamespace(name=machine.name, address=machine.address, run=run)
    monkeypatch.setattr(reached, "node", lambda _name, _connection: held)
    lifecycle(ControllerNodeLifecycle, reached).delete("compute1", NODE)
    assert waited
    assert "stop_services nova-compute" in reached.log.done


def test_a_compute_node_is_disabled_then_stopped_then_its_record_goes(reached: Reached) -> None:
    reached.compute.reports = [report("compute2", "nova-compute", number="7"), report("compute1", "nova-compute")]
    lifecycle(ComputeNodeLifecycle, reached).delete("compute1", NODE)
    done = reached.log.done
    order = [
        "disable nova-compute on compute1",
        "stop_services nova-compute",
        "delete record 6",
    ]
    assert [done.index(each) for each in order] == sorted(done.index(each) for each in order)
    assert "delete record 7" not in done


def test_a_destroy_that_is_run_again_leaves_what_the_first_one_has_put_back(
    reached: Reached, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = reached.node("compute1", None)

    def run(calls: Any, **more: Any) -> Any:
        answer = machine.run(calls, **more)
        answer.facts = [("note", each[1], "-") if each[0] == "note" else each for each in answer.facts]
        return answer

    given_back = types.SimpleNamespace(name=machine.name, address=machine.address, run=run)
    monkeypatch.setattr(reached, "node", lambda _name, _connection: given_back)
    # The record could not be deleted then, because nova did not answer.
    reached.compute.reports = [report("compute1", "nova-compute")]
    lifecycle(ComputeNodeLifecycle, reached).delete("compute1", NODE)
    assert all(each.startswith(("read_", "disable", "delete record 6")) for each in reached.log.done)
    assert reached.log.done[-1] == "delete record 6"
    assert reached.kept[0].startswith("compute1: its files and services of nova stay as they are")


def test_what_a_service_was_that_the_stack_names_later_is_noted_before_it_is_touched(reached: Reached) -> None:
    later = {"nova-compute": {}, "nova-cert": {}}
    wanted = state_of({"node": "compute1", "options": {NOVA_CONF: {}}, "services": later, "absent": []})
    with contextlib.suppress(RemoteError):
        # None of them runs in the end: this machine starts nothing.
        lifecycle(ControllerNodeLifecycle, reached).change(NODE, wanted)
    acted = [each for each in reached.log.done if not each.startswith(("read_", "lock"))]
    assert acted[0] == "add_lines services.found 'nova-cert stopped enabled -'"


def test_a_node_that_a_run_which_died_has_disabled_is_enabled_again_when_it_is_refused(reached: Reached) -> None:
    died = dataclasses.replace(report("compute1", "nova-compute"), status="disabled", disabled_reason=REASON)
    reached.compute.reports = [died]
    reached.compute.instances = [Server("41", "web", "ACTIVE")]
    with pytest.raises(Refused):
        lifecycle(ComputeNodeLifecycle, reached).delete("compute1", NODE)
    assert reached.log.done == ["enable nova-compute on compute1"]


def test_a_node_that_an_operator_has_disabled_stays_so_when_it_is_refused(reached: Reached) -> None:
    theirs = dataclasses.replace(report("compute1", "nova-compute"), status="disabled", disabled_reason="new disk")
    reached.compute.reports = [theirs]
    reached.compute.instances = [Server("41", "web", "ACTIVE")]
    with pytest.raises(Refused):
        lifecycle(ComputeNodeLifecycle, reached).delete("compute1", NODE)
    assert reached.log.done == []


DRAINED = {**NODE, "drain": True}


def test_draining_takes_no_new_instances_and_waits_until_the_last_one_has_left(
    reached: Reached, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compute_node, "DRAIN_EVERY_SECONDS", 0.0)
    reached.compute.reports = [report("compute1", "nova-compute")]
    web, db = Server("41", "web", "ACTIVE"), Server("42", "db", "ACTIVE")
    seen: list[list[Server]] = [[web, db], [web, db], [db], []]

    def servers_on(_host: str) -> list[Server]:
        reached.log("count")
        return seen.pop(0) if seen else []

    monkeypatch.setattr(reached.compute, "servers_on", servers_on)
    lifecycle(ComputeNodeLifecycle, reached).delete("compute1", DRAINED)
    done = reached.log.done
    assert done[0] == "disable nova-compute on compute1"
    assert done.index("stop_services nova-compute") > 4
    assert done.count("count") == 5
    assert done[-1] == "delete record 6"
    shown = capsys.readouterr().out.splitlines()
    assert [line.split("still here: ")[1] for line in shown if "still here" in line] == [
        "2 instances: web (41, ACTIVE), db (42, ACTIVE)",
        "1 instance: db (42, ACTIVE)",
    ]


def test_draining_goes_on_while_the_api_does_not_answer(reached: Reached, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute_node, "DRAIN_EVERY_SECONDS", 0.0)
    reached.compute.reports = [report("compute1", "nova-compute")]
    answers: list[Any] = [ComputeError("restarting"), [], []]

    def servers_on(_host: str) -> list[Server]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return list(answer)

    monkeypatch.setattr(reached.compute, "servers_on", servers_on)
    lifecycle(ComputeNodeLifecycle, reached).delete("compute1", DRAINED)
    assert reached.log.done[-1] == "delete record 6"


def test_draining_that_takes_too_long_leaves_the_node_disabled_and_names_what_is_left(
    reached: Reached, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compute_node, "DRAIN_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(reached, "deadline", lambda _name: 0.05)
    reached.compute.reports = [report("compute1", "nova-compute")]
    reached.compute.instances = [Server("41", "web", "ACTIVE")]
    with pytest.raises(DeadlineExceeded) as late:
        lifecycle(ComputeNodeLifecycle, reached).delete("compute1", DRAINED)
    assert all(
        word in str(late.value) for word in ("compute1", "web (41, ACTIVE)", "deadlines.drain", "service-enable")
    )
    assert reached.log.done == ["disable nova-compute on compute1"]


def test_a_node_on_which_nova_ran_before_us_keeps_its_record_and_its_instances(reached: Reached) -> None:
    reached.compute.reports = [report("compute1", "nova-compute")]
    reached.compute.instances = [Server("41", "web", "ACTIVE")]
    lifecycle(ComputeNodeLifecycle, reached).delete("compute1", {**NODE, "worked_before": ["nova-compute"]})
    assert "stop_services nova-compute" in reached.log.done
    assert not [deed for deed in reached.log.done if "record" in deed or "disable" in deed]


def gone_for_good(reached: Reached, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_calls: Any, **_more: Any) -> Any:
        raise NoConnection("compute1 (ubuntu@10.0.0.31): no SSH connection: No route to host.")

    machine = types.SimpleNamespace(name="compute1", address="ubuntu@10.0.0.31", run=run)
    monkeypatch.setattr(reached, "node", lambda _name, _connection: machine)


def test_a_machine_that_does_not_answer_is_refused_with_the_way_out(
    reached: Reached, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone_for_good(reached, monkeypatch)
    reached.compute.reports = [report("compute1", "nova-compute")]
    with pytest.raises(ConnectionFailed) as refusal:
        lifecycle(ComputeNodeLifecycle, reached).delete("compute1", NODE)
    assert all(word in str(refusal.value) for word in ("No route to host", "on_unreachable: leave", "pulumi up"))
    assert "delete record 6" not in reached.log.done


def test_a_machine_that_is_gone_for_good_is_left_and_its_record_goes(
    reached: Reached, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone_for_good(reached, monkeypatch)
    reached.compute.reports = [report("compute1", "nova-compute")]
    lifecycle(ComputeNodeLifecycle, reached).delete("compute1", {**NODE, "on_unreachable": "leave"})
    assert reached.log.done[-1] == "delete record 6"
    assert "compute1: cannot be connected to; left there" in capsys.readouterr().out


def test_a_machine_that_answers_and_refuses_is_not_left(reached: Reached, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_calls: Any, **_more: Any) -> Any:
        raise ConnectionFailed("compute1 (ubuntu@10.0.0.31): sudo refused.")

    machine = types.SimpleNamespace(name="compute1", address="ubuntu@10.0.0.31", run=run)
    monkeypatch.setattr(reached, "node", lambda _name, _connection: machine)
    reached.compute.reports = [report("compute1", "nova-compute")]
    with pytest.raises(ConnectionFailed, match="sudo refused"):
        lifecycle(ComputeNodeLifecycle, reached).delete("compute1", {**NODE, "on_unreachable": "leave"})
    assert "delete record 6" not in reached.log.done


def test_a_node_that_cannot_be_connected_to_is_enabled_again(reached: Reached, monkeypatch: pytest.MonkeyPatch) -> None:
    gone_for_good(reached, monkeypatch)
    reached.compute.reports = [report("compute1", "nova-compute")]
    with pytest.raises(NoConnection):
        lifecycle(ComputeNodeLifecycle, reached).delete("compute1", NODE)
    assert reached.log.done == ["disable nova-compute on compute1", "enable nova-compute on compute1"]


def test_an_unknown_on_unreachable_is_refused_at_preview() -> None:
    result = lifecycle(ComputeNodeLifecycle, Unreachable()).check({}, {**NODE, "on_unreachable": "ignore"})
    assert [(each.property, "refuse or leave" in each.reason) for each in result.failures] == [("on_unreachable", True)]


# ------------------------------------------------------------ a node as a refresh sees it


RUNNING = {**NODE, "reporting": ["nova-compute"], "virt_type": "qemu", "started_at": ""}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """compute1 as the stack wants it."""
    there = Machine(RUNNING, "qemu")
    there.do(node.decide(RUNNING, there.facts()))
    there.notes[node.FOUND] = "nova-compute stopped enabled -"
    there.clock = int(time.time())
    monkeypatch.setattr(node_role, "inspect", lambda *_, **__: there.facts())
    return there


def test_a_node_whose_record_is_there_and_enabled_is_as_wanted_and_nothing_is_said(
    reached: Reached, machine: Machine
) -> None:
    reached.compute.reports = [report("compute1", "nova-compute")]
    read = lifecycle(ComputeNodeLifecycle, reached).read("compute1", RUNNING)
    assert read.inputs == {key: value for key, value in RUNNING.items() if key not in ("virt_type", "started_at")}
    assert read.outs["remarks"] == []


def test_a_record_that_is_gone_is_drift_and_its_service_is_started_anew(
    reached: Reached, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = lifecycle(ComputeNodeLifecycle, reached).read("compute1", RUNNING)
    assert read.inputs["reporting"] == ["nova-compute (no record)"]
    done: list[str] = []

    def operate(_connection: Any, _question: Any, decide: Any, **_more: Any) -> Any:
        calls = decide(machine.facts())
        done.extend(str(each) for each in calls)
        return Operated(calls, machine.facts())

    monkeypatch.setattr(node_role, "operate", operate)
    wanted = {**NODE, "reporting": ["nova-compute"], "wait": False}
    lifecycle(ComputeNodeLifecycle, reached).update("compute1", read.outs, wanted)
    assert [each.split()[0] for each in done] == ["stop_services", "start_service"]
    # Another run was faster.
    done.clear()
    reached.compute.reports = [report("compute1", "nova-compute")]
    lifecycle(ComputeNodeLifecycle, reached).update("compute1", read.outs, wanted)
    assert done == []


def test_a_record_that_an_operator_has_disabled_is_no_drift_and_is_said(reached: Reached, machine: Machine) -> None:
    disabled = dataclasses.replace(report("compute1", "nova-compute"), status="disabled", disabled_reason="new disk")
    reached.compute.reports = [disabled, dataclasses.replace(disabled, host="compute2")]
    read = lifecycle(ComputeNodeLifecycle, reached).read("compute1", RUNNING)
    assert read.inputs["reporting"] == ["nova-compute"]
    (said,) = read.outs["remarks"]
    assert "compute1 is disabled in nova (reason: new disk)" in said


@pytest.fixture
def applied(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is decided finds nothing to do on the machine."""
    monkeypatch.setattr(node_role, "operate", lambda *_, **__: Operated([], machine.facts()))


@pytest.mark.usefixtures("applied")
@pytest.mark.parametrize(
    ("scheduling", "reason", "done"),
    [
        ("enabled", "", []),
        ("enabled", "new disk", ["enable nova-compute on compute1"]),
        ("enabled", compute_node.REASON, ["enable nova-compute on compute1"]),
        ("disabled", "", ["disable nova-compute on compute1"]),
        ("disabled", "new disk", []),
        ("disabled", compute_node.REASON, ["disable nova-compute on compute1"]),
    ],
)
def test_where_the_stack_says_so_nova_schedules_on_the_node_or_not(
    reached: Reached, scheduling: str, reason: str, done: list[str]
) -> None:
    status = "disabled" if reason else "enabled"
    there = dataclasses.replace(report("compute1", "nova-compute"), status=status, disabled_reason=reason)
    reached.compute.reports = [there, report("compute2", "nova-compute")]
    role, wanted = lifecycle(ComputeNodeLifecycle, reached), {**RUNNING, "scheduling": scheduling, "wait": False}
    found = role.read("compute1", wanted)
    assert (found.inputs["scheduling"], found.outs["remarks"]) == (status, [])
    role.change(found.outs, wanted)
    assert reached.log.done == done
    assert [each.status for each in reached.compute.reports] == [scheduling, "enabled"]
    # The last check, which enables what a removal has left disabled, has nothing to do.
    compute_node.enable_again(reached.compute, ["compute1"], reached.compute.services())
    assert reached.log.done == done


def test_a_stack_that_leaves_scheduling_to_operators_again_is_a_change_that_opens_no_connection(
    reached: Reached,
) -> None:
    role = lifecycle(ComputeNodeLifecycle, reached)
    before = {**RUNNING, "scheduling": "disabled"}
    assert role.diff("compute1", before, RUNNING).changes
    assert "scheduling" not in role.update("compute1", before, RUNNING).outs
    assert reached.log.done == []
    assert not role.diff("compute1", RUNNING, RUNNING).changes


@pytest.mark.usefixtures("applied")
def test_a_change_that_starts_nothing_leaves_the_moment_of_the_last_start_so_that_the_last_check_has_nothing_to_do(
    reached: Reached,
) -> None:
    running = RUNNING["services"]["nova-compute"]
    # Of another service of the node, which was started later.
    known = {
        **RUNNING,
        "services": {"nova-compute": {**running, "enabled": False}},
        "started_at": "2099-01-01T00:00:00Z",
    }
    made = lifecycle(ComputeNodeLifecycle, reached).change(known, {**RUNNING, "wait": False})
    assert made["started_at"] == known["started_at"]
    # A run that failed while it waited has started it since.
    known["started_at"] = "1970-01-01T00:00:01Z"
    made = lifecycle(ComputeNodeLifecycle, reached).change(known, {**RUNNING, "wait": False})
    assert made["started_at"] > known["started_at"]


@pytest.mark.usefixtures("applied")
@pytest.mark.parametrize("said", [{}, {"scheduling": "enabled"}, {"scheduling": "disabled"}])
def test_a_node_that_a_removal_which_was_not_finished_has_disabled_is_drift_that_up_takes_back(
    reached: Reached, said: dict[str, str]
) -> None:
    cut_off = dataclasses.replace(report("compute1", "nova-compute"), status="disabled", disabled_reason=REASON)
    reached.compute.reports = [cut_off]
    role, wanted = lifecycle(ComputeNodeLifecycle, reached), {**RUNNING, **said, "wait": False}
    found = role.read("compute1", wanted)
    assert (found.inputs["being_removed"], found.outs["remarks"]) == (True, [])
    assert role.diff("compute1", found.outs, wanted).changes
    made = role.update("compute1", found.outs, wanted)
    (after,) = reached.compute.reports
    assert (after.status, after.disabled_reason == REASON) == (said.get("scheduling", "enabled"), False)
    assert "being_removed" not in made.outs
    assert not role.diff("compute1", made.outs, wanted).changes
    # What an earlier look has found may be over.
    reached.records = Records(reached.compute.services)
    assert "being_removed" not in role.read("compute1", found.outs).inputs


def test_without_nova_a_removal_that_was_not_finished_is_what_the_state_has(reached: Reached, machine: Machine) -> None:
    def fail() -> Any:
        raise ComputeError("The compute API does not answer.")

    reached.records = Records(fail)
    read = lifecycle(ComputeNodeLifecycle, reached).read("compute1", {**RUNNING, "being_removed": True})
    assert read.inputs["being_removed"] is True


@pytest.mark.usefixtures("applied")
@pytest.mark.parametrize(("kind", "waits"), [(ControllerNodeLifecycle, True), (ComputeNodeLifecycle, False)])
def test_a_change_of_a_controller_is_waited_for_there_before_compute_nodes_get_it(
    reached: Reached, monkeypatch: pytest.MonkeyPatch, kind: type[Lifecycle], waits: bool
) -> None:
    waited: list[Any] = []
    monkeypatch.setattr(kind, "_wait_until_done", lambda _self, _wanted, started: waited.extend(started.processes))
    running = RUNNING["services"]["nova-compute"]
    known = {**RUNNING, "services": {"nova-compute": {**running, "enabled": False}}}
    lifecycle(kind, reached).change(known, {**RUNNING, "wait": False})
    assert waited == (["nova-compute"] if waits else [])


def test_without_nova_what_it_schedules_is_what_the_state_has(reached: Reached, machine: Machine) -> None:
    """A record that is gone says nothing of it: nova-compute is started anew for another one."""
    reached.compute.reports = []
    read = lifecycle(ComputeNodeLifecycle, reached).read("compute1", {**RUNNING, "scheduling": "disabled"})
    assert (read.inputs["reporting"], read.inputs["scheduling"]) == (["nova-compute (no record)"], "disabled")


def test_another_word_for_scheduling_is_refused_by_name(reached: Reached) -> None:
    failures = lifecycle(ComputeNodeLifecycle, reached).check({}, {**NODE, "scheduling": "off"}).failures
    assert [(each.property, each.reason) for each in failures] == [
        ("scheduling", "is 'off'; it can be enabled, disabled or left")
    ]


def test_while_nova_does_not_answer_its_record_is_not_known_and_the_rest_of_the_node_is(
    reached: Reached, machine: Machine
) -> None:
    def fail() -> Any:
        raise ComputeError("The compute API does not answer.")

    reached.records = Records(fail)
    machine.stop("nova-compute")
    read = lifecycle(ComputeNodeLifecycle, reached).read("compute1", RUNNING)
    assert read.inputs["services"]["nova-compute"]["running"] is False
    assert read.inputs["reporting"] == ["nova-compute"]
    (said,) = read.outs["remarks"]
    assert all(word in said for word in ("compute1", "not known", "The compute API does not answer."))


@pytest.mark.parametrize(("seconds", "way"), [(600, "600 s ahead"), (-600, "600 s behind"), (56, "5[567] s ahead")])
def test_a_clock_that_is_off_is_said(reached: Reached, machine: Machine, seconds: int, way: str) -> None:
    reached.compute.reports = [report("compute1", "nova-compute")]
    machine.clock += seconds
    (said,) = lifecycle(ComputeNodeLifecycle, reached).read("compute1", RUNNING).outs["remarks"]
    assert re.match(f"The clock of compute1 is {way}", re.sub("599|601", "600", said))
    assert "may differ by 50 s: its reports have the conductor's clock, so nova-compute stays up" in said


def test_clocks_of_nodes_are_compared_with_novas_and_not_with_ours(reached: Reached, machine: Machine) -> None:
    reached.compute.reports = [report("compute1", "nova-compute")]
    compute = lifecycle(ComputeNodeLifecycle, reached)
    # Ours is ten minutes late, and they agree with each other.
    machine.clock += 600
    reached.compute.clock_ahead = 600.0
    assert compute.read("compute1", RUNNING).outs["remarks"] == []
    # Each is off by 40 s from ours, to another side.
    machine.clock += 40 - 600
    reached.compute.clock_ahead = -40.0
    (said,) = compute.read("compute1", RUNNING).outs["remarks"]
    assert re.match(r"The clock of compute1 is (79|80|81) s ahead of that of nova-api", said)


def test_without_an_answer_of_nova_a_clock_is_compared_with_ours_and_that_is_said(
    reached: Reached, machine: Machine
) -> None:
    reached.compute.reports = [report("compute1", "nova-compute")]
    reached.compute.clock_ahead = None
    machine.clock += 600
    (said,) = lifecycle(ComputeNodeLifecycle, reached).read("compute1", RUNNING).outs["remarks"]
    assert "ahead of that of this machine (nova-api's is not known)" in said


@pytest.mark.parametrize("clock", [(-70, 0, "right"), (-70, -70, "off"), (600, 670, "off")])
def test_a_question_that_takes_long_is_no_clock_that_is_off(
    reached: Reached,
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    clock: tuple[int, int, str],
) -> None:
    """nova-manage waits a minute for a MariaDB that is silent."""
    now, later = (int(time.time()) + each for each in clock[:2])
    facts = dataclasses.replace(machine.facts(), now=now, later=later)
    monkeypatch.setattr(node_role, "operate", lambda *_, **__: Operated([], facts))
    lifecycle(ComputeNodeLifecycle, reached).update("compute1", {**RUNNING, "absent": []}, {**RUNNING, "wait": False})
    assert ("the clock of compute1" in capsys.readouterr().out) is (clock[2] == "off")


def test_what_a_clock_may_be_off_is_what_the_nodes_own_options_bear(reached: Reached, machine: Machine) -> None:
    reached.compute.reports = [report("compute1", "nova-compute")]
    machine.clock += 56
    patient = {"DEFAULT": {"service_down_time": "300", "report_interval": "30"}}
    known = {**RUNNING, "options": {NOVA_CONF: patient}}
    said = lifecycle(ComputeNodeLifecycle, reached).read("compute1", known).outs["remarks"]
    assert [each for each in said if "clock" in each] == []


@pytest.mark.parametrize("kind", [ComputeNodeLifecycle, NodePackagesLifecycle])
def test_another_machine_at_the_address_is_refused_and_not_taken_for_the_node(
    reached: Reached, monkeypatch: pytest.MonkeyPatch, kind: type[Lifecycle]
) -> None:
    machine = reached.node("compute1", None)
    machine.name = "somebody-elses"
    monkeypatch.setattr(reached, "node", lambda *_: machine)
    with pytest.raises(StepFailed, match="calls itself somebody-elses"):
        lifecycle(kind, reached).read("compute1", PACKAGES if kind is NodePackagesLifecycle else NODE)


class Restarted:
    """A compute node whose service nova has no record of before it is started anew."""

    name = "compute1"
    address = "ubuntu@10.0.0.31"

    def __init__(self, reached: Reached) -> None:
        self.reached = reached
        self.started: list[tuple[str, ...]] = []

    def run(self, calls: Any, **_more: Any) -> Any:
        for each in calls:
            if each.function == "start_anew":
                self.started.append(each.arguments)
                self.reached.compute.reports.append(report("compute1", "nova-compute"))
        return Answer()


@pytest.mark.parametrize("controller_was_restarted", [True, False])
def test_a_service_that_nova_has_no_record_of_is_started_anew_once_the_controllers_have_been(
    reached: Reached, monkeypatch: pytest.MonkeyPatch, controller_was_restarted: bool
) -> None:
    awaited = {"connection": CONNECTION, "answers": {}, "hidden": []}
    wanted = {
        "services": {"controller": ["nova-conductor"], "compute1": ["nova-compute"]},
        "restarts": {"controller": "2", "compute1": "1"},
        "awaits": {"compute1": awaited},
    }
    known = {**wanted, "restarts": {"controller": "1" if controller_was_restarted else "2", "compute1": "1"}}
    reached.compute.reports = [report("controller", "nova-conductor")]
    node = Restarted(reached)
    monkeypatch.setattr(reached, "node", lambda _name, _connection: node)
    waited: list[list[str]] = []
    monkeypatch.setattr(
        ServiceCheckLifecycle, "_wait_for_those_that_do_not_wait", lambda _self, _wanted, *hosts: waited.extend(hosts)
    )
    monkeypatch.setattr(reached.compute, "images", list, raising=False)
    if not controller_was_restarted:
        reached.compute.reports.append(report("compute1", "nova-compute"))
    lifecycle(ServiceCheckLifecycle, reached).update("services", known, wanted)
    assert node.started == ([("nova-compute",)] if controller_was_restarted else [])
    # What was started anew has been since: when it was started before says nothing.
    assert waited == ([[], ["compute1"]] if controller_was_restarted else [])


def test_a_controller_whose_services_were_started_again_is_waited_for_as_one_that_is_made_again_does_not_wait_itself(
    reached: Reached, monkeypatch: pytest.MonkeyPatch
) -> None:
    awaited = {"connection": CONNECTION, "answers": {"nova-api": "127.0.0.1:8774"}, "hidden": []}
    wanted = {
        "services": {"controller": ["nova-cert"]},
        "restarts": {"controller": "2014-11-22T15:00:00Z"},
        "awaits": {"controller": awaited},
    }
    known = {**wanted, "restarts": {"controller": "2014-11-22T14:00:00Z"}}
    reached.compute.reports = [report("controller", "nova-cert")]
    monkeypatch.setattr(reached.compute, "images", list, raising=False)
    waited: list[list[str]] = []
    monkeypatch.setattr(
        ServiceCheckLifecycle, "_wait_for_those_that_do_not_wait", lambda _self, _wanted, *hosts: waited.extend(hosts)
    )
    lifecycle(ServiceCheckLifecycle, reached).update("services", known, wanted)
    assert waited == [["controller"], []]


def test_the_tables_are_the_guides_without_what_changes_by_itself() -> None:
    reports = [report("compute1", "nova-compute")]
    assert service_table(reports).splitlines() == [
        "+--------------+----------+------+---------+-------+-----------------+",
        "| Binary       | Host     | Zone | Status  | State | Disabled Reason |",
        "+--------------+----------+------+---------+-------+-----------------+",
        "| nova-compute | compute1 | nova | enabled | up    | -               |",
        "+--------------+----------+------+---------+-------+-----------------+",
    ]
    images = [Image("e37ba2d2", "cirros-0.3.3-x86_64", "ACTIVE", "")]
    assert image_table(images).splitlines()[1:4:2] == [
        "| Name                | Status | Server |",
        "| cirros-0.3.3-x86_64 | ACTIVE |        |",
    ]


def test_foreign_services_and_images_are_shown_and_are_no_drift(reached: Reached) -> None:
    reached.compute.reports = [report("theirs", "nova-compute", "down")]
    reached.compute.images = list  # type: ignore[attr-defined]
    read = lifecycle(ServiceCheckLifecycle, reached).read("services", CHECK)
    assert read.inputs == CHECK
    assert "theirs" in read.outs["service_list"]
    assert "nova-compute on theirs" in read.outs["remarks"][0]


def test_a_refresh_while_nova_does_not_answer_says_so_and_goes_on(reached: Reached) -> None:
    def fail() -> Any:
        raise ComputeError("The compute API does not answer")

    reached.compute.services = fail  # type: ignore[method-assign]
    read = lifecycle(ServiceCheckLifecycle, reached).read("services", CHECK)
    assert read.inputs == {**CHECK, "look_again": True}
    assert "does not answer" in read.outs["service_list"]
    assert "does not answer" in read.outs["remarks"][0]


def test_a_refresh_while_glance_does_not_answer_still_has_the_services_and_is_nothing_for_up(reached: Reached) -> None:
    reached.compute.reports = [report("theirs", "nova-compute", "up")]
    reached.compute.images = refusing(ComputeError("HTTP 500"))  # type: ignore[attr-defined]
    read = lifecycle(ServiceCheckLifecycle, reached).read("services", CHECK)
    assert read.inputs == CHECK
    assert "theirs" in read.outs["service_list"]
    assert read.outs["image_list"] == "not known: HTTP 500"
    assert read.outs["remarks"] == ["Which images there are is not known: HTTP 500"]


def test_after_a_refresh_that_nova_did_not_answer_up_looks_again_and_waits_for_no_restart(
    reached: Reached, monkeypatch: pytest.MonkeyPatch
) -> None:
    awaited = {"connection": CONNECTION, "answers": {}, "changes": True, "hidden": []}
    wanted = {**CHECK, "awaits": {"compute1": awaited}}
    answers = reached.compute.services
    monkeypatch.setattr(reached.compute, "services", refusing(ComputeError("HTTP 401")))
    monkeypatch.setattr(reached.compute, "images", list, raising=False)
    check = lifecycle(ServiceCheckLifecycle, reached)
    known = check.read("services", wanted).outs
    assert check.diff("services", known, wanted).changes is True
    # What was in its way has been repaired.
    monkeypatch.setattr(reached.compute, "services", answers)
    reached.compute.reports = [report("compute1", "nova-compute")]
    monkeypatch.setattr(reached, "node", lambda *_where: pytest.fail("a node was asked"))
    outs = check.update("services", known, wanted).outs
    assert "nova-compute" in outs["service_list"]
    assert check.diff("services", outs, wanted).changes is False
    assert check.read("services", known).inputs == wanted


def test_where_nobody_answers_up_has_nothing_to_look_at_again(
    reached: Reached, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A service of ours that is stopped is looked at when it is started; behind somebody else's endpoint up can do nothing.
    monkeypatch.setattr(reached.compute, "services", refusing(ComputeSilent("Connection refused")))
    check = lifecycle(ServiceCheckLifecycle, reached)
    read = check.read("services", CHECK)
    assert "Connection refused" in read.outs["service_list"]
    assert check.diff("services", read.outs, CHECK).changes is False


def refusing(error: Exception) -> Any:
    def refuse(_host: str = "") -> Any:
        raise error

    return refuse
