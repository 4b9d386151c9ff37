"""A compute node that is removed while an instance runs on it, where the stack says that it waits."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.deployment.conftest import FirstUp
from tests.lab.snapshot import snapshot
from tests.nodes import Lab, Stack

pytestmark = [
    pytest.mark.lab,
    pytest.mark.engine,
    pytest.mark.usefixtures("used_up"),
    pytest.mark.xdist_group("deployment-2"),
]


def test_a_node_that_is_drained_is_removed_when_its_last_instance_has_left(
    lab: Lab, deployed: Stack, first_up: FirstUp, tmp_path: Path
) -> None:
    deployed.up("--config-file", deployed.configured(tmp_path, computeDefaults={"drain": True}))
    lab.boot("the-last-one")
    with deployed.running("destroy", "--yes", "--skip-preview", "--non-interactive") as destroy:
        assert destroy.stdout
        printed = ""
        for line in destroy.stdout:
            printed += line
            if "draining: no new instances; still here: 1 instance: the-last-one" in line:
                break
        (row,) = [row for row in lab.table("nova service-list") if row["Host"] == "compute1"]
        assert (row["Status"], row["State"]) == ("disabled", "up")
        lab.delete_instance("the-last-one")
        printed += destroy.stdout.read()
    assert destroy.returncode == 0, printed
    assert snapshot(lab).differences(first_up.before) == {}
    assert deployed.resources() == []
