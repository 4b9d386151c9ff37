"""A plan as data: what `pulumi preview --json` prints, without secrets and without what is the engine's own.

No value of a secret leaves this file: what the engine marks as one is the word `[secret]` from here on, and so is what has the name of one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pulumi.runtime import rpc

from ..defaults import PREFIX
from ..errors import PlanUnreadable
from ..masking import MASK, mask
from ..node import holds_a_secret
from ..provider import SECRET_PARTS
from ..wording import escaped

# What a program sees of the state of a resource: its inputs.
Inputs = Mapping[str, Any]
Path = tuple[str, ...]

CREATE, UPDATE, DELETE, REFRESH = "create", "update", "delete", "refresh"
_SAME = "same"
# With these the engine says that nothing is done, or only that something is looked at.
_QUIET = frozenset({_SAME, "read", REFRESH, "read-discard", "discard-replaced", "remove-pending-replace"})
# One replacement is three steps; this is the one that has both states.
_PARTS_OF_A_REPLACEMENT = frozenset({"create-replacement", "delete-replaced"})
PROVIDER = "Provider"
# What the engine says at the end, after what was wrong.
_ONLY_THAT = ("preview failed", "update failed", "an unhandled error occurred: program exited")


class Word(str):
    """A text of ours in the place of a value: it is shown without quotes."""

    __slots__ = ()


SECRET = Word(MASK)
LATER = Word("(known when it is done)")
NOTHING = Word("")
"""In the place of a value that is not there."""


@dataclass(frozen=True)
class Step:
    """What is to be done with one resource. `old` and `new` are its inputs, empty before it is made and after it is removed."""

    op: str
    """As the engine says: create, update, delete, replace, import ..."""
    kind: str
    """The last part of its type: `ComputeNode`."""
    name: str
    """Its name in the program."""
    old: Inputs
    new: Inputs
    outputs: Inputs
    """Of the old state."""
    recorded: Inputs | None = None
    """The inputs before the refresh, where there was one."""
    protected: tuple[bool, bool] = (False, False)
    """Before and after."""

    @property
    def gone(self) -> bool:
        """Whether a refresh has found that it is not there any more."""
        return self.op == CREATE and self.recorded is not None


@dataclass(frozen=True)
class Plan:
    """All that is to be done."""

    steps: tuple[Step, ...]
    unchanged: int
    refreshed: bool
    """Whether the machines have been asked."""
    errors: tuple[str, ...] = ()
    """What the engine said where the plan could not be made."""


def read_plan(text: str, source: str) -> Plan:
    """The plan in what `pulumi preview --json` printed. Raises PlanUnreadable for anything else; `source` says where it stood."""
    try:
        printed = json.loads(text)
        steps = list(printed.get("steps") or ())
        if not steps and not printed.get("diagnostics"):
            raise ValueError("no step, and the engine plans at least the stack itself")
        resources = [step for step in steps if _is_resource(step)]
        recorded = {each["urn"]: each.get("oldState") for each in resources if each["op"] == REFRESH}
        read = [_step(each, recorded.get(each["urn"])) for each in resources if _counts(each)]
        # The stack and the component are resources too, and nobody's.
        others = len({each["urn"] for each in steps if each["op"] == _SAME and not _is_resource(each)})
        guards = sum(_changes_only_a_guard(each) for each in resources)
        same = int((printed.get("changeSummary") or {}).get(_SAME, 0))
        errors = _errors(printed.get("diagnostics") or ())
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        # The text may hold anything; it is not quoted.
        raise PlanUnreadable(
            f"{source} is not what `pulumi preview --json` prints. Write that into a file, without --diff and "
            "without what the command says on standard error."
        ) from None
    return Plan(tuple(read), max(same - others - guards, 0), bool(recorded), errors)


def between(base: Plan, head: Plan) -> Plan:
    """What differs between two plans that were made without a state: what merging would change, as far as that can be known.

    Where one of them could not be made, nothing is: what it lacks would look made or removed.
    """
    errors = tuple(dict.fromkeys((*base.errors, *head.errors)))
    if errors:
        return Plan((), 0, refreshed=False, errors=errors)
    old = {(each.kind, each.name): each for each in base.steps}
    new = {(each.kind, each.name): each for each in head.steps}
    steps = [_between(old.get(key), new.get(key)) for key in {**new, **old}]
    changed = [each for each in steps if each.old != each.new or each.protected[0] != each.protected[1]]
    return Plan(tuple(changed), len(steps) - len(changed), refreshed=False)


def _between(old: Step | None, new: Step | None) -> Step:
    either = new or old
    assert either is not None  # noqa: S101 - the key came from one of them
    before, after = (old.new if old else {}), (new.new if new else {})
    op = UPDATE if old and new else CREATE if new else DELETE
    protected = (bool(old and old.protected[1]), bool(new and new.protected[1]))
    return Step(op, either.kind, either.name, before, after, {}, None, protected)


# ---------------------------------------------------------------- steps


def _is_resource(step: Mapping[str, Any]) -> bool:
    state = step.get("newState") or step["oldState"]
    return bool(state.get("custom"))


def _counts(step: Mapping[str, Any]) -> bool:
    return _changes_only_a_guard(step) or step["op"] not in _QUIET | _PARTS_OF_A_REPLACEMENT


def _changes_only_a_guard(step: Mapping[str, Any]) -> bool:
    """Whether the engine says that nothing is done, because protection is the engine's own and no input."""
    old, new = step.get("oldState") or {}, step.get("newState") or {}
    return bool(step["op"] == _SAME and bool(old.get("protect")) != bool(new.get("protect")))


