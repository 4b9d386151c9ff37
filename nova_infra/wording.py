"""How messages write what a user has written: on one line, not too long, with nothing that a terminal obeys. Names and numbers of things too."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

LONGEST = 80


def quoted(value: object) -> str:
    """A value in quotes."""
    try:
        text = repr(value)
    except RecursionError:
        return "what is too deep to be shown"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text)} characters)"


def escaped(text: str) -> str:
    """A text as it is, or with escapes where it would be more than a line of text."""
    # isprintable() is false of what turns a line around (U+202E), too.
    return text if text.isprintable() else ascii(text)[1:-1]


def surrogates(text: str) -> bool:
    """Whether it holds half of a surrogate pair, which is no character: UTF-8 has no bytes for it."""
    return any("\ud800" <= character <= "\udfff" for character in text)


def shown(name: str) -> str:
    """A name as it is, or with escapes."""
    text = escaped(name)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean NAME?`, or an empty string."""
    # What is much longer is near to nothing, and would take long to compare.
    close = difflib.get_close_matches(name[:LONGEST], sorted(known), n=1)
    return f"; did you mean {shown(close[0])}?" if close else ""


def abridged(names: Sequence[str], most: int = 3) -> str:
    """The names, or the first of them and how many there are besides."""
    return ", ".join(names) if len(names) <= most else f"{', '.join(names[:most])} and {len(names) - most} more"


def unforeseen(error: Exception) -> str:
    """What is said of an error that is none of this package's own: its class, and that it is our mistake. On one line."""
    said = " ".join(str(error).split())
    what = f": {said}" if said else ""
    return (
        f"{type(error).__name__} while it was asked{what}. This is an error of nova-infra: report it, with the version."
    )


def counted(number: int, what: str) -> str:
    """`1 node`, `2 nodes`."""
    return f"{number} {what}{'' if number == 1 else 's'}"
