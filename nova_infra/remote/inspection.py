"""Reading a node: which questions, asked in one script, and the facts it answers with. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .script import Answer, Call, call, decoded, progress

if TYPE_CHECKING:
    from .connection import Connection

DEADLINE_SECONDS = 120.0


@dataclass(frozen=True)
class Question:
    """What to look at on a node."""

    files: Sequence[str] = ()
    paths: Sequence[str] = ()
    packages: Sequence[str] = ()
    services: Sequence[str] = ()
    notes: Sequence[str] = ()
    origins: Sequence[str] = ()
    """Files of which it matters whose they are."""
    names: Sequence[str] = ()
    """Host names that must have an address there."""
    schema: bool = False

    def calls(self) -> list[Call]:
        """The calls that answer it, in one script."""
        return [
            call("read_machine"),
            *(call("read_file", path) for path in self.files),
            *(call("read_path", path) for path in self.paths),
            *([call("read_packages", *self.packages)] if self.packages else []),
            *(call("read_service", name) for name in self.services),
            *(call("read_note", name) for name in self.notes),
            *([call("read_origins", *self.origins)] if self.origins else []),
            *([call("read_names", *self.names)] if self.names else []),
            *([call("read_processes", *self.services)] if self.services else []),
            *([call("read_schema")] if self.schema else []),
            # Last: the time of the other answers counts, too.
            *([call("read_young")] if self.services else []),
            call("read_clock"),
        ]


@dataclass(frozen=True)
class File:
    """A file: `kind` is file, link, other or missing; `mode` octal digits; `changed` seconds since 1970."""

    kind: str
    owner: str = ""
    group: str = ""
    mode: str = ""
    changed: int = 0
    content: str = ""


@dataclass(frozen=True)
class Package:
    """A package: dpkg's status (`install ok installed`) and version."""

    status: str
    version: str

    @property
    def installed(self) -> bool:
        """Unpacked and configured."""
        return self.status.endswith(" ok installed")

    @property
    def unfinished(self) -> bool:
        """Something of it is there, and dpkg has not come to its end: unpacked, half-configured, half-installed."""
        return not self.installed and not self.status.endswith((" config-files", " not-installed", "none"))

    @property
    def held(self) -> bool:
        """Held back by somebody (`apt-mark hold`)."""
        return self.status.startswith("hold ")


@dataclass(frozen=True)
class Process:
    """A service: `pid` 0 when stopped; `started` seconds since 1970; `noted` what we wrote down at our last start of it.

    `configuration`: the files that its arguments name, in their order; none: it looks for its usual ones. `ended`: it ended while we
    looked, soon after somebody else had started it.
    """

    pid: int
    ticks: str
    started: int
    enabled: bool
    noted_ticks: str = ""
    noted_fingerprint: str = ""
    configuration: tuple[str, ...] = ()
    ended: bool = False

    @property
    def running(self) -> bool:
        """A process of it exists."""
        return self.pid > 0


@dataclass(frozen=True)
class Stray:
    """A process of a service's program that is none of the service: somebody has started it by hand."""

    name: str
    pid: int
    configuration: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """What a node answered. Every question asked has an entry."""

    hostname: str
    now: int
    """Its clock at the first question, in seconds since 1970."""
    virt_type: str
    init: str
    files: dict[str, File] = field(default_factory=dict)
    paths: dict[str, bool] = field(default_factory=dict)
    packages: dict[str, Package] = field(default_factory=dict)
    services: dict[str, Process] = field(default_factory=dict)
    notes: dict[str, str | None] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    """Whose a file is: `ours` (we have kept what was there), `packaged` (as its package brought it), `none` (there is no file), `foreign`."""
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The addresses of each name, none of one that the node cannot resolve."""
    schema: tuple[int | None, int] = (None, 0)
    """The version of the database schema (None: nova-manage could not tell) and the newest that the packages bring (0: not known)."""
    strays: Sequence[Stray] = ()
    later: int = 0
    """Its clock after the last answer."""


def inspect(connection: Connection, question: Question, *, doing: str = "reading the node") -> Facts:
    """Asks the node, in one round trip. Raises what Connection.run raises."""
    return facts_of(
        connection.run(question.calls(), doing=doing, deadline=DEADLINE_SECONDS, show=progress(connection.name))
    )


def facts_of(answer: Answer) -> Facts:
    """The facts in an answer."""
    schema = answer.all("schema")
    processes = answer.all("process")
    ended = {fact[0] for fact in answer.all("ended")}
    configuration = {name: files for name, whose, _pid, *files in processes if whose == "own"}
    return Facts(
        hostname=answer.first("hostname")[0],
        now=int(answer.first("now")[0]),
        virt_type=answer.first("virt_type")[0],
        init=answer.first("init")[0],
        files={
            path: File(kind, owner, group, mode, int(changed), decoded(content))
            for path, kind, owner, group, mode, changed, content in (_padded(fact, 7) for fact in answer.all("file"))
        },
        paths={path: state == "present" for path, state in answer.all("path")},
        packages={name: Package(status, version) for name, status, version in answer.all("package")},
        services={
            fact[0]: _process(fact, tuple(configuration.get(fact[0], ())), ended=fact[0] in ended)
            for fact in answer.all("service")
        },
        notes={name: None if content == "-" else decoded(content) for name, content in answer.all("note")},
        origins={fact[0]: fact[1] for fact in answer.all("origin")},
        names={name: addresses.split() for name, addresses in answer.all("name")},
        schema=(None if schema[0][0] == "unknown" else int(schema[0][0]), int(schema[0][1])) if schema else (None, 0),
        strays=[Stray(name, int(pid), tuple(files)) for name, whose, pid, *files in processes if whose == "other"],
        # Who asks for more in the same script asks for the clock once more.
        later=int(answer.all("later")[-1][0]),
    )


def _padded(fact: tuple[str, ...], length: int) -> tuple[str, ...]:
    return (*fact, *[""] * (length - len(fact)))


def _process(fact: tuple[str, ...], configuration: tuple[str, ...], *, ended: bool) -> Process:
    _name, state, pid, ticks, started, enabled, note = fact
    noted_ticks, _, noted_fingerprint = note.partition(" ")
    return Process(
        pid=int(pid) if state == "running" else 0,
        ticks=ticks,
        started=int(started),
        enabled=enabled == "enabled",
        noted_ticks=noted_ticks if noted_fingerprint else "",
        noted_fingerprint=noted_fingerprint,
        configuration=configuration,
        ended=ended,
    )
