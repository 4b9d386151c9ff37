"""How a connection is opened: how often it is tried, through which jump host, and what is said when it fails.

Who answers and refuses is there, and is not asked again. Who answers and hangs up before the login, as an sshd at its
MaxStartups does, is asked again for a minute and a half. Where nobody answers, not even through a jump host that works, the
machine counts as gone (NoConnection): a removal may then pass over it.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import asyncssh
import tenacity
from asyncssh.saslprep import SASLPrepError

from ..errors import ConnectionFailed, NoConnection
from .login import Address, Login
from .reason import reason_of

# A machine that has just booted refuses for a moment.
CONNECT_TRIES = 4
# After so many seconds a machine that does not answer is not tried once more.
SILENT_SECONDS = 30
# One that hangs up before the login is tried for so long: with a hundred connections at once, sshd lets in a few at a time.
CROWDED_SECONDS = 90
# The longest first pause between two such tries; each further one may be twice as long.
CROWDED_PAUSE_SECONDS = 0.25
# How long a jump host may take to show that it is still there.
ALIVE_SECONDS = 10

Jump = Callable[[], Awaitable[asyncssh.SSHClientConnection]]
"""Opens the connection to the jump host, or returns the one that is open. Raises ConnectionFailed."""


@dataclass
class Way:
    """The way to one machine, and what the tries to go it have shown."""

    who: str
    """The machine, as a sentence begins: `compute1 (ubuntu@10.0.0.31)`."""
    address: Address
    login: Login
    jump: Jump | None = None
    answered: bool = False
    """Whether somebody took the last try's connection."""
    ever_answered: bool = False
    lost_jump: bool = False
    """Whether the jump host went away during the last try."""

    async def open(self) -> asyncssh.SSHClientConnection:
        """The connection. Raises NoConnection when nobody answers, ConnectionFailed for all else."""
        options = self.login.options(self.who, self.address)
        retrying = tenacity.AsyncRetrying(
            stop=self._enough, wait=self._pause, retry=tenacity.retry_if_exception(_may_pass), reraise=True
        )
        try:
            return await retrying(self._try, options)
        except (OSError, asyncssh.Error, TimeoutError) as error:
            failure = await self._failure(error)
        except (ValueError, OverflowError, RuntimeError) as error:
            # Before anything is sent.
            raise ConnectionFailed(f"{self.who}: no login was tried: {_not_tried(error)}.") from None
        raise failure

    async def _try(self, options: dict[str, Any]) -> asyncssh.SSHClientConnection:
        self.answered = self.lost_jump = False
        tunnel = await self.jump() if self.jump else None
        way = self

        class Client(asyncssh.SSHClient):
            def connection_made(self, _connection: asyncssh.SSHClientConnection) -> None:
                way.answered = way.ever_answered = True

        try:
            return await asyncssh.connect(
                self.address.host, self.address.port, client_factory=Client, tunnel=tunnel or (), **options
            )
        except (OSError, asyncssh.Error, TimeoutError):
            # That nobody has answered says something about the machine only when the jump host could ask.
            if tunnel is not None and (tunnel.is_closed() or not (self.answered or await _is_alive(tunnel))):
                self.lost_jump = True
            raise

    # ------------------------------------------------------------ how often

    def _enough(self, state: tenacity.RetryCallState) -> bool:
        seconds = state.seconds_since_start or 0.0
        if self.answered or self.lost_jump:
            return seconds >= CROWDED_SECONDS
        return state.attempt_number >= CONNECT_TRIES or seconds >= SILENT_SECONDS

    def _pause(self, state: tenacity.RetryCallState) -> float:
        # Many processes begin at once, and are sent away at once: their next tries are spread.
        crowded = tenacity.wait_random_exponential(multiplier=CROWDED_PAUSE_SECONDS, max=4)
        silent = tenacity.wait_exponential_jitter(initial=1, max=5)
        return (crowded if self.answered else silent)(state)

    # ------------------------------------------------------------ what is said

    async def _failure(self, error: BaseException) -> ConnectionFailed:
        said = reason_of(error)
        if isinstance(error, asyncssh.HostKeyNotVerifiable):
            problem = (
                f"its host key is not the one we trust: {said}. If the machine was installed anew, put its new key into "
                "host_key or the known hosts file; else find out who answers there"
            )
        elif isinstance(error, asyncssh.PermissionDenied):
            problem = f"the machine refused the login: {said}. Check the user name and {await self.login.advice()}"
        elif isinstance(error, asyncssh.DisconnectError) and not _may_pass(error):
            problem = (
                f"the login did not come about: {said}. Look at the log of its sshd; where an SSH agent holds many keys, name the "
                "right one (private_key_file)"
            )
        elif self.lost_jump:
            problem = f"the jump host went away: {said}. Look at it, and run the same command again"
        elif isinstance(error, asyncssh.ChannelOpenError) and error.code != asyncssh.OPEN_CONNECT_FAILED:
            problem = f"the jump host opens no way to it: {said}. Allow it in the jump host's sshd_config (AllowTcpForwarding, PermitOpen)"
        elif self.ever_answered:
            problem = (
                f"it took the connection and did not let us in: {said}. Look at the log of its sshd; one that has many logins at "
                "once hangs up (MaxStartups), and so does one that does not want this address"
            )
        else:
            sentence = f"{self.who}: no SSH connection: {said}. {self._where_to_look(error, said)}"
            return NoConnection(sentence) if _nobody_is_there(error, said) else ConnectionFailed(sentence)
        return ConnectionFailed(f"{self.who}: {problem}.")

    def _where_to_look(self, error: BaseException, said: str) -> str:
        """What to look at when nobody answers: each cause has another place."""
        ours = "the jump host" if self.jump else "this machine"
        if isinstance(error, socket.gaierror):
            return "The machine where Pulumi runs does not know this name: correct the address, or make the name known there (DNS, /etc/hosts)."
        if isinstance(error, TimeoutError):
            return f"The machine is off, or a firewall drops what {ours} sends. Check the address, that the machine is up, and the firewalls on the way."
        if os.strerror(errno.ECONNREFUSED) in said:
            return (
                f"Something is up at this address, and nothing listens on port {self.address.port}. Check the address and the port, and that "
                "sshd runs there."
            )
        if any(os.strerror(number) in said for number in (errno.EHOSTUNREACH, errno.ENETUNREACH)):
            return f"The machine is off, or no way leads to its network. Check the address, that the machine is up, and the routes of {ours} (VPN)."
        return f"Check the address, that the machine is up, and that firewalls let {ours} in."


