"""Hostile values arrive as they are, or are refused: in scripts, files, SQL, URLs and settings.

Scripts get more than 10,000 different ones, the others thousands; beside these Hypothesis looks for its own.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from oslo_config import iniparser

from nova_infra import openrc
from nova_infra.configuration import read_options, unsupported_name, write_options
from nova_infra.errors import InvalidSettings, UnsupportedValue
from nova_infra.grants import Schema
from nova_infra.mysql import option_file
from nova_infra.options import _rendered
from nova_infra.releases.release import NOVA_CONF
from nova_infra.remote.script import Call, call, compose, fields_of
from nova_infra.settings import Settings
from nova_infra.stack_config import parse
from tests.hostile import batch, batches, half_a_character, hostile, repeatable

from .test_configuration import as_nova_reads
from .test_mysql import Connected, connected  # noqa: F401 - a fixture
from .test_settings import COMPUTE, CONTROLLER, PASSWORDS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a value that is run would leave a file."""
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(autouse=True)
def nothing_has_run(folder: Path) -> Any:
    yield
    assert [path.name for path in folder.iterdir() if path.name not in ("nova.conf", "openrc.sh")] == []


def taken(make: Callable[[], Any]) -> tuple[Any, Any]:
    """What it makes, or how it refuses; nothing else may happen."""
    try:
        return make(), None
    except (UnsupportedValue, InvalidSettings) as refusal:
        return None, refusal


# ------------------------------------------------------------ scripts


def run(source: bytes, folder: Path) -> bytes:
    """What the script says, run as on a node: from standard input, which stays open."""
    read, write = os.pipe()
    try:
        command = ["sh", "-c", f'eval "$(head -c {len(source)})"']
        with subprocess.Popen(command, stdin=read, stdout=subprocess.PIPE, cwd=folder) as shell:
            os.write(write, source) if len(source) < 60_000 else _feed(write, source)
            said = shell.communicate()[0]
        assert shell.returncode == 0
        return said
    finally:
        os.close(read)
        os.close(write)


def _feed(pipe: int, source: bytes) -> None:
    while source:
        source = source[os.write(pipe, source) :]


# Ends with NUL, which no argument holds.
SHOWN = Call("shown() { printf '%s\\0' \"$@\"; }")


def arrive_as_arguments(folder: Path, values: list[str]) -> None:
    sent = []
    for value in values:
        _, refusal = taken(lambda value=value: call("shown", value).text())
        assert bool(refusal) == ("\0" in value or half_a_character(value))
        if not refusal:
            sent.append(value)
    script = compose([SHOWN, call("shown", *sent), *(call("shown", value) for value in sent)])
    said = run(script.source, folder)
    *arrived, end = said.split(b"\0")
    assert [each.decode() for each in arrived] == sent * 2 if sent else arrived in ([], [b"", b""])
    assert fields_of(end.decode(), script.mark) == ["end"]


def test_each_of_ten_thousand_arguments_of_scripts_arrives_as_it_is_or_is_refused_and_is_never_run(
    folder: Path,
) -> None:
    seen: set[str] = set()
    for values in batches(11_000, 100):
        arrive_as_arguments(folder, values)
        seen.update(values)
    assert len(seen) >= 10_000


@repeatable(20)
@given(values=batch(20))
def test_an_argument_of_a_script_arrives_as_it_is_or_is_refused_and_is_never_run(
    folder: Path, values: list[str]
) -> None:
    arrive_as_arguments(folder, values)


@hostile(2000, 50)
def test_a_title_is_one_line_of_the_answer_whatever_it_holds(folder: Path, values: list[str]) -> None:
    titles = [value for value in values if value]
    script = compose([call("true", title=title) for title in titles])
    lines = run(script.source, folder).decode().splitlines()
    fields = [fields_of(line, script.mark) for line in lines]
    assert len(lines) == 2 * len(titles) + 1
    steps = [each[1:] for each in fields if each and each[0] == "step"]
    # What is a line by itself arrives as it is.
    assert [title for title, step in zip(titles, steps, strict=True) if title.isprintable() and step != [title]] == []
    assert all(len(step) == 1 and step[0].isprintable() for step in steps)


# ------------------------------------------------------------ files


@hostile(3000, 100)
def test_nova_reads_a_value_as_it_is_or_it_is_refused(folder: Path, values: list[str]) -> None:
    options = {"DEFAULT": {}, "other": {}}
    for number, value in enumerate(values):
        section = options["DEFAULT" if number % 2 else "other"]
        _, refusal = taken(lambda value=value: write_options({"DEFAULT": {"a": value}}))
        if refusal:
            assert "[DEFAULT] a" in str(refusal)
        else:
            section[f"option{number}"] = value
    text = write_options(options)
    file = folder / "nova.conf"
    file.write_text(text, encoding="utf-8")
    assert as_nova_reads(file, options) == options
    assert read_options(text, "nova.conf") == {name: each for name, each in options.items() if each}


class Names(iniparser.BaseParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, ...]] = []

    def new_section(self, section: str) -> None:
        self.found.append((section,))

    def assignment(self, key: str, value: list[str]) -> None:
        self.found.append((key, *value))


