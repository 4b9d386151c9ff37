"""What a plan names, and that `up` does exactly that: for a change of one option, a URL, a privilege, a package's version.

The expected names are derived from the change; the plan is read as the engine gives it to programs (--json) and to people (--diff).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.newer_package import NEWER, offer_newer_package, withdraw_newer_package
from tests.nodes import ROOT, Lab, Stack, laid_over

pytestmark = [
    pytest.mark.lab,
    pytest.mark.engine,
    pytest.mark.usefixtures("used_up"),
]

NODES = {
    "controller": ["nova-api", "nova-cert", "nova-conductor", "nova-consoleauth", "nova-novncproxy", "nova-scheduler"],
    "compute1": ["nova-compute"],
}
NOVA_CONF = "/etc/nova/nova.conf"
TRANSCRIPTS = ROOT / "docs" / "transcripts"
URL = "http://192.0.2.7:8774/v2/%(tenant_id)s"


def options_of(nodes: list[str], section: str, option: str) -> dict[str, set[tuple[str, ...]]]:
    """An option of these nodes: itself, whatever reads it, and the last check, which looks again."""
    return {
        **{
            f"nova-{node}": {
                ("options", NOVA_CONF, section, option),
                *(("services", service, "fingerprint") for service in NODES[node]),
            }
            for node in nodes
        },
        "nova-check": {("restarts", node) for node in nodes},
    }


# name -> (the stack's settings that change, resource -> the paths of the properties that change)
CHANGES: dict[str, tuple[dict[str, Any], dict[str, set[tuple[str, ...]]]]] = {
    "one option for all": (
        {"options": {"all": {"DEFAULT": {"reserved_host_disk_mb": 10}}}},
        options_of(["controller", "compute1"], "DEFAULT", "reserved_host_disk_mb"),
    ),
    "one option of a role": (
        {"options": {"controller": {"DEFAULT": {"osapi_max_limit": 500}}}},
        options_of(["controller"], "DEFAULT", "osapi_max_limit"),
    ),
    "one option of a node": (
        {"options": {"nodes": {"compute1": {"DEFAULT": {"reserved_host_memory_mb": 64}}}}},
        options_of(["compute1"], "DEFAULT", "reserved_host_memory_mb"),
    ),
    "a URL": ({"endpoint": {"admin_url": URL}}, {"nova-endpoint": {("admin_url",)}}),
    "a description": ({"service": {"description": "Compute"}}, {"nova-service": {("description",)}}),
    "a privilege": (
        {"database": {"hosts": {"localhost": ["ALL", "GRANT OPTION"], "%": ["ALL"]}}},
        {"nova-database": {("hosts", "localhost", "privileges")}},
    ),
    "a package's version": (
        {"packages": {"controller": {"nova-cert": NEWER}}},
        {
            "nova-controller-packages": {("packages", "nova-cert")},
            "nova-controller": {("packages", "nova-cert")},
            "nova-check": {("restarts", "controller")},
        },
    ),
}
BY_NAME = pytest.mark.parametrize("change", CHANGES)


def differences(old: Any, new: Any, path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """The paths of what differs; of a list, the list."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {each for key in {*old, *new} for each in differences(old.get(key), new.get(key), (*path, key))}
    return set() if old == new else {path}


def planned(stack: Stack, settings: str) -> dict[str, set[tuple[str, ...]]]:
    """Resource -> the paths of the inputs that the plan changes."""
    plan = json.loads(stack.pulumi("preview", "--json", "--non-interactive", "--config-file", settings).stdout)
    changed = {}
    for step in plan["steps"]:
        if step["op"] == "same":
            continue
        assert step["op"] == "update", step["urn"]
        old, new = step["oldState"]["inputs"], step["newState"]["inputs"]
        changed[step["urn"].split("::")[-1]] = {each for each in differences(old, new) if each != ("__provider",)}
    return changed


