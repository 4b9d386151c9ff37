"""What `check` decides about the answers of machines and servers. Nothing is asked here."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
from collections.abc import Iterable
from typing import Any

import pymysql
import pytest

from nova_infra.catalog import EndpointRecord, ServiceRecord
from nova_infra.checks import database, fleet, identity, machine
from nova_infra.checks.database import Database
from nova_infra.checks.finding import Finding, from_sentence
from nova_infra.checks.identity import Catalog
from nova_infra.checks.machine import Installable, Listener, Machine
from nova_infra.checks.needs import Needs, Place, needs_of_nodes
from nova_infra.commands import check
from nova_infra.commands.check import Result, _refused, as_json, as_table, ask_all, counts
from nova_infra.defaults import EVERYWHERE
from nova_infra.errors import ConnectionFailed, DatabaseError, RemoteError, StepFailed, UnreadableFile
from nova_infra.grants import GRANT_OPTION, SCHEMA_PRIVILEGES, Schema
from nova_infra.mysql import Server
from nova_infra.node import ADDED, FOUND
from nova_infra.remote import connecting
from nova_infra.remote.inspection import Facts, File, Process
from nova_infra.remote.script import Answer, call
from nova_infra.remote.sudo import refusal_in

from .test_script import facts
from .test_settings import COMPUTE, CONTROLLER, parsed

NOVA_CONF = "/etc/nova/nova.conf"
SETTINGS = parsed()
ROOT = frozenset(SCHEMA_PRIVILEGES - {"ALL"} | {"CREATE USER", GRANT_OPTION})


def refused_by_mariadb(code: int, said: str) -> DatabaseError:
    def dial() -> socket.socket:
        raise pymysql.OperationalError(code, said)

    with pytest.raises(DatabaseError) as raised:
        Server("controller:3306", "lesser", "hunter2", dial).schema("nova")
    return raised.value


def needs(name: str = "compute1", **values: Any) -> Needs:
    return next(each for each in needs_of_nodes(parsed(values)) if each.node == name)


def fresh(wanted: Needs, **changes: Any) -> Machine:
    """A machine on which nothing of nova is, and nothing is wrong; `facts` are laid over those it has."""
    facts = Facts(
        hostname=wanted.node,
        now=0,
        virt_type="qemu",
        init="sysv",
        files={path: File("missing") for path in wanted.state["files"]},
        services={name: Process(0, "-", 0, enabled=False) for name in wanted.state["services"]},
        notes={FOUND: None, ADDED: None},
        origins=dict.fromkeys(wanted.state["files"], "none"),
        names={name: ["10.0.0.11" if name == "controller" else "10.0.0.31"] for name in wanted.names},
    )
    machine = Machine(
        facts=dataclasses.replace(facts, **changes.pop("facts", {})),
        installable=Installable("nova-compute", sources="deb http://archive ./;"),
        space={"/usr": ("/", 9_000_000), "/var": ("/", 9_000_000)},
        clock=(-0.5, 1.0),
    )
    return dataclasses.replace(machine, **changes)


def found(wanted: Needs, **changes: Any) -> list[Finding]:
    return machine.findings(wanted, fresh(wanted, **changes))


def what(findings: Iterable[Finding]) -> list[str]:
    return [each.what for each in findings]


# ------------------------------------------------------------ what a node needs


def test_a_compute_node_needs_keystone_glance_and_the_message_queue_and_no_database() -> None:
    assert [str(place) for place in needs().places] == [
        "Keystone at controller:5000",
        "Glance at controller:9292",
        "RabbitMQ at controller:5672",
    ]
    assert {place.server for place in needs("controller").places} == {"MariaDB", "Keystone", "Glance", "RabbitMQ"}


def test_a_node_must_resolve_its_own_name_and_those_of_its_servers_and_addresses_are_no_names() -> None:
    assert set(needs().names) == {"compute1", "controller"}
    queue = needs(messageQueue={"hosts": ["mq1", "10.0.0.5:5673", "[fd00::5]"]}, image={"host": "images"})
    assert set(queue.names) == {"compute1", "controller", "images", "mq1"}
    assert queue.queues == (
        Place("RabbitMQ", "mq1", 5672),
        Place("RabbitMQ", "10.0.0.5", 5673),
        Place("RabbitMQ", "fd00::5", 5672),
    )
    assert "api.example.com" in needs("controller", endpoint={"public_url": "https://api.example.com/v2"}).names


def test_the_ports_of_a_controller_follow_its_services_and_options() -> None:
    def ports(**values: Any) -> set[tuple[str, int]]:
        return {(each.service, each.port) for each in needs("controller", **values).listening}

    # Juno's defaults; ec2 and metadata belong to nova-api.
    everything = {("nova-api", 8774), ("nova-api", 8773), ("nova-api", 8775), ("nova-novncproxy", 6080)}
    assert ports() == everything
    moved = {"controller": {"DEFAULT": {"osapi_compute_listen_port": 18774, "enabled_apis": "osapi_compute"}}}
    assert ports(options=moved) == {("nova-api", 18774), ("nova-novncproxy", 6080)}
    assert ports(controllers=[CONTROLLER | {"services": ["nova-api", "nova-conductor"]}]) == everything - {
        ("nova-novncproxy", 6080)
    }
    assert needs().listening == ()


def test_packages_are_those_of_all_layers_with_their_versions() -> None:
    layers = {"compute": {"ntp": "present"}, "nodes": {"compute1": {"nova-compute": "1:2014.2.4-0ubuntu1"}}}
    assert needs(packages=layers).packages == ("nova-compute=1:2014.2.4-0ubuntu1", "ntp", "sysfsutils")


# ------------------------------------------------------------ one machine


def test_a_fresh_machine_is_in_order() -> None:
    assert found(needs()) == []
    assert found(needs("controller")) == []


def test_another_machine_at_the_address_is_all_that_is_said_of_it() -> None:
    (only,) = found(needs(), facts={"hostname": "web7"}, unfinished="nova-common")
    assert only.subject == "host name"
    assert only.what == "the machine at this address calls itself web7"
    assert "name the node web7 in the stack" in only.do


class Reaches:
    """A machine that reaches whatever it is asked to."""

    def __init__(self) -> None:
        self.asked: set[tuple[str, int]] = set()

    def open(self, _seconds: float) -> None:
        pass

    def run(self, _calls: Any, **_more: Any) -> Answer:
        return Answer()

    def out_of_reach(self, places: set[tuple[str, int]], _seconds: float) -> dict[tuple[str, int], str]:
        self.asked |= places
        return {}


def test_a_name_that_does_not_resolve_is_named_and_servers_of_that_name_are_not_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted = needs(image={"host": "10.0.0.8"})
    there = fresh(wanted, facts={"names": {"compute1": ["10.0.0.31"], "controller": []}})
    monkeypatch.setattr(machine, "machine_of", lambda *_: there)
    node = Reaches()
    asked = machine.ask(node, wanted, [], lambda _reach: "refused")  # type: ignore[arg-type]
    assert node.asked == {("10.0.0.8", 9292)}
    (only,) = machine.findings(wanted, asked)
    assert (only.where, only.what) == ("compute1", "the name controller does not resolve there")


def test_a_server_that_a_node_does_not_reach_is_named_with_the_reason() -> None:
    (only,) = found(needs(), out_of_reach={Place("Glance", "controller", 9292): "Connection refused"})
    assert only.what == "it does not reach Glance at controller:9292: Connection refused"


def test_an_account_that_rabbitmq_refuses_is_a_problem_and_one_that_it_takes_is_none() -> None:
    rabbit = Place("RabbitMQ", "controller", 5672)
    (only,) = found(needs(), queues={rabbit: "ACCESS_REFUSED"})
    assert only.what == "RabbitMQ at controller:5672 refuses nova's account from there: ACCESS_REFUSED"
    assert found(needs(), queues={rabbit: ""}) == []


def test_a_machine_whose_sshd_connects_to_nothing_is_not_blamed() -> None:
    (only,) = found(needs(), not_asked="administratively prohibited")
    assert only.note


def test_a_machine_whose_sshd_does_not_let_up_ask_whether_nova_api_answers_is_a_problem() -> None:
    (only,) = found(needs("controller"), not_asked="administratively prohibited")
    assert not only.note
    assert "AllowTcpForwarding yes" in only.do
    assert "nova-api and nova-novncproxy" in only.do


@pytest.mark.parametrize(
    ("apt", "expected", "note"),
    [
        ({"sources": ""}, "apt has no source of packages, and these are to be installed: nova-compute", False),
        ({"refused": True, "has_lists": False}, "apt has fetched no package lists yet", True),
        (
            {"refused": True, "complaint": "E: Unable to locate package nova-compute"},
            "apt cannot install nova-compute: E: Unable to locate package nova-compute",
            False,
        ),
        ({"held": "nova-compute"}, "apt would change packages that are held back: nova-compute", False),
    ],
)
def test_what_apt_says_is_told(apt: dict[str, Any], expected: str, note: bool) -> None:
    said = Installable(**{"due": "nova-compute", "sources": "deb http://archive ./;", **apt})
    (only,) = found(needs(), installable=said)
    assert only.what.startswith(expected)
    assert only.note == note


def test_what_dpkg_left_unfinished_is_a_problem_and_a_lock_that_up_waits_for_is_a_note() -> None:
    unfinished, busy = found(needs(), unfinished="nova-common", apt_holder="process 7 (apt-get)")[::-1]
    assert "process 7 (apt-get)" in unfinished.what + busy.what
    assert {each.note for each in (unfinished, busy)} == {True, False}


def test_room_is_needed_for_what_is_to_be_installed_and_once_per_file_system() -> None:
    little = {"/usr": ("/", 300_000), "/var": ("/", 300_000)}
    (only,) = found(needs(), space=little)
    assert only.what == "only 300 MB are free on /, and 1000 MB are needed"
    assert found(needs(), space=little, installable=None) == []


def listener(**changes: Any) -> Listener:
    return dataclasses.replace(Listener("nova-api", 8774, EVERYWHERE, "42", "haproxy", "root", own=False), **changes)


def test_a_port_that_another_process_has_is_named_with_who_has_it() -> None:
    (only,) = found(needs("controller"), listeners=(listener(),))
    assert only.what == "port 8774, which nova-api needs, is taken at 0.0.0.0 by process 42 (haproxy)"
    (unseen,) = found(needs("controller"), listeners=(listener(pid="-", name="", user="www-data"),))
    assert unseen.what.endswith("by a process of the user www-data")


def test_the_service_itself_takes_no_port_away() -> None:
    assert found(needs("controller"), listeners=(listener(own=True),)) == []


def test_two_that_listen_at_different_addresses_are_not_in_each_others_way() -> None:
    behind_a_proxy = {"controller": {"DEFAULT": {"osapi_compute_listen": "10.0.0.11"}}}
    wanted = needs("controller", options=behind_a_proxy)
    assert found(wanted, listeners=(listener(address="10.0.0.10"),)) == []
    assert len(found(wanted, listeners=(listener(address="10.0.0.11"),))) == 1
    assert len(found(wanted, listeners=(listener(address="::"),))) == 1


def written(text: str, **facts: Any) -> dict[str, Any]:
    wanted = needs()
    missing = {path: File("missing") for path in wanted.state["files"]}
    files = {**missing, NOVA_CONF: File("file", "root", "nova", "640", 1, text)}
    return {"files": files, "origins": {**dict.fromkeys(missing, "none"), NOVA_CONF: "foreign"}, **facts}


def test_a_file_that_somebody_wrote_is_a_problem_until_the_stack_says_adopt() -> None:
    by_hand = written("[DEFAULT]\nmy_ip = 192.0.2.1\nrabbit_password = hunter2\n")
    (refused,) = found(needs(), facts=by_hand)
    assert not refused.note
    assert "somebody has written /etc/nova/nova.conf" in refused.what
    assert "set `adopt: true` on compute1" in refused.do
    assert "hunter2" not in refused.what + refused.do
    (adopted,) = found(needs(computeDefaults={"adopt": True}), facts=by_hand)
    assert adopted.note


def test_of_a_file_that_does_not_parse_the_reason_and_the_line_are_said() -> None:
    (refused,) = found(needs(), facts=written("[DEFAULT]\nmy_ip = 192.0.2.1\ngarbage line\n"))
    assert "somebody has written /etc/nova/nova.conf, which cannot be read: " in refused.what
    assert "line 3" in refused.what


def test_a_service_that_somebody_configured_and_that_runs_is_a_note_until_it_is_ours() -> None:
    running = {"services": {"nova-compute": Process(7, "1", 1, enabled=True)}}
    adopting = needs(computeDefaults={"adopt": True})
    by_hand = written("[DEFAULT]\n", **running)
    assert any("nova-compute" in each.what and each.note for each in found(adopting, facts=by_hand))
    noted = {**by_hand, "notes": {FOUND: "nova-compute running enabled by-hand", ADDED: None}}
    assert not any("these services run" in each.what for each in found(adopting, facts=noted))


def test_a_service_that_runs_because_its_package_started_it_is_nothing_to_say() -> None:
    assert found(needs(), facts={"services": {"nova-compute": Process(7, "1", 1, enabled=True)}}) == []


# ------------------------------------------------------------ several machines


def together(**machines: dict[str, Any]) -> list[Finding]:
    computes = [
        COMPUTE | {"name": name, "address": f"10.0.0.{n}"}
        for n, name in enumerate(machines, 31)
        if name != "controller"
    ]
    wanted = [needs(name, computes=computes) for name in ("controller", *(each["name"] for each in computes))]
    return fleet.findings(wanted, {each.node: fresh(each, **machines.get(each.node, {})) for each in wanted})


def resolving(*addresses: str) -> dict[str, Any]:
    """A machine with these addresses for the controller."""
    return {"facts": {"names": {"controller": list(addresses)}}}


def test_machines_that_agree_are_in_order() -> None:
    assert together(controller={}, compute1={}, compute2={}) == []


def test_the_node_that_takes_a_name_for_another_address_than_the_others_is_named() -> None:
    (only,) = together(compute1={}, compute2=resolving("10.9.9.9"))
    assert only.where == "compute2"
    assert only.what == "the name controller is 10.9.9.9 there, and 10.0.0.11 on controller, compute1"


def test_an_ipv6_address_that_one_node_knows_besides_is_no_contradiction() -> None:
    assert together(compute1=resolving("fd00::11", "10.0.0.11")) == []


def test_a_node_may_call_itself_127_0_1_1_and_no_other_may_call_it_so() -> None:
    loopback = resolving("127.0.1.1")
    assert together(controller=loopback, compute1={}) == []
    (only,) = together(compute1=loopback)
    assert only.what == "the name controller is 127.0.1.1 there, which is compute1 itself"


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        (0.0, None),
        (4.0, None),
        (20.0, "note"),
        (-20.0, "note"),
        (49.0, "note"),
        (60.0, "problem"),
        (-3600.0, "problem"),
    ],
)
def test_a_clock_is_a_problem_beyond_novas_limit_and_a_note_before_it(ahead: float, said: str | None) -> None:
    # The answers are 0.1 s on their way, and `date` knows whole seconds.
    findings = together(controller={"clock": (99.9, 101.0)}, compute1={"clock": (99.9 + ahead, 101.0 + ahead)})
    assert [("note" if each.note else "problem") for each in findings] == ([said] if said else [])


def test_an_answer_that_took_long_proves_nothing_about_a_clock() -> None:
    assert together(controller={"clock": (0.0, 1.0)}, compute1={"clock": (-70.0, 1.0)}) == []


def test_a_longer_service_down_time_is_another_limit() -> None:
    assert needs().clock_seconds == 50
    assert needs(options={"all": {"DEFAULT": {"service_down_time": 300, "report_interval": 30}}}).clock_seconds == 270


# ------------------------------------------------------------ servers

NOTHING_OURS = {"user": False, "service": False, "endpoint": False}
ALL_OURS = dict.fromkeys(NOTHING_OURS, True)
ONE = ServiceRecord("1", "nova", "compute", "")
AT = EndpointRecord("2", "1", "regionOne", "http://a", "http://a", "http://a")


def test_an_empty_keystone_is_in_order() -> None:
    assert identity.findings(SETTINGS, Catalog(), NOTHING_OURS) == []


def test_what_up_would_adopt_is_a_note_and_what_is_ours_is_none() -> None:
    catalog = Catalog(user=True, services=(ONE,), endpoints=(AT,))
    adopted = identity.findings(SETTINGS, catalog, NOTHING_OURS)
    assert [(each.note, each.what.split()[1]) for each in adopted] == [
        (True, "user"),
        (True, "service"),
        (True, "endpoint"),
    ]
    assert identity.findings(SETTINGS, catalog, ALL_OURS) == []


def test_two_records_between_which_clients_choose_are_a_problem_also_when_one_is_ours() -> None:
    twice = Catalog(services=(ONE, ONE), endpoints=(AT, dataclasses.replace(AT, id="3")))
    problems = [each for each in identity.findings(SETTINGS, twice, ALL_OURS) if not each.note]
    assert [each.subject for each in problems] == ["service", "endpoint"]
    assert "2 endpoints in the region regionOne (2, 3)" in problems[1].what


def test_a_tenant_that_is_missing_is_told_with_the_command_that_makes_it() -> None:
    missing = "Keystone at http://controller:35357/v2.0 has no tenant service. Create it (keystone tenant-create --name service)."
    (only,) = identity.findings(SETTINGS, Catalog(refusals=(missing,)), NOTHING_OURS)
    assert only.what.endswith("has no tenant service")
    assert "tenant-create --name service" in only.do


def answered(**changes: Any) -> Database:
    return dataclasses.replace(Database(None, frozenset(), ROOT), **changes)


def test_an_empty_mariadb_and_an_account_that_may_do_all_are_in_order() -> None:
    assert database.findings(SETTINGS, answered(), managed=False) == []


@pytest.mark.parametrize("privilege", ["CREATE", "CREATE USER", "SELECT", GRANT_OPTION])
def test_a_privilege_that_the_account_lacks_is_named(privilege: str) -> None:
    (only,) = database.findings(SETTINGS, answered(privileges=ROOT - {privilege}), managed=False)
    assert only.what.startswith(f"the account root lacks {privilege}, ")


def test_an_account_needs_no_privilege_that_it_does_not_grant() -> None:
    little = parsed({"database": {"hosts": {"%": ["SELECT"]}}})
    few = frozenset({"CREATE", "ALTER", "CREATE USER", GRANT_OPTION, "SELECT"})
    assert database.findings(little, answered(privileges=few), managed=False) == []


def test_a_schema_that_is_there_is_adopted_and_another_character_set_is_told() -> None:
    there = answered(schema=Schema("latin1", "latin1_swedish_ci"), hosts=frozenset({"%", "web"}))
    schema, user = database.findings(SETTINGS, there, managed=False)
    assert schema.note
    assert "latin1" in schema.what
    assert "sets its defaults to utf8" in schema.do
    assert user.what == "the user 'nova'@'%' is there already"
    assert database.findings(SETTINGS, there, managed=True) == []


# ------------------------------------------------------------ machines that do not answer


def test_a_machine_that_is_gone_is_a_note_where_the_stack_leaves_it_and_else_a_problem(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connecting, "CONNECT_TRIES", 1)
    said: list[str] = []
    with socket.socket() as held:
        # Bound, and nobody listens: connections are refused, and no other process gets the port.
        held.bind((EVERYWHERE, 0))
        first, second, third = ({"host": f"127.0.0.{n}", "port": held.getsockname()[1]} for n in (1, 2, 3))
        computes = [
            COMPUTE | second | {"on_unreachable": "leave"},
            {"name": "compute2", "address": "10.0.0.32"} | third,
        ]
        answer = ask_all(parsed({"controllers": [CONTROLLER | first], "computes": computes}), said.append)
    (left,) = answer.notes
    assert (left.where, left.subject) == ("compute1", "login")
    assert "no SSH connection" in left.what
    assert "`on_unreachable: leave`" in left.do
    assert {each.where for each in answer.problems} == {"controller", "compute2", "Keystone", "MariaDB"}
    assert counts(answer).endswith("; 0 machines in order; 1 note.")


def test_an_error_of_our_own_is_said_of_its_machine_and_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(connection: Any, needed: Any, *_more: Any) -> Any:
        if needed.node == "controller":
            raise RecursionError("too deep: RABBIT_PASS")
        raise UnreadableFile("/etc/nova/nova.conf of compute1 cannot be read. Correct it.")

    def through(*_what: Any) -> Any:
        raise KeyError("roles")

    monkeypatch.setattr(check, "_through", through)
    monkeypatch.setattr(machine, "ask", ask)
    answer = ask_all(parsed({"controllers": [CONTROLLER], "computes": [COMPUTE]}), print)
    ours = "This is an error of nova-infra: report it, with the version"
    assert [(each.where, each.what, each.do) for each in answer.problems] == [
        ("controller", "RecursionError while it was asked: too deep: [secret]", ours),
        ("compute1", "/etc/nova/nova.conf of compute1 cannot be read", "Correct it"),
        ("Keystone", "KeyError while it was asked: 'roles'", ours),
        ("MariaDB", "KeyError while it was asked: 'roles'", ours),
    ]


# ------------------------------------------------------------ what is shown


def test_a_sentence_becomes_what_there_is_and_what_to_do() -> None:
    error = ConnectionFailed("compute1 (root@10.0.0.31): sudo refused: sudo: no. Allow it. Then go on.")
    assert from_sentence("compute1", "sudo", str(error)) == Finding(
        "compute1", "sudo", "sudo refused: sudo: no", "Allow it. Then go on"
    )


@pytest.mark.parametrize(
    ("error", "subject"),
    [
        (ConnectionFailed(f"compute1 (ops@10.0.0.31): {refusal_in('sudo: no', 'ops')}"), "sudo"),
        (
            ConnectionFailed(
                f"compute1 (ops@10.0.0.31): {refusal_in('sudo: sorry, you must have a tty to run sudo', 'ops')}"
            ),
            "sudo",
        ),
        (ConnectionFailed("compute1 (ops@10.0.0.31): the machine refused the login: no."), "login"),
        (StepFailed("compute1 (ops@10.0.0.31): asking the machine failed."), "machine"),
        (refused_by_mariadb(1045, "Access denied for user 'root'@'localhost' (using password: YES)"), "login"),
        (refused_by_mariadb(1142, "SELECT command denied to user 'lesser'@'localhost' for table 'user'"), "grants"),
    ],
    ids=["sudo", "a terminal", "login", "a step", "the account", "the grant tables"],
)
def test_what_a_refusal_is_about_stands_in_its_column(error: RemoteError, subject: str) -> None:
    (said,) = _refused("compute1", error, "controller")
    assert said.subject == subject


def result(*findings: Finding, machines: int = 3) -> Result:
    return Result(findings, tuple(f"n{number}" for number in range(machines)))


BAD = Finding("n0", "disk", "full", "Make room")


def test_the_last_line_counts_problems_machines_and_servers() -> None:
    assert counts(result()) == "No problems: 3 machines and 2 servers are in order."
    assert (
        counts(result(BAD, dataclasses.replace(BAD, what="broken")))
        == "2 problems on 1 of 3 machines; 2 machines in order."
    )
    left = dataclasses.replace(result(dataclasses.replace(BAD, note=True)), left=("n0",))
    assert counts(left) == "No problems: 2 of 3 machines and 2 servers are in order; 1 note."
    on_both = result(BAD, dataclasses.replace(BAD, where="MariaDB"), dataclasses.replace(BAD, note=True))
    assert counts(on_both) == "2 problems on 1 of 3 machines and 1 of 2 servers; 2 machines in order; 1 note."


def test_the_same_of_a_hundred_machines_is_one_line_of_the_table_and_a_hundred_of_the_json() -> None:
    many = result(*(dataclasses.replace(BAD, where=f"n{number}") for number in range(100)), machines=100)
    table = as_table(many)
    assert table.count("Make room") == 1
    assert "and 94 more" in " ".join(table.split())
    assert len(json.loads(as_json(many))["problems"]) == 100


# ------------------------------------------------------------ what the shell answers


@pytest.mark.parametrize(
    ("family", "address", "kernel"), [(socket.AF_INET, "127.0.0.1", "127.0.0.1"), (socket.AF_INET6, "::1", "::1")]
)
def test_a_listener_is_found_with_its_address_and_its_process(family: int, address: str, kernel: str) -> None:
    with socket.create_server((address, 0), family=family) as listening:
        port = listening.getsockname()[1]
        (fact,) = facts(call("read_listeners", "nova-api", str(port)))
    name = subprocess.run(["ps", "-o", "comm=", "-p", str(os.getpid())], capture_output=True, text=True, check=True)
    assert fact[:3] == ("listener", "nova-api", str(port))
    assert machine._address(fact[3]) == kernel
    assert fact[4] == str(os.getpid())
    assert fact[5] == name.stdout.strip()
    assert fact[7] == "other"


def test_a_port_on_which_nobody_listens_has_no_listener() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert facts(call("read_listeners", "nova-api", str(port))) == []


def test_names_are_resolved_and_one_that_nobody_knows_has_no_address() -> None:
    addresses = {fact[1]: fact[2].split() for fact in facts(call("read_names", "localhost", "no-such.invalid"))}
    assert set(addresses["localhost"]) <= {"127.0.0.1", "::1"}
    assert addresses["localhost"]
    assert addresses["no-such.invalid"] == []


def test_free_space_has_its_mount_point() -> None:
    (fact,) = facts(call("read_space", "/"))
    assert fact[:3] == ("space", "/", "/")
    assert int(fact[3]) > 0
