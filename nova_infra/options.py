"""From templates, settings and layers to the options of a node's files, each secret a leaf of its own."""

from __future__ import annotations

import secrets
import sysconfig
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import pulumi

from . import openrc
from .configuration import merge, unsupported
from .errors import InvalidSettings, Problem
from .masking import mask
from .releases import Release, release
from .releases.release import NOVA_CONF
from .settings import Controller, Node, Settings
from .templates import render_options, render_variables, sections_of
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


def template_sections(known: Release) -> set[str]:
    """The sections of all templates of oslo.config files of a release."""
    directory = templates_directory(known.name)
    names = {template for role in (known.controller, known.compute) for template in role.files.values()}
    return {section for name in names for section in sections_of(directory / name)}


def options_of_nodes(settings: Settings) -> dict[str, FileOptions]:
    """`{node: {path: {section: {option: value}}}}` of all nodes. A value made from a secret is a secret Output.

    A file of shell variables (nova_infra/openrc.py) has the one section `export`.

    Raises InvalidSettings with every problem of every template and node.
    """
    return {
        node: {path: _each(sections, _revealed) for path, sections in paths.items()}
        for node, paths in _whole(settings).items()
    }


def plain_options_of_nodes(settings: Settings) -> dict[str, FileOptions]:
    """As `options_of_nodes`, with every value in plain, secrets too: for who compares them with what is on a machine."""
    return {
        node: {path: _each(sections, _in_plain) for path, sections in paths.items()}
        for node, paths in _whole(settings).items()
    }


def _whole(settings: Settings) -> dict[str, dict[str, _Sections]]:
    files, problems = _rendered(settings)
    if problems:
        raise InvalidSettings(problems)
    return files


def template_problems(settings: Settings) -> list[Problem]:
    """What is wrong with the templates, each problem once."""
    return _rendered(settings)[1]


def _rendered(settings: Settings) -> tuple[dict[str, dict[str, _Sections]], list[Problem]]:
    files: dict[str, dict[str, _Sections]] = {}
    problems: list[Problem] = []
    for node in settings.nodes():
        rendering = _Rendering(settings, node)
        files[node.name] = {}
        for path, render in _sources(settings, node):
            try:
                files[node.name][path] = render(rendering)
            except InvalidSettings as error:
                problems += error.problems
    # Many nodes share a template.
    return files, list(dict.fromkeys(problems))


def _sources(settings: Settings, node: Node) -> Iterable[tuple[str, Callable[[_Rendering], _Sections]]]:
    """The files of a node, and how each gets its options."""
    directory = templates_directory(settings.release)
    known = release(settings.release)
    role = known.controller if isinstance(node, Controller) else known.compute
    for path, template in role.files.items():
        layers = _layers(settings, node) if path == NOVA_CONF else []
        yield path, partial(_options, directory / template, layers)
    if settings.identity.admin_openrc and isinstance(node, Controller):
        yield settings.identity.admin_openrc, partial(_variables, directory / ADMIN_OPENRC)


def _options(template: Path, layers: Sequence[Mapping[str, Mapping[str, Any]]], rendering: _Rendering) -> _Sections:
    resolved = [rendering.resolved(layer) for layer in layers]
    return merge([render_options(template, partial(rendering.value, unsupported=unsupported)), *resolved])


def _variables(template: Path, rendering: _Rendering) -> _Sections:
    return render_variables(template, partial(rendering.value, unsupported=openrc.unsupported))


class _Plain:
    """A rendered value, and whether a secret is part of it."""

    def __init__(self, value: str | list[str], *, secret: bool) -> None:
        self.value = value
        self.secret = secret


_Sections = dict[str, dict[str, _Plain]]


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701 - no HTML
    environment.filters["url_quoted"] = lambda text: quote(str(text), safe="")
    environment.filters["in_url"] = in_url
    environment.globals["omit"] = _OMIT
    return environment


@lru_cache(maxsize=1024)
def _compiled(source: str) -> jinja2.Template:
    # Of 100 nodes each has the same sources.
    return _environment().from_string(source)


class _Rendering:
    """Renders the Jinja2 source of one value after the other for a node."""

    def __init__(self, settings: Settings, node: Node) -> None:
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

    def value(self, source: str, *, unsupported: Callable[[str], str]) -> _Plain | None:
        """What the source renders to; None where that is `omit`. What it raises says no secret."""
        used: list[str] = []

        def secret(key: str) -> str:
            if key not in self._secrets:
                raise jinja2.TemplateRuntimeError(f"there is no secret {key}")
            used.append(key)
            return self._secrets[key]

        try:
            # Most values are plain text.
            text = _compiled(source).render(self._names, secret=secret) if "{" in source else source
        except Exception as error:
            raise jinja2.TemplateRuntimeError(mask(str(error), self._secrets.values())) from None
        if text == _OMIT:
            return None
        if _OMIT in text:
            raise jinja2.TemplateRuntimeError("omit must be all of a value")
        if reason := unsupported(text):
            raise jinja2.TemplateRuntimeError(f"the value {reason}")
        return _Plain(text, secret=bool(used))

    def resolved(self, layer: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """A layer of the stack's options, with the secrets that it refers to."""

        def plain(value: Any) -> Any:
            if value is None:
                return None
            if isinstance(value, SecretReference):
                return _Plain(self._secrets[value.secret], secret=True)
            return _Plain(value, secret=False)

        return {
            section: {option: plain(value) for option, value in options.items()} for section, options in layer.items()
        }


def _layers(settings: Settings, node: Node) -> list[Mapping[str, Mapping[str, Any]]]:
    options = settings.options
    role = options.controller if isinstance(node, Controller) else options.compute
    return [options.all, role, options.nodes.get(node.name, {})]


def _each(sections: _Sections, made: Callable[[_Plain], Any]) -> dict[str, dict[str, Any]]:
    return {
        section: {option: made(plain) for option, plain in options.items()} for section, options in sections.items()
    }


def _revealed(plain: _Plain) -> Any:
    return pulumi.Output.secret(plain.value) if plain.secret else plain.value


def _in_plain(plain: _Plain) -> str | list[str]:
    return plain.value
