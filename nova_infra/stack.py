"""A stack as its owner wrote it: configuration and templates. All that is wrong with both is said at once."""

from __future__ import annotations

import pulumi

from .errors import InvalidSettings
from .options import template_problems
from .settings import Settings, read


def load(config: pulumi.Config) -> Settings:
    """The stack's settings. Raises InvalidSettings with every problem.

    Templates alone do not keep a stack from being loaded: NovaDeployment renders them, and refuses those that do not.
    """
    namespace = config.full_key("")
    settings, problems = read(
        config.get,
        keys=[key.removeprefix(namespace) for key in pulumi.runtime.get_config_env() if key.startswith(namespace)],
        is_secret=lambda key: pulumi.runtime.is_config_secret(f"{namespace}{key}"),
        prefix=namespace,
    )
    if problems:
        raise InvalidSettings([*problems, *template_problems(settings)])
    return settings
