"""What docs/errors.md says of the configuration: each mistake alone, as the reader of a stack makes it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nova_infra.errors import InvalidSettings
from nova_infra.options import options_of_nodes
from nova_infra.stack_config import parse
from tests.error_rows import PAGE, assert_printed

from .test_settings import COMPUTE, CONTROLLER, PASSWORDS, parsed
from .test_templates import project  # noqa: F401 - a fixture


@dataclass
class Mistake:
    """A row, and what makes it happen."""

    cause: str
    values: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, str | None] = field(default_factory=dict)
    plain: str = ""
    hidden: str = ""


def happens(cause: str, values: dict[str, Any] | None = None, **more: Any) -> Mistake:
    return Mistake(cause, values or {}, **more)


def options(value: Any) -> dict[str, Any]:
    return {"options": {"all": {"DEFAULT": {"a": value}}}}


MISTAKES = [
    happens("A password is missing or empty", secrets={"novaPassword": None}),
    happens("A password is missing or empty", secrets={"novaPassword": ""}),
    happens("A password is nothing but spaces", secrets={"adminPassword": "  "}),
    happens("A password cannot be written into a file or sent", secrets={"rabbitPassword": "hunter2\n"}),
    happens("A password cannot be written into a file or sent", secrets={"sshPassword": "hunter2\n"}),
    happens("A password stands in the stack file in plain", plain="novaPassword"),
    happens("A password is an object or a list", secrets={"novaPassword": '{"a": "hunter2"}'}),
    happens("A `secure:` value stands inside an object", {"vnc": {"listen": "hunter2"}}, hidden="vnc"),
    happens("A setting is stored as a secret", {"region": "hunter2"}, hidden="region"),
    happens("An option refers to a secret that is not set", options({"secret": "vcenter"})),
    happens("An option refers to a secret that is empty", options({"secret": "vcenter"}), secrets={"vcenter": " "}),
    happens("An option refers to a setting", options({"secret": "region"})),
    happens("A key is not known", {"regoin": "regionOne"}),
    happens("A value has another type", {"computes": {"name": "compute1"}}),
    happens("The release is not known", {"release": "kilo"}),
    happens("A tenant or the region is empty", {"region": ""}),
    happens("A tenant or the region is empty", {"identity": {"service_tenant": " "}}),
    happens("An address is none", {"computes": [{**COMPUTE, "address": "compute1"}]}),
    happens("A host name is none", {"computes": [{**COMPUTE, "name": "compute 1"}]}),
    happens("Two nodes have one name", {"computes": [COMPUTE, {**COMPUTE, "address": "10.0.0.32"}]}),
    happens(
        "Two nodes have one address, in two forms",
        {"computes": [COMPUTE, {"name": "compute2", "address": "::ffff:10.0.0.31"}]},
    ),
    happens(
        "Two nodes are reached at one place",
        {"computes": [COMPUTE, {"name": "compute2", "address": "10.0.0.32", "host": "10.0.0.31"}]},
    ),
    happens("A compute node is a controller too", {"computes": [CONTROLLER]}),
    happens("A layer is not known", {"options": {"al": {}}}),
    happens("A role of packages is not known", {"packages": {"controler": {}}}),
    happens("A layer is of a node that is none", {"options": {"nodes": {"compute9": {}}}}),
    happens("A service is not known", {"controllers": [{**CONTROLLER, "services": ["nova-api", "nova-sheduler"]}]}),
    happens("The first controller has no nova-api", {"controllers": [{**CONTROLLER, "services": ["nova-cert"]}]}),
    happens("A host holds a login", {"messageQueue": {"hosts": ["guest:hunter2@mq1"]}}),
    happens("A URL has no host", {"identity": {"admin_url": "http://:35357/v2.0"}}),
    happens("A URL holds a login", {"identity": {"public_url": "http://a:hunter2@controller:5000"}}),
    happens("A URL of Keystone has a query", {"identity": {"admin_url": "http://controller:35357/v2.0?a=b"}}),
    happens("Keystone cannot fill in a URL", {"endpoint": {"public_url": "http://controller:8774/v2/%(project)s"}}),
    happens("The user is the administrator", {"database": {"user": "root"}}),
    happens("The user is the administrator", {"identity": {"user": "admin"}}),
    happens("An option cannot be written into nova.conf", options("two\nlines")),
    happens("Two sections differ only in upper and lower case", {"options": {"all": {"Libvirt": {"a": "x"}}}}),
    happens(
        "A password stands among the options in plain",
        {"options": {"all": {"DEFAULT": {"rabbit_password": "hunter2"}}}},
    ),
    happens(
        "A password stands among the options in plain",
        {"options": {"all": {"database": {"connection": "mysql://nova:hunter2@controller/nova"}}}},
    ),
    happens("An option's number would be rounded", options(12345678901234567890)),
    happens("A version of a package is none", {"packages": {"compute": {"ntp": "latest"}}}),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=[each.cause for each in MISTAKES])
def test_a_mistake_is_printed_as_the_page_says(mistake: Mistake) -> None:
    plain = {"controllers": [CONTROLLER], "computes": [COMPUTE], **mistake.values}
    hidden = {**PASSWORDS, **mistake.secrets}
    texts = {key: each if isinstance(each, str) else json.dumps(each) for key, each in plain.items()}
    texts |= {key: each for key, each in hidden.items() if each is not None}
    secret = (set(hidden) | {mistake.hidden}) - {mistake.plain}
    with pytest.raises(InvalidSettings) as refusal:
        parse(texts.get, keys=list(texts), is_secret=secret.__contains__)
    assert_printed(mistake.cause, str(refusal.value))
    assert len(refusal.value.problems) == 1
    assert "hunter2" not in str(refusal.value)


def refused_templates(line: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> str:  # noqa: F811
    folder = project / "templates" / "juno"
    folder.mkdir(parents=True)
    for name in ("controller", "compute"):
        (project / name).rename(folder / name)
    monkeypatch.setattr("nova_infra.options.templates_directory", lambda _release: folder)
    monkeypatch.chdir(project)
    with (folder / "compute" / "nova.conf").open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(InvalidSettings) as refusal:
        options_of_nodes(parsed())
    return str(refusal.value)


def test_a_template_that_does_not_render_is_printed_as_the_page_says(
    project: Path,  # noqa: F811 - a fixture
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert_printed("A template does not render", refused_templates("a = {{ nope }}", project, monkeypatch))


def test_a_template_that_does_not_parse_is_printed_as_the_page_says(
    project: Path,  # noqa: F811 - a fixture
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert_printed("A template does not parse", refused_templates("hunter2", project, monkeypatch))


def test_every_row_of_the_configuration_is_here() -> None:
    section = PAGE.read_text().partition("### The configuration\n")[2].partition("\n### ")[0]
    causes = [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("| ")][2:]
    templates = ["A template does not render", "A template does not parse"]
    assert list(dict.fromkeys(each.cause for each in MISTAKES)) + templates == causes
