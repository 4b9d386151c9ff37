"""The typed configuration of a stack. Every bad value is refused by its key, all at once, before anything is touched."""

from __future__ import annotations

import difflib
import ipaddress
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import pulumi
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from .configuration import unsupported, unsupported_name
from .errors import InvalidSettings, Problem
from .releases import release

SECRETS = {
    "novaDatabasePassword": "of the database user nova (NOVA_DBPASS in the guide)",
    "novaPassword": "of the Keystone user nova (NOVA_PASS)",
    "rabbitPassword": "of the message queue's account (RABBIT_PASS)",
    "adminPassword": "of Keystone's administrator (ADMIN_PASS)",
    "databaseAdminPassword": "of the database account that may create schemas and users",
}
OPTIONAL_SECRETS = {
    "sshPrivateKey": "the private key itself, where no file holds it",
    "sshPrivateKeyPassword": "the passphrase of the private key",
    "sshPassword": "for machines that let in with a password",
    "sudoPassword": "where sudo asks for one",
}


def _not_empty(value: str) -> str:
    if not value.strip():
        raise ValueError("is empty")
    return value


def _address(value: str) -> str:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        raise ValueError(f"{value!r} is no IP address") from None
    return value


def _url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{value!r} is no URL: it needs http:// or https:// and a host")
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


Name = Annotated[str, AfterValidator(_not_empty)]
Address = Annotated[str, AfterValidator(_address)]
URL = Annotated[str, AfterValidator(_url)]
OptionValue = Annotated[SecretReference | str | list[str] | None, BeforeValidator(_text)]
Layer = dict[str, dict[str, OptionValue]]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Node(_Part):
    """A machine. Its name is its host name, and the host that nova registers. `address` is its management address."""

    name: Name
    address: Address
    host: str = ""
    """Where SSH reaches it, when that is not the management address."""
    port: int = Field(default=22, ge=1, le=65535)
    user: str = ""
    host_key: str = ""


class Controller(Node):
    """A controller."""

    services: list[str] = Field(default_factory=list)


class SSH(_Part):
    """The login on all machines."""

    user: Name = "root"
    private_key_file: str = ""
    known_hosts_file: str = ""
    verify_host_keys: bool = True


class DatabaseSettings(_Part):
    """Nova's schema and user, and how the server is reached."""

    host: Name = "controller"
    """The name under which the controllers reach the server."""
    name: Name = "nova"
    user: Name = "nova"
    admin_user: Name = "root"
    socket: Name = "/var/run/mysqld/mysqld.sock"
    on_delete: Literal["refuse", "keep", "drop"] = "refuse"


class IdentitySettings(_Part):
    """Keystone."""

    admin_url: URL = "http://controller:35357/v2.0"
    public_url: URL = "http://controller:5000/v2.0"
    admin_user: Name = "admin"
    admin_tenant: Name = "admin"
    service_tenant: Name = "service"
    role: Name = "admin"
    user: Name = "nova"

    @property
    def identity_uri(self) -> str:
        """The admin URL without the version, as keystonemiddleware wants it."""
        return self.admin_url.removesuffix("/").removesuffix("/v2.0")


class MessageQueue(_Part):
    """RabbitMQ."""

    host: Name = "controller"


class ImageService(_Part):
    """Glance."""

    host: Name = "controller"


class VNC(_Part):
    """Consoles."""

    listen: Address = "0.0.0.0"  # noqa: S104 - the guide's value
    base_url: URL = "http://controller:6080/vnc_auto.html"


class EndpointSettings(_Part):
    """The URLs of nova in the catalog."""

    public_url: URL = "http://controller:8774/v2/%(tenant_id)s"
    internal_url: URL = "http://controller:8774/v2/%(tenant_id)s"
    admin_url: URL = "http://controller:8774/v2/%(tenant_id)s"


class ServiceSettings(_Part):
    """Nova in the catalog."""

    name: Name = "nova"
    type: Name = "compute"
    description: str = "OpenStack Compute"


class OptionLayers(_Part):
    """Options of nova.conf over those of the templates; the later layer wins, null removes."""

    all: Layer = Field(default_factory=dict)
    controller: Layer = Field(default_factory=dict)
    compute: Layer = Field(default_factory=dict)
    nodes: dict[str, Layer] = Field(default_factory=dict)


