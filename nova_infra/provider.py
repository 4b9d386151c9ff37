"""How the machines and servers are reached, once for many resources: an explicit Pulumi provider.

Credentials are inputs of this provider, not of each resource, so that a new key or password is an update of one record and
touches nothing else. A provider is a process with four threads; `concurrency` above four takes several ("shards").
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import chain, count
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakKeyDictionary

import pulumi
from pulumi.runtime.settings import get_monitor

from .defaults import DATABASE_SOCKET, DEADLINES, MARIADB_PORT, PREFIX, SSH_PORT
from .errors import InvalidSettings, Problem

if TYPE_CHECKING:
    from pulumi_command.remote import ConnectionArgs

PACKAGE = "pulumi-python"
THREADS_OF_A_PROVIDER = 4
# Each provider connects to the first controller, and sshd lets in ten at once that have not logged in yet (MaxStartups).
MOST_PROVIDERS = 10
MOST_AT_ONCE = MOST_PROVIDERS * THREADS_OF_A_PROVIDER
Text = pulumi.Input[str]
Seconds = pulumi.Input[float]

AnyConnection: TypeAlias = "ConnectionArgs | Mapping[str, Any]"
"""How a machine is reached: a `pulumi_command.remote.ConnectionArgs`, or a mapping with the same keys. Each value is an Input."""

# What we take of a connection: where the machine is, and what proves who we are. The rest says how often and how long
# pulumi-command tries.
_PLACE = ("host", "port", "user", "host_key")
_CREDENTIALS = ("private_key", "private_key_password", "password", "agent_socket_path")
_TRIES = ("dial_error_limit", "per_dial_timeout")


@dataclass(frozen=True)
class JumpHostArgs:
    """A machine through which the others are reached: SSH goes to them inside a connection to it.

    It forwards, and runs nothing: it needs TCP forwarding and no shell. Its host key is verified, and so is that of each machine behind it.
    Without a key, password or agent of its own, the login of the machines is used. Files are read where Pulumi runs.

    ```python
    nova_infra.SSHArgs(
        private_key_file="~/.ssh/id_ed25519", jump_host=nova_infra.JumpHostArgs(host="jump.example.org", user="ops")
    )
    ```
    """

    host: Text
    """Its host name or address, as it is reached from where Pulumi runs."""
    port: pulumi.Input[int] = 22
    """The port of SSH."""
    user: Text = "root"
    """The login."""
    host_key: Text = ""
    """Its SSH host key, as `ssh-keyscan` prints it without the host; empty: the known hosts file has it."""
    private_key: Text = ""
    """The private key itself."""
    private_key_file: Text = ""
    """The file of the private key."""
    private_key_password: Text = ""
    """The passphrase of the private key."""
    password: Text = ""
    """The login's password."""
    agent_socket_path: Text = ""
    """The socket of an SSH agent."""


@dataclass(frozen=True)
class SSHArgs:
    """What proves who we are on the machines, and whom we trust.

    Files are read where Pulumi runs, relative to the project's folder. With neither a key nor a password, the SSH agent and the user's
    default keys are tried. Host keys are verified: against a node's own `host_key`, else against the known hosts file.
    """

    private_key: Text = ""
    """The private key itself."""
    private_key_file: Text = ""
    """The file of the private key."""
    private_key_password: Text = ""
    """The passphrase of the private key."""
    password: Text = ""
    """The login's password."""
    sudo_password: Text = ""
    """What sudo gets, where it asks."""
    agent_socket_path: Text = ""
    """The socket of the SSH agent; empty: `$SSH_AUTH_SOCK`."""
    known_hosts_file: Text = ""
    """The file of known host keys; empty: `~/.ssh/known_hosts`."""
    verify_host_keys: pulumi.Input[bool] = True
    """Whether a machine has to prove that it is the one that is known. Without it whoever answers gets the passwords."""
    jump_host: JumpHostArgs | None = None
    """A machine through which all others are reached, but for itself, should it be one of them."""

    @classmethod
    def of(cls, connection: AnyConnection) -> SSHArgs:
        """The credentials of a `pulumi_command.remote.ConnectionArgs`, for a provider that several resources share.

        Its host, port, user and host key belong to each resource; its proxy is the jump host of all. A password is also what sudo gets, should it ask. Without a
        `host_key`, pulumi-command trusts any machine; we look into `~/.ssh/known_hosts`.
        Raises InvalidSettings for a connection that cannot be taken as it is.
        """
        _refuse_unusable(connection, "connection")
        credentials = {name: _part(connection, name, "") for name in _CREDENTIALS}
        return cls(**credentials, sudo_password=credentials["password"], jump_host=_jump_host(connection))


