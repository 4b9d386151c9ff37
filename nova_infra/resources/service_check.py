"""ServiceCheck: the guide's last chapter. Are all services up, and does nova see the images?"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pulumi
from prettytable import PrettyTable

from .. import remarks
from ..errors import ComputeError, ComputeSilent, DeadlineExceeded, IdentityError, Problem
from ..provider import AnyConnection, connection_state
from ..remote.inspection import Question, inspect
from ..remote.operation import wait_until
from .compute_node import enable_again
from .lifecycle import REMARKS, Lifecycle, Resource, State
from .readiness import (
    Again,
    Started,
    refuse_ended,
    seconds_of,
    start_those_without_a_record,
    wait_for_answers,
    wait_for_reports,
    wait_until_still_alive,
)

if TYPE_CHECKING:
    from ..compute import Image, ServiceReport

# What stands in place of a table that nova did not give; the reason follows.
NOT_KNOWN = "not known: "
# An input that is always false. A refresh that nova refused to answer makes it true, so that the next `up` asks again and a plan says so.
LOOK_AGAIN = "look_again"
# Of very many hosts that are waited for, a sentence names these.
NAMED = 3


@dataclass(frozen=True)
class ServiceCheckArgs:
    """The services that must be up, and the nodes that are waited for."""

    services: Mapping[str, Sequence[str]]
    """By host, the services that must be up."""
    restarts: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """By host, anything that changes when its services are restarted, so that they are looked at again.

    `started_at` of a node also says which reports to nova are later than that."""
    awaits: Mapping[str, Awaited] = field(default_factory=dict)
    """By host, the nodes that do not wait themselves (`wait=False`).

    The check waits until their services work, all at once, and reads the logs of those that do not."""


@dataclass(frozen=True)
class Awaited:
    """A node for which the check waits.

    ```python
    nova_infra.ServiceCheckArgs(
        {"compute1": ["nova-compute"]},
        restarts={"compute1": compute1.started_at},
        awaits={"compute1": nova_infra.Awaited(connection)},
    )
    ```
    """

    connection: AnyConnection
    """How SSH reaches the node: a `pulumi_command.remote.ConnectionArgs`, or a mapping with the same keys."""
    answers: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """By service that nova does not list, the place at which it answers on the node: `host:port`."""
    hidden: Sequence[Sequence[str]] = ()
    """`[file, section, option]` of secrets whose name does not say so: what its logs are quoted without."""


class ServiceCheckLifecycle(Lifecycle):
    """Asks the compute API. Has nothing of its own: services and images of others are shown, never drift."""

    kind = "check"
    identity = ()
    computed = ("service_list", "image_list")
    looked_at = (LOOK_AGAIN,)

    def name_of(self, wanted: State) -> str:  # noqa: ARG002 - there is one in a deployment
        """Always the same."""
        return "services"

    def problems(self, wanted: State) -> list[Problem]:
        """Hosts that are awaited, and of which it is not said what runs on them or what changes when that is restarted."""
        return [
            Problem(f"awaits.{host}", f"has no entry of its own in {other}")
            for host in wanted["awaits"]
            for other in ("services", "restarts")
            if isinstance(wanted[other], Mapping) and host not in wanted[other]
        ]

    def make(self, wanted: State) -> dict[str, Any]:
        """Waits until every service is up and nova sees the image service, then returns both tables."""
        return self._checked(wanted, list(wanted["awaits"]))

    def change(self, known: State, wanted: State) -> dict[str, Any]:
        """Looks again; waits for the nodes that are new, and for those whose services were started again since."""
        was = known.get("restarts")
        before = was if isinstance(was, Mapping) else {}
        restarted = [host for host in wanted["awaits"] if before.get(host) != wanted["restarts"].get(host)]
        # A controller that has filled a new schema has started its own services. Nobody else's have a record there.
        unknown = self._without_a_record(wanted, restarted) if before != wanted["restarts"] else []
        start_those_without_a_record(unknown)
        return self._checked(wanted, restarted, [each.node for each in unknown])

    def _without_a_record(self, wanted: State, restarted: Collection[str]) -> list[Started]:
        try:
            known = {(each.host, each.binary) for each in self.access.compute.services()}
        except ComputeError:
            # The check itself waits for the API, and says what is missing.
            return []
        missing = {
            host: [name for name in wanted["services"][host] if (host, name) not in known]
            for host in wanted["awaits"]
            if host not in restarted
        }
        return [
            Started(self.access.node(host, wanted["awaits"][host]["connection"]), dict.fromkeys(names))
            for host, names in missing.items()
            if names
        ]

    def _checked(self, wanted: State, restarted: Sequence[str], anew: Sequence[str] = ()) -> dict[str, Any]:
        """`restarted`: hosts whose services `restarts` tells of; `anew`: those where we have started some ourselves."""
        self._wait_for_those_that_do_not_wait(wanted, restarted, anew)
        compute = self.access.compute
        tables: dict[str, str] = {}
        problem = ""

        def all_is_well() -> bool:
            nonlocal problem
            try:
                reports = compute.services()
                enable_again(compute, [*restarted, *anew], reports)
                missing = _missing(wanted, reports)
                tables.update(service_list=service_table(compute.services()), image_list=image_table(compute.images()))
            except ComputeError as error:
                # A service that has just been started answers with errors for a moment.
                missing = [str(error)]
            problem = "; ".join(missing)
            return not missing

        wait_until(
            all_is_well,
            doing="The last check",
            seconds=self.access.deadline("check"),
            seen=lambda: problem,
            advice=(
                "Look at the logs of these services on their hosts (/var/log/nova), then run the same command again; deadlines.check says "
                "how long it waits."
            ),
        )
        return tables

    def _wait_for_those_that_do_not_wait(self, wanted: State, restarted: Sequence[str], anew: Sequence[str]) -> None:
        hosts = [*restarted, *anew]
        if not hosts:
            return
        started = [self._started(host, wanted, seconds_of(wanted["restarts"][host])) for host in restarted]
        started += [self._started(host, wanted, None) for host in anew]
        answering = [(each, wanted["awaits"][each.node]["answers"]) for each in started]
        few = ", ".join(hosts[:NAMED]) + (f" and {len(hosts) - NAMED} more" if len(hosts) > NAMED else "")
        doing = f"The last check: waiting for reports of {few} to nova"
        again = Again()
        for each, places in answering:
            wait_for_answers(each, places, self.access.deadline("answer"), again=again)
        print(doing, flush=True)
        reporting = [each.only(wanted["services"][each.node]) for each in started]
        of_host = hosts[0] if len(hosts) == 1 else ""
        seconds = self.access.deadline("report")
        wait_for_reports(self.access.compute, reporting, seconds, doing=doing, of_host=of_host, again=again)
        for each, places in answering:
            if places:
                wait_until_still_alive(each.only(places))
        for each in again.as_started([each for each, places in answering if places]):
            refuse_ended(each)

    def _started(self, host: str, wanted: State, since: float | None) -> Started:
        awaited = wanted["awaits"][host]
        connection = self.access.node(host, awaited["connection"])
        names = [*wanted["services"][host], *awaited["answers"]]
        if not awaited["answers"]:
            # Of very many nodes only those whose reports do not come are asked.
            return Started(connection, dict.fromkeys(names), hidden=awaited["hidden"], since=since)
        facts = inspect(connection, Question(services=names), doing="looking at the services")
        return Started(connection, facts.services, facts.later - time.time(), hidden=awaited["hidden"])

    def look(self, known: State) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Both tables as they are now; one that nova does not give says so, and a remark does.

        Where nova does not list its services, the next `up` looks again, because what was in nova's way may be what it repairs. Not where nobody answers at all: a service of
        ours that is stopped is looked at when it is started, and a place that is not ours is nothing that `up` could change. Nor is Glance.
        """
        try:
            reports = self.access.compute.services()
        except (ComputeError, IdentityError, DeadlineExceeded) as error:
            reason = f"{NOT_KNOWN}{error}"
            said = [f"What nova lists is {reason}"]
            return _to_look_again(known, not isinstance(error, ComputeSilent)), {
                "service_list": reason,
                "image_list": reason,
                REMARKS: said,
            }
        said = remarks.of_others(known["services"], reports)
        try:
            images = image_table(self.access.compute.images())
        except (ComputeError, DeadlineExceeded) as error:
            images = f"{NOT_KNOWN}{error}"
            said.append(f"Which images there are is {images}")
        return _to_look_again(known, False), {
            "service_list": service_table(reports),
            "image_list": images,
            REMARKS: said,
        }

    def remove(self, known: State) -> None:
        """There is nothing to remove."""


