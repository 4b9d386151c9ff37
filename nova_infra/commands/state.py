"""A stack's resources as a command reads them: from `pulumi stack export`, which decrypts the secrets.

They are in plain in this process only: neither the repr of a resource nor an error shows a value.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..access import Access, CommandAccess, access_from
from ..checks import database, identity
from ..errors import StackUnreadable
from ..resources.lifecycle import Lifecycle, plain
from ..resources.types import LIFECYCLES
from ..wording import escaped
from .engine import handed_out
from .stack import enter_project

# How Pulumi marks a value that is no plain JSON, and that it is a secret.
_SIGNATURE, _SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
# What stands on a server that all nodes share; all else is on a node.
_SERVERS = {
    "Database": database.WHERE,
    "KeystoneUser": identity.WHERE,
    "Service": identity.WHERE,
    "Endpoint": identity.WHERE,
    "ServiceCheck": "Compute API",
}
PropertyPath = tuple[str | int, ...]
"""The way to a value: keys, and numbers of items of lists."""


@dataclass(frozen=True)
class Managed:
    """A resource of this package, as the state has it. Whole numbers are int."""

    urn: str
    name: str
    """The name in the program: `nova-compute1`."""
    type: str
    """One of nova_infra.resources.types.LIFECYCLES."""
    id: str
    inputs: Mapping[str, Any] = field(repr=False)
    outputs: Mapping[str, Any] = field(repr=False)
    protect: bool = False
    parent: str = ""
    """The URN of the parent, or an empty string."""
    provider: str = ""
    """`URN::id` of the provider."""
    dependencies: tuple[str, ...] = ()
    secrets: frozenset[PropertyPath] = frozenset()
    """The ways to the values of `inputs` and `outputs` that the state holds as secrets."""
    access: Access = field(default_factory=lambda: access_from(dict[str, str]().get), repr=False)
    """The machines and servers, as the inputs of its provider say. Resources of equal providers share it, and its connections."""

    @property
    def stack(self) -> str:
        """The stack's name, without the organization and the project."""
        return self.urn.partition("::")[0].rpartition(":")[2]

    @property
    def kind(self) -> str:
        """`ComputeNode`."""
        return self.type.rpartition(":")[2]

    @property
    def server(self) -> str:
        """The server that it is on: `MariaDB`, `Keystone` or `Compute API`; empty for what is on a node."""
        return _SERVERS.get(self.kind, "")

    @property
    def place(self) -> str:
        """The server, or the node."""
        return self.server or escaped(str(self.inputs["node"]))

    def lifecycle(self) -> Lifecycle:
        """What the engine would ask about this resource, with the same connections."""
        lifecycle = LIFECYCLES[self.type]()
        lifecycle.access = self.access
        return lifecycle


def managed(stack: str = "") -> list[Managed]:
    """The resources of this package in a stack of the project around the current folder, in the order in which they were made.

    Without a name it is the selected stack. Changes to the project's folder, because files of keys are relative to it. Resources that
    are only waiting to be deleted are left out. Raises StackUnreadable where pulumi does not hand out the state, and where that is none.
    """
    enter_project()
    exported = handed_out("state", ["stack", "export", "--show-secrets"], stack)
    try:
        return read(exported)
    except (KeyError, TypeError, ValueError, AttributeError):
        # It may hold secrets: it is not quoted.
        raise StackUnreadable(
            f"The state of {f'the stack {stack}' if stack else 'the selected stack'} cannot be read: what `pulumi stack export` printed has another "
            "form. Run that command yourself and look at what it prints."
        ) from None


def read(exported: Mapping[str, Any]) -> list[Managed]:
    """As `managed`, from what `pulumi stack export --show-secrets` prints."""
    resources = (exported["deployment"] or {}).get("resources") or []
    accesses: dict[str, Access] = {}
    found = []
    for each in resources:
        if each["type"].startswith("pulumi:providers:"):
            accesses[f"{each['urn']}::{each.get('id', '')}"] = access_from(
                _values(each.get("inputs") or {}).get, CommandAccess
            )
        elif each["type"] in LIFECYCLES and not each.get("delete"):
            found.append(_managed(each, accesses))
    return found


def _managed(stored: Mapping[str, Any], accesses: Mapping[str, Access]) -> Managed:
    inputs, outputs = stored.get("inputs") or {}, stored.get("outputs") or {}
    provider = stored.get("provider", "")
    return Managed(
        urn=stored["urn"],
        name=stored["urn"].rpartition("::")[2],
        type=stored["type"],
        id=stored.get("id", ""),
        inputs=_values(inputs),
        outputs=_values(outputs),
        protect=bool(stored.get("protect")),
        parent=stored.get("parent", ""),
        provider=provider,
        dependencies=tuple(stored.get("dependencies") or ()),
        secrets=frozenset([*_secrets(inputs, ()), *_secrets(outputs, ())]),
        access=accesses[provider],
    )


def secrets_of(resources: Sequence[Managed]) -> frozenset[str]:
    """Every text in the state that is a secret or a part of one, and those that open machines and servers."""
    found = {text for each in resources for text in each.access.secrets()}
    for each in resources:
        for way in each.secrets:
            for values in (each.inputs, each.outputs):
                found.update(_texts(_at(values, way)))
    return frozenset(found - {""})


def _at(values: Any, way: Sequence[str | int]) -> Any:
    for key in way:
        try:
            values = values[key]
        except (KeyError, IndexError, TypeError):
            return None
    return values


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def _values(stored: Any) -> Any:
    """The values without Pulumi's envelopes."""
    if isinstance(stored, Mapping):
        if _SIGNATURE in stored:
            return plain(_opened(stored))
        return {key: _values(each) for key, each in stored.items()}
    if isinstance(stored, list):
        return [_values(each) for each in stored]
    return plain(stored)


def _secrets(stored: Any, way: PropertyPath) -> Iterator[PropertyPath]:
    if isinstance(stored, Mapping):
        if stored.get(_SIGNATURE) == _SECRET:
            yield way
            return
        for key, each in stored.items():
            yield from _secrets(each, (*way, key))
    elif isinstance(stored, list):
        for number, each in enumerate(stored):
            yield from _secrets(each, (*way, number))


def _opened(envelope: Mapping[str, Any]) -> Any:
    """What a secret's envelope holds: JSON as text. Of what else Pulumi wraps (files, references) this package stores nothing."""
    if envelope[_SIGNATURE] != _SECRET:
        return None
    return json.loads(envelope["plaintext"])
