"""A node: what is there, what is wanted, and what is done about the difference. The cases are data, in cases/."""

from __future__ import annotations

import copy
import dataclasses
import re
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from nova_infra import node
from nova_infra.configuration import Value, as_list, read_options, write_options
from nova_infra.errors import StepFailed
from nova_infra.remote.inspection import Facts, File, Process
from nova_infra.remote.script import Call

from .nodes import CASES, NOVA_CONF, RIGHT, Machine, facts_of_case, state_of
from .test_configuration import carried

KEY = "key of the tests"
COMPUTE_CONF = "/etc/nova/nova-compute.conf"


def cases() -> list[Any]:
    return [
        pytest.param(case, id=f"{file.stem}: {case['case']}")
        for file in sorted(CASES.glob("*.yaml"))
        for part in yaml.safe_load(file.read_text(encoding="utf-8")).items()
        if part[0].endswith("cases")
        for case in part[1]
    ]


def as_text(state: dict[str, Any], calls: list[Call]) -> list[str]:
    """The calls as people see them, with RIGHT for the fingerprint that the stack wants."""
    texts = []
    for each in calls:
        words = str(each).split(" ")
        right = state["services"].get(words[1], {}).get("fingerprint") if len(words) > 1 else None
        texts.append(" ".join(word.replace(right, RIGHT) if right else word for word in words))
    return texts


@pytest.mark.parametrize("case", cases())
def test_what_is_done(case: dict[str, Any]) -> None:
    state = state_of(copy.deepcopy(case["wanted"]))
    facts = facts_of_case(copy.deepcopy(case["machine"]), state)
    if "refused" in case:
        with pytest.raises(StepFailed) as refusal:
            node.decide(state, facts)
        assert all(word in str(refusal.value) for word in case["refused"])
        return
    calls = node.decide(state, facts)
    assert [text.strip() for text in as_text(state, calls)] == case["calls"]
    written = {each.arguments[0]: each.arguments[4] for each in calls if each.function == "put_file"}
    for path, options in case.get("writes", {}).items():
        assert read_options(written[path], path) == options


@pytest.mark.parametrize("case", [each for each in cases() if "refused" not in each.values[0]])
def test_what_refresh_shows_differs_exactly_when_something_is_to_be_done(case: dict[str, Any]) -> None:
    state = state_of(copy.deepcopy(case["wanted"]))
    facts = facts_of_case(copy.deepcopy(case["machine"]), state)
    assert (node.observed(state, facts, KEY) == state) == (case["calls"] == [])


# ------------------------------------------------------------ laws

names = st.text("abc_", min_size=1, max_size=3)
values = st.one_of(carried, st.lists(carried, min_size=2, max_size=3))
sections = st.dictionaries(
    st.sampled_from(["DEFAULT", "database", "glance"]), st.dictionaries(names, values, min_size=1, max_size=3)
)


@st.composite
def states(draw: st.DrawFn) -> dict[str, Any]:
    compute = draw(st.booleans())
    options: dict[str, Any] = {NOVA_CONF: draw(sections)}
    services: dict[str, Any] = {"nova-api": {}, "nova-conductor": {}}
    if compute:
        options[COMPUTE_CONF] = {"libvirt": {"virt_type": draw(st.sampled_from(["auto", "qemu", "kvm"]))}}
        services = {"nova-compute": {}}
    schema = "unmanaged" if compute else draw(st.sampled_from(["current", "unmanaged"]))
    return state_of({"options": options, "services": services, "schema": schema})


hand = st.sampled_from(
    ["edit", "comment", "restore", "delete", "link", "restart", "stop", "disable", "chmod", "sqlite", "wait"]
)