def shown(text: str) -> list[str]:
    """The names of all properties that the text of a plan marks as changed, containers included."""
    marked = re.findall(r"^ +[~+-] ([^ :]+|\[\d+\]) *:", text, re.MULTILINE)
    return [name for name in marked if not name.startswith(("pulumi", "nova:", "["))]


def names_of(changed: dict[str, set[tuple[str, ...]]]) -> list[str]:
    """The names that a text with these changes marks: each container once."""
    return sorted(
        path[-1]
        for paths in changed.values()
        for path in {each[:length] for each in paths for length in range(1, len(each) + 1)}
    )


@BY_NAME
def test_a_plan_names_exactly_what_changes(deployed: Stack, tmp_path: Path, change: str) -> None:
    values, expected = CHANGES[change]
    settings = deployed.configured(tmp_path, **values)
    assert planned(deployed, settings) == expected
    text = deployed.pulumi("preview", "--diff", "--non-interactive", "--config-file", settings).stdout
    assert sorted(shown(text)) == names_of(expected)
    transcript = TRANSCRIPTS / f"{change.replace(' ', '-').replace(chr(39), '')}.txt"
    written = as_kept(text, change, values)
    if os.environ.get("WRITE_TRANSCRIPTS"):
        transcript.parent.mkdir(exist_ok=True)
        transcript.write_text(written)
    assert transcript.read_text() == written, f"{transcript} is older than the plan: WRITE_TRANSCRIPTS=1 writes it anew"


def as_kept(text: str, change: str, values: dict[str, Any]) -> str:
    """A plan as docs/transcripts keeps it: without what differs from run to run."""
    body = text[text.index("  pulumi:pulumi:Stack") :]
    body = re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "...", body)
    # On whichever network the lab is.
    body = re.sub(r"\b10\.\d+\.\d+\.(\d+)\b", r"10.0.0.\1", body)
    # So for the moments of starts: of their digits there is nothing to read.
    body = re.sub(r'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"', '"(a moment)"', body)
    # Fingerprints have nothing to say but that they are others.
    for number, fingerprint in enumerate(dict.fromkeys(re.findall(r'"([0-9a-f]{12})"', body)), start=1):
        body = body.replace(fingerprint, f"fingerprint {number}")
    lines = [line.rstrip() for line in body.splitlines()]
    setting = json.dumps(values)
    return f"The plan for {change}: {setting}\n\n$ pulumi preview --diff\n" + "\n".join(lines).rstrip() + "\n"


# ------------------------------------------------------------ and `up` does exactly that


class Changes:
    """Deploys one change after the other, each over those before it."""

    def __init__(self, lab: Lab, stack: Stack, directory: Path) -> None:
        self.lab, self.stack, self.directory = lab, stack, directory
        self.deployed: list[str] = []

    def deploy(self, change: str, *, updated: int = 0) -> dict[str, dict[str, str]]:
        """Returns the processes before it. So many resources are updated: by default those that the change names."""
        before = {node: self.lab.processes(node) for node in NODES}
        self.deployed.append(change)
        done = self.stack.up("--config-file", self.settings())
        assert re.search(rf"~ {updated or len(CHANGES[change][1])} updated", done.stdout)
        return before

    def take_back(self, change: str) -> None:
        """The next one is deployed without it."""
        self.deployed.remove(change)

    def settings(self) -> str:
        values: dict[str, Any] = {}
        for change in self.deployed:
            values = laid_over(values, CHANGES[change][0])
        return self.stack.configured(self.directory, **values)


@pytest.fixture(scope="module")
def changes(lab: Lab, deployed: Stack, tmp_path_factory: pytest.TempPathFactory) -> Changes:
    return Changes(lab, deployed, tmp_path_factory.mktemp("changes"))


def restarted(lab: Lab, before: dict[str, dict[str, str]]) -> set[str]:
    """The services whose process is another one now; all of them run."""
    after = {node: lab.processes(node) for node in NODES}
    assert {node: set(each) for node, each in after.items()} == {node: set(each) for node, each in NODES.items()}
    return {name for node in NODES for name in NODES[node] if before[node][name] != after[node][name]}


