"""The version of nova's schema as a node says it, by a real sh; only nova-manage and dpkg are stand-ins."""

from __future__ import annotations

from pathlib import Path

import pytest

from nova_infra.remote.script import Call, call

from .test_script import run

MIGRATIONS = "/usr/lib/python2.7/dist-packages/nova/db/sqlalchemy/migrate_repo/versions"


@pytest.mark.parametrize(
    ("said", "migrations", "schema"),
    [
        ("echo 267", ["216_havana", "267_instance_uuid_non_nullable"], ("267", "267")),
        ("echo 250", ["216_havana", "267_instance_uuid_non_nullable"], ("250", "267")),
        # What nova-manage says of a schema without a single table.
        ("echo 215", ["216_havana", "267_instance_uuid_non_nullable"], ("0", "267")),
        ("echo 0", ["216_havana"], ("0", "216")),
        ("echo 9", ["008_first", "010_last"], ("9", "10")),
        ("echo 267", [], ("267", "0")),
        ("exit 1", ["216_havana"], ("unknown", "216")),
    ],
)
def test_a_schema_before_its_first_migration_is_empty(
    tmp_path: Path, said: str, migrations: list[str], schema: tuple[str, str]
) -> None:
    for name, script in {"su": said, "dpkg": "\n".join(f"echo {MIGRATIONS}/{each}.py" for each in migrations)}.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    status, fields, complaint = run(Call(f"PATH={tmp_path}:$PATH"), call("read_schema"))
    assert status == 0, complaint
    assert [each[2:] for each in fields if each[:2] == ("fact", "schema")] == [schema]
