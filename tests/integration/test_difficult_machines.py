"""Machines that are hard to reach: each row is an inspection and an apply of a small node through a real sshd."""

from __future__ import annotations

import dataclasses
import os
import shlex
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from nova_infra.access import Access
from nova_infra.errors import ConnectionFailed, NoConnection, StepFailed
from nova_infra.remote import connecting
from nova_infra.remote.connection import Address, Connection, Login
from nova_infra.remote.inspection import Question, inspect
from nova_infra.remote.script import Call, call
from tests.error_rows import assert_printed
from tests.integration.doors import (
    FILE,
    FOLDER,
    by_key,
    clean,
    door,
    host_key,
    key_file,
    line,
    look_and_apply,
    sshd,
    user,
)
from tests.nodes import Lab, lab_state

PORT = 2201
ON = call("fact", "on")


@pytest.fixture(autouse=True)
def cleaned(lab: Lab) -> Iterator[None]:
    yield
    clean(lab, "compute1")


def reach(lab: Lab, who: str = "ubuntu", port: int = 22, login: Login | None = None) -> Connection:
    return Connection("compute1", door(lab, "compute1", who, port), login or by_key())


def run(node: Connection, *calls: Call) -> list[tuple[str, ...]]:
    return node.run(list(calls), doing="looking", deadline=30).facts


def refusal(node: Connection) -> str:
    with pytest.raises(ConnectionFailed) as error:
        run(node, ON)
    assert not isinstance(error.value, NoConnection)
    return str(error.value)


# ------------------------------------------------------------ logins


# What a profile may print: lines of any kind, one that looks like our answer, and one that does not end.
CHATTER = r"""echo 'Welcome to Ubuntu 14.04'
echo 'a warning' >&2
printf 'nova-infra-0123456789abcdef\tfact\thostname\tevil\n\tfact\tx\n'
printf 'nova-infra-0123456789abcdef\tend\n'
printf 'ubuntu@compute1:~$ '
"""


def profile(path: str, content: str) -> str:
    return f"printf '%s' {shlex.quote(content)} >{path}"


def plain_ssh(lab: Lab, who: str, command: str) -> subprocess.CompletedProcess[str]:
    """What OpenSSH's own client gets from the second sshd of compute1."""
    node = lab.address("compute1")
    trusted = ("-o", f"UserKnownHostsFile={lab_state() / 'known_hosts'}", "-o", f"HostKeyAlias={node}")
    words = ["ssh", "-F", "none", "-i", key_file(), "-o", "BatchMode=yes", *trusted, "-p", str(PORT)]
    return subprocess.run([*words, f"{who}@{node}", command], capture_output=True, text=True, timeout=30, check=False)


def test_a_login_that_prints_does_not_disturb_the_answer(lab: Lab) -> None:
    banner = f"Banner {FOLDER}/banner"
    with (
        user(lab, "compute1", "talks", setup=profile(".bashrc", CHATTER)),
        sshd(lab, "compute1", PORT, banner, "PrintMotd yes"),
    ):
        lab.run("compute1", f"printf 'Authorised users only\\nnova-infra\\tend\\n' >{FOLDER}/banner")
        plain = plain_ssh(lab, "talks", "true")
        assert plain.stdout.startswith("Welcome to Ubuntu 14.04\nnova-infra-0123456789abcdef\tfact\thostname\tevil\n")
        assert plain.stdout.endswith("ubuntu@compute1:~$ ")
        assert "Authorised users only\nnova-infra\tend\n" in plain.stderr.replace("\r", "")
        assert "a warning\n" in plain.stderr
        assert look_and_apply(reach(lab, "talks", PORT)).hostname == "compute1"
        lab.run("compute1", f"rm {FOLDER}/banner")


