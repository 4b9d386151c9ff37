"""The examples with the real engine, run by the installed wheel: up as the guide goes, and down again."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from nova_infra.releases import release
from tests.lab.snapshot import Snapshot, snapshot
from tests.nodes import Lab, lab_state, setting
from tests.wheel import Installed

pytestmark = [pytest.mark.lab, pytest.mark.engine, pytest.mark.slow]

Step = tuple[str, str]
"""An example and its stack: the packages of two nodes are two stacks of one program."""
# What stands in one list needs only the lists before it.
STORY: list[list[Step]] = [
    [
        ("database", "lab"),
        ("keystone_user", "lab"),
        ("service", "lab"),
        ("node_packages", "controller"),
        ("node_packages", "compute1"),
    ],
    [("endpoint", "lab")],
    [("controller_node", "lab")],
    [("compute_node", "lab")],
]
STEPS = [step for steps in STORY for step in steps]
SECRETS = {
    "databaseAdminPassword": "DB_ROOT_PASS",
    "novaDatabasePassword": "NOVA_DBPASS",
    "adminPassword": "ADMIN_PASS",
    "novaPassword": "NOVA_PASS",
    "rabbitPassword": "RABBIT_PASS",
}


@dataclass
class Story:
    """The stacks that are up, in a backend of their own."""

    installed: Installed
    lab: Lab
    backend: Path
    up: list[Step] = field(default_factory=list)
    outputs: dict[Step, dict[str, Any]] = field(default_factory=dict)

    def pulumi(self, example: str, *arguments: str) -> str:
        """What a pulumi command prints, run in the example's folder."""
        command = ["pulumi", *arguments, "--non-interactive", "--color", "never"]
        environment = self.installed.environment(
            PULUMI_BACKEND_URL=f"file://{self.backend}",
            PULUMI_CONFIG_PASSPHRASE="of this test",
            PULUMI_SKIP_UPDATE_CHECK="true",
        )
        for name in ("PULUMI_STACK", "PULUMI_OPTION_CONFIG_FILE"):
            environment.pop(name, None)
        done = subprocess.run(
            command,
            cwd=self.installed.examples / example,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, f"{example}: {' '.join(command[:2])}: {done.stdout}{done.stderr}"
        return done.stdout

    def prepare(self, example: str, stack: str) -> None:
        """Makes the stack and gives it its settings."""
        self.pulumi(example, "stack", "init", stack)
        settings = [
            part
            for key, (value, kind) in self.settings(example, stack).items()
            for part in (f"--{kind}", f"{key}={value}")
        ]
        self.pulumi(example, "config", "set-all", "--stack", stack, "--path", *settings)

    def bring_up(self, steps: list[Step]) -> None:
        """Brings these up at the same time."""
        at_once(lambda step: self._bring_up(*step), steps)

    def _bring_up(self, example: str, stack: str) -> None:
        self.up.append((example, stack))
        self.pulumi(example, "up", "--stack", stack, "--yes", "--skip-preview")
        text = self.pulumi(example, "stack", "output", "--stack", stack, "--json")
        self.outputs[example, stack] = json.loads(text)

    def settings(self, example: str, stack: str) -> dict[str, tuple[str, str]]:
        """What differs from the defaults of Pulumi.yaml, and what has none."""
        keys = yaml.safe_load((self.installed.examples / example / "Pulumi.yaml").read_text(encoding="utf-8"))["config"]
        state = lab_state()
        values = {
            # The key file is where the default says, relative to the project; the lab may be on another network.
            "controllerAddress": (self.lab.address("controller"), "plaintext"),
            "computeAddress": (self.lab.address("compute1"), "plaintext"),
            "privateKey": ((state / "id_ed25519").read_text(encoding="utf-8"), "secret"),
            **{key: (setting(name), "secret") for key, name in SECRETS.items()},
        }
        if example == "node_packages":
            address = self.lab.address(stack)
            values |= {"node": (stack, "plaintext"), "address": (address, "plaintext")}
            values["hostKey"] = (self.host_key(address), "plaintext")
            values |= {f"packages.{name}": ("present", "plaintext") for name in packages_of(stack)}
        return {key: value for key, value in values.items() if key.split(".")[0] in keys}

    def host_key(self, address: str) -> str:
        """The key of a machine, as the lab's known hosts file has it."""
        lines = (lab_state() / "known_hosts").read_text(encoding="utf-8").splitlines()
        return next(key for host, _, key in (line.partition(" ") for line in lines) if host == address)

    def take_down(self, steps: list[Step]) -> None:
        """Destroys what these made, at the same time."""
        at_once(lambda step: self._take_down(*step), steps)

    def _take_down(self, example: str, stack: str) -> None:
        self.pulumi(example, "destroy", "--stack", stack, "--yes", "--skip-preview")
        self.up.remove((example, stack))

    def state(self, example: str, stack: str) -> str:
        """The state as it is stored."""
        return self.pulumi(example, "stack", "export", "--stack", stack)


def at_once(do: Callable[[Step], None], steps: list[Step]) -> None:
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(do, step) for step in steps]:
            done.result()


