"""The stack's configuration: every bad value is refused by its key, all at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from nova_infra.access import DEADLINES
from nova_infra.errors import InvalidSettings
from nova_infra.hosts import split_host
from nova_infra.node import holds_a_secret
from nova_infra.settings import OPTIONAL_SECRETS, SECRETS, Settings
from nova_infra.stack_config import parse
from nova_infra.values import SecretReference
from nova_infra.wording import quoted
from tests.error_rows import assert_printed

CONTROLLER = {"name": "controller", "address": "10.0.0.11"}
COMPUTE = {"name": "compute1", "address": "10.0.0.31"}
PASSWORDS = {
    "novaDatabasePassword": "NOVA_DBPASS",
    "novaPassword": "NOVA_PASS",
    "rabbitPassword": "RABBIT_PASS",
    "adminPassword": "ADMIN_PASS",
    "databaseAdminPassword": "DB_ROOT_PASS",
}


def parsed(values: Mapping[str, Any] | None = None, secrets: Mapping[str, str | None] | None = None) -> Settings:
    """Settings of the smallest stack with these values over it; None takes a key away."""
    plain = {"controllers": [CONTROLLER], "computes": [COMPUTE], **(values or {})}
    hidden = {**PASSWORDS, **(secrets or {})}
    texts = {
        key: each if isinstance(each, str) else json.dumps(each) for key, each in plain.items() if each is not None
    }
    texts |= {key: each for key, each in hidden.items() if each is not None}
    return parse(texts.get, keys=list(texts), is_secret=lambda key: key in hidden)


def problems(
    values: Mapping[str, Any] | None = None, secrets: Mapping[str, str | None] | None = None
) -> dict[str, str]:
    with pytest.raises(InvalidSettings) as refusal:
        parsed(values, secrets)
    return {problem.key: problem.reason for problem in refusal.value.problems}


# ------------------------------------------------------------ what is good


def test_the_defaults_are_the_guides() -> None:
    settings = parsed()
    # "OpenStack Installation Guide for Ubuntu 14.04", Juno, chapter 5.
    assert (settings.release, settings.region) == ("juno", "regionOne")
    assert (settings.database.name, settings.database.user, settings.database.admin_user) == ("nova", "nova", "root")
    assert settings.database.host == "controller"
    assert (settings.identity.user, settings.identity.service_tenant, settings.identity.role) == (
        "nova",
        "service",
        "admin",
    )
    assert settings.identity.public_url == "http://controller:5000/v2.0"
    assert settings.identity.identity_uri == "http://controller:35357"
    assert (settings.message_queue.hosts, settings.image.host) == (["controller"], "controller")
    service = settings.service
    assert (service.name, service.type, service.description) == ("nova", "compute", "OpenStack Compute")
    endpoint = settings.endpoint
    assert {endpoint.public_url, endpoint.internal_url, endpoint.admin_url} == {
        "http://controller:8774/v2/%(tenant_id)s"
    }
    assert (settings.vnc.listen, settings.vnc.base_url) == ("0.0.0.0", "http://controller:6080/vnc_auto.html")  # noqa: S104
    assert settings.ssh.verify_host_keys
    # "TO 'nova'@'localhost'", "TO 'nova'@'%'"
    assert settings.database.hosts == {"localhost": ["ALL"], "%": ["ALL"]}
    # "keystone user-create --name nova --pass NOVA_PASS" gives no default tenant; "CREATE DATABASE nova" no character set.
    assert settings.identity.default_tenant == ""
    assert (settings.message_queue.user, settings.message_queue.virtual_host) == ("", "")


def test_a_step_may_take_as_long_as_a_provider_process_thinks() -> None:
    assert parsed().deadlines.model_dump() == DEADLINES


def test_a_machine_is_not_taken_over_drained_or_left_unless_the_stack_says_so() -> None:
    node = parsed().computes[0]
    assert (node.adopt, node.drain, node.on_unreachable) == (False, False, "refuse")


def test_nothing_is_lost_by_default() -> None:
    assert parsed().database.on_delete == "refuse"


def test_controllers_come_before_computes() -> None:
    assert [node.name for node in parsed().nodes()] == ["controller", "compute1"]


def test_a_stack_without_computes_is_fine() -> None:
    assert parsed({"computes": None}).computes == []


def test_what_a_compute_node_does_not_say_the_defaults_say() -> None:
    computes = [COMPUTE, {"name": "c2", "address": "10.0.0.32", "port": 22, "user": "", "drain": False}]
    defaults = {"port": 2222, "user": "ubuntu", "vnc_listen": "10.0.0.1", "adopt": True, "drain": True}
    first, second = parsed({"computes": computes, "computeDefaults": defaults}).computes
    assert (first.port, first.user, first.vnc_listen, first.adopt, first.drain) == (
        2222,
        "ubuntu",
        "10.0.0.1",
        True,
        True,
    )
    # What it says wins, even where that is what would hold anyway.
    assert (second.port, second.user, second.vnc_listen, second.adopt, second.drain) == (
        22,
        "",
        "10.0.0.1",
        True,
        False,
    )
    assert (first.name, first.address, first.on_unreachable) == ("compute1", "10.0.0.31", "refuse")


def test_defaults_of_computes_are_not_those_of_controllers() -> None:
    assert parsed({"computeDefaults": {"port": 2222}}).controllers[0].port == 22


def test_a_bad_default_is_said_once_however_many_nodes_have_it() -> None:
    computes = [{"name": f"compute{number}", "address": f"10.0.0.{number}"} for number in range(31, 41)]
    assert list(problems({"computes": computes, "computeDefaults": {"port": 0}})) == ["nova:computeDefaults.port"]


@pytest.mark.parametrize("key", ["name", "address", "host", "host_key"])
def test_what_only_one_node_can_have_is_no_default(key: str) -> None:
    assert list(problems({"computeDefaults": {key: "10.0.0.31"}})) == [f"nova:computeDefaults.{key}"]


HOSTS = [
    ("controller", ("controller", "")),
    ("mq1.example.org:5673", ("mq1.example.org", "5673")),
    ("10.0.0.9:1", ("10.0.0.9", "1")),
    ("2001:db8::5", ("2001:db8::5", "")),
    ("[2001:db8::5]", ("2001:db8::5", "")),
    ("[2001:db8::5]:65535", ("2001:db8::5", "65535")),
]


@pytest.mark.parametrize(("text", "host_and_port"), HOSTS)
def test_a_server_is_a_host_with_or_without_a_port(text: str, host_and_port: tuple[str, str]) -> None:
    assert split_host(parsed({"messageQueue": {"hosts": [text]}}).message_queue.hosts[0]) == host_and_port


def test_packages_are_given_by_role_and_by_node() -> None:
    layers = {
        "compute": {"nova-compute": "1:2014.2.4-0ubuntu1~cloud4", "libstdc++6": "present"},
        "nodes": {"compute1": {"sysfsutils": "2.1.0+repack-3"}},
    }
    packages = parsed({"packages": layers}).packages
    assert packages.compute == layers["compute"]
    assert packages.nodes == layers["nodes"]


@pytest.mark.parametrize("key", ["adminPassword", "databaseAdminPassword", "novaDatabasePassword", "sudoPassword"])
def test_a_password_that_is_no_value_of_nova_conf_may_hold_what_that_cannot_carry(key: str) -> None:
    # The one in the URL of the database is percent-encoded.
    assert parsed({}, {key: "a\\$b"}).secrets[key] == "a\\$b"


def test_secrets_are_taken_in_plain_and_not_shown() -> None:
    settings = parsed()
    assert dict(settings.secrets) == PASSWORDS
    assert not any(password in repr(settings) for password in PASSWORDS.values())


def test_yaml_reads_numbers_and_truth_and_nova_gets_text() -> None:
    layer = {"DEFAULT": {"verbose": True, "workers": 4, "ratio": 1.5, "flags": ["a", 1], "off": None}}
    assert parsed({"options": {"all": layer}}).options.all["DEFAULT"] == {
        "verbose": "True",
        "workers": "4",
        "ratio": "1.5",
        "flags": ["a", "1"],
        "off": None,
    }


def test_an_option_may_refer_to_a_secret_of_any_name() -> None:
    layer = {"vmware": {"host_password": {"secret": "vcenter"}}}
    settings = parsed({"options": {"compute": layer}}, {"vcenter": "hunter2"})
    assert settings.options.compute["vmware"]["host_password"] == SecretReference(secret="vcenter")
    assert settings.secrets["vcenter"] == "hunter2"


@pytest.mark.parametrize("key", sorted(OPTIONAL_SECRETS))
def test_how_to_log_in_may_be_a_secret(key: str) -> None:
    # A private key has lines.
    assert parsed({}, {key: "one\r\ntwo\n" if key.endswith("PrivateKey") else "one"}).secrets[key]


@pytest.mark.parametrize("key", sorted(each for each in OPTIONAL_SECRETS if not each.endswith("PrivateKey")))
@pytest.mark.parametrize("value", ["hunter2\n", "hunter2\r\n", "hun\0ter2", "hun\x1bter2"])
def test_a_password_or_passphrase_to_log_in_with_has_no_control_characters(key: str, value: str) -> None:
    found = problems({}, {key: value})
    assert list(found) == [f"nova:{key}"]
    assert "newline or another control character" in found[f"nova:{key}"]
    assert "ter2" not in repr(found)


def test_a_private_key_has_lines_and_no_other_control_characters() -> None:
    assert "control character" in problems({}, {"sshPrivateKey": "one\ntwo\0\n"})["nova:sshPrivateKey"]


# ------------------------------------------------------------ what is refused

BAD: list[Any] = [
    ({"controllers": None}, "nova:controllers", "is missing"),
    ({"controllers": []}, "nova:controllers", "at least 1"),
    ({"controllers": "controller"}, "nova:controllers", "list"),
    ({"controllers": [{"address": "10.0.0.11"}]}, "nova:controllers[0].name", "is missing"),
    ({"controllers": [{**CONTROLLER, "name": " "}]}, "nova:controllers[0].name", "no host name"),
    ({"computes": [{"name": "compute1"}]}, "nova:computes[0].address", "is missing"),
    ({"computes": [COMPUTE, {"name": "c2", "address": "compute2"}]}, "nova:computes[1].address", "no IP address"),
    ({"computes": [{**COMPUTE, "port": 70000}]}, "nova:computes[0].port", "65535"),
    ({"computes": [{**COMPUTE, "port": True}]}, "nova:computes[0].port", "is true, where a number is wanted"),
    ({"jumpHost": {"host": "jump", "port": True}}, "nova:jumpHost.port", "is true, where a number is wanted"),
    ({"database": {"port": True}}, "nova:database.port", "is true, where a number is wanted"),
    ({"image": {"port": False}}, "nova:image.port", "is false, where a number is wanted"),
    ({"deadlines": {"packages": True}}, "nova:deadlines.packages", "is true, where a number is wanted"),
    ({"concurrency": "true"}, "nova:concurrency", "integer"),
    ({"computes": [{**COMPUTE, "port": "ssh"}]}, "nova:computes[0].port", "integer"),
    ({"computes": [{**COMPUTE, "adress": "x"}]}, "nova:computes[0].adress", "did you mean address?"),
    ({"computes": [COMPUTE, {**COMPUTE, "address": "10.0.0.32"}]}, "nova:computes[1].name", "compute1 is also that of"),
    ({"computes": [COMPUTE, {**COMPUTE, "name": "c2"}]}, "nova:computes[1].address", "10.0.0.31 is also that of"),
    ({"computes": [CONTROLLER]}, "nova:computes[0]", "nova-conductor"),
    ({"computes": [{**COMPUTE, "name": "controller"}]}, "nova:computes[0]", "nova-conductor"),
    ({"computes": [{**COMPUTE, "address": "10.0.0.11"}]}, "nova:computes[0]", "nova-conductor"),
    (
        {"controllers": [{**CONTROLLER, "services": ["nova-api", "nova-sheduler"]}]},
        "nova:controllers[0].services",
        "nova-scheduler",
    ),
    (
        {"controllers": [{**CONTROLLER, "services": ["nova-conductor"]}]},
        "nova:controllers[0].services",
        "has no nova-api",
    ),
    (
        {"controllers": [{**CONTROLLER, "on_unreachable": "leave"}]},
        "nova:controllers[0].on_unreachable",
        "pulumi state delete",
    ),
    ({"computes": [{**COMPUTE, "host_key": "host ssh-ed25519 A"}]}, "nova:computes[0].host_key", "no public key"),
    ({"options": {"all": {"DEFAULT": {"host": "other"}}}}, "nova:options.all.DEFAULT.host", "cannot be set"),
    ({"release": "kilo"}, "nova:release", "juno"),
    ({"region": ""}, "nova:region", "is empty"),
    ({"concurrency": "0"}, "nova:concurrency", "greater than or equal to 1"),
    ({"concurrency": "41"}, "nova:concurrency", "less than or equal to 40"),
    ({"concurrency": "many"}, "nova:concurrency", "integer"),
    ({"regoin": "x"}, "nova:regoin", "did you mean region?"),
    ({"messageQeue": {"host": "x"}}, "nova:messageQeue", "did you mean messageQueue?"),
    ({"ssh": {"usr": "ubuntu"}}, "nova:ssh.usr", "did you mean user?"),
    ({"ssh": {"user": ""}}, "nova:ssh.user", "is empty"),
    ({"ssh": {"verify_host_keys": "perhaps"}}, "nova:ssh.verify_host_keys", "boolean"),
    ({"ssh": "ubuntu"}, "nova:ssh", "dictionary"),
    ({"jumpHost": {"user": "ops", "port": 22}}, "nova:jumpHost.host", "is missing, and user, port would say nothing"),
    ({"database": {"on_delete": "delete"}}, "nova:database.on_delete", "'refuse', 'keep', 'dump' or 'drop'"),
    ({"identity": {"admin_url": "controller:35357"}}, "nova:identity.admin_url", "no URL"),
    ({"endpoint": {"public_url": "ftp://x"}}, "nova:endpoint.public_url", "no URL"),
    ({"vnc": {"listen": "everywhere"}}, "nova:vnc.listen", "no IP address"),
    ({"computes": [{**COMPUTE, "name": "compute 1"}]}, "nova:computes[0].name", "no host name"),
    ({"computes": [{**COMPUTE, "host": "a/b"}]}, "nova:computes[0].host", "no host name"),
    ({"computes": [{**COMPUTE, "vnc_address": "compute1"}]}, "nova:computes[0].vnc_address", "no IP address"),
    ({"computes": [{**COMPUTE, "vnc_listen": "all"}]}, "nova:computes[0].vnc_listen", "no IP address"),
    ({"computes": [{**COMPUTE, "on_unreachable": "keep"}]}, "nova:computes[0].on_unreachable", "'refuse' or 'leave'"),
    ({"computes": [{**COMPUTE, "user": "a\nb"}]}, "nova:computes[0].user", "newline"),
    ({"controllers": [{**CONTROLLER, "drain": True}]}, "nova:controllers[0].drain", "is not a setting"),
    ({"computeDefaults": {"drian": True}}, "nova:computeDefaults.drian", "did you mean drain?"),
    ({"region": "one\ntwo"}, "nova:region", "newline"),
    ({"region": "one\x00"}, "nova:region", "control character"),
    ({"identity": {"role": "a\tb\x7f"}}, "nova:identity.role", "control character"),
    ({"identity": {"service_tenant": "a\\$b"}}, "nova:identity.service_tenant", "backslash before a dollar"),
    ({"identity": {"public_url": "http://a b:5000"}}, "nova:identity.public_url", "space"),
    ({"identity": {"public_url": "http://a\n:5000"}}, "nova:identity.public_url", "control character"),
    ({"identity": {"public_url": "http://a:70000"}}, "nova:identity.public_url", "port"),
    ({"identity": {"public_url": "http://a_:5000"}}, "nova:identity.public_url", "no host name"),
    ({"identity": {"public_url": "http://[::1"}}, "nova:identity.public_url", "IPv6"),
    ({"identity": {"admin_openrc": "openrc.sh"}}, "nova:identity.admin_openrc", "no absolute path"),
    ({"identity": {"admin_openrc": "/root/openrc"}}, "nova:identity.admin_openrc", "ends in .sh"),
    ({"identity": {"admin_openrc": "/etc/../a.sh"}}, "nova:identity.admin_openrc", "no absolute path"),
    ({"identity": {"admin_openrc": "/root/a\n.sh"}}, "nova:identity.admin_openrc", "newline"),
    ({"database": {"host": "db/nova"}}, "nova:database.host", "no host name"),
    ({"database": {"host": "fe80::1%eth0"}}, "nova:database.host", "no host name"),
    ({"database": {"port": -1}}, "nova:database.port", "greater than or equal to 0"),
    ({"database": {"name": "nova db"}}, "nova:database.name", "does not fit"),
    ({"database": {"user": ""}}, "nova:database.user", "is empty"),
    ({"database": {"charset": "utf8; DROP"}}, "nova:database.charset", "does not fit"),
    ({"database": {"hosts": {}}}, "nova:database.hosts", "needs at least 1"),
    ({"database": {"hosts": {"a'b": ["ALL"]}}}, "nova:database.hosts.a'b", "is no host as MariaDB keeps it"),
    ({"database": {"hosts": {"DB": ["ALL"]}}}, "nova:database.hosts.DB", "lower-case"),
    ({"database": {"hosts": {"%": []}}}, "nova:database.hosts.%", "needs at least 1"),
    ({"database": {"hosts": {"%": ["ALL; DROP"]}}}, "nova:database.hosts.%[0]", "does not fit"),
    ({"computes": [{**COMPUTE, "virt_type": "lvm"}]}, "nova:computes[0].virt_type", "'auto', 'kvm' or 'qemu'"),
    ({"messageQueue": {"hosts": []}}, "nova:messageQueue.hosts", "needs at least 1"),
    ({"messageQueue": {"hosts": "controller"}}, "nova:messageQueue.hosts", "list"),
    ({"messageQueue": {"hosts": ["mq1", "mq2,mq3"]}}, "nova:messageQueue.hosts[1]", "no host name"),
    ({"messageQueue": {"hosts": ["mq1:"]}}, "nova:messageQueue.hosts[0]", "port"),
    ({"messageQueue": {"hosts": ["mq1:0"]}}, "nova:messageQueue.hosts[0]", "port"),
    ({"messageQueue": {"hosts": ["[::1]:65536"]}}, "nova:messageQueue.hosts[0]", "port"),
    ({"messageQueue": {"hosts": ["[mq1]:1"]}}, "nova:messageQueue.hosts[0]", "no host name"),
    ({"messageQueue": {"hosts": [":5672"]}}, "nova:messageQueue.hosts[0]", "no host name"),
    ({"messageQueue": {"hosts": ["guest@mq1"]}}, "nova:messageQueue.hosts[0]", "holds a login"),
    ({"messageQueue": {"hosts": ["mq1\n"]}}, "nova:messageQueue.hosts[0]", "no host name"),
    ({"messageQueue": {"host": "mq1"}}, "nova:messageQueue.host", "did you mean hosts?"),
    ({"messageQueue": {"virtual_host": "a\nb"}}, "nova:messageQueue.virtual_host", "newline"),
    ({"image": {"host": "two\nlines"}}, "nova:image.host", "no host name"),
    ({"image": {"port": 65536}}, "nova:image.port", "65535"),
    ({"deadlines": {"drain": 0}}, "nova:deadlines.drain", "greater than 0"),
    ({"deadlines": {"drain": "an hour"}}, "nova:deadlines.drain", "integer"),
    ({"deadlines": {"packges": 1}}, "nova:deadlines.packges", "did you mean packages?"),
    ({"packages": {"compute": {"Nova": "present"}}}, "nova:packages.compute.Nova", "name of a package"),
    ({"packages": {"compute": {"-o": "present"}}}, "nova:packages.compute.-o", "name of a package"),
    ({"packages": {"compute": {"ntp": "latest"}}}, "nova:packages.compute.ntp", "version"),
    ({"packages": {"compute": {"ntp": "1.0 -o x"}}}, "nova:packages.compute.ntp", "version"),
    ({"packages": {"compute": {"ntp": "1.0\n"}}}, "nova:packages.compute.ntp", "version"),
    ({"packages": {"nodes": {"compute1": {"ntp": ""}}}}, "nova:packages.nodes.compute1.ntp", "version"),
    ({"packages": {"nodes": {"compute2": {}}}}, "nova:packages.nodes.compute2", "did you mean compute1?"),
    ({"options": {"al": {}}}, "nova:options.al", "did you mean all?"),
    ({"options": {"nodes": {"compute2": {}}}}, "nova:options.nodes.compute2", "did you mean compute1?"),
    ({"options": {"all": {"DEFAULT": {"a b": "x"}}}}, "nova:options.all.DEFAULT.a b", "name of an option"),
    ({"options": {"all": {"a]": {"x": "x"}}}}, "nova:options.all.a].x", "'a]'"),
    ({"options": {"all": {"DEFAULT": {"a": "1\n2"}}}}, "nova:options.all.DEFAULT.a", "newline"),
    ({"options": {"all": {"DEFAULT": {"a": ["1", "2\n"]}}}}, "nova:options.all.DEFAULT.a", "newline"),
    (
        {"options": {"nodes": {"compute1": {"DEFAULT": {"a": r"\$"}}}}},
        "nova:options.nodes.compute1.DEFAULT.a",
        "backslash",
    ),
    ({"options": {"all": {"DEFAULT": {"a": {"b": {}}}}}}, "nova:options.all.DEFAULT.a", ""),
    (
        {"options": {"all": {"DEFAULT": {"a": {"secret": "nope"}}}}},
        "nova:options.all.DEFAULT.a",
        "pulumi config set --secret nope",
    ),
    (
        {"options": {"all": {"DEFAULT": {"a": {"secret": "region"}}}}},
        "nova:options.all.DEFAULT.a",
        "a setting and no secret",
    ),
    ({"packages": {"controler": {}}}, "nova:packages.controler", "did you mean controller?"),
    # One node in two forms.
    ({"computes": [COMPUTE, {"name": "Compute1", "address": "10.0.0.32"}]}, "nova:computes[1].name", "way to write"),
    (
        {"computes": [COMPUTE, {"name": "c2", "address": "::ffff:10.0.0.31"}]},
        "nova:computes[1].address",
        "another way to write 10.0.0.31, which is that of computes[0]",
    ),
    (
        {
            "computes": [
                {"name": "c1", "address": "2001:db8::1"},
                {"name": "c2", "address": "2001:DB8:0:0:0:0:0:1"},
            ]
        },
        "nova:computes[1].address",
        "way to write 2001:db8::1",
    ),
    (
        {"computes": [COMPUTE, {"name": "c2", "address": "10.0.0.32", "host": "10.0.0.31"}]},
        "nova:computes[1].host",
        "SSH reaches computes[0] too (10.0.0.31 port 22)",
    ),
    (
        {
            "computes": [
                {**COMPUTE, "host": "jump.example.org", "port": 2201},
                {"name": "c2", "address": "10.0.0.32", "host": "Jump.example.org", "port": "2201"},
            ]
        },
        "nova:computes[1].host",
        "SSH",
    ),
    (
        {
            "computeDefaults": {"port": 2222},
            "computes": [COMPUTE, {"name": "c2", "address": "10.0.0.32", "host": "10.0.0.31", "port": 2222}],
        },
        "nova:computes[1].host",
        "port 2222",
    ),
    ({"computes": [{**COMPUTE, "name": "CONTROLLER"}]}, "nova:computes[0]", "nova-conductor"),
    ({"computes": [{**COMPUTE, "address": "::ffff:10.0.0.11"}]}, "nova:computes[0]", "nova-conductor"),
    ({"computes": [{**COMPUTE, "host": "10.0.0.11"}]}, "nova:computes[0]", "nova-conductor"),
    # On the second controller there is no conductor; two nodes cannot be one all the same.
    (
        {
            "controllers": [CONTROLLER, {"name": "api2", "address": "10.0.0.12", "services": ["nova-api"]}],
            "computes": [{"name": "api2", "address": "10.0.0.32"}],
        },
        "nova:computes[0].name",
        "api2 is also that of controllers[1]",
    ),
    (
        {
            "controllers": [CONTROLLER, {"name": "api2", "address": "10.0.0.12", "services": ["nova-conductor"]}],
            "computes": [{"name": "api2", "address": "10.0.0.32"}],
        },
        "nova:computes[0]",
        "puts nova-compute on api2, where nova-conductor runs (controllers[1])",
    ),
    # Addresses and hosts that are none.
    ({"computes": [{**COMPUTE, "address": "10.0.0.031"}]}, "nova:computes[0].address", "no IP address"),
    ({"computes": [{**COMPUTE, "address": "0.0.0.0"}]}, "nova:computes[0].address", "no address of a machine"),  # noqa: S104
    ({"computes": [{**COMPUTE, "address": "224.0.0.1"}]}, "nova:computes[0].address", "no address of a machine"),
    ({"computes": [{**COMPUTE, "address": "255.255.255.255"}]}, "nova:computes[0].address", "no address of a machine"),
    ({"computes": [{**COMPUTE, "address": "fe80::1%eth0"}]}, "nova:computes[0].address", "has a zone"),
    ({"computes": [{**COMPUTE, "vnc_address": "::"}]}, "nova:computes[0].vnc_address", "no address of a machine"),
    ({"computes": [{**COMPUTE, "host": "10.0.0.256"}]}, "nova:computes[0].host", "no host name"),
    ({"computes": [{**COMPUTE, "host": "10.0.31"}]}, "nova:computes[0].host", "no host name"),
    ({"computes": [{**COMPUTE, "host": "0x7f"}]}, "nova:computes[0].host", "no host name"),
    ({"computes": [{**COMPUTE, "host": "a" * 64}]}, "nova:computes[0].host", "no host name"),
    ({"computes": [{**COMPUTE, "name": "10.0.0.31"}]}, "nova:computes[0].name", "is an address"),
    # Names.
    ({"region": "regionOne "}, "nova:region", "ends with a space"),
    ({"region": {"name": "x"}}, "nova:region", "string"),
    ({"region": "a😀"}, "nova:region", "beyond U+FFFF"),
    ({"service": {"description": "😀"}}, "nova:service.description", "beyond U+FFFF"),
    ({"identity": {"service_tenant": ""}}, "nova:identity.service_tenant", "is empty"),
    ({"identity": {"admin_tenant": "  "}}, "nova:identity.admin_tenant", "is empty"),
    ({"identity": {"default_tenant": " "}}, "nova:identity.default_tenant", "a space"),
    ({"identity": {"email": "nova@example.org "}}, "nova:identity.email", "ends with a space"),
    ({"identity": {"user": "Admin"}}, "nova:identity.user", "identity.admin_user"),
    ({"identity": {"admin_openrc": "/root/a\t.sh"}}, "nova:identity.admin_openrc", "tab"),
    ({"identity": {"admin_url": "http://:5000"}}, "nova:identity.admin_url", "a host"),
    ({"identity": {"admin_url": "http://[::1]x"}}, "nova:identity.admin_url", "no host name"),
    ({"identity": {"admin_url": "http://2001:db8::1/"}}, "nova:identity.admin_url", "stands in brackets"),
    ({"identity": {"admin_url": "http://a:0"}}, "nova:identity.admin_url", "port"),
    ({"identity": {"admin_url": "http://a:35357/v2.0?x=1"}}, "nova:identity.admin_url", "goes on behind ? or #"),
    ({"identity": {"admin_url": "http://a:35357/v2.0#x"}}, "nova:identity.admin_url", "goes on behind ? or #"),
    ({"identity": {"public_url": "http://a:5000?"}}, "nova:identity.public_url", "as in /v2.0"),
    ({"endpoint": {"public_url": "http://a/%(tenant)s"}}, "nova:endpoint.public_url", "Keystone cannot replace"),
    ({"endpoint": {"public_url": "http://a/100%"}}, "nova:endpoint.public_url", "Keystone cannot replace"),
    ({"endpoint": {"public_url": "http://a/$(x)s"}}, "nova:endpoint.public_url", "Keystone cannot replace"),
    ({"database": {"user": "root"}}, "nova:database.user", "database.admin_user"),
    ({"database": {"user": "növa"}}, "nova:database.user", "beyond ASCII"),
    ({"database": {"user": "nova "}}, "nova:database.user", "MariaDB leaves out"),
    ({"database": {"user": "nova\t"}}, "nova:database.user", "MariaDB leaves out"),
    ({"database": {"user": "no\tva"}}, "nova:database.user", "control character"),
    ({"database": {"name": "mysql"}}, "nova:database.name", "MariaDB's own"),
    ({"database": {"socket": "-e/bin/sh"}}, "nova:database.socket", "no absolute path"),
    ({"database": {"hosts": {"%": ["FLY"]}}}, "nova:database.hosts.%[0]", "no privilege"),
    ({"release": "Juno"}, "nova:release", "known are juno"),
    # Services and options.
    (
        {"controllers": [{**CONTROLLER, "services": ["nova-api", "nova-api"]}]},
        "nova:controllers[0].services",
        "more than once",
    ),
    ({"options": {"all": {"default": {"a": "x"}}}}, "nova:options.all.default.a", "did you mean DEFAULT?"),
    # The template of a compute node has [libvirt], that of both has [glance].
    (
        {"options": {"all": {"Libvirt": {"virt_type": "kvm"}}}},
        "nova:options.all.Libvirt.virt_type",
        "did you mean libvirt?",
    ),
    ({"options": {"compute": {"GLANCE": {"a": None}}}}, "nova:options.compute.GLANCE.a", "did you mean glance?"),
    (
        {"options": {"all": {"vmware": {"a": "x"}}, "nodes": {"compute1": {"VMware": {"a": "y"}}}}},
        "nova:options.nodes.compute1.VMware.a",
        "the sections VMware and vmware for one; did you mean vmware?",
    ),
    (
        {"options": {"all": {"DEFAULT": {"rabbit_password": "x"}}}},
        "nova:options.all.DEFAULT.rabbit_password",
        "in plain, which would stand in the state",
    ),
    ({"options": {"all": {"DEFAULT": {"a": []}}}}, "nova:options.all.DEFAULT.a", "null removes"),
    ({"options": {"all": {"DEFAULT": {"a": 12345678901234567890}}}}, "nova:options.all.DEFAULT.a", "in quotes"),
    ({"options": {"all": {"DEFAULT": {"a": 1e400}}}}, "nova:options.all.DEFAULT.a", "in quotes"),
    ({"options": {"all": {"DEFAULT": {"a": {"b": "c"}}}}}, "nova:options.all.DEFAULT.a", "{secret: KEY}"),
    (
        {"options": {"controller": {"DEFAULT": {"osapi_compute_listen_port": "many"}}}},
        "nova:options.controller.DEFAULT.osapi_compute_listen_port",
        "a port from 1 to 65535",
    ),
    (
        {"options": {"controller": {"DEFAULT": {"novncproxy_host": ["10.0.0.11"]}}}},
        "nova:options.controller.DEFAULT.novncproxy_host",
        "a host name or an address",
    ),
]


@pytest.mark.parametrize(("values", "key", "reason"), BAD, ids=[f"{key} {reason}" for _, key, reason in BAD])
def test_a_bad_value_is_refused_by_its_key(values: dict[str, Any], key: str, reason: str) -> None:
    found = problems(values)
    assert key in found
    assert reason in found[key]
    # And nothing else is said about a value that is fine.
    assert all(each.startswith(key) for each in found)


@pytest.mark.parametrize("key", sorted(SECRETS))
@pytest.mark.parametrize("value", [None, ""])
def test_a_password_that_is_missing_is_named_with_the_command_that_sets_it(key: str, value: str | None) -> None:
    found = problems({}, {key: value})
    assert list(found) == [f"nova:{key}"]
    assert f"pulumi config set --secret {key}" in found[f"nova:{key}"]


@pytest.mark.parametrize("key", sorted(SECRETS))
def test_a_password_that_nova_conf_cannot_carry_is_refused_without_being_shown(key: str) -> None:
    found = problems({}, {key: "hunter2\n"})
    assert "newline" in found[f"nova:{key}"]
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize(
    "url", ["http://admin:hunter2@controller:35357", "admin:hunter2@controller", "ftp://a:hunter2@b"]
)
def test_a_url_with_a_login_is_refused_without_being_shown(url: str) -> None:
    found = problems({"identity": {"admin_url": url}})
    assert "a login" in found["nova:identity.admin_url"]
    assert "hunter2" not in repr(found)


HOSTS_WITH_A_LOGIN: list[tuple[dict[str, Any], str]] = [
    ({"messageQueue": {"hosts": ["guest:hunter2@mq1"]}}, "nova:messageQueue.hosts[0]"),
    ({"messageQueue": {"hosts": ["mq1", "rabbit://guest:hunter2@mq1:5672/"]}}, "nova:messageQueue.hosts[1]"),
    ({"database": {"host": "nova:hunter2@db"}}, "nova:database.host"),
    ({"database": {"host": "mysql://nova:hunter2@db/nova"}}, "nova:database.host"),
    ({"database": {"name": "nova:hunter2@db/nova"}}, "nova:database.name"),
    ({"image": {"host": "glance:hunter2@glance"}}, "nova:image.host"),
    ({"vnc": {"listen": "a:hunter2@0.0.0.0"}}, "nova:vnc.listen"),
    ({"jumpHost": {"host": "ops:hunter2@jump"}}, "nova:jumpHost.host"),
    ({"controllers": [{**CONTROLLER, "host": "root:hunter2@10.0.0.11"}]}, "nova:controllers[0].host"),
    ({"controllers": [{**CONTROLLER, "name": "root:hunter2@controller"}]}, "nova:controllers[0].name"),
    ({"controllers": [{**CONTROLLER, "address": "root:hunter2@10.0.0.11"}]}, "nova:controllers[0].address"),
    ({"computes": [{**COMPUTE, "vnc_address": "root:hunter2@10.0.0.31"}]}, "nova:computes[0].vnc_address"),
    ({"computes": [{"name": "root:hunter2@c[1-2]", "address": "10.0.0.31"}]}, "nova:computes[0].name"),
    ({"computes": [{"name": "c[1-2]", "address": "root:hunter2@10.0.0.31"}]}, "nova:computes[0].address"),
    (
        {"computes": [{"name": "c[1-2]", "address": "10.0.0.31", "host": "root:hunter2@c[1-2]"}]},
        "nova:computes[0].host",
    ),
    ({"computes": [{"name": "c[1-2]", "address": "10.0.0.31", "host": "root:hunter2@c"}]}, "nova:computes[0].host"),
]


@pytest.mark.parametrize(("values", "key"), HOSTS_WITH_A_LOGIN, ids=[key for _, key in HOSTS_WITH_A_LOGIN])
def test_a_host_with_a_login_is_refused_without_being_shown(values: dict[str, Any], key: str) -> None:
    found = problems(values)
    assert list(found) == [key]
    assert "holds a login" in found[key] or "does not fit" in found[key]
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize("key", ["novaPassword", "rabbitPassword"])
def test_a_password_in_nova_conf_is_refused_where_releases_of_oslo_config_read_it_differently(key: str) -> None:
    assert "backslash" in problems({}, {key: "a\\$b"})[f"nova:{key}"]


def test_a_secret_that_no_option_refers_to_is_refused_with_the_nearest_name() -> None:
    found = problems({}, {"rabitPassword": "hunter2"})
    assert list(found) == ["nova:rabitPassword"]
    assert "did you mean rabbitPassword?" in found["nova:rabitPassword"]


def test_a_misspelled_secret_is_near_the_name_that_an_option_refers_to() -> None:
    layer = {"vmware": {"host_password": {"secret": "vcenter"}}}
    found = problems({"options": {"compute": layer}}, {"vcentre": "hunter2"})
    assert set(found) == {"nova:options.compute.vmware.host_password", "nova:vcentre"}
    assert "did you mean vcenter?" in found["nova:vcentre"]


def test_who_refers_to_a_secret_is_known_even_when_something_else_is_wrong() -> None:
    layer = {"vmware": {"host_password": {"secret": "vcenter"}}}
    values = {"options": {"nodes": {"compute1": layer}}, "region": ""}
    assert list(problems(values, {"vcenter": "hunter2"})) == ["nova:region"]


def test_an_option_whose_name_is_secret_refers_to_nothing() -> None:
    options = {"all": {"DEFAULT": {"secret": "vcenter"}, "vmware": {"user": "x"}}}
    assert parsed({"options": options}).options.all["DEFAULT"] == {"secret": "vcenter"}
    assert list(problems({"options": options}, {"vcenter": "hunter2"})) == ["nova:vcenter"]


def test_a_secret_that_an_option_refers_to_and_nova_conf_cannot_carry_is_refused_by_its_key() -> None:
    layer = {"vmware": {"host_password": {"secret": "vcenter"}}}
    found = problems({"options": {"all": layer}}, {"vcenter": "two\nlines"})
    assert list(found) == ["nova:vcenter"]
    assert "lines" not in found["nova:vcenter"].replace("newline", "")


@pytest.mark.parametrize("value", ["", " ", "\t "])
def test_a_secret_that_an_option_refers_to_and_that_is_empty_is_refused_by_the_option(value: str) -> None:
    layer = {"vmware": {"host_password": {"secret": "vcenter"}}}
    found = problems({"options": {"compute": layer}}, {"vcenter": value})
    assert list(found) == ["nova:options.compute.vmware.host_password"]
    assert "the secret vcenter, which is empty. Run `pulumi config set --secret vcenter`" in found.popitem()[1]


@pytest.mark.parametrize("region", [None, "regionTwo"])
def test_an_option_that_refers_to_a_setting_is_told_that_it_is_no_secret(region: str | None) -> None:
    layer = {"vmware": {"host_password": {"secret": "region"}}}
    found = problems({"options": {"compute": layer}, "region": region})
    assert list(found) == ["nova:options.compute.vmware.host_password"]
    assert "refers to region, which is a setting and no secret" in found.popitem()[1]


IN_PLAIN: list[tuple[str, str, Any, str]] = [
    # adminPassword is another password, and would be lost.
    ("DEFAULT", "admin_password", "hunter2", "novaAdminPassword"),
    ("DEFAULT", "rabbit_password", "hunter2", "novaRabbitPassword"),
    ("DEFAULT", "region", "http://a:hunter2@b", "novaRegion"),
    ("DEFAULT", "qpid_password", 20152015, "qpidPassword"),
    ("DEFAULT", "neutron_metadata_proxy_shared_secret", "hunter2", "neutronMetadataProxySharedSecret"),
    ("keystone_authtoken", "admin_token", "hunter2", "keystoneAuthtokenAdminToken"),
    ("keystone_authtoken", "memcache_secret_key", "hunter2", "keystoneAuthtokenMemcacheSecretKey"),
    ("keymgr", "fixed_key", "hunter2", "keymgrFixedKey"),
    ("vmware", "host_password", ["hunter2"], "vmwareHostPassword"),
    ("matchmaker_redis", "password", "hunter2", "matchmakerRedisPassword"),
    ("database", "connection", "mysql://nova:hunter2@controller/nova", "databaseConnection"),
    ("database", "slave_connection", "mysql://nova:hun/ter2@hunter2@controller/nova", "databaseSlaveConnection"),
    ("DEFAULT", "transport_url", "rabbit://nova:hunter2@mq1:5672,nova:hunter2@mq2:5672/", "transportUrl"),
    ("DEFAULT", "anything", ["x", "redis://:hunter2@controller"], "anything"),
]


@pytest.mark.parametrize(("section", "option", "value", "name"), IN_PLAIN)
def test_a_password_in_plain_among_the_options_is_refused_without_being_shown(
    section: str, option: str, value: Any, name: str
) -> None:
    found = problems({"options": {"nodes": {"compute1": {section: {option: value}}}}})
    assert list(found) == [f"nova:options.nodes.compute1.{section}.{option}"]
    reason = found.popitem()[1]
    assert reason.endswith(f"Run `pulumi config set --secret {name}` and write {{secret: {name}}}")
    assert not any(part in reason for part in ("hunter2", "ter2", "20152015"))
    # What it says helps.
    layer = {section: {option: {"secret": name}}}
    assert parsed({"options": {"compute": layer}}, {name: "hunter2"}).options.compute


# Of Juno's nova, keystonemiddleware and oslo.messaging: what is hidden for its name, and is no secret.
NO_SECRETS: list[tuple[str, str, Any]] = [
    ("DEFAULT", "password_length", 12),
    ("DEFAULT", "enable_instance_password", True),
    ("libvirt", "inject_password", False),
    ("libvirt", "inject_password", "True"),
    ("libvirt", "inject_key", "false"),
    ("libvirt", "rbd_secret_uuid", "457eb676-33da-42ec-9a8c-9293d545c337"),
    ("libvirt", "connection_uri", "qemu+ssh://nova@compute1/system"),
    ("DEFAULT", "console_token_ttl", 600),
    ("keystone_authtoken", "token_cache_time", 300),
    ("database", "connection_debug", 0),
    ("database", "connection_trace", False),
    ("database", "connection", "sqlite:////var/lib/nova/nova.sqlite"),
    ("database", "connection", "mysql://nova@controller/nova"),
    ("xenserver", "connection_url", "http://10.0.0.9:80/"),
    ("xenserver", "connection_username", "root"),
    ("DEFAULT", "transport_url", "rabbit://nova@mq1:5672/"),
    ("DEFAULT", "s3_access_key", "notchecked"),
    ("DEFAULT", "rabbit_password", None),
    ("DEFAULT", "rabbit_password", ""),
]


@pytest.mark.parametrize(("section", "option", "value"), NO_SECRETS)
def test_an_option_that_is_only_called_like_a_secret_is_taken(section: str, option: str, value: Any) -> None:
    assert holds_a_secret(option)
    assert parsed({"options": {"all": {section: {option: value}}}})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("novncproxy_base_url", "http://controller:6080/vnc_auto.html?mail=ops@example.org"),
        ("glance_api_servers", "http://glance1:9292,http://glance2:9292/a@b"),
        ("live_migration_uri", "qemu+tls://nova@%s/system?pkipath=/etc/a:b"),
        ("logging_context_format_string", "%(asctime)s [%(user)s:%(tenant)s @%(host)s]"),
        ("dhcp_domain", "a:b@c"),
    ],
)
def test_a_url_without_a_password_is_taken_whatever_stands_behind_the_host(option: str, value: str) -> None:
    assert parsed({"options": {"all": {"DEFAULT": {option: value}}}})


def test_a_secure_leaf_that_is_no_valid_value_is_not_shown() -> None:
    texts = {"controllers": json.dumps([CONTROLLER]), **PASSWORDS, "vnc": json.dumps({"listen": "hunter2"})}
    with pytest.raises(InvalidSettings) as refusal:
        parse(texts.get, keys=list(texts), is_secret=lambda key: key == "vnc" or key in PASSWORDS)
    assert [problem.key for problem in refusal.value.problems] == ["nova:vnc"]
    assert "hunter2" not in str(refusal.value)


def test_a_database_password_beyond_ascii_is_refused_without_being_shown_and_others_are_not() -> None:
    with pytest.raises(InvalidSettings) as raised:
        parsed(secrets=dict.fromkeys(PASSWORDS, "hüñter2"))
    assert [problem.key for problem in raised.value.problems] == ["nova:novaDatabasePassword"]
    assert "beyond ASCII" in str(raised.value)
    assert "hüñter2" not in str(raised.value)


def test_a_password_in_plain_in_the_stack_file_is_refused_without_being_shown() -> None:
    texts = {"controllers": json.dumps([CONTROLLER]), **PASSWORDS}
    with pytest.raises(InvalidSettings) as refusal:
        parse(texts.get, keys=list(texts), is_secret=lambda key: key in PASSWORDS and key != "novaPassword")
    assert [problem.key for problem in refusal.value.problems] == ["nova:novaPassword"]
    assert "pulumi config set --secret novaPassword" in str(refusal.value)
    assert "NOVA_PASS" not in str(refusal.value)


@pytest.mark.parametrize("key", ["controllers", "computes", "ssh", "database", "options", "endpoint", "packages"])
def test_a_secure_leaf_inside_an_object_is_refused_because_it_would_land_in_state_in_plain(key: str) -> None:
    texts = {"controllers": json.dumps([CONTROLLER]), **PASSWORDS}
    if key != "controllers":
        texts[key] = "[]" if key == "computes" else "{}"
    with pytest.raises(InvalidSettings) as refusal:
        parse(texts.get, keys=list(texts), is_secret=lambda name: name == key or name in PASSWORDS)
    assert [problem.key for problem in refusal.value.problems] == [f"nova:{key}"]
    assert "{secret: KEY}" in str(refusal.value)


@pytest.mark.parametrize("key", sorted({*SECRETS, *OPTIONAL_SECRETS}))
@pytest.mark.parametrize("text", ['{"a":"hunter2"}', '["hunter2"]'])
def test_an_object_in_the_place_of_a_secret_is_refused_without_being_shown(key: str, text: str) -> None:
    found = problems({}, {key: text})
    assert list(found) == [f"nova:{key}"]
    assert "hunter2" not in found[f"nova:{key}"]
    assert_printed("A password is an object or a list", f"nova:{key}: {found[f'nova:{key}']}")


@pytest.mark.usefixtures("nothing_collected")
@pytest.mark.parametrize("text", ["{", "[hunter2]", '"hunter2"', "12", "null", "[" * 99_999])
def test_a_secret_that_only_looks_like_json_is_a_text(text: str) -> None:
    assert parsed(secrets={"novaPassword": text}).secrets["novaPassword"] == text


@pytest.mark.parametrize("key", sorted({*SECRETS, *OPTIONAL_SECRETS}))
def test_a_secret_of_spaces_is_refused(key: str) -> None:
    found = problems({}, {key: " \t "})
    assert list(found) == [f"nova:{key}"]
    assert "nothing but spaces" in found[f"nova:{key}"]


def test_a_setting_that_is_stored_as_a_secret_would_land_in_state_in_plain() -> None:
    texts = {"controllers": json.dumps([CONTROLLER]), **PASSWORDS, "region": "hunter2 "}
    with pytest.raises(InvalidSettings) as refusal:
        parse(texts.get, keys=list(texts), is_secret=lambda key: key == "region" or key in PASSWORDS)
    assert [problem.key for problem in refusal.value.problems] == ["nova:region"]
    assert "pulumi config set --plaintext region" in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


def test_two_nodes_behind_one_address_with_ports_of_their_own_are_fine() -> None:
    behind = {"host": "gate.example.org", "port": 2201}
    computes = [{**COMPUTE, **behind}, {"name": "c2", "address": "10.0.0.32", **behind, "port": 2202}]
    assert len(parsed({"computes": computes}).computes) == 2


def test_a_node_that_cannot_be_used_for_one_reason_is_still_told_from_others() -> None:
    # All problems at once: what is wrong with the port does not hide that the address is taken.
    found = problems({"computes": [COMPUTE, {**COMPUTE, "name": "c2", "port": 0}], "region": ""})
    assert set(found) == {"nova:computes[1].port", "nova:computes[1].address", "nova:region"}


def test_a_section_with_capitals_that_is_the_only_one_of_its_name_is_taken() -> None:
    assert parsed({"options": {"all": {"SSL": {"a": "x"}}}}).options.all == {"SSL": {"a": "x"}}


def test_each_option_of_a_section_that_is_told_from_another_by_case_only_is_named() -> None:
    found = problems({"options": {"all": {"Libvirt": {"a": "x", "b": "y"}, "xY": {"c": "x"}, "Xy": {"c": "x"}}}})
    assert set(found) == {"nova:options.all.Libvirt.a", "nova:options.all.Libvirt.b", "nova:options.all.xY.c"}


def test_a_value_that_is_no_option_is_refused_in_one_sentence_at_every_layer() -> None:
    with pytest.raises(InvalidSettings) as refusal:
        parsed({"options": {"all": {"str": {"a": {}}}, "nodes": {"compute1": {"str": {"secret": [[]]}}}}})
    assert [problem.key for problem in refusal.value.problems] == [
        "nova:options.all.str.a",
        "nova:options.nodes.compute1.str.secret",
    ]


def test_a_name_that_a_terminal_would_obey_is_escaped() -> None:
    found = problems({"options": {"nodes": {"a\x1b[2J\nb": {}}}, "evil\x1b[31m": "x"})
    assert set(found) == {"nova:options.nodes.a\\x1b[2J\\nb", "nova:evil\\x1b[31m"}


def test_a_long_value_is_not_shown_whole() -> None:
    assert len(problems({"vnc": {"listen": "x" * 10000}})["nova:vnc.listen"]) < 200


@pytest.mark.usefixtures("nothing_collected")
def test_an_object_that_is_too_deep_is_of_the_wrong_type() -> None:
    texts = {"controllers": json.dumps([CONTROLLER]), **PASSWORDS, "vnc": "[" * 100_000 + "]" * 100_000}
    with pytest.raises(InvalidSettings, match="nova:vnc: "):
        parse(texts.get, keys=list(texts), is_secret=lambda key: key in PASSWORDS)


@pytest.mark.usefixtures("nothing_collected")
@pytest.mark.parametrize("depth", [50, 400, 700, 985, 100_000])
def test_an_option_whose_list_is_too_deep_is_refused_in_a_sentence(depth: int) -> None:
    deep = "[" * depth + "]" * depth
    texts = {
        "controllers": json.dumps([CONTROLLER]),
        **PASSWORDS,
        "options": f'{{"all": {{"DEFAULT": {{"a": {deep}}}}}}}',
    }
    with pytest.raises(InvalidSettings) as refusal:
        parse(texts.get, keys=list(texts), is_secret=lambda key: key in PASSWORDS)
    assert {problem.key for problem in refusal.value.problems} <= {"nova:options.all.DEFAULT.a", "nova:options"}


@pytest.mark.usefixtures("nothing_collected")
def test_a_value_that_is_too_deep_to_be_shown_is_not_shown() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert quoted(deep) == "what is too deep to be shown"


def test_all_problems_are_said_at_once() -> None:
    found = problems(
        {
            "controllers": [{**CONTROLLER, "address": "here"}],
            "computes": [{**COMPUTE, "port": 0}],
            "regoin": "x",
            "vnc": {"listen": "everywhere"},
        },
        {"novaPassword": None, "rabbitPassword": "two\nlines"},
    )
    assert set(found) == {
        "nova:controllers[0].address",
        "nova:computes[0].port",
        "nova:regoin",
        "nova:vnc.listen",
        "nova:novaPassword",
        "nova:rabbitPassword",
    }


def test_all_contradictions_are_said_at_once() -> None:
    found = problems(
        {
            "computes": [CONTROLLER, COMPUTE, COMPUTE],
            "options": {"nodes": {"nobody": {}}, "all": {"DEFAULT": {"a": {"secret": "nope"}, "b c": "x"}}},
        }
    )
    assert {"nova:computes[0]", "nova:computes[2].name", "nova:computes[2].address"} <= set(found)
    assert {"nova:options.nodes.nobody", "nova:options.all.DEFAULT.a", "nova:options.all.DEFAULT.b c"} <= set(found)
