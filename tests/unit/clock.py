"""A clock that a test sets, for what waits."""

from __future__ import annotations

from nova_infra.remote.operation import Time


class Clock:
    """Shows what the test says. Who sleeps by it is back at once, and it shows the later time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.passing = Time(now=self, sleep=self.passes)

    def __call__(self) -> float:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += seconds