def by_hand(machine: Machine, deed: str) -> None:
    """What a person may do on the machine."""
    name, path = next(iter(machine.processes)), next(iter(machine.files))
    text = machine.files[path].content if machine.files[path].kind == "file" else "[DEFAULT]\n"
    if deed == "edit":
        machine.write(path, "[DEFAULT]\nby_hand = 1\n", "nova")
    elif deed == "comment":
        machine.write(path, f"# hello\n{text}")
    elif deed == "restore":
        machine.write(path, write_options(resolved(machine, path)))
    elif deed == "delete":
        machine.files[path] = File("missing")
    elif deed == "link":
        machine.files[path] = File("link", content="/etc/other.conf")
    elif deed == "restart":
        machine.start(name)
    elif deed == "stop":
        machine.stop(name)
    elif deed == "disable":
        machine._do("set_boot", name, "disabled")
    elif deed == "chmod":
        machine.files[path] = dataclasses.replace(machine.files[path], owner="root", group="root", mode="644")
    elif deed == "sqlite":
        machine.present = dict.fromkeys(machine.present, True)
    else:
        machine.clock += 5


def resolved(machine: Machine, path: str) -> dict[str, dict[str, Value]]:
    """The wanted options with what the machine can do in place of auto."""
    return {
        section: {option: machine.virt_type if value == "auto" and option == "virt_type" else value
                  for option, value in options.items()}
        for section, options in machine.state["options"][path].items()
    }  # fmt: skip


def as_read(options: dict[str, dict[str, Value]]) -> dict[str, dict[str, list[str]]]:
    return {section: {key: as_list(value) for key, value in each.items()} for section, each in options.items() if each}


def assert_as_wanted(machine: Machine) -> None:
    """Files, and what each process has really read, are what the stack says."""
    for path, ownership in machine.state["files"].items():
        file = machine.files[path]
        assert (file.kind, file.owner, file.group, file.mode) == ("file", *ownership.values())
        assert as_read(read_options(file.content, path)) == as_read(resolved(machine, path))
    for name, service in machine.state["services"].items():
        assert machine.processes[name].running
        assert machine.processes[name].enabled
        for path in service["reads"]:
            assert as_read(machine.has_read[name][path]) == as_read(resolved(machine, path))
    assert not any(machine.present.values())
    if machine.state["schema"] == node.CURRENT:
        assert machine.schema[0] == machine.schema[1]


def apply(machine: Machine, cut: int | None = None) -> None:
    machine.do(node.decide(machine.state, machine.facts())[:cut])


@settings(max_examples=150, deadline=None)
@given(state=states(), virt_type=st.sampled_from(["kvm", "qemu"]))
def test_after_one_run_there_is_nothing_to_do_and_refresh_shows_what_is_wanted(
    state: dict[str, Any], virt_type: str
) -> None:
    machine = Machine(state, virt_type)
    apply(machine)
    assert_as_wanted(machine)
    machine.clock += 60
    assert node.decide(state, machine.facts()) == []
    assert node.observed(state, machine.facts(), KEY) == state


@settings(max_examples=200, deadline=None)
@given(
    state=states(),
    cuts=st.lists(st.integers(0, 6), max_size=3),
    deeds=st.lists(hand, max_size=6),
    virt_type=st.sampled_from(["kvm", "qemu"]),
)
def test_whatever_was_cut_off_or_done_by_hand_one_whole_run_puts_it_right(
    state: dict[str, Any], cuts: list[int], deeds: list[str], virt_type: str
) -> None:
    machine = Machine(state, virt_type)
    for cut in cuts:
        apply(machine, cut)
        for deed in deeds[:2]:
            by_hand(machine, deed)
    apply(machine)
    for deed in deeds:
        by_hand(machine, deed)
    machine.clock += 3
    apply(machine)
    assert_as_wanted(machine)
    machine.clock += 3
    assert node.decide(state, machine.facts()) == []


def answered(state: dict[str, Any], machine: Machine) -> Facts:
    """What the machine says to who asks only what this state makes him ask."""
    asked, facts = node.question(state), machine.facts()
    return dataclasses.replace(
        facts,
        files={path: facts.files[path] for path in asked.files},
        paths={path: facts.paths[path] for path in asked.paths},
        services={name: facts.services[name] for name in asked.services},
        schema=facts.schema if asked.schema else (None, 0),
    )


