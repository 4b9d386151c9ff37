# ruff: noqa: S608 - statements of the test itself
"""Database against a real MariaDB, checked through the server's own client. Everything is applied twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from nova_infra.access import Access
from nova_infra.errors import DatabaseError, Refused, StepFailed
from nova_infra.grants import GRANT_OPTION
from nova_infra.resources.database import DatabaseLifecycle
from tests.nodes import Lab, setting

NOT_THERE = {"found": False, "privileges": [], "asked": [["ALL"]]}
NEW = {"adopted": False, "found": {"schema": {}, "users": {"first'light": {"localhost": NOT_THERE, "%": NOT_THERE}}}}
NAME, USER, PASSWORD = "first_light", "first'light", 'it\'s 100% $ecret\\ "quoted" ünï'


def wanted(**changes: Any) -> dict[str, Any]:
    at = {"privileges": ["ALL"], "password": PASSWORD, "password_works": True}
    return {
        "name": NAME,
        "user": USER,
        "charset": "utf8",
        "collation": "utf8_general_ci",
        "hosts": {"localhost": at, "%": at},
        "on_delete": "drop",
        **changes,
    }


@pytest.fixture
def database(access: Access) -> Iterator[DatabaseLifecycle]:
    lifecycle = DatabaseLifecycle()
    lifecycle.access = access
    yield lifecycle
    lifecycle.remove(wanted())


def grants(lab: Lab, host: str) -> str:
    return "\n".join(row[0] for row in lab.sql(f"SHOW GRANTS FOR 'first\\'light'@'{host}'"))


def grants_without_password(lab: Lab, host: str) -> set[str]:
    # A password cannot be put back.
    return {line.partition(" IDENTIFIED BY")[0] for line in grants(lab, host).splitlines()}


def defaults(lab: Lab) -> list[list[str]]:
    return lab.sql(
        "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA "
        f"WHERE SCHEMA_NAME = '{NAME}'"
    )


def fill(lab: Lab) -> None:
    lab.sql(
        f"USE {NAME};"
        "CREATE TABLE stars (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(40) CHARACTER SET utf8mb4, raw VARBINARY(8)) ENGINE=InnoDB;"
        "CREATE TRIGGER shine BEFORE INSERT ON stars FOR EACH ROW SET NEW.raw = COALESCE(NEW.raw, 0x00FF27);"
        "CREATE PROCEDURE twinkle() SELECT COUNT(*) FROM stars;"
        "INSERT INTO stars (name) VALUES (CONVERT(0xF09F8C9F USING utf8mb4)), ('it\\'s'), (NULL)"
    )


def content(lab: Lab, schema: str) -> list[list[str]]:
    return [
        *lab.sql(f"SELECT id, HEX(name), HEX(raw) FROM {schema}.stars ORDER BY id"),
        *lab.sql(f"SHOW CREATE TABLE {schema}.stars"),
        *lab.sql(
            f"SELECT TRIGGER_NAME, ACTION_STATEMENT FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = '{schema}'"
        ),
        *lab.sql(
            f"SELECT ROUTINE_NAME, ROUTINE_DEFINITION FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = '{schema}'"
        ),
    ]


def logs_in(lab: Lab) -> bool:
    quoted = PASSWORD.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    text = lab.run("controller", f'MYSQL_PWD="{quoted}" mysql -u "{USER}" --batch -e \'SELECT CURRENT_USER()\' {NAME}')
    return USER in text


def test_the_schema_and_the_user_at_both_hosts_are_made_and_made_twice_is_the_same(
    lab: Lab, database: DatabaseLifecycle
) -> None:
    assert database.make(wanted()) == NEW
    assert database.make(wanted()) == NEW
    assert [NAME] in lab.sql("SHOW DATABASES")
    for host in ("localhost", "%"):
        assert "GRANT ALL PRIVILEGES ON `first\\\\_light`.*" in grants(lab, host)
    assert database.look({**wanted(), **NEW}) == ({**wanted(), **NEW}, {**NEW, "remarks": []})


def test_a_password_with_every_kind_of_character_lets_the_user_in(
    lab: Lab, database: DatabaseLifecycle, access: Access
) -> None:
    database.make(wanted())
    assert logs_in(lab)
    login = {"database_user": USER, "database_password": PASSWORD}
    assert Access(lambda key: login.get(key) or access.get(key)).database.schema(NAME)


def test_what_was_changed_behind_our_back_is_seen_and_repaired(lab: Lab, database: DatabaseLifecycle) -> None:
    database.make(wanted())
    lab.sql(f"ALTER DATABASE {NAME} CHARACTER SET latin1 COLLATE latin1_swedish_ci")
    lab.sql("SET PASSWORD FOR 'first\\'light'@'%' = PASSWORD('other')")
    lab.sql("REVOKE ALL PRIVILEGES ON `first\\_light`.* FROM 'first\\'light'@'localhost'")
    lab.sql("GRANT SELECT ON `first\\_light`.* TO 'first\\'light'@'localhost' WITH GRANT OPTION")
    seen = database.look(wanted())
    assert seen is not None
    observed, _ = seen
    assert (observed["charset"], observed["collation"]) == ("latin1", "latin1_swedish_ci")
    missing, more = observed["hosts"]["localhost"]["privileges"]
    assert missing.startswith("ALL (not granted: ALTER, ALTER ROUTINE, CREATE, ")
    assert "SELECT" not in missing
    assert more == "GRANT OPTION (not in the stack)"
    assert observed["hosts"]["localhost"]["password_works"] is True
    assert observed["hosts"]["%"]["privileges"] == ["ALL"]
    assert observed["hosts"]["%"]["password_works"] is False
    database.change(observed, wanted())
    assert database.look({**wanted(), **NEW}) == ({**wanted(), **NEW}, {**NEW, "remarks": []})


def test_a_host_that_the_stack_no_longer_names_loses_the_user(lab: Lab, database: DatabaseLifecycle) -> None:
    database.make(wanted())
    fewer = wanted(hosts={"localhost": {"privileges": ["ALL"], "password": PASSWORD, "password_works": True}})
    database.change(wanted(), fewer)
    assert lab.sql("SELECT Host FROM mysql.user WHERE User = 'first\\'light'") == [["localhost"]]


def test_removing_drops_schema_and_user_and_twice_is_the_same(lab: Lab, database: DatabaseLifecycle) -> None:
    database.make(wanted())
    database.remove(wanted())
    database.remove(wanted())
    assert [NAME] not in lab.sql("SHOW DATABASES")
    assert lab.sql("SELECT Host FROM mysql.user WHERE User = 'first\\'light'") == []
    assert database.look(wanted()) is None


def test_a_user_that_another_schema_shares_is_left(lab: Lab, database: DatabaseLifecycle) -> None:
    database.make(wanted())
    lab.sql("GRANT SELECT ON shared.* TO 'first\\'light'@'%'")
    try:
        database.remove(wanted())
        assert lab.sql("SELECT Host FROM mysql.user WHERE User = 'first\\'light'") == [["%"]]
        assert "first" not in grants(lab, "%").replace("first'light", "")
    finally:
        lab.sql("DROP USER 'first\\'light'@'%'")


def test_what_was_there_before_us_is_put_back(lab: Lab, database: DatabaseLifecycle) -> None:
    lab.sql(
        f"CREATE DATABASE {NAME} CHARACTER SET latin1 COLLATE latin1_german1_ci;"
        "CREATE USER 'first\\'light'@'%' IDENTIFIED BY 'before';"
        "GRANT SELECT, DROP ON `first\\_light`.* TO 'first\\'light'@'%' WITH GRANT OPTION;"
        # Without the backslash it is a grant on every schema that fits the pattern.
        "GRANT UPDATE ON first_light.* TO 'first\\'light'@'%'"
    )
    try:
        granted = grants_without_password(lab, "%")
        at = {"privileges": ["insert", "Select", "create  view"], "password": PASSWORD, "password_works": True}
        mine = wanted(hosts={"%": at, "localhost": at})
        outputs = database.make(mine)
        assert outputs["adopted"] is True
        assert database.make(mine) == outputs
        assert database.look({**mine, **outputs}) == ({**mine, **outputs}, {**outputs, "remarks": []})
        assert "GRANT SELECT, INSERT, CREATE VIEW ON `first\\\\_light`.*" in grants(lab, "%")
        everything = wanted()
        outputs = database.change({**mine, **outputs}, everything)
        assert database.look({**everything, **outputs}) == ({**everything, **outputs}, {**outputs, "remarks": []})
        for _ in range(2):
            database.remove({**everything, **outputs})
            assert defaults(lab) == [["latin1", "latin1_german1_ci"]]
            assert grants_without_password(lab, "%") == granted
            assert lab.sql("SELECT Host FROM mysql.user WHERE User = 'first\\'light'") == [["%"]]
    finally:
        lab.sql(f"DROP DATABASE {NAME}; DROP USER 'first\\'light'@'%'")


def test_a_host_that_the_stack_names_later_may_be_somebodys(lab: Lab, database: DatabaseLifecycle) -> None:
    here = wanted(hosts={"localhost": {"privileges": ["ALL"], "password": PASSWORD, "password_works": True}})
    outputs = database.make(here)
    lab.sql("CREATE USER 'first\\'light'@'%' IDENTIFIED BY 'before'")
    try:
        outputs = database.change({**here, **outputs}, wanted())
        database.remove({**wanted(), **outputs})
        assert lab.sql("SELECT Host FROM mysql.user WHERE User = 'first\\'light'") == [["%"]]
        assert len(grants(lab, "%").splitlines()) == 1
    finally:
        lab.sql("DROP USER 'first\\'light'@'%'")


def test_a_user_with_global_privileges_stays(lab: Lab, database: DatabaseLifecycle) -> None:
    database.make(wanted())
    lab.sql("GRANT PROCESS ON *.* TO 'first\\'light'@'%'")
    try:
        database.remove(wanted())
        assert lab.sql("SELECT Host FROM mysql.user WHERE User = 'first\\'light'") == [["%"]]
        assert NAME not in grants(lab, "%").replace("\\", "")
    finally:
        lab.sql("DROP USER 'first\\'light'@'%'")


def test_a_user_that_logs_in_without_a_password_is_seen_and_gets_ours(lab: Lab, database: DatabaseLifecycle) -> None:
    database.make(wanted())
    lab.sql("ALTER USER 'first\\'light'@'localhost' IDENTIFIED VIA unix_socket")
    seen = database.look(wanted())
    assert seen is not None
    assert seen[0]["hosts"]["localhost"]["password_works"] is False
    database.change(seen[0], wanted())
    assert lab.sql("SELECT DISTINCT plugin FROM mysql.user WHERE User = 'first\\'light'") == [["mysql_native_password"]]
    assert logs_in(lab)


def test_fewer_privileges_are_what_the_server_then_says(lab: Lab, database: DatabaseLifecycle) -> None:
    outputs = database.make(wanted())
    at = {"privileges": ["DELETE", "INSERT", "SELECT", "UPDATE"], "password": PASSWORD, "password_works": True}
    fewer = wanted(hosts={"localhost": at, "%": at})
    outputs = database.change({**wanted(), **outputs}, fewer)
    for host in ("localhost", "%"):
        assert "GRANT SELECT, INSERT, UPDATE, DELETE ON `first\\\\_light`.*" in grants(lab, host)
    assert database.look({**fewer, **outputs}) == ({**fewer, **outputs}, {**outputs, "remarks": []})


def test_a_database_is_dumped_before_it_is_dropped_and_the_dump_restores_it(
    lab: Lab, database: DatabaseLifecycle, capsys: pytest.CaptureFixture[str]
) -> None:
    database.make(wanted())
    fill(lab)
    before = content(lab, NAME)
    for _ in range(2):
        database.remove(wanted(on_delete="dump"))
        assert [NAME] not in lab.sql("SHOW DATABASES")
        assert lab.sql("SELECT Host FROM mysql.user WHERE User = 'first\\'light'") == []
    said = capsys.readouterr().out
    (dump,) = lab.run("controller", f"ls /var/backups/{NAME}-*").split()
    try:
        assert f"controller: dumping the database {NAME}\n" in said
        assert f"controller:   {dump} (" in said
        assert lab.run("controller", f"stat -c %a:%U {dump}").strip() == "600:root"
        password = setting("DB_ROOT_PASS")
        lab.sql("CREATE DATABASE second_light CHARACTER SET utf8")
        lab.run("controller", f"zcat {dump} | MYSQL_PWD={password} mysql -u root second_light")
        assert content(lab, "second_light") == before
    finally:
        lab.run("controller", f"rm {dump}")
        lab.sql("DROP DATABASE IF EXISTS second_light")


def test_without_a_complete_dump_nothing_is_dropped(lab: Lab, database: DatabaseLifecycle) -> None:
    database.make(wanted())
    fill(lab)
    # A view of a table that is gone: mysqldump says so and ends with an error.
    lab.sql(f"CREATE VIEW {NAME}.broken AS SELECT id FROM {NAME}.stars; DROP TABLE {NAME}.stars")
    with pytest.raises(StepFailed, match="nothing was dropped") as failure:
        database.remove(wanted(on_delete="dump"))
    assert "broken" in str(failure.value)
    assert [NAME] in lab.sql("SHOW DATABASES")
    assert len(lab.sql("SELECT Host FROM mysql.user WHERE User = 'first\\'light'")) == 2
    assert lab.run("controller", f"ls /var/backups/{NAME}-* 2>/dev/null || true") == ""


def test_a_schema_with_on_delete_refuse_is_not_dropped(lab: Lab, database: DatabaseLifecycle) -> None:
    database.make(wanted())
    with pytest.raises(Refused, match="set on_delete to drop"):
        database.remove(wanted(on_delete="refuse"))
    assert [NAME] in lab.sql("SHOW DATABASES")


def test_a_wrong_password_of_the_administrator_is_one_sentence_without_it(access: Access) -> None:
    lifecycle = DatabaseLifecycle()
    lifecycle.access = Access(lambda key: "not-the-password" if key == "database_password" else access.get(key))
    with pytest.raises(DatabaseError, match="Access denied") as raised:
        lifecycle.look(wanted())
    assert "databaseAdminPassword" in str(raised.value)
    assert "not-the-password" not in str(raised.value)
    assert setting("DB_ROOT_PASS") not in str(raised.value)


def test_what_an_account_with_few_privileges_may_is_what_the_server_says(lab: Lab, access: Access) -> None:
    account = "'deployer'@'localhost'"
    lab.sql(
        f"CREATE USER {account} IDENTIFIED BY 'few'; GRANT CREATE USER ON *.* TO {account};"
        f"GRANT CREATE, ALTER, SELECT ON `first\\_light`.* TO {account} WITH GRANT OPTION"
    )
    own = {"database_user": "deployer", "database_password": "few"}
    try:
        server = Access(lambda key: own.get(key) or access.get(key)).database
        assert server.own_privileges(NAME) == {"CREATE USER", "CREATE", "ALTER", "SELECT", GRANT_OPTION}
        assert server.own_privileges("another") == {"CREATE USER"}
    finally:
        lab.sql(f"DROP USER {account}")
