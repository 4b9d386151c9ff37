"""What the scripts that write pages have in common."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def write_or_check(wanted: Mapping[Path, str], source: str) -> int:
    """Writes the files that differ from their wanted text; with --check says which do, and returns 1 where one does."""
    differ = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if sys.argv[1:] == ["--check"]:
        for path in differ:
            print(f"{path.relative_to(ROOT)} is not what {source} say; run 'make docs'.", file=sys.stderr)
        return 1 if differ else 0
    for path in differ:
        path.write_text(wanted[path], encoding="utf-8")
        print(f"{path.relative_to(ROOT)} is written.")
    return 0
