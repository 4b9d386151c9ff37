"""SSH: one pooled connection to each node in a process, scripts that run over it, and sockets to servers behind it.

Pulumi runs a provider's operations in threads; asyncssh needs an event loop. One loop runs in a thread of its own, and
everything here that is not `async` may be called from any thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import socket
import threading
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import asyncssh
import tenacity

from ..errors import ConnectionFailed, DeadlineExceeded, NoConnection, StepFailed
from ..masking import mask
from .script import Answer, Call, Listener, Script, compose

T = TypeVar("T")

CONNECT_SECONDS = 30
KEEPALIVE_SECONDS = 15
# A machine that has just booted, or an sshd at its MaxStartups, refuses for a moment.
CONNECT_TRIES = 4


@dataclass(frozen=True)
class Address:
    """Where a machine is reached. `host_key` is a line as ssh-keyscan prints it, without the host (`ssh-ed25519 AAAA...`)."""

    host: str
    port: int = 22
    user: str = "root"
    host_key: str = ""

    def __str__(self) -> str:
        return f"{self.user}@{self.host}" + (f":{self.port}" if self.port != 22 else "")


@dataclass(frozen=True)
class Login:
    """What proves who we are, and whom we trust. Files are read on the machine where Pulumi runs."""

    private_key: str = ""
    private_key_file: str = ""
    private_key_password: str = ""
    password: str = ""
    sudo_password: str = ""
    agent_socket_path: str = ""
    known_hosts_file: str = ""
    verify_host_keys: bool = True

    def secrets(self) -> list[str]:
        """What must not appear in any text."""
        return [self.private_key, self.private_key_password, self.password, self.sudo_password]


class Unreachable(OSError):  # noqa: N818
    """A machine could not connect to a server. An OSError, as whoever opens sockets expects it."""


def why(error: BaseException) -> str:
    """What an error of a client says; when the connection failed, the short reason instead of the layers around it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, Unreachable):
            return str(cause)
        if isinstance(cause, (ConnectionError, socket.gaierror, TimeoutError)):
            return _reason(cause)
        cause = cause.__cause__ or cause.__context__
    return str(error).strip().rstrip(".")


