"""What a provider process makes of its configuration."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import socket
from types import SimpleNamespace
from typing import Any

import pytest
import urllib3.util.connection

from nova_infra import access as access_module
from nova_infra import records
from nova_infra.access import DEADLINES, KEYS, PREFIX, Access, CommandAccess, access_from, note_file
from nova_infra.errors import ConnectionFailed, IdentityError, InvalidSettings
from nova_infra.provider import AccessArgs, DeadlineArgs


def test_every_input_of_the_provider_is_a_key_that_a_provider_process_reads() -> None:
    async def inputs() -> set[str]:
        return set(AccessArgs().inputs())

    assert asyncio.run(inputs()) == {PREFIX + key for key in KEYS}


def test_resources_with_the_same_configuration_share_one_access() -> None:
    configuration = {PREFIX + "identity_url": "http://controller:35357/v2.0"}
    assert access_from(configuration.get) is access_from(configuration.get)
    assert access_from({}.get) is not access_from(configuration.get)


# ------------------------------------------------------------ commands


def test_a_command_does_not_wait_long_for_a_controller_that_is_frozen_and_not_again_for_each_node(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(access_module, "ASKING_SECONDS", 0.3)
    clock = itertools.count(step=3600)
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        frozen.settimeout(10)
        place = {"controller_name": "controller", "controller_host": "127.0.0.1", "controller_user": "ubuntu"}
        there = {**place, "controller_port": str(frozen.getsockname()[1]), "ssh_verify_host_keys": "False"}
        nova = access_from({PREFIX + key: text for key, text in there.items()}.get, CommandAccess).records
        monkeypatch.setattr(records, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
        for node in ("compute1", "compute2"):
            with pytest.raises(ConnectionFailed, match=r"controller .*no answer within 0 s"):
                nova.of(node)
        frozen.accept()[0].close()
        frozen.settimeout(0.1)
        with pytest.raises(TimeoutError):
            frozen.accept()


@pytest.mark.parametrize(("kind", "tries"), [(Access, 5), (CommandAccess, 1)])
def test_only_a_deployment_waits_for_a_keystone_that_is_being_started(
    monkeypatch: pytest.MonkeyPatch, kind: type[Access], tries: int
) -> None:
    monkeypatch.setattr("urllib3.util.retry.time", SimpleNamespace(sleep=lambda _seconds: None))
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    asked = []
    connect = urllib3.util.connection.create_connection

    def counted(address: tuple[str, int], *arguments: Any, **more: Any) -> socket.socket:
        asked.append(address)
        return connect(address, *arguments, **more)

    monkeypatch.setattr(urllib3.util.connection, "create_connection", counted)
    keystone = access_from({PREFIX + "identity_url": f"http://127.0.0.1:{port}/v2.0"}.get, kind).identity
    with pytest.raises(IdentityError):
        keystone.find_user("nova")
    assert asked == [("127.0.0.1", port)] * tries


def test_a_command_has_an_access_of_its_own() -> None:
    assert access_from({}.get, CommandAccess) is not access_from({}.get)


# ------------------------------------------------------------ the jump host

PLACE = {"host": "10.0.0.31", "port": 22, "user": "ubuntu", "host_key": ""}
JUMP = {
    "jump_host": "192.0.2.1",
    "jump_port": "22",
    "jump_user": "ops",
    "ssh_private_key": "ours",
    "controller_host": "192.0.2.1",
}


def access(**configuration: str) -> Access:
    return Access(lambda key: configuration.get(key, ""))


def test_without_a_jump_host_machines_are_reached_directly() -> None:
    assert access().node("compute1", PLACE).jump is None


def test_all_machines_but_the_jump_host_itself_are_reached_through_it() -> None:
    given = access(**JUMP)
    jump = given.node("compute1", PLACE).jump
    assert jump is given.jump_host
    assert given.node("compute2", {**PLACE, "host": "10.0.0.32"}).jump is jump
    assert given.controller is not None
    assert given.controller.jump is None
    assert access(**{**JUMP, "controller_port": "2222"}).controller.jump is jump  # type: ignore[union-attr]


def test_a_jump_host_takes_our_login_unless_it_has_one_of_its_own() -> None:
    assert access(**JUMP).jump_host.login.private_key == "ours"  # type: ignore[union-attr]
    own = access(**JUMP, jump_password="hunter2", ssh_sudo_password="s", ssh_verify_host_keys="False").jump_host
    assert own is not None
    assert (own.login.private_key, own.login.password, own.login.sudo_password) == ("", "hunter2", "")
    assert not own.login.verify_host_keys
    assert own.login.setting == "jumpHost"


# ------------------------------------------------------------ ports


@pytest.mark.parametrize(("text", "port"), [("", 22), ("2222", 2222), ("2222.0", 2222)])
def test_a_port_may_be_an_output_of_a_number_which_arrives_with_a_point(text: str, port: int) -> None:
    given = {"jump_host": "192.0.2.1", "jump_port": text, "controller_host": "192.0.2.7", "controller_port": text}
    access = Access(lambda key: given.get(key, ""))
    assert access.jump_host
    assert access.controller
    assert (access.jump_host.address.port, access.controller.address.port) == (port, port)


@pytest.mark.parametrize("text", ["ssh", "22.5", "0", "65536", "nan", "inf", "-1"])
def test_what_is_no_port_is_refused_by_its_key(text: str) -> None:
    given = {"database_host": "192.0.2.7", "database_port": text}
    with pytest.raises(InvalidSettings, match=rf"database\.port: is '{text}'; a port is"):
        _ = Access(lambda key: given.get(key, "")).database


# ------------------------------------------------------------ deadlines


@pytest.mark.parametrize("name", sorted(DEADLINES))
def test_a_deadline_that_is_not_said_is_the_default(name: str) -> None:
    assert Access({f"deadlines_{name}": ""}.__getitem__).deadline(name) == DEADLINES[name]
    assert getattr(DeadlineArgs(), name) == DEADLINES[name]


def test_the_deadlines_of_a_provider_are_those_that_have_a_default() -> None:
    assert {each.name for each in dataclasses.fields(DeadlineArgs)} == set(DEADLINES)


@pytest.mark.parametrize(("text", "seconds"), [("90", 90.0), ("0.5", 0.5)])
def test_a_deadline_that_is_said_holds(text: str, seconds: float) -> None:
    assert Access({"deadlines_report": text}.__getitem__).deadline("report") == seconds


@pytest.mark.parametrize("text", ["0", "-1", "soon", "nan", "inf"])
def test_a_deadline_that_is_no_time_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(InvalidSettings, match=rf"deadlines\.check: is '{text}'"):
        Access({"deadlines_check": text}.__getitem__).deadline("check")


# ------------------------------------------------------------ notes


def test_a_note_about_any_name_has_a_name_that_a_file_may_have_and_no_other_has() -> None:
    names = [
        "user.nova",
        "user.a/b",
        "user." + "ü" * 255,
        "user." + "ü" * 254,
        "user." + "x" * 245,
        "user." + "x" * 246,
    ]
    files = [note_file(name) for name in names]
    assert files[:2] == ["user.nova", "user.a%2Fb"]
    assert len(set(files)) == len(names)
    assert all("/" not in file and len(f"{file}.new") < 256 for file in files)
