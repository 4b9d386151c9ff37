"""What is printed when a machine refuses, each cause made to happen on a real one and put right again.

A test compares with its row in docs/errors.md, and looks for the secrets that were there to be printed.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from nova_infra.access import Access
from nova_infra.checks import machine
from nova_infra.errors import ConnectionFailed, NoConnection, NovaInfraError, StepFailed
from nova_infra.masking import Secret
from nova_infra.remote import connecting
from nova_infra.remote import login as login_module
from nova_infra.remote.connection import Connection
from nova_infra.remote.inspection import Question, inspect
from nova_infra.remote.script import Answer, Call, call
from nova_infra.resources.node_packages import NodePackagesLifecycle
from tests.error_rows import assert_printed
from tests.nodes import Lab, lab_state, setting
from tests.unit.test_check import needs as needs_of

from .test_node_packages import NO_REPOSITORY, OTHER, REPOSITORY, TOOL, another_apt, wanted

BIG, USING = "novainfratest-big", "novainfratest-user"
SECRET = "lab-hunter2-secret"
# Of the stack, and of these tests.
SECRETS = (SECRET, setting("DB_ROOT_PASS"), setting("ADMIN_PASS"))


def printed(error: NovaInfraError) -> str:
    """What a user reads of it: no secret, no traceback."""
    text = str(error)
    assert [secret for secret in SECRETS if secret in text] == []
    assert "Traceback" not in text
    return text


def with_(access: Access, **changes: str) -> Access:
    """The same access with other settings."""
    return Access(lambda key: changes.get(key, access.get(key)))


def look(lab: Lab, access: Access, kind: type[NovaInfraError] = ConnectionFailed, **changes: Any) -> str:
    """What is printed when compute1 is looked at."""
    place = {"host": lab.address("compute1"), "port": 22, "user": "ubuntu", "host_key": "", **changes}
    with pytest.raises(kind) as raised:
        inspect(access.node("compute1", place), Question())
    return printed(raised.value)


# ------------------------------------------------------------ connecting


@pytest.fixture
def one_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connecting is tried once, and for 2 s."""
    monkeypatch.setattr(connecting, "CONNECT_TRIES", 1)
    monkeypatch.setattr(login_module, "CONNECT_SECONDS", 2)


def test_a_host_key_that_is_not_the_trusted_one(lab: Lab, access: Access) -> None:
    other = (lab_state() / "id_ed25519.pub").read_text().rsplit(" ", 1)[0]
    assert_printed("Wrong host key", look(lab, access, host_key=other))


def test_a_name_that_nobody_knows(lab: Lab, access: Access, one_try: None, monkeypatch: pytest.MonkeyPatch) -> None:
    # The resolver itself answers; told to look nowhere, it asks no server outside of the lab.
    real = socket.getaddrinfo

    def here_only(host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0) -> Any:  # noqa: A002, PLR0917
        return real(host, port, family, type, proto, flags | socket.AI_NUMERICHOST)

    monkeypatch.setattr(socket, "getaddrinfo", here_only)
    assert_printed("No route: unknown name", look(lab, access, host="no-such-machine"))


