"""The plans that the tests of comments are made of are what the engine makes today: tests/plans.py says of what."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.nodes import laid_over
from tests.plans import CASES, PLANS, Case, StandIn, deployed, guards, plan, settings_file, written

pytestmark = pytest.mark.engine

# One of each sort; the others take a minute more.
OFTEN = ("one-option-for-all", "drift")


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Case], StandIn]:
    made: dict[str, StandIn] = {}

    def of(case: Case) -> StandIn:
        """One for all cases that begin alike."""
        before = json.dumps([guards(case), case.adopted])
        made[before] = made.get(before) or deployed(tmp_path_factory.mktemp("backend"), case)
        return made[before]

    return of


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=() if each in OFTEN else pytest.mark.slow) for each in PLANS]
)
def test_a_plan_is_the_one_that_is_kept(deployment: Callable[[Case], StandIn], name: str) -> None:
    made = written(plan(deployment(PLANS[name]), PLANS[name]))
    kept = CASES / f"{name}.json"
    if os.environ.get("WRITE_CASES"):
        kept.write_text(made)
    assert comparable(kept.read_text()) == comparable(made), (
        f"{kept} is older than the engine: WRITE_CASES=1 writes it anew"
    )


# It changes the deployment, so it comes last.
def test_a_stack_that_wants_what_a_stored_refresh_has_found_has_one_update_that_changes_no_input(
    deployment: Callable[[Case], StandIn],
) -> None:
    url = "http://192.0.2.9:8774/v2/%(tenant_id)s"
    stack, before, wants_it = deployment(Case()), Case(), Case({"endpoint": {"admin_url": url}})
    as_it_was = str(settings_file(stack.backend / "before", guards(before)))
    stack.there = {"drift": {"regionOne/compute/nova": {"admin_url": url}}}
    seen = stack.pulumi("preview", "--refresh", "--diff", "--non-interactive", "--config-file", as_it_was)
    stack.pulumi("refresh", "--yes", "--skip-preview", "--non-interactive", "--config-file", as_it_was)
    ((step, old, new),) = updates(plan(stack, before))
    assert (step, old["admin_url"], new["admin_url"]) == (
        "nova-endpoint",
        url,
        "http://controller:8774/v2/%(tenant_id)s",
    )
    ((step, old, new),) = updates(plan(stack, wants_it))
    assert (step, old) == ("nova-endpoint", new)
    file = str(settings_file(stack.backend / "after", laid_over(guards(wants_it), dict(wants_it.settings))))
    shown = stack.pulumi("preview", "--diff", "--non-interactive", "--config-file", file)
    assert "last_up" not in seen.stdout + shown.stdout
    stack.up("--config-file", file)
    assert updates(plan(stack, wants_it)) == []
    stack.up("--config-file", as_it_was)


def updates(plan: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Of each update the resource, and its inputs before and after."""
    return [
        (step["urn"].rpartition("::")[2], step["oldState"]["inputs"], step["newState"]["inputs"])
        for step in plan["steps"]
        if step["op"] == "update"
    ]


def comparable(text: str) -> Any:
    # Of a step that a refresh finds too late the engine says nothing: they run at the same time.
    return [each for each in json.loads(re.sub(r"0x[0-9a-f]+", "", text))["steps"] if each["op"] != "refresh"]
