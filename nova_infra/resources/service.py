"""Service: a record in Keystone's catalog."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi

from ..errors import Problem
from ..identity import EndpointRecord, ServiceRecord
from .lifecycle import Lifecycle, Resource, State, required_text


@dataclass(frozen=True)
class ServiceArgs:
    """A service of the catalog, known by type and name."""

    name: str
    type: str
    description: str = ""


class ServiceLifecycle(Lifecycle):
    """The record in the Keystone that the provider names. v2.0 cannot update one: an update makes a new record."""

    kind = "service"
    identity = ("type", "name")
    computed = ("service_id", "adopted", "other_records")

    def name_of(self, wanted: State) -> str:
        """`type/name`."""
        return f"{wanted['type']}/{wanted['name']}"

    def problems(self, wanted: State) -> list[Problem]:
        """Empty names."""
        return required_text(wanted, "name", "type")

    def make(self, wanted: State) -> dict[str, Any]:
        """Adopts a record of this type and name, or makes one; never a second."""
        records = self._records(wanted)
        noted = self.access.note_first(self._note(wanted), "found" if records else "new")
        return self._apply(records[0] if records else None, wanted, adopted=noted == "found")

    def look(self, known: State) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The recorded record, or another of the same type and name when that is gone."""
        records = self._records(known)
        record = _ours(records, known)
        if record is None:
            return None
        observed = {**known, "description": record.description}
        return observed, self._outputs(record, records, adopted=bool(known.get("adopted")))

    def change(self, known: State, wanted: State) -> dict[str, Any]:
        """A new record with copies of all endpoints of the old one, whoever owns them, then the old one is deleted."""
        record = _ours(self._records(known), known)
        return self._apply(record, wanted, adopted=bool(known.get("adopted")))

    def remove(self, known: State) -> None:
        """Deletes our record, unless it was there before us."""
        if not known.get("adopted"):
            record = _ours(self._records(known), known)
            if record is not None:
                self.access.identity.delete_service(record.id)
        self.access.forget_note(self._note(known))

    def _apply(self, record: ServiceRecord | None, wanted: State, *, adopted: bool) -> dict[str, Any]:
        if record is None:
            record = self.access.identity.create_service(wanted["name"], wanted["type"], wanted["description"])
        elif record.description != wanted["description"]:
            record = self._remade(record, wanted)
        return self._outputs(record, self._records(wanted), adopted=adopted)

    def _remade(self, old: ServiceRecord, wanted: State) -> ServiceRecord:
        identity = self.access.identity
        # A run that was cut off may have made the new record already.
        fitting = [each for each in self._records(wanted) if each.description == wanted["description"]]
        new = fitting[0] if fitting else identity.create_service(wanted["name"], wanted["type"], wanted["description"])
        copied = {_content(each) for each in identity.endpoints([new.id])}
        # Keystone deletes the endpoints of a service that is deleted.
        for each in identity.endpoints([old.id]):
            if _content(each) not in copied:
                identity.create_endpoint(new.id, *_content(each))
        identity.delete_service(old.id)
        return new

    def _records(self, state: State) -> list[ServiceRecord]:
        return sorted(self.access.identity.services(state["name"], state["type"]), key=lambda record: record.id)

    def _outputs(self, record: ServiceRecord, records: list[ServiceRecord], *, adopted: bool) -> dict[str, Any]:
        others = [each.id for each in records if each.id != record.id]
        return {"service_id": record.id, "adopted": adopted, "other_records": others}

    def _note(self, state: State) -> str:
        return f"service.{state['type']}.{state['name']}"


def _content(endpoint: EndpointRecord) -> tuple[str, str, str, str]:
    return (endpoint.region, endpoint.public_url, endpoint.internal_url, endpoint.admin_url)


def _ours(records: list[ServiceRecord], known: State) -> ServiceRecord | None:
    recorded = [record for record in records if record.id == known.get("service_id")]
    # Somebody may have made ours anew. Those that were others' before stay theirs.
    renewed = [record for record in records if record.id not in (known.get("other_records") or [])]
    return next(iter([*recorded, *renewed]), None)


class Service(Resource, module="nova", name="Service"):
    """A service of the catalog.

    nova_infra.Service(
        "service",
        nova_infra.ServiceArgs(name="nova", type="compute", description="OpenStack Compute"),
        opts=pulumi.ResourceOptions(provider=access),
    )
    """

    service_id: pulumi.Output[str]
    """Keystone's UUID; another one after every update."""
    adopted: pulumi.Output[bool]
    """Whether the record was there before us; then destroy leaves it."""
    other_records: pulumi.Output[list[str]]
    """UUIDs of further records of the same type and name, which we leave alone."""

    def __init__(self, name: str, args: ServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs = {
            "name": args.name,
            "type": args.type,
            "description": args.description,
            "service_id": None,
            "adopted": None,
            "other_records": None,
        }
        super().__init__(ServiceLifecycle(), name, inputs, opts)
