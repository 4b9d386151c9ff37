"""Stories that begin with new nodes, which no other file uses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.nodes import Lab
from tests.own_lab import OwnLab


@pytest.fixture(scope="module")
def lab(own_lab: OwnLab) -> Iterator[Lab]:
    """Nodes where the guide's chapter begins, for one file."""
    own_lab.begin_at()
    yield own_lab
    own_lab.used()
