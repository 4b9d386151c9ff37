"""The two Pulumi stacks: ours on the nodes of the lab, and the empty one. Each has a backend of its own, in files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from .machines import Lab, Machine
from .measuring import Command, Failed
from .places import CONTESTANTS, KEY, KNOWN_HOSTS, ROOT, STATE, USER

CONCURRENCY = os.environ.get("CONCURRENCY", "")
# In the name of each file of results, so that numbers of two settings never meet.
MARK = f"-concurrency-{CONCURRENCY}" if CONCURRENCY else ""
# An option of Pulumi: a killed engine leaves the state as it was before.
SAVED_ONCE = "PULUMI_SKIP_CHECKPOINTS=true"
UP = ("up", "--yes", "--skip-preview")
_WORKING = ("up", "preview", "destroy")
PROVIDER_TYPE = "pulumi:providers:pulumi-python"


@dataclass
class Stack:
    """A project's stack `bench`."""

    name: str
    project: Path
    more: dict[str, str] = field(default_factory=dict)

    @property
    def backend(self) -> Path:
        """The folder of its state."""
        return STATE / "pulumi" / self.name

    def anew(self) -> None:
        """A stack without any resource, whatever was there."""
        shutil.rmtree(self.backend, ignore_errors=True)
        self.made()

    def made(self) -> None:
        """The stack, as it is."""
        self.backend.mkdir(parents=True, exist_ok=True)
        self._quietly("stack", "select", "--create", "--stack", "bench")
        # It leaves settings with a salt of their own beside the committed ones; ours are elsewhere.
        for folder in (self.project, self.project / "stacks"):
            (folder / "Pulumi.bench.yaml").unlink(missing_ok=True)

    def command(self, *words: str) -> Command:
        """`pulumi` with these words."""
        # Pulumi's own limit would be the lower one.
        limit = ("--parallel", CONCURRENCY) if CONCURRENCY and words[0] in _WORKING else ()
        words = (*words, *limit, "--non-interactive", "--color", "never")
        return Command(("pulumi", *words), self.project, self.environment())

    def own_command(self, *words: str) -> Command:
        """`python -m nova_infra` with these words."""
        return Command(("python", "-m", "nova_infra", *words), self.project, self.environment())

    def environment(self) -> dict[str, str]:
        """What `. ./activate` sets, and what selects this stack."""
        return {
            **_activated(),
            "PULUMI_BACKEND_URL": f"file://{self.backend}?metadata=skip",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(ROOT / "lab" / "passphrase"),
            "PULUMI_STACK": "bench",
            **self.more,
        }

    def resources(self) -> list[dict[str, Any]]:
        """The resources in its state."""
        exported = self._quietly("stack", "export", "--show-secrets")
        return list(json.loads(exported)["deployment"].get("resources") or [])

    def state_bytes(self) -> int:
        """The size of its state."""
        return sum(each.stat().st_size for each in (self.backend / ".pulumi" / "stacks").rglob("bench.json"))

    def _quietly(self, *words: str) -> str:
        command = self.command(*words)
        done = subprocess.run(
            command.words,
            cwd=command.folder,
            env=command.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        if done.returncode != 0:
            raise Failed(f"pulumi {' '.join(words)} failed: {done.stderr[-1500:]}")
        return done.stdout


def ours() -> Stack:
    """The product's own project, with settings that `write_settings` has written."""
    return Stack("nova", ROOT, {"PULUMI_OPTION_CONFIG_FILE": str(settings_file()), "PYTHONPATH": str(ROOT)})


def settings_file() -> Path:
    """The stack's settings."""
    return STATE / "Pulumi.bench.yaml"


def write_settings(lab: Lab, nodes: Sequence[Machine], options: Mapping[str, Mapping[str, str]] | None = None) -> None:
    """The committed settings of the stack `lab` with these compute nodes, and options for all of them."""
    settings = yaml.safe_load((ROOT / "stacks" / "Pulumi.lab.yaml").read_text())
    config = settings["config"]
    config["nova:controllers"] = [{"name": lab.controller.name, "address": lab.controller.address}]
    config["nova:computes"] = [{"name": node.name, "address": node.address} for node in nodes]
    config["nova:ssh"] = {"user": USER, "private_key_file": str(KEY), "known_hosts_file": str(KNOWN_HOSTS)}
    if options:
        config["nova:options"] = {"compute": dict(options)}
    if CONCURRENCY:
        config["nova:concurrency"] = int(CONCURRENCY)
    settings_file().write_text(yaml.safe_dump(settings, sort_keys=False))


def empty(like: Stack) -> Stack:
    """A stack of as many dynamic resources and explicit providers as `like` has now, whose provider does nothing."""
    types = [each["type"] for each in like.resources() if "provider" in each or each["type"] == PROVIDER_TYPE]
    processes = types.count(PROVIDER_TYPE)
    project = CONTESTANTS / "empty"
    counts = {"BENCH_PROVIDERS": str(processes), "BENCH_RESOURCES": str(len(types) - processes)}
    stack = Stack("empty", project, {**counts, "PYTHONPATH": str(project)})
    stack.more["PULUMI_OPTION_CONFIG_FILE"] = str(_no_settings())
    return stack


def _no_settings() -> Path:
    file = STATE / "Pulumi.empty.yaml"
    # The salt belongs to the passphrase that all stacks here share.
    salt = yaml.safe_load((ROOT / "stacks" / "Pulumi.lab.yaml").read_text())["encryptionsalt"]
    file.write_text(yaml.safe_dump({"encryptionsalt": salt}))
    return file


@cache
def _activated() -> dict[str, str]:
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith("PULUMI_") and name != "VIRTUAL_ENV"
    }
    shell = subprocess.run(
        ["bash", "-c", ". ./activate >&2 && env -0"], cwd=ROOT, env=clean, check=True, capture_output=True, text=True
    )
    return dict(line.split("=", 1) for line in shell.stdout.split("\0") if "=" in line)
