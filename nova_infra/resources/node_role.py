"""What ControllerNode and ComputeNode share: a node's state applied, read and undone, and when a node is done."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.runtime import rpc

from .. import adoption, clock, node, peers, remarks
from ..configuration import unsupported, unsupported_name
from ..defaults import EVERYWHERE
from ..errors import ComputeError, InvalidSettings, Problem, RemoteError
from ..marks import marked, unmarked
from ..openrc import is_variables_file
from ..openrc import unsupported as no_shell_value
from ..provider import AnyConnection, connection_state
from ..releases.release import NOVA_CONF, Port, Release
from ..remote.inspection import Facts, Process, Question, inspect
from ..remote.operation import Decide, Operated, operate, progress
from ..remote.script import Call
from ..wording import shown
from .lifecycle import REMARKS, Lifecycle, State, required_text, usable_connection, when_known
from .readiness import (
    Started,
    moment,
    refuse_ended,
    wait_for_answers,
    wait_for_reports,
    wait_until_still_alive,
)
from .unreachable import REFUSE, leave_if_unreachable, unreachable_problems

if TYPE_CHECKING:
    from ..compute import ServiceReport
    from ..remote.connection import Connection


_NOT_NOTED = (
    "its files and services of nova stay as they are: no note there says what they were before us, so an earlier run has put them back "
    "(or somebody has removed /var/lib/nova-infra)"
)
Options = Mapping[str, Mapping[str, Mapping[str, pulumi.Input[str | list[str]]]]]
"""Files of a node: path, section, option, value."""
# What follows a service of which nova has no record.
_NO_RECORD = "no record"


class NodeRole(Lifecycle):
    """A node's files, schema and services, over SSH."""

    kind = "node"
    identity = ("node",)
    waits_for_changes = False
    """Whether a change is waited for here also where a ServiceCheck waits for what is new."""
    computed = ("virt_type", "init_system", "schema_version", "worked_before", "started_at")
    kept_in_state = frozenset({"adopt", "on_unreachable", "wait"})
    looked_at: tuple[str, ...] = ("options", "files", "services", "absent", "schema", "reporting")

    def name_of(self, wanted: State) -> str:
        """The node's name."""
        return str(wanted["node"])

    def problems(self, wanted: State) -> list[Problem]:
        """Empty names; a place that cannot be; no service; an unknown on_unreachable; options that no file can carry."""
        problems = [
            *required_text(wanted, "node"),
            *usable_connection(wanted),
            *unreachable_problems(wanted),
            *_bad_options(wanted.get("options", {})),
        ]
        return problems if wanted["services"] else [*problems, Problem("services", "is empty")]

    def without_secrets(self, inputs: State) -> State:
        """Of options that hold secrets the names stay: that one came or went is to be seen."""
        return {**inputs, "options": node.without_secrets(inputs)}

    def make(self, wanted: State) -> dict[str, Any]:
        """Writes, syncs, starts, and waits until nova says that it works. Refuses to overwrite what somebody else wrote.

        Waits for every service, also for one that a run that died has started.
        """
        return self._applied(
            wanted,
            adoption.begin,
            known={},
            new_files=wanted["files"],
            wait_for=list(wanted["services"]),
            wait=wanted["wait"],
        )

    def look(self, known: State) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The node as it is, and which of its services nova has a record of. Raises StepFailed when it is another machine."""
        began = time.time()
        facts = inspect(self._connection(known), node.question(known), doing="reading the node")
        ended = time.time()
        node.same_machine(known, facts)
        if node.is_gone(known, facts):
            return None
        # Only our own starts change it. A state of an earlier version has none, and a refresh is no reason to make one.
        kept = {key: known[key] for key in ("started_at",) if key in known}
        said = remarks.of_machine(known, facts)
        observed = node.observed(known, facts, self.access.fingerprint_key)
        try:
            records = {each.binary: each for each in self.access.records.of(known["node"])}
        except RemoteError as error:
            said.append(f"{known['node']}: whether nova has a record of its services is not known: {error}")
        else:
            recorded, left = self._recorded(known, records)
            # What an earlier look has found may be over.
            observed = {key: each for key, each in observed.items() if key not in self.only_found} | recorded
            said += left
        # How long the questions and the answers were on their way nobody knows.
        seconds_ahead = min(facts.now - began, 0) or max(facts.later - ended, 0)
        if off := self._off(known, seconds_ahead):
            said.append(off[0].upper() + off[1:])
        return observed, {**self._outputs(known, facts), **kept, REMARKS: said}

    def _recorded(self, known: State, records: Mapping[str, ServiceReport]) -> tuple[dict[str, Any], list[str]]:
        """What nova's records (service -> record) say of the inputs, and remarks about what is left to operators."""
        wanted = unmarked(known["reporting"], _NO_RECORD)
        gone = [name for name in wanted if name not in records]
        left = remarks.of_records(records[name] for name in wanted if name in records)
        return {"reporting": marked(wanted, gone, _NO_RECORD)}, left

    def change(self, known: State, wanted: State) -> dict[str, Any]:
        """Does what is different, and restarts what reads it.

        Waits also for services that a run which failed while it waited has restarted already.
        """
        services = [name for name in known["services"] if name not in wanted["services"]]
        files = [path for path in known["files"] if path not in wanted["files"]]
        if services or files:
            # What the stack no longer names is as it was before us; its package stays what it is.
            here = {**known, "connection": wanted["connection"]}

            def leave(facts: Facts) -> list[Call]:
                node.same_machine(here, facts)
                return adoption.leave(services, files, facts)

            self._operate(here, leave, doing="leaving what the stack no longer names")
        # Other versions of packages are other code: their own scripts have restarted it, and it must work.
        upgraded = known.get("packages") != wanted["packages"]
        different = [
            name for name, each in wanted["services"].items() if upgraded or known["services"].get(name) != each
        ]
        new_files = [path for path in wanted["files"] if path not in known["files"]]
        wait = wanted["wait"] or self.waits_for_changes
        unknown = self._unknown_to_nova(known, wanted)

        def again(state: State, facts: Facts) -> list[Call]:
            return adoption.begin(state, facts, restart=unknown)

        return self._applied(wanted, again, known=known, new_files=new_files, wait_for=different, wait=wait)

    def _unknown_to_nova(self, known: State, wanted: State) -> list[str]:
        """The services whose record was gone at the last look, and is still: a service makes it anew only when it starts."""
        gone = [name for name in wanted["reporting"] if name in known["services"] and name not in known["reporting"]]
        if not gone:
            return []
        try:
            there = {each.binary for each in self.access.compute.services(wanted["node"])}
        except ComputeError:
            # The API may be one of them.
            return gone
        return [name for name in gone if name not in there]

    def remove(self, known: State) -> None:
        """Stops the services and puts the files back."""

        def undo(facts: Facts) -> list[Call]:
            node.same_machine(known, facts)
            if not adoption.is_ours(known, facts):
                self.access.keep(known["node"], _NOT_NOTED)
                return []
            return adoption.undo(known, facts)

        with leave_if_unreachable(known, "its files and services of nova", self.access.keep):
            self._operate(known, undo, doing="taking the role away")

    # ------------------------------------------------------------ applying

    def _connection(self, state: State) -> Connection:
        return self.access.node(state["node"], state["connection"])

    def _operate(
        self, state: State, decide: Decide, *, doing: str, question: Question | None = None, look_again: bool = False
    ) -> Operated:
        return operate(
            self._connection(state),
            question or node.question(state),
            decide,
            doing=doing,
            deadline=self.access.deadline("configuration"),
            secrets=node.secrets_in(state),
            look_again=look_again,
        )

    def _applied(
        self,
        wanted: State,
        decide: Callable[[State, Facts], list[Call]],
        *,
        known: State,
        new_files: Iterable[str],
        wait_for: Sequence[str],
        wait: bool,
    ) -> dict[str, Any]:
        def decided(facts: Facts) -> list[Call]:
            peers.refuse_unknown(wanted, facts)
            return decide(wanted, facts)

        operated = self._operate(
            wanted,
            decided,
            doing="configuring the node",
            question=node.question(wanted, new_files, peers.names(wanted)),
            look_again=True,
        )
        seconds_ahead = operated.facts.later - time.time()
        if off := self._off(wanted, seconds_ahead):
            progress(wanted["node"])(off)
        restarted = node.restarted(operated.calls)
        names = [
            name
            for name, each in wanted["services"].items()
            if each["running"] and (name in wait_for or name in restarted)
        ]
        processes = {name: operated.facts.services[name] for name in names}
        started = Started(self._connection(wanted), processes, seconds_ahead, node.secrets_in(wanted))
        if names and wait:
            self._wait_until_done(wanted, started)
        elif not all(process.running for process in processes.values()):
            refuse_ended(started)
        before, latest = known.get("started_at", ""), _latest(processes.values(), seconds_ahead)
        # A moment is a text in UTC, so the later one is the greater one. Without a start of ours these are not all that run here.
        return {
            **self._outputs(wanted, operated.facts),
            "started_at": latest or before if restarted else max(before, latest),
        }

    def _off(self, state: State, seconds_ahead: float) -> str:
        """What is said of a node whose clock is off by more than its own options bear; else empty. `seconds_ahead`: of ours."""
        limit = clock.allowed(state["options"].get(NOVA_CONF, {}).get("DEFAULT", {}))
        # Among each other nova's hosts must agree; this machine is none of them.
        novas, of = self.access.compute.clock_ahead, "of nova-api"
        if novas is None:
            novas, of = 0.0, "of this machine (nova-api's is not known)"
        ahead = seconds_ahead - novas
        return clock.sentence(state["node"], ahead, of, limit, state["services"]) if abs(ahead) > limit else ""

    def _wait_until_done(self, wanted: State, started: Started) -> None:
        """Returns when every service does its work and its process is still the one that was started."""
        answering = {name: place for name, place in wanted["answers"].items() if name in started.processes}
        reporting = [name for name in started.processes if name in wanted["reporting"]]
        wait_for_answers(started, answering, self.access.deadline("answer"))
        if reporting:
            progress(wanted["node"])(f"waiting for reports of {', '.join(reporting)}")
            wait_for_reports(
                self.access.compute,
                [started.only(reporting)],
                self.access.deadline("report"),
                doing=f"{wanted['node']}: waiting for reports of {', '.join(reporting)} to nova",
                of_host=wanted["node"],
            )
        if answering:
            wait_until_still_alive(started.only(answering))
        refuse_ended(started)

    def _outputs(self, wanted: State, facts: Facts) -> dict[str, Any]:  # noqa: ARG002 - a role may need what was wanted
        return {**node.found(facts), "worked_before": sorted(adoption.worked_before(facts))}


