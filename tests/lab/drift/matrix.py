"""make drift-matrix [KIND=WORDS]: every kind of drift one by one on the lab, and what was seen as the table of docs/drift.md.

It runs on a lab of its own. With KIND only kinds with these words in their name run, and the other rows stay as they are.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.lab import drift
from tests.lab.drift import refused
from tests.lab.drift.kinds import MANAGED, Kind, Seen, assert_found_and_repaired
from tests.lab.drift.refused import Cause, assert_refused
from tests.nodes import ROOT, Lab, Stack
from tests.own_lab import OwnLab, own_lab, why_not

PAGE = ROOT / "docs" / "drift.md"
BEGIN, END = "<!-- written by make drift-matrix: begin -->", "<!-- end -->"
HEAD = "| what happens | what a preview with refresh prints | what `up --refresh` does |\n| --- | --- | --- |\n"
SAME_SENTENCE = "fails with the same sentence, nothing is changed"
LONGEST = 6
Rows = dict[str, dict[str, str]]


def areas() -> Iterator[tuple[str, list[Kind]]]:
    """The heading of each list of kinds, and the list."""
    for module in sorted(pkgutil.iter_modules(drift.__path__), key=lambda each: each.name):
        if module.name.endswith("_kinds"):
            kinds = importlib.import_module(f"{drift.__name__}.{module.name}")
            yield getattr(kinds, "AREA", module.name.removesuffix("_kinds").capitalize()), kinds.KINDS


def names() -> Iterator[tuple[str, list[str]]]:
    """The heading of each table, and what happens in its rows."""
    for area, kinds in areas():
        yield area, [kind.name for kind in kinds]
    yield refused.AREA, [cause.name for cause in refused.CAUSES]


def row(lab: Lab, name: str, shown: list[str], done: list[str]) -> str:
    """What was seen, without what is another one each time."""
    text = f"| {name} | {_lines(shown)} | {_lines(done)} |"
    text = re.sub(r"\b[0-9a-f]{32}\b", "UUID", text)
    return text.replace(lab.address("controller").rpartition(".")[0], "10.0.0")


def printed(kind: Kind, seen: Seen) -> list[str]:
    """The properties and remarks that the plan names."""
    named = [f"`{name}` is to be created" for name in sorted(seen.plan.steps("create"))]
    left_out = {(name, path) for name, paths in kind.follows.items() for path in paths}
    for (resource, path), (recorded, found) in seen.plan.found.items():
        shown = resource in kind.shows and path in kind.shows[resource]
        if shown and (resource, path) not in left_out:
            values = f"{recorded or 'nothing'} => {found or 'nothing'}"
            named.append(f"`{resource}` {path}: `{values}`")
    for resource in kind.said:
        named += [f"`{resource}` remarks: {remark.strip(chr(34))}" for remark in seen.plan.remarks(resource)]
    return named or ["nothing"]


def repaired(seen: Seen) -> list[str]:
    """What `up` changed and restarted."""
    done = [f"`{name}` is {word}" for name, word in sorted(seen.done)]
    started = [f"{service} on {node} is restarted" for node, service in sorted(seen.restarted)]
    return [*done, *started] or ["nothing: it is left"]


def _lines(lines: list[str]) -> str:
    more = [f"and {len(lines) - LONGEST} more"] if len(lines) > LONGEST else []
    return "<br>".join(each.replace("|", "\\|") for each in [*lines[:LONGEST], *more])


def written(page: str) -> Rows:
    """The rows that stand in the page, by area and kind."""
    rows: Rows = {}
    area = ""
    for line in page.partition(BEGIN)[2].partition(END)[0].splitlines():
        if line.startswith("### "):
            area = line.removeprefix("### ")
        elif line.startswith("| ") and not line.startswith(("| what ", "| --- ")):
            rows.setdefault(area, {})[line.split(" | ")[0].removeprefix("| ")] = line
    return rows


def with_rows(page: str, rows: Rows) -> str:
    """The page with these rows, in the order of the kinds; a kind that is no more has no row."""
    tables = []
    for area, happens in names():
        lines = [rows[area][name] for name in happens if name in rows.get(area, {})]
        if lines:
            tables.append(f"### {area}\n\n{HEAD}" + "\n".join(lines) + "\n")
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + "\n\n" + "\n".join(tables) + "\n" + END + rest.partition(END)[2]


def deployed(lab: OwnLab, stack: Stack, settings: tuple[str, str]) -> None:
    """A new deployment on new nodes."""
    print("new nodes and pulumi up", flush=True)
    shutil.rmtree(stack.backend, ignore_errors=True)
    stack.create()
    lab.begin_at()
    lab.used()
    stack.up(*settings)


def found_and_repaired(lab: Lab, stack: Stack, kind: Kind, settings: tuple[str, str], folder: Path) -> Seen:
    """One kind, with its own settings where it has some."""
    if not kind.settings:
        return assert_found_and_repaired(lab, stack, [kind], *settings)
    own = folder / "own"
    own.mkdir(exist_ok=True)
    path = stack.configured(own, **{**MANAGED, **kind.settings})
    stack.up("--config-file", path)
    seen = assert_found_and_repaired(lab, stack, [kind], "--config-file", path)
    stack.up(*settings)
    return seen


def runs(
    lab: Lab, stack: Stack, settings: tuple[str, str], folder: Path
) -> Iterator[tuple[str, str, Callable[[], str]]]:
    """Area, what happens, and what makes it happen and returns its row."""

    def of_kind(kind: Kind) -> str:
        seen = found_and_repaired(lab, stack, kind, settings, folder)
        return row(lab, kind.name, printed(kind, seen), repaired(seen))

    def of_cause(cause: Cause) -> str:
        said = assert_refused(lab, stack, cause, *settings)
        # What those that answered have said meanwhile is in the state.
        stack.up("--refresh", "--expect-no-changes", *settings)
        return row(lab, cause.name, [said], [SAME_SENTENCE])

    for area, kinds in areas():
        for kind in kinds:
            yield area, kind.name, partial(of_kind, kind)
    for cause in refused.CAUSES:
        yield refused.AREA, cause.name, partial(of_cause, cause)


def main() -> int:
    """Runs the kinds; 1 when one of them was not found or not repaired."""
    if reason := why_not():
        print(reason, file=sys.stderr)
        return 1
    # As tests/conftest.py does.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    words = os.environ.get("KIND", "")
    failed = []
    with own_lab() as lab, tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder, "backend"))
        settings = ("--config-file", stack.configured(Path(folder), **MANAGED))
        deployed(lab, stack, settings)
        for area, name, happens in runs(lab, stack, settings, Path(folder)):
            if words not in name:
                continue
            began = time.monotonic()
            try:
                line = happens()
            except (AssertionError, subprocess.SubprocessError) as error:
                failed.append(f"{area}: {name}")
                print(f"{area}: {name}: not as expected\n{error}", file=sys.stderr, flush=True)
                deployed(lab, stack, settings)
                continue
            page = PAGE.read_text()
            rows = written(page)
            rows.setdefault(area, {})[name] = line
            PAGE.write_text(with_rows(page, rows))
            print(f"{area}: {name}: {time.monotonic() - began:.0f} s", flush=True)
    if failed:
        print("Not as expected: " + "; ".join(failed), file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
