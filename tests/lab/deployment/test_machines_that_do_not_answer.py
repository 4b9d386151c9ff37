"""A refresh of machines and servers that do not answer, or are others: named, never answered for from the state, and nothing is changed."""

from __future__ import annotations

import pytest

from tests.lab.drift.kinds import processes
from tests.lab.drift.refused import CAUSES, Cause, assert_refused
from tests.nodes import Lab, Stack

pytestmark = [pytest.mark.lab, pytest.mark.engine, pytest.mark.xdist_group("deployment-2")]


@pytest.mark.parametrize(
    "cause", [pytest.param(each, id=each.name, marks=[pytest.mark.slow] * each.slow) for each in CAUSES]
)
def test_whoever_is_not_there_is_named_and_its_state_stays(lab: Lab, deployed: Stack, cause: Cause) -> None:
    assert_refused(lab, deployed, cause)


def test_once_all_answer_again_there_is_nothing_to_do(lab: Lab, deployed: Stack) -> None:
    before = processes(lab)
    deployed.up("--refresh", "--expect-no-changes")
    assert processes(lab) == before
    # A refresh that came to no end has recorded a newer table of those that answered than the stack put out.
    recorded = {str(each["urn"]).split("::")[-1]: each.get("outputs") for each in deployed.resources()}
    assert deployed.outputs()["service_list"] == recorded["nova-check"]["service_list"]  # type: ignore[index]
