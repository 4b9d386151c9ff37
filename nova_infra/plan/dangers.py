"""What of a plan cannot be taken back, or lifts a guard against that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..resources.types import LIFECYCLES
from .changes import NODES, PACKAGES, subject
from .markdown import code, shown
from .reading import CREATE, DELETE, PROVIDER, UPDATE, Plan, Step, Word

# What `on_delete` of a database says, from what keeps most to what keeps least.
_ON_DELETE = ["refuse", "keep", "dump", "drop"]
_WITH_THE_SCHEMA = {
    "drop": "The schema is dropped, with all that is in it",
    "dump": "The schema is dumped into /var/backups on the controller, then dropped",
    "keep": "The schema is left as it is, and nothing looks after it any more",
    "refuse": "The schema is to be removed, and `on_delete: refuse` refuses that: `pulumi up` will fail",
}
_REMOVED = {
    "ComputeNode": "A compute node is removed: its services stop, its packages go, and nova forgets it",
    "ControllerNode": "A controller is removed: its control services stop, and their packages go",
    "KeystoneUser": "Nova's user is deleted: nova can no longer log in to Keystone",
    "Service": "The service goes from the catalog: clients no longer find nova",
    "Endpoint": "The endpoint goes from the catalog: clients no longer find nova there",
}
_STAYS = {
    "Database": "The schema was there before us, and stays; the user and the privileges that we made go",
    "KeystoneUser": "The user was there before us, and stays with the password that it has now; the roles that we added go",
    "Service": "The service was there before us, and stays with the description that it had then",
    "Endpoint": "The endpoint was there before us, and stays with the URLs that it had then",
}
_GONE = {"Database": "The schema is gone, and what is made anew is empty"}
_INSTANCES = {
    (False, "refuse"): "It is refused while instances are on it",
    (True, "refuse"): "It waits until the last instance has left",
    (
        False,
        "leave",
    ): "It is refused while instances are on it; a machine at whose address nobody answers is left as it is",
    (
        True,
        "leave",
    ): "It waits until the last instance has left; a machine at whose address nobody answers is left as it is",
}
_BY_KIND = {type_.rpartition(":")[2]: lifecycle for type_, lifecycle in LIFECYCLES.items()}


@dataclass(frozen=True)
class Danger:
    """One sentence in Markdown, and what it is about."""

    sentence: str
    subjects: tuple[str, ...]


def dangers(plan: Plan) -> list[Danger]:
    """What is lost first, then what may be. The same of several nodes is one."""
    found: dict[str, list[str]] = {}
    said = [(rank, sentence, subject(step)) for step in plan.steps for rank, sentence in _of_step(step)]
    for _rank, sentence, name in sorted(said, key=lambda each: each[0]):
        found.setdefault(sentence, []).append(name)
    return [Danger(sentence, tuple(dict.fromkeys(names))) for sentence, names in found.items()]


def _of_step(step: Step) -> Iterable[tuple[int, str]]:
    """Sentences, each with its rank: -1 what will not be done, 0 data, 1 nodes, 2 records, 3 the guards of data, 4 other guards."""
    if step.op == DELETE:
        yield from _removed(step)
    elif "replace" in step.op:
        yield 0 if step.kind == "Database" else 1, "It is deleted and made anew"
    elif step.gone:
        yield 0 if step.kind in _GONE else 2, _GONE.get(step.kind, "It is no longer there, and is made anew")
    elif step.op == UPDATE:
        yield from ((-1, sentence) for sentence in _renamed(step))
        yield from ((3 if step.kind == "Database" else 4, sentence) for sentence in _lifted(step))
    if step.op == CREATE and step.kind in NODES and step.new.get("adopt") is True:
        yield 4, "`adopt`: files that somebody else has written may be overwritten"


def _renamed(step: Step) -> Iterable[str]:
    """What the resource refuses, which shows only where there is a state: two plans without one say nothing of it."""
    lifecycle = _BY_KIND.get(step.kind)
    for key in lifecycle.identity if lifecycle else ():
        old, new = step.old.get(key), step.new.get(key)
        if (
            lifecycle
            and None not in (old, new)
            and old != new
            and not isinstance(old, Word)
            and not isinstance(new, Word)
        ):
            yield (
                f"`pulumi up` refuses this: {code(key)} is {code(shown(old))} and cannot become {code(shown(new))}, because the "
                f"{lifecycle.kind} is known by it. To rename, {lifecycle.rename}"
            )


def _removed(step: Step) -> Iterable[tuple[int, str]]:
    if step.kind in _STAYS and step.outputs.get("adopted") is True:
        yield 2, _STAYS[step.kind]
    elif step.kind == "Database":
        on_delete = str(step.old.get("on_delete"))
        yield 2 if on_delete == "keep" else 0, _WITH_THE_SCHEMA.get(on_delete, "The schema is removed")
    elif step.kind in _REMOVED:
        instances = _INSTANCES[step.old.get("drain") is True, _on_unreachable(step)]
        also = f". {instances}" if step.kind == "ComputeNode" else ""
        yield 1 if step.kind in NODES else 2, f"{_REMOVED[step.kind]}{also}"
    elif step.kind not in (PACKAGES, PROVIDER, "ServiceCheck"):
        yield 2, f"A resource of the kind {code(step.kind)} is deleted"


def _on_unreachable(step: Step) -> str:
    return "leave" if step.old.get("on_unreachable") == "leave" else "refuse"


def _lifted(step: Step) -> Iterable[str]:
    old, new = step.old, step.new
    if step.protected == (True, False):
        yield "It is no longer protected: `pulumi destroy` may remove it"
    before, after = old.get("on_delete"), new.get("on_delete")
    if before in _ON_DELETE and after in _ON_DELETE and _ON_DELETE.index(str(after)) > _ON_DELETE.index(str(before)):
        yield f"`on_delete: {after}`, and no longer `{before}`: {_AFTERWARDS[str(after)]}"
    for key, value, sentence in _GUARDS:
        if new.get(key) == value and old.get(key) != value:
            yield sentence


_AFTERWARDS = {
    "keep": "destroy goes on, and leaves the schema",
    "dump": "destroy dumps the schema and drops it",
    "drop": "destroy drops the schema, with all that is in it",
}
_GUARDS = (
    ("drain", True, "`drain`: its removal no longer refuses while instances are on it; it waits until they have left"),
    (
        "on_unreachable",
        "leave",
        "`on_unreachable: leave`: its removal no longer fails when nobody answers at its address",
    ),
    ("adopt", True, "`adopt`: files that somebody else has written may be overwritten"),
    (
        "access:ssh_verify_host_keys",
        "False",
        "Host keys are no longer verified: who is on the way can read the passwords",
    ),
)
