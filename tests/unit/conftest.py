"""Fixtures of tests that need no machine."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture
def nothing_collected() -> Iterator[None]:
    """For input so deep that reading it ends at Python's limit of recursion.

    A collection that falls on the deepest step would end what other tests have left there: the finalizer of one of their sessions then
    meets the limit itself, and pytest blames the test that reads.
    """
    gc.disable()
    yield
    gc.enable()
