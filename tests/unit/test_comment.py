"""The comment that a plan becomes, from plans that the real engine made (tests/plans.py)."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nova_infra.__main__ import REFUSED, main
from nova_infra.errors import PlanUnreadable
from nova_infra.masking import MASK
from nova_infra.plan.changes import CHANGED, MADE, OTHER_VALUE, REMOVED, rows, with_kind
from nova_infra.plan.comment import LIMIT, Circumstances, comment, marker
from nova_infra.plan.dangers import dangers
from nova_infra.plan.markdown import code
from nova_infra.plan.reading import NOTHING, SECRET, Plan, between, read_plan
from nova_infra.plan.restarts import MAY_RESTART, RESTARTED, restarts
from tests.error_rows import assert_printed
from tests.mocked import A_SECRET
from tests.mocked import SECRET as SIGNATURE
from tests.nodes import ROOT
from tests.plans import CASES, PLANS

COMPUTES = ("compute1", "compute2", "compute3")
PROTECTED = (
    "schema nova",
    "Keystone user nova",
    "service compute/nova",
    "endpoint regionOne/compute/nova",
    "controller",
)
CONTROL = ("nova-api", "nova-cert", "nova-conductor", "nova-consoleauth", "nova-novncproxy", "nova-scheduler")
URL = "http://controller:8774/v2/%(tenant_id)s"


def text_of(case: str) -> str:
    return (CASES / f"{case}.json").read_text()


def plan_of(case: str) -> Plan:
    return read_plan(text_of(case), case)


def changed(case: str) -> set[tuple[frozenset[str], str, Any, Any]]:
    """Of each row of a change the subjects, the property, and both values."""
    return {
        (frozenset(row.subjects), row.property, str(row.old), str(row.new))
        for row in rows(plan_of(case))
        if row.what == CHANGED
    }


def a_change(*subjects: str, of: str, to: Any, was: Any = NOTHING) -> tuple[frozenset[str], str, str, str]:
    return frozenset(subjects), of, str(was), str(to)


# ------------------------------------------------------------ the golden cases


@pytest.mark.parametrize("case", PLANS)
def test_a_plan_becomes_the_comment_that_is_kept_beside_it(case: str) -> None:
    kept = CASES / f"{case}.md"
    made = comment(plan_of(case), "staging")
    if os.environ.get("WRITE_CASES"):
        kept.write_text(made)
    assert kept.read_text() == made, f"{kept} is not what the plan becomes: WRITE_CASES=1 writes it anew"


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("nothing", set()),
        ("one-option-for-all", {a_change("controller", *COMPUTES, of="nova.conf [DEFAULT] debug", to="True")}),
        ("an-option-of-a-node", {a_change("compute2", of="nova.conf [libvirt] cpu_mode", to="host-passthrough")}),
        (
            "catalog-and-grants",
            {
                a_change(
                    "endpoint regionOne/compute/nova",
                    of="admin_url",
                    was=URL,
                    to="http://192.0.2.7:8774/v2/%(tenant_id)s",
                ),
                a_change(
                    "service compute/nova",
                    of="description",
                    was="OpenStack Compute",
                    to="Compute | of `everybody`",
                ),
                a_change("schema nova", of="privileges at %", was=["ALL"], to=["INSERT", "SELECT"]),
            },
        ),
        (
            "packages",
            {
                a_change("controller", of="package nova-cert", was="present", to="1:2014.2.4-0ubuntu1"),
                a_change(*COMPUTES, of="package sysstat", to="present"),
            },
        ),
        (
            "guards",
            {
                a_change("schema nova", of="on_delete", was="refuse", to="drop"),
                a_change("schema nova", of="protect", was=True, to=False),
                a_change(*COMPUTES, of="drain", was=False, to=True),
                a_change(*COMPUTES, of="adopt", was=False, to=True),
                a_change(*COMPUTES, of="on_unreachable", was="refuse", to="leave"),
                a_change("access nova-0", of="ssh verify host keys", was="True", to="False"),
            },
        ),
        ("nodes", set()),
        ("protection", {a_change(*PROTECTED, of="protect", was=True, to=False)}),
        (
            "drift",
            {
                a_change("compute1", of="nova.conf [DEFAULT] verbose", was="False", to="True"),
                a_change(
                    "endpoint regionOne/compute/nova",
                    of="public_url",
                    was="http://192.0.2.9:8774/v2/%(tenant_id)s",
                    to=URL,
                ),
            },
        ),
        ("destroy", set()),
        ("unreachable", set()),
        ("bad-settings", set()),
    ],
)
def test_the_table_has_what_changes_and_nothing_else(case: str, expected: set[Any]) -> None:
    assert changed(case) == expected


def test_a_secret_that_becomes_another_one_is_named_among_those_that_it_may_be() -> None:
    found = {row.subjects: row for row in rows(plan_of("passwords"))}
    assert set(found) == {("access nova-0",), ("schema nova",), ("controller",)}
    assert all((row.old, row.new) == (SECRET, OTHER_VALUE) for row in found.values())
    assert "identity password" in found["access nova-0",].among
    assert "nova.conf [database] connection" in found["controller",].among


def test_what_is_made_and_removed_has_a_row_each_and_packages_go_with_their_node() -> None:
    found = {row.what: set(row.subjects) for row in rows(plan_of("nodes"))}
    assert found == {
        REMOVED: {"compute node compute3"},
        MADE: {"access nova-1", "compute node compute4", "compute node compute5"},
    }


@pytest.mark.parametrize(
    ("kind", "node", "named"),
    [
        ("ControllerNode", "controller", "controller"),
        ("ControllerNode", "controller1", "controller controller1"),
        ("ComputeNode", "compute1", "compute node compute1"),
    ],
)
def test_a_node_whose_name_is_its_kind_is_named_once(kind: str, node: str, named: str) -> None:
    steps = [step for step in edited("destroy", kind, {"node": node}).steps if step.kind == kind]
    assert {with_kind(step) for step in steps} == {named}


@pytest.mark.parametrize("case", ["drift", "catalog-and-grants"])
def test_what_somebody_has_changed_on_the_machines_is_told_from_what_the_stack_changes(case: str) -> None:
    found = [row.drift for row in rows(plan_of(case))]
    assert found
    assert all(found) == (case == "drift")
    assert any(found) == (case == "drift")


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("one-option-for-all", {(RESTARTED, CONTROL, ("controller",)), (RESTARTED, ("nova-compute",), COMPUTES)}),
        ("an-option-of-a-node", {(RESTARTED, ("nova-compute",), ("compute2",))}),
        ("passwords", {(RESTARTED, CONTROL, ("controller",))}),
        ("packages", {(MAY_RESTART, ("nova-cert",), ("controller",))}),
        ("drift", {(RESTARTED, ("nova-compute",), ("compute1",))}),
        ("catalog-and-grants", set()),
        ("guards", set()),
        ("nodes", set()),
    ],
)
def test_the_services_that_restart_are_named_with_their_nodes(case: str, expected: set[Any]) -> None:
    assert {(each.what, each.services, tuple(sorted(each.nodes))) for each in restarts(plan_of(case))} == expected


@pytest.mark.parametrize(
    ("case", "words", "subjects"),
    [
        ("destroy", "schema is dropped", ("schema nova",)),
        ("nodes", "compute node is removed", ("compute3",)),
        ("nodes", "refused while instances are on it", ("compute3",)),
        ("guards", "no longer protected", ("schema nova",)),
        ("guards", "`on_delete: drop`", ("schema nova",)),
        ("guards", "`drain`", COMPUTES),
        ("guards", "`adopt`", COMPUTES),
        ("guards", "`on_unreachable: leave`", COMPUTES),
        ("guards", "Host keys are no longer verified", ("access nova-0",)),
        ("drift", "schema is gone", ("schema nova",)),
    ],
)
def test_what_is_dangerous_is_said_of_what_it_is_about(case: str, words: str, subjects: tuple[str, ...]) -> None:
    (found,) = [each for each in dangers(plan_of(case)) if words in each.sentence]
    assert tuple(sorted(found.subjects)) == subjects


@pytest.mark.parametrize("case", ["nothing", "one-option-for-all", "catalog-and-grants", "passwords", "packages"])
def test_what_is_not_dangerous_raises_no_alarm(case: str) -> None:
    assert dangers(plan_of(case)) == []


def test_danger_comes_first_and_lost_data_before_all_else() -> None:
    text = comment(plan_of("destroy"), "staging")
    assert "dropped" in dangers(plan_of("destroy"))[0].sentence
    assert text.index("[!CAUTION]") < text.index("| Where |") < text.index("<details>")


def edited(case: str, kind: str, change: dict[str, Any], state: str = "oldState") -> Plan:
    """A case with other inputs of a kind of resource."""
    printed = json.loads(text_of(case))
    for step in printed["steps"]:
        if step[state]["type"].endswith(f":{kind}"):
            step[state]["inputs"] |= change
    return read_plan(json.dumps(printed), case)


def test_what_was_there_before_us_is_said_to_stay_when_it_is_removed() -> None:
    said = {each.subjects: each.sentence for each in dangers(plan_of("destroy-what-was-adopted"))}
    for subject in ("schema nova", "Keystone user nova", "service compute/nova", "endpoint regionOne/compute/nova"):
        assert "was there before us, and stays" in said[subject,]
        assert not re.search("deleted|dropped|goes|no longer", said[subject,])
    # What we have made goes as ever.
    assert "removed" in said["controller",]


@pytest.mark.parametrize(
    ("on_delete", "words"), [("keep", "left as it is"), ("dump", "dumped into"), ("refuse", "`pulumi up` will fail")]
)
def test_the_schema_that_goes_is_said_with_what_happens_to_it(on_delete: str, words: str) -> None:
    found = dangers(edited("destroy", "Database", {"on_delete": on_delete}))
    assert [words in each.sentence for each in found if each.subjects == ("schema nova",)] == [True]


@pytest.mark.parametrize(
    ("before", "after"), [("drop", "dump"), ("dump", "keep"), ("keep", "refuse"), ("drop", "drop")]
)
def test_a_guard_that_is_put_up_is_no_danger(before: str, after: str) -> None:
    printed = json.loads(text_of("guards"))
    (step,) = [each for each in printed["steps"] if each["urn"].endswith("nova-database")]
    step["oldState"]["inputs"]["on_delete"], step["newState"]["inputs"]["on_delete"] = before, after
    step["oldState"].pop("protect")
    printed["steps"] = [step]
    assert dangers(read_plan(json.dumps(printed), "")) == []


def test_protection_alone_is_a_change_and_its_end_a_danger() -> None:
    plan = plan_of("protection")
    # The controller is protected with its packages.
    assert (len(plan.steps), plan.unchanged) == (6, plan_of("nothing").unchanged - 6)
    (danger,) = dangers(plan)
    assert "no longer protected" in danger.sentence
    assert set(danger.subjects) == set(PROTECTED)


def test_protection_that_is_put_up_alone_is_a_change_and_no_danger() -> None:
    printed = json.loads(text_of("protection"))
    for step in printed["steps"]:
        step["oldState"]["protect"], step["newState"]["protect"] = False, step["oldState"].get("protect", False)
    plan = read_plan(json.dumps(printed), "")
    assert len(plan.steps) == 6
    assert dangers(plan) == []


def test_a_replacement_that_somebody_forces_is_a_danger_and_one_row() -> None:
    printed = json.loads(text_of("guards"))
    (step,) = [each for each in printed["steps"] if each["urn"].endswith("nova-database")]
    printed["steps"] = [{**step, "op": op} for op in ("delete-replaced", "replace", "create-replacement")]
    plan = read_plan(json.dumps(printed), "")
    assert [each.sentence for each in dangers(plan)] == ["It is deleted and made anew"]
    assert [row.what for row in rows(plan)] == ["replaced"]


def test_of_the_last_check_only_that_it_is_to_look_again_is_a_row() -> None:
    printed = json.loads(text_of("drift"))
    (step,) = [each for each in printed["steps"] if each["urn"].endswith("nova-check") and each["op"] == "update"]
    for state, again in (("oldState", True), ("newState", False)):
        step[state]["inputs"]["look_again"] = again
    printed["steps"] = [step]
    (row,) = rows(read_plan(json.dumps(printed), ""))
    assert (row.subjects, row.property, row.old, row.new) == (("last check nova-check",), "look_again", True, False)


# ------------------------------------------------------------ one line, and what could not be made


def test_a_plan_without_changes_is_one_line() -> None:
    lines = [line for line in comment(plan_of("nothing"), "staging").splitlines() if line]
    assert lines[:2] == [marker("staging"), "### Preview of `staging`"]
    assert len(lines) == 4
    assert lines[2] == "No changes: 15 resources as they are."


def test_a_preview_says_whether_the_machines_have_been_asked() -> None:
    assert "no machine has been asked" in comment(plan_of("nothing"), "staging")
    assert "The machines have been asked" in comment(plan_of("drift"), "staging")


@pytest.mark.parametrize("case", ["unreachable", "bad-settings"])
def test_a_plan_that_could_not_be_made_does_not_say_what_has_been_asked(case: str) -> None:
    text = comment(plan_of(case), "staging", Circumstances(commit="0123abc"))
    assert "been asked" not in text
    assert "Commit 0123abc." in text


def test_a_machine_that_does_not_answer_is_named_in_a_plan_without_refresh() -> None:
    failed = plan_of("unreachable").errors
    text = comment(
        plan_of("one-option-for-all"), "staging", Circumstances(refresh_failed=failed, drift="compute1 | drifted")
    )
    assert "Not all machines could be asked" in text
    assert "compute2 (ubuntu@192.0.2.32): nobody answers there" in text
    assert "compute1 | drifted" in text
    assert "nova.conf [DEFAULT] debug" in text


def test_a_plan_that_could_not_be_made_says_why_without_the_engines_own_words() -> None:
    text = comment(plan_of("bad-settings"), "staging")
    assert "The preview failed" in text
    assert "nova:regoin: is not a setting; did you mean region?" in text
    assert "unhandled" not in text
    assert "No changes" not in text


def test_a_preview_that_fails_with_and_without_refresh_is_not_about_machines() -> None:
    failed = plan_of("bad-settings")
    text = comment(failed, "staging", Circumstances(refresh_failed=(*failed.errors, "another one")))
    assert "machines could be asked" not in text
    assert text.count(failed.errors[0].splitlines()[0]) == 1
    assert "another one" in text


def test_an_error_that_is_one_very_long_line_is_cut_and_not_left_out() -> None:
    text = comment(Plan((), 0, False, errors=("the ä beginning " + "ä" * 30_000, "another one")), "staging")
    assert "the ä beginning ää" in text
    assert "1 line more; `pulumi preview --stack staging` prints all of it." in text
    assert len(text.encode()) < 6_000


def test_of_many_machines_that_could_not_be_asked_the_rest_is_in_the_drift_report() -> None:
    failed = tuple(f"compute{number}: nobody answers there" for number in range(900))
    text = comment(plan_of("nothing"), "staging", Circumstances(refresh_failed=failed))
    assert "lines more; `python -m nova_infra drift --stack staging` prints all of it." in text


# ------------------------------------------------------------ two plans without a state


def placeholder_plan(named: dict[str, dict[str, str]] | None = None, case: str = "guards", **options: str) -> Plan:
    """As if nothing were there: what a case wants, made. `named` has other inputs by the kind of resource."""
    printed = json.loads(text_of(case))
    for step in printed["steps"]:
        step["op"] = "create"
        step.pop("oldState")
        if other := (named or {}).get(step["newState"]["type"].rpartition(":")[2]):
            step["newState"]["inputs"].update(other)
        if step["urn"].endswith(("compute1", "compute2")):
            step["newState"]["inputs"]["options"]["/etc/nova/nova.conf"]["DEFAULT"].update(options)
    return read_plan(json.dumps(printed), "")


def test_two_plans_without_a_state_differ_in_what_the_change_changes() -> None:
    base, head = placeholder_plan(), placeholder_plan(debug="True")
    assert between(base, base).steps == ()
    found = rows(between(base, head))
    assert [(row.what, row.subjects, row.property, row.new) for row in found] == [
        (CHANGED, ("compute1", "compute2"), "nova.conf [DEFAULT] debug", "True")
    ]
    text = comment(between(base, head), "staging", Circumstances(placeholders=True))
    assert "without secrets and without state" in text


RENAMED = {
    "schema nova2": ({"Database": {"name": "nova2"}}, '`name` is `"nova"` and cannot become `"nova2"`'),
    "Keystone user nova2": ({"KeystoneUser": {"name": "nova2"}}, '`name` is `"nova"` and cannot become `"nova2"`'),
    "endpoint regionTwo/compute/nova": (
        {"Endpoint": {"region": "regionTwo"}},
        '`region` is `"regionOne"` and cannot become `"regionTwo"`',
    ),
}


@pytest.mark.parametrize("subject", RENAMED)
def test_what_the_engine_would_refuse_of_two_plans_without_a_state_is_said_before_all_else(subject: str) -> None:
    named, words = RENAMED[subject]
    base, head = placeholder_plan(case="protection"), placeholder_plan(named, "protection")
    fewer = Plan(tuple(each for each in head.steps if each.name != "nova-controller"), 0, False)
    first, second = dangers(between(base, fewer))
    assert first.subjects == (subject,)
    assert first.sentence.startswith(f"`pulumi up` refuses this: {words}, because ")
    assert "To rename, " in first.sentence
    assert "A controller is removed" in second.sentence


def test_a_node_that_only_one_of_the_two_plans_has_is_made_or_removed() -> None:
    base = placeholder_plan()
    fewer = Plan(tuple(each for each in base.steps if each.name != "nova-compute3"), 0, False)
    assert [row.what for row in rows(between(fewer, base))] == [MADE]
    assert [row.what for row in rows(between(base, fewer))] == [REMOVED]
    assert "compute node is removed" in comment(between(base, fewer), "staging")


def test_of_two_plans_of_which_one_could_not_be_made_only_that_is_said() -> None:
    whole, failed = placeholder_plan(), Plan((), 0, False, errors=("an option is wrong",))
    for plan in (between(failed, whole), between(whole, failed)):
        assert plan.steps == ()
        text = comment(plan, "staging", Circumstances(placeholders=True))
        assert "The plan could not be made." in text
        assert text.count("an option is wrong") == 1


# ------------------------------------------------------------ the page

PAGE = ROOT / "docs" / "pull-requests.md"


def test_the_comment_on_the_page_is_the_real_one() -> None:
    above = (CASES / "guards.md").read_text().partition("<details>")[0].strip()
    before, _, rest = PAGE.read_text().partition("````markdown\n")
    after = rest.partition("\n````\n")[2]
    written = f"{before}````markdown\n{above}\n````\n{after}"
    if os.environ.get("WRITE_CASES"):
        PAGE.write_text(written)
    assert PAGE.read_text() == written, f"{PAGE} shows an older comment: WRITE_CASES=1 writes it anew"


# ------------------------------------------------------------ many nodes


def fleet(case: str, number: int) -> str:
    """A plan in which every step of compute2 is there for so many nodes, and all that the last check says of it."""
    printed = json.loads(text_of(case))
    mine = [step for step in printed["steps"] if re.search(r"compute[245](-packages)?$", step["urn"])]
    others = [step for step in printed["steps"] if not re.search(r"compute\d(-packages)?$", step["urn"])]
    name = re.search(r"compute\d", mine[0]["urn"])
    assert name

    def each(something: Any) -> Iterator[tuple[str, Any]]:
        """It for every node, with the node's name and addresses."""
        text = json.dumps(something)
        for index in range(1, number + 1):
            node = f"node{index:03d}"
            address = f"198.51.{index // 250}.{index % 250}9"
            yield node, json.loads(text.replace(name[0], node).replace("192.0.2.3", address))

    for check in others:
        for state in ("oldState", "newState") if check["urn"].endswith("-check") else ():
            inputs = check.get(state, {}).get("inputs", {}).values()
            for of_nodes in [value for value in inputs if isinstance(value, dict)]:
                more = dict(each(of_nodes[name[0]])) if name[0] in of_nodes else {}
                for one in [key for key in of_nodes if re.fullmatch(r"compute\d", key)]:
                    del of_nodes[one]
                of_nodes.update(more)
    return json.dumps({**printed, "steps": [*others, *(step for _, steps in each(mine[:2]) for step in steps)]})


