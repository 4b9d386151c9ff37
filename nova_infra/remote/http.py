"""HTTP through a node: a requests session whose connections are SSH channels. What its errors say about who has answered.

Host names are resolved by the node (`http://controller:35357` works though this machine knows no `controller`), and TLS
still checks the certificate against the name in the URL.
"""

from __future__ import annotations

import http.client
import socket
from collections.abc import Callable, Iterator
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NewConnectionError
from urllib3.util import Retry

from .connection import Connection

Dial = Callable[[str, int], socket.socket]
# A server that is being started refuses connections for some seconds: tried again after 0, 1, 2 and 4.
CONNECT_RETRIES = 4


class _ThroughSSH(HTTPAdapter):
    """Opens every connection with `dial`."""

    def __init__(self, dial: Dial, retries: Retry | int) -> None:
        self._dial = dial
        super().__init__(max_retries=retries)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        manager = PoolManager(num_pools=connections, maxsize=maxsize, block=block, **kwargs)
        dial = self._dial

        class Plain(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                return _dialled(dial, self)

        class TLS(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                return _dialled(dial, self)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class TLSPool(HTTPSConnectionPool):
            ConnectionCls = TLS

        manager.pool_classes_by_scheme = {"http": PlainPool, "https": TLSPool}
        self.poolmanager = manager


def _dialled(dial: Dial, connection: HTTPConnection) -> socket.socket:
    try:
        return dial(connection.host, connection.port or connection.default_port)
    except OSError as error:
        raise NewConnectionError(connection, str(error)) from None


def session_through(connection: Connection | None, patient_with: str = "") -> requests.Session:
    """A session that connects from the node, or from this machine when there is no connection.

    With URLs that begin with `patient_with` connecting is tried for some seconds. Only connecting: a request is sent once.
    """
    session = requests.Session()
    if connection is not None:
        session.trust_env = False  # a proxy of this machine has no place on the node's network

    def adapter(retries: Retry | int) -> HTTPAdapter:
        return HTTPAdapter(max_retries=retries) if connection is None else _ThroughSSH(connection.reach_tcp, retries)

    for scheme in ("http://", "https://"):
        session.mount(scheme, adapter(0))
    if patient_with:
        only_connecting = Retry(
            None, connect=CONNECT_RETRIES, read=False, redirect=False, status=0, other=0, backoff_factor=0.5
        )
        session.mount(patient_with, adapter(only_connecting))
    return session


CUT_OFF = "the answer was cut off"
# What reading an answer raises that is another one than was asked for.
NOT_UNDERSTOOD = (AttributeError, LookupError, RecursionError, TypeError, ValueError)


def cut_off(error: BaseException) -> bool:
    """Whether an answer has begun and did not come to its end."""
    kinds = (http.client.IncompleteRead, requests.exceptions.ChunkedEncodingError)
    return any(isinstance(each, kinds) for each in _causes(error))


def no_http(error: BaseException) -> bool:
    """Whether somebody has answered who does not speak HTTP, or not what we understand of it."""
    # Who hangs up without a word has not answered.
    return not cut_off(error) and any(
        isinstance(each, (http.client.HTTPException, requests.exceptions.ContentDecodingError))
        and not isinstance(each, http.client.RemoteDisconnected)
        for each in _causes(error)
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
