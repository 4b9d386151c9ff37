# ruff: noqa: S608 - statements of the test itself
"""200 hostile values through a real shell, MariaDB and Keystone: they arrive as they are or are refused, and never run.

They are the same in each run; tests/hostile.py says how to try others.
"""

from __future__ import annotations

import base64
import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from nova_infra.access import Access
from nova_infra.catalog import no_name, no_text
from nova_infra.errors import DatabaseError, IdentityError, UnsupportedValue
from nova_infra.grants import Schema
from nova_infra.identity import Identity
from nova_infra.mysql import Server
from nova_infra.remote.script import Call, call, decoded
from tests.hostile import sample
from tests.nodes import Lab

pytestmark = pytest.mark.lab

FOLDER = "/var/tmp/nova-infra-hostile"  # noqa: S108 - on a node
# What no login, schema or record of the lab begins with.
MARK = "hostile"


@pytest.fixture(scope="module")
def values() -> list[str]:
    return sample(200)


# ------------------------------------------------------------ the shell


def carried_by_a_shell(value: str) -> bool:
    return "\0" not in value


def is_a_file_name(value: str) -> bool:
    return "/" not in value and len(value.encode()) < 200


def on_the_controller(access: Access, calls: list[Call]) -> Any:
    assert access.controller is not None
    here = Call(f"mkdir -p {FOLDER}/there; cd {FOLDER}/there; ours={FOLDER}/ours")
    return access.controller.run([here, *calls], doing="trying hostile values", deadline=300)


@pytest.fixture
def folder(lab: Lab) -> Iterator[None]:
    lab.run("controller", f"rm -rf {FOLDER}")
    yield
    lab.run("controller", f"rm -rf {FOLDER}")


def files_of(lab: Lab) -> dict[str, bytes]:
    """The files in the folder as tar(1) sees them, byte for byte."""
    packed = base64.b64decode(lab.run("controller", f"tar -C {FOLDER} -cf - there | base64"))
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        return {
            each.name.removeprefix("there/"): file.read()
            for each in archive
            if each.isfile() and (file := archive.extractfile(each))
        }


@pytest.mark.usefixtures("folder")
def test_arguments_paths_and_contents_reach_a_node_as_they_are(lab: Lab, access: Access, values: list[str]) -> None:
    for value in values:
        if not carried_by_a_shell(value):
            with pytest.raises(UnsupportedValue):
                on_the_controller(access, [call("put_file", "x", "root", "root", "600", value)])
    sent = [value for value in values if carried_by_a_shell(value)]
    wanted = {f"{number}": value for number, value in enumerate(sent)}
    # Half of them name the file too.
    wanted |= {f"n{value}": value for value in sent[::2] if is_a_file_name(value)}
    puts = [
        call("put_file", f"{FOLDER}/there/{name}", "root", "root", "600", content) for name, content in wanted.items()
    ]
    notes = [
        call("write_note", f"user.{quote(value, safe='')}", value) for value in sent if len(quote(value, safe="")) < 200
    ]
    shown = Call('shown() { fact shown "$(printf %s. "$1" | encoded)"; }')
    answer = on_the_controller(
        access,
        [
            *puts,
            *(call("read_file", f"{FOLDER}/there/{number}") for number in range(len(sent))),
            *notes,
            *(call("read_note", each.arguments[0]) for each in notes),
            shown,
            *(call("shown", value) for value in sent),
        ],
    )
    assert files_of(lab) == {name: content.encode() for name, content in wanted.items()}
    assert [decoded(fact[-1]) for fact in answer.all("file")] == sent
    assert [decoded(fact[1]) for fact in answer.all("note")] == [each.arguments[1] for each in notes]
    assert [decoded(fact[0]) for fact in answer.all("shown")] == [f"{value}." for value in sent]


# ------------------------------------------------------------ MariaDB


class OneConnection(Server):
    """Asks all in one connection: what it asks is the same."""

    kept: Any = None

    @contextmanager
    def _connected(self, as_dict: bool) -> Iterator[Any]:
        if self.kept is None:
            connected = super()._connected(as_dict)
            cursor = connected.__enter__()
            self.kept = connected
            self.cursor = cursor
        yield self.cursor

    def close(self) -> None:
        if self.kept is not None:
            self.kept.__exit__(None, None, None)


