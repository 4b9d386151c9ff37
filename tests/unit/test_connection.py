"""SSH to a machine. The machine is asyncssh's own server in this process; what runs on it is a real sh."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import http.server
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from nova_infra.errors import ConnectionFailed, DeadlineExceeded, NoConnection, StepFailed
from nova_infra.masking import Secret
from nova_infra.remote import connecting
from nova_infra.remote import connection as connection_module
from nova_infra.remote import login as login_module
from nova_infra.remote.connection import Address, Connection, Login, Unreachable, connect
from nova_infra.remote.http import session_through
from nova_infra.remote.script import Call, call
from tests.error_rows import assert_printed

from .serving import serving

KEY = asyncssh.generate_private_key("ssh-ed25519")
HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
OTHER_KEY = asyncssh.generate_private_key("ssh-ed25519")
ON = call("fact", "on")

# As sudo behaves: -n never asks, -S asks three times when it must, and reads a line each time.
SUDO = """#!/bin/sh
tries=0
case "$SUDO_MODE:$1" in
    free:-n) shift ;;
    free:-S) shift 3 ;;
    tty:*) echo "sudo: sorry, you must have a tty to run sudo" >&2; exit 1 ;;
    asks:-S)
        until printf '%s' "$3" >&2; IFS= read -r given && [ "$given" = "s3cret sudo" ]; do
            [ -n "$given" ] && tries=$((tries + 1)) && [ $tries -lt 3 ] || {
                echo >&2; echo "sudo: $tries incorrect password attempt" >&2; exit 1
            }
            echo "Sorry, try again." >&2
        done
        shift 3 ;;
    *) echo "sudo: a password is required" >&2; exit 1 ;;
