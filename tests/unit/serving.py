"""A server of http.server that answers in a thread while a test runs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import HTTPServer

# How often a server looks whether it is to end; the default of half a second is more than most tests take.
POLL_SECONDS = 0.01


@contextlib.contextmanager
def serving(server: HTTPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=[POLL_SECONDS], daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
