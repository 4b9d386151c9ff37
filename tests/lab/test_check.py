"""`python -m nova_infra check` before the first `up`: what ordinary commands have broken is found, all of it in one table."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from tests.nodes import Lab, Stack, lab_state, setting

pytestmark = [pytest.mark.lab, pytest.mark.engine]

NODES = ("controller", "compute1")
# What servers and logins write all the time.
ALIVE = ("/var/log", "/var/lib/mysql", "/var/lib/rabbitmq", "/run", "/tmp", "/proc", "/sys", "/dev")  # noqa: S108 - MariaDB sorts there
MARK = "/run/before-the-check"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    made = Stack(Path(tmp_path_factory.mktemp("backend")))
    made.create()
    return made


def written(lab: Lab, node: str) -> list[str]:
    """The files and folders that were written, made or removed since the mark."""
    pruned = " -o ".join(f"-path {path}" for path in ALIVE)
    return lab.run(node, f"find / \\( {pruned} \\) -prune -o -cnewer {MARK} -print").splitlines()


def records(lab: Lab) -> str:
    """What MariaDB holds, Keystone's records among it; a login leaves a token."""
    password = shlex.quote(setting("DB_ROOT_PASS"))
    dump = "mysqldump -u root --all-databases --skip-dump-date --ignore-table=keystone.token"
    return lab.run("controller", f"MYSQL_PWD={password} {dump} | grep -c . && MYSQL_PWD={password} {dump} | sha256sum")


def test_fresh_machines_are_in_order_and_nothing_is_written_anywhere(lab: Lab, stack: Stack) -> None:
    before = records(lab)
    for node in NODES:
        lab.run(node, f"touch {MARK} && sleep 0.1")
    done = stack.command("check")
    assert (done.returncode, done.stdout.strip()) == (0, "No problems: 2 machines and 2 servers are in order.")
    assert "Asking 2 machines and the servers behind controller" in done.stderr
    for node in NODES:
        assert written(lab, node) == []
    assert records(lab) == before


# ------------------------------------------------------------ many things broken at once

CONTROLLER = """
setsid nc -l -p 8774 >/dev/null 2>&1 </dev/null &
mysql -u root -p"$DB_ROOT_PASS" -e "SET PASSWORD FOR root@localhost = PASSWORD('another')"
runuser -u rabbitmq -- env HOME=/var/lib/rabbitmq /usr/lib/rabbitmq/bin/rabbitmqctl -q change_password guest another
"""
COMPUTE = """
sed -i '/ controller$/d' /etc/hosts
echo nameserver 127.0.0.1 >/etc/resolv.conf
mv /etc/apt/sources.list /root/
mkdir -p /etc/nova
printf '[DEFAULT]\\nmy_ip = 192.0.2.1\\nrabbit_password = of-somebody\\n' >/etc/nova/nova.conf
for port in 2202 2203 2204 2205; do /usr/sbin/sshd -p $port; done
useradd -m -s /bin/sh visitor
install -d -o visitor /home/visitor/.ssh
install -o visitor /home/ubuntu/.ssh/authorized_keys /home/visitor/.ssh/
# Containers share this machine's clock. Only `date` sees another one: under every process libfaketime has sshd end logins of new users.
printf '#!/bin/sh\nLD_PRELOAD=%s FAKETIME=-90 exec /bin/date "$@"\n' /usr/lib/*/faketime/libfaketime.so.1 >/usr/local/bin/date
chmod 755 /usr/local/bin/date
"""


def more_nodes(lab: Lab) -> list[dict[str, Any]]:
    """compute1, and more under other names at other ports of it that each have something wrong."""
    here = lab.address("compute1")
    known = (lab_state() / "known_hosts").read_text().splitlines()
    key = next(line.partition(" ")[2] for line in known if line.startswith(f"{here} "))
    subnet = here.rpartition(".")[0]
    another = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    wrong: list[dict[str, Any]] = [
        {"name": "compute2", "port": 2202},
        {"name": "compute3", "port": 2203, "host_key": another},
        {"name": "compute4", "port": 2204, "user": "nobody"},
        {"name": "compute5", "port": 2205, "user": "visitor"},
        {"name": "compute6", "port": 2},
    ]
    same = {"host": here, "host_key": key}
    return [{}, *({**same, **each, "address": f"{subnet}.{130 + number}"} for number, each in enumerate(wrong))]


@pytest.fixture(scope="module")
def told(lab: Lab, stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the command finds, as JSON; `said` has all that it prints otherwise."""
    lab.openstack("keystone tenant-delete service")
    password = shlex.quote(setting("DB_ROOT_PASS"))
    lab.run("controller", f"set -e\nDB_ROOT_PASS={password}\n{CONTROLLER}")
    lab.run("compute1", f"set -e\n{COMPUTE}")
    settings = stack.configured(
        tmp_path_factory.mktemp("settings"), computes=more_nodes(lab), identity={"role": "operator"}
    )
    done = stack.command("check", "--json", "--config-file", settings)
    assert done.returncode == 2, done.stdout + done.stderr
    return {**json.loads(done.stdout), "said": done.stdout + done.stderr}


def test_each_thing_that_is_broken_is_found_at_once(told: dict[str, Any]) -> None:
    expected = {
        ("controller", "ports"): "port 8774, which nova-api needs, is taken at 0.0.0.0 by process",
        ("controller", "servers"): "RabbitMQ at controller:5672 refuses nova's account from there: ACCESS_REFUSED",
        ("compute1", "names"): "the name controller does not resolve there",
        ("compute1", "packages"): "apt has no source of packages",
        ("compute1", "adoption"): "somebody has written /etc/nova/nova.conf, which differs from the stack in",
        (
            "compute1",
            "clock",
        ): "behind that of controller, and it may differ by 50 s: its reports have the conductor's clock",
        ("compute2", "host name"): "the machine at this address calls itself compute1",
        ("compute3", "login"): "its host key is not the one we trust",
        ("compute4", "login"): "the machine refused the login: Permission denied for user nobody",
        ("compute5", "sudo"): "sudo refused: sudo: a password is required",
        ("compute6", "login"): "no SSH connection: Connection refused",
        ("Keystone", "tenant and role"): "has no tenant service",
        ("MariaDB", "login"): "Access denied for user 'root'@'localhost'",
    }
    found = {(each["where"], each["subject"]): "" for each in told["problems"]}
    for each in told["problems"]:
        found[each["where"], each["subject"]] += each["what"]
        assert each["do"], each
    assert set(found) == set(expected)
    assert [what for place, what in expected.items() if what not in found[place]] == []
    assert "has no role operator" in found["Keystone", "tenant and role"]


def test_nothing_of_it_is_a_secret_or_a_traceback(told: dict[str, Any]) -> None:
    assert "Traceback" not in told["said"]
    assert [name for name in ("DB_ROOT_PASS", "ADMIN_PASS", "RABBIT_PASS") if setting(name) in told["said"]] == []
    assert "of-somebody" not in told["said"]


def test_the_table_says_the_same_and_counts(lab: Lab, told: dict[str, Any], stack: Stack) -> None:
    for node in NODES:
        lab.run(node, f"touch {MARK} && sleep 0.1")
    done = stack.command("check")
    assert done.returncode == 2
    text = " ".join(done.stdout.split())
    for word in ("| Where", "| What to do", "port 8774, which nova-api needs", "the name controller does not resolve"):
        assert word in text
    assert "problems on 2 of 2 machines and 2 of 2 servers; 0 machines in order." in text
    for node in NODES:
        assert written(lab, node) == []
