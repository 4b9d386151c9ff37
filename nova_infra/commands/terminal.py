"""The options that commands have in common, and what they say aside."""

from __future__ import annotations

import argparse
import sys


def add_stack(parser: argparse.ArgumentParser) -> None:
    """`--stack`, as pulumi has it."""
    parser.add_argument("--stack", "-s", default="", help="the stack; default: the one that is selected")


def add_json(parser: argparse.ArgumentParser) -> None:
    """`--json`."""
    parser.add_argument("--json", action="store_true", help="print JSON for programs in place of the table")


def say_aside(text: str) -> None:
    """Shows what is no part of the answer: on standard error."""
    print(text, file=sys.stderr, flush=True)
