"""OpenStack Nova (Juno, Ubuntu 14.04) on machines reachable by SSH, as Pulumi resources.

All of it: `NovaDeployment`, from the `Settings` that `load_settings` reads.

One by one, each with its arguments: `Database` (`DatabaseArgs`), `KeystoneUser` (`KeystoneUserArgs`), `Service` (`ServiceArgs`),
`Endpoint` (`EndpointArgs`), `NodePackages` (`NodePackagesArgs`), `ControllerNode` (`ControllerNodeArgs`), `ComputeNode`
(`ComputeNodeArgs`), `ServiceCheck` (`ServiceCheckArgs`, `Awaited`).

How machines and servers are reached: `Provider`, with `SSHArgs`, `JumpHostArgs`, `ControllerArgs`, `IdentityArgs`,
`DatabaseServerArgs`, `DeadlineArgs`.

What is raised on purpose: `NovaInfraError`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .deployment import NovaDeployment
    from .errors import NovaInfraError
    from .provider import (
        ControllerArgs,
        DatabaseServerArgs,
        DeadlineArgs,
        IdentityArgs,
        JumpHostArgs,
        Provider,
        SSHArgs,
    )
    from .resources.compute_node import ComputeNode, ComputeNodeArgs
    from .resources.controller_node import ControllerNode, ControllerNodeArgs
    from .resources.database import Database, DatabaseArgs
    from .resources.endpoint import Endpoint, EndpointArgs
    from .resources.keystone_user import KeystoneUser, KeystoneUserArgs
    from .resources.node_packages import NodePackages, NodePackagesArgs
    from .resources.service import Service, ServiceArgs
    from .resources.service_check import Awaited, ServiceCheck, ServiceCheckArgs
    from .settings import Settings
    from .stack import load as load_settings

__all__ = [
    "Awaited",
    "ComputeNode",
    "ComputeNodeArgs",
    "ControllerArgs",
    "ControllerNode",
    "ControllerNodeArgs",
    "Database",
    "DatabaseArgs",
    "DatabaseServerArgs",
    "DeadlineArgs",
    "Endpoint",
    "EndpointArgs",
    "IdentityArgs",
    "JumpHostArgs",
    "KeystoneUser",
    "KeystoneUserArgs",
    "NodePackages",
    "NodePackagesArgs",
    "NovaDeployment",
    "NovaInfraError",
    "Provider",
    "SSHArgs",
    "Service",
    "ServiceArgs",
    "ServiceCheck",
    "ServiceCheckArgs",
    "Settings",
    "load_settings",
]

# Where each name is. A provider process needs one kind of resource, and neither the settings nor the deployment: they would make it
# start half as fast again, and there are several. A module is imported when a name of it is first used (PEP 562).
_PLACES = {
    "Awaited": "resources.service_check",
    "ComputeNode": "resources.compute_node",
    "ComputeNodeArgs": "resources.compute_node",
    "ControllerArgs": "provider",
    "ControllerNode": "resources.controller_node",
    "ControllerNodeArgs": "resources.controller_node",
    "Database": "resources.database",
    "DatabaseArgs": "resources.database",
    "DatabaseServerArgs": "provider",
    "DeadlineArgs": "provider",
    "Endpoint": "resources.endpoint",
    "EndpointArgs": "resources.endpoint",
    "IdentityArgs": "provider",
    "JumpHostArgs": "provider",
    "KeystoneUser": "resources.keystone_user",
    "KeystoneUserArgs": "resources.keystone_user",
    "NodePackages": "resources.node_packages",
    "NodePackagesArgs": "resources.node_packages",
    "NovaDeployment": "deployment",
    "NovaInfraError": "errors",
    "Provider": "provider",
    "SSHArgs": "provider",
    "Service": "resources.service",
    "ServiceArgs": "resources.service",
    "ServiceCheck": "resources.service_check",
    "ServiceCheckArgs": "resources.service_check",
    "Settings": "settings",
    "load_settings": "stack:load",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, own_name = _PLACES[name].partition(":")
    return getattr(import_module(f".{module}", __name__), own_name or name)


def __dir__() -> list[str]:
    return sorted(__all__)
