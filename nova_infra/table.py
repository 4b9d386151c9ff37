"""How a report is drawn on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from prettytable import HRuleStyle, PrettyTable


def table(columns: Mapping[str, int], rows: Iterable[Sequence[str]]) -> str:
    """A table with a line around each row; `columns` says how many characters wide a column may be. Without rows: nothing."""
    drawn = PrettyTable(list(columns))
    drawn.align = "l"
    drawn.valign = "t"
    drawn.max_width = dict(columns)
    drawn.hrules = HRuleStyle.ALL
    drawn.add_rows([list(row) for row in rows])
    return str(drawn.get_string()) if drawn.rows else ""
