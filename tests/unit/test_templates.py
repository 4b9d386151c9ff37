"""Templates: each value is rendered alone, and all that is wrong is said by its lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import pytest

from nova_infra import options
from nova_infra.errors import InvalidSettings
from nova_infra.options import options_of_nodes
from nova_infra.templates import render_options, render_variables

from .test_settings import parsed


def jinja(**names: Any) -> Any:
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701
    return lambda source: environment.from_string(source).render(names)


def faults(kind: Any, template: Path, content: str | bytes, **names: Any) -> list[str]:
    """What is wrong with a template of this content; that it is the template is checked here."""
    template.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InvalidSettings) as refusal:
        kind(template, jinja(**names))
    assert {problem.key for problem in refusal.value.problems} == {str(template)}
    return [problem.reason for problem in refusal.value.problems]


@pytest.fixture
def template(tmp_path: Path) -> Path:
    return tmp_path / "nova.conf"


def test_a_template_is_parsed_first_and_each_value_rendered_alone(template: Path) -> None:
    template.write_text("# {{ not rendered }}\n[DEFAULT]\nmy_ip = {{ ip }}\n[glance]\nhost = {{ name }}\n")
    # A value that looks like lines of the file stays one value.
    assert render_options(template, jinja(ip="10.0.0.11", name="x\n[DEFAULT]\ny = z")) == {
        "DEFAULT": {"my_ip": "10.0.0.11"},
        "glance": {"host": "x\n[DEFAULT]\ny = z"},
    }


def test_each_variable_of_a_template_is_rendered_alone(template: Path) -> None:
    template.write_text("# {{ not rendered }}\n\nexport A={{ it['a'] }}\nexport B=x {{ it.b }}\nexport C={{ it.c }}\n")
    values = {"a": "1\nexport B=2", "b": "'y'", "c": ""}
    render = jinja(it=values)
    # The third renders to nothing, which this makes None: it is left out.
    assert render_variables(template, lambda source: render(source) or None) == {
        "export": {"A": "1\nexport B=2", "B": "x 'y'"}
    }


@pytest.mark.parametrize(
    "broken", ["{{ nope }}", "{{ unclosed", "{% if %}", "{{ 1/0 }}", "{{ 'a' + 1 }}", "{{ [][0] }}"]
)
@pytest.mark.parametrize("separator", [" = ", ": "])
def test_a_value_that_does_not_render_is_named_with_line_and_option(
    template: Path, broken: str, separator: str
) -> None:
    content = f"# heading\n\n[DEFAULT]\nhost{separator}x\n\n[glance]\n# host\nhost{separator}{broken}\n"
    (reason,) = faults(render_options, template, content)
    assert reason.startswith("line 8: [glance] host does not render: ")


@pytest.mark.parametrize(
    "line", ["export A={{ nope }}", "export A={{ unclosed", "export A={{ 1/0 }}", "A={{ it }}", "a"]
)
def test_a_line_of_variables_that_does_not_render_is_named(template: Path, line: str) -> None:
    (reason,) = faults(render_variables, template, f"# heading\n{line}\n")
    assert reason.startswith("line 2: ")


def test_all_broken_lines_are_said_at_once_in_their_order(template: Path) -> None:
    content = "\n".join(
        [
            "early = 1",
            "[DEFAULT]",
            "hunter2",
            "a = {{ nope }}",
            "= hunter2",
            "fine = 1",
            "",
            "  hunter2",
            "twice = 1",
            "twice = 2",
            "[glance",
            "host = {{ nope }}",
            "[]",
            "left_out = {{ nope }}",
            "[DEFAULT]",
            "b = {{ 1/0 }}",
            "\u2028c = {{ nope }}",
        ]
    )
    found = faults(render_options, template, content)
    assert [reason.partition(": ")[0] for reason in found] == [
        f"line {number}" for number in (1, 3, 4, 5, 8, 10, 11, 12, 13, 16, 17)
    ]
    assert "hunter2" not in "\n".join(found)


def test_all_broken_lines_of_variables_are_said_at_once(template: Path) -> None:
    found = faults(render_variables, template, "export A={{ nope }}\nhunter2\nexport B=1\nexport C={{ nope\n")
    assert [reason.partition(": ")[0] for reason in found] == ["line 1", "line 2", "line 4"]
    assert "hunter2" not in "\n".join(found)


def test_a_template_that_is_no_text_is_named_with_the_line(template: Path) -> None:
    assert faults(render_options, template, b"[DEFAULT]\na = \xff\n") == ["line 2: this is no UTF-8"]


def test_a_template_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"none\.conf: cannot be read: No such file or directory"):
        render_options(tmp_path / "none.conf", str)


def test_a_template_of_the_project_is_named_as_its_owner_knows_it(
    template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template.write_text("[DEFAULT]\na\n")
    monkeypatch.chdir(template.parent)
    with pytest.raises(InvalidSettings, match=r"  - nova\.conf: line 2: "):
        render_options(template, str)


# ------------------------------------------------------------ of a whole stack


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The templates of a project that somebody is about to edit."""
    original = options.templates_directory("juno")
    for path in original.rglob("*"):
        if path.is_file():
            copy = tmp_path / path.relative_to(original)
            copy.parent.mkdir(exist_ok=True)
            copy.write_text(path.read_text())
    monkeypatch.setattr(options, "templates_directory", lambda _release: tmp_path)
    return tmp_path


def test_the_templates_of_all_nodes_are_refused_in_one_list_each_problem_once(project: Path) -> None:
    for name in ("controller/nova.conf", "compute/nova.conf", "controller/admin-openrc.sh"):
        with (project / name).open("a") as file:
            file.write("[mine]\na = {{ nope }}\n" if name.endswith("conf") else "export A={{ nope }}\n")
    computes = [{"name": f"compute{number}", "address": f"10.0.0.{number}"} for number in range(31, 41)]
    values = {"computes": computes, "identity": {"admin_openrc": "/root/admin-openrc.sh"}}
    with pytest.raises(InvalidSettings) as refusal:
        options_of_nodes(parsed(values))
    assert sorted(problem.key for problem in refusal.value.problems) == [
        str(project / name) for name in ("compute/nova.conf", "controller/admin-openrc.sh", "controller/nova.conf")
    ]


@pytest.mark.parametrize("source", ["{{ {}[secret('rabbitPassword')] }}", "{{ secret(secret('rabbitPassword')) }}"])
def test_what_a_template_complains_about_says_no_secret(project: Path, source: str) -> None:
    (project / "compute/nova.conf").write_text(f"[DEFAULT]\na = {source}\n")
    with pytest.raises(InvalidSettings) as refusal:
        options_of_nodes(parsed({}, {"rabbitPassword": "hunter2"}))
    assert "line 2: [DEFAULT] a does not render" in str(refusal.value)
    assert "hunter2" not in str(refusal.value)
