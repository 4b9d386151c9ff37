"""`python -m nova_infra teardown`: lists what `pulumi destroy` would remove, keep and refuse, and changes nothing."""

from __future__ import annotations

import argparse
import contextlib
import json
import shlex
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..at_once import at_once
from ..errors import NovaInfraError
from ..masking import safe
from ..rehearsal import Rehearsal
from ..table import table
from ..wording import abridged, counted
from .state import Managed, managed, secrets_of
from .terminal import add_json, add_stack, say_aside

GOES_THROUGH, REFUSED = 0, 2
SCHEMA = 1
COLUMNS = {"Resource": 30, "Kind": 14, "Destroy removes": 60, "and keeps": 42, "and refuses": 60}
EPILOG = "Ends with 0 when destroy would go through, with 2 when it would refuse something or could not reach it, and with 1 when the state cannot be read."


@dataclass(frozen=True)
class End:
    """What destroying one resource would do."""

    name: str
    urn: str
    kind: str
    removes: tuple[str, ...] = ()
    """What would be done, in order."""
    keeps: tuple[str, ...] = ()
    """What would stay."""
    refuses: tuple[str, ...] = ()
    """Why it would not be done, and the way to do it; then nothing of it would be done."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this command."""
    add_stack(parser)
    add_json(parser)
    parser.epilog = EPILOG


def run(arguments: argparse.Namespace) -> int:
    """Prints the table. Returns 0 or 2, as EPILOG says. Raises NovaInfraError when the state cannot be read."""
    ends = ends_of(managed(arguments.stack), say_aside, arguments.stack)
    print(as_json(ends) if arguments.json else as_text(ends))
    return REFUSED if any(each.refuses for each in ends) else GOES_THROUGH


# ---------------------------------------------------------------- asking


def ends_of(resources: Sequence[Managed], say: Callable[[str], None], stack: str = "") -> list[End]:
    """The end of each resource, in the order in which destroy takes them. Machines and servers are asked, all at once.

    `stack` is as somebody has named it, for the commands that they are told; empty: as the state does.
    """
    if not resources:
        return []
    behind: dict[str, list[Managed]] = {}
    for each in resources:
        behind.setdefault(each.place, []).append(each)
    say(f"Asking {abridged(list(behind), most=6)} ...")
    # What a removal prints is meant for the engine's screen.
    with contextlib.redirect_stdout(sys.stderr):
        asked = at_once({place: _question(those, stack) for place, those in behind.items()}, say)
    found = {each.urn: each for future in asked.values() for each in future.result()}
    secrets = secrets_of(resources)
    return [_shown(found[each.urn], secrets) for each in reversed(resources)]


def _question(resources: Sequence[Managed], stack: str) -> Callable[[], list[End]]:
    return lambda: [end_of(each, stack) for each in resources]


def end_of(resource: Managed, stack: str = "") -> End:
    """What destroying this resource would do: its own removal, rehearsed. `stack`: see `ends_of`."""
    rehearsal = Rehearsal.of(resource.access)
    lifecycle = resource.lifecycle()
    lifecycle.access = rehearsal
    refusals = [_protection(resource, shlex.quote(stack or resource.stack))] if resource.protect else []
    try:
        lifecycle.delete(resource.id, dict(resource.outputs))
    except NovaInfraError as error:
        refusals.append(str(error))
    end = End(resource.name, resource.urn, resource.kind, refuses=tuple(refusals))
    # Of what is refused nothing is done.
    return end if refusals else replace(end, removes=tuple(rehearsal.deeds), keeps=tuple(rehearsal.kept))


def _protection(resource: Managed, stack: str) -> str:
    return (
        "Pulumi protects it: the preview of destroy refuses all of the stack then. Lift what protects it in the stack (`protect: false`, or another on_delete than refuse) and run "
        f"`pulumi up --stack {stack}`; or run `pulumi state unprotect --stack {stack} '{resource.urn}'`."
    )


def _shown(end: End, secrets: Collection[str]) -> End:
    def shown(sentences: Iterable[str]) -> tuple[str, ...]:
        # Names of instances are anybody's.
        return tuple(safe(each, secrets) for each in sentences)

    return replace(end, removes=shown(end.removes), keeps=shown(end.keeps), refuses=shown(end.refuses))


# ---------------------------------------------------------------- showing


def as_text(ends: Sequence[End]) -> str:
    """The table and the line of counts. The same of many resources is one line."""
    if not ends:
        return "The stack has no resources of nova-infra: nothing was deployed, or all of it was destroyed."
    rows = [
        [
            abridged([each.name for each in group], most=6),
            group[0].kind,
            "\n".join(group[0].removes) or "-",
            "\n".join(group[0].keeps) or "-",
            "\n".join(group[0].refuses) or "-",
        ]
        for group in _same(ends)
    ]
    return f"{table(COLUMNS, rows)}\n{summary(ends)}"


def _same(ends: Iterable[End]) -> list[list[End]]:
    groups: dict[tuple[Any, ...], list[End]] = {}
    for each in ends:
        groups.setdefault((each.kind, each.removes, each.keeps, each.refuses), []).append(each)
    return list(groups.values())


def summary(ends: Sequence[End]) -> str:
    """One line: whether destroy would go through."""
    refused = [each for each in ends if each.refuses]
    kept = sum(bool(each.keeps) for each in ends)
    keeping = f"; it would keep something of {kept}" if kept else ""
    if refused:
        return f"Destroy would refuse {counted(len(refused), 'resource')} of {len(ends)}{keeping}."
    return f"Destroy would remove {counted(len(ends), 'resource')}{keeping}."


def as_json(ends: Sequence[End]) -> str:
    """`{"schema": 1, "resources": [{name, urn, kind, removes, keeps, refuses}]}`, in the order in which destroy takes them."""
    return json.dumps({"schema": SCHEMA, "resources": [asdict(each) for each in ends]}, indent=2)
