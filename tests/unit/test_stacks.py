"""The stacks of this repository are planned: which resources each asks for. And of the examples, what is special about each.

Whose repository this is has stacks of their own: an example is one as long as it says so, see EXAMPLE.
"""

from __future__ import annotations

import ipaddress
import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from nova_infra.ranges import is_range, members
from nova_infra.settings import SECRETS
from tests import mocked
from tests.mocked import Registered

ROOT = Path(__file__).parents[2]
STACKS = sorted(path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in ROOT.glob("stacks/Pulumi.*.yaml"))
DOCUMENTATION = [ipaddress.ip_network(each) for each in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")]
# How the file of an example begins. Whoever has made it their own has taken this line away.
EXAMPLE = "# An example, previewed by every test run"
PIN = "1:2014.2.4-0ubuntu1~cloud4"


def file_of(stack: str) -> Path:
    return ROOT / "stacks" / f"Pulumi.{stack}.yaml"


def written(stack: str) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(file_of(stack).read_text())["config"]
    return config


def is_example(stack: str) -> bool:
    return file_of(stack).exists() and file_of(stack).read_text().startswith(EXAMPLE)


def of_the_example(stack: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not is_example(stack), reason=f"{stack} is no example, but somebody's own")


@cache
def plan(stack: str) -> dict[str, Registered]:
    """The resources of a stack by name, with a stand-in for each secret."""
    config = {}
    for key, value in written(stack).items():
        secret = isinstance(value, dict) and set(value) == {"secure"}
        text = value if isinstance(value, str) else json.dumps(value)
        config[key] = {"value": f"stand-in of {key}" if secret else text, "secret": secret}
    return {each.name.removeprefix("nova-"): each for each in mocked.registered_by(ROOT, config)}


def kinds(stack: str) -> Counter[str]:
    return Counter(each.kind for each in plan(stack).values() if each.kind not in ("NovaDeployment", "pulumi-python"))


def protected(stack: str) -> set[str]:
    return {name for name, each in plan(stack).items() if each.request.protect}


def option(resource: Registered, section: str, name: str) -> object:
    return resource.inputs["options"]["/etc/nova/nova.conf"].get(section, {}).get(name)


def test_the_stack_of_the_lab_is_there() -> None:
    assert "lab" in STACKS


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_is_planned_with_every_machine_that_its_file_names(stack: str) -> None:
    def named(key: str) -> int:
        names = [each["name"] for each in written(stack).get(f"nova:{key}", [])]
        return len({name for each in names for name in (members(each) if is_range(each) else [each])})

    found = kinds(stack)
    assert found["ControllerNode"] == named("controllers") > 0
    assert found["ComputeNode"] == named("computes")
    assert found["Database"] == found["ServiceCheck"] == 1


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_has_each_secret_and_all_of_them_encrypted(stack: str) -> None:
    values = written(stack)
    assert all(set(values[f"nova:{key}"]) == {"secure"} for key in SECRETS)
    assert len({values[f"nova:{key}"]["secure"] for key in SECRETS}) == len(SECRETS)


@pytest.mark.parametrize("stack", STACKS)
def test_no_secret_of_a_stack_is_planned_in_plain(stack: str) -> None:
    assert all("stand-in of nova:" not in each.plain() for each in plan(stack).values())


@pytest.mark.parametrize("stack", [each for each in STACKS if is_example(each)])
def test_the_addresses_of_an_example_are_those_of_documentation(stack: str) -> None:
    nodes = [each for each in plan(stack).values() if "connection" in each.inputs]
    assert nodes
    for each in nodes:
        address = ipaddress.ip_address(each.inputs["connection"]["host"])
        assert any(address in network for network in DOCUMENTATION), (
            f"{address}: {file_of(stack)} says that it is an example. Where it is yours by now, take its first comment away."
        )


# ------------------------------------------------------------ what is special about each


def test_lab_is_one_controller_and_one_compute() -> None:
    assert kinds("lab") == {
        "Database": 1,
        "KeystoneUser": 1,
        "Service": 1,
        "Endpoint": 1,
        "NodePackages": 2,
        "ControllerNode": 1,
        "ComputeNode": 1,
        "ServiceCheck": 1,
    }
    assert plan("lab")["database"].inputs["on_delete"] == "drop"
    assert protected("lab") == set()


@of_the_example("staging")
def test_staging_is_two_computes_of_which_one_is_an_exception() -> None:
    assert kinds("staging") == {
        "Database": 1,
        "KeystoneUser": 1,
        "Service": 1,
        "Endpoint": 1,
        "NodePackages": 3,
        "ControllerNode": 1,
        "ComputeNode": 2,
        "ServiceCheck": 1,
    }
    first, second = plan("staging")["compute1"], plan("staging")["compute2"]
    assert (first.inputs["connection"]["port"], second.inputs["connection"]["port"]) == (22, 2222)
    assert (option(first, "DEFAULT", "ram_allocation_ratio"), option(second, "DEFAULT", "ram_allocation_ratio")) == (
        None,
        "1.0",
    )
    types = {
        name: plan("staging")[name].inputs["options"]["/etc/nova/nova-compute.conf"]["libvirt"]["virt_type"]
        for name in ("compute1", "compute2")
    }
    assert types == {"compute1": "auto", "compute2": "qemu"}
    assert plan("staging")["database"].inputs["on_delete"] == "dump"


@of_the_example("production")
def test_production_is_many_computes_behind_two_controllers() -> None:
    assert kinds("production") == {
        "Database": 1,
        "KeystoneUser": 1,
        "Service": 1,
        "Endpoint": 1,
        "NodePackages": 66,
        "ControllerNode": 2,
        "ComputeNode": 64,
        "ServiceCheck": 1,
    }
    # Sixteen operations at once are four processes.
    assert sum(each.kind == "pulumi-python" for each in plan("production").values()) == 4
    last = plan("production")["compute060"]
    assert option(last, "DEFAULT", "my_ip") == "198.51.100.160"
    assert option(last, "DEFAULT", "vncserver_proxyclient_address") == "203.0.113.160"
    assert last.inputs["connection"]["user"] == "deploy"
    assert option(last, "DEFAULT", "reserved_host_memory_mb") == "4096"


@of_the_example("production")
def test_production_has_defaults_and_exceptions_from_them() -> None:
    drained = {name for name, each in plan("production").items() if each.inputs.get("drain") is False}
    assert drained == {"gpu1", "gpu2", "gpu3", "gpu4"}
    left = {name for name, each in plan("production").items() if each.inputs.get("on_unreachable") == "leave"}
    assert left == {"compute017", "compute017-packages"}
    modes = {name: option(plan("production")[name], "libvirt", "cpu_mode") for name in ("gpu1", "gpu2")}
    assert modes == {"gpu1": "host-passthrough", "gpu2": None}


@of_the_example("production")
def test_production_is_protected_and_keeps_its_database() -> None:
    assert protected("production") == {
        *("database", "user", "service", "endpoint"),
        *("controller1", "controller2", "controller1-packages", "controller2-packages"),
    }
    assert plan("production")["database"].inputs["on_delete"] == "keep"


@of_the_example("production")
def test_production_pins_its_packages_in_another_region() -> None:
    assert plan("production")["compute001-packages"].inputs["packages"]["nova-compute"] == PIN
    assert plan("production")["controller1-packages"].inputs["packages"]["nova-conductor"] == PIN
    assert plan("production")["endpoint"].inputs["region"] == "regionTwo"
    access = next(each for each in plan("production").values() if each.kind == "pulumi-python")
    assert access.inputs["access:identity_region"] == "regionTwo"
    assert access.inputs["access:jump_host"] == "jump.example.org"
