"""The report on a terminal."""

from __future__ import annotations

from ..ranges import ranges
from ..table import table
from ..wording import abridged
from .report import DRIFTED, GONE, IN_ORDER, UNREACHABLE, Observed, Report, same, summary

COLUMNS = {"Resource": 32, "Kind": 14, "State": 13, "What: recorded => found": 84}
_ORDER = (UNREACHABLE, GONE, DRIFTED, IN_ORDER)


def as_text(report: Report) -> str:
    """The table, the notes, and the line of counts. The same of many resources is one line."""
    if not report.resources:
        return "The stack has no resources of nova-infra: nothing was deployed, or all of it was destroyed."
    rows = [
        [_names(group), _kinds(group), group[0].status, _what(group[0])]
        for status in _ORDER
        for group in same(report.of(status))
    ]
    notes = [f"Note: {name}: {remark}" for name, remark in report.remarks]
    return "\n".join(filter(None, [table(COLUMNS, rows), *notes, summary(report)]))


def _names(group: list[Observed]) -> str:
    names = ranges(each.name for each in group)
    # Whoever has something to do about them must know all.
    return abridged(names, most=6) if group[0].in_order else ", ".join(names)


def _kinds(group: list[Observed]) -> str:
    return ", ".join(dict.fromkeys(each.kind for each in group))


def _what(resource: Observed) -> str:
    if resource.status == GONE:
        return "It is not there any more; `pulumi up --refresh` makes it again."
    return resource.sentence or "\n".join(str(each) for each in resource.differences)
