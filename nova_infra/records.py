"""Nova's records of its services as a refresh sees them: asked once for all nodes of a process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from .errors import RemoteError

if TYPE_CHECKING:
    from .compute import ServiceReport

# Nodes are read at the same time, a hundred of them within half a minute; what is older than this is asked anew.
FRESH_SECONDS = 30.0


class Records:
    """What `nova service-list` said within the last `fresh_seconds`. `ask` gets the whole list and may raise RemoteError."""

    def __init__(self, ask: Callable[[], list[ServiceReport]], fresh_seconds: float = FRESH_SECONDS) -> None:
        self._ask = ask
        self._fresh_seconds = fresh_seconds
        self._lock = threading.Lock()
        self._asked = -fresh_seconds
        self._answer: list[ServiceReport] | RemoteError = []

    def of(self, host: str) -> list[ServiceReport]:
        """The records of a host. Raises the RemoteError that asking has ended with."""
        with self._lock:
            if time.monotonic() - self._asked >= self._fresh_seconds:
                try:
                    self._answer = self._ask()
                except RemoteError as error:
                    # A server that does not answer is not waited for once a node.
                    self._answer = error
                self._asked = time.monotonic()
            answer = self._answer
        if isinstance(answer, RemoteError):
            raise answer
        return [each for each in answer if each.host == host]
