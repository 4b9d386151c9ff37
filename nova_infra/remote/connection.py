"""SSH: one pooled connection to each node in a process, scripts that run over it, and sockets to servers behind it.

Pulumi runs a provider's operations in threads; asyncssh needs an event loop. One loop runs in a thread of its own, and
everything here that is not `async` may be called from any thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import threading
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import asyncssh

from ..errors import ConnectionFailed, DeadlineExceeded, NoConnection, StepFailed
from ..masking import mask
from ..wording import escaped
from .connecting import Way
from .login import Address, Login
from .reason import CONNECT_SECONDS, Prohibited, Unreachable, reason_of, why
from .script import Answer, Call, Listener, Script, compose
from .sudo import refusal_in

T = TypeVar("T")


class _Loop:
    """The event loop of this process, in a thread that ends with it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, name="nova-infra-ssh", daemon=True).start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()


# The login shell may be any, its PATH short, its language another: sudo's own words are wanted in English.
_SHELL = (
    "/bin/sh -c 'LC_ALL=C PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export LC_ALL PATH;"
)

# The mark and the path come on standard input: whatever they hold, no shell reads it.
_NETCAT = f"""{_SHELL} IFS= read -r mark; IFS= read -r path; echo "$mark"; echo "$mark" >&2; exec nc -U "$path"'"""

_the_loop: list[_Loop] = []
_loop_lock = threading.Lock()
# What sudo asks for the password with, what is said behind it, and how long it may take to say yes or no.
_ASKED, _LET_IN = "nova-infra?", "nova-infra is let in"
SUDO_SECONDS = 30.0


def _loop() -> _Loop:
    # Four threads may ask for the first time at once.
    with _loop_lock:
        if not _the_loop:
            _the_loop.append(_Loop())
        return _the_loop[0]


