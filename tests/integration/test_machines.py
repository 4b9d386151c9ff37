"""Reaching real machines: what a person sees when it does not work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nova_infra.access import Access
from nova_infra.errors import ComputeError, ConnectionFailed, StepFailed
from nova_infra.remote.connection import Unreachable
from nova_infra.remote.inspection import Question, inspect
from nova_infra.remote.script import Call, call
from tests.nodes import Lab, lab_state


def connection(lab: Lab, **changes: object) -> dict[str, object]:
    return {"host": lab.address("compute1"), "port": 22, "user": "ubuntu", "host_key": "", **changes}


def test_a_machine_says_who_it_is_and_what_it_can_do(lab: Lab, access: Access) -> None:
    facts = inspect(access.node("compute1", connection(lab)), Question(files=["/etc/hostname"]))
    assert facts.hostname == "compute1"
    flags = int(lab.run("compute1", "egrep -c '(vmx|svm)' /proc/cpuinfo; true").strip())
    assert facts.virt_type == ("kvm" if flags else "qemu")
    assert facts.files["/etc/hostname"].content.strip() == "compute1"


def test_a_host_key_that_is_not_the_trusted_one_is_refused(lab: Lab, access: Access) -> None:
    other = (lab_state() / "id_ed25519.pub").read_text().rsplit(" ", 1)[0]
    node = access.node("compute1", connection(lab, host_key=other))
    with pytest.raises(ConnectionFailed, match="its host key is not the one we trust"):
        inspect(node, Question())


def test_a_user_whom_the_machine_does_not_know_is_refused(lab: Lab, access: Access) -> None:
    with pytest.raises(ConnectionFailed, match="refused the login"):
        inspect(access.node("compute1", connection(lab, user="nobody-here")), Question())


def test_a_key_file_that_is_missing_is_named(lab: Lab, access: Access, tmp_path: Path) -> None:
    missing = str(tmp_path / "no-key")
    other = Access(lambda key: missing if key == "ssh_private_key_file" else access.get(key))
    with pytest.raises(ConnectionFailed, match="no-key"):
        inspect(other.node("compute1", connection(lab)), Question())


def test_a_server_that_refuses_is_named_with_the_machine_that_asked(access: Access) -> None:
    assert access.controller is not None
    with pytest.raises(Unreachable, match=r"controller could not connect to 127\.0\.0\.1:9: .*refused"):
        access.controller.reach_tcp("127.0.0.1", 9)


def test_the_sockets_of_servers_are_reached_with_and_without_forwarding_by_sshd(lab: Lab, access: Access) -> None:
    assert access.database.schema("information_schema") is not None
    # What Ubuntu 14.04's sshd cannot do, netcat does.
    assert access.controller is not None
    with access.controller.reach_unix("/var/run/mysqld/mysqld.sock") as through:
        greeting = through.recv(100)
    assert b"MariaDB" in greeting


def test_the_compute_api_is_found_by_a_token_that_is_older_than_its_endpoint(lab: Lab, access: Access) -> None:
    fresh = Access(access.get)
    with pytest.raises(ComputeError, match="endpoint for compute service named nova in regionOne region not found"):
        fresh.compute.services()
    url = "http://controller:9292/"
    made = lab.openstack(
        "service=$(keystone service-create --name nova --type compute | awk '/ id / {print $4}')\n"
        f"keystone endpoint-create --service-id $service --region regionOne --publicurl {url} --internalurl {url} --adminurl {url} >/dev/null\n"
        "echo $service"
    ).strip()
    try:
        # Glance answers there, and not what nova would: the endpoint was found.
        with pytest.raises(ComputeError) as raised:
            fresh.compute.services()
        assert "what answered is no compute API" in str(raised.value)
        assert "not found" not in str(raised.value)
    finally:
        lab.openstack(f"keystone service-delete {made}")


SERVICE = "novainfratest"
INIT_SCRIPT = r"""cat >/etc/init.d/novainfratest <<'SCRIPT'
#!/bin/sh
pid=/var/run/novainfratest.pid
case $1 in
start) start-stop-daemon --start --background --make-pidfile --pidfile $pid --exec /bin/sleep -- 1000 ;;
stop) [ ! -e /run/novainfratest-hangs ] || sleep 60; start-stop-daemon --stop --oknodo --pidfile $pid && rm -f $pid ;;
status) [ -e $pid ] && [ -d /proc/$(cat $pid) ] || exit 3 ;;
esac
SCRIPT
chmod 755 /etc/init.d/novainfratest"""


@pytest.fixture
def service(lab: Lab) -> Iterator[None]:
    """A service with a script of System V, whose stop can be made to hang."""
    lab.run("compute1", INIT_SCRIPT)
    yield
    lab.run(
        "compute1",
        "rm -f /run/novainfratest-hangs; service novainfratest stop; rm -f /etc/init.d/novainfratest /var/run/novainfratest.pid; "
        "rm -f /var/lib/nova-infra/*novainfratest /var/lib/nova-infra/lock; rmdir /var/lib/nova-infra 2>/dev/null; true",
    )


def test_a_service_is_started_stopped_and_started_again_with_the_usual_umask_and_none_of_our_files(
    lab: Lab, access: Access, service: None
) -> None:
    node = access.node("compute1", connection(lab))

    def read() -> list[tuple[str, ...]]:
        return node.run([call("read_service", SERVICE)], doing="reading", deadline=20).all("service")

    start = [Call('mkdir -p "$ours"'), call("lock", "5"), call("start_service", SERVICE, "abc")]
    node.run(start, doing="starting", deadline=30)
    first = read()[0]
    assert first[1] == "running"
    assert first[-1].endswith(" abc")
    held = lab.run(
        "compute1", f"grep -h Umask /proc/{first[2]}/status; ls -l /proc/{first[2]}/fd | grep -c nova-infra; true"
    )
    assert held.split() == ["Umask:", "0022", "0"]
    node.run([call("stop_services", SERVICE)], doing="stopping", deadline=30)
    node.run([call("stop_services", SERVICE)], doing="stopping", deadline=30)
    assert read()[0][1] == "stopped"
    node.run(start, doing="starting", deadline=30)
    assert read()[0][2] != first[2]


def test_a_service_that_does_not_stop_is_named_with_its_limit(lab: Lab, access: Access, service: None) -> None:
    node = access.node("compute1", connection(lab))
    node.run([Call('mkdir -p "$ours"'), call("start_service", SERVICE, "abc")], doing="starting", deadline=30)
    lab.run("compute1", "touch /run/novainfratest-hangs")
    with pytest.raises(StepFailed, match=f"service {SERVICE} stop: not within 1 s"):
        node.run([Call("service_patience=1"), call("stop_services", SERVICE)], doing="stopping", deadline=30)
