"""Hosts, addresses and ports as texts: what they are, and what they are not."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from .wording import quoted


def refuse_login(value: str) -> None:
    """Raises ValueError, which does not quote it, for a host or an address with something ahead of an @: it may be a password."""
    if "@" in value:
        raise ValueError("holds a login; users and passwords are keys of their own")


def parsed_address(value: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address, or None of what is none. An IPv4 address in the form of IPv6 (`::ffff:10.0.0.11`) is the IPv4 address."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def is_host(value: str) -> bool:
    """Whether it is a host name or an address without a zone."""
    labels = value.split(".")
    # An underscore is no part of a host name, but resolvers and containers have them.
    if all(re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?", label) for label in labels):
        # The resolver takes `10.0.0` or `0x7f` for an address.
        as_number = re.fullmatch(r"[0-9]+|0[xX][0-9A-Fa-f]*", labels[-1])
        return len(value) <= 253 and (not as_number or parsed_address(value) is not None)
    # A zone (fe80::1%eth0) has no place in a URL.
    return "%" not in value and parsed_address(value) is not None


def is_port(value: Any) -> bool:
    """Whether it is a whole number from 1 to 65535, or the text of one."""
    digits = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return bool(re.fullmatch(r"[0-9]{1,5}", digits)) and 1 <= int(digits) <= 65535


def split_host(value: str) -> tuple[str, str]:
    """The host and the port, or an empty text, of `host`, `host:port`, `::1` or `[::1]:port`. Raises ValueError."""
    refuse_login(value)
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::(.*))?", value, re.DOTALL)
    if bracketed:
        host, port = bracketed[1], bracketed[2]
        right = ":" in host and is_host(host)
    else:
        host, _, port = value.rpartition(":") if value.count(":") == 1 else (value, "", None)
        right = is_host(host)
    if not right:
        raise ValueError(f"{quoted(value)} is no host name and no IP address, with :PORT or without")
    if port is not None and not is_port(port):
        raise ValueError(f"the port of {quoted(value)} is no number from 1 to 65535")
    return host, port or ""