@pytest.fixture
def server(access: Access, lab: Lab) -> Iterator[OneConnection]:
    given = access.database
    server = OneConnection(given.name, given.user, given._password, given._dial)
    yield server
    for (schema,) in server._rows("tidying up", "SHOW DATABASES"):
        if schema.startswith(MARK):
            server.drop_schema(schema)
    for user, host in server._rows("tidying up", "SELECT User, Host FROM mysql.user"):
        if user.startswith(MARK):
            server._rows("tidying up", "DROP USER %s@%s", (user, host))
    server.close()
    assert lab.sql(f"SELECT User FROM mysql.user WHERE User LIKE '{MARK}%'") == []


def texts(rows: list[list[str]]) -> set[tuple[str, ...]]:
    """Rows of HEX(...) as texts."""
    return {tuple(bytes.fromhex(cell).decode() for cell in row) for row in rows}


def test_names_reach_mariadb_as_they_are_or_are_refused(lab: Lab, server: OneConnection, values: list[str]) -> None:
    schemas, users, refused = set(), {}, []
    for value in values:
        name = MARK + value
        try:
            server.create_schema(name, Schema("utf8", "utf8_general_ci"))
            schemas.add(name)
        except DatabaseError as error:
            refused.append(str(error))
        try:
            # A password may be any text.
            server.create_user(name, "localhost", value or "x")
            server.grant(name, "localhost", name if name in schemas else MARK, ["SELECT"])
            users[name] = value or "x"
        except DatabaseError as error:
            refused.append(str(error))
    seen = texts(lab.sql(f"SELECT HEX(SCHEMA_NAME) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE '{MARK}%'"))
    assert seen == {(name,) for name in schemas}
    rows = lab.sql(
        "SELECT HEX(u.User), HEX(u.Host), HEX(d.Db) FROM mysql.user u JOIN mysql.db d ON u.User = d.User AND u.Host = d.Host "
        f"WHERE u.User LIKE '{MARK}%'"
    )
    pattern = {name: name.replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%") for name in users}
    assert texts(rows) == {(name, "localhost", pattern[name] if name in schemas else MARK) for name in users}
    # The server's own function makes the same of each password.
    hashes = lab.sql(f"SELECT HEX(User), authentication_string FROM mysql.user WHERE User LIKE '{MARK}%'")
    made = lab.sql(";".join(f"SELECT PASSWORD(X'{users[name].encode().hex()}')" for name in users))
    stored = {bytes.fromhex(row[0]).decode(): row[1] for row in hashes}
    assert [stored[name] for name in users] == [row[0] for row in made]
    for value in values:
        # Without a mark: of some hosts MariaDB would make `%`.
        try:
            server.create_user(f"{MARK}host", value, "x")
        except DatabaseError as error:
            refused.append(str(error))
        else:
            assert texts(lab.sql(f"SELECT HEX(Host) FROM mysql.user WHERE User = '{MARK}host'")) == {(value,)}
            server.drop_user(f"{MARK}host", value)
        with pytest.raises(DatabaseError):
            server.grant(MARK, "localhost", MARK, [value.lower() or "x"])
    assert len(schemas) > 100
    assert len(users) > 100
    assert all(text.startswith("MariaDB at ") and text.endswith(".") for text in refused)


# ------------------------------------------------------------ Keystone


def gives_a_token(keystone: Identity, name: str, password: str) -> bool:
    """Whether Keystone lets the user in; a tenant is not asked for."""
    body = {"auth": {"passwordCredentials": {"username": name, "password": password}}}
    done = keystone.session.post(f"{keystone.url}/tokens", json=body, authenticated=False, raise_exc=False)
    return bool(done.status_code == 200)


# Keystone's own rule (keystone.common.utils.check_endpoint_url): it fills in `%(tenant_id)s` by the formatting of its Python.
FORMAT = """
import base64, json
for url in json.loads(base64.b64decode('URLS')):
    try:
        url.replace('$(', '%(') % {'tenant_id': '', 'user_id': ''}
    except (KeyError, TypeError, ValueError):
        print(json.dumps(url))
"""


def malformed(lab: Lab, urls: list[str]) -> set[str]:
    """Those of the URLs that Keystone refuses."""
    carried = base64.b64encode(json.dumps(urls).encode()).decode()
    printed = lab.run("controller", f"python2.7 - <<'PYTHON'\n{FORMAT.replace('URLS', carried)}\nPYTHON")
    return {json.loads(line) for line in printed.splitlines()}


@dataclass
class Records:
    """What Keystone is asked to make: a record carries several texts, because 200 of them each alone would take minutes."""

    users: list[tuple[str, str]]
    services: list[tuple[str, str, str]]
    endpoints: list[tuple[str, str, str]]

    @classmethod
    def of(cls, values: list[str]) -> Records:
        each = [values[first::8] for first in range(8)]
        return cls(
            [(MARK + name, email) for name, email in zip(*each[:2], strict=True)],
            [(MARK + name, MARK + kind, about) for name, kind, about in zip(*each[2:5], strict=True)],
            [tuple(f"http://hostile/{value}" for value in urls) for urls in zip(*each[5:], strict=True)],
        )

    def taken(self, lab: Lab) -> Records:
        """Those of which neither we nor Keystone say anything."""
        refused = malformed(lab, [url for urls in self.endpoints for url in urls])
        return Records(
            [each for each in self.users if not (no_name(each[0]) or no_text(each[1]))],
            [each for each in self.services if not any(map(no_text, each))],
            [each for each in self.endpoints if not any(no_text(url) or url in refused for url in each)],
        )


def test_texts_reach_keystone_as_they_are_or_are_refused(lab: Lab, access: Access, values: list[str]) -> None:
    keystone = access.identity
    asked = Records.of(values)
    taken = asked.taken(lab)
    refused: list[str] = []
    users: dict[str, tuple[str, str]] = {}
    passwords: dict[str, str] = {}
    services: dict[str, tuple[str, str, str]] = {}
    endpoints: dict[str, tuple[str, str, str]] = {}
    try:
        for record, value in zip(asked.users, values[0::8], strict=True):
            try:
                made = keystone.create_user(record[0], value or "x", record[1], True).id
                users[made], passwords[made] = record, value or "x"
            except IdentityError as error:
                refused.append(str(error))
        for record in asked.services:
            try:
                services[keystone.create_service(*record).id] = record
            except IdentityError as error:
                refused.append(str(error))
        assert list(services.values()) == taken.services
        service = keystone.create_service(MARK, MARK, "").id
        services[service] = (MARK, MARK, "")
        for urls in asked.endpoints:
            try:
                endpoints[keystone.create_endpoint(service, "regionOne", *urls).id] = urls
            except IdentityError as error:
                refused.append(str(error))
        # All others are taken.
        assert list(users.values()) == taken.users
        assert list(endpoints.values()) == taken.endpoints

        def listed(path: str, key: str) -> dict[str, Any]:
            records = keystone.session.get(f"{keystone.url}{path}").json()[key]
            return {each["id"]: each for each in records}

        there = listed("/users", "users")
        assert {id_: (there[id_]["name"], there[id_].get("email") or "") for id_ in users} == users
        lets_in = {id_ for id_, (name, _) in users.items() if gives_a_token(keystone, name, passwords[id_])}
        assert lets_in == users.keys()
        there = listed("/OS-KSADM/services", "OS-KSADM:services")
        seen = {id_: (there[id_]["name"], there[id_]["type"], there[id_]["description"] or "") for id_ in services}
        assert seen == services
        there = listed("/endpoints", "endpoints")
        seen = {id_: tuple(there[id_][key] for key in ("publicurl", "internalurl", "adminurl")) for id_ in endpoints}
        assert seen == endpoints
    finally:
        for each in users:
            keystone.delete_user(each)
        for each in services:
            keystone.delete_service(each)
    # Of 25 each.
    assert min(len(users), len(services), len(endpoints)) > 15
    assert all(text.startswith("Keystone at ") and text.endswith(".") for text in refused)
