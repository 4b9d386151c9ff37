"""The servers to which a node's services connect, as its nova.conf names them: the node must know their addresses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .configuration import as_list
from .errors import StepFailed
from .hosts import parsed_address, split_host
from .releases.release import NOVA_CONF
from .remote.inspection import Facts

State = Mapping[str, Any]

# (section, option) of a host, of hosts with commas between, each with a port or without, and of a URL.
_HOSTS = (("DEFAULT", "rabbit_host"), ("DEFAULT", "rabbit_hosts"), ("glance", "host"))
_URLS = (("database", "connection"), ("keystone_authtoken", "identity_uri"))


def names(state: State) -> dict[str, list[str]]:
    """Host name -> the options that name it, such as `[glance] host`. Addresses need no resolving; what is no host is left out."""
    found: dict[str, list[str]] = {}
    for (section, option), places in _places(state).items():
        for place in places:
            host = _host(place)
            if host and parsed_address(host) is None:
                found.setdefault(host, []).append(f"[{section}] {option}")
    return found


def _places(state: State) -> dict[tuple[str, str], list[str]]:
    options = state["options"].get(NOVA_CONF, {})

    def values(section: str, option: str) -> list[str]:
        return [str(each) for each in as_list(options.get(section, {}).get(option, []))]

    hosts = {each: [host for value in values(*each) for host in value.split(",")] for each in _HOSTS}
    # What stands behind the last @ is no part of a password.
    urls = {
        each: [value.rpartition("@")[2].rpartition("://")[2].split("/")[0] for value in values(*each)] for each in _URLS
    }
    return hosts | urls


def _host(place: str) -> str:
    try:
        host, _port = split_host(place.strip())
    except ValueError:
        return ""
    return host


def refuse_unknown(state: State, facts: Facts) -> None:
    """Raises StepFailed when the node has no address for a name in its options. nova would only log it and try for ever."""
    unknown = {name: options for name, options in names(state).items() if name in facts.names and not facts.names[name]}
    if unknown:
        said = "; ".join(f"{name}, which {' and '.join(options)} name" for name, options in unknown.items())
        raise StepFailed(
            f"{state['node']} ({state['connection']['host']}): resolving names failed: the machine has no address for {said}. Add it to "
            "/etc/hosts there or to the name server that it asks, or name another host or an address in the stack. Nothing was changed."
        )
