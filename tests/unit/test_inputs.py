"""What the resources' arguments become: plain values stay plain, outputs of other resources are taken too."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from nova_infra import (
    ComputeNodeArgs,
    DatabaseArgs,
    EndpointArgs,
    IdentityArgs,
    KeystoneUserArgs,
    Provider,
    ServiceArgs,
)
from nova_infra.node import service_fingerprint
from nova_infra.resources.compute_node import ComputeNode
from nova_infra.resources.database import Database
from nova_infra.resources.endpoint import Endpoint
from nova_infra.resources.keystone_user import KeystoneUser
from nova_infra.resources.service import Service
from tests import mocked


def made(build: Any) -> Any:
    """The inputs that the engine gets for the resource `it`; what is marked as a secret is `a secret`."""
    (it,) = (each for each in mocked.registered(build, project="nova") if each.name == "it")
    return mocked.without_secrets(it.inputs)


def out(value: Any) -> Any:
    return pulumi.Output.from_input(value)


def test_lists_and_privileges_are_written_in_one_way() -> None:
    hosts = {"%": ["select", "All privileges"], "localhost": ["insert", "INSERT", "delete"]}
    inputs = made(lambda: Database("it", DatabaseArgs("nova", "nova", "x", hosts=hosts)))
    assert {host: at["privileges"] for host, at in inputs["hosts"].items()} == {
        "%": ["ALL"],
        "localhost": ["DELETE", "INSERT"],
    }
    inputs = made(lambda: KeystoneUser("it", KeystoneUserArgs("nova", "x", roles=["b", "a", "b"])))
    assert inputs["roles"] == ["a", "b"]


HOSTS = [
    pytest.param(lambda: {"%": out(["select", "drop"])}, id="the privileges"),
    pytest.param(lambda: {"%": [out("select"), "drop"]}, id="one privilege"),
    pytest.param(lambda: out({"%": ["select", "drop"]}), id="all hosts"),
]


@pytest.mark.parametrize("hosts", HOSTS)
def test_a_database_takes_outputs_and_only_its_password_is_a_secret(hosts: Any) -> None:
    def build() -> None:
        args = DatabaseArgs(out("nova"), out("nova"), out("PASS"), hosts=hosts(), charset=out("utf8"))
        Database("it", args)

    inputs = made(build)
    assert (inputs["name"], inputs["user"], inputs["charset"]) == ("nova", "nova", "utf8")
    assert inputs["hosts"]["%"]["privileges"] == ["DROP", "SELECT"]
    assert inputs["hosts"]["%"]["password"] == "a secret"


def fingerprint(conf: Any) -> Any:
    """That of nova-compute, whose nova.conf says in [DEFAULT] what `conf` makes."""

    def build() -> None:
        access = Provider("access", identity=IdentityArgs("http://controller:35357/v2.0", password="x"))
        options = {"/etc/nova/nova.conf": {"DEFAULT": conf()}, "/etc/nova/nova-compute.conf": {}}
        args = ComputeNodeArgs("compute1", {"host": "192.0.2.31", "user": "ubuntu"}, options)
        ComputeNode("it", args, pulumi.ResourceOptions(provider=access))

    return made(build)["services"]["nova-compute"]["fingerprint"]


SAME_OPTIONS = [
    pytest.param(lambda: {"rabbit_password": "x", "flags": ["a", "b"]}, id="none"),
    pytest.param(lambda: {"rabbit_password": pulumi.Output.secret("x"), "flags": ["a", "b"]}, id="a value"),
    pytest.param(lambda: {"rabbit_password": out("x"), "flags": [out("a"), out("b")]}, id="values of a list"),
    pytest.param(lambda: {"rabbit_password": "x", "flags": out([out("a"), "b"])}, id="a list"),
]


@pytest.mark.parametrize("conf", SAME_OPTIONS)
def test_a_fingerprint_is_that_of_the_options_whichever_of_them_are_outputs(conf: Any) -> None:
    files = {"/etc/nova/nova.conf": {"DEFAULT": {"rabbit_password": "x", "flags": ["a", "b"]}}}
    assert fingerprint(conf) == service_fingerprint(files, [*files, "/etc/nova/nova-compute.conf"])
    assert fingerprint(lambda: {**conf(), "flags": ["b", "a"]}) != fingerprint(conf)


def test_a_user_a_service_and_an_endpoint_take_outputs() -> None:
    def user() -> None:
        args = KeystoneUserArgs(
            out("nova"), out("PASS"), out("service"), out(["b", "a"]), out("a@b"), out(False), out("other")
        )
        KeystoneUser("it", args)

    inputs = made(user)
    assert {key: inputs[key] for key in ("name", "tenant", "roles", "email", "enabled", "default_tenant")} == {
        "name": "nova",
        "tenant": "service",
        "roles": ["a", "b"],
        "email": "a@b",
        "enabled": False,
        "default_tenant": "other",
    }
    inputs = made(lambda: Service("it", ServiceArgs(out("nova"), out("compute"), out("Compute"))))
    assert (inputs["name"], inputs["type"], inputs["description"]) == ("nova", "compute", "Compute")
    url = "http://controller:8774/v2"
    inputs = made(lambda: Endpoint("it", EndpointArgs(out("r"), out("compute"), out("nova"), *[out(url)] * 3)))
    assert (inputs["region"], inputs["public_url"], inputs["admin_url"]) == ("r", url, url)
