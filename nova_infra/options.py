"""From templates, settings and layers to the options of a node's files, each secret a leaf of its own."""

from __future__ import annotations

import secrets
import sysconfig
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import pulumi

from . import openrc
from .configuration import as_list, merge, render_template, unsupported
from .errors import InvalidSettings, Problem
from .releases import Role
from .releases.release import NOVA_CONF
from .settings import Controller, Node, Settings
from .values import SecretReference, in_url

ADMIN_OPENRC = "controller/admin-openrc.sh"
FileOptions = dict[str, dict[str, dict[str, Any]]]
# What `{{ omit }}` renders to. No value of a user can be the same: it is made anew in each process.
_OMIT = f"<omit {secrets.token_hex(16)}>"


def templates_directory(release: str) -> Path:
    """The templates of a release: beside the package in a checkout, under share/ where it is installed."""
    checkout = Path(__file__).parents[1] / "templates" / release
    if checkout.is_dir():
        return checkout
    return Path(sysconfig.get_path("data")) / "share" / "nova-infra" / "templates" / release


def node_options(settings: Settings, node: Node, role: Role) -> FileOptions:
    """`{path: {section: {option: value}}}` for a node. A value made from a secret is a secret Output.

    A file of shell variables (nova_infra/openrc.py) has the one section `export`.

    Raises InvalidSettings for a value that the file cannot carry, UnreadableFile for a template that does not render.
    """
    directory = templates_directory(settings.release)
    rendering = _Rendering(settings, node)
    files: FileOptions = {}
    for path, template in role.files.items():
        layers: list[Mapping[str, Mapping[str, Any]]] = [render_template(directory / template, rendering.value)]
        if path == NOVA_CONF:
            layers += [_resolved(layer, settings) for layer in _layers(settings, node)]
        files[path] = _revealed(merge(layers), unsupported)
    path = settings.identity.admin_openrc
    if path and isinstance(node, Controller):
        variables = openrc.render_variables(directory / ADMIN_OPENRC, rendering.value)
        files[path] = _revealed(variables, openrc.unsupported)
    return files


class _Plain:
    """A rendered value, and whether a secret is part of it."""

    def __init__(self, value: str | list[str], *, secret: bool) -> None:
        self.value = value
        self.secret = secret


class _Rendering:
    """Renders the Jinja2 source of one value after the other for a node."""

    def __init__(self, settings: Settings, node: Node) -> None:
        self._environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701 - no HTML
        self._environment.filters["url_quoted"] = lambda text: quote(str(text), safe="")
        self._environment.filters["in_url"] = in_url
        self._environment.globals["omit"] = _OMIT
        self._secrets = settings.secrets
        self._names = {
            "node": node,
            "database": settings.database,
            "identity": settings.identity,
            "message_queue": settings.message_queue,
            "image": settings.image,
            "vnc": settings.vnc,
            "region": settings.region,
        }

    def value(self, source: str) -> _Plain | None:
        """What the source renders to; None where that is `omit`."""
        used: list[str] = []

        def secret(key: str) -> str:
            if key not in self._secrets:
                raise jinja2.TemplateRuntimeError(f"there is no secret {key}")
            used.append(key)
            return self._secrets[key]

        text = self._environment.from_string(source).render(self._names, secret=secret)
        if text == _OMIT:
            return None
        if _OMIT in text:
            raise jinja2.TemplateRuntimeError("omit must be all of a value")
        return _Plain(text, secret=bool(used))


def _layers(settings: Settings, node: Node) -> list[Mapping[str, Mapping[str, Any]]]:
    options = settings.options
    role = options.controller if isinstance(node, Controller) else options.compute
    return [options.all, role, options.nodes.get(node.name, {})]


def _resolved(layer: Mapping[str, Mapping[str, Any]], settings: Settings) -> dict[str, dict[str, Any]]:
    def plain(value: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, SecretReference):
            return _Plain(settings.secrets[value.secret], secret=True)
        return _Plain(value, secret=False)

    return {section: {option: plain(value) for option, value in options.items()} for section, options in layer.items()}


def _revealed(
    sections: Mapping[str, Mapping[str, _Plain]], unsupported: Callable[[str], str]
) -> dict[str, dict[str, Any]]:
    problems = [
        Problem(f"[{section}] {option}", f"a value {reason}")
        for section, options in sections.items()
        for option, plain in options.items()
        for text in as_list(plain.value)
        if (reason := unsupported(text))
    ]
    if problems:
        raise InvalidSettings(problems)
    return {
        section: {
            option: pulumi.Output.secret(plain.value) if plain.secret else plain.value
            for option, plain in options.items()
        }
        for section, options in sections.items()
    }
