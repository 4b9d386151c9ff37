"""MariaDB: whether the account gets in and may do what `up` does, and what `up` would adopt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..grants import ALL, GRANT_OPTION, SCHEMA_PRIVILEGES, Schema, normalized
from ..mysql import Server
from ..resources.database import DatabaseLifecycle
from ..settings import Settings
from .finding import Finding

WHERE = "MariaDB"
# For the schema; for its user; without the last nobody can grant.
_STEPS = frozenset({"CREATE", "ALTER", "CREATE USER", GRANT_OPTION})
# Releases name these two in different ways, or do not have them.
_NAMED_DIFFERENTLY = frozenset({"DELETE HISTORY", "SHOW CREATE ROUTINE"})


@dataclass(frozen=True)
class Database:
    """What MariaDB answered: the schema or None, the hosts at which the user is, what our own account may."""

    schema: Schema | None
    hosts: frozenset[str]
    privileges: frozenset[str]


def note(settings: Settings) -> str:
    """The note on the first controller that says that we manage the schema."""
    return DatabaseLifecycle().note_of({"name": settings.database.name})


def ask(server: Server, settings: Settings) -> Database:
    """Asks MariaDB and changes nothing. Raises DatabaseError when the account does not get in or may not read the grant tables."""
    database = settings.database
    hashes = server.password_hashes(database.user)
    return Database(server.schema(database.name), frozenset(hashes), server.own_privileges(database.name))


def findings(settings: Settings, answer: Database, managed: bool) -> list[Finding]:
    """The problems and notes; `managed`: whether the schema is ours already."""
    found = list(_privileges(settings, answer))
    return found if managed else [*found, *_adopted(settings, answer)]


def _privileges(settings: Settings, answer: Database) -> Iterable[Finding]:
    missing = _STEPS | _granted(settings.database.hosts)
    missing -= answer.privileges
    if missing:
        name, account = settings.database.name, settings.database.admin_user
        yield Finding(
            WHERE,
            "grants",
            f"the account {account} lacks {', '.join(sorted(missing))}, which `up` needs for the schema {name} and its user",
            "Grant it that, or name another account (database.admin_user, databaseAdminPassword)",
        )


def _granted(hosts: Mapping[str, Iterable[str]]) -> frozenset[str]:
    """What nova's user is to have: who grants a privilege must have it."""
    asked = {privilege for privileges in hosts.values() for privilege in normalized(privileges)}
    every = SCHEMA_PRIVILEGES if ALL in asked else asked
    return frozenset(every) - _NAMED_DIFFERENTLY - {ALL}


def _adopted(settings: Settings, answer: Database) -> Iterable[Finding]:
    database, schema = settings.database, answer.schema
    if schema is not None:
        wanted = Schema(database.charset, database.collation)
        now = f"{schema.charset}, {schema.collation}"
        changes = "" if schema.same_as(wanted) else f" and sets its defaults to {wanted.charset}, {wanted.collation}"
        yield Finding(
            WHERE,
            "adoption",
            f"the schema {database.name} is there already ({now})",
            f"`up` takes it over{changes}; `pulumi destroy` leaves it",
            note=True,
        )
    there = sorted(set(database.hosts) & answer.hosts)
    if there:
        accounts = ", ".join(f"'{database.user}'@'{host}'" for host in there)
        yield Finding(
            WHERE,
            "adoption",
            f"the user {accounts} is there already",
            "`up` takes it over and sets its password to novaDatabasePassword; `pulumi destroy` leaves it",
            note=True,
        )
