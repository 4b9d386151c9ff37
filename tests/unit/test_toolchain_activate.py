"""./activate, as the shells that people use source it."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout that is set up, with an engine of its own."""
    made = tmp_path / "with spaces"
    for folder in (".venv/bin", "toolchain", "engine"):
        (made / folder).mkdir(parents=True)
    shutil.copy(ROOT / "activate", made)
    (made / ".venv" / "made-from").touch()
    (made / "toolchain" / ".engine-path").write_text(f"{made}/engine\n")
    (made / "engine" / "pulumi").touch(0o755)
    return made


def sourced(checkout: Path, shell: str = "sh", **more: str) -> tuple[dict[str, str], str]:
    """The environment after sourcing the file, and what was said."""
    run = subprocess.run(
        [shutil.which(shell) or shell, "-euc", ". ./activate; . ./activate; env"],
        cwd=checkout,
        env={"PATH": "/usr/bin:/bin", "HOME": str(checkout.parent)} | more,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return dict(line.split("=", 1) for line in run.stdout.splitlines() if "=" in line), run.stderr


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_pulumi_python_and_the_labs_stack_are_at_hand(checkout: Path, shell: str) -> None:
    found, said = sourced(checkout, shell)
    assert said == ""
    assert found["PATH"] == f"{checkout}/.venv/bin:{checkout}/engine:/usr/bin:/bin"
    assert found["PULUMI_BACKEND_URL"] == lab_of(checkout)
    assert (checkout / ".lab" / "pulumi").is_dir()
    assert (found["PULUMI_STACK"], found["PULUMI_CONFIG_PASSPHRASE"]) == ("lab", "nova-lab")
    assert "PULUMI_OPTION_CONFIG_FILE" not in found
    assert not [name for name in found if name.startswith("_nova")]


@pytest.mark.parametrize(("engine", "tries"), [("modules-0123456789abcdef/bin", False), ("release-3.250.0/bin", True)])
def test_an_engine_that_had_to_be_built_does_not_try_to_fetch_plugins(checkout: Path, engine: str, tries: bool) -> None:
    folder = checkout / engine
    folder.mkdir(parents=True)
    (folder / "pulumi").touch(0o755)
    (checkout / "toolchain" / ".engine-path").write_text(f"{folder}\n")
    found, _ = sourced(checkout)
    assert ("PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION" not in found) is tries


def test_what_the_user_has_set_stays(checkout: Path) -> None:
    own = {"PULUMI_BACKEND_URL": "file:///elsewhere", "PULUMI_STACK": "staging"}
    found, _ = sourced(checkout, **own, PULUMI_CONFIG_PASSPHRASE_FILE="/secret")
    assert found.items() >= own.items()
    assert "PULUMI_CONFIG_PASSPHRASE" not in found
    assert not (checkout / ".lab").exists()


def lab_of(checkout: Path) -> str:
    """The backend of the lab's stack: a folder in which Pulumi writes no attributes beside its files."""
    return f"file://{checkout}/.lab/pulumi?metadata=skip"


def logged_in(checkout: Path, backend: str) -> None:
    credentials = checkout.parent / ".pulumi" / "credentials.json"
    credentials.parent.mkdir(exist_ok=True)
    credentials.write_text(f'{{\n    "current": "{backend}"\n}}')


def test_a_login_elsewhere_stays(checkout: Path) -> None:
    logged_in(checkout, "https://elsewhere")
    found, _ = sourced(checkout)
    assert "PULUMI_BACKEND_URL" not in found
    assert "PULUMI_CONFIG_PASSPHRASE" not in found


@pytest.mark.parametrize("how", ["no longer", "to the folder", "to the folder without attributes"])
def test_who_is_logged_in_to_the_labs_state_or_nowhere_has_the_lab(checkout: Path, how: str) -> None:
    lab = lab_of(checkout)
    backends = {"no longer": "", "to the folder": lab.partition("?")[0], "to the folder without attributes": lab}
    logged_in(checkout, backends[how])
    found, _ = sourced(checkout)
    assert found["PULUMI_BACKEND_URL"] == lab
    assert found["PULUMI_CONFIG_PASSPHRASE"] == "nova-lab"


def test_the_folder_of_the_labs_state_is_the_labs_backend(checkout: Path) -> None:
    found, _ = sourced(checkout, PULUMI_BACKEND_URL=f"file://{checkout}/.lab/pulumi")
    assert found["PULUMI_BACKEND_URL"] == lab_of(checkout)
    assert found["PULUMI_CONFIG_PASSPHRASE"] == "nova-lab"


def test_a_lab_with_other_addresses_brings_its_own_settings(checkout: Path) -> None:
    (checkout / ".lab").mkdir()
    (checkout / ".lab" / "Pulumi.lab.yaml").touch()
    found, _ = sourced(checkout)
    settings = found["PULUMI_OPTION_CONFIG_FILE"]
    assert settings == f"{checkout}/.lab/Pulumi.lab.yaml"
    (checkout / ".lab" / "Pulumi.lab.yaml").unlink()
    found, _ = sourced(checkout, PULUMI_OPTION_CONFIG_FILE=settings)
    assert "PULUMI_OPTION_CONFIG_FILE" not in found


@pytest.mark.parametrize("own", [{"PULUMI_STACK": "production"}, {"PULUMI_BACKEND_URL": "file:///elsewhere"}])
def test_no_other_stack_is_planned_with_the_labs_settings(checkout: Path, own: dict[str, str]) -> None:
    (checkout / ".lab").mkdir()
    (checkout / ".lab" / "Pulumi.lab.yaml").touch()
    found, _ = sourced(checkout, **own)
    assert "PULUMI_OPTION_CONFIG_FILE" not in found


def test_the_labs_settings_go_when_the_stack_is_another_one(checkout: Path) -> None:
    (checkout / ".lab").mkdir()
    settings = checkout / ".lab" / "Pulumi.lab.yaml"
    settings.touch()
    found, _ = sourced(checkout, PULUMI_OPTION_CONFIG_FILE=str(settings), PULUMI_STACK="production")
    assert "PULUMI_OPTION_CONFIG_FILE" not in found
    found, _ = sourced(checkout, PULUMI_OPTION_CONFIG_FILE="/mine.yaml", PULUMI_STACK="production")
    assert found["PULUMI_OPTION_CONFIG_FILE"] == "/mine.yaml"


def test_the_public_passphrase_is_for_the_labs_own_backend(checkout: Path) -> None:
    found, _ = sourced(checkout, PULUMI_BACKEND_URL="file:///elsewhere")
    assert "PULUMI_CONFIG_PASSPHRASE" not in found


@pytest.mark.parametrize("missing", [".venv/made-from", "toolchain/.engine-path", "engine/pulumi"])
def test_before_the_set_up_it_says_what_to_do(checkout: Path, missing: str) -> None:
    (checkout / missing).unlink()
    _, said = sourced(checkout)
    assert "run 'make setup'" in said.splitlines()[0]
