"""A race: contestants that do the same work in turn (A B C, A B C, ...) in one run, and the goal of ours."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .measuring import Command, measure
from .places import LOGS
from .record import Record

ROUNDS = os.environ.get("ROUNDS", "")


def _nothing(_number: int) -> None:
    pass


def _trusting(_text: str) -> None:
    pass


@dataclass(frozen=True)
class Contestant:
    """Who takes part: `prepare` is not measured; `check` gets what the command printed and raises Failed when it did not do the work."""

    key: str
    title: str
    command: Callable[[int], Command]
    prepare: Callable[[int], None] = _nothing
    check: Callable[[str], None] = _trusting
    rounds: int = 0
    """How often at most, where a contestant is slow; 0: each round."""


@dataclass(frozen=True)
class Goal:
    """Ours takes at most `limit` x the sum of `of`, in the same round; the median of the rounds counts.

    Of several names in one place the fastest counts.
    """

    limit: float
    of: Sequence[str | Sequence[str]]
    text: str


def race(record: Record, contestants: Sequence[Contestant], rounds: int) -> None:
    """Runs all rounds that the record has not got yet."""
    record.contestants = {each.key: each.title for each in contestants}
    for number in range(int(ROUNDS or rounds)):
        for each in contestants:
            if record.has(number, each.key) or (each.rounds and number >= each.rounds):
                continue
            each.prepare(number)
            log = LOGS / f"{record.name}-{each.key}-{number}.log"
            began = time.strftime("%H:%M:%S")
            command = each.command(number)
            cost = measure(command, log)
            each.check(log.read_text(errors="replace"))
            record.add(number, each.key, cost)
            print(f"{began} {record.name}: round {number + 1}, {each.key}: {cost.wall:.1f} s", flush=True)
