"""Who else does the work: plain ssh, Ansible, pyinfra; each with what it needs to do it as fast as it can."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import yaml

from .machines import SSH, Lab, Machine
from .measuring import Command, Failed
from .places import CONTESTANTS, KEY, KNOWN_HOSTS, ROOT, STATE, USER
from .stacks import Stack

FILES = STATE / "files"
OPTION = "max_concurrent_builds"
"""The option of [DEFAULT] that one of the benchmarks changes: a number, so that each run can write another one."""
_BIN = ROOT / ".venv-bench" / "bin"


# ---------------------------------------------------------------- plain ssh


def inspections(stack: Stack) -> Command:
    """ssh of what our product would ask each node of its stack, all nodes at once."""
    folder = _emptied("inspection")
    resources = folder / "resources.json"
    resources.write_text(json.dumps(stack.resources()))
    words = [ROOT / ".venv" / "bin" / "python", CONTESTANTS / "ssh" / "inspection.py", resources, folder]
    subprocess.run(words, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    return _ssh("at-once", folder, "--held-open")


def written_and_restarted(nodes: Sequence[Machine], option: int) -> Command:
    """ssh that writes nova.conf with another option and restarts nova-compute, all nodes at once."""
    return _ssh("at-once", _writing(nodes, option))


def written_restarted_and_reported(lab: Lab, option: int) -> Command:
    """The same, and nova has a report of each nova-compute that is later than the last restart."""
    return _ssh("at-once-until-reported", _writing(lab.nodes, option), lab.controller.address)


def _writing(nodes: Sequence[Machine], option: int) -> Path:
    folder = _emptied("option")
    template = (FILES / "nova.conf.j2").read_text()
    target = "/etc/nova/nova.conf"
    write = (
        f"umask 077; cat >{target}.new; chown root:nova {target}.new; chmod 640 {target}.new; mv {target}.new {target}"
    )
    for node in nodes:
        content = template.replace("{{ address }}", node.address).replace("{{ option }}", str(option))
        (folder / f"{node.name}.input").write_text(content)
        (folder / f"{node.name}.command").write_text(f"sudo -n sh -c 'set -e; {write}; service nova-compute restart'")
    (folder / "nodes").write_text("".join(f"{node.name} {node.address}\n" for node in nodes))
    return folder


def answered(_text: str) -> None:
    """Raises Failed unless each node has answered our script to its end."""
    folder = STATE / "ssh" / "inspection"
    names = [line.split()[0] for line in (folder / "nodes").read_text().splitlines()]
    silent = [name for name in names if not (folder / f"{name}.output").read_text().endswith("\tend\n")]
    if silent:
        raise Failed(f"plain ssh: no whole answer from {', '.join(silent)}")


def _ssh(script: str, folder: Path, *options: str) -> Command:
    words = [str(CONTESTANTS / "ssh" / script), str(folder), *options, *SSH, "-l", USER]
    return Command(words, ROOT, os.environ)


def _emptied(name: str) -> Path:
    folder = STATE / "ssh" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


# ---------------------------------------------------------------- what the peers compare with


def take_files(lab: Lab, node: Machine) -> list[str]:
    """Keeps a node's files as templates, and returns its packages as `name status version`: what the peers want everywhere."""
    FILES.mkdir(parents=True, exist_ok=True)
    for name in ("nova.conf", "nova-compute.conf"):
        content = lab.on(node, f"sudo -n cat /etc/nova/{name}").replace(node.address, "{{ address }}")
        content = re.sub(rf"(?m)^{OPTION} = .*$", f"{OPTION} = {{{{ option }}}}", content)
        (FILES / f"{name}.j2").write_text(content)
    query = "dpkg-query -W -f '${Package} ${Status} ${Version}\\n' nova-compute sysfsutils"
    return lab.on(node, query).splitlines()


# ---------------------------------------------------------------- Ansible


def playbook(name: str, lab: Lab, variables: dict[str, object], *options: str) -> Command:
    """ansible-playbook with as many forks as there are nodes."""
    folder = STATE / "ansible"
    folder.mkdir(parents=True, exist_ok=True)
    inventory = folder / "inventory.yml"
    inventory.write_text(yaml.safe_dump(_inventory(lab, variables)))
    inventory.chmod(0o600)
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(CONTESTANTS / "ansible" / "ansible.cfg"),
        "ANSIBLE_HOME": str(folder),
        "ANSIBLE_FORKS": str(len(lab.nodes) + 1),
        # Short: a socket's path has at most 107 characters.
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(STATE / "cp"),
        "ANSIBLE_SSH_CONTROL_PATH": "%(directory)s/%%h",
        "ANSIBLE_NOCOLOR": "1",
        "LC_ALL": "C.UTF-8",
    }
    words = [str(_BIN / "ansible-playbook"), "-i", str(inventory), *options, f"{name}.yml"]
    return Command(words, CONTESTANTS / "ansible", environment)