def assert_the_same_is_found_again(state: dict[str, Any], machine: Machine) -> None:
    first = node.observed(state, answered(state, machine), KEY)
    assert node.observed(first, answered(first, machine), KEY) == first


@settings(max_examples=200, deadline=None)
@given(state=states(), deeds=st.lists(hand, max_size=4), virt_type=st.sampled_from(["kvm", "qemu"]))
def test_a_refresh_behind_one_that_was_stored_finds_the_same(
    state: dict[str, Any], deeds: list[str], virt_type: str
) -> None:
    machine = Machine(state, virt_type)
    apply(machine)
    for deed in deeds:
        by_hand(machine, deed)
    assert_the_same_is_found_again(state, machine)


def test_a_refresh_behind_one_that_was_stored_finds_another_file_and_an_older_schema_again() -> None:
    conf = {NOVA_CONF: {"DEFAULT": {"a": "b"}}}
    machine = Machine(state_of({"options": conf, "services": {"nova-api": {}}, "schema": "current"}), "qemu")
    apply(machine)
    machine.schema = (10, 20)
    mine = dataclasses.replace(machine.processes["nova-api"], configuration=(NOVA_CONF, "/tmp/mine.conf"))  # noqa: S108
    machine.processes["nova-api"] = mine
    assert_the_same_is_found_again(machine.state, machine)


def test_without_nova_conf_the_version_of_the_schema_is_not_known_also_behind_a_refresh_that_was_stored() -> None:
    conf = {NOVA_CONF: {"database": {"connection": "mysql://nova:pass@controller/nova"}}}
    machine = Machine(state_of({"options": conf, "services": {"nova-api": {}}, "schema": "current"}), "qemu")
    apply(machine)
    machine.files[NOVA_CONF] = File("missing")
    # That of nova's default, an sqlite of its own.
    machine.schema = (0, 20)
    assert_the_same_is_found_again(machine.state, machine)
    assert node.observed(machine.state, machine.facts(), KEY)["schema"] == "not known"


def test_the_value_of_an_option_that_the_stack_does_not_name_stays_unknown_when_a_refresh_was_stored() -> None:
    machine = Machine(state_of({"options": {NOVA_CONF: {"DEFAULT": {"a": "b"}}}, "services": {"nova-api": {}}}), "qemu")
    apply(machine)
    machine.write(NOVA_CONF, "[DEFAULT]\na = b\nspare = s3cret\n")
    assert_the_same_is_found_again(machine.state, machine)
    first = node.observed(machine.state, machine.facts(), KEY)
    machine.write(NOVA_CONF, "[DEFAULT]\na = b\nspare = an0ther\n")
    assert "an0ther" not in str(node.observed(first, machine.facts(), KEY))


@settings(max_examples=100, deadline=None)
@given(state=states(), other=states())
def test_going_to_other_options_and_back_restarts_nothing_that_has_not_read_them(
    state: dict[str, Any], other: dict[str, Any]
) -> None:
    other = {**state, "options": {path: other["options"].get(path, {}) for path in state["options"]}}
    machine = Machine(state, "kvm")
    apply(machine)
    before = {name: process.ticks for name, process in machine.processes.items()}
    machine.clock += 10
    # Only the files are written: that run dies before it restarts anything.
    machine.do(each for each in node.decide(other, machine.facts()) if each.function == "put_file")
    machine.clock += 10
    apply(machine)
    assert {name: process.ticks for name, process in machine.processes.items()} == before
    assert_as_wanted(machine)


@pytest.mark.parametrize("values_given", [["one"], []])
def test_a_list_of_one_value_or_of_none_is_no_drift_for_ever(values_given: list[str]) -> None:
    state = state_of({"options": {NOVA_CONF: {"DEFAULT": {"scheduler": values_given}}}, "services": {"nova-api": {}}})
    machine = Machine(state, "kvm")
    apply(machine)
    machine.clock += 60
    assert node.decide(state, machine.facts()) == []
    assert node.observed(state, machine.facts(), KEY) == state


