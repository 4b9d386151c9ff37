"""A stack's settings as a command reads them: from `pulumi config`, which decrypts the secrets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from ..errors import StackUnreadable
from ..settings import Settings
from ..stack import load_from, refuse_those_of_another
from .engine import handed_out

PROJECT_FILES = ("Pulumi.yaml", "Pulumi.yml")


def enter_project() -> str:
    """Changes to the folder of the Pulumi project around the current one, as pulumi does, and returns the project's name.

    Key files in the settings are relative to that folder. Raises StackUnreadable where there is no project.
    """
    here = Path.cwd()
    found = [path for folder in (here, *here.parents) for name in PROJECT_FILES if (path := folder / name).is_file()]
    if not found:
        raise StackUnreadable(
            f"There is no Pulumi.yaml in {here} or above it. Run this in the folder of the Pulumi project."
        )
    os.chdir(found[0].parent)
    try:
        name = yaml.safe_load(found[0].read_text(encoding="utf-8"))["name"]
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError) as error:
        said = str(error).splitlines()[0]
        raise StackUnreadable(
            f"{found[0]} cannot be read: {said}. Correct it: it is the file of the project."
        ) from None
    return str(name)


def stacks_folder() -> Path:
    """The folder of the stacks' files, relative to that of the project, which is the current one."""
    file = next(path for name in PROJECT_FILES if (path := Path(name)).is_file())
    return Path(str(yaml.safe_load(file.read_text(encoding="utf-8")).get("stackConfigDir") or "."))


def read_settings(stack: str = "", config_file: str = "") -> Settings:
    """The settings of a stack of the project around the current folder; without a name, of the selected stack.

    `config_file` is pulumi's own option; its environment variables are honoured too. Raises StackUnreadable where pulumi does not
    hand out the configuration, Refused where a variable names that of another stack, InvalidSettings with every problem of it.
    """
    given = str(Path(config_file).absolute()) if config_file else ""
    project = enter_project()
    configuration = _configuration(stack, given)
    named = stack or os.environ.get("PULUMI_STACK", "")
    if named and not given:
        refuse_those_of_another(named)

    def get(key: str) -> str | None:
        value = configuration.get(f"{project}:{key}", {}).get("value")
        return None if value is None else str(value)

    return load_from(
        get,
        keys=[key.removeprefix(f"{project}:") for key in configuration if key.startswith(f"{project}:")],
        is_secret=lambda key: bool(configuration.get(f"{project}:{key}", {}).get("secret")),
        prefix=f"{project}:",
    )


def _configuration(stack: str, config_file: str) -> dict[str, dict[str, Any]]:
    """`{"project:key": {"value", "secret"}}`, secrets in plain."""
    words = ["config", "--json", "--show-secrets"]
    words += ["--config-file", config_file] if config_file else []
    configuration: dict[str, dict[str, Any]] = handed_out("configuration", words, stack)
    return configuration
