"""NodePackages: what apt does on a node for us."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.runtime import rpc

from .. import remarks
from ..errors import Problem, Refused
from ..node import ADDED, same_machine
from ..packages import PRESENT, no_package_name, no_package_version
from ..provider import AnyConnection, connection_state
from ..remote.inspection import Facts, Question, inspect
from ..remote.operation import operate
from ..remote.script import Call, call
from .lifecycle import REMARKS, Lifecycle, Resource, State, required_text, usable_connection
from .unreachable import REFUSE, leave_if_unreachable, unreachable_problems

# How what a package is instead of installed begins; no version holds it.
_MARK = " ("
NOTES = "/var/lib/nova-infra"
# The note on the node of the packages that the stack names.
NAMED = "packages.named"


@dataclass(frozen=True)
class NodePackagesArgs:
    """The packages of a node."""

    node: pulumi.Input[str]
    """The machine's host name. The packages are known by it; it never changes."""
    connection: AnyConnection
    """How SSH reaches the node: a `pulumi_command.remote.ConnectionArgs`, or a mapping with the same keys.

    Without a provider its credentials are used; a provider's own come first."""
    packages: Mapping[str, pulumi.Input[str]]
    """Name and version (`1:2014.2.4-0ubuntu1`), or `present` for whichever version apt chooses."""
    on_unreachable: pulumi.Input[str] = REFUSE
    """What destroy does about a machine that cannot be connected to: `refuse`, or `leave` it as it is. It acts once an `up` has stored it."""


class NodePackagesLifecycle(Lifecycle):
    """apt on the node: installed with start-up held back, purged with the users and groups they brought."""

    kind = "node"
    identity = ("node",)
    computed = ("versions", "added")
    kept_in_state = frozenset({"on_unreachable"})
    looked_at = ("packages",)

    def name_of(self, wanted: State) -> str:
        """The node's name."""
        return str(wanted["node"])

    def problems(self, wanted: State) -> list[Problem]:
        """An empty name; no package; what is no name or version of a package; an unknown on_unreachable."""
        return [
            *required_text(wanted, "node"),
            *usable_connection(wanted),
            *package_problems(wanted["packages"]),
            *unreachable_problems(wanted),
        ]

    def make(self, wanted: State) -> dict[str, Any]:
        """Installs what is missing, and purges what the stack no longer names. What apt adds is noted before it is added."""
        operated = operate(
            self.access.node(wanted["node"], wanted["connection"]),
            _question(wanted),
            lambda facts: decide(wanted, facts),
            doing="installing packages",
            deadline=self.access.deadline("packages"),
            secrets=self.access.secrets(),
        )
        return _found(operated.facts)

    def look(self, known: State) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The packages, those of another version with that version. Raises StepFailed when it is another machine."""
        facts = inspect(
            self.access.node(known["node"], known["connection"]), _question(known), doing="reading packages"
        )
        same_machine(known, facts)
        if not any(package.installed for package in facts.packages.values()) and facts.notes[ADDED] is None:
            return None
        found = {**_found(facts), REMARKS: remarks.of_packages(known["node"], facts)}
        return {**known, "packages": observed(known, facts)}, found

    def change(self, known: State, wanted: State) -> dict[str, Any]:  # noqa: ARG002 - the node knows what it was
        """Installs what is missing or of another version; purges what we added and the stack no longer names."""
        return self.make(wanted)

    def remove(self, known: State) -> None:
        """Purges exactly what we added, and nothing that others have come to need."""
        with leave_if_unreachable(known, "the packages that we added", self.access.keep):
            operate(
                self.access.node(known["node"], known["connection"]),
                _question(known),
                lambda facts: _removal(known, facts),
                doing="removing packages",
                deadline=self.access.deadline("packages"),
                look_again=False,
                secrets=self.access.secrets(),
            )


def package_problems(packages: Any) -> list[Problem]:
    """What is no package's name or version; nothing of values that are not known yet."""
    if packages == rpc.UNKNOWN:
        return []
    if not packages:
        return [Problem("packages", "is empty")]
    problems = []
    for name, version in packages.items():
        reasons = (no_package_name(name), "" if version == rpc.UNKNOWN else no_package_version(version))
        problems += [Problem(f"packages.{name}", reason) for reason in reasons if reason]
    return problems


