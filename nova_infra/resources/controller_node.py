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
    """A controller: its files option by option, and the services it runs."""

    node: str
    """The machine's host name, and the host that nova registers. The node is known by it; it never changes."""
    connection: AnyConnection
    """How SSH reaches the node: a `pulumi_command.remote.ConnectionArgs`, or a mapping with the same keys."""
    options: Options
    """Its files: `{path: {section: {option: value}}}`. A list is an option that is repeated.

    A path that ends in `.sh` is a file of environment variables, with the one section `export`."""
    services: Sequence[str] = ()
    """The services that run on it; empty: all six of the guide."""
    sync_database: bool = True
    """Whether this node keeps the schema up to date. Of many controllers one does."""
    packages: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Versions that the node's packages are to have (NodePackages installs them): another one makes the node look at its schema and its services again."""
    adopt: pulumi.Input[bool] = False
    """Whether files that somebody else wrote may be taken over; destroy puts them back. It acts once an `up` has stored it."""
    on_unreachable: pulumi.Input[str] = REFUSE
    """What destroy does about a machine that cannot be connected to: `refuse`, or `leave` it as it is. It acts once an `up` has stored it."""
    wait: bool = True
    """Whether it is made only when its services work. A ServiceCheck can wait for many nodes at once instead (`awaits`).

    A change of a controller always waits, so that other nodes get it only when it has proven itself here."""
    release: str = "juno"
    """The release of OpenStack, which says what the files, the services and the user are called."""


class ControllerNodeLifecycle(NodeRole):
    """The controller's state on its machine."""

    # Other nodes get a change when it has proven itself here.
    waits_for_changes = True


class ControllerNode(Resource, module="nova", name="ControllerNode"):
    """The control services of nova on a machine that has their packages.

    ```python
    nova_infra.ControllerNode(
        "controller",
        nova_infra.ControllerNodeArgs(
            node="controller",
            connection={"host": "10.0.0.11", "user": "ubuntu"},
            options={"/etc/nova/nova.conf": {"DEFAULT": {"my_ip": "10.0.0.11", "rabbit_host": "controller"}}},
        ),
        opts=pulumi.ResourceOptions(provider=access, depends_on=[packages, database, endpoint]),
    )
    ```
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
