"""The wheel: what is in it, and that it is enough. Needs pip's index, no engine and no lab."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.nodes import ROOT
from tests.wheel import EXAMPLES, Installed, settings_of, sources


def files_in(wheel: Path) -> set[str]:
    """The files of the wheel but its metadata; templates by their path in the repository."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name.partition(".data/data/share/nova-infra/")[2] or name for name in archive.namelist()]
    return {name for name in names if ".dist-info/" not in name}


def test_the_wheel_holds_the_package_and_its_templates_and_nothing_else(installed: Installed) -> None:
    wanted = {name for name in sources() if name.startswith(("nova_infra/", "templates/"))}
    assert {"nova_infra/py.typed", "nova_infra/remote/node/script.sh", "nova_infra/releases/juno.py"} <= wanted
    assert "templates/juno/controller/nova.conf" in wanted
    assert files_in(installed.wheel) == wanted


def test_the_wheel_asks_for_what_requirements_txt_says(installed: Installed) -> None:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = {line.split("#")[0].strip() for line in lines} - {""}
    script = "import json, importlib.metadata as m; print(json.dumps(m.requires('nova-infra')))"
    asked = json.loads(installed.run("-c", script))
    # `pulumi>=3.250,<4` comes back as `pulumi<4,>=3.250`.
    assert {"".join(sorted(each)) for each in asked} == {"".join(sorted(each)) for each in wanted}


def test_the_installed_package_is_not_the_checkout(installed: Installed) -> None:
    place = Path(installed.run("-c", "import nova_infra; print(nova_infra.__file__)").strip())
    assert place.is_relative_to(installed.venv)
    assert str(ROOT) not in installed.run("-c", "import sys; print(sys.path)")


def test_the_installed_package_fits_its_dependencies(installed: Installed) -> None:
    installed.run("-m", "pip", "check")


def test_pip_installs_it_in_minutes_at_most(installed: Installed) -> None:
    print(f"pip took {installed.seconds:.0f} s")
    assert installed.seconds < 300


def test_every_example_runs_where_only_the_wheel_is_installed(installed: Installed) -> None:
    programs = {example: settings_of(example) for example in EXAMPLES}
    answer = json.loads(installed.run("mocked.py", text=json.dumps(programs)))
    assert sorted(answer) == EXAMPLES
    for example, resources in answer.items():
        names = {each["name"] for each in resources}
        assert names & {"access", "compute1-packages-access", "nova-0"}, example
        assert all(each["provider"] in names | {""} for each in resources), example
    # The templates were found: the options of a node come from them.
    (controller,) = [each for each in answer["deployment"] if each["kind"] == "ControllerNode"]
    assert controller["inputs"]["options"]["/etc/nova/nova.conf"]["DEFAULT"]["my_ip"] == "10.0.0.11"


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_passes_the_strictest_type_check_against_the_wheel(
    installed: Installed, tmp_path_factory: pytest.TempPathFactory, example: str
) -> None:
    # All are called __main__.py: each is checked under a name of its own, with one cache for all.
    folder = tmp_path_factory.getbasetemp() / "types"
    folder.mkdir(exist_ok=True)
    shutil.copy(installed.examples / example / "__main__.py", folder / f"{example}.py")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", *of_the_wheel(installed), f"{example}.py"],
        cwd=folder,
        env=installed.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def of_the_wheel(installed: Installed) -> list[str]:
    """Options of mypy: with the environment of the wheel, and what was read of that once."""
    return ["--python-executable", str(installed.python), "--cache-dir", str(installed.venv.parent / "mypy-cache")]


def test_a_mistake_in_the_arguments_is_found_by_the_type_check(installed: Installed, tmp_path: Path) -> None:
    # Without py.typed everything would pass.
    program = tmp_path / "mistake.py"
    program.write_text('import nova_infra\n\nnova_infra.ServiceArgs(name="nova", typ="compute")\n', encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", *of_the_wheel(installed), program.name],
        cwd=tmp_path,
        env=installed.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert 'Unexpected keyword argument "typ"' in done.stdout
