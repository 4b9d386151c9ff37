"""Every message of the package, rendered by the code that raises it, and the laws that all of them keep.

A message is known by the place that makes it: the call of a class of nova_infra/errors.py in the source. While a case runs, each
object of these classes notes the place that made it; a place that no case reaches fails the last test.
"""

from __future__ import annotations

import argparse
import ast
import base64
import contextlib
import dataclasses
import functools
import json
import re
import shlex
import socket
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import asyncssh
import pulumi
import pymysql
import pytest
import requests
from pulumi import dynamic

import nova_infra
from nova_infra import adoption, mysql, node, openrc, options, peers
from nova_infra.access import Access
from nova_infra.commands import comment, init
from nova_infra.commands import engine as commands_engine
from nova_infra.commands.drift import refuse_unwritable, write
from nova_infra.commands.stack import read_settings
from nova_infra.commands.state import managed
from nova_infra.compute import Compute, Server
from nova_infra.configuration import encode, read_options, unsupported, write_options
from nova_infra.errors import InvalidSettings, NoConnection, NovaInfraError, Problem
from nova_infra.identity import Identity
from nova_infra.releases import release
from nova_infra.remote import connecting
from nova_infra.remote.connection import Address, Connection
from nova_infra.remote.inspection import Question
from nova_infra.remote.operation import operate, wait_until
from nova_infra.remote.script import Call, call, compose
from nova_infra.resources import compute_node as compute_node_module
from nova_infra.resources import readiness
from nova_infra.resources.compute_node import ComputeNodeLifecycle
from nova_infra.resources.controller_node import ControllerNodeLifecycle
from nova_infra.resources.database import DatabaseLifecycle
from nova_infra.resources.endpoint import EndpointLifecycle
from nova_infra.resources.keystone_user import KeystoneUserLifecycle
from nova_infra.resources.node_packages import NodePackagesLifecycle
from nova_infra.resources.readiness import Started, start_those_without_a_record, wait_for_answers
from nova_infra.resources.service import ServiceLifecycle
from nova_infra.resources.service_check import ServiceCheckLifecycle
from nova_infra.stack_config import parse
from nova_infra.templates import render_options, render_variables
from nova_infra.throwaway import refuse_throwaway

from .nodes import NOVA_CONF, Machine, facts_of_case
from .servers import Node, Reached, Unreachable
from .test_connection import FEW_ROUNDS, KEY, LOGIN, OTHER_KEY, running  # noqa: F401 - a fixture
from .test_connection import Machine as SSHMachine
from .test_connection import run as run_on
from .test_provider import refusal
from .test_ranges import BAD as BAD_RANGES
from .test_resources import CHECK, CONNECTION, DATABASE, ENDPOINT, NODE, PACKAGES, USER, lifecycle, report
from .test_script import Answers
from .test_settings import BAD, CONTROLLER, PASSWORDS, parsed

PACKAGE = Path(nova_infra.__file__).parent
SECRET = "hunter2"
KEYSTONE = "http://controller:35357/v2.0"
COMPUTE_OPTIONS: Any = {NOVA_CONF: {}, "/etc/nova/nova-compute.conf": {}}

# ------------------------------------------------------------ places in the source

Place = tuple[str, int, int, int, int]


def classes(of: type) -> set[type]:
    return {of}.union(*(classes(each) for each in of.__subclasses__()))


NAMES = {each.__name__ for each in classes(NovaInfraError)} | {"Problem", "CheckFailure"}
# What is raised besides, and never reaches anybody as it is.
INNER = {
    "__init__": {"AttributeError"},  # as Python wants it of a module
    "plan.reading": {"ValueError"},  # becomes PlanUnreadable
    "hosts": {"ValueError"},  # as above: asked by the types of settings
    "values": {"ValueError"},  # pydantic makes a problem of it
    "ranges": {"ValueError"},  # becomes a problem of the entry
    "rehearsal": {"AttributeError"},  # as Python wants it of an object
    "options": {"TemplateRuntimeError"},  # becomes a problem of the template with the line
    "identity": {"InvalidResponse", "?"},  # becomes an IdentityError or a ComputeError; ? is NoKeystone
    "compute": {"?"},  # a ComputeError or a ComputeSilent
    "records": {"?"},  # the error with which asking has ended
    "remote.connection": {
        "Prohibited",  # an Unreachable
        "Unreachable",
        "?",
    },  # becomes a failure of the client that has asked; ? is the result of _failure
    "remote.connecting": {"?"},  # the last try's error is made one of ours
    "remote.login": {"OSError"},  # becomes a ConnectionFailed about the file
    "remote.http": {"NewConnectionError"},  # becomes one of keystoneauth's
    "remote.script": {"LookupError"},  # a script of ours that does not answer
}


def sources() -> Iterator[tuple[str, str, ast.Module]]:
    for file in sorted(PACKAGE.rglob("*.py")):
        name = str(file.relative_to(PACKAGE).with_suffix("")).replace("/", ".")
        yield name, str(file), ast.parse(file.read_text(encoding="utf-8"))


def called(node: ast.AST) -> str:
    """The name of what is called; `type(error)(...)` is the class of another error of ours."""
    if not isinstance(node, ast.Call):
        return "?"
    if isinstance(node.func, ast.Call):
        return "NovaInfraError" if getattr(node.func.func, "id", "") == "type" else "?"
    return str(getattr(node.func, "id", getattr(node.func, "attr", "?")))


def places() -> dict[Place, str]:
    found: dict[Place, str] = {}
    for _, file, tree in sources():
        for each in ast.walk(tree):
            if isinstance(each, ast.Call) and called(each) in NAMES:
                span = (each.lineno, each.end_lineno or 0, each.col_offset, each.end_col_offset or 0)
                found[(file, *span)] = f"{Path(file).relative_to(PACKAGE)}:{each.lineno}: {called(each)}"
    return found


@dataclasses.dataclass
class Message:
    """What a place has made."""

    place: Place
    made: Any


@contextlib.contextmanager
def noting(messages: list[Message]) -> Iterator[None]:
    """Each error, problem and check failure that is made meanwhile, in any thread, with the place that made it."""
    errors = sys.modules["nova_infra.errors"].__file__

    def noted(original: Any) -> Any:
        @functools.wraps(original)
        def init(self: Any, *args: Any, **more: Any) -> None:
            original(self, *args, **more)
            frame = sys._getframe(1)
            while frame.f_code.co_filename == errors and frame.f_back:
                frame = frame.f_back
            span = list(frame.f_code.co_positions())[frame.f_lasti // 2]
            messages.append(Message((frame.f_code.co_filename, *(number or 0 for number in span)), self))

        return init

    with pytest.MonkeyPatch.context() as patch:
        for each in (NovaInfraError, Problem, dynamic.CheckFailure):
            patch.setattr(each, "__init__", noted(each.__init__))
        yield


# ------------------------------------------------------------ cases


@dataclasses.dataclass
class Stage:
    """What cases need: a machine with sshd, a folder, and changes that end with the case."""

    machine: SSHMachine
    folder: Path
    patch: pytest.MonkeyPatch

    def file(self, content: str) -> Path:
        path = self.folder / "template"
        path.write_text(content)
        return path

    def node(self, user: str = "root", **login: Any) -> Connection:
        return Connection("compute1", self.machine.address(user), dataclasses.replace(LOGIN, **login))


@dataclasses.dataclass
class Case:
    make: Callable[[Stage], Any]
    names: tuple[str, ...]
    """What the message must name: the resource, node, host, file."""
    do: str
    """What it tells the user to do; empty where the line or the key that it names says all."""


CASES: dict[str, Case] = {}


def case(*names: str, do: str) -> Callable[[Callable[[Stage], Any]], Callable[[Stage], Any]]:
    def register(make: Callable[[Stage], Any]) -> Callable[[Stage], Any]:
        assert make.__name__ not in CASES
        CASES[make.__name__] = Case(make, names, do)
        return make

    return register


# Machines.


@case("compute1 (root@127.0.0.1:", "writing nova.conf failed: no space left", do="run the same command again")
def a_step_fails(stage: Stage) -> None:
    run_on(stage.node(), Call(f"fail 'no space left, {SECRET}.'", title="writing nova.conf"), secrets=[SECRET])


@case("compute1 (root@127.0.0.1:", "db sync took longer than", do="run the same command again")
def a_step_takes_too_long(stage: Stage) -> None:
    run_on(stage.node(), call("sleep", "60", title="db sync"), deadline=0.5)


@case("compute1 (root@127.0.0.1:", "during db sync", do="Run the same command again")
def the_connection_breaks(stage: Stage) -> None:
    stage.machine.breaks = True
    run_on(stage.node(), call("fact", "a", title="db sync"), call("sleep", "30"))


@case("compute1 (root@127.0.0.1:", "Please login as the user ubuntu", do="Check that root may run commands")
def the_machine_runs_something_else(stage: Stage) -> None:
    stage.machine.noise = "echo 'Please login as the user ubuntu.'; exit 0; "
    run_on(stage.node(), call("fact", "a"))


@case("compute1 (ubuntu@127.0.0.1:", "sudo refused: sudo: 1 incorrect", do="Correct the stack's sudoPassword")
def sudo_refuses(stage: Stage) -> None:
    stage.machine.sudo = "asks"
    run_on(stage.node("ubuntu", sudo_password=SECRET), call("fact", "a"))


@case("compute1 (ubuntu@127.0.0.1:", "sudo wants a terminal", do="`Defaults:ubuntu !requiretty`")
def sudo_wants_a_terminal(stage: Stage) -> None:
    stage.machine.sudo = "tty"
    run_on(stage.node("ubuntu"), call("fact", "a"))


@case("compute1 (root@127.0.0.1:", "opens no session: open failed", do="Check MaxSessions")
def no_session_is_opened(stage: Stage) -> None:
    async def refuse(*_what: Any, **_more: Any) -> Any:
        raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "open failed")

    stage.patch.setattr(asyncssh.SSHClientConnection, "create_process", refuse)
    run_on(stage.node(), call("fact", "a"))


