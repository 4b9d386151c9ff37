"""The stack's configuration: every bad value is refused by its key, all at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from nova_infra.errors import InvalidSettings
from nova_infra.settings import OPTIONAL_SECRETS, SECRETS, SecretReference, Settings, parse

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


def test_nothing_is_lost_by_default() -> None:
    assert parsed().database.on_delete == "refuse"


def test_controllers_come_before_computes() -> None:
    assert [node.name for node in parsed().nodes()] == ["controller", "compute1"]


def test_a_stack_without_computes_is_fine() -> None:
    assert parsed({"computes": None}).computes == []


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
    assert parsed({}, {key: "one\ntwo" if key.startswith("ssh") else "one"}).secrets[key]


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
    ({"computes": [{**COMPUTE, "port": "ssh"}]}, "nova:computes[0].port", "integer"),
    ({"computes": [{**COMPUTE, "adress": "x"}]}, "nova:computes[0].adress", "did you mean address?"),
    ({"computes": [COMPUTE, {**COMPUTE, "address": "10.0.0.32"}]}, "nova:computes[1].name", "compute1 is also that of"),
    ({"computes": [COMPUTE, {**COMPUTE, "name": "c2"}]}, "nova:computes[1].address", "10.0.0.31 is also that of"),
    ({"computes": [CONTROLLER]}, "nova:computes[0]", "nova-conductor"),
    ({"computes": [{**COMPUTE, "name": "controller"}]}, "nova:computes[0]", "nova-conductor"),
    ({"computes": [{**COMPUTE, "address": "10.0.0.11"}]}, "nova:computes[0]", "nova-conductor"),
    (
        {"controllers": [{**CONTROLLER, "services": ["nova-sheduler"]}]},
        "nova:controllers[0].services",
        "nova-scheduler",
    ),
    ({"release": "kilo"}, "nova:release", "juno"),
    ({"region": ""}, "nova:region", "is empty"),
    ({"concurrency": "0"}, "nova:concurrency", "greater than or equal to 1"),
    ({"concurrency": "many"}, "nova:concurrency", "integer"),
    ({"regoin": "x"}, "nova:regoin", "did you mean region?"),
    ({"messageQeue": {"host": "x"}}, "nova:messageQeue", "did you mean messageQueue?"),
    ({"ssh": {"usr": "ubuntu"}}, "nova:ssh.usr", "did you mean user?"),
    ({"ssh": {"user": ""}}, "nova:ssh.user", "is empty"),
    ({"ssh": {"verify_host_keys": "perhaps"}}, "nova:ssh.verify_host_keys", "boolean"),
    ({"ssh": "ubuntu"}, "nova:ssh", "dictionary"),
    ({"database": {"on_delete": "delete"}}, "nova:database.on_delete", "'refuse', 'keep', 'dump' or 'drop'"),
    ({"identity": {"admin_url": "controller:35357"}}, "nova:identity.admin_url", "no URL"),
    ({"endpoint": {"public_url": "ftp://x"}}, "nova:endpoint.public_url", "no URL"),
    ({"vnc": {"listen": "everywhere"}}, "nova:vnc.listen", "no IP address"),
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
    ({"options": {"all": {"DEFAULT": {"a": {"secret": "nope"}}}}}, "nova:options", "pulumi config set --secret nope"),
    ({"packages": {"controler": {}}}, "nova:packages.controler", "did you mean controller?"),
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
    assert {"nova:options.nodes.nobody", "nova:options", "nova:options.all.DEFAULT.b c"} <= set(found)
