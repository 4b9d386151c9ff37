"""Plans of the real engine for the repository's own program, on machines that are not there.

Each case is a change of one deployment. `pulumi preview --json` of it is kept in tests/unit/cases/plans/, with the comment beside it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from pulumi.runtime.rpc import UNKNOWN

from tests.nodes import ROOT, Stack, laid_over

CASES = ROOT / "tests" / "unit" / "cases" / "plans"
NOVA_CONF = "/etc/nova/nova.conf"
# Only said by the engine for itself: where in the program, and when.
_LEFT_OUT = {
    "stackTrace",
    "sourcePosition",
    "propertyDependencies",
    "created",
    "modified",
    "dependencies",
    "detailedDiff",
}


@dataclass
class StandIn(Stack):
    """The stack on machines that are not there."""

    there: dict[str, Any] = field(default_factory=dict)
    """What a create or a refresh finds: see tests/stand_in/sitecustomize.py."""

    def environment(self) -> dict[str, str]:
        self.backend.mkdir(parents=True, exist_ok=True)
        found = self.backend / "stand-in.json"
        found.write_text(json.dumps(self.there))
        return {
            **super().environment(),
            "PYTHONPATH": f"{ROOT / 'tests' / 'stand_in'}:{ROOT}",
            "STAND_IN": str(found),
        }


DEPLOYED: dict[str, Any] = {
    "controllers": [{"name": "controller", "address": "192.0.2.11"}],
    "computes": [{"name": f"compute{number}", "address": f"192.0.2.{30 + number}"} for number in (1, 2, 3)],
    "ssh": {"user": "ubuntu"},
}


@dataclass(frozen=True)
class Case:
    """A change of the deployment, and how its plan is asked for."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """Keys of the stack and their new values, laid over those of DEPLOYED."""
    secrets: tuple[str, ...] = ()
    """Secret keys that get another value."""
    there: Mapping[str, Any] = field(default_factory=dict)
    """What a refresh finds."""
    fails: bool = False
    on_delete: str = "refuse"
    """The guard of the database before the change."""
    protect: bool = False
    """Whether what all the rest hangs on was protected before the change."""
    adopted: tuple[str, ...] = ()
    """The ids of what was there before the deployment."""
    arguments: tuple[str, ...] = ("preview", "--json")


def _options(layer: str, **values: Any) -> dict[str, Any]:
    return {"options": {layer: {"DEFAULT": values}}}


PLANS = {
    "nothing": Case(),
    "one-option-for-all": Case(_options("all", debug=True)),
    "an-option-of-a-node": Case({"options": {"nodes": {"compute2": {"libvirt": {"cpu_mode": "host-passthrough"}}}}}),
    "catalog-and-grants": Case(
        {
            "endpoint": {"admin_url": "http://192.0.2.7:8774/v2/%(tenant_id)s"},
            "service": {"description": "Compute | of `everybody`"},
            "database": {"hosts": {"localhost": ["ALL"], "%": ["SELECT", "INSERT"]}},
        }
    ),
    "passwords": Case(secrets=("novaDatabasePassword", "adminPassword")),
    "packages": Case(
        {"packages": {"controller": {"nova-cert": "1:2014.2.4-0ubuntu1"}, "compute": {"sysstat": "present"}}}
    ),
    "nodes": Case(
        {
            "computes": [
                *DEPLOYED["computes"][:2],
                *({"name": f"compute{number}", "address": f"192.0.2.{30 + number}"} for number in (4, 5)),
            ]
        }
    ),
    "guards": Case(
        {
            "database": {"on_delete": "drop"},
            "computeDefaults": {"drain": True, "on_unreachable": "leave", "adopt": True},
            "ssh": {"verify_host_keys": False},
        }
    ),
    "protection": Case({"protect": False}, on_delete="keep", protect=True),
    "drift": Case(
        there={
            "drift": {
                "compute1": {
                    f"options|{NOVA_CONF}|DEFAULT|verbose": "False",
                    "services|nova-compute|fingerprint": "unknown",
                },
                "regionOne/compute/nova": {"public_url": "http://192.0.2.9:8774/v2/%(tenant_id)s"},
            },
            "gone": ["nova"],
        },
        arguments=("preview", "--refresh", "--json"),
    ),
    "unreachable": Case(
        there={
            "unreachable": {
                "compute2": "compute2 (ubuntu@192.0.2.32): nobody answers there (no route to host). Look whether it runs."
            },
            "drift": {"compute1": {f"options|{NOVA_CONF}|DEFAULT|verbose": "False"}},
        },
        arguments=("preview", "--refresh", "--json"),
        fails=True,
    ),
    "bad-settings": Case({"regoin": "x", "computes": [{"name": "compute1", "address": "nowhere"}]}, fails=True),
    "destroy": Case(arguments=("destroy", "--preview-only", "--json"), on_delete="drop"),
    "destroy-what-was-adopted": Case(
        arguments=("destroy", "--preview-only", "--json"),
        on_delete="drop",
        adopted=("nova", "compute/nova", "regionOne/compute/nova"),
    ),
}


def deployed(folder: Path, case: Case | None = None) -> StandIn:
    """The deployment that a case changes."""
    case = case or Case()
    stack = StandIn(folder, there={"adopted": case.adopted})
    stack.create()
    stack.up("--config-file", str(settings_file(folder, guards(case))))
    stack.there = {}
    return stack


def guards(case: Case) -> dict[str, Any]:
    """What guards the deployment before a case changes it."""
    return {"database": {"on_delete": case.on_delete}, "protect": case.protect}


def settings_file(folder: Path, changes: Mapping[str, Any]) -> Path:
    """The stack file with these changes."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = yaml.safe_load((ROOT / "stacks" / "Pulumi.lab.yaml").read_text())
    for key, value in DEPLOYED.items():
        settings["config"][f"nova:{key}"] = value
    for key, value in changes.items():
        settings["config"][f"nova:{key}"] = value if key == "computes" else laid_over(DEPLOYED.get(key), value)
    path = folder / "Pulumi.lab.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def plan(stack: StandIn, case: Case) -> dict[str, Any]:
    """What the engine prints for a case, cut to what a plan is."""
    file = settings_file(stack.backend, laid_over(guards(case), dict(case.settings)))
    for key in case.secrets:
        stack.pulumi("config", "set", "--secret", key, "--config-file", str(file), answer="another one")
    stack.there = dict(case.there)
    try:
        done = stack.pulumi(*case.arguments, "--non-interactive", "--config-file", str(file), check=not case.fails)
    finally:
        stack.there = {}
    assert (done.returncode != 0) == case.fails, done.stderr
    printed: dict[str, Any] = json.loads(done.stdout)
    return cut(printed)


