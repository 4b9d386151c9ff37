"""What is wrong between settings, each of which may be fine: two nodes at one place, names of nothing, options that no file carries.

All problems of a stack are said at once. So this looks at the configuration as it was written, of which any part may be missing
or of another type: the models of nova_infra/settings.py say that.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .configuration import as_list, unsupported, unsupported_name
from .defaults import SSH_PORT
from .hosts import is_host, is_port, parsed_address
from .ranges import Written
from .releases import Release
from .settings import OPTIONAL_SECRETS, SECRETS, top_level_keys
from .wording import nearest, quoted, shown

Raw = Mapping[str, Any]
Found = Iterator[tuple[str, str]]


def contradictions(raw: Raw, release: Release, written: Sequence[Written], sections: Collection[str]) -> Found:
    """Keys and what is wrong with them. `raw` is the configuration, objects as `json.loads` makes them, its ranges expanded.

    `written` says of each of `computes` where it stands, `sections` are those of the templates.
    """
    nodes = list(_nodes(raw, written))
    yield from _doubled_nodes(nodes)
    yield from _unknown_nodes(raw, nodes)
    yield from _services(raw, release)
    yield from _first_controller(raw)
    yield from _options(raw, release)
    yield from _spellings(raw, sections)
    yield from _administrators(raw)
    yield from _jump_host(raw)


def layers_in(options: Any) -> Iterator[tuple[str, Any]]:
    """The layers of options with their keys; a layer may be anything."""
    for name, layer in mapping(options).items():
        if name == "nodes":
            for node, own in mapping(layer).items():
                yield f"options.nodes.{node}", own
        elif name in ("all", "controller", "compute"):
            yield f"options.{name}", layer


def options_in(raw: Raw) -> Iterator[tuple[str, str, str, Any]]:
    """The options of all layers: key, section, option, value."""
    for path, layer in layers_in(raw.get("options")):
        for section, options in mapping(layer).items():
            for option, value in mapping(options).items():
                yield f"{path}.{section}.{option}", section, option, value


def mapping(value: Any) -> Raw:
    """The value, or nothing where it is no mapping."""
    return value if isinstance(value, Mapping) else {}


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


# ------------------------------------------------------------ nodes


@dataclass(frozen=True)
class _Node:
    """What a node says, as far as it can be understood; what cannot is None."""

    index: int
    written: Written | None
    """Where it stands; None: it is a controller."""
    name: str | None
    address: str | None
    host: str | None
    port: int | None
    conducts: bool
    """Whether nova-conductor runs on it."""

    @property
    def label(self) -> str:
        of_range = self.written is not None and self.written.of_range
        return f"{self.key()} ({self.name})" if of_range else self.key()

    def key(self, attribute: str = "") -> str:
        if self.written is not None:
            return self.written.key(attribute)
        return f"controllers[{self.index}].{attribute}" if attribute else f"controllers[{self.index}]"

    def marks(self) -> dict[str, tuple[str, str]]:
        """By which it is told from others: attribute -> (in the one form of all, as it was written)."""
        marks = {}
        if self.name is not None:
            # Neither the name service nor MariaDB's collation tells upper from lower case.
            marks["name"] = (f"name {self.name.lower()}", self.name)
        if self.address is not None:
            marks["address"] = (f"address {parsed_address(self.address)}", self.address)
        if self.host is not None and self.port is not None:
            place = f"{parsed_address(self.host) or self.host.lower()} port {self.port}"
            marks["host"] = (f"host {place}", f"{self.host} port {self.port}")
        return marks


def _nodes(raw: Raw, written: Sequence[Written]) -> Iterator[_Node]:
    defaults = mapping(raw.get("computeDefaults"))
    for role in ("controllers", "computes"):
        for index, said in enumerate(_items(raw.get(role))):
            node = mapping(said)
            name, address, host = node.get("name"), node.get("address"), node.get("host") or node.get("address")
            port = node.get("port", defaults.get("port", SSH_PORT) if role == "computes" else SSH_PORT)
            yield _Node(
                index,
                written[index] if role == "computes" else None,
                name if isinstance(name, str) and is_host(name) else None,
                address if isinstance(address, str) and parsed_address(address) else None,
                host if isinstance(host, str) and is_host(host) else None,
                int(port) if is_port(port) else None,
                # Without a list all services run on a controller.
                role == "controllers" and "nova-conductor" in (_items(node.get("services")) or ["nova-conductor"]),
            )


def _doubled_nodes(nodes: Iterable[_Node]) -> Found:
    """Each clash; those of a range with one other entry are one."""
    clashes: dict[tuple[object, ...], list[tuple[str, str]]] = {}
    for node, other, key, reason in _clashes(nodes):
        several = any(each.written is not None and each.written.of_range for each in (node, other))
        group = (key, other.key()) if several else (key, reason)
        clashes.setdefault(group, []).append((key, reason))
    for (key, reason), *more in clashes.values():
        yield key, f"{reason}; so it is with {len(more)} more" if more else reason


def _clashes(nodes: Iterable[_Node]) -> Iterator[tuple[_Node, _Node, str, str]]:
    seen: dict[str, tuple[_Node, str]] = {}
    for node in nodes:
        doubled = [(attribute, text, seen[mark]) for attribute, (mark, text) in node.marks().items() if mark in seen]
        conductor = next((other for _, _, (other, _) in doubled if other.conducts and node.written is not None), None)
        if conductor is not None:
            where = node.name or node.address
            yield (
                *(node, conductor, node.key()),
                f"puts nova-compute on {where}, where nova-conductor runs ({conductor.key()}); the guide forbids both on one host",
            )
        else:
            yield from _doubled(node, doubled)
        for mark, text in node.marks().values():
            seen.setdefault(mark, (node, text))


def _doubled(node: _Node, doubled: list[tuple[str, str, tuple[_Node, str]]]) -> Iterator[tuple[_Node, _Node, str, str]]:
    of = f" of {node.name}" if node.written is not None and node.written.of_range else ""
    for attribute, text, (other, before) in doubled:
        key = node.key(attribute)
        if attribute == "host":
            # Who has the same address is reached at the same place, and has been told so.
            if len(doubled) == 1:
                yield node, other, key, f"is where SSH reaches {other.label} too ({text})"
        elif text == before:
            mine = text if attribute == "name" else f"{text}{of}"
            yield node, other, key, f"{mine} is also that of {other.label}"
        else:
            yield node, other, key, f"is {text}, another way to write {before}, which is that of {other.label}"


def _unknown_nodes(raw: Raw, nodes: Iterable[_Node]) -> Found:
    names = {node.name for node in nodes if node.name is not None}
    for layers in ("options", "packages"):
        for name in mapping(mapping(raw.get(layers)).get("nodes")):
            if name not in names:
                yield f"{layers}.nodes.{name}", f"names no node{nearest(name, names)}"


# ------------------------------------------------------------ controllers


def _services(raw: Raw, release: Release) -> Found:
    known = set(release.controller.services)
    for index, controller in enumerate(_items(raw.get("controllers"))):
        services = [each for each in _items(mapping(controller).get("services")) if isinstance(each, str)]
        for service in dict.fromkeys(services):
            key = f"controllers[{index}].services"
            if service not in known:
                yield key, f"{quoted(service)} is no service of a controller{nearest(service, known)}"
            elif services.count(service) > 1:
                yield key, f"{service} is named more than once"


def _first_controller(raw: Raw) -> Found:
    first = mapping(next(iter(_items(raw.get("controllers"))), None))
    services = _items(first.get("services"))
    if services and "nova-api" not in services:
        yield (
            "controllers[0].services",
            "has no nova-api: whether a service works is asked through it, and the first controller is made before the others",
        )
    if first.get("on_unreachable") == "leave":
        yield (
            "controllers[0].on_unreachable",
            "cannot be leave: nova, the catalog and what was there before us are reached through the first controller. "
            "If that machine is gone for good, take its resources out of the state with `pulumi state delete`",
        )


# ------------------------------------------------------------ options


def _options(raw: Raw, release: Release) -> Found:
    for key, section, option, value in options_in(raw):
        if section != "DEFAULT" and section.upper() == "DEFAULT":
            yield key, f"nova takes the section {section} for another one; did you mean DEFAULT?"
        if (section, option) == ("DEFAULT", "host"):
            yield key, "cannot be set: nova registers its services under it, and the stack knows a node by its name"
        for name in (section, option):
            if reason := unsupported_name(name):
                yield key, f"{quoted(name)} {reason}"
        for text in as_list(value):
            if isinstance(text, str) and (reason := unsupported(text)):
                yield key, f"the value {reason}"
        if _in_plain(option, value):
            name = _secret_named(section, option)
            yield (
                key,
                f"holds a password in plain, which would stand in the state and in plans. Run `pulumi config set --secret {name}` and write {{secret: {name}}}",
            )
        if section == "DEFAULT" and value is not None and (reason := _no_place(option, value, release)):
            yield key, reason


# node.holds_a_secret hides a value on suspicion: `token_cache_time`, `password_length`, `connection_debug` and `rbd_secret_uuid` too. What is
# refused must be a secret for sure, so here a name says it with its end. `_key` alone is none: `inject_key` is true or false.
_PASSWORD_BY_NAME = re.compile(
    r"(?:password|passwd|_pass|_secret|(?:secret|encryption|fixed)_key|(?:admin|auth)_token)$"
)
# `mysql://nova:PASSWORD@controller/nova`, whatever the option is called. What stands behind a host may be a port, and no password.
_PASSWORD_IN_URL = re.compile(r"(?<=\w)://[^/\s:@\[]*:(?!\d{1,5}(?:[/,?#]|$))[^@\s]+@")


def _in_plain(option: str, value: Any) -> bool:
    """Whether the value of an option is a password, or a URL with one, as it stands in the stack file."""
    texts = [str(each) for each in as_list(value) if isinstance(each, str | int | float) and not isinstance(each, bool)]
    # `inject_password` and `enable_instance_password` end so, and are switches.
    by_name = _PASSWORD_BY_NAME.search(option.lower())
    if by_name and any(text and text.lower() not in ("true", "false") for text in texts):
        return True
    return any(_PASSWORD_IN_URL.search(text) for text in texts if "@" in text)


def _secret_named(section: str, option: str) -> str:
    """A name for the secret key of an option: `vmwareHostPassword`."""
    words = re.findall(r"[A-Za-z0-9]+", option if section == "DEFAULT" else f"{section}_{option}")
    name = "".join([*words[:1], *(each[:1].upper() + each[1:] for each in words[1:])]) or "NAME"
    # To set a key that there is already would change something else.
    return f"nova{name[:1].upper()}{name[1:]}" if name in {*SECRETS, *OPTIONAL_SECRETS, *top_level_keys()} else name


def _spellings(raw: Raw, sections: Collection[str]) -> Found:
    """Options of sections that another section is told from by upper and lower case only."""
    spelled: dict[str, set[str]] = {}
    for _, section, _, _ in options_in(raw):
        spelled.setdefault(section.lower(), set()).add(section)
    # oslo.config reads both as one section (cfg._normalize_group_name), and of an option in both the value further down counts: a
    # value of the stack would say nothing where the template's comes later.
    templates = {section.lower(): section for section in sections}
    for key, section, _, _ in options_in(raw):
        name = section.lower()
        meant = templates.get(name) or (name if name in spelled[name] else min(spelled[name]))
        # DEFAULT is the one section that is told from `default`; that has a sentence of its own.
        if name != "default" and section != meant:
            yield (
                key,
                f"nova takes the sections {shown(section)} and {shown(meant)} for one; did you mean {shown(meant)}?",
            )


def _no_place(option: str, value: Any, release: Release) -> str:
    """Why a service that is asked at a port could not be found there, or an empty string."""
    if option in {port.number_option for port in release.ports.values()} and not is_port(value):
        return f"must be a port from 1 to 65535, as {option} says where a service is asked whether it works"
    hosts = {port.host_option for port in release.ports.values()}
    if option in hosts and not (isinstance(value, str) and is_host(value)):
        return f"must be a host name or an address, as {option} says where a service is asked whether it works"
    return ""


# ------------------------------------------------------------ administrators


def _jump_host(raw: Raw) -> Found:
    given = mapping(raw.get("jumpHost"))
    said = [key for key, value in given.items() if value and key != "host"]
    if said and not given.get("host"):
        yield (
            "jumpHost.host",
            f"is missing, and {', '.join(said)} would say nothing: machines would be reached directly",
        )


def _administrators(raw: Raw) -> Found:
    database, identity = mapping(raw.get("database")), mapping(raw.get("identity"))
    if database.get("user", "nova") == database.get("admin_user", "root"):
        yield "database.user", "is also database.admin_user: its password would become novaDatabasePassword"
    user, administrator = identity.get("user", "nova"), identity.get("admin_user", "admin")
    # Keystone's names are compared by MariaDB.
    if isinstance(user, str) and isinstance(administrator, str) and user.lower() == administrator.lower():
        yield "identity.user", "is also identity.admin_user: its password would become novaPassword"
