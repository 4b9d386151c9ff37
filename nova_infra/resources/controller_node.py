"""ControllerNode: nova.conf and the control services on a machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

from ..errors import InvalidSettings, Problem
from ..node import CURRENT, UNMANAGED
from ..provider import AnyConnection, sees_keystone
from ..releases import release
from .lifecycle import Resource
from .node_role import NodeRole, Options, role_inputs
from .unreachable import REFUSE


@dataclass(frozen=True)
class ControllerNodeArgs:
    """A controller: its files option by option (`{path: {section: {option: value}}}`) and the services it runs.

    `services`: default all six of the guide. `sync_database`: whether this node keeps the schema up to date (one does).
    A path that ends in `.sh` is a file of environment variables, with the one section `export`.
    `packages`: versions that the node's packages are to have (NodePackages installs them): another one makes the node look at its schema
    and its services again.
    `adopt`: whether files that somebody else wrote may be taken over; destroy puts them back. `on_unreachable`: `refuse` (the default) or
    `leave`: what destroy does about a machine that cannot be connected to. Both act once an `up` has stored them.
    `wait`: whether it is made only when its services work. A ServiceCheck can wait for many nodes at once instead (`awaits`); a change
    of a controller always waits, so that other nodes get it only when it has proven itself here.
    """

    node: str
    connection: AnyConnection
    options: Options
    services: Sequence[str] = ()
    sync_database: bool = True
    packages: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    adopt: pulumi.Input[bool] = False
    on_unreachable: pulumi.Input[str] = REFUSE
    wait: bool = True
    release: str = "juno"


class ControllerNodeLifecycle(NodeRole):
    """The controller's state on its machine."""

    # Other nodes get a change when it has proven itself here.
    waits_for_changes = True


class ControllerNode(Resource, module="nova", name="ControllerNode"):
    """The control services of nova on a machine that has their packages.

    nova_infra.ControllerNode(
        "controller",
        nova_infra.ControllerNodeArgs(
            node="controller",
            connection={"host": "10.0.0.11", "user": "ubuntu"},
            options={"/etc/nova/nova.conf": {"DEFAULT": {"my_ip": "10.0.0.11", "rabbit_host": "controller"}}},
        ),
        opts=pulumi.ResourceOptions(provider=access, depends_on=[packages, database, endpoint]),
    )
    """

    started_at: pulumi.Output[str]
    """When the youngest of its services was last started by us, in UTC, by the clock of the machine where Pulumi runs."""
    schema_version: pulumi.Output[int]
    """The version of nova's database schema."""

    def __init__(self, name: str, args: ControllerNodeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        sees_keystone("ControllerNode", name, opts)
        juno = release(args.release)
        services = tuple(args.services) or tuple(juno.controller.services)
        unknown = [service for service in services if service not in juno.controller.reads]
        if unknown:
            raise InvalidSettings(
                [Problem(f"{name}.services", f"{each!r} is no service of a controller") for each in unknown]
            )
        reads = {service: juno.controller.reads[service] for service in services}
        schema = CURRENT if args.sync_database else UNMANAGED
        inputs = role_inputs(
            name,
            args.node,
            args.connection,
            args.options,
            release=juno,
            reads=reads,
            schema=schema,
            packages=args.packages,
            adopt=args.adopt,
            on_unreachable=args.on_unreachable,
            wait=args.wait,
        )
        super().__init__(
            ControllerNodeLifecycle(), name, {**inputs, "schema_version": None}, opts, connection=args.connection
        )
