"""What differs between OpenStack releases, as data."""

from __future__ import annotations

from ..errors import InvalidSettings, Problem
from .juno import JUNO
from .release import Release, Role


def release(name: str) -> Release:
    """The release of this name. Raises InvalidSettings for one that is not known."""
    known = {JUNO.name: JUNO}
    if name not in known:
        raise InvalidSettings([Problem("nova:release", f"{name!r} is not known; known: {', '.join(sorted(known))}")])
    return known[name]


__all__ = ["Release", "Role", "release"]
