"""Many are asked at the same time, and who is silent holds up nobody."""

from __future__ import annotations

import threading

import pytest

from nova_infra import at_once as asking
from nova_infra.at_once import AT_ONCE, at_once


def test_as_many_are_asked_at_the_same_time_as_there_is_room_for() -> None:
    # Nobody gets past it before all are there.
    meeting = threading.Barrier(AT_ONCE, timeout=20)
    answers = at_once({f"compute{number}": meeting.wait for number in range(AT_ONCE)}, lambda _line: None)
    assert sorted(future.result() for future in answers.values()) == list(range(AT_ONCE))


def test_answers_and_errors_come_in_the_order_of_the_questions() -> None:
    second_asked = threading.Event()

    def fail() -> None:
        second_asked.set()
        raise OSError("no route")

    answers = at_once({"first": lambda: second_asked.wait(20), "second": fail}, lambda _line: None)
    assert list(answers) == ["first", "second"]
    assert answers["first"].result() is True
    with pytest.raises(OSError, match="no route"):
        answers["second"].result()


def test_who_has_not_answered_is_named_while_the_others_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "SAY_SECONDS", 0.05)
    said: list[str] = []
    heard = threading.Event()

    def say(line: str) -> None:
        said.append(line)
        heard.set()

    at_once({"compute1": lambda: None, "compute2": lambda: heard.wait(20)}, say)
    assert said[0] == "... still waiting for compute2"
