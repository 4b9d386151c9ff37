"""`python -m nova_infra drift`: what ordinary clients have changed is named, one node that does not answer hides nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser import ARTIFACTS, PHONE, WIDE, Browser
from tests.error_rows import assert_printed
from tests.lab.drift.masked import SOMEBODY_ELSES, assert_masked
from tests.nodes import Lab, Stack

pytestmark = [pytest.mark.lab, pytest.mark.engine]

NOVA_CONF = "/etc/nova/nova.conf"
DRIFTED = {
    "nova-database": {"charset", "collation"},
    "nova-controller": {
        f'options["{NOVA_CONF}"].DEFAULT["rabbit_password (found)"]',
        f'options["{NOVA_CONF}"].DEFAULT.verbose',
        f'options["{NOVA_CONF}"].DEFAULT.debug',
        'services["nova-consoleauth"].running',
    },
}
PAGE = ARTIFACTS / "drift" / "lab.html"


@pytest.fixture(scope="module")
def drifted(lab: Lab, deployed: Stack) -> Iterator[Stack]:
    """The deployment with what an editor, mysql and service have changed; put back as it was, afterwards."""
    lab.run(
        "controller",
        f"cp -a {NOVA_CONF} /root/nova.conf.kept; service nova-consoleauth stop; "
        f"sed -i 's/^verbose = .*/verbose = False/; s/^rabbit_password = .*/rabbit_password = {SOMEBODY_ELSES}/; s/^.DEFAULT.$/&\\ndebug = 1/' {NOVA_CONF}",
    )
    lab.sql("ALTER DATABASE nova CHARACTER SET latin1")
    yield deployed
    lab.sql("ALTER DATABASE nova CHARACTER SET utf8 COLLATE utf8_general_ci")
    # What was started right after its file was written may have read another one; what runs was noted when it started.
    lab.run(
        "controller",
        f"cp -a /root/nova.conf.kept {NOVA_CONF} && rm /root/nova.conf.kept && sleep 4 && service nova-consoleauth start",
    )
    in_order(deployed)


def in_order(stack: Stack) -> None:
    done = stack.command("drift")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("No drift: 9 resources in order")


@pytest.fixture
def without_its_role(lab: Lab, drifted: Stack) -> Iterator[Stack]:
    """The same, and the account that nova itself answers with has lost its role."""
    lab.openstack("keystone user-role-remove --user nova --role admin --tenant service")
    yield drifted
    lab.openstack("keystone user-role-add --user nova --role admin --tenant service")


def named(printed: str) -> dict[str, set[str]]:
    """Resource -> the paths of its properties that have drifted."""
    resources: list[dict[str, Any]] = json.loads(printed)["resources"]
    return {
        each["name"]: {difference["path"] for difference in each["differences"]}
        for each in resources
        if each["status"] == "drifted"
    }


def test_a_fresh_deployment_is_in_order(deployed: Stack) -> None:
    in_order(deployed)


def test_several_kinds_of_drift_are_named_by_property_and_nothing_is_written(lab: Lab, drifted: Stack) -> None:
    state, processes = drifted.state(), lab.processes("controller")
    done = drifted.command("drift", "--json")
    assert done.returncode == 2, done.stderr
    found = named(done.stdout)
    assert found.keys() == DRIFTED.keys()
    assert all(paths <= found[resource] for resource, paths in DRIFTED.items()), found
    values = {
        difference["path"]: (difference["recorded"], difference["found"])
        for each in json.loads(done.stdout)["resources"]
        for difference in each["differences"]
    }
    assert values[f'options["{NOVA_CONF}"].DEFAULT.verbose'] == ('"True"', '"False"')
    assert values[f'options["{NOVA_CONF}"].DEFAULT["rabbit_password (found)"]'] == (None, None)
    assert values['services["nova-consoleauth"].running'] == ("true", "false")
    assert values["charset"] == ('"utf8"', '"latin1"')
    assert_masked(done.stdout, done.stderr)
    assert drifted.state() == state
    assert lab.processes("controller") == processes


def test_a_node_that_does_not_answer_is_named_and_the_others_are_still_shown(
    lab: Lab, drifted: Stack, browser: Browser
) -> None:
    state = drifted.state()
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    with lab.frozen("compute1"):
        done = drifted.command("drift", "--html", str(PAGE))
    assert done.returncode == 3, done.stdout + done.stderr
    plain = " ".join(done.stdout.replace("|", " ").split())
    assert "compute1 (ubuntu@" in plain
    assert "no answer within 20 s" in plain
    assert "2 not reachable" in done.stdout.splitlines()[-1]
    browser.open(PAGE)
    shown = browser.text
    for resource, paths in DRIFTED.items():
        assert resource in plain
        for path in paths:
            assert path.replace(" ", "") in done.stdout.replace(" ", "")
            assert path in shown
    for width in (WIDE, PHONE):
        browser.show(width)
        assert browser.says("document.documentElement.scrollWidth") <= width
        browser.keep(f"drift/lab-{width}")
    assert browser.complaints() == []
    assert_masked(done.stdout, done.stderr, PAGE.read_text())
    assert drifted.state() == state


def test_a_role_that_was_taken_away_is_drift_and_what_nova_then_refuses_to_say_is_not_reachable(
    without_its_role: Stack,
) -> None:
    done = without_its_role.command("drift", "--json")
    assert done.returncode == 3, done.stdout + done.stderr
    assert named(done.stdout).keys() == {*DRIFTED, "nova-user"}
    resources = {each["name"]: each for each in json.loads(done.stdout)["resources"]}
    (taken,) = resources["nova-user"]["differences"]
    assert (taken["path"], taken["recorded"], taken["found"]) == ("roles", '["admin"]', '["admin (missing)"]')
    unreachable = {name for name, each in resources.items() if each["status"] == "not reachable"}
    assert unreachable == {"nova-check"}
    assert resources["nova-check"]["reason"].startswith(
        "The compute API in region regionOne: listing its services failed"
    )


def test_a_nova_that_has_lost_its_table_of_services_says_500_and_that_is_told(lab: Lab, drifted: Stack) -> None:
    lab.sql("RENAME TABLE nova.services TO nova.services_away")
    try:
        done = drifted.command("drift", "--json")
    finally:
        lab.sql("RENAME TABLE nova.services_away TO nova.services")
    assert done.returncode == 3, done.stdout + done.stderr
    resources = {each["name"]: each for each in json.loads(done.stdout)["resources"]}
    assert {name for name, each in resources.items() if each["status"] == "not reachable"} == {"nova-check"}
    assert_printed("The compute API answers 500", resources["nova-check"]["reason"])
