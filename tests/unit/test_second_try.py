"""`--second-try` of .ci/run, by pytest itself in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.nodes import ROOT
from tests.second_try import MOST_FILES

CONFTEST = """
import pytest
from tests.second_try import pytest_addoption, pytest_configure

@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.xdist_group("lab"))
"""
# On nodes that one file shares, a test alone would not pass.
BY_CHANCE = """
from pathlib import Path
import pytest

@pytest.fixture(scope="module")
def nodes():
    return []

def test_first(nodes):
    nodes.append("made")

def test_by_chance(nodes):
    assert nodes == ["made"]
    done, mark = Path(__file__).with_suffix(".done").exists(), Path(__file__).with_suffix(".done").touch()
    assert done
"""


def run(folder: Path, *arguments: str) -> tuple[int, list[str]]:
    (folder / "conftest.py").write_text(CONFTEST)
    # As .ci/run gives it.
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": "--second-try"}
    for name in [name for name in environment if name.startswith("PYTEST_XDIST") or name == "PYTEST_CURRENT_TEST"]:
        del environment[name]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout.splitlines()


@pytest.mark.parametrize("processes", [("-n", "0"), ("-n", "2", "--dist", "loadgroup")], ids=["one", "two"])
def test_what_fails_by_chance_passes_with_its_file_and_is_named(tmp_path: Path, processes: tuple[str, ...]) -> None:
    (tmp_path / "test_chance.py").write_text(BY_CHANCE)
    (tmp_path / "test_other.py").write_text("def test_other(): pass")
    code, lines = run(tmp_path, *processes)
    assert "passed at the second try: test_chance.py::test_by_chance" in lines
    assert lines[-1].strip("= ").startswith("3 passed in")
    assert code == 0


def test_what_fails_twice_has_failed_and_is_counted_once(tmp_path: Path) -> None:
    (tmp_path / "test_wrong.py").write_text("def test_wrong(): assert False\ndef test_right(): pass")
    code, lines = run(tmp_path)
    assert "second try: test_wrong.py" in lines
    assert not [line for line in lines if line.startswith("passed at the second try")]
    assert lines[-1].strip("= ").startswith("1 failed, 1 passed in")
    assert code == 1


def test_more_files_than_chance_explains_are_not_run_again(tmp_path: Path) -> None:
    for number in range(MOST_FILES + 1):
        (tmp_path / f"test_{number}.py").write_text(BY_CHANCE)
    code, lines = run(tmp_path)
    assert "no second try: tests of 4 files failed, and at most 3 run again" in lines
    assert lines[-1].strip("= ").startswith("4 failed, 4 passed in")
    assert code == 1
