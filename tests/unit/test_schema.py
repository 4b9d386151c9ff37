"""The version of nova's schema as a node says it, by a real sh; only nova-manage and dpkg are stand-ins."""

from __future__ import annotations

from pathlib import Path

import pytest

from nova_infra.remote.script import Call, call

from .test_script import run

NOVA_CONF = "[DEFAULT]\nverbose = True\n[database]\nconnection = mysql://nova@controller/nova\n"
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
    assert asked(tmp_path, said, migrations) == schema


@pytest.mark.parametrize(
    ("conf", "asks"),
    [
        (NOVA_CONF, True),
        ("[database]\r\nconnection = mysql://nova@controller/nova\r\n", True),
        ("[glance]\nhost = controller\n[database]\nidle_timeout = 3600\nconnection: mysql://c\n[libvirt]\n", True),
        ("", False),
        (None, False),
        ("[database]\n#connection = mysql://nova@controller/nova\n", False),
        ("[database]\n# connection = mysql://nova@controller/nova\n", False),
        ("[database]\nconnection =\n", False),
        ("[database]\nconnection_debug = 0\n", False),
        ("[database]\n[api_database]\nconnection = mysql://nova@controller/nova_api\n", False),
        ("[DEFAULT]\nconnection = mysql://nova@controller/nova\n[database]\n", False),
        # Somebody's own: the file of such a schema is made by asking for its version.
        ("[database]\nconnection = sqlite:////var/lib/nova/nova.sqlite\n", False),
        ('[database]\nconnection = "sqlite:////var/lib/nova/nova.sqlite"\n', False),
    ],
)
def test_nova_manage_is_not_asked_where_it_would_make_a_schema_of_its_own(
    tmp_path: Path, conf: str | None, asks: bool
) -> None:
    version, newest = asked(tmp_path, f"touch {tmp_path}/nova.sqlite; echo 267", ["216_havana"], conf)
    assert (version, newest) == ("267" if asks else "unknown", "216")
    assert (tmp_path / "nova.sqlite").exists() == asks


def asked(folder: Path, said: str, migrations: list[str], conf: str | None = NOVA_CONF) -> tuple[str, ...]:
    """The version and the newest migration; `said` is what nova-manage does."""
    for name, script in {"su": said, "dpkg": "\n".join(f"echo {MIGRATIONS}/{each}.py" for each in migrations)}.items():
        program = folder / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    if conf is not None:
        (folder / "nova.conf").write_text(conf)
    status, fields, complaint = run(
        Call(f"PATH={folder}:$PATH nova_conf={folder}/nova.conf"),
        call("read_schema"),
    )
    assert status == 0, complaint
    (fact,) = [each[2:] for each in fields if each[:2] == ("fact", "schema")]
    return fact
