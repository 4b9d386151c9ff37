"""Database against a real MariaDB, checked through the server's own client. Everything is applied twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from nova_infra.access import Access
from nova_infra.errors import DatabaseError, Refused
from nova_infra.resources.database import DatabaseLifecycle
from tests.nodes import Lab, setting

NAME, USER, PASSWORD = "first_light", "first'light", 'it\'s 100% $ecret\\ "quoted" ünï'


def wanted(**changes: Any) -> dict[str, Any]:
    at = {"privileges": ["ALL"], "password": PASSWORD}
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


def test_the_schema_and_the_user_at_both_hosts_are_made_and_made_twice_is_the_same(
    lab: Lab, database: DatabaseLifecycle
) -> None:
    assert database.make(wanted()) == {"adopted": False, "found_hosts": []}
    assert database.make(wanted()) == {"adopted": False, "found_hosts": []}
    assert [NAME] in lab.sql("SHOW DATABASES")
    for host in ("localhost", "%"):
        assert "GRANT ALL PRIVILEGES ON `first\\\\_light`.*" in grants(lab, host)
    assert database.look(wanted()) == (wanted(), {"adopted": False, "found_hosts": []})


def test_a_password_with_every_kind_of_character_lets_the_user_in(lab: Lab, database: DatabaseLifecycle) -> None:
    database.make(wanted())
    quoted = PASSWORD.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    text = lab.run("controller", f'MYSQL_PWD="{quoted}" mysql -u "{USER}" --batch -e \'SELECT CURRENT_USER()\' {NAME}')
    assert USER in text


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
    assert observed["hosts"]["localhost"]["privileges"] == ["GRANT OPTION", "SELECT"]
    assert observed["hosts"]["localhost"]["password"] == PASSWORD
    assert observed["hosts"]["%"]["privileges"] == ["ALL"]
    assert observed["hosts"]["%"]["password"] != PASSWORD
    database.change(observed, wanted())
    assert database.look(wanted()) == (wanted(), {"adopted": False, "found_hosts": []})


def test_a_host_that_the_stack_no_longer_names_loses_the_user(lab: Lab, database: DatabaseLifecycle) -> None:
    database.make(wanted())
    fewer = wanted(hosts={"localhost": {"privileges": ["ALL"], "password": PASSWORD}})
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


def test_a_schema_that_was_there_before_us_is_adopted_and_stays(lab: Lab, database: DatabaseLifecycle) -> None:
    lab.sql(f"CREATE DATABASE {NAME}")
    try:
        outputs = database.make(wanted())
        assert outputs == {"adopted": True, "found_hosts": []}
        database.remove({**wanted(), **outputs})
        assert [NAME] in lab.sql("SHOW DATABASES")
    finally:
        lab.sql(f"DROP DATABASE {NAME}")


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
