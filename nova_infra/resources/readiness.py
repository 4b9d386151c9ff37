"""When a service does its work: it answers on its port, it has reported to nova, and its process is the one that was started.

A fresh row of nova's table counts as up for 60 s and proves nothing: a report after the restart does. What can be told before
the time is over, because a process has ended or a server refuses an account, is told then.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .. import clock
from ..configuration import as_list, read_options
from ..errors import ComputeError, ConnectionFailed, DeadlineExceeded, RemoteError, StepFailed, UnreadableFile
from ..masking import mask
from ..node import CLOCK_SECONDS, holds_a_secret
from ..refusals import Refusal, refusal_in
from ..releases.release import NOVA_COMPUTE_CONF, NOVA_CONF
from ..remote.inspection import Facts, Process, Question, facts_of, inspect
from ..remote.operation import LOCK_SECONDS, REAL_TIME, TRIES, Time, lock_taken, progress, wait_until
from ..remote.reason import Prohibited
from ..remote.script import call, decoded

if TYPE_CHECKING:
    from ..compute import Compute
    from ..remote.connection import Connection

# nova-api may die seconds after it answered once.
STILL_ALIVE_SECONDS = 10.0
# When a node is first asked why a service does not come, and how often then. Nova's services report every 10 s.
FIRST_LOOK_SECONDS = 4.0
LOOK_SECONDS = 12.0
LOOK_DEADLINE_SECONDS = 60.0
LOG_LINES = 8
# A refusal stands among the lines of other threads.
SEARCHED_LINES = 80
# Of many nodes that fail alike, the logs of a few say it all.
NODES_QUOTED = 3
NODES_AT_ONCE = 16


@dataclass(frozen=True)
class Started:
    """Services of a node that are waited for: by name the process that was started, or None where nobody has looked."""

    connection: Connection
    processes: Mapping[str, Process | None]
    ahead: float = 0.0
    """By how many seconds the node's clock was ahead of ours when the processes were looked at."""
    secrets: Sequence[str] = field(default=(), repr=False)
    hidden: Sequence[Sequence[str]] = ()
    """`[file, section, option]` of secrets whose name does not say so, where only the node has the values."""
    since: float | None = None
    """When the last of them was started, on our clock, where nobody has looked at the processes but that is known."""

    @property
    def node(self) -> str:
        """The node's name."""
        return self.connection.name

    def only(self, names: Iterable[str]) -> Started:
        """The same without other services."""
        return replace(self, processes={name: self.processes[name] for name in names})

    def without_processes(self, names: Collection[str]) -> Started:
        """The same where it is not known when these services were started."""
        if not names:
            return self
        processes = {name: None if name in names else each for name, each in self.processes.items()}
        return replace(self, processes=processes, since=None)

    def began(self, name: str, clock_ahead: float | None) -> float:
        """When the process was started, at the latest, on a clock that is so much ahead of ours; never where that is not known."""
        since, process = self.since, self.processes[name]
        if process is not None:
            since = process.started - self.ahead if process.running else None
        return math.inf if since is None or clock_ahead is None else since + CLOCK_SECONDS + clock_ahead


def wait_for_answers(
    started: Started,
    places: Mapping[str, str],
    seconds: float,
    *,
    again: Again | None = None,
    passing: Time = REAL_TIME,
) -> None:
    """Returns when each service answers at its place: `host:port` as the node reaches it. With `again`, one that has ended is started once more.

    Raises DeadlineExceeded or RemoteError, with the end of its log; ConnectionFailed when the node's sshd does not let us ask.
    """
    for name, place in places.items():
        _wait_for_answer(started.only([name]), name, place, seconds, again=again, passing=passing)


def _wait_for_answer(
    started: Started, name: str, place: str, seconds: float, *, again: Again | None, passing: Time
) -> None:
    doing = f"waiting until {name} answers at {place}"
    prohibited: Prohibited | None = None

    def answers() -> bool:
        nonlocal prohibited
        prohibited = None
        try:
            return _answers(started.connection, place)
        except Prohibited as error:
            prohibited = error
            return False

    def refuse_prohibited() -> None:
        if prohibited:
            raise ConnectionFailed(
                f"{started.node}: whether {name} answers is not known: {prohibited}. It is asked through the node's sshd: set "
                "AllowTcpForwarding yes in its sshd_config, and run the same command again."
            )

    progress(started.node)(doing)
    _wait(
        answers,
        lambda: [started],
        doing=f"{started.node}: {doing}",
        seconds=seconds,
        seen=lambda: str(prohibited or ""),
        advice="deadlines.answer says how long it waits.",
        again=again,
        refuse=refuse_prohibited,
        passing=passing,
    )


