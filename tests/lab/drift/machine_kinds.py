"""What can become of a machine itself."""

from __future__ import annotations

from collections.abc import Callable

from tests.lab.clock import DATE, right_clock, set_clock
from tests.lab.drift.files_kinds import COMPUTE_CONF, option
from tests.lab.drift.kinds import Kind
from tests.lab.drift.plan import FINGERPRINT
from tests.nodes import Lab

VIRT_TYPE = option("libvirt", "virt_type", COMPUTE_CONF)

HAS_READ = "services.nova-compute.fingerprint"


def gain_virtualization(lab: Lab) -> None:
    lab.inside("compute1", "sed 's/^flags.*:/& vmx/' /proc/cpuinfo >/srv/cpuinfo")
    lab.enter("compute1", "mount", "--bind", "/srv/cpuinfo", "/proc/cpuinfo")


def lose_virtualization(lab: Lab) -> None:
    """It has been gained before: its own machine's flags are there again."""
    lab.enter("compute1", "umount", "--lazy", "/proc/cpuinfo")
    lab.inside("compute1", "rm /srv/cpuinfo")


def writes(virt_type: str) -> Callable[[Lab], None]:
    """A check of `after`."""

    def check(lab: Lab) -> None:
        lab.run("compute1", f"grep -qx 'virt_type = {virt_type}' {COMPUTE_CONF}")

    return check


GAINED = Kind(
    "the processor has virtualization now",
    cause=gain_virtualization,
    after=writes("kvm"),
    shows={
        "nova-compute1": {
            VIRT_TYPE: ('"auto"', '"qemu"'),
            "virt_type": ('"qemu"', '"kvm"'),
            HAS_READ: (FINGERPRINT, FINGERPRINT),
        }
    },
    said={"nova-compute1": "auto means kvm"},
    restarts={"compute1": ["nova-compute"]},
    updates=["nova-check"],
)
LOST = Kind(
    "the processor has no virtualization any more",
    cause=lose_virtualization,
    after=writes("qemu"),
    shows={
        "nova-compute1": {
            VIRT_TYPE: ('"auto"', '"kvm"'),
            "virt_type": ('"kvm"', '"qemu"'),
            HAS_READ: (FINGERPRINT, FINGERPRINT),
        }
    },
    said={"nova-compute1": "auto means qemu"},
    restarts={"compute1": ["nova-compute"]},
    updates=["nova-check"],
)
CLOCK = Kind(
    "a clock is off",
    cause=lambda lab: set_clock(lab, "compute1", "+600"),
    after=lambda lab: lab.run("compute1", f"ls {DATE}") and None,
    said={"nova-compute1": "ahead of that of nova-api"},
    advice="Set the clock, and let ntp keep it.",
    undo=lambda lab: right_clock(lab, "compute1"),
)
KINDS = [GAINED, LOST, CLOCK]