class _Loop:
    """The event loop of this process, in a thread that ends with it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, name="nova-infra-ssh", daemon=True).start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()


_the_loop: list[_Loop] = []
_loop_lock = threading.Lock()


def _loop() -> _Loop:
    # Four threads may ask for the first time at once.
    with _loop_lock:
        if not _the_loop:
            _the_loop.append(_Loop())
        return _the_loop[0]


class Connection:
    """A machine, connected at the first use and again when the connection was lost."""

    def __init__(self, name: str, address: Address, login: Login) -> None:
        self.name = name
        self.address = address
        self.login = login
        self._connection: asyncssh.SSHClientConnection | None = None
        self._connecting: asyncio.Lock | None = None

    # ------------------------------------------------------------ scripts

    def run(
        self,
        calls: Iterable[Call],
        *,
        doing: str,
        deadline: float,
        show: Callable[[str], None] = lambda _line: None,
        secrets: Iterable[str] = (),
    ) -> Answer:
        """Runs one script as root and returns what it said.

        `doing` completes the sentence "while ..."; `deadline` is in seconds; `show` gets each line of progress. Raises
        ConnectionFailed, StepFailed, DeadlineExceeded. A script is sent once: what it did is never guessed.
        """
        hidden = [*secrets, *self.login.secrets()]
        return _loop().run(self._run(compose(calls), doing, deadline, lambda line: show(mask(line, hidden)), hidden))

    async def _run(
        self, script: Script, doing: str, deadline: float, show: Callable[[str], None], hidden: list[str]
    ) -> Answer:
        listener = Listener(script.mark, f"connecting to {self.address}", show)
        beating = asyncio.ensure_future(_beat(listener))
        try:
            connection = await self._connected()
            listener.begin(doing)
            return await self._listen(connection, script, listener, deadline, hidden)
        finally:
            beating.cancel()

    async def _listen(
        self,
        connection: asyncssh.SSHClientConnection,
        script: Script,
        listener: Listener,
        deadline: float,
        hidden: list[str],
    ) -> Answer:
        try:
            async with asyncio.timeout(deadline):
                command = self._command(len(script.source))
                async with await connection.create_process(command, encoding="utf-8", errors="replace") as process:
                    complaints = asyncio.ensure_future(process.stderr.read())
                    # When the connection breaks nobody waits for it any more; asyncio would complain with a traceback.
                    complaints.add_done_callback(lambda task: task.cancelled() or task.exception())
                    # Standard input stays open: the script ends when it sees that we are gone.
                    process.stdin.write(self._preamble() + script.source.decode())
                    async for line in process.stdout:
                        listener.hear(line)
                    complaint = mask((await complaints).strip(), hidden)
                    completed = await process.wait()
        except TimeoutError:
            raise DeadlineExceeded(
                f"{self.name} ({self.address}): {listener.current} took longer than {deadline:.0f} s. It was told to stop. "
                "Look at the machine; run the same command again when it answers."
            ) from None
        except (OSError, asyncssh.Error) as error:
            self._connection = None
            raise ConnectionFailed(
                f"{self.name} ({self.address}): the connection was lost during {listener.current}: {_reason(error)}. "
                "Run the same command again: it continues with what is left."
            ) from None
        if completed.exit_status != 0:
            raise self._failure(listener, complaint, completed.exit_status)
        if not listener.ended:
            said = mask(listener.noise.strip() or complaint, hidden) or "nothing"
            raise ConnectionFailed(
                f"{self.name} ({self.address}): the machine took the login and did not run our script to its end; it said: {said.rstrip('.')}. "
                f"Check that {self.address.user} may run commands there (cloud images send root away)."
            )
        return listener.answer

    def _command(self, length: int) -> str:
        # `head -c` takes exactly the script; what stays open behind it is the sign that we are still here.
        run = f'eval "$(head -c {length})"'
        if self.address.user == "root":
            return f"sh -c '{run}'"
        if self.login.sudo_password:
            # sudo reads one line, or none when it asks for no password: skip to the line that ends the preamble.
            return f"""sudo -S -p "" sh -c 'while IFS= read -r line && [ "$line" != nova-infra ]; do :; done; {run}'"""
        return f"sudo -n sh -c '{run}'"

    def _preamble(self) -> str:
        if self.address.user != "root" and self.login.sudo_password:
            return f"{self.login.sudo_password}\nnova-infra\n"
        return ""

    def _failure(self, listener: Listener, complaint: str, status: int | None) -> Exception:
        if not listener.heard and "sudo" in complaint:
            return ConnectionFailed(
                f"{self.name} ({self.address}): sudo refused: {complaint.rstrip('.')}. Allow the user {self.address.user} to run every "
                "command with sudo, without a password or with the stack's sudoPassword."
            )
        said = complaint or f"exit status {status}"
        return StepFailed(
            f"{self.name} ({self.address}): {listener.current} failed: {said.rstrip('.')}. When that is put right, run the same command "
            "again: it continues with what is left."
        )

    # ------------------------------------------------------------ servers behind the machine

    def reach_tcp(self, host: str, port: int) -> socket.socket:
        """A connected socket to `host:port` as this machine sees it. Raises Unreachable, an OSError."""
        return self._bridged(f"{host}:{port}", self._open_tcp(host, port))

    def reach_unix(self, path: str) -> socket.socket:
        """A connected socket to the UNIX socket `path` on this machine. Raises Unreachable, an OSError."""
        return self._bridged(path, self._open_unix(path))

    def _bridged(self, what: str, opening: Coroutine[Any, Any, tuple[Any, Any]]) -> socket.socket:
        # A pair of sockets in this process: nothing listens anywhere, so nobody else on this machine can use the way in.
        ours, theirs = socket.socketpair()
        try:
            _loop().run(self._bridge(what, opening, theirs))
        except BaseException:
            ours.close()
            theirs.close()
            raise
        return ours

    async def _open_tcp(self, host: str, port: int) -> tuple[Any, Any]:
        connection = await self._connected()
        return await connection.open_connection(host, port, encoding=None)

    async def _open_unix(self, path: str) -> tuple[Any, Any]:
        connection = await self._connected()
        try:
            return await connection.open_unix_connection(path, encoding=None)
        except asyncssh.ChannelOpenError as error:
            if error.code == asyncssh.OPEN_CONNECT_FAILED:
                raise
        # OpenSSH before 6.7 (Ubuntu 14.04 has 6.6) cannot open UNIX sockets, and some are told not to: netcat does it there.
        # MariaDB's socket is for everybody, so this needs no sudo.
        process = await connection.create_process(f"nc -U {shlex.quote(path)}", encoding=None)
        return process.stdout, process.stdin

    async def _bridge(self, what: str, opening: Coroutine[Any, Any, tuple[Any, Any]], end: socket.socket) -> None:
        try:
            far_reader, far_writer = await asyncio.wait_for(opening, CONNECT_SECONDS)
        except (asyncssh.Error, TimeoutError) as error:
            raise Unreachable(f"{self.name} could not connect to {what}: {_reason(error)}") from None
        end.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=end)
        tasks = {asyncio.ensure_future(_copy(reader, far_writer)), asyncio.ensure_future(_copy(far_reader, writer))}
        _bridges.update(tasks)
        for task in tasks:
            task.add_done_callback(_bridges.discard)

    # ------------------------------------------------------------ connecting

    async def _connected(self) -> asyncssh.SSHClientConnection:
        if self._connecting is None:
            self._connecting = asyncio.Lock()
        async with self._connecting:
            if self._connection is None or self._connection.is_closed():
                self._connection = await self._connect()
            return self._connection

    async def _connect(self) -> asyncssh.SSHClientConnection:
        options = self._options()
        retrying = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(CONNECT_TRIES),
            wait=tenacity.wait_exponential_jitter(initial=1, max=5),
            # A wrong key or a refused login stays so.
            retry=tenacity.retry_if_exception(
                lambda error: (
                    isinstance(error, (OSError, TimeoutError, asyncssh.Error))
                    and not isinstance(error, (asyncssh.HostKeyNotVerifiable, asyncssh.PermissionDenied))
                )
            ),
            reraise=True,
        )

        async def connect_once() -> asyncssh.SSHClientConnection:
            return await asyncssh.connect(self.address.host, self.address.port, **options)

        try:
            return await retrying(connect_once)
        except asyncssh.HostKeyNotVerifiable as error:
            problem = (
                f"its host key is not the one we trust: {_reason(error)}. If the machine was installed anew, put its new key into "
                "host_key or the known hosts file; else find out who answers there"
            )
        except asyncssh.PermissionDenied as error:
            problem = (
                f"the machine refused the login: {_reason(error)}. Check the user name and that the public key is in its "
                "authorized_keys"
            )
        except (OSError, asyncssh.Error, TimeoutError) as error:
            raise NoConnection(
                f"{self.name} ({self.address}): no SSH connection: {_reason(error)}. Check the address, that the machine is up, and "
                "that firewalls let this machine in."
            ) from None
        raise ConnectionFailed(f"{self.name} ({self.address}): {problem}.")

    def _options(self) -> dict[str, Any]:
        login = self.login
        options: dict[str, Any] = {
            "username": self.address.user,
            "config": None,
            "known_hosts": self._trusted(),
            "connect_timeout": CONNECT_SECONDS,
            "login_timeout": CONNECT_SECONDS,
            "keepalive_interval": KEEPALIVE_SECONDS,
        }
        if login.private_key or login.private_key_file:
            options["client_keys"] = [self._private_key()]
            options["agent_path"] = None
        elif login.agent_socket_path:
            options["agent_path"] = login.agent_socket_path
        if login.password:
            options["password"] = login.password
        return options

    def _private_key(self) -> asyncssh.SSHKey:
        login = self.login
        passphrase = login.private_key_password or None
        try:
            if login.private_key:
                return asyncssh.import_private_key(login.private_key, passphrase)
            return asyncssh.read_private_key(str(Path(login.private_key_file).expanduser()), passphrase)
        except (OSError, asyncssh.KeyImportError) as error:
            where = login.private_key_file or "the stack's sshPrivateKey"
            raise ConnectionFailed(
                f"{self.name} ({self.address}): the private key in {where} cannot be used: {_reason(error)}. "
                "Check that it is a private key in the form of OpenSSH, and its passphrase."
            ) from None

    def _trusted(self) -> Any:
        if not self.login.verify_host_keys:
            return None
        if self.address.host_key:
            return asyncssh.import_known_hosts(f"{_known_hosts_name(self.address)} {self.address.host_key}\n")
        if not self.login.known_hosts_file:
            return ()  # asyncssh's default: ~/.ssh/known_hosts
        path = Path(self.login.known_hosts_file).expanduser()
        try:
            return asyncssh.read_known_hosts(str(path))
        except (OSError, ValueError) as error:
            raise ConnectionFailed(
                f"{self.name} ({self.address}): the known hosts file {path} cannot be read: {_reason(error)}. "
                "Correct the file or its name, or give the node's host_key."
            ) from None


_bridges: set[asyncio.Task[None]] = set()


async def _beat(listener: Listener) -> None:
    while True:
        await asyncio.sleep(1)
        listener.beat()


async def _copy(source: Any, target: Any) -> None:
    with contextlib.suppress(OSError, asyncssh.Error):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    with contextlib.suppress(OSError, asyncssh.Error):
        target.close()


def _known_hosts_name(address: Address) -> str:
    return address.host if address.port == 22 else f"[{address.host}]:{address.port}"


def _reason(error: BaseException) -> str:
    text = str(getattr(error, "reason", "") or error).strip().rstrip(".")
    if isinstance(error, socket.gaierror):
        return str(error.strerror)
    if isinstance(error, OSError) and (numbers := re.findall(r"\[Errno (\d+)\]", text)):
        # asyncio puts the addresses that it has tried into the text, as Python writes them.
        return "; ".join(dict.fromkeys(os.strerror(int(number)) for number in numbers))
    return text or (
        f"no answer within {CONNECT_SECONDS} s" if isinstance(error, TimeoutError) else type(error).__name__
    )


_pool: dict[tuple[str, Address, Login], Connection] = {}
_pool_lock = threading.Lock()


def connect(name: str, address: Address, login: Login) -> Connection:
    """The pooled connection of this process to the machine; it is opened at its first use."""
    with _pool_lock:
        return _pool.setdefault((name, address, login), Connection(name, address, login))


__all__ = ["Address", "Connection", "Login", "Unreachable", "connect", "why"]
