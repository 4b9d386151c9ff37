"""What is printed when Keystone, MariaDB or the compute API refuses. Keystone's and MariaDB's causes are made to happen and put right again.

There is no nova here: what it answers when it is in trouble is played. A real one that says 500 is in tests/lab/deployment/test_drift_report.py.

A test compares with its row in docs/errors.md, and looks for the secrets that were there to be printed.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pymysql
import pytest

from nova_infra import mysql
from nova_infra.access import Access
from nova_infra.checks import database
from nova_infra.errors import ComputeError, DatabaseError, IdentityError, NovaInfraError
from nova_infra.remote import http
from nova_infra.resources.database import DatabaseLifecycle
from nova_infra.resources.keystone_user import KeystoneUserLifecycle
from tests.error_rows import assert_printed
from tests.nodes import Lab, eventually, setting
from tests.unit.test_settings import parsed

SECRET = "lab-hunter2-secret"
# Of the stack, and of these tests.
SECRETS = (SECRET, setting("DB_ROOT_PASS"), setting("ADMIN_PASS"))
USER: dict[str, Any] = {
    "name": "novainfratest",
    "password": SECRET,
    "tenant": "service",
    "roles": ["admin"],
    "email": "",
    "enabled": True,
    "default_tenant": "",
}
DATABASE: dict[str, Any] = {
    "name": "novainfratest",
    "user": "novainfratest",
    "charset": "utf8",
    "collation": "utf8_general_ci",
    "hosts": {"localhost": {"privileges": ["ALL"], "password": SECRET}},
    "on_delete": "drop",
}


def printed(work: Callable[[], object], kind: type[NovaInfraError]) -> str:
    """What a user reads when this fails: no secret, no traceback."""
    with pytest.raises(kind) as raised:
        work()
    text = str(raised.value)
    assert [secret for secret in SECRETS if secret in text] == []
    assert "Traceback" not in text
    return text


def with_(access: Access, **changes: str) -> Access:
    """The same access with other settings."""
    return Access(lambda key: changes.get(key, access.get(key)))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not answer is asked twice, and not for some seconds."""
    monkeypatch.setattr(mysql, "PATIENCE_SECONDS", 1.0)
    monkeypatch.setattr(http, "CONNECT_RETRIES", 1)


# ------------------------------------------------------------ Keystone


def make_user(access: Access, **changes: Any) -> str:
    """What is printed when the user cannot be made."""
    lifecycle = KeystoneUserLifecycle()
    lifecycle.access = access
    return printed(lambda: lifecycle.make({**USER, **changes}), IdentityError)


def test_a_keystone_that_does_not_accept_the_administrators_password(access: Access) -> None:
    assert_printed("Keystone refuses the administrator", make_user(with_(access, identity_password=f"{SECRET}-2")))


def test_a_keystone_that_an_account_asks_which_is_no_administrator(lab: Lab, access: Access) -> None:
    lab.openstack(f"keystone user-create --name novainfratest --pass {SECRET} --tenant service >/dev/null")
    try:
        account = {"identity_username": "novainfratest", "identity_password": SECRET, "identity_tenant": "service"}
        assert_printed("Keystone: no administrator", make_user(with_(access, **account)))
    finally:
        lab.openstack("keystone user-delete novainfratest")


def test_a_keystone_that_does_not_run(lab: Lab, access: Access) -> None:
    lab.inside("controller", "service keystone stop")
    try:
        assert_printed("Keystone does not run", make_user(with_(access)))
    finally:
        lab.inside("controller", "service keystone start")
        assert eventually(lambda: listens(lab))


def listens(lab: Lab) -> bool:
    return ":35357 " in lab.inside("controller", "ss -ltn")


def test_a_keystone_that_is_started_meanwhile_is_waited_for(
    lab: Lab, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "CONNECT_RETRIES", 5)
    lab.inside("controller", "service keystone stop")
    try:
        starting = threading.Timer(1.0, lab.inside, ("controller", "service keystone start"))
        starting.start()
        assert with_(access).identity.tenant_id("service")
        starting.join()
    finally:
        lab.inside("controller", "service keystone start")


def test_a_keystone_whose_name_the_controller_does_not_know(access: Access) -> None:
    url = "http://no-such-server:35357/v2.0"
    assert_printed("Keystone's name is unknown", make_user(with_(access, identity_url=url)))


def test_a_keystone_that_has_lost_its_tables(lab: Lab, access: Access) -> None:
    lab.sql("RENAME TABLE keystone.role TO keystone.role_away")
    try:
        assert_printed("Keystone answers 500", make_user(with_(access)))
    finally:
        lab.sql("RENAME TABLE keystone.role_away TO keystone.role")


def test_a_tenant_that_is_not_there(access: Access) -> None:
    assert_printed("No such tenant", make_user(access, tenant="nowhere"))


def test_a_role_that_is_not_there(access: Access) -> None:
    assert_printed("No such role", make_user(access, roles=["nobody"]))


