"""What a team's own repository must not fail: the required check with stacks, addresses and environments of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .test_stacks import EXAMPLE, ROOT

OF_THE_CHECKOUT = shutil.ignore_patterns(".git", ".venv*", ".lab", ".hypothesis", ".*_cache", "build", "__pycache__")
TESTS = ("tests/unit/test_stacks.py", "tests/unit/test_github_scripts.py")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT, tmp_path / "nova", ignore=OF_THE_CHECKOUT, symlinks=True))


def failures(repository: Path, which: str) -> str:
    """What the tests of stacks and workflows that have one of these words in their names say in that repository; empty when they pass."""
    command = [sys.executable, "-m", "pytest", *TESTS, "-q", "-p", "no:cacheprovider", "-k", which]
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    done = subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, check=False)
    assert re.search("passed|failed", done.stdout), done.stdout + done.stderr
    return "" if done.returncode == 0 else done.stdout


def own(repository: Path, stack: str, beginning: str = "") -> None:
    """A stack file of the team's; the one of the lab has no address of documentation either."""
    text = (repository / "stacks" / "Pulumi.lab.yaml").read_text()
    (repository / "stacks" / f"Pulumi.{stack}.yaml").write_text(beginning + text)


def test_another_stack_own_addresses_and_other_names_of_environments_fail_nothing(repository: Path) -> None:
    own(repository, "staging")
    own(repository, "quality")
    (repository / "stacks" / "Pulumi.production.yaml").unlink(missing_ok=True)
    up = repository / ".github" / "workflows" / "up.yml"
    up.write_text(up.read_text().replace("production", "quality"))
    assert failures(repository, "test_stacks or deployment or report or engine") == ""


def test_an_example_with_addresses_of_somebody_is_asked_for_its_first_comment(repository: Path) -> None:
    own(repository, "staging", f"{EXAMPLE}: it was one.\n")
    assert "take its first comment away" in failures(repository, "addresses_of_an_example and staging")
