"""Keystone, MariaDB and nova in memory, for the one question that real servers cannot show: what happens in which order.

Each operation is written down; `dies_after` ends the run after so many of them, as a killed engine does.
"""

from __future__ import annotations

import base64
import dataclasses
from typing import Any

from nova_infra import mysql
from nova_infra.catalog import EndpointRecord, ServiceRecord, User
from nova_infra.compute import Server, ServiceReport
from nova_infra.errors import IdentityError
from nova_infra.grants import ALL, GRANT_OPTION, Schema, native_hash
from nova_infra.records import Records
from nova_infra.remote.script import Answer, progress


class Died(Exception):  # noqa: N818 - it is the run that died
    """The run was cut off."""


@dataclasses.dataclass
class Log:
    """What was done, in order."""

    done: list[str] = dataclasses.field(default_factory=list)
    dies_after: int | None = None

    def __call__(self, deed: str) -> None:
        self.done.append(deed)

    def survive(self) -> None:
        if self.dies_after is not None and len(self.done) >= self.dies_after:
            raise Died


class Keystone:
    def __init__(self, log: Log) -> None:
        self.log = log
        self.count = 0
        self.users: dict[str, User] = {}
        self.passwords: dict[str, str] = {}
        self.roles: set[tuple[str, str, str]] = set()
        self.service_records: dict[str, ServiceRecord] = {}
        self.endpoint_records: dict[str, EndpointRecord] = {}
        self.tried = 0

    def _id(self) -> str:
        self.count += 1
        return f"{self.count:032x}"

    def services(self, name: str, type_: str) -> list[ServiceRecord]:
        return [each for each in self.service_records.values() if (each.name, each.type) == (name, type_)]

    def services_of_type(self, type_: str) -> list[ServiceRecord]:
        return [each for each in self.service_records.values() if each.type == type_]

    def url_in_catalog(self, type_: str, region: str) -> str:
        """As Keystone does: of the endpoints of a type in a region the last one is in the catalog."""
        ids = {each.id for each in self.services_of_type(type_)}
        urls = [e.public_url for e in self.endpoint_records.values() if e.service_id in ids and e.region == region]
        return self.as_in_catalog(urls[-1]) if urls else ""

    def as_in_catalog(self, url: str) -> str:
        return url.replace("%(tenant_id)s", "1234")

    def create_service(self, name: str, type_: str, description: str) -> ServiceRecord:
        self.log.survive()
        record = ServiceRecord(self._id(), name, type_, description)
        self.service_records[record.id] = record
        self.log(f"create service {description}")
        return record

    def delete_service(self, service_id: str) -> None:
        self.log.survive()
        gone = self.service_records.pop(service_id, None)
        self.endpoint_records = {k: e for k, e in self.endpoint_records.items() if e.service_id != service_id}
        self.log(f"delete service {gone.description if gone else '-'}")

    def endpoints(self, service_ids: list[str]) -> list[EndpointRecord]:
        return [each for each in self.endpoint_records.values() if each.service_id in service_ids]

    def create_endpoint(self, service_id: str, region: str, public: str, internal: str, admin: str) -> EndpointRecord:
        self.log.survive()
        record = EndpointRecord(self._id(), service_id, region, public, internal, admin)
        self.endpoint_records[record.id] = record
        self.log(f"create endpoint {region} {public}")
        return record

    def delete_endpoint(self, endpoint_id: str) -> None:
        self.log.survive()
        gone = self.endpoint_records.pop(endpoint_id, None)
        self.log(f"delete endpoint {gone.region} {gone.public_url}" if gone else "delete endpoint -")

    def find_user(self, name: str) -> User | None:
        return self.users.get(name)

    def create_user(self, name: str, password: str, email: str, enabled: bool) -> User:
        self.log.survive()
        self.users[name] = User(self._id(), name, email, enabled)
        self.passwords[name] = password
        self.log(f"create user {name}")
        return self.users[name]

    def update_user(self, user: User, email: str, enabled: bool) -> None:
        self.log.survive()
        self.users[user.name] = dataclasses.replace(self.users[user.name], email=email, enabled=enabled)
        self.log(f"update user {user.name}")

    def set_default_tenant(self, user: User, tenant: str) -> None:
        self.log.survive()
        old = self.users[user.name].default_tenant_id
        self.users[user.name] = dataclasses.replace(self.users[user.name], default_tenant_id=self.tenant_id(tenant))
        # As Keystone does: its own role moves with the default tenant.
        self.roles.discard((user.name, "_member_", old))
        self.roles.add((user.name, "_member_", tenant))
        self.log(f"default tenant {tenant}")

    def set_password(self, user: User, password: str) -> None:
        self.log.survive()
        self.passwords[user.name] = password
        self.log(f"set password of {user.name}")

    def password_works(self, name: str, password: str) -> bool:
        self.tried += 1
        return self.passwords.get(name) == password

    def delete_user(self, user_id: str) -> None:
        self.log.survive()
        self.users = {name: user for name, user in self.users.items() if user.id != user_id}
        self.roles = {role for role in self.roles if role[0] in self.users}
        self.log("delete user")

    def tenant_id(self, name: str) -> str:
        if name not in ("service", "other", "admin"):
            raise IdentityError(f"no tenant {name}")
        return name

    def tenant_name(self, tenant_id: str) -> str:
        return tenant_id

    def role_id(self, name: str) -> str:
        if name not in ("admin", "member", "observer"):
            raise IdentityError(f"no role {name}")
        return name

    def roles_of(self, user: User, tenant: str) -> list[str]:
        return sorted(role for name, role, where in self.roles if (name, where) == (user.name, tenant))

    def add_role(self, user: User, role: str, tenant: str) -> None:
        self.log.survive()
        self.roles.add((user.name, role, tenant))
        self.log(f"grant {role} in {tenant}")

    def remove_role(self, user: User, role: str, tenant: str) -> None:
        self.log.survive()
        if (user.name, role, tenant) not in self.roles:
            return
        self.roles.discard((user.name, role, tenant))
        self.log(f"take {role} in {tenant}")