def test_a_section_without_options_is_no_drift_for_ever() -> None:
    state = state_of({"options": {NOVA_CONF: {"DEFAULT": {"a": "b"}, "spare": {}}}, "services": {"nova-api": {}}})
    machine = Machine(state, "kvm")
    apply(machine)
    machine.clock += 60
    assert node.decide(state, machine.facts()) == []
    assert node.observed(state, machine.facts(), KEY) == state


# ------------------------------------------------------------ what is shown


def shown(content: str, wanted: dict[str, Any], **more: Any) -> Any:
    state = state_of({"options": {NOVA_CONF: wanted}, "services": {"nova-api": {}}})
    facts = facts_of_case({"files": {NOVA_CONF: {"content": content, **more}}, "services": {"nova-api": {}}}, state)
    return node.observed(state, facts, KEY)


def test_an_option_changed_by_hand_is_shown_with_its_value() -> None:
    seen = shown("[DEFAULT]\nrabbit_host = evil\n", {"DEFAULT": {"rabbit_host": "controller"}})
    assert seen["options"] == {NOVA_CONF: {"DEFAULT": {"rabbit_host": "evil"}}}


@pytest.mark.parametrize("cut", [None, 0, 1, 2])
def test_when_the_processor_gains_virtualization_nova_compute_is_started_anew_also_after_a_run_that_died(
    cut: int | None,
) -> None:
    options = {NOVA_CONF: {"DEFAULT": {"my_ip": "10.0.0.31"}}, COMPUTE_CONF: {"libvirt": {"virt_type": "auto"}}}
    machine = Machine(state_of({"options": options, "services": {"nova-compute": {}}}), "qemu")
    apply(machine)
    machine.clock += 60
    machine.virt_type = "kvm"
    there = node.observed(machine.state, machine.facts(), KEY)
    assert there["options"][COMPUTE_CONF] == {"libvirt": {"virt_type": "qemu"}}
    assert there["services"]["nova-compute"]["fingerprint"].endswith("+qemu")
    apply(machine, cut)
    machine.clock += 60
    apply(machine)
    assert machine.has_read["nova-compute"][COMPUTE_CONF] == {"libvirt": {"virt_type": "kvm"}}
    assert node.decide(machine.state, machine.facts()) == []


def test_a_secret_that_somebody_changed_is_named_beside_ours_and_never_shown() -> None:
    wanted = {"DEFAULT": {"rabbit_password": "ours", "plugin": "hidden-ours", "my_ip": "10.0.0.11"}}
    state = {
        **state_of({"options": {NOVA_CONF: wanted}, "services": {"nova-api": {}}}),
        "hidden": [[NOVA_CONF, "DEFAULT", "plugin"]],
    }
    machine = Machine(state, "qemu")
    theirs = {"rabbit_password": ["theirs", "and more"], "plugin": "hidden-theirs", "my_ip": "10.0.0.99"}
    machine.write(NOVA_CONF, write_options({"DEFAULT": theirs}))
    there = node.observed(state, machine.facts(), KEY)["options"][NOVA_CONF]["DEFAULT"]
    assert set(there) == {"rabbit_password", "rabbit_password (found)", "plugin", "plugin (found)", "my_ip"}
    assert (there["rabbit_password"], there["plugin"], there["my_ip"]) == ("ours", "hidden-ours", "10.0.0.99")
    assert "theirs" not in str(there)


@pytest.mark.parametrize("there", ["rabbit://guest:hunter2@controller", "a, http://proxy:hunter2@192.0.2.7:3128"])
def test_a_login_that_somebody_has_put_into_an_option_of_ours_is_not_shown(there: str) -> None:
    wanted = {"DEFAULT": {"proxy": "controller"}}
    seen = shown(f"[DEFAULT]\nproxy = {there}\n", wanted)
    found = seen["options"][NOVA_CONF]["DEFAULT"]["proxy"]
    assert re.fullmatch(r"another value \([0-9a-f]{12}\)", found)
    # A refresh that was stored has seen it before.
    assert shown(f"[DEFAULT]\nproxy = {there}\n", {"DEFAULT": {"proxy": found}})["options"] == seen["options"]


