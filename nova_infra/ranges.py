"""Ranges of compute nodes: one entry of a stack for many machines, and the entries behind it that say more of single ones.

    - { name: "compute[001-120]", address: 10.0.0.31 }
    - { name: compute007, virt_type: qemu }

They are expanded in the configuration as it was written, before anything else looks at it. What is shown to people names many nodes as ranges again.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from .hosts import parsed_address, refuse_login
from .wording import quoted

MOST_NODES = 1000
"""Of one range."""
EXAMPLE = "compute[001-120]"
_RANGE = re.compile(r"([^\[\]]*)\[([0-9]{1,9})-([0-9]{1,9})\]([^\[\]]*)")
# As far as is counted where nobody says how large the network is.
_USUAL_LENGTH = {4: 24, 6: 64}


@dataclass(frozen=True)
class Written:
    """Where a compute node stands in the configuration: its entry, and the exception behind its range that says more of it."""

    entry: int
    of_range: bool = False
    exception: int | None = None
    in_exception: frozenset[str] = frozenset()

    def key(self, part: str = "") -> str:
        """`computes[3].address`; without a part `computes[3]`."""
        entry = self.exception if part in self.in_exception else self.entry
        return f"computes[{entry}].{part}" if part else f"computes[{entry}]"


@dataclass(frozen=True)
class Expanded:
    """The compute nodes one by one, where each was written, and what is wrong with the ranges: `(key, sentence)`."""

    computes: Any
    written: tuple[Written, ...] = ()
    problems: tuple[tuple[str, str], ...] = ()


def expanded(computes: Any) -> Expanded:
    """The value of `computes` without ranges. Whatever is none stays as it is, whatever its type."""
    if not isinstance(computes, list):
        return Expanded(computes)
    fleet = _Fleet()
    for index, said in enumerate(computes):
        fleet.add(index, said)
    return Expanded(fleet.nodes, tuple(fleet.written), tuple(fleet.problems))


@dataclass
class _Fleet:
    nodes: list[Any] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    members: dict[str, int] = field(default_factory=dict)
    """The nodes of ranges, by name."""

    def add(self, index: int, said: Any) -> None:
        name = said.get("name") if isinstance(said, Mapping) else None
        if isinstance(name, str) and is_range(name):
            self._add_range(index, said, name)
        elif isinstance(name, str) and (at := self._without_exception(name)) is not None:
            self.nodes[at] = {**self.nodes[at], **said}
            self.written[at] = replace(self.written[at], exception=index, in_exception=frozenset(said))
        else:
            self.nodes.append(said)
            self.written.append(Written(index))

    def _without_exception(self, name: str) -> int | None:
        at = self.members.get(name)
        return at if at is not None and self.written[at].exception is None else None

    def _add_range(self, index: int, said: Mapping[str, Any], name: str) -> None:
        def problem(key: str, reason: str) -> None:
            self.problems.append((f"computes[{index}].{key}", reason))

        try:
            names = members(name)
        except ValueError as error:
            problem("name", str(error))
            names = [name]
        columns: dict[str, list[Any]] = {}
        for key, value in said.items():
            try:
                columns[key] = _column(key, value, len(names))
            except ValueError as error:
                problem(key, str(error))
                columns[key] = [None] * len(names)
        for number, each in enumerate(names):
            self.members.setdefault(each, len(self.nodes))
            self.nodes.append({**{key: column[number] for key, column in columns.items()}, "name": each})
            self.written.append(Written(index, of_range=True))


def is_range(name: str) -> bool:
    """Whether it is meant as a range: no host name has a bracket."""
    return "[" in name or "]" in name


def members(text: str) -> list[str]:
    """The names of a range such as `compute[001-120]`, in order. Raises ValueError."""
    refuse_login(text)
    parts = _RANGE.fullmatch(text)
    if parts is None:
        raise ValueError(f"{quoted(text)} is no range; one is written as {EXAMPLE}")
    before, first, last, after = parts.groups()
    if len(first) != len(last) and any(end.startswith("0") and end != "0" for end in (first, last)):
        raise ValueError(f"{quoted(text)}: with leading zeros both ends have as many digits, as in {EXAMPLE}")
    number = int(last) - int(first) + 1
    if number < 1:
        raise ValueError(f"{quoted(text)} counts backwards; the smaller number comes first")
    if number > MOST_NODES:
        raise ValueError(f"{quoted(text)} has {number} machines; a range has {MOST_NODES} at most")
    width = len(first) if len(first) == len(last) else 0
    return [f"{before}{each:0{width}}{after}" for each in range(int(first), int(last) + 1)]


def _column(key: str, value: Any, number: int) -> list[Any]:
    """What a key of a range says of each of its machines. Raises ValueError."""
    same = [value] * number
    if not isinstance(value, str) or not value:
        return same
    if key in ("address", "vnc_address", "vnc_listen", "host"):
        refuse_login(value)
    if key in ("address", "vnc_address") or (key == "vnc_listen" and not _everywhere(value)):
        return addresses(value, number)
    if key == "host":
        return _hosts(value, number)
    if key == "host_key" and number > 1:
        raise ValueError(
            "is that of one machine, and this is a range. Put the host keys into ssh.known_hosts_file, or each into an entry of that "
            "machine's name behind the range"
        )
    return same


def _everywhere(value: str) -> bool:
    address = parsed_address(value)
    return address is not None and (address.is_unspecified or address.is_loopback)


def _hosts(value: str, number: int) -> list[str]:
    if is_range(value):
        names = members(value)
        if len(names) != number:
            raise ValueError(f"{quoted(value)} has {len(names)} hosts, and the range has {number} machines")
        return names
    if parsed_address(value.partition("/")[0]) is not None:
        return addresses(value, number)
    if number > 1:
        raise ValueError(
            f"{quoted(value)} is one host, and this is a range. Write the hosts as a range too ({EXAMPLE}.example.org), or the first address"
        )
    return [value]


def addresses(text: str, number: int) -> list[str]:
    """So many addresses, counted from this one: `10.0.0.31`, or `10.0.0.31/16` in a larger network than /24 (IPv6: /64).

    Raises ValueError for what is no address, and where the network has not as many.
    """
    given, slash, length = text.partition("/")
    first = parsed_address(given)
    if first is None or "%" in given:
        raise ValueError(f"{quoted(text)} is no IP address")
    if slash and not (re.fullmatch(r"[0-9]{1,3}", length) and int(length) <= first.max_prefixlen):
        raise ValueError(
            f"{quoted(text)} is no IP address with the length of its network behind it, as in 10.0.0.31/16"
        )
    length = length if slash else str(_USUAL_LENGTH[first.version])
    network = ipaddress.ip_network(f"{first}/{length}", strict=False)
    # The first address of an IPv4 network is its own, the last one is for all of its machines.
    spare = 1 if first.version == 4 and network.num_addresses > 2 else 0
    lowest, highest = int(network[0]) + spare, int(network[-1]) - spare
    if not lowest <= int(first) <= highest:
        raise ValueError(f"{quoted(text)} is no address of a machine in {network}")
    if int(first) + number - 1 > highest:
        raise ValueError(
            f"counted from {first}, {number} machines do not fit into {network}, whose last address is {network[highest - int(network[0])]}. "
            f"Write the length of a larger network behind the address, as in {first}/{max(1, int(length) - 8)}, or make two ranges"
        )
    return [str(first + offset) for offset in range(number)]


# ---------------------------------------------------------------- back again


@dataclass(frozen=True, order=True)
class _Numbered:
    """A name with a number somewhere in it, or at its end an empty one."""

    before: str
    after: str
    digits: str

    @property
    def around(self) -> tuple[str, str]:
        return self.before, self.after


def ranges(names: Iterable[str]) -> list[str]:
    """Names in the order of their numbers, three or more neighbours as a range: `compute[001-120].example.org`, as a stack file writes it."""
    readings = [_readings(name) for name in dict.fromkeys(names)]
    shared = Counter(each.around for of_name in readings for each in of_name)
    # Of several numbers in a name the one that most others differ in, else the last.
    numbered = [max(reversed(of_name), key=lambda each: shared[each.around]) for of_name in readings]
    # Where one number begins with a zero, all of its length are padded.
    padded = {(each.around, len(each.digits)) for each in numbered if re.match("0.", each.digits)}
    parsed = sorted(
        (
            each.around,
            len(each.digits) if (each.around, len(each.digits)) in padded else 0,
            # A name without a number is no neighbour of 0.
            int(each.digits or -2),
            each,
        )
        for each in numbered
    )
    found: list[str] = []
    # Among neighbours the number grows as the position does.
    for _, group in groupby(enumerate(parsed), key=lambda item: (*item[1][:2], item[1][2] - item[0])):
        neighbours = [each for _, (*_, each) in group]
        first, last = neighbours[0], neighbours[-1]
        short = len(neighbours) < 3
        found += (
            [f"{each.before}{each.digits}{each.after}" for each in neighbours]
            if short
            else [f"{first.before}[{first.digits}-{last.digits}]{first.after}"]
        )
    return found


def _readings(name: str) -> list[_Numbered]:
    """A name by each of its numbers, from the first to the last."""
    found = [
        _Numbered(name[: match.start()], name[match.end() :], match[0])
        for match in re.finditer(r"[0-9]{1,9}(?![0-9])", name)
    ]
    return found or [_Numbered(name, "", "")]
