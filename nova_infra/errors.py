"""What can go wrong, as one tree of exceptions.

Every message is one sentence or a few: the resource, the host, the step, what the other side said, what to do.
Providers raise these `from None`, so that the engine shows the sentence and no traceback. docs/errors.md has the tree as a table.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class NovaInfraError(Exception):
    """The root: whatever this package raises on purpose.

    ```python
    try:
        deployment = nova_infra.NovaDeployment("nova", nova_infra.load_settings(pulumi.Config()))
    except nova_infra.NovaInfraError as error:
        raise pulumi.RunError(str(error)) from None
    ```
    """


@dataclass(frozen=True)
class Problem:
    """One thing wrong with the input: the key (`nova:computes[1].address`) and a sentence about it."""

    key: str
    reason: str

    def __str__(self) -> str:
        return f"{self.key}: {self.reason}"


class InvalidSettings(NovaInfraError):  # noqa: N818 - the input is invalid; nothing failed yet
    """The stack's configuration cannot be used. Carries all problems at once."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        count = len(self.problems)
        super().__init__(f"The configuration has {count} problem{'s' if count > 1 else ''}:\n{lines}")


class StackUnreadable(NovaInfraError):  # noqa: N818 - a property of the stack
    """A command could not read the configuration or the state of its stack. Says what pulumi said."""


class ReportUnwritable(NovaInfraError):  # noqa: N818 - a property of the place
    """A command could not write its report to the file that was named."""


class NotWritten(NovaInfraError):  # noqa: N818 - a property of the stack
    """A command could not write a stack's settings. Says why, and what pulumi said; no settings were written."""


class PlanUnreadable(NovaInfraError):  # noqa: N818 - a property of the plan
    """A command was given something else than what `pulumi preview --json` prints."""


class UnsupportedValue(NovaInfraError):  # noqa: N818 - a property of the value
    """A value that the file format cannot carry (oslo.config has no way to write it)."""


class UnreadableFile(NovaInfraError):  # noqa: N818 - a property of the file
    """A configuration file of a node that does not parse. Names the file and the line."""


class RemoteError(NovaInfraError):
    """A machine or server could not be reached, refused, or failed at a step."""


class ConnectionFailed(RemoteError):  # noqa: N818
    """No SSH connection: no route, wrong host key, no login, no sudo."""


class NoConnection(ConnectionFailed):
    """Nobody answers at the machine's address: it is off, gone, or behind something that is."""


class StepFailed(RemoteError):  # noqa: N818
    """A step on a machine ended with an error. Names the step and quotes what the machine said."""


class DeadlineExceeded(RemoteError):  # noqa: N818
    """A step or a wait took longer than its limit. Says what was waited for and what was last seen."""


class IdentityError(RemoteError):
    """Keystone refused, could not be reached, or lacks a tenant or role that is needed."""


class DatabaseError(RemoteError):
    """MariaDB refused or could not be reached."""


class ComputeError(RemoteError):
    """The compute API refused or could not be reached."""


class ComputeSilent(ComputeError):  # noqa: N818 - as NoConnection
    """Nobody answers where Keystone's catalog says that the compute API is."""


class Refused(NovaInfraError):  # noqa: N818 - we refuse
    """We refuse, because something would be lost. Says the way to do it on purpose."""
