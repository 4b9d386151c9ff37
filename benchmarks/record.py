"""What was measured, as JSON: docs/benchmarks/NAME.json. An unfinished record is continued; a finished one is made anew."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .measuring import Cost
from .places import RESULTS, ROOT
from .stacks import CONCURRENCY, MARK

LOAD_AT_START = round(os.getloadavg()[0], 1)


@dataclass
class Record:
    """The runs of one benchmark, with when, where and of what they were made."""

    name: str
    kind: str
    nodes: int
    goal: dict[str, Any] | None = None
    contestants: dict[str, str] = field(default_factory=dict)
    runs: list[dict[str, Any]] = field(default_factory=list)
    load: float = LOAD_AT_START
    """What else worked on the machine when the benchmarks began: processes that ran or wanted to, on the average of a minute."""
    date: str = ""
    commit: str = ""
    concurrency: str = ""
    """The stack's setting, where another one than the default was measured: such a record has a file of its own."""
    machine: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0
    complete: bool = False

    @classmethod
    def begin(cls, name: str, kind: str, nodes: int, goal: dict[str, Any] | None) -> Record:
        """A new record, or the unfinished one of the same commit on the same machine."""
        fresh = cls(
            name + MARK,
            kind,
            nodes,
            goal,
            date=time.strftime("%Y-%m-%d"),
            commit=commit(),
            concurrency=CONCURRENCY,
            machine=machine(),
        )
        old = read(fresh.path) if fresh.path.exists() else None
        if old and not old.complete and (old.commit, old.machine) == (fresh.commit, fresh.machine):
            old.goal = goal
            if old.kind != "curve":
                # Contestants of a round may build on each other: the one that was cut off begins anew.
                last = max((each["round"] for each in old.runs), default=0)
                old.runs = [each for each in old.runs if each["round"] != last]
            return old
        return fresh

    @property
    def path(self) -> Path:
        """Its file."""
        return RESULTS / f"{self.name}.json"

    def has(self, number: int, key: str) -> bool:
        """Whether this run was made already."""
        return any((each["round"], each["key"]) == (number, key) for each in self.runs)

    def add(self, number: int, key: str, cost: Cost, **more: Any) -> None:
        """Keeps a run."""
        figures = {name: round(value, 2) for name, value in asdict(cost).items()}
        self.runs.append({"round": number, "key": key, **figures, **more})
        self.write()

    def end(self, seconds: float) -> None:
        """The benchmark is whole."""
        self.complete, self.seconds = True, round(seconds)
        self.write()

    def write(self) -> None:
        """Keeps it, in one step."""
        RESULTS.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(asdict(self), indent=1) + "\n")
        part.replace(self.path)


def read(path: Path) -> Record:
    """The record in a file."""
    return Record(**json.loads(path.read_text()))


def commit() -> str:
    """What was measured: the last commit that changed something that runs."""
    words = ["git", "log", "-1", "--format=%h", "--", "nova_infra", "templates", "lab", "benchmarks", "__main__.py"]
    return subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def machine() -> dict[str, Any]:
    """Where: processors, memory, system."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    name = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "processor": name,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(pages / 1e9),
        "system": f"{platform.freedesktop_os_release()['PRETTY_NAME']}, Linux {platform.release()}",
    }