@dataclass(frozen=True)
class ControllerArgs:
    """The machine through which Keystone, MariaDB and the compute API are reached. Without a host: directly."""

    name: Text = "controller"
    """Its host name, for messages."""
    host: Text = ""
    """Where SSH reaches it; empty: the servers are reached directly."""
    port: pulumi.Input[int] = 22
    """The port of SSH."""
    user: Text = "root"
    """The login."""
    host_key: Text = ""
    """Its SSH host key, as `ssh-keyscan` prints it without the host; empty: the known hosts file has it."""


@dataclass(frozen=True)
class IdentityArgs:
    """Keystone's admin API (v2.0), an administrator, and where the catalog has the compute API."""

    url: Text = ""
    """The URL of the admin API, as the controller reaches it: `http://controller:35357/v2.0`."""
    username: Text = "admin"
    """The administrator."""
    password: Text = ""
    """The administrator's password."""
    tenant: Text = "admin"
    """The administrator's tenant."""
    region: Text = "regionOne"
    """The region of the compute API in the catalog."""
    compute_name: Text = "nova"
    """The name of the compute API in the catalog."""
    compute_type: Text = "compute"
    """The type of the compute API in the catalog."""


@dataclass(frozen=True)
class DatabaseServerArgs:
    """MariaDB and an account that may create schemas and users."""

    user: Text = "root"
    """The account."""
    password: Text = ""
    """The account's password."""
    socket: Text = DATABASE_SOCKET
    """The server's UNIX socket on the controller."""
    host: Text = ""
    """Where the server is reached by TCP from the controller; empty: by its socket."""
    port: pulumi.Input[int] = MARIADB_PORT
    """The server's port, where a host is given."""


@dataclass(frozen=True)
class DeadlineArgs:
    """How long a step may take, in seconds. A step that is not done by then fails and says what was waited for."""

    packages: Seconds = DEADLINES["packages"]
    """apt on a node."""
    configuration: Seconds = DEADLINES["configuration"]
    """Files, db sync and restarts of a node."""
    report: Seconds = DEADLINES["report"]
    """Until a restarted service has reported to nova."""
    answer: Seconds = DEADLINES["answer"]
    """Until a restarted service answers on its port."""
    check: Seconds = DEADLINES["check"]
    """Until the last check finds all as it should be."""
    drain: Seconds = DEADLINES["drain"]
    """Until a compute node has no instances left."""
    dump: Seconds = DEADLINES["dump"]
    """The dump of a database."""


SECRET_PARTS = frozenset({"private_key", "private_key_password", "password", "sudo_password"})


@dataclass(frozen=True)
class AccessArgs:
    """All that a Provider is made from."""

    ssh: SSHArgs = field(default_factory=SSHArgs)
    controller: ControllerArgs = field(default_factory=ControllerArgs)
    identity: IdentityArgs = field(default_factory=IdentityArgs)
    database: DatabaseServerArgs = field(default_factory=DatabaseServerArgs)
    deadlines: DeadlineArgs = field(default_factory=DeadlineArgs)

    def inputs(self) -> dict[str, Any]:
        """Flat properties `access:ssh_password` ...: a provider's configuration is text; secrets are marked."""
        texts = {key: pulumi.Output.from_input(value).apply(str) for key, value in self.flat().items()}
        return {
            f"{PREFIX}{key}": pulumi.Output.secret(text) if key.partition("_")[2] in SECRET_PARTS else text
            for key, text in texts.items()
        }

    def flat(self) -> dict[str, Any]:
        """`{"ssh_password": ..., "jump_host": ..., "controller_name": ...}`: the keys of nova_infra.access.KEYS."""
        groups = {group.name: getattr(self, group.name) for group in fields(self)}
        groups["jump"] = self.ssh.jump_host or JumpHostArgs(host="", user="")
        return {
            f"{group}_{each.name}": getattr(part, each.name)
            for group, part in groups.items()
            for each in fields(part)
            if each.name != "jump_host"
        }


