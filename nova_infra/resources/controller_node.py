"""ControllerNode: nova.conf and the control services on a machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from ..errors import InvalidSettings, Problem
from ..node import CURRENT, UNMANAGED
from ..provider import connection_state
from ..releases import release
from ..releases.release import NOVA_CONF, Port
from .lifecycle import Resource
from .node_role import NodeRole, file_states, service_states

EVERYWHERE = "0.0.0.0"  # noqa: S104 - the default of nova's services
Options = Mapping[str, Mapping[str, Mapping[str, pulumi.Input[str | list[str]]]]]


@dataclass(frozen=True)
class ControllerNodeArgs:
    """A controller: its files option by option (`{path: {section: {option: value}}}`) and the services it runs.

    `services`: default all six of the guide. `sync_database`: whether this node keeps the schema up to date (one does).
    """

    node: str
    connection: Any
    options: Options
    services: Sequence[str] = ()
    sync_database: bool = True
    release: str = "juno"


class ControllerNodeLifecycle(NodeRole):
    """The controller's state on its machine."""


def _answers_at(port: Port, options: Options) -> str:
    """`host:port` as the controller itself reaches it."""
    default = options.get(NOVA_CONF, {}).get("DEFAULT", {})
    host = str(default.get(port.host_option, EVERYWHERE))
    return f"{'127.0.0.1' if host == EVERYWHERE else host}:{default.get(port.number_option, port.number)}"


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

    schema_version: pulumi.Output[int]
    """The version of nova's database schema."""

    def __init__(self, name: str, args: ControllerNodeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        juno = release(args.release)
        services = tuple(args.services) or tuple(juno.controller.services)
        unknown = [service for service in services if service not in juno.controller.reads]
        if unknown:
            raise InvalidSettings(
                [Problem(f"{name}.services", f"{each!r} is no service of a controller") for each in unknown]
            )
        inputs = {
            "node": args.node,
            "connection": connection_state(args.connection),
            "options": dict(args.options),
            "files": file_states(list(args.options), juno.ownership),
            "services": service_states(services, args.options, juno.controller.reads),
            "absent": list(juno.absent),
            "schema": CURRENT if args.sync_database else UNMANAGED,
            "reporting": sorted(juno.listed_services & set(services)),
            "answers": {name: _answers_at(port, args.options) for name, port in juno.ports.items() if name in services},
            "schema_version": None,
        }
        super().__init__(ControllerNodeLifecycle(), name, inputs, opts)
