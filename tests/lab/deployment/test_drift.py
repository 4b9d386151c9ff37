"""What was changed behind the stack's back is shown by name, and `up --refresh` repairs that and nothing else.

The kinds are data (tests/lab/drift); those of a group do not meet.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.drift.groups import GROUPS, SLOW_GROUPS
from tests.lab.drift.kinds import MANAGED, Kind, assert_found_and_repaired
from tests.lab.drift.services_kinds import DISABLED_AGAINST_THE_STACK, ENABLED_AGAINST_THE_STACK
from tests.nodes import Lab, Stack

pytestmark = [pytest.mark.lab, pytest.mark.engine, pytest.mark.usefixtures("used_up")]


@pytest.fixture(scope="module")
def settings(deployed: Stack, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The arguments that name settings in which the stack manages all that can drift."""
    path = deployed.configured(Path(tmp_path_factory.mktemp("settings")), **MANAGED)
    deployed.up("--config-file", path)
    return "--config-file", path


@pytest.mark.parametrize("group", [*GROUPS, *(pytest.param(each, marks=pytest.mark.slow) for each in SLOW_GROUPS)])
def test_drift_is_shown_by_name_and_repaired_and_nothing_else_is_touched(
    lab: Lab, deployed: Stack, settings: tuple[str, str], group: str
) -> None:
    assert_found_and_repaired(lab, deployed, {**GROUPS, **SLOW_GROUPS}[group], *settings)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [ENABLED_AGAINST_THE_STACK, DISABLED_AGAINST_THE_STACK], ids=["disabled", "enabled"])
def test_what_the_stack_says_of_scheduling_is_no_operators_word(
    lab: Lab, deployed: Stack, tmp_path: Path, kind: Kind
) -> None:
    settings = "--config-file", deployed.configured(tmp_path, **kind.settings)
    before = lab.processes("compute1")
    deployed.up(*settings)
    kind.after(lab)
    assert lab.processes("compute1") == before
    assert_found_and_repaired(lab, deployed, [kind], *settings)
