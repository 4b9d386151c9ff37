"""`python -m nova_infra check`: asks every machine and server whether `up` can succeed, and changes nothing."""

from __future__ import annotations

import argparse
import json
import socket
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from .. import intent
from ..access import Access, note_file
from ..at_once import at_once
from ..checks import database, fleet, identity, machine, queue
from ..checks.finding import Finding, from_sentence, in_order
from ..checks.needs import needs_of_nodes
from ..defaults import ASKING_SECONDS
from ..errors import ConnectionFailed, DeadlineExceeded, NoConnection, NovaInfraError, RemoteError, StepFailed
from ..masking import mask
from ..resources.unreachable import LEAVE
from ..settings import Settings
from ..table import table
from ..wording import abridged, counted, unforeseen
from .stack import read_settings
from .terminal import add_json, add_stack, say_aside

IN_ORDER, PROBLEMS = 0, 2
SERVERS = (identity.WHERE, database.WHERE)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this command."""
    add_stack(parser)
    parser.add_argument(
        "--config-file", default="", metavar="FILE", help="the stack's settings, as pulumi's own option"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prints the table. Returns 0 when there is no problem, else 2. Raises NovaInfraError when the stack cannot be read."""
    settings = read_settings(arguments.stack, arguments.config_file)
    result = ask_all(settings, say_aside)
    text = as_json(result) if arguments.json else as_table(result)
    print(text)
    return PROBLEMS if result.problems else IN_ORDER


@dataclass(frozen=True)
class Result:
    """All that was found, and of how many machines."""

    findings: tuple[Finding, ...]
    machines: tuple[str, ...]
    left: tuple[str, ...] = ()
    """Machines at which nobody answers and which the stack leaves."""

    @property
    def problems(self) -> list[Finding]:
        """What `up` would fail at."""
        return [each for each in self.findings if not each.note]

    @property
    def notes(self) -> list[Finding]:
        """What is good to know."""
        return [each for each in self.findings if each.note]


# ---------------------------------------------------------------- asking


def ask_all(settings: Settings, say: Callable[[str], None]) -> Result:
    """Asks all machines and servers at once. What cannot be asked holds up nobody, and is a problem of its own unless the stack leaves it."""
    access = intent.access(settings)
    needs = needs_of_nodes(settings)
    names = tuple(each.node for each in needs)
    records = {**identity.notes(settings), "database": database.note(settings)}
    # The notes about what is behind the first controller are on that machine.
    notes = {names[0]: [note_file(name) for name in records.values()]}

    def login(dial: Callable[[], socket.socket]) -> str:
        return queue.refusal(settings, dial)

    say(f"Asking {counted(len(names), 'machine')} and the servers behind {names[0]} ...")
    # The servers first: they have the most questions.
    questions: dict[str, Callable[[], Any]] = {
        identity.WHERE: lambda: _through(access, lambda: identity.ask(access.identity, settings)),
        database.WHERE: lambda: _through(access, lambda: database.ask(access.database, settings)),
    }
    for each in needs:
        connection = access.node(each.node, each.state["connection"])
        questions[each.node] = partial(machine.ask, connection, each, notes.get(each.node, ()), login)
    asked = at_once(questions, say)
    answers: dict[str, Any] = {}
    found: list[Finding] = []
    leaves = {node.name for node in settings.nodes() if node.on_unreachable == LEAVE}
    left: list[str] = []
    for name, future in asked.items():
        try:
            answers[name] = future.result()
        except NoConnection as error:
            if name in leaves:
                left.append(name)
                found.append(_left(name, error))
            else:
                found += _refused(name, error, names[0])
        except RemoteError as error:
            found += _refused(name, error, names[0])
        except Exception as error:
            # One that nobody has foreseen hides nothing of the others.
            said = str(error) if isinstance(error, NovaInfraError) else unforeseen(error)
            found.append(from_sentence(name, "not asked", said))
    machines = {name: answers[name] for name in names if name in answers}
    for each in needs:
        if each.node in machines:
            found += machine.findings(each, machines[each.node])
    found += fleet.findings(needs, machines)
    noted = machines[names[0]].facts.notes if names[0] in machines else {}
    managed = {record: noted.get(note_file(note)) is not None for record, note in records.items()}
    if identity.WHERE in answers:
        found += identity.findings(settings, answers[identity.WHERE], managed)
    if database.WHERE in answers:
        found += database.findings(settings, answers[database.WHERE], managed["database"])
    secrets = [secret for secret in settings.secrets.values() if secret]
    masked = [replace(each, what=mask(each.what, secrets), do=mask(each.do, secrets)) for each in found]
    return Result(tuple(in_order(masked, [*names, *SERVERS])), names, tuple(left))


