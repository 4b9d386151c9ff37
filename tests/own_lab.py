"""A lab for one test process alone: beside the one of `make lab`, which stays as it is, and gone when the process ends."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.nodes import ROOT, Lab, lab_script

FOLDER = ROOT / ".lab" / "tests"
NAME = "nova-test"
# Of one checkout; as many test processes may run at the same time.
PLACES = 16


@dataclass
class OwnLab(Lab):
    """The nodes of this process."""

    stand_at: str | None = None
    """What they are as: new (an empty text), kept under this name, or neither."""

    def begin_at(self, name: str = "") -> bool:
        """New nodes, where the guide's chapter begins, or such as were kept under a name. Returns whether they are others than before."""
        if self.stand_at == name:
            return False
        self.stand_at = None
        lab_script("reset", LAB_FROM=name, LAB_LIGHT="0")
        self.stand_at = name
        return True

    def keep(self, name: str) -> None:
        """Keeps the nodes as they are under a name."""
        lab_script("keep", name)
        self.stand_at = name

    def used(self) -> None:
        """The next file gets other nodes."""
        self.stand_at = None


def why_not() -> str:
    """Why no lab can be made here, or an empty string."""
    if os.geteuid() != 0:
        return "the lab needs root"
    built = subprocess.run(
        ["bash", "-c", '. lab/settings.sh && [ -f "$CACHE/built" ]'], cwd=ROOT, capture_output=True, check=False
    )
    if not shutil.which("podman") or built.returncode != 0:
        return "the lab's images are not built; run `make setup`"
    return ""


@contextmanager
def own_lab() -> Iterator[OwnLab]:
    """Within this the lab's scripts, and pulumi's settings, are about a lab of this process's own."""
    _remove_labs_of_checkouts_that_are_gone()
    with _place() as number, pytest.MonkeyPatch.context() as patch:
        for variable in ("LAB_SUBNET", "LAB_LIGHT", "LAB_FROM"):
            patch.delenv(variable, raising=False)
        patch.setenv("LAB_STATE", str(FOLDER / str(number)))
        patch.setenv("LAB_NAME", f"{NAME}-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:6]}-{number}")
        patch.setenv("LAB_COMPUTES", "1")
        # Of a process that was killed.
        lab_script("down")
        yield OwnLab()
        lab_script("down")


@contextmanager
def _place() -> Iterator[int]:
    """A number that no other test process of this checkout has. The lock is given back when the process ends, however it ends."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for number in range(PLACES):
        with (FOLDER / f"{number}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield number
            return
    raise AssertionError(f"{PLACES} test processes of this checkout have a lab already")


def _remove_labs_of_checkouts_that_are_gone() -> None:
    """Their tests were killed, and no other script would find them."""
    listed = subprocess.run(
        ["podman", "ps", "--all", "--filter", f"name=^{NAME}-", "--format", "json"], capture_output=True, check=True
    )
    gone = {
        each["Names"][0].rpartition("-")[0]: each["Labels"]["nova-lab.checkout"]
        for each in json.loads(listed.stdout)
        if not Path(each["Labels"].get("nova-lab.checkout", "/")).exists()
    }
    for name in gone:
        lab_script("down", LAB_NAME=name, LAB_STATE=str(FOLDER / "of-a-checkout-that-is-gone"))
