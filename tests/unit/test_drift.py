"""The drift report: what differs, how it is shown, and that no secret and no markup of a machine gets into it."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pulumi import dynamic

from nova_infra.commands import drift as command
from nova_infra.commands.state import Managed, secrets_of
from nova_infra.drift import asking
from nova_infra.drift.comparison import Difference, differences
from nova_infra.drift.page import as_page
from nova_infra.drift.report import DRIFTED, GONE, IN_ORDER, UNREACHABLE, Observed, Report, as_json, summary
from nova_infra.drift.text import as_text
from nova_infra.errors import ComputeError, ConnectionFailed, DatabaseError, IdentityError, ReportUnwritable
from nova_infra.resources.lifecycle import Lifecycle
from nova_infra.wording import counted
from tests import reports
from tests.nodes import ROOT

from . import servers

NOVA_CONF = "/etc/nova/nova.conf"
PREFIX = "urn:pulumi:production::nova::nova:index:NovaDeployment$"
CONNECTION = {"host": "192.0.2.31", "port": 22, "user": "ubuntu", "host_key": ""}
HOSTILE = "</td><script>alert(1)</script>\"'&{{ 7*7 }}\u202e\x1b[31m"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=10,
)
STATES = st.dictionaries(st.text(max_size=6), JSON, max_size=4)


def shown(recorded: dict[str, Any], found: dict[str, Any], **more: Any) -> list[str]:
    return [str(each) for each in differences(recorded, found, **more)]


# ------------------------------------------------------------ what differs


def options(**values: Any) -> dict[str, Any]:
    return {"options": {NOVA_CONF: {"DEFAULT": values}}}


def test_a_changed_option_is_named_by_its_path_with_both_values() -> None:
    said = shown(options(verbose="True", debug="False"), options(verbose="False", debug="False"))
    assert said == [f'options["{NOVA_CONF}"].DEFAULT.verbose: "True" => "False"']


def test_what_is_only_on_one_side_is_nothing_on_the_other() -> None:
    (added,) = differences(options(a="1"), options(a="1", b="2"))
    (removed,) = differences(options(a="1", b="2"), options(a="1"))
    assert (added.change, added.recorded, added.found) == ("added", "nothing", '"2"')
    assert (removed.change, removed.recorded, removed.found) == ("removed", '"2"', "nothing")


def test_a_section_that_came_or_went_is_named_option_by_option() -> None:
    before, after = {"options": {NOVA_CONF: {}}}, {"options": {NOVA_CONF: {"glance": {"host": "x", "port": "1"}}}}
    ways = [f'options["{NOVA_CONF}"].glance.{name}' for name in ("host", "port")]
    assert [each.path for each in differences(before, after)] == ways
    assert [each.path for each in differences(after, before)] == ways


def test_an_empty_section_and_none_are_different() -> None:
    assert shown({"options": {"a": {}}}, {"options": {}}) == ["options.a: {} => nothing"]


def test_a_list_is_one_value() -> None:
    assert shown({"roles": ["admin", "member"]}, {"roles": ["member"]}) == ['roles: ["admin", "member"] => ["member"]']


def test_a_secret_is_only_said_to_differ() -> None:
    before, after = {"hosts": {"%": {"password": "PW-ONE", "ok": 1}}}, {"hosts": {"%": {"password": "PW-TWO", "ok": 2}}}
    found = differences(before, after, hidden=[("hosts", "%", "password")])
    assert [str(each) for each in found] == ['hosts["%"].ok: 1 => 2', 'hosts["%"].password: [secret] => [secret]']
    assert [each.secret for each in found] == [False, True]


@pytest.mark.parametrize("way", [("options",), ("options", NOVA_CONF), ("options", NOVA_CONF, "DEFAULT", "x", 0)])
def test_what_holds_a_secret_or_is_in_one_is_not_shown(way: tuple[str | int, ...]) -> None:
    text = str(differences(options(x=["PW-ONE"]), options(x=["PW-TWO"]), hidden=[way]))
    assert "PW-" not in text


def test_an_option_that_is_called_a_password_is_not_shown_though_the_stack_has_it_in_plain() -> None:
    (said,) = shown(options(metadata_proxy_shared_secret="PW-ONE"), options(metadata_proxy_shared_secret="PW-TWO"))
    assert said.endswith("metadata_proxy_shared_secret: [secret] => [secret]")


def test_whether_a_password_works_is_no_secret() -> None:
    assert shown({"password_works": True}, {"password_works": False}) == ["password_works: true => false"]


def test_a_secret_that_somebody_wrote_elsewhere_is_masked_there() -> None:
    (said,) = shown(options(rabbit_host="controller"), options(rabbit_host="PW-ONE"), secrets=["PW-ONE"])
    assert said.endswith('rabbit_host: "controller" => "[secret]"')


@given(STATES)
def test_nothing_differs_from_itself(state: dict[str, Any]) -> None:
    assert differences(state, state) == ()


@given(STATES, STATES)
def test_two_states_differ_when_anything_is_said_and_each_difference_is_turned_around(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    there, back = differences(one, other), differences(other, one)
    assert bool(there) == (one != other)
    assert [(each.path, each.recorded, each.found) for each in there] == [
        (each.path, each.found, each.recorded) for each in back
    ]


@given(STATES, STATES)
def test_every_difference_is_a_line_that_no_terminal_obeys(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert all(str(each).isprintable() for each in differences(one, other))


# ------------------------------------------------------------ what is asked


class Machine:
    """A machine or server that answers, or does not."""

    def __init__(self, refuses: str = "") -> None:
        self.refuses = refuses
        self.asked = 0

    def open(self, _seconds: float) -> None:
        self.asked += 1
        if self.refuses:
            raise ConnectionFailed(self.refuses)


class Reached:
    """The access of a provider."""

    def __init__(self, **machines: Machine) -> None:
        self.machines = machines

    def node(self, name: str, _connection: Any) -> Machine:
        return self.machines[name]

    @property
    def controller(self) -> Machine | None:
        return self.machines.get("controller")

    def secrets(self) -> list[str]:
        return ["PW-SSH"]


def managed(kind: str, name: str, access: Any, secrets: Any = (), **state: Any) -> Managed:
    return Managed(
        urn=f"{PREFIX}pulumi-python:dynamic/nova:{kind}::{name}",
        name=name,
        type=f"pulumi-python:dynamic/nova:{kind}",
        id=name,
        inputs={"__provider": "code", **state},
        outputs={"__provider": "code", **state, "state_schema": 2, "remarks": []},
        secrets=frozenset(secrets),
        access=access,
    )


def node(name: str, access: Any, kind: str = "ComputeNode", **state: Any) -> Managed:
    return managed(kind, name, access, node=name, connection=CONNECTION, **state)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Name of a resource -> what its `read` says: changed inputs, None for gone, or an error. Others are in order."""
    said: dict[str, Any] = {}

    def read(self: Lifecycle, id_: str, props: dict[str, Any]) -> dynamic.ReadResult:
        answer = said.get(id_, {})
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            return dynamic.ReadResult("", {})
        print(f"{id_}: a line for the engine's screen")
        inputs = {key: value for key, value in props.items() if key not in ("__provider", "state_schema", "remarks")}
        remarks = answer.pop("remarks", [])
        return dynamic.ReadResult(id_, {**props, **answer, "remarks": remarks}, {**inputs, **answer})

    monkeypatch.setattr(Lifecycle, "read", read)
    return said


