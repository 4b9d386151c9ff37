"""toolchain/stack makes the lab's stack in the lab's own state, and in nobody else's. A stand-in for pulumi."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Says with which backend it was called; there is a stack in one of them.
PULUMI = """#!/bin/sh
echo "$PULUMI_BACKEND_URL $*" >>"$(dirname "$0")/calls"
case "$PULUMI_BACKEND_URL" in *without) exit 255 ;; esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout that is set up, of somebody who is logged in elsewhere."""
    made = tmp_path / "checkout"
    for folder in (".venv/bin", "stacks", "engine", "toolchain"):
        (made / folder).mkdir(parents=True)
    for name in ("activate", "toolchain/stack", "toolchain/steps.sh", "stacks/Pulumi.lab.yaml"):
        shutil.copy(ROOT / name, made / name)
    (made / ".venv" / "made-from").touch()
    (made / "toolchain" / ".engine-path").write_text(f"{made}/engine\n")
    (made / "engine" / "pulumi").write_text(PULUMI)
    (made / "engine" / "pulumi").chmod(0o755)
    (tmp_path / ".pulumi").mkdir()
    (tmp_path / ".pulumi" / "credentials.json").write_text('{"current": "https://elsewhere"}')
    return made


def stack(checkout: Path, *options: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout / "toolchain" / "stack", *options],
        env={"PATH": "/usr/bin:/bin", "HOME": str(checkout.parent)} | more,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def calls(checkout: Path) -> list[str]:
    return (checkout / "engine" / "calls").read_text().splitlines()


@pytest.mark.parametrize("options", [(), ("--needed",)])
def test_a_login_elsewhere_is_not_asked_for_the_labs_stack(checkout: Path, options: tuple[str, ...]) -> None:
    done = stack(checkout, *options)
    assert done.returncode == 0, done.stderr
    (call,) = calls(checkout)
    assert call.startswith(f"file://{checkout}/.lab/pulumi?metadata=skip ")
    assert "select --create --stack lab" in call


def test_another_backend_gets_no_stack_and_one_that_is_needed_is_refused_before_anything_is_built(
    checkout: Path,
) -> None:
    assert stack(checkout, PULUMI_BACKEND_URL="file:///without").returncode == 0
    refused = stack(checkout, "--needed", PULUMI_BACKEND_URL="file:///without")
    assert refused.returncode == 1
    assert "unset PULUMI_BACKEND_URL and run this again" in refused.stderr
    assert stack(checkout, "--needed", PULUMI_BACKEND_URL="file:///with").returncode == 0
    assert not [each for each in calls(checkout) if "create" in each]


def test_the_demo_asks_for_its_stack_before_it_builds_images() -> None:
    planned = subprocess.run(["make", "-n", "demo"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert planned.index("toolchain/stack --needed") < planned.index("lab/setup-host")
