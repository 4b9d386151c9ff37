"""A plan as a comment on a pull request: danger first, then what changes, then what restarts; all of it folded below."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..masking import mask
from ..ranges import ranges
from ..wording import abridged, counted, escaped
from .changes import (
    CHANGED,
    CHECK,
    MADE,
    MOST_VALUES,
    Row,
    changes,
    identity,
    is_fingerprint,
    leaves,
    rows,
    summary,
    with_kind,
)
from .dangers import dangers
from .markdown import code, fenced, folded, shown, size
from .reading import CREATE, DELETE, NOTHING, UPDATE, Path, Plan, Step, Word
from .restarts import Restart, restarts

# GitHub refuses a comment of more than 65,536 characters. Each part but the folded text has a share of its own, in bytes.
LIMIT = 65_000
_ERRORS, _DANGERS, _ROWS, _SERVICES, _DRIFT = 5_000, 8_000, 18_000, 5_000, 10_000
_NAMES = 600
# What the sentence about what is left out takes of a share; and the end of a line that is longer than one.
_FOR_THE_REST = 200
_CUT = " ..."
# What prints the whole of a part that is cut.
_PLAN, _DRIFT_OF = "pulumi preview --diff", "python -m nova_infra drift --stack"
# Of the secrets that may have become others, so many are named above.
_SECRETS = 10
_SIGNS = {CREATE: "+", DELETE: "-", UPDATE: "~"}
_MOST_GROUPS = 60


@dataclass(frozen=True)
class Circumstances:
    """How a plan was made, as far as the plan does not say so itself."""

    placeholders: bool = False
    """Whether it is the difference of two plans without secrets and without state."""
    refresh_failed: tuple[str, ...] = ()
    """Why an earlier preview with refresh failed; this plan is one without."""
    drift: str = ""
    """What `python -m nova_infra drift` printed."""
    commit: str = ""
    """The commit that it was made of."""
    link: str = ""
    """The address of the run that made it."""


def marker(environment: str) -> str:
    """The first line of the comment for an environment, which nobody sees: by it the comment is found again."""
    return f"<!-- nova-infra: preview of {environment} -->"


def comment(plan: Plan, environment: str, how: Circumstances | None = None) -> str:
    """The whole comment, in GitHub's Markdown, shorter than GitHub's limit."""
    how = how or Circumstances()
    failed = _failed(plan, how, environment)
    parts = [marker(environment), _title(environment), _headline(plan), *failed]
    parts += filter(None, [_danger(plan), _table(plan), _restarts(plan)])
    if how.drift.strip():
        text = _plain_within(mask(how.drift).strip().splitlines(), _DRIFT, f"{_DRIFT_OF} {environment}")
        parts.append(folded("What differs on the machines that could be asked", fenced(text)))
    foot = _foot(plan, how)
    if plan.steps:
        # What fences, the summary and empty lines take.
        room = LIMIT - size("".join([*parts, foot])) - 300
        full = _plain_within(list(_full_text(plan)), room, _PLAN)
        parts.append(folded("All of it", fenced(full, "diff")))
    return "\n\n".join(filter(None, [*parts, foot])) + "\n"


def comment_without_file(environment: str, how: Circumstances) -> str:
    """The comment where the change removes the stack's file: there is nothing to plan with."""
    danger = (
        "> [!CAUTION]\n> - The change removes the file of this stack. Its machines stay as they are, and nothing looks after them any more: no preview, no `up`, no "
        f"drift report. To take down what is on them, run {code(f'pulumi destroy --stack {environment}')} while the file is there. No workflow should name the stack then."
    )
    foot = _signed([], how)
    return "\n\n".join(filter(None, [marker(environment), _title(environment), danger, foot])) + "\n"


def _title(environment: str) -> str:
    return f"### Preview of {code(environment)}"


def _within(lines: Sequence[str], most: int, what: str, command: str = _PLAN) -> Iterable[str]:
    """The first lines, as many as fit into so many bytes, how many are left out, and what prints them."""
    left = most - _FOR_THE_REST
    for number, line in enumerate(lines):
        left -= size(line) + 1
        if left < 0:
            yield f"... {counted(len(lines) - number, what)} more; `{command}` prints all of it."
            return
        yield line


