"""What a check finds: a line of its table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A problem, or with `note` something that `up` will do which is good to know before."""

    where: str
    """A node or a server."""
    subject: str
    what: str
    do: str = ""
    note: bool = False


def from_sentence(where: str, subject: str, text: str) -> Finding:
    """A finding from an error's message: its first sentence is what there is, the others say what to do."""
    # The table has the node and its address in a column of their own.
    plain = re.sub(rf"^{re.escape(where)}( \([^)]*\))?: ", "", text.strip())
    what, _, do = re.sub(r"\. (?=[A-Z])", ".\0", plain, count=1).partition("\0")
    return Finding(where, subject, what.rstrip("."), do.rstrip("."))


def in_order(findings: Iterable[Finding], places: Sequence[str]) -> list[Finding]:
    """Problems before notes, each once, in the order of the places."""
    return sorted(dict.fromkeys(findings), key=lambda finding: (finding.note, places.index(finding.where)))