def asked(*resources: Managed) -> Report:
    return asking.ask(resources, lambda _text: None)


def statuses(report: Report) -> dict[str, str]:
    return {each.name: each.status for each in report.resources}


def test_each_resource_is_in_order_drifted_gone_or_not_reachable(answers: dict[str, Any]) -> None:
    access = Reached(controller=Machine(), compute1=Machine(), compute2=Machine("compute2: nobody answers"))
    answers.update(database={"charset": "latin1"}, user=None, endpoint=IdentityError("Keystone refuses"))
    report = asked(
        managed("Database", "database", access, charset="utf8"),
        managed("KeystoneUser", "user", access),
        managed("Endpoint", "endpoint", access),
        node("compute1", access),
        node("compute2", access),
    )
    assert statuses(report) == {
        "database": DRIFTED,
        "user": GONE,
        "endpoint": UNREACHABLE,
        "compute1": IN_ORDER,
        "compute2": UNREACHABLE,
    }
    assert [str(each) for each in report.resources[0].differences] == ['charset: "utf8" => "latin1"']
    assert [each.sentence for each in report.of(UNREACHABLE)] == ["Keystone refuses", "compute2: nobody answers"]
    assert report.stack == "nova/production"
    assert [(each.name, each.role) for each in report.places] == [
        ("MariaDB", "server"),
        ("Keystone", "server"),
        ("compute1", "compute"),
        ("compute2", "compute"),
    ]


