"""What runs of a service, and with which files: the functions of node/services.sh, as a real shell runs them, on real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nova_infra.remote.script import Call, call, decoded

from .test_script import eventually, facts

# No other process of this machine has that name: another process of pytest may run a test of this file at the same time.
NAME = f"nova-of-the-tests-{os.getpid()}"
PROGRAM = "import subprocess, sys, time\nif 'worker' in sys.argv: subprocess.Popen([sys.executable, *sys.argv[:1]])\ntime.sleep(60)\n"


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    (tmp_path / NAME).write_text(PROGRAM)
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for each in processes:
        subprocess.run(["pkill", "-P", str(each.pid)], check=False)
        each.kill()
        each.wait()


def start(started: list[subprocess.Popen[bytes]], folder: Path, *arguments: str) -> int:
    started.append(subprocess.Popen([sys.executable, folder / NAME, *arguments]))
    return started[-1].pid


def read(*mains: int) -> list[tuple[str, ...]]:
    known = " ".join(f"{NAME}={pid}" for pid in mains)
    return [each for each in facts(Call(f"mains='{known}'"), call("read_processes", NAME)) if each[0] == "process"]


def test_the_files_are_those_of_the_arguments_in_both_forms(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    pid = start(
        started,
        tmp_path,
        "--config-file=/etc/nova/nova.conf",
        "--verbose",
        "--config-file",
        "/srv/mine.conf",
        "--config-dir=/d",
    )
    assert read(pid) == [("process", NAME, "own", str(pid), "/etc/nova/nova.conf", "/srv/mine.conf", "/d")]


def test_one_beside_the_service_is_told_from_it_and_workers_are_the_services_own(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    main = start(started, tmp_path, "worker")
    stray = start(started, tmp_path, "--config-file", "/srv/mine.conf")
    # Nobody is a worker before it runs the program.
    children = Path(f"/proc/{main}/task/{main}/children")
    eventually(lambda: any(NAME in Path(f"/proc/{pid}/cmdline").read_text() for pid in children.read_text().split()))
    assert sorted(read(main)) == [
        ("process", NAME, "other", str(stray), "/srv/mine.conf"),
        ("process", NAME, "own", str(main)),
    ]


def test_a_service_that_starts_between_two_looks_is_no_stray(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    pid, stray = start(started, tmp_path), start(started, tmp_path)
    now = Call(f"service_pid() {{ echo {pid}; }}")
    said = [each for each in facts(now, call("read_processes", NAME)) if each[0] == "process"]
    assert said == [("process", NAME, "other", str(stray))]


def test_what_only_speaks_of_a_service_is_no_process_of_it(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    started.append(subprocess.Popen(["/bin/sh", "-c", "sleep 60; true", f"/etc/init.d/{NAME}", "restart"]))
    started.append(subprocess.Popen(["tail", "-f", "/dev/null", f"--pid={started[0].pid}"]))
    assert read() == []


def test_a_young_process_that_ends_while_it_is_watched_is_said(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    stays = start(started, tmp_path)
    # The shell looks once a round: the other process is there at the first look and has ended at the second.
    young = Call(f"""
        command sleep 60 >/dev/null 2>&1 & short=$!
        young="stays={stays} short=$short"
        sleep() {{
            [ "$1" = 0.5 ] || exit 9
            rounds=$((${{rounds:-0}} + 1))
            [ "$rounds" -ne 2 ] || {{ kill "$short"; wait "$short"; }}
        }}""")
    assert facts(young, call("read_young"), Call('fact rounds "$rounds"')) == [("ended", "short"), ("rounds", "12")]


def test_what_we_have_started_is_not_watched(tmp_path: Path, started: list[subprocess.Popen[bytes]]) -> None:
    pid = start(started, tmp_path)
    ours = Call(f"ours={tmp_path}; service_pid() {{ echo {pid}; }}; service_enabled() {{ echo enabled; }}")
    note = Call(f'printf "%s fingerprint" "$(process_ticks {pid})" >"$ours/service.{NAME}"')
    shown = Call('fact young "$young"')
    assert facts(ours, call("read_service", NAME), shown)[-1] == ("young", f" {NAME}={pid}")
    assert facts(ours, note, call("read_service", NAME), shown)[-1] == ("young", "")


def test_what_somebody_has_started_before_us_has_read_something_else_and_is_started_anew(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    """A watchdog starts it between our look and our start; an init script then has nothing to do, and says that all is well."""
    theirs = start(started, tmp_path)
    time.sleep(0.1)
    (tmp_path / "pid").write_text(str(theirs))
    script = f"""ours={tmp_path}
service_pid() {{ [ ! -s "$ours/pid" ] || cat "$ours/pid"; }}
run_service() {{
    echo "$2" >>"$ours/asked"
    if [ "$2" = stop ]; then kill "$(cat "$ours/pid")"; rm "$ours/pid"; return 0; fi
    [ -s "$ours/pid" ] || {{ sleep 60 >/dev/null 2>&1 & echo $! >"$ours/pid"; }}
}}"""
    note = facts(Call(script), call("start_service", NAME, "abc"), call("read_note", f"service.{NAME}"))[0]
    assert (tmp_path / "asked").read_text().split() == ["start", "stop", "start"]
    ours = (tmp_path / "pid").read_text().strip()
    subprocess.run(["kill", ours], check=True)
    assert int(ours) != theirs
    assert decoded(note[2]).split()[1] == "abc"