@hostile(2000, 50)
def test_the_name_of_a_section_or_option_is_read_as_it_is_or_refused(values: list[str]) -> None:
    for name in values:
        text, refusal = taken(lambda name=name: write_options({name: {name: "x"}}))
        assert bool(refusal) == bool(unsupported_name(name))
        if refusal:
            continue
        reader = Names()
        reader.parse(text.split("\n"))
        assert reader.found == [(name,), (name, "x")]


@hostile(3000, 100)
def test_a_shell_gets_a_variable_as_it_is_or_it_is_refused(folder: Path, values: list[str]) -> None:
    variables = {}
    for number, value in enumerate(values):
        if not openrc.unsupported(value):
            variables[f"A{number:02}"] = value
        else:
            assert "\n" in value or "\0" in value or half_a_character(value)
    text = openrc.write_variables({"export": variables})
    assert openrc.read_variables(text, "a.sh") == {"export": variables}
    file = folder / "openrc.sh"
    file.write_bytes(text.encode())
    script = (
        '. "$1"; for name in '
        + " ".join(sorted(variables))
        + '; do eval "value=\\$$name"; printf "%s\\0" "$value"; done'
    )
    done = subprocess.run(["sh", "-c", script, "sh", str(file)], cwd=folder, capture_output=True, check=True)
    assert done.stderr == b""
    assert [each.decode() for each in done.stdout.split(b"\0")[:-1]] == [variables[name] for name in sorted(variables)]


def test_a_name_of_a_variable_is_one_or_refused() -> None:
    for name in ("a b", "a;touch ran", "$(touch ran)", "a\n", "é", "1a", ""):
        with pytest.raises(UnsupportedValue):
            openrc.write_variables({"export": {name: "x"}})


def in_quotes(text: str) -> str:
    """A value of an option file as MariaDB's clients take it (my_default.c, "Escape sequences")."""
    assert text[0] == text[-1] == '"'
    letters = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "s": " ", '"': '"', "'": "'", "\\": "\\"}
    return re.sub(r"\\(.)", lambda match: letters.get(match[1], match[0]), text[1:-1], flags=re.DOTALL)


@hostile(2000, 50)
def test_a_value_of_an_option_file_stays_in_its_line_and_quotes(values: list[str]) -> None:
    for value in values:
        heading, user, password, end = option_file({"user": "root", "password": value}).split("\n")
        assert (heading, user, end) == ("[client]", 'user="root"', "")
        assert in_quotes(password.removeprefix("password=")) == value


# ------------------------------------------------------------ SQL

