"""What a person sees when services of nova are started and do not work: told as soon as it is known, with the way out."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from nova_infra.masking import MASK
from tests.error_rows import assert_printed
from tests.lab.clock import a_clock_that_is_off, a_service_whose_clock_is_off
from tests.nodes import Lab, Stack, eventually

pytestmark = [
    pytest.mark.lab,
    pytest.mark.engine,
    pytest.mark.usefixtures("used_up"),
    pytest.mark.xdist_group("deployment-2"),
]

WRONG = "wrong8Qd"
NO_NUMBER = r"""mu'ch"\8Qd"""


def failed_up(stack: Stack, settings: str, *arguments: str) -> str:
    done = stack.up("--config-file", settings, *arguments, check=False)
    assert done.returncode != 0
    text = done.stdout + done.stderr
    assert "Traceback" not in text
    return text


def test_an_account_that_rabbitmq_refuses_is_found_in_novas_log_before_the_time_is_over(
    deployed: Stack, tmp_path: Path
) -> None:
    settings = deployed.configured(tmp_path)
    key = ("config", "set", "--secret", "nova:rabbitPassword", "--config-file", settings)
    deployed.pulumi(*key, answer=WRONG)
    text = failed_up(deployed, settings)
    assert_printed("RabbitMQ refuses nova's account", text)
    assert WRONG not in text
    # The deadline for reports is 180 s: nobody had to wait for it.
    assert "not within" not in text


def test_a_service_that_dies_after_its_start_is_named_with_the_end_of_its_log_and_no_secret_in_it(
    lab: Lab, deployed: Stack, tmp_path: Path
) -> None:
    options = {"compute": {"DEFAULT": {"reserved_host_memory_mb": {"secret": "probe"}}}}
    settings = deployed.configured(tmp_path, options=options)
    deployed.pulumi("config", "set", "--secret", "nova:probe", "--config-file", settings, answer=NO_NUMBER)
    # The right password is in the state still: only a look at the machines tells that they have the one of the test before.
    text = failed_up(deployed, settings, "--refresh")
    assert_printed("A service ends after its start", text)
    # nova has logged it quoted, as Python does: the engine, which hides secrets too, knows them as they are and as JSON only.
    quoted = repr(NO_NUMBER)[1:-1]
    assert f"'{quoted}'" in lab.run("compute1", "tail -n 50 /var/log/nova/nova-compute.log")
    log = text[text.index("--- the end of the log of nova-compute on compute1") :]
    assert re.search(rf"reserved_host_memory_mb.*'{re.escape(MASK)}'", log)
    assert quoted not in text
    assert NO_NUMBER not in text


def test_a_name_that_the_machine_cannot_resolve_is_refused_before_anything_is_changed(
    lab: Lab, deployed: Stack, tmp_path: Path
) -> None:
    lab.run("compute1", "cp /etc/hosts /root/hosts; sed '/controller/d' /root/hosts >/etc/hosts; : >/etc/resolv.conf")
    before = lab.run("compute1", "cat /etc/nova/nova.conf")
    try:
        text = failed_up(deployed, deployed.configured(tmp_path, options={"compute": {"DEFAULT": {"debug": "True"}}}))
    finally:
        lab.run(
            "compute1",
            f"cat /root/hosts >/etc/hosts; echo nameserver {lab.address('controller')} >/etc/resolv.conf; rm /root/hosts",
        )
    assert_printed("A node cannot resolve a server's name", text)
    assert lab.run("compute1", "cat /etc/nova/nova.conf") == before


def test_a_clock_that_is_off_by_more_than_nova_allows_is_said(lab: Lab, deployed: Stack, tmp_path: Path) -> None:
    settings = deployed.configured(tmp_path, options={"compute": {"DEFAULT": {"reserved_host_disk_mb": 1}}})
    with a_clock_that_is_off(lab, "compute1", "+600"):
        text = deployed.up("--config-file", settings).stdout
    assert_printed("A clock is off", text)
    # It is said, and what was asked for is done all the same.
    assert "reserved_host_disk_mb = 1" in lab.run("compute1", "cat /etc/nova/nova.conf")


@pytest.mark.slow
def test_nova_compute_whose_own_clock_is_off_stays_up_as_that_sentence_says(lab: Lab, deployed: Stack) -> None:
    with a_service_whose_clock_is_off(lab, "compute1", "nova-compute", "+600"):
        began = at(lab.run("controller", "date -u +%Y-%m-%dT%H:%M:%S").strip())
        # The first report comes within 10 s, and a new process counts as up for a minute whatever it does.
        assert eventually(lambda: reported(lab) > began + timedelta(seconds=10))
        (row,) = [row for row in lab.table("nova service-list") if row["Binary"] == "nova-compute"]
        assert row["State"] == "up"
        now = at(lab.run("controller", "date -u +%Y-%m-%dT%H:%M:%S").strip())
        assert reported(lab) < now + timedelta(seconds=60)
        # Its own clock is another one.
        logged = lab.run("compute1", "tail -n 1 /var/log/nova/nova-compute.log | cut -c1-19").strip().replace(" ", "T")
        assert at(logged) > now + timedelta(seconds=400)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=None)


def reported(lab: Lab) -> datetime:
    (row,) = [row for row in lab.table("nova service-list") if row["Binary"] == "nova-compute"]
    return at(row["Updated_at"])