class Connection:
    """A machine, connected at the first use and again when the connection was lost; with `jump`, through that machine."""

    def __init__(self, name: str, address: Address, login: Login, jump: Connection | None = None) -> None:
        self.name = name
        self.address = address
        self.login = login
        self.jump = jump
        self._connection: asyncssh.SSHClientConnection | None = None
        # Where sshd opens few sessions on a connection (MaxSessions), what runs beside them has connections of its own.
        self._more: list[asyncssh.SSHClientConnection] = []
        self._connecting: asyncio.Lock | None = None

    def open(self, seconds: float) -> None:
        """Connects, unless it is connected. Raises ConnectionFailed, at the latest after these seconds."""
        _loop().run(self._open(seconds))

    async def _open(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._connected(), seconds)
        except TimeoutError:
            raise ConnectionFailed(
                f"{self._who()}: no SSH connection: no answer within {seconds:.0f} s. Check the address, that the machine is up, and that "
                "firewalls let this machine in."
            ) from None

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
            await self._connected()
            listener.begin(doing)
            return await self._listen(script, listener, deadline, hidden)
        finally:
            beating.cancel()

    async def _listen(
        self,
        script: Script,
        listener: Listener,
        deadline: float,
        hidden: list[str],
    ) -> Answer:
        try:
            async with asyncio.timeout(deadline):
                command = self._command(len(script.source))
                async with await self._session(command, encoding="utf-8", errors="replace") as process:
                    # Standard input stays open: the script ends when it sees that we are gone.
                    heard = await self._sent(script, process)
                    complaints = asyncio.ensure_future(process.stderr.read())
                    # When the connection breaks nobody waits for it any more; asyncio would complain with a traceback.
                    complaints.add_done_callback(lambda task: task.cancelled() or task.exception())
                    async for line in process.stdout:
                        listener.hear(line)
                    complaint = mask(complaint_of(heard + await complaints, script.mark), hidden)
                    completed = await process.wait()
        except TimeoutError:
            raise DeadlineExceeded(
                f"{self.name} ({self.address}): {listener.current} took longer than {deadline:.0f} s. It was told to stop. "
                "Look at the machine; run the same command again when it answers."
            ) from None
        except asyncssh.ChannelOpenError as error:
            raise ConnectionFailed(
                f"{self.name} ({self.address}): the machine took the login and opens no session: {reason_of(error)}. "
                "Check MaxSessions in its sshd_config."
            ) from None
        except (OSError, asyncssh.Error) as error:
            raise ConnectionFailed(
                f"{self.name} ({self.address}): the connection was lost during {listener.current}: {reason_of(error)}. "
                "Run the same command again: it continues with what is left."
            ) from None
        if completed.exit_status != 0:
            raise self._failure(listener, complaint, completed.exit_status)
        if not listener.ended:
            said = mask(listener.noise.strip() or complaint, hidden) or "nothing"
            raise ConnectionFailed(
                f"{self.name} ({self.address}): the machine took the login and did not run our script to its end; it said: {said.rstrip('.')}. "
                f"Check that {escaped(self.address.user)} may run commands there (cloud images send root away)."
            )
        return listener.answer

    async def _session(self, command: str, **options: Any) -> asyncssh.SSHClientProcess[Any]:
        """The command, begun on the machine. Nothing of a script has been sent yet, so that this may be tried again."""
        connection = await self._connected()
        for each in [connection, *self._more]:
            try:
                return await each.create_process(command, **options)
            except asyncssh.ChannelOpenError:
                pass
            except (OSError, asyncssh.Error):
                # It broke while nobody used it, and nobody has noticed.
                each.abort()
                await each.wait_closed()
        if connection.is_closed():
            connection = await self._connected()
        else:
            try:
                connection = await self._connect()
            except NoConnection as error:
                # The machine is there: the first connection stands.
                raise ConnectionFailed(str(error)) from None
            self._more = [*(each for each in self._more if not each.is_closed()), connection]
        return await connection.create_process(command, **options)

    def _command(self, length: int) -> str:
        """What the login shell is given: one line that sh, csh and fish read alike (in '' no !, no \\ but before " and $).

        `head -c` takes exactly the script; what stays open behind it is the sign that we are still here.
        """
        run = f'eval \\"\\$(head -c {length})\\"'
        if self.address.user == "root":
            return f'{_SHELL} eval "$(head -c {length})"\''
        if not self.login.sudo_password:
            return f"""{_SHELL} exec sudo -n sh -c "{run}"'"""
        # sudo reads one line, or none when it asks for no password: skip to the line that ends the preamble.
        skip = "while IFS= read -r line; do case \\$line in nova-infra) break;; esac; done"
        return f"""{_SHELL} exec sudo -S -p "{_ASKED}" sh -c "echo {_LET_IN} >&2; {skip}; {run}"'"""

    async def _sent(self, script: Script, process: asyncssh.SSHClientProcess[Any]) -> str:
        """Sends the script, and returns what was said meanwhile on standard error.

        A sudo that asks gets the password once, and the script when it has let us in: it would take each line for one more password, and
        some machines lock an account after three that are wrong.
        """
        if self.address.user == "root" or not self.login.sudo_password:
            _write(process, script.source.decode())
            return ""
        _write(process, f"{self.login.sudo_password}\n")
        heard = ""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SUDO_SECONDS):
                while heard.count(_ASKED) < 2 and (said := await process.stderr.read(4096)):
                    heard += said
                    if f"{_LET_IN}\n" in heard:
                        _write(process, "nova-infra\n" + script.source.decode())
                        return ""
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write_eof()
        return heard.replace(_ASKED, "")

    def _failure(self, listener: Listener, complaint: str, status: int | None) -> Exception:
        refusal = (
            "" if listener.heard or self.address.user == "root" else refusal_in(complaint, escaped(self.address.user))
        )
        if refusal:
            return ConnectionFailed(f"{self.name} ({self.address}): {refusal}")
        said = complaint or f"exit status {status}"
        return StepFailed(
            f"{self.name} ({self.address}): {listener.current} failed: {said.rstrip('.')}. When that is put right, run the same command "
            "again: it continues with what is left."
        )

    # ------------------------------------------------------------ servers behind the machine

    def reach_tcp(self, host: str, port: int) -> socket.socket:
        """A connected socket to `host:port` as this machine sees it. Raises Unreachable, an OSError; Prohibited where its sshd may not."""
        return self._bridged(f"{host}:{port}", self._open_tcp(host, port))

    def reach_unix(self, path: str) -> socket.socket:
        """A connected socket to the UNIX socket `path` on this machine, where a server is that speaks first, as MariaDB does.

        Raises Unreachable, an OSError; StepFailed where the machine has no means to it.
        """
        return self._bridged(path, self._open_unix(path))

    def out_of_reach(self, places: Iterable[tuple[str, int]], seconds: float) -> dict[tuple[str, int], str]:
        """Of these `(host, port)`, those that the machine cannot connect to, each with the reason. Asked all at once.

        Raises Prohibited when the machine's sshd does not connect to anything for us (AllowTcpForwarding).
        """
        return _loop().run(self._out_of_reach(list(places), seconds))

    async def _out_of_reach(self, places: list[tuple[str, int]], seconds: float) -> dict[tuple[str, int], str]:
        async def refusal(host: str, port: int) -> str:
            try:
                _reader, writer = await asyncio.wait_for(self._open_tcp(host, port), seconds)
            except TimeoutError:
                return f"no answer within {seconds:.0f} s"
            except (OSError, asyncssh.Error) as error:
                if _is_prohibited(error):
                    raise Prohibited(f"{self.name} does not connect to others for us: {reason_of(error)}") from None
                return reason_of(error)
            writer.close()
            return ""

        answers = await asyncio.gather(*(refusal(host, port) for host, port in places))
        return {place: answer for place, answer in zip(places, answers, strict=True) if answer}

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
            # OpenSSH says the same of a socket that is not there and of what it is not to do.
            refused = reason_of(error)
        # OpenSSH before 6.7 (Ubuntu 14.04 has 6.6) cannot open UNIX sockets, and some are told not to: netcat does it there.
        # MariaDB's socket is for everybody, so this needs no sudo.
        process = await self._session(_NETCAT, encoding=None)
        mark = f"nova-infra-{secrets.token_hex(8)}"
        try:
            process.stdin.write(f"{mark}\n{path}\n".encode())
            # What the login shell prints stands before the mark.
            await process.stdout.readuntil(f"{mark}\n".encode())
            first = await process.stdout.read(65536)
        except asyncio.IncompleteReadError:
            first = b""
        except asyncio.CancelledError:
            process.close()
            raise
        if first:
            return _Begun(first, process.stdout), process.stdin
        heard = (await process.stderr.read()).decode("utf-8", "replace")
        complaint = mask(complaint_of(heard, mark).rstrip("."), self.login.secrets())
        if (await process.wait()).exit_status == 127 or "option" in complaint:
            raise StepFailed(
                f"{self.name} ({self.address}): connecting to {path} failed: sshd there says: {refused}, and nc, which does it where sshd does not "
                f"forward to UNIX sockets: {complaint}. Install netcat-openbsd there, or set AllowStreamLocalForwarding yes in its sshd_config; "
                "then, should it still fail, look whether the server runs."
            )
        raise Unreachable(
            f"{self.name} could not connect to {path}: {complaint.splitlines()[0] if complaint else refused}"
        )

    async def _bridge(self, what: str, opening: Coroutine[Any, Any, tuple[Any, Any]], end: socket.socket) -> None:
        try:
            # To get in may take longer, where many want to at once.
            await self._connected()
        except BaseException:
            opening.close()
            raise
        try:
            far_reader, far_writer = await asyncio.wait_for(opening, CONNECT_SECONDS)
        except (asyncssh.Error, TimeoutError) as error:
            sentence = f"{self.name} could not connect to {what}: {reason_of(error)}"
            if _is_prohibited(error):
                raise Prohibited(sentence) from None
            raise Unreachable(sentence) from None
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
        jump = partial(self._through, self.jump) if self.jump else None
        return await Way(self._who(), self.address, self.login, jump).open()

    async def _through(self, jump: Connection) -> asyncssh.SSHClientConnection:
        try:
            return await jump._connected()
        except ConnectionFailed as error:
            # Whoever is behind a jump host that fails is not gone: this is no NoConnection.
            raise ConnectionFailed(f"{self._who()}: not reached. {error}") from None

    def _who(self) -> str:
        through = f" through {self.jump.address}" if self.jump else ""
        return f"{self.name} ({self.address}{through})"


def _is_prohibited(error: BaseException) -> bool:
    return getattr(error, "code", None) == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED


@dataclass
class _Begun:
    """A reader whose first bytes have been read."""

    first: bytes
    rest: Any

    async def read(self, count: int) -> bytes:
        first, self.first = self.first, b""
        return first or bytes(await self.rest.read(count))


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


def complaint_of(said: str, mark: str) -> str:
    """What a script said on standard error: behind the mark with which it began there. What the login printed is before that."""
    return said.rpartition(f"{mark}\n")[2].strip()


def _write(process: asyncssh.SSHClientProcess[Any], text: str) -> None:
    # What has ended already has said why; nobody is there to read, and that is no broken connection.
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(text)


_pool: dict[tuple[str, Address, Login, Connection | None], Connection] = {}
_pool_lock = threading.Lock()


def connect(name: str, address: Address, login: Login, jump: Connection | None = None) -> Connection:
    """The pooled connection of this process to the machine, through `jump` if given; it is opened at its first use."""
    with _pool_lock:
        return _pool.setdefault((name, address, login, jump), Connection(name, address, login, jump))


__all__ = ["Address", "Connection", "Login", "Prohibited", "Unreachable", "connect", "why"]
