"""Other ways into a node of the lab: an sshd of its own, a user of its own, a line that is slow or breaks. Each goes when the test ends."""

from __future__ import annotations

import asyncio
import shlex
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nova_infra.remote.connection import Address, Connection, Login
from nova_infra.remote.inspection import Facts, Question
from nova_infra.remote.operation import operate
from nova_infra.remote.script import Call, call
from tests.nodes import Lab, lab_state

FILE = "/etc/nova-infra-test.conf"
# What tests put on a node is in here.
FOLDER = "/run/nova-infra-test"


def key_file() -> Path:
    """The private key that every node takes."""
    return lab_state() / "id_ed25519"


def by_key(**changes: str) -> Login:
    """The login with that key."""
    return Login(private_key_file=str(key_file()), **changes)


def host_key(node: str) -> str:
    """The host key of a node, as the settings take it."""
    return " ".join((lab_state() / "hostkeys" / f"{node}.pub").read_text().split()[:2])


def door(lab: Lab, node: str, user: str = "ubuntu", port: int = 22) -> Address:
    """A node's address with its host key."""
    return Address(lab.address(node), port, user, host_key(node))


def look_and_apply(node: Connection) -> Facts:
    """Inspects a small node, writes a file on it, and finds nothing to do the second time. Returns what the inspection said."""
    content = "[DEFAULT]\nverbose = grün, it's $HOME\n"

    def decide(facts: Facts) -> list[Call]:
        right = (facts.files[FILE].content, facts.files[FILE].owner, facts.files[FILE].mode) == (content, "root", "644")
        return [] if right else [call("put_file", FILE, "root", "root", "0644", content, title="writing the file")]

    question = Question(files=[FILE], packages=["dpkg"])
    assert operate(node, question, decide, doing="writing", deadline=30).calls
    again = operate(node, question, decide, doing="writing", deadline=30)
    assert not again.calls
    assert again.facts.packages["dpkg"].installed
    return again.facts


def clean(lab: Lab, node: str) -> None:
    """Takes away what `look_and_apply` has left on a node."""
    ours = "/var/lib/nova-infra"
    lab.run(
        node,
        f"rm -f {FILE} {ours}/lock {ours}/original{FILE}*; rmdir -p --ignore-fail-on-non-empty {ours}/original/etc 2>/dev/null; true",
    )


@contextmanager
def sshd(lab: Lab, node: str, port: int, *lines: str) -> Iterator[None]:
    """A second sshd on a node, whose configuration begins with these lines."""
    usual = [
        f"Port {port}",
        "HostKey /etc/ssh/ssh_host_ed25519_key",
        f"PidFile {FOLDER}/{port}.pid",
        "UsePAM yes",
        "PasswordAuthentication no",
        "ChallengeResponseAuthentication no",
        "PermitRootLogin no",
    ]
    config = "\n".join([*lines, *usual])
    lab.run(
        node,
        f"mkdir -p {FOLDER}; printf '%s\\n' {shlex.quote(config)} >{FOLDER}/{port}.conf\n"
        f"/usr/sbin/sshd -f {FOLDER}/{port}.conf -E {FOLDER}/{port}.log",
    )
    try:
        limit = time.monotonic() + 10
        while not _listens(lab.address(node), port):
            assert time.monotonic() < limit, lab.run(node, f"cat {FOLDER}/{port}.log")
            time.sleep(0.05)
        yield
    finally:
        lab.run(
            node, f"kill $(cat {FOLDER}/{port}.pid); rm -f {FOLDER}/{port}.*; rmdir --ignore-fail-on-non-empty {FOLDER}"
        )


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


@contextmanager
def user(
    lab: Lab, node: str, name: str, *, login_shell: str = "/bin/bash", sudoers: str = "NOPASSWD: ALL", setup: str = ""
) -> Iterator[None]:
    """A user with the lab's key, a login shell, a line in sudoers (empty: none), and what the script `setup` makes in its home."""
    grant = f"echo '{name} ALL=(ALL) {sudoers}' >/etc/sudoers.d/{name}" if sudoers else "true"
    lab.run(
        node,
        f"set -e; useradd --create-home --shell {login_shell} {name}; cd ~{name}; mkdir -m 700 .ssh\n"
        f"cp /home/ubuntu/.ssh/authorized_keys .ssh/; {grant}\n{setup}\nchown -R {name}: .",
    )
    try:
        yield
    finally:
        # Its last session may just be ending.
        lab.run(
            node,
            f"rm -f /etc/sudoers.d/{name}; pkill -KILL -u {name}; for try in 1 2 3 4 5; do userdel -r {name} 2>/dev/null && break; "
            f"sleep 0.2; done; ! getent passwd {name}",
        )


@dataclass
class Line:
    """A line to a machine: `seconds` each way, cut in the middle of an answer after `cut_after` bytes of it.

    `turns` counts how often the near side has spoken after it had heard something: with each, a round trip begins.
    """

    target: tuple[str, int]
    seconds: float = 0
    cut_after: int | None = None
    connections: int = 0
    turns: int = 0
    port: int = 0
    _open: list[asyncio.StreamWriter] = field(default_factory=list)
    _heard: bool = True
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    async def _serve(self) -> None:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def refuse(self) -> None:
        """Cuts what there is, and takes no connection any more."""
        self._loop.call_soon_threadsafe(self._cut)
        time.sleep(0.1)

    def _cut(self) -> None:
        self._server.close()
        for each in self._open:
            each.transport.abort()

    async def _connect(self, near_reader: asyncio.StreamReader, near_writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.append(near_writer)
        # The three packets of a connect are a round trip too.
        await asyncio.sleep(2 * self.seconds)
        self.turns += 1
        far_reader, far_writer = await asyncio.open_connection(*self.target)
        await asyncio.gather(
            self._flow(near_reader, far_writer, near_writer, out=True),
            self._flow(far_reader, near_writer, far_writer, out=False),
        )

    async def _flow(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, back: asyncio.StreamWriter, *, out: bool
    ) -> None:
        loop = asyncio.get_running_loop()
        try:
            while data := await source.read(65536):
                if out and self._heard:
                    self.turns += 1
                self._heard = not out
                if not out and self.cut_after is not None:
                    data, self.cut_after = data[: self.cut_after], self.cut_after - len(data)
                    if self.cut_after <= 0:
                        self.cut_after = None
                        target.write(data)
                        await target.drain()
                        target.transport.abort()
                        back.transport.abort()
                        return
                loop.call_later(self.seconds, target.write, data)
        except OSError:
            pass
        loop.call_later(self.seconds, target.close)


@contextmanager
def line(target: tuple[str, int], *, seconds: float = 0) -> Iterator[Line]:
    """A line that listens on a port of this machine."""
    made = Line(target, seconds)
    thread = threading.Thread(target=made._loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(made._serve(), made._loop).result(10)
    try:
        yield made
    finally:

        def end() -> None:
            made._cut()
            made._loop.call_later(0.1 + 2 * seconds, made._loop.stop)

        made._loop.call_soon_threadsafe(end)
        thread.join(5)
        made._loop.close()
