"""A MariaDB server: its schemas, users at their hosts, privileges, passwords by their stored hash.

Works with 5.5 (Ubuntu 14.04) and 10.x: no CREATE USER IF NOT EXISTS, no ALTER USER; privileges are read from the grant
tables, which both have. Values are bound; names are quoted. Passwords are sent as hashes, so that no log of the server holds
them.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import pymysql
import pymysql.cursors
import tenacity
from pymysql.constants import CR, ER

from .errors import DatabaseError
from .grants import ALL, GRANT_OPTION, NO_PRIVILEGE, Schema, native_hash, no_client_host, no_name
from .masking import mask
from .remote.script import progress
from .wording import quoted

TIMEOUT_SECONDS = 30
# A server that is being started does not listen yet; connections that are all in use come free again.
PATIENCE_SECONDS = 15.0
PAUSE_SECONDS = 1.0
_NONE_FREE = frozenset({ER.CON_COUNT_ERROR, ER.TOO_MANY_USER_CONNECTIONS})
_NOT_REACHED = frozenset(
    {
        CR.CR_CONNECTION_ERROR,
        CR.CR_CONN_HOST_ERROR,
        CR.CR_SERVER_GONE_ERROR,
        CR.CR_SERVER_LOST,
        ER.SERVER_SHUTDOWN,
    }
)
_NOT_LET_IN = frozenset({ER.ACCESS_DENIED_ERROR, ER.HOST_NOT_PRIVILEGED, ER.HOST_IS_BLOCKED})
_MAY_NOT = frozenset(
    {
        ER.DBACCESS_DENIED_ERROR,
        ER.TABLEACCESS_DENIED_ERROR,
        ER.COLUMNACCESS_DENIED_ERROR,
        ER.SPECIFIC_ACCESS_DENIED_ERROR,
        ER.CANT_CREATE_USER_WITH_GRANT,
    }
)
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
            f"looking for the schema {name}",
            "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s",
            (name,),
        )
        return Schema(*rows[0]) if rows else None

    def create_schema(self, name: str, schema: Schema) -> None:
        """Makes the schema."""
        self._refuse_name("schema", name, no_name(name))
        self._rows(
            f"creating the schema {name}",
            f"CREATE DATABASE {_quoted(name)} CHARACTER SET %s COLLATE %s",
            (schema.charset, schema.collation),
        )

    def alter_schema(self, name: str, schema: Schema) -> None:
        """Sets the schema's defaults; tables keep theirs."""
        self._rows(
            f"changing the schema {name}",
            f"ALTER DATABASE {_quoted(name)} CHARACTER SET %s COLLATE %s",
            (schema.charset, schema.collation),
        )

    def drop_schema(self, name: str) -> None:
        """Drops the schema with all that is in it; one that is gone is fine."""
        self._rows(f"dropping the schema {name}", f"DROP DATABASE IF EXISTS {_quoted(name)}")

    # ------------------------------------------------------------ users

    def password_hashes(self, user: str) -> dict[str, str]:
        """What stands for the user's password at each of its hosts: its hash, or the plugin that asks for something else.

        The user without a name is the anonymous one: anybody.

        From 10.4 on mysql.user is a view that has the same columns; in 10.2 and 10.3 the hash may stand in either of two.
        """
        rows = self._rows(
            f"looking for the {f'user {user}' if user else 'anonymous users'}",
            "SELECT Host, Password, plugin, authentication_string FROM mysql.user WHERE User = %s",
            (user,),
        )
        return {str(host): _stored(hash_ or "", plugin or "", string or "") for host, hash_, plugin, string in rows}

    def create_user(self, user: str, host: str, password: str) -> None:
        """Makes user@host. 5.5 knows no IF NOT EXISTS: ask password_hashes first."""
        self._refuse_name("user", user, no_name(user))
        self._refuse_name("host", host, no_client_host(host))
        self._rows(
            f"creating the user {user}@{host}",
            "CREATE USER %s@%s IDENTIFIED BY PASSWORD %s",
            (user, host, native_hash(password)),
        )

    def set_password(self, user: str, host: str, password: str) -> None:
        """Sets the password of user@host, which is there; it is then asked for also where a plugin was asked before."""
        # SET PASSWORD refuses a user of another plugin; ALTER USER does not exist in 5.5.
        self._rows(
            f"setting the password of the user {user}@{host}",
            "GRANT USAGE ON *.* TO %s@%s IDENTIFIED BY PASSWORD %s",
            (user, host, native_hash(password)),
        )

    def drop_user(self, user: str, host: str) -> None:
        """Drops user@host; one that is gone is fine."""
        if host in self.password_hashes(user):
            self._rows(f"dropping the user {user}@{host}", "DROP USER %s@%s", (user, host))

    def accounts_on(self, schema: str) -> list[tuple[str, str]]:
        """Each user and host, sorted, that was granted something on the schema, on what is in it, or on a pattern that it matches.

        Not among them are those that may do it in every schema.
        """
        return sorted(
            (str(user), str(host))
            for user, host in self._rows(
                f"looking for the users of the schema {schema}",
                "SELECT User, Host FROM mysql.db WHERE %s LIKE Db UNION "
                "SELECT User, Host FROM mysql.tables_priv WHERE Db = %s UNION "
                "SELECT User, Host FROM mysql.columns_priv WHERE Db = %s UNION "
                "SELECT User, Host FROM mysql.procs_priv WHERE Db = %s",
                (schema,) * 4,
            )
        )

    def shared(self, user: str, host: str, schema: str) -> bool:
        """Whether user@host has privileges besides those on this schema: globally, or on (something in) another."""
        doing = f"reading what the user {user}@{host} may do"
        everywhere = "SELECT * FROM mysql.user WHERE User = %s AND Host = %s"
        for row in self._rows(doing, everywhere, (user, host), as_dict=True):
            if any(column.endswith("_priv") and value == "Y" for column, value in row.items()):
                return True
        on_schemas = self._rows(doing, "SELECT Db FROM mysql.db WHERE User = %s AND Host = %s", (user, host))
        inside = self._rows(
            doing,
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
        doing = f"reading the privileges of {user}@{host} on {schema}"
        on_schemas = "SELECT * FROM mysql.db WHERE User = %s AND Host = %s"
        for row in self._rows(doing, on_schemas, (user, host), as_dict=True):
            if str(row["Db"]) != _escaped(schema):
                continue
            available |= _privileges_in(row)
            granted |= _privileges_in(column for column, value in row.items() if value == "Y")
        available.discard(GRANT_OPTION)
        if available and available <= granted:
            return sorted({ALL} | (granted - available))
        return sorted(granted)

    def own_privileges(self, schema: str) -> frozenset[str]:
        """What our own account may on this schema, globally granted or for it; GRANT OPTION when it may grant any of that.

        `CREATE USER` is among them only where it is granted globally. Privileges of a role are not seen.
        """
        doing = f"reading our own privileges on {schema}"
        user, _, host = str(self._rows(doing, "SELECT CURRENT_USER()")[0][0]).rpartition("@")
        rows = self._rows(
            doing,
            "SELECT PRIVILEGE_TYPE, IS_GRANTABLE FROM information_schema.USER_PRIVILEGES WHERE GRANTEE = %s "
            "UNION SELECT PRIVILEGE_TYPE, IS_GRANTABLE FROM information_schema.SCHEMA_PRIVILEGES "
            "WHERE GRANTEE = %s AND %s LIKE TABLE_SCHEMA",
            (f"'{user}'@'{host}'", f"'{user}'@'{host}'", schema),
        )
        granted = {str(privilege) for privilege, _grantable in rows}
        may_grant = any(grantable == "YES" for _privilege, grantable in rows)
        return frozenset(granted | {GRANT_OPTION} if may_grant else granted)

    @cached_property
    def every_privilege(self) -> frozenset[str]:
        """What ALL stands for on a schema of this server; releases differ."""
        rows = self._rows(
            "reading which privileges there are",
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
        names = [name for name in privileges if name != GRANT_OPTION] or [NO_PRIVILEGE]
        self._rows(
            f"granting {', '.join(sorted(privileges))} on {schema} to {user}@{host}",
            f"GRANT {_privileges(names)} ON {_pattern(schema)}.* TO %s@%s{options}",
            (user, host),
        )

    def revoke(self, user: str, host: str, schema: str, privileges: Collection[str]) -> None:
        """Takes privileges on the schema away, of which user@host has some."""
        doing = f"revoking {', '.join(sorted(privileges))} on {schema} from {user}@{host}"
        if GRANT_OPTION in privileges:
            self._rows(doing, f"REVOKE GRANT OPTION ON {_pattern(schema)}.* FROM %s@%s", (user, host))
        names = [name for name in privileges if name != GRANT_OPTION]
        if names:
            self._rows(doing, f"REVOKE {_privileges(names)} ON {_pattern(schema)}.* FROM %s@%s", (user, host))

    # ------------------------------------------------------------ asking

    def _refuse_name(self, kind: str, name: str, reason: str) -> None:
        if reason:
            raise DatabaseError(
                f"MariaDB at {self.name}: the {kind} {quoted(name)} is not made: it {reason}. Choose another name."
            )

    def _rows(self, doing: str, statement: str, values: tuple[Any, ...] = (), *, as_dict: bool = False) -> list[Any]:
        with self._asked(doing), self._connected(as_dict) as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall())

    @contextmanager
    def _connected(self, as_dict: bool) -> Iterator[Any]:
        # Only connecting is tried again: what a statement has done is never guessed.
        trying = tenacity.Retrying(
            stop=tenacity.stop_after_delay(PATIENCE_SECONDS),
            wait=tenacity.wait_fixed(PAUSE_SECONDS),
            retry=tenacity.retry_if_exception(_may_pass),
            before_sleep=self._say_that_it_waits,
            reraise=True,
        )
        connection = trying(self._connect, as_dict)
        try:
            with connection.cursor() as cursor:
                yield cursor
        finally:
            connection.close()

    def _connect(self, as_dict: bool) -> Any:
        connection: Any = pymysql.connect(
            user=self.user,
            # PyMySQL writes a text as Latin-1, MariaDB and its own clients as UTF-8.
            password=self._password.encode(),
            charset="utf8mb4",
            autocommit=True,
            read_timeout=TIMEOUT_SECONDS,
            write_timeout=TIMEOUT_SECONDS,
            cursorclass=pymysql.cursors.DictCursor if as_dict else pymysql.cursors.Cursor,
            defer_connect=True,
            ssl_disabled=self._private,
        )
        connection.connect(sock=self._dial())
        return connection

    def _say_that_it_waits(self, state: tenacity.RetryCallState) -> None:
        if state.attempt_number == 1 and state.outcome and (error := state.outcome.exception()):
            progress(f"MariaDB at {self.name}")(f"{self._said(error)}: trying again for {PATIENCE_SECONDS:.0f} s")

    def _said(self, error: BaseException) -> str:
        said = mask(str(error.args[-1] if error.args else error).strip().rstrip("."), [self._password])
        return f"{said} (error {code})" if (code := _code(error)) else said

    @contextmanager
    def _asked(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (pymysql.MySQLError, OSError) as error:
            raise DatabaseError(
                f"MariaDB at {self.name} as {self.user}: {doing} failed: {self._said(error)}. {_advice(error)}"
            ) from None


def _code(error: BaseException) -> int:
    """The number of an error of MariaDB or its client; 0 when there is none."""
    code = error.args[0] if isinstance(error, pymysql.MySQLError) and error.args else 0
    return code if isinstance(code, int) else 0


def _not_reached(error: BaseException) -> bool:
    return isinstance(error, OSError) or (
        isinstance(error, (pymysql.OperationalError, pymysql.InterfaceError)) and _code(error) in _NOT_REACHED
    )


def _may_pass(error: BaseException) -> bool:
    """Whether a connection may be had a little later."""
    return _not_reached(error) or _code(error) in _NONE_FREE


def _advice(error: BaseException) -> str:
    code = _code(error)
    if code in _NOT_LET_IN:
        return "Check the account (admin_user in nova:database), its password (databaseAdminPassword), and that it may log in from there."
    if code in _MAY_NOT:
        return (
            "The account lacks a privilege (SHOW GRANTS shows those it has): grant it, or name an account that may create schemas and users "
            "(admin_user in nova:database, databaseAdminPassword)."
        )
    if code in _NONE_FREE:
        return (
            f"Its connections were all in use for {PATIENCE_SECONDS:.0f} s: SHOW PROCESSLIST says by whom. End some, or raise max_connections, and run the "
            "same command again."
        )
    if _not_reached(error):
        return "Check that MariaDB runs there, and that it listens where the stack says (host, port and socket in nova:database)."
    return "Look at MariaDB's log; run the same command again when that is put right."


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