def wait_for_reports(
    compute: Compute,
    started: Sequence[Started],
    seconds: float,
    *,
    doing: str,
    of_host: str = "",
    again: Again | None = None,
    passing: Time = REAL_TIME,
) -> None:
    """Returns when every one of these services has reported to nova since it was started, or since this call began.

    Asks nova about all hosts at once, or about one. With `again`, a service that has ended is started once more. `doing` begins the sentence of an error. Raises DeadlineExceeded or
    RemoteError, with the end of the logs of those that have not.
    """
    # Which report stood there when the waiting began: the first one that is another was made by the new process, as is one that is
    # later than its start.
    before: dict[tuple[str, str], str] | None = None
    now: dict[tuple[str, str], str] = {}
    problem = ""

    def has_reported(each: Started, name: str) -> bool:
        key = (each.node, name)
        report = now.get(key)
        if before is None or not report:
            return False
        return report != before.get(key) or _seconds(report) >= each.began(name, compute.clock_ahead)

    def missing() -> list[Started]:
        late = [(each, [name for name in each.processes if not has_reported(each, name)]) for each in started]
        return [each.only(names) for each, names in late if names]

    def all_have_reported() -> bool:
        nonlocal before, now, problem
        try:
            now = {(each.host, each.binary): each.updated_at for each in compute.services(of_host)}
            problem = ""
        except ComputeError as error:
            # The API itself may be starting.
            problem = str(error)
            return False
        if before is None:
            before = now
        return not missing()

    def seen() -> str:
        late = [
            f"{name} on {each.node}: {now.get((each.node, name)) or 'never'}"
            for each in missing()
            for name in each.processes
        ]
        return problem or ", ".join(late)

    _wait(
        all_have_reported,
        missing,
        doing=doing,
        seconds=seconds,
        seen=seen,
        advice="deadlines.report says how long it waits.",
        clock=compute,
        again=again,
        passing=passing,
    )


def _seconds(report: str) -> float:
    """Seconds since 1970 of a report, `2014-11-22T14:02:24.000000`; long ago for what is none."""
    seconds = seconds_of(report)
    return -math.inf if seconds is None else seconds


def wait_until_still_alive(started: Started) -> None:
    """Returns when STILL_ALIVE_SECONDS have passed on the node since the last of these processes was started."""
    last = max((each.started for each in started.processes.values() if each), default=0)
    wait_until(
        lambda: inspect(started.connection, Question(), doing="reading the clock").now >= last + STILL_ALIVE_SECONDS,
        doing=f"{started.node}: {STILL_ALIVE_SECONDS:.0f} s after the start",
        seconds=STILL_ALIVE_SECONDS * 3,
        advice="Look at the machine's clock.",
    )


def refuse_ended(started: Started) -> None:
    """Raises RemoteError, with the end of their logs, when processes have ended or are not those that were started."""
    refuse_hopeless([started])


@dataclass
class Again:
    """The services that were started once more, because they had ended: nobody else would start them before the next refresh.

    A node is as the stack wants it when its services have been started. When one ends later, and what was wrong is put right, the
    next run finds nothing to do on that node.
    """

    allowed: bool = True
    names: dict[str, set[str]] = field(default_factory=dict)

    def as_started(self, started: Sequence[Started]) -> list[Started]:
        """The same, without the processes that were there before."""
        return [each.without_processes(self.names.get(each.node, set())) for each in started]

    def start_or_refuse(self, started: Sequence[Started]) -> None:
        """Starts what has ended, once each. Raises RemoteError when that does not help, or waiting does not."""
        seen = _look_at(self.as_started(started))
        due = {each.started.node: set(each.ended()) - self.names.get(each.started.node, set()) for each in seen}
        if not self.allowed or not any(due.values()):
            _refuse_hopeless(seen)
            return
        for each in started:
            if names := sorted(due.get(each.node, ())):
                _start_again(each, names)
                self.names.setdefault(each.node, set()).update(names)


