"""What differs between OpenStack releases, as data."""

from __future__ import annotations

from ..errors import InvalidSettings, Problem
from .juno import JUNO
from .release import Release, Role

RELEASES = {each.name: each for each in (JUNO,)}
"""All that are known, by name."""


def release(name: str) -> Release:
    """The release of this name. Raises InvalidSettings for one that is not known."""
    if name not in RELEASES:
        raise InvalidSettings([Problem("nova:release", f"{name!r} is not known; known: {', '.join(sorted(RELEASES))}")])
    return RELEASES[name]


__all__ = ["RELEASES", "Release", "Role", "release"]
