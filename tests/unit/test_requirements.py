"""The ranges of dependencies, as `make test-versions` reads them, and the files that the rules hold for."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.nodes import ROOT


def requirements(name: str) -> list[str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith(("#", "-r "))]


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_dependency_has_a_lowest_version_and_a_release_that_it_stays_below(name: str) -> None:
    # A line of another shape would be left out of the lowest versions without a word.
    shape = re.compile(r"[A-Za-z0-9._-]+>=[0-9][0-9.]*,<[0-9][0-9.]*(\s+#.*)?")
    assert [line for line in requirements(name) if not shape.fullmatch(line)] == []


def test_every_dependency_of_the_package_says_what_it_is_for() -> None:
    assert [line for line in requirements("requirements.txt") if not line.partition("#")[2].strip()] == []


def test_ruff_looks_at_every_script_in_python_though_its_name_does_not_say_that_it_is_one() -> None:
    files = [
        file for folder in (".github/scripts", "toolchain") for file in (ROOT / folder).iterdir() if file.is_file()
    ]
    scripts = {
        str(file.relative_to(ROOT))
        for file in files
        if file.suffix != ".py" and re.match(rb"#!.*python", file.read_bytes())
    }
    assert scripts
    ruff = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]
    assert set(ruff["extend-include"]) == scripts