def test_what_a_login_prints_is_no_part_of_a_failure(lab: Lab) -> None:
    with user(lab, "compute1", "talks", setup=profile(".bashrc", CHATTER)), pytest.raises(StepFailed) as error:
        run(reach(lab, "talks"), Call("fail 'no space left'", title="writing"))
    assert "writing failed: no space left. When" in str(error.value)


DEBS = "/srv/nova-lab-debian"
SHELLS = {
    "csh": (f"dpkg -x {DEBS}/tcsh_*.deb {FOLDER}/csh", f"exec {FOLDER}/csh/bin/tcsh -f", ".tcshrc"),
    "fish": (
        f"for name in fish_ fish-common_ libpcre2-32-0_; do dpkg -x $(echo {DEBS}/$name*.deb) {FOLDER}/fish; done",
        f"LD_LIBRARY_PATH=$(echo {FOLDER}/fish/usr/lib/*-linux-gnu) exec {FOLDER}/fish/usr/bin/fish",
        ".config/fish/config.fish",
    ),
}


@pytest.fixture(scope="module", params=sorted(SHELLS))
def shell(request: pytest.FixtureRequest, lab: Lab) -> Iterator[str]:
    """A login shell that is no sh, on compute1."""
    unpack, begin, _ = SHELLS[request.param]
    path = f"{FOLDER}/{request.param}-login"
    lab.run(
        "compute1",
        f"set -e; mkdir -p {FOLDER}/{request.param}; {unpack}; chmod -R go+rX {FOLDER}\n"
        f"""printf '#!/bin/sh\\n%s "$@"\\n' {shlex.quote(begin)} >{path}; chmod 755 {path}""",
    )
    # It is what it is called: sh knows neither of these.
    asked = {"csh": "echo $version", "fish": "echo $FISH_VERSION"}[request.param]
    assert lab.run("compute1", f"{path} -c '{asked}'").strip()
    yield path
    lab.run("compute1", f"rm -rf {FOLDER}/{request.param} {path}; rmdir --ignore-fail-on-non-empty {FOLDER}")


@pytest.mark.parametrize("sudo_password", ["", "it's a $ecret! \\ `x`"])
def test_a_login_shell_that_is_no_sh(lab: Lab, shell: str, sudo_password: str) -> None:
    asks = "ALL" if sudo_password else "NOPASSWD: ALL"
    setup = f"echo foreign:{shlex.quote(sudo_password or 'x')} | chpasswd"
    with user(lab, "compute1", "foreign", login_shell=shell, sudoers=asks, setup=setup):
        login = by_key(sudo_password=sudo_password)
        assert look_and_apply(reach(lab, "foreign", login=login)).hostname == "compute1"


@contextmanager
def root(lab: Lab, *, shell: str = "/bin/bash", bashrc: str = "") -> Iterator[Connection]:
    """root's own login at compute1, without sudo, with this shell and this .bashrc. Nobody else gets a shell of root there meanwhile."""
    begin = (
        "mkdir -p -m 700 ~root/.ssh; cp ~ubuntu/.ssh/authorized_keys ~root/.ssh/; touch ~root/.bashrc; cp -p ~root/.bashrc ~root/.bashrc.kept\n"
        f"{profile('~root/.bashrc', bashrc)}; usermod -s {shell} root"
    )
    with sshd(lab, "compute1", PORT, "PermitRootLogin prohibit-password"):
        try:
            lab.inside("compute1", begin)
            yield reach(lab, "root", PORT)
        finally:
            lab.inside("compute1", "usermod -s /bin/bash root; mv ~root/.bashrc.kept ~root/.bashrc; rm -rf ~root/.ssh")


def test_the_shell_of_root_is_no_sh(lab: Lab, shell: str) -> None:
    with root(lab, shell=shell) as node:
        assert look_and_apply(node).hostname == "compute1"


