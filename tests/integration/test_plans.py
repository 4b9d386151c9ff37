"""The plans that the tests of comments are made of are what the engine makes today: tests/plans.py says of what."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.plans import CASES, PLANS, Case, StandIn, deployed, guards, plan, written

pytestmark = pytest.mark.engine

# One of each sort; the others take a minute more.
OFTEN = ("one-option-for-all", "drift")


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Case], StandIn]:
    made: dict[str, StandIn] = {}

    def of(case: Case) -> StandIn:
        """One for all cases that begin alike."""
        before = json.dumps(guards(case))
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


def comparable(text: str) -> Any:
    # Of a step that a refresh finds too late the engine says nothing: they run at the same time.
    return [each for each in json.loads(re.sub(r"0x[0-9a-f]+", "", text))["steps"] if each["op"] != "refresh"]
