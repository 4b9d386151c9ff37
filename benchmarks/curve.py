"""Benchmark 5: what each thing that one does with a deployment takes, with 10 to 100 light nodes."""

from __future__ import annotations

import time

from . import peers, stacks
from .figures import STEPS
from .machines import Lab
from .measuring import Command, measure
from .places import LOGS
from .record import Record

SIZES = (10, 25, 50, 100)


def run(record: Record, nodes: int) -> None:
    """Measures all steps with that many nodes; what the record has got already is not done again."""
    record.contestants = dict(STEPS)
    # One more, which is added in the middle.
    lab = Lab(light=nodes + 1)
    ours = stacks.ours()
    if any(record.has(nodes, step) for step in STEPS):
        # Cut off in between: the steps build on each other.
        record.runs = [each for each in record.runs if each["round"] != nodes]
    lab.fresh()
    ours.anew()
    stacks.write_settings(lab, lab.nodes[:nodes])

    def step(key: str, command: Command) -> None:
        began = time.strftime("%H:%M:%S")
        cost = measure(command, LOGS / f"{record.name}-{nodes}-{key}.log")
        record.add(nodes, key, cost, state=ours.state_bytes())
        print(f"{began} {record.name}: {nodes} nodes, {key}: {cost.wall:.1f} s", flush=True)

    step("up", ours.command(*stacks.UP))
    stacks.write_settings(lab, lab.nodes[:nodes], {"DEFAULT": {peers.OPTION: "20"}})
    step("option", ours.command(*stacks.UP))
    stacks.write_settings(lab, lab.nodes, {"DEFAULT": {peers.OPTION: "20"}})
    step("add", ours.command(*stacks.UP))
    step("preview", ours.command("preview", "--refresh", "--expect-no-changes"))
    step("check", ours.own_command("check"))
    step("destroy", ours.command("destroy", "--yes", "--skip-preview"))
