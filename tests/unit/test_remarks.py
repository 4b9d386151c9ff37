"""What is no drift, and said: each sentence names its subject and what to do."""

from __future__ import annotations

import dataclasses

import pytest

from nova_infra import remarks
from nova_infra.compute import ServiceReport
from nova_infra.remote.inspection import Facts, File, Package, Stray

from .nodes import state_of

COMPUTE_CONF = "/etc/nova/nova-compute.conf"


def facts(can: str, there: str = "") -> Facts:
    content = f"[libvirt]\nvirt_type = {there}\n"
    return Facts("compute1", 9000, can, "upstart", files={COMPUTE_CONF: File("file", content=content)})


@pytest.mark.parametrize(
    ("wanted", "there", "can", "words"),
    [
        ("auto", "qemu", "kvm", ["compute1", COMPUTE_CONF, "virt_type = qemu", "vmx or svm", "auto means kvm", "pulumi up"]),
        ("auto", "kvm", "qemu", ["compute1", "virt_type = kvm", "neither", "auto means qemu"]),
        ("kvm", "kvm", "qemu", ["compute1", "kvm", "neither", "firmware", "auto"]),
        ("auto", "qemu", "qemu", []),
        ("qemu", "qemu", "kvm", []),
        ("kvm", "kvm", "kvm", []),
    ],
)  # fmt: skip
def test_what_the_processor_can_do_and_the_file_does_not_say(
    wanted: str, there: str, can: str, words: list[str]
) -> None:
    options = {COMPUTE_CONF: {"libvirt": {"virt_type": wanted}}}
    state = state_of({"node": "compute1", "options": options, "services": {"nova-compute": {}}})
    said = remarks.of_machine(state, facts(can, there))
    assert len(said) == bool(words)
    assert all(word in "".join(said) for word in words)


def test_a_process_beside_the_service_is_named_with_what_it_reads_and_how_to_end_it() -> None:
    state = state_of({"node": "compute1", "options": {COMPUTE_CONF: {}}, "services": {"nova-compute": {}}})
    strays = [Stray("nova-compute", 4711, ("/srv/mine.conf",)), Stray("nova-compute", 12)]
    first, second = remarks.of_machine(state, dataclasses.replace(facts("qemu"), strays=strays))
    assert "process 12)" in first
    assert all(word in second for word in ("compute1", "nova-compute", "4711", "/srv/mine.conf", "`kill 4711`"))


@pytest.mark.parametrize(
    ("schema", "version", "newest", "said"),
    [
        ("current", 348, 347, True),
        ("current", 347, 347, False),
        ("current", 346, 347, False),
        ("current", None, 347, False),
        # No migration was found.
        ("current", 347, 0, False),
        ("unmanaged", 348, 347, False),
    ],
)
def test_a_schema_that_the_packages_do_not_know_is_said(
    schema: str, version: int | None, newest: int, *, said: bool
) -> None:
    state = state_of({"node": "controller", "options": {COMPUTE_CONF: {}}, "services": {"nova-api": {}}})
    there = dataclasses.replace(facts("qemu"), schema=(version, newest))
    remarked = remarks.of_machine({**state, "schema": schema}, there)
    assert len(remarked) == said
    assert all(word in "".join(remarked) for word in ("controller", "348", "347", "dump") if said)


def test_a_package_that_is_held_back_is_named_with_its_version() -> None:
    packages = {
        "nova-api": Package("hold ok installed", "1:2014.2.4"),
        "nova-cert": Package("install ok installed", "1:2014.2.4"),
        "nova-common": Package("hold ok half-configured", "1:2014.2.4"),
    }
    (said,) = remarks.of_packages("controller", dataclasses.replace(facts("qemu"), packages=packages))
    assert all(word in said for word in ("controller", "nova-api", "1:2014.2.4", "apt-mark unhold nova-api"))


def record(host: str, *, state: str = "up", status: str = "enabled", reason: str = "") -> ServiceReport:
    return ServiceReport("6", "nova-compute", host, "nova", status, state, "2015-02-11T08:58:17.000000", reason)


def test_a_service_that_an_operator_has_disabled_is_said_with_the_reason() -> None:
    (said,) = remarks.of_records([record("compute1", status="disabled", reason="new disk\x1b[2J"), record("compute2")])
    assert all(
        word in said for word in ("nova-compute on compute1", "new disk", "nova service-enable compute1 nova-compute")
    )
    assert "\x1b" not in said


def test_what_is_down_and_not_of_the_stack_may_be_what_a_rename_has_left() -> None:
    records = [record("compute1", state="down"), record("old-name", state="down"), record("others")]
    (said,) = remarks.of_others({"compute1": ["nova-compute"]}, records)
    assert all(word in said for word in ("nova-compute on old-name", "down", "nova service-delete 6"))
