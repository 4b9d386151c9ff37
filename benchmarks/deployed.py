"""Benchmarks 2 to 4: many light nodes on which our stack is deployed. Looking for drift, nothing to do, one option for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from . import peers, stacks
from .machines import Lab
from .measuring import Command, measure
from .places import LOGS
from .races import Contestant, Goal, race
from .record import Record

DRIFT_ROUNDS = 5
NOTHING_ROUNDS = 5
OPTION_ROUNDS = 3
# Peers take minutes with many nodes, and their times vary little.
SLOW_ROUNDS = {20: 2, 100: 1}
DRIFT = Goal(1.3, ("ssh", "empty"), "`preview --refresh` takes at most 1.3 x (the floor + the empty stack)")
NOTHING = Goal(1.2, ("empty",), "`up` takes at most 1.2 x the empty stack")
OPTION = Goal(1.5, ("ssh",), "`up` takes at most 1.5 x the floor")
PREVIEW = ("preview", "--refresh", "--expect-no-changes")


def deploy(lab: Lab) -> tuple[stacks.Stack, stacks.Stack]:
    """Our stack on all nodes of the lab, and an empty one beside it. What is there already stays."""
    stacks.write_settings(lab, lab.nodes)
    ours = stacks.ours()
    ours.made()
    if ours.resources():
        lab.up()
    else:
        # Whatever stands on nodes that our stack does not know is somebody else's work.
        lab.fresh()
    measure(ours.command(*stacks.UP, "--refresh"), LOGS / "deploy-ours.log")
    empty = stacks.empty(ours)
    empty.made()
    measure(empty.command(*stacks.UP), LOGS / "deploy-empty.log")
    return ours, empty


def peers_look(lab: Lab, pyinfra: Callable[[Lab], Command], ansible: Callable[[Lab], Command]) -> None:
    """Changes a file on one of two nodes, and puts it back. Raises Failed unless both peers name it: then their "no difference" says something."""
    few = replace(lab, light=min(2, lab.light))
    node, file = few.nodes[-1], "/etc/nova/nova.conf"
    lab.on(node, f"sudo -n sh -c 'cp -p {file} {file}.kept && echo debug = True >>{file}'")
    try:
        for name, command, names in (
            ("pyinfra", pyinfra, peers.pyinfra_names),
            ("ansible", ansible, peers.ansible_names),
        ):
            log = LOGS / f"drift-{name}-looks.log"
            measure(command(few), log)
            names(node, log.read_text(errors="replace"))
    finally:
        lab.on(node, f"sudo -n mv {file}.kept {file}")


def drift(record: Record, nodes: int) -> None:
    """Nothing has drifted: each contestant must look at all and find nothing."""
    lab = Lab(light=nodes)
    ours, empty = deploy(lab)
    versions = peers.take_files(lab, lab.nodes[0])
    names = [line.split()[0] for line in versions]

    def pyinfra(lab: Lab) -> Command:
        return peers.pyinfra_dry(lab, {"versions": names, "option": ""})

    def ansible(lab: Lab) -> Command:
        return peers.playbook("drift", lab, {"versions": versions, "option": ""}, "--check", "--diff")

    peers_look(lab, pyinfra, ansible)
    slow = SLOW_ROUNDS.get(nodes, 0)
    race(
        record,
        [
            Contestant(
                "ssh",
                "plain ssh of the same inspection, all nodes at once (the floor)",
                lambda _n: peers.inspections(ours),
                check=peers.answered,
            ),
            Contestant("ours", "`pulumi preview --refresh`", lambda _n: ours.command(*PREVIEW)),
            Contestant(
                "empty",
                "`pulumi preview --refresh` of an empty stack of as many resources",
                lambda _n: empty.command(*PREVIEW),
            ),
            Contestant(
                "pyinfra",
                "pyinfra `--dry`",
                lambda _n: pyinfra(lab),
                check=peers.nothing_proposed,
                rounds=slow,
            ),
            Contestant(
                "ansible",
                "Ansible `--check --diff`",
                lambda _n: ansible(lab),
                check=peers.unchanged_everywhere,
                rounds=slow,
            ),
        ],
        DRIFT_ROUNDS,
    )


def nothing(record: Record, nodes: int) -> None:
    """`up` when the program, the state and the machines agree."""
    ours, empty = deploy(Lab(light=nodes))
    race(
        record,
        [
            Contestant("ours", "`pulumi up`", lambda _n: ours.command(*stacks.UP, "--expect-no-changes")),
            Contestant(
                "empty",
                "`pulumi up` of an empty stack of as many resources",
                lambda _n: empty.command(*stacks.UP, "--expect-no-changes"),
            ),
        ],
        NOTHING_ROUNDS,
    )


def option(record: Record, nodes: int) -> None:
    """Each run writes a value that no run before has written, so that each has all the work to do."""
    lab = Lab(light=nodes)
    ours, _empty = deploy(lab)
    saved_once = replace(ours, more={**ours.more, **dict([stacks.SAVED_ONCE.split("=")])})

    def value(number: int, contestant: int) -> int:
        return 10 + 10 * number + contestant

    def set_option(number: int, contestant: int = 0) -> None:
        stacks.write_settings(lab, lab.nodes, {"DEFAULT": {peers.OPTION: str(value(number, contestant))}})

    # The option stands in the files from now on: that is what the others write from.
    set_option(-1)
    measure(ours.command(*stacks.UP), LOGS / "option-first.log")
    peers.take_files(lab, lab.nodes[0])
    race(
        record,
        [
            Contestant("ours", "`pulumi up`", lambda _n: ours.command(*stacks.UP), set_option),
            Contestant(
                "unsaved",
                f"`pulumi up` with {stacks.SAVED_ONCE}: the state is written once, at the end",
                lambda _n: saved_once.command(*stacks.UP),
                lambda n: set_option(n, 3),
            ),
            Contestant(
                "ssh",
                "plain ssh that writes the file and restarts, all nodes at once (the floor)",
                lambda n: peers.written_and_restarted(lab.nodes, value(n, 1)),
            ),
            Contestant(
                "reported",
                "the same, until nova has a later report of each nova-compute, as ours waits for",
                lambda n: peers.written_restarted_and_reported(lab, value(n, 4)),
            ),
            Contestant(
                "ansible",
                "Ansible, template and handler",
                lambda n: peers.playbook("option", lab, {"option": str(value(n, 2))}),
                check=peers.changed_everywhere,
                rounds=SLOW_ROUNDS.get(nodes, 0),
            ),
        ],
        OPTION_ROUNDS,
    )
