"""ComputeNode: nova.conf, nova-compute.conf and nova-compute on a machine, and its record in nova."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pulumi

from ..errors import ComputeError, NoConnection, Problem, Refused
from ..node import UNMANAGED
from ..provider import AnyConnection, sees_keystone
from ..releases import release
from ..remote.operation import progress, wait_until
from .lifecycle import Resource, State
from .node_role import NodeRole, Options, role_inputs
from .unreachable import REFUSE

if TYPE_CHECKING:
    from ..compute import Compute, Server, ServiceReport

BINARY = "nova-compute"
REASON = "being removed by Pulumi"
ENABLED, DISABLED, LEFT = "enabled", "disabled", "left"
BEING_REMOVED = "being_removed"
DISABLED_BY_THE_STACK = "disabled by the stack (Pulumi)"
DRAIN_EVERY_SECONDS = 3.0


@dataclass(frozen=True)
class ComputeNodeArgs:
    """A compute node: its files option by option."""

    node: str
    """The machine's host name, and the host that nova registers. The node is known by it; it never changes."""
    connection: AnyConnection
    """How SSH reaches the node: a `pulumi_command.remote.ConnectionArgs`, or a mapping with the same keys."""
    options: Options
    """Its files: `{path: {section: {option: value}}}`. A list is an option that is repeated.

    The value `auto` of `[libvirt] virt_type` stands for what the machine can do: kvm or qemu."""
    packages: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Versions that the node's packages are to have (NodePackages installs them): another one makes the node look at its schema and its services again."""
    adopt: pulumi.Input[bool] = False
    """Whether files that somebody else wrote may be taken over; destroy puts them back. It acts once an `up` has stored it."""
    drain: pulumi.Input[bool] = False
    """Whether destroy waits until the last instance has left the node, in place of refusing. It acts once an `up` has stored it."""
    on_unreachable: pulumi.Input[str] = REFUSE
    """What destroy does about a machine that cannot be connected to: `refuse`, or `leave` it as it is. It acts once an `up` has stored it."""
    scheduling: str = LEFT
    """Whether nova schedules new instances on it: `enabled`, `disabled`, or `left` to operators, whose word is then a remark and no drift."""
    wait: bool = True
    """Whether it is done only when nova-compute has reported to nova. A ServiceCheck can wait for many nodes at once instead (`awaits`).

    With `scheduling` it always waits: only a service that has reported can be enabled or disabled."""
    release: str = "juno"
    """The release of OpenStack, which says what the files, the services and the user are called."""


class ComputeNodeLifecycle(NodeRole):
    """The compute node's state on its machine, and its record in nova."""

    kept_in_state = NodeRole.kept_in_state | {"drain"}
    optional = frozenset({"scheduling"})
    only_found = frozenset({BEING_REMOVED})
    looked_at: tuple[str, ...] = (*NodeRole.looked_at, "scheduling")

    def problems(self, wanted: State) -> list[Problem]:
        """Those of every node, and another word for `scheduling` than there are."""
        problems = super().problems(wanted)
        if "scheduling" in wanted and wanted["scheduling"] not in (ENABLED, DISABLED):
            problems.append(
                Problem("scheduling", f"is {wanted['scheduling']!r}; it can be {ENABLED}, {DISABLED} or {LEFT}")
            )
        return problems

    def remove(self, known: State) -> None:
        """Refuses while instances are on it, or waits until they have left; else disables, stops, deletes the record, puts the files back.

        Nova itself does not check: it deletes the record of a host with instances on it and leaves their processes running.
        A node on which nova-compute ran before us keeps its record, and its instances.
        """
        if BINARY in (known.get("worked_before") or []):
            self.access.keep(
                known["node"], "its record in nova and its instances stay: nova-compute ran there before us"
            )
            super().remove(known)
            return
        host, compute = known["node"], self.access.compute
        records = [each for each in compute.services(host) if (each.host, each.binary) == (host, BINARY)]
        # Disabled before the instances are counted: none is scheduled in between.
        to_disable = [each for each in records if each.status == "enabled"]
        if to_disable:
            compute.disable(host, BINARY, REASON)
        servers = self._left_after_draining(host) if known.get("drain") else compute.servers_on(host)
        if servers:
            # Also when it was a run that died that has disabled it.
            if to_disable or any(_left_by_a_removal(each) for each in records):
                compute.enable(host, BINARY)
            raise Refused(
                f"{host} still has {_counted(servers)}. Delete or migrate them (nova delete, nova migrate), then run this again; "
                f"or set `drain: true` on {host} and run `pulumi up`: then `pulumi destroy` waits until they have left."
            )
        try:
            super().remove(known)
        except NoConnection:
            # Nothing was done on the machine: it goes on as it is.
            if to_disable:
                compute.enable(host, BINARY)
            raise
        for record in records:
            compute.delete_service(record.id)

    def _recorded(self, known: State, records: Mapping[str, ServiceReport]) -> tuple[dict[str, Any], list[str]]:
        observed, left = super()._recorded(known, records)
        if BINARY not in records:
            return observed, [] if "scheduling" in known else left
        cut_off = _left_by_a_removal(records[BINARY])
        if cut_off:
            # Our own word, and no operator's.
            observed[BEING_REMOVED] = True
        if "scheduling" in known:
            # What the stack decides is drift where it differs.
            observed["scheduling"] = records[BINARY].status
        return observed, [] if cut_off or "scheduling" in known else left

    def _applied(self, wanted: State, *arguments: Any, known: State, wait: bool, **more: Any) -> dict[str, Any]:
        scheduled = "scheduling" in wanted
        outputs = super()._applied(wanted, *arguments, known=known, wait=wait or scheduled, **more)
        if scheduled:
            schedule(self.access.compute, wanted["node"], wanted["scheduling"])
        elif wanted["wait"] or known.get(BEING_REMOVED):
            enable_again(self.access.compute, [wanted["node"]], self.access.compute.services(wanted["node"]))
        return outputs

    def _left_after_draining(self, host: str) -> list[Server]:
        compute = self.access.compute
        if not self.access.waits(
            lambda: f"until it has no instances left; now it has {_counted(compute.servers_on(host))}"
        ):
            return []
        self._wait_until_empty(host)
        return compute.servers_on(host)

    def _wait_until_empty(self, host: str) -> None:
        compute, show = self.access.compute, progress(host)
        left: list[Server] = []

        def empty() -> bool:
            nonlocal left
            try:
                now = compute.servers_on(host)
            except ComputeError as error:
                # Migrations take long; an API that is restarted meanwhile is asked again.
                show(f"draining: {error}")
                return False
            if {each.id for each in now} != {each.id for each in left}:
                show(f"draining: no new instances; still here: {_counted(now)}" if now else "draining: empty")
            left = now
            return not now

        wait_until(
            empty,
            doing=f"{host}: draining",
            seconds=self.access.deadline("drain"),
            every=DRAIN_EVERY_SECONDS,
            seen=lambda: _counted(left),
            advice=(
                f"It takes no new instances (nova service-enable {host} {BINARY} changes that). Migrate or delete what is left, "
                "then run this again; deadlines.drain says how long it waits."
            ),
        )


