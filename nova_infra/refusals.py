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
    "Check rabbitPassword and message_queue (user, virtual_host) in the stack, and on the server `rabbitmqctl list_users` and "
    "`rabbitmqctl list_permissions`; RabbitMQ lets guest in from its own host only, unless loopback_users says otherwise."
)
_DATABASE_ACCOUNT = "Check novaDatabasePassword, database.user and the hosts from which it may log in (database.hosts)."
# The last one that fits a line counts least: what is more special comes first.
_PATTERNS = (
    # RabbitMQ 3.x with a client that knows authentication_failure_close.
    (
        r"AMQP server on (?P<at>\S+) is unreachable: (?P<said>.*ACCESS_REFUSED[^.]*)",
        "RabbitMQ at {at} refuses nova's account: {said}",
        _QUEUE_ACCOUNT,
        True,
    ),
    # It closes the connection of an older one, such as Juno's, without a word.
    (
        r"AMQP server on (?P<at>\S+) is unreachable: (?P<said>Socket closed)",
        "RabbitMQ at {at} refuses nova's account: {said}",
        _QUEUE_ACCOUNT,
        True,
    ),
    # Newer services end with it.
    (
        r"(?P<said>ACCESS_REFUSED[^.]*)",
        "RabbitMQ refuses nova's account: {said}",
        _QUEUE_ACCOUNT,
        True,
    ),
    (
        r"AMQP server on (?P<at>\S+) is unreachable: (?P<said>.*?)\.? Trying again",
        "RabbitMQ at {at} cannot be reached: {said}",
        "Check message_queue.hosts, that RabbitMQ runs, and that firewalls let this node in.",
        False,
    ),
    (
        r"\(1045, [\"'](?P<said>Access denied for user .*?\))",
        "MariaDB refuses nova's account: {said}",
        _DATABASE_ACCOUNT,
        True,
    ),
    (
        r"\(1044, [\"'](?P<said>Access denied for user .*?)[\"']\)",
        "MariaDB refuses nova's account: {said}",
        _DATABASE_ACCOUNT,
        True,
    ),
    (
        r"\(20(?:02|03|05), [\"'](?P<said>.*?)[\"']\)",
        "MariaDB cannot be reached: {said}",
        "Check database.host and database.port, that the server runs and listens there, and that firewalls let this node in.",
        False,
    ),
    (
        r"(?P<said>Timed out waiting for nova-conductor)",
        "nova-conductor does not answer: {said}",
        "Look at nova-conductor's log on the controller; both must use the same RabbitMQ.",
        False,
    ),
    (
        r"(?P<said>Identity server rejected authorization|The request you have made requires authentication)",
        "Keystone refuses nova's user: {said}",
        "Check novaPassword, identity.user and identity.service_tenant.",
        False,
    ),
)


def refusal_in(log: str) -> Refusal | None:
    """The last refusal in lines of a log, or None."""
    for line in reversed(log.splitlines()):
        for pattern, sentence, advice, final in _PATTERNS:
            if found := re.search(pattern, line):
                said = {name: " ".join(text.split()).rstrip(".: ") for name, text in found.groupdict().items()}
                return Refusal(sentence.format(**said), advice, final)
    return None
