"""The lab as tests see it: commands on its nodes, its servers through their own clients."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[1]
# Of the stacks in `stacks`.
PASSPHRASE = (ROOT / "lab" / "passphrase").read_text().strip()
# On the controller: the compute nodes on which the lab's nova may start an instance.
HOSTS_OF_THE_SCHEDULER = """/usr/lib/nova-venv/bin/python - <<'PYTHON'
import sqlite3
for row in sqlite3.connect('/var/lib/nova/nova_api.sqlite').execute('select host from host_mappings'):
    print(row[0])
PYTHON
"""


def lab_state() -> Path:
    """The folder of the lab: keys of its nodes, and settings of its own. Within tests.own_lab it is that one's."""
    return Path(os.environ.get("LAB_STATE", ROOT / ".lab"))


def passwords() -> dict[str, str]:
    """Name -> password, of lab/passwords.env."""
    lines = (ROOT / "lab" / "passwords.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def setting(name: str) -> str:
    """A password of lab/passwords.env."""
    return passwords()[name]


def lab_script(name: str, *arguments: str, **settings: str) -> str:
    """What one of the lab's scripts prints, with LAB_... settings laid over the environment."""
    command, environment = [ROOT / "lab" / name, *arguments], {**os.environ, **settings}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        raise AssertionError(f"lab/{name} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def _settings_say(function: str, node: str) -> str:
    """What a function of lab/settings.sh says of a node."""
    command = f". lab/settings.sh && {function} {shlex.quote(node)}"
    return subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


@dataclass
class Lab:
    """The running lab."""

    def run(self, node: str, script: str, *, check: bool = True, seconds: float = 300) -> str:
        """What a bash script prints that runs as root on a node; it travels on standard input."""
        command = [ROOT / "lab" / "ssh", node, "sudo", "-i", "bash", "-s"]
        done = subprocess.run(command, input=script, capture_output=True, text=True, timeout=seconds, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"{node}: {script!r} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def inside(self, node: str, script: str) -> str:
        """What a bash script prints that runs as root on a node, also when nobody can log in there or use sudo."""
        command = ["podman", "exec", "-i", self.container(node), "bash", "-s"]
        done = subprocess.run(command, input=script, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise AssertionError(f"{node}: {script!r} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def enter(self, node: str, *command: str) -> None:
        """Runs a command in a node that the node itself has no right to: a mount, another host name."""
        inspected = ["podman", "inspect", "--format", "{{.State.Pid}}", self.container(node)]
        process = subprocess.run(inspected, capture_output=True, text=True, check=True).stdout.strip()
        subprocess.run(["nsenter", "--target", process, "--mount", "--pid", "--uts", *command], check=True)

    @contextlib.contextmanager
    def small_disk(self, node: str, folder: str, options: str) -> Iterator[None]:
        """A tmpfs of these options over a folder of a node, made and gone with it where there is none."""
        made = self.inside(node, f"[ -d {folder} ] || {{ mkdir -p {folder}; echo made; }}")
        self.enter(node, "mount", "-t", "tmpfs", "-o", options, "tmpfs", folder)
        try:
            yield
        finally:
            self.enter(node, "umount", "--lazy", folder)
            if made:
                self.inside(node, f"rmdir {folder}")

    @contextlib.contextmanager
    def frozen(self, node: str) -> Iterator[None]:
        """A node of which no process runs for a while: it takes connections, and nobody says anything there."""
        subprocess.run(["podman", "pause", self.container(node)], capture_output=True, check=True)
        try:
            yield
        finally:
            subprocess.run(["podman", "unpause", self.container(node)], capture_output=True, check=True)

    def address(self, node: str) -> str:
        """The management address of a node."""
        return _settings_say("address", node)

    def container(self, node: str) -> str:
        """The name of a node's container."""
        return _settings_say("container", node)

    def sql(self, statement: str) -> list[list[str]]:
        """The rows that MariaDB's own client prints for root."""
        password = setting("DB_ROOT_PASS")
        text = self.run(
            "controller", f"MYSQL_PWD={password} mysql -u root --batch --skip-column-names -e {shlex.quote(statement)}"
        )
        return [line.split("\t") for line in text.splitlines()]

    def openstack(self, command: str, *, check: bool = True) -> str:
        """What a client of the guide (keystone, nova, glance) prints for the administrator."""
        return self.run("controller", f". /root/admin-openrc.sh\n{command}", check=check)

    def table(self, command: str) -> list[dict[str, str]]:
        """The rows of the table that a client prints."""
        lines = [line for line in self.openstack(command).splitlines() if line.startswith("|")]
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        return [dict(zip(cells[0], row, strict=True)) for row in cells[1:]] if cells else []

    def boot(self, name: str) -> None:
        """Boots an instance of the cirros image with the Juno client, and returns when it is ACTIVE."""
        # The lab's scheduler looks for new compute nodes every 2 s.
        assert eventually(lambda: "compute1" in self.run("controller", HOSTS_OF_THE_SCHEDULER)), "compute1 is not found"
        self.openstack("nova flavor-show tiny >/dev/null 2>&1 || nova flavor-create tiny auto 64 0 1 >/dev/null")
        self.openstack(f"nova boot --image cirros-0.3.3-x86_64 --flavor tiny {name} >/dev/null")
        assert eventually(lambda: self._status(name) != "BUILD", seconds=120), f"{name} is still being built"
        assert self._status(name) == "ACTIVE", self.openstack(f"nova show {name} | grep -E ' (status|fault) '")

    def _status(self, instance: str) -> str:
        return next(row["Status"] for row in self.table("nova list") if row["Name"] == instance)

    def delete_instance(self, name: str) -> None:
        """Deletes an instance, and returns when nova and the compute node have forgotten it."""
        self.openstack(f"nova delete {name}")
        assert eventually(lambda: name not in self.openstack("nova list")), f"nova still lists {name}"
        self.openstack("nova flavor-delete tiny")

    def processes(self, node: str) -> dict[str, str]:
        """Service -> its processes' ids and starts, for all nova services that run."""
        text = self.run(
            node,
            "for file in /var/run/nova/*.pid; do [ -e $file ] && pid=$(cat $file) && [ -d /proc/$pid ] && "
            "echo $(basename $file .pid) $pid $(sed 's/^.*) //' /proc/$pid/stat | awk '{print $20}'); done; true",
        )
        return {line.split()[0]: " ".join(line.split()[1:]) for line in text.splitlines()}


@dataclass
class Stack:
    """The stack `lab` in a backend of its own, driven by the real engine."""

    backend: Path

    def pulumi(
        self, *arguments: str, check: bool = True, seconds: float = 900, answer: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """A pulumi command, as a user types it after `. ./activate`; `answer` is what is typed when it asks."""
        line = " ".join(["pulumi", *(shlex.quote(each) for each in arguments)])
        done = subprocess.run(
            ["bash", "-c", f". ./activate && exec {line}"],
            cwd=ROOT,
            env=self.environment(),
            input=answer,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{line} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    def command(self, *arguments: str, seconds: float = 300, **environment: str) -> subprocess.CompletedProcess[str]:
        """`python -m nova_infra ...`, as a user types it after `. ./activate`; the environment is laid over that."""
        line = " ".join(shlex.quote(each) for each in ("python", "-m", "nova_infra", *arguments))
        variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
        return subprocess.run(
            ["bash", "-c", f". ./activate && exec env {variables} {line}"],
            cwd=ROOT,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def environment(self) -> dict[str, str]:
        """What pulumi is told by variables."""
        # As lab/activate.
        made = lab_state() / "Pulumi.lab.yaml"
        settings = {"PULUMI_OPTION_CONFIG_FILE": str(made)} if made.exists() else {}
        return {
            **os.environ,
            "PULUMI_BACKEND_URL": f"file://{self.backend}?metadata=skip",
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PULUMI_STACK": "lab",
            "NO_COLOR": "1",
            **settings,
        }

    def create(self) -> None:
        """Makes the stack."""
        self.backend.mkdir(parents=True, exist_ok=True)
        self.pulumi("stack", "select", "--create", "--stack", "lab", "--non-interactive")

    def running(self, *arguments: str) -> subprocess.Popen[str]:
        """A pulumi command that is still running; what it prints can be read line by line."""
        line = " ".join(["pulumi", *(shlex.quote(each) for each in arguments)])
        return subprocess.Popen(
            ["bash", "-c", f". ./activate && exec {line}"],
            cwd=ROOT,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def configured(self, directory: Path, **changes: Any) -> str:
        """The path of the stack's settings with these keys instead; a list or mapping is laid over the one that is there."""
        # A lab on another network has settings of its own.
        made = lab_state() / "Pulumi.lab.yaml"
        settings = yaml.safe_load((made if made.exists() else ROOT / "stacks" / "Pulumi.lab.yaml").read_text())
        config = settings["config"]
        for key, value in changes.items():
            config[f"nova:{key}"] = laid_over(config.get(f"nova:{key}"), value)
        path = Path(directory, "Pulumi.lab.yaml")
        path.write_text(yaml.safe_dump(settings))
        return str(path)

    def up(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`pulumi up` without questions."""
        return self.pulumi("up", "--yes", "--skip-preview", "--non-interactive", *arguments, check=check)

    def destroy(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`pulumi destroy` without questions."""
        return self.pulumi("destroy", "--yes", "--skip-preview", "--non-interactive", *arguments, check=check)

    def outputs(self) -> dict[str, str]:
        """`pulumi stack output`."""
        outputs: dict[str, str] = json.loads(self.pulumi("stack", "output", "--json").stdout)
        return outputs

    def state(self) -> str:
        """The state as it is stored: secrets encrypted."""
        return self.pulumi("stack", "export").stdout

    def pending(self) -> list[object]:
        """Operations that a run which died had begun."""
        pending: list[object] = json.loads(self.state())["deployment"].get("pending_operations", [])
        return pending

    def resources(self) -> list[dict[str, object]]:
        """The resources in the state."""
        resources: list[dict[str, object]] = json.loads(self.state())["deployment"].get("resources", [])
        return resources


def laid_over(below: Any, above: Any) -> Any:
    """Mappings key by key, lists item by item; else what is above."""
    if isinstance(below, dict) and isinstance(above, dict):
        return {**below, **{key: laid_over(below.get(key), each) for key, each in above.items()}}
    if isinstance(below, list) and isinstance(above, list):
        return [laid_over(*pair) for pair in zip_longest(below, above)]
    return below if above is None else above


def eventually(question: Callable[[], bool], *, seconds: float = 60) -> bool:
    """Whether `question()` becomes true within the time."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if question():
            return True
        time.sleep(1)
    return False
