"""A node with a clock of its own. Containers share this machine's, so libfaketime stands before every process that is started."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.nodes import Lab


@contextmanager
def a_clock_that_is_off(lab: Lab, node: str, by: str) -> Iterator[None]:
    """Within this, what is started on the node sees a clock that is off `by` some seconds (`+600`)."""
    # The library reads /etc/faketimerc where no variable says otherwise: what sudo and sshd do to variables does not matter.
    lab.run(
        node,
        f"printf '%s\\n' {by} >/etc/faketimerc; library=$(ls /usr/lib/*/faketime/libfaketime.so.1) && echo $library >/etc/ld.so.preload",
    )
    try:
        yield
    finally:
        lab.run(node, "rm -f /etc/ld.so.preload /etc/faketimerc")
