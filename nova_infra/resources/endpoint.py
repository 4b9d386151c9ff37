"""Endpoint: where clients find a service in a region."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pulumi

from ..catalog import EndpointRecord, no_endpoint_url, no_text
from ..errors import IdentityError, Problem
from .catalog_record import CatalogRecord
from .lifecycle import Resource, State, known_text, required_text

_URLS = ("public_url", "internal_url", "admin_url")


@dataclass(frozen=True)
class EndpointArgs:
    """The three URLs of a service in a region. It is known by region, type and name, which never change.

    Keystone puts the tenant's id in place of `%(tenant_id)s`.
    """

    region: pulumi.Input[str]
    """The region."""
    service_type: pulumi.Input[str]
    """The type of the service."""
    service_name: pulumi.Input[str]
    """The name of the service."""
    public_url: pulumi.Input[str]
    """The URL for everybody."""
    internal_url: pulumi.Input[str]
    """The URL inside the management network."""
    admin_url: pulumi.Input[str]
    """The URL for administrators."""


class EndpointLifecycle(CatalogRecord[EndpointRecord]):
    """The record in the Keystone that the provider names."""

    kind = "endpoint"
    identity = ("region", "service_type", "service_name")
    contents = looked_at = _URLS
    uuid = "endpoint_id"
    computed = ("endpoint_id", "adopted", "found", "other_records")

    def name_of(self, wanted: State) -> str:
        """`region/type/name`."""
        return f"{wanted['region']}/{wanted['service_type']}/{wanted['service_name']}"

    def problems(self, wanted: State) -> list[Problem]:
        """Empty names; a URL without scheme or host."""
        problems = required_text(wanted, *self.identity)
        for key in (*self.identity, *_URLS):
            if reason := no_text(known_text(wanted, key) or ""):
                problems.append(Problem(key, reason))
        for key in _URLS:
            url = known_text(wanted, key)
            if url is not None and not url.startswith(("http://", "https://")):
                problems.append(Problem(key, f"is {url!r}, which does not begin with http:// or https://"))
            elif url is not None and (reason := no_endpoint_url(url)):
                problems.append(Problem(key, reason))
        return problems

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

    def _create(self, wanted: State, old: EndpointRecord | None) -> EndpointRecord:
        service = old.service_id if old else self._service_id(wanted)
        return self.access.identity.create_endpoint(service, wanted["region"], *(wanted[key] for key in _URLS))

    def _carry_over(self, old: EndpointRecord, new: EndpointRecord) -> None:
        """Nothing hangs on an endpoint."""

    def _delete(self, uuid: str) -> None:
        self.access.identity.delete_endpoint(uuid)

    def _remarks(self, ours: EndpointRecord, records: Iterable[EndpointRecord], state: State) -> list[str]:  # noqa: ARG002
        # Clients look for the type of a service, so that an endpoint of another one of the same type is in the way of ours, too.
        identity, kind, region = self.access.identity, state["service_type"], state["region"]
        of_the_type = identity.endpoints([each.id for each in identity.services_of_type(kind)])
        others = [each for each in of_the_type if each.region == region and each.id != ours.id]
        if not others:
            return []
        url = identity.url_in_catalog(kind, region)
        return [
            f"Keystone has another endpoint of {kind} in {region}, {each.id}: it is left as it is. Clients get "
            f"{self._clients_get(url, ours, each)}. If nobody needs it: keystone endpoint-delete {each.id}."
            for each in sorted(others, key=lambda record: record.id)
        ]

    def _clients_get(self, url: str, ours: EndpointRecord, other: EndpointRecord) -> str:
        mine, theirs = (self.access.identity.as_in_catalog(each.public_url) for each in (ours, other))
        if mine == theirs:
            return "the same URL of both"
        named = {mine: "that of the stack", theirs: "that one"}
        return f"{named.get(url, 'a third one')} ({url})"

    def note_of(self, state: State) -> str:
        """The name of the note about what was there."""
        return f"endpoint.{state['region']}.{state['service_type']}.{state['service_name']}"


class Endpoint(Resource, module="nova", name="Endpoint"):
    """The endpoint of a service in a region.

    ```python
    url = "http://controller:8774/v2/%(tenant_id)s"
    nova_infra.Endpoint(
        "endpoint",
        nova_infra.EndpointArgs("regionOne", "compute", "nova", public_url=url, internal_url=url, admin_url=url),
        opts=pulumi.ResourceOptions(provider=access, depends_on=[service]),
    )
    ```
    """

    endpoint_id: pulumi.Output[str]
    """Keystone's UUID; another one after every update."""
    adopted: pulumi.Output[bool]
    """Whether the record was there before us; then destroy leaves it, with its earlier URLs."""
    found: pulumi.Output[dict[str, str]]
    """What it said before us: `{public_url, internal_url, admin_url}`, or {}."""
    other_records: pulumi.Output[list[str]]
    """UUIDs of further endpoints of the same region and service, which we leave alone."""

    def __init__(self, name: str, args: EndpointArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs: dict[str, Any] = {
            "region": args.region,
            "service_type": args.service_type,
            "service_name": args.service_name,
            **{key: getattr(args, key) for key in _URLS},
            "endpoint_id": None,
            "adopted": None,
            "found": None,
            "other_records": None,
        }
        super().__init__(EndpointLifecycle(), name, inputs, opts)