def _inventory(lab: Lab, variables: dict[str, object]) -> dict[str, object]:
    def hosts(machines: Sequence[Machine]) -> dict[str, object]:
        return {each.name: {"ansible_host": each.address, "address": each.address} for each in machines}

    everywhere = {
        "ansible_user": USER,
        "ansible_ssh_private_key_file": str(KEY),
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={KNOWN_HOSTS} -o StrictHostKeyChecking=yes",
        "ansible_python_interpreter": "/usr/bin/python2.7",
        "files": str(FILES),
        **variables,
    }
    roles = {"control": [lab.controller], "compute": lab.nodes}
    groups = {
        group: {"hosts": hosts(machines), "vars": {"role": "compute" if group == "compute" else "controller"}}
        for group, machines in roles.items()
    }
    return {"all": {"vars": everywhere, "children": groups}}


def _recap(text: str) -> dict[str, tuple[str, ...]]:
    """Node -> how many tasks of a playbook have changed it, did not reach it, failed there."""
    lines = re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+) +unreachable=(\d+) +failed=(\d+)", text, re.MULTILINE)
    return {name: tuple(counts) for name, *counts in lines}


def unchanged_everywhere(text: str) -> None:
    """Raises Failed unless Ansible has found no difference and reached every node."""
    if set(_recap(text).values()) != {("0", "0", "0")}:
        raise Failed(f"Ansible found differences where there are none:\n{text[-3000:]}")


def changed_everywhere(text: str) -> None:
    """Raises Failed unless Ansible has written the file and restarted the service on every node."""
    if set(_recap(text).values()) != {("2", "0", "0")}:
        raise Failed(f"Ansible did not change every node:\n{text[-3000:]}")


def ansible_names(node: Machine, text: str) -> None:
    """Raises Failed unless nova.conf of this node is the only difference that Ansible has found."""
    task = text.partition("\nTASK [nova.conf]")[2].partition("\nTASK ")[0]
    differing = {name: counts for name, counts in _recap(text).items() if counts != ("0", "0", "0")}
    if f"changed: [{node.name}]" not in task or differing != {node.name: ("1", "0", "0")}:
        raise Failed(f"Ansible did not find that nova.conf of {node.name}, and nothing else, differs:\n{text[-3000:]}")


# ---------------------------------------------------------------- pyinfra


def pyinfra_dry(lab: Lab, variables: dict[str, object]) -> Command:
    """pyinfra, all nodes at once, saying what it would change."""
    folder = STATE / "pyinfra"
    folder.mkdir(parents=True, exist_ok=True)
    shared = {
        "ssh_user": USER,
        "ssh_key": str(KEY),
        "ssh_known_hosts_file": str(KNOWN_HOSTS),
        "ssh_strict_host_key_checking": "yes",
        "files": str(FILES),
        **variables,
    }
    hosts = [(each.name, {"ssh_hostname": each.address, **shared}) for each in lab.nodes]
    inventory = folder / "inventory.py"
    inventory.write_text(f"nodes = {hosts!r}\n")
    words = [str(_BIN / "pyinfra"), "--dry", "--parallel", str(len(hosts)), str(inventory)]
    return Command([*words, str(CONTESTANTS / "pyinfra" / "drift.py")], folder, {**os.environ, "NO_COLOR": "1"})


def _proposed(text: str) -> dict[str, str]:
    """Operation -> what pyinfra's table says that it would change: `-`, or how many nodes and which."""
    table = text.partition("--> Detected changes:")[2].lstrip("\n").split("\n\n")[0].splitlines()[1:]
    rows = [re.split(r" {2,}", row.strip()) for row in table]
    return {row[0]: "-" if row[1:] == ["-", "-"] else " ".join(row[1:]) for row in rows}


def nothing_proposed(text: str) -> None:
    """Raises Failed when pyinfra proposes a change, or says nothing of any."""
    if set(_proposed(text).values()) != {"-"}:
        raise Failed(
            f"pyinfra would change something where all is as it should be, or was not understood:\n{text[-3000:]}"
        )


def pyinfra_names(node: Machine, text: str) -> None:
    """Raises Failed unless nova.conf of this node is all that pyinfra proposes to change."""
    differing = {name: change for name, change in _proposed(text).items() if change != "-"}
    if differing != {"nova.conf": f"1 ({node.name}) -"}:
        raise Failed(f"pyinfra did not find that nova.conf of {node.name}, and nothing else, differs:\n{text[-3000:]}")
