"""`python -m nova_infra comment`: makes the comment for a pull request of what `pulumi preview --json` printed."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from ..errors import PlanUnreadable
from ..plan.comment import Circumstances, comment, comment_without_file
from ..plan.reading import Plan, between, read_plan, sentences


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument(
        "plan", nargs="?", default="-", metavar="FILE", help="what pulumi printed; default: standard input"
    )
    parser.add_argument(
        "--environment",
        required=True,
        metavar="NAME",
        help="the environment, mostly the stack's name: one comment each",
    )
    parser.add_argument(
        "--base",
        default="",
        metavar="FILE",
        help="the plan without the change; both were made without secrets and state, and the comment says what differs",
    )
    parser.add_argument(
        "--refresh-failed",
        default="",
        metavar="FILE",
        help="what a preview with --refresh printed that failed; FILE is then one without",
    )
    parser.add_argument("--drift", default="", metavar="FILE", help="what `python -m nova_infra drift` printed")
    parser.add_argument(
        "--said", default="", metavar="FILE", help="what pulumi said on standard error, for a preview that failed"
    )
    parser.add_argument(
        "--without-file",
        action="store_true",
        help="there is no plan: the change removes the stack's file, and the comment says so",
    )
    parser.add_argument("--commit", default="", metavar="ID", help="the commit that the plan was made of")
    parser.add_argument("--link", default="", metavar="URL", help="the address of the run")


def run(arguments: argparse.Namespace) -> int:
    """Prints Markdown. Returns 0. Raises PlanUnreadable for a file that is no plan."""
    environment, link = arguments.environment, arguments.link
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", environment):
        raise PlanUnreadable(
            f"The option --environment is {environment!r}, and the comment is found again by it: use letters, digits, dots, hyphens and underscores."
        )
    if link and not re.fullmatch(r"https?://[A-Za-z0-9_.:/?=&%#-]+", link):
        raise PlanUnreadable(
            f"The option --link is {link!r}, which is no address of a web page. Give one that begins with https://, or leave it out."
        )
    if arguments.commit and not re.fullmatch(r"[0-9a-f]{7,64}", arguments.commit):
        raise PlanUnreadable(
            f"The option --commit is {arguments.commit!r}, which is no commit. Give what `git rev-parse` prints, or leave it out."
        )
    if arguments.without_file:
        print(comment_without_file(environment, Circumstances(commit=arguments.commit, link=link)), end="")
        return 0
    said = sentences(_text(arguments.said).splitlines()) if arguments.said else ()
    plan = _plan(arguments.plan, said)
    if arguments.base:
        plan = between(_plan(arguments.base, said), plan)
    # Where it printed nothing, the one without refresh says why.
    failed = _plan(arguments.refresh_failed, ("it printed no plan",)).errors if arguments.refresh_failed else ()
    how = Circumstances(
        placeholders=bool(arguments.base),
        refresh_failed=failed,
        drift=_text(arguments.drift) if arguments.drift else "",
        commit=arguments.commit,
        link=link,
    )
    print(comment(plan, environment, how), end="")
    return 0


def _plan(file: str, said: tuple[str, ...]) -> Plan:
    """The plan; where pulumi printed none and said why, one with nothing but that."""
    text = _text(file)
    if said and text.strip() in ("", "{}"):
        return Plan((), 0, refreshed=False, errors=said)
    return read_plan(text, file)


def _text(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise PlanUnreadable(
            f"{file} cannot be read: {said}. It is to be what `pulumi preview --json` printed."
        ) from None
