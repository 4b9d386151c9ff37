"""What was on a node before us: not overwritten unseen, noted, and what it becomes again.

Nothing here opens a connection.
"""

from __future__ import annotations

from collections.abc import Sequence

from . import node
from .errors import Refused
from .node import State
from .remote.inspection import Facts
from .remote.script import Call, call


def begin(state: State, facts: Facts) -> list[Call]:
    """As `decide`, for the first operation on a node: what runs there before us is noted.

    Raises Refused when a file would be overwritten that somebody else wrote.
    """
    node.same_machine(state, facts)
    refuse_foreign_files(state, facts)
    noted = facts.notes[node.FOUND] is not None
    return [
        *([] if noted else [call("write_first_note", node.FOUND, _services_found(facts))]),
        *node.decide(state, facts),
    ]


def refuse_foreign_files(state: State, facts: Facts) -> None:
    """Raises Refused when a file that is new to us was written by somebody else and says something else than the stack.

    What the package brought is nobody's; a file with the same options loses nothing.
    """
    if state["adopt"]:
        return
    foreign = [path for path, origin in facts.origins.items() if origin == "foreign"]
    differing = {path: lines for path in sorted(foreign) if (lines := _differences(state, path, facts))}
    if differing:
        found = "".join(
            f"\n  {path}\n" + "\n".join(f"    {line}" for line in lines) for path, lines in differing.items()
        )
        raise Refused(
            f"{state['node']} ({state['connection']['host']}): somebody has written what the stack would overwrite:{found}\n"
            f"Nothing was changed. Take into the stack's options what is to stay; then set `adopt: true` on {state['node']} and run "
            "`pulumi up`. The file as it is now is kept on the node, and `pulumi destroy` puts it back."
        )


def _differences(state: State, path: str, facts: Facts) -> list[str]:
    """A line for each option that differs. What looks like a secret, and what the stack does not name, is shown without its value."""
    if facts.files[path].kind != "file":
        return [f"is a {facts.files[path].kind}, not a file"]
    there, wanted = node.options_in(state, path, facts), state["options"][path]
    if node.UNREADABLE in there:
        return [f"cannot be read: {there[node.UNREADABLE]['reason']}"]
    lines = []
    for section in sorted({*there, *wanted}):
        for option in sorted({*there.get(section, {}), *wanted.get(section, {})}):
            old, new = there.get(section, {}).get(option), wanted.get(section, {}).get(option)
            if old == new:
                continue
            secret = node.holds_a_secret(option)
            if new is None:
                lines.append(f"[{section}] {option}: not in the stack")
            elif old is None:
                lines.append(f"[{section}] {option}: not in the file")
            elif secret:
                lines.append(f"[{section}] {option}: another value")
            else:
                lines.append(f"[{section}] {option}: {old!r} in the file, {new!r} in the stack")
    return lines


def _services_found(facts: Facts) -> str:
    """Lines `name running|stopped enabled|disabled`."""
    return "\n".join(
        f"{name} {'running' if process.running else 'stopped'} {'enabled' if process.enabled else 'disabled'}"
        for name, process in sorted(facts.services.items())
    )


def ran_before(facts: Facts) -> set[str]:
    """The services that ran before us, as noted at our first operation on the node."""
    return {name for name, running, _ in _found_before(facts) if running == "running"}


def _found_before(facts: Facts) -> list[tuple[str, str, str]]:
    lines = [line.split() for line in (facts.notes.get(node.FOUND) or "").splitlines()]
    return [(words[0], words[1], words[2]) for words in lines if len(words) == 3]


def undo(state: State, facts: Facts) -> list[Call]:
    """The calls that take the role away: services and files as they were before us, notes removed."""
    names, paths = list(state["services"]), sorted(state["files"])
    return [*leave(names, paths, facts), call("remove_notes", node.FOUND)]


def leave(services: Sequence[str], files: Sequence[str], facts: Facts) -> list[Call]:
    """The calls that give up these services and files of a node: they become what they were before us."""
    before = [each for each in _found_before(facts) if each[0] in services]
    stop = [call("stop_services", *services, title=f"stopping {', '.join(services)}")] if services else []
    return [
        *stop,
        *(call("put_back_original", path, title=f"putting back {path}") for path in files),
        *(call("put_back_original", f"/etc/init/{name}.override") for name in services),
        *(
            call("set_boot", name, boot)
            for name, _, boot in before
            if facts.services[name].enabled != (boot == "enabled")
        ),
        *(
            call("start_service", name, "before", title=f"starting {name}, which ran before us")
            for name, state, _ in before
            if state == "running"
        ),
        call("remove_notes", *(f"service.{name}" for name in services)),
    ]
