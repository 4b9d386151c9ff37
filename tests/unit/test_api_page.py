"""docs/api.md says what the docstrings of the public names say."""

from __future__ import annotations

import dataclasses
import inspect
import re
import subprocess
import sys
from typing import Any

import pytest

import nova_infra
from tests.nodes import ROOT

PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
ARGUMENTS = sorted(name for name in nova_infra.__all__ if dataclasses.is_dataclass(getattr(nova_infra, name)))
RESOURCES = sorted(name for name in nova_infra.__all__ if f"{name}Args" in nova_infra.__all__)


def sections() -> dict[str, str]:
    """Name -> what the page says of it."""
    found = re.split(r"^### (\w+)\n", PAGE, flags=re.MULTILINE)
    return dict(zip(found[1::2], found[2::2], strict=True))


def rows(section: str) -> list[list[str]]:
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_the_page_is_what_is_generated_from_the_docstrings() -> None:
    command = [sys.executable, ROOT / "toolchain" / "api-page", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_public_name_has_a_section_and_no_other() -> None:
    assert sorted(sections()) == sorted(nova_infra.__all__)


def test_a_section_begins_with_what_the_name_says_of_itself() -> None:
    for name, section in sections().items():
        assert (inspect.getdoc(getattr(nova_infra, name)) or "").partition("\n")[0] in section, name


@pytest.mark.parametrize("name", ARGUMENTS)
def test_every_field_has_its_type_its_default_and_what_it_means(name: str) -> None:
    fields: tuple[dataclasses.Field[Any], ...] = dataclasses.fields(getattr(nova_infra, name))
    shown = {row[0].strip("`"): row for row in rows(sections()[name])}
    assert list(shown) == [each.name for each in fields]
    for each in fields:
        _, kind, default, meaning = shown[each.name]
        assert kind
        assert meaning.endswith("."), f"{name}.{each.name} does not say what it means"
        required = each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
        assert (default == "required") is required
        if isinstance(each.default, int | str) and each.default:
            assert default == f"`{each.default!r}`"


@pytest.mark.parametrize("name", RESOURCES)
def test_every_resource_has_its_outputs_and_an_example(name: str) -> None:
    section = sections()[name]
    declared = {key for each in getattr(nova_infra, name).__mro__ for key in vars(each).get("__annotations__", {})}
    shown = {row[0].strip("`"): row for row in rows(section)}
    assert "remarks" in shown
    assert set(shown) <= declared
    assert {key for key in getattr(nova_infra, name).__annotations__ if not key.startswith("_")} <= set(shown)
    assert all(row[-1].endswith(".") for row in shown.values())
    assert f"nova_infra.{name}(" in section.partition("```python")[2].partition("```")[0]
