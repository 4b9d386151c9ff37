"""All that a stack can say: its settings as typed models, and the names of its secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from .defaults import DATABASE_SOCKET, DEADLINES, SERVERS_HOST
from .hosts import split_host
from .provider import MOST_AT_ONCE
from .values import (
    APIURL,
    URL,
    AbsolutePath,
    Account,
    Address,
    AddressOrNone,
    ClientHost,
    EndpointURL,
    Host,
    HostAndPort,
    HostKey,
    HostName,
    HostOrNone,
    Layer,
    MachineAddress,
    MachineAddressOrNone,
    Name,
    NameOrNone,
    OptionName,
    OptionText,
    Packages,
    Port,
    PortOrZero,
    Privilege,
    SchemaName,
    Seconds,
    ShellFile,
    Text,
    Word,
    in_url,
)

RABBIT_PORT = 5672

SECRETS = {
    "novaDatabasePassword": "of the database user nova (NOVA_DBPASS in the guide)",
    "novaPassword": "of the Keystone user nova (NOVA_PASS)",
    "rabbitPassword": "of the message queue's account (RABBIT_PASS)",
    "adminPassword": "of Keystone's administrator (ADMIN_PASS)",
    "databaseAdminPassword": "of the database account that may create schemas and users",
}
OPTIONAL_SECRETS = {
    "sshPrivateKey": "the private key itself, where no file holds it",
    "sshPrivateKeyPassword": "the passphrase of the private key",
    "sshPassword": "for machines that let in with a password",
    "sudoPassword": "where sudo asks for one",
    "jumpHostPrivateKey": "the private key for the jump host, where it has one of its own and no file holds it",
    "jumpHostPrivateKeyPassword": "the passphrase of the private key for the jump host",
    "jumpHostPassword": "for a jump host that lets in with a password",
}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class NodeDefaults(_Part):
    """What nodes may have in common."""

    port: Port = 22
    """The port of SSH."""
    user: NameOrNone = ""
    """The login; empty: `ssh.user`."""
    vnc_address: MachineAddressOrNone = ""
    """Where the console proxy reaches the node (`vncserver_proxyclient_address`); empty: the management address."""
    vnc_listen: AddressOrNone = ""
    """Where the consoles of instances listen (`vncserver_listen`); empty: `vnc.listen`."""
    adopt: bool = False
    """Whether a machine on which nova is configured already may be taken over."""
    on_unreachable: Literal["refuse", "leave"] = "refuse"
    """What destroy does when the machine cannot be reached: `refuse`, or `leave` the machine as it is and forget it."""


class ComputeDefaults(NodeDefaults):
    """Defaults of all compute nodes; what a compute node says itself wins."""

    virt_type: Literal["auto", "kvm", "qemu"] = "auto"
    """How instances are run (`[libvirt] virt_type`); `auto`: kvm where the machine has hardware acceleration, else qemu."""
    drain: bool = False
    """Whether the removal of a node with instances waits until they have been deleted or migrated; otherwise it refuses."""
    scheduling: Literal["left", "enabled", "disabled"] = "left"
    """Whether nova schedules new instances on it; `left`: an operator decides (`nova service-disable`), and a refresh only says so."""


class Node(NodeDefaults):
    """A machine."""

    name: HostName
    """Its host name, and the host that nova registers."""
    address: MachineAddress
    """Its management address (`my_ip`)."""
    host: HostOrNone = ""
    """Where SSH reaches it; empty: the management address."""
    host_key: HostKey = ""
    """Its SSH host key, as `ssh-keyscan` prints it without the host; empty: `ssh.known_hosts_file` has it."""


class Controller(Node):
    """A machine that runs control services. The first one keeps the schema up to date, and is the way to the servers."""

    services: list[str] = Field(default_factory=list)
    """The services that run on it; empty: all of them."""


class Compute(Node, ComputeDefaults):
    """A machine that runs instances. What it does not say, `computeDefaults` says.

    One entry may be many machines: `compute[001-120]` is compute001, compute002 and so on, at most 1000. `address`, `vnc_address` and a `host`
    or `vnc_listen` that is the address of a machine are then those of the first one, and count up with it; a `host` that is a name is a range as
    well. What is counted stays within /24 (IPv6: /64), unless the network's length stands behind the address: `10.0.0.31/16`. An entry behind
    the range with the name of one of its machines is an exception: what it says wins over what the range says. `options.nodes` and
    `packages.nodes` name single machines.
    """


class SSH(_Part):
    """The login on all machines.

    Files are read where Pulumi runs, relative to the project's folder. With neither a key nor a password, the SSH agent and the
    user's default keys are tried.
    """

    user: Name = "root"
    """The login; one that is not root needs sudo."""
    private_key_file: NameOrNone = ""
    """The file of the private key."""
    known_hosts_file: NameOrNone = ""
    """The file with the machines' host keys; empty: `~/.ssh/known_hosts`."""
    verify_host_keys: bool = True
    """Whether host keys are verified. Without it anybody on the way can read the passwords."""
    agent_socket_path: Text = ""
    """The socket of the SSH agent; empty: `$SSH_AUTH_SOCK` where Pulumi runs."""


