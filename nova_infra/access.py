"""What a provider process makes of its configuration: connections to machines, clients of the servers behind them."""

from __future__ import annotations

import hashlib
import math
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from .defaults import ASKING_SECONDS, DATABASE_SOCKET, DEADLINES, MARIADB_PORT, PREFIX, SSH_PORT
from .errors import InvalidSettings, Problem, Refused
from .masking import Secret
from .records import Records
from .remote.connection import Address, Connection, Login, connect
from .remote.operation import progress
from .remote.script import call, decoded

if TYPE_CHECKING:
    from .compute import Compute, ServiceReport
    from .identity import Identity
    from .mysql import Server

# The clients of servers are imported where they are made: to import them takes two thirds of a second of all processes that have nodes only,
# and the others can connect to machines meanwhile.
NOTE_SECONDS = 60.0
# 255 bytes, less `.new`.
LONGEST_NAME = 250
# What may prove who we are on the jump host.
JUMP_CREDENTIALS = ("private_key", "private_key_file", "private_key_password", "password", "agent_socket_path")
KEYS = (
    "ssh_private_key",
    "ssh_private_key_file",
    "ssh_private_key_password",
    "ssh_password",
    "ssh_sudo_password",
    "ssh_agent_socket_path",
    "ssh_known_hosts_file",
    "ssh_verify_host_keys",
    "jump_host",
    "jump_port",
    "jump_user",
    "jump_host_key",
    *(f"jump_{name}" for name in JUMP_CREDENTIALS),
    "controller_name",
    "controller_host",
    "controller_port",
    "controller_user",
    "controller_host_key",
    "identity_url",
    "identity_username",
    "identity_password",
    "identity_tenant",
    "identity_region",
    "identity_compute_name",
    "identity_compute_type",
    "database_user",
    "database_password",
    "database_socket",
    "database_host",
    "database_port",
    *(f"deadlines_{name}" for name in DEADLINES),
)


