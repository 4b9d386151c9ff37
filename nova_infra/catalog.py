"""What Keystone keeps, as plain records, and the texts that it would not keep as they are."""

from __future__ import annotations

import re
from dataclasses import dataclass

# What Keystone puts into the URL of an endpoint (keystone/catalog/core.py and WHITELISTED_PROPERTIES, Juno).
_REPLACED = (
    *("tenant_id", "user_id", "compute_host", "compute_port"),
    *("admin_bind_host", "admin_endpoint", "admin_port", "public_bind_host", "public_endpoint", "public_port"),
)


@dataclass(frozen=True)
class User:
    """A Keystone user. `id` is Keystone's UUID; `default_tenant_id` that of its default tenant, or empty."""

    id: str
    name: str
    email: str
    enabled: bool
    default_tenant_id: str = ""


@dataclass(frozen=True)
class ServiceRecord:
    """A service in the catalog."""

    id: str
    name: str
    type: str
    description: str


@dataclass(frozen=True)
class EndpointRecord:
    """An endpoint in the catalog. In v2.0 one record carries all three URLs."""

    id: str
    service_id: str
    region: str
    public_url: str
    internal_url: str
    admin_url: str


def no_name(name: str) -> str:
    """Why Keystone would keep another name of a user than `name`, or none, or an empty string."""
    if name != name.strip():
        return "begins or ends with a space, which Keystone leaves out"
    if "\0" in name:
        return "holds a NUL, which Keystone does not keep"
    return no_text(name)


def no_text(text: str) -> str:
    """Why Keystone would keep another text than `text`, or none, or an empty string."""
    if any(character > "\uffff" for character in text):
        return "holds a character beyond U+FFFF, which Keystone's database does not keep"
    return ""


def no_endpoint_url(url: str) -> str:
    """Why Keystone could not hand out `url`, or an empty string. One that it cannot format takes the whole catalog down."""
    rest = re.sub(rf"%%|[%$]\(({'|'.join(_REPLACED)})\)s", "", url)
    if "%" in rest or "$(" in rest:
        return f"holds a `%` or `$(` that Keystone cannot replace: it knows {', '.join(f'%({each})s' for each in _REPLACED)}; a percent sign is %%"
    return ""
