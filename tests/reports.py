"""Drift reports as tests show them: a small one with something of everything, and one of a fleet."""

from __future__ import annotations

from datetime import UTC, datetime

from nova_infra.drift.comparison import Difference
from nova_infra.drift.report import DRIFTED, GONE, IN_ORDER, UNREACHABLE, Observed, Place, Report

MOMENT = datetime(2014, 11, 22, 2, 30, tzinfo=UTC)
SERVERS = (Place("MariaDB", "server"), Place("Keystone", "server"), Place("Compute API", "server"))
CONTROL_SERVICES = ("nova-api", "nova-cert", "nova-conductor", "nova-scheduler")
VERBOSE = Difference('options["/etc/nova/nova.conf"].DEFAULT.verbose', "changed", '"True"', '"False"')
DEBUG = Difference(
    'options["/etc/nova/nova.conf"].DEFAULT.debug', "added", "nothing", '"not in the stack (0a1b2c3d4e5f)"'
)
MY_IP = Difference('options["/etc/nova/nova.conf"].DEFAULT.my_ip', "removed", '"192.0.2.31"', "nothing")
PASSWORD = Difference(
    'options["/etc/nova/nova.conf"].DEFAULT.rabbit_password', "changed", "[secret]", "[secret]", secret=True
)
STOPPED = Difference('services["nova-cert"].running', "changed", "true", "false")
GRANTS = Difference("hosts.localhost.privileges", "changed", '["ALL"]', '["SELECT", "UPDATE"]')
NO_ANSWER = "compute2 (ubuntu@192.0.2.32): no SSH connection: no answer within 20 s. Check the address, that the machine is up, and that firewalls let this machine in."


def compute(name: str, status: str = IN_ORDER, *differences: Difference, sentence: str = "") -> list[Observed]:
    """Both resources of a compute node."""
    packages = UNREACHABLE if status == UNREACHABLE else IN_ORDER
    return [
        Observed(f"nova-{name}-packages", "NodePackages", name, packages, sentence=sentence),
        Observed(f"nova-{name}", "ComputeNode", name, status, differences, sentence, services=("nova-compute",)),
    ]


def report(*resources: Observed, places: tuple[Place, ...] = ()) -> Report:
    """A report of these; without places they are where their resources say, on servers and compute nodes."""
    servers = {each.name: each for each in SERVERS}
    names = dict.fromkeys(each.place for each in resources)
    return Report(
        "nova/production",
        MOMENT,
        places or tuple(servers.get(name, Place(name, "compute")) for name in names),
        resources,
    )


def small() -> Report:
    """Something of everything, on three nodes."""
    return report(
        Observed("nova-database", "Database", "MariaDB", DRIFTED, (GRANTS,)),
        Observed("nova-user", "KeystoneUser", "Keystone", IN_ORDER, remarks=("nova has the role auditor in service too.",)),
        Observed("nova-endpoint", "Endpoint", "Keystone", GONE),
        Observed("nova-check", "ServiceCheck", "Compute API", IN_ORDER),
        Observed("nova-controller-packages", "NodePackages", "controller", IN_ORDER),
        Observed("nova-controller", "ControllerNode", "controller", DRIFTED, (PASSWORD, VERBOSE, STOPPED), services=CONTROL_SERVICES),
        *compute("compute1", DRIFTED, DEBUG, MY_IP),
        *compute("compute2", UNREACHABLE, sentence=NO_ANSWER),
        places=(*SERVERS, Place("controller", "controller"), Place("compute1", "compute"), Place("compute2", "compute")),
    )  # fmt: skip


def fleet(nodes: int = 100) -> Report:
    """As many compute nodes, a few of them not in order, two of these alike."""
    names = [f"compute{number:03}" for number in range(1, nodes + 1)]
    odd = {"compute007": (DRIFTED, (VERBOSE,)), "compute042": (DRIFTED, (VERBOSE,)), "compute077": (GONE, ())}
    computes = [each for name in names for each in compute(name, *_flat(odd.get(name)))]
    return report(
        *small().resources[:6],
        *computes,
        places=(*SERVERS, Place("controller", "controller"), *(Place(name, "compute") for name in names)),
    )


def _flat(odd: tuple[str, tuple[Difference, ...]] | None) -> tuple[str, ...]:
    return (odd[0], *odd[1]) if odd else (IN_ORDER,)  # type: ignore[return-value]
