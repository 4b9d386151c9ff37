"""Endpoint: where clients find a service in a region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi

from ..errors import IdentityError, Problem
from ..identity import EndpointRecord
from .lifecycle import Lifecycle, Resource, State, known_text, required_text

_URLS = ("public_url", "internal_url", "admin_url")


@dataclass(frozen=True)
class EndpointArgs:
    """The three URLs of a service in a region. The service is named by type and name. `%(tenant_id)s` is Keystone's own."""

    region: str
    service_type: str
    service_name: str
    public_url: str
    internal_url: str
    admin_url: str


class EndpointLifecycle(Lifecycle):
    """The record in the Keystone that the provider names. v2.0 cannot update one: an update makes a new record."""

    kind = "endpoint"
    identity = ("region", "service_type", "service_name")
    computed = ("endpoint_id", "adopted", "other_records")

    def name_of(self, wanted: State) -> str:
        """`region/type/name`."""
        return f"{wanted['region']}/{wanted['service_type']}/{wanted['service_name']}"

    def problems(self, wanted: State) -> list[Problem]:
        """Empty names; a URL without scheme or host."""
        problems = required_text(wanted, *self.identity)
        for key in _URLS:
            url = known_text(wanted, key)
            if url is not None and not url.startswith(("http://", "https://")):
                problems.append(Problem(key, f"is {url!r}, which does not begin with http:// or https://"))
        return problems

    def make(self, wanted: State) -> dict[str, Any]:
        """Adopts the record of this region and service, or makes one; never a second."""
        records = self._records(wanted)
        noted = self.access.note_first(self._note(wanted), "found" if records else "new")
        return self._apply(
            _fitting(records, wanted) or (records[0] if records else None), wanted, adopted=noted == "found"
        )

    def look(self, known: State) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The recorded record, or another of the same region and service when that is gone."""
        records = self._records(known)
        record = _ours(records, known)
        if record is None:
            return None
        return {**known, **_urls(record)}, self._outputs(record, records, adopted=bool(known.get("adopted")))

    def change(self, known: State, wanted: State) -> dict[str, Any]:
        """Makes the new record first, then deletes the old one."""
        return self._apply(_ours(self._records(known), known), wanted, adopted=bool(known.get("adopted")))

    def remove(self, known: State) -> None:
        """Deletes our record, unless it was there before us."""
        if not known.get("adopted"):
            record = _ours(self._records(known), known)
            if record is not None:
                self.access.identity.delete_endpoint(record.id)
        self.access.forget_note(self._note(known))

    def _apply(self, old: EndpointRecord | None, wanted: State, *, adopted: bool) -> dict[str, Any]:
        identity = self.access.identity
        # A run that was cut off may have made the new record already.
        record = _fitting([old] if old else [], wanted) or _fitting(self._records(wanted), wanted)
        if record is None:
            urls = [wanted[key] for key in _URLS]
            record = identity.create_endpoint(self._service_id(wanted), wanted["region"], *urls)
        if old is not None and old.id != record.id:
            identity.delete_endpoint(old.id)
        return self._outputs(record, self._records(wanted), adopted=adopted)

    def _service_id(self, state: State) -> str:
        services = self._services(state)
        if not services:
            raise IdentityError(
                f"The endpoint {self.name_of(state)} cannot be made: Keystone has no service {state['service_type']}/{state['service_name']}. "
                "Let it depend on the Service, or create the service first."
            )
        return services[0]

    def _services(self, state: State) -> list[str]:
        return sorted(each.id for each in self.access.identity.services(state["service_name"], state["service_type"]))

    def _records(self, state: State) -> list[EndpointRecord]:
        records = self.access.identity.endpoints(self._services(state))
        return sorted((each for each in records if each.region == state["region"]), key=lambda record: record.id)

    def _outputs(self, record: EndpointRecord, records: list[EndpointRecord], *, adopted: bool) -> dict[str, Any]:
        others = [each.id for each in records if each.id != record.id]
        return {"endpoint_id": record.id, "adopted": adopted, "other_records": others}

    def _note(self, state: State) -> str:
        return f"endpoint.{state['region']}.{state['service_type']}.{state['service_name']}"


def _ours(records: list[EndpointRecord], known: State) -> EndpointRecord | None:
    recorded = [record for record in records if record.id == known.get("endpoint_id")]
    # Somebody may have made ours anew. Those that were others' before stay theirs.
    renewed = [record for record in records if record.id not in (known.get("other_records") or [])]
    return next(iter([*recorded, *renewed]), None)


def _fitting(records: list[EndpointRecord], wanted: State) -> EndpointRecord | None:
    return next((each for each in records if _urls(each) == {key: wanted[key] for key in _URLS}), None)


def _urls(record: EndpointRecord) -> dict[str, str]:
    return {key: getattr(record, key) for key in _URLS}


class Endpoint(Resource, module="nova", name="Endpoint"):
    """The endpoint of a service in a region.

    url = "http://controller:8774/v2/%(tenant_id)s"
    nova_infra.Endpoint(
        "endpoint",
        nova_infra.EndpointArgs("regionOne", "compute", "nova", public_url=url, internal_url=url, admin_url=url),
        opts=pulumi.ResourceOptions(provider=access, depends_on=[service]),
    )
    """

    endpoint_id: pulumi.Output[str]
    """Keystone's UUID; another one after every update."""
    adopted: pulumi.Output[bool]
    """Whether the record was there before us; then destroy leaves it."""
    other_records: pulumi.Output[list[str]]
    """UUIDs of further endpoints of the same region and service, which we leave alone."""

    def __init__(self, name: str, args: EndpointArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs = {
            "region": args.region,
            "service_type": args.service_type,
            "service_name": args.service_name,
            **{key: getattr(args, key) for key in _URLS},
            "endpoint_id": None,
            "adopted": None,
            "other_records": None,
        }
        super().__init__(EndpointLifecycle(), name, inputs, opts)
