"""oslo.config files: layers of options, writing, reading back.

Options have the shape `{section: {option: value}}`; a value is a string, or a list of strings for an option that is
given more than once. Values are literal: what nova reads is what is written here.

The rules of the format are oslo.config's own (its `iniparser` and `cfg.ConfigOpts._substitute`):
`$` begins a reference and is doubled; surrounding quotes and spaces survive only inside one more pair of quotes; there is
no way to write a newline; a comment after a value would be part of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from oslo_config import iniparser

from .errors import UnreadableFile, UnsupportedValue
from .wording import surrogates

Value = str | list[str]
Options = dict[str, dict[str, Value]]

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]")
_REFERENCE = re.compile(r"(?<!\$)(?:\$\$)*\$(?!\$)|\\\$")


class _Reader(iniparser.BaseParser):
    """Collects `{section: {option: [raw values]}}` with the parser that nova itself uses."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__()
        self.name = name
        self.text = text
        self.section: str | None = None
        self.sections: dict[str, dict[str, list[str]]] = {}

    def new_section(self, section: str) -> None:
        self.section = section
        self.sections.setdefault(section, {})

    def assignment(self, key: str, value: list[str]) -> None:
        if self.section is None:
            # The parser itself stands behind the option by now.
            line = line_of(self.text, "", key)
            raise UnreadableFile(f"{self.name}, line {line}: the option {key} stands before the first [section].")
        self.sections[self.section].setdefault(key, []).append("\n".join(value))


def _raw_options(text: str, name: str) -> dict[str, dict[str, list[str]]]:
    reader = _Reader(name, text)
    try:
        reader.parse(text.split("\n"))
    except iniparser.ParseError as error:
        # The line itself is not quoted: it may hold a password.
        raise UnreadableFile(f"{name}, line {error.lineno}: {error.msg}.") from None
    return reader.sections


def read_options(text: str, name: str) -> Options:
    """The options of the file `name` with the content `text`, as nova takes them.

    An option given once is a string, given more than once a list. References (`$my_ip`) are not resolved.
    Raises UnreadableFile with the line.
    """
    return {
        section: {option: _one_or_many([_unescape(raw) for raw in values]) for option, values in options.items()}
        for section, options in _raw_options(text, name).items()
    }


def _one_or_many(values: list[str]) -> Value:
    return values[0] if len(values) == 1 else values


def _unescape(raw: str) -> str:
    """The literal value of `raw`. One that refers to another option is shown as it stands, and marked."""
    if _REFERENCE.search(raw):
        return f"{raw} (a reference)"
    return raw.replace("$$", "$")


def write_options(options: Mapping[str, Mapping[str, Value]], heading: str = "") -> str:
    """The text of a file with these options; `heading` becomes a comment at its top.

    Raises UnsupportedValue for a name or value that oslo.config cannot carry.
    """
    blocks = ["".join(f"# {line}\n" for line in heading.splitlines())] if heading else []
    # [DEFAULT] first, as every OpenStack file has it.
    for section in sorted(options, key=lambda name: (name != "DEFAULT", name)):
        _carried(section)
        lines = [f"[{section}]"]
        for option in sorted(options[section]):
            _carried(option)
            values = as_list(options[section][option])
            lines += [f"{option} = {encode(value, f'[{section}] {option}')}" for value in values]
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def _carried(name: str) -> None:
    reason = unsupported_name(name)
    if reason:
        raise UnsupportedValue(f"The name {name!r} {reason}.")


def as_list(value: Value) -> list[str]:
    """The values of an option, whether it is given once or more than once."""
    return value if isinstance(value, list) else [value]


def encode(value: str, name: str = "an option") -> str:
    """`value` as it must be written so that nova reads exactly it. Raises UnsupportedValue, which says `name` and not the value."""
    reason = unsupported(value)
    if reason:
        raise UnsupportedValue(f"The value of {name} {reason}.")
    text = value.replace("$", "$$")
    if text != text.strip() or (text and text[0] == text[-1] and text[0] in "\"'"):
        text = f'"{text}"'
    return text


def unsupported(value: str) -> str:
    """Why oslo.config cannot carry `value`, or an empty string."""
    if _CONTROL.search(value):
        return "holds a newline or another control character, which an oslo.config file cannot carry"
    if reason := unprintable(value):
        return reason
    if "\\$" in value:
        return "holds a backslash before a dollar sign, which releases of oslo.config read differently"
    return ""


def unprintable(value: str) -> str:
    """Why `value` cannot be a line of text, or an empty string."""
    if _CONTROL.search(value):
        return "holds a newline or another control character"
    if surrogates(value):
        return "holds half of a surrogate pair, which is no character"
    return ""


def unsupported_name(name: str) -> str:
    """Why `name` cannot name an option or a section, or an empty string."""
    if not re.fullmatch(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*", name):
        return "is not the name of an option: letters, digits, dot, dash and underscore only"
    return ""


def merge(layers: Iterable[Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Layers of options into one; the later wins, None removes."""
    merged: dict[str, dict[str, Any]] = {}
    for layer in layers:
        for section, options in layer.items():
            merged.setdefault(section, {}).update(options)
    present = {
        section: {option: value for option, value in options.items() if value is not None}
        for section, options in merged.items()
    }
    return {section: options for section, options in present.items() if options}


def line_of(text: str, section: str, option: str) -> int:
    """The number of the last line that sets the option, from 1."""
    current, last = "", 0
    for number, line in enumerate(text.split("\n"), start=1):
        if line.startswith("["):
            current = line.strip("[] ")
        elif current == section and re.split("[=:]", line)[0].strip() == option:
            last = number
    return last