@pytest.mark.parametrize("case", ["one-option-for-all", "guards", "nodes", "packages", "destroy"])
def test_five_hundred_nodes_stay_below_githubs_limit_and_are_one_range(case: str) -> None:
    text = comment(read_plan(fleet(case, 500), case), "production")
    assert len(text) < len(text.encode()) + 1 <= LIMIT
    assert "node[001-500]" in text
    # As short as with three, and nothing is cut.
    assert len(text) < 1.5 * len(comment(plan_of(case), "production"))
    assert "prints all of it" not in text


def test_of_the_last_check_the_same_of_several_nodes_is_one_line_also_in_the_full_text() -> None:
    lines = [line for line in comment(plan_of("one-option-for-all"), "staging").splitlines() if "restarts /" in line]
    assert [line.partition(":")[0].split() for line in lines] == [
        [sign, "restarts", "/", "compute[1-3],", "controller"] for sign in "-+"
    ]


def test_five_hundred_nodes_with_a_value_each_are_counted() -> None:
    printed = json.loads(fleet("an-option-of-a-node", 500))
    for number, step in enumerate(printed["steps"]):
        if "node" in step["urn"]:
            step["newState"]["inputs"]["options"]["/etc/nova/nova.conf"]["libvirt"]["cpu_mode"] = f"mode {number}"
    text = comment(read_plan(json.dumps(printed), ""), "production")
    assert len(text.encode()) <= LIMIT
    assert "500 different values" in text


