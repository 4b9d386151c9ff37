"""`python -m nova_infra`: commands beside pulumi's own, each in nova_infra/commands/."""

from __future__ import annotations

import argparse
import os
import sys
from typing import NoReturn

from .commands import check, comment, drift, init, teardown
from .errors import NovaInfraError

# What a command has found has other codes: who asks for drift every night must not take a wrong option for it.
REFUSED, INTERRUPTED = 1, 130


class _Parser(argparse.ArgumentParser):
    """Ends with REFUSED where argparse would with 2."""

    def error(self, message: str) -> NoReturn:
        """Says what is wrong with the words of the command."""
        self.print_usage(sys.stderr)
        self.exit(REFUSED, f"{self.prog}: error: {message}\n")


def main(words: list[str] | None = None) -> int:
    """Runs the command that the words name; returns its exit code. What a user can cause ends in a sentence."""
    parser = _Parser(prog="python -m nova_infra", description="Commands for a stack, beside pulumi's own.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (check, comment, drift, init, teardown):
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
