"""MariaDB: schemas, users at their hosts, privileges, passwords by their stored hash.

Works with 5.5 (Ubuntu 14.04) and 10.x: no CREATE USER IF NOT EXISTS, no ALTER USER; privileges are read from the grant
tables, which both have. Values are bound; names are quoted. Passwords are sent as hashes, so that no log of the server holds
them.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pymysql
import pymysql.cursors

from .errors import DatabaseError
from .masking import mask

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


@dataclass(frozen=True)
class Schema:
    """A schema's defaults."""

    charset: str
    collation: str


def native_hash(password: str) -> str:
    """What mysql_native_password stores for a password: `*` and 40 hexadecimal digits."""
    inner = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    return "*" + hashlib.sha1(inner, usedforsecurity=False).hexdigest().upper()


def password_matches(stored: str, password: str) -> bool:
    """Whether the stored hash is that of the password."""
    return stored.upper() == native_hash(password)


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
        self._rows(f"CREATE DATABASE {_quoted(name)} CHARACTER SET %s COLLATE %s", (schema.charset, schema.collation))

    def alter_schema(self, name: str, schema: Schema) -> None:
        """Sets the schema's defaults; tables keep theirs."""
        self._rows(f"ALTER DATABASE {_quoted(name)} CHARACTER SET %s COLLATE %s", (schema.charset, schema.collation))

    def drop_schema(self, name: str) -> None:
        """Drops the schema with all that is in it; one that is gone is fine."""
        self._rows(f"DROP DATABASE IF EXISTS {_quoted(name)}")

    # ------------------------------------------------------------ users

    def password_hashes(self, user: str) -> dict[str, str]:
        """The stored hash of the user's password at each of its hosts."""
        return {str(host): str(hash_ or "") for host, hash_ in self._rows(
            "SELECT Host, Password FROM mysql.user WHERE User = %s", (user,)
        )}  # fmt: skip

    def create_user(self, user: str, host: str, password: str) -> None:
        """Makes user@host. 5.5 knows no IF NOT EXISTS: ask password_hashes first."""
        self._rows("CREATE USER %s@%s IDENTIFIED BY PASSWORD %s", (user, host, native_hash(password)))

    def set_password(self, user: str, host: str, password: str) -> None:
        """Sets the password of user@host."""
        self._rows("SET PASSWORD FOR %s@%s = %s", (user, host, native_hash(password)))

    def drop_user(self, user: str, host: str) -> None:
        """Drops user@host; one that is gone is fine."""
        if host in self.password_hashes(user):
            self._rows("DROP USER %s@%s", (user, host))

    def schemas_of(self, user: str, host: str) -> set[str]:
        """The schemas on which user@host has privileges."""
        return {_unescaped(str(row[0])) for row in self._rows(
            "SELECT Db FROM mysql.db WHERE User = %s AND Host = %s", (user, host)
        )}  # fmt: skip

    # ------------------------------------------------------------ privileges

    def privileges(self, user: str, host: str, schema: str) -> list[str]:
        """The privileges of user@host on the whole schema, sorted; [ALL] when it has every one (GRANT OPTION besides)."""
        granted: set[str] = set()
        available: set[str] = set()
        for row in self._rows("SELECT * FROM mysql.db WHERE User = %s AND Host = %s", (user, host), as_dict=True):
            if _unescaped(str(row["Db"])) != schema:
                continue
            for column, value in row.items():
                if not column.endswith("_priv"):
                    continue
                privilege = _privilege(column.removesuffix("_priv"))
                available.add(privilege)
                if value == "Y":
                    granted.add(privilege)
        available.discard(GRANT_OPTION)
        if available and available <= granted:
            return sorted({ALL} | (granted - available))
        return sorted(granted)

    def grant(self, user: str, host: str, schema: str, privileges: Collection[str]) -> None:
        """Grants privileges (ALL, SELECT, ..., GRANT OPTION) on the schema."""
        options = " WITH GRANT OPTION" if GRANT_OPTION in privileges else ""
        names = [name for name in privileges if name != GRANT_OPTION] or ["USAGE"]
        self._rows(f"GRANT {_privileges(names)} ON {_pattern(schema)}.* TO %s@%s{options}", (user, host))

    def revoke(self, user: str, host: str, schema: str, privileges: Collection[str]) -> None:
        """Takes privileges on the schema away."""
        if GRANT_OPTION in privileges:
            self._rows(f"REVOKE GRANT OPTION ON {_pattern(schema)}.* FROM %s@%s", (user, host))
        names = [name for name in privileges if name != GRANT_OPTION]
        if names:
            self._rows(f"REVOKE {_privileges(names)} ON {_pattern(schema)}.* FROM %s@%s", (user, host))

    # ------------------------------------------------------------ asking

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


def _pattern(schema: str) -> str:
    # In GRANT the name of a schema is a pattern: `_` and `%` stand for others unless escaped.
    return _quoted(schema.replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%"))


def _unescaped(pattern: str) -> str:
    return pattern.replace("\\_", "_").replace("\\%", "%").replace("\\\\", "\\")


def _privilege(column: str) -> str:
    return GRANT_OPTION if column == "Grant" else _PRIVILEGE_NAMES.get(column, column.upper().replace("_", " "))


def _privileges(names: Collection[str]) -> str:
    return ", ".join("ALL PRIVILEGES" if name == ALL else name for name in sorted(names))
