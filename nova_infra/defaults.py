"""What holds where nobody says otherwise, and the prefix of what a provider is configured with."""

from __future__ import annotations

PREFIX = "access:"
DATABASE_SOCKET = "/var/run/mysqld/mysqld.sock"
# How long a step may take, in seconds, where nobody says otherwise.
DEADLINES = {
    "packages": 1800,
    "configuration": 1800,
    "report": 180,
    "answer": 60,
    "check": 120,
    "drain": 3600,
    "dump": 3600,
}
