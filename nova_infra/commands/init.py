"""`python -m nova_infra init`: asks for what a stack needs and nobody can guess, and writes its settings."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import re
import secrets
import shlex
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..defaults import SERVERS_HOST
from ..errors import InvalidSettings, NotWritten, Problem, Refused
from ..settings import SECRETS, Settings, is_structured, top_level_keys
from ..stack import CONFIG_FILE, load_from
from ..stack_config import read
from ..throwaway import read_throwaway
from ..values import in_url
from ..wording import escaped, quoted
from .engine import PULUMI_SECONDS, pulumi_on_path
from .stack import enter_project, stacks_folder

# Passwords of what `up` makes: nobody needs to choose them, or to know them.
MADE = ("novaDatabasePassword", "novaPassword")
SECRET_BYTES = 24
# Variables by which pulumi is told of another stack's file.
_OF_ANOTHER_STACK = (CONFIG_FILE, "PULUMI_STACK")
Ask = Callable[[str], str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument("stack", help="the name of the new stack, such as production")
    parser.add_argument(
        "--answers",
        default="",
        metavar="FILE",
        help="ask nothing: take settings and passwords from this YAML file (- is standard input), keys as in docs/settings.md",
    )
    parser.add_argument(
        "--secrets-provider",
        default="",
        metavar="PROVIDER",
        help="what encrypts the secrets, as for `pulumi stack init`",
    )


def run(arguments: argparse.Namespace) -> int:
    """Writes the stack's file. Raises Refused where it has settings already, or its state or passphrase would not be its own, InvalidSettings, NotWritten."""
    _refuse_as_a_name(arguments.stack)
    given = Path(arguments.answers).absolute() if arguments.answers not in ("", "-") else arguments.answers
    project = enter_project()
    file = Path(stacks_folder(), f"Pulumi.{arguments.stack.rpartition('/')[2]}.yaml")
    stack = NewStack(arguments.stack, file, project, arguments.secrets_provider)
    _refuse_to_overwrite(file)
    if not given and not sys.stdin.isatty():
        raise NotWritten(
            f"The stack {arguments.stack} was not made: there is no terminal to ask on. Run this on one, or give the answers with --answers FILE."
        )
    document = _document(given) if given else None
    _refuse_a_shared_state_or_passphrase(arguments.stack, arguments.secrets_provider)
    if given:
        settings, passwords = answered(document)
    else:
        # Before somebody has answered everything for nothing. Whoever stops then runs it again: the stack may be there.
        make(stack)
        settings, passwords = asked(input, getpass.getpass)
    made = {key: secrets.token_urlsafe(SECRET_BYTES) for key in MADE if key not in passwords}
    passwords = {**made, **passwords}
    _validate(settings, passwords, f"{project}:")
    if given:
        make(stack)
    write(stack, settings, passwords)
    random = f" Made at random: {', '.join(made)}." if made else ""
    print(f"{file} is written.{random}")
    print(f"Next: python -m nova_infra check --stack {arguments.stack}; then pulumi preview --stack {arguments.stack}")
    return 0


# ---------------------------------------------------------------- where its state and passphrase are


def _refuse_a_shared_state_or_passphrase(stack: str, secrets_provider: str) -> None:
    """Refuses a state in a folder that will be deleted, and a passphrase that is part of the project."""
    backend = str(json.loads(_pulumi(["whoami", "--json"], stack))["url"])
    found = read_throwaway(backend)
    if found is not None and found.allows(stack):
        return
    if found is not None:
        why = f"Its state would be in {found}"
    elif file := _passphrase_of_the_project(secrets_provider, backend):
        why = (
            f"Its passwords would be encrypted with the passphrase in {escaped(file)}. That file is in the folder of the project, and whoever has a copy "
            "of this folder can read them."
        )
    else:
        return
    raise Refused(
        f"The stack {stack} was not made. {why} Set your own, then run this again:\n"
        f"  unset PULUMI_CONFIG_PASSPHRASE {CONFIG_FILE}\n"
        '  export PULUMI_BACKEND_URL="file://$HOME/nova-state?metadata=skip"\n'
        '  export PULUMI_CONFIG_PASSPHRASE_FILE="$HOME/.nova-passphrase"\n'
        f"  export PULUMI_STACK={shlex.quote(stack)}\n"
        "docs/getting-started.md says how that folder and that file are made, docs/state.md what else can hold a state."
    )


