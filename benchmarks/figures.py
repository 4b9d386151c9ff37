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


def median_ratio(rounds: Sequence[Mapping[str, float]], above: str, below: Sequence[str]) -> float | None:
    """The median over the rounds of one contestant's time through the sum of others' in the same round.

    None when no round has all of them.
    """
    ratios = [each[above] / sum(each[key] for key in below) for each in rounds if {above, *below} <= set(each)]
    return statistics.median(ratios) if ratios else None


def growth(record: Record) -> dict[str, Any]:
    """The rows of the curve, and by how much each figure a node grows from the least to the most nodes."""
    by = {(each["round"], each["key"]): each for each in record.runs}
    sizes = sorted({each["round"] for each in record.runs})
    rows = [_size(size, {step: by[size, step] for step in STEPS}) for size in sizes]
    first, last = rows[0], rows[-1]
    times = {title: last["steps"][i][1] / first["steps"][i][1] for i, title in enumerate(STEPS.values())}
    times["state"] = last["state_node"] / first["state_node"]
    if first["memory_node"]:
        times["memory of the providers"] = last["memory_node"] / first["memory_node"]
    return {
        "record": record,
        "titles": list(STEPS.values()),
        "rows": rows,
        "growth": times,
        "limit": LIMIT,
        "process_mb": PROCESS_MB,
    }


def _size(nodes: int, runs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    up = runs["up"]
    return {
        "nodes": nodes,
        "steps": [(run["wall"], run["wall"] / nodes) for run in runs.values()],
        "state": up["state"] / 1000,
        "state_node": up["state"] / 1000 / nodes,
        "processes": up["processes"],
        "providers": up["providers"],
        "memory_node": max(up["providers"] - PROCESS_MB * up["processes"], 0) / nodes,
    }
