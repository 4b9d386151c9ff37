"""Files of shell variables, such as admin-openrc.sh: `export NAME=value`, line by line.

Options have the shape `{"export": {name: value}}`, so that such a file is compared option by option like a nova.conf.
Values are literal: what a shell that reads the file gets is what is written here. A file that makes the shell expand or run
something is not read.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from .errors import UnreadableFile, UnsupportedValue
from .wording import surrogates

SECTION = "export"

NAME = r"[A-Za-z_][A-Za-z0-9_]*"
# What sh takes as it stands: plain characters, quoted ones, escaped ones. Within double quotes nothing that it expands.
_WORD = r"""(?:[\w@%+=:,./-]|'[^']*'|"[^"$`\\]*"|\\.)*"""
_LINE = re.compile(rf"[ \t]*export((?:[ \t]+{NAME}={_WORD})+)[ \t]*(?:[ \t]#.*)?")
BLANK = re.compile(r"[ \t]*(?:#.*)?")


def is_variables_file(path: str) -> bool:
    """Whether a node's file is one of shell variables and none of oslo.config: its name says so."""
    return path.endswith(".sh")


def read_variables(text: str, name: str) -> dict[str, dict[str, str]]:
    """The variables of the file `name` with the content `text`, as a shell that reads it gets them.

    Raises UnreadableFile with the line when one is neither blank, a comment, nor exports literal values.
    """
    variables: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if BLANK.fullmatch(line):
            continue
        exported = _LINE.fullmatch(line)
        if exported is None:
            # The line itself is not quoted: it may hold a password.
            raise UnreadableFile(f"{name}, line {number}: this is no `export NAME=value` with a literal value.")
        variables.update(_assignment(word) for word in shlex.split(exported[1]))
    return {SECTION: variables}


def _assignment(word: str) -> tuple[str, str]:
    name, _, value = word.partition("=")
    return name, value


def write_variables(options: Mapping[str, Mapping[str, Any]], heading: str = "") -> str:
    """The text of a file that exports these variables; `heading` becomes a comment at its top.

    Raises UnsupportedValue for a name or value that no line of a shell file can carry.
    """
    lines = [f"# {line}".rstrip() for line in heading.splitlines()]
    for section, variables in options.items():
        if section != SECTION:
            raise UnsupportedValue(f"A file of variables has no section {section!r}, only {SECTION!r}.")
        for name in sorted(variables):
            if not re.fullmatch(NAME, name):
                raise UnsupportedValue(
                    f"The name {name!r} is no name of a variable: letters, digits and underscore only."
                )
            if reason := unsupported(variables[name]):
                raise UnsupportedValue(f"The value of {name} {reason}.")
            lines.append(f"export {name}={shlex.quote(variables[name])}")
    return "".join(f"{line}\n" for line in lines)


def unsupported(value: Any) -> str:
    """Why a line of a shell file cannot carry `value`, or an empty string."""
    if not isinstance(value, str):
        return "is no text"
    if "\n" in value or "\0" in value:
        return "holds a newline or a NUL, which a line of a shell file cannot carry"
    if surrogates(value):
        return "holds half of a surrogate pair, which is no character"
    return ""
