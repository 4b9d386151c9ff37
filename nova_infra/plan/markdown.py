"""Values in GitHub's Markdown: whatever they hold, they arrive as text, in code, and ping nobody."""

from __future__ import annotations

import json
import re
from typing import Any

from ..wording import escaped
from .reading import Word

LONGEST = 300


def code(text: str) -> str:
    """A text in code, on one line, also within a table."""
    plain = escaped(text)
    plain = plain if len(plain) <= LONGEST else f"{plain[:LONGEST]}... ({len(plain)} characters)"
    # A table is cut at each bar before anything else is read, also in code.
    plain = plain.replace("|", r"\|")
    ticks = "`" * (longest_run(plain, "`") + 1)
    pad = " " if plain.startswith("`") or plain.endswith("`") or not plain.strip() else ""
    return f"{ticks}{pad}{plain}{pad}{ticks}" if plain else ""


def shown(value: Any) -> str:
    """A value as it is shown: texts in quotes, a word of ours as it is."""
    if isinstance(value, Word):
        return str(value)
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value) if value else "[]"
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def fenced(text: str, language: str = "") -> str:
    """Lines in a block of code that nothing in them can end."""
    ticks = "`" * max(3, longest_run(text, "`") + 1)
    return f"{ticks}{language}\n{text}\n{ticks}"


def folded(title: str, text: str) -> str:
    """A text that is shown when somebody asks for it. The title is ours."""
    return f"<details><summary>{title}</summary>\n\n{text}\n\n</details>"


def longest_run(text: str, character: str) -> int:
    """The length of the longest run of this character."""
    return max((len(run) for run in re.findall(f"{re.escape(character)}+", text)), default=0)


def size(text: str) -> int:
    """What GitHub counts, at most: bytes."""
    return len(text.encode())