def _step(step: Mapping[str, Any], recorded: Mapping[str, Any] | None) -> Step:
    old, new = step.get("oldState") or {}, step.get("newState") or {}
    state = new or old
    kind = PROVIDER if str(state["type"]).startswith("pulumi:providers:") else str(state["type"]).rpartition(":")[2]
    deleted = step["op"] == DELETE
    if not re.fullmatch(r"[a-z-]{1,40}", step["op"]):
        raise ValueError("no name of an operation")
    return Step(
        UPDATE if _changes_only_a_guard(step) else step["op"],
        escaped(kind),
        escaped(str(step["urn"]).rpartition("::")[2]),
        _plain(old.get("inputs") or {}),
        {} if deleted else _plain(new.get("inputs") or {}),
        _plain(old.get("outputs") or {}),
        _plain(recorded.get("inputs") or {}) if recorded else None,
        (bool(old.get("protect")), bool(new.get("protect")) and not deleted),
    )


def sentences(said: Iterable[str]) -> tuple[str, ...]:
    """What the engine said, without its own words around that, each once and without secrets."""
    plain = [re.sub(r"^(error: )?((Preview|update) failed: )?([a-z_]+(\.\w+)+: )?", "", each.strip()) for each in said]
    return tuple(dict.fromkeys(mask(each) for each in plain if each and not each.startswith(_ONLY_THAT)))


def _errors(diagnostics: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return sentences(str(each["message"]) for each in diagnostics if each.get("severity") == "error")


# ---------------------------------------------------------------- values


def _plain(inputs: Mapping[str, Any]) -> dict[str, Any]:
    hidden = {tuple(map(str, each)) for each in inputs.get("hidden") or () if isinstance(each, list)}
    plain = {str(key): _value(value, (str(key),), hidden) for key, value in inputs.items() if key != "__provider"}
    return {key: value for key, value in plain.items() if value is not NOTHING}


def _value(value: Any, path: Path, hidden: set[Path]) -> Any:  # noqa: PLR0911 - a line a kind of value
    if value is None:
        return NOTHING
    if isinstance(value, Mapping):
        if rpc._special_sig_key in value:
            return SECRET
        return {str(key): _value(each, (*path, str(key)), hidden) for key, each in value.items()}
    if _is_secret(path, hidden):
        return SECRET
    if isinstance(value, list):
        return [_value(each, path, hidden) for each in value]
    if isinstance(value, str):
        return SECRET if value == MASK else LATER if value == rpc.UNKNOWN else mask(value)
    return value


def _is_secret(path: Path, hidden: set[Path]) -> bool:
    if path[0] == "options":
        return path[1:] in hidden or holds_a_secret(path[-1])
    if path[0].startswith(PREFIX):
        return path[0].removeprefix(PREFIX).partition("_")[2] in SECRET_PARTS
    return path[-1] == "password"
