"""RabbitMQ: whether it lets nova's account in. Nova itself only logs a refusal."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import amqp
import amqp.exceptions
from amqp.transport import TCPTransport

from ..masking import mask
from ..remote.connection import why
from ..settings import Settings

TIMEOUT_SECONDS = 10
# What nova takes where the settings say nothing (oslo.messaging, rabbit_userid and rabbit_virtual_host).
USER, VIRTUAL_HOST = "guest", "/"


class _Dialled(TCPTransport):  # type: ignore[misc]
    """Speaks over a socket that is connected already."""

    def __init__(self, dial: Callable[[], socket.socket], **options: Any) -> None:
        super().__init__("localhost", **options)
        self._dial = dial

    def _connect(self, *_where: Any) -> None:
        self.sock = self._dial()

    def _set_socket_options(self, settings: Any) -> None:
        """Those are TCP's; ours is one end of a pair."""


class _Login(amqp.Connection):  # type: ignore[misc]
    def __init__(self, dial: Callable[[], socket.socket], **options: Any) -> None:
        super().__init__(connect_timeout=TIMEOUT_SECONDS, **options)
        self._dial = dial

    def Transport(self, *_where: Any, **_options: Any) -> _Dialled:  # noqa: N802 - the library's name
        return _Dialled(self._dial)


def refusal(settings: Settings, dial: Callable[[], socket.socket]) -> str:
    """Why RabbitMQ behind the socket does not let nova's account into its virtual host, or an empty text."""
    queue, password = settings.message_queue, settings.secrets["rabbitPassword"]
    login = _Login(
        dial,
        userid=queue.user or USER,
        password=password,
        virtual_host=queue.virtual_host or VIRTUAL_HOST,
        login_method="PLAIN",
    )
    try:
        login.connect()
        # Without a farewell: a server that falls silent now would be waited for.
        login.collect()
    except amqp.exceptions.AMQPError as error:
        return mask(str(error.reply_text or error), [password])
    except OSError as error:
        return mask(why(error), [password])
    return ""
