"""Packages: what apt is asked for, and what refresh shows."""

from __future__ import annotations

import dataclasses
from typing import Any

import pulumi
import pytest
from pulumi.runtime import rpc

from nova_infra.access import Access
from nova_infra.errors import NoConnection, Refused, StepFailed
from nova_infra.remote.inspection import Facts, Package
from nova_infra.resources import node_packages
from nova_infra.resources.node_packages import NodePackages, NodePackagesArgs, NodePackagesLifecycle, decide, observed
from tests.mocked import registered

THERE = Package("install ok installed", "1:2014.2.4")
HELD = Package("hold ok installed", "1:2014.2.4")
REMOVED = Package("deinstall ok config-files", "1:2014.2.4")
HALF = Package("install ok half-configured", "1:2014.2.4")
NONE = Package("none", "-")


def facts(**packages: Package) -> Facts:
    return Facts("controller", 1, "kvm", "upstart", packages={k.replace("_", "-"): v for k, v in packages.items()})


def noted(facts: Facts, added: str = "", named: str = "") -> Facts:
    """The machine, with what we noted there (names, a space between them)."""
    notes = {"packages.added": added.replace(" ", "\n") or None, "packages.named": named.replace(" ", "\n") or None}
    return dataclasses.replace(facts, notes=notes)


def wanted(**packages: str) -> dict[str, Any]:
    return {
        "node": "controller",
        "connection": {"host": "10.0.0.11", "port": 22, "user": "ubuntu", "host_key": ""},
        "on_unreachable": "refuse",
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


def test_a_package_of_another_version_is_shown_with_it_and_one_that_is_gone_as_not_installed() -> None:
    state = wanted(nova_api="1:2014.2.5", nova_cert="present")
    seen = observed(state, facts(nova_api=THERE, nova_cert=REMOVED))
    assert seen == {"nova-api": "1:2014.2.4", "nova-cert": "present (not installed)"}


def test_what_dpkg_has_not_finished_is_shown_as_it_is() -> None:
    seen = observed(wanted(nova_api="present"), facts(nova_api=HALF))
    assert seen == {"nova-api": "present (half-configured: 1:2014.2.4)"}


def test_nothing_is_installed_on_a_machine_that_calls_itself_otherwise() -> None:
    other = dataclasses.replace(facts(nova_api=NONE), hostname="somebody-elses")
    with pytest.raises(StepFailed, match="calls itself somebody-elses"):
        decide(wanted(nova_api="present"), other)


# ------------------------------------------------------------ what the stack no longer names


def test_what_the_stack_no_longer_names_goes_after_what_is_missing_has_come() -> None:
    machine = noted(facts(nova_api=NONE), added="nova-cert python-nova", named="nova-cert")
    assert [str(each) for each in decide(wanted(nova_api="present"), machine)] == [
        "install_packages nova-api",
        "drop_packages nova-cert",
    ]


def test_a_dependency_that_the_stack_names_later_is_noted_as_named() -> None:
    machine = noted(facts(nova_api=THERE, nova_common=THERE), added="nova-api nova-common", named="nova-api")
    assert [str(each) for each in decide(wanted(nova_api="present", nova_common="present"), machine)] == [
        "name_packages nova-common"
    ]


def test_a_package_that_others_had_installed_is_none_of_ours_to_name() -> None:
    assert decide(wanted(nova_api="present"), noted(facts(nova_api=THERE), added="nova-cert")) == []


def test_after_a_run_there_is_nothing_to_do() -> None:
    machine = noted(facts(nova_api=THERE), added="nova-api python-nova", named="nova-api")
    assert decide(wanted(nova_api="present"), machine) == []


# ------------------------------------------------------------ held back


def test_a_version_that_somebody_holds_back_is_refused_with_the_way() -> None:
    with pytest.raises(
        Refused, match=r"controller: .*nova-api 1:2014\.2\.5.*holds it back at 1:2014\.2\.4.*apt-mark unhold"
    ):
        decide(wanted(nova_api="1:2014.2.5"), facts(nova_api=HELD))


def test_no_longer_pinning_a_package_that_is_held_back_installs_nothing() -> None:
    assert decide(wanted(nova_api="present"), facts(nova_api=HELD)) == []


# ------------------------------------------------------------ inputs


def refused(state: dict[str, Any]) -> set[str]:
    return {failure.property for failure in NodePackagesLifecycle().check({}, state).failures}


@pytest.mark.parametrize("name", ["nova-api", "g++", "libstdc++6", "python2.7", "2ping", "x11-common"])
def test_names_of_packages_are_taken(name: str) -> None:
    assert not refused({**wanted(), "packages": {name: "present"}})


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a",
        "Nova-api",
        "nova_api",
        "-o",
        "nova-api-",
        "nova api",
        "nova-api=1",
        "nova-api:i386",
        "nova*",
        "+x",
        "ä-b",
    ],
)
def test_what_is_no_name_of_a_package_is_refused_by_its_key(name: str) -> None:
    assert refused({**wanted(), "packages": {name: "present", "nova-cert": "present"}}) == {f"packages.{name}"}


