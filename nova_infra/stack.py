"""A stack as its owner wrote it: configuration and templates. All that is wrong with both is said at once."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pulumi

from .errors import InvalidSettings, Refused
from .options import template_problems
from .settings import Settings
from .stack_config import read
from .throwaway import refuse_throwaway

# The --config-file of every command; a shell may have it for another stack than the one that a command names.
CONFIG_FILE = "PULUMI_OPTION_CONFIG_FILE"


def load(config: pulumi.Config) -> Settings:
    """The stack's settings. Raises InvalidSettings with every problem, Refused where they are those of another stack, or where its
    state is in a folder that will be deleted and is for other stacks.

    Templates alone do not keep a stack from being loaded: NovaDeployment renders them, and refuses those that do not.
    """
    stack = pulumi.get_stack()
    refuse_those_of_another(stack)
    # Under mocks it may be None.
    refuse_throwaway(stack, Path(pulumi.get_root_directory() or "."))
    namespace = config.full_key("")
    return load_from(
        config.get,
        keys=[key.removeprefix(namespace) for key in pulumi.runtime.get_config_env() if key.startswith(namespace)],
        is_secret=lambda key: pulumi.runtime.is_config_secret(f"{namespace}{key}"),
        prefix=namespace,
    )


def load_from(
    get: Callable[[str], str | None], *, keys: Iterable[str], is_secret: Callable[[str], bool], prefix: str
) -> Settings:
    """As `load`, from texts: see nova_infra.stack_config.read."""
    settings, problems = read(get, keys=keys, is_secret=is_secret, prefix=prefix)
    if problems:
        raise InvalidSettings([*problems, *template_problems(settings)])
    return settings


def refuse_those_of_another(stack: str) -> None:
    """Raises Refused where the environment names a file `Pulumi.OTHER.yaml`: the stack would get the machines of the other one.

    Whether --config-file was given besides no program can see. Whoever means that other file gives it so, without the variable.
    """
    file = os.environ.get(CONFIG_FILE, "")
    found = re.fullmatch(r"Pulumi\.(.+)\.ya?ml", Path(file).name)
    if found and found[1] != stack.rpartition("/")[2]:
        raise Refused(
            f"The settings of the stack {stack} are not read: {CONFIG_FILE} names {file}, the file of the stack {found[1]}, and its machines would become "
            f"those of {stack}. Run `unset {CONFIG_FILE}`, and give --config-file where you mean that file."
        )
