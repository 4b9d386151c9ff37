"""What sudo says when it does not let a script run as root, and what to do about each of its reasons."""

from __future__ import annotations

import re


def refusal_in(complaint: str, user: str) -> str:
    """Sentences about sudo's refusal among what a login wrote to standard error, or an empty string."""
    own = [
        line
        for line in complaint.splitlines()
        if re.search(r"\bsudo: |not allowed to execute|not in the sudoers file", line)
    ]
    if not own:
        return ""
    # What it says last counts: before that it may lecture, and so may the login. Our command would only make it harder to read.
    said = re.sub(r"to execute '.*' as", "to execute our script as", " ".join(own[-1].split()).rstrip("."))
    if "tty" in said and "askpass" not in said:
        return (
            f"sudo wants a terminal: {said}. Take `requiretty` out of the machine's sudoers, or put "
            f"`Defaults:{user} !requiretty` there. A terminal would show what is sent, passwords too."
        )
    return f"sudo refused: {said}. {_advice(said, user)}"


def _advice(said: str, user: str) -> str:
    if "not found" in said:
        return f"Install sudo there and allow the user {user} every command, or log in as root."
    if "a password is required" in said or "askpass" in said:
        return (
            f"Give the stack the password of the user {user} (sudoPassword), or allow that user every command without one (NOPASSWD: ALL "
            "in sudoers)."
        )
    if "incorrect password" in said:
        return f"Correct the stack's sudoPassword: it is that of the user {user}."
    return f"Allow the user {user} to run every command with sudo, without a password or with the stack's sudoPassword."
