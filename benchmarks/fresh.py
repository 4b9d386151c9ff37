"""Benchmark 1: the guide's chapter on fresh nodes, a controller and compute nodes with real daemons."""

from __future__ import annotations

from . import peers, stacks
from .machines import Lab
from .measuring import Command
from .places import ROOT
from .races import Contestant, Goal, race
from .record import Record

ROUNDS = 3
# All at once is meant to be the faster one; where it is not, it is no floor.
FLOOR = ("by-hand", "at-once")
GOAL = Goal(
    1.15, (FLOOR, "empty"), "`up` takes at most 1.15 x (the floor, the faster of the first two, + the empty stack)"
)
PASSWORDS = ROOT / "lab" / "passwords.env"


def run(record: Record, nodes: int) -> None:
    """`nodes`: how many compute nodes."""
    lab = Lab(computes=nodes)
    ours = stacks.ours()

    def fresh(_number: int) -> None:
        lab.fresh()

    def fresh_and_forgotten(_number: int) -> None:
        lab.fresh()
        stacks.write_settings(lab, lab.nodes)
        ours.anew()

    def empty_anew(_number: int) -> None:
        stacks.empty(ours).anew()

    def by_hand(*options: str) -> Command:
        return lab.command(str(ROOT / "lab" / "by-hand"), "--no-instance", *options)

    race(
        record,
        [
            Contestant(
                "by-hand",
                "the guide's own commands over ssh, one node after the other",
                lambda _n: by_hand(),
                fresh,
            ),
            Contestant("at-once", "the same, all nodes at once", lambda _n: by_hand("--at-once"), fresh),
            Contestant(
                "ansible",
                "Ansible, a playbook that does the same",
                lambda _n: peers.playbook("deploy", lab, passwords()),
                fresh,
                rounds=2,
            ),
            Contestant("ours", "`pulumi up`", lambda _n: ours.command(*stacks.UP), fresh_and_forgotten),
            Contestant(
                "empty",
                "`pulumi up` of an empty stack of as many resources",
                lambda _n: stacks.empty(ours).command(*stacks.UP),
                empty_anew,
            ),
        ],
        ROUNDS,
    )


def passwords() -> dict[str, object]:
    """The lab's passwords, by the names in lab/passwords.env."""
    lines = (line.partition("=") for line in PASSWORDS.read_text().splitlines() if line[:1].isalpha())
    return {name: value for name, _, value in lines}
