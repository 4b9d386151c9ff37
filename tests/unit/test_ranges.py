"""One entry of a stack for many compute nodes, and the entries behind it that are exceptions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nova_infra.ranges import addresses, is_range, members, ranges
from nova_infra.settings import Compute

from .test_deployment import registered
from .test_settings import CONTROLLER, parsed, problems

FLEET = {"name": "compute[001-120]", "address": "10.0.0.31"}


def computes(*entries: dict[str, Any]) -> dict[str, Compute]:
    return {each.name: each for each in parsed({"computes": list(entries)}).computes}


def problem(*entries: dict[str, Any]) -> dict[str, str]:
    return problems({"computes": list(entries)})


def test_a_range_is_as_many_nodes_with_addresses_counted_from_the_first() -> None:
    fleet = computes(FLEET)
    assert len(fleet) == 120
    assert list(fleet)[:2] == ["compute001", "compute002"]
    assert [fleet[name].address for name in ("compute001", "compute010", "compute120")] == [
        "10.0.0.31",
        "10.0.0.40",
        "10.0.0.150",
    ]


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("compute[1-12]", "compute1", "compute12"),
        ("compute[08-12]", "compute08", "compute12"),
        ("rack2-[0-10].example.org", "rack2-0.example.org", "rack2-10.example.org"),
        ("compute[7-7]", "compute7", "compute7"),
    ],
)
def test_zeros_are_kept_and_none_are_added(text: str, first: str, last: str) -> None:
    names = members(text)
    assert (names[0], names[-1]) == (first, last)
    assert len(set(names)) == len(names)


def test_what_a_range_says_holds_for_each_of_its_nodes() -> None:
    fleet = computes({**FLEET, "user": "ops", "port": 2222, "drain": True})
    assert {(each.user, each.port, each.drain) for each in fleet.values()} == {("ops", 2222, True)}


def test_addresses_of_machines_count_and_those_of_all_interfaces_do_not() -> None:
    fleet = computes({**FLEET, "host": "192.0.2.31", "vnc_address": "198.51.100.31", "vnc_listen": "0.0.0.0"})  # noqa: S104
    last = fleet["compute120"]
    assert (last.host, last.vnc_address, last.vnc_listen) == ("192.0.2.150", "198.51.100.150", "0.0.0.0")  # noqa: S104
    assert computes({**FLEET, "vnc_listen": "10.0.0.31"})["compute002"].vnc_listen == "10.0.0.32"


def test_hosts_by_name_are_a_range_of_their_own() -> None:
    fleet = computes({**FLEET, "host": "c[1-120].example.org"})
    assert (fleet["compute001"].host, fleet["compute120"].host) == ("c1.example.org", "c120.example.org")


def test_the_network_is_a_24_unless_its_length_is_said() -> None:
    assert addresses("10.0.0.250", 5)[-1] == "10.0.0.254"
    assert addresses("10.0.0.250/16", 10)[-1] == "10.0.1.3"
    assert addresses("2001:db8::fff", 2) == ["2001:db8::fff", "2001:db8::1000"]


def test_an_entry_behind_the_range_says_more_of_one_of_its_nodes() -> None:
    fleet = computes({**FLEET, "drain": True}, {"name": "compute007", "virt_type": "qemu", "drain": False})
    assert len(fleet) == 120
    seventh, eighth = fleet["compute007"], fleet["compute008"]
    assert (seventh.address, seventh.virt_type, seventh.drain) == ("10.0.0.37", "qemu", False)
    assert (eighth.virt_type, eighth.drain) == ("auto", True)
    assert list(fleet)[6] == "compute007"


def test_defaults_of_computes_hold_for_ranges_and_exceptions_too() -> None:
    settings = parsed(
        {"computes": [FLEET, {"name": "compute002", "drain": False}], "computeDefaults": {"drain": True, "port": 2200}}
    )
    assert [(each.drain, each.port) for each in settings.computes[:2]] == [(True, 2200), (False, 2200)]


def test_single_machines_of_a_range_have_options_and_packages_of_their_own() -> None:
    settings = parsed({"computes": [FLEET], "options": {"nodes": {"compute119": {"DEFAULT": {"debug": True}}}}})
    assert settings.options.nodes["compute119"] == {"DEFAULT": {"debug": "True"}}


def test_a_range_makes_the_same_resources_as_its_nodes_one_by_one() -> None:
    alone = [{"name": f"compute{number}", "address": f"10.0.0.{30 + number}"} for number in (1, 2, 3)]
    by_range = registered({"computes": [{"name": "compute[1-3]", "address": "10.0.0.31"}]})
    one_by_one = registered({"computes": alone})
    assert {name: each.plain() for name, each in by_range.items()} == {
        name: each.plain() for name, each in one_by_one.items()
    }


# ------------------------------------------------------------ what is refused

BAD: list[tuple[list[dict[str, Any]], str, str]] = [
    ([{**FLEET, "name": "compute[1-"}], "computes[0].name", "is no range; one is written as compute[001-120]"),
    ([{**FLEET, "name": "r[1-2]c[1-9]"}], "computes[0].name", "is no range"),
    ([{**FLEET, "name": "compute[a-c]"}], "computes[0].name", "is no range"),
    ([{**FLEET, "name": "compute[012-9]"}], "computes[0].name", "as many digits"),
    ([{**FLEET, "name": "compute[9-012]"}], "computes[0].name", "as many digits"),
    ([{**FLEET, "name": "compute[120-001]"}], "computes[0].name", "counts backwards"),
    ([{**FLEET, "name": "compute[1-1001]"}], "computes[0].name", "1001 machines; a range has 1000 at most"),
    ([{**FLEET, "name": "compute[1-999999999]"}], "computes[0].name", "a range has 1000 at most"),
    ([{**FLEET, "name": "com pute[1-3]"}], "computes[0].name", "'com pute1' is no host name"),
    ([{"name": "compute[1-3]"}], "computes[0].address", "is missing"),
    ([{**FLEET, "address": 31}], "computes[0].address", "valid string"),
    ([{**FLEET, "address": "compute001"}], "computes[0].address", "no IP address"),
    ([{**FLEET, "address": "10.0.0.31/33"}], "computes[0].address", "length of its network"),
    ([{**FLEET, "address": "10.0.0.0/24"}], "computes[0].address", "no address of a machine in 10.0.0.0/24"),
    (
        [{**FLEET, "address": "10.0.0.200"}],
        "computes[0].address",
        "120 machines do not fit into 10.0.0.0/24, whose last address is 10.0.0.254",
    ),
    ([{**FLEET, "address": "255.255.255.200"}], "computes[0].address", "do not fit into 255.255.255.0/24"),
    ([{**FLEET, "vnc_address": "10.1.0.200"}], "computes[0].vnc_address", "do not fit into 10.1.0.0/24"),
    ([{**FLEET, "host": "c.example.org"}], "computes[0].host", "Write the hosts as a range too"),
    ([{**FLEET, "host": "c[1-3].example.org"}], "computes[0].host", "has 3 hosts, and the range has 120 machines"),
    ([{**FLEET, "host_key": "ssh-ed25519 AAAA"}], "computes[0].host_key", "is that of one machine"),
    ([{**FLEET, "port": 0}], "computes[0].port", "greater than or equal to 1"),
    ([{**FLEET, "adress": "x"}], "computes[0].adress", "did you mean address?"),
    ([FLEET, {"name": "compute007", "port": 0}], "computes[1].port", "greater than or equal to 1"),
    ([FLEET, {"name": "compute121", "drain": True}], "computes[1].address", "is missing"),
    (
        [FLEET, {"name": "compute007", "address": "10.0.0.31"}],
        "computes[1].address",
        "that of computes[0] (compute001)",
    ),
    (
        [FLEET, {"name": "compute[100-130]", "address": "10.0.1.1"}],
        "computes[1].name",
        "compute100 is also that of computes[0] (compute100); so it is with 20 more",
    ),
    (
        [FLEET, {"name": "rack2-[1-20]", "address": "10.0.0.141"}],
        "computes[1].address",
        "10.0.0.141 of rack2-1 is also that of computes[0] (compute111); so it is with 9 more",
    ),
    ([{"name": "compute[1-20]", "address": "10.0.0.2"}], "computes[0]", "puts nova-compute on compute10"),
    ([{"name": "c1", "address": "10.0.0.31/24"}], "computes[0].address", "no IP address"),
]


@pytest.mark.parametrize(("entries", "key", "reason"), BAD, ids=[f"{key} {reason[:30]}" for _, key, reason in BAD])
def test_what_is_wrong_with_a_range_is_said_once_by_its_key(
    entries: list[dict[str, Any]], key: str, reason: str
) -> None:
    found = problem(*entries)
    assert list(found) == [f"nova:{key}"]
    assert reason in found[f"nova:{key}"]


def test_a_number_of_any_length_is_refused() -> None:
    assert "is no range" in problem({**FLEET, "name": "compute[1-" + "9" * 5000 + "]"})["nova:computes[0].name"]


def test_two_exceptions_for_one_node_are_one_too_many() -> None:
    found = problem(FLEET, {"name": "compute007", "drain": True}, {"name": "compute007", "address": "10.0.1.7"})
    assert "computes[0] (compute007)" in found["nova:computes[2].name"]


def test_an_exception_before_its_range_is_another_node_of_that_name() -> None:
    found = problem({"name": "compute007", "address": "10.0.1.7"}, FLEET)
    assert found == {"nova:computes[1].name": "compute007 is also that of computes[0]"}


def test_all_problems_of_ranges_and_of_what_stands_beside_them_are_said_at_once() -> None:
    found = problems(
        {
            "controllers": [{**CONTROLLER, "port": 0}],
            "computes": [{**FLEET, "address": "10.0.0.200", "port": 0}, {"name": "rack[3-1]", "address": "x"}],
            "options": {"nodes": {"compute121": {}}},
        }
    )
    assert set(found) == {
        "nova:controllers[0].port",
        "nova:computes[0].address",
        "nova:computes[0].port",
        "nova:computes[1].name",
        "nova:computes[1].address",
        "nova:options.nodes.compute121",
    }


def test_no_range_is_made_of_controllers() -> None:
    found = problems({"controllers": [{"name": "controller[1-3]", "address": "10.0.0.11"}]})
    assert "is no host name" in found["nova:controllers[0].name"]


# ------------------------------------------------------------ back again


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["compute1", "compute2", "compute3"], ["compute[1-3]"]),
        (["compute1", "compute2"], ["compute1", "compute2"]),
        (["node08", "node09", "node10", "node12"], ["node[08-10]", "node12"]),
        (["c099", "c100", "c101"], ["c[099-101]"]),
        (["b", "a", ""], ["", "a", "b"]),
        (["a1", "b2", "a3", "a2"], ["a[1-3]", "b2"]),
        (["n9", "n10", "n11"], ["n[9-11]"]),
        ([f"compute{n:03}.example.org" for n in range(1, 501)], ["compute[001-500].example.org"]),
        (["c1.dc2", "c2.dc2", "c3.dc2", "c1.dc1"], ["c[1-3].dc2", "c1.dc1"]),
        (["c1.dc1", "c1.dc2", "c1.dc3"], ["c1.dc[1-3]"]),
        (["10.0.0.9", "10.0.0.10", "10.0.0.11"], ["10.0.0.[9-11]"]),
        ([f"r{rack}c{node}" for rack in (1, 2) for node in (1, 2, 3)], ["r1c[1-3]", "r2c[1-3]"]),
        (["node", "node0", "node1"], ["node", "node0", "node1"]),
        (["node", "node0", "node1", "node2"], ["node", "node[0-2]"]),
        (["nova-compute1-packages", "nova-compute2-packages"], ["nova-compute1-packages", "nova-compute2-packages"]),
    ],
)
def test_neighbours_are_a_range(names: list[str], expected: list[str]) -> None:
    assert ranges(names) == expected


NAMES = st.from_regex(r"[a-c]{0,2}[0-9]{0,3}([.-][a-c]{0,1}[0-9]{0,2})?", fullmatch=True)


@settings(max_examples=500, deadline=None)
@given(names=st.lists(NAMES, max_size=40, unique=True))
def test_of_any_names_the_ranges_have_all_and_no_other(names: list[str]) -> None:
    back = [each for name in ranges(names) for each in (members(name) if is_range(name) else [name])]
    assert sorted(back) == sorted(names)
