"""A kind of drift: how it comes about, what a plan says of it, and what `pulumi up --refresh` does. Kinds are data.

Each is caused with the ordinary client of its server or machine. `assert_found_and_repaired` takes several that do not meet at once;
a list of them is a group of test_drift.py, and matrix.py takes them one by one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.lab.drift.masked import assert_masked
from tests.lab.drift.plan import Difference, Plan, Value
from tests.nodes import Lab, Stack

NODES = ("controller", "compute1")
# Settings of the lab's stack in which it manages all that can drift.
MANAGED: dict[str, Any] = {
    "identity": {"default_tenant": "service", "email": "nova@example.org"},
    "database": {
        "hosts": {
            "localhost": ["ALL"],
            "%": ["ALTER", "CREATE", "DELETE", "DROP", "INDEX", "INSERT", "REFERENCES", "SELECT", "UPDATE"],
            "192.0.2.7": ["ALL"],
        }
    },
    "packages": {"controller": {"nova-cert": "3:15.1.5-0lab1"}},
}
REFRESHED = ("--refresh", "--non-interactive")
# What nova's tables say follows from everything else, and is never drift.
FOLLOWS = {("nova-check", "service_list"), ("nova-check", "image_list"), ("nova-check", "look_again")}
REMARKS = re.compile(r"remarks\b")
# Outputs about what is not the stack's. Those of one group are taken back in the refresh of the next, like remarks.
OTHERS = re.compile(r"(other_roles|other_records)\b")
# Outputs among what a kind shows: nothing of them is to be repaired.
OUTPUTS = re.compile(r"(virt_type|schema_version|versions)\b")
# It has the moments at which nodes have started their services among its inputs: not known while a node is to be changed, and another
# only when services were started.
CHECK = "nova-check"
# What is said of nova where it does not answer: it cannot be asked for its records.
NOVA_IS_SILENT = {
    **{f"nova-{node}": f"{node}: whether nova has a record of its services is not known: " for node in NODES},
    CHECK: "What nova lists is not known: ",
}


@dataclass(frozen=True)
class Kind:
    """One way in which a machine or server comes to differ from the stack.

    `shows`: resource -> path of the property -> (what the stack records, what was found), both as a plan prints them; an empty text
    where there is nothing, a pattern where the value is another one each time. Outputs that differ too are named in `shows`; remarks are not.
    `gone`: resources that are not there at all. What is no drift has neither, and `said`: resource -> words of a remark. No other remark
    may come, but those of `may_say`.
    """

    name: str
    """As a row of docs/drift.md: "a privilege is revoked"."""
    cause: Callable[[Lab], object]
    after: Callable[[Lab], None]
    """Asserts through the server's or machine's own client that `up` put it right, or left it where it is no drift."""
    looks: int = 1
    """How many previews there may be until one shows it: a moment in between looks otherwise."""
    looked: Callable[[Lab], None] | None = None
    """Asserts that the preview itself has left nothing behind."""
    shows: Mapping[str, Mapping[str, tuple[Value, Value]]] = field(default_factory=dict)
    gone: Sequence[str] = ()
    said: Mapping[str, str] = field(default_factory=dict)
    may_say: Mapping[str, str] = field(default_factory=dict)
    """Remarks that come along or do not, as tokens are still good or not, and as Keystone chooses."""
    advice: str = ""
    """What the remark says is to be done: a command of an ordinary client. A plan cuts it off; the report has it."""
    names: Callable[[Lab], str] | None = None
    """Words of the remark that only an ordinary client can tell."""
    follows: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Resource -> outputs that differ as a consequence and are not repaired by name: a UUID, a moment, what others have besides."""
    updates: Sequence[str] = ()
    """Resources that `up` changes besides those in `shows` and `gone`."""
    restarts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Node -> services that the repair starts anew."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings that a stack needs for it besides MANAGED. Such a kind is in no group."""
    undo: Callable[[Lab], object] | None = None
    """Takes back what `up` leaves."""

    @property
    def is_drift(self) -> bool:
        """Whether `up` has something to do."""
        return bool(self.shows or self.gone)


def differences(kinds: Sequence[Kind]) -> dict[tuple[str, str], tuple[Value, Value]]:
    """(resource, path) -> (recorded, found), of all kinds."""
    return {
        (resource, path): values
        for kind in kinds
        for resource, paths in kind.shows.items()
        for path, values in paths.items()
    }


