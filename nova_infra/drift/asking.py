"""Asks the resources of a state what is really there: what `pulumi refresh` would ask, with the same code, and without the engine.

Nothing is written: not the state, not a machine, not a server.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .. import node
from ..at_once import at_once
from ..commands.state import Managed, secrets_of
from ..defaults import ASKING_SECONDS
from ..errors import NovaInfraError
from ..masking import safe
from ..resources.lifecycle import REMARKS, Lifecycle
from ..resources.service_check import unanswered
from ..wording import counted, escaped, unforeseen
from .comparison import Difference, differences, path_text, stored
from .report import COMPUTE, CONTROLLER, DRIFTED, GONE, IN_ORDER, SERVER, UNREACHABLE, Observed, Place, Report

if TYPE_CHECKING:
    from ..remote.connection import Connection

_ROLES = {"ControllerNode": CONTROLLER, "ComputeNode": COMPUTE}
# The engine's own, beside a resource's inputs.
_NOT_OURS = "__provider"


def ask(resources: Sequence[Managed], say: Callable[[str], None]) -> Report:
    """The report about these resources, all looked at now. What cannot be asked is named, and holds up nobody."""
    places = _places(resources)
    nodes = [each for each in places if each.role != SERVER]
    say(f"Asking {counted(len(nodes), 'node')} and {counted(len(places) - len(nodes), 'server')} ...")
    secrets = secrets_of(resources)
    behind = {place.name: [each for each in resources if each.place == place.name] for place in places}
    moment = datetime.now(UTC)
    # What a lifecycle prints is meant for the engine's screen.
    with contextlib.redirect_stdout(sys.stderr):
        asked = at_once({name: _question(those, secrets) for name, those in behind.items()}, say)
    # By URN: resources of different types may have one name.
    seen = {urn: each for future in asked.values() for urn, each in future.result()}
    told = [seen[each.urn] for each in resources]
    return Report(stack_of(resources), moment, places, tuple(without_what_a_silent_database_would_say(told)))


def stack_of(resources: Sequence[Managed]) -> str:
    """PROJECT/STACK."""
    stack, project, *_ = resources[0].urn.removeprefix("urn:pulumi:").split("::")
    return f"{project}/{stack}"


def _places(resources: Sequence[Managed]) -> tuple[Place, ...]:
    """Servers first, then controllers, computes, and other nodes."""
    roles: dict[str, str] = {}
    for each in resources:
        role = SERVER if each.server else _ROLES.get(each.kind, "")
        roles[each.place] = role or roles.get(each.place, "")
    rank = (SERVER, CONTROLLER, COMPUTE, "")
    return tuple(Place(name, role) for name, role in sorted(roles.items(), key=lambda item: rank.index(item[1])))


def _question(resources: Sequence[Managed], secrets: Collection[str]) -> Callable[[], list[tuple[str, Observed]]]:
    """One after the other what is at one place, over one connection; where that cannot be had, nobody waits for it twice."""

    def asked() -> list[tuple[str, Observed]]:
        refusals: dict[Connection, str] = {}
        return [(each.urn, observed(each, secrets, refusals)) for each in resources]

    return asked


def observed(resource: Managed, secrets: Collection[str], refusals: dict[Connection, str]) -> Observed:
    """The resource beside what is there now. `refusals`: why a connection could not be had, or nothing, of those tried already."""
    told = _told(resource)
    try:
        refusal = _refusal(resource, refusals)
        if refusal:
            return replace(told, status=UNREACHABLE, sentence=safe(refusal, secrets))
        return _compared(told, resource, secrets)
    except NovaInfraError as error:
        sentence = str(error)
    except Exception as error:
        # One that nobody has foreseen hides no other resource.
        sentence = unforeseen(error)
    return replace(told, status=UNREACHABLE, sentence=safe(sentence, secrets))


def _compared(told: Observed, resource: Managed, secrets: Collection[str]) -> Observed:
    lifecycle = resource.lifecycle()
    read = lifecycle.read(resource.id, dict(resource.outputs))
    if not read.id:
        return replace(told, status=GONE)
    # A refresh goes on without nova's answer, and keeps what the state has. Who asks for a report is told.
    if reason := unanswered(read.outs or {}):
        return replace(told, status=UNREACHABLE, sentence=safe(reason, secrets))
    found = _found(resource, lifecycle, read.inputs or {}, secrets)
    remarks = tuple(safe(each, secrets) for each in (read.outs or {}).get(REMARKS, []))
    return replace(told, status=DRIFTED if found else IN_ORDER, differences=found, remarks=remarks)


def _found(
    resource: Managed, lifecycle: Lifecycle, there: Mapping[str, Any], secrets: Collection[str]
) -> tuple[Difference, ...]:
    """What differs from what the last `up` made, also where a stored refresh has put it into the state; that is asked where the state tells it."""
    recorded = {key: value for key, value in resource.inputs.items() if key != _NOT_OURS}
    then, now = (lifecycle.as_last_up(resource.outputs, inputs) for inputs in (recorded, there))
    # What a stored refresh has found, and somebody has put back since, is in order.
    beside = ({key: each for key, each in side.items() if not now.get(key)} for side in (recorded, there))
    named = differences(*beside, hidden=resource.secrets, secrets=secrets)
    paths = {each.path for each in named}
    kept = {key: there.get(key) for key, same in now.items() if not (same or then[key] or path_text((key,)) in paths)}
    return *named, *stored(kept, hidden=resource.secrets, secrets=secrets)


def without_what_a_silent_database_would_say(seen: Sequence[Observed]) -> list[Observed]:
    """The resources, where MariaDB was not reachable: that nova-manage has not said the schema's version either is a note, and no drift."""
    if not any(each.kind == "Database" and each.status == UNREACHABLE for each in seen):
        return list(seen)
    return [_without_the_schema(each) for each in seen]


def _without_the_schema(seen: Observed) -> Observed:
    left = tuple(
        each for each in seen.differences if (each.path, each.found) != ("schema", json.dumps(node.SCHEMA_NOT_KNOWN))
    )
    if left == seen.differences:
        return seen
    said = f"{seen.place}: whether the schema is up to date is not known, because MariaDB could not be asked."
    return replace(seen, status=DRIFTED if left else IN_ORDER, differences=left, remarks=(*seen.remarks, said))


def _told(resource: Managed) -> Observed:
    """What the state says that it is."""
    services = resource.inputs.get("services")
    runs = tuple(sorted(services)) if resource.kind in _ROLES and isinstance(services, Mapping) else ()
    return Observed(escaped(resource.name), resource.kind, resource.place, IN_ORDER, services=runs)


def _refusal(resource: Managed, refusals: dict[Connection, str]) -> str:
    connection = _connection(resource)
    if connection is None:
        return ""
    if connection not in refusals:
        try:
            connection.open(ASKING_SECONDS)
            refusals[connection] = ""
        except NovaInfraError as error:
            refusals[connection] = str(error)
    return refusals[connection]


def _connection(resource: Managed) -> Connection | None:
    """The machine that is asked, or behind which the server is; None for a server that is reached directly."""
    place = resource.inputs.get("connection")
    if isinstance(place, Mapping):
        return resource.access.node(resource.inputs["node"], place)
    return resource.access.controller