def test_a_plan_that_does_not_fit_is_cut_with_a_sentence_and_stays_markdown() -> None:
    printed = json.loads(text_of("an-option-of-a-node"))
    (step,) = [each for each in printed["steps"] if each["urn"].endswith("compute2")]
    options = step["newState"]["inputs"]["options"]["/etc/nova/nova.conf"]
    options["many"] = {f"option_{number}": "x" * 200 for number in range(3000)}
    text = comment(read_plan(json.dumps(printed), ""), "production", Circumstances(drift="line\n" * 9000))
    assert len(text.encode()) <= LIMIT
    assert len(re.findall(r"more; `pulumi preview --diff` prints all of it", text)) == 2
    assert len(re.findall(r"more; `python -m nova_infra drift --stack production` prints all of it", text)) == 1
    assert text.count("<details>") == text.count("</details>") == 2
    assert len(re.findall(r"^```", text, re.MULTILINE)) == 4


# ------------------------------------------------------------ never a secret, and nothing but text

PLACES = st.sampled_from(["options", "outputs", "hosts", "connection", "access:x", "description"])
HIDDEN = st.text(alphabet="ABCDEFGHJKLMNPQRSTUVWXYZ", min_size=12, max_size=20).map(lambda text: f"Hidden-{text}")


@settings(max_examples=300, deadline=None)
@given(case=st.sampled_from(sorted(PLANS)), secret=HIDDEN, where=st.integers(0, 10_000), form=st.integers(0, 3))
def test_no_secret_reaches_the_comment_neither_its_value_nor_its_ciphertext(
    case: str, secret: str, where: int, form: int
) -> None:
    printed = json.loads(text_of(case))
    envelope = {SIGNATURE: A_SECRET, ["plaintext", "ciphertext", "value"][form % 3]: f'"{secret}"'}
    leaves = [place for step in printed["steps"] for place in leaves_of(step)]
    if leaves:
        container, key = leaves[where % len(leaves)]
        container[key] = envelope if form else [envelope, {"deep": envelope}]
    assert secret not in comment(read_plan(json.dumps(printed), case), "staging")


