"""What removing does about a machine that cannot be connected to: refuse, unless the stack says that it is gone for good."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pulumi.runtime import rpc

from ..errors import NoConnection, Problem
from .lifecycle import State

REFUSE, LEAVE = "refuse", "leave"


def unreachable_problems(wanted: State) -> list[Problem]:
    """A problem when `on_unreachable` is neither of both."""
    value = wanted.get("on_unreachable", REFUSE)
    if value in (REFUSE, LEAVE, rpc.UNKNOWN):
        return []
    return [Problem("on_unreachable", f"is {value!r}; it can be {REFUSE} or {LEAVE}")]


@contextmanager
def leave_if_unreachable(known: State, what: str, keep: Callable[[str, str], None]) -> Iterator[None]:
    """Around the removal of `what` from a node: passes over a machine that is not there, when the state says so.

    `keep` is told what is left. Raises NoConnection, with the way to do it, when the state does not. A machine that answers and refuses is there: it is not left.
    """
    try:
        yield
    except NoConnection as error:
        if known.get("on_unreachable") != LEAVE:
            raise NoConnection(
                f"{error} If the machine is gone for good, set `on_unreachable: {LEAVE}` on {known['node']}, run `pulumi up`, then "
                "run this again."
            ) from None
        keep(known["node"], f"cannot be connected to; left there as it is: {what}")
