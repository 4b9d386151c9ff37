"""How commands draw on a terminal, and the options that they have in common."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence

from prettytable import HRuleStyle, PrettyTable


def add_stack(parser: argparse.ArgumentParser) -> None:
    """`--stack`, as pulumi has it."""
    parser.add_argument("--stack", "-s", default="", help="the stack; default: the one that is selected")


def add_json(parser: argparse.ArgumentParser) -> None:
    """`--json`."""
    parser.add_argument("--json", action="store_true", help="print JSON for programs in place of the table")


def table(columns: Mapping[str, int], rows: Iterable[Sequence[str]]) -> str:
    """A table with a line around each row; `columns` says how many characters wide a column may be. Without rows: nothing."""
    drawn = PrettyTable(list(columns))
    drawn.align = "l"
    drawn.valign = "t"
    drawn.max_width = dict(columns)
    drawn.hrules = HRuleStyle.ALL
    drawn.add_rows([list(row) for row in rows])
    return str(drawn.get_string()) if drawn.rows else ""
