"""What MariaDB is sent. The client's own code makes the statements; only the server is not there."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable
from typing import Any

import pymysql
import pymysql.cursors
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nova_infra import mysql
from nova_infra.errors import DatabaseError
from nova_infra.grants import (
    ALL,
    GRANT_OPTION,
    SCHEMA_PRIVILEGES,
    Schema,
    lacking,
    native_hash,
    normalized,
    password_matches,
)
from nova_infra.mysql import Server, option_file

# The columns of mysql.db and the privileges that they stand for (MariaDB's documentation, "mysql.db Table" and "GRANT").
PRIVILEGES = {
    "Select_priv": "SELECT",
    "Insert_priv": "INSERT",
    "Update_priv": "UPDATE",
    "Delete_priv": "DELETE",
    "Create_priv": "CREATE",
    "Drop_priv": "DROP",
    "References_priv": "REFERENCES",
    "Index_priv": "INDEX",
    "Alter_priv": "ALTER",
    "Create_tmp_table_priv": "CREATE TEMPORARY TABLES",
    "Lock_tables_priv": "LOCK TABLES",
    "Create_view_priv": "CREATE VIEW",
    "Show_view_priv": "SHOW VIEW",
    "Create_routine_priv": "CREATE ROUTINE",
    "Alter_routine_priv": "ALTER ROUTINE",
    "Execute_priv": "EXECUTE",
    "Event_priv": "EVENT",
    "Trigger_priv": "TRIGGER",
    "Delete_history_priv": "DELETE HISTORY",
}
HASH = "*3A70EE9FC6594F88CE9E959CD51C5A1C002DC937"


class Wire:
    """A connection that records each statement as it would be sent, and answers with the given rows."""

    def __init__(self, rows: list[Any]) -> None:
        self.rows = rows
        self.sent: list[str] = []
        self.password = b""
        self.tls = False

    def answer(self, _statement: str) -> list[Any]:
        return self.rows

    def connect(self, **options: Any) -> Any:
        wire, real = self, pymysql.connections.Connection

        class Cursor(pymysql.cursors.Cursor):
            def execute(self, query: str, args: Any = None) -> int:
                wire.sent.append(self.mogrify(query, args))
                return len(self.fetchall())

            def fetchall(self) -> Any:
                return wire.answer(wire.sent[-1])

        class Connection(real):  # type: ignore[misc, valid-type]
            server_status = 0  # what a server says first: no special SQL mode

            def connect(self, sock: Any = None) -> None:
                wire.password, wire.tls, self.dialled = self.password, self.ssl, sock

            def cursor(self, _cursor: Any = None) -> Cursor:
                return Cursor(self)

            def close(self) -> None:
                self.dialled.close()

        return Connection(**options)


def changes(wire: Wire) -> list[str]:
    """What was sent besides questions."""
    return [each for each in wire.sent if not each.startswith("SELECT ")]


Connected = Callable[..., tuple[Server, Wire]]


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> Connected:
    def make(*rows: Any) -> tuple[Server, Wire]:
        wire = Wire(list(rows))
        monkeypatch.setattr(pymysql, "connect", wire.connect)
        return Server("controller", "root", "admin-pass", socket.socket), wire

    return make


@pytest.mark.parametrize("private", [True, False])
def test_tls_is_asked_for_where_the_way_to_the_server_is_not_private(
    monkeypatch: pytest.MonkeyPatch, private: bool
) -> None:
    wire = Wire([])
    monkeypatch.setattr(pymysql, "connect", wire.connect)
    Server("db", "root", "admin-pass", socket.socket, private=private).schema("nova")
    assert wire.tls is not private


# name of a schema: as it stands quoted, and as it stands in GRANT, where it is a pattern
NAMES = [
    pytest.param("nova", "`nova`", "`nova`", id="plain"),
    pytest.param("my_db", "`my_db`", r"`my\_db`", id="an underscore is no wildcard"),
    pytest.param("100%", "`100%`", r"`100\%`", id="a percent sign is no wildcard"),
    pytest.param("a`b", "`a``b`", "`a``b`", id="a backtick is doubled"),
    pytest.param("a%s", "`a%s`", r"`a\%s`", id="what looks like a placeholder"),
    pytest.param("x`; DROP DATABASE y; --", "`x``; DROP DATABASE y; --`", "`x``; DROP DATABASE y; --`", id="hostile"),
]


@pytest.mark.parametrize(("name", "quoted", "_pattern"), NAMES)
def test_a_schema_is_made_changed_and_dropped_by_its_quoted_name(
    connected: Connected, name: str, quoted: str, _pattern: str
) -> None:
    server, wire = connected()
    defaults = Schema("utf8", "utf8_general_ci")
    server.create_schema(name, defaults)
    server.alter_schema(name, defaults)
    server.drop_schema(name)
    assert wire.sent == [
        f"CREATE DATABASE {quoted} CHARACTER SET 'utf8' COLLATE 'utf8_general_ci'",
        f"ALTER DATABASE {quoted} CHARACTER SET 'utf8' COLLATE 'utf8_general_ci'",
        f"DROP DATABASE IF EXISTS {quoted}",
    ]


@pytest.mark.parametrize(("name", "_quoted", "pattern"), NAMES)
def test_grants_are_on_exactly_this_schema(connected: Connected, name: str, _quoted: str, pattern: str) -> None:
    server, wire = connected()
    server.grant("nova", "%", name, [ALL])
    server.revoke("nova", "%", name, ["SELECT", "CREATE VIEW"])
    assert changes(wire) == [
        f"GRANT ALL PRIVILEGES ON {pattern}.* TO 'nova'@'%'",
        f"REVOKE CREATE VIEW, SELECT ON {pattern}.* FROM 'nova'@'%'",  # noqa: S608 - expected, not sent
    ]


def test_the_grant_option_is_granted_with_and_revoked_alone(connected: Connected) -> None:
    server, wire = connected()
    server.grant("nova", "localhost", "nova", [ALL, GRANT_OPTION])
    server.grant("nova", "localhost", "nova", [GRANT_OPTION])
    server.revoke("nova", "localhost", "nova", [GRANT_OPTION, ALL])
    assert changes(wire) == [
        "GRANT ALL PRIVILEGES ON `nova`.* TO 'nova'@'localhost' WITH GRANT OPTION",
        "GRANT USAGE ON `nova`.* TO 'nova'@'localhost' WITH GRANT OPTION",
        "REVOKE GRANT OPTION ON `nova`.* FROM 'nova'@'localhost'",
        "REVOKE ALL PRIVILEGES ON `nova`.* FROM 'nova'@'localhost'",
    ]


@pytest.mark.parametrize("name", ["SELECT ON `x`.* TO y; DROP DATABASE z --", "ALL`", "select", ""])
def test_what_is_no_name_of_a_privilege_is_never_sent(connected: Connected, name: str) -> None:
    server, wire = connected()
    for change in (server.grant, server.revoke):
        with pytest.raises(DatabaseError, match="not the name of a privilege"):
            change("nova", "%", "nova", ["SELECT", name])
    assert changes(wire) == []


def test_a_password_is_sent_as_its_hash(connected: Connected) -> None:
    server, wire = connected()
    server.create_user("nova", "%", "notagoodpwd")
    server.set_password("nova", "%", "notagoodpwd")
    assert wire.sent == [
        f"CREATE USER 'nova'@'%' IDENTIFIED BY PASSWORD '{HASH}'",
        f"GRANT USAGE ON *.* TO 'nova'@'%' IDENTIFIED BY PASSWORD '{HASH}'",
    ]


@pytest.mark.parametrize("user", ["o'brien", 'say "x"', "back\\slash", "100%", "%s"])
def test_a_users_name_is_a_bound_value(connected: Connected, user: str) -> None:
    server, wire = connected()
    server.create_user(user, "10.0.0.%", "x")
    written = user.replace("\\", "\\\\").replace("'", "\\'").replace('"', '\\"')
    assert wire.sent[0].startswith(f"CREATE USER '{written}'@'10.0.0.%' ")


def test_only_a_user_that_is_there_is_dropped(connected: Connected) -> None:
    server, wire = connected(("localhost", HASH, "", ""))
    server.drop_user("nova", "localhost")
    server.drop_user("nova", "%")
    assert [each for each in wire.sent if each.startswith("DROP")] == ["DROP USER 'nova'@'localhost'"]


def test_a_schema_that_is_not_there_is_none(connected: Connected) -> None:
    assert connected()[0].schema("nova") is None
    assert connected(("utf8", "utf8_bin"))[0].schema("nova") == Schema("utf8", "utf8_bin")


# ------------------------------------------------------------ privileges


def row(*granted: str, schema: str = "nova") -> dict[str, str]:
    columns = dict.fromkeys([*PRIVILEGES, "Grant_priv"], "N") | dict.fromkeys(granted, "Y")
    return {"Host": "%", "Db": schema, "User": "nova", **columns}


@pytest.mark.parametrize(("column", "privilege"), PRIVILEGES.items())
def test_each_column_is_named_as_in_grant(connected: Connected, column: str, privilege: str) -> None:
    assert connected(row(column))[0].privileges("nova", "%", "nova") == [privilege]


def test_what_can_be_granted_is_what_the_documentation_names() -> None:
    # The last one came with 11.3.
    assert {*PRIVILEGES.values(), ALL, GRANT_OPTION, "SHOW CREATE ROUTINE"} == SCHEMA_PRIVILEGES


def test_every_privilege_is_all(connected: Connected) -> None:
    assert connected(row(*PRIVILEGES))[0].privileges("nova", "%", "nova") == [ALL]


def test_every_privilege_with_the_grant_option_is_both(connected: Connected) -> None:
    every = row(*PRIVILEGES, "Grant_priv")
    assert connected(every)[0].privileges("nova", "%", "nova") == [ALL, GRANT_OPTION]


def test_all_but_one_are_named_one_by_one_in_order(connected: Connected) -> None:
    some = row(*(column for column in PRIVILEGES if column != "Drop_priv"))
    assert connected(some)[0].privileges("nova", "%", "nova") == sorted(set(PRIVILEGES.values()) - {"DROP"})


def test_a_server_of_another_release_has_other_columns_and_all_of_those_are_all(connected: Connected) -> None:
    old = row(*PRIVILEGES)
    del old["Delete_history_priv"]
    assert connected(old)[0].privileges("nova", "%", "nova") == [ALL]


def test_who_else_may_use_a_schema_is_asked_for_with_its_name_as_a_value(connected: Connected) -> None:
    server, wire = connected(("report", "%"), ("nova", "localhost"))
    assert server.accounts_on("no'va") == [("nova", "localhost"), ("report", "%")]
    (statement,) = wire.sent
    assert "'no\\'va' LIKE Db" in statement


def test_privileges_on_other_schemas_and_on_patterns_do_not_count(connected: Connected) -> None:
    others = [row("Drop_priv", schema=each) for each in ("novaxapi", "nova_api", "nova%")]
    server, _ = connected(row("Select_priv", schema=r"nova\_api"), *others)
    assert server.privileges("nova", "%", "nova_api") == ["SELECT"]
    assert server.privileges("nova", "%", "nova") == []


@settings(max_examples=30, deadline=None)
@given(name=st.text(st.sampled_from("ab_%\\`"), min_size=1, max_size=6))
def test_a_schema_is_found_again_under_the_name_that_was_granted(name: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        wire = Wire([])
        patch.setattr(pymysql, "connect", wire.connect)
        server = Server("controller", "root", "", socket.socket)
        server.grant("nova", "%", name, ["SELECT"])
        stored = wire.sent[0].removeprefix("GRANT SELECT ON `").removesuffix("`.* TO 'nova'@'%'").replace("``", "`")
        wire.rows = [row("Select_priv", schema=stored)]
        assert server.privileges("nova", "%", name) == ["SELECT"]


PRIVILEGE_SETS = [
    pytest.param(["all privileges"], ["ALL"], id="the long name"),
    pytest.param([" All   Privileges ", "select"], ["ALL"], id="all holds the single ones"),
    pytest.param(["ALL", "grant  option"], ["ALL", "GRANT OPTION"], id="but not the grant option"),
    pytest.param(["select", "Insert", "SELECT"], ["INSERT", "SELECT"], id="case, order, doubles"),
    pytest.param(["create temporary\ttables"], ["CREATE TEMPORARY TABLES"], id="spaces"),
    pytest.param(["usage"], [], id="usage is none"),
]


@pytest.mark.parametrize(("written", "meant"), PRIVILEGE_SETS)
def test_privileges_are_a_set_however_they_are_written(written: list[str], meant: list[str]) -> None:
    assert normalized(written) == meant


EVERY = sorted(PRIVILEGES.values())
DIFFERENCES = [
    # granted, others, granted without the others, both
    (["ALL"], ["ALL"], [], ["ALL"]),
    (["ALL", "GRANT OPTION"], ["ALL"], ["GRANT OPTION"], ["ALL"]),
    (["ALL"], [], ["ALL"], []),
    (["ALL"], ["GRANT OPTION"], ["ALL"], []),
    (["ALL"], ["SELECT"], sorted(set(EVERY) - {"SELECT"}), ["SELECT"]),
    (["SELECT"], ["ALL", "GRANT OPTION"], [], ["SELECT"]),
    (["SELECT", "GRANT OPTION"], ["ALL"], ["GRANT OPTION"], ["SELECT"]),
    (["INSERT", "SELECT"], ["DROP", "SELECT"], ["INSERT"], ["SELECT"]),
]


@pytest.mark.parametrize(("granted", "others", "rest", "both"), DIFFERENCES)
def test_all_is_taken_apart_only_where_it_must_be(
    connected: Connected, granted: list[str], others: list[str], rest: list[str], both: list[str]
) -> None:
    server, _ = connected(*((column,) for column in ["Host", "Db", "User", *PRIVILEGES, "Grant_priv"]))
    assert server.without(granted, others) == rest
    assert server.common(granted, others) == both


@pytest.mark.parametrize(
    ("wanted", "granted", "missing"),
    [
        (["ALL"], ["SELECT"], ["ALL"]),
        (["SELECT"], ["ALL"], []),
        (["ALL", "GRANT OPTION"], ["ALL"], ["GRANT OPTION"]),
        (["GRANT OPTION", "SELECT"], ["SELECT"], ["GRANT OPTION"]),
    ],
)
def test_what_is_lacking_is_granted_and_all_stays_one_word(
    wanted: list[str], granted: list[str], missing: list[str]
) -> None:
    assert lacking(wanted, granted) == missing


# ------------------------------------------------------------ a schema's defaults


def test_defaults_are_the_same_in_any_case_and_under_the_name_of_newer_servers() -> None:
    wanted = Schema("UTF8", "utf8_General_ci")
    assert wanted.same_as(Schema("utf8", "utf8_general_ci"))
    assert wanted.same_as(Schema("utf8mb3", "utf8mb3_general_ci"))
    assert not wanted.same_as(Schema("utf8mb4", "utf8mb4_general_ci"))
    assert not wanted.same_as(Schema("utf8", "utf8_bin"))


# ------------------------------------------------------------ option file


@given(value=st.text(st.characters(blacklist_categories=["Cs", "Cc"]) | st.sampled_from("\\\"'# \n\r;[=")))
def test_any_value_in_an_option_file_is_read_as_it_is(value: str) -> None:
    line = option_file({"password": value}).split("\n")
    assert len(line) == 3
    assert read_as_mariadb_does(line[1]) == value


def read_as_mariadb_does(line: str) -> str:
    """The rules of "Configuring MariaDB with Option Files": quotes around a value, escapes, `#` outside quotes."""
    value = line.partition("=")[2]
    assert value[0] == value[-1] == '"'
    escapes = {"n": "\n", "r": "\r", "t": "\t", "s": " ", "b": "\b", "\\": "\\", '"': '"'}
    read, characters = "", iter(value[1:-1])
    for character in characters:
        assert character != '"', "the value would end here"
        read += escapes[next(characters)] if character == "\\" else character
    return read


# ------------------------------------------------------------ passwords


@pytest.mark.parametrize("password", ["pass", "grün", "пароль€"])
def test_the_administrator_logs_in_with_the_password_as_the_servers_own_client_does(
    monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    wire = Wire([])
    monkeypatch.setattr(pymysql, "connect", wire.connect)
    Server("controller", "root", password, socket.socket).schema("nova")
    # UTF-8, of which MariaDB also makes the hash that it compares with; PyMySQL takes Latin-1 for a text.
    assert wire.password == password.encode("utf-8")


STORED = [
    # Password, plugin, authentication_string, and whether the password is the wanted one
    pytest.param(HASH, "", "", True, id="5.5"),
    pytest.param("", "mysql_native_password", HASH, True, id="10.2, 10.3 after IDENTIFIED VIA"),
    pytest.param(HASH, "mysql_native_password", HASH, True, id="10.4 and later: a view"),
    pytest.param("", "unix_socket", "", False, id="no password at all"),
    pytest.param("", "ed25519", HASH, False, id="another kind of hash"),
    pytest.param(HASH, "unix_socket", "", False, id="a hash that nobody asks for"),
    pytest.param(None, None, None, False, id="null"),
]


@pytest.mark.parametrize(("stored", "plugin", "string", "ours"), STORED)
def test_the_stored_hash_is_found_where_each_release_keeps_it(
    connected: Connected, stored: str, plugin: str, string: str, ours: bool
) -> None:
    server, _ = connected(("%", stored, plugin, string))
    assert password_matches(server.password_hashes("nova")["%"], "notagoodpwd") is ours


def test_the_hash_is_the_one_of_mariadbs_documentation() -> None:
    # The example of PASSWORD() in the reference.
    assert native_hash("notagoodpwd") == HASH


@given(password=st.text())
def test_the_hash_is_sha1_of_sha1(password: str) -> None:
    twice = hashlib.new("sha1", hashlib.new("sha1", password.encode("utf-8")).digest()).hexdigest()  # noqa: S324
    assert native_hash(password) == f"*{twice.upper()}"


@given(password=st.text(min_size=1), other=st.text())
def test_a_stored_hash_fits_its_password_only(password: str, other: str) -> None:
    assert password_matches(native_hash(password).lower(), password)
    assert password_matches(native_hash(password), other) == (password == other)
    assert not password_matches("", password)


# ------------------------------------------------------------ errors


def test_a_server_that_refuses_is_quoted_with_its_name_and_the_step_and_without_the_password(
    connected: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, _ = connected()

    def refuse(**_options: Any) -> None:
        raise pymysql.OperationalError(1045, "Access denied for user 'root' (using password admin-pass)")

    monkeypatch.setattr(pymysql, "connect", refuse)
    with pytest.raises(DatabaseError) as error:
        server.drop_schema("nova")
    said = str(error.value)
    assert "MariaDB at controller as root: dropping the schema nova failed: Access denied" in said
    assert "databaseAdminPassword" in said
    assert "admin-pass" not in said
    assert error.value.__suppress_context__


def test_a_server_that_cannot_be_reached_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mysql, "PATIENCE_SECONDS", 0.0)

    def dial() -> socket.socket:
        raise OSError("Connection refused")

    with pytest.raises(DatabaseError, match="as root: looking for the schema nova failed: Connection refused"):
        Server("controller", "root", "x", dial).schema("nova")


def test_only_connecting_is_tried_again_and_a_statement_is_sent_once(
    connected: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mysql, "PAUSE_SECONDS", 0.0)
    server, wire = connected()
    connect, tries = pymysql.connect, []

    def none_free_at_first(**options: Any) -> Any:
        tries.append(1)
        if len(tries) == 1:
            raise pymysql.OperationalError(1040, "Too many connections")
        return connect(**options)

    monkeypatch.setattr(pymysql, "connect", none_free_at_first)
    server.drop_schema("nova")
    assert len(tries) == 2
    assert wire.sent == ["DROP DATABASE IF EXISTS `nova`"]

    def breaks(_statement: str) -> list[Any]:
        raise pymysql.OperationalError(2013, "Lost connection to MySQL server during query")

    monkeypatch.setattr(wire, "answer", breaks)
    with pytest.raises(DatabaseError, match="Lost connection"):
        server.drop_schema("nova")
    assert wire.sent == ["DROP DATABASE IF EXISTS `nova`"] * 2


@pytest.mark.parametrize("code", [1045, 1130, 1142])
def test_an_account_that_is_refused_is_not_tried_again(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    tries = []

    def refuse(**_options: Any) -> Any:
        tries.append(1)
        raise pymysql.OperationalError(code, "no")

    monkeypatch.setattr(pymysql, "connect", refuse)
    with pytest.raises(DatabaseError, match=rf"no \(error {code}\)"):
        Server("controller", "root", "x", socket.socket).schema("nova")
    assert len(tries) == 1
