"""What the value of a setting may be: types for pydantic, each with the sentence that refuses what it is not.

Titles are how docs/settings.md calls them.
"""

from __future__ import annotations

import math
import posixpath
import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from .catalog import no_endpoint_url
from .configuration import unprintable, unsupported
from .grants import SCHEMA_PRIVILEGES, no_client_host, no_name, normalized
from .hosts import is_host, parsed_address, refuse_login, split_host
from .packages import no_package_name, no_package_version
from .wording import quoted

_WEEK = 7 * 24 * 3600
# The largest whole number up to which a double holds each one.
_EXACT = 2**53


def _not_empty(value: str) -> str:
    if not value.strip():
        raise ValueError("is empty")
    return value


def _one_line(value: str) -> str:
    if reason := unprintable(value):
        raise ValueError(reason)
    return value


def _trimmed(value: str) -> str:
    # MariaDB and Keystone compare names without the spaces at their ends.
    if value != value.strip():
        raise ValueError("begins or ends with a space")
    return value


def _kept(value: str) -> str:
    if any(character > "\uffff" for character in value):
        raise ValueError("holds a character beyond U+FFFF, which the databases of Keystone and nova do not keep")
    return value


def _carried(value: str) -> str:
    if reason := unsupported(value):
        raise ValueError(reason)
    return value


def _address(value: str) -> str:
    refuse_login(value)
    if parsed_address(value) is None:
        raise ValueError(f"{quoted(value)} is no IP address")
    if "%" in value:
        raise ValueError(f"{quoted(value)} has a zone, which means something on one machine only")
    return value


def _machine_address(value: str) -> str:
    address = parsed_address(_address(value))
    if address is not None and (address.is_unspecified or address.is_multicast or value == "255.255.255.255"):
        raise ValueError(f"{quoted(value)} is no address of a machine")
    return value


def _host(value: str) -> str:
    refuse_login(value)
    if not is_host(value):
        raise ValueError(f"{quoted(value)} is no host name and no IP address")
    return value


def _host_name(value: str) -> str:
    if parsed_address(value) is not None:
        raise ValueError(f"{quoted(value)} is an address; a node is known by its host name")
    return _host(value)


def _host_key(value: str) -> str:
    if not value:
        return value
    # A quarter of the time in which this package is imported; most stacks name a known hosts file.
    import asyncssh  # noqa: PLC0415

    try:
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
    try:
        parts = urlsplit(value)
    except ValueError:
        raise ValueError(f"{quoted(value)} is no URL: what stands in brackets is no IPv6 address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{quoted(value)} is no URL: it needs http:// or https:// and a host")
    if parts.netloc.count(":") > 1 and not parts.netloc.startswith("["):
        raise ValueError(f"{quoted(value)} is no URL: an IPv6 address stands in brackets")
    split_host(parts.netloc)
    return _carried(value)


def _api_url(value: str) -> str:
    # Clients put paths behind it.
    if "?" in value or "#" in value:
        raise ValueError(f"{quoted(value)} goes on behind ? or #; it ends with the version of the API, as in /v2.0")
    return value


def _endpoint_url(value: str) -> str:
    if reason := no_endpoint_url(value):
        raise ValueError(reason)
    return value


def _absolute_path(value: str) -> str:
    if not value.startswith("/") or "\t" in value:
        raise ValueError(f"{quoted(value)} is no absolute path")
    return value


def _schema_name(value: str) -> str:
    if value.lower() in ("mysql", "information_schema", "performance_schema", "sys"):
        raise ValueError(f"{value} is a schema of MariaDB's own")
    return value


def _account(value: str) -> str:
    if reason := no_name(value):
        raise ValueError(reason)
    # As with the password in the address of the database.
    if not value.isascii():
        raise ValueError("holds characters beyond ASCII, which nova's MySQL client does not carry")
    return value


def _client_host(value: str) -> str:
    if reason := no_client_host(value):
        raise ValueError(reason)
    return value


def _privilege(value: str) -> str:
    for name in normalized([value]):
        if name not in SCHEMA_PRIVILEGES:
            raise ValueError(
                f"{quoted(value)} is no privilege on a schema; those are {', '.join(sorted(SCHEMA_PRIVILEGES))}"
            )
    return value


def _shell_file(value: str) -> str:
    if not value:
        return value
    if "\t" in value:
        raise ValueError("holds a tab")
    if not value.startswith("/") or not value.endswith(".sh") or posixpath.normpath(value) != value:
        raise ValueError(f"{quoted(value)} is no absolute path of a file that ends in .sh")
    return value


def _package_name(value: str) -> str:
    if reason := no_package_name(value):
        raise ValueError(reason)
    return value


def _package_version(value: str) -> str:
    if reason := no_package_version(value):
        raise ValueError(reason)
    return value


def _number(value: Any) -> Any:
    # To pydantic `true` is 1.
    if isinstance(value, bool):
        raise ValueError(f"is {str(value).lower()}, where a number is wanted")
    return value


