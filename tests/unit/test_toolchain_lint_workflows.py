"""toolchain/lint-workflows looks at the scripts with shellcheck, which CI has always. Stand-ins for actionlint, shellcheck and apt-get."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SYSTEM = (
    "bash",
    "sh",
    "env",
    "dirname",
    "sed",
    "grep",
    "mktemp",
    "rm",
    "flock",
    "setsid",
    "tail",
    "mkdir",
    "chmod",
    "cp",
    "cat",
)
SHELLCHECK = '#!/bin/sh\necho "shellcheck $*"\n'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a script, on a machine that has actionlint in its cache and no shellcheck."""
    made = tmp_path / "checkout"
    shutil.copytree(ROOT / "toolchain", made / "toolchain")
    (made / ".github" / "workflows").mkdir(parents=True)
    (made / ".github" / "workflows" / "a.yml").touch()
    # A run of a script in Python has left the folder.
    (made / ".github" / "scripts" / "__pycache__").mkdir(parents=True)
    (made / ".github" / "scripts" / "a-script").write_text("#!/usr/bin/env bash\n")
    (made / ".github" / "scripts" / "another").write_text("#!/usr/bin/env python3\n")
    (made / "system").mkdir()
    for name in SYSTEM:
        (made / "system" / name).symlink_to(str(shutil.which(name)))
    version = subprocess.run(
        ["sed", "-n", "s|^.*rhysd/actionlint v\\([0-9.]*\\).*|\\1|p", ROOT / "toolchain/actionlint/go.mod"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    program(made / "cache" / "actionlint" / version / "actionlint", '#!/bin/sh\necho "actionlint $*"\n')
    program(made / "bin" / "id", "#!/bin/sh\necho 0\n")
    return made


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def lint(checkout: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout / "toolchain" / "lint-workflows"],
        env={
            "PATH": f"{checkout}/bin:{checkout}/system",
            "HOME": str(checkout),
            "NOVA_INFRA_CACHE": f"{checkout}/cache",
        }
        | more,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def apt_get(checkout: Path, after: str = "") -> None:
    """An apt-get that says what it is asked for, and has shellcheck; where `after` is given, only once that was asked for."""
    (checkout / "shellcheck").write_text(SHELLCHECK)
    program(
        checkout / "bin" / "apt-get",
        f'''#!/bin/sh
echo "$*" >>"{checkout}/asked"
case "$*" in
*install*) grep -q -e "{after}" "{checkout}/asked" || {{ echo "E: 404 Not Found"; exit 100; }} ;;
*) exit 0 ;;
esac
cp "{checkout}/shellcheck" "{checkout}/bin/shellcheck"
chmod +x "{checkout}/bin/shellcheck"
''',
    )


def test_scripts_of_bash_are_looked_at_where_shellcheck_is_there(checkout: Path) -> None:
    program(checkout / "bin" / "shellcheck", SHELLCHECK)
    done = lint(checkout, CI="true")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["actionlint .github/workflows/a.yml", "shellcheck .github/scripts/a-script"]
    assert done.stderr == ""


def test_a_person_without_shellcheck_is_told_and_nothing_is_installed(checkout: Path) -> None:
    apt_get(checkout)
    done = lint(checkout)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["actionlint .github/workflows/a.yml"]
    assert "apt-get install shellcheck" in done.stderr
    assert not (checkout / "asked").exists()


@pytest.mark.parametrize("after", ["", "update"])
def test_ci_installs_it_also_where_the_lists_of_apt_are_old(checkout: Path, after: str) -> None:
    apt_get(checkout, after)
    done = lint(checkout, CI="true")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "shellcheck .github/scripts/a-script"
    assert ("update" in (checkout / "asked").read_text()) == bool(after)


def test_ci_fails_where_it_cannot_be_had(checkout: Path) -> None:
    apt_get(checkout, "nothing of this kind")
    done = lint(checkout, CI="true")
    assert done.returncode == 1
    assert "apt-get cannot install shellcheck (it said: E: 404 Not Found)" in done.stderr
    assert "actionlint" not in done.stdout