def test_an_option_that_the_stack_does_not_name_is_shown_without_its_value() -> None:
    seen = shown("[DEFAULT]\nspare_password = hunter2\n", {"DEFAULT": {}})
    assert list(seen["options"][NOVA_CONF]["DEFAULT"]) == ["spare_password"]
    assert "hunter2" not in repr(seen)


def test_two_values_of_an_unnamed_option_look_different_and_cannot_be_guessed_without_the_key() -> None:
    one = shown("[DEFAULT]\npin = 1\n", {})
    two = shown("[DEFAULT]\npin = 2\n", {})
    assert one["options"] != two["options"]
    state = state_of({"options": {NOVA_CONF: {}}, "services": {"nova-api": {}}})
    facts = facts_of_case(
        {"files": {NOVA_CONF: {"content": "[DEFAULT]\npin = 1\n"}}, "services": {"nova-api": {}}}, state
    )
    assert node.observed(state, facts, "another key")["options"] != one["options"]


def test_a_file_that_does_not_parse_is_shown_as_unreadable_without_its_text() -> None:
    seen = shown("[DEFAULT]\nhunter2\n", {"DEFAULT": {"my_ip": "10.0.0.11"}})
    assert "line 2" in repr(seen["options"])
    assert "hunter2" not in repr(seen)


def test_a_service_that_ends_soon_after_each_start_is_shown_as_crashing_and_started_anew() -> None:
    state = state_of({"options": {NOVA_CONF: {"DEFAULT": {"my_ip": "10.0.0.11"}}}, "services": {"nova-cert": {}}})
    machine = Machine(state, "qemu")
    apply(machine)
    assert node.observed(state, machine.facts(), KEY)["services"] == state["services"]
    machine.start("nova-cert")
    machine.processes["nova-cert"] = dataclasses.replace(machine.processes["nova-cert"], ended=True)
    there = node.observed(state, machine.facts(), KEY)["services"]["nova-cert"]
    assert there == {**state["services"]["nova-cert"], "running": "crashing"}
    done = [str(each) for each in node.decide(state, machine.facts())]
    assert done[:2] == ["stop_services nova-cert", f"start_service nova-cert {there['fingerprint']}"]


def test_a_mode_changed_by_hand_is_shown() -> None:
    assert shown("", {}, mode="666")["files"][NOVA_CONF] == {"owner": "root", "group": "nova", "mode": "666"}


def test_a_file_that_is_gone_shows_no_options() -> None:
    seen = shown("", {"DEFAULT": {"a": "b"}}, kind="missing")
    assert seen["options"] == {NOVA_CONF: {}}
    assert seen["files"][NOVA_CONF]["mode"] == "missing"


@pytest.mark.parametrize(("running", "gone"), [(True, False), (False, True)])
def test_a_machine_installed_anew_has_neither_a_file_nor_a_service_of_ours(running: bool, gone: bool) -> None:
    state = state_of({"options": {NOVA_CONF: {}}, "services": {"nova-api": {}}})
    process = Process(7 if running else 0, "1", 1, enabled=False)
    facts = Facts("controller", 1, "kvm", "sysv", files={NOVA_CONF: File("missing")}, services={"nova-api": process})
    assert node.is_gone(state, facts) is gone


def test_the_question_asks_for_everything_that_the_state_names() -> None:
    state = state_of({"options": {NOVA_CONF: {}}, "services": {"nova-api": {}}, "schema": "current"})
    asked = [str(each) for each in node.question(state).calls()]
    assert {"read_file /etc/nova/nova.conf", "read_service nova-api", "read_schema"} <= set(asked)
    assert "read_path /var/lib/nova/nova.sqlite" in asked


def test_a_node_that_does_not_manage_the_schema_does_not_ask_for_it() -> None:
    state = state_of({"options": {NOVA_CONF: {}}, "services": {"nova-api": {}}, "schema": "unmanaged"})
    assert "read_schema" not in [str(each) for each in node.question(state).calls()]