class PackageLayers(_Part):
    """Packages besides the release's own, or their versions: name -> version or `present`."""

    controller: dict[str, str] = Field(default_factory=dict)
    compute: dict[str, str] = Field(default_factory=dict)


class Settings(BaseModel):
    """All of a stack's configuration but its secrets."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)

    release: Literal["juno"] = "juno"
    region: Name = "regionOne"
    controllers: list[Controller] = Field(min_length=1)
    computes: list[Node] = Field(default_factory=list)
    ssh: SSH = SSH()
    database: DatabaseSettings = DatabaseSettings()
    identity: IdentitySettings = IdentitySettings()
    message_queue: MessageQueue = MessageQueue()
    image: ImageService = ImageService()
    vnc: VNC = VNC()
    service: ServiceSettings = ServiceSettings()
    endpoint: EndpointSettings = EndpointSettings()
    options: OptionLayers = OptionLayers()
    packages: PackageLayers = PackageLayers()
    concurrency: int = Field(default=4, ge=1, le=400)

    secrets: Mapping[str, str] = Field(default_factory=dict, repr=False)
    """The secret keys, in plain: who composes a value from one makes a secret Output of it."""

    def nodes(self) -> list[Node]:
        """Controllers, then computes."""
        return [*self.controllers, *self.computes]


def load(config: pulumi.Config) -> Settings:
    """The stack's settings. Raises InvalidSettings with every problem."""
    namespace = config.full_key("")

    def get(key: str) -> Any:
        return config.get(key)

    return parse(
        get,
        keys=[key.removeprefix(namespace) for key in pulumi.runtime.get_config_env() if key.startswith(namespace)],
        is_secret=lambda key: pulumi.runtime.is_config_secret(f"{namespace}{key}"),
        prefix=namespace,
    )


def parse(
    get: Callable[[str], str | None],
    *,
    keys: Iterable[str] = (),
    is_secret: Callable[[str], bool] = lambda _key: False,
    prefix: str = "nova:",
) -> Settings:
    """Settings from texts: `get(key)` is the text of a key or None; objects are JSON. Raises InvalidSettings.

    `keys` are all that the stack sets, to find the misspelled ones.
    """
    known = {to_camel(name) for name in Settings.model_fields if name != "secrets"} | {*SECRETS, *OPTIONAL_SECRETS}
    problems = [
        # A secret of any name may be referred to by an option.
        Problem(prefix + key, f"is not a setting{_nearest(key, known)}")
        for key in keys
        if key not in known and not is_secret(key)
    ]
    raw: dict[str, Any] = {}
    for name, field in Settings.model_fields.items():
        key = to_camel(name)
        if name == "secrets" or get(key) is None:
            continue
        structured = isinstance(field.default, BaseModel) or name in ("controllers", "computes")
        if structured and is_secret(key):
            problems.append(
                Problem(
                    prefix + key,
                    "holds a `secure:` value inside an object, which Pulumi would store in plain. Make it a flat secret key and refer to it as {secret: KEY}",
                )
            )
        raw[key] = _from_text(get(key), structured=structured)
    secrets = {key: value for key in (*SECRETS, *OPTIONAL_SECRETS) if (value := get(key)) is not None}
    for key in (*SECRETS, *OPTIONAL_SECRETS):
        if secrets.get(key) and not is_secret(key):
            reason = f"stands in the stack file in plain. Run `pulumi config set --secret {key}`"
            problems.append(Problem(prefix + key, reason))
    for key, what in SECRETS.items():
        if not secrets.get(key):
            reason = f"is missing: the password {what}. Run `pulumi config set --secret {key}`"
            problems.append(Problem(prefix + key, reason))
    problems += [
        Problem(prefix + key, f"cannot be used: the value {reason}")
        for key, value in secrets.items()
        if (reason := unsupported(value)) and not key.startswith("ssh")
    ]
    try:
        settings = Settings.model_validate(raw)
    except ValidationError as error:
        problems += [Problem(prefix + _path(each["loc"]), _sentence(each)) for each in error.errors()]
        raise InvalidSettings(problems) from None
    for key in _referenced(settings.options):
        value = get(key)
        if value is None or not is_secret(key):
            state = "not set" if value is None else "in plain"
            reason = f"refers to the secret {key}, which is {state}. Run `pulumi config set --secret {key}`"
            problems.append(Problem(f"{prefix}options", reason))
        else:
            secrets[key] = value
    problems += [Problem(prefix + key, reason) for key, reason in _contradictions(settings)]
    if problems:
        raise InvalidSettings(problems)
    return settings.model_copy(update={"secrets": secrets})


