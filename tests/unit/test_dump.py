"""The dump before a drop, by a real sh; only MariaDB's client is a stand-in that says what it was given."""

from __future__ import annotations

import gzip
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from nova_infra.access import Access
from nova_infra.errors import Refused
from nova_infra.masking import Secret
from nova_infra.mysql import option_file
from nova_infra.remote.script import Call, call

from .test_script import eventually, holding, run

PASSWORD = 'it\'s 100% $w0rdfish\\ "quoted" # ünï'
OPTIONS = option_file({"user": "root", "password": PASSWORD, "socket": "/var/run/mysqld/mysqld.sock"})
COMPLETE = "echo 'CREATE TABLE instances;'; echo '-- Dump completed on 2015-02-11  9:00:00'"

Dumped = Callable[..., tuple[int, list[tuple[str, ...]], str]]


def prepared(tmp_path: Path, client: str) -> list[Call]:
    """A machine whose mysqldump is the given script, and whose dumps go to a folder of the test."""
    programs = tmp_path / "bin"
    programs.mkdir(exist_ok=True)
    program = programs / "mysqldump"
    program.write_text(f"#!/bin/sh\ncd {shlex.quote(str(tmp_path))}\n{client}\n")
    program.chmod(0o755)
    return [
        Call(f"PATH={shlex.quote(str(programs))}:$PATH"),
        Call(f"backups={shlex.quote(str(tmp_path / 'backups'))}"),
    ]


def dump(schema: str = "nova", file: str = "nova") -> Call:
    return call("dump_database", schema, file, Secret(OPTIONS), title=f"dumping the database {schema}")


@pytest.fixture
def dumped(tmp_path: Path) -> Dumped:
    return lambda client, *calls: run(*prepared(tmp_path, client), *(calls or [dump()]))


def dumps(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "backups").iterdir())


def test_a_dump_is_whole_and_for_root_only_and_its_path_is_shown(tmp_path: Path, dumped: Dumped) -> None:
    status, fields, complaint = dumped(COMPLETE)
    assert status == 0, complaint
    (path,) = dumps(tmp_path)
    assert path.match("nova-[0-9]*T[0-9]*Z.sql.gz")
    assert oct(path.stat().st_mode)[-3:] == "600"
    assert gzip.decompress(path.read_bytes()).decode().startswith("CREATE TABLE instances;")
    assert ("progress", str(path)) in fields


def test_the_password_is_on_standard_input_only(tmp_path: Path, dumped: Dumped) -> None:
    dumped(
        f"cat >given; tr '\\0' '\\n' </proc/$$/cmdline >arguments; env >environment; ps ax -o args >processes; {COMPLETE}"
    )
    assert (tmp_path / "given").read_text() == OPTIONS
    for name in ("arguments", "environment", "processes"):
        text = (tmp_path / name).read_text()
        assert text
        assert "w0rdfish" not in text


def test_routines_triggers_and_events_are_in_the_dump_and_any_character(tmp_path: Path, dumped: Dumped) -> None:
    dumped(f'printf "%s\\n" "$@" >arguments; {COMPLETE}', dump("--all-databases"))
    arguments = (tmp_path / "arguments").read_text().splitlines()
    # Of options about option files only the first is read (MariaDB's documentation, "mysqldump").
    assert arguments[0] == "--defaults-file=/dev/stdin"
    assert {"--single-transaction", "--routines", "--triggers", "--events", "--default-character-set=utf8mb4"} <= set(
        arguments
    )
    assert arguments[-2:] == ["--", "--all-databases"]


BROKEN = [
    pytest.param(
        f"echo 'mysqldump: Got error: 1045: Access denied' >&2; {COMPLETE}; exit 2", "Access denied", id="fails"
    ),
    pytest.param("echo 'CREATE TABLE instances;'", "no complete dump", id="ends before its end"),
    pytest.param("exit 0", "no complete dump", id="says nothing"),
    pytest.param(f"{COMPLETE}; kill -9 $$", "no complete dump", id="is killed"),
]


@pytest.mark.parametrize(("client", "said"), BROKEN)
def test_what_is_no_complete_dump_fails_and_leaves_nothing(
    tmp_path: Path, dumped: Dumped, client: str, said: str
) -> None:
    status, fields, complaint = dumped(client)
    assert status == 1
    assert ("failed", "dumping the database nova") in fields
    assert said in complaint
    assert "nothing was dropped" in complaint
    assert dumps(tmp_path) == []


def test_a_dump_that_cannot_be_packed_fails(tmp_path: Path, dumped: Dumped) -> None:
    gzip_ = tmp_path / "bin" / "gzip"
    gzip_.parent.mkdir()
    gzip_.write_text(
        '#!/bin/sh\n[ "$1" = -dc ] && exec /bin/gzip "$@"\n/bin/gzip; echo "No space left on device" >&2; exit 1\n'
    )
    gzip_.chmod(0o755)
    status, _, complaint = dumped(COMPLETE)
    assert status == 1
    assert "No space left on device" in complaint
    assert dumps(tmp_path) == []


# Dumps are named after it.
SAME_SECOND = Call("date() { echo 20150211T090000Z; }")


def test_a_dump_that_is_there_is_never_overwritten(tmp_path: Path, dumped: Dumped) -> None:
    dumped(COMPLETE, SAME_SECOND, dump())
    (first,) = dumps(tmp_path)
    content = first.read_bytes()
    status, _, complaint = dumped(f"echo 'another'; {COMPLETE}", SAME_SECOND, dump())
    assert status == 1
    assert f"could not write {first}, and nothing was dropped" in complaint
    assert first.read_bytes() == content


def test_a_dump_that_was_cut_off_is_none_and_the_next_one_takes_it_away(tmp_path: Path, dumped: Dumped) -> None:
    with holding(*prepared(tmp_path, "echo 'CREATE TABLE instances;'; sleep 60"), SAME_SECOND, dump()):
        eventually(lambda: bool(list(tmp_path.glob("backups/*.part"))))
    assert [path.suffix for path in dumps(tmp_path)] == [".part"]
    neighbour = tmp_path / "backups" / "nova-cell0-20150211T090000Z.sql.gz.part"
    neighbour.touch()
    dumped(COMPLETE)
    assert sorted(path.name.partition("-2")[0] for path in dumps(tmp_path)) == ["nova", "nova-cell0"]


def test_a_machine_without_the_client_says_what_to_install(tmp_path: Path) -> None:
    status, _, complaint = run(
        Call(f"backups={shlex.quote(str(tmp_path / 'backups'))}"), Call("command() { return 1; }"), dump()
    )
    assert status == 1
    assert "Install MariaDB's client" in complaint


def test_without_a_controller_a_dump_is_refused_with_the_way_to_go_on() -> None:
    with pytest.raises(Refused) as refusal:
        Access(lambda _key: "").dump_database("nova")
    assert all(word in str(refusal.value) for word in ("nova", "controller", "on_delete", "drop", "pulumi up"))
