"""NodePackages: what apt does on a node for us."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from ..errors import Problem
from ..node import same_machine
from ..provider import AnyConnection, connection_state
from ..remote.inspection import Facts, Question, inspect
from ..remote.operation import operate
from ..remote.script import Call, call
from .lifecycle import Lifecycle, Resource, State, required_text, usable_connection

PRESENT = "present"
DEADLINE_SECONDS = 1800.0
ADDED = "packages.added"


@dataclass(frozen=True)
class NodePackagesArgs:
    """The packages of a node: name -> version, or `present` for whichever version apt chooses.

    `connection` is a `pulumi_command.remote.ConnectionArgs` or a mapping with the same keys. Without a provider its credentials
    are used; a provider's own come first.
    """

    node: str
    connection: AnyConnection
    packages: Mapping[str, str]


class NodePackagesLifecycle(Lifecycle):
    """apt on the node: installed with start-up held back, purged with the users and groups they brought."""

    kind = "node"
    identity = ("node",)
    computed = ("versions", "added")

    def name_of(self, wanted: State) -> str:
        """The node's name."""
        return str(wanted["node"])

    def problems(self, wanted: State) -> list[Problem]:
        """Empty names; no package."""
        problems = [*required_text(wanted, "node"), *usable_connection(wanted)]
        return problems if wanted["packages"] else [*problems, Problem("packages", "is empty")]

    def make(self, wanted: State) -> dict[str, Any]:
        """Installs what is missing. What apt adds is noted on the node before it is added."""
        connection = self.access.node(wanted["node"], wanted["connection"])
        operate(
            connection,
            _question(wanted),
            lambda facts: decide(wanted, facts),
            doing="installing packages",
            deadline=DEADLINE_SECONDS,
        )
        return _found(inspect(connection, _question(wanted), doing="reading what was installed"))

    def look(self, known: State) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The installed packages, those of another version with that version."""
        facts = inspect(
            self.access.node(known["node"], known["connection"]), _question(known), doing="reading packages"
        )
        if not any(package.installed for package in facts.packages.values()) and facts.notes[ADDED] is None:
            return None
        return {**known, "packages": observed(known, facts)}, _found(facts)

    def change(self, known: State, wanted: State) -> dict[str, Any]:  # noqa: ARG002 - apt decides from what is installed
        """Installs what is missing or of another version."""
        return self.make(wanted)

    def remove(self, known: State) -> None:
        """Purges exactly what we added, and nothing that others have come to need."""
        operate(
            self.access.node(known["node"], known["connection"]),
            _question(known),
            lambda facts: _removal(known, facts),
            doing="removing packages",
            deadline=DEADLINE_SECONDS,
        )


def observed(state: State, facts: Facts) -> dict[str, str]:
    """The packages as the node has them, in the shape of the wanted ones; equal to them when nothing is to be done."""
    packages = {}
    for name, version in state["packages"].items():
        package = facts.packages[name]
        if package.installed:
            packages[name] = PRESENT if version == PRESENT else package.version
    return packages


def decide(wanted: State, facts: Facts) -> list[Call]:
    """One apt run for all that is missing, or nothing."""
    same_machine(wanted, facts)
    there = observed(wanted, facts)
    due = [
        name if version == PRESENT else f"{name}={version}"
        for name, version in sorted(wanted["packages"].items())
        if there.get(name) != version
    ]
    return [call("install_packages", *due, title=f"installing {' '.join(due)}")] if due else []


def _removal(known: State, facts: Facts) -> list[Call]:
    if facts.notes[ADDED] is None:
        return []
    same_machine(known, facts)
    return [call("purge_packages", title="removing the packages that we added"), call("remove_notes")]


def _question(state: State) -> Question:
    return Question(packages=sorted(state["packages"]), notes=(ADDED,))


def _found(facts: Facts) -> dict[str, Any]:
    versions = {name: package.version for name, package in facts.packages.items() if package.installed}
    return {"versions": versions, "added": sorted((facts.notes[ADDED] or "").split())}


class NodePackages(Resource, module="nova", name="NodePackages"):
    """What apt installs on a node.

    connection = remote.ConnectionArgs(host="10.0.0.31", user="ubuntu", private_key=config.require_secret("privateKey"))
    nova_infra.NodePackages(
        "compute1-packages",
        nova_infra.NodePackagesArgs(node="compute1", connection=connection, packages={"nova-compute": "present"}),
    )

    With `opts=pulumi.ResourceOptions(provider=...)` it uses that provider's credentials instead.
    """

    versions: pulumi.Output[dict[str, str]]
    """The installed versions."""
    added: pulumi.Output[list[str]]
    """The packages that apt added for us, dependencies included: what destroy purges."""

    def __init__(self, name: str, args: NodePackagesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs = {
            "node": args.node,
            "connection": connection_state(args.connection),
            "packages": dict(args.packages),
            "versions": None,
            "added": None,
        }
        super().__init__(NodePackagesLifecycle(), name, inputs, opts, connection=args.connection)