def _passphrase_of_the_project(secrets_provider: str, backend: str) -> str:
    """The file of the passphrase where it is in the folder of the project, which is the current one; else an empty string."""
    # Pulumi's own default is the passphrase, but in Pulumi Cloud.
    encrypts = secrets_provider if secrets_provider not in ("", "default") else _default_of(backend)
    file = os.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE", "")
    # Pulumi takes the variable before the file, also where it is empty.
    if encrypts != "passphrase" or not file or "PULUMI_CONFIG_PASSPHRASE" in os.environ:
        return ""
    return file if Path(os.path.realpath(file)).is_relative_to(os.path.realpath(".")) else ""


def _default_of(backend: str) -> str:
    return "service" if backend.startswith(("https://", "http://")) else "passphrase"


# ---------------------------------------------------------------- answers


def asked(ask: Ask, ask_hidden: Ask) -> tuple[dict[str, Any], dict[str, str]]:
    """Settings and passwords, question by question; what cannot be is said and asked again. Raises NotWritten at the end of input."""
    settings: dict[str, Any] = {}
    passwords: dict[str, str] = {}
    try:
        print("The machines: host name and address, such as: controller 10.0.0.11. An empty line ends each list.")
        _ask_machines(settings, "controllers", "Controller", ask)
        print("One line may be many compute nodes: compute[001-120] 10.0.0.31 counts names and addresses up.")
        _ask_machines(settings, "computes", "Compute", ask)
        _ask_login(settings, ask)
        first = str(settings["controllers"][0]["name"])
        _ask_one(
            settings,
            f"The host of MariaDB, RabbitMQ, Keystone and Glance, as the machines call it [{first}]: ",
            lambda answer: with_servers_at(answer or first),
            ask,
        )
        print("Passwords that exist already; nothing is shown. nova's own are made at random.")
        for key in (key for key in SECRETS if key not in MADE):
            while not _usable(settings, passwords, key, answer := ask_hidden(f"{key} (the password {SECRETS[key]}): ")):
                pass
            passwords[key] = answer
    except EOFError:
        raise NotWritten(
            "The questions were not answered to their end: nothing is written. Run this again; it begins anew."
        ) from None
    return settings, passwords


def _ask_machines(settings: dict[str, Any], key: str, what: str, ask: Ask) -> None:
    machines: list[dict[str, str]] = []
    while True:
        more = "" if machines or key == "computes" else f" [{SERVERS_HOST} ADDRESS]"
        words = ask(f"{what} {len(machines) + 1}{more}: ").split()
        if not words and (machines or key == "computes"):
            return
        if len(words) != 2:
            print("A host name and an address, with a space between them.")
            continue
        candidate = [*machines, {"name": words[0], "address": words[1]}]
        if _said(problems_of({**settings, key: candidate})):
            continue
        machines = settings[key] = candidate


def _ask_login(settings: dict[str, Any], ask: Ask) -> None:
    default = Settings.model_fields["ssh"].default.user
    _ask_one(settings, f"The login on the machines [{default}]: ", lambda answer: _ssh(settings, "user", answer), ask)
    _ask_one(
        settings,
        "The file of the private key [the SSH agent's, or your own keys]: ",
        lambda answer: _ssh(settings, "private_key_file", answer),
        ask,
    )


def _ssh(settings: Mapping[str, Any], key: str, answer: str) -> dict[str, Any]:
    return {"ssh": {**settings.get("ssh", {}), key: answer}} if answer else {}


def _ask_one(settings: dict[str, Any], question: str, meaning: Callable[[str], dict[str, Any]], ask: Ask) -> None:
    while True:
        more = meaning(ask(question).strip())
        if not _said(problems_of({**settings, **more})):
            settings.update(more)
            return


def _usable(settings: Mapping[str, Any], passwords: Mapping[str, str], key: str, answer: str) -> bool:
    return not _said(problems_of(settings, {**passwords, key: answer}))


def _said(problems: list[Problem]) -> bool:
    for each in problems:
        print(each)
    return bool(problems)