def test_an_option_for_all_is_in_every_file_and_everything_has_read_it(lab: Lab, changes: Changes) -> None:
    before = changes.deploy("one option for all")
    assert restarted(lab, before) == {name for names in NODES.values() for name in names}
    for node in NODES:
        assert "reserved_host_disk_mb = 10" in lab.run(node, f"cat {NOVA_CONF}")


def test_an_option_of_a_node_restarts_what_reads_it_there_and_nothing_else(lab: Lab, changes: Changes) -> None:
    before = changes.deploy("one option of a node")
    assert restarted(lab, before) == {"nova-compute"}
    assert "reserved_host_memory_mb = 64" in lab.run("compute1", f"cat {NOVA_CONF}")
    assert "reserved_host_memory_mb" not in lab.run("controller", f"cat {NOVA_CONF}")


def test_an_option_that_the_stack_no_longer_has_goes_from_its_file(lab: Lab, changes: Changes) -> None:
    changes.take_back("one option of a node")
    before = changes.deploy("one option for all", updated=2)
    assert restarted(lab, before) == {"nova-compute"}
    assert "reserved_host_memory_mb" not in lab.run("compute1", f"cat {NOVA_CONF}")
    assert "reserved_host_disk_mb = 10" in lab.run("compute1", f"cat {NOVA_CONF}")


def endpoints(lab: Lab) -> list[dict[str, str]]:
    (service,) = [row for row in lab.table("keystone service-list") if row["type"] == "compute"]
    return [row for row in lab.table("keystone endpoint-list") if row["service_id"] == service["id"]]


def test_a_url_is_changed_by_one_new_record_and_nothing_restarts(lab: Lab, changes: Changes) -> None:
    (old,) = endpoints(lab)
    before = changes.deploy("a URL")
    (new,) = endpoints(lab)
    assert new["adminurl"] == URL
    assert {key: new[key] for key in ("region", "publicurl", "internalurl")} == {
        key: old[key] for key in ("region", "publicurl", "internalurl")
    }
    assert restarted(lab, before) == set()


def test_another_description_keeps_the_endpoint_and_clients_go_on(lab: Lab, deployed: Stack, changes: Changes) -> None:
    (old,) = endpoints(lab)
    before = changes.deploy("a description")
    (new,) = endpoints(lab)
    assert new["service_id"] != old["service_id"]
    assert new["publicurl"] == old["publicurl"]
    assert "cirros-0.3.3-x86_64" in lab.openstack("nova image-list")
    deployed.pulumi(
        "preview", "--refresh", "--expect-no-changes", "--non-interactive", "--config-file", changes.settings()
    )
    assert restarted(lab, before) == set()


def test_a_privilege_is_granted_and_taken_away_at_that_host_only(lab: Lab, changes: Changes) -> None:
    before = changes.deploy("a privilege")
    assert "WITH GRANT OPTION" in lab.sql("SHOW GRANTS FOR 'nova'@'localhost'")[-1][0]
    assert "WITH GRANT OPTION" not in lab.sql("SHOW GRANTS FOR 'nova'@'%'")[-1][0]
    changes.take_back("a privilege")
    changes.stack.up("--config-file", changes.settings())
    assert "WITH GRANT OPTION" not in lab.sql("SHOW GRANTS FOR 'nova'@'localhost'")[-1][0]
    assert restarted(lab, before) == set()


@pytest.fixture
def newer_package(lab: Lab) -> Iterator[None]:
    offer_newer_package(lab)
    yield
    withdraw_newer_package(lab)


@pytest.mark.slow
def test_another_version_of_a_package_is_installed_and_its_service_runs_the_new_code(
    lab: Lab, newer_package: None, changes: Changes
) -> None:
    before = changes.deploy("a package's version")
    assert lab.run("controller", "dpkg-query -W -f '${Version}' nova-cert") == NEWER
    assert restarted(lab, before) == {"nova-cert"}
    assert lab.run("controller", "apt-mark showhold") == ""