class JumpHost(_Part):
    """A machine through which all others are reached, but for itself: it may be one of the nodes.

    It needs TCP forwarding, and no shell. Without a key or password of its own, the login of the nodes is used. Host keys are verified, its own
    and those of the machines behind it.
    """

    host: HostOrNone = ""
    """Where SSH reaches it; empty: there is none."""
    port: Port = 22
    """The port of SSH."""
    user: Text = ""
    """The login; empty: `ssh.user`."""
    host_key: HostKey = ""
    """Its SSH host key, as `ssh-keyscan` prints it without the host; empty: `ssh.known_hosts_file` has it."""
    private_key_file: Text = ""
    """The file of the private key."""


class DatabaseSettings(_Part):
    """Nova's schema and user, and how the server is reached."""

    host: Host = SERVERS_HOST
    """The name under which the controllers reach the server. That of the first controller is reached by the socket on it, any other by TCP from there."""
    port: PortOrZero = 0
    """The port of the server; 0: the usual one, 3306."""
    name: SchemaName = "nova"
    """The schema."""
    user: Account = "nova"
    """Its user."""
    hosts: Annotated[dict[ClientHost, Annotated[list[Privilege], Field(min_length=1)]], Field(min_length=1)] = {
        "localhost": ["ALL"],
        "%": ["ALL"],
    }
    """The hosts from which the user may log in, as in `'nova'@'%'`, each with its privileges on the schema, as in GRANT."""
    charset: Word = "utf8"
    """The schema's character set."""
    collation: Word = "utf8_general_ci"
    """The schema's collation."""
    admin_user: Name = "root"
    """The account that may create schemas and users."""
    socket: AbsolutePath = DATABASE_SOCKET
    """The server's UNIX socket, where it runs on a controller."""
    on_delete: Literal["refuse", "keep", "dump", "drop"] = "refuse"
    """What destroy does with the schema: `refuse` to go on, `keep` it, `dump` it into /var/backups on the controller and drop it, or `drop` it."""


class IdentitySettings(_Part):
    """Keystone, its administrator, and nova's user in it."""

    admin_url: APIURL = f"http://{SERVERS_HOST}:35357/v2.0"
    """The admin API, as the controllers reach it."""
    public_url: APIURL = f"http://{SERVERS_HOST}:5000/v2.0"
    """The public API (`auth_uri`)."""
    admin_user: Name = "admin"
    """The administrator, who makes users, services and endpoints."""
    admin_tenant: Name = "admin"
    """The administrator's tenant."""
    service_tenant: OptionName = "service"
    """The tenant in which nova's user has its role. It is there already."""
    role: Name = "admin"
    """That role. It is there already."""
    user: OptionName = "nova"
    """Nova's user."""
    email: NameOrNone = ""
    """The user's e-mail; empty: as it is, and none for a new user, as in the guide."""
    default_tenant: NameOrNone = ""
    """The user's default tenant; empty: as it is, and none for a new user, as in the guide."""
    admin_openrc: ShellFile = ""
    """The path of a file on the controllers, such as `/root/admin-openrc.sh`, that gets the administrator's login for the command-line clients; empty: none."""

    @property
    def identity_uri(self) -> str:
        """The admin URL without the version, as keystonemiddleware wants it."""
        return self.admin_url.removesuffix("/").removesuffix("/v2.0")


