"""What nova writes into its logs when a server that it needs refuses it: its processes live on and try again, and say so nowhere else."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Refusal:
    """A sentence about the server, what to do, and whether it stays so until somebody does it."""

    sentence: str
    advice: str
    final: bool

    def __str__(self) -> str:
        return f"{self.sentence}. {self.advice}"


_QUEUE_ACCOUNT = (
    "Check rabbitPassword and messageQueue (user, virtual_host) in the stack, and on the server `rabbitmqctl list_users` and "
    "`rabbitmqctl list_permissions`; RabbitMQ lets guest in from its own host only, unless loopback_users says otherwise."
)
_DATABASE_ACCOUNT = "Check novaDatabasePassword, database.user and the hosts from which it may log in (database.hosts)."
# A server that is restarted closes connections too, once or twice.
REPEATED = 3
# Each with how often it must stand there until it is clear that it stays so; never: 0.
# The first pattern that fits a line counts: what is more special comes first.
_CONNECTED = r"[Cc]onnected to AMQP server"
_PATTERNS = (
    # RabbitMQ 3.x with a client that knows authentication_failure_close.
    (
        r"AMQP server on (?P<at>\S+) is unreachable: (?P<said>.*ACCESS_REFUSED[^.]*)",
        "RabbitMQ at {at} refuses nova's account: {said}",
        _QUEUE_ACCOUNT,
        1,
    ),
    # It closes the connection of an older one, such as Juno's, without a word.
    (
        r"AMQP server on (?P<at>\S+) is unreachable: (?P<said>Socket closed)",
        "RabbitMQ at {at} refuses nova's account: {said}",
        _QUEUE_ACCOUNT,
        REPEATED,
    ),
    # Newer services end with it.
    (
        r"(?P<said>ACCESS_REFUSED[^.]*)",
        "RabbitMQ refuses nova's account: {said}",
        _QUEUE_ACCOUNT,
        1,
    ),
    (
        r"AMQP server on (?P<at>\S+) is unreachable: (?P<said>.*?)\.? Trying again",
        "RabbitMQ at {at} cannot be reached: {said}",
        "Check messageQueue.hosts, that RabbitMQ runs, and that firewalls let this node in.",
        0,
    ),
    (
        r"\(1045, [\"'](?P<said>Access denied for user .*?\))",
        "MariaDB refuses nova's account: {said}",
        _DATABASE_ACCOUNT,
        0,
    ),
    (
        r"\(1044, [\"'](?P<said>Access denied for user .*?)[\"']\)",
        "MariaDB refuses nova's account: {said}",
        _DATABASE_ACCOUNT,
        0,
    ),
    (
        r"\(20(?:02|03|05), [\"'](?P<said>.*?)[\"']\)",
        "MariaDB cannot be reached: {said}",
        "Check database.host and database.port, that the server runs and listens there, and that firewalls let this node in.",
        0,
    ),
    (
        r"(?P<said>Timed out waiting for nova-conductor)",
        "nova-conductor does not answer: {said}",
        "Look at nova-conductor's log on the controller; both must use the same RabbitMQ.",
        0,
    ),
    (
        r"(?P<said>Identity server rejected authorization|The request you have made requires authentication)",
        "Keystone refuses nova's user: {said}",
        "Check novaPassword, identity.user and identity.service_tenant.",
        0,
    ),
)


def refusal_in(log: str) -> Refusal | None:
    """The last refusal in lines of a log, or None. One that is over, because the service has connected since, is none."""
    lines = [line for line in re.split(_CONNECTED, log)[-1].splitlines() if line]
    for line in reversed(lines):
        for pattern, sentence, advice, times in _PATTERNS:
            if found := re.search(pattern, line):
                said = {name: " ".join(text.split()).rstrip(".: ") for name, text in found.groupdict().items()}
                final = 0 < times <= sum(bool(re.search(pattern, each)) for each in lines)
                return Refusal(sentence.format(**said), advice, final)
    return None
