"""toolchain/stack makes the lab's stack in the lab's own state, and nowhere else. A stand-in for pulumi."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Says with what it was called, and makes a state.
PULUMI = """#!/bin/sh
echo "$PULUMI_BACKEND_URL $PULUMI_CONFIG_PASSPHRASE_FILE ${PULUMI_CONFIG_PASSPHRASE-unset} $*" >>"$(dirname "$0")/calls"
state=${PULUMI_BACKEND_URL#file://}
mkdir -p "${state%%[?]*}/.pulumi/stacks/nova"
touch "${state%%[?]*}/.pulumi/stacks/nova/lab.json"
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout that is set up."""
    made = tmp_path / "checkout"
    for folder in (".venv/bin", "stacks", "engine", "toolchain", "lab"):
        (made / folder).mkdir(parents=True)
    for name in ("activate", "lab/activate", "toolchain/stack", "toolchain/steps.sh", "stacks/Pulumi.lab.yaml"):
        shutil.copy(ROOT / name, made / name)
    (made / ".venv" / "made-from").touch()
    (made / "toolchain" / ".engine-path").write_text(f"{made}/engine\n")
    (made / "engine" / "pulumi").write_text(PULUMI)
    (made / "engine" / "pulumi").chmod(0o755)
    return made


@pytest.mark.parametrize("state", ["", "second"])
def test_the_stack_is_made_once_in_the_labs_state_whatever_else_is_selected(checkout: Path, state: str) -> None:
    own = {"PULUMI_BACKEND_URL": "file:///elsewhere", "PULUMI_CONFIG_PASSPHRASE": "of my own", "PULUMI_STACK": "mine"}
    lab = {"LAB_STATE": str(checkout / state)} if state else {}
    for _ in range(2):
        done = subprocess.run(
            [checkout / "toolchain" / "stack"],
            env={"PATH": "/usr/bin:/bin", "HOME": str(checkout.parent), **own, **lab},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    (call,) = (checkout / "engine" / "calls").read_text().splitlines()
    backend = f"file://{checkout}/{state or '.lab'}/pulumi?metadata=skip"
    assert call.startswith(f"{backend} {checkout}/lab/passphrase unset ")
    assert call.endswith(" stack select --create --stack lab")
