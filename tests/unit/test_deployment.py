"""The graph: which resources a stack makes, in which order, and with what inputs."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections import Counter
from typing import Any

import pytest

import nova_infra
from nova_infra.masking import fingerprint
from nova_infra.node import service_fingerprint
from nova_infra.provider import shard_of, shards, shards_of
from tests import mocked
from tests.mocked import Registered, without_secrets

from .test_settings import COMPUTE, CONTROLLER, PASSWORDS, parsed

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2GgHNU1LuU9bnOaYeXXpXlqn6EtGzVsYgMsnkQpfqV"
NODE_KINDS = {"ControllerNode", "ComputeNode", "NodePackages"}


def part(name: str) -> str:
    """The name of a part of the deployment `nova`; those of itself and of its providers (`nova-0`) stay."""
    return name if re.fullmatch(r"nova(-\d+)?", name) else name.removeprefix("nova-")


def asked_for(
    values: dict[str, Any] | None = None,
    secrets: dict[str, str | None] | None = None,
    names: tuple[str, ...] = ("nova",),
) -> list[Registered]:
    """What the engine is asked for by a program with a deployment of each of these names."""

    def program() -> None:
        for name in names:
            nova_infra.NovaDeployment(name, parsed(values, secrets))

    return mocked.registered(program, project="nova")


def registered(
    values: dict[str, Any] | None = None, secrets: dict[str, str | None] | None = None
) -> dict[str, Registered]:
    """The resources that a stack with these settings registers, by name."""
    return {
        part(each.name): dataclasses.replace(
            each, name=part(each.name), needs={part(name) for name in each.needs}, provider=part(each.provider)
        )
        for each in asked_for(values, secrets)
    }


@pytest.fixture(scope="module")
def graph() -> dict[str, Registered]:
    return registered()


def needed_by(graph: dict[str, Registered], name: str) -> set[str]:
    """Everything that must be there before, directly or not."""
    found: set[str] = set()
    due = [name]
    while due:
        for each in graph[due.pop()].needs - found:
            found.add(each)
            due.append(each)
    return found


def test_a_stack_has_the_guides_resources_and_one_provider(graph: dict[str, Registered]) -> None:
    assert sorted((each.kind, each.name) for each in graph.values()) == [
        ("ComputeNode", "compute1"),
        ("ControllerNode", "controller"),
        ("Database", "database"),
        ("Endpoint", "endpoint"),
        ("KeystoneUser", "user"),
        ("NodePackages", "compute1-packages"),
        ("NodePackages", "controller-packages"),
        ("NovaDeployment", "nova"),
        ("Service", "service"),
        ("ServiceCheck", "check"),
        ("pulumi-python", "nova-0"),
    ]


def test_two_deployments_in_one_program_do_not_meet() -> None:
    names = [each.name for each in asked_for(names=("nova", "other"))]
    assert len(names) == len(set(names)) == 22
    assert all(name.split("-")[0] in ("nova", "other") for name in names)


def test_the_order_is_the_guides(graph: dict[str, Registered]) -> None:
    assert "service" in needed_by(graph, "endpoint")
    assert needed_by(graph, "controller") >= {"controller-packages", "database", "user", "service", "endpoint"}
    assert needed_by(graph, "compute1") >= {"compute1-packages", "controller"}
    assert needed_by(graph, "check") >= {"controller", "compute1"}


@pytest.mark.parametrize("name", ["controller-packages", "compute1-packages", "database", "user", "service"])
def test_what_needs_nothing_waits_for_nothing(graph: dict[str, Registered], name: str) -> None:
    assert needed_by(graph, name) <= {"nova", "nova-0"}


def test_a_controller_does_not_wait_for_what_a_compute_node_needs(graph: dict[str, Registered]) -> None:
    assert not needed_by(graph, "controller") & {"compute1", "compute1-packages"}


def test_a_forced_replacement_deletes_first_because_create_would_adopt(graph: dict[str, Registered]) -> None:
    ours = [each for each in graph.values() if each.kind not in ("NovaDeployment", "pulumi-python")]
    assert len(ours) == 9
    assert all(each.request.deleteBeforeReplace for each in ours)


@pytest.mark.parametrize(("on_delete", "protect"), [("refuse", True), ("keep", False), ("drop", False)])
def test_destroy_refuses_a_database_before_it_touches_a_node(on_delete: str, protect: bool) -> None:
    assert registered({"database": {"on_delete": on_delete}})["database"].request.protect is protect


# ------------------------------------------------------------ secrets


def test_no_secret_is_in_plain_in_any_input(graph: dict[str, Registered]) -> None:
    for each in graph.values():
        for password in PASSWORDS.values():
            assert password not in each.plain(), each.name


def test_every_password_does_reach_the_resource_that_needs_it(graph: dict[str, Registered]) -> None:
    reached = {
        "database": ["NOVA_DBPASS"],
        "user": ["NOVA_PASS"],
        "controller": ["NOVA_DBPASS", "NOVA_PASS", "RABBIT_PASS"],
        "compute1": ["NOVA_PASS", "RABBIT_PASS"],
        "nova-0": ["ADMIN_PASS", "DB_ROOT_PASS"],
    }
    for name, passwords in reached.items():
        assert all(password in json.dumps(graph[name].inputs) for password in passwords), name


@pytest.mark.parametrize("password", ["ADMIN_PASS", "DB_ROOT_PASS"])
def test_an_administrators_password_is_an_input_of_providers_only(graph: dict[str, Registered], password: str) -> None:
    assert {each.kind for each in graph.values() if password in json.dumps(each.inputs)} == {"pulumi-python"}


def test_the_options_of_a_node_can_be_read_one_by_one(graph: dict[str, Registered]) -> None:
    default = graph["controller"].inputs["options"]["/etc/nova/nova.conf"]["DEFAULT"]
    assert default["my_ip"] == "10.0.0.11"
    assert default["rabbit_host"] == "controller"
    assert without_secrets(default["rabbit_password"]) == "a secret"


def test_a_fingerprint_is_shown_and_changes_with_a_password_that_the_service_reads() -> None:
    # The engine shows no change of a secret, and a plan must name each restart.
    shown, other = registered(), registered(secrets={"rabbitPassword": "another"})
    for name in ("controller", "compute1"):
        before, after = shown[name].inputs["services"], other[name].inputs["services"]
        assert all(isinstance(each["fingerprint"], str) for each in before.values())
        assert all(before[service]["fingerprint"] != after[service]["fingerprint"] for service in before)


def test_a_fingerprint_cannot_be_made_without_all_passwords_that_the_service_reads() -> None:
    options = {"nova.conf": {"DEFAULT": {"rabbit_password": "one"}, "keystone_authtoken": {"admin_password": "two"}}}
    guess = {"nova.conf": {"DEFAULT": {"rabbit_password": "one"}, "keystone_authtoken": {"admin_password": "three"}}}
    made = service_fingerprint(options, ["nova.conf"])
    assert made != service_fingerprint(guess, ["nova.conf"])
    assert made not in {fingerprint(options, key) for key in ("", "nova-infra", "one", "two")}


def test_the_administrators_login_is_a_file_of_root_on_the_controllers_only_where_asked() -> None:
    asked = registered({"identity": {"admin_openrc": "/root/admin-openrc.sh"}})
    controller = asked["controller"].inputs
    assert controller["files"]["/root/admin-openrc.sh"] == {"owner": "root", "group": "root", "mode": "600"}
    variables = controller["options"]["/root/admin-openrc.sh"]["export"]
    assert variables["OS_AUTH_URL"] == "http://controller:35357/v2.0"
    assert without_secrets(variables["OS_PASSWORD"]) == "a secret"
    assert all("/root/admin-openrc.sh" not in each["reads"] for each in controller["services"].values())
    assert "/root/admin-openrc.sh" not in asked["compute1"].inputs["options"]
    plain = registered()
    assert list(plain["controller"].inputs["options"]) == ["/etc/nova/nova.conf"]
    assert asked["check"].inputs == plain["check"].inputs


def test_a_secret_option_is_hidden_whatever_its_name() -> None:
    made = registered({"options": {"all": {"ldap": {"bind_pw": {"secret": "ldapPw"}}}}}, {"ldapPw": "swordfish"})
    assert made["compute1"].inputs["hidden"] == [["/etc/nova/nova.conf", "ldap", "bind_pw"]]
    assert registered()["compute1"].inputs["hidden"] == []


def test_what_destroy_may_do_is_set_node_by_node() -> None:
    made = registered(
        {
            "computeDefaults": {"drain": True, "adopt": True},
            "computes": [{**COMPUTE, "on_unreachable": "leave"}],
            "controllers": [{**CONTROLLER, "adopt": True}],
        }
    )
    kept = ("adopt", "drain", "on_unreachable")
    assert {key: made["compute1"].inputs.get(key) for key in kept} == {
        "adopt": True,
        "drain": True,
        "on_unreachable": "leave",
    }
    assert {key: made["controller"].inputs.get(key) for key in kept} == {
        "adopt": True,
        "drain": None,
        "on_unreachable": "refuse",
    }


def test_what_is_left_to_operators_is_no_input_and_what_the_stack_decides_is_one() -> None:
    made = registered(
        {"computes": [COMPUTE, {**COMPUTE, "name": "c2", "address": "10.0.0.32", "scheduling": "disabled"}]}
    )
    assert [made[name].inputs.get("scheduling") for name in ("compute1", "c2")] == [None, "disabled"]


def test_the_code_of_a_provider_is_stored_by_name_and_is_no_secret(graph: dict[str, Registered]) -> None:
    for each in graph.values():
        if each.kind not in ("NovaDeployment", "pulumi-python"):
            assert isinstance(each.inputs["__provider"], str)
            assert len(each.inputs["__provider"]) < 200


# ------------------------------------------------------------ nodes


def test_the_first_controller_alone_keeps_the_schema_up_to_date() -> None:
    two = [CONTROLLER, {"name": "controller2", "address": "10.0.0.12", "services": ["nova-api", "nova-conductor"]}]
    graph = registered({"controllers": two})
    assert graph["controller"].inputs["schema"] == "current"
    assert graph["controller2"].inputs["schema"] == "unmanaged"
    assert "controller" in needed_by(graph, "controller2")
    assert set(graph["controller2"].inputs["services"]) == {"nova-api", "nova-conductor"}
    assert "controller2" in needed_by(graph, "compute1")


def test_the_last_check_looks_for_the_services_that_nova_lists(graph: dict[str, Registered]) -> None:
    assert graph["check"].inputs["services"] == {
        "controller": ["nova-cert", "nova-conductor", "nova-consoleauth", "nova-scheduler"],
        "compute1": ["nova-compute"],
    }


def test_the_last_check_looks_again_when_services_of_a_node_were_started_again(graph: dict[str, Registered]) -> None:
    starts = {"controller": "start of nova-controller", "compute1": "start of nova-compute1"}
    assert graph["check"].inputs["restarts"] == starts


def test_the_last_check_waits_for_all_nodes_at_once_and_none_of_them_waits_itself(graph: dict[str, Registered]) -> None:
    awaits = graph["check"].inputs["awaits"]
    for name in ("controller", "compute1"):
        assert awaits[name]["connection"] == graph[name].inputs["connection"]
        assert graph[name].inputs["wait"] is False
    assert awaits["controller"]["answers"] == graph["controller"].inputs["answers"]
    assert awaits["compute1"].get("answers", {}) == {}


def test_packages_are_the_guides_and_those_that_the_stack_adds_or_pins() -> None:
    graph = registered({"packages": {"compute": {"nova-compute": "1:2014.2.4", "ntp": "present"}}})
    assert set(graph["controller-packages"].inputs["packages"]) == {
        "nova-api",
        "nova-cert",
        "nova-conductor",
        "nova-consoleauth",
        "nova-novncproxy",
        "nova-scheduler",
        "python-novaclient",
    }
    assert graph["compute1-packages"].inputs["packages"] == {
        "nova-compute": "1:2014.2.4",
        "sysfsutils": "present",
        "ntp": "present",
    }


def test_a_nodes_own_packages_win() -> None:
    layers = {"compute": {"ntp": "present", "nova-compute": "1"}, "nodes": {"compute1": {"nova-compute": "2"}}}
    computes = [COMPUTE, {"name": "compute2", "address": "10.0.0.32"}]
    graph = registered({"packages": layers, "computes": computes})
    one, other = (graph[f"{name}-packages"].inputs["packages"] for name in ("compute1", "compute2"))
    assert (one["nova-compute"], other["nova-compute"]) == ("2", "1")
    assert one["ntp"] == other["ntp"] == "present"


def test_deadlines_are_inputs_of_providers_only() -> None:
    usual, longer = registered(), registered({"deadlines": {"report": 777}})
    assert longer["nova-0"].inputs["access:deadlines_report"] == "777"
    assert usual["nova-0"].inputs["access:deadlines_report"] == "180"
    changed = {name for name in usual if usual[name].inputs != longer[name].inputs}
    assert changed == {"nova-0"}


def test_a_database_elsewhere_is_reached_at_its_port_and_made_as_asked() -> None:
    graph = registered(
        {
            "database": {
                "host": "db.example.org",
                "port": 3307,
                "hosts": {"10.0.0.11": ["ALL"], "10.0.0.12": ["SELECT"]},
                "charset": "latin1",
                "collation": "latin1_bin",
            }
        }
    )
    access = graph["nova-0"].inputs
    assert (access["access:database_host"], access["access:database_port"]) == ("db.example.org", "3307")
    assert set(graph["database"].inputs["hosts"]) == {"10.0.0.11", "10.0.0.12"}
    assert (graph["database"].inputs["charset"], graph["database"].inputs["collation"]) == ("latin1", "latin1_bin")


def test_novas_user_gets_a_default_tenant_and_an_email_only_where_the_stack_says_so(
    graph: dict[str, Registered],
) -> None:
    assert (graph["user"].inputs["default_tenant"], graph["user"].inputs["email"]) == ("", "")
    said = registered({"identity": {"default_tenant": "service", "email": "nova@example.org"}})
    assert (said["user"].inputs["default_tenant"], said["user"].inputs["email"]) == ("service", "nova@example.org")


def texts_in(value: Any) -> set[str]:
    """All texts in a value; some are keys, such as the hosts of a user."""
    if isinstance(value, dict):
        return {text for each in value.values() for text in texts_in(each)} | set(value)
    if isinstance(value, list):
        return {text for each in value for text in texts_in(each)}
    return {value} if isinstance(value, str) else set()


def test_every_value_of_the_guide_is_a_setting() -> None:
    # The words of the guide's chapter that another cloud would have otherwise. Names of services and packages are the release's.
    words = {"controller", "10.0.0.11", "10.0.0.31", "regionOne", "nova", "service", "admin", "compute", "root"}
    words |= {"OpenStack Compute", "0.0.0.0", "localhost", "%", "auto", *PASSWORDS.values()}  # noqa: S104
    usual = set().union(*(texts_in(each.inputs) for each in registered().values()))
    assert words <= usual, "the test looks where each of them is"

    url = "https://other.example.org/x"
    others = {
        "region": "r2",
        "controllers": [{"name": "c1", "address": "192.0.2.11"}],
        "computes": [{"name": "n1", "address": "192.0.2.31", "virt_type": "qemu"}],
        "ssh": {"user": "ubuntu"},
        "database": {"host": "db", "name": "d2", "user": "u2", "admin_user": "a2", "hosts": {"192.0.2.%": ["SELECT"]}},
        "identity": {
            "admin_url": url,
            "public_url": url,
            "admin_user": "a3",
            "admin_tenant": "t3",
            "service_tenant": "s3",
            "role": "r3",
            "user": "u3",
        },
        "messageQueue": {"hosts": ["mq"]},
        "image": {"host": "glance"},
        "vnc": {"listen": "192.0.2.1", "base_url": url},
        "service": {"name": "nova2", "type": "compute2", "description": "another"},
        "endpoint": {"public_url": url, "internal_url": url, "admin_url": url},
    }
    graph = registered(others, {key: f"another {key}" for key in PASSWORDS})
    # A file's owner and group are those of Ubuntu's packages.
    inputs = [{key: value for key, value in each.inputs.items() if key != "files"} for each in graph.values()]
    left = set().union(*(texts_in(each) for each in inputs))
    assert not words & left
    assert not [text for text in left for word in ("//controller", "@controller", *PASSWORDS.values()) if word in text]


def test_ssh_goes_to_the_host_that_is_given_and_nova_to_the_management_address() -> None:
    node = {**COMPUTE, "host": "192.0.2.7", "port": 2222, "user": "admin", "host_key": HOST_KEY}
    inputs = registered({"computes": [node]})["compute1"].inputs
    assert inputs["connection"] == {"host": "192.0.2.7", "port": 2222, "user": "admin", "host_key": HOST_KEY}
    assert inputs["options"]["/etc/nova/nova.conf"]["DEFAULT"]["my_ip"] == "10.0.0.31"


# ------------------------------------------------------------ providers


def test_a_jump_host_is_a_part_of_every_provider_with_our_login_or_its_own() -> None:
    computes = [{"name": f"compute{number}", "address": f"10.0.0.{number}"} for number in range(31, 38)]
    given = {"jumpHost": {"host": "192.0.2.1", "host_key": HOST_KEY}, "ssh": {"user": "ubuntu"}, "computes": computes}
    graph = registered(given, {"jumpHostPassword": "hunter2"})
    made = [each.inputs for each in graph.values() if each.kind == "pulumi-python"]
    assert len(made) == 2
    for inputs in made:
        place = {key: inputs[f"access:jump_{key}"] for key in ("host", "port", "user", "host_key", "private_key_file")}
        usual = {"host": "192.0.2.1", "port": "22", "user": "ubuntu", "host_key": HOST_KEY, "private_key_file": ""}
        assert place == usual
        assert "hunter2" in str(inputs["access:jump_password"])
    assert "hunter2" not in "".join(each.plain() for each in graph.values())


def test_without_a_jump_host_no_secret_of_one_reaches_a_provider() -> None:
    graph = registered({}, {"jumpHostPassword": "hunter2"})
    assert not [each for each in graph.values() if "hunter2" in str(each.inputs)]


def test_more_than_four_at_once_take_more_providers_and_a_node_stays_with_its_own() -> None:
    computes = [{"name": f"compute{number}", "address": f"10.0.0.{number}"} for number in range(31, 51)]
    graph = registered({"computes": computes, "concurrency": "12"})
    providers = {each.name for each in graph.values() if each.kind == "pulumi-python"}
    assert len(providers) == 3
    for node in computes:
        assert graph[node["name"]].provider == graph[f"{node['name']}-packages"].provider
    assert {each.provider for each in graph.values() if each.kind in NODE_KINDS} == providers


def test_few_nodes_take_no_more_providers_than_there_is_work_for() -> None:
    graph = registered({"computes": [COMPUTE], "concurrency": "40"})
    assert [each.name for each in graph.values() if each.kind == "pulumi-python"] == ["nova-0"]


@pytest.mark.parametrize(("concurrency", "expected"), [(1, 1), (4, 1), (5, 2), (8, 2), (9, 3), (40, 10)])
def test_a_provider_has_four_threads(concurrency: int, expected: int) -> None:
    assert len(shards(concurrency)) == expected


def test_the_provider_of_a_node_is_the_same_in_every_process() -> None:
    # What `printf compute1 | sha256sum` begins with; Python's own hash() differs from process to process.
    assert shard_of("compute1", 12) == int("d02434e0be28279f", 16) % 3


@pytest.mark.parametrize(("nodes", "concurrency"), [(2, 8), (7, 12), (101, 8), (101, 12), (1000, 40)])
def test_each_provider_has_its_share_of_the_nodes_and_one_more_node_moves_few(nodes: int, concurrency: int) -> None:
    names = [f"compute{number:03}" for number in range(nodes + 1)]
    before, after = shards_of(names[:-1], concurrency), shards_of(names, concurrency)
    counts = Counter(before.values())
    assert max(counts.values()) == math.ceil(nodes / len(shards(concurrency)))
    moved = [name for name in before if before[name] != after[name]]
    assert len(moved) <= 2 * len(shards(concurrency))
    at_home = [name for name in before if before[name] == shard_of(name, concurrency)]
    assert len(at_home) >= nodes / 2
