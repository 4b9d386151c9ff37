"""A node as data: the wanted state, what is really there in the same shape, and what must be done about the difference.

The state of a node is a dictionary, because that is what Pulumi shows property by property:

    {"node": "controller",                       the node's name = host name = the host nova registers
     "connection": {"host", "port", "user", "host_key"},
     "options": {file: {section: {option: value or [values]}}},      a file NAME.sh: {"export": {variable: value}}
     "files": {file: {"owner", "group", "mode"}},
     "services": {name: {"running": bool, "enabled": bool, "reads": [file], "fingerprint": str}},
     "absent": [path],
     "schema": "current" | "unmanaged",          whether this node keeps the database schema up to date
     "hidden": [[file, section, option]],        secrets whose name does not say so
     "adopt": bool}                              whether files that others wrote may be taken over

Nothing here opens a connection.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from .configuration import as_list, read_options, write_options
from .errors import StepFailed, UnreadableFile, UnsupportedValue
from .marks import marked, unmarked
from .masking import Secret, fingerprint, key_from, mask
from .openrc import is_variables_file, read_variables, write_variables
from .remote.inspection import Facts, File, Process, Question
from .remote.script import Call, call

State = Mapping[str, Any]

AUTO = "auto"
CURRENT = "current"
UNMANAGED = "unmanaged"
# (section, option) whose value `auto` stands for what the machine can do.
FOUND_ON_THE_MACHINE = {("libvirt", "virt_type"): "virt_type"}
HEADING = "Written by Pulumi (nova_infra). A change made here is drift: the next `pulumi up --refresh` takes it back."
UNREADABLE = "unreadable"
# What stands in place of `running: true` for a service that ends soon after each start.
CRASHING = "crashing"
# What stands in place of the value of an option that the stack does not name.
NOT_IN_THE_STACK = "not in the stack"
# What follows a path at which something is, and nothing is to be.
_THERE = "is there"
# In place of the schema's version where nova-manage could not say it.
SCHEMA_NOT_KNOWN = "not known"
_SCHEMA_EMPTY = "empty"
# What stands behind the name of a secret option that has another value on the node.
FOUND_THERE = "(found)"
_CRLF = "\r\n"
# What stands in a file's text for bytes that are none.
_NO_TEXT = "\ufffd"
# The note of the services that ran, and started at boot, before us.
FOUND = "services.found"
# The note of the packages that apt added for us (NodePackages writes it).
ADDED = "packages.added"

# A process whose start cannot be told from the file's last change may have read either content; /proc counts boot time in
# whole seconds.
CLOCK_SECONDS = 2

_SECRET_OPTION = re.compile(r"password|secret|token|connection|transport_url|_key$")


def question(state: State, new_files: Iterable[str] = (), names: Iterable[str] = ()) -> Question:
    """What must be read on the node to compare it with `state`; of `new_files` also whose they are, and which `names` it knows."""
    return Question(
        files=sorted(state["files"]),
        paths=sorted(absent(state)),
        services=list(state["services"]),
        notes=(FOUND, ADDED),
        origins=sorted(new_files),
        names=sorted(names),
        schema=state["schema"] != UNMANAGED,
    )


def absent(state: State) -> list[str]:
    """The paths at which nothing is to be, also when a refresh has marked one at which something is."""
    return unmarked(state["absent"], _THERE)


def service_fingerprint(options: Mapping[str, Any], reads: Sequence[str]) -> str:
    """What stands for all options that a service reads. A change of it is a restart, and a plan shows it.

    It is keyed with the passwords among them: who has only the fingerprint must guess all of them at once.
    """
    read = {path: options.get(path, {}) for path in reads}
    return fingerprint(read, key_from(tuple(_secret_values(read))))


def secrets_in(state: State) -> list[str]:
    """The values that must not appear in a text: options whose name says that they hold a secret, and those that the stack hides."""
    hidden = [
        text
        for path, section, option in state.get("hidden", [])
        for text in as_list(state["options"].get(path, {}).get(section, {}).get(option, []))
    ]
    return [*_secret_values(state["options"]), *hidden]


def without_secrets(state: State) -> dict[str, dict[str, dict[str, Any]]]:
    """The options, of secrets their names only."""
    return {
        path: {
            section: {
                option: _without_the_secret(value) if _is_secret(state, path, section, option) else value
                for option, value in options.items()
            }
            for section, options in sections.items()
        }
        for path, sections in state["options"].items()
    }


def _without_the_secret(value: Any) -> str:
    # One that was gone, and that somebody has put back after a stored refresh, may be another one: the state no longer says.
    return NOT_IN_THE_STACK if _is_not_in_the_stack(value) else ""


def holds_a_secret(option: str) -> bool:
    """Whether the name of an option says that its value is a secret, or that one is part of it."""
    return bool(_SECRET_OPTION.search(option.lower()))


def _secret_values(options: Mapping[str, Any]) -> list[str]:
    return [
        value
        for path in sorted(options)
        for section in sorted(options[path])
        for option, values in sorted(options[path][section].items())
        if holds_a_secret(option)
        for value in as_list(values)
    ]


# ---------------------------------------------------------------- what is there


def observed(state: State, facts: Facts, key: str) -> dict[str, Any]:
    """What is on the node, in the shape of `state`: equal to it when nothing is to be done.

    Of options that the stack does not name, the name and a fingerprint made with `key` are returned, never the value; of secrets that
    are others than the stack's that fingerprint beside ours.
    """
    return {
        **state,
        "options": {path: _shown(state, path, facts, key) for path in state["options"]},
        "files": {path: _ownership(state["files"][path], facts.files[path]) for path in state["files"]},
        "services": {name: _service(state, name, facts) for name in state["services"]},
        "absent": marked(absent(state), [path for path in absent(state) if facts.paths[path]], _THERE),
        "schema": _schema(state, facts),
    }


def found(facts: Facts) -> dict[str, Any]:
    """What only the machine knows: outputs of a node."""
    return {
        "virt_type": facts.virt_type,
        "init_system": facts.init,
        "schema_version": facts.schema[0] or 0,
    }


def is_gone(state: State, facts: Facts) -> bool:
    """Whether nothing of the node's role is there (a machine installed anew): no file, no service."""
    no_file = all(facts.files[path].kind == "missing" for path in state["files"])
    return no_file and not any(process.running for process in facts.services.values())


