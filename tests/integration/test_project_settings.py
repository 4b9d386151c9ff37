"""The stack's configuration through the real engine, which reads Pulumi.yaml. A preview opens no connection."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from nova_infra.settings import SECRETS
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


@pytest.mark.parametrize(
    ("key", "value"), [("nova:concurrency", "many"), ("nova:ssh", "ubuntu"), ("nova:computes", {"a": 1})]
)
def test_a_key_of_another_type_is_named(stack: Stack, tmp_path: Path, key: str, value: Any) -> None:
    code, said = preview(stack, tmp_path, {**MACHINES, **PASSWORDS, key: value})
    assert code != 0
    assert key.removeprefix("nova:") in said
    assert "Traceback" not in said


def test_a_secure_value_inside_an_object_is_refused_and_not_shown(stack: Stack, tmp_path: Path) -> None:
    leaf = {"nova:vnc": {"listen": PASSWORDS["nova:novaPassword"]}}
    code, said = preview(stack, tmp_path, {**MACHINES, **PASSWORDS, **leaf})
    assert code != 0
    assert "nova:vnc: holds a `secure:` value inside an object" in said
    assert "nova:vnc.listen" not in said