@case("compute1 (root@127.0.0.1:", "Connection refused", do="Check the address")
def a_second_connection_is_not_made(stage: Stage) -> None:
    node = stage.node()
    run_on(node, call("fact", "a"))

    async def refuse(*_what: Any, **_more: Any) -> Any:
        raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "open failed")

    async def nobody(*_what: Any, **_more: Any) -> Any:
        raise ConnectionRefusedError(111, "Connection refused")

    stage.patch.setattr(connecting, "CONNECT_TRIES", 1)
    stage.patch.setattr(asyncssh.SSHClientConnection, "create_process", refuse)
    stage.patch.setattr(asyncssh, "connect", nobody)
    run_on(node, call("fact", "a"))


@case("compute1 (root@127.0.0.1:", "did not let us in", do="Look at the log of its sshd")
def the_machine_hangs_up(stage: Stage) -> None:
    stage.patch.setattr(connecting, "CROWDED_SECONDS", 0)
    stage.machine.hangs_up = 1
    run_on(stage.node(), call("fact", "a"))


@case(r"compute1 (\ue000@127.0.0.1:", "the user's name: Prohibited character", do="Correct the connection")
def the_users_name_is_none_for_ssh(stage: Stage) -> None:
    run_on(stage.node("\ue000"), call("fact", "a"))


@case("compute1 (root@compute..1)", "the host is no name", do="Correct the connection")
def the_host_is_no_name(stage: Stage) -> None:
    address = dataclasses.replace(stage.machine.address(), host="compute..1", port=22)
    run_on(Connection("compute1", address, LOGIN), call("fact", "a"))


@case("compute1 (root@127.0.0.1:", "Too many authentication failures", do="name the right one (private_key_file)")
def an_agent_has_too_many_keys(stage: Stage) -> None:
    async def refuse(*_what: Any, **_more: Any) -> Any:
        raise asyncssh.ProtocolError("Too many authentication failures")

    stage.patch.setattr(asyncssh, "connect", refuse)
    run_on(stage.node(), call("fact", "a"))


def behind(stage: Stage, jump: Address) -> Connection:
    return Connection("compute1", stage.machine.address(), LOGIN, Connection("The jump host", jump, LOGIN))


@case("compute1 (root@127.0.0.1:", "The jump host (ops@127.0.0.1:1)", "Connection refused", do="Check the address")
def the_jump_host_does_not_answer(stage: Stage) -> None:
    stage.patch.setattr(connecting, "CONNECT_TRIES", 1)
    run_on(behind(stage, dataclasses.replace(stage.machine.address("ops"), port=1)), call("fact", "a"))


@case("compute1 (root@127.0.0.1:", "through ops@127.0.0.1:", do="AllowTcpForwarding")
def the_jump_host_does_not_forward(stage: Stage) -> None:
    stage.machine.forwards = "no"
    run_on(behind(stage, stage.machine.address("ops")), call("fact", "a"))


@case("compute1 (root@127.0.0.1:", "through ops@127.0.0.1:", do="Look at it, and run the same command again")
def the_jump_host_dies(stage: Stage) -> None:
    stage.patch.setattr(connecting, "CROWDED_SECONDS", 0)
    stage.machine.forwards = "dies"
    run_on(behind(stage, stage.machine.address("ops")), call("fact", "a"))


@case("compute1 (root@127.0.0.1:", "passphrase", do="Correct the passphrase")
def the_passphrase_is_wrong(stage: Stage) -> None:
    key = KEY.export_private_key("openssh", passphrase="another", **FEW_ROUNDS).decode()
    run_on(stage.node(private_key=key, private_key_password=SECRET), call("fact", "a"))


@case("compute1 (root@127.0.0.1:", "no passphrase was given", do="Give the passphrase")
def there_is_no_passphrase(stage: Stage) -> None:
    key = KEY.export_private_key("openssh", passphrase=SECRET, **FEW_ROUNDS).decode()
    run_on(stage.node(private_key=key), call("fact", "a"))


@case("compute1 (ubuntu@127.0.0.1:", "sudo refused: sudo: a password is required", do="(sudoPassword)")
def sudo_wants_a_password(stage: Stage) -> None:
    stage.machine.sudo = "asks"
    run_on(stage.node("ubuntu"), call("fact", "a"))


@case("compute1 (ubuntu@127.0.0.1:", "sudo refused: sh: sudo: not found", do="Install sudo")
def there_is_no_sudo(stage: Stage) -> None:
    stage.machine.noise = "echo 'sh: sudo: not found' >&2; exit 127; "
    run_on(stage.node("ubuntu"), call("fact", "a"))


@case(
    "compute1 (ubuntu@127.0.0.1:",
    "is not allowed to execute our script as root on compute1",
    do="Allow the user ubuntu",
)
def sudo_does_not_allow_it(stage: Stage) -> None:
    # What sudo says, its lecture and our command included.
    said = """We trust you have received the usual lecture.
Sorry, user ubuntu is not allowed to execute '/bin/sh -c eval "$(head -c 9)"' as root on compute1."""
    stage.machine.noise = f"echo {shlex.quote(said)} >&2; exit 1; "
    run_on(stage.node("ubuntu"), call("fact", "a"))


@case("compute1 (root@127.0.0.1:", "/run/a server.sock", "nc: not found", do="Install netcat-openbsd")
def nothing_reaches_a_unix_socket(stage: Stage) -> None:
    stage.machine.noise = "echo 'sh: nc: not found' >&2; exit 127; "
    stage.node().reach_unix("/run/a server.sock")


@case("compute1 (root@127.0.0.1:", "host key", do="put its new key into host_key")
def another_machine_answers(stage: Stage) -> None:
    run_on(Connection("compute1", stage.machine.address(key=OTHER_KEY), LOGIN), call("fact", "a"))


@case("compute1 (root@127.0.0.1:", "refused the login", do="authorized_keys")
def the_login_is_refused(stage: Stage) -> None:
    run_on(stage.node(private_key=OTHER_KEY.export_private_key().decode()), call("fact", "a"))


@case("compute1 (root@127.0.0.1:1)", "Connection refused", "port 1", do="Check the address")
def nobody_answers(stage: Stage) -> None:
    stage.patch.setattr(connecting, "CONNECT_TRIES", 1)
    address = Address("127.0.0.1", 1, host_key=KEY.export_public_key().decode().strip())
    run_on(Connection("compute1", address, LOGIN), call("fact", "a"))


