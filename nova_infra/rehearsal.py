"""What removing would do: `remove` itself runs, asks machines and servers as ever, and what would change them is only written down.

So what is told before a destroy cannot differ from what destroy does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .access import Access, note_file
from .catalog import EndpointRecord, ServiceRecord
from .defaults import ASKING_SECONDS
from .remote.inspection import Question, inspect
from .remote.script import Answer, Call

# What only asks. What is in neither of both lists of a server, a rehearsal does not have.
IDENTITY_ASKS = frozenset(
    {"find_user", "password_works", "roles_of", "tenant_id", "tenant_name", "role_id", "services", "endpoints"}
)
DATABASE_ASKS = frozenset(
    {"schema", "password_hashes", "shared", "privileges", "own_privileges", "every_privilege", "without", "common"}
)
COMPUTE_ASKS = frozenset({"services", "images", "servers_on"})
READING = "read_"
"""How the functions of node/*.sh begin that change nothing."""

Sentence = Callable[..., str]
IDENTITY_CHANGES: Mapping[str, Sentence] = {
    "delete_user": lambda _id: "deleting the user",
    "update_user": lambda user, _email, _enabled: f"giving {user.name} back its e-mail and whether it is enabled",
    "set_default_tenant": lambda _user, tenant: f"giving it back the default tenant {tenant}",
    "add_role": lambda _user, role, tenant: f"giving it back the role {role} in {tenant}",
    "remove_role": lambda _user, role, tenant: f"taking its role {role} in {tenant} away, where it has it",
    "create_service": lambda _name, _type, said: f"making the record anew with what it said before us ({said})",
    "delete_service": lambda _id: "deleting the record, with the endpoints that it still has then",
    "create_endpoint": lambda _id, region, public, _internal, _admin: (
        f"making the endpoint in {region} anew ({public})"
    ),
    "delete_endpoint": lambda _id: "deleting the record",
}
DATABASE_CHANGES: Mapping[str, Sentence] = {
    "drop_schema": lambda name: f"dropping the schema {name} with its data",
    "alter_schema": lambda name, was: f"giving the schema {name} back {was.charset} and {was.collation}",
    "drop_user": lambda user, host: f"dropping the user {user}@{host}",
    "grant": lambda user, host, _schema, privileges: f"giving back to {user}@{host}: {', '.join(privileges)}",
    "revoke": lambda user, host, _schema, privileges: f"taking from {user}@{host}: {', '.join(privileges)}",
}
COMPUTE_CHANGES: Mapping[str, Sentence] = {
    "disable": lambda _host, binary, _reason: f"disabling {binary}, so that nothing is scheduled there any more",
    "enable": lambda _host, binary: f"enabling {binary} again",
    "delete_service": lambda _id: "deleting its record in nova",
}


@dataclass(frozen=True)
class Rehearsal(Access):
    """An access through which nothing is changed. `deeds`: what would have been done, in order; `kept`: what would stay."""

    real: Access = field(default_factory=lambda: Access(lambda _key: ""))
    deeds: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, real: Access) -> Rehearsal:
        """A rehearsal with the connections and clients of an access."""
        return cls(real.get, real)

    def node(self, name: str, connection: Mapping[str, Any]) -> Any:
        """A node of which only facts are read."""
        return _Node(self.real.node(name, connection), self.deeds)

    @property
    def identity(self) -> Any:
        """Keystone, of which only questions are asked."""
        return _Server(self._behind_controller().identity, IDENTITY_ASKS, IDENTITY_CHANGES, self.deeds)

    @property
    def compute(self) -> Any:
        """The compute API, of which only questions are asked."""
        return _Server(self._behind_controller().compute, COMPUTE_ASKS, COMPUTE_CHANGES, self.deeds)

    @property
    def database(self) -> Any:
        """MariaDB, of which only questions are asked."""
        return _Server(self._behind_controller().database, DATABASE_ASKS, DATABASE_CHANGES, self.deeds)

    @cached_property
    def controller(self) -> Any:
        """The controller, of which only facts are read."""
        return _Node(self.real.controller, self.deeds) if self.real.controller is not None else None

    def _behind_controller(self) -> Access:
        if self.real.controller is not None:
            self.real.controller.open(ASKING_SECONDS)
        return self.real

    def note_first(self, name: str, content: str) -> str:
        """What the note says, or `content` without one; none is written."""
        if self.controller is None:
            return content
        file = note_file(name)
        noted = inspect(self.controller, Question(notes=(file,)), doing=f"reading the note {name}").notes[file]
        return content if noted is None else noted

    def note(self, name: str, content: str) -> None:
        """Writes nothing."""

    def forget_note(self, name: str) -> None:
        """Removes nothing."""

    def dump_database(self, schema: str) -> None:
        """Dumps nothing."""
        self.deeds.append(f"dumping the schema {schema} into /var/backups on the controller, where the dump stays")

    def keep(self, subject: str, what: str) -> None:  # noqa: ARG002 - the resource is known
        """Takes down what stays."""
        self.kept.append(what)

    def waits(self, what: Callable[[], str]) -> bool:
        """Takes down what would be waited for, and does not wait."""
        self.deeds.append(f"waiting {what()}")
        return False


class _Server:
    def __init__(self, real: Any, asks: Iterable[str], changes: Mapping[str, Sentence], deeds: list[str]) -> None:
        self._real, self._asks, self._changes, self._deeds = real, asks, changes, deeds

    def __getattr__(self, name: str) -> Any:
        if name in self._asks:
            return getattr(self._real, name)
        if name not in self._changes:
            raise AttributeError(f"{name} is no part of a rehearsal")

        def write_down(*arguments: Any) -> Any:
            self._deeds.append(self._changes[name](*arguments))
            return _MADE[name](*arguments) if name in _MADE else None

        return write_down


# What is made anew has no UUID yet.
_MADE: Mapping[str, Callable[..., Any]] = {
    "create_service": lambda *said: ServiceRecord("", *said),
    "create_endpoint": lambda *said: EndpointRecord("", *said),
}


class _Node:
    def __init__(self, real: Any, deeds: list[str]) -> None:
        self._real, self._deeds = real, deeds
        self.name, self.address = real.name, real.address

    def run(self, calls: Iterable[Call], **more: Any) -> Answer:
        calls = list(calls)
        if all(each.function.startswith(READING) for each in calls):
            self._real.open(ASKING_SECONDS)
            answer: Answer = self._real.run(calls, **more)
            return answer
        self._deeds.extend(each.title for each in calls if each.title)
        return Answer()
