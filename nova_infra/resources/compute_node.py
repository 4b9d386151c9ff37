"""ComputeNode: nova.conf, nova-compute.conf and nova-compute on a machine, and its record in nova."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi

from ..errors import InvalidSettings, Problem, Refused
from ..node import UNMANAGED
from ..releases import release
from .lifecycle import Resource, State
from .node_role import NodeRole, Options, role_inputs

BINARY = "nova-compute"


@dataclass(frozen=True)
class ComputeNodeArgs:
    """A compute node: its files option by option (`{path: {section: {option: value}}}`).

    The value `auto` of `[libvirt] virt_type` stands for what the machine can do: kvm or qemu.
    """

    node: str
    connection: Any
    options: Options
    release: str = "juno"


class ComputeNodeLifecycle(NodeRole):
    """The compute node's state on its machine, and its record in nova."""

    def remove(self, known: State) -> None:
        """Refuses while instances are on it; else disables, stops, deletes the record, puts the files back.

        Nova itself does not check: it deletes the record of a host with instances on it and leaves their processes running.
        """
        host, compute = known["node"], self.access.compute
        records = [each for each in compute.services() if (each.host, each.binary) == (host, BINARY)]
        # Disabled before the instances are counted: none is scheduled in between.
        disabled_by_us = [each for each in records if each.status == "enabled"]
        if disabled_by_us:
            compute.disable(host, BINARY, "being removed by Pulumi")
        servers = compute.servers_on(host)
        if servers:
            if disabled_by_us:
                compute.enable(host, BINARY)
            names = ", ".join(f"{server.name} ({server.id}, {server.status})" for server in servers)
            raise Refused(
                f"{host} still has {len(servers)} instance{'s' if len(servers) > 1 else ''}: {names}. Delete or migrate them "
                "(nova delete, nova migrate), then run this again."
            )
        super().remove(known)
        for record in records:
            compute.delete_service(record.id)


class ComputeNode(Resource, module="nova", name="ComputeNode"):
    """nova-compute on a machine that has its packages.

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
    """

    virt_type: pulumi.Output[str]
    """What the machine can do: kvm, or qemu without hardware acceleration."""

    def __init__(self, name: str, args: ComputeNodeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        juno = release(args.release)
        missing = [path for path in juno.compute.files if path not in args.options]
        if missing:
            raise InvalidSettings(
                [Problem(f"{name}.options", f"has no {path}, which nova-compute reads") for path in missing]
            )
        inputs = role_inputs(
            args.node, args.connection, args.options, release=juno, reads=juno.compute.reads, schema=UNMANAGED
        )
        super().__init__(ComputeNodeLifecycle(), name, {**inputs, "virt_type": None}, opts)