def _through(access: Access, question: Callable[[], Any]) -> Any:
    if access.controller is not None:
        access.controller.open(ASKING_SECONDS)
    return question()


def _left(name: str, error: NoConnection) -> Finding:
    """A machine that the stack says is gone: its removal passes over it, and an `up` with nothing to change there opens no connection to it."""
    way = (
        f"The stack leaves it (`on_unreachable: {LEAVE}`): an `up` with nothing to change there does without it. If it is gone for good, run `pulumi up`, "
        "then take it out of the stack"
    )
    return replace(from_sentence(name, "login", str(error)), do=way, note=True)


def _refused(name: str, error: RemoteError, gateway: str) -> list[Finding]:
    if name in SERVERS and isinstance(error, ConnectionFailed):
        # Said already of the machine.
        return [Finding(name, "login", f"not asked: it is reached through {gateway}", f"See {gateway}")]
    return [from_sentence(name, _subject(error), str(error))]


def _subject(error: RemoteError) -> str:
    if isinstance(error, (StepFailed, DeadlineExceeded)):
        return "machine"
    said = str(error)
    if "sudo refused" in said or "sudo wants" in said:
        return "sudo"
    return "grants" if "lacks a privilege" in said else "login"


# ---------------------------------------------------------------- showing


def as_table(result: Result) -> str:
    """The table and the line of counts."""
    return "\n".join(filter(None, [_table(result.findings), counts(result)]))


def _table(findings: Sequence[Finding]) -> str:
    return table(
        {"Where": 24, "Subject": 16, "What": 56, "What to do": 56},
        [
            [where, f"{each.subject} (note)" if each.note else each.subject, each.what, each.do]
            for where, each in _grouped(findings)
        ],
    )


def _grouped(findings: Sequence[Finding]) -> list[tuple[str, Finding]]:
    """The same of many machines is one line."""
    groups: dict[tuple[str, str, str, bool], list[Finding]] = {}
    for each in findings:
        groups.setdefault((each.subject, each.what, each.do, each.note), []).append(each)
    return [(abridged([each.where for each in group], most=6), group[0]) for group in groups.values()]


def counts(result: Result) -> str:
    """One line: problems, on how many machines and servers, and how many are in order."""
    bad = {each.where for each in result.problems}
    machines, servers = [name for name in result.machines if name in bad], [name for name in SERVERS if name in bad]
    notes = f"; {counted(len(result.notes), 'note')}" if result.notes else ""
    total = counted(len(result.machines), "machine")
    if not bad:
        some = f"{len(result.machines) - len(result.left)} of {total}" if result.left else total
        return f"No problems: {some} and {len(SERVERS)} servers are in order{notes}."
    where = [f"{len(machines)} of {total}"] if machines else []
    where += [f"{len(servers)} of {len(SERVERS)} servers"] if servers else []
    left = counted(len(result.machines) - len(machines) - len(result.left), "machine")
    return f"{counted(len(result.problems), 'problem')} on {' and '.join(where)}; {left} in order{notes}."


def as_json(result: Result) -> str:
    """`{"problems": [{where, subject, what, do}], "notes": [...], "machines": [name]}`."""

    def plain(findings: Sequence[Finding]) -> list[dict[str, Any]]:
        return [{key: value for key, value in asdict(each).items() if key != "note"} for each in findings]

    return json.dumps(
        {"problems": plain(result.problems), "notes": plain(result.notes), "machines": result.machines}, indent=2
    )
