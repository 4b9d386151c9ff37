"""make bench [BENCH=fresh|drift|nothing|option|curve] [NODES=N] [ROUNDS=N] [CONCURRENCY=N]"""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import asdict

from . import curve, deployed, fresh
from .figures import LIMIT
from .machines import take_down
from .measuring import Failed
from .places import LOGS, STATE
from .publishing import publish
from .record import Record, commit
from .stacks import CONCURRENCY

# What `make bench` runs, in this order: neighbours use the same deployment.
ALL = (("fresh", 1), ("drift", 20), ("drift", 100), ("nothing", 100), ("option", 100), ("curve", 0))
# Those that a run of several has finished: when it was cut off, the next one continues behind them.
DONE = STATE / "done"
RACES = {
    "fresh": (fresh.run, fresh.GOAL),
    "drift": (deployed.drift, deployed.DRIFT),
    "nothing": (deployed.nothing, deployed.NOTHING),
    "option": (deployed.option, deployed.OPTION),
}


def _done() -> list[str]:
    return DONE.read_text().splitlines() if DONE.exists() else []


def chosen() -> list[tuple[str, int]]:
    """The benchmarks that the environment asks for, each with its number of nodes."""
    name, nodes = os.environ.get("BENCH", ""), os.environ.get("NODES", "")
    if name and name not in (*RACES, "curve"):
        raise Failed(f"BENCH is {name!r}; it can be {', '.join((*RACES, 'curve'))}, or nothing for all of them")
    if nodes and not nodes.isdigit():
        raise Failed(f"NODES is {nodes!r}; it must be a number of compute nodes")
    if CONCURRENCY and not CONCURRENCY.isdigit():
        raise Failed(f"CONCURRENCY is {CONCURRENCY!r}; it must be a number of operations")
    if not name:
        return list(ALL)
    if nodes:
        return [(name, int(nodes))]
    return [each for each in ALL if each[0] == name]


def run(name: str, nodes: int) -> None:
    """One benchmark, whole."""
    began = time.monotonic()
    if name == "curve":
        sizes = [nodes] if nodes else list(curve.SIZES)
        record = Record.begin("curve" if not nodes else f"curve-{nodes}", "curve", max(sizes), {"limit": LIMIT})
        for size in sizes:
            if not record.has(size, "destroy"):
                curve.run(record, size)
    else:
        work, goal = RACES[name]
        record = Record.begin(f"{name}-{nodes}", name, nodes, asdict(goal))
        work(record, nodes)
    record.end(record.seconds + time.monotonic() - began)


def main() -> int:
    """Runs what was asked for, writes the page, and leaves no node behind."""
    # `make` passes a signal on as it is; the way out is the same as for Ctrl-C. A script's background commands ignore that one, and so would
    # what they start: Pulumi's plugins, which it interrupts at its end and then waits 5 s for.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.default_int_handler)
    try:
        benchmarks = chosen()
        LOGS.mkdir(parents=True, exist_ok=True)
        try:
            # One that somebody names is made anew in any case.
            whole = not os.environ.get("BENCH")
            for name, nodes in benchmarks:
                line = f"{name} {nodes} {commit()} {CONCURRENCY}"
                if whole and line in _done():
                    continue
                run(name, nodes)
                if whole:
                    DONE.write_text("\n".join([*_done(), line]))
            if whole:
                DONE.unlink(missing_ok=True)
        finally:
            if not os.environ.get("KEEP"):
                take_down()
        publish()
    except Failed as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("benchmarks: cut off; the same command continues with what is left", file=sys.stderr)
        return 130
    if not os.environ.get("KEEP"):
        print(f"benchmarks: the page is docs/benchmarks.md; what the contestants printed is in {STATE.name}/logs")
    return 0


sys.exit(main())
