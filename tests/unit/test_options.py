"""The options of a node's files: templates, settings, layers."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import unquote, urlsplit

import jinja2
import pulumi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oslo_config import cfg
from oslo_utils import netutils

from nova_infra.configuration import unsupported, write_options
from nova_infra.errors import InvalidSettings
from nova_infra.hosts import split_host
from nova_infra.options import _Rendering, options_of_nodes, templates_directory
from nova_infra.releases import release
from nova_infra.releases.release import NOVA_COMPUTE_CONF, NOVA_CONF

from .test_configuration import carried
from .test_settings import parsed

JUNO = release("juno")
COMMON = {
    "verbose": "True",
    "rpc_backend": "rabbit",
    "rabbit_host": "controller",
    "rabbit_password": "RABBIT_PASS",
    "auth_strategy": "keystone",
    "vncserver_listen": "0.0.0.0",  # noqa: S104
}
IDENTITY = {
    "auth_uri": "http://controller:5000/v2.0",
    "identity_uri": "http://controller:35357",
    "admin_tenant_name": "service",
    "admin_user": "nova",
    "admin_password": "NOVA_PASS",
}
# The guide's lines: chapter 5, "Install and configure controller node", step 2.
CONTROLLER_LINES = {
    "database": {"connection": "mysql://nova:NOVA_DBPASS@controller/nova"},
    "DEFAULT": {**COMMON, "my_ip": "10.0.0.11", "vncserver_proxyclient_address": "10.0.0.11"},
    "keystone_authtoken": IDENTITY,
    "glance": {"host": "controller"},
}
# "Install and configure a compute node", step 2.
COMPUTE_LINES = {
    "DEFAULT": {
        **COMMON,
        "my_ip": "10.0.0.31",
        "vnc_enabled": "True",
        "vncserver_proxyclient_address": "10.0.0.31",
        "novncproxy_base_url": "http://controller:6080/vnc_auto.html",
    },
    "keystone_authtoken": IDENTITY,
    "glance": {"host": "controller"},
}
# Of Ubuntu's own nova.conf, what Juno needs when we own the whole file.
FROM_THE_PACKAGE = {"state_path", "lock_path", "logdir", "rootwrap_config", "api_paste_config", "dhcpbridge"}


def made(node: str = "controller", values: dict[str, Any] | None = None, secrets: dict[str, Any] | None = None) -> Any:
    """The options of a node, and the places `file/section/option` that are secret."""

    async def resolve() -> Any:
        settings = parsed(values, secrets)
        files = options_of_nodes(settings)[node]
        plain: dict[str, Any] = {}
        hidden = set()
        for path, sections in files.items():
            for section, options in sections.items():
                for option, value in options.items():
                    place = plain.setdefault(path, {}).setdefault(section, {})
                    if isinstance(value, pulumi.Output):
                        assert await value.is_secret()
                        hidden.add(f"{section}/{option}")
                    place[option] = await value.future() if isinstance(value, pulumi.Output) else value
        return plain, hidden

    return asyncio.run(resolve())


@pytest.mark.parametrize(("node", "lines"), [("controller", CONTROLLER_LINES), ("compute1", COMPUTE_LINES)])
def test_nova_conf_has_every_line_of_the_guide_and_nothing_but_what_the_package_needs(
    node: str, lines: dict[str, dict[str, str]]
) -> None:
    files, _ = made(node)
    nova_conf = files[NOVA_CONF]
    assert set(nova_conf) == set(lines)
    for section, options in lines.items():
        assert nova_conf[section].items() >= options.items()
        more = set(nova_conf[section]) - set(options)
        if section != "DEFAULT":
            assert not more
    assert set(nova_conf["DEFAULT"]) >= FROM_THE_PACKAGE
    assert "enabled_apis" not in nova_conf["DEFAULT"]


def test_a_compute_node_knows_no_database() -> None:
    files, hidden = made("compute1")
    assert "database" not in files[NOVA_CONF]
    assert "NOVA_DBPASS" not in repr(files)
    assert hidden == {"DEFAULT/rabbit_password", "keystone_authtoken/admin_password"}


def test_a_compute_node_finds_out_its_virt_type() -> None:
    files, _ = made("compute1")
    assert files[NOVA_COMPUTE_CONF]["libvirt"] == {"virt_type": "auto"}
    assert NOVA_COMPUTE_CONF not in made("controller")[0]


@pytest.mark.parametrize("said", ["kvm", "qemu"])
def test_a_compute_node_is_told_its_virt_type_where_the_stack_says_it(said: str) -> None:
    # The guide: "virt_type=kvm", and "virt_type=qemu" without hardware acceleration.
    files, _ = made("compute1", {"computeDefaults": {"virt_type": said}})
    assert files[NOVA_COMPUTE_CONF]["libvirt"] == {"virt_type": said}


def test_what_holds_a_password_is_secret_and_the_rest_can_be_read() -> None:
    _, hidden = made("controller")
    assert hidden == {"DEFAULT/rabbit_password", "database/connection", "keystone_authtoken/admin_password"}


# Others are refused: nova's MySQL client does not carry them. So is one of spaces alone.
in_ascii = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1).filter(
    lambda text: "\\$" not in text and text.strip()
)


@settings(max_examples=30, deadline=None)
@given(password=in_ascii)
def test_any_password_survives_in_the_address_of_the_database(password: str) -> None:
    files, _ = made("controller", {}, {"novaDatabasePassword": password})
    address = urlsplit(files[NOVA_CONF]["database"]["connection"])
    assert (address.scheme, address.username, address.hostname, address.path) == (
        "mysql",
        "nova",
        "controller",
        "/nova",
    )
    assert unquote(address.password or "") == password
    # Nothing of it has a meaning in the address.
    assert not set(address.password or "") & set("/:@?#$ ")


@settings(max_examples=30, deadline=None)
@given(password=carried.filter(str.strip))
def test_any_password_is_taken_as_it_is_elsewhere(password: str) -> None:
    files, _ = made("compute1", {}, {"rabbitPassword": password})
    assert files[NOVA_CONF]["DEFAULT"]["rabbit_password"] == password


def test_a_password_is_no_template() -> None:
    files, _ = made("controller", {}, {"rabbitPassword": "{{ node.name }}"})
    assert files[NOVA_CONF]["DEFAULT"]["rabbit_password"] == "{{ node.name }}"


def test_layers_go_from_all_to_the_role_to_the_node_and_null_removes() -> None:
    layers = {
        "all": {"DEFAULT": {"a": "all", "b": "all", "c": "all", "verbose": None}},
        "controller": {"DEFAULT": {"b": "controller", "c": "controller"}},
        "compute": {"DEFAULT": {"b": "compute"}, "glance": {"host": None}},
        "nodes": {"controller": {"DEFAULT": {"c": "node"}}},
    }
    controller, compute = (made(node, {"options": layers})[0][NOVA_CONF] for node in ("controller", "compute1"))
    assert [controller["DEFAULT"][key] for key in "abc"] == ["all", "controller", "node"]
    assert [compute["DEFAULT"][key] for key in "abc"] == ["all", "compute", "all"]
    assert "verbose" not in controller["DEFAULT"]
    assert "glance" in controller
    assert "glance" not in compute


def test_layers_are_of_nova_conf_only() -> None:
    files, _ = made("compute1", {"options": {"all": {"libvirt": {"cpu_mode": "none"}}}})
    assert files[NOVA_CONF]["libvirt"] == {"cpu_mode": "none"}
    assert files[NOVA_COMPUTE_CONF]["libvirt"] == {"virt_type": "auto"}


def test_a_reference_to_a_secret_becomes_its_value_and_a_secret() -> None:
    layers = {"all": {"vmware": {"host_password": {"secret": "vcenter"}, "host_ip": "10.0.0.9"}}}
    files, hidden = made("controller", {"options": layers}, {"vcenter": "hunter2"})
    assert files[NOVA_CONF]["vmware"] == {"host_password": "hunter2", "host_ip": "10.0.0.9"}
    assert "vmware/host_password" in hidden
    assert "vmware/host_ip" not in hidden


def test_a_list_stays_a_list() -> None:
    files, _ = made("controller", {"options": {"all": {"DEFAULT": {"filter": ["a", "b"]}}}})
    assert files[NOVA_CONF]["DEFAULT"]["filter"] == ["a", "b"]


def test_a_value_that_the_file_cannot_carry_is_refused_by_the_line_of_the_template() -> None:
    # The settings refuse such a value by its key; this is for one that somebody, or a template, has put together.
    settings = parsed()
    image = settings.image.model_copy(update={"host": "two\nlines"})
    with pytest.raises(InvalidSettings, match=r"nova.conf: line \d+: \[glance\] host .*newline"):
        options_of_nodes(settings.model_copy(update={"image": image}))


@pytest.mark.parametrize("role", [JUNO.controller, JUNO.compute], ids=["controller", "compute"])
def test_every_file_of_a_role_has_its_template_and_every_service_its_files(role: Any) -> None:
    for template in role.files.values():
        assert (templates_directory("juno") / template).is_file()
    assert set(role.reads) == set(role.services)
    assert {path for reads in role.reads.values() for path in reads} == set(role.files)


# ------------------------------------------------------------ what is left out, and what several servers are

QUEUES: list[Any] = [
    (["controller"], {"rabbit_host": "controller"}),
    (["mq1:5673"], {"rabbit_host": "mq1", "rabbit_port": "5673"}),
    (["2001:db8::5"], {"rabbit_host": "[2001:db8::5]"}),
    (["[2001:db8::5]:5673"], {"rabbit_host": "[2001:db8::5]", "rabbit_port": "5673"}),
    (["mq1", "10.0.0.9:5673", "2001:db8::5"], {"rabbit_hosts": "mq1:5672,10.0.0.9:5673,[2001:db8::5]:5672"}),
]


@pytest.mark.parametrize(("hosts", "expected"), QUEUES, ids=[" ".join(hosts) for hosts, _ in QUEUES])
@pytest.mark.parametrize("node", ["controller", "compute1"])
def test_message_queue_servers_become_the_options_of_oslo_messaging(
    node: str, hosts: list[str], expected: dict[str, str]
) -> None:
    default = made(node, {"messageQueue": {"hosts": hosts}})[0][NOVA_CONF]["DEFAULT"]
    places = ("rabbit_host", "rabbit_port", "rabbit_hosts")
    assert {key: default[key] for key in places if key in default} == expected


@pytest.mark.parametrize("hosts", [hosts for hosts, _ in QUEUES], ids=[" ".join(hosts) for hosts, _ in QUEUES])
def test_oslo_config_and_the_parser_of_oslo_messaging_find_the_same_servers(hosts: list[str], tmp_path: Any) -> None:
    default = made("compute1", {"messageQueue": {"hosts": hosts}})[0][NOVA_CONF]["DEFAULT"]
    file = tmp_path / "nova.conf"
    file.write_text(write_options({"DEFAULT": {key: default[key] for key in default if key.startswith("rabbit_h")}}))
    configuration = cfg.ConfigOpts()
    # As oslo.messaging 1.4 (Juno) registers them, in _drivers/impl_rabbit.py.
    configuration.register_opts(
        [
            cfg.StrOpt("rabbit_host", default="localhost"),
            cfg.IntOpt("rabbit_port", default=int(default.get("rabbit_port", 5672))),
            cfg.ListOpt("rabbit_hosts", default=["$rabbit_host:$rabbit_port"]),
        ]
    )
    configuration(["--config-file", str(file)])
    assert [netutils.parse_host_port(each, 5672) for each in configuration.rabbit_hosts] == [
        (host, int(port or 5672)) for host, port in map(split_host, hosts)
    ]


def test_an_account_and_a_virtual_host_are_said_only_when_they_are_set() -> None:
    assert not {"rabbit_userid", "rabbit_virtual_host"} & set(made()[0][NOVA_CONF]["DEFAULT"])
    default = made("controller", {"messageQueue": {"user": "openstack", "virtual_host": "/nova"}})[0][NOVA_CONF]
    assert default["DEFAULT"]["rabbit_userid"] == "openstack"
    assert default["DEFAULT"]["rabbit_virtual_host"] == "/nova"


def test_a_port_of_glance_is_said_only_when_it_is_set() -> None:
    assert made("compute1", {"image": {"host": "glance", "port": 9393}})[0][NOVA_CONF]["glance"] == {
        "host": "glance",
        "port": "9393",
    }
    assert made("compute1", {"image": {"host": "2001:db8::7"}})[0][NOVA_CONF]["glance"] == {"host": "[2001:db8::7]"}


def test_the_address_of_the_database_holds_the_port_and_quotes_the_user() -> None:
    database = {"host": "2001:db8::9", "port": 3307, "user": "no/va@x", "name": "nova_juno"}
    address = urlsplit(made("controller", {"database": database})[0][NOVA_CONF]["database"]["connection"])
    assert (address.hostname, address.port, address.path) == ("2001:db8::9", 3307, "/nova_juno")
    assert unquote(address.username or "") == "no/va@x"


def test_a_node_says_where_its_consoles_are() -> None:
    node = {"name": "compute1", "address": "10.0.0.31", "vnc_address": "192.0.2.31", "vnc_listen": "10.0.0.31"}
    default = made("compute1", {"computes": [node]})[0][NOVA_CONF]["DEFAULT"]
    assert default["vncserver_proxyclient_address"] == "192.0.2.31"
    assert default["vncserver_listen"] == "10.0.0.31"
    assert default["my_ip"] == "10.0.0.31"


def test_omit_is_all_of_a_value_or_an_error() -> None:
    rendering = _Rendering(parsed(), parsed().controllers[0])
    assert rendering.value("{{ message_queue.user or omit }}", unsupported=unsupported) is None
    with pytest.raises(jinja2.TemplateError, match="omit"):
        rendering.value("before {{ omit }}", unsupported=unsupported)


# ------------------------------------------------------------ admin-openrc.sh


def test_the_administrators_login_is_a_file_of_the_controllers_where_it_is_asked_for() -> None:
    values = {"identity": {"admin_openrc": "/root/admin-openrc.sh"}}
    files, hidden = made("controller", values)
    # The guide's chapter on Keystone, "Create OpenStack client environment scripts".
    assert files["/root/admin-openrc.sh"] == {
        "export": {
            "OS_TENANT_NAME": "admin",
            "OS_USERNAME": "admin",
            "OS_PASSWORD": "ADMIN_PASS",
            "OS_AUTH_URL": "http://controller:35357/v2.0",
        }
    }
    assert {place for place in hidden if place.startswith("export/")} == {"export/OS_PASSWORD"}
    assert set(made("compute1", values)[0]) == {NOVA_CONF, NOVA_COMPUTE_CONF}
    assert set(made("controller")[0]) == {NOVA_CONF}


def test_an_administrators_password_may_hold_what_nova_conf_cannot_carry() -> None:
    values = {"identity": {"admin_openrc": "/root/admin-openrc.sh"}}
    files, _ = made("controller", values, {"adminPassword": "a\\$b'c"})
    assert files["/root/admin-openrc.sh"]["export"]["OS_PASSWORD"] == "a\\$b'c"