esac
exec "$@"
"""


async def flow(source: Any, target: Any, *, close: bool = False, lines: int | None = None) -> None:
    """Passes on what comes, to its end or so many lines."""
    try:
        while (lines is None or lines > 0) and (
            data := await (source.read(65536) if lines is None else source.readline())
        ):
            target.write(data)
            await target.drain()
            lines = lines and lines - 1
    except (OSError, asyncssh.Error):
        pass
    finally:
        if close:
            target.close()


@dataclasses.dataclass
class Machine:
    """A machine with sshd and sudo."""

    folder: Path
    port: int = 0
    sudo: str = "free"
    noise: str = ""
    breaks: bool = False
    hangs_up: int = 0
    forwards: str = "yes"
    logins: int = 0
    commands: list[str] = dataclasses.field(default_factory=list)
    loop: asyncio.AbstractEventLoop = dataclasses.field(default_factory=asyncio.new_event_loop)

    async def serve(self) -> None:
        machine = self

        class Server(asyncssh.SSHServer):
            def connection_made(self, connection: asyncssh.SSHServerConnection) -> None:
                self.connection = connection
                if machine.hangs_up:
                    machine.hangs_up -= 1
                    connection.abort()
                else:
                    machine.logins += 1

            def connection_requested(self, *_where: Any) -> bool:
                if machine.forwards == "no":
                    raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "open failed")
                if machine.forwards == "dies":
                    self.connection.abort()
                return True

        self.server = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=Server,
            server_host_keys=[HOST_KEY],
            authorized_client_keys=asyncssh.import_authorized_keys(KEY.export_public_key().decode()),
            process_factory=self.process,
            encoding=None,
        )
        self.port = self.server.get_port()

    async def process(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        self.commands.append(process.command or "")
        shell = await asyncio.create_subprocess_shell(
            self.noise + (process.command or ""),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            env={"PATH": f"{self.folder}:{os.environ['PATH']}", "SUDO_MODE": self.sudo},
        )
        feeding = asyncio.ensure_future(flow(process.stdin, shell.stdin, close=True))
        if self.breaks:
            self.breaks = False
            await flow(shell.stdout, process.stdout, lines=2)
            process.get_extra_info("connection").abort()
            feeding.cancel()
            os.killpg(shell.pid, signal.SIGKILL)
            await shell.wait()
            return
        await asyncio.gather(flow(shell.stdout, process.stdout), flow(shell.stderr, process.stderr))
        process.exit(await shell.wait())
        feeding.cancel()

    def as_new(self) -> None:
        """As the first test meets it."""
        self.sudo, self.noise, self.breaks, self.hangs_up, self.forwards, self.logins = "free", "", False, 0, "yes", 0
        self.commands.clear()

    def address(self, user: str = "root", key: asyncssh.SSHKey = HOST_KEY) -> Address:
        return Address("127.0.0.1", self.port, user, key.export_public_key().decode().strip())


# Each round of the key derivation takes time; ssh-keygen takes more of them.
FEW_ROUNDS: dict[str, Any] = {"rounds": 1, "ignore_few_rounds": True}
HOST_LINE = HOST_KEY.export_public_key().decode().strip()
LOGIN = Login(private_key=KEY.export_private_key().decode())
STRANGER = Login(private_key=OTHER_KEY.export_private_key().decode())


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    machine = Machine(tmp_path_factory.mktemp("bin"))
    (machine.folder / "sudo").write_text(SUDO)
    (machine.folder / "sudo").chmod(0o755)
    threading.Thread(target=machine.loop.run_forever, daemon=True).start()
    asyncio.run_coroutine_threadsafe(machine.serve(), machine.loop).result(10)
    yield machine
    machine.loop.call_soon_threadsafe(machine.server.close)


@pytest.fixture
def machine(running: Machine) -> Machine:
    running.as_new()
    return running


@pytest.fixture
def node(machine: Machine) -> Connection:
    return Connection("compute1", machine.address(), LOGIN)


def run(node: Connection, *calls: Call, **more: Any) -> Any:
    return node.run(list(calls), **{"doing": "looking", "deadline": 20, **more})


# ------------------------------------------------------------ scripts


def test_a_script_runs_and_what_it_says_comes_back(node: Connection) -> None:
    answer = run(node, call("fact", "said", "it's $HOME", ""), call("fact", "said", "grün"))
    assert answer.facts == [("said", "it's $HOME", ""), ("said", "grün")]
    assert answer.first("said") == ("it's $HOME", "")


def test_a_long_script_arrives_whole(node: Connection) -> None:
    content = "x" * 300_000
    assert run(node, Call('size() { fact size "${#1}"; }'), call("size", content)).facts == [("size", "300000")]


def test_there_is_one_connection_however_many_operations(machine: Machine, node: Connection) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _n: run(node, ON).facts, range(8)))
    assert answers == [[("on",)]] * 8
    assert machine.logins == 1


def test_what_a_login_shell_prints_is_not_taken_for_an_answer(machine: Machine, node: Connection) -> None:
    machine.noise = "echo Welcome to Ubuntu 14.04; printf '\\tfact\\thostname\\tevil\\n'; printf 'root# '; "
    assert run(node, ON).facts == [("on",)]


def test_a_machine_that_runs_something_else_is_said_so_with_its_words(machine: Machine, node: Connection) -> None:
    machine.noise = "echo 'Please login as the user ubuntu'; exit 0; "
    with pytest.raises(ConnectionFailed, match="Please login as the user ubuntu"):
        node.run([call("fact", "hostname", "x")], doing="reading", deadline=5)


def test_nothing_of_a_script_stands_in_the_command(machine: Machine, node: Connection) -> None:
    run(node, call("fact", Secret("hunter2")))
    assert machine.commands
    assert "hunter2" not in " ".join(machine.commands)
    assert "fact" not in " ".join(machine.commands)


def test_progress_is_shown_while_it_runs_and_without_secrets(node: Connection) -> None:
    shown: list[tuple[str, float]] = []
    calls = [call("fact", "a", title="first hunter2"), call("sleep", "0.4"), call("fact", "b", title="second")]
    run(node, *calls, show=lambda line: shown.append((line, time.monotonic())), secrets=["hunter2"])
    assert [line for line, _ in shown] == ["first [secret]", "second"]
    assert shown[1][1] - shown[0][1] > 0.3


def test_a_step_that_fails_is_one_sentence_with_node_step_and_what_was_said(node: Connection) -> None:
    with pytest.raises(StepFailed) as error:
        run(node, Call("fail 'no space left, hunter2'", title="writing nova.conf"), ON, secrets=["hunter2"])
    said = str(error.value)
    assert said.startswith("compute1 (root@127.0.0.1:")
    assert "writing nova.conf failed: no space left, [secret]" in said


def test_a_script_that_ends_without_a_word_is_quoted_with_its_exit_status(node: Connection) -> None:
    with pytest.raises(StepFailed, match=r"looking failed: exit status 7"):
        run(node, Call("exit 7"))


@pytest.fixture
def left_over() -> Iterator[Callable[[], list[str]]]:
    """What asyncio would print a traceback of later: tasks whose error nobody has asked for."""
    said: list[str] = []
    loop = connection_module._loop().loop
    loop.set_exception_handler(lambda _loop, context: said.append(context["message"]))

    def look() -> list[str]:
        gc.collect()
        time.sleep(0.1)
        return said

    yield look
    gc.collect()
    loop.set_exception_handler(None)


def test_a_step_that_takes_too_long_is_named_and_ended_on_the_machine(
    node: Connection, tmp_path: Path, left_over: Callable[[], list[str]]
) -> None:
    pid = tmp_path / "pid"
    with pytest.raises(DeadlineExceeded, match=r"compute1 .*db sync took longer than 1 s"):
        run(node, Call(f"echo $$ >'{pid}'; sleep 60", title="db sync"), deadline=0.6)
    stat = Path(f"/proc/{pid.read_text().strip()}/stat")
    deadline = time.monotonic() + 5
    while stat.exists() and ") Z" not in stat.read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert time.monotonic() < deadline
    assert left_over() == []


def test_a_connection_that_breaks_is_said_so_and_the_next_operation_connects_anew(
    machine: Machine, node: Connection, left_over: Callable[[], list[str]]
) -> None:
    machine.breaks = True
    with pytest.raises(ConnectionFailed) as error:
        run(node, call("fact", "a", title="db sync"), call("sleep", "30"))
    said = str(error.value)
    del error  # its frames keep what was left over
    assert "the connection was lost during db sync" in said
    assert "again" in said
    assert run(node, ON).facts == [("on",)]
    assert machine.logins == 2
    assert left_over() == []


# ------------------------------------------------------------ sudo


def test_a_user_that_is_not_root_uses_sudo(machine: Machine) -> None:
    assert run(Connection("compute1", machine.address("ubuntu"), LOGIN), ON).facts == [("on",)]
    assert "exec sudo -n " in machine.commands[0]


@pytest.mark.parametrize("mode", ["asks", "free"])
def test_sudo_gets_its_password_on_standard_input_whether_it_asks_or_not(machine: Machine, mode: str) -> None:
    machine.sudo = mode
    login = dataclasses.replace(LOGIN, sudo_password="s3cret sudo")
    assert run(Connection("compute1", machine.address("ubuntu"), login), ON).facts == [("on",)]
    assert "s3cret" not in machine.commands[0]


@pytest.mark.parametrize("password", ["", "wrong one"])
def test_sudo_that_refuses_is_a_sentence_with_what_to_do_and_without_the_password(
    machine: Machine, password: str
) -> None:
    machine.sudo = "asks"
    login = dataclasses.replace(LOGIN, sudo_password=password)
    with pytest.raises(ConnectionFailed) as error:
        run(Connection("compute1", machine.address("ubuntu"), login), ON)
    said = str(error.value)
    assert "compute1 (ubuntu@127.0.0.1:" in said
    assert "sudo refused: sudo: " in said
    assert "sudoPassword" in said
    assert "wrong one" not in said


def test_sudo_that_refuses_before_anything_was_sent_is_quoted_too(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine of ours its answer, and the end of the channel, are there before we write."""
    machine.sudo = "asks"
    began = Connection._session

    async def ended(self: Connection, *arguments: Any, **options: Any) -> Any:
        process = await began(self, *arguments, **options)
        await process.channel.wait_closed()
        return process

    monkeypatch.setattr(Connection, "_session", ended)
    with pytest.raises(ConnectionFailed, match="sudo refused: sudo: "):
        run(Connection("compute1", machine.address("ubuntu"), LOGIN), ON)