def _from_text(text: str | None, *, structured: bool) -> Any:
    if text is None or not structured:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text  # the type is wrong, and the model says so


def _contradictions(settings: Settings) -> Iterable[tuple[str, str]]:
    yield from _doubled_nodes(settings)
    yield from _unknown_names(settings)
    yield from _unsupported_options(settings.options)


def _doubled_nodes(settings: Settings) -> Iterable[tuple[str, str]]:
    nodes: list[tuple[str, Node]] = [(f"controllers[{i}]", node) for i, node in enumerate(settings.controllers)]
    nodes += [(f"computes[{i}]", node) for i, node in enumerate(settings.computes)]
    controllers = {name for node in settings.controllers for name in (node.name, node.address)}
    seen: dict[str, str] = {}
    for key, node in nodes:
        if not isinstance(node, Controller) and controllers & {node.name, node.address}:
            yield (
                key,
                f"puts nova-compute on {node.name}, where nova-conductor runs; the guide forbids both on one host",
            )
            continue
        for attribute in ("name", "address"):
            value = getattr(node, attribute)
            if value in seen:
                yield f"{key}.{attribute}", f"{value} is also that of {seen[value]}"
            seen.setdefault(value, key)


def _unknown_names(settings: Settings) -> Iterable[tuple[str, str]]:
    names = {node.name for node in settings.nodes()}
    for name in settings.options.nodes:
        if name not in names:
            yield f"options.nodes.{name}", f"names no node{_nearest(name, names)}"
    known = set(release(settings.release).controller.services)
    for index, controller in enumerate(settings.controllers):
        for service in controller.services:
            if service not in known:
                yield (
                    f"controllers[{index}].services",
                    f"{service!r} is no service of a controller{_nearest(service, known)}",
                )


def _unsupported_options(layers: OptionLayers) -> Iterable[tuple[str, str]]:
    for path, layer in _layers(layers):
        for section, options in layer.items():
            for option, value in options.items():
                reasons = [f"{name!r} {reason}" for name in (section, option) if (reason := unsupported_name(name))]
                texts = [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]
                reasons += [f"the value {reason}" for text in texts if (reason := unsupported(text))]
                for reason in reasons:
                    yield f"{path}.{section}.{option}", reason


def _layers(layers: OptionLayers) -> Iterable[tuple[str, Layer]]:
    for name in ("all", "controller", "compute"):
        yield f"options.{name}", getattr(layers, name)
    for name, layer in layers.nodes.items():
        yield f"options.nodes.{name}", layer


def _referenced(layers: OptionLayers) -> set[str]:
    return {
        value.secret
        for _, layer in _layers(layers)
        for options in layer.values()
        for value in options.values()
        if isinstance(value, SecretReference)
    }


def _path(location: tuple[int | str, ...]) -> str:
    # Which member of a union did not fit is of no use to the reader.
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part not in ("SecretReference", "str", "list[str]"):
            path += f".{part}" if path else str(part)
    return path


def _sentence(error: Any) -> str:
    kind = error["type"]
    if kind == "extra_forbidden":
        known = _known_keys(error["loc"])
        return f"is not a setting{_nearest(str(error['loc'][-1]), known)}"
    if kind == "missing":
        return "is missing"
    message = str(error["msg"]).removeprefix("Value error, ")
    return message[0].lower() + message[1:]


def _known_keys(location: tuple[int | str, ...]) -> set[str]:
    model: Any = Settings
    for part in location[:-1]:
        if isinstance(part, int):
            continue
        field = next((f for n, f in model.model_fields.items() if part in (n, to_camel(n))), None)
        if field is None:
            return set()
        model = next(
            (
                each
                for each in (field.annotation, *getattr(field.annotation, "__args__", ()))
                if hasattr(each, "model_fields")
            ),
            None,
        )
        if model is None:
            return set()
    return {to_camel(name) if model is Settings else name for name in model.model_fields if name != "secrets"}


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
