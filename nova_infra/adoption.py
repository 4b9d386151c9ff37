"""What was on a node before us: not overwritten unseen, noted, and what it becomes again.

Nothing here opens a connection.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from . import node
from .errors import Refused
from .node import State
from .remote.inspection import Facts
from .remote.script import Call, call


def begin(state: State, facts: Facts, restart: Collection[str] = ()) -> list[Call]:
    """As `decide`; what runs of services that are new to us is noted first. So is all of it where the notes went with an earlier role.

    `restart`: as in `decide`. Raises Refused when a file would be overwritten that somebody else wrote.
    """
    node.same_machine(state, facts)
    refuse_foreign_files(state, facts)
    found = _services_found(state, facts)
    return [
        *([call("add_lines", node.FOUND, found)] if found else []),
        *node.decide(state, facts, restart),
    ]


def refuse_foreign_files(state: State, facts: Facts) -> None:
    """Raises Refused when a file that is new to us was written by somebody else and says something else than the stack.

    What the package brought is nobody's; a file with the same options loses nothing.
    """
    if state["adopt"]:
        return
    differing = differing_files(state, facts)
    if differing:
        found = "".join(
            f"\n  {path}\n" + "\n".join(f"    {line}" for line in lines) for path, lines in differing.items()
        )
        raise Refused(
            f"{state['node']} ({state['connection']['host']}): somebody has written what the stack would overwrite:{found}\n"
            f"Nothing was changed. Take into the stack's options what is to stay; then set `adopt: true` on {state['node']} and run "
            "`pulumi up`. The file as it is now is kept on the node, and `pulumi destroy` puts it back."
        )


def differing_files(state: State, facts: Facts) -> dict[str, list[str]]:
    """The files that somebody else has written and that say something else than the stack: path -> a line for each difference."""
    foreign = [path for path, origin in facts.origins.items() if origin == "foreign"]
    return {path: lines for path in sorted(foreign) if (lines := _differences(state, path, facts))}


def _differences(state: State, path: str, facts: Facts) -> list[str]:
    """A line for each option that differs. Values are not shown: of somebody else's file nobody knows which are secrets."""
    if facts.files[path].kind != "file":
        return [f"is a {facts.files[path].kind}, not a file"]
    there, wanted = node.options_in(state, path, facts), state["options"][path]
    if node.UNREADABLE in there:
        return [f"cannot be read: {there[node.UNREADABLE]['reason']}"]
    lines = []
    for section in sorted({*there, *wanted}):
        for option in sorted({*there.get(section, {}), *wanted.get(section, {})}):
            old, new = there.get(section, {}).get(option), wanted.get(section, {}).get(option)
            if old != new:
                lines.append(f"[{section}] {option}: {_difference(old, new)}")
    return lines


def _difference(old: object, new: object) -> str:
    if new is None:
        return "not in the stack"
    return "not in the file" if old is None else "another value"


def _services_found(state: State, facts: Facts) -> str:
    """Of services without a line in the note lines `name running|stopped enabled|disabled by-hand|-`.

    What runs because we installed or started it did not run before us.
    """
    added = (facts.notes.get(node.ADDED) or "").split()
    noted = {each[0] for each in _found_before(facts)}
    lines = []
    for name, process in sorted(facts.services.items()):
        if name in noted:
            continue
        running = process.running and name not in added and process.noted_ticks != process.ticks
        # What a package starts by itself does no work yet; what somebody configured may.
        by_hand = any(facts.origins.get(path) == "foreign" for path in state["services"][name]["reads"])
        words = (
            name,
            "running" if running else "stopped",
            "enabled" if process.enabled else "disabled",
            "by-hand" if running and by_hand else "-",
        )
        lines.append(" ".join(words))
    return "\n".join(lines)


def worked_before(facts: Facts) -> set[str]:
    """The services that somebody had configured and that ran before us, as noted at our first operation on the node."""
    return {name for name, _, _, by_hand in _found_before(facts) if by_hand == "by-hand"}


def _found_before(facts: Facts) -> list[tuple[str, str, str, str]]:
    lines = [line.split() for line in (facts.notes.get(node.FOUND) or "").splitlines()]
    return [(words[0], words[1], words[2], words[3]) for words in lines if len(words) == 4]


def is_ours(state: State, facts: Facts) -> bool:
    """Whether anything of the role is still to be undone: its note goes last, so without one all is as it was before us."""
    return any(each[0] in state["services"] for each in _found_before(facts))


def undo(state: State, facts: Facts) -> list[Call]:
    """The calls that take the role away: services and files as they were before us, notes removed."""
    # The engine hands out keys in any order; they stop together.
    names, paths = sorted(state["services"]), sorted(state["files"])
    gone = [call("put_back_original", path) for path in node.absent(state)]
    return [*_give_up(names, paths, facts), *gone, call("remove_lines", node.FOUND, *names), call("remove_notes")]


def leave(services: Sequence[str], files: Sequence[str], facts: Facts) -> list[Call]:
    """The calls that give up these services and files of a node, whose role goes on: they become what they were before us."""
    noted = {each[0] for each in _found_before(facts)}
    # A run that was cut off behind this has given the others back already.
    ours = [name for name in services if name in noted or facts.services[name].noted_ticks]
    return [*_give_up(ours, files, facts), *([call("remove_lines", node.FOUND, *ours)] if ours else [])]


def _give_up(services: Sequence[str], files: Sequence[str], facts: Facts) -> list[Call]:
    before = [each for each in _found_before(facts) if each[0] in services]
    stop = [call("stop_services", *services, title=f"stopping {', '.join(services)}")] if services else []
    return [
        *stop,
        *(call("put_back_original", path, title=f"putting back {path}") for path in files),
        *(call("put_back_original", f"/etc/init/{name}.override") for name in services),
        *(
            call(
                "give_back_service",
                name,
                boot,
                state,
                title=f"starting {name}, which ran before us" if state == "running" else "",
            )
            for name, state, boot, _ in before
        ),
        *([call("remove_notes", *(f"service.{name}" for name in services))] if services else []),
    ]
