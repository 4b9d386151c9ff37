"""The file THROWAWAY in a state's folder, and how the folder is found. tests/integration/test_init.py has it with the real pulumi."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from nova_infra.errors import Refused
from nova_infra.throwaway import Throwaway, read_throwaway, refuse_throwaway
from tests.mocked import registered

TEXT = "# The nightly job empties this folder.\n\n#  Ask Ann.\ntry\n  lab-2  \n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "a state"
    made.mkdir()
    (made / "THROWAWAY").write_text(TEXT)
    return made


@pytest.fixture(autouse=True)
def nothing_selected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("PULUMI_BACKEND_URL", "PULUMI_CREDENTIALS_PATH", "PULUMI_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def test_comments_say_why_and_the_other_lines_name_stacks(folder: Path) -> None:
    found = read_throwaway(f"file://{folder}")
    assert found == Throwaway(folder, "The nightly job empties this folder. Ask Ann.", ("try", "lab-2"))
    assert found.allows("organization/nova/try")
    assert not found.allows("organization/try/mine")


@pytest.mark.parametrize("path", ["{}/a state", "{}/a%20state?metadata=skip", "~/a state", "./a state", "a state/"])
def test_the_folder_is_found_however_pulumi_is_told_of_it(folder: Path, tmp_path: Path, path: str) -> None:
    found = read_throwaway(f"file://{path.format(tmp_path)}")
    assert found is not None
    assert found.folder == folder


@pytest.mark.parametrize("backend", ["", "s3://{}", "{}", "file://[", "file://{}/none", "file://{}/\0", "file://~none"])
def test_what_is_no_folder_of_a_backend_allows_every_stack(folder: Path, backend: str) -> None:
    assert read_throwaway(backend.format(folder)) is None


def test_what_cannot_be_read_allows_every_stack(folder: Path) -> None:
    file = folder / "THROWAWAY"
    file.write_bytes(b"\xff\xfe")
    assert read_throwaway(f"file://{folder}") is None
    file.unlink()
    # Whoever reads it waits for a writer.
    os.mkfifo(file)
    assert read_throwaway(f"file://{folder}") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "allows no stack."),
        ("try\n", "allows only the stack try."),
        (TEXT, "allows only the stacks try, lab-2. It says: The nightly job empties this folder. Ask Ann."),
        ("# \x1b[2J\ntry\n", r"allows only the stack try. It says: \x1b[2J."),
    ],
)
def test_what_it_says_is_said(folder: Path, text: str, said: str) -> None:
    (folder / "THROWAWAY").write_text(text)
    assert str(read_throwaway(f"file://{folder}")) == f"{folder}, and the file THROWAWAY there {said}"


def refused(project: Path) -> bool:
    try:
        refuse_throwaway("mine", project)
    except Refused:
        return True
    return False


def test_the_backend_is_the_variable_s_then_the_project_s_then_the_login_s(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, elsewhere = f"file://{folder}?metadata=skip", "s3://states"
    assert not refused(tmp_path)
    (tmp_path / ".pulumi").mkdir()
    credentials = tmp_path / ".pulumi" / "credentials.json"
    credentials.write_text(json.dumps({"current": here}))
    assert refused(tmp_path)
    (tmp_path / "Pulumi.yaml").write_text(f"name: nova\nbackend: {{url: {elsewhere}}}\n")
    assert not refused(tmp_path)
    monkeypatch.setenv("PULUMI_BACKEND_URL", here)
    assert refused(tmp_path)
    monkeypatch.setenv("PULUMI_BACKEND_URL", elsewhere)
    (tmp_path / "Pulumi.yaml").write_text(f"name: nova\nbackend: {{url: '{here}'}}\n")
    assert not refused(tmp_path)
    monkeypatch.delenv("PULUMI_BACKEND_URL")
    assert refused(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"current": null}', '{"current": 1}', "\0"])
def test_credentials_and_projects_that_cannot_be_read_name_no_backend(tmp_path: Path, text: str) -> None:
    (tmp_path / ".pulumi").mkdir()
    (tmp_path / ".pulumi" / "credentials.json").write_text(text)
    (tmp_path / "Pulumi.yaml").write_text(text)
    assert not refused(tmp_path)


def test_a_program_under_mocks_is_refused_only_where_there_is_such_a_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pulumi

    import nova_infra

    def said() -> str:
        try:
            registered(lambda: nova_infra.load_settings(pulumi.Config()), project="nova")
        except nova_infra.NovaInfraError as error:
            return str(error)
        return ""

    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{folder}")
    assert "Ask Ann." in said()
    (folder / "THROWAWAY").unlink()
    assert said().startswith("The configuration has 6 problems")
