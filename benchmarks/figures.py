"""The figures of the page, from the records: medians, ratios within a round, growth with the number of nodes."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .record import Record

STEPS = {
    "up": "`up` from fresh nodes",
    "option": "one option for all",
    "add": "one node added",
    "preview": "`preview --refresh`",
    "check": "`python -m nova_infra check`",
    "destroy": "`destroy`",
}
GROWING = ("seconds", "memory", "providers")
"""What a goal limits of each step: seconds a node, and the peak memory of the whole command and of its providers alone."""
LIMIT = 1.3
PROCESS_MB = 51
"""What a provider process takes that has nothing to do, and no code of ours."""
BUSY = 1
"""A load above that, when the benchmarks began, says that something else works on the machine."""


def table(record: Record) -> dict[str, Any]:
    """The rows of a race, and whether its goal is met."""
    runs = {key: [each for each in record.runs if each["key"] == key] for key in record.contestants}
    ours = statistics.median(each["wall"] for each in runs["ours"])
    rows = [
        _row(record.contestants[key], these, ours) | {"ours": key == "ours"} for key, these in runs.items() if these
    ]
    goal = record.goal
    ratio = median_ratio(rounds_of(record), "ours", goal["of"]) if goal else None
    return {
        "record": record,
        "rows": rows,
        "ratio": ratio,
        "met": ratio is not None and goal is not None and ratio <= goal["limit"],
        "busy": record.load > BUSY,
    }


def _row(title: str, runs: Sequence[Mapping[str, float]], ours: float) -> dict[str, Any]:
    walls = [each["wall"] for each in runs]
    return {
        "title": title,
        "wall": statistics.median(walls),
        "least": min(walls),
        "most": max(walls),
        "times": statistics.median(walls) / ours,
        "cpu": statistics.median(each["cpu"] for each in runs),
        "memory": statistics.median(each["memory"] for each in runs),
        "rounds": len(runs),
    }


def rounds_of(record: Record) -> list[dict[str, float]]:
    """The seconds of each round, by contestant."""
    numbers = sorted({each["round"] for each in record.runs})
    return [{each["key"]: each["wall"] for each in record.runs if each["round"] == number} for number in numbers]


def median_ratio(
    rounds: Sequence[Mapping[str, float]], above: str, below: Sequence[str | Sequence[str]]
) -> float | None:
    """The median over the rounds of one contestant's time through the sum of others' in the same round.

    Of several in one place the fastest counts. None when no round has all of them.
    """
    places = [[each] if isinstance(each, str) else each for each in below]
    whole = [each for each in rounds if {above, *(key for keys in places for key in keys)} <= set(each)]
    ratios = [each[above] / sum(min(each[key] for key in keys) for keys in places) for each in whole]
    return statistics.median(ratios) if ratios else None


def growth(record: Record) -> dict[str, Any]:
    """The rows of the curve, and by how much each figure grows from the least to the most nodes.

    State and seconds are compared a node. Memory is compared as it is, less what providers take that have nothing to do: divided
    by the nodes, a figure that hardly changes would always look well.
    """
    by = {(each["round"], each["key"]): each for each in record.runs}
    sizes = sorted({each["round"] for each in record.runs})
    rows = [_size(size, {step: by[size, step] for step in STEPS}) for size in sizes]
    first, last = rows[0], rows[-1]
    return {
        "record": record,
        "titles": list(STEPS.values()),
        "rows": rows,
        "growth": {
            title: {key: _ratio(last["steps"][step][key], first["steps"][step][key]) for key in GROWING}
            for step, title in STEPS.items()
        },
        "state": last["state_node"] / first["state_node"],
        "limit": LIMIT,
        "process_mb": PROCESS_MB,
        "busy": record.load > BUSY,
    }


def _ratio(last: float, first: float) -> float | None:
    return last / first if first else None


def _size(nodes: int, runs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    up = runs["up"]
    return {
        "nodes": nodes,
        "steps": {step: _step(nodes, run) for step, run in runs.items()},
        "state": up["state"] / 1000,
        "state_node": up["state"] / 1000 / nodes,
    }


def _step(nodes: int, run: Mapping[str, Any]) -> dict[str, Any]:
    idle = PROCESS_MB * run["processes"]
    return {
        "wall": run["wall"],
        "seconds": run["wall"] / nodes,
        "memory": run["memory"] - idle,
        "providers": run["providers"] - idle,
        "processes": run["processes"],
    }
