"""The report as one page for a browser, a phone and a printer. It refers to nothing outside itself and runs no script."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from ..resources.compute_node import BEING_REMOVED, BINARY
from ..wording import counted
from .comparison import STORED, Difference, path_text
from .report import (
    COMPUTE,
    CONTROLLER,
    DRIFTED,
    GONE,
    IN_ORDER,
    SERVER,
    UNREACHABLE,
    Observed,
    Place,
    Report,
    same,
    summary,
)

# What is to be seen first.
_ORDER = (UNREACHABLE, GONE, DRIFTED, IN_ORDER)
_TITLES = {SERVER: "Servers", CONTROLLER: "Controllers", COMPUTE: "Compute nodes", "": "Other nodes"}
# Of so many nodes of a role, the map names only the services that have drifted.
_MANY = 12


@dataclass(frozen=True)
class _Part:
    """What is at a place: a service of a node, a record of a server."""

    name: str
    status: str


@dataclass(frozen=True)
class _Tile:
    """A place on the map. `finding` is the number of the finding that says more, 0 without one."""

    name: str
    status: str
    parts: tuple[_Part, ...]
    finding: int
    remarks: int


@dataclass(frozen=True)
class _Area:
    title: str
    counts: str
    many: bool
    tiles: tuple[_Tile, ...]


@dataclass(frozen=True)
class _Finding:
    number: int
    status: str
    resources: tuple[Observed, ...]
    """Of all of them it says the same."""
    kinds: str


def as_page(report: Report) -> str:
    """HTML. Values of machines are text in it, never markup."""
    findings = _findings(report)
    return _template().render(
        report=report,
        summary=summary(report),
        numbers=[(status, len(report.of(status))) for status in _ORDER],
        areas=_areas(report, findings),
        findings=findings,
        in_order=_by_kind(report.of(IN_ORDER)),
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["parts"] = _parts
    return environment.get_template("page.html.j2")


def _parts(path: str) -> list[str]:
    """A path where a narrow column may break it: between its keys, before it breaks one."""
    return re.split(r"(?=[.\[])|(?<=/)", path)


def _findings(report: Report) -> list[_Finding]:
    groups = [group for status in _ORDER[:-1] for group in same(report.of(status))]
    return [
        _Finding(
            number,
            group[0].status,
            tuple(group),
            ", ".join(dict.fromkeys(each.kind for each in group)),
        )
        for number, group in enumerate(groups, start=1)
    ]


def _by_kind(resources: list[Observed]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for each in resources:
        names.setdefault(each.kind, []).append(each.name)
    return names


def _areas(report: Report, findings: list[_Finding]) -> list[_Area]:
    areas = []
    for role, title in _TITLES.items():
        places = [each for each in report.places if each.role == role]
        if places:
            many = len(places) > _MANY
            tiles = [_tile(report, place, findings, many) for place in places]
            # Of one status they stay in the order of the stack.
            tiles.sort(key=lambda tile: _ORDER.index(tile.status))
            numbers = Counter(tile.status for tile in tiles)
            counts = ", ".join(f"{numbers[status]} {status}" for status in _ORDER if numbers[status])
            areas.append(_Area(title, f"{counted(len(tiles), 'node')}: {counts}" if many else "", many, tuple(tiles)))
    return areas


def _tile(report: Report, place: Place, findings: list[_Finding], many: bool) -> _Tile:
    resources = report.at(place.name)
    worst = min(resources, key=lambda each: _ORDER.index(each.status))
    number = next((each.number for each in findings if worst in each.resources), 0)
    parts = [_Part(each.kind, each.status) for each in resources if place.role == SERVER or _stands_alone(each)]
    parts += [_Part(name, _status(each, name)) for each in resources if each.status != GONE for name in each.services]
    shown = tuple(each for each in parts if not many or each.status != IN_ORDER)
    return _Tile(place.name, _status_of(resources), shown, number, sum(len(each.remarks) for each in resources))


def _status_of(resources: list[Observed]) -> str:
    """A place is gone when all that it had is; when some of it is, the place has drifted."""
    statuses = {each.status for each in resources}
    if UNREACHABLE in statuses or len(statuses) == 1:
        return UNREACHABLE if UNREACHABLE in statuses else statuses.pop()
    return DRIFTED


def _stands_alone(resource: Observed) -> bool:
    """Whether a node's resource is named beside its services, which say the most of its role."""
    return resource.status == GONE or (resource.status == DRIFTED and not resource.services)


def _status(node: Observed, service: str) -> str:
    if node.status != DRIFTED:
        return node.status
    return DRIFTED if any(_concerns(each, service) for each in node.differences) else IN_ORDER


def _concerns(difference: Difference, service: str) -> bool:
    """Whether it is about the service: its own properties, and what nova says of it."""
    if difference.path == "reporting":
        # One that nova has no record of bears a mark on one of the sides, or in what a stored refresh has found.
        name = json.dumps(service)
        if difference.change == STORED:
            return f"{name[:-1]} (" in difference.found
        return (name in difference.recorded) != (name in difference.found)
    if difference.path in ("scheduling", BEING_REMOVED):
        return service == BINARY
    if difference.path == "services" and difference.change == STORED:
        # It may be any of them.
        return True
    way = path_text(("services", service))
    return difference.path == way or difference.path.startswith((f"{way}.", f"{way}["))
