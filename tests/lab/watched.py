"""Everybody's command lines while something runs. The lab's nodes are containers: their processes stand in this machine's /proc."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
    while not over.is_set():
        for process in Path("/proc").iterdir():
            if not process.name.isdigit():
                continue
            try:
                # A process keeps its number over an exec: those that are young are read again.
                if time.monotonic() - known.setdefault(process.name, time.monotonic()) > 1:
                    continue
                seen.add((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:
                known.pop(process.name, None)
        over.wait(EVERY_SECONDS)
