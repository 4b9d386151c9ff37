"""The lab of the benchmarks: real nodes for the first one, light ones where there are many."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass

from .measuring import Command, Failed
from .places import KEY, KNOWN_HOSTS, LAB_NAME, LOGS, ROOT, STATE, SUBNET, USER

SSH = (
    *(
        "ssh",
        "-F",
        "none",
        "-i",
        str(KEY),
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        "BatchMode=yes",
        "-o",
        "ConnectTimeout=30",
    ),
    *("-o", f"UserKnownHostsFile={KNOWN_HOSTS}", "-o", "StrictHostKeyChecking=yes", "-o", "LogLevel=ERROR"),
)


@dataclass(frozen=True)
class Machine:
    """A node of the lab."""

    name: str
    address: str


@dataclass(frozen=True)
class Lab:
    """A controller and `computes` real or `light` compute nodes."""

    computes: int = 1
    light: int = 0

    @property
    def controller(self) -> Machine:
        """Always the same."""
        return Machine("controller", _address(11))

    @property
    def nodes(self) -> list[Machine]:
        """The compute nodes that take part: the light ones where there are any."""
        if self.light:
            return [Machine(f"light{number:03}", _address(100 + number)) for number in range(1, self.light + 1)]
        return [Machine(f"compute{number}", _address(30 + number)) for number in range(1, self.computes + 1)]

    def fresh(self) -> None:
        """New nodes in place of those there are."""
        self._run("reset")

    def up(self) -> None:
        """The nodes, as they are."""
        self._run("up")

    def command(self, *words: str, limit: float = 1500) -> Command:
        """A command of the lab."""
        return Command(words, ROOT, self._environment(), limit)

    def on(self, machine: Machine, command: str) -> str:
        """What a command on a node prints."""
        words = [*SSH, f"{USER}@{machine.address}", command]
        return subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout

    def _run(self, script: str) -> None:
        LOGS.mkdir(parents=True, exist_ok=True)
        log = LOGS / f"lab-{script}.log"
        with log.open("wb") as output:
            done = subprocess.run(
                [ROOT / "lab" / script],
                cwd=ROOT,
                env=self._environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode != 0:
            raise Failed(f"lab/{script} failed; the end of what it said:\n{log.read_text()[-1500:]}")

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "LAB_NAME": LAB_NAME,
            "LAB_SUBNET": SUBNET,
            "LAB_STATE": str(STATE),
            "LAB_COMPUTES": str(self.computes),
            "LAB_LIGHT": str(self.light),
            "LAB_REPO": "",
        }


def take_down() -> None:
    """Removes the nodes, the network and the keys of the benchmarks' lab."""
    Lab()._run("down")


def _address(number: int) -> str:
    return f"{SUBNET.removesuffix('.0/24')}.{number}"