def _latest(processes: Iterable[Process], seconds_ahead: float) -> str:
    """When the youngest of the processes was started, on the clock of the machine where Pulumi runs; empty without a process that runs."""
    started = max((process.started for process in processes if process.running), default=0)
    return moment(math.ceil(started - seconds_ahead)) if started else ""


def _bad_options(files: Any) -> list[Problem]:
    if files == rpc.UNKNOWN:
        return []
    # The script's answer about a path is one line, with tabs between its fields.
    problems = [
        Problem(f"options[{shown(path)}]", "is no absolute path of printable characters")
        for path in files
        if not (path.startswith("/") and path.isprintable())
    ]
    for path, section, option, value in _leaves(files):
        shell = is_variables_file(path)
        reasons = [] if shell else [unsupported_name(name) for name in (section, option)]
        for text in value if isinstance(value, list) else [value]:
            if text == rpc.UNKNOWN:
                continue
            if not isinstance(text, str):
                reasons.append(f"is {text!r}, which is no text")
            else:
                reasons.append(no_shell_value(text) if shell else unsupported(text))
        problems += [Problem(f"options[{path}][{section}].{option}", reason) for reason in reasons if reason]
    return problems


def _leaves(files: Mapping[str, Any]) -> Iterable[tuple[str, str, str, Any]]:
    for path, sections in files.items():
        for section, options in sections.items() if isinstance(sections, Mapping) else ():
            for option, value in options.items() if isinstance(options, Mapping) else ():
                yield path, section, option, value


