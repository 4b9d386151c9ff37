"""What nova logs about servers that refuse it. The lines are those of Juno's and Ocata's clients, shortened."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nova_infra import refusals
from nova_infra.refusals import refusal_in
from nova_infra.settings import Settings
from tests.nodes import ROOT

AMQP = "2014-12-01 10:00:00.123 1234 ERROR oslo.messaging._drivers.impl_rabbit [-] AMQP server on controller:5672 is unreachable: "


@pytest.mark.parametrize(
    ("line", "said", "final"),
    [
        pytest.param(
            f"{AMQP}Socket closed. Trying again in 1 seconds.\n" * 3,
            "RabbitMQ at controller:5672 refuses",
            True,
            id="juno",
        ),
        pytest.param(
            f"{AMQP}Socket closed. Trying again in 1 seconds.",
            "RabbitMQ at controller:5672 refuses",
            False,
            id="juno, or RabbitMQ is restarted",
        ),
        pytest.param(
            f"{AMQP}(0, 0): (403) ACCESS_REFUSED - Login was refused using authentication mechanism AMQPLAIN. For details see the "
            "broker logfile.. Trying again in 2 seconds. Client port: None",
            "RabbitMQ at controller:5672 refuses nova's account: (0, 0): (403) ACCESS_REFUSED - Login was refused",
            True,
            id="a client that is told",
        ),
        pytest.param(
            "2026-11-22 14:41:39.677 3038 ERROR oslo_service.service AccessRefused: (0, 0): (403) ACCESS_REFUSED - Login was refused using "
            "authentication mechanism AMQPLAIN. For details see the broker logfile.",
            "RabbitMQ refuses nova's account: ACCESS_REFUSED - Login was refused using authentication mechanism AMQPLAIN",
            True,
            id="ocata",
        ),
        pytest.param(
            f"{AMQP}[Errno 111] ECONNREFUSED. Trying again in 1 seconds.",
            "RabbitMQ at controller:5672 cannot be reached: [Errno 111] ECONNREFUSED",
            False,
            id="RabbitMQ is down",
        ),
        pytest.param(
            "2026-11-22 15:01:14.718 2074 WARNING nova.conductor.api [req-1 - - - - -] Timed out waiting for nova-conductor.  Is it running?",
            "nova-conductor does not answer",
            False,
            id="the conductor is down",
        ),
        pytest.param(
            "OperationalError: (OperationalError) (1045, \"Access denied for user 'nova'@'controller' (using password: YES)\") None None",
            "MariaDB refuses nova's account: Access denied for user 'nova'@'controller' (using password: YES)",
            False,
            id="MariaDB refuses the password",
        ),
        pytest.param(
            "DBConnectionError: (OperationalError) (2003, \"Can't connect to MySQL server on 'controller' (111)\") None None",
            "MariaDB cannot be reached: Can't connect to MySQL server on 'controller' (111)",
            False,
            id="MariaDB is down",
        ),
    ],
)
def test_a_refusal_is_told_with_its_server_and_whether_waiting_helps(line: str, said: str, final: bool) -> None:
    refusal = refusal_in(
        f"2014-12-01 10:00:00 1 INFO nova [-] starting\n{line}\n2014-12-01 10:00:01 1 INFO nova [-] later\n"
    )
    assert refusal is not None
    assert refusal.sentence.startswith(said)
    assert refusal.final is final


def test_the_last_refusal_counts() -> None:
    refusal = refusal_in(
        f"{AMQP}Socket closed. Trying again in 1 seconds.\n{AMQP}[Errno 111] ECONNREFUSED. Trying again in 1 seconds.\n"
    )
    assert refusal is not None
    assert refusal.final is False


def test_a_refusal_that_is_over_is_none() -> None:
    refused = f"{AMQP}(0, 0): (403) ACCESS_REFUSED - Login was refused. Trying again in 2 seconds.\n"
    assert (
        refusal_in(f"{refused}2014-12-01 10:00:09 1 INFO x [-] Reconnected to AMQP server on controller:5672\n") is None
    )
    assert refusal_in(refused) is not None


def test_an_ordinary_log_holds_none() -> None:
    assert (
        refusal_in("2014-12-01 10:00:00.123 1 INFO nova.service [-] Starting compute node (version 2014.2)\n") is None
    )


@pytest.mark.parametrize("where", ["refusals", "errors.md"])
def test_advice_names_settings_as_a_stack_spells_them(where: str) -> None:
    text = Path(refusals.__file__).read_text() if where == "refusals" else (ROOT / "docs" / "errors.md").read_text()
    spelled = {name: field.alias for name, field in Settings.model_fields.items() if field.alias not in {None, name}}
    assert "message_queue" in spelled
    assert [name for name in spelled if re.search(rf"\b{name}\b", text)] == []
