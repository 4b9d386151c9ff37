"""What holds where nobody says otherwise, and the prefix of what a provider is configured with."""

from __future__ import annotations

PREFIX = "access:"
SSH_PORT = 22
MARIADB_PORT = 3306
# The name by which the guide's machines know the one with all servers on it.
SERVERS_HOST = "controller"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - where nova's services listen
DATABASE_SOCKET = "/var/run/mysqld/mysqld.sock"
# How long connecting to a machine may take, in seconds, for a command that only asks: who waits for a report does not wait as long as
# who changes something.
ASKING_SECONDS = 20.0
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