class MessageQueue(_Part):
    """RabbitMQ. The account is there already."""

    hosts: Annotated[list[HostAndPort], Field(min_length=1)] = [SERVERS_HOST]
    """The servers, each `host` or `host:port`."""
    user: OptionText = ""
    """The account; empty: nova's default, guest."""
    virtual_host: OptionText = ""
    """The virtual host; empty: nova's default, `/`."""

    @property
    def host(self) -> str:
        """The host of the only server, or an empty text where there are several."""
        # oslo.messaging puts `host:port` together from both options and takes that apart: an IPv6 address needs its brackets.
        return in_url(split_host(self.hosts[0])[0]) if len(self.hosts) == 1 else ""

    @property
    def port(self) -> str:
        """The port of the only server, or an empty text where it is the usual one or there are several."""
        return split_host(self.hosts[0])[1] if len(self.hosts) == 1 else ""

    @property
    def host_list(self) -> str:
        """`a:5672,b:5672` where there are several servers, or an empty text."""
        if len(self.hosts) == 1:
            return ""
        return ",".join(f"{in_url(host)}:{port or RABBIT_PORT}" for host, port in map(split_host, self.hosts))


class ImageService(_Part):
    """Glance."""

    host: Host = SERVERS_HOST
    """Its host (`[glance] host`)."""
    port: PortOrZero = 0
    """Its port; 0: nova's default, 9292."""


class VNC(_Part):
    """Consoles."""

    listen: Address = "0.0.0.0"  # noqa: S104 - the guide's value
    """Where the consoles of instances listen (`vncserver_listen`)."""
    base_url: URL = f"http://{SERVERS_HOST}:6080/vnc_auto.html"
    """The URL at which users find the console proxy (`novncproxy_base_url`)."""


class ServiceSettings(_Part):
    """Nova in the catalog."""

    name: Name = "nova"
    """Its name."""
    type: Name = "compute"
    """Its type."""
    description: Text = "OpenStack Compute"
    """What is said about it."""


class EndpointSettings(_Part):
    """The URLs of nova in the catalog. Keystone puts the tenant's id in place of `%(tenant_id)s`."""

    public_url: EndpointURL = f"http://{SERVERS_HOST}:8774/v2/%(tenant_id)s"
    """For everybody."""
    internal_url: EndpointURL = f"http://{SERVERS_HOST}:8774/v2/%(tenant_id)s"
    """For other services."""
    admin_url: EndpointURL = f"http://{SERVERS_HOST}:8774/v2/%(tenant_id)s"
    """For administrators."""


class OptionLayers(_Part):
    """Options of nova.conf over those of the templates. The later layer wins, null removes.

    The layers are, from the first to the last: the template of the release, `all`, `controller` or `compute`, `nodes`. A value is
    a text, a number, true or false; a list for an option that nova.conf gives more than once; `null`, which removes the option;
    or `{secret: KEY}`, the value of the secret key KEY, which may have any name. Values are literal: what nova reads is what
    stands here. YAML takes `0777`, `1.10` and `2014-10-16` for numbers and a time: what nova is to read letter by letter stands in quotes.
    `nova-compute.conf` has no layers: nova reads it after nova.conf.
    """

    all: Layer = Field(default_factory=dict)
    """Of all nodes."""
    controller: Layer = Field(default_factory=dict)
    """Of all controllers."""
    compute: Layer = Field(default_factory=dict)
    """Of all compute nodes."""
    nodes: dict[str, Layer] = Field(default_factory=dict)
    """Of single nodes, by name."""