def options_in(state: State, path: str, facts: Facts) -> dict[str, dict[str, Any]]:
    """The options of a file as the node has them, in the shape of the wanted state: `auto` where the machine agrees.

    A file that does not parse has the one section UNREADABLE with a `reason`.
    """
    file = facts.files[path]
    if file.kind != "file":
        return {}
    try:
        options = _read(path, file.content)
    except UnreadableFile as error:
        return {UNREADABLE: {"reason": str(error)}}
    wanted = state["options"].get(path, {})
    for (section, option), fact in FOUND_ON_THE_MACHINE.items():
        value = options.get(section, {}).get(option)
        if wanted.get(section, {}).get(option) == AUTO and value is not None and value == getattr(facts, fact):
            options[section][option] = AUTO
    return _in_the_form_of(wanted, options)


def _read(path: str, content: str) -> dict[str, dict[str, Any]]:
    if is_variables_file(path):
        return {section: dict(variables) for section, variables in read_variables(content, path).items()}
    return {section: dict(options) for section, options in read_options(content, path).items()}


def _written(path: str, options: Mapping[str, Mapping[str, Any]]) -> str:
    return write_variables(options, HEADING) if is_variables_file(path) else write_options(options, HEADING)


def _in_the_form_of(wanted: Mapping[str, Mapping[str, Any]], found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What was found, written as it is wanted where it means the same: a list of one value is that value, an empty list or
    section is nothing.
    """
    same = {section: dict(options) for section, options in found.items() if options or section in wanted}
    for section, options in wanted.items():
        here = same.setdefault(section, {}) if not options else same.get(section, {})
        for option, value in options.items():
            if as_list(here.get(option, [])) == as_list(value):
                same.setdefault(section, {})[option] = value
    return same


def _shown(state: State, path: str, facts: Facts, key: str) -> dict[str, dict[str, Any]]:
    wanted = state["options"].get(path, {})
    shown: dict[str, dict[str, Any]] = {}
    for section, options in options_in(state, path, facts).items():
        here = shown.setdefault(section, {})
        for option, value in options.items():
            ours = wanted.get(section, {}).get(option)
            if section == UNREADABLE or value == ours:
                here[option] = value
            elif ours is None or _is_not_in_the_stack(ours):
                # The second, where a refresh that was stored has said so before.
                here[option] = f"{NOT_IN_THE_STACK} ({fingerprint(value, key)})"
            elif _is_secret(state, path, section, option):
                # The engine masks both values, and then shows no difference between them.
                here[option] = ours
                here[f"{option} {FOUND_THERE}"] = f"another value ({fingerprint(value, key)})"
            elif any(mask(each) != each for each in as_list(value)):
                # Somebody has put a login there, as of a URL: what is stored is no secret, and a plan would show it.
                here[option] = f"another value ({fingerprint(value, key)})"
            else:
                here[option] = value
    return shown


def _is_not_in_the_stack(shown: Any) -> bool:
    return str(shown).startswith(f"{NOT_IN_THE_STACK} (")


def _is_secret(state: State, path: str, section: str, option: str) -> bool:
    return holds_a_secret(option) or [path, section, option] in state.get("hidden", [])


def _ownership(wanted: Mapping[str, str], file: File) -> dict[str, str]:
    if file.kind != "file":
        return {**wanted, "mode": file.kind}
    there = {"owner": file.owner, "group": file.group, "mode": file.mode}
    # oslo.config passes over them; a shell and who reads the file with other tools do not.
    return {**there, "line_ends": "CRLF"} if _CRLF in file.content else there


def _service(state: State, name: str, facts: Facts) -> dict[str, Any]:
    wanted, process = state["services"][name], facts.services[name]
    works = process.running and not process.ended
    reads = _files_read(wanted, process) if works else wanted["reads"]
    return {
        **wanted,
        "running": CRASHING if process.ended else process.running,
        "enabled": process.enabled,
        "reads": reads,
        # A stopped service reads the file when it starts: `running` says all. So do other files than the wanted ones, of which nothing is
        # known but that a refresh that was stored has seen them.
        "fingerprint": _read_by(state, name, facts)
        if works and reads == wanted["reads"] and facts.files.keys() >= set(reads)
        else wanted["fingerprint"],
    }


def _works_as_wanted(state: State, name: str, facts: Facts) -> bool:
    """Whether a service runs, and has read what is wanted; what happens at boot is another matter."""
    wanted = state["services"][name]
    return bool({**_service(state, name, facts), "enabled": wanted["enabled"]} == wanted)


def _files_read(wanted: Mapping[str, Any], process: Process) -> list[str]:
    """The files that a process reads: those of its arguments from the first of ours on, which win over what stands before them."""
    ours, named = list(wanted["reads"]), list(process.configuration)
    first = named.index(ours[0]) if ours and ours[0] in named else 0
    return named[first:] or ours


def _read_by(state: State, name: str, facts: Facts) -> str:
    """The fingerprint of the options that the running process has read, or `unknown`."""
    process: Process = facts.services[name]
    reads = state["services"][name]["reads"]
    files = [facts.files[path] for path in reads]
    if all(file.kind == "file" and process.started >= file.changed + CLOCK_SECONDS for file in files):
        return service_fingerprint({path: options_in(state, path, facts) for path in reads}, reads)
    if process.noted_ticks != process.ticks:
        return "unknown"
    wanted: str = state["services"][name]["fingerprint"]
    return wanted if process.noted_fingerprint == _to_note(state, name, facts) else process.noted_fingerprint


def _to_note(state: State, name: str, facts: Facts) -> str:
    """What is noted of a process that has read what is wanted: the fingerprint and, where `auto` is wanted, what it stood for."""
    service = state["services"][name]
    stood_for = [
        getattr(facts, fact)
        for path in service["reads"]
        for (section, option), fact in FOUND_ON_THE_MACHINE.items()
        if state["options"].get(path, {}).get(section, {}).get(option) == AUTO
    ]
    return "+".join([service["fingerprint"], *stood_for])


def _schema(state: State, facts: Facts) -> str:
    # A refresh that was stored has put there what it has found.
    if state["schema"] == UNMANAGED:
        return UNMANAGED
    version, newest = facts.schema
    if version is None or _is_of_another_database(state, facts):
        return SCHEMA_NOT_KNOWN
    if version == 0:
        return _SCHEMA_EMPTY
    return CURRENT if version >= newest else f"version {version} of {newest}"


def _is_of_another_database(state: State, facts: Facts) -> bool:
    """Whether nova-manage has spoken of another database than the stack's: it asks the one that the files name now, or nova's default."""
    wanted = _connections(state["options"])
    there = _connections({path: options_in(state, path, facts) for path in state["options"]})
    # Where a refresh that was stored has found none, none is wanted.
    return wanted != there if wanted else not there and state["schema"] == SCHEMA_NOT_KNOWN


def _connections(files: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, Any]:
    named = {path: sections.get("database", {}).get("connection") for path, sections in files.items()}
    return {path: connection for path, connection in named.items() if connection is not None}


# ---------------------------------------------------------------- what is to be done


def decide(state: State, facts: Facts, restart: Collection[str] = ()) -> list[Call]:
    """The calls that make the node as wanted, in the guide's order: files, schema, restarts, what must be absent.

    `restart`: services that are started anew also when they have read what is wanted. Empty when nothing is to be done. Raises
    StepFailed when this is not the machine that the stack means.
    """
    same_machine(state, facts)
    files = list(_file_calls(state, facts))
    schema = [call("sync_database", title="nova-manage db sync")] if _schema_is_due(state, facts) else []
    gone = [call("remove_file", path, title=f"removing {path}") for path in absent(state) if facts.paths[path]]
    # A service makes its record when it starts, and never again: what ran before has none in an empty schema. It stops before that is
    # filled, so that the next run starts it where this one is cut off in between.
    anew = schema and _schema(state, facts) == _SCHEMA_EMPTY
    services = list(_service_calls(state, facts, state["services"] if anew else restart))
    stops = [each for each in services if anew and each.function == "stop_services"]
    if not (files or schema or services or gone):
        return []
    starts = [each for each in services if each not in stops]
    return [*files, *stops, *schema, *starts, *gone, *_notes(state, facts)]


def restarted(calls: Iterable[Call]) -> list[str]:
    """The services that these calls start or restart."""
    return [each.arguments[0] for each in calls if each.function == "start_service"]


def same_machine(state: State, facts: Facts) -> None:
    """Raises StepFailed when the machine at the address is not the node."""
    host = state["connection"]["host"]
    if facts.hostname != state["node"]:
        raise StepFailed(
            f"{state['node']} ({host}): the machine at this address calls itself {facts.hostname}. Nova registers its services under the "
            f"host name: name the node {facts.hostname} in the stack, set the machine's host name, or correct the address."
        )


def _file_calls(state: State, facts: Facts) -> Iterable[Call]:
    for path, ownership in state["files"].items():
        file, wanted = facts.files[path], state["options"][path]
        owner, group, mode = ownership["owner"], ownership["group"], ownership["mode"]
        same = file.kind == "file" and _CRLF not in file.content and options_in(state, path, facts) == wanted
        if same and (file.owner, file.group, file.mode) == (owner, group, mode):
            continue
        if same and _NO_TEXT not in file.content:
            # With its comments.
            content, title = file.content, f"setting owner and mode of {path}"
        else:
            try:
                content, title = _written(path, _resolved(wanted, facts)), f"writing {path}"
            except UnsupportedValue as error:
                raise UnsupportedValue(
                    f"{state['node']}: {path} cannot be written: {error} Correct it in the options of the node."
                ) from None
        yield call("put_file", path, owner, group, mode, Secret(content), title=title)


def _resolved(options: Mapping[str, Any], facts: Facts) -> dict[str, dict[str, Any]]:
    resolved = {section: dict(values) for section, values in options.items() if values}
    for (section, option), fact in FOUND_ON_THE_MACHINE.items():
        if resolved.get(section, {}).get(option) == AUTO:
            resolved[section][option] = getattr(facts, fact)
    return resolved


def _schema_is_due(state: State, facts: Facts) -> bool:
    if state["schema"] != CURRENT:
        return False
    moved = any(
        state["options"][path].get("database") != options_in(state, path, facts).get("database")
        for path in state["options"]
    )
    return moved or _schema(state, facts) != CURRENT


def _service_calls(state: State, facts: Facts, restart: Collection[str]) -> Iterable[Call]:
    services = _in_order(state["services"])
    for name, wanted in services:
        if facts.services[name].enabled != wanted["enabled"]:
            boot = "enabled" if wanted["enabled"] else "disabled"
            yield call("set_boot", name, boot, title=f"making {name} {boot} at boot")
    outdated = [
        name
        for name, wanted in services
        if facts.services[name].running
        and not (wanted["running"] and name not in restart and _works_as_wanted(state, name, facts))
    ]
    if outdated:
        yield call("stop_services", *outdated, title=f"stopping {', '.join(outdated)}")
    for name, wanted in services:
        if wanted["running"] and (name in outdated or not facts.services[name].running):
            yield call("start_service", name, _to_note(state, name, facts), title=f"starting {name}")


def _in_order(services: Mapping[str, Any]) -> list[tuple[str, Any]]:
    # Pulumi keeps no order of keys. The conductor answers the others' first calls, so it goes first; the API last but for the proxies.
    rank = {"nova-conductor": 0, "nova-api": 2, "nova-novncproxy": 3}
    return sorted(services.items(), key=lambda item: (rank.get(item[0], 1), item[0]))


def _notes(state: State, facts: Facts) -> Iterable[Call]:
    """Notes for services that keep running though a file is written now: that they have read the right options already."""
    for name, wanted in _in_order(state["services"]):
        process = facts.services[name]
        to_note = _to_note(state, name, facts)
        known = process.noted_ticks == process.ticks and process.noted_fingerprint == to_note
        if process.running and wanted["running"] and not known and _works_as_wanted(state, name, facts):
            yield call("note_service", name, to_note)
