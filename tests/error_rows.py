"""The tables of docs/errors.md as tests use them: a row says what is printed, and the test that makes it happen compares."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "errors.md"


def rows() -> dict[str, str]:
    """Cause -> what is printed, of every table whose first column is `Cause`. In what is printed, `…` stands for any text."""
    found: dict[str, str] = {}
    inside = False
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not cells:
            inside = False
        elif cells[0] == "Cause":
            inside = True
        elif inside and not set(cells[0]) <= {"-", ":"}:
            cause, printed, do = cells
            assert printed, f"{cause}: the page does not say what is printed"
            assert cause not in found, f"{cause}: two rows have this cause"
            assert do, f"{cause}: the page does not say what to do"
            found[cause] = printed.replace("\\|", "|")
    return found


def assert_printed(cause: str, text: str) -> None:
    """Fails unless the text holds what the page says is printed for this cause."""
    # The engine breaks lines, and the page marks code.
    wanted = re.split(r"\s*…\s*", rows()[cause].replace("`", ""))
    pattern = r".*".join(re.sub(r"(\\ )+", " ", re.escape(part.strip())) for part in wanted)
    plain = " ".join(text.replace("`", "").split())
    assert re.search(pattern, plain), f"{cause}: the page says\n  {rows()[cause]}\nand this was printed:\n  {text}"