@dataclass(frozen=True)
class Access:
    """Reads the configuration of nova_infra.Provider: texts under `access:...`."""

    get: Callable[[str], str]

    patient: ClassVar[bool] = True
    """Whether a Keystone that cannot be connected to is tried again: one that is being started refuses for some seconds."""

    @cached_property
    def login(self) -> Login:
        """Who we are on the machines."""
        return Login(
            private_key=self.get("ssh_private_key"),
            private_key_file=self.get("ssh_private_key_file"),
            private_key_password=self.get("ssh_private_key_password"),
            password=self.get("ssh_password"),
            sudo_password=self.get("ssh_sudo_password"),
            agent_socket_path=self.get("ssh_agent_socket_path"),
            known_hosts_file=self.get("ssh_known_hosts_file"),
            verify_host_keys=self.get("ssh_verify_host_keys") != "False",
        )

    @cached_property
    def jump_host(self) -> Connection | None:
        """The machine through which all others are reached, or None: directly. Without a key or password of its own, it has ours."""
        if not self.get("jump_host"):
            return None
        address = Address(
            self.get("jump_host"),
            self._port("jump", SSH_PORT),
            self.get("jump_user"),
            self.get("jump_host_key"),
        )
        own = {name: self.get(f"jump_{name}") for name in JUMP_CREDENTIALS}
        login = self.login
        if any(own.values()):
            login = Login(
                **own,
                known_hosts_file=login.known_hosts_file,
                verify_host_keys=login.verify_host_keys,
                setting="jumpHost",
            )
        return connect("The jump host", address, login)

    def _connect(self, name: str, address: Address) -> Connection:
        jump = self.jump_host
        # The jump host may be one of the nodes, such as the controller.
        there = jump is not None and (jump.address.host, jump.address.port) == (address.host, address.port)
        return connect(name, address, self.login, None if there else jump)

    def secrets(self) -> list[str]:
        """What must not appear in any text."""
        own = self.jump_host.login.secrets() if self.jump_host else []
        return [*self.login.secrets(), *own, self.get("identity_password"), self.get("database_password")]

    def node(self, name: str, connection: Mapping[str, Any]) -> Connection:
        """The connection to a node; `connection` is `{host, port, user, host_key}`."""
        address = Address(connection["host"], int(connection["port"]), connection["user"], connection["host_key"])
        return self._connect(name, address)

    @cached_property
    def controller(self) -> Connection | None:
        """The machine behind which the servers are, or None when they are reached directly."""
        if not self.get("controller_host"):
            return None
        address = Address(
            self.get("controller_host"),
            self._port("controller", SSH_PORT),
            self.get("controller_user"),
            self.get("controller_host_key"),
        )
        return self._connect(self.get("controller_name"), address)

    @cached_property
    def identity(self) -> Identity:
        """Keystone, as the administrator."""
        from .identity import Identity  # noqa: PLC0415
        from .remote.http import session_through  # noqa: PLC0415

        return Identity(
            self.get("identity_url"),
            self.get("identity_username"),
            self.get("identity_password"),
            self.get("identity_tenant"),
            session_through(self.controller, patient_with=self.get("identity_url") if self.patient else ""),
        )

    @cached_property
    def compute(self) -> Compute:
        """The compute API, as Keystone's administrator."""
        from .compute import Compute  # noqa: PLC0415

        return Compute(
            self.identity.session,
            self.get("identity_region"),
            self.get("identity_compute_name") or "nova",
            self.get("identity_compute_type") or "compute",
        )

    @cached_property
    def records(self) -> Records:
        """Nova's records of its services, for those that read many nodes."""
        return Records(self.compute.services)

    @cached_property
    def database(self) -> Server:
        """MariaDB, as the account that may create schemas and users."""
        from .mysql import Server  # noqa: PLC0415

        controller, host, port = self.controller, self.get("database_host"), self._port("database", MARIADB_PORT)
        path = self.get("database_socket") or DATABASE_SOCKET
        name = f"{host}:{port}" if host else f"{controller.name}:{path}" if controller else path

        def dial() -> socket.socket:
            if controller is not None:
                return controller.reach_tcp(host, port) if host else controller.reach_unix(path)
            if host:
                return socket.create_connection((host, port), timeout=30)
            direct = socket.socket(socket.AF_UNIX)
            direct.connect(path)
            return direct

        private = controller is not None or not host
        return Server(name, self.get("database_user"), self.get("database_password"), dial, private=private)

    def _port(self, group: str, default: int) -> int:
        """The port of `jump`, `controller` or `database`. An Output of a number arrives as `22.0`. Raises InvalidSettings for what is no port."""
        text = self.get(f"{group}_port")
        try:
            port = float(text or default)
        except ValueError:
            port = math.nan
        if not (port.is_integer() and 0 < port < 65536):
            raise InvalidSettings([Problem(f"{group}.port", f"is {text!r}; a port is a whole number from 1 to 65535")])
        return int(port)

    def deadline(self, name: str) -> float:
        """The seconds that a step may take; `name` is one of nova_infra.DeadlineArgs.

        Raises InvalidSettings for a text that is no number above 0.
        """
        text = self.get(f"deadlines_{name}")
        try:
            seconds = float(text or DEADLINES[name])
        except ValueError:
            seconds = math.nan
        if not 0 < seconds < math.inf:
            raise InvalidSettings(
                [Problem(f"deadlines.{name}", f"is {text!r}; it must be a number of seconds above 0")]
            )
        return seconds

    def dump_database(self, schema: str) -> None:
        """Writes a whole dump of the schema to /var/backups on the controller, and shows its path.

        Raises Refused when there is no controller, StepFailed when there is no complete dump.
        """
        from .mysql import option_file  # noqa: PLC0415

        controller, host, port = self.controller, self.get("database_host"), str(self._port("database", MARIADB_PORT))
        if controller is None:
            raise Refused(
                f"The database {schema} is to be dumped before it is dropped, and this provider names no controller on which the dump could "
                "be kept. Dump it yourself, set on_delete to drop, run `pulumi up`, then run this again; or give nova_infra.Provider a "
                "controller, run `pulumi up`, then run this again."
            )
        user, password = self.get("database_user"), self.get("database_password")
        way = {"host": host, "port": port} if host else {"socket": self.get("database_socket") or DATABASE_SOCKET}
        options = option_file({"user": user, "password": password, **way})
        doing = f"dumping the database {schema}"
        controller.run(
            [call("dump_database", schema, note_file(schema), Secret(options), title=doing)],
            doing=doing,
            deadline=self.deadline("dump"),
            show=progress(controller.name),
            secrets=[password],
        )

    @property
    def fingerprint_key(self) -> str:
        """A key that only who has the credentials knows, for fingerprints of values that the stack does not name."""
        return "".join([self.get("identity_password"), self.get("database_password"), self.get("ssh_private_key")])

    # ------------------------------------------------------------ removing

    def keep(self, subject: str, what: str) -> None:
        """Says what removing `subject` leaves as it is: a sentence without its subject's name."""
        progress(subject)(what)

    def waits(self, what: Callable[[], str]) -> bool:  # noqa: ARG002 - what is waited for, who waits says
        """Whether removing waits now; a rehearsal takes down `what()` instead."""
        return True

    # ------------------------------------------------------------ what was there before

    def note_first(self, name: str, content: str) -> str:
        """Notes on the controller what a resource found before its first create, unless it is noted already.

        Returns what the note says. It outlives a run that dies, so that a record we made then is not taken for somebody else's.
        Without a controller there is no note, and what was found now counts.
        """
        if self.controller is None:
            return content
        doing = f"noting what was there ({name})"
        answer = self.controller.run(
            [call("write_first_note", note_file(name), content)], doing=doing, deadline=NOTE_SECONDS
        )
        noted = answer.first("note")[1]
        return content if noted == "-" else decoded(noted)

    def note(self, name: str, content: str) -> None:
        """Writes a note anew, when there is more to be known than before the first create. Without a controller nothing is noted."""
        if self.controller is not None:
            calls = [call("lock_notes"), call("write_note", note_file(name), content)]
            self.controller.run(calls, doing=f"noting what was there ({name})", deadline=NOTE_SECONDS)

    def forget_note(self, name: str) -> None:
        """Removes the note after the resource is gone."""
        if self.controller is not None:
            doing = f"removing the note {name}"
            self.controller.run([call("remove_notes", note_file(name))], doing=doing, deadline=NOTE_SECONDS)


class CommandAccess(Access):
    """The access of a command, which only asks, once, and does not wait long for a controller or a Keystone that does not answer."""

    patient = False

    @cached_property
    def records(self) -> Records:
        """Nova's records of its services: one answer, or one refusal, for all nodes."""
        return Records(self._services, fresh_seconds=math.inf)

    def _services(self) -> list[ServiceReport]:
        if self.controller is not None:
            self.controller.open(ASKING_SECONDS)
        return self.compute.services()


_shared: dict[tuple[type[Access] | str, ...], Access] = {}
_shared_lock = threading.Lock()


def access_from(get: Callable[[str], Any], kind: type[Access] = Access) -> Access:
    """The access of this kind that a provider's configuration describes: one for all kinds of resources, so that they share tokens."""
    texts = {key: str(get(f"{PREFIX}{key}") or "") for key in KEYS}
    with _shared_lock:
        return _shared.setdefault((kind, *texts.values()), kind(texts.__getitem__))


def note_file(note: str) -> str:
    """The name of a note's file on the controller."""
    # Names of users and schemas are data: one may hold a slash, and one of 255 letters has more bytes than a file's name may have.
    name = quote(note, safe="")
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[:100]}.{hashlib.sha256(note.encode()).hexdigest()}"
