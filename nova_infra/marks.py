"""What a refresh writes behind an item of a list that is not as wanted: `admin (missing)`.

The item stays in its place. So a plan shows one difference and not every later item as another one, and the next look still knows what
the stack wants: what somebody has put back in between is seen as what it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable


def marked(items: Iterable[str], wrong: Collection[str], mark: str) -> list[str]:
    """The items, those that are wrong with the mark behind them."""
    return [f"{item} ({mark})" if item in wrong else item for item in items]


def unmarked(items: Iterable[str], mark: str) -> list[str]:
    """The items without the mark."""
    return [item.removesuffix(f" ({mark})") for item in items]


def bears(item: str, mark: str) -> bool:
    """Whether an item ends with the mark."""
    return item.endswith(f" ({mark})")
