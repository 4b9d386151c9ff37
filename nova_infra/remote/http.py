"""HTTP through a node: a requests session whose connections are SSH channels.

Host names are resolved by the node (`http://controller:35357` works though this machine knows no `controller`), and TLS
still checks the certificate against the name in the URL.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NewConnectionError

from .connection import Connection

Dial = Callable[[str, int], socket.socket]


class _ThroughSSH(HTTPAdapter):
    """Opens every connection with `dial`."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        super().__init__()

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


def session_through(connection: Connection | None) -> requests.Session:
    """A session that connects from the node, or from this machine when there is no connection."""
    session = requests.Session()
    if connection is not None:
        session.trust_env = False  # a proxy of this machine has no place on the node's network
        adapter = _ThroughSSH(connection.reach_tcp)
        session.mount("http://", adapter)
        session.mount("https://", adapter)
    return session