def test_a_last_check_that_nova_does_not_answer_is_not_reachable() -> None:
    reached = servers.Reached()

    def fail() -> Any:
        raise ComputeError("The compute API in region PW-ONE does not answer.")

    reached.compute.services = fail  # type: ignore[method-assign]
    reached.secrets = lambda: ["PW-ONE"]  # type: ignore[method-assign]
    check = managed("ServiceCheck", "check", reached, services={"compute1": ["nova-compute"]}, restarts={}, awaits={})
    report = asked(check)
    assert [each.sentence for each in report.of(UNREACHABLE)] == ["The compute API in region [secret] does not answer."]
    assert report.remarks == []
    assert command.code(report) == command.UNKNOWN


def test_a_last_check_that_nova_answers_is_in_order() -> None:
    reached = servers.Reached()
    reached.compute.images = list  # type: ignore[attr-defined]
    check = managed("ServiceCheck", "check", reached, services={"compute1": ["nova-compute"]}, restarts={}, awaits={})
    assert statuses(asked(check)) == {"check": IN_ORDER}


def test_an_error_of_our_own_is_said_of_its_resource_and_hides_no_other(answers: dict[str, Any]) -> None:
    access = Reached(controller=Machine(), compute1=Machine())
    answers.update(database=RecursionError("too deep:\nPW-SSH"), user=KeyError("roles"), endpoint=AssertionError())
    report = asked(
        managed("Database", "database", access),
        managed("KeystoneUser", "user", access),
        managed("Endpoint", "endpoint", access),
        node("compute1", access),
        replace(node("compute2", access), inputs={"node": "compute2", "connection": {}}),
    )
    ours = "This is an error of nova-infra: report it, with the version."
    assert {each.name: each.sentence for each in report.of(UNREACHABLE)} == {
        "database": f"RecursionError while it was asked: too deep: [secret]. {ours}",
        "user": f"KeyError while it was asked: 'roles'. {ours}",
        "endpoint": f"AssertionError while it was asked. {ours}",
        "compute2": f"KeyError while it was asked: 'compute2'. {ours}",
    }
    assert statuses(report)["compute1"] == IN_ORDER
    assert command.code(report) == command.UNKNOWN


def test_resources_of_one_name_and_different_types_are_told_apart(answers: dict[str, Any]) -> None:
    access = Reached(controller=Machine(), nova=Machine())
    resources = [managed("Service", "nova", access, a=1), replace(node("nova", access), id="gone")]
    answers["gone"] = None
    assert [(each.kind, each.status) for each in asked(*resources).resources] == [
        ("Service", IN_ORDER),
        ("ComputeNode", GONE),
    ]


def test_what_is_not_reachable_is_never_answered_from_the_state(answers: dict[str, Any]) -> None:
    report = asked(managed("Service", "service", Reached(controller=Machine("controller: nobody answers"))))
    assert statuses(report) == {"service": UNREACHABLE}
    assert report.resources[0].differences == ()


def test_nobody_waits_twice_for_a_machine_that_does_not_answer(answers: dict[str, Any]) -> None:
    silent = Machine("nobody answers")
    access = Reached(compute1=silent)
    report = asked(_packages("compute1", access), node("compute1", access))
    assert set(statuses(report).values()) == {UNREACHABLE}
    assert silent.asked == 1


def _packages(name: str, access: Any) -> Managed:
    return managed("NodePackages", f"{name}-packages", access, node=name, connection=CONNECTION)


def test_a_server_that_is_reached_directly_needs_no_machine(answers: dict[str, Any]) -> None:
    assert statuses(asked(managed("Service", "service", Reached()))) == {"service": IN_ORDER}


