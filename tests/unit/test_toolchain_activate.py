"""./activate and lab/activate, as the shells that people use source them."""

import shutil
import subprocess
from pathlib import Path

import pytest

from nova_infra.throwaway import read_throwaway

ROOT = Path(__file__).resolve().parents[2]
OWN = {
    "PULUMI_BACKEND_URL": "file:///elsewhere",
    "PULUMI_CONFIG_PASSPHRASE": "of my own",
    "PULUMI_STACK": "staging",
    "PULUMI_OPTION_CONFIG_FILE": "/mine.yaml",
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout that is set up, with an engine of its own."""
    made = tmp_path / "with spaces"
    for folder in (".venv/bin", "toolchain", "engine", "lab"):
        (made / folder).mkdir(parents=True)
    for file in ("activate", "lab/activate", "lab/passphrase"):
        shutil.copy(ROOT / file, made / file)
    (made / ".venv" / "made-from").touch()
    (made / "toolchain" / ".engine-path").write_text(f"{made}/engine\n")
    (made / "engine" / "pulumi").touch(0o755)
    return made


def sourced(
    checkout: Path, line: str = ". ./activate && . ./activate && env", shell: str = "sh", folder: str = "", **more: str
) -> tuple[dict[str, str], str]:
    """The variables that `env` prints at the end of a line, and what was said."""
    run = subprocess.run(
        [shutil.which(shell) or shell, "-uc", line],
        cwd=checkout / folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(checkout.parent)} | more,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return dict(line.split("=", 1) for line in run.stdout.splitlines() if "=" in line), run.stderr


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_pulumi_and_python_are_at_hand_and_nothing_is_selected(checkout: Path, shell: str) -> None:
    found, said = sourced(checkout, shell=shell)
    assert said == ""
    assert found["PATH"] == f"{checkout}/.venv/bin:{checkout}/engine:/usr/bin:/bin"
    assert {name for name in found if name.startswith(("PULUMI_", "_nova"))} == {"PULUMI_SKIP_UPDATE_CHECK"}
    assert not (checkout / ".lab").exists()


def test_what_is_selected_stays(checkout: Path) -> None:
    found, _ = sourced(checkout, **OWN)
    assert found.items() >= OWN.items()


@pytest.mark.parametrize(("engine", "tries"), [("modules-0123456789abcdef/bin", False), ("release-3.250.0/bin", True)])
def test_an_engine_that_had_to_be_built_does_not_try_to_fetch_plugins(checkout: Path, engine: str, tries: bool) -> None:
    folder = checkout / engine
    folder.mkdir(parents=True)
    (folder / "pulumi").touch(0o755)
    (checkout / "toolchain" / ".engine-path").write_text(f"{folder}\n")
    found, _ = sourced(checkout)
    assert ("PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION" not in found) is tries


@pytest.mark.parametrize("file", ["./activate", "lab/activate"])
@pytest.mark.parametrize("missing", [".venv/made-from", "toolchain/.engine-path", "engine/pulumi"])
def test_before_the_set_up_it_says_what_to_do_and_fails(checkout: Path, file: str, missing: str) -> None:
    (checkout / missing).unlink()
    found, said = sourced(checkout, f". {file} || env", **OWN)
    assert "run 'make setup'" in said.splitlines()[0]
    assert found.items() >= OWN.items()
    assert not [name for name in found if name.startswith("_nova")]


# ------------------------------------------------------------ the lab


LAB = ". lab/activate && . lab/activate && env"


@pytest.mark.parametrize("own", [{}, OWN], ids=["nothing", "another stack"])
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_lab_is_selected_in_place_of_what_was(checkout: Path, shell: str, own: dict[str, str]) -> None:
    found, said = sourced(checkout, LAB, shell, **own)
    assert said == ""
    assert found["PATH"] == f"{checkout}/.venv/bin:{checkout}/engine:/usr/bin:/bin"
    assert {name: value for name, value in found.items() if name.startswith(("PULUMI_", "_nova"))} == {
        "PULUMI_BACKEND_URL": f"file://{checkout}/.lab/pulumi?metadata=skip",
        "PULUMI_CONFIG_PASSPHRASE_FILE": f"{checkout}/lab/passphrase",
        "PULUMI_STACK": "lab",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }


def test_the_folder_of_the_labs_state_is_for_its_stack_only(checkout: Path) -> None:
    found, _ = sourced(checkout, LAB)
    throwaway = read_throwaway(found["PULUMI_BACKEND_URL"])
    assert throwaway is not None
    assert throwaway.stacks == ("lab",)
    assert "lab/down deletes this folder" in throwaway.why
    assert [path.name for path in throwaway.folder.iterdir()] == ["THROWAWAY"]

    # Whoever has another stack to throw away may add it.
    file = throwaway.folder / "THROWAWAY"
    file.write_text("lab\nmine\n")
    sourced(checkout, LAB)
    assert file.read_text() == "lab\nmine\n"


def test_a_lab_elsewhere_has_its_state_and_settings_there(checkout: Path) -> None:
    settings = checkout / "second" / "Pulumi.lab.yaml"
    settings.parent.mkdir()
    settings.touch()
    found, _ = sourced(checkout, LAB, LAB_STATE="second")
    assert found["PULUMI_BACKEND_URL"] == f"file://{checkout}/second/pulumi?metadata=skip"
    assert found["PULUMI_OPTION_CONFIG_FILE"] == str(settings)
    settings.unlink()
    found, _ = sourced(checkout, LAB, LAB_STATE="second", PULUMI_OPTION_CONFIG_FILE=str(settings))
    assert "PULUMI_OPTION_CONFIG_FILE" not in found


def test_from_another_folder_it_works_or_says_where_to_go(checkout: Path) -> None:
    found, _ = sourced(checkout, ". ../lab/activate && env", "bash", "toolchain")
    assert found["PULUMI_BACKEND_URL"] == f"file://{checkout}/.lab/pulumi?metadata=skip"
    found, said = sourced(checkout, ". ../lab/activate || env", "dash", "toolchain")
    assert "change to the checkout's folder" in said
    assert "PULUMI_BACKEND_URL" not in found
