"""What a node needs before `up` can succeed on it, by the stack's settings. Nothing here opens a connection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from .. import clock, intent, peers
from ..configuration import as_list
from ..defaults import EVERYWHERE, MARIADB_PORT
from ..hosts import parsed_address, split_host
from ..node import UNMANAGED, State
from ..options import FileOptions, plain_options_of_nodes
from ..packages import PRESENT
from ..releases import release
from ..releases.release import NOVA_CONF, Port, Release
from ..settings import RABBIT_PORT, Controller, Node, Settings

IMAGE_PORT = 9292
_SCHEME_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Place:
    """A server that the node's services connect to."""

    server: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.server} at {self.host}:{self.port}"


@dataclass(frozen=True)
class Listening:
    """Where a service of the node will listen."""

    service: str
    host: str
    port: int


@dataclass(frozen=True)
class Needs:
    """What a node is to be, as far as it can be asked for before `up`."""

    node: str
    state: State
    """As the node's resource has it: name, connection, options in plain, files, services, adopt."""
    packages: tuple[str, ...]
    """As apt takes them: `name`, or `name=version`."""
    names: tuple[str, ...]
    """Host names that the node must resolve, its own among them."""
    places: tuple[Place, ...]
    """What it connects to, message queues last."""
    queue_in_plain: bool
    """Whether the message queues are reached without TLS."""
    listening: tuple[Listening, ...]
    clock_seconds: float
    """By how much its clock may differ before nova takes its services for down."""

    @property
    def queues(self) -> tuple[Place, ...]:
        """The message queues among the places."""
        return tuple(place for place in self.places if place.server == QUEUE)


QUEUE = "RabbitMQ"


def needs_of_nodes(settings: Settings) -> list[Needs]:
    """The needs of each node of the stack, controllers first. Raises InvalidSettings for templates that do not render."""
    options = plain_options_of_nodes(settings)
    return [_needs_of(settings, node, options[node.name]) for node in settings.nodes()]


def _needs_of(settings: Settings, node: Node, options: FileOptions) -> Needs:
    known = release(settings.release)
    default = options.get(NOVA_CONF, {}).get("DEFAULT", {})
    services = intent.services(settings, node)
    packages = intent.packages(settings, node)
    places = tuple(_places(settings, node))
    state = {
        "node": node.name,
        "connection": intent.place(settings, node),
        "options": options,
        "files": dict.fromkeys(options),
        "services": {name: {"reads": list(intent.role(settings, node).reads[name])} for name in services},
        "absent": [],
        "schema": UNMANAGED,
        "adopt": node.adopt,
    }
    return Needs(
        node=node.name,
        state=state,
        packages=tuple(
            name if version == PRESENT else f"{name}={version}" for name, version in sorted(packages.items())
        ),
        names=tuple(_names(settings, node, places, peers.names(state))),
        places=places,
        queue_in_plain=str(default.get("rabbit_use_ssl", "")).lower() not in ("true", "1", "yes", "on"),
        listening=tuple(_listening(known, services, default)),
        clock_seconds=clock.allowed(default),
    )


def _places(settings: Settings, node: Node) -> list[Place]:
    database, image = settings.database, settings.image
    places = []
    if isinstance(node, Controller):
        # A compute node asks the conductor.
        places.append(Place("MariaDB", database.host, database.port or MARIADB_PORT))
        places.append(_of_url("Keystone", settings.identity.admin_url))
    places.append(_of_url("Keystone", settings.identity.public_url))
    places.append(Place("Glance", image.host, image.port or IMAGE_PORT))
    for text in settings.message_queue.hosts:
        host, port = split_host(text)
        places.append(Place(QUEUE, host, int(port or RABBIT_PORT)))
    return list(dict.fromkeys(places))


def _of_url(server: str, url: str) -> Place:
    parts = urlsplit(url)
    return Place(server, parts.hostname or "", parts.port or _SCHEME_PORTS.get(parts.scheme, 80))


def _names(settings: Settings, node: Node, places: Iterable[Place], named: Iterable[str]) -> list[str]:
    hosts = [node.name, *named, *(place.host for place in places)]
    if isinstance(node, Controller):
        endpoint = settings.endpoint
        # `up` itself asks nova through the first controller, at the URL that the catalog names.
        hosts += [
            urlsplit(url).hostname or "" for url in (endpoint.public_url, endpoint.internal_url, endpoint.admin_url)
        ]
    return [host for host in dict.fromkeys(hosts) if host and parsed_address(host) is None]


def _listening(known: Release, services: list[str], default: Mapping[str, Any]) -> list[Listening]:
    listening = [_at(name, port, default) for name, port in known.ports.items() if name in services]
    if known.api_service in services:
        enabled = as_list(default.get("enabled_apis", ",".join(known.apis)))
        apis = {word.strip() for text in enabled for word in str(text).split(",")}
        listening += [_at(known.api_service, port, default) for name, port in known.apis.items() if name in apis]
    return listening


def _at(service: str, port: Port, default: Mapping[str, Any]) -> Listening:
    number = str(default.get(port.number_option, port.number))
    host = str(default.get(port.host_option, EVERYWHERE))
    return Listening(service, host, int(number) if number.isdigit() else port.number)
