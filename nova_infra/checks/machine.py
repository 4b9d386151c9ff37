"""One machine: what is asked, in one round trip, and what of the answer stands in the way."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from ipaddress import IPv4Address, IPv6Address

from .. import adoption, node
from ..defaults import ASKING_SECONDS, EVERYWHERE
from ..errors import StepFailed
from ..remote.connection import Connection, Unreachable, why
from ..remote.inspection import Facts, facts_of
from ..remote.script import Answer, call, decoded
from ..wording import abridged, counted
from .finding import Finding, from_sentence
from .needs import Listening, Needs, Place

SCRIPT_SECONDS = 60.0
REACH_SECONDS = 10.0
# nova-compute brings libvirt and QEMU: 230 MB of archives, 700 MB when unpacked. A machine that has its packages needs room for logs.
INSTALL_KILOBYTES, RUN_KILOBYTES = 1_000_000, 100_000
DISKS = ("/usr", "/var")
OPTIONS_SHOWN = 5

LoginToQueue = Callable[[Callable[[], socket.socket]], str]


@dataclass(frozen=True)
class Installable:
    """What apt says about installing what is due."""

    due: str
    refused: bool = False
    complaint: str = ""
    held: str = ""
    has_lists: bool = True
    sources: str = ""


@dataclass(frozen=True)
class Listener:
    """Who listens where a service is to: the process (`-`: not to be seen), its name, its user, and whether it is the service."""

    service: str
    port: int
    address: str
    pid: str
    name: str
    user: str
    own: bool


@dataclass(frozen=True)
class Machine:
    """What a machine answered."""

    facts: Facts
    installable: Installable | None = None
    """None when nothing is due."""
    unfinished: str = ""
    apt_holder: str = ""
    space: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Path -> mount point and free kilobytes."""
    listeners: tuple[Listener, ...] = ()
    clock: tuple[float, float] = (0.0, 0.0)
    """Between which seconds its clock is ahead of this machine's."""
    out_of_reach: dict[Place, str] = field(default_factory=dict)
    not_asked: str = ""
    """Why the machine could not be asked what it reaches, or nothing."""
    queues: dict[Place, str] = field(default_factory=dict)
    """Message queue -> why it refuses nova's login from this machine, or nothing."""


# ---------------------------------------------------------------- asking


def ask(connection: Connection, needs: Needs, notes: Iterable[str], login_to_queue: LoginToQueue) -> Machine:
    """Asks the machine and changes nothing. Raises RemoteError."""
    connection.open(ASKING_SECONDS)
    question = node.question(needs.state, needs.state["files"], needs.names)
    calls = [
        *replace(question, notes=(*question.notes, *notes)).calls(),
        call("read_installable", *needs.packages),
        call("read_dpkg"),
        call("read_space", *DISKS),
        *(call("read_listeners", each.service, str(each.port)) for each in needs.listening),
        call("read_clock"),
    ]
    began = time.time()
    answer = connection.run(calls, doing="asking the machine", deadline=SCRIPT_SECONDS)
    machine = machine_of(answer, began, time.time())
    # A name that does not resolve is said by itself, and an old sshd says of it what it says of what it may not do.
    places = [place for place in needs.places if machine.facts.names.get(place.host) != []]
    try:
        refused = connection.out_of_reach({(place.host, place.port) for place in places}, REACH_SECONDS)
    except Unreachable as error:
        return replace(machine, not_asked=why(error))
    reached = {place: refused[place.host, place.port] for place in places if (place.host, place.port) in refused}
    asked = [each for each in needs.queues if each in places and each not in reached] if needs.queue_in_plain else []
    queues = {place: login_to_queue(partial(connection.reach_tcp, place.host, place.port)) for place in asked}
    return replace(machine, out_of_reach=reached, queues=queues)