def preview(stack: Stack, *settings: str) -> Plan:
    """What `pulumi preview --refresh --diff --expect-no-changes` says; it changes nothing."""
    done = stack.pulumi("preview", "--diff", "--expect-no-changes", *REFRESHED, *settings, check=False)
    return Plan.of(done.stdout, failed=done.returncode != 0, error=done.stderr)


@dataclass(frozen=True)
class Seen:
    """What the plan said, and what `up` then did: (resource, `updated` or `created`), (node, service) that was started anew."""

    plan: Plan
    done: frozenset[tuple[str, str]]
    restarted: frozenset[tuple[str, str]]


def assert_found_and_repaired(lab: Lab, stack: Stack, kinds: Sequence[Kind], *settings: str) -> Seen:
    """Causes all kinds; the plan names each and nothing else; `up` repairs just that; the plan after it is clean."""
    try:
        for kind in kinds:
            kind.cause(lab)
        before, servers_before = processes(lab), servers(lab)
        plan = preview(stack, *settings)
        for _ in range(1, max(kind.looks for kind in kinds)):
            if all(where in plan.found and same(plan.found[where], each) for where, each in differences(kinds).items()):
                break
            plan = preview(stack, *settings)
        assert_named(plan, kinds)
        for kind in kinds:
            if kind.looked:
                kind.looked(lab)
        drifted = {name for kind in kinds for name in (*kind.shows, *kind.gone, *kind.updates)}
        if plan.found.get((CHECK, "look_again")) == ("false", "true"):
            # Without its user or database nova may answer with an error, for as long as it does not know a token of its own.
            drifted.add(CHECK)
        if drifted:
            assert plan.failed, plan.text
            assert "no changes were expected" in plan.text + plan.error, plan.text + plan.error
            assert (plan.steps("update") | plan.steps("create")) - {CHECK} == drifted - {CHECK}, plan.text
        else:
            assert not plan.failed, plan.text + plan.error
            assert_in_the_report(lab, stack, kinds)
        done = stack.up(*REFRESHED[:1], *settings)
        assert_masked(plan.text, plan.error, done.stdout, done.stderr)
        did = changed(done.stdout)
        assert {name for name, _ in did} == drifted, done.stdout
        for kind in kinds:
            kind.after(lab)
        restarted = others(before, processes(lab))
        assert restarted == {
            (node, service) for kind in kinds for node, services in kind.restarts.items() for service in services
        }
        assert servers(lab) == servers_before
    finally:
        for kind in kinds:
            if kind.undo:
                kind.undo(lab)
    assert_clean(stack, kinds, *settings)
    return Seen(plan, did, restarted)


def followed(kinds: Iterable[Kind]) -> set[tuple[str, str]]:
    """What follows from these kinds, and from their repair: resource and path."""
    return {(resource, path) for kind in kinds for resource, paths in kind.follows.items() for path in paths}


def assert_clean(stack: Stack, kinds: Sequence[Kind], *settings: str) -> None:
    """The plan has nothing, and no remark. The state says so too: one that a refresh before the repair has stored is no news to the next plan."""
    after = preview(stack, *settings)
    assert not after.failed, after.text + after.error
    assert_named(after, [], followed(kinds))
    if after.found:
        stack.up(*REFRESHED[:1], "--expect-no-changes", *settings)