def _plain_within(lines: Sequence[str], most: int, command: str) -> str:
    """The same of a text that is no Markdown. Of a line that takes all of it, there is the beginning."""
    longest = most - _FOR_THE_REST - size(_CUT) - 1
    fit = [
        line if size(line) <= longest else f"{line.encode()[:longest].decode(errors='ignore')}{_CUT}" for line in lines
    ]
    return "\n".join(_within(fit, most, "line", command))


# ---------------------------------------------------------------- above


def _headline(plan: Plan) -> str:
    if not plan.steps:
        return (
            "The plan could not be made."
            if plan.errors
            else f"No changes: {counted(plan.unchanged, 'resource')} as they are."
        )
    counts = [
        (sum(each.op == CREATE for each in plan.steps), "to make"),
        (sum(each.op == UPDATE for each in plan.steps), "to change"),
        (sum(each.op == DELETE for each in plan.steps), "to remove"),
        (sum(each.op not in (CREATE, UPDATE, DELETE) for each in plan.steps), "to do otherwise"),
        (plan.unchanged, "as they are"),
    ]
    return f"{', '.join(f'{number} {what}' for number, what in counts if number)}."


def _failed(plan: Plan, how: Circumstances, stack: str) -> list[str]:
    if plan.errors:
        # Without refresh it fails too: this is no matter of machines.
        said = tuple(dict.fromkeys((*plan.errors, *how.refresh_failed)))
        refresh = " --refresh" if plan.refreshed or how.refresh_failed else ""
        return [
            f"**The preview failed**, and may be incomplete.\n\n{_said(said, f'pulumi preview{refresh} --stack {stack}')}"
        ]
    if how.refresh_failed:
        return [
            f"**Not all machines could be asked.** This plan compares with what the last `pulumi up` has stored.\n\n{_said(how.refresh_failed, f'{_DRIFT_OF} {stack}')}"
        ]
    return []


def _said(errors: Sequence[str], command: str) -> str:
    lines = [escaped(line) for each in errors for line in mask(each).splitlines()]
    return fenced(_plain_within(lines, _ERRORS, command))


def _danger(plan: Plan) -> str:
    found = dangers(plan)
    if not found:
        return ""
    lines = [f"- {_names(each.subjects)}: {each.sentence}." for each in found]
    return "\n".join(["> [!CAUTION]", *(f"> {line}" for line in _within(lines, _DANGERS, "danger"))])


def _table(plan: Plan) -> str:
    lines = [_line(row) for row in rows(plan)]
    if not lines:
        return ""
    shown_rows = [*_within(lines, _ROWS, "row")]
    # A sentence is no row.
    rest = ["", shown_rows.pop()] if not shown_rows[-1].startswith("|") else []
    return "\n".join(["| | Where | What | Now | Then |", "| --- | --- | --- | --- | --- |", *shown_rows, *rest])


def _line(row: Row) -> str:
    what = (
        f"{row.what} (drift)" if row.drift and row.what == CHANGED else f"{row.what} (gone)" if row.drift else row.what
    )
    what = f"**{what}**" if row.what not in (CHANGED, MADE) else what
    named = _one_of(row.among) if row.among else code(row.property)
    cells = [what, _names(row.subjects), named, _cell(row.old), _cell(row.new)]
    return f"| {' | '.join(cells)} |"


def _one_of(secrets: Sequence[str]) -> str:
    more = [f"{len(secrets) - _SECRETS} more"] if len(secrets) > _SECRETS else []
    return f"a secret: {' or '.join([*map(code, secrets[:_SECRETS]), *more])}"


def _cell(value: object) -> str:
    if value is NOTHING:
        return ""
    return str(value) if isinstance(value, Word) else code(shown(value))


def _restarts(plan: Plan) -> str:
    lines = [_restart(each) for each in restarts(plan)]
    return "\n".join(["**Services**", "", *_within(lines, _SERVICES, "line")]) if lines else ""


def _restart(each: Restart) -> str:
    return f"- **{each.what}** on {_names(each.nodes)}: {', '.join(map(code, each.services))}"


def _names(names: Iterable[str]) -> str:
    found = [code(each) for each in ranges(names)]
    fits = 1
    while fits < len(found) and size(", ".join(found[: fits + 1])) <= _NAMES:
        fits += 1
    return ", ".join(found[:fits]) + (f" and {len(found) - fits} more" if len(found) > fits else "")


