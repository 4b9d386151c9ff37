"""What a look at a node has seen that is no drift: left as it is, and good to know. Each remark names its subject and what to do.

Nothing here opens a connection.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .node import AUTO, FOUND_ON_THE_MACHINE, UNMANAGED, options_in
from .remote.inspection import Facts
from .wording import shown

if TYPE_CHECKING:
    from .compute import ServiceReport

State = Mapping[str, Any]


def of_machine(state: State, facts: Facts) -> list[str]:
    """About virtualization, processes that somebody has started by hand, and a schema that the packages do not know."""
    return [*_virtualization(state, facts), *_strays(state, facts), *_newer_schema(state, facts)]


def _virtualization(state: State, facts: Facts) -> Iterable[str]:
    name, can = state["node"], facts.virt_type
    flags = "has the flags vmx or svm" if can == "kvm" else "has neither of the flags vmx and svm"
    for path, sections in state["options"].items():
        for section, option in FOUND_ON_THE_MACHINE:
            wanted = sections.get(section, {}).get(option)
            there = options_in(state, path, facts).get(section, {}).get(option)
            if wanted == AUTO and there not in (AUTO, None):
                yield (
                    f"{name}: {path} says {option} = {there}, and the processor {flags} now: {AUTO} means {can}. `pulumi up` writes that, "
                    "and new instances use it."
                )
            elif wanted == there == "kvm" != can:
                yield (
                    f"{name}: the stack wants {option} = kvm, and the processor {flags}: instances will not start. Turn virtualization on "
                    f"in the machine's firmware, or set {option} to {AUTO}."
                )


def _strays(state: State, facts: Facts) -> Iterable[str]:
    for stray in sorted(facts.strays, key=lambda each: (each.name, each.pid)):
        read = f" with {', '.join(stray.configuration)}" if stray.configuration else ""
        yield (
            f"{state['node']}: somebody has started {stray.name} by hand (process {stray.pid}{shown(read)}), besides the service. It is "
            f"left alone; `kill {stray.pid}` ends it."
        )


def _newer_schema(state: State, facts: Facts) -> Iterable[str]:
    version, newest = facts.schema
    if state["schema"] != UNMANAGED and newest and version is not None and version > newest:
        yield (
            f"{state['node']}: the schema is at version {version}, and the installed packages know {newest}: newer ones have been here. "
            "Nova has no way back; install the newer packages again, or restore the schema from a dump."
        )


def of_packages(node: str, facts: Facts) -> list[str]:
    """About packages that somebody holds back."""
    return [
        f"{node}: somebody holds {name} back at {package.version} (apt-mark hold), so apt does not upgrade it. It is left so; "
        f"`apt-mark unhold {name}` there ends it."
        for name, package in sorted(facts.packages.items())
        if package.held and package.installed
    ]


def of_records(records: Iterable[ServiceReport]) -> list[str]:
    """About services that an operator has disabled in nova."""
    return [
        f"{each.binary} on {each.host} is disabled in nova (reason: {shown(each.disabled_reason) or 'none given'}), so it gets no new "
        f"work. It is left so; `nova service-enable {each.host} {each.binary}` enables it."
        for each in records
        if each.status == "disabled"
    ]


def of_others(services: Mapping[str, Sequence[str]], records: Iterable[ServiceReport]) -> list[str]:
    """About records of services that are down, and of which the stack (`services`: host -> names) knows nothing."""
    return [
        f"nova lists {each.binary} on {each.host}, which is down and none of this stack: a machine that was renamed or removed leaves such "
        f"a record. When no instance is there any more (nova list --all-tenants --host {each.host}), `nova service-delete {each.id}` "
        "removes it."
        for each in records
        if each.state != "up" and each.binary not in services.get(each.host, ())
    ]
