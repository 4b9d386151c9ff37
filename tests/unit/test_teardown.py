"""What destroy would do is told by the removal itself, rehearsed: it cannot differ from what destroy does, and nothing is changed."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import json
from typing import Any

import pytest

from nova_infra.commands.state import Managed
from nova_infra.commands.teardown import End, as_json, as_text, end_of, ends_of
from nova_infra.compute import Compute, Server
from nova_infra.errors import NoConnection
from nova_infra.grants import Schema
from nova_infra.identity import Identity
from nova_infra.mysql import Server as MariaDB
from nova_infra.rehearsal import (
    COMPUTE_ASKS,
    COMPUTE_CHANGES,
    DATABASE_ASKS,
    DATABASE_CHANGES,
    IDENTITY_ASKS,
    IDENTITY_CHANGES,
    Rehearsal,
)
from nova_infra.resources.compute_node import REASON
from nova_infra.resources.lifecycle import Lifecycle
from nova_infra.resources.types import LIFECYCLES

from .servers import Reached
from .test_resources import DATABASE, ENDPOINT, NODE, PACKAGES, SERVICE, USER, lifecycle, report

COMPUTE_NODE = "pulumi-python:dynamic/nova:ComputeNode"
INSTANCE = Server("id-1", "web", "ACTIVE")


def managed(kind: str, outputs: dict[str, Any], reached: Any, **more: Any) -> Managed:
    type_ = f"pulumi-python:dynamic/nova:{kind}"
    urn = f"urn:pulumi:lab::nova::nova:index:NovaDeployment${type_}::nova-it"
    return Managed(urn, "nova-it", type_, "it", inputs=outputs, outputs=outputs, access=reached, **more)


def made(kind: str, wanted: dict[str, Any], reached: Reached) -> dict[str, Any]:
    """The state of a resource after its create."""
    outputs: dict[str, Any] = {**wanted, **of(kind, reached).make(wanted)}
    reached.log.done.clear()
    return outputs


def of(kind: str, reached: Any) -> Any:
    return lifecycle(LIFECYCLES[f"pulumi-python:dynamic/nova:{kind}"], reached)


@pytest.fixture
def reached() -> Reached:
    return Reached()


# ------------------------------------------------------------ a rehearsal changes nothing


@pytest.mark.parametrize(
    ("server", "asks", "changes"),
    [
        (Identity, IDENTITY_ASKS, IDENTITY_CHANGES),
        (MariaDB, DATABASE_ASKS, DATABASE_CHANGES),
        (Compute, COMPUTE_ASKS, COMPUTE_CHANGES),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_a_rehearsal_may_ask_and_what_it_writes_down_are_methods_of_the_server(
    server: type, asks: frozenset[str], changes: dict[str, Any]
) -> None:
    public = {name for name in vars(server) if not name.startswith("_")}
    assert not asks & changes.keys()
    assert asks | changes.keys() <= public


@pytest.mark.parametrize("method", ["create_user", "set_password", "nonsense"])
def test_a_server_that_is_rehearsed_has_nothing_but_these(reached: Reached, method: str) -> None:
    with pytest.raises(AttributeError):
        getattr(Rehearsal.of(reached).identity, method)  # type: ignore[arg-type]


def test_a_sentence_takes_the_arguments_of_its_method() -> None:
    for server, changes in ((Identity, IDENTITY_CHANGES), (MariaDB, DATABASE_CHANGES), (Compute, COMPUTE_CHANGES)):
        for name, sentence in changes.items():
            wanted = len(inspect.signature(getattr(server, name)).parameters) - 1
            assert len(inspect.signature(sentence).parameters) == wanted, name


RECORDS = [("Database", DATABASE), ("KeystoneUser", USER), ("Service", SERVICE), ("Endpoint", ENDPOINT)]


@pytest.mark.parametrize(("kind", "wanted"), RECORDS, ids=[kind for kind, _ in RECORDS])
@pytest.mark.parametrize("adopted", [False, True])
def test_what_is_told_is_what_is_done(kind: str, wanted: dict[str, Any], adopted: bool, reached: Reached) -> None:
    if kind == "Endpoint":
        reached.identity.create_service("nova", "compute", "OpenStack Compute")
    if adopted:
        before = {
            **wanted,
            "charset": "latin1",
            "collation": "latin1_swedish_ci",
            "description": "of somebody",
            "roles": ["member"],
            **({"public_url": "http://elsewhere:8774"} if kind == "Endpoint" else {}),
        }
        of(kind, reached).make({key: before[key] for key in wanted})
        reached.notes.clear()
    state = made(kind, wanted, reached)
    there = copy.deepcopy((vars(reached.identity), vars(reached.database), reached.notes))

    end = end_of(managed(kind, state, reached))

    assert end.refuses == ()
    assert reached.log.done == []
    assert {**there[0], "log": 0, "tried": 0} == {**vars(reached.identity), "log": 0, "tried": 0}
    assert {**there[1], "log": 0} == {**vars(reached.database), "log": 0}
    assert there[2] == reached.notes
    of(kind, reached).remove(state)
    # A deed is a call, and each that was made is in the log; a role that is not there is taken without one.
    assert len(end.removes) >= len(reached.log.done) > 0
    assert [each.partition(": ")[2] for each in reached.kept] == list(end.keeps)
    assert any("before us" in each for each in end.keeps) == adopted


def test_a_schema_with_another_end_is_kept_or_dumped(reached: Reached) -> None:
    state = made("Database", DATABASE, reached)
    kept = end_of(managed("Database", {**state, "on_delete": "keep"}, reached))
    assert (kept.removes, kept.keeps) == ((), ("the schema nova and its users stay, as on_delete: keep says",))
    dumped = end_of(managed("Database", {**state, "on_delete": "dump"}, reached))
    assert "dumping the schema nova into /var/backups" in dumped.removes[0]
    assert dumped.removes[1] == "dropping the schema nova with its data"
    assert reached.database.schemas == {"nova": Schema("utf8", "utf8_general_ci")}


def test_what_is_refused_is_said_with_the_way_and_nothing_of_it_is_done(reached: Reached) -> None:
    state = made("Database", {**DATABASE, "on_delete": "refuse"}, reached)
    end = end_of(managed("Database", state, reached, protect=True))
    protection, refusal = end.refuses
    assert "pulumi state unprotect --stack lab 'urn:pulumi:lab::nova::nova:index:NovaDeployment$" in protection
    assert "`pulumi up --stack lab`" in protection
    assert "set on_delete to drop" in refusal
    assert (end.removes, end.keeps) == ((), ())


def test_the_stack_is_named_as_somebody_has_named_it_whatever_else_is_selected(reached: Reached) -> None:
    resource = managed("Database", made("Database", DATABASE, reached), reached, protect=True)
    (end,) = ends_of([resource], lambda _: None, "acme/nova/lab")
    assert "pulumi state unprotect --stack acme/nova/lab 'urn:" in end.refuses[0]


def test_a_compute_node_with_an_instance_is_refused_or_waited_for(reached: Reached) -> None:
    reached.compute.reports = [report("compute1", "nova-compute")]
    reached.compute.instances = [INSTANCE]
    state = {**NODE, "drain": False, "worked_before": [], "on_unreachable": "refuse"}
    refused = end_of(managed("ComputeNode", state, reached))
    assert "compute1 still has 1 instance: web" in refused.refuses[0]
    assert refused.removes == ()

    drained = end_of(managed("ComputeNode", {**state, "drain": True}, reached))
    assert drained.refuses == ()
    assert "waiting until it has no instances left; now it has 1 instance: web (id-1, ACTIVE)" in drained.removes
    assert "deleting its record in nova" in drained.removes
    assert [each for each in reached.log.done if not each.startswith("read_")] == []


def test_what_somebody_named_an_instance_is_no_command_to_a_terminal_and_no_secret_is_shown(reached: Reached) -> None:
    reached.compute.reports = [report("compute1", "nova-compute")]
    reached.compute.instances = [Server("id-1", "\x1b[31mhunter2", "ACTIVE")]
    reached.secrets = lambda: ["hunter2"]  # type: ignore[method-assign]
    state = {**NODE, "drain": False, "worked_before": [], "on_unreachable": "refuse"}
    said: list[str] = []
    (end,) = ends_of([managed("ComputeNode", state, reached)], said.append)
    assert "1 instance: \\x1b[31m[secret] (id-1, ACTIVE)" in end.refuses[0]
    assert said == ["Asking compute1 ..."]
    assert ends_of([], said.append) == []


def test_a_compute_node_that_worked_before_us_keeps_its_record(reached: Reached) -> None:
    reached.compute.instances = [INSTANCE]
    state = {**NODE, "drain": False, "worked_before": ["nova-compute"], "on_unreachable": "refuse"}
    end = end_of(managed("ComputeNode", state, reached))
    assert end.keeps == ("its record in nova and its instances stay: nova-compute ran there before us",)
    assert not any("record" in each for each in end.removes)


@pytest.mark.parametrize(("setting", "refused"), [("refuse", True), ("leave", False)])
def test_a_machine_that_does_not_answer_is_refused_or_left(setting: str, refused: bool) -> None:
    class Gone(Reached):
        def node(self, _name: str, _connection: Any) -> Any:
            raise NoConnection("compute1 (ubuntu@10.0.0.31): nobody answers.")

    end = end_of(managed("NodePackages", {**PACKAGES, "on_unreachable": setting}, Gone()))
    assert bool(end.refuses) == refused
    if refused:
        assert "set `on_unreachable: leave` on compute1" in end.refuses[0]
    else:
        assert end.keeps == ("cannot be connected to; left there as it is: the packages that we added",)


def test_a_removal_of_ours_that_was_cut_off_is_no_reason_to_tell_something_else(reached: Reached) -> None:
    reached.compute.reports = [
        dataclasses.replace(report("compute1", "nova-compute"), status="disabled", disabled_reason=REASON)
    ]
    state = {**NODE, "drain": False, "worked_before": [], "on_unreachable": "refuse"}
    assert "deleting its record in nova" in end_of(managed("ComputeNode", state, reached)).removes


# ------------------------------------------------------------ what is shown


def ends() -> list[End]:
    return [
        *(
            End(f"nova-compute{number}", f"urn{number}", "ComputeNode", ("stopping nova-compute",))
            for number in range(1, 9)
        ),
        End("nova-user", "urn-user", "KeystoneUser", (), ("the user stays",)),
        End("nova-database", "urn-database", "Database", refuses=("It is protected.",)),
    ]


def test_the_same_of_many_nodes_is_one_row_and_the_last_line_counts() -> None:
    text = as_text(ends())
    assert "compute6 and 2 more" in " ".join(text.replace("|", " ").split())
    assert text.count("stopping nova-compute") == 1
    assert text.splitlines()[-1] == "Destroy would refuse 1 resource of 10; it would keep something of 1."
    assert as_text(ends()[:8]).splitlines()[-1] == "Destroy would remove 8 resources."


def test_a_stack_without_resources_is_told_that_nothing_is_left() -> None:
    assert as_text([]) == "The stack has no resources of nova-infra: nothing was deployed, or all of it was destroyed."


def test_json_has_each_resource_with_its_urn() -> None:
    document = json.loads(as_json(ends()))
    assert document["schema"] == 1
    assert document["resources"][-1] == {
        "name": "nova-database",
        "urn": "urn-database",
        "kind": "Database",
        "removes": [],
        "keeps": [],
        "refuses": ["It is protected."],
    }
    assert len(document["resources"]) == 10


def test_every_kind_of_resource_can_be_rehearsed() -> None:
    assert all(issubclass(each, Lifecycle) for each in LIFECYCLES.values())