def schedule(compute: Compute, host: str, wanted: str) -> None:
    """Makes nova-compute of a host `enabled` or `disabled` in nova, where it is not."""
    for each in compute.services(host):
        # A removal of ours that was not finished is taken back with its reason; else enable_again would enable the node.
        if each.binary == BINARY and (each.status != wanted or _left_by_a_removal(each)):
            progress(host)(f"making {BINARY} {wanted} in nova")
            if wanted == ENABLED:
                compute.enable(host, BINARY)
            else:
                compute.disable(host, BINARY, DISABLED_BY_THE_STACK)


def enable_again(compute: Compute, hosts: Collection[str], reports: Iterable[ServiceReport]) -> None:
    """Enables nova-compute where a removal of ours that was not finished has disabled it; an operator's own reason stays."""
    for each in reports:
        if each.host in hosts and each.binary == BINARY and _left_by_a_removal(each):
            compute.enable(each.host, BINARY)


def _left_by_a_removal(record: ServiceReport) -> bool:
    return record.disabled_reason == REASON


def _counted(servers: Sequence[Server]) -> str:
    names = ", ".join(f"{server.name} ({server.id}, {server.status})" for server in servers)
    return f"{len(servers)} instance{'' if len(servers) == 1 else 's'}{': ' if names else ''}{names}"


class ComputeNode(Resource, module="nova", name="ComputeNode"):
    """nova-compute on a machine that has its packages.

    ```python
    nova_infra.ComputeNode(
        "compute1",
        nova_infra.ComputeNodeArgs(
            node="compute1",
            connection={"host": "10.0.0.31", "user": "ubuntu"},
            options={
                "/etc/nova/nova.conf": {"DEFAULT": {"my_ip": "10.0.0.31", "rabbit_host": "controller"}},
                "/etc/nova/nova-compute.conf": {"libvirt": {"virt_type": "auto"}},
            },
        ),
        opts=pulumi.ResourceOptions(provider=access, depends_on=[packages, controller]),
    )
    ```
    """

    started_at: pulumi.Output[str]
    """When nova-compute was last started by us, in UTC, by the clock of the machine where Pulumi runs."""
    virt_type: pulumi.Output[str]
    """What the machine can do: kvm, or qemu without hardware acceleration."""

    def __init__(self, name: str, args: ComputeNodeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        sees_keystone("ComputeNode", name, opts)
        juno = release(args.release)
        inputs = role_inputs(
            name,
            args.node,
            args.connection,
            args.options,
            release=juno,
            reads=juno.compute.reads,
            schema=UNMANAGED,
            packages=args.packages,
            adopt=args.adopt,
            on_unreachable=args.on_unreachable,
            wait=args.wait,
        )
        inputs |= {"drain": args.drain, "virt_type": None}
        if args.scheduling != LEFT:
            inputs["scheduling"] = args.scheduling
        super().__init__(ComputeNodeLifecycle(), name, inputs, opts, connection=args.connection)
