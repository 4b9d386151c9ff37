"""`python -m nova_infra drift`: looks at everything that a stack owns, says what differs from its state, and changes nothing."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path

from ..drift.asking import ask
from ..drift.page import as_page
from ..drift.report import DRIFTED, GONE, UNREACHABLE, Report, as_json
from ..drift.text import as_text
from ..errors import ReportUnwritable
from .state import managed
from .terminal import add_json, add_stack, say_aside

IN_ORDER, DIFFERENT, UNKNOWN = 0, 2, 3
EPILOG = (
    "Ends with 0 when everything is in order, with 2 when something has drifted or is gone, with 3 when something is not reachable (and others may "
    "have drifted, which is shown), and with 1 when the report could not be made."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this command."""
    add_stack(parser)
    add_json(parser)
    parser.add_argument("--html", default="", metavar="FILE", help="write the report as one page for a browser, too")
    parser.epilog = EPILOG


def run(arguments: argparse.Namespace) -> int:
    """Prints the report. Returns 0, 2 or 3, as EPILOG says. Raises NovaInfraError when the state cannot be read."""
    page = Path(arguments.html).absolute() if arguments.html else None
    if page is not None:
        refuse_unwritable(page)
    resources = managed(arguments.stack)
    report = ask(resources, say_aside) if resources else Report(arguments.stack, datetime.now(UTC), (), ())
    if page is not None:
        write(page, as_page(report))
    print(json.dumps(as_json(report), indent=2) if arguments.json else as_text(report))
    return code(report)


def code(report: Report) -> int:
    """The exit code."""
    if report.of(UNREACHABLE):
        return UNKNOWN
    return DIFFERENT if report.of(DRIFTED, GONE) else IN_ORDER


def refuse_unwritable(page: Path) -> None:
    """Raises ReportUnwritable before many machines are asked, where that can be known."""
    if page.is_dir() or not page.parent.is_dir():
        problem = "it is a folder" if page.is_dir() else f"there is no folder {page.parent}"
        raise ReportUnwritable(
            f"The report cannot be written to {page}: {problem}. Name a file in a folder that there is."
        )


def write(page: Path, text: str) -> None:
    """Writes the page. Raises ReportUnwritable."""
    try:
        page.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ReportUnwritable(
            f"The report cannot be written to {page}: {error.strerror}. Name a file that may be written."
        ) from None