def _not_tried(error: Exception) -> str:
    """Why nothing was sent, and what to do."""
    if isinstance(error, SASLPrepError):
        # What RFC 4013 forbids.
        return f"the user's name: {reason_of(error)}. Correct the connection in the stack"
    if isinstance(error, UnicodeError) and not isinstance(error, UnicodeDecodeError):
        # What IDNA does not take.
        return "the host is no name. Correct the connection in the stack"
    # Where nobody names a key, asyncssh takes those in ~/.ssh: one may be damaged, and there may be no home folder.
    return (
        f"what SSH takes from the home folder cannot be used: {reason_of(error)}. Name the right key (private_key_file), or take a damaged one "
        "out of ~/.ssh; a user without a home folder needs HOME set where Pulumi runs"
    )


_SILENCE = (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT, errno.ECONNRESET)


def _nobody_is_there(error: BaseException, said: str) -> bool:
    """Whether it was the address that did not answer: not a name that nobody knows, and nothing that this machine lacks."""
    if isinstance(error, (TimeoutError, asyncssh.ConnectionLost)):
        return True
    return any(os.strerror(number) in said for number in _SILENCE)


def _may_pass(error: BaseException) -> bool:
    """Whether another try may end otherwise: a wrong key or a refused login stays so."""
    if isinstance(error, asyncssh.ChannelOpenError):
        return bool(error.code == asyncssh.OPEN_CONNECT_FAILED)
    if isinstance(error, asyncssh.DisconnectError):
        return isinstance(error, asyncssh.ConnectionLost) or error.code == asyncssh.DISC_TOO_MANY_CONNECTIONS
    return isinstance(error, (OSError, TimeoutError, asyncssh.Error))


async def _is_alive(tunnel: asyncssh.SSHClientConnection) -> bool:
    """Whether the machine at the other end answers anything at all: any port will do, also a closed or a forbidden one."""
    try:
        async with asyncio.timeout(ALIVE_SECONDS):
            _, writer = await tunnel.open_connection("127.0.0.1", 9)
        writer.close()
    except asyncssh.ChannelOpenError:
        # A connection that is being closed says so after this turn of the loop.
        await asyncio.sleep(0)
        return not tunnel.is_closed()
    except (OSError, asyncssh.Error, TimeoutError):
        return False
    return True


__all__ = ["Jump", "Way"]