@pytest.fixture(scope="module")
def german(lab: Lab) -> Iterator[str]:
    """A language in which the C library of compute1 speaks."""
    lab.run(
        "compute1",
        f"set -e; mkdir -p {FOLDER}/de /usr/lib/locale; for name in locales_ libc-l10n_; do dpkg -x $(echo {DEBS}/$name*.deb) {FOLDER}/de; done\n"
        f"I18NPATH={FOLDER}/de/usr/share/i18n localedef --no-archive -i de_DE -f UTF-8 /usr/lib/locale/de_DE.utf8 || [ $? = 1 ]\n"
        f"mkdir -p /usr/share/locale/de; cp -r {FOLDER}/de/usr/share/locale/de/LC_MESSAGES /usr/share/locale/de/",
    )
    yield "de_DE.UTF-8"
    lab.run(
        "compute1",
        f"rm -rf {FOLDER}/de /usr/lib/locale/de_DE.utf8 /usr/share/locale/de; rmdir --ignore-fail-on-non-empty {FOLDER}",
    )


ASKED = Call('said=$(cat /no/such 2>&1); fact said "$said"')
IN_ENGLISH = [("said", "cat: /no/such: No such file or directory")]


def test_a_login_in_another_language(lab: Lab, german: str) -> None:
    language = f"export LANG={german} LC_ALL={german} LANGUAGE=de\n"
    with user(lab, "compute1", "deutsch", setup=profile(".bashrc", language)):
        in_german = "sudo -u deutsch env -i HOME=/home/deutsch bash -c '. ~/.bashrc; cat /no/such 2>&1'; true"
        assert "Datei oder Verzeichnis nicht gefunden" in lab.run("compute1", in_german)
        node = reach(lab, "deutsch")
        assert look_and_apply(node).hostname == "compute1"
        assert run(node, ASKED) == IN_ENGLISH
    clean(lab, "compute1")
    # sudo resets the language; here is none.
    with root(lab, bashrc=language) as node:
        assert "Datei oder Verzeichnis nicht gefunden" in plain_ssh(lab, "root", "cat /no/such").stderr
        assert look_and_apply(node).hostname == "compute1"
        assert run(node, ASKED) == IN_ENGLISH


def test_a_language_that_sshd_sets(lab: Lab, german: str) -> None:
    with sshd(lab, "compute1", PORT, f"SetEnv LC_ALL={german} LANG={german}"):
        node = reach(lab, "ubuntu", PORT)
        assert look_and_apply(node).hostname == "compute1"
        assert run(node, ASKED) == IN_ENGLISH


# GREP_OPTIONS is for the grep of Ubuntu 14.04: the lab's newer one ignores it.
NARROW = "umask 077\nexport PATH=/none CDPATH=/:/etc GREP_OPTIONS=--color=always\n"


def test_a_login_with_a_short_path_a_narrow_umask_and_a_path_of_cd(lab: Lab) -> None:
    with user(lab, "compute1", "narrow", setup=profile(".bashrc", NARROW)):
        assert look_and_apply(reach(lab, "narrow")).files[FILE].mode == "644"


def test_a_login_of_root_with_a_short_path_a_narrow_umask_and_a_path_of_cd(lab: Lab) -> None:
    # sudo would reset all of it.
    with root(lab, bashrc=NARROW) as node:
        assert plain_ssh(lab, "root", "umask; echo $PATH; cd /; cd apt").stdout.split() == ["0077", "/none", "/etc/apt"]
        assert look_and_apply(node).files[FILE].mode == "644"
        assert run(node, Call('cd /; fact apt "$(cd apt 2>/dev/null && pwd || echo nowhere)"')) == [("apt", "nowhere")]