def unanswered(outputs: State) -> str:
    """Why nova did not answer the look that made these outputs; empty where it did."""
    table = str(outputs.get("service_list", ""))
    return table.removeprefix(NOT_KNOWN) if table.startswith(NOT_KNOWN) else ""


def _to_look_again(known: State, again: bool) -> dict[str, Any]:
    # A state of before this input has none, and is in order without it.
    return {**known, LOOK_AGAIN: again} if again or LOOK_AGAIN in known else dict(known)


def _missing(wanted: State, reports: Sequence[ServiceReport]) -> list[str]:
    states = {(report.host, report.binary): report.state for report in reports}
    return [
        f"{binary} on {host} is {states.get((host, binary), 'not known to nova')}"
        for host, binaries in wanted["services"].items()
        for binary in binaries
        if states.get((host, binary)) != "up"
    ]


def service_table(reports: Sequence[ServiceReport]) -> str:
    """`nova service-list` without the columns that change by themselves (Id, Updated_at)."""
    rows = [
        [each.binary, each.host, each.zone, each.status, each.state, each.disabled_reason or "-"] for each in reports
    ]
    return _table(["Binary", "Host", "Zone", "Status", "State", "Disabled Reason"], rows)


def image_table(images: Sequence[Image]) -> str:
    """`nova image-list` without the Id."""
    return _table(["Name", "Status", "Server"], [[image.name, image.status, image.server] for image in images])


