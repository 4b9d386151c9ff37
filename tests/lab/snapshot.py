"""All that a teardown must put back, as it is now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from tests.nodes import Lab

NODES = ("controller", "compute1")
# Debian's own tools rewrite these whenever an account or a library comes or goes.
REWRITTEN_BY_DEBIAN = ("passwd-", "group-", "shadow-", "gshadow-", "ld.so.cache")
_LEAVE_OUT = " ".join(f"! -path /etc/{name}" for name in REWRITTEN_BY_DEBIAN)


@dataclass(frozen=True)
class Snapshot:
    """Sorted lines of each kind of thing, for all nodes or for the servers."""

    packages: tuple[str, ...]
    etc: tuple[str, ...]
    accounts: tuple[str, ...]
    leftovers: tuple[str, ...]
    databases: tuple[str, ...]
    database_users: tuple[str, ...]
    keystone_users: tuple[str, ...]
    keystone_services: tuple[str, ...]
    keystone_endpoints: tuple[str, ...]

    def on_nodes(self, *nodes: str) -> dict[str, tuple[str, ...]]:
        """Kind -> the lines of these nodes, of all without a name."""
        of = tuple(f"{node}: " for node in nodes) or ("",)
        kinds = ("packages", "etc", "accounts", "leftovers")
        return {kind: tuple(line for line in getattr(self, kind) if line.startswith(of)) for kind in kinds}

    def differences(self, other: Snapshot) -> dict[str, tuple[list[str], list[str]]]:
        """Kind -> (lines only here, lines only there); empty when both are the same."""
        found = {}
        for each in fields(self):
            mine, theirs = set(getattr(self, each.name)), set(getattr(other, each.name))
            if mine != theirs:
                found[each.name] = (sorted(mine - theirs), sorted(theirs - mine))
        return found


def snapshot(lab: Lab, nodes: Sequence[str] = NODES) -> Snapshot:
    """Reads everything through the machines' and servers' own tools."""

    def on_nodes(script: str) -> tuple[str, ...]:
        return tuple(sorted(f"{node}: {line}" for node in nodes for line in lab.run(node, script).splitlines()))

    def rows(command: str, *columns: str) -> tuple[str, ...]:
        return tuple(sorted(" ".join(row[column] for column in columns) for row in lab.table(command)))

    return Snapshot(
        packages=on_nodes("dpkg --get-selections"),
        # Content, owner, group and mode of every file; targets of links; directories.
        etc=on_nodes(
            f"cd / && find /etc {_LEAVE_OUT} -printf '%p %y %u %g %m %l\\n'; "
            f"find /etc -type f {_LEAVE_OUT} -exec sha256sum {{}} +"
        ),
        accounts=on_nodes("cat /etc/passwd /etc/group"),
        leftovers=on_nodes(
            "ls -d /var/lib/nova* /var/log/nova* /var/run/nova /usr/sbin/policy-rc.d* 2>/dev/null; true"
        ),
        databases=tuple(sorted(row[0] for row in lab.sql("SHOW DATABASES"))),
        database_users=tuple(sorted("@".join(row) for row in lab.sql("SELECT User, Host FROM mysql.user"))),
        keystone_users=rows("keystone user-list", "id", "name", "enabled"),
        keystone_services=rows("keystone service-list", "id", "name", "type"),
        keystone_endpoints=rows("keystone endpoint-list", "id", "region", "publicurl", "service_id"),
    )
