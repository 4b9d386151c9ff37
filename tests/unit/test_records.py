"""Nova's records: asked once for many nodes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nova_infra import records
from nova_infra.compute import ServiceReport
from nova_infra.errors import ComputeError
from nova_infra.records import FRESH_SECONDS, Records


def record(host: str) -> ServiceReport:
    return ServiceReport("6", "nova-compute", host, "nova", "enabled", "up", "2015-02-11T08:58:17.000000", "")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    now = [100.0]
    monkeypatch.setattr(records.time, "monotonic", lambda: now[0])
    return now


def test_nova_is_asked_once_for_all_nodes_and_again_after_a_while(clock: list[float]) -> None:
    asked = []
    known = Records(lambda: asked.append(1) or [record("compute1"), record("compute2")])  # type: ignore[func-returns-value]
    assert known.of("compute1") == [record("compute1")]
    assert known.of("compute2") == [record("compute2")]
    assert known.of("compute3") == []
    assert len(asked) == 1
    clock[0] += FRESH_SECONDS
    known.of("compute1")
    assert len(asked) == 2


def test_a_nova_that_does_not_answer_is_not_waited_for_once_a_node(clock: list[float]) -> None:
    asked = []

    def fail() -> list[ServiceReport]:
        asked.append(1)
        raise ComputeError("nobody answers")

    known = Records(fail)
    for host in ("compute1", "compute2"):
        with pytest.raises(ComputeError, match="nobody answers"):
            known.of(host)
    assert len(asked) == 1
