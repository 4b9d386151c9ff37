"""Where Pulumi keeps the state, as docs/state.md and docs/operations.md say it, for a folder: with the real engine, without a machine."""

from __future__ import annotations

import json
import subprocess
from itertools import takewhile
from pathlib import Path

import pytest

from tests.nodes import ROOT, Stack

pytestmark = pytest.mark.engine

PULUMI_ALONE = ("--yes", "--non-interactive")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The folder of the state, below what is $HOME here."""
    folder = tmp_path / "nova-state"
    folder.mkdir()
    return folder


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program of no resources: what is kept of the state is the same."""
    folder = tmp_path / "program"
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text("name: nova\nruntime: python\n")
    (folder / "__main__.py").touch()
    return folder


@pytest.fixture
def environment(state: Path) -> dict[str, str]:
    script = ". ./activate && env -0"
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, env=Stack(state).environment(), capture_output=True, text=True, check=True
    )
    variables = dict(each.split("=", 1) for each in done.stdout.split("\0") if each)
    variables.pop("PULUMI_OPTION_CONFIG_FILE", None)
    return {**variables, "PULUMI_STACK": "mine", "HOME": str(state.parent)}


def pulumi(
    program: Path, environment: dict[str, str], *words: str, check: bool = True
) -> subprocess.CompletedProcess[str]:
    command = ["pulumi", *words]
    return subprocess.run(command, cwd=program, env=environment, capture_output=True, text=True, check=check)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def of_the_page(page: str, beginning: str) -> str:
    (line,) = [
        each.strip() for each in (ROOT / "docs" / page).read_text().splitlines() if each.strip().startswith(beginning)
    ]
    return line


def run_in(home: Path, line: str) -> None:
    subprocess.run(["bash", "-euc", line], env={"HOME": str(home), "PATH": "/usr/bin:/bin"}, check=True)


def test_the_state_is_where_pulumi_was_logged_in_to(
    program: Path, environment: dict[str, str], state: Path, tmp_path: Path
) -> None:
    mine = {key: value for key, value in environment.items() if key not in {"PULUMI_BACKEND_URL", "PULUMI_STACK"}}
    mine["PULUMI_HOME"] = str(tmp_path / "home")
    pulumi(program, mine, "login", f"file://{state}?metadata=skip")
    assert f"file://{state}" in pulumi(program, mine, "whoami", "-v").stdout
    pulumi(program, mine, "stack", "init", "staging", "--non-interactive")
    listed = json.loads(pulumi(program, mine, "stack", "ls", "--json").stdout)
    assert [each["name"] for each in listed] == ["staging"]
    assert list(state.rglob("staging.json"))


@pytest.mark.parametrize("options", ["?metadata=skip", ""])
def test_what_stack_rm_leaves_of_a_stack_is_deleted_by_the_line_that_the_page_has(
    program: Path, environment: dict[str, str], state: Path, options: str
) -> None:
    mine = {**environment, "PULUMI_BACKEND_URL": f"file://{state}{options}"}
    pulumi(program, mine, "stack", "init", "mine", "--non-interactive")
    for verb in ("up", "destroy"):
        pulumi(program, mine, verb, "--skip-preview", *PULUMI_ALONE)
    pulumi(program, mine, "stack", "rm", *PULUMI_ALONE)
    with_attributes = ["", ".attrs"] if options == "" else [""]
    own = {f".pulumi/meta.yaml{each}" for each in with_attributes}
    kept = files(state)
    saved = {each for each in kept if each.startswith(".pulumi/backups/nova/mine/mine.")}
    assert saved
    assert kept - saved == own | {f".pulumi/stacks/nova/mine.json.bak{each}" for each in with_attributes}

    run_in(state.parent, of_the_page("state.md", "rm -r ~/nova-state/"))
    assert files(state) == own


def test_a_state_whose_attributes_a_killed_engine_left_empty_is_read_again_by_the_line_that_the_page_has(
    program: Path, environment: dict[str, str], state: Path
) -> None:
    with_attributes = {**environment, "PULUMI_BACKEND_URL": f"file://{state}"}
    pulumi(program, with_attributes, "stack", "init", "mine", "--non-interactive")
    attributes = state / ".pulumi" / "stacks" / "nova" / "mine.json.attrs"
    assert attributes.stat().st_size
    attributes.write_text("")
    refused = pulumi(program, with_attributes, "cancel", *PULUMI_ALONE, check=False)
    assert refused.returncode != 0
    assert "failed to load checkpoint: EOF" in refused.stderr
    assert "`failed to load checkpoint: EOF`" in (ROOT / "docs" / "operations.md").read_text()

    run_in(state.parent, of_the_page("operations.md", "find ~/nova-state"))
    pulumi(program, with_attributes, "cancel", *PULUMI_ALONE)
    pulumi(program, with_attributes, "up", "--skip-preview", *PULUMI_ALONE)


def test_without_metadata_pulumi_writes_no_attributes_that_could_be_left_empty(
    program: Path, environment: dict[str, str], state: Path
) -> None:
    pulumi(program, environment, "stack", "init", "mine", "--non-interactive")
    pulumi(program, environment, "up", "--skip-preview", *PULUMI_ALONE)
    assert environment["PULUMI_BACKEND_URL"] == f"file://{state}?metadata=skip"
    assert [each for each in files(state) if each.endswith(".attrs")] == []


def test_a_stack_goes_from_one_backend_to_another_by_the_lines_that_the_page_has(
    program: Path, environment: dict[str, str], state: Path, tmp_path: Path
) -> None:
    (program / "__main__.py").write_text(
        'import pulumi\npulumi.export("of", pulumi.Output.secret(pulumi.Config().require_secret("password")))\n'
    )
    mine = {key: value for key, value in environment.items() if key not in {"PULUMI_BACKEND_URL", "PULUMI_STACK"}}
    mine |= {"PULUMI_HOME": str(tmp_path / "home"), "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true"}
    pulumi(program, mine, "login", f"file://{state}?metadata=skip")
    pulumi(program, mine, "stack", "init", "production", "--non-interactive")
    pulumi(program, mine, "config", "set", "--secret", "password", "hunter2", "--stack", "production")
    pulumi(program, mine, "up", "--stack", "production", "--skip-preview", *PULUMI_ALONE)

    # As the page says of that variable; without it there are some.
    assert not list(state.rglob("backups"))

    lines = (ROOT / "docs" / "state.md").read_text().splitlines()
    beginning = "pulumi stack export --stack production --file"
    (first,) = [number for number, line in enumerate(lines) if line.strip().startswith(beginning)]
    block = "\n".join(takewhile(str.strip, lines[first:]))
    other = tmp_path / "another"
    other.mkdir()
    there = block.replace("s3://...", f"file://{other}")
    assert there != block
    subprocess.run(["bash", "-euc", there], cwd=program, env=mine, stdin=subprocess.DEVNULL, check=True)

    assert f"file://{other}" in pulumi(program, mine, "whoami", "-v").stdout
    shown = pulumi(program, mine, "stack", "output", "of", "--show-secrets", "--stack", "production").stdout
    assert shown.strip() == "hunter2"
    nothing = ("preview", "--stack", "production", "--expect-no-changes", "--non-interactive")
    pulumi(program, mine, *nothing)
    assert not (program / "state.json").exists()
    assert "hunter2" not in (other / ".pulumi" / "stacks" / "nova" / "production.json").read_text()
