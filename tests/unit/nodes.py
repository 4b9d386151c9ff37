"""A node that lives in memory: golden cases as data, and a machine that does what the calls say."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nova_infra.configuration import read_options
from nova_infra.node import service_fingerprint
from nova_infra.remote.inspection import Facts, File, Process
from nova_infra.remote.script import Call

CASES = Path(__file__).with_name("cases")
NOVA_CONF = "/etc/nova/nova.conf"
SQLITE = "/var/lib/nova/nova.sqlite"
RIGHT = "RIGHT"  # stands in a case for the fingerprint of the options that the stack wants


def state_of(wanted: dict[str, Any]) -> dict[str, Any]:
    """A node's state from the short form of a case: what is not said is the usual."""
    options = wanted["options"]
    services = {
        name: {"running": True, "enabled": True, "reads": list(options), **(more or {})}
        for name, more in wanted["services"].items()
    }
    for service in services.values():
        service["fingerprint"] = service_fingerprint(options, service["reads"])
    return {
        "node": wanted.get("node", "controller"),
        "connection": {"host": "10.0.0.11", "port": 22, "user": "ubuntu", "host_key": ""},
        "options": options,
        "files": {path: {"owner": "root", "group": "nova", "mode": "640"} for path in options},
        "services": services,
        "absent": wanted.get("absent", [SQLITE]),
        "schema": wanted.get("schema", "unmanaged"),
        "packages": {},
        "adopt": False,
        "on_unreachable": "refuse",
        "wait": True,
        "reporting": [],
        "answers": {},
    }


def facts_of_case(machine: dict[str, Any], state: dict[str, Any]) -> Facts:
    """What the machine of a case answers."""
    processes = {}
    for name, said in machine["services"].items():
        service = {"pid": 100, "ticks": "5000", "started": 2000, "enabled": True, **(said or {})}
        if service.get("noted_fingerprint") == RIGHT:
            service["noted_fingerprint"] = state["services"][name]["fingerprint"]
        processes[name] = Process(**service)
    usual = {"kind": "file", "owner": "root", "group": "nova", "mode": "640", "changed": 1000}
    return Facts(
        hostname=machine.get("hostname", state["node"]),
        now=9000,
        later=9000,
        virt_type=machine.get("virt_type", "qemu"),
        init="upstart",
        files={path: File(**{**usual, **said}) for path, said in machine["files"].items()},
        paths={path: path in machine.get("present", []) for path in state["absent"]},
        services=processes,
        schema=tuple(machine.get("schema", [0, 0])),
    )


class Machine:
    """Does what calls say, and remembers what each process has really read."""

    def __init__(self, state: dict[str, Any], virt_type: str) -> None:
        self.clock = 1000
        self.virt_type = virt_type
        self.files: dict[str, File] = dict.fromkeys(state["files"], File("missing"))
        self.processes: dict[str, Process] = {name: Process(0, "-", 0, enabled=True) for name in state["services"]}
        self.has_read: dict[str, Any] = {}
        self.present: dict[str, bool] = dict.fromkeys(state["absent"], True)
        self.schema = (0, 280)
        self.notes: dict[str, str | None] = {}
        self.state = state

    def facts(self) -> Facts:
        return Facts(
            self.state["node"],
            self.clock,
            self.virt_type,
            "sysv",
            files=dict(self.files),
            paths=dict(self.present),
            services=dict(self.processes),
            schema=self.schema,
            notes=dict(self.notes),
            later=self.clock,
        )

    def contents(self, name: str) -> dict[str, Any]:
        return {
            path: read_options(self.files[path].content, path) if self.files[path].kind == "file" else {}
            for path in self.state["services"][name]["reads"]
        }

    def write(self, path: str, content: str, owner: str = "root", group: str = "nova", mode: str = "640") -> None:
        self.files[path] = File("file", owner, group, mode, self.clock, content)

    def start(self, name: str) -> None:
        self.clock += 1
        self.processes[name] = dataclasses.replace(
            self.processes[name], pid=self.clock, ticks=str(self.clock * 100), started=self.clock
        )
        self.has_read[name] = self.contents(name)

    def stop(self, name: str) -> None:
        self.processes[name] = dataclasses.replace(self.processes[name], pid=0, ticks="-", started=0)

    def note(self, name: str, fingerprint: str) -> None:
        process = self.processes[name]
        self.processes[name] = dataclasses.replace(process, noted_ticks=process.ticks, noted_fingerprint=fingerprint)

    def do(self, calls: Iterable[Call]) -> None:
        for each in calls:
            self._do(each.function, *each.arguments)

    def _do(self, function: str, *arguments: str) -> None:
        if function == "put_file":
            path, owner, group, mode, content = arguments
            self.write(path, content, owner, group, mode)
        elif function == "sync_database":
            self.schema = (self.schema[1], self.schema[1])
        elif function == "remove_file":
            self.present[arguments[0]] = False
        elif function == "set_boot":
            name, boot = arguments
            self.processes[name] = dataclasses.replace(self.processes[name], enabled=boot == "enabled")
        elif function == "stop_services":
            for name in arguments:
                self.stop(name)
        elif function == "start_service":
            assert not self.processes[arguments[0]].running, "a service that runs is not started again"
            self.start(arguments[0])
            self.note(*arguments)
        elif function == "note_service":
            self.note(*arguments)
        else:
            raise AssertionError(f"a machine does not know {function}")