class MariaDB:
    def __init__(self, log: Log) -> None:
        self.log = log
        self.schemas: dict[str, Schema] = {}
        self.hashes: dict[tuple[str, str], str] = {}
        self.grants: dict[tuple[str, str, str], set[str]] = {}

    def schema(self, name: str) -> Schema | None:
        return self.schemas.get(name)

    def create_schema(self, name: str, schema: Schema) -> None:
        self.log.survive()
        self.schemas[name] = schema
        self.log(f"create schema {name}")

    def alter_schema(self, name: str, schema: Schema) -> None:
        self.log.survive()
        self.schemas[name] = schema
        self.log(f"alter schema {name}")

    def drop_schema(self, name: str) -> None:
        self.log.survive()
        self.schemas.pop(name, None)
        self.log(f"drop schema {name}")

    def password_hashes(self, user: str) -> dict[str, str]:
        return {host: stored for (name, host), stored in self.hashes.items() if name == user}

    def create_user(self, user: str, host: str, password: str) -> None:
        self.log.survive()
        assert (user, host) not in self.hashes, "MariaDB 5.5 knows no IF NOT EXISTS"
        self.hashes[user, host] = native_hash(password)
        self.log(f"create user {user}@{host}")

    def set_password(self, user: str, host: str, password: str) -> None:
        self.log.survive()
        self.hashes[user, host] = native_hash(password)
        self.log(f"set password of {user}@{host}")

    def drop_user(self, user: str, host: str) -> None:
        self.log.survive()
        self.hashes.pop((user, host), None)
        self.grants = {key: each for key, each in self.grants.items() if key[:2] != (user, host)}
        self.log(f"drop user {user}@{host}")

    every_privilege = frozenset({"SELECT", "INSERT", "DELETE", "DROP"})
    without = mysql.Server.without
    common = mysql.Server.common

    def accounts_on(self, schema: str) -> list[tuple[str, str]]:
        return sorted((name, at) for name, at, on in self.grants if on == schema)

    def shared(self, user: str, host: str, schema: str) -> bool:
        return any((name, at) == (user, host) and on != schema for name, at, on in self.grants)

    def privileges(self, user: str, host: str, schema: str) -> list[str]:
        granted = self.grants.get((user, host, schema), set())
        every = granted >= self.every_privilege
        return sorted({ALL} | granted & {GRANT_OPTION} if every else granted)

    def grant(self, user: str, host: str, schema: str, privileges: Any) -> None:
        self.log.survive()
        assert (user, host) in self.hashes, "GRANT would make a user without a password"
        assert privileges
        self.grants.setdefault((user, host, schema), set()).update(self._single(privileges))
        self.log(f"grant {', '.join(sorted(privileges))} to {user}@{host}")

    def revoke(self, user: str, host: str, schema: str, privileges: Any) -> None:
        self.log.survive()
        granted = self.grants[user, host, schema]
        assert self._single(privileges) & granted, "there is no such grant"
        granted -= self._single(privileges)
        if not granted:
            del self.grants[user, host, schema]
        self.log(f"revoke {', '.join(sorted(privileges))} from {user}@{host}")

    def _single(self, privileges: Any) -> set[str]:
        return set(privileges) - {ALL} | (self.every_privilege if ALL in privileges else set())