def with_servers_at(host: str) -> dict[str, Any]:
    """The settings that name the host of the servers, where it is not the guide's."""
    if host == SERVERS_HOST:
        return {}
    changed: dict[str, Any] = {}
    for key, value in Settings.model_construct().model_dump(by_alias=True, exclude={"controllers", "computes"}).items():
        there = _renamed(value, host) if isinstance(value, dict) else {}
        if there:
            changed[key] = there
    return changed


def _renamed(values: Mapping[str, Any], host: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        if value in (SERVERS_HOST, [SERVERS_HOST]):
            found[key] = host if isinstance(value, str) else [host]
        elif isinstance(value, str) and f"//{SERVERS_HOST}:" in value:
            found[key] = value.replace(f"//{SERVERS_HOST}:", f"//{in_url(host)}:")
    return found


def answered(document: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """Settings and passwords of a file of answers: keys as in a stack's `config`, without the project's name. Raises InvalidSettings."""
    if not isinstance(document, Mapping):
        raise InvalidSettings([Problem("answers", "is no mapping of settings, such as `controllers: [...]`")])
    secret = {str(key): value for key, value in document.items() if key not in top_level_keys()}
    settings = {key: value for key, value in document.items() if key in top_level_keys()}
    problems = [Problem(key, "must be a text") for key, value in secret.items() if not isinstance(value, str)]
    problems += [Problem(key, reason) for key, value in settings.items() if (reason := _not_plain(value))]
    if problems:
        raise InvalidSettings(problems)
    return settings, secret


def _not_plain(value: Any) -> str:
    """Why Pulumi's configuration cannot hold this value of YAML, or an empty string."""
    try:
        json.dumps(value)
    except TypeError:
        return "holds what YAML takes for a date, a set or something else that is no text, number, list or mapping. Put it in quotes"
    except (ValueError, RecursionError):
        return "holds itself, by an alias (*) of YAML, or is nested too deeply. Write it out"
    return ""


def _document(given: Path | str) -> Any:
    try:
        if isinstance(given, str):
            return yaml.safe_load(sys.stdin)
        if given.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise Refused(
                f"The file {given} is not read: others may read it too, and it holds passwords. Run `chmod 600` on it, or give the answers on standard "
                "input (--answers -)."
            )
        return yaml.safe_load(given.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        # The text may hold passwords: it is not quoted.
        where = getattr(getattr(error, "problem_mark", None), "line", None)
        why = (
            f"line {where + 1} is no YAML" if where is not None else getattr(error, "strerror", None) or "it is no YAML"
        )
        raise NotWritten(
            f"The answers in {given} cannot be read: {why}. Correct the file and run this again."
        ) from None


# ---------------------------------------------------------------- what is wrong with them


def problems_of(settings: Mapping[str, Any], passwords: Mapping[str, str] | None = None) -> list[Problem]:
    """What is wrong with answers so far; what is still to be asked for is no problem."""
    hidden = {**dict.fromkeys(SECRETS, "stand-in"), **(passwords or {})}
    texts = {**_texts(settings), **hidden}
    return read(texts.get, keys=texts, is_secret=hidden.__contains__, prefix="")[1]


def _validate(settings: Mapping[str, Any], passwords: Mapping[str, str], prefix: str) -> None:
    texts = {**_texts(settings), **passwords}
    load_from(texts.get, keys=texts, is_secret=passwords.__contains__, prefix=prefix)


def _texts(settings: Mapping[str, Any]) -> dict[str, str]:
    return {
        key: json.dumps(value) if is_structured(key) or isinstance(value, (dict, list)) else str(value)
        for key, value in settings.items()
    }


# ---------------------------------------------------------------- writing


def _refuse_as_a_name(stack: str) -> None:
    # As pulumi has them: the name, with the organization and the project before it or not.
    if not re.fullmatch(r"([A-Za-z0-9_.-]{1,100}/){0,2}[A-Za-z0-9_.-]{1,100}", stack):
        raise NotWritten(
            f"The stack {quoted(stack)} was not made: that is no name for a stack. Use letters, digits, hyphens, underscores and periods, 100 at most, such as staging."
        )


def _refuse_to_overwrite(file: Path) -> None:
    if _left_by_pulumi(file) is None:
        raise Refused(
            f"The file {file} has settings already and is left as it is. Change it there or with `pulumi config set`; or take it away and run this again."
        )


def _left_by_pulumi(file: Path) -> str | None:
    """A file without settings, such as `pulumi stack init` writes, up to where they are to stand; None where somebody's settings are."""
    if not file.exists():
        return ""
    try:
        text = file.read_text(encoding="utf-8")
        found = yaml.safe_load(text) or {}
    except (ValueError, RecursionError, yaml.YAMLError):
        return None
    return _without_config(text) if isinstance(found, dict) and not found.get("config") else None


def _without_config(text: str) -> str:
    """This YAML, a mapping or nothing, without its key `config`, so that one can be written behind it. Comments stay."""
    text = text if text.endswith("\n") or not text else f"{text}\n"
    mapping = yaml.compose(text)
    if mapping is None:
        # Comments, or nothing.
        return text
    if not isinstance(mapping, yaml.MappingNode):
        return ""
    if mapping.flow_style:
        rest = {key: value for key, value in yaml.safe_load(text).items() if key != "config"}
        return yaml.safe_dump(rest, sort_keys=False, allow_unicode=True) if rest else ""
    for key, value in mapping.value:
        if key.value == "config":
            text = text[: key.start_mark.index] + text[value.end_mark.index :]
    return text


@dataclass(frozen=True)
class NewStack:
    """A stack that is made: its name, its file, its project, and what encrypts its secrets, as pulumi wants it; empty: pulumi's default."""

    name: str
    file: Path
    project: str
    secrets_provider: str = ""


def make(stack: NewStack) -> None:
    """Makes the stack where there is none; pulumi may write a file without settings. Raises NotWritten with what pulumi said."""
    provider = [f"--secrets-provider={stack.secrets_provider}"] if stack.secrets_provider else []
    _pulumi(["stack", "init", "--stack", stack.name, "--no-select", *provider], stack.name, passing="already exists")


def write(stack: NewStack, settings: Mapping[str, Any], passwords: Mapping[str, str]) -> None:
    """Writes the file of a stack that there is: whole or not at all. Raises NotWritten with what pulumi said.

    The secrets reach pulumi on its standard input, and are encrypted before anything is written.
    """
    before = _left_by_pulumi(stack.file) or ""
    config = {f"{stack.project}:{key}": value for key, value in settings.items()}
    stack.file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".init-", dir=stack.file.parent) as folder:
        made = Path(folder, stack.file.name)
        made.write_text(
            before + yaml.safe_dump({"config": config}, sort_keys=False, allow_unicode=True), encoding="utf-8"
        )
        for key, password in passwords.items():
            words = ["config", "set", "--secret", f"{stack.project}:{key}", "--stack", stack.name]
            _pulumi([*words, "--config-file", str(made)], stack.name, answer=password)
        # Somebody may have written it meanwhile.
        _refuse_to_overwrite(stack.file)
        made.replace(stack.file)


def _pulumi(words: list[str], stack: str, *, answer: str = "", passing: str = "") -> str:
    """What it prints."""
    command = [pulumi_on_path("settings"), *words, "--non-interactive"]
    environment = {key: value for key, value in os.environ.items() if key not in _OF_ANOTHER_STACK}
    asked_for = f"pulumi {' '.join(each for each in words[:2] if not each.startswith('-'))}"
    try:
        done = subprocess.run(
            command, input=answer, env=environment, capture_output=True, text=True, timeout=PULUMI_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise NotWritten(
            f"The settings of the stack {stack} are not written: `{asked_for}` did not end within {PULUMI_SECONDS} s. Look whether its backend answers "
            "(pulumi whoami -v), then run this again."
        ) from None
    if done.returncode != 0 and not (passing and passing in done.stderr):
        said = " ".join(done.stderr.split()).removeprefix("error: ").rstrip(".")
        raise NotWritten(
            f"The settings of the stack {stack} are not written: `{asked_for}` ended with {done.returncode}: {said}. Check the backend (pulumi login) and the "
            "passphrase (PULUMI_CONFIG_PASSPHRASE), then run this again."
        )
    return done.stdout
