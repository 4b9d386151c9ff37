"""Keystone: whether the administrator gets in, what must be there, and what `up` would adopt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ..catalog import EndpointRecord, ServiceRecord
from ..errors import IdentityError
from ..identity import Identity
from ..resources.endpoint import EndpointLifecycle
from ..resources.keystone_user import KeystoneUserLifecycle
from ..resources.service import ServiceLifecycle
from ..settings import Settings
from .finding import Finding, from_sentence

WHERE = "Keystone"


@dataclass(frozen=True)
class Catalog:
    """What Keystone answered. `refusals` are sentences: a tenant or role that is missing."""

    user: bool = False
    services: tuple[ServiceRecord, ...] = ()
    endpoints: tuple[EndpointRecord, ...] = ()
    refusals: tuple[str, ...] = ()


def notes(settings: Settings) -> dict[str, str]:
    """The notes on the first controller that say that we manage the `user`, the `service` and the `endpoint`."""
    service = {"name": settings.service.name, "type": settings.service.type}
    endpoint = {"region": settings.region, "service_type": service["type"], "service_name": service["name"]}
    return {
        "user": KeystoneUserLifecycle().note_of({"name": settings.identity.user}),
        "service": ServiceLifecycle().note_of(service),
        "endpoint": EndpointLifecycle().note_of(endpoint),
    }


def ask(identity: Identity, settings: Settings) -> Catalog:
    """Asks Keystone and changes nothing. Raises IdentityError when the administrator does not get in."""
    user = identity.find_user(settings.identity.user)
    services = identity.services(settings.service.name, settings.service.type)
    endpoints = identity.endpoints([each.id for each in services])
    tenants = dict.fromkeys(
        name for name in (settings.identity.service_tenant, settings.identity.default_tenant) if name
    )
    refusals = [
        *(_refusal(identity.tenant_id, name) for name in tenants),
        _refusal(identity.role_id, settings.identity.role),
    ]
    return Catalog(
        user is not None,
        tuple(services),
        tuple(each for each in endpoints if each.region == settings.region),
        tuple(filter(None, refusals)),
    )


def _refusal(question: Callable[[str], str], name: str) -> str:
    try:
        question(name)
    except IdentityError as error:
        return str(error)
    return ""


def findings(settings: Settings, catalog: Catalog, managed: Mapping[str, bool]) -> list[Finding]:
    """The problems and notes; `managed` says of user, service and endpoint whether they are ours already."""
    return [
        *(from_sentence(WHERE, "tenant and role", refusal) for refusal in catalog.refusals),
        *_doubled(settings, catalog),
        *_adopted(settings, catalog, managed),
    ]


def _doubled(settings: Settings, catalog: Catalog) -> Iterable[Finding]:
    key = f"{settings.service.type}/{settings.service.name}"
    if len(catalog.services) > 1:
        ids = ", ".join(sorted(each.id for each in catalog.services))
        yield Finding(
            WHERE,
            "service",
            f"there are {len(catalog.services)} services {key} ({ids}): clients may get either",
            "Find out which one is in use, and delete the others (keystone service-delete ID, which deletes their endpoints too)",
        )
    if len(catalog.endpoints) > 1:
        ids = ", ".join(sorted(each.id for each in catalog.endpoints))
        yield Finding(
            WHERE,
            "endpoint",
            f"{key} has {len(catalog.endpoints)} endpoints in the region {settings.region} ({ids}): clients may get either",
            "Find out which one is in use, and delete the others (keystone endpoint-delete ID)",
        )


def _adopted(settings: Settings, catalog: Catalog, managed: Mapping[str, bool]) -> Iterable[Finding]:
    user = settings.identity.user
    if catalog.user and not managed["user"]:
        yield Finding(
            WHERE,
            "adoption",
            f"the user {user} is there already",
            "`up` takes it over and sets its password to novaPassword; `pulumi destroy` leaves it",
            note=True,
        )
    for subject, records in (("service", catalog.services), ("endpoint", catalog.endpoints)):
        if records and not managed[subject]:
            yield Finding(
                WHERE,
                "adoption",
                f"the {subject} of {settings.service.type}/{settings.service.name} is there already",
                "`up` takes it over and makes it as the stack says; `pulumi destroy` puts back what it says now",
                note=True,
            )
