"""What the workflows run on a stack, from a clean checkout, with a backend of files and machines that are not there."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.nodes import PASSPHRASE, ROOT
from tests.plans import DEPLOYED

pytestmark = pytest.mark.engine

STACK = "staging"
COMMIT = f"{1:040d}"
UNREACHABLE = "compute2 (ubuntu@192.0.2.32): nobody answers there (no route to host). Look whether it runs."


@dataclass
class Checkout:
    """A clone of this repository whose stack `staging` is deployed."""

    root: Path
    there: dict[str, Any] = field(default_factory=dict)
    """What a refresh finds: see tests/stand_in/sitecustomize.py."""

    def run(self, *words: str, check: bool = True, **more: str) -> subprocess.CompletedProcess[str]:
        """A command as a workflow runs it: python and pulumi are on PATH, and nothing else of this machine is known."""
        (self.root.parent / "there.json").write_text(json.dumps(self.there))
        line = " ".join(shlex.quote(each) for each in words)
        environment = {
            "PULUMI_BACKEND_URL": f"file://{self.root.parent / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PYTHONPATH": f"{self.root / 'tests' / 'stand_in'}:{self.root}",
            "STAND_IN": str(self.root.parent / "there.json"),
            "RUN_URL": "https://example.org/runs/1",
            "COMMIT": COMMIT,
            **more,
        }
        variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
        done = subprocess.run(
            [
                "bash",
                "-c",
                f". {shlex.quote(str(ROOT))}/activate && cd {shlex.quote(str(self.root))} && exec env {variables} {line}",
            ],
            cwd=ROOT,
            env={key: value for key, value in os.environ.items() if not key.startswith(("PULUMI_", "GIT_", "PYTHON"))},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{line} ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        return done

    def script(self, name: str, *words: str, check: bool = True, **more: str) -> subprocess.CompletedProcess[str]:
        return self.run(f".github/scripts/{name}", *words, check=check, **more)

    def commit(self, **settings: Any) -> None:
        """Commits the stack file with these keys changed."""
        file = self.root / "stacks" / f"Pulumi.{STACK}.yaml"
        stack = yaml.safe_load((self.root / "stacks" / "Pulumi.lab.yaml").read_text())
        stack["config"] |= {f"nova:{key}": value for key, value in {**DEPLOYED, **settings}.items()}
        file.write_text(yaml.safe_dump(stack))
        self.run("git", "add", "-A")
        self.run("git", "commit", "-q", "-m", "a change")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    folder = tmp_path_factory.mktemp("clean checkout")
    made = Checkout(folder / "nova")
    (folder / "state").mkdir()
    subprocess.run(["git", "clone", "-q", str(ROOT), str(made.root)], check=True)
    made.run("git", "config", "user.name", "Somebody")
    made.run("git", "config", "user.email", "somebody@example.org")
    made.commit()
    made.run("pulumi", "stack", "select", "--create", "--stack", STACK, "--non-interactive")
    made.run("pulumi", "up", "--stack", STACK, "--yes", "--skip-preview", "--non-interactive")
    made.commit(options={"all": {"DEFAULT": {"debug": True}}})
    return made


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_a_change_of_a_stack_file_touches_its_stack(checkout: Checkout) -> None:
    assert json.loads(checkout.script("touched-stacks", "HEAD~1", "HEAD", "--except", "lab").stdout) == [STACK]


def test_a_preview_needs_no_machine_and_becomes_a_comment(checkout: Checkout, out: Path) -> None:
    checkout.there = {"unreachable": {"compute2": UNREACHABLE}}
    checkout.script("preview", STACK, str(out))
    comment = (out / "comment.md").read_text()
    assert comment.startswith(f"<!-- nova-infra: preview of {STACK} -->\n")
    assert '| changed | `compute[1-3]`, `controller` | `nova.conf [DEFAULT] debug` |  | `"True"` |' in comment
    assert "no machine has been asked" in comment
    assert f"Commit {COMMIT}. [The run](https://example.org/runs/1)" in comment


def test_a_machine_that_cannot_be_asked_is_named_and_the_drift_of_the_others_shown(
    checkout: Checkout, out: Path
) -> None:
    checkout.there = {
        "unreachable": {"compute2": UNREACHABLE},
        "drift": {"compute1": {"options|/etc/nova/nova.conf|DEFAULT|verbose": "False"}},
    }
    done = checkout.script("preview", STACK, str(out), "--refresh", check=False)
    # Neither 0, nor as where there is no plan.
    assert done.returncode == 3
    comment = (out / "comment.md").read_text()
    assert "Not all machines could be asked" in comment
    assert UNREACHABLE in comment
    drift = comment[comment.index("What differs on the machines") :]
    assert "compute1" in drift
    assert "verbose" in drift
    # And the plan, without refresh.
    assert "`nova.conf [DEFAULT] debug`" in comment


def test_with_every_machine_there_a_preview_with_refresh_shows_drift_and_ends_with_zero(
    checkout: Checkout, out: Path
) -> None:
    checkout.there = {"drift": {"compute1": {"options|/etc/nova/nova.conf|DEFAULT|verbose": "False"}}}
    checkout.script("preview", STACK, str(out), "--refresh")
    comment = (out / "comment.md").read_text()
    assert '| changed (drift) | `compute1` | `nova.conf [DEFAULT] verbose` | `"False"` | `"True"` |' in comment
    assert "The machines have been asked" in comment


def test_a_preview_that_fails_says_why_in_the_comment(checkout: Checkout, out: Path) -> None:
    done = checkout.script("preview", STACK, str(out), check=False, PULUMI_CONFIG_PASSPHRASE="of another")
    assert done.returncode == 1
    comment = (out / "comment.md").read_text()
    assert "The plan could not be made" in comment
    assert "incorrect passphrase" in comment
    assert "incorrect passphrase" in done.stderr


def test_settings_that_are_wrong_are_named_in_the_log_of_the_job_too(checkout: Checkout, out: Path) -> None:
    checkout.commit(regoin="regionOne")
    try:
        done = checkout.script("preview", STACK, str(out), check=False)
    finally:
        checkout.run("git", "reset", "-q", "--hard", "HEAD~1")
    assert done.returncode == 1
    assert "nova:regoin: is not a setting" in (out / "comment.md").read_text()
    assert "nova:regoin: is not a setting" in done.stderr


def test_a_secret_that_an_error_holds_is_in_no_log_and_in_no_comment(checkout: Checkout, out: Path) -> None:
    # The stand-in says it as it is, where a machine's words would be masked by ourselves.
    checkout.there = {"unreachable": {"compute2": "compute2: its log has lab-nova-pass and lab-admin-pass."}}
    done = checkout.script("preview", STACK, str(out), "--refresh", check=False)
    assert done.returncode == 3
    said = done.stdout + done.stderr + "".join(file.read_text() for file in out.iterdir())
    assert "its log has [secret] and [secret]" in said
    assert not re.search("lab-(nova|admin)-pass", said)


def test_a_refresh_that_fails_as_any_preview_would_is_not_about_machines(checkout: Checkout, out: Path) -> None:
    done = checkout.script("preview", STACK, str(out), "--refresh", check=False, PULUMI_CONFIG_PASSPHRASE="of another")
    assert done.returncode == 1
    comment = (out / "comment.md").read_text()
    assert "incorrect passphrase" in comment
    assert "machines could be asked" not in comment


def test_a_stack_whose_file_goes_is_said_to_be_nobodys(checkout: Checkout, out: Path) -> None:
    checkout.run("git", "rm", "-q", f"stacks/Pulumi.{STACK}.yaml")
    try:
        checkout.script("preview", STACK, str(out), PULUMI_CONFIG_PASSPHRASE="")
    finally:
        checkout.run("git", "reset", "-q", "--hard")
    comment = (out / "comment.md").read_text()
    assert comment.startswith(f"<!-- nova-infra: preview of {STACK} -->\n")
    assert "> [!CAUTION]\n> - The change removes the file of this stack." in comment
    assert f"Commit {COMMIT}. [The run](https://example.org/runs/1)" in comment


def test_a_fork_that_removes_the_file_of_a_stack_gets_the_same_comment(checkout: Checkout, out: Path) -> None:
    checkout.run("git", "rm", "-q", f"stacks/Pulumi.{STACK}.yaml")
    try:
        checkout.script("preview", STACK, str(out / "own"), PULUMI_CONFIG_PASSPHRASE="")
        checkout.run("git", "commit", "-q", "-m", "a stack goes")
        checkout.script("preview-without-secrets", STACK, "HEAD~1", "HEAD", str(out))
        # The way back makes a stack, and has a plan.
        checkout.script("preview-without-secrets", STACK, "HEAD", "HEAD~1", str(out / "back"))
    finally:
        checkout.run("git", "reset", "-q", "--hard", "HEAD~1")
    assert (out / "without-file").exists()
    assert (out / "comment.md").read_text() == (out / "own" / "comment.md").read_text()
    assert "to make" in (out / "back" / "comment.md").read_text()


def test_a_comment_that_could_not_be_made_is_not_there(checkout: Checkout, out: Path) -> None:
    done = checkout.script("preview", STACK, str(out), check=False, RUN_URL="no address")
    assert done.returncode != 0
    assert "--link" in done.stderr
    assert not (out / "comment.md").exists()


@pytest.mark.parametrize("base", ["", "nosuch"])
def test_a_base_that_is_not_there_is_said_and_is_no_plan_of_nothing(checkout: Checkout, out: Path, base: str) -> None:
    done = checkout.script("preview-without-secrets", STACK, base, "HEAD", str(out), check=False)
    assert done.returncode != 0
    comment = (out / "comment.md").read_text()
    assert "The plan could not be made" in comment
    assert "invalid reference" in comment
    assert "to make" not in comment


def test_without_secrets_and_state_the_change_is_shown_all_the_same(checkout: Checkout, out: Path) -> None:
    checkout.script(
        "preview-without-secrets",
        STACK,
        "HEAD~1",
        "HEAD",
        str(out),
        PULUMI_CONFIG_PASSPHRASE="",
        PULUMI_BACKEND_URL="file:///nowhere",
    )
    comment = (out / "comment.md").read_text()
    assert "without secrets and without state" in comment
    rows = [line for line in comment.splitlines() if line.startswith("| changed")]
    assert rows == ['| changed | `compute[1-3]`, `controller` | `nova.conf [DEFAULT] debug` |  | `"True"` |']
    assert checkout.run("git", "worktree", "list").stdout.count("\n") == 1
    assert checkout.run("git", "status", "--short").stdout == ""
    # What a fork leaves is read by our own code, which then asks GitHub; tests/unit/test_github_scripts.py goes on there.
    out.rename(out.parent / f"preview-{STACK}")
    github = {"GITHUB_API_URL": "http://127.0.0.1:9", "GITHUB_REPOSITORY": "a/b", "GITHUB_TOKEN": "t"}
    words = ("7", str(out.parent), COMMIT, "success")
    done = checkout.script("comment-on-fork", *words, check=False, **github)
    assert "GitHub does not answer" in done.stderr
    assert rows[0] in (out.parent / f"comment-{STACK}.md").read_text()


def test_nothing_is_deployed_while_a_machine_cannot_be_reached(checkout: Checkout) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    node = {"name": "controller", "address": "192.0.2.11", "host": "127.0.0.1", "port": port}
    checkout.commit(controllers=[node], computes=[])
    # What comes to main after the approval is no matter, where it is not of this stack.
    checkout.run("git", "commit", "-q", "--allow-empty", "-m", "a page")
    try:
        before = checkout.run("pulumi", "stack", "export", "--stack", STACK).stdout
        # The real thing asks, not its stand-in.
        done = checkout.script("up", STACK, "HEAD~1", check=False, PYTHONPATH=str(checkout.root))
        assert done.returncode == 2
        assert "controller" in done.stdout
        assert checkout.run("pulumi", "stack", "export", "--stack", STACK).stdout == before
    finally:
        checkout.run("git", "reset", "-q", "--hard", "HEAD~2")


def test_an_approval_that_came_too_late_deploys_nothing(checkout: Checkout) -> None:
    before = checkout.run("pulumi", "stack", "export", "--stack", STACK).stdout
    for commit in ("HEAD~1", "nosuch"):
        done = checkout.script("up", STACK, commit, check=False)
        assert done.returncode == 1
        assert "newest commit" in done.stderr
    assert checkout.run("pulumi", "stack", "export", "--stack", STACK).stdout == before


@pytest.mark.parametrize(
    ("there", "code", "words"),
    [
        ({}, "0", ""),
        ({"drift": {"compute1": {"options|/etc/nova/nova.conf|DEFAULT|verbose": "False"}}}, "2", "verbose"),
        ({"unreachable": {"compute2": UNREACHABLE}}, "3", "nobody answers there"),
    ],
)
def test_the_nightly_report_says_what_it_found_by_its_code(
    checkout: Checkout, out: Path, there: dict[str, Any], code: str, words: str
) -> None:
    checkout.there = there
    checkout.script("drift", STACK, str(out))
    assert (out / "code").read_text().strip() == code
    assert words in " ".join((out / "report.txt").read_text().split())
    assert "<html" in (out / "report.html").read_text()


def test_the_nightly_report_says_what_a_refresh_has_stored_until_it_is_put_right(checkout: Checkout, out: Path) -> None:
    def compute1(verbose: str) -> dict[str, Any]:
        return {"drift": {"compute1": {"options|/etc/nova/nova.conf|DEFAULT|verbose": verbose}}}

    refresh = ("pulumi", "refresh", "--stack", STACK, "--yes", "--skip-preview", "--non-interactive")
    checkout.there = compute1("False")
    checkout.run(*refresh)
    checkout.script("drift", STACK, str(out))
    assert (out / "code").read_text().strip() == "2"
    assert "a stored refresh has found it" in " ".join((out / "report.txt").read_text().replace("|", " ").split())
    checkout.there = compute1("True")
    checkout.script("drift", STACK, str(out))
    assert (out / "code").read_text().strip() == "0"
    checkout.run(*refresh)


def test_a_nightly_report_that_could_not_be_made_says_why(checkout: Checkout, out: Path) -> None:
    checkout.script("drift", "nosuch", str(out))
    assert (out / "code").read_text().strip() == "1"
    assert "nosuch" in (out / "report.txt").read_text()


# It changes what is deployed, so it comes last.
def test_what_the_check_has_let_through_is_deployed(checkout: Checkout, tmp_path: Path) -> None:
    path, python = checkout.run("bash", "-c", "echo $PATH; command -v python").stdout.splitlines()
    let_through = tmp_path / "python"
    # Machines that are not there pass no check; all else is the real thing.
    let_through.write_text(
        f'#!/bin/sh\n[ "$*" != "-m nova_infra check --stack {STACK}" ] || {{ echo checked; exit 0; }}\nexec {python} "$@"\n'
    )
    let_through.chmod(0o755)
    done = checkout.script("up", STACK, "HEAD", PATH=f"{tmp_path}:{path}")
    first, *rest = done.stdout.splitlines()
    assert first == "checked"
    assert "updated" in "\n".join(rest)
    assert "main has another deployment" not in done.stderr
    state = json.loads(checkout.run("pulumi", "stack", "export", "--stack", STACK).stdout)["deployment"]["resources"]
    (controller,) = [each for each in state if each["urn"].endswith("::nova-controller")]
    assert controller["inputs"]["options"]["/etc/nova/nova.conf"]["DEFAULT"]["debug"] == "True"
