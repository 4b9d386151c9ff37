"""A node with a clock of its own, as our scripts read it. Containers share this machine's, so libfaketime stands before `date`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.nodes import Lab

# Ahead of /bin on a script's PATH. Under every process of a node the library would keep sshd from taking logins.
DATE = "/usr/local/bin/date"


def set_clock(lab: Lab, node: str, by: str) -> None:
    """From now on `date` on the node is off `by` some seconds (`+600`)."""
    lab.run(
        node,
        f"printf '#!/bin/sh\\nLD_PRELOAD=%s FAKETIME={by} exec /bin/date \"$@\"\\n' /usr/lib/*/faketime/libfaketime.so.1 >{DATE} && chmod 755 {DATE}",
    )


def right_clock(lab: Lab, node: str) -> None:
    """Ends that."""
    lab.run(node, f"rm -f {DATE}")


@contextmanager
def a_clock_that_is_off(lab: Lab, node: str, by: str) -> Iterator[None]:
    """Within this, `date` on the node is off `by` some seconds (`+600`)."""
    set_clock(lab, node, by)
    try:
        yield
    finally:
        right_clock(lab, node)


@contextmanager
def a_service_whose_clock_is_off(lab: Lab, node: str, service: str, by: str) -> Iterator[None]:
    """Within this, the process of the service itself is off `by` some seconds."""
    library = "$(ls /usr/lib/*/faketime/libfaketimeMT.so.1)"
    script = f"/etc/init.d/{service}"
    # service(8) would leave the variables out.
    lab.run(node, f"{script} stop >/dev/null && LD_PRELOAD={library} FAKETIME={by} {script} start >/dev/null")
    try:
        yield
    finally:
        lab.run(node, f"{script} restart >/dev/null")