class Provider(pulumi.ProviderResource):
    """Access to machines and servers, shared by the resources that name it as their provider.

    ```python
    access = nova_infra.Provider(
        "access",
        ssh=nova_infra.SSHArgs(private_key_file="~/.ssh/id_ed25519"),
        controller=nova_infra.ControllerArgs(host="10.0.0.11", user="ubuntu"),
        identity=nova_infra.IdentityArgs(
            url="http://controller:35357/v2.0", password=config.require_secret("adminPassword")
        ),
        database=nova_infra.DatabaseServerArgs(password=config.require_secret("databaseAdminPassword")),
        deadlines=nova_infra.DeadlineArgs(report=300),
    )
    ```

    A NodePackages can do without: it makes one from the credentials of its connection. `ssh=SSHArgs.of(connection)` takes the same
    ones.

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
        access = AccessArgs(
            ssh or SSHArgs(),
            controller or ControllerArgs(),
            identity or IdentityArgs(),
            database or DatabaseServerArgs(),
            deadlines or DeadlineArgs(),
        )
        super().__init__(PACKAGE, name, access.inputs(), opts)
        self.identity = access.identity
        self.jump_host = access.ssh.jump_host


def shards_of(nodes: Sequence[str], concurrency: int) -> dict[str, int]:
    """By node the number of the provider, from 0, that its operations run in.

    A stable hash of the name says which one, and where that one has its share already, the next: of 100 nodes and two providers one would
    have 56, and the other would wait for it. A node that is added moves few others, and a move replaces nothing.
    """
    among = len(shards(concurrency))
    room = dict.fromkeys(range(among), math.ceil(len(nodes) / among))
    placed = {}
    for node in nodes:
        number = shard_of(node, concurrency)
        while not room[number]:
            number = (number + 1) % among
        room[number] -= 1
        placed[node] = number
    return placed


def shard_of(name: str, concurrency: int) -> int:
    """The number of the provider, from 0, that goes with a name: the same in every process."""
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:8], "big") % len(shards(concurrency))


def shards(concurrency: int) -> range:
    """The numbers of all providers for a concurrency."""
    return range(math.ceil(concurrency / THREADS_OF_A_PROVIDER))


# ---------------------------------------------------------------- connections


def connection_state(connection: AnyConnection) -> dict[str, Any]:
    """`{host, port, user, host_key}` of a connection: the part that is no credential. What is plain stays plain."""
    defaults = {"host": "", "port": SSH_PORT, "user": "root", "host_key": ""}
    state = {name: _part(connection, name, defaults[name]) for name in _PLACE}
    port = state["port"]
    state["port"] = port.apply(_whole) if isinstance(port, pulumi.Output) else _whole(port)
    return state


def with_provider(name: str, connection: AnyConnection, opts: pulumi.ResourceOptions) -> pulumi.ResourceOptions:
    """The options of the resource `name`, with a provider made from its connection when nobody gave one.

    Resources with the same credentials share it. Raises InvalidSettings for a connection that cannot be taken as it is.
    """
    _refuse_unusable(connection, f"{name}.connection")
    provider = provider_in(opts)
    if provider is not None:
        _refuse_other_way(connection, f"{name}.connection", provider)
        return opts
    # Beside a provider that the options hold for another package, not in its place.
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(providers=[_provider_for(name, connection)]))


def sees_keystone(kind: str, name: str, opts: pulumi.ResourceOptions | None) -> None:
    """Raises InvalidSettings when a resource that needs Keystone has no provider, or one that does not say where it is."""
    provider = provider_in(opts)
    if provider is None or (isinstance(provider, Provider) and provider.identity.url == ""):
        reason = (
            f"is missing: {kind} {name} needs a nova_infra.Provider that says where Keystone is, because it waits for the reports of its "
            "services to nova. Make one with identity=nova_infra.IdentityArgs(...) and pass it as pulumi.ResourceOptions(provider=...)"
        )
        raise InvalidSettings([Problem(f"{name}.provider", reason)])


def provider_in(opts: pulumi.ResourceOptions | None) -> pulumi.ProviderResource | None:
    """The provider that these options, or their parent, give to a resource of ours. Pulumi looks at the same places."""
    if opts is None:
        return None
    bag = opts.providers or ()
    given: list[pulumi.ProviderResource | None] = [opts.provider]
    given += bag.values() if isinstance(bag, Mapping) else bag
    if opts.parent is not None:
        given.append(opts.parent.get_provider(f"{PACKAGE}:dynamic:Resource"))
    return next((each for each in given if each is not None and each.package == PACKAGE), None)


# The providers made here, by the run of a program: there may be several in a process (tests, the Automation API).
_made: WeakKeyDictionary[Any, dict[tuple[Any, ...], Provider]] = WeakKeyDictionary()


def _provider_for(name: str, connection: AnyConnection) -> Provider:
    made = _made.setdefault(get_monitor(), {})
    # An Output stands for itself: what it holds is not known yet.
    proxy = _given(connection, "proxy")
    credentials = tuple(_given(connection, each) for each in _CREDENTIALS)
    credentials += tuple(_given(proxy, each) if proxy else None for each in (*_PLACE, *_CREDENTIALS))
    if credentials not in made:
        taken = {each.pulumi_resource_name for each in made.values()}
        # A NodePackages and somebody's child may have one name.
        names = chain([f"{name}-access"], (f"{name}-access-{number}" for number in count(2)))
        made[credentials] = Provider(next(each for each in names if each not in taken), ssh=SSHArgs.of(connection))
    return made[credentials]


def _given(connection: AnyConnection, name: str) -> Any:
    return connection.get(name) if isinstance(connection, Mapping) else getattr(connection, name, None)


def _part(connection: AnyConnection, name: str, default: Any) -> Any:
    value = _given(connection, name)
    if value is None or isinstance(value, str | int | float):
        return default if value is None else value
    return pulumi.Output.from_input(value).apply(lambda known: default if known is None else known)


def _whole(port: Any) -> Any:
    """On the wire, and in ConnectionArgs, a port is a float; a stack's configuration is text. What is no number is refused later."""
    try:
        return port if isinstance(port, float) and not port.is_integer() else int(port)
    except (TypeError, ValueError):
        return port


