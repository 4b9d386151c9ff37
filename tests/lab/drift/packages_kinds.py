"""What can become of packages."""

from __future__ import annotations

from collections.abc import Callable

from tests.lab.drift.kinds import MANAGED, Kind
from tests.lab.drift.plan import TEXT
from tests.lab.newer_package import NEWER, offer_newer_package, withdraw_newer_package
from tests.nodes import Lab

PINNED = MANAGED["packages"]["controller"]["nova-cert"]
NOT_FINISHED = "python-novaclient"


def state(lab: Lab, node: str, package: str) -> str:
    return lab.run(node, f"dpkg-query -W -f '${{Status}} ${{Version}}' {package}")


def is_installed(node: str, package: str, version: str = "") -> Callable[[Lab], None]:
    """A check of `after`."""

    def check(lab: Lab) -> None:
        assert state(lab, node, package).startswith(f"install ok installed {version}")

    return check


def upgrade(lab: Lab) -> None:
    offer_newer_package(lab)
    lab.run("controller", "apt-get -qy install nova-cert >/dev/null 2>&1")
    assert NEWER in state(lab, "controller", "nova-cert")


def fail_to_configure(lab: Lab) -> None:
    """dpkg unpacks the package, and the package's own script then fails."""
    script = f"/var/lib/dpkg/info/{NOT_FINISHED}.postinst"
    lab.run(
        "controller",
        f"dpkg --unpack /srv/nova-lab-repo/{NOT_FINISHED}_*.deb >/dev/null; printf '#!/bin/sh\\nexit 1\\n' >{script}; chmod 755 {script}; "
        f"dpkg --configure {NOT_FINISHED} >/dev/null 2>&1; rm {script}",
    )
    assert "half-configured" in state(lab, "controller", NOT_FINISHED)


def is_held(lab: Lab) -> None:
    assert lab.run("controller", "apt-mark showhold").split() == ["nova-scheduler"]


REMOVED = Kind(
    "a package is removed",
    cause=lambda lab: lab.run("compute1", "apt-get -qy remove sysfsutils >/dev/null 2>&1"),
    after=is_installed("compute1", "sysfsutils"),
    shows={
        "nova-compute1-packages": {
            "packages.sysfsutils": ('"present"', '"present (not installed)"'),
            "versions.sysfsutils": (TEXT, ""),
        },
    },
)
REMOVED_WITH_ITS_SERVICE = Kind(
    "a package is removed, and its service with it",
    cause=lambda lab: lab.run("controller", "apt-get -qy remove nova-consoleauth >/dev/null 2>&1"),
    after=is_installed("controller", "nova-consoleauth"),
    shows={
        "nova-controller-packages": {
            "packages.nova-consoleauth": ('"present"', '"present (not installed)"'),
            "versions.nova-consoleauth": (TEXT, ""),
        },
        "nova-controller": {"services.nova-consoleauth.running": ("true", "false")},
    },
    restarts={"controller": ["nova-consoleauth"]},
    updates=["nova-check"],
)
ANOTHER_VERSION = Kind(
    "a package has another version than the stack names",
    cause=upgrade,
    after=is_installed("controller", "nova-cert", PINNED),
    shows={
        "nova-controller-packages": {
            "packages.nova-cert": (f'"{PINNED}"', f'"{NEWER}"'),
            "versions.nova-cert": (f'"{PINNED}"', f'"{NEWER}"'),
        }
    },
    restarts={"controller": ["nova-cert"]},
    undo=withdraw_newer_package,
)
HALF_CONFIGURED = Kind(
    "a package is half configured",
    cause=fail_to_configure,
    after=is_installed("controller", NOT_FINISHED),
    shows={
        "nova-controller-packages": {
            f"packages.{NOT_FINISHED}": ('"present"', '"present (half-configured: 3:2.20.0-0lab1)"'),
            f"versions.{NOT_FINISHED}": (TEXT, ""),
        }
    },
)
HELD_BACK = Kind(
    "a package is held back",
    cause=lambda lab: lab.run("controller", "apt-mark hold nova-scheduler >/dev/null"),
    after=is_held,
    said={"nova-controller-packages": "somebody holds nova-scheduler back"},
    advice="`apt-mark unhold nova-scheduler` there ends it.",
    undo=lambda lab: lab.run("controller", "apt-mark unhold nova-scheduler >/dev/null"),
)
KINDS = [REMOVED, REMOVED_WITH_ITS_SERVICE, ANOTHER_VERSION, HALF_CONFIGURED, HELD_BACK]
