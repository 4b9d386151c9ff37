"""Clocks of nova's hosts: by how much they may differ, and what is said of one that is off."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

# Nova's own: a service reports every `report_interval`, and whose last report is older than `service_down_time` counts as down.
_SERVICE_DOWN_SECONDS = 60.0
_REPORT_SECONDS = 10.0
# It has no way to the database: the conductor writes what it reports, and when.
_STAMPED_BY_THE_CONDUCTOR = {"nova-compute"}


def allowed(default: Mapping[str, Any]) -> float:
    """By how many seconds clocks may differ before nova takes services that run for down; `default`: the options of [DEFAULT]."""
    down = _seconds(default, "service_down_time", _SERVICE_DOWN_SECONDS)
    return max(down - _seconds(default, "report_interval", _REPORT_SECONDS), 0.0)


def _seconds(default: Mapping[str, Any], option: str, usual: float) -> float:
    try:
        return float(default.get(option, usual))
    except (TypeError, ValueError):
        return usual


def consequence(services: Collection[str]) -> str:
    """What nova makes of a host with these services whose clock is off."""
    if set(services) <= _STAMPED_BY_THE_CONDUCTOR:
        return "its reports have the conductor's clock, so nova-compute stays up; times in its log and in its messages are wrong"
    return "nova takes services that run there for down"


def sentence(node: str, seconds_ahead: float, of: str, limit: float, services: Collection[str]) -> str:
    """What is said about a clock that is off by more than `limit`; `of` says which other clock it was compared with."""
    way = "ahead of" if seconds_ahead > 0 else "behind"
    return (
        f"the clock of {node} is {abs(seconds_ahead):.0f} s {way} that {of}, and those of nova's hosts may differ by "
        f"{limit:.0f} s: {consequence(services)}. Set the clock, and let ntp keep it."
    )
