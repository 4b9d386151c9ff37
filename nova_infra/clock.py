"""Clocks of nova's hosts: by how much they may differ, and what is said of one that is off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Nova's own: a service reports every `report_interval`, and whose last report is older than `service_down_time` counts as down.
_SERVICE_DOWN_SECONDS = 60.0
_REPORT_SECONDS = 10.0


def allowed(default: Mapping[str, Any]) -> float:
    """By how many seconds clocks may differ before services that run are taken for down; `default`: the options of [DEFAULT]."""
    down = _seconds(default, "service_down_time", _SERVICE_DOWN_SECONDS)
    return max(down - _seconds(default, "report_interval", _REPORT_SECONDS), 0.0)


def _seconds(default: Mapping[str, Any], option: str, usual: float) -> float:
    try:
        return float(default.get(option, usual))
    except (TypeError, ValueError):
        return usual


def sentence(node: str, seconds_ahead: float, of: str, limit: float) -> str:
    """What is said about a clock that is off by more than `limit`; `of` says which other clock it was compared with."""
    way = "ahead of" if seconds_ahead > 0 else "behind"
    return (
        f"the clock of {node} is {abs(seconds_ahead):.0f} s {way} that {of}: where nova's hosts differ by more than "
        f"{limit:.0f} s, services that run are taken for down. Set the clock, and let ntp keep it."
    )
