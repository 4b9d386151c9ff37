"""What MariaDB keeps of schemas, users at their hosts, privileges and passwords, and the texts that it would not keep as they are."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

ALL = "ALL"
GRANT_OPTION = "GRANT OPTION"
# What can be granted on a schema (MariaDB's documentation, "GRANT", "Database Privileges"); not every release has every one.
SCHEMA_PRIVILEGES = frozenset(
    """ALL, ALTER, ALTER ROUTINE, CREATE, CREATE ROUTINE, CREATE TEMPORARY TABLES, CREATE VIEW, DELETE, DELETE HISTORY, DROP,
    EVENT, EXECUTE, GRANT OPTION, INDEX, INSERT, LOCK TABLES, REFERENCES, SELECT, SHOW CREATE ROUTINE, SHOW VIEW, TRIGGER,
    UPDATE""".replace("\n    ", " ").split(", ")
)
NO_PRIVILEGE = "USAGE"


@dataclass(frozen=True)
class Schema:
    """A schema's defaults."""

    charset: str
    collation: str

    def same_as(self, other: Schema) -> bool:
        """Whether the server takes both for the same: case does not count, and from 10.6 on utf8 is shown as utf8mb3."""
        return self._plain() == other._plain()

    def _plain(self) -> tuple[str, str]:
        return tuple(name.lower().replace("utf8mb3", "utf8") for name in (self.charset, self.collation))  # type: ignore[return-value]


def no_name(name: str) -> str:
    """Why MariaDB would keep another name of a schema or user than `name`, or an empty string. It cuts and replaces without a word."""
    if name != name.strip():
        return "begins or ends with a space, which MariaDB leaves out"
    if not name.isprintable():
        return "holds a control character or one that cannot be seen, which MariaDB may end a name at"
    if any(character > "\uffff" for character in name):
        return "holds a character beyond U+FFFF, which MariaDB keeps in no name"
    return ""


def no_client_host(host: str) -> str:
    """Why MariaDB would keep another host of a user than `host`, or an empty string: of `\\0` it makes `%`, which is everybody."""
    if not re.fullmatch(r"[a-z0-9._%:/-]+", host):
        return (
            "is no host as MariaDB keeps it: lower-case letters, digits, dot, dash, underscore, colon, slash and % only"
        )
    return ""


def takes_in(host: str, other: str) -> bool:
    """Whether a user's host, in which `%` and `_` stand for others, matches every client that the `other` one does."""
    parts = {"%": ".*", "_": "."}
    pattern = "".join(parts.get(character, re.escape(character)) for character in host.lower())
    return re.fullmatch(pattern, other.lower()) is not None


def normalized(privileges: Iterable[str]) -> list[str]:
    """The privileges as MariaDB names them, sorted, each once: `all  privileges` is ALL, which holds every one but GRANT OPTION."""
    names = {" ".join(privilege.upper().split()) for privilege in privileges} - {NO_PRIVILEGE}
    names = {ALL if name == "ALL PRIVILEGES" else name for name in names}
    return sorted(names & {ALL, GRANT_OPTION} if ALL in names else names)


def native_hash(password: str) -> str:
    """What mysql_native_password stores for a password: `*` and 40 hexadecimal digits."""
    inner = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    return "*" + hashlib.sha1(inner, usedforsecurity=False).hexdigest().upper()


def password_matches(stored: str, password: str) -> bool:
    """Whether the stored hash is that of the password."""
    return stored.upper() == native_hash(password)


def lacking(privileges: Iterable[str], granted: Collection[str]) -> list[str]:
    """The privileges that are to be granted to who has `granted`, sorted. ALL stays one word, so that it is all of any release."""
    missing = set(privileges) - set(granted)
    return sorted(missing & {GRANT_OPTION} if ALL in granted else missing)
