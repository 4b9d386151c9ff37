"""What ControllerNode and ComputeNode share: a node's state applied, read and undone, and when a node is done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import pulumi
from pulumi.runtime import rpc

from .. import adoption, node
from ..configuration import unsupported, unsupported_name
from ..errors import ComputeError, DeadlineExceeded, InvalidSettings, Problem, RemoteError
from ..masking import mask
from ..openrc import is_variables_file
from ..openrc import unsupported as no_shell_value
from ..provider import AnyConnection, connection_state
from ..releases.release import NOVA_CONF, Port, Release
from ..remote.connection import Connection
from ..remote.inspection import Facts, Question, inspect
from ..remote.operation import Decide, operate, progress, wait_until
from ..remote.script import Call, call, decoded
from .lifecycle import Lifecycle, State, required_text, usable_connection
from .unreachable import REFUSE, leave_if_unreachable, unreachable_problems

# nova-api may die seconds after it answered once.
STILL_ALIVE_SECONDS = 10.0
LOG_LINES = 8
EVERYWHERE = "0.0.0.0"  # noqa: S104 - the default of nova's services

Options = Mapping[str, Mapping[str, Mapping[str, pulumi.Input[str | list[str]]]]]


class NodeRole(Lifecycle):
    """A node's files, schema and services, over SSH."""

    kind = "node"
    identity = ("node",)
    computed = ("virt_type", "init_system", "schema_version", "worked_before")
    kept_in_state = frozenset({"adopt", "on_unreachable"})

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

    def make(self, wanted: State) -> dict[str, Any]:
        """Writes, syncs, starts, and waits until nova says that it works. Refuses to overwrite what somebody else wrote.

        Waits for every service, also for one that a run that died has started.
        """
        return self._applied(wanted, adoption.begin, new_files=wanted["files"], wait_for=list(wanted["services"]))

    def look(self, known: State) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The node as it is."""
        facts = inspect(self._connection(known), node.question(known), doing="reading the node")
        if node.is_gone(known, facts):
            return None
        return node.observed(known, facts, self.access.fingerprint_key), self._outputs(known, facts)

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
        return self._applied(wanted, _again, new_files=new_files, wait_for=different)

    def remove(self, known: State) -> None:
        """Stops the services and puts the files back."""

        def undo(facts: Facts) -> list[Call]:
            node.same_machine(known, facts)
            return adoption.undo(known, facts)

        with leave_if_unreachable(known, "its files and services of nova"):
            self._operate(known, undo, doing="taking the role away")

    # ------------------------------------------------------------ applying

    def _connection(self, state: State) -> Connection:
        return self.access.node(state["node"], state["connection"])

    def _operate(self, state: State, decide: Decide, *, doing: str, new_files: Iterable[str] = ()) -> Sequence[Call]:
        return operate(
            self._connection(state),
            node.question(state, new_files),
            decide,
            doing=doing,
            deadline=self.access.deadline("configuration"),
            secrets=node.secrets_in(state),
        )

    def _applied(
        self,
        wanted: State,
        decide: Callable[[State, Facts], list[Call]],
        *,
        new_files: Iterable[str],
        wait_for: Sequence[str],
    ) -> dict[str, Any]:
        connection = self._connection(wanted)
        calls = self._operate(
            wanted, lambda facts: decide(wanted, facts), doing="configuring the node", new_files=new_files
        )
        running = [name for name, each in wanted["services"].items() if each["running"]]
        self._wait_until_done(
            wanted, connection, [name for name in running if name in wait_for or name in node.restarted(calls)]
        )
        return self._outputs(wanted, inspect(connection, node.question(wanted), doing="reading the node"))

    def _wait_until_done(self, wanted: State, connection: Connection, restarted: Sequence[str]) -> None:
        """Returns when every service that was restarted does its work and its process is still the one that was started.

        A fresh row of nova's table counts as up for 60 s and proves nothing: a report after the restart does.
        """
        if not restarted:
            return
        processes = self._processes(connection, restarted)
        listed = [name for name in restarted if name in wanted["reporting"]]
        answering = {name: place for name, place in wanted["answers"].items() if name in restarted}
        show = progress(wanted["node"])
        try:
            for name, place in answering.items():
                doing = f"waiting until {name} answers at {place}"
                show(doing)
                wait_until(
                    partial(_answers, connection, place),
                    doing=f"{wanted['node']}: {doing}",
                    seconds=self.access.deadline("answer"),
                    advice="deadlines.answer says how long it waits.",
                )
            if listed:
                show(f"waiting for reports of {', '.join(listed)}")
                self._wait_for_reports(wanted["node"], listed)
            if answering:
                started = max(facts.started for facts in processes.values())
                wait_until(
                    lambda: self._now(connection) >= started + STILL_ALIVE_SECONDS,
                    doing=f"{wanted['node']}: {STILL_ALIVE_SECONDS:.0f} s after the start",
                    seconds=STILL_ALIVE_SECONDS * 3,
                    advice="Look at the machine's clock.",
                )
        except (DeadlineExceeded, ComputeError) as error:
            raise type(error)(self._with_logs(str(error), wanted, connection, restarted)) from None
        for name, process in self._processes(connection, restarted).items():
            if process.ticks != processes[name].ticks or not process.running:
                sentence = (
                    f"{name} on {wanted['node']} ended after it had been started. Its configuration or a server it needs is wrong: put "
                    "that right, and run the same command again."
                )
                raise RemoteError(self._with_logs(sentence, wanted, connection, [name]))

    def _wait_for_reports(self, host: str, binaries: Sequence[str]) -> None:
        compute = self.access.compute
        last: dict[str, str] = {}

        def reports() -> dict[str, str]:
            nonlocal last
            try:
                last = {each.binary: each.updated_at for each in compute.services() if each.host == host}
            except ComputeError as error:
                # The API itself may be starting.
                last = {"the compute API": str(error)}
            return last

        # Which report stood there when we began to wait: the first one that is another was made by the new process.
        before: dict[str, str] | None = None

        def moved() -> bool:
            nonlocal before
            now = reports()
            if before is None:
                if "the compute API" not in now:
                    before = now
                return False
            return all(now.get(name) and now.get(name) != before.get(name) for name in binaries)

        wait_until(
            moved,
            doing=f"{host}: waiting for reports of {', '.join(binaries)} to nova",
            seconds=self.access.deadline("report"),
            seen=lambda: (
                ", ".join(f"{name}: {when or 'never'}" for name, when in last.items()) or "no service of this host"
            ),
            advice="deadlines.report says how long it waits.",
        )

    def _processes(self, connection: Connection, names: Sequence[str]) -> Mapping[str, Any]:
        return inspect(connection, Question(services=names), doing="looking at the services").services

    def _now(self, connection: Connection) -> int:
        return inspect(connection, Question(), doing="reading the clock").now

    def _with_logs(self, sentence: str, wanted: State, connection: Connection, services: Sequence[str]) -> str:
        calls = [call("read_log", name, str(LOG_LINES)) for name in services]
        try:
            answer = connection.run(calls, doing="reading logs", deadline=60)
        except RemoteError:
            return sentence
        logs = "".join(f"\n--- the end of the log of {name}:\n{decoded(text)}" for name, text in answer.all("log"))
        return mask(f"{sentence.rstrip('.')}.{logs}", node.secrets_in(wanted))

    def _outputs(self, wanted: State, facts: Facts) -> dict[str, Any]:  # noqa: ARG002 - a role may need what was wanted
        return {**node.found(facts), "worked_before": sorted(adoption.worked_before(facts))}


def _again(state: State, facts: Facts) -> list[Call]:
    adoption.refuse_foreign_files(state, facts)
    return node.decide(state, facts)


def _answers(connection: Connection, place: str) -> bool:
    host, _, port = place.rpartition(":")
    try:
        connection.reach_tcp(host, int(port)).close()
    except OSError:
        return False
    return True


def _bad_options(files: Any) -> list[Problem]:
    if files == rpc.UNKNOWN:
        return []
    problems = []
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
        "hidden": _hidden(options),
        "adopt": adopt,
        "on_unreachable": on_unreachable,
        "reporting": sorted(release.listed_services & set(reads)),
        "answers": {name: _answers_at(port, options) for name, port in release.ports.items() if name in reads},
    }


def _hidden(options: Options) -> list[list[str]]:
    # Whatever is an Output may be a secret; the names of most say it.
    return [
        [path, section, option]
        for path, section, option, value in _leaves(options)
        if isinstance(value, pulumi.Output) and not node.holds_a_secret(option)
    ]


def _owned(path: str, release: Release) -> dict[str, str]:
    return asdict(release.variables_ownership if is_variables_file(path) else release.ownership)


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
    values: pulumi.Output[Any] = pulumi.Output.from_input(dict(files))
    return pulumi.Output.unsecret(values.apply(lambda resolved: node.service_fingerprint(resolved, sorted(resolved))))