@pytest.mark.parametrize("version", ["present", "1:2014.2.4-0ubuntu1~cloud0", "2.1.0+repack-1", "0", "1.0.1ubuntu2.24"])
def test_versions_are_taken(version: str) -> None:
    assert not refused(wanted(nova_api=version))


@pytest.mark.parametrize(
    "version", ["", "-1", "latest", "1.0 ", "1 2", "a:1", "1.*", "1/trusty", ":1", "1_2", 2014.2, None]
)
def test_what_is_no_version_is_refused_by_its_key(version: Any) -> None:
    assert refused(wanted(nova_api=version)) == {"packages.nova-api"}


def test_values_that_are_not_known_yet_are_taken() -> None:
    assert not refused(wanted(nova_api=rpc.UNKNOWN))
    assert not refused({**wanted(), "packages": rpc.UNKNOWN})


def test_no_package_and_an_unknown_way_with_a_dead_machine_are_refused() -> None:
    assert refused({**wanted(), "on_unreachable": "ignore", "node": ""}) == {"packages", "on_unreachable", "node"}


def test_a_version_may_be_an_output_of_another_resource() -> None:
    def program() -> None:
        version = pulumi.Output.from_input("1:2014.2.4")
        args = NodePackagesArgs("controller", {"host": "10.0.0.11"}, {"nova-api": version, "nova-cert": "present"})
        NodePackages("packages", args)

    recorded = {each.name: each for each in registered(program, project="nova")}["packages"]
    assert recorded.inputs["packages"] == {"nova-api": "1:2014.2.4", "nova-cert": "present"}
    assert recorded.inputs["on_unreachable"] == "refuse"


# ------------------------------------------------------------ a machine that is gone


class Gone:
    """Access to machines that do not answer."""

    def node(self, name: str, _connection: Any) -> Any:
        return name

    def secrets(self) -> list[str]:
        return []

    def deadline(self, _name: str) -> float:
        return 1.0

    keep = Access.keep


def cut_off(*_arguments: Any, **_more: Any) -> Any:
    raise NoConnection("controller (root@10.0.0.11): no SSH connection: no answer within 30 s.")


def test_destroy_of_packages_on_a_machine_that_is_gone_is_refused_with_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_packages, "operate", cut_off)
    lifecycle = NodePackagesLifecycle()
    lifecycle.access = Gone()  # type: ignore[assignment]
    with pytest.raises(NoConnection, match=r"no answer .*on_unreachable: leave.*pulumi up"):
        lifecycle.remove(wanted(nova_api="present"))


def test_destroy_of_packages_on_a_machine_that_is_gone_says_what_it_leaves(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(node_packages, "operate", cut_off)
    lifecycle = NodePackagesLifecycle()
    lifecycle.access = Gone()  # type: ignore[assignment]
    lifecycle.remove({**wanted(nova_api="present"), "on_unreachable": "leave"})
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 1
    assert said[0].startswith("controller: ")
    assert "the packages that we added" in said[0]