class PackageLayers(_Part):
    """Packages besides the release's own, or their versions. The later layer wins.

    `present` is whichever version apt chooses. A node's own layer comes after that of its role.
    """

    controller: Packages = Field(default_factory=dict)
    """On all controllers."""
    compute: Packages = Field(default_factory=dict)
    """On all compute nodes."""
    nodes: dict[str, Packages] = Field(default_factory=dict)
    """On single nodes, by name."""


class Deadlines(_Part):
    """How long a step may take, in seconds. A step that is not done by then fails and says what was waited for.

    A deadline belongs to one step of one node, not to the whole run; waiting for another run on the same node does not count.
    What fails can be run again: it finds what is there and does the rest. apt and `nova-manage db sync` are never cut off: they go
    on to their end on the machine, and the next run waits for them. Deadlines are part of the provider: a change touches no
    node, and `pulumi destroy` uses those that the last `pulumi up` has stored.
    """

    packages: Seconds = DEADLINES["packages"]
    """apt on a node."""
    configuration: Seconds = DEADLINES["configuration"]
    """Files, db sync and restarts of a node."""
    report: Seconds = DEADLINES["report"]
    """Until a restarted service has reported to nova."""
    answer: Seconds = DEADLINES["answer"]
    """Until a restarted nova-api or nova-novncproxy answers on its port."""
    check: Seconds = DEADLINES["check"]
    """Until the last check finds every service up."""
    drain: Seconds = DEADLINES["drain"]
    """Until a compute node that is removed has no instances left."""
    dump: Seconds = DEADLINES["dump"]
    """The dump of the database."""


class Settings(BaseModel):
    """All of a stack's configuration but its secrets."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True, use_attribute_docstrings=True
    )

    # What a key with a model of its own is, its docstring says.
    release: Literal["juno"] = "juno"
    """The release of OpenStack."""
    region: Name = "regionOne"
    """The region of nova's endpoint."""
    controllers: list[Controller] = Field(min_length=1)
    """The machines that run the control services."""
    computes: list[Compute] = Field(default_factory=list)
    """The machines that run instances."""
    compute_defaults: ComputeDefaults = ComputeDefaults()
    ssh: SSH = SSH()
    jump_host: JumpHost = JumpHost()
    database: DatabaseSettings = DatabaseSettings()
    identity: IdentitySettings = IdentitySettings()
    message_queue: MessageQueue = MessageQueue()
    image: ImageService = ImageService()
    vnc: VNC = VNC()
    service: ServiceSettings = ServiceSettings()
    endpoint: EndpointSettings = EndpointSettings()
    options: OptionLayers = OptionLayers()
    packages: PackageLayers = PackageLayers()
    deadlines: Deadlines = Deadlines()
    protect: bool = False
    """Whether Pulumi refuses to remove what all the rest hangs on: database, user, service, endpoint, and the controllers with their packages."""
    concurrency: int = Field(default=8, ge=1, le=MOST_AT_ONCE)
    """How many operations run at once. Each four take a process of about 100 MB. Pulumi's own limit holds too: `--parallel`, four for each core."""

    secrets: Mapping[str, str] = Field(default_factory=dict, repr=False)
    """The secret keys, in plain: who composes a value from one makes a secret Output of it."""

    def nodes(self) -> list[Node]:
        """Controllers, then computes."""
        return [*self.controllers, *self.computes]


def top_level_keys() -> list[str]:
    """The keys of the configuration that are no secrets, in their order."""
    return [to_camel(name) for name in Settings.model_fields if name != "secrets"]


def is_structured(key: str) -> bool:
    """Whether the key holds an object or a list, and so is JSON where Pulumi hands it out."""
    field = next(field for name, field in Settings.model_fields.items() if to_camel(name) == key)
    return isinstance(field.default, BaseModel) or key in ("controllers", "computes")
