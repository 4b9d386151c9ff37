"""What commands ask pulumi for: JSON with the secrets in plain, which is never quoted."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

from ..errors import StackUnreadable

PULUMI_SECONDS = 120


def pulumi_on_path(what: str) -> str:
    """The program pulumi, which is to read or write `what` of a stack. Raises StackUnreadable where there is none."""
    pulumi = shutil.which("pulumi")
    if pulumi is None:
        raise StackUnreadable(
            f"There is no `pulumi` on PATH, and it is what reads a stack's {what}. Install it, or run `. ./activate` in the checkout."
        )
    return pulumi


def handed_out(what: str, words: Sequence[str], stack: str = "") -> Any:
    """The JSON that `pulumi WORDS` prints of a stack; without a name, of the selected one.

    `what` is what is asked for, in a sentence: `configuration`. Raises StackUnreadable where pulumi does not hand it out.
    """
    pulumi = pulumi_on_path(what)
    of = f"the {what} of {f'the stack {stack}' if stack else 'the selected stack'}"
    asked = f"pulumi {' '.join(each for each in words[:2] if not each.startswith('-'))}"
    command = [pulumi, *words, "--non-interactive", *(["--stack", stack] if stack else [])]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PULUMI_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise StackUnreadable(
            f"Pulumi did not hand out {of} within {PULUMI_SECONDS} s (`{asked}`). Look whether its backend answers (pulumi whoami -v)."
        ) from None
    if done.returncode != 0:
        # What it prints on standard output may hold secrets; on standard error it says what is wrong.
        said = " ".join(done.stderr.split()).removeprefix("error: ").rstrip(".")
        raise StackUnreadable(
            f"Pulumi did not hand out {of} (`{asked}`, exit status {done.returncode}): {said}. Check the name of the stack, the backend "
            "(pulumi login) and the passphrase (PULUMI_CONFIG_PASSPHRASE)."
        )
    try:
        return json.loads(done.stdout)
    except ValueError:
        # It may hold secrets: it is not quoted.
        raise StackUnreadable(
            f"Pulumi handed out something else than {of}: `{asked}` printed what is no JSON. Run that command yourself and look at "
            "what it prints."
        ) from None
