"""MariaDB: schemas, users at their hosts, privileges, passwords by their stored hash.

Works with 5.5 (Ubuntu 14.04) and 10.x: no CREATE USER IF NOT EXISTS, no ALTER USER; privileges are read from the grant
tables, which both have. Values are bound; names are quoted. Passwords are sent as hashes, so that no log of the server holds
them.
"""

from __future__ import annotations

import hashlib
import re
import socket
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pymysql
import pymysql.cursors

from .errors import DatabaseError
from .masking import mask
from .wording import quoted

TIMEOUT_SECONDS = 30
ALL = "ALL"
# Columns of mysql.db whose privilege is named otherwise in GRANT.
_PRIVILEGE_NAMES = {
    "Create_tmp_table": "CREATE TEMPORARY TABLES",
    "Show_view": "SHOW VIEW",
    "Create_view": "CREATE VIEW",
    "Create_routine": "CREATE ROUTINE",
    "Alter_routine": "ALTER ROUTINE",
    "Lock_tables": "LOCK TABLES",
    "Delete_history": "DELETE HISTORY",
}
GRANT_OPTION = "GRANT OPTION"
# What can be granted on a schema (MariaDB's documentation, "GRANT", "Database Privileges"); not every release has every one.
SCHEMA_PRIVILEGES = frozenset(
    """ALL, ALTER, ALTER ROUTINE, CREATE, CREATE ROUTINE, CREATE TEMPORARY TABLES, CREATE VIEW, DELETE, DELETE HISTORY, DROP,
    EVENT, EXECUTE, GRANT OPTION, INDEX, INSERT, LOCK TABLES, REFERENCES, SELECT, SHOW CREATE ROUTINE, SHOW VIEW, TRIGGER,
    UPDATE""".replace("\n    ", " ").split(", ")
)
_NO_PRIVILEGE = "USAGE"


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


def normalized(privileges: Iterable[str]) -> list[str]:
    """The privileges as MariaDB names them, sorted, each once: `all  privileges` is ALL, which holds every one but GRANT OPTION."""
    names = {" ".join(privilege.upper().split()) for privilege in privileges} - {_NO_PRIVILEGE}
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


def option_file(options: Mapping[str, str]) -> str:
    """The options as a file that MariaDB's clients read; any value is taken as it is."""
    lines = [f"{key}={_in_option_file(value)}" for key, value in options.items()]
    return "\n".join(["[client]", *lines]) + "\n"


def _in_option_file(value: str) -> str:
    # Inside quotes a `#` begins no comment, and spaces at the ends count.
    for character, written in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r")):
        value = value.replace(character, written)
    return f'"{value}"'