# ------------------------------------------------------------ a file of variables

OPENRC = "/root/admin-openrc.sh"
VARIABLES = {"export": {"OS_USERNAME": "admin", "OS_PASSWORD": "it's $ecret"}}


def with_openrc() -> dict[str, Any]:
    state = state_of({"options": {NOVA_CONF: {"DEFAULT": {"a": "b"}}, OPENRC: VARIABLES}, "services": {"nova-api": {}}})
    state["services"]["nova-api"].update(
        reads=[NOVA_CONF], fingerprint=node.service_fingerprint(state["options"], [NOVA_CONF])
    )
    return state


def test_a_file_of_variables_is_written_for_the_shell_and_read_back() -> None:
    state = with_openrc()
    machine = Machine(state, "kvm")
    apply(machine)
    assert machine.files[OPENRC].content.splitlines()[-2:] == [
        "export OS_PASSWORD='it'\"'\"'s $ecret'",
        "export OS_USERNAME=admin",
    ]
    assert node.observed(state, machine.facts(), KEY) == state


def test_a_changed_variable_is_shown_by_name_and_restarts_nothing() -> None:
    state = with_openrc()
    machine = Machine(state, "kvm")
    apply(machine)
    machine.clock += 60
    machine.write(OPENRC, "export OS_USERNAME=nobody\nexport OS_PASSWORD='it'\\''s $ecret'\n")
    seen = node.observed(state, machine.facts(), KEY)
    assert seen["options"][OPENRC]["export"] == {**VARIABLES["export"], "OS_USERNAME": "nobody"}
    assert [each.function for each in node.decide(state, machine.facts())] == ["put_file"]


def test_a_file_of_variables_that_runs_something_is_unreadable_and_written_anew() -> None:
    state = with_openrc()
    machine = Machine(state, "kvm")
    apply(machine)
    machine.write(OPENRC, "export OS_PASSWORD=$(cat /root/password)\n")
    assert "line 1" in repr(node.observed(state, machine.facts(), KEY)["options"][OPENRC])
    assert [each.function for each in node.decide(state, machine.facts())] == ["put_file"]


# ------------------------------------------------------------ secrets, and undoing


def test_passwords_are_among_the_secrets_of_a_state_and_plain_options_are_not() -> None:
    options = {
        "DEFAULT": {"rabbit_password": "one", "my_ip": "10.0.0.11"},
        "database": {"connection": "mysql://nova:two@controller/nova"},
        "keystone_authtoken": {"admin_password": "three", "admin_user": "nova"},
    }
    state = state_of({"options": {NOVA_CONF: options}, "services": {"nova-api": {}}})
    assert sorted(node.secrets_in(state)) == ["mysql://nova:two@controller/nova", "one", "three"]


def test_a_secret_whose_name_does_not_say_so_is_hidden_too() -> None:
    options = {"ldap": {"bind_pw": "four", "bind_dn": "cn=nova"}}
    state = state_of({"options": {NOVA_CONF: options}, "services": {"nova-api": {}}})
    assert node.secrets_in({**state, "hidden": [[NOVA_CONF, "ldap", "bind_pw"]]}) == ["four"]


def test_no_call_shows_a_password() -> None:
    options = {"DEFAULT": {"rabbit_password": "hunter2"}}
    state = state_of({"options": {NOVA_CONF: options}, "services": {"nova-api": {}}})
    calls = node.decide(state, Machine(state, "kvm").facts())
    assert "put_file" in str([str(each) for each in calls])
    assert "hunter2" not in repr([str(each) for each in calls])
    assert "hunter2" not in repr([each.title for each in calls])
    assert "hunter2" not in repr(calls)


def test_the_services_that_calls_restart_are_those_that_are_waited_for() -> None:
    state = state_of({"options": {NOVA_CONF: {}}, "services": {"nova-api": {}, "nova-conductor": {}}})
    assert node.restarted(node.decide(state, Machine(state, "kvm").facts())) == ["nova-conductor", "nova-api"]
