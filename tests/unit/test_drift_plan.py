"""The tests of drift read a plan right: a wrong reading would pass over what it is to find."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.lab.drift.groups import GROUPS, SLOW_GROUPS
from tests.lab.drift.kinds import Kind, unexpected
from tests.lab.drift.matrix import PAGE, areas, names, with_rows, written
from tests.lab.drift.plan import Plan
from tests.lab.drift.refused import sentence

PLAN = """\
~ pulumi:pulumi:Stack: (refresh)
    [urn=urn:pulumi:lab::nova::pulumi:pulumi:Stack::nova-lab]
        ~ pulumi-python:dynamic/nova:Database: (refresh)
            [id=nova]
            [urn=urn:pulumi:lab::nova::nova:index:NovaDeployment$pulumi-python:dynamic/nova:Database::nova-database]
            --outputs:--
          ~ charset     : "utf8" => "latin1"
          ~ hosts       : {
              ~ %        : {
                    password  : [secret]
                  ~ privileges: [
                      ~ [0]: "ALL" => "SELECT"
                      + [1]: "UPDATE"
                    ]
                }
              - localhost: {
              -     password  : [secret]
              -     privileges: [
              -         [0]: "ALL"
                    ]
                }
            }
          ~ remarks     : [
              + [0]: "Somebody: is there."
            ]
        ~ pulumi-python:dynamic/nova:ServiceCheck: (refresh)
            [id=services]
            [urn=urn:pulumi:lab::nova::nova:index:NovaDeployment$pulumi-python:dynamic/nova:ServiceCheck::nova-check]
            --outputs:--
          ~ image_list  : 
              - | Name: x |
              + not known: the API
              + Host : gone
  pulumi:pulumi:Stack: (same)
    [urn=urn:pulumi:lab::nova::pulumi:pulumi:Stack::nova-lab]
    ~ pulumi-python:dynamic/nova:Database: (update)
        [id=nova]
        [urn=urn:pulumi:lab::nova::nova:index:NovaDeployment$pulumi-python:dynamic/nova:Database::nova-database]
      ~ charset  : "latin1" => "utf8"
        name     : "nova"
    + pulumi-python:dynamic/nova:Service: (create)
        [urn=urn:pulumi:lab::nova::nova:index:NovaDeployment$pulumi-python:dynamic/nova:Service::nova-service]
        name       : "nova"
    --outputs:--
  ~ image_list  : 
      - | Name: x |
Resources:
    ~ 1 to update
"""  # noqa: W291 - as it is printed


def test_each_marked_property_of_a_refresh_is_read_with_both_values() -> None:
    found = Plan.of(PLAN, failed=True).found
    assert found == {
        ("nova-database", "charset"): ('"utf8"', '"latin1"'),
        ("nova-database", "hosts.%.privileges[0]"): ('"ALL"', '"SELECT"'),
        ("nova-database", "hosts.%.privileges[1]"): ("", '"UPDATE"'),
        ("nova-database", "hosts.localhost.password"): ("[secret]", ""),
        ("nova-database", "hosts.localhost.privileges[0]"): ('"ALL"', ""),
        ("nova-database", "remarks[0]"): ("", '"Somebody: is there."'),
        ("nova-check", "image_list"): ("", ""),
    }


def test_what_up_would_do_is_read_apart_from_what_was_found() -> None:
    plan = Plan.of(PLAN, failed=True)
    assert plan.repaired == {("nova-database", "charset"): ('"latin1"', '"utf8"')}
    assert (plan.steps("update"), plan.steps("create")) == ({"nova-database"}, {"nova-service"})


def test_a_remark_that_no_kind_of_a_group_knows_is_told() -> None:
    notes = {"nova-database": Plan.of(PLAN, failed=True).remarks("nova-database")}
    knows = Kind("somebody", cause=print, after=print, said={"nova-database": "Somebody: is"})  # type: ignore[arg-type]
    elsewhere = Kind("somebody", cause=print, after=print, may_say={"nova-user": "Somebody: is"})  # type: ignore[arg-type]
    assert unexpected(notes, [knows]) == []
    assert unexpected(notes, [elsewhere]) == ['nova-database: "Somebody: is there."']


def test_a_remark_is_a_sentence_of_its_resource() -> None:
    assert Plan.of(PLAN, failed=True).remarks("nova-database") == ['"Somebody: is there."']


# ------------------------------------------------------------ groups of kinds

EVERY_GROUP = {**GROUPS, **SLOW_GROUPS}


@pytest.mark.parametrize("kinds", EVERY_GROUP.values(), ids=list(EVERY_GROUP))
def test_no_two_kinds_of_a_group_show_the_same_property(kinds: list[Kind]) -> None:
    shown = Counter((resource, path) for kind in kinds for resource, paths in kind.shows.items() for path in paths)
    assert [where for where, times in shown.items() if times > 1] == []


@pytest.mark.parametrize("kinds", EVERY_GROUP.values(), ids=list(EVERY_GROUP))
def test_no_restart_of_a_group_hides_that_of_another_kind_or_one_too_many(kinds: list[Kind]) -> None:
    restarted = Counter((node, each) for kind in kinds for node, services in kind.restarts.items() for each in services)
    assert [where for where, times in restarted.items() if times > 1] == []
    # Nothing else runs there: beside its restart nobody would see that another kind restarts it, too.
    if ("compute1", "nova-compute") in restarted:
        there = [kind for kind in kinds if any(resource.startswith("nova-compute1") for resource in kind.shows)]
        assert [kind.name for kind in there if "compute1" not in kind.restarts] == []


def test_whatever_is_said_and_left_comes_with_what_to_do() -> None:
    said = [kind for _, kinds in areas() for kind in kinds if kind.said and not kind.is_drift]
    assert len(said) > 5
    assert [kind.name for kind in said if not (kind.advice or kind.names)] == []


def test_every_kind_is_in_a_group() -> None:
    grouped = {kind.name for kinds in EVERY_GROUP.values() for kind in kinds}
    assert {kind.name for _, kinds in areas() for kind in kinds if not kind.settings} - grouped == set()


# ------------------------------------------------------------ the page


def test_whatever_happens_has_a_row_in_the_table_of_its_area() -> None:
    rows = {area: {name: f"| {name} | seen | done |" for name in happens} for area, happens in names()}
    assert sum(map(len, rows.values())) == sum(len(happens) for _, happens in names())
    page = "<!-- written by make drift-matrix: begin -->\n<!-- end -->\n"
    assert written(with_rows(page, rows)) == rows


def test_the_page_has_a_row_for_whatever_happens() -> None:
    rows = written(PAGE.read_text(encoding="utf-8"))
    assert {area: set(happens) - set(rows.get(area, {})) for area, happens in names()} == {
        area: set() for area, _ in names()
    }


def test_a_sentence_is_the_error_and_not_what_is_printed_on_the_way_to_it() -> None:
    way = "  node1 (a@b): no way in: trying again\n"
    printed = f"{way}Diagnostics:\n    error: Preview failed: nova_infra.errors.NoConnection: node1 (a@b): no way in. Look there.\n"
    assert sentence(printed, "node1 (a@b): ") == "node1 (a@b): no way in. Look there."
    with pytest.raises(AssertionError, match="is not said"):
        sentence(way, "node1")
    with pytest.raises(AssertionError, match="is not said"):
        sentence(printed, "node2")
