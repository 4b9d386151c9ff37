"""What a plan changes, property by property, and the resources of one change together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from .reading import CREATE, DELETE, NOTHING, PROVIDER, SECRET, UPDATE, Inputs, Path, Plan, Step, Word

NODES = {"ControllerNode": "controller", "ComputeNode": "compute node"}
PACKAGES, CHECK = "NodePackages", "ServiceCheck"
MADE, CHANGED, REMOVED, REPLACED = "made", "changed", "removed", "replaced"
_NATURAL_KEYS = {
    "Database": ("schema", ("name",)),
    "KeystoneUser": ("Keystone user", ("name",)),
    "Service": ("service", ("service_type", "name")),
    "Endpoint": ("endpoint", ("region", "service_type", "service_name")),
    CHECK: ("last check", ()),
}
OTHER_VALUE = Word("another one")
# More different values of one property than this are counted, not listed.
MOST_VALUES = 8


@dataclass(frozen=True)
class Change:
    """One property of one resource. A value that is not there is NOTHING."""

    path: Path
    old: Any
    new: Any
    drift: bool = False
    """Whether what is there is not what the last `up` had made: somebody else has changed it."""
    among: tuple[Path, ...] = ()
    """In the place of `path`: a secret becomes another one, and this is all that may be it."""


@dataclass(frozen=True)
class Row:
    """One change, and all resources that have it."""

    what: str
    """MADE, CHANGED, REMOVED or REPLACED."""
    subjects: tuple[str, ...]
    """The names of nodes, or `schema nova`."""
    property: str
    """Empty where the resource itself is made or removed."""
    old: Any = NOTHING
    new: Any = NOTHING
    drift: bool = False
    among: tuple[str, ...] = ()
    """In the place of `property`: one or more of these secrets become others."""


# ---------------------------------------------------------------- one resource


def subject(step: Step) -> str:
    """How people call it: a node by its name, anything else with what it is: `endpoint regionOne/compute/nova`."""
    inputs = step.new or step.old
    if step.kind in (*NODES, PACKAGES):
        return str(inputs.get("node", step.name))
    if step.kind == PROVIDER:
        return f"access {step.name}"
    word, keys = _NATURAL_KEYS.get(step.kind, (step.kind, ()))
    # A Service calls its type `type`.
    parts = [str(inputs.get(key, inputs.get(key.removeprefix("service_"), ""))) for key in keys]
    return f"{word} {'/'.join(parts)}" if any(parts) else f"{word} {step.name}"


def changes(step: Step) -> list[Change]:
    """What an update changes. A secret that becomes another one cannot be seen: where nothing else is, all that may be it is named."""
    if step.op != UPDATE:
        return []
    recorded = step.old if step.recorded is None else step.recorded
    drifted = {path for path, _old, _new in differences(recorded, step.old)}
    found = [Change(path, old, new, path in drifted) for path, old, new in differences(step.old, step.new)]
    # No input, but the stack says it all the same.
    before, after = step.protected
    found += [Change(("protect",), before, after)] if before != after else []
    if all(is_fingerprint(each.path) for each in found) and step.kind != CHECK:
        secret = tuple(path for path, value in leaves(step.new) if value is SECRET)
        found += [Change((), SECRET, OTHER_VALUE, among=secret)] if secret else []
    return found


def differences(old: Any, new: Any, path: Path = ()) -> Iterable[tuple[Path, Any, Any]]:
    """The leaves that differ, each with both values; a list is a leaf."""
    if isinstance(old, Mapping) or isinstance(new, Mapping):
        before = old if isinstance(old, Mapping) else {}
        after = new if isinstance(new, Mapping) else {}
        for value, leaf in ((old, Change(path, old, NOTHING)), (new, Change(path, NOTHING, new))):
            if not isinstance(value, Mapping) and value is not NOTHING:
                yield leaf.path, leaf.old, leaf.new
        for key in sorted({*before, *after}):
            yield from differences(before.get(key, NOTHING), after.get(key, NOTHING), (*path, key))
    elif old != new or type(old) is not type(new):
        yield path, old, new


def leaves(inputs: Inputs) -> list[tuple[Path, Any]]:
    """All values with their paths."""
    return [(path, new) for path, _old, new in differences({}, inputs)]


def is_fingerprint(path: Path) -> bool:
    """Whether it only says that a service is to read its options again."""
    return len(path) == 3 and path[0] == "services" and path[2] == "fingerprint"


def label(path: Path) -> str:  # noqa: PLR0911 - a line a shape
    """A property as people write it: `nova.conf [DEFAULT] debug`, `privileges at %`, `package nova-cert`."""
    match path:
        case ("options", file, "export", variable):
            return f"{PurePosixPath(file).name} {variable}"
        case ("options", file, section, option):
            return f"{PurePosixPath(file).name} [{section}] {option}"
        case ("files", file, attribute):
            return f"{attribute} of {PurePosixPath(file).name}"
        case ("hosts", host, property_):
            return f"{property_} at {host}"
        case ("packages", package):
            return f"package {package}"
        case ("services", service, property_):
            return f"{service} {property_}"
        case ("connection", property_):
            return f"SSH {property_}"
        case (property_,) if property_.startswith("access:"):
            return property_.removeprefix("access:").replace("_", " ")
    return ".".join(path)


# ---------------------------------------------------------------- all of them


def rows(plan: Plan) -> list[Row]:
    """Removed, replaced, changed, made; what several nodes have in common is one row. Fingerprints are restarts, and no rows."""
    found: list[Row] = []
    nodes = {(each.op, subject(each)) for each in plan.steps if each.kind in NODES}
    packages = {(subject(step), each.path) for step in plan.steps if step.kind == PACKAGES for each in changes(step)}
    for step in plan.steps:
        # The packages of a node come and go with it.
        if step.op in (CREATE, DELETE) and not (step.kind == PACKAGES and (step.op, subject(step)) in nodes):
            found.append(Row(MADE if step.op == CREATE else REMOVED, (with_kind(step),), "", drift=step.gone))
        elif step.op not in (CREATE, DELETE, UPDATE):
            found.append(Row(REPLACED if "replace" in step.op else step.op, (with_kind(step),), ""))
        for each in changes(step):
            # A pinned version is shown at the node too.
            twice = step.kind in NODES and (subject(step), each.path) in packages
            # What else the last check is told follows from the other rows.
            follows = step.kind == CHECK and each.path != ("look_again",)
            if not (twice or follows or is_fingerprint(each.path)):
                among = tuple(map(label, each.among))
                name = subject(step)
                found.append(Row(CHANGED, (name,), label(each.path), each.old, each.new, each.drift, among))
    order = {what: position for position, what in enumerate((REMOVED, REPLACED, CHANGED, MADE))}
    return sorted(_together(found), key=lambda row: order.get(row.what, len(order)))


def with_kind(step: Step) -> str:
    """As `subject`, nodes too with what they are: `compute node compute1`, `packages of compute1`. A controller of that name is one word."""
    kind, name = NODES.get(step.kind) or ("packages of" if step.kind == PACKAGES else ""), subject(step)
    return name if kind == name else f"{kind} {name}".strip()


def _together(found: Sequence[Row]) -> list[Row]:
    same = _merged(
        found, lambda row: (row.what, row.property, row.among, identity(row.old), identity(row.new), row.drift)
    )
    per_property: dict[tuple[str, str], int] = {}
    for row in same:
        per_property[row.what, row.property] = per_property.get((row.what, row.property), 0) + 1
    # Hundreds of nodes with a value each: one row says how many.
    many = {key for key, number in per_property.items() if number > MOST_VALUES and key[1]}
    kept = [row for row in same if (row.what, row.property) not in many]
    counted = _merged(
        [row for row in same if (row.what, row.property) in many], lambda row: (row.what, row.property, row.drift)
    )
    return [*kept, *(replace(each, **_ends(same, each)) for each in counted)]


def _ends(same: Sequence[Row], row: Row) -> dict[str, Any]:
    of_it = [each for each in same if (each.what, each.property, each.drift) == (row.what, row.property, row.drift)]
    return {"old": summary([each.old for each in of_it]), "new": summary([each.new for each in of_it])}


def summary(values: Sequence[Any]) -> Any:
    """The only value, or how many there are."""
    different = {identity(each): each for each in values}
    return next(iter(different.values())) if len(different) == 1 else Word(f"{len(different)} different values")


def _merged(found: Sequence[Row], key: Any) -> list[Row]:
    groups: dict[Any, list[Row]] = {}
    for row in found:
        groups.setdefault(key(row), []).append(row)
    return [
        replace(group[0], subjects=tuple(dict.fromkeys(name for row in group for name in row.subjects)))
        for group in groups.values()
    ]


def identity(value: Any) -> str:
    """A text that only equal values of the same type share: a text that is empty is not NOTHING."""
    return f"{type(value).__name__}{value!r}"
