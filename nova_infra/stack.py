"""A stack as its owner wrote it: configuration and templates. All that is wrong with both is said at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pulumi

from .errors import InvalidSettings
from .options import template_problems
from .settings import Settings, read


def load(config: pulumi.Config) -> Settings:
    """The stack's settings. Raises InvalidSettings with every problem.

    Templates alone do not keep a stack from being loaded: NovaDeployment renders them, and refuses those that do not.
    """
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
    """As `load`, from texts: see nova_infra.settings.read."""
    settings, problems = read(get, keys=keys, is_secret=is_secret, prefix=prefix)
    if problems:
        raise InvalidSettings([*problems, *template_problems(settings)])
    return settings
