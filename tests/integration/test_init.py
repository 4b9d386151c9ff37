"""`python -m nova_infra init` with the real pulumi, on a terminal and without. A preview of what it writes needs no machine."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import shutil
import stat
import subprocess
import sys
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.error_rows import assert_printed
from tests.nodes import PASSPHRASE, ROOT, Stack

pytestmark = pytest.mark.engine

ANSWERS = {
    "controllers": [{"name": "controller", "address": "192.0.2.11"}],
    "computes": [{"name": "compute[1-3]", "address": "192.0.2.31"}],
    "rabbitPassword": "-of rabbit$",
    "adminPassword": 'of "admin" é',
    "databaseAdminPassword": "of'root",
}
TYPED = {key: value for key, value in ANSWERS.items() if isinstance(value, str)}
MADE = {"novaPassword", "novaDatabasePassword"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of one's own, without any stack."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    backend = tmp_path / "backend"
    backend.mkdir()
    script = ". ./activate && env -0"
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, env=Stack(backend).environment(), capture_output=True, text=True, check=True
    )
    variables = dict(each.split("=", 1) for each in done.stdout.split("\0") if each)
    # Of another stack: a user may have it set.
    of_another = {"PULUMI_OPTION_CONFIG_FILE": "/nowhere/Pulumi.lab.yaml"}
    return {**variables, **of_another, "PYTHONPATH": str(ROOT), "PULUMI_CONFIG_PASSPHRASE": "of my own"}


def init(
    project: Path, environment: dict[str, str], *arguments: str, answers: Any = ANSWERS
) -> subprocess.CompletedProcess[str]:
    """The command, with the answers on standard input."""
    return subprocess.run(
        [sys.executable, "-m", "nova_infra", "init", *(arguments or ("tryout", "--answers", "-"))],
        cwd=project,
        env=environment,
        input=yaml.safe_dump(answers),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def pulumi(project: Path, environment: dict[str, str], *words: str) -> str:
    del environment["PULUMI_OPTION_CONFIG_FILE"]
    command = ["pulumi", *words, "--stack", "tryout", "--non-interactive"]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def left(project: Path) -> list[str]:
    return sorted(path.name for path in (project / "stacks").iterdir())


@contextlib.contextmanager
def pulumi_in_between(tmp_path: Path, environment: dict[str, str], script: str) -> Any:
    """Puts a script in pulumi's place, which finds the real one as $PULUMI."""
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    wrapper = folder / "pulumi"
    real = shutil.which("pulumi", path=environment["PATH"])
    wrapper.write_text(f"#!/bin/bash\nPULUMI={real}\n{script}\n")
    wrapper.chmod(0o755)
    yield {**environment, "PATH": f"{folder}:{environment['PATH']}"}