def role_inputs(
    name: str,
    node_name: str,
    connection: AnyConnection,
    options: Options,
    *,
    release: Release,
    reads: Mapping[str, Sequence[str]],
    schema: str,
    packages: Mapping[str, pulumi.Input[str]],
    adopt: pulumi.Input[bool] = False,
    on_unreachable: pulumi.Input[str] = REFUSE,
    wait: bool = True,
) -> dict[str, Any]:
    """The wanted state of a node: the services of `reads`, each with the files that it reads, and these options."""
    missing = sorted({path for paths in reads.values() for path in paths} - set(options))
    if missing:
        raise InvalidSettings(
            [Problem(f"{name}.options", f"has no {path}, which its services read") for path in missing]
        )
    return {
        "node": node_name,
        "connection": connection_state(connection),
        "options": dict(options),
        "files": {path: _owned(path, release) for path in options},
        "services": {
            name: {
                "running": True,
                "enabled": True,
                "reads": list(paths),
                "fingerprint": shown_fingerprint({path: options[path] for path in paths}),
            }
            for name, paths in reads.items()
        },
        "absent": list(release.absent),
        "schema": schema,
        "packages": dict(packages),
        "hidden": hidden_in(options),
        "adopt": adopt,
        "on_unreachable": on_unreachable,
        "wait": wait,
        "started_at": None,
        "reporting": sorted(release.listed_services & set(reads)),
        "answers": answers_of(release, reads, options),
    }


