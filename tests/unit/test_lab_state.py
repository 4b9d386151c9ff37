"""What the lab's scripts do to the folder of its stack's state, in which somebody may have made a stack of their own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The lab's folder, with a state of the stack `lab` that an engine has left."""
    write(tmp_path, "lab")
    (tmp_path / "pulumi" / ".pulumi" / "meta.yaml").write_text("version: 1\n")
    (tmp_path / "pulumi" / "THROWAWAY").write_text("lab\n")
    return tmp_path


def write(state: Path, stack: str, suffix: str = "") -> set[str]:
    """The files of a stack, with what Pulumi keeps of earlier states and a lock that was left."""
    below = state / "pulumi" / ".pulumi"
    names = [f"stacks/nova/{stack}.json{suffix}", f"stacks/nova/{stack}.json{suffix}.bak"]
    names += [f"{folder}/nova/{stack}/a.json" for folder in ("history", "backups", "locks/organization")]
    for name in names:
        (below / name).parent.mkdir(parents=True, exist_ok=True)
        (below / name).write_text("{}")
    return set(names)


def files(state: Path) -> set[str]:
    below = state / "pulumi" / ".pulumi"
    return {path.relative_to(below).as_posix() for path in below.rglob("*") if path.is_file()}


def forget(state: Path) -> str:
    command = ["bash", "-c", ". lab/settings.sh && forget_stack"]
    environment = {"LAB_STATE": str(state), "HOME": str(state), "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout


def test_the_state_of_the_lab_goes_with_the_lab(state: Path) -> None:
    assert forget(state) == ""
    assert not (state / "pulumi").exists()
    assert forget(state) == ""


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_stack_that_somebody_has_made_in_the_labs_state_stays_with_all_that_is_of_it(
    state: Path, suffix: str
) -> None:
    mine = write(state, "mine", suffix) | write(state, "lab-2", suffix)
    said = forget(state)
    assert "the state of lab-2 mine;" in said
    assert files(state) == {*mine, "meta.yaml"}
    # Else its program would refuse it.
    assert not (state / "pulumi" / "THROWAWAY").exists()


@pytest.mark.parametrize("script", ["down", "up"])
def test_nothing_else_deletes_that_folder(script: str) -> None:
    text = (ROOT / "lab" / script).read_text()
    assert "\n  forget_stack\n" in text or "\nforget_stack\n" in text
    assert not [line for line in text.splitlines() if line.lstrip().startswith("rm ") and "pulumi" in line]
