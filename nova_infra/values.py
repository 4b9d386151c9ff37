"""What the value of a setting may be: types for pydantic, each with the sentence that refuses what it is not.

Titles are how docs/settings.md calls them.
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
from typing import Annotated, Any
from urllib.parse import urlsplit

import asyncssh
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from .configuration import unprintable, unsupported
from .resources.node_packages import no_package_name, no_package_version

_WEEK = 7 * 24 * 3600


def _not_empty(value: str) -> str:
    if not value.strip():
        raise ValueError("is empty")
    return value


def _one_line(value: str) -> str:
    if reason := unprintable(value):
        raise ValueError(reason)
    return value


def _carried(value: str) -> str:
    if reason := unsupported(value):
        raise ValueError(reason)
    return value


def _address(value: str) -> str:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        raise ValueError(f"{value!r} is no IP address") from None
    return value


def _is_host(value: str) -> bool:
    # An underscore is no part of a host name, but resolvers and containers have them.
    if all(re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?", label) for label in value.split(".")):
        return len(value) <= 253
    try:
        # A zone (fe80::1%eth0) has no place in a URL.
        return "%" not in value and bool(ipaddress.ip_address(value))
    except ValueError:
        return False


def _host(value: str) -> str:
    if not _is_host(value):
        raise ValueError(f"{value!r} is no host name and no IP address")
    return value


def split_host(value: str) -> tuple[str, str]:
    """The host and the port, or an empty text, of `host`, `host:port`, `::1` or `[::1]:port`. Raises ValueError."""
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::(.*))?", value, re.DOTALL)
    if bracketed:
        host, port = bracketed[1], bracketed[2]
        right = ":" in host and _is_host(host)
    else:
        host, _, port = value.rpartition(":") if value.count(":") == 1 else (value, "", None)
        right = _is_host(host)
    if not right:
        raise ValueError(f"{value!r} is no host name and no IP address, with :PORT or without")
    if port is not None and not (re.fullmatch(r"[0-9]{1,5}", port) and 1 <= int(port) <= 65535):
        raise ValueError(f"the port of {value!r} is no number from 1 to 65535")
    return host, port or ""


def _host_key(value: str) -> str:
    try:
        if value:
            asyncssh.import_public_key(value)
    except asyncssh.KeyImportError:
        raise ValueError(
            "is no public key such as `ssh-ed25519 AAAA...`: what ssh-keyscan prints, without the host"
        ) from None
    return value


def _host_and_port(value: str) -> str:
    split_host(value)
    return value


def _url(value: str) -> str:
    # urlsplit would drop a newline without a word.
    if re.search(r"\s", value) or unprintable(value):
        raise ValueError("holds a space or a control character, which a URL cannot carry")
    if "@" in value:
        raise ValueError("holds a login; passwords are secret keys of their own")
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{value!r} is no URL: it needs http:// or https:// and a host")
    if not _is_host(parts.hostname):
        raise ValueError(f"{parts.hostname!r} is no host name and no IP address")
    try:
        parts.port  # noqa: B018 - it is read to be checked
    except ValueError:
        raise ValueError(f"the port of {value!r} is no number from 0 to 65535") from None
    return _carried(value)


def _shell_file(value: str) -> str:
    if not value:
        return value
    if not value.startswith("/") or not value.endswith(".sh") or posixpath.normpath(value) != value:
        raise ValueError(f"{value!r} is no absolute path of a file that ends in .sh")
    return value


def _package_name(value: str) -> str:
    if reason := no_package_name(value):
        raise ValueError(reason)
    return value


def _package_version(value: str) -> str:
    if reason := no_package_version(value):
        raise ValueError(reason)
    return value


def _text(value: Any) -> Any:
    # YAML reads `true` and `1` as what they look like; a nova.conf holds text.
    if isinstance(value, bool | int | float):
        return str(value)
    if isinstance(value, list):
        return [_text(each) for each in value]
    return value


class SecretReference(BaseModel):
    """`{secret: KEY}`: the value of a secret key of the configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    secret: Annotated[str, AfterValidator(_not_empty)]


# A title is what docs/settings.md calls the type.
Text = Annotated[str, AfterValidator(_one_line)]
Name = Annotated[str, AfterValidator(_not_empty), AfterValidator(_one_line)]
OptionText = Annotated[str, AfterValidator(_carried)]
OptionName = Annotated[str, AfterValidator(_not_empty), AfterValidator(_carried)]
Address = Annotated[str, Field(title="IP address"), AfterValidator(_address)]
AddressOrNone = Annotated[
    str, Field(title="IP address, or empty"), AfterValidator(lambda value: value and _address(value))
]
Host = Annotated[str, Field(title="host name or address"), AfterValidator(_host)]
HostOrNone = Annotated[
    str, Field(title="host name or address, or empty"), AfterValidator(lambda value: value and _host(value))
]
HostKey = Annotated[str, Field(title="public key, or empty"), AfterValidator(_one_line), AfterValidator(_host_key)]
HostAndPort = Annotated[str, Field(title="`host` or `host:port`"), AfterValidator(_host_and_port)]
# SQLAlchemy does not decode the schema's name in a URL: it must need no quoting.
SchemaName = Annotated[str, Field(title="letters, digits, `_.~-`", pattern=r"^[A-Za-z0-9_.~-]{1,64}$")]
ClientHost = Annotated[str, Field(title="hosts in lower case, `%` and `_` as in GRANT", pattern=r"^[a-z0-9._%:/-]+$")]
Privilege = Annotated[str, Field(title="privileges", pattern=r"^[A-Z][A-Z ]*$")]
Word = Annotated[str, Field(title="letters, digits, `_`", pattern=r"^[A-Za-z0-9_]+$")]
URL = Annotated[str, Field(title="URL"), AfterValidator(_url)]
ShellFile = Annotated[
    str, Field(title="absolute path, ends in `.sh`"), AfterValidator(_one_line), AfterValidator(_shell_file)
]
Port = Annotated[int, Field(title="1 to 65535", ge=1, le=65535)]
PortOrZero = Annotated[int, Field(title="0 to 65535", ge=0, le=65535)]
Seconds = Annotated[int, Field(title="seconds, up to a week", gt=0, le=_WEEK)]
OptionValue = Annotated[SecretReference | str | list[str] | None, BeforeValidator(_text)]
Layer = Annotated[dict[str, dict[str, OptionValue]], Field(title="section → option → value")]
PackageName = Annotated[str, AfterValidator(_package_name)]
PackageVersion = Annotated[str, AfterValidator(_package_version)]
Packages = Annotated[dict[PackageName, PackageVersion], Field(title="package → version or `present`")]


def in_url(host: str) -> str:
    """A host as it stands before `:port`: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host
