"""The shape of what we know of a release."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

NOVA_CONF = "/etc/nova/nova.conf"
NOVA_COMPUTE_CONF = "/etc/nova/nova-compute.conf"


@dataclass(frozen=True)
class Ownership:
    """Who owns a file, and its mode in octal digits."""

    owner: str
    group: str
    mode: str


@dataclass(frozen=True)
class Port:
    """A port of a service, and the options of nova.conf that move it."""

    number: int
    number_option: str
    host_option: str


@dataclass(frozen=True)
class Role:
    """What a node of this role gets."""

    packages: Sequence[str]
    services: Sequence[str]
    """In the order in which they are restarted."""
    files: Mapping[str, str]
    """Path on the node -> name of the template."""
    reads: Mapping[str, Sequence[str]]
    """Service -> the files that it reads."""


@dataclass(frozen=True)
class Release:
    """A release of OpenStack on one distribution."""

    name: str
    controller: Role
    compute: Role
    ownership: Ownership
    """Of the files that the services read; they hold passwords."""
    variables_ownership: Ownership
    """Of files of shell variables with an administrator's login."""
    absent: Sequence[str]
    """What the packages leave and the guide removes."""
    listed_services: frozenset[str]
    """Services that report to the database and stand in `nova service-list`."""
    ports: Mapping[str, Port]
    """Services that are not listed -> where they answer."""
    api_service: str
    """The service that serves the APIs of `apis`."""
    apis: Mapping[str, Port]
    """What stands in `enabled_apis` when nobody sets it, besides what `ports` has -> where it listens."""
