"""Loaded by every Python that has this folder on its PYTHONPATH: resources are made and looked at without any machine.

$STAND_IN is a JSON file: `{"drift": {id: {path/of/property: value}}, "unreachable": {id: sentence}, "gone": [id], "adopted": [id]}`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from pulumi import dynamic

from nova_infra.errors import NoConnection
from nova_infra.remote.connection import Connection
from nova_infra.resources import lifecycle
from nova_infra.resources.last_up import LAST_UP
from nova_infra.resources.lifecycle import Lifecycle, State

OUTPUTS = {"started_at": "2014-11-22T14:02:24Z", "found": {}}


def there() -> dict[str, Any]:
    return dict(json.loads(Path(os.environ["STAND_IN"]).read_text())) if os.environ.get("STAND_IN") else {}


def made(self: Lifecycle, wanted: State) -> dict[str, Any]:
    outputs = {**OUTPUTS, "adopted": self.name_of(wanted) in there().get("adopted", [])}
    return {key: outputs.get(key, "") for key in self.computed}


def create(self: Lifecycle, props: dict[str, Any]) -> dynamic.CreateResult:
    wanted = self._inputs(props)
    return dynamic.CreateResult(
        self.name_of(wanted), lifecycle._outputs(wanted, made(self, wanted), self.last_up(wanted))
    )


def update(self: Lifecycle, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> dynamic.UpdateResult:
    wanted = self._inputs(news)
    return dynamic.UpdateResult(lifecycle._outputs(wanted, made(self, wanted), self.last_up(wanted)))


def read(self: Lifecycle, id_: str, props: dict[str, Any]) -> dynamic.ReadResult:
    found = there()
    # A node and its packages have one id.
    name = f"{id_} packages" if type(self).__name__ == "NodePackagesLifecycle" else id_
    if name in found.get("unreachable", {}):
        raise NoConnection(found["unreachable"][name]) from None
    if name in found.get("gone", []):
        return dynamic.ReadResult("", {})
    observed = self._inputs(props)
    for path, value in found.get("drift", {}).get(name, {}).items():
        *way, last = path.split("|")
        place = observed
        for key in way:
            place = place[key]
        place[last] = value
    outputs = {key: props[key] for key in self.computed if key in props}
    return dynamic.ReadResult(id_, lifecycle._outputs(observed, outputs, props.get(LAST_UP)), observed)


Connection.open = lambda *_: None  # type: ignore[method-assign]
Lifecycle.create = create  # type: ignore[method-assign]
Lifecycle.update = update  # type: ignore[method-assign]
Lifecycle.read = read  # type: ignore[method-assign]
