"""The examples without an engine: which resources each one asks for. And what the docstrings say against them."""

from __future__ import annotations

import json

import pytest

from tests.mocked import Registered, registered_by
from tests.nodes import ROOT
from tests.wheel import EXAMPLES, settings_of

ALONE = {
    "database": ("Database", "database"),
    "keystone_user": ("KeystoneUser", "user"),
    "service": ("Service", "service"),
    "endpoint": ("Endpoint", "endpoint"),
    "controller_node": ("ControllerNode", "controller"),
    "compute_node": ("ComputeNode", "compute1"),
}
IMPLICIT = ("pulumi-python", "compute1-packages-access")
RESOURCES = {
    **{example: [("pulumi-python", "access"), resource] for example, resource in ALONE.items()},
    "node_packages": [IMPLICIT, ("NodePackages", "compute1-packages")],
    "shared_connection": [IMPLICIT, ("NodePackages", "compute1-packages"), ("Command", "version")],
    "deployment": [
        ("NovaDeployment", "nova"),
        ("pulumi-python", "nova-0"),
        ("NodePackages", "nova-controller-packages"),
        ("NodePackages", "nova-compute1-packages"),
        ("Database", "nova-database"),
        ("KeystoneUser", "nova-user"),
        ("Service", "nova-service"),
        ("Endpoint", "nova-endpoint"),
        ("ControllerNode", "nova-controller"),
        ("ComputeNode", "nova-compute1"),
        ("ServiceCheck", "nova-check"),
    ],
}


def resources_of(example: str) -> list[Registered]:
    return registered_by(ROOT / "examples" / example, settings_of(example))


def secrets_of(example: str) -> list[str]:
    return [str(each["value"]) for each in settings_of(example).values() if each["secret"]]


def test_there_is_a_test_for_every_example() -> None:
    assert sorted(RESOURCES) == EXAMPLES


@pytest.mark.parametrize("example", RESOURCES)
def test_an_example_makes_what_its_name_says(example: str) -> None:
    assert sorted((each.kind, each.name) for each in resources_of(example)) == sorted(RESOURCES[example])


@pytest.mark.parametrize("example", RESOURCES)
def test_each_secret_of_an_example_arrives_and_none_is_in_plain(example: str) -> None:
    resources, secrets = resources_of(example), secrets_of(example)
    assert secrets
    everything = json.dumps([each.inputs for each in resources])
    # In a URL a space is %20.
    assert [each for each in secrets if each not in everything and each.replace(" ", "%20") not in everything] == []
    plain = "".join(each.plain() for each in resources)
    assert [each for each in secrets if each in plain or each.replace(" ", "%20") in plain] == []


@pytest.mark.parametrize("example", [*ALONE, "node_packages", "shared_connection"])
def test_a_resource_of_an_example_uses_the_examples_provider(example: str) -> None:
    resources = resources_of(example)
    (provider,) = [each.name for each in resources if each.kind == "pulumi-python"]
    ours = [each for each in resources if each.kind not in ("pulumi-python", "Command")]
    assert {each.provider for each in ours} == {provider}


def test_a_command_of_your_own_gets_the_whole_connection_and_waits_for_the_packages() -> None:
    resources = {each.name: each for each in resources_of("shared_connection")}
    assert "value of privateKey" in json.dumps(resources["version"].inputs["connection"])
    assert resources["version"].needs == {"compute1-packages"}
    assert resources["compute1-packages"].inputs["connection"]["host"] == "10.0.0.31"


def test_the_readme_names_every_example() -> None:
    readme = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    assert [example for example in EXAMPLES if f"`{example}`" not in readme] == []