def test_one_that_does_not_answer_holds_up_no_other(answers: dict[str, Any]) -> None:
    both = threading.Barrier(2, timeout=10)

    class Waits(Machine):
        def open(self, _seconds: float) -> None:
            both.wait()

    access = Reached(compute1=Waits(), compute2=Waits())
    assert set(statuses(asked(node("compute1", access), node("compute2", access))).values()) == {IN_ORDER}


def test_what_a_lifecycle_prints_does_not_get_into_the_report(
    answers: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    asked(node("compute1", Reached(compute1=Machine())))
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "a line for the engine's screen" in printed.err


@pytest.mark.parametrize(
    ("database", "more", "status"),
    [
        (DatabaseError("MariaDB does not answer"), {}, IN_ORDER),
        (DatabaseError("MariaDB does not answer"), {"absent": []}, DRIFTED),
        ({}, {}, DRIFTED),
    ],
)
def test_a_schema_of_which_nobody_could_say_the_version_is_no_drift_while_mariadb_is_not_reachable(
    answers: dict[str, Any], database: Any, more: dict[str, Any], status: str
) -> None:
    access = Reached(controller=Machine())
    answers.update(database=database, controller={"schema": "not known", **more})
    report = asked(
        managed("Database", "database", access),
        node("controller", access, "ControllerNode", schema="current", absent=["/var/lib/nova/nova.sqlite"]),
    )
    controller = report.resources[1]
    assert controller.status == status
    assert ("schema" in [each.path for each in controller.differences]) == (not controller.remarks)
    assert all("MariaDB could not be asked" in each for each in controller.remarks)


def test_remarks_are_no_drift(answers: dict[str, Any]) -> None:
    answers["compute1"] = {"remarks": ["compute1 is disabled by an operator: PW-SSH."]}
    report = asked(node("compute1", Reached(compute1=Machine())))
    assert statuses(report) == {"compute1": IN_ORDER}
    assert report.remarks == [("compute1", "compute1 is disabled by an operator: [secret].")]


@settings(max_examples=40, deadline=None)
@given(STATES, st.lists(st.text(max_size=6), min_size=1, max_size=3))
def test_no_secret_of_the_state_gets_into_any_form_of_the_report(state: dict[str, Any], way: list[str]) -> None:
    # The stack's own secrets, and new ones that somebody has written in their places.
    recorded = {**state, "options": dict.fromkeys(way, "PW-OLD"), "host": "controller"}
    found = {**state, "options": dict.fromkeys(way, "PW-NEW"), "host": "PW-OLD", "more": {"PW-OLD": ["PW-OLD"]}}
    resource = managed("Database", "database", Reached(), secrets=[("options", key) for key in way], **recorded)
    secrets = secrets_of([resource])
    assert secrets == {"PW-OLD", "PW-SSH"}
    seen = Observed(
        "database",
        "Database",
        "MariaDB",
        DRIFTED,
        differences(recorded, found, hidden=resource.secrets, secrets=secrets),
    )
    report = reports.report(seen)
    for text in (as_text(report), json.dumps(as_json(report)), as_page(report), repr(report)):
        assert "PW-" not in text


# ------------------------------------------------------------ how it is shown


def test_the_table_names_each_resource_and_each_difference() -> None:
    text = " ".join(re.sub(r"[|+-]{2,}|\|", " ", as_text(reports.small())).split())
    for name in ("nova-database", "nova-controller", "nova-compute1", "nova-check"):
        assert name in text
    for difference in (reports.VERBOSE, reports.PASSWORD, reports.STOPPED, reports.GRANTS, reports.MY_IP):
        assert str(difference) in text
    assert "no answer within 20 s" in text
    assert "Note: nova-user: nova has the role auditor" in text


def test_the_last_line_says_how_many_are_in_which_state() -> None:
    line = as_text(reports.small()).splitlines()[-1]
    assert line == (
        "10 resources: 4 in order, 3 drifted, 1 gone, 2 not reachable; 1 note. What is not reachable may have drifted too."
    )
    assert summary(reports.report(*reports.compute("compute1"))) == "No drift: 2 resources in order."


def test_of_many_that_are_alike_the_table_has_one_line_and_names_all_that_have_drifted() -> None:
    names = [f"compute{number:02}" for number in (*range(1, 21), 30, 40)]
    drifted = reports.report(*(each for name in names for each in reports.compute(name, DRIFTED, reports.VERBOSE)))
    text = as_text(drifted)
    assert text.count(reports.VERBOSE.path) == 1
    # A name may be broken at its hyphen.
    column = "".join(line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|"))
    assert "nova-compute[01-20],nova-compute30,nova-compute40" in column.replace(" ", "")
    # Their packages are in order.
    assert "nova-compute[01-20]-packages" in column


def test_of_many_in_order_the_table_names_some() -> None:
    names = [f"{letter}-node" for letter in "abcdefghij"]
    text = as_text(reports.report(*(each for name in names for each in reports.compute(name))))
    assert "and 4 more" in " ".join(re.sub(r"[|+-]{2,}|\|", " ", text).split())


def test_the_json_has_the_documented_shape() -> None:
    said = json.loads(json.dumps(as_json(reports.small())))
    assert {key: said[key] for key in ("schema", "stack", "moment", "counts")} == {
        "schema": 1,
        "stack": "nova/production",
        "moment": "2014-11-22T02:30:00Z",
        "counts": {"in order": 4, "drifted": 3, "gone": 1, "not reachable": 2},
    }
    by_name = {each["name"]: each for each in said["resources"]}
    assert by_name["nova-compute1"]["differences"] == [
        {"path": reports.DEBUG.path, "change": "added", "recorded": None, "found": '"not in the stack (0a1b2c3d4e5f)"', "secret": False},
        {"path": reports.MY_IP.path, "change": "removed", "recorded": '"192.0.2.31"', "found": None, "secret": False},
    ]  # fmt: skip
    secret = by_name["nova-controller"]["differences"][0]
    assert (secret["secret"], secret["recorded"], secret["found"]) == (True, None, None)
    assert by_name["nova-compute2"]["reason"] == reports.NO_ANSWER
    assert by_name["nova-user"]["remarks"] == ["nova has the role auditor in service too."]
    assert set(by_name["nova-user"]) == {"name", "kind", "place", "status", "differences", "reason", "remarks"}


def test_the_json_in_the_documentation_has_the_keys_that_are_printed() -> None:
    block = (ROOT / "docs" / "operations.md").read_text().partition("```json\n")[2].partition("```")[0]
    documented, printed = json.loads(block), as_json(reports.small())

    def keys(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: keys(each) for key, each in value.items()}
        return [keys(each) for each in value][:1] if isinstance(value, list) else None

    with_differences = next(each for each in printed["resources"] if each["differences"])  # type: ignore[attr-defined]
    assert keys(documented) == keys({**printed, "resources": [with_differences]})


# ------------------------------------------------------------ the page


class Page(HTMLParser):
    """What a browser makes of the page: elements with their attributes, and the text of each article and tile."""

    VOID = frozenset({"meta", "link", "path", "circle", "use", "wbr"})

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.goes_on = False
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        # A place where a line may be broken is none where a text ends.
        self.goes_on = tag == "wbr"
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if data.strip() and "style" not in self.open:
            before = self.texts.pop() if self.goes_on else ""
            self.texts.append(before + " ".join(data.split()))
            self.goes_on = False

    def all(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        found = [attrs for name, attrs in self.elements if name == tag]
        return [
            each for each in found if all(value in (each.get(key) or "").split() for key, value in attributes.items())
        ]


def page(report: Report) -> Page:
    parsed = Page(as_page(report))
    assert parsed.open == []
    return parsed


def test_the_page_has_a_tile_for_each_place_and_an_article_for_each_finding() -> None:
    seen = page(reports.small())
    tiles = [each["class"] for each in seen.all("li", **{"class": "tile"})]
    assert sorted(str(each) for each in tiles) == sorted(
        ["tile drifted", "tile drifted", "tile in-order", "tile drifted", "tile drifted", "tile not-reachable"]
    )
    assert [str(each["class"]) for each in seen.all("article")] == [
        "finding not-reachable",
        "finding gone",
        "finding drifted",
        "finding drifted",
        "finding drifted",
    ]
    assert seen.texts.count("nova/production") == 0
    assert "Drift of nova/production" in seen.texts
    assert "2014-11-22 02:30 UTC" in seen.texts


def test_what_has_drifted_is_said_in_words_and_by_a_drawing_not_by_colour_alone() -> None:
    seen = page(reports.small())
    for status in (IN_ORDER, DRIFTED, GONE, UNREACHABLE):
        drawing = f"#{status.replace(' ', '-')}"
        marks = [each for each in seen.all("use") if each["href"] == drawing]
        assert len(marks) >= 1
        assert seen.texts.count(status) >= len(marks)
        assert seen.all("symbol", id=drawing[1:])


def test_every_node_and_every_drifted_property_is_in_the_page_as_text() -> None:
    for report in (reports.small(), reports.fleet()):
        seen = page(report)
        for place in report.places:
            assert place.name in seen.texts
        for resource in report.resources:
            for difference in resource.differences:
                assert {difference.path, difference.recorded, difference.found} <= set(seen.texts)
        assert all(remark in " ".join(seen.texts) for _, remark in report.remarks)


@pytest.mark.parametrize(
    ("recorded", "found", "marked"),
    [
        ({"services": {"nova-cert": {"running": True}}}, {"services": {"nova-cert": {"running": False}}}, ["nova-cert"]),
        ({"reporting": ["nova-cert", "nova-compute"]}, {"reporting": ["nova-cert", "nova-compute (no record)"]}, ["nova-compute"]),
        # A refresh that was stored has taken it into the state, and somebody has put it back.
        ({"reporting": ["nova-cert (no record)"]}, {"reporting": ["nova-cert"]}, ["nova-cert"]),
        ({"reporting": ["nova-cert", "nova-compute"]}, {"reporting": []}, ["nova-cert", "nova-compute"]),
        ({"scheduling": "enabled"}, {"scheduling": "disabled"}, ["nova-compute"]),
        ({}, {"being_removed": True}, ["nova-compute"]),
        ({"absent": []}, {"absent": ["/var/lib/nova/nova.sqlite (is there)"]}, []),
    ],
)  # fmt: skip
def test_on_the_map_a_service_has_drifted_when_it_or_what_nova_says_of_it_has(
    recorded: dict[str, Any], found: dict[str, Any], marked: list[str]
) -> None:
    services = ("nova-cert", "nova-compute", "nova-scheduler")
    seen = Observed(
        "nova-compute1", "ComputeNode", "compute1", DRIFTED, differences(recorded, found), services=services
    )
    shown = page(reports.report(seen))
    for name in services:
        following = shown.texts[shown.texts.index(name) + 1]
        assert (following == DRIFTED) == (name in marked), name


def test_a_tile_leads_to_the_finding_about_it() -> None:
    seen = page(reports.small())
    links = {str(each["href"]) for each in seen.all("a")}
    assert links == {f"#finding-{number}" for number in (1, 2, 3, 4, 5)}
    assert {f"#{each['id']}" for each in seen.all("article")} == links


def test_the_page_asks_nobody_for_anything_and_runs_nothing() -> None:
    source = as_page(reports.small())
    seen = Page(source)
    assert "default-src 'none'" in source
    assert not seen.all("script")
    for tag, attributes in seen.elements:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "xlink:href", "action", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith("#") or value == "data:,", (tag, value)
    assert not re.search(r"url\(|@import|https?:", source)


def test_a_fleet_is_grouped_problems_first() -> None:
    report = reports.fleet()
    seen = page(report)
    assert "100 nodes: 3 drifted, 97 in order" in seen.texts
    at = {name: seen.texts.index(name) for name in ("compute007", "compute042", "compute077", "compute001")}
    assert max(at["compute007"], at["compute042"], at["compute077"]) < at["compute001"]
    assert "nova-compute007, nova-compute042" in seen.texts


def hostile() -> Report:
    values = Difference(HOSTILE, "changed", HOSTILE, HOSTILE)
    seen = Observed(HOSTILE, HOSTILE, HOSTILE, DRIFTED, (values,), remarks=(HOSTILE,), services=(HOSTILE,))
    silent = Observed("x", "ComputeNode", HOSTILE, UNREACHABLE, sentence=HOSTILE)
    return replace(reports.report(seen, silent, places=(reports.Place(HOSTILE, "compute"),)), stack=HOSTILE)


def test_values_of_machines_are_text_in_the_page_and_never_markup() -> None:
    source = as_page(hostile())
    harmless = page(reports.small())
    seen = Page(source)
    assert seen.open == []
    assert "<script" not in source
    assert {tag for tag, _ in seen.elements} <= {tag for tag, _ in harmless.elements}
    assert "{{ 7*7 }}" in source
    assert seen.texts.count(" ".join(HOSTILE.split())) >= 5


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=20), st.text(max_size=20))
def test_any_value_that_differs_gives_a_page_that_is_well_formed(name: str, value: str) -> None:
    found = differences({"options": {name: "x"}}, {"options": {name: value + "y"}})
    seen = page(reports.report(Observed("nova-x", "Database", "MariaDB", DRIFTED, found)))
    assert all(text.isprintable() for text in seen.texts)


# ------------------------------------------------------------ the command


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        ([IN_ORDER], 0),
        ([IN_ORDER, DRIFTED], 2),
        ([GONE], 2),
        ([UNREACHABLE, IN_ORDER], 3),
        ([DRIFTED, UNREACHABLE, GONE], 3),
    ],
)
def test_the_exit_code_tells_drift_from_what_is_not_reachable(seen: list[str], code: int) -> None:
    made = reports.report(*(Observed(f"r{number}", "Service", "Keystone", each) for number, each in enumerate(seen)))
    assert command.code(made) == code


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    from nova_infra.__main__ import main

    monkeypatch.setattr(command, "managed", lambda _stack: [managed("Service", "service", Reached(), description="a")])
    return main(["drift", *words])


