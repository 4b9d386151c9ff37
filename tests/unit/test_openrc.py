"""Files of shell variables: what is written is what a shell gets, and what is read."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nova_infra.errors import UnreadableFile, UnsupportedValue
from nova_infra.openrc import read_variables, unsupported, write_variables

carried = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\0"))


def in_sh(text: str, folder: Path, name: str = "OS_PASSWORD") -> str:
    """What the variable is in a real shell that has read the file."""
    file = folder / "admin-openrc.sh"
    file.write_bytes(text.encode())
    script = f'unset {name}; . "$1"; printf %s "${name}"'
    done = subprocess.run(["sh", "-c", script, "sh", str(file)], capture_output=True, check=True)
    assert done.stderr == b""
    return done.stdout.decode()


# ------------------------------------------------------------ writing


@settings(max_examples=60, deadline=None)
@given(value=carried)
def test_a_shell_gets_every_value_as_it_is(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    text = write_variables({"export": {"OS_PASSWORD": value}})
    assert in_sh(text, tmp_path_factory.mktemp("openrc")) == value


@given(variables=st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*", fullmatch=True), carried))
def test_what_is_written_is_read_back(variables: dict[str, str]) -> None:
    text = write_variables({"export": variables}, "Written by a test.\n\nIt is quoted's rest.")
    assert read_variables(text, "file") == {"export": variables}


def test_variables_are_sorted_under_the_heading() -> None:
    text = write_variables({"export": {"OS_USERNAME": "admin", "OS_PASSWORD": "it's"}}, "One\nTwo")
    assert text == "# One\n# Two\nexport OS_PASSWORD='it'\"'\"'s'\nexport OS_USERNAME=admin\n"


@pytest.mark.parametrize("value", ["two\nlines", "\0", "\ud800", ["a"], None])
def test_a_value_that_no_line_can_carry_is_refused_without_being_shown(value: Any) -> None:
    assert unsupported(value)
    with pytest.raises(UnsupportedValue, match="OS_PASSWORD") as refusal:
        write_variables({"export": {"OS_PASSWORD": value}})
    assert "lines" not in str(refusal.value)


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "A;reboot", "A\n", "É"])
def test_a_name_that_is_none_of_a_variable_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedValue, match="no name of a variable"):
        write_variables({"export": {name: "x"}})


def test_there_is_one_section() -> None:
    with pytest.raises(UnsupportedValue, match="DEFAULT"):
        write_variables({"DEFAULT": {"A": "x"}})


# ------------------------------------------------------------ reading

SAME_AS_SH = [
    "export OS_PASSWORD=ADMIN_PASS",
    "  export\tOS_PASSWORD=ADMIN_PASS  # of the administrator",
    "# comment\n\nexport OS_PASSWORD='a b'",
    'export OS_PASSWORD="it\'s #1"',
    "export OS_PASSWORD=a\\ \\$b\\'",
    "export OS_PASSWORD=one'two'\"three\"",
    "export OS_PASSWORD=",
    "export OS_PASSWORD='$(reboot) `reboot` $HOME'",
    "export OS_PASSWORD=a=b",
    "export OS_PASSWORD=first\nexport OS_PASSWORD=second",
    "export A=1 OS_PASSWORD=two B=3",
    "export OS_PASSWORD=http://controller:35357/v2.0",
    "export OS_PASSWORD=é",
]


@pytest.mark.parametrize("text", SAME_AS_SH)
def test_a_file_of_somebody_else_is_read_as_a_shell_reads_it(tmp_path: Path, text: str) -> None:
    assert read_variables(text, "file")["export"]["OS_PASSWORD"] == in_sh(text, tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        "OS_PASSWORD=hunter2",
        "export OS_PASSWORD",
        "export OS_PASSWORD=$hunter2",
        'export OS_PASSWORD="$hunter2"',
        "export OS_PASSWORD=`hunter2`",
        'export OS_PASSWORD="`hunter2`"',
        'export OS_PASSWORD="\\$hunter2"',
        "export OS_PASSWORD=~hunter2",
        "export OS_PASSWORD=hunter2; reboot",
        "export OS_PASSWORD=hunter2 && reboot",
        "export OS_PASSWORD=hunter2 reboot",
        "export OS_PASSWORD='hunter2",
        "export OS_PASSWORD=hunter2\\",
        "export OS_PASSWORD=hunter2#no comment",
        "export OS-PASSWORD=hunter2",
        "exporting OS_PASSWORD=hunter2",
        "export OS_PASSWORD=hunter2\r",
        "hunter2",
    ],
)
def test_a_line_that_is_no_export_of_a_literal_value_is_named_by_its_number_and_not_quoted(line: str) -> None:
    with pytest.raises(UnreadableFile) as refusal:
        read_variables(f"# heading\n\n{line}\n", "/root/admin-openrc.sh")
    assert str(refusal.value).startswith("/root/admin-openrc.sh, line 3: ")
    assert "hunter2" not in str(refusal.value)


def test_a_file_without_variables_exports_nothing() -> None:
    assert read_variables("# nothing\n", "file") == {"export": {}}