class Nova:
    def __init__(self, log: Log) -> None:
        self.log = log
        self.reports: list[ServiceReport] = []
        self.instances: list[Server] = []
        self.clock_ahead = 0.0

    def services(self, host: str = "") -> list[ServiceReport]:
        return [each for each in self.reports if host in ("", each.host)]

    def servers_on(self, _host: str) -> list[Server]:
        return self.instances

    def disable(self, host: str, binary: str, reason: str) -> None:
        self.log(f"disable {binary} on {host}")
        self._set(host, binary, "disabled", reason)

    def enable(self, host: str, binary: str) -> None:
        self.log(f"enable {binary} on {host}")
        self._set(host, binary, "enabled", "")

    def _set(self, host: str, binary: str, status: str, reason: str) -> None:
        self.reports = [
            dataclasses.replace(each, status=status, disabled_reason=reason)
            if (each.host, each.binary) == (host, binary)
            else each
            for each in self.reports
        ]

    def delete_service(self, service_id: str) -> None:
        self.log(f"delete record {service_id}")


class Node:
    name = "compute1"
    address = "ubuntu@10.0.0.31"

    def __init__(self, log: Log) -> None:
        self.log = log

    def open(self, _seconds: float) -> None:
        """It answers."""

    def run(self, calls: Any, **_more: Any) -> Answer:
        answer = Answer()
        for each in calls:
            if each.function == "read_machine":
                facts = {"hostname": self.name, "now": "1", "later": "1", "virt_type": "qemu", "init": "sysv"}
                answer.facts += list(facts.items())
            elif each.function == "read_file":
                answer.facts.append(("file", each.arguments[0], "missing", "-", "-", "-", "0", "-"))
            elif each.function == "read_service":
                answer.facts.append(("service", each.arguments[0], "stopped", "-", "-", "0", "enabled", "-"))
            elif each.arguments == ("services.found",):
                found = base64.b64encode(b"nova-compute stopped enabled -").decode()
                answer.facts.append(("note", each.arguments[0], found))
            self.log(str(each))
        return answer


class Reached:
    """What a provider process has: servers, and notes that outlive a run."""

    controller = None

    def __init__(self) -> None:
        self.log = Log()
        self.identity = Keystone(self.log)
        self.database = MariaDB(self.log)
        self.compute = Nova(self.log)
        self.records = Records(self.compute.services)
        self.notes: dict[str, str] = {}
        self.fingerprint_key = "key of the tests"
        self.kept: list[str] = []

    def note_first(self, name: str, content: str) -> str:
        self.log.survive()
        return self.notes.setdefault(name, content)

    def forget_note(self, name: str) -> None:
        self.log.survive()
        self.notes.pop(name, None)

    def secrets(self) -> list[str]:
        return []

    def get(self, _key: str) -> str:
        return ""

    def deadline(self, _name: str) -> float:
        return 10.0

    def note(self, name: str, content: str) -> None:
        self.log.survive()
        self.notes[name] = content

    def dump_database(self, schema: str) -> None:
        self.log.survive()
        assert schema in self.database.schemas
        self.log(f"dump {schema}")

    def node(self, _name: str, _connection: Any) -> Node:
        return Node(self.log)

    def keep(self, subject: str, what: str) -> None:
        self.kept.append(f"{subject}: {what}")
        progress(subject)(what)

    def waits(self, _what: Any) -> bool:
        return True


class Unreachable:
    """Whoever opens a connection here has not kept the promise."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a connection was opened for {name}")