TOKEN = re.compile(r"`(?:[^`]|``)*`|'(?:[^'\\]|''|\\.)*'|[^`'\s]+", re.DOTALL)
ESCAPES = {"0": "\0", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a", "b": "\b"}


def plain(token: str) -> str:
    """A token of SQL without its quotes (MariaDB's documentation, "Identifier Names" and "String Literals")."""
    if token[0] == "`":
        return token[1:-1].replace("``", "`")
    if token[0] == "'":
        inner = token[1:-1].replace("''", "'")
        return re.sub(r"\\(.)", lambda match: ESCAPES.get(match[1], match[1]), inner, flags=re.DOTALL)
    return token


def tokens(statement: str) -> list[str]:
    found = list(TOKEN.finditer(statement))
    # Nothing stands between them but spaces.
    assert re.sub(TOKEN, "", statement).strip() == ""
    return [plain(each[0]) for each in found]


def pattern(schema: str) -> str:
    """A name as GRANT's pattern for it alone."""
    return re.sub(r"([\\_%])", r"\\\1", schema)


@hostile(2000, 40)
def test_names_stay_names_and_texts_stay_texts_in_sql(connected: Connected, values: list[str]) -> None:  # noqa: F811
    server, wire = connected()
    for value in values:
        if half_a_character(value):
            continue
        wire.sent.clear()
        server.alter_schema(value, Schema(value, value))
        server.drop_schema(value)
        server.set_password(value, value, "x")
        server.grant(value, value, value, ["SELECT"])
        server.revoke(value, value, value, ["SELECT"])
        alter, drop, user, grant, revoke = (tokens(each) for each in wire.sent)
        assert alter == ["ALTER", "DATABASE", value, "CHARACTER", "SET", value, "COLLATE", value]
        assert drop == ["DROP", "DATABASE", "IF", "EXISTS", value]
        assert user[:8] == ["GRANT", "USAGE", "ON", "*.*", "TO", value, "@", value]
        assert grant == ["GRANT", "SELECT", "ON", pattern(value), ".*", "TO", value, "@", value]
        assert revoke == ["REVOKE", "SELECT", "ON", pattern(value), ".*", "FROM", value, "@", value]


# ------------------------------------------------------------ settings

# Where a text of the stack is to arrive. The path to it in the configuration, and in what NovaDeployment is made from.
TEXTS: list[tuple[str, str]] = [
    ("region", ""),
    ("service", "name"),
    ("service", "type"),
    ("service", "description"),
    ("identity", "user"),
    ("identity", "service_tenant"),
    ("identity", "admin_tenant"),
    ("identity", "admin_user"),
    ("identity", "role"),
    ("identity", "public_url"),
    ("identity", "admin_openrc"),
    ("endpoint", "public_url"),
    ("vnc", "base_url"),
    ("vnc", "listen"),
    ("database", "user"),
    ("database", "name"),
    ("database", "host"),
    ("database", "charset"),
    ("database", "socket"),
    ("messageQueue", "user"),
    ("messageQueue", "virtual_host"),
    ("image", "host"),
    ("ssh", "user"),
    ("ssh", "private_key_file"),
]


def stack(values: dict[str, Any], secrets: dict[str, str]) -> Settings:
    texts = {"controllers": json.dumps([CONTROLLER]), "computes": json.dumps([COMPUTE])}
    texts |= {key: each if isinstance(each, str) else json.dumps(each) for key, each in values.items()}
    hidden = {**PASSWORDS, **secrets}
    return parse({**texts, **hidden}.get, keys=[*texts, *hidden], is_secret=hidden.__contains__)


@hostile(2000, len(TEXTS))
def test_a_text_of_the_stack_arrives_as_it_is_or_is_refused_by_its_key(values: list[str]) -> None:
    for (key, name), text in zip(TEXTS, values, strict=True):
        # Such as a URL with a hostile path.
        for value in (
            text,
            f"http://h/{text}" if "url" in name else f"/a{text}.sh" if "openrc" in name else f"a{text}",
        ):
            values = {key: {name: value} if name else value}
            settings, refusal = taken(lambda values=values: stack(values, {}))
            if refusal:
                path = f"nova:{key}.{name}" if name else f"nova:{key}"
                assert {problem.key for problem in refusal.problems} == {path}
                continue
            part = getattr(settings, re.sub("([A-Z])", r"_\1", key).lower())
            assert (getattr(part, name) if name else part) == value


# Where the name or place of a machine is to arrive: what is configured with it, where it stands then, and the key that a refusal names.
MACHINES: list[tuple[Callable[[str], dict[str, Any]], Callable[[Settings], Any], str]] = [
    *(
        (
            lambda value, part=part: {"controllers": [{**CONTROLLER, part: value}]},
            lambda settings, part=part: getattr(settings.controllers[0], part),
            f"nova:controllers[0].{part}",
        )
        for part in ("name", "address", "host")
    ),
    *(
        (
            lambda value, part=part: {"computes": [{**COMPUTE, part: value}]},
            lambda settings, part=part: getattr(settings.computes[0], part),
            f"nova:computes[0].{part}",
        )
        for part in ("name", "address", "host")
    ),
    (
        lambda value: {"messageQueue": {"hosts": [value]}},
        lambda settings: settings.message_queue.hosts[0],
        "nova:messageQueue.hosts",
    ),
    (
        lambda value: {"jumpHost": {"host": value, "user": "ops"}},
        lambda settings: settings.jump_host.host,
        "nova:jumpHost.host",
    ),
]


@hostile(1000, len(MACHINES))
def test_the_name_or_place_of_a_machine_arrives_as_it_is_or_is_refused_by_its_key(values: list[str]) -> None:
    for (configured, there, key), text in zip(MACHINES, values, strict=True):
        for value in (text, f"a{text}", f"a.{text}.org", f"10.0.0.{text}"):
            settings, refusal = taken(lambda configured=configured, value=value: stack(configured(value), {}))
            if refusal:
                assert {problem.key.startswith(key) for problem in refusal.problems} == {True}, refusal
            elif there(settings) != "" or value.strip():
                assert there(settings) == value


# SQLAlchemy 0.9, the release of Juno (sqlalchemy/engine/url.py, _parse_rfc1738_args).
ADDRESS = re.compile(
    r"(?P<name>[\w\+]+)://(?:(?P<username>[^:/]*)(?::(?P<password>.*))?@)?"
    r"(?:(?:\[(?P<ipv6host>[^/]+)\]|(?P<ipv4host>[^/:]+))?(?::(?P<port>[^/]*))?)?(?:/(?P<database>.*))?"
)


@hostile(1000, 20)
def test_the_address_of_the_database_holds_user_and_password_as_they_are(values: list[str]) -> None:
    for user, password in zip(values[::2], values[1::2], strict=True):
        values = {"database": {"user": user}}, {"novaDatabasePassword": password or "x"}
        settings, refusal = taken(lambda values=values: stack(*values))
        if refusal:
            assert {problem.key for problem in refusal.problems} <= {"nova:database.user", "nova:novaDatabasePassword"}
            continue
        files, problems = _rendered(settings)
        assert problems == []
        connection = files["controller"][NOVA_CONF]["database"]["connection"].value
        written = write_options({"database": {"connection": connection}})
        (read,) = read_options(written, NOVA_CONF)["database"].values()
        assert isinstance(read, str)
        found = ADDRESS.fullmatch(read)
        assert found is not None
        assert (found["name"], found["ipv4host"], found["database"]) == ("mysql", "controller", "nova")
        assert unquote(found["username"]) == user
        assert unquote(found["password"]) == (password or "x")