def _foot(plan: Plan, how: Circumstances) -> str:
    said = []
    if how.placeholders:
        said.append(
            "Made without secrets and without state: the plans of the base branch and of this change merged into it, each as if nothing "
            "were there, and what differs between them. Another secret is not seen; nor is what somebody has changed on the machines."
        )
    elif plan.errors:
        # What could not be made says nothing of the machines.
        pass
    elif plan.refreshed:
        said.append("The machines have been asked (`--refresh`): what somebody has changed there is part of it.")
    elif not how.refresh_failed:
        said.append(
            "Made without `--refresh`: no machine has been asked, and what somebody has changed there is not seen."
        )
    return _signed(said, how)


def _signed(said: Sequence[str], how: Circumstances) -> str:
    commit = [f"Commit {how.commit}."] if how.commit else []
    link = [f"[The run]({how.link})"] if how.link else []
    text = " ".join([*said, *commit, *link])
    return f"<sub>{text}</sub>" if text else ""


# ---------------------------------------------------------------- all of it


def _full_text(plan: Plan) -> Iterable[str]:
    """Lines for a block of the language `diff`: it colours those that begin with + or -."""
    for group in _alike([(each, _values(each)) for each in plan.steps]):
        first, paths = group[0][0], group[0][1]
        names = ", ".join(ranges(escaped(with_kind(step)) for step, _ in group))
        yield f"{_SIGNS.get(first.op, '!')} {first.op} {names}"
        for path in paths:
            found = [values[path] for _, values in group]
            yield from _lines(path, summary([old for old, _ in found]), summary([new for _, new in found]))
        yield ""


def _lines(path: Path, old: object, new: object) -> Iterable[str]:
    name = escaped(" / ".join(path))
    if old is not NOTHING:
        yield f"-     {name}: {escaped(shown(old))}"
    if new is not NOTHING:
        yield f"+     {name}: {escaped(shown(new))}"


Values = dict[Path, tuple[object, object]]


def _values(step: Step) -> Values:
    if step.op == UPDATE:
        found = {path: (each.old, each.new) for each in changes(step) for path in (each.among or (each.path,))}
    elif step.op == DELETE:
        found = {path: (value, NOTHING) for path, value in leaves(step.old)}
    else:
        found = {path: (NOTHING, value) for path, value in leaves(step.new)}
    return _nodes_together(found) if step.kind == CHECK else found


def _nodes_together(values: Values) -> Values:
    """What the last check says of each node (`restarts / NODE`, `awaits / NODE / changes`), the same of several nodes once."""
    same: dict[tuple[Path, tuple[str, ...]], list[Path]] = {}
    for path, both in values.items():
        same.setdefault((_without_node(path), tuple(map(identity, both))), []).append(path)
    different = Counter(of_all for of_all, _ in same)
    groups: dict[object, list[Path]] = {}
    for (of_all, identities), paths in same.items():
        # Hundreds of nodes with a value each are one line.
        groups.setdefault(of_all if different[of_all] > MOST_VALUES else (of_all, identities), []).extend(paths)
    return {
        _of_nodes(paths): (summary([values[path][0] for path in paths]), summary([values[path][1] for path in paths]))
        for paths in groups.values()
    }


def _without_node(path: Path) -> Path:
    return path[:1] + path[2:]


def _of_nodes(paths: Sequence[Path]) -> Path:
    """One path for all of these, which differ in their second part, the node."""
    first = paths[0]
    return (first[0], abridged(ranges(path[1] for path in paths), MOST_VALUES), *first[2:]) if first[1:] else first


def _alike(steps: Sequence[tuple[Step, Values]]) -> Iterable[list[tuple[Step, Values]]]:
    """Steps that touch the same properties. Of an update the values count too, but for fingerprints; of many they do not."""
    exact: dict[object, list[tuple[Step, Values]]] = {}
    for step, values in steps:
        said = [(path, *map(identity, both)) for path, both in values.items() if not is_fingerprint(path)]
        same = (step.op, step.kind, tuple(values), tuple(said) if step.op == UPDATE else ())
        exact.setdefault(same, []).append((step, values))
    if len(exact) <= _MOST_GROUPS:
        return exact.values()
    rough: dict[object, list[tuple[Step, Values]]] = {}
    for step, values in steps:
        rough.setdefault((step.op, step.kind, tuple(values)), []).append((step, values))
    return rough.values()
