"""OpenStack Nova (Juno, Ubuntu 14.04) on machines reachable by SSH, as Pulumi resources.

All of it: `NovaDeployment`, from the `Settings` that `load_settings` reads.

One by one, each with its arguments: `Database` (`DatabaseArgs`), `KeystoneUser` (`KeystoneUserArgs`), `Service` (`ServiceArgs`),
`Endpoint` (`EndpointArgs`), `NodePackages` (`NodePackagesArgs`), `ControllerNode` (`ControllerNodeArgs`), `ComputeNode`
(`ComputeNodeArgs`), `ServiceCheck` (`ServiceCheckArgs`, `Awaited`).

How machines and servers are reached: `Provider`, with `SSHArgs`, `JumpHostArgs`, `ControllerArgs`, `IdentityArgs`,
`DatabaseServerArgs`, `DeadlineArgs`.

What is raised on purpose: `NovaInfraError`.
"""

from .deployment import NovaDeployment
from .errors import NovaInfraError
from .provider import ControllerArgs, DatabaseServerArgs, DeadlineArgs, IdentityArgs, JumpHostArgs, Provider, SSHArgs
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