def machine_of(answer: Answer, began: float, ended: float) -> Machine:
    """The machine in an answer to a script that ran between these two seconds of our clock."""
    facts = facts_of(answer)
    installable = [
        Installable(due, verdict == "refused", decoded(said).strip(), held.strip(), bool(lists), sources)
        for verdict, due, said, held, lists, sources in answer.all("installable")
    ]
    unfinished, holder = answer.first("dpkg")
    return Machine(
        facts=facts,
        installable=installable[0] if installable else None,
        unfinished=unfinished.strip(),
        apt_holder=holder,
        space={fact[0]: (fact[1], int(fact[2])) for fact in answer.all("space") if len(fact) == 3},
        listeners=tuple(
            Listener(service, int(port), _address(address), pid, name, user, own == "own")
            for service, port, address, pid, name, user, own in answer.all("listener")
        ),
        # How long the script itself took is left out: `date` was asked at its beginning and at its end, in whole seconds.
        clock=(facts.later - ended, facts.now + 1 - began),
    )


def _address(text: str) -> str:
    """The address in /proc/net/tcp: words of four bytes, each in the order of the machine."""
    words = [
        int.from_bytes(bytes.fromhex(text[i : i + 8]), "little").to_bytes(4, "big") for i in range(0, len(text), 8)
    ]
    raw = b"".join(words)
    if len(raw) == 4:
        return str(IPv4Address(raw))
    address = IPv6Address(raw)
    return str(address.ipv4_mapped or address)


# ---------------------------------------------------------------- what stands in the way


def findings(needs: Needs, machine: Machine) -> list[Finding]:
    """The problems and notes of one machine."""
    where = needs.node
    try:
        node.same_machine(needs.state, machine.facts)
    except StepFailed as error:
        # Whatever else it says is about a machine that is not meant.
        return [from_sentence(where, "host name", str(error))]
    return [
        *_names(where, machine),
        *_packages(where, machine),
        *_space(where, machine),
        *_ports(needs, machine),
        *_reach(needs, machine),
        *_adoption(needs, machine),
    ]


def _names(where: str, machine: Machine) -> Iterable[Finding]:
    for name, addresses in machine.facts.names.items():
        if not addresses:
            yield Finding(
                where,
                "names",
                f"the name {name} does not resolve there",
                f"Put {name} into its /etc/hosts, or into the name server that it asks",
            )


def _packages(where: str, machine: Machine) -> Iterable[Finding]:
    if machine.apt_holder:
        yield Finding(
            where,
            "packages",
            f"{machine.apt_holder} holds the lock of apt or dpkg",
            "Let it end; `up` waits for it, with a limit",
            note=True,
        )
    if machine.unfinished:
        yield Finding(
            where,
            "packages",
            f"dpkg has left these unfinished: {machine.unfinished}",
            "Run `dpkg --configure -a` there, and see that it ends well",
        )
    apt = machine.installable
    if apt is None:
        return
    if apt.held:
        yield Finding(
            where,
            "packages",
            f"apt would change packages that are held back: {apt.held}",
            "Run `apt-mark unhold` there, or name the version that is installed",
        )
    if not apt.sources:
        yield Finding(
            where,
            "packages",
            f"apt has no source of packages, and these are to be installed: {apt.due}",
            "Put the sources of Ubuntu and of the release into /etc/apt/sources.list.d there",
        )
    elif apt.refused and not apt.has_lists:
        yield Finding(
            where,
            "packages",
            "apt has fetched no package lists yet, so nobody knows what there is",
            "`up` fetches them. Run `apt-get update` there and check again to know it before",
            note=True,
        )
    elif apt.refused:
        yield Finding(
            where,
            "packages",
            f"apt cannot install {apt.due}: {apt.complaint or 'it does not say why'}",
            f"Correct its sources ({apt.sources}), run `apt-get update` there, or name other versions in the stack's packages",
        )


