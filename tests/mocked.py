"""A Pulumi program without an engine: which resources it asks for, and with what.

Needs the SDK only, so it also runs where nothing but the wheel is installed:

    python mocked.py <programs.json

with `{"directory of a project": {"project:key": {"value": "text", "secret": false}}}`; it prints the same directories with the
resources of their programs.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import runpy
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from google.protobuf import json_format  # type: ignore[import-untyped]
from pulumi.runtime import mocks, set_all_config
from pulumi.runtime.settings import SETTINGS
from pulumi.runtime.stack import run_pulumi_func

SECRET = "4dabf18193072939515e22adb298388d"  # Pulumi's own sign for secrets and such on the wire
A_SECRET = "1b47061264138c4ac30d75fd1eb44270"

Config = Mapping[str, Mapping[str, Any]]
"""`{"project:key": {"value": text, "secret": bool}}`"""


@dataclasses.dataclass
class Registered:
    """A resource as the engine was asked for it."""

    name: str
    kind: str
    inputs: dict[str, Any]
    needs: set[str]
    provider: str
    request: Any = None

    def plain(self) -> str:
        """All inputs but what is marked as a secret."""
        return json.dumps(without_secrets(self.inputs))


def without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        if value.get(SECRET) == A_SECRET:
            return "a secret"
        return {key: without_secrets(each) for key, each in value.items()}
    return [without_secrets(each) for each in value] if isinstance(value, list) else value


class Engine(mocks.Mocks):
    def call(self, args: mocks.MockCallArgs) -> Any:
        raise AssertionError(f"nothing is looked up at {args.token}")

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        outputs = dict(args.inputs)
        if args.typ.endswith((":ControllerNode", ":ComputeNode")):
            outputs["started_at"] = f"start of {args.name}"
        return f"{args.name}-id", outputs


class Monitor(mocks.MockMonitor):
    def __init__(self) -> None:
        super().__init__(Engine())
        self.requests: list[Any] = []

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the name of the call
        self.requests.append(request)
        # The SDK asks in threads of its own, where it would make a loop and leave it open.
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            return super().RegisterResource(request)  # type: ignore[no-untyped-call]
        finally:
            asyncio.set_event_loop(None)
            loop.close()


def name_in(reference: str) -> str:
    """The name within an URN, or a provider's `URN::id`."""
    return reference.split("::")[3] if reference else ""


def registered(program: Callable[[], object], *, project: str, config: Config | None = None) -> list[Registered]:
    """The resources that a program registers, in the order of their registration."""
    monitor = Monitor()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    mocks.set_mocks(Engine(), project=project, stack="lab", monitor=monitor)
    config = config or {}
    secrets = [key for key, each in config.items() if each["secret"]]
    set_all_config({key: each["value"] for key, each in config.items()}, secrets)
    # What other tests have left unfinished, in loops that are gone, would be waited for.
    SETTINGS.rpc_manager.clear()
    SETTINGS.outputs.clear()

    def run() -> None:
        # An SDK that waits for what the program returns would wait for a resource.
        program()

    try:
        loop.run_until_complete(run_pulumi_func(run))
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    return [
        Registered(
            request.name,
            request.type.split(":")[-1],
            json_format.MessageToDict(request.object),
            {name_in(urn) for urn in request.dependencies},
            name_in(request.provider),
            request,
        )
        for request in monitor.requests
        if request.type != "pulumi:pulumi:Stack"
    ]


def registered_by(directory: Path, config: Config) -> list[Registered]:
    """The resources of the project in this directory."""
    project = next(iter(config)).partition(":")[0]
    return registered(lambda: runpy.run_path(str(directory / "__main__.py")) and None, project=project, config=config)


if __name__ == "__main__":
    programs = json.load(sys.stdin)
    answer = {
        directory: [
            {**vars(each), "needs": sorted(each.needs), "request": None}
            for each in registered_by(Path(directory), config)
        ]
        for directory, config in programs.items()
    }
    json.dump(answer, sys.stdout)