@case("compute1 (root@127.0.0.1:", "no answer within", do="Check the address")
def nobody_answers_in_time(stage: Stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = Address("127.0.0.1", silent.getsockname()[1], host_key=KEY.export_public_key().decode().strip())
        Connection("compute1", address, LOGIN).open(0.3)


def cannot_connect(stage: Stage, error: BaseException) -> None:
    async def refused(*_where: Any, **_more: Any) -> Any:
        raise error

    stage.patch.setattr(connecting, "CONNECT_TRIES", 1)
    stage.patch.setattr(asyncssh, "connect", refused)
    run_on(stage.node(), call("fact", "a"))


@case("compute1 (root@127.0.0.1:", "Name or service not known", do="correct the address")
def nobody_knows_the_host(stage: Stage) -> None:
    cannot_connect(stage, socket.gaierror(-2, "Name or service not known"))


@case("compute1 (root@127.0.0.1:", "no answer within 30 s", do="the firewalls on the way")
def nothing_is_heard(stage: Stage) -> None:
    cannot_connect(stage, TimeoutError())


@case("compute1 (root@127.0.0.1:", "No route to host", do="the routes of this machine")
def no_way_leads_there(stage: Stage) -> None:
    cannot_connect(stage, OSError(113, "No route to host"))


@case("compute1 (root@127.0.0.1:", "Connection lost", do="Check the address")
def the_machine_closes_the_connection(stage: Stage) -> None:
    cannot_connect(stage, asyncssh.ConnectionLost("Connection lost"))


@case("compute1 (root@127.0.0.1:", "/no/such/key", "No such file", do="Check that it is a private key")
def the_private_key_is_not_there(stage: Stage) -> None:
    run_on(stage.node(private_key="", private_key_file="/no/such/key"), call("fact", "a"))


@case("compute1 (root@127.0.0.1:", "/no/such/hosts", "No such file", do="give the node's host_key")
def the_known_hosts_file_is_not_there(stage: Stage) -> None:
    login = dataclasses.replace(LOGIN, known_hosts_file="/no/such/hosts")
    address = dataclasses.replace(stage.machine.address(), host_key="")
    run_on(Connection("compute1", address, login), call("fact", "a"))


@case("compute1 (root@127.0.0.1:", "~nosuchuser/id", "no home folder", do="Check that it is a private key")
def a_file_is_in_the_folder_of_nobody(stage: Stage) -> None:
    run_on(stage.node(private_key="", private_key_file="~nosuchuser/id"), call("fact", "a"))


@case("compute1 (root@127.0.0.1:", "~nosuchuser/agent", do="Correct the path (agent_socket_path)")
def an_agent_is_in_the_folder_of_nobody(stage: Stage) -> None:
    run_on(stage.node(private_key="", agent_socket_path="~nosuchuser/agent"), call("fact", "a"))


@case("compute1 (root@127.0.0.1:", "it is damaged", do="Compare it with the original")
def a_private_key_is_damaged(stage: Stage) -> None:
    key = asyncssh.generate_private_key("ssh-rsa", key_size=2048).export_private_key("pkcs1-pem").decode()
    lines = key.splitlines()
    lines[4] = lines[4][::-1]
    run_on(stage.node(private_key="\n".join(lines)), call("fact", "a"))


@case("compute1 (root@127.0.0.1:", "its host_key", do="as ssh-keyscan prints it")
def a_host_key_has_two_lines(stage: Stage) -> None:
    address = dataclasses.replace(stage.machine.address(), host_key="ssh-ed25519 AAAA\nx")
    run_on(Connection("compute1", address, LOGIN), call("fact", "a"))


@case("compute1 (root@127.0.0.1:", "from the home folder", do="Name the right key (private_key_file)")
def a_key_in_the_home_folder_cannot_be_used(stage: Stage) -> None:
    cannot_connect(stage, ValueError("p*q must equal modulus."))


@case("controller (root@10.0.0.11)", do="run the same command again")
def other_runs_hold_the_node(_stage: Stage) -> None:
    operate(Answers(*[True] * 5), Question(), lambda _facts: [call("fact", "a")], doing="configuring", deadline=1)  # type: ignore[arg-type]


@case("controller (root@10.0.0.11)", "starting nova-cert anew", do="run the same command again")
def other_runs_hold_the_node_of_a_service_without_a_record(_stage: Stage) -> None:
    node = Answers(*[True] * 5)
    start_those_without_a_record([Started(node, {"nova-cert": None})])  # type: ignore[arg-type]


@case("controller: reports", "last seen: never", do="")
def a_wait_is_too_long(_stage: Stage) -> None:
    wait_until(lambda: False, doing="controller: reports", seconds=0.1, every=0.1, seen=lambda: "never.")


@case("put_file", do="no shell takes")
def an_argument_cannot_be_sent(_stage: Stage) -> None:
    compose([call("put_file", "/etc/nova/nova.conf", f"{SECRET}\0")])


# Nodes.


def met(content: str, **machine: Any) -> Any:
    said = {"files": {NOVA_CONF: {"content": content}}, "services": {"nova-compute": {}}, **machine}
    return dataclasses.replace(facts_of_case(said, NODE), origins={NOVA_CONF: "foreign"}, notes={node.FOUND: None})


@case("compute1 (10.0.0.11)", "calls itself web7", do="correct the address")
def another_machine_has_the_address(_stage: Stage) -> None:
    node.decide(NODE, met("", hostname="web7"))


@case("compute1 (10.0.0.11)", NOVA_CONF, "[DEFAULT] rabbit_password", do="set `adopt: true` on compute1")
def somebody_wrote_the_file(_stage: Stage) -> None:
    wanted = {**NODE, "options": {NOVA_CONF: {"DEFAULT": {"rabbit_password": SECRET, "verbose": "True"}}}}
    adoption.begin(wanted, met("[DEFAULT]\nrabbit_password = hunter23\nverbose = False\nmine = hunter2\n"))


@case("compute1 (10.0.0.11)", "no address for controller", do="Add it to /etc/hosts there")
def a_node_does_not_know_a_server(_stage: Stage) -> None:
    wanted = {**NODE, "options": {NOVA_CONF: {"DEFAULT": {"rabbit_host": "controller"}}}}
    peers.refuse_unknown(wanted, dataclasses.replace(met(""), names={"controller": []}))


@case("compute1", NOVA_CONF, "[DEFAULT] verbose", do="Correct it in the options")
def a_node_gets_a_value_that_no_file_carries(_stage: Stage) -> None:
    machine = Machine(NODE, "qemu")
    node.decide({**NODE, "options": {NOVA_CONF: {"DEFAULT": {"verbose": f"{SECRET}\n"}}}}, machine.facts())


class TalkingNode(Node):
    """A node whose service has a log."""

    def run(self, calls: Any, **more: Any) -> Any:
        answer = super().run(calls, **more)
        log = base64.b64encode(f"rabbit_password = {SECRET}\n{SECRET} AMQP server is unreachable.\n".encode()).decode()
        for each in calls:
            said = {"read_log": [log], "read_note": ["-"], "read_path": ["absent"], "read_packages": self.package}
            if each.function in said:
                kind = each.function.removeprefix("read_").removesuffix("s")
                answer.facts += [(kind, name, *said[each.function]) for name in each.arguments[:1]]
        return answer

    package = ("hold ok installed", "1")


def on_a_node(stage: Stage, **wanted: Any) -> None:
    reached = Reached()
    stage.patch.setattr(reached, "node", lambda _name, _connection: TalkingNode(reached.log))
    stage.patch.setattr(reached, "deadline", lambda _name: 0.0)
    given = {NOVA_CONF: {"DEFAULT": {"rabbit_password": SECRET}}}
    lifecycle(ControllerNodeLifecycle, reached).create({**NODE, "options": given, **wanted})


@case("nova-compute on compute1", "log of nova-compute", do="run the same command again")
def a_service_ends_after_its_start(stage: Stage) -> None:
    on_a_node(stage)


@case("compute1", "nova-compute", "last seen", "log of nova-compute", do="deadlines.report")
def a_service_does_not_report(stage: Stage) -> None:
    on_a_node(stage, reporting=["nova-compute"])


@case("compute1", "1 instance: web (41, ACTIVE)", do="Delete or migrate them")
def a_compute_node_has_instances(_stage: Stage) -> None:
    reached = Reached()
    reached.compute.reports = [report("compute1", "nova-compute")]
    reached.compute.instances = [Server("41", "web", "ACTIVE")]
    lifecycle(ComputeNodeLifecycle, reached).delete("compute1", NODE)


@case("compute1", "1 instance: web (41, ACTIVE)", do="Migrate or delete what is left")
def draining_is_too_long(stage: Stage) -> None:
    reached = Reached()
    stage.patch.setattr(reached, "deadline", lambda _name: 0.1)
    stage.patch.setattr(compute_node_module, "DRAIN_EVERY_SECONDS", 0.1)
    reached.compute.reports = [report("compute1", "nova-compute")]
    reached.compute.instances = [Server("41", "web", "ACTIVE")]
    lifecycle(ComputeNodeLifecycle, reached).delete("compute1", {**NODE, "drain": True})


@case("nova-compute on compute1 is not known to nova", do="Look at the logs")
def the_last_check_is_too_long(stage: Stage) -> None:
    reached = Reached()
    stage.patch.setattr(reached, "deadline", lambda _name: 0.0)
    reached.compute.images = list  # type: ignore[attr-defined]
    lifecycle(ServiceCheckLifecycle, reached).create(CHECK)


@case("compute1", do="set `on_unreachable: leave` on compute1")
def a_machine_that_is_removed_is_gone(stage: Stage) -> None:
    reached = Reached()

    def gone(*_what: Any, **_more: Any) -> Any:
        raise NoConnection("compute1 (ubuntu@10.0.0.31): no SSH connection. Check the address.")

    stage.patch.setattr(Node, "run", gone)
    lifecycle(NodePackagesLifecycle, reached).delete("compute1", PACKAGES)


@case("database nova", do="Destroy it with that version")
def a_state_is_of_another_version(_stage: Stage) -> None:
    lifecycle(DatabaseLifecycle, Reached()).delete("nova", {**DATABASE, "state_schema": 1})


@case("compute1", "nova-compute 2", do="apt-mark unhold nova-compute")
def a_package_is_held(stage: Stage) -> None:
    reached = Reached()
    stage.patch.setattr(reached, "node", lambda _name, _connection: TalkingNode(reached.log))
    lifecycle(NodePackagesLifecycle, reached).create({**PACKAGES, "packages": {"nova-compute": "2"}})


@case("compute1", "nova-api", "could not connect to 127.0.0.1:8774", do="set AllowTcpForwarding yes")
def a_machine_does_not_let_us_ask_for_its_services(stage: Stage) -> None:
    stage.machine.forwards = "no"
    stage.patch.setattr(readiness, "FIRST_LOOK_SECONDS", 0.0)
    # Whose services run, for all that can be seen.
    stage.patch.setattr(readiness, "_look_at", lambda _started: [])
    wait_for_answers(Started(stage.node(), {"nova-api": None}), {"nova-api": "127.0.0.1:8774"}, 10)


# Servers.


class Canned(requests.adapters.BaseAdapter):
    """A Keystone: `{path: (status, answer)}`."""

    def __init__(self, **answers: Any) -> None:
        super().__init__()
        given = {"id": "t", "expires": "2099-01-01T00:00:00Z"}
        token = {"access": {"token": given, "serviceCatalog": [], "user": {"id": "u"}}}
        self.answers = {
            "tokens": (200, token),
            "tenants": (200, {"tenants": []}),
            "roles": (200, {"roles": []}),
            **answers,
        }

    def send(self, request: Any, **_more: Any) -> requests.Response:
        status, said = self.answers[request.url.rpartition("/")[2]]
        answer = requests.Response()
        answer.status_code, answer.url, answer.request = status, request.url, request
        answer._content = json.dumps(said).encode()
        answer.headers["Content-Type"] = "application/json"
        return answer

    def close(self) -> None:
        pass


def keystone(**answers: Any) -> Identity:
    session = requests.Session()
    session.mount("http://", Canned(**answers))
    return Identity(KEYSTONE, "admin", SECRET, "admin", session)


@case(KEYSTONE, "tenant service", do="keystone tenant-create --name service")
def there_is_no_tenant(_stage: Stage) -> None:
    keystone().tenant_id("service")


@case(KEYSTONE, "role admin", do="keystone role-create --name admin")
def there_is_no_role(_stage: Stage) -> None:
    keystone().role_id("admin")


@case(KEYSTONE, "tenant two; words", do="keystone tenant-create --name 'two; words'")
def there_is_no_tenant_of_two_words(_stage: Stage) -> None:
    keystone().tenant_id("two; words")


@case(KEYSTONE, "role $(reboot)", do="keystone role-create --name '$(reboot)'")
def there_is_no_role_that_a_shell_would_run(_stage: Stage) -> None:
    keystone().role_id("$(reboot)")


@case(KEYSTONE, "looking for the tenant service", "HTTP 401", do="adminPassword")
def keystone_does_not_know_us(_stage: Stage) -> None:
    keystone(tokens=(401, {"error": {"message": f"No {SECRET}.", "code": 401}})).tenant_id("service")


@case(KEYSTONE, "as admin (tenant admin): looking for the role admin", "HTTP 500", do="/var/log/keystone")
def keystone_fails(_stage: Stage) -> None:
    keystone(roles=(500, {"error": {"message": f"It failed, {SECRET}.", "code": 500}})).role_id("admin")


@case(KEYSTONE, "looking for the tenant service", "HTTP 404", do="Check the URL")
def something_else_than_keystone_answers(_stage: Stage) -> None:
    keystone(tenants=(404, {})).tenant_id("service")


@case(KEYSTONE, "listing endpoints", "HTTP 403", do="give it the role of an administrator")
def keystone_refuses(_stage: Stage) -> None:
    keystone(endpoints=(403, {"error": {"message": "You may not.", "code": 403}})).endpoints([])


@case("http://127.0.0.1:1/v2.0", "Connection refused", do="that Keystone runs")
def keystone_does_not_answer(_stage: Stage) -> None:
    Identity("http://127.0.0.1:1/v2.0", "admin", SECRET, "admin", requests.Session()).tenant_id("service")


@case(KEYSTONE, "what answered is no Keystone", do="Check the URL")
def who_answers_gives_no_token(_stage: Stage) -> None:
    keystone(tokens=(200, {"access": {}})).tenant_id("service")


@case(KEYSTONE, "looking for the tenant service failed: what answered is no Keystone", do="Check the URL")
def who_answers_has_no_tenants(_stage: Stage) -> None:
    keystone(tenants=(200, {"services": [{}]})).tenant_id("service")


@case("regionOne", "listing its services", do="make its service and endpoint in Keystone first")
def the_compute_api_is_not_in_the_catalog(_stage: Stage) -> None:
    Compute(keystone().session, "regionOne", "nova", "compute").services()


NOVA = "http://controller:8774/v2/1"


def compute(status: int, said: Any, **answers: Any) -> Compute:
    urls = {"region": "regionOne", "publicURL": NOVA, "id": "e"}
    token = {"id": "t", "expires": "2099-01-01T00:00:00Z"}
    catalog = [{"name": "nova", "type": "compute", "endpoints": [urls]}]
    given = {"tokens": (200, {"access": {"token": token, "serviceCatalog": catalog, "user": {"id": "u"}}}), **answers}
    session = keystone(**given, **{"os-services": (status, said)}).session
    return Compute(session, "regionOne", "nova", "compute")


@case("regionOne", "listing its services", f"HTTP 500 from {NOVA}/os-services", do="nova-api.log")
def the_compute_api_fails(_stage: Stage) -> None:
    compute(500, {"computeFault": {"message": f"It failed: password = {SECRET}.", "code": 500}}).services()


@case("regionOne", f"HTTP 401 from {NOVA}/os-services", do="check [keystone_authtoken]")
def the_compute_api_does_not_take_the_token(_stage: Stage) -> None:
    compute(401, {"error": {"message": "Authentication required.", "code": 401}}).services()


@case("regionOne", f"HTTP 401 from {KEYSTONE}/tokens", do="adminPassword")
def keystone_gives_no_token_for_the_compute_api(_stage: Stage) -> None:
    compute(200, {}, tokens=(401, {"error": {"message": "No.", "code": 401}})).services()


@case("regionOne", "listing its services failed: what answered is no compute API", do="Check the public URL")
def who_answers_has_no_services_of_nova(_stage: Stage) -> None:
    compute(200, {"services": [{}]}).services()


@case("regionOne", "listing its services", "Connection refused", do="Check that nova-api runs")
def the_compute_api_does_not_run(stage: Stage) -> None:
    stage.patch.setattr(sys.modules[__name__], "NOVA", "http://127.0.0.1:1")
    asked = compute(200, {})
    asked._adapter.session.session.mount("http://127.0.0.1:1", requests.adapters.HTTPAdapter())
    asked.services()


@case("regionOne/compute/nova", do="create the service first")
def the_service_of_an_endpoint_is_missing(_stage: Stage) -> None:
    lifecycle(EndpointLifecycle, Reached()).create(ENDPOINT)


def unreachable_database() -> mysql.Server:
    def dial() -> Any:
        raise ConnectionRefusedError(111, f"Connection refused, {SECRET}.")

    return mysql.Server("controller:/run/mysqld.sock", "root", SECRET, dial)


@case("controller:/run/mysqld.sock", "root", "dropping the schema nova", do="Check that MariaDB runs")
def mariadb_does_not_answer(stage: Stage) -> None:
    stage.patch.setattr(mysql, "PATIENCE_SECONDS", 0.0)
    unreachable_database().drop_schema("nova")


def mariadb_says(stage: Stage, code: int, said: str) -> None:
    def refuse(**_options: Any) -> Any:
        raise pymysql.OperationalError(code, f"{said}, {SECRET}.")

    stage.patch.setattr(mysql, "PATIENCE_SECONDS", 0.0)
    stage.patch.setattr(pymysql, "connect", refuse)
    unreachable_database().create_user("nova", "%", SECRET)


@case("controller:/run/mysqld.sock as root: creating the user nova@%", "(error 1045)", do="(databaseAdminPassword)")
def mariadb_does_not_let_us_in(stage: Stage) -> None:
    mariadb_says(stage, 1045, "Access denied for user 'root'@'localhost' (using password: YES)")


@case("creating the user nova@%", "Too many connections", "(error 1040)", do="raise max_connections")
def mariadb_has_no_connection_free(stage: Stage) -> None:
    mariadb_says(stage, 1040, "Too many connections")


@case("creating the user nova@%", "denied", "(error 1227)", do="name an account that may create schemas and users")
def mariadb_does_not_allow_it(stage: Stage) -> None:
    mariadb_says(stage, 1227, "Access denied; you need the CREATE USER privilege")


@case("creating the user nova@%", "read-only", "(error 1290)", do="Look at MariaDB's log")
def mariadb_does_not_do_it(stage: Stage) -> None:
    mariadb_says(stage, 1290, "The server runs with --read-only")


@case("'FLY `x`'", do="Correct the privileges")
def mariadb_has_no_such_privilege(_stage: Stage) -> None:
    unreachable_database().grant("nova", "%", "nova", ["FLY `x`"])


@case("database nova", do="set on_delete to drop")
def a_database_is_not_dropped(_stage: Stage) -> None:
    lifecycle(DatabaseLifecycle, Reached()).delete("nova", {**DATABASE, "on_delete": "refuse"})


@case("database nova", do="give nova_infra.Provider a controller")
def a_dump_has_no_place(_stage: Stage) -> None:
    Access(lambda _key: "").dump_database("nova")


# Files.


@case(NOVA_CONF, "line 1", "verbose", do="")
def an_option_stands_in_no_section(_stage: Stage) -> None:
    read_options("verbose = True\n", NOVA_CONF)


@case(NOVA_CONF, "line 2", do="")
def a_line_is_no_option(_stage: Stage) -> None:
    read_options(f"[DEFAULT]\n{SECRET}\n", NOVA_CONF)


@case("'a b'", do="letters, digits")
def an_option_has_a_bad_name(_stage: Stage) -> None:
    write_options({"DEFAULT": {"a b": "1"}})


@case("[DEFAULT] verbose", do="")
def an_option_has_a_bad_value(_stage: Stage) -> None:
    write_options({"DEFAULT": {"verbose": f"{SECRET}\n"}})


@case("an option", do="")
def a_value_has_a_backslash(_stage: Stage) -> None:
    encode(f"{SECRET}\\$")


@case("template: line 3: [DEFAULT] verbose", do="gives each option once")
def a_template_gives_an_option_twice(stage: Stage) -> None:
    render_options(stage.file("[DEFAULT]\nverbose = True\nverbose = False\n"), str)


@case("controller/nova.conf: cannot be read", "compute/nova.conf: cannot be read", do="No such file")
def a_deployment_has_no_templates(stage: Stage) -> Any:
    stage.patch.setattr(options, "templates_directory", lambda _release: stage.folder)
    return refusal(lambda: nova_infra.NovaDeployment("nova", parsed()))


@case("nova:novaPassword: is missing", "controller/nova.conf: cannot be read", do="pulumi config set --secret")
def a_stack_has_neither_settings_nor_templates(stage: Stage) -> Any:
    stage.patch.setattr(options, "templates_directory", lambda _release: stage.folder)
    return refusal(lambda: nova_infra.load_settings(pulumi.Config("nova")))


def rendered_with(stage: Stage, source: str) -> None:
    settings = parsed({}, {"rabbitPassword": SECRET})
    render = functools.partial(options._Rendering(settings, settings.controllers[0]).value, unsupported=unsupported)
    render_options(stage.file(f"[DEFAULT]\nverbose = {source}\n"), render)


@case("template: line 2: [DEFAULT] verbose", "nosuch", do="")
def a_template_names_what_there_is_not(stage: Stage) -> None:
    rendered_with(stage, "{{ nosuch }}")


@case("template: line 2: [DEFAULT] verbose", do="")
def a_template_has_a_bad_expression(stage: Stage) -> None:
    rendered_with(stage, "{{ secret('rabbitPassword' }}")


@case("template: line 2: [DEFAULT] verbose", "there is no secret nosuch", do="")
def a_template_names_no_secret(stage: Stage) -> None:
    rendered_with(stage, "{{ secret('nosuch') }}")


@case("template: line 2: [DEFAULT] verbose", do="omit must be all of a value")
def a_template_omits_a_part(stage: Stage) -> None:
    rendered_with(stage, "x{{ omit }}")


@case("/root/a.sh", "line 1", do="export NAME=value")
def a_line_is_no_variable(_stage: Stage) -> None:
    openrc.read_variables(f"{SECRET}\n", "/root/a.sh")


@case("'DEFAULT'", do="only 'export'")
def a_file_of_variables_has_sections(_stage: Stage) -> None:
    openrc.write_variables({"DEFAULT": {}})


@case("'a-b'", do="letters, digits and underscore")
def a_variable_has_a_bad_name(_stage: Stage) -> None:
    openrc.write_variables({"export": {"a-b": "1"}})


@case("OS_PASSWORD", do="")
def a_variable_has_a_bad_value(_stage: Stage) -> None:
    openrc.write_variables({"export": {"OS_PASSWORD": f"{SECRET}\n"}})


@case("OS_PASSWORD", do="is no text")
def a_variable_has_several_values(_stage: Stage) -> None:
    openrc.write_variables({"export": {"OS_PASSWORD": [SECRET, SECRET]}})


@case("template: line 1", do="export NAME=value")
def a_template_line_is_no_variable(stage: Stage) -> None:
    render_variables(stage.file("OS_PASSWORD=1\n"), str)


@case("template: line 1: OS_PASSWORD", do="")
def a_template_of_variables_does_not_render(stage: Stage) -> None:
    render_variables(stage.file("export OS_PASSWORD={{ 1/0 }}\n"), lambda _source: str(1 // 0))


# Stacks, as commands read them.


def project(stage: Stage, pulumi: str = "", content: str = "name: nova\n") -> None:
    """A folder with a project, and a pulumi that is this script."""
    (stage.folder / "Pulumi.yaml").write_text(content)
    (stage.folder / "pulumi").write_text(f"#!/bin/sh\n{pulumi}\n")
    (stage.folder / "pulumi").chmod(0o755)
    stage.patch.chdir(stage.folder)
    stage.patch.setenv("PATH", f"{stage.folder}:/usr/bin:/bin" if pulumi else "/nowhere")


@case("There is no Pulumi.yaml in", do="Run this in the folder of the Pulumi project")
def there_is_no_project(stage: Stage) -> None:
    stage.patch.chdir(stage.folder)
    read_settings()


@case("Pulumi.yaml", do="Correct it")
def the_project_has_no_name(stage: Stage) -> None:
    project(stage, content="- name: nova\n")
    read_settings()


@case("pulumi", do="run `. ./activate`")
def there_is_no_pulumi(stage: Stage) -> None:
    project(stage)
    read_settings()


@case("the stack production", "incorrect passphrase", do="PULUMI_CONFIG_PASSPHRASE")
def pulumi_does_not_hand_out_the_configuration(stage: Stage) -> None:
    project(stage, pulumi=f"echo {SECRET}; echo error: incorrect passphrase >&2; exit 1")
    read_settings("production")


@case("the selected stack", do="look at what it prints")
def pulumi_hands_out_something_else(stage: Stage) -> None:
    project(stage, pulumi=f"echo {SECRET}")
    read_settings()


@case("the stack production", "PULUMI_OPTION_CONFIG_FILE names .lab/Pulumi.lab.yaml", do="give --config-file")
def the_settings_are_those_of_another_stack(stage: Stage) -> None:
    stage.patch.setenv("PULUMI_OPTION_CONFIG_FILE", ".lab/Pulumi.lab.yaml")
    project(stage, pulumi="echo '{}'")
    read_settings("production")


@case("the stack production", "Ask Ann", do="Set PULUMI_BACKEND_URL to a backend of your own")
def the_state_will_be_deleted(stage: Stage) -> None:
    (stage.folder / "THROWAWAY").write_text("# Ask Ann.\nlab\n")
    stage.patch.setenv("PULUMI_BACKEND_URL", f"file://{stage.folder}")
    refuse_throwaway("production", stage.folder)


def comment_of(stage: Stage, text: str, *options: str) -> None:
    words = ["--environment", "staging", *options, str(stage.file(text))]
    parser = argparse.ArgumentParser()
    comment.add_arguments(parser)
    comment.run(parser.parse_args(words))


@case("template", "pulumi preview --json", do="without --diff")
def a_file_is_no_plan(stage: Stage) -> None:
    comment_of(stage, SECRET)


@case("nowhere.json", do="what `pulumi preview --json` printed")
def a_plan_is_not_there(stage: Stage) -> None:
    comment_of(stage, "{}", "--base", str(stage.folder / "nowhere.json"), "--said", str(stage.file("error: it failed")))


@case("--environment", "a -->", do="use letters, digits")
def an_environment_would_end_the_marker(stage: Stage) -> None:
    comment_of(stage, "{}", "--environment", "a -->")


@case("--link", "javascript:alert(1)", do="Give one that begins with https://")
def a_link_is_no_page(stage: Stage) -> None:
    comment_of(stage, "{}", "--link", "javascript:alert(1)")


@case("--commit", "HEAD", do="Give what `git rev-parse` prints")
def a_commit_by_another_name(stage: Stage) -> None:
    comment_of(stage, "{}", "--commit", "HEAD")


@case("pulumi config", do="pulumi whoami")
def pulumi_does_not_end(stage: Stage) -> None:
    stage.patch.setattr(commands_engine, "PULUMI_SECONDS", 0.2)
    project(stage, pulumi="exec sleep 60")
    read_settings()


@case("the state of the stack production", "no stack named 'production' found", do="Check the name of the stack")
def pulumi_does_not_hand_out_the_state(stage: Stage) -> None:
    project(stage, pulumi=f"echo {SECRET}; echo \"error: no stack named 'production' found\" >&2; exit 1")
    managed("production")


@case("The state of the selected stack", "pulumi stack export", do="look at what it prints")
def the_state_is_none(stage: Stage) -> None:
    project(stage, pulumi=f"""echo '{{"deployment": {{"resources": ["{SECRET}"]}}}}'""")
    managed()


@case("a folder that is one", "it is a folder", do="Name a file")
def the_report_is_a_folder(stage: Stage) -> None:
    page = stage.folder / "a folder that is one"
    page.mkdir()
    write_report(page)


@case("there is no folder", do="Name a file in a folder that there is")
def the_report_has_no_folder(stage: Stage) -> None:
    write_report(stage.folder / "none" / "drift.html")


@case("/proc/version", do="Name a file that may be written")
def the_report_is_not_ours_to_write(_stage: Stage) -> None:
    write_report(Path("/proc/version"))


def write_report(page: Path) -> None:
    refuse_unwritable(page)
    write(page, "a page")


def answers(stage: Stage, text: str, mode: int = 0o600) -> argparse.Namespace:
    """What `init` is asked to do with a file of answers."""
    file = stage.folder / "answers.yaml"
    file.write_text(text)
    file.chmod(mode)
    return argparse.Namespace(stack="production", answers=str(file), secrets_provider="")


WHOLE = json.dumps({"controllers": [CONTROLLER], **PASSWORDS, "sudoPassword": SECRET})


@case("The file", "Pulumi.production.yaml has settings already", do="take it away and run this again")
def the_settings_are_there_already(stage: Stage) -> None:
    project(stage)
    (stage.folder / "Pulumi.production.yaml").write_text("config: {a: b}")
    init.run(answers(stage, WHOLE))


@case("The stack 'a b'", do="Use letters, digits")
def a_stack_has_no_name(_stage: Stage) -> None:
    init.run(argparse.Namespace(stack="a b", answers="", secrets_provider=""))


# A backend of one's own.
WHERE = """[ "$1" != whoami ] || exec echo '{"url": "s3://states"}'"""


@case("The stack production", "Ask Ann", do="export PULUMI_STACK=production")
def a_stack_would_be_deleted(stage: Stage) -> None:
    project(stage, pulumi=f"""echo '{{"url": "file://{stage.folder}?metadata=skip"}}'""")
    (stage.folder / "THROWAWAY").write_text("# Ask Ann.\nlab\n")
    init.run(answers(stage, WHOLE))


@case("The stack production", "no terminal to ask on", do="--answers FILE")
def nobody_can_be_asked(stage: Stage) -> None:
    project(stage)
    with (stage.folder / "Pulumi.yaml").open() as file:
        stage.patch.setattr("sys.stdin", file)
        init.run(argparse.Namespace(stack="production", answers="", secrets_provider=""))


@case("The questions", "nothing is written", do="Run this again")
def the_questions_are_not_answered(stage: Stage) -> None:
    def ask(_question: str) -> str:
        raise EOFError

    init.asked(ask, ask)


@case("The file", "answers.yaml", "others may read it", do="chmod 600")
def others_may_read_the_answers(stage: Stage) -> None:
    project(stage)
    init.run(answers(stage, WHOLE, 0o640))


@case("answers.yaml", "line 1 is no YAML", do="Correct the file")
def the_answers_are_no_yaml(stage: Stage) -> None:
    project(stage)
    init.run(answers(stage, f"a: '{SECRET}"))


@case("answers", "is no mapping of settings", do="")
def the_answers_are_no_mapping(_stage: Stage) -> None:
    init.answered([SECRET])


@case("region", "holds what YAML takes for a date", do="Put it in quotes")
def an_answer_is_a_date(_stage: Stage) -> None:
    init.answered({"region": date(2014, 11, 22)})


@case("adminPassword", "must be a text", do="")
def a_password_is_a_number(_stage: Stage) -> None:
    init.answered({"adminPassword": 31})


@case(
    "the stack production", "pulumi stack init", "ended with 1: no such backend", do="Check the backend (pulumi login)"
)
def pulumi_does_not_make_the_stack(stage: Stage) -> None:
    # Also where the tests run in a shell of the lab's.
    stage.patch.setenv("PULUMI_CONFIG_PASSPHRASE", SECRET)
    project(stage, pulumi=f"{WHERE}; echo error: no such backend >&2; exit 1")
    init.run(answers(stage, WHOLE))


@case("the stack production", "did not end within", do="pulumi whoami")
def pulumi_does_not_end_making_the_stack(stage: Stage) -> None:
    stage.patch.setattr(init, "PULUMI_SECONDS", 0.2)
    project(stage, pulumi="exec sleep 60")
    init.run(answers(stage, WHOLE))


# Inputs: each is refused by its key.


@case("nova:release", do="known: juno")
def the_release_is_not_known(_stage: Stage) -> None:
    release("kilo")


@case("controller.port", do="a whole number from 1 to 65535")
def a_port_of_a_provider_is_none(_stage: Stage) -> None:
    given = {"controller_host": "192.0.2.7", "controller_port": "ssh"}
    _ = Access(lambda key: given.get(key, "")).controller


@case("deadlines.dump", do="a number of seconds above 0")
def a_deadline_is_no_number(_stage: Stage) -> None:
    Access(lambda key: "soon" if key == "deadlines_dump" else "").deadline("dump")


@case("template: line 2: [DEFAULT] verbose", "newline", do="")
def a_rendered_value_cannot_be_carried(stage: Stage) -> None:
    rendered_with(stage, "{{ secret('rabbitPassword') + '\\n' }}")


@case(*(f"template: line {number}: " for number in (1, 3, 5, 6, 7, 8)), do="ends with `]`")
def a_template_does_not_parse(stage: Stage) -> None:
    render_options(stage.file(f"early = 1\n\n  {SECRET}\n[a]\n{SECRET}\n= {SECRET}\n[b\n[]\n"), str)


@case("none.conf", do="No such file")
def a_template_is_not_there(stage: Stage) -> None:
    render_options(stage.folder / "none.conf", str)


@case("template: line 2: ", do="no UTF-8")
def a_template_is_no_text(stage: Stage) -> None:
    (stage.folder / "template").write_bytes(b"[a]\n\xff")
    render_options(stage.folder / "template", str)


@case("p.connection.hostKey", "p.connection.proxy.usr", "p.connection.proxy.host", do="it says how SSH reaches")
def a_connection_cannot_be_used(_stage: Stage) -> Any:
    given: Any = {"host": "192.0.2.7", "hostKey": "ssh-ed25519 AAAA", "proxy": {"host": "", "usr": "ops"}}
    return refusal(lambda: nova_infra.NodePackages("p", nova_infra.NodePackagesArgs("compute1", given, {})))


@case("p.connection.proxy", do="give an object")
def a_jump_host_is_known_too_late(_stage: Stage) -> Any:
    def program() -> None:
        given: Any = {"host": "192.0.2.7", "proxy": pulumi.Output.from_input({"host": "192.0.2.1"})}
        nova_infra.NodePackages("p", nova_infra.NodePackagesArgs("compute1", given, {}))

    return refusal(program)


@case("p.connection.proxy", do="ssh=nova_infra.SSHArgs.of(connection)")
def a_jump_host_is_not_that_of_the_provider(_stage: Stage) -> Any:
    def program() -> None:
        given: Any = {"host": "192.0.2.7", "proxy": {"host": "192.0.2.1"}}
        opts = pulumi.ResourceOptions(provider=nova_infra.Provider("access"))
        nova_infra.NodePackages("p", nova_infra.NodePackagesArgs("compute1", given, {}), opts)

    return refusal(program)


@case("node.provider", "ComputeNode node", do="Make one with identity=")
def a_node_has_no_provider(_stage: Stage) -> None:
    nova_infra.ComputeNode("node", nova_infra.ComputeNodeArgs("compute1", CONNECTION, COMPUTE_OPTIONS))


def with_provider(make: Callable[..., Any], args: Any) -> Any:
    def program() -> None:
        access = nova_infra.Provider("access", identity=nova_infra.IdentityArgs(url=KEYSTONE))
        make("node", args, pulumi.ResourceOptions(provider=access))

    return refusal(program)


@case("node.options", "/etc/nova/nova-compute.conf", do="")
def a_compute_node_lacks_a_file(_stage: Stage) -> Any:
    return with_provider(nova_infra.ComputeNode, nova_infra.ComputeNodeArgs("compute1", CONNECTION, {NOVA_CONF: {}}))


@case("node.services", "nova-sheduler", do="")
def a_controller_has_no_such_service(_stage: Stage) -> Any:
    args = nova_infra.ControllerNodeArgs("controller", CONNECTION, {NOVA_CONF: {}}, services=["nova-sheduler"])
    return with_provider(nova_infra.ControllerNode, args)


def checked(kind: Any, wanted: dict[str, Any], olds: dict[str, Any] | None = None) -> list[Problem]:
    failures = lifecycle(kind, Unreachable()).check(olds or {}, wanted).failures
    return [Problem(each.property, each.reason) for each in failures]


@case("awaits.compute2", "services", "restarts", do="")
def a_check_awaits_a_host_that_it_does_not_know(_stage: Stage) -> Any:
    awaited = {"connection": CONNECTION, "answers": {}, "hidden": []}
    return checked(ServiceCheckLifecycle, {**CHECK, "awaits": {"compute2": awaited}})


@case("name", "on_delete", "hosts[Web].password", "hosts[Web].privileges", do="write web")
def a_database_has_bad_inputs(_stage: Stage) -> Any:
    hosts = {"Web": {"privileges": ["FILE"], "password": ""}}
    return checked(DatabaseLifecycle, {**DATABASE, "name": "", "on_delete": "destroy", "hosts": hosts})


@case("name", "user", "hosts[a\\x00]", do="lower-case letters")
def a_database_has_names_that_mariadb_would_not_keep(_stage: Stage) -> Any:
    hosts = {"a\0": {"privileges": ["ALL"], "password": "x"}}
    return checked(DatabaseLifecycle, {**DATABASE, "name": "nova ", "user": "nova😀", "hosts": hosts})


@case("controller:/run/mysqld.sock", "'nova\\x00'", do="Choose another name")
def mariadb_would_not_keep_a_name(_stage: Stage) -> None:
    unreachable_database().create_user("nova\0", "%", SECRET)


@case("hosts", do="")
def a_database_has_no_hosts(_stage: Stage) -> Any:
    return checked(DatabaseLifecycle, {**DATABASE, "hosts": {}})


@case("public_url", do="http:// or https://")
def an_endpoint_has_no_url(_stage: Stage) -> Any:
    return checked(EndpointLifecycle, {**ENDPOINT, "public_url": "controller:8774"})


@case("public_url", do="a percent sign is %%")
def an_endpoint_has_a_url_that_keystone_cannot_format(_stage: Stage) -> Any:
    return checked(EndpointLifecycle, {**ENDPOINT, "public_url": "http://controller:8774/%(project)s"})


@case("roles", do="")
def a_user_has_no_role(_stage: Stage) -> Any:
    return checked(KeystoneUserLifecycle, {**USER, "roles": []})


@case("roles", "operator (missing)", do="name another one")
def a_role_is_called_as_a_refresh_writes_one_that_is_missing(_stage: Stage) -> list[Problem]:
    return checked(KeystoneUserLifecycle, {**USER, "roles": ["admin", "operator (missing)"]})


@case("name", "email", do="which Keystone leaves out")
def a_user_has_texts_that_keystone_would_not_keep(_stage: Stage) -> Any:
    return checked(KeystoneUserLifecycle, {**USER, "name": "nova ", "email": "😀"})


@case("name", do="a NUL")
def a_user_has_a_name_with_a_nul(_stage: Stage) -> Any:
    return checked(KeystoneUserLifecycle, {**USER, "name": "no\0va"})


@case("description", do="U+FFFF")
def a_service_has_a_text_that_keystone_would_not_keep(_stage: Stage) -> Any:
    wanted = {"name": "nova", "type": "compute", "description": "😀"}
    return checked(ServiceLifecycle, wanted)


@case("region", do="U+FFFF")
def an_endpoint_has_a_region_that_keystone_would_not_keep(_stage: Stage) -> Any:
    return checked(EndpointLifecycle, {**ENDPOINT, "region": "😀"})


@case(KEYSTONE, "'nova '", do="Choose another")
def keystone_would_not_keep_a_name(_stage: Stage) -> None:
    keystone().create_user("nova ", SECRET, "", True)


@case("name", "'nova'", "'nova2'", do="To rename, ")
def a_resource_is_renamed(_stage: Stage) -> Any:
    return checked(KeystoneUserLifecycle, {**USER, "name": "nova2"}, USER)


@case("scheduling", do="it can be enabled, disabled or left")
def scheduling_that_is_none_of_its_words(_stage: Stage) -> Any:
    return checked(ComputeNodeLifecycle, {**NODE, "scheduling": "off"})


@case("connection.host", "connection.port", "services", "on_unreachable", do="a whole number from 1 to 65535")
def a_node_has_bad_inputs(_stage: Stage) -> Any:
    place = {**CONNECTION, "host": "", "port": 0}
    return checked(ComputeNodeLifecycle, {**NODE, "connection": place, "services": {}, "on_unreachable": "ignore"})


@case(
    f"options[{NOVA_CONF}][DEFAULT].a b", f"options[{NOVA_CONF}][DEFAULT].port", "options[/root/a.sh][export].A", do=""
)
def a_node_has_options_that_no_file_can_carry(_stage: Stage) -> Any:
    options = {NOVA_CONF: {"DEFAULT": {"a b": "x", "port": 8774}}, "/root/a.sh": {"export": {"A": "one\ntwo"}}}
    return checked(ComputeNodeLifecycle, {**NODE, "options": options})


@case("options[/root/a\\tb.sh]", "options[a.sh]", do="")
def a_node_has_files_at_no_path(_stage: Stage) -> Any:
    return checked(ComputeNodeLifecycle, {**NODE, "options": {"/root/a\tb.sh": {}, "a.sh": {}}})


@case("packages.nova-", "packages.ntp", do="such as 1:2014.2.4-0ubuntu1")
def packages_are_none(_stage: Stage) -> Any:
    return checked(NodePackagesLifecycle, {**PACKAGES, "packages": {"nova-": "present", "ntp": "latest"}})


@case("packages", do="")
def there_are_no_packages(_stage: Stage) -> Any:
    return checked(NodePackagesLifecycle, {**PACKAGES, "packages": {}})


CASES |= {
    f"settings_{number}": Case(lambda _stage, values=values: parsed(values), (key,), do="")  # type: ignore[misc]
    for number, (values, key, _) in enumerate(BAD)
}
CASES |= {
    f"ranges_{number}": Case(lambda _stage, entries=entries: parsed({"computes": entries}), (key,), do="")  # type: ignore[misc]
    for number, (entries, key, _) in enumerate(BAD_RANGES)
}


@case("nova:rabbitPassword", "nova:novaPassword", "nova:adminPassword", do="pulumi config set --secret")
def passwords_are_missing_or_cannot_be_carried(_stage: Stage) -> None:
    parsed({}, {"rabbitPassword": f"{SECRET}\n", "novaPassword": f"{SECRET}\\$", "adminPassword": None})


@case("nova:novaDatabasePassword", "beyond ASCII", do="")
def a_database_password_is_not_carried(_stage: Stage) -> None:
    parsed({}, {"novaDatabasePassword": f"{SECRET}ü"})


@case("nova:adminPassword", "nova:options.all.DEFAULT.a", do="pulumi config set --secret")
def passwords_are_in_plain(_stage: Stage) -> None:
    option = {"all": {"DEFAULT": {"a": {"secret": "mine"}}}}
    texts = {"controllers": json.dumps([CONTROLLER]), **PASSWORDS, "mine": SECRET, "options": json.dumps(option)}
    texts["adminPassword"] = SECRET
    parse(texts.get, keys=list(texts), is_secret=lambda key: key in set(PASSWORDS) - {"adminPassword"})


@case("nova:database", do="Make it a flat secret key")
def a_secret_is_inside_an_object(_stage: Stage) -> None:
    parsed({}, {"database": json.dumps({"user": SECRET})})


@case("nova:adminPassword", "nova:region", do="pulumi config set --plaintext region")
def a_secret_is_blank_and_another_is_none(_stage: Stage) -> None:
    texts = {"controllers": json.dumps([CONTROLLER]), **PASSWORDS, "adminPassword": "  ", "region": SECRET}
    parse(texts.get, keys=list(texts), is_secret=lambda key: key == "region" or key in PASSWORDS)


@case("nova:mine", "nova:yours", do="")
def other_secrets_are_bad(_stage: Stage) -> None:
    option = {"all": {"DEFAULT": {"a": {"secret": "mine"}}}}
    parsed({"options": option}, {"mine": f"{SECRET}\n", "yours": SECRET})


@case("nova:region", "half of a surrogate pair", do="")
def a_text_is_no_text(_stage: Stage) -> None:
    parsed({"region": "\ud800"})


@case("nova:identity.admin_url", "passwords are secret keys", do="")
def a_url_holds_a_login(_stage: Stage) -> None:
    parsed({"identity": {"admin_url": f"http://admin:{SECRET}@controller:35357"}})


# ------------------------------------------------------------ the laws


@dataclasses.dataclass
class Outcome:
    text: str
    problems: list[Problem]
    messages: list[Message]


@pytest.fixture(scope="module")
def outcome(
    running: SSHMachine,  # noqa: F811 - a fixture
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], Outcome]:
    """What a case makes; each runs once."""

    @functools.cache
    def made(name: str) -> Outcome:
        running.as_new()
        messages: list[Message] = []
        with pytest.MonkeyPatch.context() as patch, noting(messages):
            try:
                problems = CASES[name].make(Stage(running, tmp_path_factory.mktemp("case"), patch))
            except InvalidSettings as error:
                return Outcome(str(error), list(error.problems), messages)
            except NovaInfraError as error:
                return Outcome(str(error), [], messages)
        assert problems, f"{name} ended well"
        return Outcome("\n".join(map(str, problems)), problems, messages)

    return made


def faults(text: str) -> list[str]:
    """Which laws for all messages this one breaks."""
    # What is quoted from a log is the machine's.
    ours = re.split(r"\n--- the end of the log of ", text)[0]
    # A list has lines of its own, indented.
    lines = [line.strip() for line in ours.splitlines()]
    laws = {
        "a secret": SECRET in text,
        "a traceback": "Traceback" in text,
        "two spaces": any("  " in line for line in lines),
        "two periods": re.search(r"\.\.(\s|$)", ours),
        "a space before a period": re.search(r" [.,;:](\s|$)", ours),
        "Python's own form": re.search(
            r"<\w+[. ].* at 0x|\bNone\b|(^|[ (:])b'\S|\[\]|\{\}|\(\)|\('|\[Errno|\[Error|\b\w+(Error|Exception)\b", ours
        ),
        "too long": len(ours) > 600 + sum(len(line) for line in lines[1:]),
        "an empty line": "" in lines,
    }
    return [law for law, broken in laws.items() if broken]


@pytest.mark.parametrize("name", CASES)
def test_a_message_names_whom_it_is_about_and_says_what_to_do_in_sentences(
    name: str, outcome: Callable[[str], Outcome]
) -> None:
    found, wanted = outcome(name), CASES[name]
    assert [each for each in (*wanted.names, wanted.do) if each not in found.text] == [], found.text
    assert faults(found.text) == [], found.text
    for each in found.messages:
        if isinstance(each.made, NovaInfraError):
            text = str(each.made)
            named = text.startswith(("compute1", "controller:", "controller (", "nova-compute on ", "/"))
            assert text[0].isupper() or named, text
            listed = text.splitlines()[-1].startswith("  - ") or "--- the end of the log of " in text
            assert text.endswith(".") or listed, text
        else:
            # A problem goes on from its key.
            assert each.made.reason[0].islower() or each.made.reason[0] in "'\"0123456789M", each.made.reason
            # An item of a list; one that ends with a question asks it.
            assert not each.made.reason.endswith("."), each.made.reason
    assert found.messages


def test_every_place_that_makes_a_message_has_a_case(outcome: Callable[[str], Outcome]) -> None:
    reached = {each.place for name in CASES for each in outcome(name).messages}
    missing = sorted(text for place, text in places().items() if place not in reached)
    assert missing == [], "\n".join(missing)


def test_nothing_else_is_raised() -> None:
    others = {}
    for module, _, tree in sources():
        raised = {called(each.exc) for each in ast.walk(tree) if isinstance(each, ast.Raise) and each.exc}
        # `raise self._failure(...)` raises what that function returns.
        raised = {"?" if each == "_failure" else each for each in raised} - NAMES
        if raised:
            others[module] = raised
    assert others == INNER


def test_every_reason_that_a_message_takes_up_is_rendered_by_a_case(outcome: Callable[[str], Outcome]) -> None:
    rendered = "\n".join(outcome(name).text for name in CASES)
    unseen = [
        text
        for module, _, tree in sources()
        for text, pattern in reasons(tree, returned=module in GIVE_REASONS)
        if text != "f'{raw} (a reference)'"  # a value as it is shown, and no message
        and not re.search(pattern, rendered)
    ]
    assert unseen == [], "\n".join(unseen)


# The modules whose functions return or raise the reasons of problems.
GIVE_REASONS = ("values", "ranges", "settings", "contradictions", "configuration", "openrc", "options", "templates")


def reasons(tree: ast.Module, *, returned: bool) -> Iterator[tuple[str, str]]:
    """The texts with a space that get the name of a reason, or are raised, returned or yielded, and a pattern for each."""
    # no_package_name and the like return one wherever they are.
    within_no = {
        id(each)
        for function in tree.body
        if isinstance(function, ast.FunctionDef) and function.name.startswith("no_")
        for each in ast.walk(function)
    }
    for statement in ast.walk(tree):
        names = [getattr(each, "id", "") for each in statement.targets] if isinstance(statement, ast.Assign) else []
        named = bool({"reason", "problem", "sentence"} & set(names))
        gives = returned or id(statement) in within_no
        if not named and not (gives and isinstance(statement, (ast.Raise, ast.Return, ast.Yield))):
            continue
        within = {id(part) for each in ast.walk(statement) if isinstance(each, ast.JoinedStr) for part in each.values}
        for each in ast.walk(statement):
            if isinstance(each, ast.Constant) and id(each) not in within:
                parts: list[ast.expr] = [each]
            elif isinstance(each, ast.JoinedStr):
                parts = each.values
            else:
                continue
            texts = [part.value if isinstance(part, ast.Constant) else None for part in parts]
            if any(isinstance(text, str) and " " in text.strip() for text in texts):
                yield ast.unparse(each), "".join(re.escape(text) if isinstance(text, str) else ".*" for text in texts)


# ------------------------------------------------------------ what a machine's script says when it fails


def shell_source() -> str:
    return "".join(path.read_text(encoding="utf-8") for path in sorted((PACKAGE / "remote" / "node").glob("*.sh")))


def shell_failures() -> list[str]:
    """The text of each `fail "..."` of node/*.sh, with what it puts in as one letter."""
    source = shell_source()
    found = []
    for start in (match.end() for match in re.finditer(r'\bfail "', source)):
        depth, text, at = 0, "", start
        while depth or source[at] != '"':
            two = source[at : at + 2]
            if two == "\\`":
                text, at = text + "`", at + 2
            elif two in ("$(", "${"):
                text, depth, at = text + ("" if depth else "X"), depth + 1, at + 2
            elif depth:
                depth, at = depth + {"(": 1, "{": 1, ")": -1, "}": -1}.get(source[at], 0), at + 1
            elif variable := re.compile(r"\$(\w+|[*@?])").match(source, at):
                text, at = text + "X", variable.end()
            else:
                text, at = text + source[at], at + 1
        found.append(text)
    return found


@pytest.mark.parametrize("text", shell_failures())
def test_a_script_that_fails_says_what_has_failed_and_where_to_look(text: str) -> None:
    # `StepFailed` puts the node and the step ahead of it, and a period behind it.
    assert text[0].islower() or text.startswith("X"), text
    assert not text.endswith((".", " "))
    assert faults(text.replace("XX", "X")) == []
    # What the program said, where to look, or what to do follows what has failed.
    assert re.search(r": X|\(.*\)|; |\. [A-Z]", text), text


def test_no_failure_of_the_script_is_overlooked() -> None:
    source = shell_source()
    calls = [line for line in source.splitlines() if re.search(r"(^|[ ;&|{])fail( |$)", line.partition(" #")[0])]
    assert len(calls) == len(shell_failures()) > 20
