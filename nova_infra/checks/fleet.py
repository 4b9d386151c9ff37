"""What only the answers of several machines show: names they disagree about, clocks that differ. Nothing here opens a connection."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address

from .. import clock
from ..wording import abridged
from .finding import Finding
from .machine import Machine
from .needs import Needs

# Clocks that are kept by NTP differ by less.
CLOCK_NOTE_SECONDS = 5.0


def findings(needs: Sequence[Needs], machines: Mapping[str, Machine]) -> list[Finding]:
    """Of the machines that have answered. The first of `needs` is that of the first controller."""
    # What another machine says, at the address of one, is about that other one.
    answered = [each for each in needs if each.node in machines and machines[each.node].facts.hostname == each.node]
    return [*_names(answered, machines), *_clocks(needs[0].node, answered, machines)]


def _names(needs: Sequence[Needs], machines: Mapping[str, Machine]) -> Iterable[Finding]:
    nodes = {each.node for each in needs}
    for name in dict.fromkeys(name for each in needs for name in each.names):
        said = {each.node: machines[each.node].facts.names.get(name, ()) for each in needs}
        beyond = {node: frozenset(a for a in addresses if not _loopback(a)) for node, addresses in said.items()}
        for node, addresses in said.items():
            # On itself a machine may call itself so; on another one it is a connection to the wrong machine.
            if addresses and not beyond[node] and node != name and name in nodes:
                yield Finding(
                    node,
                    "names",
                    f"the name {name} is {addresses[0]} there, which is {node} itself",
                    f"Correct {name} in its /etc/hosts",
                )
        known = {node: addresses for node, addresses in beyond.items() if addresses}
        if not known:
            continue
        usual, _count = Counter(known.values()).most_common(1)[0]
        for node, those in known.items():
            # An IPv6 address that one of them knows besides is no contradiction.
            if not those & usual:
                yield Finding(
                    node,
                    "names",
                    f"the name {name} is {_list(those)} there, and {_list(usual)} on {_others(known, usual)}",
                    "Correct it where it is wrong: /etc/hosts, or the name server that the machine asks",
                )


def _clocks(reference: str, needs: Sequence[Needs], machines: Mapping[str, Machine]) -> Iterable[Finding]:
    if reference not in machines:
        return
    least, most = machines[reference].clock
    for each in needs:
        low, high = machines[each.node].clock
        # What is certain: how long each answer was on its way is not known.
        behind, ahead = least - high, low - most
        seconds = max(behind, ahead)
        if seconds <= CLOCK_NOTE_SECONDS:
            continue
        differs = (
            f"its clock is at least {seconds:.0f} s {'behind' if behind > ahead else 'ahead of'} that of {reference}"
        )
        if seconds > each.clock_seconds:
            yield Finding(
                each.node,
                "clock",
                f"{differs}, and it may differ by {each.clock_seconds:.0f} s: {clock.consequence(each.state['services'])}",
                "Set it, and let NTP keep it (apt-get install ntp)",
            )
        else:
            yield Finding(each.node, "clock", differs, "Let NTP keep it (apt-get install ntp)", note=True)


def _loopback(address: str) -> bool:
    try:
        return ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _list(addresses: Iterable[str]) -> str:
    return ", ".join(sorted(addresses))


def _others(known: Mapping[str, frozenset[str]], usual: frozenset[str]) -> str:
    return abridged([node for node, addresses in known.items() if addresses == usual])
