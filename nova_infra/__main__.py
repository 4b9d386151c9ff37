"""`python -m nova_infra`: commands beside pulumi's own, each in nova_infra/commands/."""

from __future__ import annotations

import argparse
import os
import sys

from .commands import check
from .errors import NovaInfraError

REFUSED, INTERRUPTED = 2, 130


def main(words: list[str] | None = None) -> int:
    """Runs the command that the words name; returns its exit code. What a user can cause ends in a sentence."""
    parser = argparse.ArgumentParser(
        prog="python -m nova_infra", description="Commands for a stack, beside pulumi's own."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (check,):
        name = command.__name__.rpartition(".")[2]
        summary = (command.__doc__ or "").partition(": ")[2].strip()
        own = commands.add_parser(name, help=summary, description=summary[:1].upper() + summary[1:])
        command.add_arguments(own)
        own.set_defaults(run=command.run)
    arguments = parser.parse_args(words)
    try:
        return int(arguments.run(arguments))
    except NovaInfraError as error:
        print(error, file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        # Threads may still wait for machines; nobody waits for them.
        sys.stdout.flush()
        os._exit(INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main())