def packages_of(node: str) -> tuple[str, ...]:
    """What the guide installs on it."""
    juno = release("juno")
    return tuple((juno.controller if node == "controller" else juno.compute).packages)


@pytest.fixture(scope="module")
def story(lab: Lab, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Story:
    story = Story(request.getfixturevalue("installed"), lab, tmp_path_factory.mktemp("backend"))
    (story.installed.examples.parent / ".lab").symlink_to(lab_state())
    at_once(lambda step: story.prepare(*step), STEPS)
    return story


@pytest.fixture(scope="module")
def before(story: Story) -> Snapshot:
    return snapshot(story.lab)


def test_what_needs_nothing_else_comes_up_at_the_same_time(story: Story, before: Snapshot) -> None:
    story.bring_up(STORY[0])
    assert set(story.outputs) == set(STORY[0])


def test_the_database_is_there(story: Story) -> None:
    assert story.outputs["database", "lab"] == {"adopted": False}
    assert ["nova"] in story.lab.sql("SHOW DATABASES")
    assert {row[0] for row in story.lab.sql("SELECT Host FROM mysql.user WHERE User = 'nova'")} == {"localhost", "%"}


def test_the_user_is_an_administrator_of_the_service_tenant(story: Story) -> None:
    (user,) = [row for row in story.lab.table("keystone user-list") if row["name"] == "nova"]
    assert story.outputs["keystone_user", "lab"] == {"user_id": user["id"]}
    roles = story.lab.table(f"keystone user-role-list --user {user['id']} --tenant service")
    assert [row["name"] for row in roles] == ["admin"]


@pytest.mark.parametrize(("node", "package"), [("controller", "nova-api"), ("compute1", "nova-compute")])
def test_packages_are_installed_over_a_connection_with_its_own_credentials(
    story: Story, node: str, package: str
) -> None:
    versions = story.outputs["node_packages", node]["versions"]
    installed = story.lab.run(node, f"dpkg-query -W -f '${{Status}} ${{Version}}' {package}").strip()
    assert installed == f"install ok installed {versions[package]}"
    assert set(versions) == set(packages_of(node))


def test_the_endpoint_belongs_to_the_service(story: Story) -> None:
    story.bring_up([("endpoint", "lab")])
    service = story.outputs["service", "lab"]["service_id"]
    rows = {row["id"]: row for row in story.lab.table("keystone service-list")}
    assert (rows[service]["name"], rows[service]["type"]) == ("nova", "compute")
    endpoint = story.outputs["endpoint", "lab"]["endpoint_id"]
    (row,) = [row for row in story.lab.table("keystone endpoint-list") if row["id"] == endpoint]
    assert (row["service_id"], row["region"]) == (service, "regionOne")
    assert row["publicurl"] == "http://controller:8774/v2/%(tenant_id)s"


def test_the_controllers_services_report_to_nova(story: Story) -> None:
    story.bring_up([("controller_node", "lab")])
    rows = story.lab.table("nova service-list")
    assert {(row["Binary"], row["Host"], row["State"]) for row in rows} == {
        (binary, "controller", "up") for binary in ("nova-cert", "nova-conductor", "nova-consoleauth", "nova-scheduler")
    }


def test_the_compute_node_joins_them(story: Story) -> None:
    story.bring_up([("compute_node", "lab")])
    rows = [row for row in story.lab.table("nova service-list") if row["Host"] == "compute1"]
    assert [(row["Binary"], row["State"]) for row in rows] == [("nova-compute", "up")]


def test_no_password_and_no_key_stands_in_a_state_in_plain(story: Story) -> None:
    secrets = [setting(name) for name in SECRETS.values()]
    # A line of the key: it is stored as one text.
    secrets += (lab_state() / "id_ed25519").read_text(encoding="utf-8").splitlines()[1:2]
    assert sorted(story.up) == sorted(STEPS)
    for example, stack in STEPS:
        state = story.state(example, stack)
        assert "pulumi-python:dynamic/nova:" in state
        assert [secret for secret in secrets if secret in state] == [], example


def test_destroyed_in_the_opposite_order_they_leave_everything_as_it_was(story: Story, before: Snapshot) -> None:
    assert sorted(story.up) == sorted(STEPS)
    for steps in reversed(STORY):
        story.take_down(steps)
    assert snapshot(story.lab).differences(before) == {}
