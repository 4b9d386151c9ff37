"""What the last `pulumi up` made of a resource, as a state can hold it beside what a refresh has found: a short hash of each property."""

from __future__ import annotations

import hashlib
import json
from typing import Any

# An output of every resource: `{property: hash}`.
LAST_UP = "last_up"
# Of a fleet the state holds several a node. By chance one in four thousand million values passes for another.
_DIGITS = 8


def short_hash(value: Any) -> str:
    """The same for all values that are equal, whatever the order of their keys. It has no key, so it is of nothing that is a secret."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:_DIGITS]
