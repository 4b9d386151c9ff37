"""Ends this provider process when the engine is gone.

A provider outlives an engine that was killed (the SDK waits for ever), and with it the SSH connections and what runs over
them. The engine's address is the provider's only argument; a connection to it closes at the moment the engine dies.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
import time

CONNECT_SECONDS = 5.0
_started = threading.Lock()


def end_with_the_engine() -> None:
    """Starts the watch, once in a process; does nothing where no engine has started this process."""
    address = re.fullmatch(r"(127\.0\.0\.1|localhost|\[::1\]):(\d+)", sys.argv[1] if len(sys.argv) > 1 else "")
    if address and _started.acquire(blocking=False):
        place = (address[1].strip("[]"), int(address[2]))
        threading.Thread(target=_watch, args=place, name="nova-infra-engine", daemon=True).start()


def _watch(host: str, port: int) -> None:
    while True:
        try:
            with socket.create_connection((host, port), timeout=CONNECT_SECONDS) as connection:
                connection.settimeout(None)
                # The engine closes a connection that says nothing after a while: then we ask again.
                while connection.recv(4096):
                    pass
        except ConnectionRefusedError:
            # No clean-up: the scripts on the machines see their connection close, and end by themselves.
            os._exit(1)
        except OSError:
            time.sleep(1)
