"""Where a resource's provider comes from: given, inherited, or made from a connection of pulumi-command."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pulumi
import pytest
from pulumi_command.remote import ConnectionArgs, ProxyConnectionArgs

import nova_infra
from nova_infra.errors import InvalidSettings, Problem
from nova_infra.provider import connection_state
from nova_infra.resources.compute_node import ComputeNodeLifecycle
from nova_infra.resources.node_packages import NodePackagesLifecycle
from tests import mocked
from tests.mocked import Registered, without_secrets

PACKAGES = {"nova-compute": "present"}
COMPUTE_OPTIONS: Any = {"/etc/nova/nova.conf": {}, "/etc/nova/nova-compute.conf": {}}
IDENTITY = nova_infra.IdentityArgs(url="http://controller:35357/v2.0", password="hunter2")


def graph(program: Callable[[], object]) -> dict[str, Registered]:
    return {each.name: each for each in mocked.registered(program, project="nova")}


def packages(name: str, connection: Any, opts: pulumi.ResourceOptions | None = None) -> nova_infra.NodePackages:
    return nova_infra.NodePackages(name, nova_infra.NodePackagesArgs("compute1", connection, PACKAGES), opts)


def compute_node(name: str, connection: Any, opts: pulumi.ResourceOptions | None = None) -> nova_infra.ComputeNode:
    args = nova_infra.ComputeNodeArgs("compute1", connection, COMPUTE_OPTIONS)
    return nova_infra.ComputeNode(name, args, opts)


def controller_node(
    name: str, connection: Any, opts: pulumi.ResourceOptions | None = None
) -> nova_infra.ControllerNode:
    args = nova_infra.ControllerNodeArgs("controller", connection, {"/etc/nova/nova.conf": {}})
    return nova_infra.ControllerNode(name, args, opts)


def providers(found: Mapping[str, Registered]) -> list[str]:
    return [each.name for each in found.values() if each.kind == "pulumi-python"]


# ------------------------------------------------------------ the part that is no credential


def test_a_connection_of_pulumi_command_gives_all_but_its_credentials() -> None:
    arguments = ConnectionArgs(
        host="192.0.2.7", port=2222, user="ubuntu", host_key="ssh-ed25519 AAAA", private_key="key", password="hunter2"
    )
    assert connection_state(arguments) == {
        "host": "192.0.2.7",
        "port": 2222,
        "user": "ubuntu",
        "host_key": "ssh-ed25519 AAAA",
    }


def test_what_a_connection_does_not_say_is_what_ssh_takes() -> None:
    usual = {"host": "192.0.2.7", "port": 22, "user": "root", "host_key": ""}
    assert connection_state(ConnectionArgs(host="192.0.2.7")) == usual
    assert connection_state({"host": "192.0.2.7"}) == usual
    assert connection_state({"host": "192.0.2.7", "port": 22.0, "user": None}) == usual


@pytest.mark.parametrize("port", [2222, 2222.0, "2222"])
def test_a_port_is_a_whole_number(port: float | str) -> None:
    # On the wire, and in ConnectionArgs, it is a float, and text in a stack's configuration; "22.0" is no port.
    assert repr(connection_state({"host": "h", "port": port})["port"]) == "2222"


def test_values_that_are_known_later_reach_the_resource_as_they_are_known_now() -> None:
    def program() -> None:
        later = ConnectionArgs(
            host=pulumi.Output.from_input("192.0.2.7"),
            port=pulumi.Output.from_input(2222.0),
            user=pulumi.Output.from_input("ubuntu"),
            host_key=pulumi.Output.secret("ssh-ed25519 AAAA"),
        )
        packages("p", later)

    connection = graph(program)["p"].inputs["connection"]
    assert without_secrets(connection) == {"host": "192.0.2.7", "port": 2222, "user": "ubuntu", "host_key": "a secret"}


def test_a_value_that_turns_out_to_be_nothing_is_the_default() -> None:
    def program() -> None:
        nothing: Any = pulumi.Output.from_input(None)
        packages("p", {"host": "192.0.2.7", "port": nothing, "user": nothing, "host_key": nothing})

    inputs = graph(program)["p"].inputs
    assert inputs["connection"] == {"host": "192.0.2.7", "port": 22, "user": "root", "host_key": ""}


@pytest.mark.parametrize(
    ("connection", "key"),
    [
        ({"host": ""}, "connection.host"),
        ({}, "connection.host"),
        ({"host": "h", "user": ""}, "connection.user"),
        ({"host": "h", "port": "ssh"}, "connection.port"),
        ({"host": "h", "port": 0}, "connection.port"),
        ({"host": "h", "port": 65536}, "connection.port"),
        ({"host": "h", "port": 22.5}, "connection.port"),
    ],
)
def test_a_place_that_cannot_be_is_refused_at_preview(connection: dict[str, Any], key: str) -> None:
    state = connection_state(connection)
    node = {"services": {"nova-compute": {}}, "on_unreachable": "refuse"}
    wanted = {"node": "compute1", "connection": state, "packages": PACKAGES, **node}
    for lifecycle in (NodePackagesLifecycle(), ComputeNodeLifecycle()):
        assert [each.key for each in lifecycle.problems(wanted)] == [key]


def test_a_place_that_is_not_known_yet_is_not_refused() -> None:
    unknown = pulumi.runtime.rpc.UNKNOWN
    connection = dict.fromkeys(("host", "port", "user", "host_key"), unknown)
    assert NodePackagesLifecycle().problems({"node": "n", "connection": connection, "packages": PACKAGES}) == []


# ------------------------------------------------------------ a provider of its own


def test_packages_without_a_provider_get_one_with_the_credentials_of_their_connection() -> None:
    connection = ConnectionArgs(
        host="192.0.2.7",
        user="ubuntu",
        private_key="the key",
        private_key_password="its passphrase",
        password="hunter2",
        agent_socket_path="/run/agent",
    )
    found = graph(lambda: packages("compute1-packages", connection))
    assert found["compute1-packages"].provider == "compute1-packages-access"
    inputs = found["compute1-packages-access"].inputs
    given = {
        "private_key": "the key",
        "private_key_password": "its passphrase",
        "password": "hunter2",
        "sudo_password": "hunter2",
        "agent_socket_path": "/run/agent",
    }
    for key, value in given.items():
        assert value in json.dumps(inputs[f"access:ssh_{key}"]), key


def test_no_credential_is_in_plain_nor_an_input_of_the_resource() -> None:
    connection = ConnectionArgs(
        host="192.0.2.7", private_key="the key", private_key_password="its passphrase", password="hunter2"
    )
    found = graph(lambda: packages("p", connection))
    for text in ("the key", "its passphrase", "hunter2"):
        assert text not in found["p-access"].plain()
        assert text not in json.dumps(found["p"].inputs)


def test_a_secret_that_the_connection_holds_stays_one() -> None:
    def program() -> None:
        packages("p", ConnectionArgs(host="192.0.2.7", host_key=pulumi.Output.secret("ssh-ed25519 AAAA")))

    found = graph(program)
    assert without_secrets(found["p"].inputs)["connection"]["host_key"] == "a secret"


def test_machines_with_the_same_credentials_share_a_provider() -> None:
    def program() -> None:
        key = pulumi.Output.secret("the key")
        packages("one", ConnectionArgs(host="192.0.2.1", private_key=key))
        packages("two", ConnectionArgs(host="192.0.2.2", port=2222, user="ubuntu", private_key=key))
        packages("three", {"host": "192.0.2.3", "private_key": key})
        packages("four", {"host": "192.0.2.4", "password": "hunter2"})
        packages("five", ConnectionArgs(host="192.0.2.5", password="hunter2", per_dial_timeout=3))

    found = graph(program)
    assert providers(found) == ["one-access", "four-access"]
    used = {name: found[name].provider for name in ("one", "two", "three", "four", "five")}
    assert used == {
        "one": "one-access",
        "two": "one-access",
        "three": "one-access",
        "four": "four-access",
        "five": "four-access",
    }


def test_two_resources_of_one_name_do_not_make_two_providers_of_one_name() -> None:
    def program() -> None:
        packages("same", {"host": "192.0.2.1", "password": "one"})
        parent = pulumi.ComponentResource("test:index:Parent", "parent")
        packages("same", {"host": "192.0.2.2", "password": "two"}, pulumi.ResourceOptions(parent=parent))
        packages("same", {"host": "192.0.2.3", "password": "three"}, pulumi.ResourceOptions(parent=parent))

    assert providers(graph(program)) == ["same-access", "same-access-2", "same-access-3"]


def test_a_second_program_in_the_process_makes_its_own() -> None:
    def program() -> object:
        return packages("p", {"host": "192.0.2.1", "password": "hunter2"})

    assert providers(graph(program)) == ["p-access"]
    assert providers(graph(program)) == ["p-access"]


# ------------------------------------------------------------ a provider that is given


def test_a_given_provider_comes_first_wherever_pulumi_looks_for_one() -> None:
    def program() -> None:
        access = nova_infra.Provider("access", identity=IDENTITY)
        connection = ConnectionArgs(host="192.0.2.7", private_key="the key")
        parent = pulumi.ComponentResource(
            "test:index:Parent", "parent", None, pulumi.ResourceOptions(providers=[access])
        )
        for make, kind in ((packages, "packages"), (compute_node, "compute"), (controller_node, "controller")):
            make(f"{kind}-provider", connection, pulumi.ResourceOptions(provider=access))
            make(f"{kind}-list", connection, pulumi.ResourceOptions(providers=[access]))
            make(f"{kind}-map", connection, pulumi.ResourceOptions(providers={"pulumi-python": access}))
            make(f"{kind}-parent", connection, pulumi.ResourceOptions(parent=parent))

    found = graph(program)
    assert providers(found) == ["access"]
    ours = [each for each in found.values() if each.kind in ("NodePackages", "ComputeNode", "ControllerNode")]
    assert len(ours) == 12
    assert {each.provider for each in ours} == {"access"}


def test_a_provider_of_another_package_is_not_ours() -> None:
    def program() -> None:
        other = pulumi.ProviderResource("other", "other", {})
        packages("p", {"host": "192.0.2.7"}, pulumi.ResourceOptions(provider=other))

    assert graph(program)["p"].provider == "p-access"


def test_the_credentials_of_a_connection_make_a_provider_for_several_resources() -> None:
    connection = ConnectionArgs(host="192.0.2.7", private_key="the key", password="hunter2")

    def program() -> None:
        nova_infra.Provider("access", ssh=nova_infra.SSHArgs.of(connection), identity=IDENTITY)

    inputs = graph(program)["access"].inputs
    assert "the key" in json.dumps(inputs["access:ssh_private_key"])
    assert "hunter2" in json.dumps(inputs["access:ssh_sudo_password"])
    assert inputs["access:ssh_verify_host_keys"] == "True"


# ------------------------------------------------------------ what is refused


def refusal(make: Callable[[], object]) -> list[Problem]:
    problems: list[Problem] = []

    def program() -> None:
        try:
            make()
        except InvalidSettings as error:
            problems.extend(error.problems)

    graph(program)
    return problems


@pytest.mark.parametrize(("make", "kind"), [(controller_node, "ControllerNode"), (compute_node, "ComputeNode")])
def test_a_node_that_cannot_see_novas_reports_is_refused(make: Any, kind: str) -> None:
    connection = ConnectionArgs(host="192.0.2.7", private_key="the key")

    def without_keystone() -> None:
        make("node", connection, pulumi.ResourceOptions(provider=nova_infra.Provider("access")))

    for each in (lambda: make("node", connection), without_keystone):
        (problem,) = refusal(each)
        assert problem.key == "node.provider"
        assert f"{kind} node needs a nova_infra.Provider that says where Keystone is" in problem.reason


def test_a_proxy_is_the_jump_host_of_the_provider_that_is_made_from_the_connection() -> None:
    def program() -> None:
        key = pulumi.Output.secret("the key")
        proxy = ProxyConnectionArgs(
            host="192.0.2.1", port=2222, user="ops", private_key="its key", host_key="its host key"
        )
        packages("direct", ConnectionArgs(host="192.0.2.6", private_key=key))
        packages("behind", ConnectionArgs(host="192.0.2.7", private_key=key, proxy=proxy))
        packages("too", {"host": "192.0.2.8", "private_key": key, "proxy": proxy})

    found = graph(program)
    assert [found[name].provider for name in ("direct", "behind", "too")] == [
        "direct-access",
        "behind-access",
        "behind-access",
    ]
    inputs = found["behind-access"].inputs
    place = {key: inputs[f"access:jump_{key}"] for key in ("host", "port", "user", "host_key")}
    assert place == {"host": "192.0.2.1", "port": "2222", "user": "ops", "host_key": "its host key"}
    assert "its key" in json.dumps(inputs["access:jump_private_key"])
    assert "its key" not in found["behind-access"].plain()
    assert found["direct-access"].inputs["access:jump_host"] == ""


def test_a_proxy_beside_a_provider_that_has_a_jump_host_is_taken_for_the_same() -> None:
    connection = ConnectionArgs(host="192.0.2.7", proxy=ProxyConnectionArgs(host="192.0.2.1"))

    def program() -> None:
        access = nova_infra.Provider("access", ssh=nova_infra.SSHArgs.of(connection))
        packages("p", connection, pulumi.ResourceOptions(provider=access))

    found = graph(program)
    assert found["p"].provider == "access"
    assert found["access"].inputs["access:jump_host"] == "192.0.2.1"


def test_a_proxy_beside_a_provider_without_a_jump_host_is_refused() -> None:
    connection = ConnectionArgs(host="192.0.2.7", proxy=ProxyConnectionArgs(host="192.0.2.1"))

    def make() -> object:
        return packages("p", connection, pulumi.ResourceOptions(provider=nova_infra.Provider("access")))

    (problem,) = refusal(make)
    assert problem.key == "p.connection.proxy"


def test_a_misspelled_key_of_a_connection_is_refused() -> None:
    (problem,) = refusal(lambda: packages("p", {"host": "192.0.2.7", "hostKey": "ssh-ed25519 AAAA"}))
    assert problem.key == "p.connection.hostKey"
    assert "host_key" in problem.reason