def leaves_of(step: dict[str, Any]) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        for key, each in value.items():
            found.append((value, key))
            if isinstance(each, dict):
                walk(each)

    for state in ("oldState", "newState"):
        walk(step.get(state, {}).get("inputs") or {})
    return found


@pytest.mark.parametrize(
    "path",
    [
        ("options", "/etc/nova/nova.conf", "DEFAULT", "rabbit_password"),
        ("options", "/etc/nova/nova.conf", "database", "connection"),
        ("access:ssh_private_key",),
        ("access:identity_password",),
        ("hosts", "%", "password"),
        ("password",),
    ],
)
def test_what_has_the_name_of_a_secret_is_hidden_also_when_the_engine_was_told_to_show_it(
    path: tuple[str, ...],
) -> None:
    value: Any = "Shown-by-mistake"
    for key in reversed(path):
        value = {key: value}
    printed = json.loads(text_of("nodes"))
    for step in printed["steps"]:
        if step["op"] == "create":
            step["newState"]["inputs"] = value
    text = comment(read_plan(json.dumps(printed), ""), "staging")
    assert "Shown-by-mistake" not in text
    assert MASK in text


def test_an_option_that_the_stack_hides_is_hidden() -> None:
    printed = json.loads(text_of("an-option-of-a-node"))
    for step in printed["steps"]:
        if step["urn"].endswith("compute2"):
            step["newState"]["inputs"]["hidden"] = [["/etc/nova/nova.conf", "libvirt", "cpu_mode"]]
    text = comment(read_plan(json.dumps(printed), ""), "staging")
    assert "cpu_mode" in text
    assert "host-passthrough" not in text


