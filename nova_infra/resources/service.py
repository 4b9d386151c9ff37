"""Service: a record in Keystone's catalog."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pulumi

from ..catalog import EndpointRecord, ServiceRecord, no_text
from ..errors import Problem
from ..wording import quoted
from .catalog_record import CatalogRecord
from .lifecycle import Resource, State, known_text, required_text


@dataclass(frozen=True)
class ServiceArgs:
    """A service of the catalog, known by type and name, which never change."""

    name: pulumi.Input[str]
    """Its name: `nova`."""
    type: pulumi.Input[str]
    """Its type: `compute`."""
    description: pulumi.Input[str] = ""
    """What people read about it."""


class ServiceLifecycle(CatalogRecord[ServiceRecord]):
    """The record in the Keystone that the provider names. A new one gets copies of all endpoints of the old one, whoever owns them."""

    kind = "service"
    identity = ("type", "name")
    contents = looked_at = ("description",)
    uuid = "service_id"
    computed = ("service_id", "adopted", "found", "other_records")

    def name_of(self, wanted: State) -> str:
        """`type/name`."""
        return f"{wanted['type']}/{wanted['name']}"

    def problems(self, wanted: State) -> list[Problem]:
        """Empty names; texts that Keystone does not keep."""
        texts = {key: known_text(wanted, key) or "" for key in ("name", "type", "description")}
        bad = [Problem(key, reason) for key, text in texts.items() if (reason := no_text(text))]
        return [*required_text(wanted, "name", "type"), *bad]

    def _records(self, state: State) -> list[ServiceRecord]:
        return sorted(self.access.identity.services(state["name"], state["type"]), key=lambda record: record.id)

    def _create(self, wanted: State, old: ServiceRecord | None) -> ServiceRecord:  # noqa: ARG002
        return self.access.identity.create_service(wanted["name"], wanted["type"], wanted["description"])

    def _carry_over(self, old: ServiceRecord, new: ServiceRecord) -> None:
        # Keystone deletes the endpoints of a service that is deleted.
        identity = self.access.identity
        copied = [_urls_and_region(each) for each in identity.endpoints([new.id])]
        for each in map(_urls_and_region, identity.endpoints([old.id])):
            if each in copied:
                copied.remove(each)
            else:
                identity.create_endpoint(new.id, *each)

    def _delete(self, uuid: str) -> None:
        self.access.identity.delete_service(uuid)

    def _remarks(self, ours: ServiceRecord, records: Iterable[ServiceRecord], state: State) -> list[str]:
        return [
            f"Keystone has another service {self.name_of(state)}, {each.id} ({quoted(each.description)}): it is left as it is. If nobody needs it: "
            f"keystone service-delete {each.id}, which deletes its endpoints too."
            for each in records
            if each.id != ours.id
        ]

    def note_of(self, state: State) -> str:
        """The name of the note about what was there."""
        return f"service.{state['type']}.{state['name']}"


def _urls_and_region(endpoint: EndpointRecord) -> tuple[str, str, str, str]:
    return (endpoint.region, endpoint.public_url, endpoint.internal_url, endpoint.admin_url)


class Service(Resource, module="nova", name="Service"):
    """A service of the catalog.

    ```python
    nova_infra.Service(
        "service",
        nova_infra.ServiceArgs(name="nova", type="compute", description="OpenStack Compute"),
        opts=pulumi.ResourceOptions(provider=access),
    )
    ```
    """

    service_id: pulumi.Output[str]
    """Keystone's UUID; another one after every update."""
    adopted: pulumi.Output[bool]
    """Whether the record was there before us; then destroy leaves it, with its earlier description."""
    found: pulumi.Output[dict[str, str]]
    """What it said before us: `{description}`, or {}."""
    other_records: pulumi.Output[list[str]]
    """UUIDs of further records of the same type and name, which we leave alone."""

    def __init__(self, name: str, args: ServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs: dict[str, Any] = {
            "name": args.name,
            "type": args.type,
            "description": args.description,
            "service_id": None,
            "adopted": None,
            "found": None,
            "other_records": None,
        }
        super().__init__(ServiceLifecycle(), name, inputs, opts)