def _text(value: Any) -> Any:
    # YAML reads `true` and `1` as what they look like; a nova.conf holds text.
    if isinstance(value, bool | int | float):
        # The engine keeps a number in 64 bits, and rounds what does not fit.
        if not math.isfinite(value) or abs(value) > _EXACT:
            raise ValueError("is a number that Pulumi rounds. Put it in quotes")
        return str(value)
    if isinstance(value, list):
        if not value:
            raise ValueError("is an empty list; null removes an option")
        # A list within it is none of texts, and may be too deep to look into.
        return [each if isinstance(each, list) else _text(each) for each in value]
    return value


class SecretReference(BaseModel):
    """`{secret: KEY}`: the value of a secret key of the configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    secret: Annotated[str, AfterValidator(_not_empty)]


# A title is what docs/settings.md calls the type.
Text = Annotated[str, AfterValidator(_one_line), AfterValidator(_kept)]
NameOrNone = Annotated[str, AfterValidator(_one_line), AfterValidator(_trimmed), AfterValidator(_kept)]
Name = Annotated[
    str, AfterValidator(_not_empty), AfterValidator(_one_line), AfterValidator(_trimmed), AfterValidator(_kept)
]
OptionText = Annotated[str, AfterValidator(_carried), AfterValidator(_trimmed)]
OptionName = Annotated[
    str, AfterValidator(_not_empty), AfterValidator(_carried), AfterValidator(_trimmed), AfterValidator(_kept)
]
Address = Annotated[str, Field(title="IP address"), AfterValidator(_address)]
MachineAddress = Annotated[str, Field(title="IP address"), AfterValidator(_machine_address)]
AddressOrNone = Annotated[
    str, Field(title="IP address, or empty"), AfterValidator(lambda value: value and _address(value))
]
MachineAddressOrNone = Annotated[
    str, Field(title="IP address, or empty"), AfterValidator(lambda value: value and _machine_address(value))
]
HostName = Annotated[str, Field(title="host name"), AfterValidator(_host_name)]
Host = Annotated[str, Field(title="host name or address"), AfterValidator(_host)]
HostOrNone = Annotated[
    str, Field(title="host name or address, or empty"), AfterValidator(lambda value: value and _host(value))
]
HostKey = Annotated[str, Field(title="public key, or empty"), AfterValidator(_one_line), AfterValidator(_host_key)]
HostAndPort = Annotated[str, Field(title="`host` or `host:port`"), AfterValidator(_host_and_port)]
# SQLAlchemy does not decode the schema's name in a URL: it must need no quoting.
SchemaName = Annotated[
    str, Field(title="letters, digits, `_.~-`", pattern=r"^[A-Za-z0-9_.~-]{1,64}$"), AfterValidator(_schema_name)
]
ClientHost = Annotated[str, Field(title="hosts in lower case, `%` and `_` as in GRANT"), AfterValidator(_client_host)]
Account = Annotated[str, AfterValidator(_not_empty), AfterValidator(_account)]
Privilege = Annotated[str, Field(title="privileges", pattern=r"^[A-Z][A-Z ]*$"), AfterValidator(_privilege)]
Word = Annotated[str, Field(title="letters, digits, `_`", pattern=r"^[A-Za-z0-9_]+$")]
AbsolutePath = Annotated[
    str,
    Field(title="absolute path"),
    AfterValidator(_one_line),
    AfterValidator(_absolute_path),
    AfterValidator(_trimmed),
]
URL = Annotated[str, Field(title="URL"), AfterValidator(_url)]
APIURL = Annotated[str, Field(title="URL"), AfterValidator(_url), AfterValidator(_api_url)]
EndpointURL = Annotated[
    str, Field(title="URL"), AfterValidator(_url), AfterValidator(_kept), AfterValidator(_endpoint_url)
]
ShellFile = Annotated[
    str, Field(title="absolute path, ends in `.sh`"), AfterValidator(_one_line), AfterValidator(_shell_file)
]
Port = Annotated[int, Field(title="1 to 65535", ge=1, le=65535), BeforeValidator(_number)]
PortOrZero = Annotated[int, Field(title="0 to 65535", ge=0, le=65535), BeforeValidator(_number)]
Seconds = Annotated[int, Field(title="seconds, up to a week", gt=0, le=_WEEK), BeforeValidator(_number)]
OptionValue = Annotated[SecretReference | str | list[str] | None, BeforeValidator(_text)]
Layer = Annotated[dict[str, dict[str, OptionValue]], Field(title="section → option → value")]
PackageName = Annotated[str, AfterValidator(_package_name)]
PackageVersion = Annotated[str, AfterValidator(_package_version)]
Packages = Annotated[dict[PackageName, PackageVersion], Field(title="package → version or `present`")]


def in_url(host: str) -> str:
    """A host as it stands before `:port`: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host
