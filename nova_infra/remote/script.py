"""One operation on a node as one POSIX shell script, and what it answers.

A script is the functions of node/*.sh and, behind them, calls with quoted arguments: values are data, never code. It arrives
on standard input, so that nothing of it stands in a process list. Its answer is lines that begin with a random mark; what a
login shell or a program prints besides is not taken for an answer.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import shlex
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from ..errors import UnsupportedValue
from ..masking import Secret
from ..wording import escaped, surrogates

# A minute in which nothing is shown looks like a run that hangs.
BEAT_SECONDS = 20.0


# The folder node/: how a script lives comes first.
FILES = ("script.sh", "machine.sh", "notes.sh", "files.sh", "services.sh", "database.sh", "packages.sh", "check.sh")


@dataclass(frozen=True)
class Call:
    """A call of one function of node/*.sh. Arguments that are Secret are masked wherever a call is shown."""

    function: str
    arguments: tuple[str, ...] = ()
    title: str = ""
    """What the user sees while it runs, such as `restarting nova-api`; empty: no line of its own."""

    def text(self) -> str:
        """The call as shell source. Raises UnsupportedValue for an argument that no shell can carry."""
        # A shell drops NUL without a word.
        if any("\0" in each or surrogates(each) for each in self.arguments):
            raise UnsupportedValue(
                f"An argument of {self.function} holds a NUL or half of a surrogate pair, which no shell takes."
            )
        words = [self.function, *(shlex.quote(str(argument)) for argument in self.arguments)]
        line = " ".join(words)
        # A title is a line of our answer.
        return f"step {shlex.quote(escaped(self.title))}\n{line}\nsay done" if self.title else line

    def __str__(self) -> str:
        """The call for people and golden cases: secrets masked."""
        return " ".join(
            [self.function, *(repr(a) if isinstance(a, Secret) else shlex.quote(a) for a in self.arguments)]
        )


def call(function: str, *arguments: str, title: str = "") -> Call:
    """A call of `function` with `arguments`."""
    return Call(function, arguments, title)


@cache
def _functions() -> str:
    return "\n".join((Path(__file__).with_name("node") / name).read_text(encoding="utf-8") for name in FILES)


@dataclass(frozen=True)
class Script:
    """The source to send, and the mark by which its answer is known."""

    source: bytes
    mark: str


def compose(calls: Iterable[Call]) -> Script:
    """The script that makes these calls one after the other and then ends with success."""
    mark = f"nova-infra-{secrets.token_hex(8)}"
    body = "\n".join(each.text() for each in calls)
    # In one function: of a script that a broken connection has cut off nothing runs, not even its whole lines.
    source = f"mark={mark}\n{_functions()}\noperation() {{\n{body}\nsay end\nexit 0\n}}\noperation\n"
    return Script(source.encode(), mark)


@dataclass
class Answer:
    """What a script said: facts in order, and whether it asked to begin again."""

    facts: list[tuple[str, ...]] = field(default_factory=list)
    again: bool = False

    def first(self, kind: str) -> tuple[str, ...]:
        """The fields of the first fact of this kind. Raises LookupError."""
        for fact in self.facts:
            if fact[0] == kind:
                return fact[1:]
        raise LookupError(kind)

    def all(self, kind: str) -> list[tuple[str, ...]]:
        """The fields of every fact of this kind."""
        return [fact[1:] for fact in self.facts if fact[0] == kind]


def decoded(text: str) -> str:
    """The text behind a base64 field; bytes that are no UTF-8 become replacement characters."""
    try:
        return base64.b64decode(text, validate=True).decode("utf-8", "replace")
    except binascii.Error:
        return ""


class Listener:
    """Takes a script's lines as they come: collects the answer, shows steps and progress with their seconds.

    Whoever waits for the lines calls `beat` now and then: it says so when nothing was shown for BEAT_SECONDS.
    """

    def __init__(
        self, mark: str, doing: str, show: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.answer = Answer()
        self.begin(doing)
        self.heard = False
        self.ended = False
        self.noise = ""
        self._mark = mark
        self._to = show
        self._clock = clock
        self._in_step = False
        self._began = self._shown = clock()

    def begin(self, doing: str) -> None:
        """What is being done from now on, and again between the steps that the script tells of."""
        self._doing = self.current = doing

    def hear(self, line: str) -> None:
        """Takes one line; those that are not ours are left out."""
        fields = fields_of(line, self._mark)
        if fields is None:
            # Quoted when none of our lines comes: a login shell that says why it does not run commands.
            self.noise = (self.noise + line)[-300:]
            return
        self.heard = True
        kind, rest = fields[0], tuple(fields[1:])
        if kind == "fact":
            self.answer.facts.append(rest)
        elif kind == "step":
            self._end_step()
            self.current, self._began, self._in_step = rest[0], self._clock(), True
            self._show(self.current)
        elif kind == "progress":
            self._show(f"  {rest[0]} ({self._seconds()} s)")
        elif kind == "done":
            self._end_step()
            self.current = self._doing
        elif kind == "failed":
            # What comes before the first step has no name of its own.
            self.current = rest[0] or self.current
        elif kind in ("again", "end"):
            self._end_step()
            self.ended = True
            self.answer.again = kind == "again"

    def beat(self) -> None:
        """Says that it still runs, when nothing was shown for a while."""
        if self._clock() - self._shown >= BEAT_SECONDS:
            self._show(f"  {self.current}: still running ({self._seconds()} s)")

    def _end_step(self) -> None:
        # What takes less than a second would only make the rest harder to read.
        if self._in_step and self._seconds():
            self._show(f"  {self.current}: done in {self._seconds()} s")
        self._in_step = False

    def _show(self, line: str) -> None:
        self._shown = self._clock()
        self._to(line)

    def _seconds(self) -> int:
        return round(self._clock() - self._began)


def progress(node: str) -> Callable[[str], None]:
    """A function that shows a line with the node's name; the engine prints it while the operation runs."""

    def show(line: str) -> None:
        print(f"{node}: {line}", flush=True)

    return show


def fields_of(line: str, mark: str) -> Sequence[str] | None:
    """The tab-separated fields of a line of ours, or None for any other line."""
    before, found, rest = line.rstrip("\n").partition(f"{mark}\t")
    # A prompt or a program without a newline at its end may stand before the mark.
    return rest.rstrip("\r").split("\t") if found or before == mark else None
