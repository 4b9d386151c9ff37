"""make bench-profile [NODES=N] [WHAT=preview|up|option]: where the time of one command of our stack goes.

py-spy looks at every thread of every provider process a hundred times a second. Four threads of a provider do operations: each of their seconds
is spent waiting for a machine (over SSH), working, or having nothing to do. Beside that stand the CPU and the peak memory of each kind of
process. What is printed is kept as docs/benchmarks/profile-WHAT-NODES.txt, and the page names the file.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import psutil

from . import deployed, peers, stacks
from .machines import Lab, take_down
from .measuring import MB, PROVIDER, Failed
from .places import LOGS, RESULTS, ROOT, STATE
from .record import LOAD_AT_START, commit, machine
from .stacks import CONCURRENCY, MARK

RATE = 100
WHAT = {"preview": deployed.PREVIEW, "up": stacks.UP, "option": stacks.UP}
_PY_SPY = ROOT / ".venv-bench" / "bin" / "py-spy"
# The first that stands in a stack says what the thread does.
KINDS = (
    ("waiting for SSH", ("_Loop", "run (nova_infra/remote/connection.py", "reach_tcp", "reach_unix")),
    ("waiting between two looks (sleep)", ("sleep (tenacity",)),
    ("asking servers over HTTP, SQL", ("keystoneauth1", "keystoneclient", "pymysql")),
    ("importing", ("<frozen importlib",)),
    ("our own code", ("nova_infra/",)),
    ("the SDK: grpc, protobuf, pickle", ("pulumi/", "grpc/", "google/protobuf", "dill/")),
)


class Watch:
    """CPU seconds and peak memory (resident, in bytes) of each kind of process, and a py-spy on each provider."""

    def __init__(self, pid: int, folder: Path) -> None:
        self.cpu: Counter[str] = Counter()
        self.memory: Counter[str] = Counter()
        self.spies: list[subprocess.Popen[bytes]] = []
        self.first: float | None = None
        self._seen: dict[int, tuple[str, float]] = {}
        self._root, self._folder, self._began = pid, folder, time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Waits for the spies and adds up."""
        self._over.set()
        self._thread.join()
        for spy in self.spies:
            spy.wait(60)
        for kind, seconds in self._seen.values():
            self.cpu[kind] += seconds

    def _look(self) -> None:
        while not self._over.wait(0.05):
            try:
                root = psutil.Process(self._root)
                sizes: Counter[str] = Counter()
                for each in (root, *root.children(recursive=True)):
                    times = each.cpu_times()
                    kind = self._seen[each.pid][0] if each.pid in self._seen else self._new(each)
                    self._seen[each.pid] = (kind, times.user + times.system)
                    sizes[kind] += each.memory_info().rss
                # The greater of both, kind by kind.
                self.memory |= sizes
            except psutil.Error:
                continue

    def _new(self, process: psutil.Process) -> str:
        words = process.cmdline()
        if PROVIDER in words and "python" in words[0]:
            self.first = self.first or time.monotonic() - self._began
            target = self._folder / f"provider-{process.pid}.txt"
            words = [
                str(_PY_SPY),
                "record",
                "-p",
                str(process.pid),
                "-r",
                str(RATE),
                "-f",
                "raw",
                "--idle",
                "--threads",
                "-o",
                str(target),
            ]
            self.spies.append(subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            return "providers"
        return "engine" if words[:1] and words[0].endswith("pulumi") else "program and its host"


def main() -> int:
    """Deploys, runs the command under the spies, prints where the time went, and takes the nodes down."""
    # See benchmarks/__main__.py.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    nodes, what = int(os.environ.get("NODES", "20")), os.environ.get("WHAT", "preview")
    folder = STATE / "profile"
    folder.mkdir(parents=True, exist_ok=True)
    LOGS.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    try:
        lab = Lab(light=nodes)
        ours, _empty = deployed.deploy(lab)
        if what == "option":
            stacks.write_settings(lab, lab.nodes, {"DEFAULT": {peers.OPTION: str(int(time.time()) % 1000)}})
        command = ours.command(*WHAT[what])
        began = time.monotonic()
        with (LOGS / "profile.log").open("wb") as log:
            process = subprocess.Popen(
                command.words, cwd=command.folder, env=dict(command.environment), stdout=log, stderr=log
            )
            watch = Watch(process.pid, folder)
            status = process.wait()
        wall = time.monotonic() - began
        watch.end()
        if status != 0:
            raise Failed(f"pulumi ended with status {status}; what it said is in {LOGS / 'profile.log'}")
        text = _heading() + _text(what, nodes, wall, watch, folder)
        print(text)
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / f"profile-{what}-{nodes}{MARK}.txt").write_text(text)
    except Failed as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    finally:
        if not os.environ.get("KEEP"):
            take_down()
    return 0


def _heading() -> str:
    where = machine()
    return (
        f"{time.strftime('%Y-%m-%d')}, commit {commit()}, {where['cores']} cores of {where['processor']}, load before {LOAD_AT_START}"
        f"{f', concurrency {CONCURRENCY}' if CONCURRENCY else ''}\n"
    )


def _text(what: str, nodes: int, wall: float, watch: Watch, folder: Path) -> str:
    threads: Counter[str] = Counter()
    leaves: Counter[str] = Counter()
    for file in folder.glob("provider-*.txt"):
        for line in file.read_text().splitlines():
            stack, _, count = line.rpartition(" ")
            frames = stack.split(";")
            if not any("ThreadPoolExecutor" in frame or "_worker (concurrent" in frame for frame in frames):
                continue
            threads[_kind(frames)] += int(count)
            # The innermost of our own functions.
            own = [frame for frame in frames if "nova_infra/" in frame]
            if own:
                leaves[own[-1].rsplit(":", 1)[0]] += int(count)
    lines = [
        f"{what} with {nodes} compute nodes: {wall:.1f} s; the first provider process started after {watch.first or 0:.1f} s",
        "\nCPU seconds",
        *(f"  {seconds:7.2f}  {kind}" for kind, seconds in watch.cpu.most_common()),
        "\nPeak memory, MB",
        *(f"  {size / MB:7.0f}  {kind}" for kind, size in watch.memory.most_common()),
        "\nThread-seconds of the providers' operation threads",
        *(f"  {samples / RATE:7.2f}  {kind}" for kind, samples in threads.most_common()),
        "\n... by the innermost function of ours",
        *(f"  {samples / RATE:7.2f}  {name}" for name, samples in leaves.most_common(15)),
    ]
    return "\n".join(lines) + "\n"


def _kind(frames: list[str]) -> str:
    for frame in reversed(frames):
        if "_worker (concurrent" in frame:
            break
        for kind, signs in KINDS[:2]:
            if any(sign in frame for sign in signs):
                return kind
    for kind, signs in KINDS[2:]:
        if any(sign in frame for frame in frames for sign in signs):
            return kind
    return "nothing to do"


if __name__ == "__main__":
    sys.exit(main())