def test_a_wrong_password_is_tried_once_so_that_no_account_is_locked(machine: Machine) -> None:
    machine.sudo = "asks"
    login = dataclasses.replace(LOGIN, sudo_password="wrong one")
    with pytest.raises(ConnectionFailed, match="sudo refused: sudo: 1 incorrect password attempt"):
        run(Connection("compute1", machine.address("ubuntu"), login), ON)


# ------------------------------------------------------------ whom we trust, and who we are


def test_a_machine_with_another_host_key_gets_nothing(machine: Machine) -> None:
    with pytest.raises(ConnectionFailed, match=r"compute1 .*host key") as error:
        run(Connection("compute1", machine.address(key=OTHER_KEY), LOGIN), ON)
    assert "host_key" in str(error.value)
    assert machine.commands == []


def test_a_machine_that_nobody_has_vouched_for_gets_nothing(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "known_hosts").touch()
    login = dataclasses.replace(LOGIN, known_hosts_file=str(tmp_path / "known_hosts"))
    with pytest.raises(ConnectionFailed, match="host key"):
        run(Connection("compute1", dataclasses.replace(machine.address(), host_key=""), login), ON)


def test_a_known_hosts_file_vouches_for_a_machine(machine: Machine, tmp_path: Path) -> None:
    line = f"[127.0.0.1]:{machine.port} {machine.address().host_key}\n"
    (tmp_path / "known_hosts").write_text(line)
    login = dataclasses.replace(LOGIN, known_hosts_file=str(tmp_path / "known_hosts"))
    node = Connection("compute1", dataclasses.replace(machine.address(), host_key=""), login)
    assert run(node, ON).facts == [("on",)]