# ------------------------------------------------------------ MariaDB


def make_database(access: Access) -> str:
    """What is printed when the database cannot be made."""
    lifecycle = DatabaseLifecycle()
    lifecycle.access = access
    return printed(lambda: lifecycle.make(DATABASE), DatabaseError)


def test_a_mariadb_that_does_not_accept_the_password(access: Access) -> None:
    assert_printed("MariaDB refuses the password", make_database(with_(access, database_password=f"{SECRET}-2")))


def test_a_mariadb_that_does_not_let_the_account_in_from_there(lab: Lab, access: Access) -> None:
    # root may log in at localhost only.
    assert_printed("MariaDB refuses the host", make_database(with_(access, database_host=lab.address("controller"))))


def test_a_mariadb_whose_socket_is_not_there(access: Access) -> None:
    assert_printed("MariaDB's socket is not there", make_database(with_(access, database_socket="/run/mysqld/no.sock")))


def test_a_mariadb_that_does_not_listen(access: Access) -> None:
    there = with_(access, database_host="controller", database_port="3307")
    assert_printed("MariaDB does not listen", make_database(there))


@contextlib.contextmanager
def all_connections_taken(access: Access) -> Iterator[Callable[[], None]]:
    """MariaDB has no connection free, until what this yields is called. Other clients of the lab's server wait meanwhile."""

    def connect() -> pymysql.Connection[Any]:
        assert access.controller is not None
        password = access.get("database_password")
        connection = pymysql.connect(user="root", password=password, defer_connect=True)
        connection.connect(sock=access.controller.reach_unix("/var/run/mysqld/mysqld.sock"))
        return connection

    first = connect()
    taken: list[Any] = []

    def free() -> None:
        while taken:
            taken.pop().close()

    with first.cursor() as cursor:
        cursor.execute("SELECT @@max_connections")
        ((before,),) = cursor.fetchall()
        # The least that it takes.
        cursor.execute("SET GLOBAL max_connections = 10")
        try:
            with contextlib.suppress(pymysql.OperationalError):
                while len(taken) < 20:
                    taken.append(connect())
            yield free
        finally:
            cursor.execute("SET GLOBAL max_connections = %s", (before,))
            free()
            first.close()


def test_a_mariadb_without_a_free_connection(access: Access) -> None:
    with all_connections_taken(access):
        assert_printed("MariaDB has too many connections", make_database(access))


