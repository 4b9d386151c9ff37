"""What the README tells to try, as it stands there: the demo, a change behind the stack's back, its repair, the end."""

from __future__ import annotations

import subprocess

import pytest
from markdown_it import MarkdownIt

from tests.nodes import ROOT, Lab, Stack, lab_state

pytestmark = [pytest.mark.lab, pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(1200)]
# What a person answers at the terminal.
ANSWERS = {"PULUMI_OPTION_YES": "true", "PULUMI_OPTION_NON_INTERACTIVE": "true"}


def block_of(beginning: str) -> list[str]:
    """The lines of the README's block that begins like this."""
    parsed = MarkdownIt().parse((ROOT / "README.md").read_text(encoding="utf-8"))
    (block,) = (each.content for each in parsed if each.type == "code_block" and each.content.startswith(beginning))
    return str(block).splitlines()


def run(stack: Stack, *lines: str) -> str:
    """What lines print that are typed one after the other into one shell; all have to end well."""
    done = subprocess.run(
        ["bash", "-ec", "\n".join(lines)],
        cwd=ROOT,
        env={**stack.environment(), **ANSWERS},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_demo_and_what_can_be_tried_then_do_what_the_readme_says(lab: Lab) -> None:
    stack = Stack(lab_state() / "pulumi")
    # What `make demo` runs when all is set up.
    shown = run(stack, str(ROOT / "lab" / "demo"))
    assert "nova-compute     | compute1" in shown
    assert "| cirros-0.3.3-x86_64 | ACTIVE |" in shown
    assert "nova-compute     | compute1" in stack.pulumi("stack", "output", "service_list").stdout

    activate, unchanged, change, drifted, repair, destroy = block_of(". lab/activate")
    assert "unchanged" in run(stack, activate, unchanged)
    run(stack, activate, change)
    plan = run(stack, activate, drifted)
    assert "verbose" in plan
    assert '"True" => "False"' in plan
    assert '"False" => "True"' in plan
    run(stack, activate, repair)
    assert lab.run("compute1", "grep '^verbose' /etc/nova/nova.conf").strip() == "verbose = True"
    run(stack, activate, destroy)
    assert lab.run("controller", "ls /etc/nova 2>&1 || true").strip().endswith("No such file or directory")
