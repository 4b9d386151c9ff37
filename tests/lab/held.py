"""A proxy in front of Keystone that passes a request on and keeps the answer to itself, for as long as a test wants."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Proxy:
    """Passes connections on to `server`; once `hold` is set, the answer to a request that begins with it is kept back."""

    server: tuple[str, int]
    hold: bytes = b""
    answered: threading.Event = field(default_factory=threading.Event)
    """Set when the server has answered the request that is held."""

    def serve(self, listening: socket.socket) -> None:
        """Until the socket is closed."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = listening.accept()
                threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        held = threading.Event()
        with contextlib.suppress(OSError), client, socket.create_connection(self.server, timeout=60) as server:
            threading.Thread(target=self._requests, args=(client, server, held), daemon=True).start()
            while data := server.recv(65536):
                if held.is_set():
                    self.answered.set()
                    continue
                client.sendall(data)

    def _requests(self, client: socket.socket, server: socket.socket, held: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                if self.hold and data.startswith(self.hold):
                    held.set()
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def proxy(address: str, server: tuple[str, int]) -> Iterator[tuple[Proxy, int]]:
    """A proxy that listens on an address of the lab's bridge, and its port."""
    with socket.create_server((address, 0)) as listening:
        made = Proxy(server)
        threading.Thread(target=made.serve, args=(listening,), daemon=True).start()
        yield made, listening.getsockname()[1]
