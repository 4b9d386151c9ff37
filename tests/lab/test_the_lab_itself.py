"""The lab by itself: nodes that begin where the guide's compute chapter begins, and behave like machines."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.nodes import ROOT, Lab, eventually, lab_state, setting

pytestmark = pytest.mark.lab

CONTROLLER_PACKAGES = (
    "nova-api nova-cert nova-conductor nova-consoleauth nova-novncproxy nova-scheduler python-novaclient"
)
COMPUTE_PACKAGES = "nova-compute sysfsutils"


def podman(*arguments: str) -> None:
    subprocess.run(["podman", *arguments], check=True, capture_output=True, timeout=120)


def lab_command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """One of the lab's scripts, with LAB_... settings."""
    command = [
        "env",
        *(f"{name}={value}" for name, value in environment.items()),
        f"lab/{arguments[0]}",
        *arguments[1:],
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


def test_up_changes_nothing_on_running_nodes(lab: Lab) -> None:
    before = lab.run("controller", "awk '{ print $22 }' /proc/1/stat")

    done = lab_command("up")

    assert done.returncode == 0, done.stderr
    assert before == lab.run("controller", "awk '{ print $22 }' /proc/1/stat")


def test_the_bridge_check_passes_and_names_another_subnet(lab: Lab) -> None:
    assert lab_command("bridge").returncode == 0

    other = lab_command("bridge", LAB_SUBNET="10.98.0.0/24")

    assert other.returncode == 1
    assert "lab/reset" in other.stderr
    assert len(other.stderr.splitlines()) == 1


def test_a_subnet_that_this_machine_uses_is_refused_with_the_way_out(lab: Lab) -> None:
    used = "127.0.0.0/24"

    done = lab_command("up", LAB_SUBNET=used)

    assert done.returncode == 1
    assert "LAB_SUBNET" in done.stderr
    assert lab_command("bridge").returncode == 0, "the running lab was touched"


def subnet_of(lab: Lab) -> str:
    return lab.address("controller").rpartition(".")[0] + ".0/24"


def chosen_subnet(state: Path, usual: str, **environment: str) -> list[str]:
    """What lab/up says of its network, and the one that it takes, for a lab that is not there yet."""
    script = f". lab/settings.sh; . lab/network.sh; on_subnet {usual}; choose_subnet; say $SUBNET"
    env = {**os.environ, "LAB_STATE": str(state), "LAB_NAME": "nova-lab-elsewhere", "LAB_SUBNET": "", **environment}
    done = subprocess.run(["bash", "-c", script], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_where_the_usual_network_is_in_use_the_next_free_one_is_taken_and_it_is_said(lab: Lab, tmp_path: Path) -> None:
    mine = subnet_of(lab)

    said, taken = chosen_subnet(tmp_path, mine)

    assert said.startswith(f"==> lab: {mine} is already in use on this machine ({mine[:-5]}.")
    assert said.endswith(f"the lab takes {taken}")
    assert taken != mine
    assert lab_command("bridge", LAB_SUBNET=taken).returncode == 1, "it is the running lab's"


def test_a_network_that_is_free_or_asked_for_is_the_one_that_is_taken(lab: Lab, tmp_path: Path) -> None:
    mine = subnet_of(lab)

    assert chosen_subnet(tmp_path, "10.98.0.0/24") == ["10.98.0.0/24"]
    assert chosen_subnet(tmp_path, mine, LAB_SUBNET=mine) == [mine], "lab/up refuses it, with the way out"


@pytest.mark.parametrize("subnet", ["10.0.0.0/16", "10.0.0.300/24", "nonsense"])
def test_a_subnet_of_another_form_is_refused(subnet: str) -> None:
    done = lab_command("bridge", LAB_SUBNET=subnet)

    assert done.returncode == 1
    assert subnet in done.stderr


def test_tests_have_a_lab_of_their_own(lab: Lab) -> None:
    assert lab_state() != ROOT / ".lab"
    assert lab.container("controller").startswith("nova-test-")


@pytest.mark.parametrize("name", ["", "Not a name", "-q"])
def test_nodes_are_kept_under_a_name_that_an_image_can_have(name: str) -> None:
    done = lab_command("keep", name)

    assert done.returncode == 1
    assert "small letters, digits and hyphens" in done.stderr


def test_the_login_user_has_a_key_no_password_and_sudo(lab: Lab) -> None:
    assert lab.run("controller", "passwd --status ubuntu").split()[1] == "L"
    assert lab_command("ssh", "compute1", "sudo", "-n", "id", "-un").stdout.strip() == "root"


def test_root_has_no_login_over_ssh(lab: Lab) -> None:
    done = subprocess.run(
        [
            *("ssh", "-F", "none", "-i", lab_state() / "id_ed25519", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"),
            *("-o", f"UserKnownHostsFile={lab_state() / 'known_hosts'}", f"root@{lab.address('compute1')}", "true"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert "Permission denied" in done.stderr


def test_nodes_know_each_other_by_name(lab: Lab) -> None:
    for node in ("controller", "compute1"):
        assert lab.run(node, "hostname").strip() == node
        for other in ("controller", "compute1"):
            assert lab.run(node, f"getent hosts {other}").split()[0] == lab.address(other)


def test_nodes_reach_nothing_but_the_lab(lab: Lab) -> None:
    assert "default" not in lab.run("compute1", "ip route")


def test_mariadb_listens_on_the_management_address_only(lab: Lab) -> None:
    listening = lab.run("controller", "ss -ltnH 'sport = :3306'").split()

    assert f"{lab.address('controller')}:3306" in listening
    assert not any(word.startswith(("0.0.0.0:3306", "*:3306", "127.0.0.1:3306")) for word in listening)


def test_root_of_mariadb_is_at_localhost_with_a_password(lab: Lab) -> None:
    without = lab.run("controller", "mysql -u root -e 'SELECT 1' 2>&1 || true")
    elsewhere = lab.run(
        "controller",
        f"MYSQL_PWD={setting('DB_ROOT_PASS')} mysql -u root -h controller -e 'SELECT 1' 2>&1 || true",
    )
    as_somebody = lab.run(
        "controller", f"su ubuntu -c 'MYSQL_PWD={setting('DB_ROOT_PASS')} mysql -u root -Nse \"SELECT CURRENT_USER()\"'"
    )

    assert "Access denied" in without
    assert "Access denied" in elsewhere or "not allowed to connect" in elsewhere
    assert as_somebody.strip() == "root@localhost"


def test_mariadb_has_no_anonymous_users_and_no_test_database(lab: Lab) -> None:
    assert lab.sql("SELECT COUNT(*) FROM mysql.user WHERE User = ''") == [["0"]]
    assert lab.sql("SHOW DATABASES LIKE 'test%'") == []
    assert lab.sql("SELECT Host FROM mysql.user WHERE User = 'root'") == [["localhost"]]


def test_the_guides_package_names_are_candidates_in_apt(lab: Lab) -> None:
    for node, packages in (("controller", CONTROLLER_PACKAGES), ("compute1", COMPUTE_PACKAGES)):
        policy = lab.run(node, f"apt-get -q update >&2 && apt-cache policy {packages}")

        assert policy.count("Candidate: ") == len(packages.split())
        assert "Candidate: (none)" not in policy


def test_keystone_has_the_tenants_and_roles_of_the_guide(lab: Lab) -> None:
    assert {"admin", "service"} <= {row["name"] for row in lab.table("keystone tenant-list")}
    assert {"admin", "_member_"} <= {row["name"] for row in lab.table("keystone role-list")}
    assert {row["type"] for row in lab.table("keystone service-list")} >= {"identity", "image"}


def test_glance_has_the_image_and_its_clients_need_no_nova_package(lab: Lab) -> None:
    assert [(row["Name"], row["Status"]) for row in lab.table("glance image-list")] == [
        ("cirros-0.3.3-x86_64", "active")
    ]


def test_the_credentials_are_readable_by_root_only(lab: Lab) -> None:
    assert lab.run("controller", "stat -c '%a %U' /root/admin-openrc.sh").split() == ["600", "root"]
    assert (lab_state() / "id_ed25519").stat().st_mode & 0o077 == 0


@pytest.mark.slow
def test_servers_start_with_their_node_and_data_survive(lab: Lab) -> None:
    lab.run("controller", "echo kept > /root/kept")
    lab.sql("CREATE DATABASE kept")
    try:
        podman("stop", lab.container("controller"))
        podman("start", lab.container("controller"))
        done = lab_command("up")

        assert done.returncode == 0, done.stderr
        assert lab.sql("SHOW DATABASES LIKE 'kept'") == [["kept"]]
        assert lab.run("controller", "cat /root/kept").strip() == "kept"
        assert "service" in {row["name"] for row in lab.table("keystone tenant-list")}
        assert "cirros-0.3.3-x86_64" in {row["Name"] for row in lab.table("glance image-list")}
    finally:
        lab.sql("DROP DATABASE IF EXISTS kept")
        lab.run("controller", "rm -f /root/kept")


@pytest.mark.slow
def test_nodes_whose_processes_were_killed_come_back(lab: Lab) -> None:
    """As after a power cut: podman itself still thinks that the node runs."""
    pids = subprocess.run(
        [
            "podman",
            "container",
            "inspect",
            lab.container("compute1"),
            "--format",
            "{{.State.ConmonPid}} {{.State.Pid}}",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    subprocess.run(["kill", "-KILL", *pids], check=True)
    assert eventually(lambda: not any(Path("/proc", pid).exists() for pid in pids), seconds=10)

    done = lab_command("up")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "connected" in lab.run("compute1", "virsh -q -c qemu:///system hostname >/dev/null && echo connected")


@pytest.mark.slow
def test_nodes_whose_keys_are_gone_make_room_for_new_ones(lab: Lab, tmp_path: Path) -> None:
    """A checkout was removed and cloned again into the same folder: nobody can log in to what runs."""
    for name in ("id_ed25519", "id_ed25519.pub", "known_hosts", "hostkeys"):
        shutil.move(lab_state() / name, tmp_path / name)

    done = lab_command("up")

    assert done.returncode == 0, done.stderr
    assert "keys of the nodes that run here are gone" in done.stdout
    assert lab_command("ssh", "compute1", "id", "-un").stdout == "ubuntu\n"