def observed(state: State, facts: Facts) -> dict[str, str]:
    """The packages as the node has them, in the shape of the wanted ones; equal to them when nothing is to be done.

    Behind the version of one that is not installed stands what it is instead: `present (not installed)`.
    """
    packages = {}
    for name, version in state["packages"].items():
        package = facts.packages[name]
        # A refresh that was stored may have marked it before.
        wanted = version.partition(_MARK)[0]
        if package.installed:
            packages[name] = PRESENT if wanted == PRESENT else package.version
        elif package.unfinished:
            packages[name] = f"{wanted}{_MARK}{package.status.split()[-1]}: {package.version})"
        else:
            packages[name] = f"{wanted}{_MARK}not installed)"
    return packages


def decide(wanted: State, facts: Facts) -> list[Call]:
    """One apt run for all that is missing, one for all that the stack no longer names, or nothing.

    Raises Refused when a package would get another version and somebody holds it back.
    """
    same_machine(wanted, facts)
    there = observed(wanted, facts)
    due = {name: version for name, version in sorted(wanted["packages"].items()) if there.get(name) != version}
    for name, version in due.items():
        if facts.packages[name].held and facts.packages[name].installed:
            raise Refused(
                f"{wanted['node']}: the stack wants {name} {version}, and somebody holds it back at {there[name]} there "
                f"(apt-mark hold). Run `apt-mark unhold {name}` on the node, or pin {there[name]}."
            )
    added, named = _noted(facts, ADDED), _noted(facts, NAMED)
    claimed = sorted((added & set(wanted["packages"])) - named - set(due))
    dropped = sorted(named - set(wanted["packages"]))
    words = [name if version == PRESENT else f"{name}={version}" for name, version in due.items()]
    calls = []
    if claimed:
        calls.append(call("name_packages", *claimed))
    if due:
        # Before others go: what comes may take their place.
        calls.append(call("install_packages", *words, title=f"installing {' '.join(words)}"))
    if dropped:
        calls.append(
            call("drop_packages", *dropped, title=f"removing {' '.join(dropped)}, which the stack no longer names")
        )
    return calls


def _noted(facts: Facts, note: str) -> set[str]:
    return set((facts.notes.get(note) or "").split())


def _removal(known: State, facts: Facts) -> list[Call]:
    if facts.notes[ADDED] is None:
        # A run that failed early leaves no note, and still our folder.
        return [call("remove_notes")] if facts.paths[NOTES] else []
    same_machine(known, facts)
    named, added = sorted(_noted(facts, NAMED)), _noted(facts, ADDED)
    others = f" and {len(added - set(named))} that they needed" if added - set(named) else ""
    title = f"removing the packages that we added: {', '.join(each for each in named if each in added)}{others}"
    return [call("purge_packages", title=title), call("remove_notes")]


def _question(state: State) -> Question:
    return Question(packages=sorted(state["packages"]), notes=(ADDED, NAMED), paths=(NOTES,))


def _found(facts: Facts) -> dict[str, Any]:
    versions = {name: package.version for name, package in facts.packages.items() if package.installed}
    return {"versions": versions, "added": sorted(_noted(facts, ADDED))}


class NodePackages(Resource, module="nova", name="NodePackages"):
    """What apt installs on a node.

    ```python
    connection = remote.ConnectionArgs(host="10.0.0.31", user="ubuntu", private_key=config.require_secret("privateKey"))
    nova_infra.NodePackages(
        "compute1-packages",
        nova_infra.NodePackagesArgs(node="compute1", connection=connection, packages={"nova-compute": "present"}),
    )
    ```

    With `opts=pulumi.ResourceOptions(provider=...)` it uses that provider's credentials instead.
    """

    versions: pulumi.Output[dict[str, str]]
    """The installed versions."""
    added: pulumi.Output[list[str]]
    """The packages that apt added for us, dependencies included: what destroy purges unless others have come to need it."""

    def __init__(self, name: str, args: NodePackagesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs = {
            "node": args.node,
            "connection": connection_state(args.connection),
            "packages": dict(args.packages),
            "on_unreachable": args.on_unreachable,
            "versions": None,
            "added": None,
        }
        super().__init__(NodePackagesLifecycle(), name, inputs, opts, connection=args.connection)