def test_what_it_writes_previews_clean_and_has_each_secret_encrypted(
    project: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "arguments"
    with pulumi_in_between(tmp_path, environment, f'printf "%s\\n" "$@" >>{log}; exec "$PULUMI" "$@"') as between:
        done = init(project, between)
    assert done.returncode == 0, done.stderr
    file = project / "stacks" / "Pulumi.tryout.yaml"
    assert left(project) == [file.name]
    config = yaml.safe_load(file.read_text())["config"]
    encrypted = {key for key, value in config.items() if isinstance(value, dict) and set(value) == {"secure"}}
    assert encrypted == {f"nova:{key}" for key in {*TYPED, *MADE}}
    assert config["nova:computes"] == ANSWERS["computes"]
    said = done.stdout + done.stderr + log.read_text() + file.read_text()
    assert not [value for value in TYPED.values() if value in said]

    values = json.loads(pulumi(project, environment.copy(), "config", "--json", "--show-secrets"))
    secret = {key.removeprefix("nova:"): each["value"] for key, each in values.items() if each["secret"]}
    assert {key: value for key, value in secret.items() if key in TYPED} == TYPED
    assert set(secret) == {*TYPED, *MADE}
    assert len({secret[key] for key in MADE}) == 2
    assert all(len(secret[key]) >= 32 for key in MADE)
    assert secret["novaPassword"] not in said

    planned = json.loads(pulumi(project, environment.copy(), "preview", "--json"))
    assert planned["changeSummary"] == {"create": 16}
    assert not [each for each in planned.get("diagnostics", []) if each["severity"] in ("warning", "error")]


CONVERSATION = [
    ("Controller 1", "controller 192.0.2.11"),
    ("Controller 2", ""),
    ("Compute 1", "compute1"),
    ("Compute 1", "compute[1-3] 192.0.2.31"),
    ("Compute 2", ""),
    ("The login", "ubuntu"),
    ("private key", ""),
    ("The host of", ""),
    *((key, TYPED[key]) for key in ("rabbitPassword", "adminPassword", "databaseAdminPassword")),
]


def on_a_terminal(
    project: Path, environment: dict[str, str], *command: str, conversation: Sequence[tuple[str, str]]
) -> tuple[int, str]:
    """The exit code of a command, and what its terminal shows, when each question gets its answer."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(project)
        os.execve(command[0], command, environment)  # noqa: S606
    shown = ""
    for question, answer in conversation:
        shown += heard(terminal, question)
        os.write(terminal, f"{answer}\n".encode())
    shown += heard(terminal, "")
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), shown


ON_A_TERMINAL = (sys.executable, "-m", "nova_infra", "init", "tryout")


def test_questions_are_asked_on_a_terminal_and_no_password_is_shown(project: Path, environment: dict[str, str]) -> None:
    code, shown = on_a_terminal(project, environment, *ON_A_TERMINAL, conversation=CONVERSATION)
    assert code == 0, shown
    assert "A host name and an address, with a space between them." in shown
    assert not [value for value in TYPED.values() if value in shown]
    values = json.loads(pulumi(project, environment, "config", "--json", "--show-secrets"))
    assert {key: values[f"nova:{key}"]["value"] for key in TYPED} == TYPED
    assert values["nova:ssh"]["objectValue"] == {"user": "ubuntu"}


def test_the_stacks_of_a_team_take_the_place_of_the_examples_by_the_lines_that_the_page_has(
    project: Path, environment: dict[str, str]
) -> None:
    lines = (ROOT / "docs" / "pull-requests.md").read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if line.strip().startswith("git rm stacks/"))
    block = list(takewhile(str.strip, lines[first:]))
    (project / "stacks").mkdir()
    for stack in ("lab", "staging", "production"):
        # As the examples are: encrypted with a passphrase that everybody knows.
        shutil.copy(ROOT / "stacks" / "Pulumi.lab.yaml", project / "stacks" / f"Pulumi.{stack}.yaml")
    for words in (["init", "-q"], ["add", "-A"], ["-c", "user.name=S", "-c", "user.email=s@x", "commit", "-qm", "x"]):
        subprocess.run(["git", *words], cwd=project, check=True)
    script = "\n".join(["set -eu", *block])
    code, shown = on_a_terminal(project, environment, "/bin/bash", "-c", script, conversation=CONVERSATION * 2)
    assert code == 0, shown
    del environment["PULUMI_OPTION_CONFIG_FILE"]
    assert all(f"stacks/Pulumi.{stack}.yaml is written" in shown for stack in ("staging", "production"))
    command = ["pulumi", "preview", "--stack", "staging", "--non-interactive"]
    subprocess.run(command, cwd=project, env=environment, capture_output=True, check=True)


def test_a_backend_that_is_not_there_is_said_before_the_first_question(
    project: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    without = {**environment, "PULUMI_BACKEND_URL": f"file://{tmp_path}/nowhere"}
    code, shown = on_a_terminal(project, without, *ON_A_TERMINAL, conversation=[])
    assert code == 1, shown
    assert_printed("no backend for a new stack", shown)
    assert "Controller 1" not in shown
    assert not (project / "stacks").exists()


def test_a_passphrase_that_is_missing_is_said_before_the_first_question(
    project: Path, environment: dict[str, str]
) -> None:
    del environment["PULUMI_CONFIG_PASSPHRASE"]
    code, shown = on_a_terminal(project, environment, *ON_A_TERMINAL, conversation=[])
    assert code == 1, shown
    assert_printed("no passphrase for a new stack", shown)
    assert "Controller 1" not in shown


def test_the_settings_of_another_stack_are_not_planned_nor_checked(
    project: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    assert init(project, environment).returncode == 0
    own = project / "stacks" / "Pulumi.tryout.yaml"
    other, third = tmp_path / "Pulumi.lab.yaml", tmp_path / "of several stacks.yaml"
    shutil.copy(own, other)
    shutil.copy(own, third)

    def ended(*words: str, variable: Path | None) -> tuple[int, str]:
        variables = {"PULUMI_STACK": "tryout"} | ({"PULUMI_OPTION_CONFIG_FILE": str(variable)} if variable else {})
        without = {key: each for key, each in environment.items() if key != "PULUMI_OPTION_CONFIG_FILE"}
        done = subprocess.run(
            words, cwd=project, env=without | variables, capture_output=True, text=True, check=False, timeout=300
        )
        return done.returncode, done.stdout + done.stderr

    preview = ("pulumi", "preview", "--non-interactive")
    for command in (preview, (sys.executable, "-m", "nova_infra", "check")):
        code, said = ended(*command, variable=other)
        assert code not in (0, 2)
        assert_printed("settings of another stack", said)
    # On purpose it goes, by the option; and by the variable where its name is of no other stack.
    assert ended(*preview, "--config-file", str(other), variable=None)[0] == 0
    assert ended(*preview, variable=third)[0] == 0


@pytest.mark.parametrize("how", ["by the variable", "by a login", "by the project"])
def test_a_stack_in_a_folder_that_is_for_others_is_not_planned(
    project: Path, environment: dict[str, str], tmp_path: Path, how: str
) -> None:
    del environment["PULUMI_OPTION_CONFIG_FILE"]
    backend = environment["PULUMI_BACKEND_URL"]
    environment |= {"PULUMI_HOME": str(tmp_path / "home"), "PULUMI_STACK": "mine"}
    if how != "by the variable":
        del environment["PULUMI_BACKEND_URL"]
    if how == "by a login":
        subprocess.run(["pulumi", "login", backend], env=environment, capture_output=True, check=True)
    if how == "by the project":
        with (project / "Pulumi.yaml").open("a") as file:
            file.write(f"backend: {{url: '{backend}'}}\n")
    throwaway = tmp_path / "backend" / "THROWAWAY"
    throwaway.write_text("# The nightly job empties this folder.\nothers\n")

    def ended(*words: str) -> tuple[int, str]:
        command = ["pulumi", *words, "--non-interactive"]
        done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    assert ended("stack", "init", "mine")[0] == 0
    code, said = ended("preview")
    assert code != 0
    assert_printed("a stack in a folder that will be deleted", said)
    assert "The nightly job empties this folder." in said
    assert "Traceback" not in said
    # It stays the way to take it down.
    assert ended("destroy", "--yes", "--skip-preview")[0] == 0
    throwaway.write_text("others\nmine\n")
    # So it comes as far as its settings, of which there are none.
    assert "The configuration has 6 problems" in ended("preview")[1]


def test_who_stops_in_the_middle_of_the_questions_runs_it_again(project: Path, environment: dict[str, str]) -> None:
    code, shown = on_a_terminal(
        project, environment, *ON_A_TERMINAL, conversation=[*CONVERSATION[:2], ("Compute 1", "\x04")]
    )
    assert code == 1, shown
    assert "nothing is written" in shown
    assert init(project, environment).returncode == 0


@pytest.fixture
def lab(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The environment after `. lab/activate`, for a lab of its own."""
    done = subprocess.run(
        ["bash", "-c", ". lab/activate && env -0"],
        cwd=ROOT,
        env={**environment, "LAB_STATE": str(tmp_path / "lab"), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(each.split("=", 1) for each in done.stdout.split("\0") if each)


@pytest.mark.parametrize("how", ["by the variable", "by a login"])
def test_no_other_stack_is_made_in_the_labs_state_and_the_lines_that_are_printed_lead_out_of_it(
    project: Path, lab: dict[str, str], tmp_path: Path, how: str
) -> None:
    if how == "by a login":
        lab["PULUMI_HOME"] = str(tmp_path / "home")
        subprocess.run(["pulumi", "login", lab.pop("PULUMI_BACKEND_URL")], env=lab, capture_output=True, check=True)
    done = init(project, lab)
    assert done.returncode == 1
    assert_printed("a new stack in a folder that will be deleted", done.stderr)
    assert "lab/down deletes this folder" in done.stderr
    assert not list((tmp_path / "lab").rglob("tryout*"))
    assert not (project / "stacks").exists()

    if how == "by a login":
        return
    (tmp_path / "nova-state").mkdir()
    (tmp_path / ".nova-passphrase").write_text("of my own\n")
    lines = "\n".join(each for each in done.stderr.splitlines() if each.startswith("  "))
    script = f'set -eu\n{lines}\n{sys.executable} -m nova_infra init "$PULUMI_STACK" --answers -'
    again = subprocess.run(
        ["bash", "-c", script],
        cwd=project,
        env=lab,
        input=yaml.safe_dump(ANSWERS),
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "nova-state" / ".pulumi" / "stacks" / "nova" / "tryout.json").exists()


def test_a_passphrase_in_the_projects_folder_encrypts_only_what_will_be_deleted(
    project: Path, environment: dict[str, str], lab: dict[str, str]
) -> None:
    shutil.copy(lab["PULUMI_CONFIG_PASSPHRASE_FILE"], project / "passphrase")
    lab["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(project / "passphrase")
    done = init(project, {**lab, "PULUMI_BACKEND_URL": environment["PULUMI_BACKEND_URL"]})
    assert done.returncode == 1
    assert_printed("a new stack with a passphrase in the project's folder", done.stderr)
    assert not (project / "stacks").exists()

    done = init(project, lab, "lab", "--answers", "-")
    assert done.returncode == 0, done.stderr
    # The newline at the end of the file is not part of the passphrase, and the variable counts before the file.
    lab |= {"PULUMI_CONFIG_PASSPHRASE": PASSPHRASE, "PULUMI_CONFIG_PASSPHRASE_FILE": "/nowhere"}
    shown = ["pulumi", "config", "get", "rabbitPassword", "--stack", "lab", "--non-interactive"]
    assert (
        subprocess.run(shown, cwd=project, env=lab, capture_output=True, text=True, check=True).stdout.strip()
        == (ANSWERS["rabbitPassword"])
    )


def heard(terminal: int, question: str) -> str:
    """What a terminal shows up to the colon of a question, or to the end."""
    shown = ""
    while not question or not (question in shown and shown.endswith(": ")):
        try:
            piece = os.read(terminal, 4096).decode(errors="replace")
        except OSError:
            piece = ""
        if not piece:
            assert not question, f"{question} was not asked:\n{shown}"
            break
        shown += piece
    return shown


def test_settings_that_are_there_are_not_overwritten(project: Path, environment: dict[str, str]) -> None:
    file = project / "stacks" / "Pulumi.tryout.yaml"
    file.parent.mkdir()
    file.write_text("config:\n  nova:region: of somebody\n")
    done = init(project, environment)
    assert done.returncode == 1
    assert_printed("a stack file that is there already", done.stderr)
    assert file.read_text() == "config:\n  nova:region: of somebody\n"


def test_a_run_that_was_cut_off_is_run_again(project: Path, environment: dict[str, str], tmp_path: Path) -> None:
    script = '[ "$1 $2 $4" != "config set nova:rabbitPassword" ] || { echo "error: no luck" >&2; exit 7; }\nexec "$PULUMI" "$@"'
    with pulumi_in_between(tmp_path, environment, script) as between:
        failed = init(project, between)
    assert failed.returncode == 1
    assert_printed("pulumi does not take the settings of a new stack", failed.stderr)
    # What `pulumi stack init` has written, and nothing else.
    assert left(project) == ["Pulumi.tryout.yaml"]
    assert set(yaml.safe_load((project / "stacks" / "Pulumi.tryout.yaml").read_text())) == {"encryptionsalt"}

    assert init(project, environment).returncode == 0
    values = json.loads(pulumi(project, environment, "config", "--json", "--show-secrets"))
    assert {key: values[f"nova:{key}"]["value"] for key in TYPED} == TYPED


def test_answers_that_cannot_be_are_all_named_and_nothing_is_written(
    project: Path, environment: dict[str, str]
) -> None:
    wrong = {"controllers": [{"name": "controller", "address": "x"}], "regoin": "y", "adminPassword": "z"}
    done = init(project, environment, answers=wrong)
    assert done.returncode == 1
    for said in ("controllers[0].address: 'x' is no IP", "regoin: is neither a setting", "rabbitPassword: is missing"):
        assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (project / "stacks").exists()


def test_a_file_of_answers_that_others_may_read_is_refused(
    project: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "answers.yaml"
    file.write_text(yaml.safe_dump(ANSWERS))
    file.chmod(0o644)
    done = init(project, environment, "tryout", "--answers", str(file))
    assert done.returncode == 1
    assert_printed("answers that others may read", done.stderr)
    file.write_text("adminPassword: 'hunter2")
    file.chmod(stat.S_IRUSR)
    done = init(project, environment, "tryout", "--answers", str(file))
    assert done.returncode == 1
    assert_printed("answers that are no YAML", done.stderr)
    assert "hunter2" not in done.stderr


def test_without_a_terminal_and_answers_nothing_is_asked(project: Path, environment: dict[str, str]) -> None:
    done = init(project, environment, "tryout")
    assert done.returncode == 1
    assert_printed("no terminal to ask on", done.stderr)
