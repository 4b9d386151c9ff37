"""When a service does its work, and what is told before the time is over."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from nova_infra.compute import ServiceReport
from nova_infra.errors import ComputeError, ConnectionFailed, DeadlineExceeded, RemoteError
from nova_infra.remote.inspection import Process
from nova_infra.remote.reason import Prohibited
from nova_infra.remote.script import Answer
from nova_infra.resources import readiness
from nova_infra.resources.readiness import Again, Started, refuse_ended, wait_for_answers, wait_for_reports
from tests.error_rows import assert_printed

from .clock import Clock

RUNNING = Process(100, "5000", 2000, enabled=True)
CLOSED = "2014-12-01 10:00:00.1 1 ERROR x [-] AMQP server on controller:5672 is unreachable: Socket closed. Trying again in 1 seconds.\n"
REFUSED = CLOSED * 3


class Node:
    """A node that answers what it is told to."""

    def __init__(self, name: str, *, log: str = "", ticks: str = "5000", now: int = 0) -> None:
        self.name, self.log, self.ticks, self.now = name, log, ticks, now
        self.asked = 0
        self.conf = ""
        self.comes_back = ""
        self.started: list[tuple[str, ...]] = []

    def run(self, calls: Any, **_more: Any) -> Answer:
        self.asked += 1
        facts: list[tuple[str, ...]] = [
            ("hostname", self.name),
            ("now", str(self.now)),
            ("later", str(self.now)),
            ("virt_type", "qemu"),
            ("init", "sysv"),
        ]
        for each in calls:
            if each.function == "read_service":
                state = ("running", "100", self.ticks, "2000") if self.ticks else ("stopped", "-", "-", "0")
                facts.append(("service", each.arguments[0], *state, "enabled", "-"))
            elif each.function == "read_file":
                said = ("file", "root", "nova", "640", "1", base64.b64encode(self.conf.encode()).decode())
                facts.append(("file", each.arguments[0], *said))
            elif each.function == "start_ended":
                self.started.append(each.arguments)
                self.ticks = self.ticks or self.comes_back
            elif each.function == "read_log":
                facts.append(("log", each.arguments[0], base64.b64encode(self.log.encode()).decode()))
        return Answer(facts)


class Nova:
    """The compute API: one list of reports after the other."""

    def __init__(self, *reports: dict[str, str] | Exception, ahead: float = 0.0) -> None:
        self.reports: Iterator[dict[str, str] | Exception] = iter(reports)
        self.last: dict[str, str] | Exception = {}
        self.clock_ahead = ahead
        self.asked: list[str] = []

    def services(self, host: str = "") -> list[ServiceReport]:
        self.asked.append(host)
        self.last = next(self.reports, self.last)
        if isinstance(self.last, Exception):
            raise self.last
        return [
            ServiceReport("1", "nova-compute", name, "nova", "enabled", "up", when, "")
            for name, when in self.last.items()
        ]


def started(*nodes: Node) -> list[Started]:
    return [Started(node, {"nova-compute": RUNNING}) for node in nodes]  # type: ignore[arg-type]


def wait(nova: Nova, *nodes: Node, seconds: float = 5, again: Again | None = None) -> None:
    wait_for(nova, *started(*nodes), seconds=seconds, again=again)


def wait_for(nova: Nova, *services: Started, seconds: float = 5, again: Again | None = None) -> None:
    passing = Clock().passing
    wait_for_reports(nova, services, seconds, doing="The last check: waiting", again=again, passing=passing)  # type: ignore[arg-type]


def test_a_report_that_was_there_before_proves_nothing_and_one_that_comes_after_does() -> None:
    nova = Nova({"compute1": "10:00:00"}, {"compute1": "10:00:00"}, {"compute1": "10:00:10"})
    wait(nova, Node("compute1"))
    assert len(nova.asked) == 3


@pytest.mark.parametrize(
    ("report", "counts"), [("1970-01-01T00:33:22.000000", True), ("1970-01-01T00:33:21.000000", False)]
)
def test_a_report_that_is_later_than_the_start_of_the_process_counts_at_once(report: str, counts: bool) -> None:
    # The process was started at 2000 s; /proc counts whole seconds, and so does the clock of boot.
    nova = Nova({"compute1": report}, {"compute1": "later"})
    wait(nova, Node("compute1"))
    assert len(nova.asked) == (1 if counts else 2)


def test_the_start_of_a_process_is_compared_on_the_clock_of_the_api() -> None:
    # The node is 100 s ahead of it: what it calls 2000 is 1900 there.
    nova = Nova({"compute1": "1970-01-01T00:31:42.000000"}, {"compute1": "later"})
    node = Started(Node("compute1"), {"nova-compute": RUNNING}, ahead=100.0)  # type: ignore[arg-type]
    wait_for(nova, node)
    assert len(nova.asked) == 1


@pytest.mark.parametrize(("report", "counts"), [("1970-01-01T00:35:02.0", True), ("1970-01-01T00:35:01.0", False)])
def test_where_only_the_moment_of_the_start_is_known_a_later_report_counts_at_once(report: str, counts: bool) -> None:
    # Started at 2000 s on our clock; that of nova-api is 100 s ahead.
    nova = Nova({"compute1": report}, {"compute1": "later"}, ahead=100.0)
    node = Started(Node("compute1"), {"nova-compute": None}, since=2000.0)  # type: ignore[arg-type]
    wait_for(nova, node)
    assert len(nova.asked) == (1 if counts else 2)


def test_a_service_that_was_started_again_by_itself_is_told_at_the_end() -> None:
    # Its process began at 2000 s on a clock that agrees with ours.
    here = int(time.time())
    for since, told in ((1000.0, True), (2010.0, False)):
        node = Node("compute1", now=here)
        late = Started(node, {"nova-compute": None}, since=since)  # type: ignore[arg-type]
        with pytest.raises(DeadlineExceeded) as raised:
            wait_for(Nova({}), late)
        assert ("nova-compute on compute1 was started once more since" in str(raised.value)) is told


def test_a_moment_is_read_as_it_is_written_and_what_is_none_is_not() -> None:
    assert readiness.moment(2000) == "1970-01-01T00:33:20Z"
    assert readiness.seconds_of(readiness.moment(2000)) == 2000.0
    assert readiness.seconds_of("a fingerprint") is None
    assert readiness.seconds_of("") is None


def test_all_nodes_are_waited_for_with_one_question_a_time() -> None:
    nova = Nova(
        {"compute1": "1", "compute2": "1"}, {"compute1": "2", "compute2": "1"}, {"compute1": "2", "compute2": "2"}
    )
    wait(nova, Node("compute1"), Node("compute2"))
    assert nova.asked == ["", "", ""]


def test_an_api_that_is_starting_is_asked_again() -> None:
    wait(Nova(ComputeError("It starts"), {}, {"compute1": "2"}), Node("compute1"))


def test_a_process_that_has_ended_ends_the_waiting_with_its_log() -> None:
    node = Node("compute1", log="2014-12-01 CRITICAL nova [-] it cannot\n", ticks="")
    with pytest.raises(RemoteError, match="nova-compute on compute1 ended after it had been started") as raised:
        wait(Nova({}), node, seconds=60)
    assert "--- the end of the log of nova-compute on compute1:\n2014-12-01 CRITICAL nova [-] it cannot" in str(
        raised.value
    )


def test_an_account_that_is_refused_ends_the_waiting_and_only_the_node_that_is_late_is_asked() -> None:
    late, fine = Node("compute2", log=REFUSED), Node("compute1")
    nova = Nova({"compute1": "1"}, {"compute1": "2"})
    with pytest.raises(
        RemoteError, match="nova-compute on compute2: RabbitMQ at controller:5672 refuses nova's account"
    ):
        wait(nova, fine, late, seconds=60)
    assert fine.asked == 0


def test_very_many_nodes_are_not_asked_before_their_services_had_time_to_report() -> None:
    nodes = [Node(f"compute{number}", ticks="") for number in range(1, 40)]
    here = {node.name: "1" for node in nodes}
    # They report behind the first look.
    wait(Nova(*[{}] * 8, here), *nodes, seconds=60)
    assert not any(node.asked for node in nodes)
    with pytest.raises(RemoteError, match="ended after it had been started") as raised:
        wait(Nova({}), *nodes, seconds=60)
    assert raised.type is RemoteError, "it was waited for to the end"


def test_what_may_pass_is_waited_for_and_told_at_the_end() -> None:
    # Its clock shows the time of this machine, nova-api's is 600 s ahead.
    node = Node("compute1", now=int(time.time()), log=REFUSED.replace("Socket closed", "[Errno 111] ECONNREFUSED"))
    with pytest.raises(DeadlineExceeded, match="last seen: nova-compute on compute1: never") as raised:
        wait(Nova({}, ahead=600.0), node, seconds=20)
    assert "RabbitMQ at controller:5672 cannot be reached: [Errno 111] ECONNREFUSED" in str(raised.value)
    assert re.search(r"the clock of compute1 is 6[0-9]{2} s behind that of nova-api", str(raised.value))


def test_a_service_that_has_ended_is_started_once_more_where_nobody_else_would() -> None:
    node = Node("compute1", ticks="")
    node.comes_back = "7000"
    wait(Nova(*[{}] * 6, {"compute1": "1"}), node, seconds=60, again=Again())
    assert node.started == [("nova-compute",)]


def test_a_service_that_ends_again_is_given_up() -> None:
    node = Node("compute1", log="gone\n", ticks="")
    with pytest.raises(RemoteError, match="nova-compute on compute1 ended after it had been started") as raised:
        wait(Nova({}), node, seconds=60, again=Again())
    assert raised.type is RemoteError, "it was waited for to the end"
    assert node.started == [("nova-compute",)]


def test_a_quoted_log_is_without_the_secrets_of_the_nodes_own_files() -> None:
    node = Node("compute1", ticks="", log="2014-12-01 1 connecting as one with two\n")
    node.conf = "[DEFAULT]\nrabbit_password = one\nplain_name = two\n"
    hidden = [["/etc/nova/nova.conf", "DEFAULT", "plain_name"]]
    with pytest.raises(RemoteError) as raised:
        refuse_ended(Started(node, {"nova-compute": RUNNING}, hidden=hidden))  # type: ignore[arg-type]
    assert "connecting as [secret] with [secret]" in str(raised.value)


def test_of_a_log_the_errors_are_quoted_without_the_inside_of_their_tracebacks() -> None:
    prefix = "2026-11-22 14:41:39.677 3038 ERROR oslo_service.service "
    log = (
        "2026-11-22 14:41:37.103 3038 WARNING oslo_config.cfg [-] Option is deprecated.\n"
        f"{prefix}[req-f28e - - -] Error starting thread.\n{prefix}Traceback (most recent call last):\n"
        f'{prefix}  File "service.py", line 722, in run_service\n{prefix}    service.start()\n{prefix}ValueError: much\n{prefix}\n'
    )
    with pytest.raises(RemoteError) as raised:
        refuse_ended(started(Node("compute1", log=log, ticks=""))[0])
    assert str(raised.value).splitlines()[-2:] == [
        f"{prefix}[req-f28e - - -] Error starting thread.",
        f"{prefix}ValueError: much",
    ]


def test_of_many_nodes_that_fail_alike_the_logs_of_three_are_quoted_and_all_are_named() -> None:
    nodes = [Node(f"compute{number}", log="gone\n", ticks="") for number in range(1, 6)]
    with pytest.raises(RemoteError) as raised:
        refuse_ended_of(nodes)
    assert all(f"nova-compute on compute{number} ended" in str(raised.value) for number in range(1, 6))
    assert str(raised.value).count("--- the end of the log of") == 3
    assert str(raised.value).endswith("--- and 2 more nodes")


def refuse_ended_of(nodes: list[Node]) -> None:
    readiness.refuse_hopeless(started(*nodes))


def test_a_process_that_was_started_again_by_itself_has_ended() -> None:
    with pytest.raises(RemoteError, match="ended after it had been started"):
        refuse_ended(started(Node("compute1", ticks="6000"))[0])
    refuse_ended(started(Node("compute1"))[0])


class Closed(Node):
    """A node whose sshd connects to nothing for us."""

    def reach_tcp(self, host: str, port: int) -> None:
        raise Prohibited(f"{self.name} could not connect to {host}:{port}: open failed")


def wait_for_nova_api(node: Node, seconds: float, clock: Clock) -> None:
    places = {"nova-compute": "127.0.0.1:8774"}
    wait_for_answers(started(node)[0], places, seconds, passing=clock.passing)


def test_a_service_that_cannot_be_asked_for_because_sshd_forwards_nothing_is_not_waited_for_and_not_blamed() -> None:
    clock = Clock()
    with pytest.raises(ConnectionFailed) as raised:
        wait_for_nova_api(Closed("controller2", log="all is well\n"), 60, clock)
    assert clock.now == readiness.FIRST_LOOK_SECONDS
    assert "all is well" not in str(raised.value)
    assert_printed("A controller's sshd forwards nothing", str(raised.value))
    # OpenSSH before 7 says the same of what nobody can connect to: the log of a process that has ended says more.
    with pytest.raises(RemoteError, match="ended after it had been started"):
        wait_for_nova_api(Closed("controller2", ticks=""), 60, clock)