def start_those_without_a_record(started: Sequence[Started]) -> None:
    """Starts services anew of which nova has no record: they make it when they start, and at no other time."""

    def start(each: Started) -> None:
        names = sorted(each.processes)
        _start(each, "start_anew", names, f"starting {', '.join(names)} anew: nova has no record of it")

    with ThreadPoolExecutor(NODES_AT_ONCE) as threads:
        list(threads.map(start, started))


def _start_again(started: Started, names: Sequence[str]) -> None:
    _start(started, "start_ended", names, f"starting {', '.join(names)} once more: ended after the start")


def _start(started: Started, function: str, names: Sequence[str], title: str) -> None:
    calls = [call("lock", str(LOCK_SECONDS)), call(function, *names, title=title)]
    connection, show = started.connection, progress(started.node)
    for _ in range(TRIES):
        answer = connection.run(calls, doing=title, deadline=LOCK_SECONDS * 2, show=show, secrets=started.secrets)
        if not answer.again:
            return
    raise StepFailed(lock_taken(connection, title))


def refuse_hopeless(started: Sequence[Started]) -> None:
    """Raises RemoteError when a process has ended or a server refuses nova's account: waiting longer would not help."""
    _refuse_hopeless(_look_at(started))


def _refuse_hopeless(seen: Sequence[_Seen]) -> None:
    if sentences := [sentence for each in seen for sentence in each.hopeless()]:
        raise RemoteError("\n".join(dict.fromkeys(sentences)) + _logs([each for each in seen if any(each.hopeless())]))


def _wait(
    done: Callable[[], bool],
    missing: Callable[[], Sequence[Started]],
    *,
    doing: str,
    seconds: float,
    advice: str,
    seen: Callable[[], str] = lambda: "",
    clock: Compute | None = None,
    again: Again | None = None,
    refuse: Callable[[], None] = lambda: None,
    passing: Time,
) -> None:
    """Waits, and asks the nodes now and then whether it is of use; then `refuse` may raise what else makes it useless."""
    again = again or Again(allowed=False)
    began = passing.now()
    next_look = began + FIRST_LOOK_SECONDS

    def done_or_hopeless() -> bool:
        nonlocal next_look
        if done():
            return True
        if passing.now() >= next_look:
            late = missing()
            # To ask very many nodes is dear, and most of them are about to report.
            if len(late) <= NODES_AT_ONCE or passing.now() >= began + LOOK_SECONDS:
                again.start_or_refuse(late)
                refuse()
                next_look = passing.now() + LOOK_SECONDS
        return False

    try:
        wait_until(done_or_hopeless, doing=doing, seconds=seconds, seen=seen, advice=advice, passing=passing)
    except DeadlineExceeded as error:
        late = _look_at(again.as_started(missing()))
        known = [
            sentence
            for each in late
            for sentence in [*each.hopeless(), *each.what_may_pass(clock.clock_ahead if clock else None)]
        ]
        raise DeadlineExceeded("\n".join([str(error), *dict.fromkeys(known)]) + _logs(late)) from None


def _answers(connection: Connection, place: str) -> bool:
    host, _, port = place.rpartition(":")
    try:
        connection.reach_tcp(host, int(port)).close()
    except Prohibited:
        raise
    except OSError:
        return False
    return True


# ------------------------------------------------------------ what the nodes say


