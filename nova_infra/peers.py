"""The servers to which a node's services connect, as its nova.conf names them: the node must know their addresses."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from .configuration import as_list
from .errors import StepFailed
from .releases.release import NOVA_CONF
from .remote.inspection import Facts

State = Mapping[str, Any]

# (section, option): a host, `host:port`, a URL, or several of them with commas between.
_OPTIONS = (
    ("DEFAULT", "rabbit_host"),
    ("DEFAULT", "rabbit_hosts"),
    ("database", "connection"),
    ("keystone_authtoken", "identity_uri"),
    ("glance", "host"),
)


def names(state: State) -> dict[str, list[str]]:
    """Host name -> the options that name it, such as `[glance] host`. Addresses need no resolving."""
    found: dict[str, list[str]] = {}
    for section, option in _OPTIONS:
        values = as_list(state["options"].get(NOVA_CONF, {}).get(section, {}).get(option, []))
        for host in (_host(each) for value in values for each in str(value).split(",")):
            if host and not _is_address(host):
                found.setdefault(host, []).append(f"[{section}] {option}")
    return found


def refuse_unknown(state: State, facts: Facts) -> None:
    """Raises StepFailed when the node has no address for a name in its options. nova would only log it and try for ever."""
    unknown = {name: options for name, options in names(state).items() if name in facts.names and not facts.names[name]}
    if unknown:
        said = "; ".join(f"{name}, which {' and '.join(options)} name" for name, options in unknown.items())
        raise StepFailed(
            f"{state['node']} ({state['connection']['host']}): resolving names failed: the machine has no address for {said}. Add it to "
            "/etc/hosts there or to the name server that it asks, or name another host or an address in the stack. Nothing was changed."
        )


def _host(text: str) -> str:
    # Of a URL what stands behind the login; a password in it is percent-encoded and holds no `/` or `@`.
    place = re.sub(r"^\w+(\+\w+)?://([^/@]*@)?", "", text.strip()).split("/")[0]
    bracketed = re.match(r"\[([^\]]*)\]", place)
    return bracketed[1] if bracketed else place.split(":")[0] if place.count(":") == 1 else place


def _is_address(host: str) -> bool:
    try:
        return bool(ipaddress.ip_address(host))
    except ValueError:
        return False