def test_a_mariadb_whose_connections_come_free_is_waited_for(
    access: Access, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(mysql, "PATIENCE_SECONDS", 20.0)
    with all_connections_taken(access) as free:
        ending = threading.Timer(0.5, free)
        ending.start()
        assert access.database.schema("information_schema") is not None
        ending.join()
    assert "Too many connections (error 1040): trying again for 20 s" in capsys.readouterr().out


ADMIN = "novainfraadmin"


@pytest.fixture
def lesser_admin(lab: Lab) -> Iterator[Callable[[str], None]]:
    """An account that is made with the grants that are asked for."""

    def make(grants: str) -> None:
        lab.sql(f"CREATE USER {ADMIN}@localhost IDENTIFIED BY '{SECRET}'; {grants}")

    yield make
    lab.sql(f"DROP USER IF EXISTS {ADMIN}@localhost, novainfratest@localhost; DROP DATABASE IF EXISTS novainfratest")


def test_an_administrator_of_mariadb_that_may_not_read_the_accounts(
    access: Access, lesser_admin: Callable[[str], None]
) -> None:
    lesser_admin(f"GRANT CREATE ON *.* TO {ADMIN}@localhost")
    account = with_(access, database_user=ADMIN, database_password=SECRET)
    try:
        assert_printed("MariaDB: the account may not read", make_database(account))
    finally:
        access.forget_note("database.novainfratest")


def test_an_administrator_of_mariadb_that_may_not_grant(access: Access, lesser_admin: Callable[[str], None]) -> None:
    lesser_admin(f"GRANT CREATE, CREATE USER, SELECT, RELOAD ON *.* TO {ADMIN}@localhost")
    account = with_(access, database_user=ADMIN, database_password=SECRET)
    try:
        assert_printed("MariaDB: the account may not grant", make_database(account))
    finally:
        access.forget_note("database.novainfratest")


def lacking(account: Access, *privileges: str) -> list[str]:
    """What `check` says of an account, where nova's user is to have these privileges."""
    values = {"name": "novainfratest", "user": "novainfratest", "hosts": {"localhost": list(privileges)}}
    settings = parsed({"database": {**values, "admin_user": ADMIN}})
    found = database.findings(settings, database.ask(account.database, settings), managed=False)
    assert {each.subject for each in found} <= {"grants"}
    return [each.what for each in found]


@pytest.mark.parametrize(
    ("grants", "missing"),
    [
        ("GRANT SELECT ON mysql.* TO {}", "ALTER, CREATE, CREATE USER, GRANT OPTION, INSERT, SELECT"),
        # What it may on another schema does not help.
        (
            "GRANT CREATE USER, SELECT ON *.* TO {}; GRANT ALL ON novainfratest2.* TO {} WITH GRANT OPTION",
            "ALTER, CREATE, GRANT OPTION, INSERT",
        ),
        ("GRANT CREATE USER, SELECT ON *.* TO {}; GRANT CREATE, ALTER, INSERT ON `novainfra%`.* TO {}", "GRANT OPTION"),
    ],
)
def test_check_names_the_privileges_that_the_administrators_account_lacks(
    access: Access, lesser_admin: Callable[[str], None], grants: str, missing: str
) -> None:
    lesser_admin(grants.replace("{}", f"{ADMIN}@localhost"))
    account = with_(access, database_user=ADMIN, database_password=SECRET)
    schema = "which `up` needs for the schema novainfratest and its user"
    assert lacking(account, "SELECT", "INSERT") == [f"the account {ADMIN} lacks {missing}, {schema}"]


def test_an_account_of_which_check_says_nothing_makes_the_database(
    lab: Lab, access: Access, lesser_admin: Callable[[str], None]
) -> None:
    lesser_admin(
        f"GRANT CREATE USER ON *.* TO {ADMIN}@localhost; GRANT SELECT ON mysql.* TO {ADMIN}@localhost; "
        f"GRANT CREATE, ALTER, SELECT, INSERT ON novainfratest.* TO {ADMIN}@localhost WITH GRANT OPTION"
    )
    account = with_(access, database_user=ADMIN, database_password=SECRET)
    assert lacking(account, "SELECT", "INSERT") == []
    lifecycle = DatabaseLifecycle()
    lifecycle.access = account
    hosts = {"localhost": {"privileges": ["SELECT", "INSERT"], "password": SECRET}}
    try:
        lifecycle.make({**DATABASE, "hosts": hosts})
        lifecycle.make({**DATABASE, "hosts": hosts})
    finally:
        access.forget_note("database.novainfratest")
    (granted,) = lab.sql("SELECT Select_priv, Insert_priv, Update_priv FROM mysql.db WHERE User = 'novainfratest'")
    assert granted == ["Y", "Y", "N"]


# ------------------------------------------------------------ the compute API

PORT = 8799
# Answers what nova-api answers (nova.api.openstack.FaultWrapper and keystonemiddleware's 401), whatever it is asked.
API = """
import http.server, json
class API(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status = int(self.path.split('/')[1])
        said = {{"computeFault": {{"message": "Unexpected API Error. password = {secret}", "code": 500}}}}
        body = json.dumps(said).encode() if status == 500 else b"Authentication required"
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if status == 500 else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", {port}), API).serve_forever()
"""


@pytest.fixture
def api(lab: Lab) -> Iterator[None]:
    """Something on the controller that answers as a compute API in trouble does."""
    lab.inside(
        "controller",
        f"cat >/run/novainfratest-api.py <<'PYTHON'\n{API.format(port=PORT, secret=SECRET)}\nPYTHON\n"
        "setsid python3 /run/novainfratest-api.py </dev/null >/dev/null 2>&1 & echo $! >/run/novainfratest-api.pid",
    )
    assert eventually(lambda: str(PORT) in lab.inside("controller", "ss -ltn"), seconds=10)
    yield
    lab.inside("controller", "kill $(cat /run/novainfratest-api.pid); rm -f /run/novainfratest-api.*")


@contextlib.contextmanager
def endpoint(lab: Lab, url: str) -> Iterator[None]:
    """A compute API at this URL in Keystone's catalog."""
    made = lab.openstack(
        "service=$(keystone service-create --name nova --type compute | awk '/ id / {print $4}')\n"
        f"keystone endpoint-create --service-id $service --region regionOne --publicurl {url} --internalurl {url} --adminurl {url} >/dev/null\n"
        "echo $service"
    ).strip()
    try:
        yield
    finally:
        lab.openstack(f"keystone service-delete {made}")


def ask_nova(access: Access) -> str:
    """What is printed when nova's services cannot be listed."""
    return printed(with_(access).compute.services, ComputeError)


def test_a_compute_api_that_does_not_accept_the_token(lab: Lab, access: Access, api: None) -> None:
    with endpoint(lab, f"http://127.0.0.1:{PORT}/401"):
        assert_printed("The compute API answers 401", ask_nova(access))


def test_a_compute_api_that_fails(lab: Lab, access: Access, api: None) -> None:
    with endpoint(lab, f"http://127.0.0.1:{PORT}/500"):
        assert_printed("The compute API answers 500", ask_nova(access))


def test_a_compute_api_that_does_not_run(lab: Lab, access: Access) -> None:
    with endpoint(lab, f"http://127.0.0.1:{PORT}/v2"):
        assert_printed("The compute API does not run", ask_nova(access))


def test_a_compute_api_that_is_not_in_the_catalog(access: Access) -> None:
    assert_printed("The compute API is not in the catalog", ask_nova(access))