def test_json_and_a_page_can_be_had_at_once(
    answers: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    answers["service"] = {"description": "b"}
    assert run(monkeypatch, "--json", "--html", str(tmp_path / "drift.html")) == 2
    assert json.loads(capsys.readouterr().out)["counts"]["drifted"] == 1
    assert "&#34;b&#34;" in (tmp_path / "drift.html").read_text()


@pytest.mark.parametrize("where", ["", "none/drift.html"])
def test_a_page_that_cannot_be_written_is_refused_before_anybody_is_asked(
    answers: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    where: str,
) -> None:
    answers["service"] = AssertionError("asked")
    assert run(monkeypatch, "--html", f"{tmp_path}/{where}") == 1
    assert "The report cannot be written to" in capsys.readouterr().err


def test_a_page_that_nobody_may_write_is_said() -> None:
    with pytest.raises(ReportUnwritable, match="/proc/version"):
        command.write(Path("/proc/version"), "x")


def test_a_wrong_option_is_not_taken_for_drift(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, "--hmtl", "x")
    assert ended.value.code == 1
    assert "unrecognized arguments: --hmtl" in capsys.readouterr().err


def test_a_stack_without_resources_is_in_order(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "managed", lambda _stack: [])
    from nova_infra.__main__ import main

    assert main(["drift"]) == 0
    assert "has no resources" in capsys.readouterr().out


def test_a_report_of_a_stack_without_resources_is_json_and_a_page_all_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(command, "managed", lambda _stack: [])
    from nova_infra.__main__ import main

    assert main(["drift", "--stack", "mine", "--json", "--html", str(tmp_path / "drift.html")]) == 0
    assert json.loads(capsys.readouterr().out)["resources"] == []
    assert "0 resources" in " ".join(Page((tmp_path / "drift.html").read_text()).texts)


def test_the_help_says_what_each_code_means(capsys: pytest.CaptureFixture[str]) -> None:
    from nova_infra.__main__ import main

    with pytest.raises(SystemExit):
        main(["drift", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert all(f"with {code} when" in said for code in (0, 2, 3, 1))


def test_numbers_of_things_are_written_as_people_do() -> None:
    assert [counted(number, "node") for number in (0, 1, 2)] == ["0 nodes", "1 node", "2 nodes"]
