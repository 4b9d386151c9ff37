"""The hosts that a node's options name."""

from __future__ import annotations

import dataclasses

import pytest

from nova_infra import peers
from nova_infra.errors import StepFailed

from .nodes import NOVA_CONF, Machine, state_of


def state(**sections: dict[str, str]) -> dict[str, object]:
    return state_of({"node": "compute1", "options": {NOVA_CONF: sections}, "services": {"nova-compute": {}}})


@pytest.mark.parametrize(
    ("sections", "hosts"),
    [
        ({"DEFAULT": {"rabbit_host": "controller"}, "glance": {"host": "images"}}, {"controller", "images"}),
        ({"DEFAULT": {"rabbit_hosts": "mq1:5672,mq2:5672"}}, {"mq1", "mq2"}),
        ({"database": {"connection": "mysql://nova:p%40ss%2F@database:3307/nova"}}, {"database"}),
        ({"keystone_authtoken": {"identity_uri": "http://keystone:35357"}}, {"keystone"}),
        (
            {
                "DEFAULT": {"rabbit_host": "10.0.0.11", "rabbit_hosts": "[fd00::1]:5672"},
                "glance": {"host": "[fd00::1]"},
            },
            set(),
        ),
        ({"database": {"connection": "mysql://nova:pa,s@s/x@database/nova"}}, {"database"}),
        ({"database": {"connection": "mysql://nova:pa,s@s@database/nova"}}, {"database"}),
        ({"DEFAULT": {"rabbit_host": "$(reboot)"}}, set()),
        ({"database": {"connection": "sqlite:////var/lib/nova/nova.sqlite"}}, set()),
    ],
)
def test_names_are_taken_from_hosts_lists_and_urls_and_addresses_are_none(
    sections: dict[str, dict[str, str]], hosts: set[str]
) -> None:
    assert set(peers.names(state(**sections))) == hosts


def test_a_name_without_an_address_on_the_node_is_refused_before_anything_is_changed() -> None:
    wanted = state(DEFAULT={"rabbit_host": "controller"}, glance={"host": "controller"})
    facts = Machine(wanted, "qemu").facts()
    peers.refuse_unknown(wanted, dataclasses.replace(facts, names={"controller": ["10.0.0.11"]}))
    with pytest.raises(
        StepFailed, match=r"no address for controller, which \[DEFAULT\] rabbit_host and \[glance\] host name"
    ):
        peers.refuse_unknown(wanted, dataclasses.replace(facts, names={"controller": []}))
