"""What the package shows: few names, each documented by code that compiles and agrees with an example."""

from __future__ import annotations

import ast
import inspect
import re
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

import nova_infra
from tests.nodes import ROOT

PUBLIC = {
    "ComputeNode",
    "ComputeNodeArgs",
    "ControllerArgs",
    "ControllerNode",
    "ControllerNodeArgs",
    "Database",
    "DatabaseArgs",
    "DatabaseServerArgs",
    "DeadlineArgs",
    "Endpoint",
    "EndpointArgs",
    "IdentityArgs",
    "JumpHostArgs",
    "KeystoneUser",
    "KeystoneUserArgs",
    "NodePackages",
    "NodePackagesArgs",
    "NovaDeployment",
    "NovaInfraError",
    "Provider",
    "SSHArgs",
    "Service",
    "ServiceArgs",
    "ServiceCheck",
    "ServiceCheckArgs",
    "Awaited",
    "Settings",
    "load_settings",
}
# The resources whose example is a directory of examples/.
EXAMPLES = {
    "ComputeNode": "compute_node",
    "ControllerNode": "controller_node",
    "Database": "database",
    "Endpoint": "endpoint",
    "KeystoneUser": "keystone_user",
    "NodePackages": "shared_connection",
    "NovaDeployment": "deployment",
    "Service": "service",
}
# What is made by load_settings, and nobody else.
MADE_FOR_YOU = {"Settings"}
CLASSES = sorted(name for name in PUBLIC if inspect.isclass(getattr(nova_infra, name)))


def code_in(documented: Any) -> list[ast.Module]:
    """The examples of a docstring."""
    text = inspect.cleandoc(documented.__doc__ or "")
    return [ast.parse(block) for block in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)]


def names_in(code: ast.AST) -> set[str]:
    """The X of every nova_infra.X."""
    return {
        node.attr
        for node in ast.walk(code)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "nova_infra"
    }


def call_of(code: ast.AST, name: str) -> ast.Call:
    """The first call of nova_infra.NAME."""
    return next(
        node
        for node in ast.walk(code)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name
    )


def keywords(call: ast.Call) -> set[str]:
    return {each.arg for each in call.keywords if each.arg}


def all_code() -> dict[str, list[ast.Module]]:
    return {name: code_in(getattr(nova_infra, name)) for name in CLASSES}


def test_the_public_names_are_these_and_each_is_there() -> None:
    assert set(nova_infra.__all__) == PUBLIC
    assert len(nova_infra.__all__) == len(PUBLIC)
    assert all(hasattr(nova_infra, name) for name in PUBLIC)


def test_a_star_import_gives_these_and_nothing_else() -> None:
    names: dict[str, Any] = {}
    exec("from nova_infra import *", names)  # noqa: S102 - what a user may type
    assert set(names) - {"__builtins__"} == PUBLIC


def test_the_package_documents_every_public_name_and_no_other() -> None:
    documented = set(re.findall(r"`(\w+)`", nova_infra.__doc__ or ""))
    assert documented == PUBLIC


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_says_what_it_is(name: str) -> None:
    text = inspect.getdoc(getattr(nova_infra, name)) or ""
    # A dataclass without one gets its signature.
    assert len(text.split()) > 2
    assert not text.startswith(f"{name}(")


@pytest.mark.parametrize("name", [name for name in CLASSES if not name.endswith(("Args", "Settings"))])
def test_a_class_shows_how_it_is_used(name: str) -> None:
    assert any(name in names_in(code) for code in code_in(getattr(nova_infra, name)))


def test_every_public_class_stands_in_code_of_some_docstring() -> None:
    shown = {each for codes in all_code().values() for code in codes for each in names_in(code)}
    assert set(CLASSES) - MADE_FOR_YOU - shown == set()
    assert shown <= PUBLIC


@pytest.mark.parametrize(("name", "example"), sorted(EXAMPLES.items()))
def test_a_docstring_uses_the_names_that_the_example_uses(name: str, example: str) -> None:
    (shown,) = code_in(getattr(nova_infra, name))
    program = ast.parse((ROOT / "examples" / example / "__main__.py").read_text(encoding="utf-8"))
    assert names_in(shown) <= names_in(program)
    for each in names_in(shown) - {"load_settings"}:
        assert keywords(call_of(shown, each)) <= keywords(call_of(program, each)), each
    in_docstring, in_example = call_of(shown, name).args[0], call_of(program, name).args[0]
    assert ast.dump(in_docstring) == ast.dump(in_example)


def test_types_are_shipped() -> None:
    assert resources.files("nova_infra").joinpath("py.typed").is_file()


def test_the_lab_is_unknown_to_the_package() -> None:
    package = Path(nova_infra.__file__).parent
    for file in [*package.rglob("*"), *(package.parent / "templates").rglob("*")]:
        if file.is_file() and file.suffix != ".pyc":
            text = f"{file}\n{file.read_text(encoding='utf-8')}"
            assert not re.search(r"\blab\b|nova-lab|podman", text.removeprefix(str(ROOT)), re.IGNORECASE), file
