"""The stack's configuration through the real engine, which reads Pulumi.yaml. A preview opens no connection."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from nova_infra.settings import SECRETS
from tests.error_rows import assert_printed
from tests.nodes import ROOT, Stack

pytestmark = pytest.mark.engine

LAB = yaml.safe_load((ROOT / "stacks" / "Pulumi.lab.yaml").read_text())
PASSWORDS = {f"nova:{key}": LAB["config"][f"nova:{key}"] for key in SECRETS}
MACHINES = {key: LAB["config"][key] for key in ("nova:controllers", "nova:computes")}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    stack = Stack(tmp_path_factory.mktemp("backend"))
    stack.create()
    return stack


def preview(stack: Stack, folder: Path, configuration: dict[str, Any]) -> tuple[int, str]:
    """How `pulumi preview` ends with this configuration, and what it says."""
    file = folder / "Pulumi.lab.yaml"
    file.write_text(yaml.safe_dump({"config": configuration, "encryptionsalt": LAB["encryptionsalt"]}))
    done = stack.pulumi(
        "preview", "--stack", "lab", "--non-interactive", "--diff", "--config-file", str(file), check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_every_key_of_the_page_passes_the_engine(stack: Stack, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    configuration: dict[str, Any] = {}
    for block in re.findall(r"^```yaml\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL):
        configuration |= yaml.safe_load(block)["config"]
    secret = {"nova:vcenterPassword": PASSWORDS["nova:novaPassword"]}
    code, said = preview(stack, tmp_path, {**configuration, **PASSWORDS, **secret})
    assert code == 0, said
    assert re.search(r'rabbit_hosts *: "mq1:5672,mq2:5673"', said)
    assert re.search(r"host_password *: \[secret\]", said)
    assert re.search(r'access:deadlines_drain *: "7200"', said)


def test_a_stack_without_settings_is_told_all_that_it_needs_at_once(stack: Stack, tmp_path: Path) -> None:
    code, said = preview(stack, tmp_path, {})
    assert code != 0
    assert "The configuration has 6 problems" in said
    assert all(f"nova:{key}: is missing" in said for key in SECRETS)
    assert "nova:controllers: is empty" in said
    assert "Traceback" not in said


def test_keys_of_other_types_are_all_named(stack: Stack, tmp_path: Path) -> None:
    wrong = {"nova:concurrency": "many", "nova:ssh": "ubuntu", "nova:computes": {"a": 1}, "nova:region": ["one"]}
    code, said = preview(stack, tmp_path, {**MACHINES, **PASSWORDS, **wrong})
    assert code != 0
    assert "The configuration has 4 problems" in said
    assert all(f"{key}: input should be" in said for key in wrong)
    assert "Traceback" not in said


def test_a_secure_value_inside_an_object_is_refused_and_not_shown(stack: Stack, tmp_path: Path) -> None:
    leaf = {"nova:vnc": {"listen": PASSWORDS["nova:novaPassword"]}}
    code, said = preview(stack, tmp_path, {**MACHINES, **PASSWORDS, **leaf})
    assert code != 0
    assert "nova:vnc: holds a `secure:` value inside an object" in said
    assert "nova:vnc.listen" not in said


# ------------------------------------------------------------ all at once


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The project, of which a test may edit the templates."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("__main__.py", "Pulumi.yaml", "nova_infra", "templates"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


def preview_of(copy: Path, stack: Stack, configuration: dict[str, Any]) -> tuple[int, str]:
    (copy / "stacks").mkdir(exist_ok=True)
    file = copy / "stacks" / "Pulumi.lab.yaml"
    file.write_text(yaml.safe_dump({"config": configuration, "encryptionsalt": LAB["encryptionsalt"]}))
    command = '. ./activate && cd "$1" && exec pulumi preview --stack lab --non-interactive --diff --config-file "$2"'
    done = subprocess.run(
        ["bash", "-c", command, "bash", str(copy), str(file)],
        cwd=ROOT,
        env={**stack.environment(), "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


SECURE = PASSWORDS["nova:novaPassword"]
# Each line is one mistake, and what is to be said of it.
WRONG: dict[str, Any] = {
    "nova:release": "kilo",
    "nova:region": "",
    "nova:regoin": "regionOne",
    "nova:concurrency": "many",
    "nova:controllers": [
        {"name": "controller", "address": "10.0.0.11", "services": ["nova-api", "nova-conductor", "nova-sheduler"]},
        {"name": "Controller", "address": "10.0.0.12"},
    ],
    "nova:computes": [
        {"name": "compute1", "address": "compute1"},
        {"name": "compute1", "address": "10.0.0.32"},
        {"name": "compute3", "address": "::ffff:10.0.0.32"},
        {"name": "compute4", "address": "10.0.0.34", "host": "10.0.0.32"},
        {"name": "compute5", "address": "10.0.0.11"},
        {"name": "compute 6", "address": "10.0.0.36", "port": 0},
    ],
    "nova:identity": {"admin_url": "http://:35357/v2.0", "service_tenant": "", "user": "admin"},
    "nova:endpoint": {"public_url": "http://controller:8774/v2/%(project)s"},
    "nova:vnc": {"listen": SECURE},
    "nova:options": {
        "al": {},
        "all": {"DEFAULT": {"a": {"secret": "vcenter"}, "b": "two\nlines", "c d": "x"}},
        "nodes": {"compute9": {}},
    },
    "nova:packages": {"controler": {}, "compute": {"ntp": "latest"}},
    "nova:deadlines": {"packages": 0},
    "nova:novaPassword": "in plain",
    "nova:rabbitPassword": "",
    "nova:rabitPassword": SECURE,
    "nova:adminPassword": SECURE,
    "nova:databaseAdminPassword": SECURE,
    "nova:sshPassword": {"password": SECURE},
    "nova:sudoPassword": ["in plain"],
}
NAMED = [
    "release",
    "region",
    "regoin",
    "concurrency",
    "controllers[0].services",
    "controllers[1].name",
    "computes[0].address",
    "computes[1].name",
    "computes[2].address",
    "computes[3].host",
    "computes[4]",
    "computes[5].name",
    "computes[5].port",
    "identity.admin_url",
    "identity.service_tenant",
    "identity.user",
    "endpoint.public_url",
    "vnc",
    "options.al",
    "options.all.DEFAULT.a",
    "options.all.DEFAULT.b",
    "options.nodes.compute9",
    "packages.controler",
    "packages.compute.ntp",
    "deadlines.packages",
    "novaPassword",
    "rabbitPassword",
    "rabitPassword",
    "novaDatabasePassword",
    "sshPassword",
    "sudoPassword",
]


def test_a_stack_with_every_mistake_is_told_all_of_them_in_one_list_and_nothing_is_planned(
    stack: Stack, copy: Path
) -> None:
    for role in ("controller", "compute"):
        with (copy / "templates" / "juno" / role / "nova.conf").open("a") as file:
            file.write("[mine]\na = {{ nope }}\nhunter2\n")
    lines = (copy / "templates" / "juno" / "compute" / "nova.conf").read_text().count("\n")
    code, said = preview_of(copy, stack, WRONG)
    assert code != 0
    problems = [line.strip() for line in said.splitlines() if line.strip().startswith("- ")]
    keys = [re.split(r": ", problem[2:])[0] for problem in problems]
    # The name of an option may hold anything but a colon and a space behind it.
    wanted = {f"nova:{key}" for key in NAMED} | {"nova:options.all.DEFAULT.c d"}
    templates = {f"templates/juno/{role}/nova.conf" for role in ("controller", "compute")}
    assert set(keys) == wanted | templates, said
    assert f"The configuration has {len(problems)} problems" in said
    for line in (lines - 1, lines):
        assert f"templates/juno/compute/nova.conf: line {line}: " in said
    # Before anything is planned: not even the deployment itself.
    assert "NovaDeployment" not in said
    assert "Traceback" not in said
    assert not {"hunter2", "in plain\n", "NOVA_PASS"} & set(said.split())
    for cause in (
        "A password is missing or empty",
        "A password stands in the stack file in plain",
        "A password is an object or a list",
        "A `secure:` value stands inside an object",
        "Two nodes have one address, in two forms",
        "A compute node is a controller too",
        "The release is not known",
        "A URL has no host",
        "A layer is not known",
        "A service is not known",
        "A template does not render",
        "A template does not parse",
    ):
        assert_printed(cause, said)


def test_templates_that_do_not_render_keep_a_good_stack_from_being_planned(stack: Stack, copy: Path) -> None:
    with (copy / "templates" / "juno" / "compute" / "nova.conf").open("a") as file:
        file.write("[mine]\na = {{ nope }}\nb = {{ 1/0 }}\n")
    code, said = preview_of(copy, stack, {**MACHINES, **PASSWORDS})
    assert code != 0
    assert "The configuration has 2 problems" in said
    assert "[mine] a does not render: 'nope' is undefined" in said
    assert "[mine] b does not render: division by zero" in said
    assert "NovaDeployment" not in said
    assert "Traceback" not in said