def test_an_address_that_no_machine_has(
    lab: Lab, access: Access, one_try: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The kernel asks the lab's network for 3 s who has the address.
    monkeypatch.setattr(login_module, "CONNECT_SECONDS", 10)
    nobody = lab.address("compute1").rsplit(".", 1)[0] + ".250"
    assert_printed("No route: nobody has the address", look(lab, access, NoConnection, host=nobody))


def test_a_machine_without_sshd(lab: Lab, access: Access, one_try: None) -> None:
    assert_printed("No route: no sshd", look(lab, access, NoConnection, port=2222))


def test_a_firewall_that_drops_what_we_send(lab: Lab, access: Access, one_try: None) -> None:
    lab.inside("compute1", "iptables -I INPUT -p tcp --dport 2222 -j DROP")
    try:
        assert_printed("No route: firewall", look(lab, access, NoConnection, port=2222))
    finally:
        lab.inside("compute1", "iptables -D INPUT -p tcp --dport 2222 -j DROP")


def test_a_login_that_the_machine_does_not_know(lab: Lab, access: Access) -> None:
    assert_printed("No login", look(lab, with_(access, ssh_password=SECRET), user="nobody-here"))


# ------------------------------------------------------------ sudo

USER = "novainfra-login"


@pytest.fixture
def login(lab: Lab) -> Iterator[None]:
    """One more login on compute1, whom sudo asks for a password."""
    lab.inside(
        "compute1",
        f"useradd --create-home --shell /bin/bash {USER} && echo {USER}:{SECRET} | chpasswd && cp -r /home/ubuntu/.ssh /home/{USER} && "
        f"chown -R {USER}: /home/{USER}/.ssh && echo '{USER} ALL=(ALL) ALL' >/etc/sudoers.d/{USER} && chmod 440 /etc/sudoers.d/{USER}",
    )
    yield
    lab.inside(
        "compute1",
        f"rm -f /etc/sudoers.d/{USER}; pkill -KILL -u {USER}; for try in 1 2 3 4 5; do userdel --remove {USER} 2>/dev/null && break; sleep 1; "
        f"done; ! id {USER} 2>/dev/null",
    )


def test_a_machine_without_sudo(lab: Lab, access: Access) -> None:
    lab.inside("compute1", "mv /usr/bin/sudo /usr/bin/sudo.away")
    try:
        assert_printed("No sudo", look(lab, access))
    finally:
        lab.inside("compute1", "mv /usr/bin/sudo.away /usr/bin/sudo")


def test_a_login_that_sudo_does_not_allow_everything(lab: Lab, access: Access, login: None) -> None:
    lab.inside("compute1", f"echo '{USER} ALL=(ALL) /bin/ls' >/etc/sudoers.d/{USER}")
    text = look(lab, with_(access, ssh_sudo_password=SECRET), user=USER)
    assert_printed("Sudo: the login may not", text)
    lab.inside("compute1", f"rm /etc/sudoers.d/{USER}")
    text = look(lab, with_(access, ssh_sudo_password=SECRET), user=USER)
    assert_printed("Sudo: the login is unknown to it", text)


def test_a_sudo_that_wants_a_password(lab: Lab, access: Access, login: None) -> None:
    assert_printed("Sudo wants a password", look(lab, access, user=USER))


def test_a_sudo_password_that_is_wrong(lab: Lab, access: Access, login: None) -> None:
    assert_printed("Sudo gets a wrong password", look(lab, with_(access, ssh_sudo_password=f"{SECRET}-2"), user=USER))


# ------------------------------------------------------------ no way to a UNIX socket


@pytest.fixture
def no_forwarding(lab: Lab) -> Iterator[None]:
    """The controller's sshd forwards to no UNIX socket, as Ubuntu 14.04's."""
    settings = "/etc/ssh/sshd_config.d/novainfratest.conf"
    lab.inside("controller", f"echo 'AllowStreamLocalForwarding no' >{settings}; kill -HUP $(cat /run/sshd.pid)")
    yield
    lab.inside("controller", f"rm -f {settings}; kill -HUP $(cat /run/sshd.pid)")


def through_a_new_connection(access: Access) -> Access:
    """The same access whose connections are made anew."""
    return with_(access, ssh_known_hosts_file=str(lab_state() / "hostkeys" / ".." / "known_hosts"))


def test_a_machine_without_netcat_where_sshd_does_not_forward(lab: Lab, access: Access, no_forwarding: None) -> None:
    lab.inside("controller", "mv /bin/nc.openbsd /bin/nc.away")
    try:
        with pytest.raises(StepFailed) as raised:
            through_a_new_connection(access).database.schema("nova")
    finally:
        lab.inside("controller", "mv /bin/nc.away /bin/nc.openbsd")
    assert_printed("No `nc`", printed(raised.value))
    # Nothing but netcat was missing.
    assert through_a_new_connection(access).database.schema("information_schema") is not None


# ------------------------------------------------------------ apt and dpkg


@pytest.fixture(scope="module")
def repository(lab: Lab) -> Iterator[None]:
    """The repository of test_node_packages.py."""
    lab.run("compute1", NO_REPOSITORY + REPOSITORY)
    try:
        yield
    finally:
        lab.run("compute1", NO_REPOSITORY)


@pytest.fixture
def packages(access: Access, lab: Lab, repository: None) -> Iterator[NodePackagesLifecycle]:
    """The resource's own code; afterwards nothing of it is on the node."""
    lifecycle = NodePackagesLifecycle()
    lifecycle.access = access
    yield lifecycle
    lab.inside("compute1", "rm -f /run/novainfratest-fails; dpkg --configure -a >/dev/null")
    lifecycle.remove(wanted(lab, TOOL))
    assert lab.inside("compute1", "ls -d /var/lib/nova-infra 2>/dev/null; true") == ""


def install(packages: NodePackagesLifecycle, state: dict[str, Any]) -> str:
    """What is printed when these cannot be installed."""
    with pytest.raises(StepFailed) as raised:
        packages.make(state)
    return printed(raised.value)


def test_a_package_that_no_source_has(lab: Lab, packages: NodePackagesLifecycle) -> None:
    assert_printed("No such package", install(packages, wanted(lab, "no-such-package")))


def test_a_source_that_does_not_answer_and_whose_login_is_a_secret(
    lab: Lab, packages: NodePackagesLifecycle, capsys: pytest.CaptureFixture[str]
) -> None:
    source = "/etc/apt/sources.list.d/novainfratest-2.list"
    lab.inside("compute1", f"echo 'deb [trusted=yes] http://{SECRET}@127.0.0.1:9/ ./' >{source}")
    try:
        text = install(packages, wanted(lab, "no-such-package"))
    finally:
        lab.inside("compute1", f"rm -f {source}")
    assert_printed("No such package, and a source that does not answer", text)
    progress = capsys.readouterr().out
    assert "Failed to fetch http://127.0.0.1:9/" in progress
    assert SECRET not in progress


def test_a_version_that_no_source_has(lab: Lab, packages: NodePackagesLifecycle) -> None:
    assert_printed("No such version of a package", install(packages, wanted(lab, f"{TOOL}=9.9")))


def test_another_apt_that_does_not_end(
    lab: Lab, packages: NodePackagesLifecycle, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Connection.run

    def impatient(self: Connection, calls: Iterable[Call], **more: Any) -> Answer:
        return run(self, [Call("apt_patience=1"), *calls], **more)

    monkeypatch.setattr(Connection, "run", impatient)
    with another_apt(lab, 60):
        text = install(packages, wanted(lab, TOOL))
        # The one that is named is the one to end.
        lab.inside("compute1", f"kill {text.partition('process ')[2].split()[0]}")
    assert_printed("Apt locked by another", text)
    packages.make(wanted(lab, TOOL))


def test_a_package_that_cannot_be_configured_and_then_can(lab: Lab, packages: NodePackagesLifecycle) -> None:
    lab.inside("compute1", "touch /run/novainfratest-fails")
    # The one that depends on it is not the one to look at.
    text = install(packages, wanted(lab, USING))
    assert_printed("Dpkg left half configured", text)
    assert f"dpkg: error processing package {USING}" not in text
    lab.inside("compute1", "rm /run/novainfratest-fails")
    assert packages.make(wanted(lab, USING))["versions"] == {USING: "1.0"}


def test_a_package_that_somebody_has_left_half_configured(lab: Lab, packages: NodePackagesLifecycle) -> None:
    by_hand = f"export DEBIAN_FRONTEND=noninteractive; ! apt-get -qq -y install {OTHER} >/dev/null 2>&1"
    lab.inside("compute1", f"touch /run/novainfratest-fails; {by_hand}")
    try:
        assert_printed("Dpkg left half configured", install(packages, wanted(lab, BIG)))
        lab.inside("compute1", "rm /run/novainfratest-fails")
        packages.make(wanted(lab, BIG, TOOL))
        assert lab.inside("compute1", f"dpkg-query -W -f '${{Status}}' {OTHER}") == "install ok installed"
    finally:
        lab.inside("compute1", f"rm -f /run/novainfratest-fails; dpkg --purge {OTHER} >/dev/null 2>&1")


# ------------------------------------------------------------ what `check` says of packages


def packages_of_check(lab: Lab, access: Access, *names: str) -> list[str]:
    """What `check` says of apt and dpkg on compute1, where these packages are to be there. It leaves no trace."""
    needs = replace(needs_of("compute1"), packages=names, places=())
    traces = (
        "dpkg-query -l | md5sum; ls -l --time-style=full-iso /var/cache/apt /var/lib/apt/lists /var/lib/dpkg/status"
    )
    before = lab.run("compute1", traces)
    node = access.node("compute1", wanted(lab, TOOL)["connection"])
    answer = machine.ask(node, needs, [], lambda _dial: "")
    assert lab.run("compute1", traces) == before
    return [each.what for each in machine.findings(needs, answer) if each.subject == "packages"]


@pytest.fixture
def tidy(lab: Lab, repository: None) -> Iterator[None]:
    """Afterwards none of the packages is on the node."""
    # The repository's own `apt-get update` has left a cache of that source alone, which the next apt makes anew.
    lab.run("compute1", "apt-cache policy >/dev/null")
    yield
    lab.run(
        "compute1",
        "rm -f /run/novainfratest-fails; names=$(dpkg-query -W -f '${Package} ' 'novainfratest-*' 2>/dev/null) || exit 0\n"
        "{ apt-mark unhold $names; dpkg --purge --force-all $names; } >/dev/null 2>&1\n"
        "for user in novainfra-lib novainfra-tool; do ! id $user >/dev/null 2>&1 || userdel $user; done",
    )


APT = "DEBIAN_FRONTEND=noninteractive apt-get -qq -y install"


def test_check_has_nothing_to_say_of_packages_that_are_there_or_can_come(lab: Lab, access: Access, tidy: None) -> None:
    assert packages_of_check(lab, access, TOOL, f"{TOOL}=1.0") == []
    lab.run("compute1", f"{APT} {TOOL}=1.0 >/dev/null 2>&1")
    assert packages_of_check(lab, access, TOOL, f"{TOOL}=1.0") == []
    # Another version of what is there; nothing is removed for it.
    assert packages_of_check(lab, access, f"{TOOL}=2.0") == []


def test_check_names_a_package_and_a_version_that_no_source_has(lab: Lab, access: Access, tidy: None) -> None:
    (said,) = packages_of_check(lab, access, "no-such-package", TOOL)
    assert said.startswith(f"apt cannot install no-such-package {TOOL}: ")
    assert "Unable to locate package no-such-package" in said
    (said,) = packages_of_check(lab, access, f"{TOOL}=9.9")
    assert said.startswith(f"apt cannot install {TOOL}=9.9: ")
    assert f"Version '9.9' for '{TOOL}' was not found" in said


def test_check_names_a_package_that_somebody_holds_back(lab: Lab, access: Access, tidy: None) -> None:
    lab.run("compute1", f"{{ {APT} {TOOL}=1.0; apt-mark hold {TOOL}; }} >/dev/null 2>&1")
    # As long as it may stay as it is, nobody minds.
    assert packages_of_check(lab, access, TOOL) == []
    assert f"apt would change packages that are held back: {TOOL}" in packages_of_check(lab, access, f"{TOOL}=2.0")


def test_check_names_what_dpkg_has_left_half_configured_and_who_holds_its_lock(
    lab: Lab, access: Access, tidy: None
) -> None:
    lab.run("compute1", f"touch /run/novainfratest-fails; ! {APT} {USING} >/dev/null 2>&1")
    # The one that depends on it was unpacked only.
    assert packages_of_check(lab, access, OTHER) == [f"dpkg has left these unfinished: {OTHER} {USING}"]
    with another_apt(lab, 60):
        (held, *_rest) = packages_of_check(lab, access, TOOL)
        assert re.fullmatch(r"process \d+ \(.*\) holds the lock of apt or dpkg", held)
        lab.inside("compute1", f"kill {held.split()[1]}")


# ------------------------------------------------------------ disks


def test_a_disk_that_is_full_where_apt_unpacks(lab: Lab, packages: NodePackagesLifecycle) -> None:
    with lab.small_disk("compute1", "/opt/novainfratest", "size=64k"):
        assert_printed("Disk full: apt unpacks", install(packages, wanted(lab, BIG)))
    assert packages.make(wanted(lab, BIG))["versions"] == {BIG: "1.0"}


def test_a_disk_that_is_full_where_dpkg_keeps_its_books(lab: Lab, packages: NodePackagesLifecycle) -> None:
    with lab.small_disk("compute1", "/var/lib/dpkg/updates", "nr_inodes=1"):
        assert_printed("Disk full: dpkg", install(packages, wanted(lab, TOOL)))
    packages.make(wanted(lab, TOOL))


def test_a_disk_that_is_full_where_we_take_notes(lab: Lab, packages: NodePackagesLifecycle) -> None:
    with lab.small_disk("compute1", "/var/lib/nova-infra", "size=64k"):
        lab.inside("compute1", "head -c 100000 /dev/zero >/var/lib/nova-infra/fill 2>/dev/null; true")
        assert_printed("Disk full: our notes", install(packages, wanted(lab, TOOL)))


def test_a_disk_without_an_inode_for_our_lock(lab: Lab, packages: NodePackagesLifecycle) -> None:
    with lab.small_disk("compute1", "/var/lib/nova-infra", "nr_inodes=1"):
        assert_printed("No inode for our lock", install(packages, wanted(lab, TOOL)))


def test_a_disk_that_is_full_where_a_configuration_file_goes(lab: Lab, access: Access) -> None:
    node = access.node("compute1", wanted(lab, TOOL)["connection"])
    path = "/etc/novainfratest/nova.conf"
    write = call("put_file", path, "root", "root", "640", Secret(SECRET * 10_000), title=f"writing {path}")
    try:
        with lab.small_disk("compute1", "/etc/novainfratest", "size=64k"):
            lab.inside("compute1", f"echo before >{path}")
            with pytest.raises(StepFailed) as raised:
                node.run([write], doing="configuring", deadline=30, secrets=[SECRET])
            # What was there is whole.
            assert lab.inside("compute1", f"cat {path}") == "before\n"
    finally:
        lab.inside("compute1", "rm -rf /var/lib/nova-infra")
    assert_printed("Disk full: our files", printed(raised.value))