class Server:
    """A MariaDB server, as an account that may create schemas and users. Raises DatabaseError.

    `private`: whether the way to it is one already (a UNIX socket, an SSH channel). Else TLS is used where the server has it.
    """

    def __init__(
        self, name: str, user: str, password: str, dial: Callable[[], socket.socket], *, private: bool = True
    ) -> None:
        self.name = name
        self.user = user
        self._password = password
        self._dial = dial
        self._private = private

    # ------------------------------------------------------------ schemas

    def schema(self, name: str) -> Schema | None:
        """The schema's defaults, or None when there is no such schema."""
        rows = self._rows(
            "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s",
            (name,),
        )
        return Schema(*rows[0]) if rows else None

    def create_schema(self, name: str, schema: Schema) -> None:
        """Makes the schema."""
        self._refuse_name("schema", name, no_name(name))
        self._rows(f"CREATE DATABASE {_quoted(name)} CHARACTER SET %s COLLATE %s", (schema.charset, schema.collation))

    def alter_schema(self, name: str, schema: Schema) -> None:
        """Sets the schema's defaults; tables keep theirs."""
        self._rows(f"ALTER DATABASE {_quoted(name)} CHARACTER SET %s COLLATE %s", (schema.charset, schema.collation))

    def drop_schema(self, name: str) -> None:
        """Drops the schema with all that is in it; one that is gone is fine."""
        self._rows(f"DROP DATABASE IF EXISTS {_quoted(name)}")

    # ------------------------------------------------------------ users

    def password_hashes(self, user: str) -> dict[str, str]:
        """What stands for the user's password at each of its hosts: its hash, or the plugin that asks for something else.

        From 10.4 on mysql.user is a view that has the same columns; in 10.2 and 10.3 the hash may stand in either of two.
        """
        rows = self._rows(
            "SELECT Host, Password, plugin, authentication_string FROM mysql.user WHERE User = %s", (user,)
        )
        return {str(host): _stored(hash_ or "", plugin or "", string or "") for host, hash_, plugin, string in rows}

    def create_user(self, user: str, host: str, password: str) -> None:
        """Makes user@host. 5.5 knows no IF NOT EXISTS: ask password_hashes first."""
        self._refuse_name("user", user, no_name(user))
        self._refuse_name("host", host, no_client_host(host))
        self._rows("CREATE USER %s@%s IDENTIFIED BY PASSWORD %s", (user, host, native_hash(password)))

    def set_password(self, user: str, host: str, password: str) -> None:
        """Sets the password of user@host, which is there; it is then asked for also where a plugin was asked before."""
        # SET PASSWORD refuses a user of another plugin; ALTER USER does not exist in 5.5.
        self._rows("GRANT USAGE ON *.* TO %s@%s IDENTIFIED BY PASSWORD %s", (user, host, native_hash(password)))

    def drop_user(self, user: str, host: str) -> None:
        """Drops user@host; one that is gone is fine."""
        if host in self.password_hashes(user):
            self._rows("DROP USER %s@%s", (user, host))

    def shared(self, user: str, host: str, schema: str) -> bool:
        """Whether user@host has privileges besides those on this schema: globally, or on (something in) another."""
        for row in self._rows("SELECT * FROM mysql.user WHERE User = %s AND Host = %s", (user, host), as_dict=True):
            if any(column.endswith("_priv") and value == "Y" for column, value in row.items()):
                return True
        on_schemas = self._rows("SELECT Db FROM mysql.db WHERE User = %s AND Host = %s", (user, host))
        inside = self._rows(
            "SELECT Db FROM mysql.tables_priv WHERE User = %s AND Host = %s UNION "
            "SELECT Db FROM mysql.columns_priv WHERE User = %s AND Host = %s UNION "
            "SELECT Db FROM mysql.procs_priv WHERE User = %s AND Host = %s",
            (user, host) * 3,
        )
        return bool(
            {str(row[0]) for row in on_schemas} - {_escaped(schema)} or {str(row[0]) for row in inside} - {schema}
        )

    # ------------------------------------------------------------ privileges

    def privileges(self, user: str, host: str, schema: str) -> list[str]:
        """The privileges of user@host on exactly this schema, sorted; [ALL] when it has every one (GRANT OPTION besides).

        A grant on a pattern that other schemas match too (`my_db` without a backslash) is not among them; the server takes the more exact one.
        """
        granted: set[str] = set()
        available: set[str] = set()
        for row in self._rows("SELECT * FROM mysql.db WHERE User = %s AND Host = %s", (user, host), as_dict=True):
            if str(row["Db"]) != _escaped(schema):
                continue
            available |= _privileges_in(row)
            granted |= _privileges_in(column for column, value in row.items() if value == "Y")
        available.discard(GRANT_OPTION)
        if available and available <= granted:
            return sorted({ALL} | (granted - available))
        return sorted(granted)

    @cached_property
    def every_privilege(self) -> frozenset[str]:
        """What ALL stands for on a schema of this server; releases differ."""
        rows = self._rows(
            "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s",
            ("mysql", "db"),
        )
        return frozenset(_privileges_in(str(row[0]) for row in rows) - {GRANT_OPTION})

    def without(self, privileges: Collection[str], others: Collection[str]) -> list[str]:
        """The privileges that are not among the others; ALL holds the single ones. Sorted."""
        rest = set(privileges) - set(others)
        if ALL in others:
            rest &= {GRANT_OPTION}
        elif ALL in rest and set(others) - {GRANT_OPTION}:
            rest = (rest - {ALL}) | (self.every_privilege - set(others))
        return sorted(rest)

    def common(self, privileges: Collection[str], others: Collection[str]) -> list[str]:
        """The privileges that are also among the others; ALL holds the single ones. Sorted."""
        both = set(privileges) & set(others)
        if ALL in privileges and ALL not in others:
            both |= set(others) - {GRANT_OPTION}
        if ALL in others and ALL not in privileges:
            both |= set(privileges) - {GRANT_OPTION}
        return sorted(both)

    def grant(self, user: str, host: str, schema: str, privileges: Collection[str]) -> None:
        """Grants privileges (ALL, SELECT, ..., GRANT OPTION) on the schema to user@host, which is there."""
        options = " WITH GRANT OPTION" if GRANT_OPTION in privileges else ""
        names = [name for name in privileges if name != GRANT_OPTION] or [_NO_PRIVILEGE]
        self._rows(f"GRANT {_privileges(names)} ON {_pattern(schema)}.* TO %s@%s{options}", (user, host))

    def revoke(self, user: str, host: str, schema: str, privileges: Collection[str]) -> None:
        """Takes privileges on the schema away, of which user@host has some."""
        if GRANT_OPTION in privileges:
            self._rows(f"REVOKE GRANT OPTION ON {_pattern(schema)}.* FROM %s@%s", (user, host))
        names = [name for name in privileges if name != GRANT_OPTION]
        if names:
            self._rows(f"REVOKE {_privileges(names)} ON {_pattern(schema)}.* FROM %s@%s", (user, host))

    # ------------------------------------------------------------ asking

    def _refuse_name(self, kind: str, name: str, reason: str) -> None:
        if reason:
            raise DatabaseError(
                f"MariaDB at {self.name}: the {kind} {quoted(name)} is not made: it {reason}. Choose another name."
            )

    def _rows(self, statement: str, values: tuple[Any, ...] = (), *, as_dict: bool = False) -> list[Any]:
        doing = " ".join(statement.split()[:2])
        with self._asked(doing), self._connected(as_dict) as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall())

    @contextmanager
    def _connected(self, as_dict: bool) -> Iterator[Any]:
        connection: Any = pymysql.connect(
            user=self.user,
            password=self._password,
            charset="utf8mb4",
            autocommit=True,
            read_timeout=TIMEOUT_SECONDS,
            write_timeout=TIMEOUT_SECONDS,
            cursorclass=pymysql.cursors.DictCursor if as_dict else pymysql.cursors.Cursor,
            defer_connect=True,
            ssl_disabled=self._private,
        )
        connection.connect(sock=self._dial())
        try:
            with connection.cursor() as cursor:
                yield cursor
        finally:
            connection.close()

    @contextmanager
    def _asked(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (pymysql.MySQLError, OSError) as error:
            said = mask(str(error.args[-1] if error.args else error).strip().rstrip("."), [self._password])
            raise DatabaseError(
                f"MariaDB at {self.name} as {self.user}: {doing} failed: {said}. Check that the server runs, and the account and its "
                "password (databaseAdminPassword)."
            ) from None


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``").replace("%", "%%") + "`"


def _escaped(schema: str) -> str:
    # In GRANT and mysql.db the name of a schema is a pattern: `_` and `%` stand for others unless escaped.
    return schema.replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%")


def _pattern(schema: str) -> str:
    return _quoted(_escaped(schema))


def _stored(hash_: str, plugin: str, string: str) -> str:
    if plugin in ("", "mysql_native_password"):
        return hash_ or string
    return f"plugin {plugin} {string}"


def _privileges_in(columns: Iterable[str]) -> set[str]:
    names = {column.removesuffix("_priv") for column in columns if column.endswith("_priv")}
    return {
        GRANT_OPTION if name == "Grant" else _PRIVILEGE_NAMES.get(name, name.upper().replace("_", " "))
        for name in names
    }


def _privileges(names: Collection[str]) -> str:
    # They cannot be quoted or bound.
    unknown = [name for name in names if not name or set(name) - _LETTERS]
    if unknown:
        raise DatabaseError(
            f"The text {unknown[0]!r} is not the name of a privilege. Correct the privileges of the database's hosts."
        )
    return ", ".join("ALL PRIVILEGES" if name == ALL else name for name in sorted(names))


_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ ")