def hidden_in(options: Options) -> list[list[str]]:
    """`[file, section, option]` of values that may be secrets, and whose name does not say so."""
    # Whatever is an Output may be a secret; the names of most say it.
    return [
        [path, section, option]
        for path, section, option, value in _leaves(options)
        if isinstance(value, pulumi.Output) and not node.holds_a_secret(option)
    ]


def _owned(path: str, release: Release) -> dict[str, str]:
    return asdict(release.variables_ownership if is_variables_file(path) else release.ownership)


def answers_of(release: Release, services: Iterable[str], options: Options) -> dict[str, pulumi.Input[str]]:
    """By service that nova does not list the place, `host:port`, at which it answers as the node itself reaches it."""
    return {name: _answers_at(port, options) for name, port in release.ports.items() if name in set(services)}


def _answers_at(port: Port, options: Options) -> pulumi.Input[str]:
    """`host:port` as the node itself reaches it."""
    default = options.get(NOVA_CONF, {}).get("DEFAULT", {})

    def place(values: Sequence[Any]) -> str:
        host, number = values
        return f"{'127.0.0.1' if host == EVERYWHERE else host}:{number}"

    values = (default.get(port.host_option, EVERYWHERE), default.get(port.number_option, port.number))
    # A plain text stays one, so that it can be read in a plan.
    return (
        pulumi.Output.all(*values).apply(place) if any(isinstance(v, pulumi.Output) for v in values) else place(values)
    )


def shown_fingerprint(files: Mapping[str, Any]) -> pulumi.Output[str]:
    """The fingerprint of all options of these files (`{path: {section: {option: Input}}}`).

    Not a secret, though made from some: the engine shows no change of a secret, and this one announces a restart.
    """
    return pulumi.Output.unsecret(when_known(files, lambda known: node.service_fingerprint(known, sorted(known))))
