"""Templates of a node's files. Each value is Jinja2 source of its own, and is rendered alone, so that it stays a leaf of its own.

All that is wrong with a template is said at once, by its lines. A line is never quoted: somebody may have put a password there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from oslo_config import iniparser

from .configuration import line_of
from .errors import InvalidSettings, Problem
from .openrc import BLANK, NAME, SECTION

T = TypeVar("T")
Render = Callable[[str], T | None]
"""Turns the source of a value into what the option gets, or into None, which leaves the option out. What it raises becomes a problem."""

# No section can be called so; what stands in it is left out, as its heading is a fault already.
_NAMELESS = "]"
_EXPORT = re.compile(rf"export ({NAME})=(.*)")


def render_options(path: Path, render: Render[T]) -> dict[str, dict[str, T]]:
    """`{section: {option: value}}` of a template of an oslo.config file. Raises InvalidSettings with every problem."""
    template = _Template(path)
    reader = _Reader(template)
    reader.parse(template.text.split("\n"))
    rendered: dict[str, dict[str, T]] = {}
    for (section, option), sources in reader.sources.items():
        line = partial(line_of, template.text, section, option)
        if section == _NAMELESS:
            continue
        if not section:
            template.fault(line(), f"the option {option} stands before the first [section]")
        elif len(sources) > 1:
            template.fault(line(), f"[{section}] {option} is given more than once; a template gives each option once")
        else:
            value = template.rendered(line, f"[{section}] {option}", sources[0], render)
            if value is not None:
                rendered.setdefault(section, {})[option] = value
    template.refuse_faults()
    return rendered


def render_variables(path: Path, render: Render[T]) -> dict[str, dict[str, T]]:
    """`{"export": {name: value}}` of a template of lines `export NAME=SOURCE`. Raises InvalidSettings with every problem."""
    template = _Template(path)
    rendered: dict[str, T] = {}
    for number, line in enumerate(template.text.split("\n"), start=1):
        if BLANK.fullmatch(line):
            continue
        exported = _EXPORT.fullmatch(line)
        if exported is None:
            template.fault(number, "this is no `export NAME=value`")
            continue
        name, source = exported[1], exported[2].strip()
        value = template.rendered(partial(int, number), name, source, render)
        if value is not None:
            rendered[name] = value
    template.refuse_faults()
    return {SECTION: rendered}


def sections_of(path: Path) -> set[str]:
    """The names of a template's sections; none of one that cannot be read, which rendering says."""
    try:
        return set(re.findall(r"^\[([^\]\n]+)\]", path.read_text(encoding="utf-8"), re.MULTILINE))
    except (OSError, UnicodeDecodeError):
        return set()


class _Template:
    """The text of a template, and what is wrong with it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = ""
        self._faults: set[tuple[int, str]] = set()
        try:
            self.text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            self.fault(error.object.count(b"\n", 0, error.start) + 1, "this is no UTF-8")
        except OSError as error:
            self.fault(0, f"cannot be read: {os.strerror(error.errno or 0)}")

    def fault(self, line: int, sentence: str) -> None:
        """Remembers what is wrong in a line; 0 is the file itself."""
        self._faults.add((line, sentence))

    def rendered(self, line: Callable[[], int], name: str, source: str, render: Render[T]) -> T | None:
        """The value of a line, or None where there is none. Which line it is, only a fault needs to know."""
        try:
            return render(source)
        except Exception as error:  # a template may ask for anything: 1/0, text + number
            text = str(error).strip().rstrip(".") or type(error).__name__
            self.fault(line(), f"{name} does not render: {text}")
            return None

    def refuse_faults(self) -> None:
        """Raises InvalidSettings when there is a fault."""
        if self._faults:
            place = _as_the_user_knows_it(self.path)
            raise InvalidSettings(
                Problem(place, f"line {line}: {sentence}" if line else sentence)
                for line, sentence in sorted(self._faults)
            )


def _as_the_user_knows_it(path: Path) -> str:
    # Pulumi runs in the project's folder, where a checkout has its templates.
    folder = Path.cwd()
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


class _Reader(iniparser.BaseParser):
    """Collects `{(section, option): [sources]}`, and goes on behind a line that does not parse."""

    def __init__(self, template: _Template) -> None:
        super().__init__()
        self.template = template
        self.section = ""
        self.sources: dict[tuple[str, str], list[str]] = {}

    def new_section(self, section: str) -> None:
        self.section = section

    def assignment(self, key: str, value: list[str]) -> None:
        self.sources.setdefault((self.section, key), []).append("\n".join(value))

    def error_invalid_assignment(self, _line: str) -> tuple[str, list[str]]:  # type: ignore[override]
        self.template.fault(self.lineno, "there is no `=` or `:` behind the name of an option")
        return "", []

    def error_empty_key(self, line: str) -> None:  # type: ignore[override]
        if "=" in line or ":" in line:
            self.template.fault(self.lineno, "there is no name of an option")

    def error_unexpected_continuation(self, _line: str) -> None:  # type: ignore[override]
        self.template.fault(self.lineno, "this begins with a space, and goes on with no value")

    def error_no_section_end_bracket(self, line: str) -> str:  # type: ignore[override]
        self.template.fault(self.lineno, "the name of a section ends with `]`")
        return line.strip("[] ")

    def error_no_section_name(self, _line: str) -> str:  # type: ignore[override]
        self.template.fault(self.lineno, "there is no name of a section")
        return _NAMELESS
