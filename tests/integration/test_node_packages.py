"""NodePackages against apt and dpkg of a real machine. Everything is applied twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from nova_infra.access import Access
from nova_infra.errors import StepFailed
from nova_infra.resources.node_packages import NodePackagesLifecycle
from tests.nodes import Lab

WANTED = {"sysfsutils": "present"}
LOOK = "dpkg --get-selections; cat /etc/passwd /etc/group; ls /usr/sbin/policy-rc.d* 2>/dev/null; true"


def wanted(lab: Lab, packages: dict[str, str]) -> dict[str, Any]:
    connection = {"host": lab.address("compute1"), "port": 22, "user": "ubuntu", "host_key": ""}
    return {"node": "compute1", "connection": connection, "packages": packages}


@pytest.fixture
def packages(access: Access, lab: Lab) -> Iterator[NodePackagesLifecycle]:
    lifecycle = NodePackagesLifecycle()
    lifecycle.access = access
    yield lifecycle
    lifecycle.remove(wanted(lab, WANTED))


def installed(lab: Lab) -> set[str]:
    return set(
        lab.run("compute1", "dpkg-query -W -f '${Package} ${Status}\\n' | sed -n 's/ install ok installed$//p'").split()
    )


def test_what_is_missing_is_installed_with_its_dependencies_noted_and_twice_is_the_same(
    lab: Lab, packages: NodePackagesLifecycle
) -> None:
    before = installed(lab)
    made = packages.make(wanted(lab, WANTED))
    assert packages.make(wanted(lab, WANTED)) == made
    assert set(made["added"]) == installed(lab) - before
    assert "sysfsutils" in made["versions"]
    assert packages.look(wanted(lab, WANTED)) == (wanted(lab, WANTED), made)


def test_removing_takes_exactly_what_was_added_and_leaves_nothing_of_ours(
    lab: Lab, packages: NodePackagesLifecycle
) -> None:
    before = lab.run("compute1", LOOK)
    packages.make(wanted(lab, WANTED))
    packages.remove(wanted(lab, WANTED))
    packages.remove(wanted(lab, WANTED))
    after = lab.run("compute1", LOOK)
    assert after == before
    assert lab.run("compute1", "ls -d /var/lib/nova-infra 2>/dev/null; true") == ""
    assert packages.look(wanted(lab, WANTED)) is None


def test_a_package_that_was_there_before_us_stays(lab: Lab, packages: NodePackagesLifecycle) -> None:
    lab.run("compute1", "DEBIAN_FRONTEND=noninteractive apt-get -qq -y install sysfsutils")
    try:
        assert packages.make(wanted(lab, WANTED))["added"] == []
        packages.remove(wanted(lab, WANTED))
        assert "sysfsutils" in installed(lab)
    finally:
        lab.run("compute1", "DEBIAN_FRONTEND=noninteractive apt-get -qq -y purge --auto-remove sysfsutils")


def test_another_version_than_pinned_is_seen(lab: Lab, packages: NodePackagesLifecycle) -> None:
    version = packages.make(wanted(lab, WANTED))["versions"]["sysfsutils"]
    seen = packages.look(wanted(lab, {"sysfsutils": "9.9"}))
    assert seen is not None
    assert seen[0]["packages"] == {"sysfsutils": version}


def test_a_package_that_apt_does_not_know_is_named_with_the_sources_and_nothing_is_left_behind(
    lab: Lab, packages: NodePackagesLifecycle
) -> None:
    with pytest.raises(StepFailed, match="no-such-package") as raised:
        packages.make(wanted(lab, {"no-such-package": "present"}))
    assert "its sources: deb " in str(raised.value)
    packages.remove(wanted(lab, {"no-such-package": "present"}))
