"""Whatever somebody writes into a stack file: it is taken, or refused with problems by key. Never a traceback, never a secret."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from nova_infra.errors import InvalidSettings
from nova_infra.options import template_problems
from nova_infra.settings import OPTIONAL_SECRETS, SECRETS, top_level_keys
from nova_infra.stack_config import parse, read

from .test_settings import COMPUTE, CONTROLLER

SECRET = "s3cr3t-of-the-test"
# What people mistype, and what shells, terminals and parsers obey.
TEXTS = st.one_of(
    st.sampled_from(
        [
            *(
                "",
                " ",
                "auto",
                "true",
                "-1",
                "0",
                "22",
                "65536",
                "10.0.0.11",
                "10.0.0.31",
                "0.0.0.0",  # noqa: S104
                "::ffff:10.0.0.11",
            ),
            *(
                "fe80::1%eth0",
                "::1",
                "controller",
                "Controller",
                "compute1",
                "a.b:5",
                "[::1]:5",
                "http://",
                "http://[x",
            ),
            *("http://h/%(tenant_id)s", "http://h/%", "juno", "nova-api", "ALL", "%", "present", "1:2.3", "DEFAULT"),
            *(
                "a\nb",
                "\0",
                "\x1b[2J",
                "\u202e",
                "\ud800",
                "\\$",
                "{{ 1/0 }}",
                "$(reboot)",
                "'; DROP",
                "x" * 5000,
                "--",
                "ssh-rsa A",
            ),
        ]
    ),
    st.text(max_size=8),
    st.text(st.characters(), max_size=4),
)
NUMBERS = st.one_of(st.integers(-2, 70000), st.integers(), st.floats())
WORDS = st.sampled_from(
    [
        "all",
        "controller",
        "compute",
        "nodes",
        "DEFAULT",
        "default",
        "host",
        "name",
        "address",
        "port",
        "user",
        "host_key",
        "services",
        "adopt",
        "secret",
        "present",
        "hosts",
        "admin_url",
        "public_url",
        "osapi_compute_listen_port",
        "novncproxy_host",
        "nova",
        "nova-compute",
        "on_unreachable",
        "vnc_listen",
        "drain",
        "[key]",
        "str",
        "admin_user",
        "socket",
        "admin_openrc",
        "compute1",
    ]
)
NAMES = WORDS | TEXTS
JSON: Any = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
REFERENCE = st.fixed_dictionaries({"secret": NAMES})
KEYS = st.sampled_from(top_level_keys())
GOOD: dict[str, Any] = {
    "controllers": [CONTROLLER],
    "computes": [COMPUTE, {"name": "compute2", "address": "10.0.0.32", "host": "gate", "port": 2202}],
    "computeDefaults": {"port": 22, "virt_type": "auto"},
    "ssh": {"user": "ubuntu", "verify_host_keys": True},
    "database": {"host": "db", "hosts": {"%": ["ALL"]}, "name": "nova"},
    "identity": {"admin_url": "http://controller:35357/v2.0", "role": "admin", "admin_openrc": "/root/a.sh"},
    "messageQueue": {"hosts": ["mq1", "[::1]:5673"]},
    "endpoint": {"public_url": "http://controller:8774/v2/%(tenant_id)s"},
    "options": {
        "all": {"DEFAULT": {"debug": True, "list": ["a", "b"], "password": {"secret": "mine"}}},
        "nodes": {"compute1": {"libvirt": {"cpu_mode": "none"}}},
    },
    "packages": {"compute": {"ntp": "present"}},
    "deadlines": {"report": 300},
    "concurrency": "8",
    "region": "regionOne",
}


def places(value: Any) -> list[tuple[Any, ...]]:
    """The way to each part of a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(), *((key, *way) for key, each in inner for way in places(each))]


