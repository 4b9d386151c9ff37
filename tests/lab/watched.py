"""Everybody's command lines while something runs. The lab's nodes are containers: their processes stand in this machine's /proc."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

EVERY_SECONDS = 0.01


@contextmanager
def command_lines() -> Iterator[set[str]]:
    """The command lines of all processes that were seen while the block ran, here and on the nodes; sampled every 10 ms."""
    seen: set[str] = set()
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(seen, over), daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


def _watch(seen: set[str], over: threading.Event) -> None:
    known: dict[str, float] = {}
    while not over.wait(EVERY_SECONDS):
        now = time.monotonic()
        for process in os.listdir("/proc"):
            # A process keeps its number over an exec: those that are young are read again.
            if now - known.setdefault(process, now) > 1 or not process.isdigit():
                continue
            try:
                with open(f"/proc/{process}/cmdline", "rb") as file:
                    seen.add(file.read().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:
                known.pop(process, None)