@dataclass(frozen=True)
class _Seen:
    """A node, asked about services: its facts and the ends of their logs since their start. Nothing of one that does not answer."""

    started: Started
    facts: Facts | None = None
    logs: Mapping[str, str] = field(default_factory=dict)
    asked_at: float = 0.0

    def ended(self) -> list[str]:
        return [name for name, process in self.started.processes.items() if self._ended(name, process)]

    def hopeless(self) -> list[str]:
        ended = self.ended()
        # Of one that has ended any refusal may be the reason.
        sentences = self._refusals(lambda name, refusal: refusal.final or name in ended)
        if ended:
            sentences.append(
                f"{', '.join(ended)} on {self.started.node} ended after it had been started. Its configuration or a server it needs is "
                "wrong: put that right, and run the same command again."
            )
        return sentences

    def what_may_pass(self, clock_ahead: float | None) -> list[str]:
        skew = self.facts.now - self.asked_at - clock_ahead if self.facts and clock_ahead is not None else 0.0
        limit = clock.allowed({})
        services = self.started.processes
        off = [clock.sentence(self.started.node, skew, "of nova-api", limit, services)] if abs(skew) > limit else []
        ended = self.ended()
        return [*off, *self._started_anew(), *self._refusals(lambda name, each: not each.final and name not in ended)]

    def _started_anew(self) -> list[str]:
        if self.facts is None or self.started.since is None:
            return []
        # What is between the clocks, and what a clock of whole seconds leaves open on both sides.
        ours = self.started.since + self.facts.now - self.asked_at + 2 * CLOCK_SECONDS
        names = [
            name
            for name, process in self.started.processes.items()
            if process is None and self.facts.services[name].running and self.facts.services[name].started > ours
        ]
        said = f"{', '.join(names)} on {self.started.node} was started once more since: by somebody, or by the init system because it had ended."
        return [said] if names else []

    def _ended(self, name: str, process: Process | None) -> bool:
        if self.facts is None:
            return False
        now = self.facts.services[name]
        return not now.running or (process is not None and process.running and process.ticks != now.ticks)

    def _refusals(self, counts: Callable[[str, Refusal], bool]) -> list[str]:
        by_refusal: dict[str, list[str]] = {}
        for name, log in self.logs.items():
            refusal = refusal_in(log)
            if refusal and counts(name, refusal):
                by_refusal.setdefault(str(refusal), []).append(name)
        return [f"{', '.join(names)} on {self.started.node}: {refusal}" for refusal, names in by_refusal.items()]


def _look_at(started: Sequence[Started]) -> list[_Seen]:
    with ThreadPoolExecutor(NODES_AT_ONCE) as threads:
        return list(threads.map(_look, started))


def _look(started: Started) -> _Seen:
    names = list(started.processes)
    files = sorted({path for path, _section, _option in started.hidden} | {NOVA_CONF, NOVA_COMPUTE_CONF})
    question = Question(services=names, files=[] if started.secrets else files)
    calls = [*question.calls(), *(call("read_log", name, str(SEARCHED_LINES)) for name in names)]
    try:
        answer = started.connection.run(calls, doing="looking at the services", deadline=LOOK_DEADLINE_SECONDS)
    except RemoteError:
        # What is waited for says more than why nobody could look.
        return _Seen(started)
    facts = facts_of(answer)
    secrets = [*started.secrets, *_secrets_on(facts, started.hidden)]
    logs: dict[str, str] = {}
    for name, text in answer.all("log"):
        logs[name] = logs.get(name, "") + mask(decoded(text), secrets)
    return _Seen(started, facts, logs, time.time())


def _secrets_on(facts: Facts, hidden: Sequence[Sequence[str]]) -> list[str]:
    """The values of secret options in the files of a node."""
    found = []
    paths = {tuple(each) for each in hidden}
    for path, file in facts.files.items():
        try:
            options = read_options(file.content, path)
        except UnreadableFile:
            continue
        for section, values in options.items():
            for option, value in values.items():
                if holds_a_secret(option) or (path, section, option) in paths:
                    found += as_list(value)
    return found


def _logs(seen: Sequence[_Seen]) -> str:
    text = ""
    for each in seen[:NODES_QUOTED]:
        for name, log in each.logs.items():
            text += f"\n--- the end of the log of {name} on {each.started.node}:\n{_excerpt(log)}"
    more = len(seen) - NODES_QUOTED
    return text + (f"\n--- and {more} more node{'' if more == 1 else 's'}" if more > 0 else "")


# `2014-12-01 10:00:00.123 1234 ERROR nova.service   File "..."`: the inside of a traceback says nothing to an operator.
_PREFIX = re.compile(r"^\d{4}-\d\d-\d\d \S+ \d+ (ERROR|CRITICAL|TRACE) \S+( \[[^\]]*\])? ?")


def _excerpt(log: str) -> str:
    """The last lines that say something: errors, where there are any."""
    lines = log.splitlines()
    errors = [line for line in lines if _PREFIX.match(line)]
    said = [line for line in errors or lines if _says_something(_PREFIX.sub("", line))]
    return "\n".join((said or lines)[-LOG_LINES:])


def _says_something(text: str) -> bool:
    return bool(text.strip()) and not text.startswith((" ", "Traceback (most recent call last)"))


# ------------------------------------------------------------ clocks


def moment(seconds: float) -> str:
    """Seconds since 1970 as text, in UTC: `2014-11-22T14:02:24Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_of(text: str) -> float | None:
    """The seconds since 1970 of a moment, in UTC where it names no zone; None of what is no moment."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