def assert_named(plan: Plan, kinds: Sequence[Kind], repaired: Collection[tuple[str, str]] = ()) -> None:
    """Each drifted property stands in the plan with both values, as found and as repaired; each remark is said; and nothing else.

    `repaired` are paths that a repair before the plan has changed: other UUIDs of records that hang on the repaired one.
    """
    expected = differences(kinds)
    gone = {resource for kind in kinds for resource in kind.gone}
    follows = followed(kinds)
    passed_over = (FOLLOWS | follows | set(repaired)) - expected.keys()
    seen = {
        (resource, path): values
        for (resource, path), values in plan.found.items()
        if resource not in gone
        and (resource, path) not in passed_over
        and not REMARKS.match(path)
        and not (OTHERS.match(path) and (not values[1] or (resource, path.partition("[")[0]) in follows))
    }
    assert seen.keys() == expected.keys(), plan.text
    for where, (recorded, found) in expected.items():
        assert same(seen[where], (recorded, found)), f"{where}: {seen[where]}"
        if not OUTPUTS.match(where[1]):
            assert where in plan.repaired, f"{where} is not to be repaired:\n{plan.text}"
            assert same(plan.repaired[where], (found, recorded)), f"{where}: {plan.repaired[where]}"
    inputs = {where for where in plan.repaired if where[0] not in gone | {CHECK}}
    assert inputs <= expected.keys() | follows, plan.text
    assert plan.steps("create") == gone, plan.text
    notes = {resource: plan.remarks(resource) for resource, _ in plan.operations if resource not in gone}
    for kind in kinds:
        for resource, words in kind.said.items():
            assert any(words in remark for remark in notes.get(resource, [])), f"{words!r} is not said:\n{plan.text}"
    assert unexpected(notes, kinds) == [], plan.text


def unexpected(notes: Mapping[str, Sequence[str]], kinds: Sequence[Kind]) -> list[str]:
    """The remarks (resource -> sentences) of which no kind knows."""
    known = {
        (resource, words) for kind in kinds for each in (kind.said, kind.may_say) for resource, words in each.items()
    }
    return [
        f"{resource}: {note}"
        for resource, said in notes.items()
        for note in said
        if not any(name == resource and words in note for name, words in known)
    ]


def assert_in_the_report(lab: Lab, stack: Stack, kinds: Sequence[Kind]) -> None:
    """`python -m nova_infra drift` finds no drift either, and has the same remarks as notes, whole."""
    done = stack.command("drift", "--json")
    assert_masked(done.stdout, done.stderr)
    resources = json.loads(done.stdout)["resources"]
    # Of two endpoints clients get the one that Keystone chooses, and so do we: behind another one nova does not answer.
    elsewhere = any("another endpoint" in note for each in resources for note in each["remarks"])
    silent = {each["name"] for each in resources if each["status"] == "not reachable"}
    assert silent <= ({CHECK} if elsewhere else set()), done.stdout
    assert {each["status"] for each in resources} <= {"in order", "not reachable"}, done.stdout
    assert done.returncode == (3 if silent else 0), done.stdout + done.stderr
    notes = {each["name"]: each["remarks"] for each in resources}
    for kind in kinds:
        besides = [kind.advice, kind.names(lab) if kind.names else ""]
        for resource, words in kind.said.items():
            wanted = [words, *besides]
            whole = [note for note in notes[resource] if all(each in note for each in wanted)]
            assert whole, f"{wanted} is not in the report: {notes}"
    assert unexpected(notes, kinds) == [], unexpected(notes, kinds)


def same(seen: Difference, expected: tuple[Value, Value]) -> bool:
    """Whether both values are the expected ones."""
    return all(
        left == right if isinstance(right, str) else right.fullmatch(left)
        for left, right in zip(seen, expected, strict=True)
    )


def changed(printed: str) -> frozenset[tuple[str, str]]:
    """The resources that an `up` has made, changed or deleted, each with the word for it."""
    return frozenset(re.findall(r"^ [~+-]+ +\S+ (\S+) (updated|created|deleted) ", printed, re.MULTILINE))


def servers(lab: Lab) -> dict[str, str]:
    """Node -> the processes of what nova needs and the stack does not own: MariaDB, RabbitMQ, Keystone, libvirt."""
    names = "/mysqld|mariadbd|beam[.]smp|keystone-serve|libvirtd/ && !/awk/"
    return {node: lab.run(node, f"ps -ww -e -o pid= -o args= | awk '{names} {{ print $1 }}' | sort") for node in NODES}


def processes(lab: Lab) -> dict[str, dict[str, str]]:
    """Node -> service -> its process."""
    return {node: lab.processes(node) for node in NODES}


def others(
    before: Mapping[str, Mapping[str, str]], after: Mapping[str, Mapping[str, str]]
) -> frozenset[tuple[str, str]]:
    """(node, service) of each process that is another one now, or is there only before or after."""
    return frozenset(
        (node, service)
        for node in NODES
        for service in {*before[node], *after[node]}
        if before[node].get(service) != after[node].get(service)
    )