def _table(columns: list[str], rows: list[list[str]]) -> str:
    table = PrettyTable(columns)
    table.align = "l"
    table.add_rows(rows)
    return str(table.get_string())


class ServiceCheck(Resource, module="nova", name="ServiceCheck"):
    """The last check: token, services, images.

    ```python
    check = nova_infra.ServiceCheck(
        "check",
        nova_infra.ServiceCheckArgs({"controller": ["nova-scheduler"], "compute1": ["nova-compute"]}),
        opts=pulumi.ResourceOptions(provider=access, depends_on=[compute1]),
    )
    pulumi.export("services", check.service_list)
    ```
    """

    service_list: pulumi.Output[str]
    """The table of services."""
    image_list: pulumi.Output[str]
    """The table of images."""
    look_again: pulumi.Output[bool]
    """Whether nova refused to answer the last refresh. Then the next `up` asks again."""

    def __init__(self, name: str, args: ServiceCheckArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs = {
            "services": {host: sorted(binaries) for host, binaries in args.services.items()},
            "restarts": dict(args.restarts),
            "awaits": {
                host: {
                    "connection": connection_state(each.connection),
                    "answers": dict(each.answers),
                    "hidden": [list(path) for path in each.hidden],
                }
                for host, each in args.awaits.items()
            },
            LOOK_AGAIN: False,
            "service_list": None,
            "image_list": None,
        }
        super().__init__(ServiceCheckLifecycle(), name, inputs, opts)