def _space(where: str, machine: Machine) -> Iterable[Finding]:
    needed = INSTALL_KILOBYTES if machine.installable else RUN_KILOBYTES
    for mount in sorted({mount for mount, _free in machine.space.values()}):
        free = min(kilobytes for at, kilobytes in machine.space.values() if at == mount)
        if free < needed:
            yield Finding(
                where,
                "disk",
                f"only {free // 1000} MB are free on {mount}, and {needed // 1000} MB are needed",
                "Make room there",
            )


def _ports(needs: Needs, machine: Machine) -> Iterable[Finding]:
    for wanted in needs.listening:
        for each in machine.listeners:
            if (
                (each.service, each.port) == (wanted.service, wanted.port)
                and not each.own
                and _in_the_way(wanted, each)
            ):
                who = f"process {each.pid} ({each.name})" if each.pid != "-" else f"a process of the user {each.user}"
                yield Finding(
                    needs.node,
                    "ports",
                    f"port {each.port}, which {each.service} needs, is taken at {each.address} by {who}",
                    f"Stop it, or give {each.service} another port in the stack's options",
                )
                break


def _in_the_way(wanted: Listening, other: Listener) -> bool:
    """Whether both cannot listen: one of them at every address, or both at the same."""
    everywhere = {EVERYWHERE, "::", ""}
    return wanted.host in everywhere or other.address in everywhere or wanted.host == other.address


def _reach(needs: Needs, machine: Machine) -> Iterable[Finding]:
    where = needs.node
    if machine.not_asked:
        services = list(dict.fromkeys(each.service for each in needs.listening))
        yield Finding(
            where,
            "servers",
            f"what it reaches was not asked: {machine.not_asked}",
            f"Set AllowTcpForwarding yes in its sshd_config: `up` asks through it whether {' and '.join(services)} answer"
            if services
            else "Its sshd says AllowTcpForwarding no. `up` does not need it there",
            note=not services,
        )
    for place, reason in machine.out_of_reach.items():
        yield Finding(
            where,
            "servers",
            f"it does not reach {place}: {reason}",
            f"Check that {place.server} runs and listens at that address, and the firewalls between",
        )
    for place, reason in machine.queues.items():
        if reason:
            yield Finding(
                where,
                "servers",
                f"{place} refuses nova's account from there: {reason}",
                "Check rabbitPassword, messageQueue.user and .virtual_host; guest may by default log in at localhost only (loopback_users)",
            )


def _difference(lines: Sequence[str]) -> str:
    if not lines[0].startswith("["):
        # Of the file as a whole: it is a link, it does not parse.
        return lines[0]
    # The names say enough; `up` shows what differs.
    names = abridged([line.partition(": ")[0] for line in lines], most=OPTIONS_SHOWN)
    return f"differs from the stack in {counted(len(lines), 'place')}: {names}"


def _adoption(needs: Needs, machine: Machine) -> Iterable[Finding]:
    state, facts = needs.state, machine.facts
    for path, lines in adoption.differing_files(state, facts).items():
        what = f"somebody has written {path}, which {_difference(lines)}"
        if state["adopt"]:
            kept = (
                "`up` writes the stack's; the file as it is now is kept on the node, and `pulumi destroy` puts it back"
            )
            yield Finding(needs.node, "adoption", what, kept, note=True)
        else:
            way = f"Take into the stack's options what is to stay, then set `adopt: true` on {needs.node}; till then `up` refuses"
            yield Finding(needs.node, "adoption", what, way)
    by_hand = sorted(
        name
        for name, process in facts.services.items()
        if process.running and any(facts.origins.get(path) == "foreign" for path in state["services"][name]["reads"])
    )
    # What we manage already has its note.
    if by_hand and facts.notes.get(node.FOUND) is None:
        yield Finding(
            needs.node,
            "adoption",
            f"these services run with a configuration that somebody has written: {', '.join(by_hand)}",
            "`up` restarts them with the stack's options; `pulumi destroy` puts their file back and starts them",
            note=True,
        )
