"""docs/benchmarks.md and its pictures, made from the records: text and numbers cannot diverge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import matplotlib as mpl
from matplotlib.figure import Figure

from .figures import STEPS, growth, table
from .places import PAGE, RESULTS
from .record import Record, read

HERE = Path(__file__).parent
ORDER = ("fresh", "drift", "nothing", "option")
FIGURE = RESULTS / "curve.svg"


def write() -> None:
    """The page and the picture, from all records that are whole."""
    records = [record for path in sorted(RESULTS.glob("*.json")) if (record := read(path)).complete]
    races = [each for each in records if each.kind != "curve"]
    races.sort(key=lambda each: (ORDER.index(each.kind), each.nodes))
    curves = [each for each in records if each.kind == "curve"]
    # A curve of one size is for trying out; the page has the one of all sizes where there is one.
    whole = next((each for each in curves if each.name == "curve"), curves[0] if curves else None)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Markdown
    )
    template = environment.get_template("page.md.j2")
    page = template.render(
        races=[table(each) for each in races],
        curve={**growth(whole), "figure": FIGURE.relative_to(PAGE.parent).as_posix()} if whole else None,
        measured=sorted(
            {(each.date, each.commit, _where(each.machine)) for each in [*races, *([whole] if whole else [])]}
        ),
        explained=_explained(),
        minutes=round(sum(each.seconds for each in [*races, *([whole] if whole else [])]) / 60),
    )
    PAGE.write_text(page)
    if whole:
        _draw(whole)


def _where(machine: dict[str, Any]) -> str:
    return f"{machine['cores']} cores of {machine['processor']}, {machine['memory_gb']} GB, {machine['system']}"


def _explained() -> str:
    """What a person has written about goals that are missed: benchmarks/explained.md, a section of the page."""
    file = HERE / "explained.md"
    return file.read_text().strip() + "\n" if file.exists() else ""


def _draw(record: Record) -> None:
    # Text stays text, and the same numbers give the same file.
    mpl.rcParams["svg.fonttype"] = "none"
    mpl.rcParams["svg.hashsalt"] = "nova-infra"
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    sizes = sorted({each["round"] for each in record.runs})
    for step, title in STEPS.items():
        walls = [
            next(each["wall"] for each in record.runs if (each["round"], each["key"]) == (size, step)) for size in sizes
        ]
        axes.plot(sizes, walls, marker="o", label=title.replace("`", ""))
    axes.set_xlabel("compute nodes")
    axes.set_ylabel("seconds")
    axes.set_xticks(sizes)
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.savefig(FIGURE, metadata={"Date": None, "Creator": None}, facecolor="white")
