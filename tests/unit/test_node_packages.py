"""Packages: what apt is asked for, and what refresh shows."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from nova_infra.errors import StepFailed
from nova_infra.remote.inspection import Facts, Package
from nova_infra.resources.node_packages import decide, observed

THERE = Package("install ok installed", "1:2014.2.4")
HELD = Package("hold ok installed", "1:2014.2.4")
REMOVED = Package("deinstall ok config-files", "1:2014.2.4")
HALF = Package("install ok half-configured", "1:2014.2.4")
NONE = Package("none", "-")


def facts(**packages: Package) -> Facts:
    return Facts("controller", 1, "kvm", "upstart", packages={k.replace("_", "-"): v for k, v in packages.items()})


def wanted(**packages: str) -> dict[str, Any]:
    return {
        "node": "controller",
        "connection": {"host": "10.0.0.11"},
        "packages": {name.replace("_", "-"): version for name, version in packages.items()},
    }


@pytest.mark.parametrize(
    ("packages", "machine", "calls"),
    [
        pytest.param({"nova_api": "present"}, {"nova_api": THERE}, [], id="there already"),
        pytest.param({"nova_api": "present"}, {"nova_api": HELD}, [], id="there, and held by somebody"),
        pytest.param(
            {"sysfsutils": "present", "nova_compute": "present"},
            {"nova_compute": NONE, "sysfsutils": NONE},
            ["install_packages nova-compute sysfsutils"],
            id="one run of apt for all, in a fixed order",
        ),
        pytest.param(
            {"nova_compute": "present", "sysfsutils": "present"},
            {"nova_compute": THERE, "sysfsutils": NONE},
            ["install_packages sysfsutils"],
            id="only what is missing",
        ),
        pytest.param({"nova_api": "present"}, {"nova_api": REMOVED}, ["install_packages nova-api"], id="removed, not purged"),
        pytest.param({"nova_api": "present"}, {"nova_api": HALF}, ["install_packages nova-api"], id="half configured"),
        pytest.param({"nova_api": "1:2014.2.4"}, {"nova_api": THERE}, [], id="the pinned version is there"),
        pytest.param(
            {"nova_api": "1:2014.2.5"},
            {"nova_api": THERE},
            ["install_packages nova-api=1:2014.2.5"],
            id="another version is there",
        ),
        pytest.param(
            {"nova_api": "1:2014.2.5"}, {"nova_api": NONE}, ["install_packages nova-api=1:2014.2.5"], id="a pin, and nothing there"
        ),
    ],
)  # fmt: skip
def test_what_is_installed(packages: dict[str, str], machine: dict[str, Package], calls: list[str]) -> None:
    state = wanted(**packages)
    assert [str(each) for each in decide(state, facts(**machine))] == calls
    # Refresh shows a difference exactly when there is something to do.
    assert (observed(state, facts(**machine)) == state["packages"]) == (not calls)


def test_a_package_of_another_version_is_shown_with_it_and_one_that_is_gone_not_at_all() -> None:
    state = wanted(nova_api="1:2014.2.5", nova_cert="present")
    assert observed(state, facts(nova_api=THERE, nova_cert=REMOVED)) == {"nova-api": "1:2014.2.4"}


def test_nothing_is_installed_on_a_machine_that_calls_itself_otherwise() -> None:
    other = dataclasses.replace(facts(nova_api=NONE), hostname="somebody-elses")
    with pytest.raises(StepFailed, match="calls itself somebody-elses"):
        decide(wanted(nova_api="present"), other)
