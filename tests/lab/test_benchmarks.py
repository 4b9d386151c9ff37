"""make bench: each benchmark by itself, with few nodes, writes its record and the page, and leaves no node."""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
NAME = "nova-bench-test"


pytestmark = [pytest.mark.lab, pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.mark.parametrize(
    ("name", "contestants"),
    [
        ("fresh", {"by-hand", "at-once", "ansible", "ours", "empty"}),
        ("drift", {"ssh", "ours", "empty", "pyinfra", "ansible"}),
        ("nothing", {"ours", "empty"}),
        ("option", {"ours", "ssh", "reported", "ansible", "unsaved"}),
        ("curve", {"up", "option", "add", "preview", "check", "destroy"}),
    ],
)
def test_a_benchmark_alone_keeps_what_it_measured_and_leaves_no_node(
    name: str, contestants: set[str], tmp_path: Path
) -> None:
    results = tmp_path / "benchmarks"
    asked = {"BENCH": name, "NODES": "2", "ROUNDS": "1", "BENCH_RESULTS": str(results), "BENCH_LAB_NAME": NAME}

    done = run("-m", "benchmarks", **asked)

    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((results / f"{name}-2.json").read_text())
    assert record["complete"]
    assert {each["key"] for each in record["runs"]} == contestants
    assert "# Benchmarks" in (tmp_path / "benchmarks.md").read_text()
    assert no_node_is_left()


def test_a_profile_says_where_the_time_goes_keeps_it_and_leaves_no_node(tmp_path: Path) -> None:
    results = tmp_path / "benchmarks"
    asked = {"WHAT": "preview", "NODES": "2", "BENCH_RESULTS": str(results), "BENCH_LAB_NAME": NAME}

    done = run("-m", "benchmarks.profiling", **asked)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "preview with 2 compute nodes:" in done.stdout
    assert "CPU seconds" in done.stdout
    assert (results / "profile-preview-2.txt").read_text() in done.stdout
    assert no_node_is_left()


def run(*arguments: str, **asked: str) -> subprocess.CompletedProcess[str]:
    """The benchmarks' own python, asked for something."""
    subprocess.run([ROOT / "benchmarks" / "venv"], check=True)
    return subprocess.run(
        [ROOT / ".venv-bench" / "bin" / "python", *arguments],
        cwd=ROOT,
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        check=False,
    )


def no_node_is_left() -> bool:
    left = subprocess.run(["podman", "ps", "-a", "--format", "{{.Names}}"], check=True, capture_output=True, text=True)
    return NAME not in left.stdout