def test_host_keys_are_not_verified_only_when_that_is_said(machine: Machine) -> None:
    login = dataclasses.replace(LOGIN, verify_host_keys=False)
    node = Connection("compute1", dataclasses.replace(machine.address(), host_key=""), login)
    assert run(node, ON).facts == [("on",)]


def test_a_known_hosts_file_that_is_not_there_is_named(machine: Machine, tmp_path: Path) -> None:
    login = dataclasses.replace(LOGIN, known_hosts_file=str(tmp_path / "none"))
    with pytest.raises(ConnectionFailed, match=f"known hosts file {tmp_path}/none cannot be read"):
        run(Connection("compute1", dataclasses.replace(machine.address(), host_key=""), login), ON)


def test_a_refused_login_is_a_sentence_with_what_to_do(machine: Machine) -> None:
    login = Login(private_key=OTHER_KEY.export_private_key().decode())
    with pytest.raises(ConnectionFailed, match=r"compute1 .*refused the login.*authorized_keys"):
        run(Connection("compute1", machine.address(), login), ON)
    assert machine.commands == []


def test_a_host_or_user_that_ssh_does_not_take_is_one_sentence(machine: Machine) -> None:
    def refusal(address: Address) -> str:
        with pytest.raises(ConnectionFailed) as error:
            run(Connection("compute1", address, LOGIN), ON)
        return str(error.value)

    assert_printed("SSH takes no such host", refusal(dataclasses.replace(machine.address(), host="compute..1")))
    assert_printed("SSH takes no such user", refusal(machine.address("\ue000")))


@pytest.mark.parametrize(("user", "shown"), [("op\u202es", r"op\u202es"), ("op\ts", r"op\ts"), ("öps", "öps")])
def test_a_user_that_would_turn_a_terminals_line_around_is_escaped_in_errors(
    machine: Machine, user: str, shown: str
) -> None:
    machine.noise = "echo 'Please login as the user ubuntu.'; exit 0; "
    for node in (
        Connection("compute1", machine.address(user), LOGIN),
        Connection("compute1", machine.address(user, OTHER_KEY), LOGIN),
        Connection("compute1", machine.address(), LOGIN, Connection("The jump host", machine.address(user), STRANGER)),
    ):
        said = refused(node)
        assert f"{shown}@127.0.0.1" in said
        assert said.isprintable()


def test_a_user_whom_sudo_refuses_is_escaped(machine: Machine) -> None:
    machine.sudo = "asks"
    said = refused(Connection("compute1", machine.address("op\u200bs"), LOGIN))
    assert said.isprintable(), said


def test_a_key_file_is_read_where_pulumi_runs(machine: Machine, tmp_path: Path) -> None:
    KEY.write_private_key(tmp_path / "id")
    assert run(Connection("compute1", machine.address(), Login(private_key_file=str(tmp_path / "id"))), ON).facts


