"""What `pulumi preview --refresh --diff` prints, read property by property."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

Difference = tuple[str, str]
# Of a value that is another one each time, how it looks.
Value = str | re.Pattern[str]
HIDDEN = "[secret]"
NOT_IN_THE_STACK = re.compile(r'"not in the stack \([0-9a-f]{12}\)"')
ANOTHER_VALUE = re.compile(r'"another value \([0-9a-f]{12}\)"')
# Of what a service has read, with what `auto` stood for.
FINGERPRINT = re.compile(r'"[0-9a-f]{12}(\+\w+)?"')
TEXT = re.compile(r'"[^"]+"')
NUMBER = re.compile(r"\d+")
_STEP = re.compile(r"^ *(?:[~+-] )?\S+: \((refresh|same|update|create|delete|[a-z-]+)\)")
_URN = re.compile(r"^ +\[urn=.*::([^:\]]+)\]$")
_PROPERTY = re.compile(
    r"^(?P<before> *)(?:(?P<mark>[~+-]) )?(?P<indent> *)(?P<name>\[\d+\]|[^\s:\"\[][^:]*?) *: ?(?P<value>.*)$"
)


@dataclass
class Plan:
    """The marked properties of a plan's steps."""

    text: str
    failed: bool
    error: str
    found: dict[tuple[str, str], Difference] = field(default_factory=dict)
    """(resource, path) -> (recorded, found), of the refresh."""
    repaired: dict[tuple[str, str], Difference] = field(default_factory=dict)
    """(resource, path) -> (found, wanted), of the updates."""
    operations: set[tuple[str, str]] = field(default_factory=set)
    """(resource, operation)."""

    @classmethod
    def of(cls, text: str, *, failed: bool, error: str = "") -> Plan:
        """Reads what was printed."""
        plan = cls(text, failed, error)
        reading = _Reading(plan)
        for line in text.splitlines():
            reading.take(line)
        return plan

    def steps(self, operation: str) -> set[str]:
        """The names of the resources of which this is done."""
        return {name for name, each in self.operations if each == operation}

    def remarks(self, resource: str) -> list[str]:
        """What is said of a resource and was not said before."""
        return [
            found
            for (name, path), (_recorded, found) in self.found.items()
            if found and (name, path[:7]) == (resource, "remarks")
        ]


class _Reading:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.operation = self.resource = ""
        self.open: list[tuple[int, str]] = []
        self.text_below = 0

    def take(self, line: str) -> None:
        if step := _STEP.match(line):
            self.operation, self.resource, self.open, self.text_below = step[1], "", [], 0
        elif urn := _URN.match(line):
            self.resource = urn[1]
            self.plan.operations.add((self.resource, self.operation))
        elif line.strip() == "--outputs:--":
            # Those of the stack itself stand at the end, further left; they repeat what resources say.
            if not line.startswith("        "):
                self.resource = ""
        elif self.resource and self.operation in ("refresh", "update"):
            self._property(line)

    def _property(self, line: str) -> None:
        match = _PROPERTY.match(line)
        if not match:
            return
        column = match.start("name")
        # The parts of a text of several lines look like anything.
        if self.text_below and column > self.text_below:
            return
        self.text_below = 0
        while self.open and self.open[-1][0] >= column:
            self.open.pop()
        name, value, mark = match["name"], match["value"], match["mark"]
        path = self._path(name)
        if value in ("{", "["):
            self.open.append((column, name))
            return
        if not value:
            self.text_below = column
        if mark:
            differences = self.plan.found if self.operation == "refresh" else self.plan.repaired
            differences[self.resource, path] = _both(mark, value)

    def _path(self, name: str) -> str:
        path = ""
        for each in [*(name for _, name in self.open), name]:
            path += each if each.startswith("[") or not path else f".{each}"
        return path


def _both(mark: str, value: str) -> Difference:
    if mark == "~":
        old, _, new = value.partition(" => ")
        return old, new
    return (value, "") if mark == "-" else ("", value)
