"""What MariaDB is sent for a database: golden cases as data (sql/database.yaml), made by the resource and the client's own code."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any

import pymysql
import pytest
import yaml

from nova_infra.grants import native_hash
from nova_infra.mysql import Server
from nova_infra.resources.database import DatabaseLifecycle

from .servers import Reached
from .test_mysql import PRIVILEGES, Wire, changes

COLUMNS = {
    "5.5": [*(column for column in PRIVILEGES if column != "Delete_history_priv"), "Grant_priv"],
    "10.x": [*PRIVILEGES, "Grant_priv"],
}
# No release of MariaDB before 10.1 knows these.
TOO_NEW = re.compile(r"CREATE USER IF NOT|CREATE OR REPLACE|ALTER USER|DROP USER IF", re.IGNORECASE)
BY_NAME = {name: column for column, name in PRIVILEGES.items()} | {"GRANT OPTION": "Grant_priv"}


def cases() -> list[Any]:
    read = yaml.safe_load((Path(__file__).parent / "sql" / "database.yaml").read_text())
    return [
        pytest.param(case, release, id=f"{case['case']} [{release}]")
        for case in read["cases"]
        for release in COLUMNS
        if case.get("release", release) == release
    ]


class Tables(Wire):
    """A server's grant tables and schemas, as `there` of a case describes them."""

    def __init__(self, there: dict[str, Any], release: str) -> None:
        super().__init__([])
        self.there = {"schemas": {}, "users": {}, **there}
        self.columns = COLUMNS[release]
        self.native = {"5.5": "", "10.x": "mysql_native_password"}[release]

    def answer(self, statement: str) -> list[Any]:
        if "information_schema.SCHEMATA" in statement:
            name = re.search(r"SCHEMA_NAME = '(.*)'$", statement)
            assert name
            defaults = self.there["schemas"].get(name[1].replace("\\'", "'"))
            return [tuple(defaults)] if defaults else []
        if "information_schema.COLUMNS" in statement:
            return [(column,) for column in ["Host", "Db", "User", *self.columns]]
        if not statement.startswith("SELECT"):
            return []
        return self._granted(statement)

    def _granted(self, statement: str) -> list[Any]:
        asked = re.search(r"User = '((?:[^'\\]|\\.)*)'(?: AND Host = '([^']*)')?", statement)
        assert asked, statement
        rows: list[Any] = []
        for name, each in self.there["users"].items():
            user, host = name.split("@")
            if user != asked[1] or asked[2] not in (None, host):
                continue
            if statement.startswith("SELECT Host, Password"):
                stored = native_hash(each["password"]) if "password" in each else ""
                rows.append((host, stored, each.get("plugin", self.native), stored))
            elif "FROM mysql.user" in statement:
                everywhere = {f"{privilege}_priv" for privilege in each.get("everywhere", [])}
                rows.append({f"{column}": "Y" if column in everywhere else "N" for column in ["Process_priv"]})
            elif "FROM mysql.tables_priv" in statement:
                rows += [(schema,) for schema in each.get("tables_in", [])]
            else:
                found = [
                    (schema.replace("_", "\\_"), each["privileges"][schema]) for schema in each.get("privileges", {})
                ]
                whole = statement.startswith("SELECT *")
                rows += [self._row(schema, names) if whole else (schema,) for schema, names in found]
        return rows

    def _row(self, schema: str, names: list[str]) -> dict[str, str]:
        granted = {BY_NAME[name] for name in names if name != "ALL"}
        if "ALL" in names:
            granted |= set(self.columns) - {"Grant_priv"}
        return {"Host": "-", "Db": schema, "User": "-", **{c: "Y" if c in granted else "N" for c in self.columns}}


@pytest.mark.parametrize(("case", "release"), cases())
def test_exactly_these_statements_are_sent_in_this_order(
    case: dict[str, Any], release: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = Tables(case.get("there") or {}, release)
    monkeypatch.setattr(pymysql, "connect", tables.connect)
    database = DatabaseLifecycle()
    reached: Any = Reached()
    reached.database = Server("controller", "root", "", socket.socket)
    database.access = reached
    passwords = {"NOVA_DBPASS", "NEW"}
    if "make" in case:
        database.make(case["make"])
    elif "change" in case:
        known, wanted = case["change"]
        database.change(known, wanted)
    else:
        database.remove({**case["remove"], "found": case.get("found")})
    sent = changes(tables)
    for password in passwords:
        sent = [each.replace(native_hash(password), f"*{password}") for each in sent]
    assert sent == case["statements"]
    assert not [each for each in sent if TOO_NEW.search(each)]