@pytest.mark.parametrize("content", [None, "no key", "encrypted"])
def test_a_key_that_cannot_be_used_is_named_and_not_shown(
    machine: Machine, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "id"
    if content == "encrypted":
        path.write_bytes(KEY.export_private_key("pkcs8-pem", passphrase="hunter2"))
    elif content:
        path.write_text(content)
    with pytest.raises(ConnectionFailed, match=f"the private key in {path} cannot be used") as error:
        run(Connection("compute1", machine.address(), Login(private_key_file=str(path))), ON)
    assert "no key" not in str(error.value)


def refused(node: Connection) -> str:
    with pytest.raises(ConnectionFailed) as error:
        run(node, ON)
    return str(error.value)


def damaged(key: str, line: int) -> str:
    """The key with another letter in the middle of a line."""
    lines = key.splitlines()
    middle = lines[line][30]
    lines[line] = lines[line][:30] + ("A" if middle != "A" else "B") + lines[line][31:]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("form", ["pkcs1-pem", "pkcs8-pem", "openssh"])
@pytest.mark.parametrize("line", [12, 16, -3])
def test_a_key_that_was_damaged_on_the_way_is_one_sentence(
    machine: Machine, tmp_path: Path, form: str, line: int
) -> None:
    key = asyncssh.generate_private_key("ssh-rsa", key_size=2048).export_private_key(form).decode()
    path = tmp_path / "id"
    path.write_text(damaged(key, line))
    said = refused(Connection("compute1", machine.address(), Login(private_key_file=str(path))))
    assert f"compute1 (root@127.0.0.1:{machine.port}): the private key in {path} cannot be used: " in said
    assert "modulus" not in said


def test_whatever_a_damaged_key_raises_is_one_sentence(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def overflow(_data: bytes, _passphrase: str) -> Any:
        raise OverflowError("can't convert negative int to unsigned")

    monkeypatch.setattr(login_module, "_private_key", overflow)
    assert_printed("a private key is damaged", refused(Connection("compute1", machine.address(), LOGIN)))


@pytest.mark.parametrize(
    ("login", "said"),
    [
        ({"private_key_file": "~nosuchuser/id"}, "the private key in ~nosuchuser/id cannot be used"),
        ({"known_hosts_file": "~nosuchuser/known"}, "the known hosts file ~nosuchuser/known cannot be read"),
        ({"agent_socket_path": "~nosuchuser/agent"}, "the SSH agent at ~nosuchuser/agent cannot be asked"),
    ],
)
def test_a_file_of_a_user_that_is_none_is_one_sentence(machine: Machine, login: dict[str, str], said: str) -> None:
    address = dataclasses.replace(machine.address(), host_key="" if "known_hosts_file" in login else HOST_LINE)
    refusal = refused(Connection("compute1", address, Login(**login)))
    assert said in refusal
    assert_printed("a file of a user that is none", refusal)


def test_a_damaged_key_in_the_home_folder_is_not_taken_for_a_bad_name_of_a_user(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / ".ssh").mkdir()
    key = asyncssh.generate_private_key("ssh-rsa", key_size=2048).export_private_key("pkcs1-pem").decode()
    (tmp_path / ".ssh" / "id_rsa").write_text(damaged(key, 4))
    said = refused(Connection("compute1", machine.address(), Login()))
    assert "the user's name" not in said
    assert_printed("a key in the home folder is damaged", said)


def test_a_host_key_that_no_file_of_known_hosts_can_hold_is_one_sentence(machine: Machine) -> None:
    address = dataclasses.replace(machine.address(), host_key="ssh-ed25519 AAAA\nx")
    assert "its host_key cannot be used" in refused(Connection("compute1", address, LOGIN))


def test_an_encrypted_key_opens_with_its_passphrase(machine: Machine) -> None:
    login = Login(
        private_key=KEY.export_private_key("pkcs8-pem", passphrase="hunter2").decode(), private_key_password="hunter2"
    )
    assert run(Connection("compute1", machine.address(), login), ON).facts == [("on",)]


def test_a_key_with_a_passphrase_as_ssh_keygen_writes_it_opens_with_it_and_with_no_other(machine: Machine) -> None:
    encrypted = KEY.export_private_key("openssh", passphrase="hunter2", **FEW_ROUNDS).decode()
    login = Login(private_key=encrypted, private_key_password="hunter2")
    assert run(Connection("compute1", machine.address(), login), ON).facts == [("on",)]
    with pytest.raises(ConnectionFailed, match="passphrase is not the one that was given") as error:
        run(Connection("compute1", machine.address(), dataclasses.replace(login, private_key_password="hunter3")), ON)
    assert "hunter3" not in str(error.value)


@pytest.mark.parametrize("host_key", ["ssh-ed25519", "ssh-ed25519 AAAA", "nonsense"])
def test_a_host_key_that_is_none_is_one_sentence(machine: Machine, host_key: str) -> None:
    with pytest.raises(ConnectionFailed, match="compute1"):
        run(Connection("compute1", dataclasses.replace(machine.address(), host_key=host_key), LOGIN), ON)


def test_a_machine_that_does_not_answer_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "CONNECT_TRIES", 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(
            ConnectionFailed, match=r"compute1 \(root@127.0.0.1:\d+\): no SSH connection: .*that sshd runs there"
        ):
            run(
                Connection(
                    "compute1",
                    Address("127.0.0.1", port, host_key="ssh-ed25519 " + KEY.export_public_key().decode().split()[1]),
                    LOGIN,
                ),
                ON,
            )


def test_a_server_that_knows_only_ssh_rsa_takes_an_rsa_key(machine: Machine) -> None:
    # As old sshds do: neither the server's own key nor ours with a newer signature.
    key = asyncssh.generate_private_key("ssh-rsa", key_size=2048)

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[key],
            signature_algs=["ssh-rsa"],
            kex_algs=["ecdh-sha2-nistp256"],
            encryption_algs=["aes128-ctr"],
            authorized_client_keys=asyncssh.import_authorized_keys(key.export_public_key().decode()),
            process_factory=machine.process,
            encoding=None,
        )

    old = asyncio.run_coroutine_threadsafe(listen(), machine.loop).result(10)
    try:
        address = Address("127.0.0.1", old.get_port(), host_key=key.export_public_key().decode().strip())
        opened = Connection("compute1", address, Login(private_key=key.export_private_key().decode()))
        assert run(opened, ON).facts == [("on",)]
        assert opened._connection is not None
        assert opened._connection.get_extra_info("send_cipher") == "aes128-ctr"
    finally:
        machine.loop.call_soon_threadsafe(old.close)


def test_a_machine_that_hangs_up_before_the_login_is_asked_again_and_gets_the_script_once(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "CROWDED_PAUSE_SECONDS", 0.01)
    machine.hangs_up = 5
    assert run(Connection("compute1", machine.address(), LOGIN), ON).facts == [("on",)]
    assert (machine.hangs_up, machine.logins, len(machine.commands)) == (0, 1, 1)


def test_a_machine_that_goes_on_hanging_up_is_there_and_is_not_left(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "CROWDED_SECONDS", 0)
    machine.hangs_up = 1000
    with pytest.raises(ConnectionFailed, match="MaxStartups") as error:
        run(Connection("compute1", machine.address(), LOGIN), ON)
    assert not isinstance(error.value, NoConnection)


def test_a_connection_that_broke_while_nobody_used_it_is_made_anew(machine: Machine, node: Connection) -> None:
    assert run(node, ON).facts == [("on",)]
    assert node._connection is not None
    # As when a firewall has forgotten it: neither side has said anything.
    connection_module._loop().loop.call_soon_threadsafe(node._connection._transport.abort)  # type: ignore[union-attr]
    assert run(node, ON).facts == [("on",)]
    assert (machine.logins, len(machine.commands)) == (2, 2)


# ------------------------------------------------------------ a jump host


@pytest.fixture
def behind(machine: Machine) -> Callable[..., Connection]:
    """A connection to the machine through itself, as another user."""

    def make(key: asyncssh.SSHKey = HOST_KEY, login: Login = LOGIN, port: int = 0) -> Connection:
        jump = Connection("The jump host", machine.address("ops", key), login)
        address = dataclasses.replace(machine.address(), port=port or machine.port)
        return Connection("compute1", address, LOGIN, jump)

    return make


def test_a_script_runs_behind_a_jump_host_that_runs_nothing(
    machine: Machine, behind: Callable[..., Connection]
) -> None:
    assert run(behind(), ON).facts == [("on",)]
    assert (machine.logins, len(machine.commands)) == (2, 1)


def test_machines_behind_a_jump_host_share_one_connection_to_it(
    machine: Machine, behind: Callable[..., Connection]
) -> None:
    first = behind()
    nodes = [first, *(Connection(f"compute{n}", machine.address(), LOGIN, first.jump) for n in range(2, 6))]
    with ThreadPoolExecutor(5) as threads:
        assert list(threads.map(lambda each: run(each, ON).facts, nodes)) == [[("on",)]] * 5
    assert machine.logins == 6


@pytest.mark.parametrize(
    ("jump", "said"),
    [
        ({"key": OTHER_KEY}, "its host key is not the one we trust"),
        ({"login": Login(private_key=OTHER_KEY.export_private_key().decode())}, "refused the login"),
    ],
)
def test_a_jump_host_that_refuses_is_named_and_the_machine_behind_it_is_not_gone(
    machine: Machine, behind: Callable[..., Connection], jump: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConnectionFailed, match=rf"compute1 .*not reached\. The jump host \(ops@127.*{said}") as error:
        run(behind(**jump), ON)
    assert not isinstance(error.value, NoConnection)


@pytest.mark.parametrize(("forwards", "said"), [("no", "opens no way to it"), ("dies", "went away")])
def test_a_jump_host_that_does_not_forward_does_not_make_the_machine_gone(
    machine: Machine,
    behind: Callable[..., Connection],
    monkeypatch: pytest.MonkeyPatch,
    forwards: str,
    said: str,
) -> None:
    monkeypatch.setattr(connecting, "CROWDED_SECONDS", 0)
    machine.forwards = forwards
    with pytest.raises(ConnectionFailed, match=f"the jump host {said}") as error:
        run(behind(), ON)
    assert not isinstance(error.value, NoConnection)


def test_a_dead_jump_host_does_not_make_the_machine_gone(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "CONNECT_TRIES", 1)
    jump = Connection("The jump host", dataclasses.replace(machine.address("ops"), port=1), LOGIN)
    with pytest.raises(ConnectionFailed, match=r"not reached\. The jump host .*Connection refused") as error:
        run(Connection("compute1", machine.address(), LOGIN, jump), ON)
    assert not isinstance(error.value, NoConnection)


def test_a_machine_that_does_not_answer_a_jump_host_that_works_is_gone(
    behind: Callable[..., Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "CONNECT_TRIES", 1)
    with pytest.raises(NoConnection, match=r"compute1 \(root@127.* through ops@127.*\): .*Connection refused"):
        run(behind(port=1), ON)


def test_connections_are_shared_by_who_means_the_same_machine_and_login(machine: Machine) -> None:
    one = connect("compute1", machine.address(), LOGIN)
    assert connect("compute1", machine.address(), dataclasses.replace(LOGIN)) is one
    assert connect("compute1", machine.address("ubuntu"), LOGIN) is not one


# ------------------------------------------------------------ servers behind the machine


class Says(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = self.headers["Host"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: Any) -> None:
        pass


@pytest.fixture(scope="module")
def web() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Says)
    with serving(server):
        yield server.server_address[1]


def test_http_goes_through_the_machine_and_past_any_proxy(
    node: Connection, web: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://192.0.2.1:9")
    session = session_through(node)
    for _ in range(2):
        assert session.get(f"http://localhost:{web}/", timeout=10).text == f"localhost:{web}"


def test_a_server_that_the_machine_cannot_reach_is_named_with_the_machine(node: Connection) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"compute1 could not connect to 127.0.0.1:{port}"):
            node.reach_tcp("127.0.0.1", port)


def test_without_a_machine_a_session_is_an_ordinary_one(web: int) -> None:
    assert session_through(None).get(f"http://127.0.0.1:{web}/", timeout=10).text == f"127.0.0.1:{web}"


# ------------------------------------------------------------ what a machine reaches


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def test_places_that_a_machine_does_not_reach_are_named_and_others_are_not(node: Connection) -> None:
    closed = ("127.0.0.1", closed_port())
    with socket.create_server(("127.0.0.1", 0)) as listening:
        open_ = ("127.0.0.1", listening.getsockname()[1])
        assert set(node.out_of_reach([open_, closed], 10)) == {closed}


def test_a_machine_that_connects_to_nothing_for_us_says_so_and_blames_no_server(
    machine: Machine, node: Connection
) -> None:
    machine.forwards = "no"
    with pytest.raises(Unreachable, match="compute1 does not connect to others for us"):
        node.out_of_reach([("127.0.0.1", 22)], 10)


def test_a_machine_that_takes_the_connection_and_says_nothing_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = Address("127.0.0.1", silent.getsockname()[1])
        with pytest.raises(ConnectionFailed, match=r"no answer within 0 s"):
            Connection("compute1", address, LOGIN).open(0.2)
