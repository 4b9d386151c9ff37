"""The package as a user gets it: a wheel, installed by pip into a virtual environment that holds nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.nodes import ROOT

EXAMPLES = sorted(path.parent.name for path in (ROOT / "examples").glob("*/Pulumi.yaml"))


@dataclass(frozen=True)
class Installed:
    """The wheel, where it is installed, and the examples outside of the checkout."""

    wheel: Path
    venv: Path
    examples: Path
    seconds: float
    """How long pip took, dependencies included."""

    @property
    def python(self) -> Path:
        return self.venv / "bin" / "python"

    def environment(self, **more: str) -> dict[str, str]:
        """Nothing of it leads to the checkout; programs and providers run with this environment's Python."""
        ours = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
        built = ROOT / "toolchain" / ".engine-path"
        engine = built.read_text(encoding="utf-8").strip() if built.exists() else ""
        return {**ours, "PATH": ":".join(filter(None, [str(self.venv / "bin"), engine, os.environ["PATH"]])), **more}

    def run(self, *arguments: str, text: str | None = None) -> str:
        """What the environment's Python prints, run among the examples."""
        done = subprocess.run(
            [self.python, *arguments],
            cwd=self.examples,
            env=self.environment(),
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def sources() -> list[str]:
    """The files of the repository, those that are not committed yet included."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def install(folder: Path) -> Installed:
    """Builds from a copy of the sources, so that what an earlier build left in the checkout has no part in it."""
    copy, venv, dist = folder / "sources", folder / "venv", folder / "dist"
    for name in sources():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    _python(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(dist), str(copy))
    (wheel,) = dist.glob("*.whl")
    began = time.monotonic()
    _python(sys.executable, "-m", "venv", str(venv))
    _python(str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", str(wheel))
    seconds = time.monotonic() - began
    examples = folder / "examples"
    shutil.copytree(copy / "examples", examples)
    shutil.copy(ROOT / "tests" / "mocked.py", examples / "mocked.py")
    shutil.rmtree(copy)
    return Installed(wheel, venv, examples, seconds)


def settings_of(example: str, values: Mapping[str, str] | None = None) -> dict[str, dict[str, object]]:
    """`{"project:key": {"value", "secret"}}`: the defaults of the example's Pulumi.yaml, and these values or any others."""
    project = yaml.safe_load((ROOT / "examples" / example / "Pulumi.yaml").read_text(encoding="utf-8"))
    settings = {}
    for key, each in project["config"].items():
        default = each.get("default", f"value of {key}")
        text = (values or {}).get(key, default if isinstance(default, str) else json.dumps(default))
        settings[f"{project['name']}:{key}"] = {"value": text, "secret": bool(each.get("secret"))}
    return settings


def _python(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}: {done.stdout}{done.stderr}"
