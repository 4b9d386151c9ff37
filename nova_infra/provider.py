"""How the machines and servers are reached, once for many resources: an explicit Pulumi provider.

Credentials are inputs of this provider, not of each resource, so that a new key or password is an update of one record and
touches nothing else. A provider is a process with four threads; `concurrency` above four takes several ("shards").
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import pulumi

from .access import DATABASE_SOCKET, DEADLINES, PREFIX

THREADS_OF_A_PROVIDER = 4
Text = pulumi.Input[str]
Seconds = pulumi.Input[float]


@dataclass(frozen=True)
class SSHArgs:
    """What proves who we are on the machines, and whom we trust.

    Files are read where Pulumi runs, relative to the project's folder. With neither a key nor a password, the SSH agent and the
    user's default keys are tried. Host keys are verified: against a node's own `host_key`, else against `known_hosts_file` (default
    `~/.ssh/known_hosts`).
    """

    private_key: Text = ""
    private_key_file: Text = ""
    private_key_password: Text = ""
    password: Text = ""
    sudo_password: Text = ""
    known_hosts_file: Text = ""
    verify_host_keys: pulumi.Input[bool] = True


@dataclass(frozen=True)
class ControllerArgs:
    """The machine through which Keystone, MariaDB and the compute API are reached. Without a host: directly."""

    name: Text = "controller"
    host: Text = ""
    port: pulumi.Input[int] = 22
    user: Text = "root"
    host_key: Text = ""


@dataclass(frozen=True)
class IdentityArgs:
    """Keystone's admin API (v2.0), an administrator, and where the catalog has the compute API."""

    url: Text = ""
    username: Text = "admin"
    password: Text = ""
    tenant: Text = "admin"
    region: Text = "regionOne"
    compute_name: Text = "nova"
    compute_type: Text = "compute"


@dataclass(frozen=True)
class DatabaseServerArgs:
    """MariaDB and an account that may create schemas and users.

    `socket` is the UNIX socket on the controller; with `host` the server is reached by TCP from the controller instead.
    """

    user: Text = "root"
    password: Text = ""
    socket: Text = DATABASE_SOCKET
    host: Text = ""
    port: pulumi.Input[int] = 3306


@dataclass(frozen=True)
class DeadlineArgs:
    """How long a step may take, in seconds. A step that is not done by then fails and says what was waited for.

    `packages`: apt on a node; `configuration`: files, db sync and restarts of a node; `report`: until a restarted service has
    reported to nova; `answer`: until a restarted service answers on its port; `check`: until the last check finds all as it should
    be; `drain`: until a compute node has no instances left; `dump`: the dump of a database.
    """

    packages: Seconds = DEADLINES["packages"]
    configuration: Seconds = DEADLINES["configuration"]
    report: Seconds = DEADLINES["report"]
    answer: Seconds = DEADLINES["answer"]
    check: Seconds = DEADLINES["check"]
    drain: Seconds = DEADLINES["drain"]
    dump: Seconds = DEADLINES["dump"]


_SECRETS = frozenset({"private_key", "private_key_password", "password", "sudo_password"})


@dataclass(frozen=True)
class _Access:
    ssh: SSHArgs = field(default_factory=SSHArgs)
    controller: ControllerArgs = field(default_factory=ControllerArgs)
    identity: IdentityArgs = field(default_factory=IdentityArgs)
    database: DatabaseServerArgs = field(default_factory=DatabaseServerArgs)
    deadlines: DeadlineArgs = field(default_factory=DeadlineArgs)

    def inputs(self) -> dict[str, Any]:
        """Flat properties `access:ssh_password` ...: a provider's configuration is text; secrets are marked."""
        flat: dict[str, Any] = {}
        for group in fields(self):
            part = getattr(self, group.name)
            for each in fields(part):
                text = pulumi.Output.from_input(getattr(part, each.name)).apply(str)
                flat[f"{PREFIX}{group.name}_{each.name}"] = (
                    pulumi.Output.secret(text) if each.name in _SECRETS else text
                )
        return flat


class Provider(pulumi.ProviderResource):
    """Access to machines and servers, shared by the resources that name it as their provider.

        access = nova_infra.Provider(
            "access",
            ssh=nova_infra.SSHArgs(private_key_file="~/.ssh/id_ed25519"),
            controller=nova_infra.ControllerArgs(host="10.0.0.11", user="ubuntu"),
            identity=nova_infra.IdentityArgs(url="http://controller:35357/v2.0", password=config.require_secret("adminPassword")),
        )

    Refresh and destroy use what the state holds: after a change of a credential run a plain `pulumi up` first.
    """

    def __init__(
        self,
        name: str,
        *,
        ssh: SSHArgs | None = None,
        controller: ControllerArgs | None = None,
        identity: IdentityArgs | None = None,
        database: DatabaseServerArgs | None = None,
        deadlines: DeadlineArgs | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        access = _Access(
            ssh or SSHArgs(),
            controller or ControllerArgs(),
            identity or IdentityArgs(),
            database or DatabaseServerArgs(),
            deadlines or DeadlineArgs(),
        )
        super().__init__("pulumi-python", name, access.inputs(), opts)


def shard_of(node: str, concurrency: int) -> int:
    """The number of the provider, from 0, that a node's operations run in: stable for a name and a concurrency."""
    shards = math.ceil(concurrency / THREADS_OF_A_PROVIDER)
    digest = hashlib.sha256(node.encode()).digest()
    return int.from_bytes(digest[:8], "big") % shards


def shards(concurrency: int) -> range:
    """The numbers of all providers for a concurrency."""
    return range(math.ceil(concurrency / THREADS_OF_A_PROVIDER))


def connection_state(connection: Mapping[str, Any] | Any) -> dict[str, Any]:
    """`{host, port, user, host_key}` of a `pulumi_command.remote.ConnectionArgs` or a mapping: the part that is no credential."""

    def part(name: str, default: Any) -> Any:
        value = connection.get(name) if isinstance(connection, Mapping) else getattr(connection, name, None)
        return default if value is None else value

    port = part("port", 22)
    return {
        "host": part("host", ""),
        "port": int(port) if isinstance(port, (int, float)) else port,
        "user": part("user", "root"),
        "host_key": part("host_key", ""),
    }