@st.composite
def mutated(draw: Any) -> dict[str, Any]:
    """A good configuration in which some parts are others."""
    stack = {"all": copy.deepcopy(GOOD)}
    for _ in range(draw(st.integers(1, 4))):
        *way, last = draw(st.sampled_from([("all", *each) for each in places(stack["all"]) if each]))
        within: Any = stack
        for part in way:
            within = within[part]
        action = draw(st.sampled_from(["other", "other", "add", "gone", "renamed", "twice"]))
        if action == "other":
            within[last] = draw(JSON | REFERENCE)
        elif action == "gone":
            del within[last]
        elif isinstance(within, list):
            within.append(copy.deepcopy(within[last]))
        elif action == "add":
            within[draw(NAMES)] = draw(JSON | REFERENCE)
        else:
            within[draw(NAMES)] = within.pop(last)
    return stack["all"]


def check(stack: dict[Any, Any], plain: set[str], secure: set[str], secrets: dict[str, str]) -> None:
    """Takes this stack, or refuses it as every stack is refused."""
    texts = {str(key): each if isinstance(each, str) else json.dumps(each) for key, each in stack.items()}
    texts |= secrets
    hidden = (set(secrets) | secure) - plain

    def get(key: str) -> str | None:
        return texts.get(key)

    try:
        parse(get, keys=list(texts), is_secret=hidden.__contains__)
    except InvalidSettings as error:
        text = str(error)
        problems = error.problems
    else:
        return
    known = {*texts, *SECRETS, "controllers"}
    for problem in problems:
        assert problem.key.startswith("nova:")
        # What a terminal would obey is escaped, and what is long is cut.
        assert any(problem.key[5:].startswith(ascii(key)[1:-1][:80]) for key in known) or any(
            problem.key[5:].startswith(key[:80]) for key in known
        ), problem
        assert str(problem).isprintable(), problem
        assert len(str(problem)) < 1000, problem
    assert SECRET not in text
    assert "Traceback" not in text
    # What is rendered in place of what cannot be used does not fail for that.
    settings, _ = read(get, keys=list(texts), is_secret=hidden.__contains__)
    assert template_problems(settings) == []


SECRETS_GIVEN = st.dictionaries(
    st.sampled_from([*SECRETS, *OPTIONAL_SECRETS, "mine"]) | NAMES,
    st.just(SECRET) | st.sampled_from([f"{SECRET}\n", f"{SECRET}\\$", f"{SECRET}ü", "", "  "]),
)
ALL_SECRETS = dict.fromkeys([*SECRETS, "mine"], SECRET)
CONFIGURED = st.sets(st.sampled_from([*top_level_keys(), *SECRETS, "mine"]), max_size=2)


def test_the_good_one_is_taken() -> None:
    check(GOOD, set(), set(), ALL_SECRETS)
    texts = {key: each if isinstance(each, str) else json.dumps(each) for key, each in GOOD.items()} | ALL_SECRETS
    assert parse(texts.get, keys=list(texts), is_secret=ALL_SECRETS.__contains__).region == "regionOne"


@settings(max_examples=400, deadline=None, derandomize=True)
@given(stack=mutated())
@example(stack={**GOOD, "options": {"all": {"a": {"b": {"secret": "c\nd"}}}}})
def test_a_good_stack_with_parts_that_are_others_is_taken_or_refused_by_key(stack: dict[str, Any]) -> None:
    check(stack, set(), set(), ALL_SECRETS)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    stack=st.dictionaries(KEYS | TEXTS, JSON, max_size=5),
    plain=CONFIGURED,
    secure=CONFIGURED,
    secrets=SECRETS_GIVEN,
)
def test_any_configuration_is_taken_or_refused_by_key(
    stack: dict[str, Any], plain: set[str], secure: set[str], secrets: dict[str, str]
) -> None:
    check(stack, plain, secure, secrets)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(stack=mutated(), secure=CONFIGURED, secrets=SECRETS_GIVEN)
def test_whatever_is_wrong_with_a_secret_no_secret_is_said(
    stack: dict[str, Any], secure: set[str], secrets: dict[str, str]
) -> None:
    check(stack, set(), secure, {**ALL_SECRETS, **secrets})
