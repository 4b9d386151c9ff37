"""Many machines and servers are asked at the same time; who does not answer holds up nobody else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from .wording import abridged

# As many are asked at once. They wait for the network; one that does not answer holds up one of these.
AT_ONCE = 32
SAY_SECONDS = 10.0


def at_once(questions: Mapping[str, Callable[[], Any]], say: Callable[[str], None]) -> dict[str, Future[Any]]:
    """The answer to each question, in their order, when all have come. Says now and then whose has not."""
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        asked = {name: pool.submit(question) for name, question in questions.items()}
        waiting = set(asked.values())
        while waiting:
            _done, waiting = wait(waiting, SAY_SECONDS)
            if waiting:
                late = [name for name, future in asked.items() if future in waiting]
                say(f"... still waiting for {abridged(late)}")
    finally:
        # Whoever interrupts does not wait for the rest.
        pool.shutdown(wait=False, cancel_futures=True)
    return asked
