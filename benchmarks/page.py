"""The text of docs/benchmarks.md, made from the records: text and numbers cannot diverge."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

from .figures import growth, table

if TYPE_CHECKING:
    from .record import Record

HERE = Path(__file__).parent
ORDER = ("fresh", "drift", "nothing", "option")


def chosen_curve(records: Sequence[Record]) -> Record | None:
    """The curve of the page: one of a single size is for trying out, and gives way to the one of all sizes."""
    curves = [each for each in records if each.kind == "curve"]
    return next((each for each in curves if each.name == "curve"), curves[0] if curves else None)


def render(records: Sequence[Record], figure: str, profiles: Sequence[str]) -> str:
    """The page of these records, with the curve's picture at `figure` and the names of the files that profiles have left."""
    races = [each for each in records if each.kind != "curve"]
    races.sort(key=lambda each: (ORDER.index(each.kind), each.nodes, each.concurrency))
    curve = chosen_curve(records)
    shown = [*races, *([curve] if curve else [])]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Markdown
    )
    return environment.get_template("page.md.j2").render(
        races=[table(each) for each in races],
        curve={**growth(curve), "figure": figure} if curve else None,
        measured=sorted({(each.date, each.commit, _where(each.machine)) for each in shown}),
        explained=_explained(),
        profiles=profiles,
        minutes=round(sum(each.seconds for each in shown if not each.concurrency) / 60),
    )


def _where(machine: dict[str, Any]) -> str:
    return f"{machine['cores']} cores of {machine['processor']}, {machine['memory_gb']} GB, {machine['system']}"


def _explained() -> str:
    """What a person has written about goals that are missed: benchmarks/explained.md, a section of the page."""
    file = HERE / "explained.md"
    return file.read_text().strip() + "\n" if file.exists() else ""
