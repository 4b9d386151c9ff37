"""The types that stand in a state, each with its lifecycle: for what asks resources without the engine."""

from __future__ import annotations

from ..provider import PACKAGE
from .compute_node import ComputeNode, ComputeNodeLifecycle
from .controller_node import ControllerNode, ControllerNodeLifecycle
from .database import Database, DatabaseLifecycle
from .endpoint import Endpoint, EndpointLifecycle
from .keystone_user import KeystoneUser, KeystoneUserLifecycle
from .lifecycle import Lifecycle, Resource
from .node_packages import NodePackages, NodePackagesLifecycle
from .service import Service, ServiceLifecycle
from .service_check import ServiceCheck, ServiceCheckLifecycle

_KINDS: tuple[tuple[type[Resource], type[Lifecycle]], ...] = (
    (ComputeNode, ComputeNodeLifecycle),
    (ControllerNode, ControllerNodeLifecycle),
    (Database, DatabaseLifecycle),
    (Endpoint, EndpointLifecycle),
    (KeystoneUser, KeystoneUserLifecycle),
    (NodePackages, NodePackagesLifecycle),
    (Service, ServiceLifecycle),
    (ServiceCheck, ServiceCheckLifecycle),
)

LIFECYCLES: dict[str, type[Lifecycle]] = {
    f"{PACKAGE}:{kind._resource_type_name}": lifecycle for kind, lifecycle in _KINDS
}
"""`pulumi-python:dynamic/nova:Database` ... -> what the engine asks of it."""
