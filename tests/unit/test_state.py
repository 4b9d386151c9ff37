"""What commands make of the text of `pulumi stack export --show-secrets`."""

from __future__ import annotations

import importlib
import json
import pkgutil
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nova_infra import resources
from nova_infra.access import CommandAccess
from nova_infra.commands.state import Managed, read
from nova_infra.resources.compute_node import ComputeNodeLifecycle
from nova_infra.resources.lifecycle import Lifecycle, Resource
from nova_infra.resources.types import LIFECYCLES

PREFIX = "urn:pulumi:lab::nova::nova:index:NovaDeployment"
PROVIDER = f"{PREFIX}$pulumi:providers:pulumi-python::nova-0"
COMPUTE = "pulumi-python:dynamic/nova:ComputeNode"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


def secret(value: Any) -> dict[str, str]:
    """A value as Pulumi writes a secret that it shows."""
    return {
        "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
        "plaintext": json.dumps(value),
    }


def provider(number: str = "0", **inputs: Any) -> dict[str, Any]:
    return {
        "urn": PROVIDER.replace("nova-0", f"nova-{number}"),
        "type": "pulumi:providers:pulumi-python",
        "id": f"id-{number}",
        "inputs": {f"access:{key}": value for key, value in inputs.items()},
    }


def stored(name: str = "nova-compute1", of: str = "0", **values: Any) -> dict[str, Any]:
    return {
        "urn": f"{PREFIX}${COMPUTE}::{name}",
        "type": COMPUTE,
        "id": "compute1",
        "provider": f"{PROVIDER.replace('nova-0', f'nova-{of}')}::id-{of}",
        **values,
    }


def exported(*stored_resources: dict[str, Any]) -> dict[str, Any]:
    return {"version": 3, "deployment": {"manifest": {}, "resources": list(stored_resources)}}


def only(**values: Any) -> Managed:
    (found,) = read(exported(provider(), stored(**values)))
    return found


def test_a_resource_has_what_the_state_says_of_it() -> None:
    found = only(protect=True, parent=f"{PREFIX}::nova", dependencies=["urn:a", "urn:b"])
    assert (found.name, found.id, found.type) == ("nova-compute1", "compute1", COMPUTE)
    assert (found.protect, found.parent, found.dependencies) == (True, f"{PREFIX}::nova", ("urn:a", "urn:b"))
    assert found.provider == f"{PROVIDER}::id-0"


def test_secrets_are_in_plain_and_it_is_said_which_they_are() -> None:
    outputs = {"hosts": {"%": {"password": secret("x"), "privileges": ["ALL", secret("y")]}}, "found": secret({"a": 1})}
    found = only(outputs=outputs, inputs={"name": secret("nova")})
    assert found.outputs == {"hosts": {"%": {"password": "x", "privileges": ["ALL", "y"]}}, "found": {"a": 1}}
    assert found.inputs == {"name": "nova"}
    assert found.secrets == {("hosts", "%", "password"), ("hosts", "%", "privileges", 1), ("found",), ("name",)}


def test_the_repr_of_a_resource_has_no_value() -> None:
    assert "SECRET" not in repr(only(outputs={"password": secret("SECRET")}, inputs={"other": "SECRET"}))


@given(JSON)
@settings(max_examples=40, deadline=None)
def test_any_value_comes_out_as_it_was_stored(value: Any) -> None:
    found = only(outputs={"plain": value, "secret": secret(value), "within": {"list": [secret(value)]}})
    assert found.outputs == {"plain": value, "secret": value, "within": {"list": [value]}}


def test_whole_numbers_are_int() -> None:
    found = only(outputs={"port": 22.0, "secret": secret({"port": 22.0}), "part": 0.5})
    assert [type(each) for each in (found.outputs["port"], found.outputs["secret"]["port"])] == [int, int]
    assert found.outputs["part"] == 0.5


def test_a_resource_is_reached_as_its_own_provider_says() -> None:
    far, near = (
        provider("0", controller_host="192.0.2.1", ssh_password=secret("far")),
        provider("1", controller_host=""),
    )
    first, second, third = read(exported(far, near, stored("a", "0"), stored("b", "1"), stored("c", "0")))
    assert (first.access.get("controller_host"), first.access.get("ssh_password")) == ("192.0.2.1", "far")
    assert second.access.controller is None
    assert third.access is first.access
    assert isinstance(first.access, CommandAccess)


def test_the_lifecycle_of_a_resource_uses_that_access() -> None:
    found = only()
    lifecycle = found.lifecycle()
    assert isinstance(lifecycle, ComputeNodeLifecycle)
    assert lifecycle.access is found.access


def test_what_is_not_of_this_package_and_what_waits_to_be_deleted_is_left_out() -> None:
    others = [
        {"urn": f"{PREFIX}::nova", "type": "nova:index:NovaDeployment", "outputs": {}},
        {"urn": "urn:pulumi:lab::nova::random:index:Password::x", "type": "random:index:Password", "provider": "none"},
        stored("old", delete=True),
    ]
    assert [each.name for each in read(exported(provider(), *others, stored("new")))] == ["new"]


@pytest.mark.parametrize("deployment", [None, {}, {"resources": None}, {"resources": []}])
def test_a_stack_without_resources_has_none(deployment: Any) -> None:
    assert read({"version": 3, "deployment": deployment}) == []


def test_every_resource_of_the_package_can_be_asked() -> None:
    modules = [
        importlib.import_module(f"{resources.__name__}.{each.name}")
        for each in pkgutil.iter_modules(resources.__path__)
    ]
    classes = {value for module in modules for value in vars(module).values() if isinstance(value, type)}
    kinds = {each.__name__ for each in classes if issubclass(each, Resource) and each is not Resource}
    lifecycles = {
        each for each in classes if issubclass(each, Lifecycle) and not getattr(each, "__abstractmethods__", ())
    }
    assert {type_.rpartition(":")[2] for type_ in LIFECYCLES} == kinds
    assert set(LIFECYCLES.values()) == {each for each in lifecycles if each.__name__.removesuffix("Lifecycle") in kinds}
    assert all(lifecycle.__name__ == f"{type_.rpartition(':')[2]}Lifecycle" for type_, lifecycle in LIFECYCLES.items())
