"""Upstart, case by case (upstart.yaml), in the functions of node/services.sh as a real shell runs them.

`initctl` and `service` are programs of the test: they say what the case says that upstart says.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from nova_infra.remote.script import Call, call, decoded

from .test_script import facts, run

CASES: dict[str, list[dict[str, Any]]] = yaml.safe_load(Path(__file__).with_name("upstart.yaml").read_text())
JOB = "nova-api"

INITCTL = r"""#!/bin/sh
here=${0%/*}
[ "$1" != version ] || set -- version.
[ "$1" != status ] || set -- "$here"/status.*
[ $# -gt 0 ] && one=${1##*/} && one=$here/$one
cat "$one/out"; cat "$one/err" >&2; exit=$(cat "$one/exit")
# The last one stays.
[ $# -eq 1 ] || rm -r "$one"
exit "$exit"
"""
SERVICE = r"""#!/bin/sh
here=${0%/*}
echo "$2" >>"$here/asked"
set -- "$2" "$here"/action.*
one=$2
[ -d "$one" ] && [ "$(cat "$one/does")" = "$1" ] || { echo "the case does not tell what $1 does now"; exit 9; }
rm -r "$here"/status.*
mv "$one"/status.* "$here"
[ ! -e "$one/hangs" ] || exec sleep 60
cat "$one/out"; cat "$one/err" >&2; exit=$(cat "$one/exit")
rm -r "$one"
exit "$exit"
"""


def gone() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


class Machine:
    """A machine with upstart on it, in a folder of the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.etc_init = folder / "init"
        self.etc_init.mkdir()
        self.bin = folder / "bin"
        self.bin.mkdir()
        self._numbers = {"PID": str(os.getpid()), "GONE": str(gone())}
        for name, text in (("initctl", INITCTL), ("service", SERVICE)):
            (self.bin / name).write_text(text)
            (self.bin / name).chmod(0o755)
        self.reply(self.bin / "version.", {"says": "init (upstart 1.12.1)"})
        self.file("conf", "start on runlevel [2345]\nexec nova-api\n")

    def reply(self, folder: Path, case: dict[str, Any]) -> None:
        """What a program says: its output, its complaint, its exit status."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, key in (("out", "says"), ("err", "errors")):
            text = case.get(key, "")
            for word, number in self._numbers.items():
                text = re.sub(rf"\b{word}\b", number, text)
            (folder / name).write_text(text + "\n" if text else "")
        (folder / "exit").write_text(str(case.get("exit", 0)))

    def states(self, folder: Path, texts: list[str]) -> None:
        """What `initctl status` says, one after the other."""
        for number, text in enumerate(texts):
            self.reply(folder / f"status.{number}", {"says": text})

    def file(self, kind: str, text: str | None) -> None:
        """The job's file, or its override."""
        if text is not None:
            (self.etc_init / f"{JOB}.{kind}").write_text(text)

    def calls(self, *calls: Call) -> list[Call]:
        """The calls, on this machine."""
        return [
            Call(f"PATH={shlex.quote(str(self.bin))}:$PATH; etc_init={shlex.quote(str(self.etc_init))}"),
            Call(f'ours={shlex.quote(str(self.folder / "ours"))}; mkdir -p "$ours"'),
            *calls,
        ]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def cases(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", CASES[kind], ids=lambda case: case["case"])


@pytest.mark.parametrize("kind", CASES)
def test_every_case_says_where_it_comes_from(kind: str) -> None:
    assert all(case["source"] for case in CASES[kind])
    sentences = [case["case"] for case in CASES[kind]]
    assert len(set(sentences)) == len(sentences)


@cases("init")
def test_which_init_system_runs(machine: Machine, case: dict[str, Any]) -> None:
    machine.reply(machine.bin / "version.", case)
    assert facts(*machine.calls(Call('find_init; fact init "$init"'))) == [("init", case["init"])]


@cases("status")
def test_what_a_status_means(machine: Machine, case: dict[str, Any]) -> None:
    machine.reply(machine.bin / "status.0", case)
    said = facts(
        *machine.calls(
            call("read_service", JOB),
            Call(f"if service_stopped {JOB}; then fact stopped yes; else fact stopped no; fi"),
        )
    )
    assert said[0][2:4] == (("running", str(os.getpid())) if case["process"] else ("stopped", "-"))
    assert said[1] == ("stopped", "yes" if case.get("stopped") else "no")


@cases("boot")
def test_whether_a_job_starts_at_boot(machine: Machine, case: dict[str, Any]) -> None:
    machine.file("conf", case["conf"])
    machine.file("override", case.get("override"))
    said = facts(*machine.calls(Call(f'fact boot "$(service_enabled {JOB})"')))
    assert said == [("boot", "enabled" if case["enabled"] else "disabled")]


@cases("set_boot")
def test_how_a_job_is_made_to_start_at_boot_or_not(machine: Machine, case: dict[str, Any]) -> None:
    machine.file("conf", case["conf"])
    machine.file("override", case.get("override"))
    override = machine.etc_init / f"{JOB}.override"
    for _ in range(2):
        status, _, complaint = run(*machine.calls(call("set_boot", JOB, case["to"])))
        if "fails" in case:
            assert status == 1
            assert re.search(case["fails"], complaint)
            continue
        assert status == 0, complaint
        assert (override.read_text() if override.exists() else None) == case["override_becomes"]
    assert (machine.etc_init / f"{JOB}.conf").read_text() == case["conf"]
    # Nothing that upstart would read, and nothing that would stay after destroy.
    assert {each.suffix for each in machine.etc_init.iterdir()} <= {".conf", ".override"}


@cases("acts")
def test_starting_and_stopping(machine: Machine, case: dict[str, Any]) -> None:
    machine.states(machine.bin, case["before"])
    for number, step in enumerate(case["service"]):
        folder = machine.bin / f"action.{number}"
        machine.reply(folder, step)
        machine.states(folder, step["after"])
        (folder / "does").write_text(step["does"])
        if step.get("hangs"):
            (folder / "hangs").touch()
    patience = Call(f"service_patience={case.get('patience', 20)}; sleep() {{ command sleep 0.02; }}")
    act = call("start_service", JOB, "abc") if case["do"] == "start" else call("stop_services", JOB)
    status, fields, complaint = run(*machine.calls(patience, act, call("read_service", JOB)))
    asked = machine.bin / "asked"
    assert (asked.read_text().split() if asked.exists() else []) == [step["does"] for step in case["service"]]
    if "fails" in case:
        assert status == 1
        assert re.search(case["fails"], complaint)
        return
    assert status == 0, complaint
    read = next(each for each in fields if each[:2] == ("fact", "service"))
    assert read[3] == ("running" if case.get("running") else "stopped")
    if case.get("running"):
        note = facts(*machine.calls(call("read_note", f"service.{JOB}")))[0]
        assert decoded(note[2]).split()[1] == "abc"


def test_a_desktop_session_of_upstart_is_not_asked(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    # init(5), User Session Mode: initctl asks the session's own init when this is set (util/initctl.c, upstart_open).
    monkeypatch.setenv("UPSTART_SESSION", "unix:abstract=/com/ubuntu/upstart-session/1000/1")
    assert facts(*machine.calls(Call('fact session "${UPSTART_SESSION:-none}"'))) == [("session", "none")]
