"""Which services a plan restarts, and on which nodes."""

from __future__ import annotations

from dataclasses import dataclass

from ..contradictions import mapping
from .changes import NODES, changes, is_fingerprint, subject
from .reading import NOTHING, UPDATE, Plan, Step

RESTARTED, STARTED, STOPPED, MAY_RESTART = "restart", "start", "stop", "may be restarted by new packages"


@dataclass(frozen=True)
class Restart:
    """Services of the same nodes with the same fate."""

    what: str
    """RESTARTED, STARTED, STOPPED or MAY_RESTART."""
    services: tuple[str, ...]
    nodes: tuple[str, ...]


def restarts(plan: Plan) -> list[Restart]:
    """All of them, the same of several nodes together. Nodes that are made or removed are not among them."""
    nodes: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for step in plan.steps:
        if step.op == UPDATE and step.kind in NODES:
            for what, services in _of_node(step).items():
                nodes.setdefault((what, tuple(sorted(services))), []).append(subject(step))
    order = [STOPPED, RESTARTED, MAY_RESTART, STARTED]
    found = [Restart(what, services, tuple(names)) for (what, services), names in nodes.items()]
    return sorted(found, key=lambda each: order.index(each.what))


def _of_node(step: Step) -> dict[str, set[str]]:
    old, new = mapping(step.old.get("services")), mapping(step.new.get("services"))
    found: dict[str, set[str]] = {
        STOPPED: set(old) - set(new),
        STARTED: {name for name in new if not _runs(old.get(name))},
    }
    reads = {each.path[1] for each in changes(step) if is_fingerprint(each.path) and each.new is not NOTHING}
    found[RESTARTED] = reads - found[STARTED]
    packages = {each.path[1] for each in changes(step) if each.path[:1] == ("packages",) and len(each.path) == 2}
    # A package that is no service (nova-common) may be in all of them.
    upgraded = set(new) if packages - set(new) else packages
    found[MAY_RESTART] = upgraded - found[STARTED] - found[RESTARTED]
    return {what: services for what, services in found.items() if services}


def _runs(service: object) -> bool:
    return isinstance(service, dict) and service.get("running") is not False
