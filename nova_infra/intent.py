"""What a stack's settings mean for its machines and servers, as plain data.

The deployment makes resources of it; the commands ask machines and servers about it. Nothing here opens a connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .defaults import MARIADB_PORT
from .packages import PRESENT
from .provider import (
    AccessArgs,
    ControllerArgs,
    DatabaseServerArgs,
    DeadlineArgs,
    IdentityArgs,
    JumpHostArgs,
    SSHArgs,
)
from .releases import Role, release
from .settings import Controller, Node, Settings

if TYPE_CHECKING:
    from .access import Access


def access_arguments(settings: Settings) -> AccessArgs:
    """How machines and servers are reached. Every value is plain, secrets too."""
    gateway = settings.controllers[0]
    secret = settings.secrets.get
    return AccessArgs(
        ssh=SSHArgs(
            private_key=secret("sshPrivateKey", ""),
            private_key_file=settings.ssh.private_key_file,
            private_key_password=secret("sshPrivateKeyPassword", ""),
            password=secret("sshPassword", ""),
            sudo_password=secret("sudoPassword", ""),
            known_hosts_file=settings.ssh.known_hosts_file,
            agent_socket_path=settings.ssh.agent_socket_path,
            verify_host_keys=settings.ssh.verify_host_keys,
            jump_host=_jump_host(settings),
        ),
        controller=ControllerArgs(name=gateway.name, **place(settings, gateway)),
        identity=IdentityArgs(
            url=settings.identity.admin_url,
            username=settings.identity.admin_user,
            password=settings.secrets["adminPassword"],
            tenant=settings.identity.admin_tenant,
            region=settings.region,
            compute_name=settings.service.name,
            compute_type=settings.service.type,
        ),
        database=DatabaseServerArgs(
            user=settings.database.admin_user,
            password=settings.secrets["databaseAdminPassword"],
            socket=settings.database.socket,
            host=database_host(settings),
            port=settings.database.port or MARIADB_PORT,
        ),
        deadlines=DeadlineArgs(**settings.deadlines.model_dump()),
    )


def _jump_host(settings: Settings) -> JumpHostArgs | None:
    given, secret = settings.jump_host, settings.secrets.get
    if not given.host:
        return None
    return JumpHostArgs(
        host=given.host,
        port=given.port,
        user=given.user or settings.ssh.user,
        host_key=given.host_key,
        private_key=secret("jumpHostPrivateKey", ""),
        private_key_file=given.private_key_file,
        private_key_password=secret("jumpHostPrivateKeyPassword", ""),
        password=secret("jumpHostPassword", ""),
    )


def access(settings: Settings) -> Access:
    """The connections and clients that a provider with these settings has, in this process, for a command."""
    # A plan opens no connection, and the clients take longer to import than all else.
    from .access import CommandAccess  # noqa: PLC0415

    texts = {key: str(value) for key, value in access_arguments(settings).flat().items()}
    return CommandAccess(lambda key: texts.get(key, ""))


def database_host(settings: Settings) -> str:
    """The host where MariaDB is reached by TCP, or an empty text where its socket on the first controller is the way in."""
    # The guide leaves root at localhost only.
    database, gateway = settings.database, settings.controllers[0]
    return "" if database.host in (gateway.name, gateway.address) else database.host


def place(settings: Settings, node: Node) -> dict[str, Any]:
    """`{host, port, user, host_key}`: where SSH reaches the node."""
    return {
        "host": node.host or node.address,
        "port": node.port,
        "user": node.user or settings.ssh.user,
        "host_key": node.host_key,
    }


def role(settings: Settings, node: Node) -> Role:
    """What the release says of a node of this kind."""
    known = release(settings.release)
    return known.controller if isinstance(node, Controller) else known.compute


def services(settings: Settings, node: Node) -> list[str]:
    """The services that run on the node."""
    chosen = node.services if isinstance(node, Controller) else []
    return list(chosen or role(settings, node).services)


def packages(settings: Settings, node: Node) -> dict[str, str]:
    """The packages of the node: name -> version, or `present`."""
    layers = settings.packages
    extra = layers.controller if isinstance(node, Controller) else layers.compute
    # On Ubuntu a control service is a package of its own: a controller gets those of the services that it runs.
    left_out = set(role(settings, node).services) - set(services(settings, node))
    return {
        **{name: PRESENT for name in role(settings, node).packages if name not in left_out},
        **extra,
        **layers.nodes.get(node.name, {}),
    }
