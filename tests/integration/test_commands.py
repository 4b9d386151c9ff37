"""How commands read a stack, with the real pulumi. No machine is asked."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.error_rows import assert_printed
from tests.nodes import ROOT, Stack

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    stack = Stack(tmp_path_factory.mktemp("backend"))
    stack.create()
    return stack


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """What a command says that does not begin."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr


def here(*arguments: str, folder: Path, path: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command without `. ./activate`, in another folder."""
    return subprocess.run(
        [sys.executable, "-m", "nova_infra", *arguments],
        cwd=folder,
        env={**os.environ, **environment, "PATH": path, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_stack_that_there_is_not_is_refused_with_what_pulumi_says(stack: Stack) -> None:
    assert_printed("no such stack", refused(stack.command("check", "--stack", "nosuch")))


def test_a_stack_that_there_is_not_has_no_drift(stack: Stack) -> None:
    assert_printed("no such stack, asked for its drift", refused(stack.command("drift", "--stack", "nosuch")))


def test_a_stack_that_was_never_deployed_is_in_order(stack: Stack) -> None:
    done = stack.command("drift", "--stack", "lab")
    assert (done.returncode, done.stderr) == (0, "")
    assert "The stack has no resources of nova-infra" in done.stdout


def test_a_report_that_cannot_be_written_is_refused_before_the_state_is_read(stack: Stack, tmp_path: Path) -> None:
    said = refused(stack.command("drift", "--stack", "nosuch", "--html", str(tmp_path / "none" / "drift.html")))
    assert_printed("no folder for the report", said)


def test_a_wrong_option_of_a_command_has_the_code_of_a_refusal(stack: Stack) -> None:
    assert "unrecognized arguments: --hmtl" in refused(stack.command("drift", "--hmtl", "drift.html"))


def test_a_wrong_passphrase_is_refused_with_what_pulumi_says(stack: Stack) -> None:
    said = refused(stack.command("check", "--stack", "lab", PULUMI_CONFIG_PASSPHRASE="of another"))
    assert_printed("a wrong passphrase of the stack", said)


def test_a_folder_without_a_project_is_refused(tmp_path: Path) -> None:
    assert_printed("no project in the folder", refused(here("check", folder=tmp_path, path=os.environ["PATH"])))


def test_a_machine_without_pulumi_is_told_so() -> None:
    assert_printed("no `pulumi` on PATH", refused(here("check", folder=ROOT, path="/nowhere")))


def test_every_problem_of_the_settings_is_printed_by_its_key(stack: Stack, tmp_path: Path) -> None:
    settings = yaml.safe_load(Path(stack.configured(tmp_path, computes=[{"address": "nowhere at all"}])).read_text())
    del settings["config"]["nova:novaPassword"]
    settings["config"]["nova:regoin"] = "x"
    file = tmp_path / "bad.yaml"
    file.write_text(yaml.safe_dump(settings))
    said = refused(stack.command("check", "--config-file", str(file)))
    assert_printed("bad settings for a command", said)
    assert "nova:regoin: is not a setting; did you mean region?" in said


def test_a_command_finds_the_project_from_a_folder_below_it(stack: Stack) -> None:
    below = here("check", "--stack", "nosuch", folder=ROOT / "docs", path=os.environ["PATH"], **stack.environment())
    assert "no stack named 'nosuch' found" in refused(below)


def test_an_interrupted_check_ends_at_once(stack: Stack, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        node = {"name": "controller", "address": "10.0.0.11", "host": "127.0.0.1", "port": silent.getsockname()[1]}
        # Without a lab there is neither its key nor its known hosts.
        settings = stack.configured(
            tmp_path, controllers=[node], ssh={"private_key_file": "", "verify_host_keys": False}
        )
        # Whoever runs the tests in the background has told them to ignore the signal.
        interruptible = "env --default-signal=INT"
        line = f". ./activate && exec {interruptible} python -m nova_infra check --config-file {shlex.quote(settings)}"
        command = subprocess.Popen(
            ["bash", "-c", line],
            cwd=ROOT,
            env={**stack.environment(), "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        # It has been connected to: it waits now.
        with silent.accept()[0]:
            command.send_signal(signal.SIGINT)
            out, err = command.communicate(timeout=15)
    assert command.returncode == 130
    assert out == ""
    assert "Traceback" not in err


def test_the_help_says_what_each_command_does() -> None:
    done = here("--help", folder=ROOT, path=os.environ["PATH"])
    assert done.returncode == 0
    assert "asks every machine and server" in done.stdout
    assert "looks at everything that a stack owns" in done.stdout