def _jump_host(connection: AnyConnection) -> JumpHostArgs | None:
    proxy = _given(connection, "proxy")
    if proxy is None:
        return None
    return JumpHostArgs(**connection_state(proxy), **{name: _part(proxy, name, "") for name in _CREDENTIALS})


def _refuse_unusable(connection: AnyConnection, key: str) -> None:
    problems = _unknown_parts(connection, key, (*_PLACE, *_CREDENTIALS, *_TRIES, "proxy"))
    proxy = _given(connection, "proxy")
    if isinstance(proxy, pulumi.Output):
        # Which provider a resource has is settled before its values are known.
        problems.append(Problem(f"{key}.proxy", "is an Output; give an object, whose values may be Outputs"))
    elif proxy is not None:
        problems += _unknown_parts(proxy, f"{key}.proxy", (*_PLACE, *_CREDENTIALS, *_TRIES))
        if not _given(proxy, "host"):
            problems.append(Problem(f"{key}.proxy.host", "is empty: it says how SSH reaches the jump host"))
    if problems:
        raise InvalidSettings(problems)


def _unknown_parts(connection: AnyConnection, key: str, known: tuple[str, ...]) -> list[Problem]:
    unknown = sorted(set(connection) - set(known)) if isinstance(connection, Mapping) else []
    return [Problem(f"{key}.{each}", f"is no part of a connection; it has {', '.join(known)}") for each in unknown]


def _refuse_other_way(connection: AnyConnection, key: str, provider: pulumi.ProviderResource) -> None:
    if _given(connection, "proxy") is None or not isinstance(provider, Provider) or provider.jump_host is not None:
        return
    reason = (
        "is part of the provider, and the one that is given has no jump host: give it one with "
        "ssh=nova_infra.SSHArgs.of(connection), or leave out either of both"
    )
    raise InvalidSettings([Problem(f"{key}.proxy", reason)])