def cut(printed: Mapping[str, Any]) -> dict[str, Any]:
    """A plan without what says nothing about the deployment, or says it twice."""
    plain: dict[str, Any] = json.loads(json.dumps(printed))
    for key in ("duration", "config"):
        plain.pop(key, None)
    for step in plain["steps"]:
        if step["op"] == "refresh":
            del step["newState"]
        for state in (step.get("oldState"), step.get("newState")):
            for key in _LEFT_OUT & set(state or {}):
                del state[key]
            (state or {}).get("inputs", {}).pop("__provider", None)
            if "outputs" in (state or {}):
                state["outputs"] = {key: state["outputs"][key] for key in ("adopted",) if key in state["outputs"]}
    # The engine works at several resources at once.
    plain["steps"].sort(key=lambda step: (step["op"] != "refresh", step["urn"]))
    return _without_ids(plain)


def _without_ids(value: Any) -> Any:
    if isinstance(value, str):
        # Of providers, another one in each deployment.
        return value if value == UNKNOWN else re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "(an id)", value)
    if isinstance(value, dict):
        return {key: _without_ids(each) for key, each in value.items()}
    return [_without_ids(each) for each in value] if isinstance(value, list) else value


def written(plan: Mapping[str, Any]) -> str:
    """A plan as a file keeps it: a step a line."""
    steps = ",\n".join(json.dumps(step, sort_keys=True) for step in plan["steps"])
    rest = json.dumps({key: value for key, value in plan.items() if key != "steps"}, sort_keys=True)
    return f'{{"steps": [\n{steps}\n],\n{rest[1:]}\n'
