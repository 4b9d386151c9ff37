"""Writes docs/benchmarks.md and its picture from all records that are whole: python -m benchmarks.publishing"""

from __future__ import annotations

import matplotlib as mpl
from matplotlib.figure import Figure

from . import page
from .figures import STEPS
from .places import PAGE, RESULTS
from .record import Record, read

FIGURE = RESULTS / "curve.svg"


def publish() -> None:
    """The page and the picture."""
    records = [record for path in sorted(RESULTS.glob("*.json")) if (record := read(path)).complete]
    profiles = [path.name for path in sorted(RESULTS.glob("profile-*.txt"))]
    PAGE.write_text(page.render(records, FIGURE.relative_to(PAGE.parent).as_posix(), profiles))
    curve = page.chosen_curve(records)
    if curve:
        _draw(curve)


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


if __name__ == "__main__":
    publish()
