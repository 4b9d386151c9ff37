"""What a drift report holds: of each resource whether it is in order, what differs, and what is good to know besides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ..wording import counted
from .comparison import ADDED, REMOVED, Difference

IN_ORDER, DRIFTED, GONE, UNREACHABLE = "in order", "drifted", "gone", "not reachable"
STATUSES = (IN_ORDER, DRIFTED, GONE, UNREACHABLE)
CONTROLLER, COMPUTE, SERVER = "controller", "compute", "server"
# The number of the format that as_json writes.
SCHEMA = 1


@dataclass(frozen=True)
class Place:
    """Where a resource is: a node, or a server that all nodes share."""

    name: str
    role: str
    """CONTROLLER, COMPUTE, SERVER, or an empty string for a node of which only packages are managed."""


@dataclass(frozen=True)
class Observed:
    """One resource. Its texts are safe to show."""

    name: str
    kind: str
    """`ComputeNode`."""
    place: str
    status: str
    """One of STATUSES."""
    differences: tuple[Difference, ...] = ()
    sentence: str = ""
    """Why it could not be looked at."""
    remarks: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    """The services that it runs on a node."""

    @property
    def in_order(self) -> bool:
        """Whether there is nothing to do about it."""
        return self.status == IN_ORDER


@dataclass(frozen=True)
class Report:
    """All resources of a stack, as they were at a moment."""

    stack: str
    """PROJECT/STACK."""
    moment: datetime
    places: tuple[Place, ...]
    resources: tuple[Observed, ...]

    def of(self, *statuses: str) -> list[Observed]:
        """The resources of these statuses."""
        return [each for each in self.resources if each.status in statuses]

    def at(self, place: str) -> list[Observed]:
        """The resources of a place."""
        return [each for each in self.resources if each.place == place]

    @property
    def remarks(self) -> list[tuple[str, str]]:
        """Resource and sentence, each once."""
        return [(each.name, remark) for each in self.resources for remark in dict.fromkeys(each.remarks)]


def summary(report: Report) -> str:
    """One line: how many resources are in which state."""
    numbers = Counter(each.status for each in report.resources)
    total = counted(len(report.resources), "resource")
    notes = f"; {counted(len(report.remarks), 'note')}" if report.remarks else ""
    if numbers[IN_ORDER] == len(report.resources):
        return f"No drift: {total} in order{notes}."
    shown = ", ".join(f"{numbers[status]} {status}" for status in STATUSES if numbers[status])
    unknown = " What is not reachable may have drifted too." if numbers[UNREACHABLE] else ""
    return f"{total}: {shown}{notes}.{unknown}"


def same(resources: Sequence[Observed]) -> list[list[Observed]]:
    """Resources of which the same is to be said, together: kind, status, differences and sentence."""
    groups: dict[tuple[str, str, tuple[Difference, ...], str], list[Observed]] = {}
    for each in resources:
        # Whoever is not reachable is so with all that is there.
        kind = "" if each.status == UNREACHABLE else each.kind
        groups.setdefault((kind, each.status, each.differences, each.sentence), []).append(each)
    return list(groups.values())


def as_json(report: Report) -> dict[str, object]:
    """The report for programs.

    `{"schema": 1, "stack": "PROJECT/STACK", "moment": "2026-01-31T02:00:00Z", "counts": {STATUS: number}, "resources": [...]}`. A resource
    has `name`, `kind`, `place`, `status`, `differences` (`path`, `change`, `recorded`, `found`, `secret`), `reason` (why it is not reachable) and
    `remarks`. Values are JSON as text; `recorded` and `found` are null where there is nothing, where the value is a secret, and of a mapping
    that is `stored`.
    """
    numbers = Counter(each.status for each in report.resources)
    return {
        "schema": SCHEMA,
        "stack": report.stack,
        "moment": report.moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "counts": {status: numbers[status] for status in STATUSES},
        "resources": [
            {
                "name": each.name,
                "kind": each.kind,
                "place": each.place,
                "status": each.status,
                "differences": [_plain(difference) for difference in each.differences],
                "reason": each.sentence,
                "remarks": list(each.remarks),
            }
            for each in report.resources
        ],
    }


def _plain(difference: Difference) -> dict[str, object]:
    return {
        "path": difference.path,
        "change": difference.change,
        "recorded": None if difference.secret or difference.change == ADDED else difference.recorded or None,
        "found": None if difference.secret or difference.change == REMOVED else difference.found or None,
        "secret": difference.secret,
    }