HOSTILE = [
    "@everybody",
    "<script>",
    "a|b",
    "``` \n# x",
    "[x](http://192.0.2.1)",
    "</details>",
    "<!-- nova-infra: preview of x -->",
    "\x1b[2J",
    "`",
]


@settings(max_examples=200, deadline=None)
@given(text=st.one_of(st.sampled_from(HOSTILE), st.text(max_size=40)))
def test_a_value_arrives_as_text_in_code(text: str) -> None:
    made = code(text)
    assert "\n" not in made
    if text:
        ticks = re.match(r"`+", made)
        assert ticks
        inside = made[len(ticks[0]) : -len(ticks[0])]
        # Nothing inside ends the code, and no bar ends the cell.
        assert ticks[0] not in re.findall(r"`+", inside)
        assert not re.search(r"(?<!\\)\|", inside)


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_description_changes_nothing_around_it(value: str) -> None:
    def with_description(description: str) -> str:
        plan = edited("catalog-and-grants", "Service", {"description": description}, "newState")
        return comment(plan, "staging")

    # Outside of code nothing of it is left.
    outside = re.compile(r"^(`{3,}).*?^\1$|(`+)(?!`).*?(?<!`)\2(?!`)", re.MULTILINE | re.DOTALL)
    assert outside.sub("", with_description(value)) == outside.sub("", with_description("harmless"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(case=st.sampled_from(sorted(PLANS)), value=JSON, where=st.integers(0, 10_000))
def test_any_plan_is_a_comment_or_is_refused(case: str, value: Any, where: int) -> None:
    printed = json.loads(text_of(case))
    places = [(step, key) for step in printed["steps"] for key in step]
    places += [place for step in printed["steps"] for place in leaves_of(step)] + [(printed, key) for key in printed]
    container, key = places[where % len(places)]
    container[key] = value
    try:
        text = comment(read_plan(json.dumps(printed), "a file"), "staging")
    except PlanUnreadable:
        return
    assert len(text.encode()) <= LIMIT


# ------------------------------------------------------------ the command


def test_the_command_prints_the_comment(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["comment", "--environment", "staging", str(CASES / "guards.json")]) == 0
    assert capsys.readouterr().out == comment(plan_of("guards"), "staging")


@pytest.mark.usefixtures("nothing_collected")
@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", "pulumi", '{"steps": [1]}', '{"steps": [{"op": "create"}]}', "[" * 99999]
)
def test_a_file_that_is_no_plan_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    file = tmp_path / "plan.json"
    file.write_text(text)
    assert main(["comment", "--environment", "staging", str(file)]) == REFUSED
    assert_printed("a file that is no plan", capsys.readouterr().err)


def test_a_file_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["comment", "--environment", "staging", "/nowhere/plan.json"]) == REFUSED
    assert_printed("no such plan", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("option", "value"), [("--environment", "a -->"), ("--link", "javascript:alert(1)"), ("--commit", "HEAD")]
)
def test_what_would_break_the_comment_is_refused(capsys: pytest.CaptureFixture[str], option: str, value: str) -> None:
    words = ["comment", "--environment", "staging", str(CASES / "nothing.json"), option, value]
    assert main(words) == REFUSED
    assert option in capsys.readouterr().err


def test_what_pulumi_said_is_in_the_comment_when_it_printed_no_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, said = tmp_path / "plan.json", tmp_path / "said.log"
    plan.write_text("")
    said.write_text("error: no stack named 'staging' found\n")
    assert main(["comment", "--environment", "staging", "--said", str(said), str(plan)]) == 0
    out = capsys.readouterr().out
    assert "The plan could not be made." in out
    assert "no stack named 'staging' found" in out


def test_the_command_compares_two_plans_and_names_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    file = str(CASES / "nodes.json")
    named = ["--link", "https://example.org/1", "--commit", "0123abc"]
    assert main(["comment", "--environment", "x", "--base", file, *named, file]) == 0
    out = capsys.readouterr().out
    assert "No changes" in out
    assert "Commit 0123abc. [The run](https://example.org/1)" in out
