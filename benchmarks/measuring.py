"""What a command costs: seconds of wall clock, seconds of CPU and peak memory of it and of every process that it starts."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

SAMPLE_SECONDS = 0.2
MB = 1_000_000
PR_SET_CHILD_SUBREAPER = 36
_fork = multiprocessing.get_context("fork")
# The process in which the engine runs a provider's operations.
PROVIDER = "pulumi.dynamic"


@dataclass(frozen=True)
class Command:
    """What is run: in this folder, with this environment."""

    words: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    limit: float = 1500


@dataclass(frozen=True)
class Cost:
    """`wall` and `cpu` in seconds; `memory` the peak of all processes together, and of the providers alone, in MB (resident).

    `processes`: how many providers there were at their peak.
    """

    wall: float
    cpu: float
    memory: float
    providers: float
    processes: int


class Failed(Exception):  # noqa: N818 - it reads as a sentence
    """A contestant that did not do its work is no contestant: the benchmark ends."""


def measure(command: Command, log: Path) -> Cost:
    """Runs the command with its output in `log`. Raises Failed when it ends with another status than 0."""
    # In a process of its own: that one adopts what the command leaves behind, and nothing else (the lab's nodes are orphans too).
    ours, theirs = _fork.Pipe(duplex=False)
    process = _fork.Process(target=_measure_tree, args=(command, log, theirs))
    process.start()
    theirs.close()
    try:
        status, cost = ours.recv()
    except BaseException as error:
        process.terminate()
        if isinstance(error, EOFError):
            raise Failed(f"{command.words[0]} could not be measured; its output is in {log}") from None
        raise
    finally:
        process.join()
    if status != 0:
        end = log.read_text(errors="replace")[-1500:]
        what = f"did not end within {command.limit:.0f} s" if status is None else f"ended with status {status}"
        raise Failed(f"{' '.join(map(str, command.words[:3]))} ... {what}; the end of its output ({log}):\n{end}")
    return cost


def _measure_tree(command: Command, log: Path, answer: Connection) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    _adopt_orphans()
    try:
        status, wall, memory = _run(command, log)
    except KeyboardInterrupt:
        return
    finally:
        _end_children()
    # os.times: with what they have waited for, all processes of the tree.
    times = os.times()
    cpu = times.children_user + times.children_system
    answer.send((status, Cost(wall, cpu, memory.peak / MB, memory.providers / MB, memory.processes)))


def _run(command: Command, log: Path) -> tuple[int | None, float, Memory]:
    began = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command.words,
            cwd=command.folder,
            env=dict(command.environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    memory = Memory(process.pid)
    status = None
    try:
        status = process.wait(command.limit)
    except subprocess.TimeoutExpired:
        process.terminate()
    finally:
        wall = time.monotonic() - began
        memory.end()
    return status, wall, memory


def _adopt_orphans() -> None:
    """Processes whose parent has ended become ours, so that their CPU counts and none is left behind."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _end_children() -> None:
    """Ends what is left (Ansible's masters of SSH connections live for a minute) and takes its CPU seconds into account."""
    left = psutil.Process().children(recursive=True)
    for each in left:
        try:
            each.terminate()
        except psutil.NoSuchProcess:
            continue
    _gone, alive = psutil.wait_procs(left, timeout=5)
    for each in alive:
        each.kill()
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                return
        except ChildProcessError:
            return


class Memory:
    """Looks at a tree of processes now and then, in a thread, and keeps the peaks of its resident memory, in bytes."""

    def __init__(self, pid: int) -> None:
        self.peak = 0
        self.providers = 0
        self.processes = 0
        self._root = pid
        self._is_provider: dict[int, bool] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stops looking."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            try:
                root = psutil.Process(self._root)
                processes = [root, *root.children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            sizes = {each.pid: size for each in processes if (size := _resident(each)) is not None}
            self.peak = max(self.peak, sum(sizes.values()))
            providers = [size for each in processes if (size := sizes.get(each.pid)) and self._provides(each)]
            if sum(providers) > self.providers:
                self.providers, self.processes = sum(providers), len(providers)

    def _provides(self, process: psutil.Process) -> bool:
        if process.pid not in self._is_provider:
            try:
                self._is_provider[process.pid] = PROVIDER in process.cmdline()
            except psutil.Error:
                return False
        return self._is_provider[process.pid]


def _resident(process: psutil.Process) -> int | None:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return None