def test_a_machine_on_whose_tmp_nothing_runs(lab: Lab) -> None:
    pid = subprocess.run(
        ["podman", "inspect", lab.container("compute1"), "--format", "{{.State.Pid}}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    inside = ["nsenter", "-t", pid, "-m"]
    subprocess.run([*inside, "mount", "-t", "tmpfs", "-o", "noexec,nosuid,mode=1777", "tmpfs", "/tmp"], check=True)  # noqa: S108
    try:
        assert "126" in lab.run("compute1", "printf '#!/bin/sh\\n' >/tmp/x; chmod 755 /tmp/x; /tmp/x; echo $?")
        assert look_and_apply(reach(lab)).hostname == "compute1"
    finally:
        subprocess.run([*inside, "umount", "/tmp"], check=True)  # noqa: S108


# ------------------------------------------------------------ sudo


def test_sudo_that_asks_for_a_password_and_lectures(lab: Lab) -> None:
    rules = "echo 'Defaults:asked lecture=always' >>/etc/sudoers.d/asked; echo 'asked:it is $ecret' | chpasswd"
    with user(lab, "compute1", "asked", sudoers="ALL", setup=rules):
        login = by_key(sudo_password="it is $ecret")
        assert look_and_apply(reach(lab, "asked", login=login)).hostname == "compute1"


def test_sudo_that_wants_a_terminal_is_refused_with_the_line_that_helps(lab: Lab) -> None:
    rules = "echo 'Defaults:bound requiretty' >>/etc/sudoers.d/bound"
    with user(lab, "compute1", "bound", setup=rules):
        assert_printed("sudo wants a terminal", refusal(reach(lab, "bound")))
        # What the sentence says helps.
        lab.run("compute1", "echo 'Defaults:bound !requiretty' >>/etc/sudoers.d/bound")
        assert look_and_apply(reach(lab, "bound")).hostname == "compute1"


# ------------------------------------------------------------ sshd


def test_an_sshd_that_opens_one_session_a_connection(lab: Lab) -> None:
    with sshd(lab, "compute1", PORT, "MaxSessions 1"):
        node = reach(lab, "ubuntu", PORT)
        assert look_and_apply(node).hostname == "compute1"
        scripts = [[call("sleep", "0.5"), call("fact", "number", str(number))] for number in range(4)]
        with ThreadPoolExecutor(4) as threads:
            answers = list(threads.map(lambda each: run(node, *each), scripts))
        assert answers == [[("number", str(number))] for number in range(4)]
        # One beside the other: a connection each, as each has one session.
        assert lab.run("compute1", f"cat {FOLDER}/{PORT}.log").count("Accepted publickey") >= 2


def test_an_sshd_that_opens_no_session_says_so(lab: Lab) -> None:
    with sshd(lab, "compute1", PORT, "MaxSessions 0"):
        assert_printed("sshd opens no session", refusal(reach(lab, "ubuntu", PORT)))


def test_many_connections_at_once_to_an_sshd_that_lets_in_a_few_at_a_time(lab: Lab) -> None:
    log = f"{FOLDER}/ran"
    with sshd(lab, "compute1", PORT, "MaxStartups 2:50:4"):
        nodes = [reach(lab, "ubuntu", PORT) for _ in range(24)]
        with ThreadPoolExecutor(24) as threads:
            answers = threads.map(
                lambda each: run(each[1], Call(f"echo {each[0]} >>{log}"), call("fact", "number", str(each[0]))),
                enumerate(nodes),
            )
            assert list(answers) == [[("number", str(number))] for number in range(24)]
        assert sorted(map(int, lab.run("compute1", f"cat {log}; rm {log}").split())) == list(range(24))
        assert "MaxStartups" in lab.run("compute1", f"cat {FOLDER}/{PORT}.log")


@contextmanager
def waiting_for_a_login(target: tuple[str, int]) -> Iterator[None]:
    """Somebody who has connected, and does not go on."""
    limit = time.monotonic() + 10
    while time.monotonic() < limit:
        with socket.create_connection(target) as held:
            # The place may still be taken by who has looked whether sshd listens.
            if held.recv(100).startswith(b"SSH-"):
                yield
                return
        time.sleep(0.1)
    raise AssertionError(f"{target} lets in nobody")


def test_an_sshd_that_never_lets_in_is_there(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "CROWDED_SECONDS", 0.5)
    # It answers, and never goes on: one who waits for a login takes the only place.
    with sshd(lab, "compute1", PORT, "MaxStartups 1:100:1"):
        with waiting_for_a_login((lab.address("compute1"), PORT)):
            assert_printed("sshd hangs up before the login", refusal(reach(lab, "ubuntu", PORT)))
        assert look_and_apply(reach(lab, "ubuntu", PORT)).hostname == "compute1"


# ------------------------------------------------------------ a jump host


@pytest.fixture
def jump(lab: Lab) -> Iterator[Address]:
    """A jump host: the controller, by an sshd and as a user that may forward and do nothing else."""
    with user(lab, "controller", "ops", login_shell="/usr/sbin/nologin", sudoers=""), sshd(lab, "controller", PORT):
        yield door(lab, "controller", "ops", PORT)


def behind(lab: Lab, jump: Address, **changes: str) -> Access:
    """The access of a provider with this jump host."""
    configuration = {
        "ssh_private_key_file": str(key_file()),
        "ssh_known_hosts_file": str(lab_state() / "known_hosts"),
        "jump_host": jump.host,
        "jump_port": str(jump.port),
        "jump_user": jump.user,
        "jump_host_key": jump.host_key,
        **changes,
    }
    return Access(lambda key: configuration.get(key, ""))


def place(lab: Lab, **changes: object) -> dict[str, object]:
    return {"host": lab.address("compute1"), "port": 22, "user": "ubuntu", "host_key": "", **changes}


OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2GgHNU1LuU9bnOaYeXXpXlqn6EtGzVsYgMsnkQpfqV"


def test_a_machine_behind_a_jump_host(lab: Lab, jump: Address) -> None:
    with sshd(lab, "compute1", PORT):
        node = behind(lab, jump).node("compute1", place(lab, port=PORT, host_key=host_key("compute1")))
        assert look_and_apply(node).hostname == "compute1"
        # sshd on the node has seen the jump host, not us.
        assert f"Accepted publickey for ubuntu from {jump.host} " in lab.run("compute1", f"cat {FOLDER}/{PORT}.log")


def test_both_host_keys_are_verified(lab: Lab, jump: Address) -> None:
    said = refusal(behind(lab, dataclasses.replace(jump, host_key=OTHER_KEY)).node("compute1", place(lab)))
    assert_printed("the jump host has another host key", said)
    said = refusal(behind(lab, jump).node("compute1", place(lab, host_key=OTHER_KEY)))
    assert f"compute1 (ubuntu@{lab.address('compute1')} through ops@" in said
    assert "its host key is not the one we trust" in said


def test_a_jump_host_that_refuses_the_login_is_named(lab: Lab, jump: Address) -> None:
    said = refusal(behind(lab, dataclasses.replace(jump, user="nobody-here")).node("compute1", place(lab)))
    assert_printed("the jump host refuses the login", said)


def test_a_jump_host_with_a_login_of_its_own(lab: Lab, jump: Address, tmp_path: Path) -> None:
    own = tmp_path / "own"
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", own], check=True)
    lab.run("controller", f"echo '{own.with_suffix('.pub').read_text().strip()}' >~ops/.ssh/authorized_keys")
    assert "refused the login" in refusal(behind(lab, jump).node("compute1", place(lab)))
    node = behind(lab, jump, jump_private_key_file=str(own)).node("compute1", place(lab))
    assert look_and_apply(node).hostname == "compute1"


def test_a_dead_jump_host_does_not_make_the_machine_gone(
    lab: Lab, jump: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "CONNECT_TRIES", 1)
    said = refusal(behind(lab, dataclasses.replace(jump, port=PORT + 1)).node("compute1", place(lab)))
    assert_printed("the jump host does not answer", said)


def test_a_jump_host_that_does_not_forward(lab: Lab) -> None:
    with user(lab, "controller", "ops", sudoers=""), sshd(lab, "controller", PORT, "AllowTcpForwarding no"):
        jump = door(lab, "controller", "ops", PORT)
        assert_printed("the jump host does not forward", refusal(behind(lab, jump).node("compute1", place(lab))))


def test_a_machine_that_is_gone_is_gone_behind_a_jump_host_too(
    lab: Lab, jump: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "CONNECT_TRIES", 1)
    node = behind(lab, jump).node("compute1", place(lab, port=PORT + 1))
    with pytest.raises(NoConnection) as error:
        run(node, ON)
    assert_printed("a machine behind the jump host does not answer", str(error.value))


def test_a_jump_host_that_dies_meanwhile_does_not_make_the_machine_gone(
    lab: Lab, jump: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "CONNECT_TRIES", 1)
    with line((jump.host, jump.port)) as way:
        access = behind(lab, dataclasses.replace(jump, host="127.0.0.1", port=way.port))
        node = access.node("compute1", place(lab))
        assert run(node, ON) == [("on",)]
        way.refuse()
        assert "the connection was lost" in refusal(node) or "not reached" in refusal(node)
        assert "not reached" in refusal(node)


# ------------------------------------------------------------ keys and agents


def keygen(path: Path, *arguments: str) -> None:
    subprocess.run(["ssh-keygen", "-q", "-f", path, *arguments], check=True)


@pytest.fixture
def encrypted(tmp_path: Path) -> Path:
    """The lab's key with the passphrase `it's $ecret`."""
    path = tmp_path / "encrypted"
    path.write_bytes(key_file().read_bytes())
    path.chmod(0o600)
    keygen(path, "-p", "-P", "", "-N", "it's $ecret")
    return path


def test_a_key_with_a_passphrase(lab: Lab, encrypted: Path) -> None:
    login = Login(private_key_file=str(encrypted), private_key_password="it's $ecret")
    assert look_and_apply(reach(lab, login=login)).hostname == "compute1"


def test_a_passphrase_that_is_wrong_or_missing(lab: Lab, encrypted: Path) -> None:
    said = refusal(reach(lab, login=Login(private_key_file=str(encrypted), private_key_password="hunter2")))
    assert_printed("a wrong passphrase", said)
    assert "hunter2" not in said
    assert_printed("a key needs a passphrase", refusal(reach(lab, login=Login(private_key_file=str(encrypted)))))


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Starts an SSH agent with these keys, and gives its socket."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*keys: Path) -> Path:
        path = tmp_path / f"agent{len(started)}"
        started.append(subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL))
        limit = time.monotonic() + 10
        while not path.exists() and time.monotonic() < limit:
            time.sleep(0.02)
        for key in keys:
            environment = {**os.environ, "SSH_AUTH_SOCK": str(path)}
            subprocess.run(["ssh-add", "-q", key], env=environment, check=True, capture_output=True)
        return path

    yield start
    for each in started:
        each.terminate()
        each.wait()


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person without keys of their own and without an agent."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


def test_an_agent_that_is_named(lab: Lab, agent: Callable[..., Path], nobody: None) -> None:
    login = Login(agent_socket_path=str(agent(key_file())))
    assert look_and_apply(reach(lab, login=login)).hostname == "compute1"


def test_the_agent_of_the_environment(
    lab: Lab, agent: Callable[..., Path], nobody: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(agent(key_file())))
    assert look_and_apply(reach(lab, login=Login())).hostname == "compute1"


def test_an_agent_that_does_not_help(
    lab: Lab, agent: Callable[..., Path], nobody: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_printed("there is neither a key nor an agent", refusal(reach(lab, login=Login())))
    empty = Login(agent_socket_path=str(agent()))
    assert_printed("the agent has no key", refusal(reach(lab, login=empty)))
    gone = Login(agent_socket_path=str(tmp_path / "none"))
    assert_printed("the agent does not answer", refusal(reach(lab, login=gone)))
    keygen(tmp_path / "other", "-t", "ed25519", "-N", "")
    other = Login(agent_socket_path=str(agent(tmp_path / "other")))
    assert_printed("the machine does not know the agent's key", refusal(reach(lab, login=other)))


def test_an_agent_with_more_keys_than_sshd_tries(
    lab: Lab, agent: Callable[..., Path], nobody: None, tmp_path: Path
) -> None:
    keys = [tmp_path / f"other{number}" for number in range(7)]
    for each in keys:
        keygen(each, "-t", "ed25519", "-N", "")
    many = Login(agent_socket_path=str(agent(*keys, key_file())))
    assert_printed("the agent has too many keys", refusal(reach(lab, login=many)))


# ------------------------------------------------------------ lines


def test_a_connection_that_breaks_in_the_middle_of_an_answer_runs_nothing_twice(lab: Lab) -> None:
    log = f"{FOLDER}-ran"
    lab.run("compute1", f"rm -f {log}")
    with line((lab.address("compute1"), 22)) as way:
        node = Connection("compute1", Address("127.0.0.1", way.port, "ubuntu", host_key("compute1")), by_key())
        assert run(node, ON) == [("on",)]
        way.cut_after = 40_000
        long = Call(
            f"echo ran >>{log}; for n in $(seq 5000); do fact line {'x' * 80} $n; done; sleep 2; echo end >>{log}"
        )
        with pytest.raises(ConnectionFailed) as error:
            node.run([call("step", "writing much"), long], doing="looking", deadline=30)
        assert_printed("the connection breaks", str(error.value))
        assert look_and_apply(node).hostname == "compute1"
        assert way.connections == 2
    # What was cut off is over by now.
    time.sleep(3)
    assert lab.run("compute1", f"cat {log}; rm {log}").split() == ["ran"]


# What SSH asks for, one after the other, with OpenSSH's own client too: TCP, version, algorithms, keys, the service, the ways to log
# in, whether this key would do, the signature. Then for each script: a session, the command in it, the script.
TO_CONNECT, FOR_A_SCRIPT = 8, 3


@pytest.mark.parametrize("sudo_password", ["", "it is $ecret"])
def test_a_machine_far_away_takes_few_round_trips(lab: Lab, sudo_password: str) -> None:
    asks = "ALL" if sudo_password else "NOPASSWD: ALL"
    # A sudo that asks for a password takes one more.
    for_a_script = FOR_A_SCRIPT + bool(sudo_password)
    with (
        user(lab, "compute1", "far", sudoers=asks, setup=f"echo far:{shlex.quote(sudo_password or 'x')} | chpasswd"),
        line((lab.address("compute1"), 22), seconds=0.1) as way,
    ):
        login = by_key(sudo_password=sudo_password)
        allowed = (TO_CONNECT + for_a_script, for_a_script, 3 * for_a_script)
        measured = []
        # On a busy machine what is one message may come as two, and be counted twice.
        for _ in range(3):
            clean(lab, "compute1")
            node = Connection("compute1", Address("127.0.0.1", way.port, "far", host_key("compute1")), login)
            turns = [way.turns]
            for _ in range(2):
                inspect(node, Question(packages=["dpkg"]))
                turns.append(way.turns)
            # Reads, changes, and reads again.
            assert look_and_apply(node).hostname == "compute1"
            turns.append(way.turns)
            measured.append([after - before for before, after in pairwise(turns)])
            least = [min(each) for each in zip(*measured, strict=True)]
            if all(taken <= most for taken, most in zip(least, allowed, strict=True)):
                break
        print(f"round trips: first inspection, second inspection, two readings and a change: {measured}")
        assert [taken for taken, most in zip(least, allowed, strict=True) if taken > most] == []
