"""What an error of a connection says, in the words of the system and without those of Python."""

from __future__ import annotations

import os
import re
import socket

# How long a machine, and a server behind it, may take to let us in. A timeout of asyncio has no text of its own.
CONNECT_SECONDS = 30


class Unreachable(OSError):  # noqa: N818
    """A machine could not connect to a server. An OSError, as whoever opens sockets expects it."""


class Prohibited(Unreachable):
    """A machine's sshd does not connect to that place for us. OpenSSH before 7 says so of a name that does not resolve, too."""


def why(error: BaseException) -> str:
    """What an error of a client says; when the connection failed, the short reason instead of the layers around it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, Unreachable):
            return str(cause)
        if isinstance(cause, (ConnectionError, socket.gaierror, TimeoutError)):
            return reason_of(cause)
        cause = cause.__cause__ or cause.__context__
    return str(error).strip().rstrip(".")


def reason_of(error: BaseException) -> str:
    """The short reason of an error of a connection, without a period."""
    text = str(getattr(error, "reason", "") or error).strip().rstrip(".")
    if isinstance(error, socket.gaierror):
        return str(error.strerror)
    if numbers := re.findall(r"\[Errno (\d+)\]", text):
        # asyncio, and an sshd written with it, puts the addresses that it has tried into the text, as Python writes them.
        return "; ".join(dict.fromkeys(os.strerror(int(number)) for number in numbers))
    return text or (
        f"no answer within {CONNECT_SECONDS} s" if isinstance(error, TimeoutError) else type(error).__name__
    )
