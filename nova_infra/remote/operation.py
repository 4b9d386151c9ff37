"""Acting on a node: the lock, the order read - decide - act, and progress for the user."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import tenacity

from ..errors import DeadlineExceeded, StepFailed
from ..masking import mask
from .inspection import Facts, Question, facts_of, inspect
from .script import BEAT_SECONDS, Call, call, progress

if TYPE_CHECKING:
    from .connection import Connection

LOCK_SECONDS = 900
TRIES = 5

Decide = Callable[[Facts], Sequence[Call]]


@dataclass(frozen=True)
class Operated:
    """What an operation did, and the node as it was read last."""

    calls: Sequence[Call]
    facts: Facts


def operate(
    connection: Connection,
    question: Question,
    decide: Decide,
    *,
    doing: str,
    deadline: float,
    secrets: Iterable[str] = (),
    look_again: bool = True,
) -> Operated:
    """Reads the node, decides what is to be done, does it, and reads again in the same round trip unless told otherwise.

    Does nothing when there is nothing to do. When another run held the node's lock, what was read is old: it is read and decided
    anew.
    """
    # Whose a file was, and what names mean there, are questions about the time before.
    afterwards = replace(question, origins=(), names=()).calls() if look_again else []
    for _ in range(TRIES):
        facts = inspect(connection, question, doing=doing)
        calls = list(decide(facts))
        if not calls:
            return Operated(calls, facts)
        answer = connection.run(
            [call("lock", str(LOCK_SECONDS)), *calls, *afterwards],
            doing=doing,
            deadline=deadline + LOCK_SECONDS,
            show=progress(connection.name),
            secrets=secrets,
        )
        if not answer.again:
            return Operated(calls, facts_of(answer) if look_again else facts)
    raise StepFailed(lock_taken(connection, doing))


def lock_taken(connection: Connection, doing: str) -> str:
    """The sentence for StepFailed when other runs had the node's lock TRIES times in a row."""
    return (
        f"{connection.name} ({connection.address}): {doing}: other runs took the node's lock {TRIES} times in a row. "
        "Find out who else deploys to it, and run the same command again."
    )


@dataclass(frozen=True)
class Time:
    """How a wait reads the time and lets it pass."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = tenacity.nap.sleep


REAL_TIME = Time()


def wait_until(
    done: Callable[[], bool],
    *,
    doing: str,
    seconds: float,
    every: float = 1.0,
    seen: Callable[[], str] = lambda: "",
    advice: str = "",
    passing: Time = REAL_TIME,
) -> None:
    """Calls `done` until it is true, and says now and then what it waits for and what was last `seen`.

    `doing` is a sentence's beginning with the node's name. Raises DeadlineExceeded with `doing`, what was last `seen`, and the
    sentences of `advice`.
    """
    began = passing.now()
    said = 0.0

    def beat(_state: tenacity.RetryCallState) -> None:
        nonlocal said
        waited = passing.now() - began
        if waited - said >= BEAT_SECONDS:
            said = waited
            last = seen()
            print(
                mask(f"{doing}: still waiting ({waited:.0f} s)" + (f"; last seen: {last}" if last else "")), flush=True
            )

    waiting = tenacity.Retrying(
        stop=lambda _state: passing.now() - began >= seconds,
        wait=tenacity.wait_fixed(every),
        retry=tenacity.retry_if_result(lambda result: not result),
        before_sleep=beat,
        sleep=passing.sleep,
    )
    try:
        waiting(done)
    except tenacity.RetryError:
        last = seen().rstrip(".")
        found = f"; last seen: {last}" if last else ""
        raise DeadlineExceeded(f"{doing}: not within {seconds:.0f} s{found}. {advice}".rstrip()) from None


__all__ = ["Decide", "Operated", "Time", "operate", "progress", "wait_until"]
