"""docs/errors.md promises only what a test makes happen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.error_rows import assert_printed, rows

TESTS = Path(__file__).parents[1]


def causes_that_tests_make_happen() -> set[str]:
    source = "\n".join(path.read_text() for path in TESTS.rglob("test_*.py"))
    return set(re.findall(r'(?:assert_printed|happens)\(\s*"([^"]+)"', source))


def test_every_row_is_made_to_happen_by_a_test() -> None:
    assert sorted(set(rows()) - causes_that_tests_make_happen()) == []


def test_a_text_that_differs_from_the_page_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.error_rows.rows", lambda: {"a cause": "`node` (…): it failed"})
    assert_printed("a cause", "node (root@10.0.0.11):\n  it failed. Look there.")
    with pytest.raises(AssertionError, match="a cause"):
        assert_printed("a cause", "node (root@10.0.0.11): it worked.")
