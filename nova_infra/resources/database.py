"""Database: a schema, its user at each of the user's hosts, privileges and password."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import chain
from typing import Any

import pulumi
from pulumi.runtime import rpc

from ..errors import Problem, Refused
from ..grants import (
    ALL,
    GRANT_OPTION,
    SCHEMA_PRIVILEGES,
    Schema,
    lacking,
    no_client_host,
    no_name,
    normalized,
    password_matches,
    takes_in,
)
from ..marks import bears, marked
from ..wording import shown
from .lifecycle import (
    PASSWORD_WORKS,
    REMARKS,
    Lifecycle,
    Resource,
    State,
    known_list,
    known_text,
    normal,
    required_text,
)

REFUSE, KEEP, DUMP, DROP = "refuse", "keep", "dump", "drop"
# What follows a privilege that a refresh has not found: `ALL (not granted: DROP)`.
_NOT_GRANTED = " (not granted"
# What follows one that was granted besides.
_TOO_MUCH = "not in the stack"
# What stands in place of `password_works: true` at a host at which the user is missing.
_NO_USER = "no such user"
_NOT_THERE: Mapping[str, Any] = {"found": False, "privileges": []}


@dataclass(frozen=True)
class DatabaseArgs:
    """A schema and its user.

    `on_delete` says what destroy does, once an `up` has stored it:

    - `refuse` (also Pulumi's `protect`): nothing; it fails.
    - `keep`: leaves the schema and the user as they are.
    - `dump`: writes a dump to /var/backups on the controller, then drops both.
    - `drop`: drops both.
    """

    name: pulumi.Input[str]
    """The schema. It is known by this name, which never changes."""
    user: pulumi.Input[str]
    """The user that the schema is for."""
    password: pulumi.Input[str]
    """The user's password, the same at each of its hosts."""
    hosts: pulumi.Input[Mapping[str, pulumi.Input[Sequence[pulumi.Input[str]]]]] = field(
        default_factory=lambda: {"localhost": [ALL], "%": [ALL]}
    )
    """Each host of the user, with its privileges on the schema: names as in GRANT, in any case and order."""
    charset: pulumi.Input[str] = "utf8"
    """The schema's default character set."""
    collation: pulumi.Input[str] = "utf8_general_ci"
    """The schema's default collation."""
    on_delete: str = REFUSE
    """What destroy does: `refuse`, `keep`, `dump` or `drop`."""


class DatabaseLifecycle(Lifecycle):
    """Schema, users and grants on the server that the provider names.

    A schema, or the user at a host, that was there before our first create stays on destroy, and what we changed on it is put
    back: character set and collation, and the privileges on the schema. Its password cannot be put back: the server has only a hash.
    """

    kind = "database"
    identity = ("name",)
    computed = ("adopted", "found")
    kept_in_state = frozenset({"on_delete"})
    looked_at = ("charset", "collation", "hosts")
    rename = "dump it, add a database with the new name, run `pulumi up`, load the dump, and remove the old one"

    def name_of(self, wanted: State) -> str:
        """The name of the schema."""
        return str(wanted["name"])

    def problems(self, wanted: State) -> list[Problem]:
        """Empty names and passwords, privileges that there are not, an unknown on_delete."""
        problems = required_text(wanted, "name", "user", "charset", "collation")
        if wanted.get("on_delete") not in (REFUSE, KEEP, DUMP, DROP):
            problems.append(
                Problem("on_delete", f"is {wanted.get('on_delete')!r}; it can be {REFUSE}, {KEEP}, {DUMP} or {DROP}")
            )
        for key in ("name", "user"):
            text = known_text(wanted, key)
            if text and (reason := no_name(text)):
                problems.append(Problem(key, reason))
        hosts = wanted["hosts"]
        if not hosts:
            problems.append(Problem("hosts", "is empty: the user could not log in from anywhere"))
        for host, at in hosts.items() if isinstance(hosts, Mapping) else ():
            problems += _problems_at(host, at)
        return problems

    def without_secrets(self, inputs: State) -> State:
        """Without the password at each host: whether it works stands beside it."""
        hosts = {
            host: {key: value for key, value in at.items() if key != "password"} for host, at in inputs["hosts"].items()
        }
        return {**inputs, "hosts": hosts}

    def make(self, wanted: State) -> dict[str, Any]:
        """Notes what is there already, then makes it as wanted."""
        server = self.access.database
        schema = server.schema(wanted["name"])
        found = {
            "schema": {"charset": schema.charset, "collation": schema.collation} if schema else {},
            "users": {wanted["user"]: self._users(wanted, wanted["hosts"])},
        }
        found = json.loads(self.access.note_first(self.note_of(wanted), json.dumps(found)))
        found = self._noted_with_what_is_asked(found, wanted)
        self._apply(wanted)
        if _settled(found, wanted):
            self.access.note(self.note_of(wanted), json.dumps(found))
        return _outputs(found)

    def look(self, known: State) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The schema's defaults, and for each host the privileges and whether the password is ours."""
        server = self.access.database
        name, user = known["name"], known["user"]
        schema = server.schema(name)
        if schema is None:
            return None
        if schema.same_as(_defaults(known)):
            schema = _defaults(known)
        hashes = server.password_hashes(user)
        observed = {
            **known,
            "charset": schema.charset,
            "collation": schema.collation,
            "hosts": {
                host: {
                    "privileges": self._privileges_as_written(known, host),
                    "password": wanted["password"],
                    PASSWORD_WORKS: password_matches(hashes[host], wanted["password"]) if host in hashes else _NO_USER,
                }
                for host, wanted in known["hosts"].items()
            },
        }
        return observed, {**_outputs(_found(known)), REMARKS: self._remarks(known, list(hashes))}

    def change(self, known: State, wanted: State) -> dict[str, Any]:
        """Makes it as wanted; a host that is no longer named loses our privileges, and the user there when it has no others."""
        found = json.loads(self.access.note_first(self.note_of(wanted), json.dumps(_found(known))))
        found = self._noted_with_what_is_asked(found, wanted)
        self._apply(wanted)
        gone = [host for host in known["hosts"] if known["user"] != wanted["user"] or host not in wanted["hosts"]]
        for host in gone:
            self._remove_user(known, found, known["user"], host)
        for host in gone:
            # Kept, because this may be cut off before the state is stored. Should the host be named again one day, what is there
            # then counts.
            found["users"].setdefault(known["user"], {}).setdefault(host, dict(_NOT_THERE))["given_back"] = True
        if _settled(found, wanted) or gone:
            self.access.note(self.note_of(wanted), json.dumps(found))
        return _outputs(found)

    def remove(self, known: State) -> None:
        """Drops schema and user when the stack said so; what we found and what others share stays, as it was."""
        name = known["name"]
        if known["on_delete"] == REFUSE:
            raise Refused(
                f"The database {name} is not dropped. To drop it with its data, set on_delete to {DROP} (or {DUMP}, which writes a dump "
                f"first, or {KEEP}, which leaves it), run `pulumi up`, then run this again."
            )
        if known["on_delete"] == KEEP:
            self._keep(known, f"the schema {name} and its users stay, as on_delete: {KEEP} says")
        else:
            found = json.loads(self.access.note_first(self.note_of(known), json.dumps(_found(known))))
            self._remove_schema(known, found)
            for user, host in _pairs(known, found):
                self._remove_user(known, found, user, host)
        self.access.forget_note(self.note_of(known))

    # ------------------------------------------------------------ steps

    def _apply(self, wanted: State) -> None:
        server = self.access.database
        name, user = wanted["name"], wanted["user"]
        schema = server.schema(name)
        if schema is None:
            server.create_schema(name, _defaults(wanted))
        elif not schema.same_as(_defaults(wanted)):
            server.alter_schema(name, _defaults(wanted))
        hashes = server.password_hashes(user)
        for host, at in wanted["hosts"].items():
            if host not in hashes:
                server.create_user(user, host, at["password"])
            elif not password_matches(hashes[host], at["password"]):
                server.set_password(user, host, at["password"])
            self._set_privileges(user, host, name, normalized(at["privileges"]))

    def _set_privileges(self, user: str, host: str, name: str, privileges: list[str]) -> None:
        server = self.access.database
        granted = server.privileges(user, host, name)
        too_much, missing = server.without(granted, privileges), lacking(privileges, granted)
        if too_much:
            server.revoke(user, host, name, too_much)
        if missing:
            server.grant(user, host, name, missing)

    def _remove_schema(self, known: State, found: State) -> None:
        server, name = self.access.database, known["name"]
        schema = server.schema(name)
        if schema is None:
            return
        if found["schema"]:
            self._keep(known, f"the schema {name} stays with its data: it was there before us")
            before = _defaults(found["schema"])
            if not schema.same_as(before):
                server.alter_schema(name, before)
            return
        if known["on_delete"] == DUMP:
            self.access.dump_database(name)
        server.drop_schema(name)

    def _remove_user(self, known: State, found: State, user: str, host: str) -> None:
        server, name = self.access.database, known["name"]
        if host not in server.password_hashes(user):
            return
        there = found["users"].get(user, {}).get(host, _NOT_THERE)
        if not there["found"] and not server.shared(user, host, name):
            server.drop_user(user, host)
            return
        self._keep(
            known,
            f"the user {user}@{host} stays: {'it was there before us' if there['found'] else 'others need it too'}",
        )
        before, granted = there["privileges"], server.privileges(user, host, name)
        # What the state says of privileges may be what a refresh has found there: it counts only when nothing else is known.
        in_state = user == known["user"] and host in known["hosts"]
        asked = there.get("asked") or [_asked(known, host) if in_state else granted]
        any_run, each_run = normalized(chain.from_iterable(asked)), reduce(server.common, asked)
        too_much = server.common(server.without(any_run, before), granted)
        if too_much:
            server.revoke(user, host, name, too_much)
        missing = lacking(server.without(before, each_run), granted)
        if missing:
            server.grant(user, host, name, missing)

    def _keep(self, known: State, what: str) -> None:
        self.access.keep(f"database {known['name']}", what)

    # ------------------------------------------------------------ what was there

    def _users(self, state: State, hosts: Any) -> dict[str, Any]:
        server, name, user = self.access.database, state["name"], state["user"]
        there = server.password_hashes(user)
        return {
            host: {
                "found": host in there,
                "privileges": server.privileges(user, host, name) if host in there else [],
                "asked": [_asked(state, host)],
            }
            for host in hosts
        }

    def _noted_with_what_is_asked(self, found: dict[str, Any], wanted: State) -> dict[str, Any]:
        # A user or host that the stack names only now may be somebody's.
        users = found["users"].setdefault(wanted["user"], {})
        new = [host for host in wanted["hosts"] if users.get(host, {"given_back": True}).get("given_back")]
        users.update(self._users(wanted, new))
        # A run that is cut off has granted some of what it was asked for, and some of what runs before it were.
        more = [host for host in wanted["hosts"] if _asked(wanted, host) not in users[host].get("asked", [])[-1:]]
        for host in more:
            users[host].setdefault("asked", []).append(_asked(wanted, host))
        if new or more:
            self.access.note(self.note_of(wanted), json.dumps(found))
        return found

    def _privileges_as_written(self, known: State, host: str) -> list[str]:
        """The privileges in the stack's order, each that is missing marked in its place; those that are too many at the end."""
        server = self.access.database
        granted = server.privileges(known["user"], host, known["name"])
        written = _as_asked(known, host)
        missing = server.without(normalized(written), granted)
        too_much = server.without(granted, normalized(written))
        return [*(_marked(each, missing) for each in written), *marked(too_much, too_much, _TOO_MUCH)]

    def _remarks(self, known: State, hosts: Sequence[str]) -> list[str]:
        server, name, user = self.access.database, known["name"], known["user"]
        others = [each for each in server.accounts_on(name) if each not in {(user, host) for host in known["hosts"]}]
        said = [
            f"{_account(*each)} has privileges on the schema {name}, and the stack does not name it: it is left as it is. What it may do: "
            f"SHOW GRANTS FOR {_account(*each)}. If nobody needs it: DROP USER {_account(*each)}."
            for each in others
        ]
        # MariaDB takes the account whose host is the most exact; of one host, the one with the name.
        rivals = [("", host) for host in server.password_hashes("") if host not in hosts]
        rivals += [(user, host) for host in hosts if host not in known["hosts"]]
        for rival, host in sorted(rivals):
            ours = [each for each in hosts if each in known["hosts"] and takes_in(each, host)]
            if ours:
                whose = _account(rival, host) if rival else f"the anonymous user {_account('', host)}"
                said.append(
                    f"Logins of {shown(user)} from {shown(host)} are taken for {whose}, whose host is more exact than that of "
                    f"{_account(user, ours[0])}: they need its password, and may do what it may. If nobody needs it: "
                    f"DROP USER {_account(rival, host)}."
                )
        return said

    def note_of(self, state: State) -> str:
        """The name of the note about what was there."""
        return f"database.{state['name']}"


def _problems_at(host: str, at: Any) -> list[Problem]:
    if not isinstance(at, Mapping):
        return []
    problems = [Problem(f"hosts[{host}].password", "is empty")] if at["password"] == "" else []
    if host != host.lower():
        problems.append(Problem(f"hosts[{host}]", f"MariaDB keeps hosts in lower case: write {host.lower()}"))
    elif reason := no_client_host(host):
        problems.append(Problem(f"hosts[{shown(host)}]", reason))
    texts = [each for each in known_list(at, "privileges") or [] if each != rpc.UNKNOWN]
    unknown = sorted(set(normalized(texts)) - SCHEMA_PRIVILEGES)
    if unknown:
        problems.append(
            Problem(
                f"hosts[{host}].privileges",
                f"has {', '.join(unknown)}, which cannot be granted on a schema; there are {', '.join(sorted(SCHEMA_PRIVILEGES))}",
            )
        )
    return problems


def _asked(state: State, host: str) -> list[str]:
    return normalized(_as_asked(state, host))


def _as_asked(state: State, host: str) -> list[str]:
    """The privileges as the stack writes them, also when a refresh has marked those that are missing and those that are too many."""
    privileges = state["hosts"][host]["privileges"]
    return [each.partition(_NOT_GRANTED)[0] for each in privileges if not bears(each, _TOO_MUCH)]


def _marked(privilege: str, missing: Sequence[str]) -> str:
    (name,) = normalized([privilege]) or [privilege]
    if name in missing:
        return f"{privilege}{_NOT_GRANTED})"
    of_all = [each for each in missing if each != GRANT_OPTION]
    return f"{privilege}{_NOT_GRANTED}: {', '.join(of_all)})" if name == ALL and of_all else privilege


def _account(user: str, host: str) -> str:
    return f"'{shown(user)}'@'{shown(host)}'"


def _settled(found: State, wanted: State) -> bool:
    """Forgets what earlier runs were asked to grant; returns whether there was any."""
    users = found["users"][wanted["user"]]
    several = [host for host in wanted["hosts"] if len(users[host]["asked"]) > 1]
    for host in several:
        users[host]["asked"] = users[host]["asked"][-1:]
    return bool(several)


def _defaults(state: State) -> Schema:
    return Schema(state["charset"], state["collation"])


def _found(known: State) -> dict[str, Any]:
    found = known.get("found") or {}
    return {"schema": dict(found.get("schema") or {}), "users": dict(found.get("users") or {})}


def _pairs(known: State, found: State) -> list[tuple[str, str]]:
    """Each user and host that is ours: those in the state, and those that a change that was cut off has noted."""
    in_state = [(known["user"], host) for host in known["hosts"]]
    noted = [
        (user, host) for user, hosts in found["users"].items() for host in hosts if not hosts[host].get("given_back")
    ]
    return list(dict.fromkeys([*in_state, *noted]))


def _outputs(found: State) -> dict[str, Any]:
    return {"adopted": bool(found["schema"]), "found": dict(found)}


class Database(Resource, module="nova", name="Database"):
    """A schema in MariaDB with its user.

    ```python
    nova_infra.Database(
        "database",
        nova_infra.DatabaseArgs(name="nova", user="nova", password=config.require_secret("novaDatabasePassword")),
        opts=pulumi.ResourceOptions(provider=access),
    )
    ```
    """

    adopted: pulumi.Output[bool]
    """Whether the schema was there before us; then destroy leaves it."""
    found: pulumi.Output[dict[str, Any]]
    """What was there before us, which destroy puts back: `{schema: {charset, collation} or {}, users: {USER: {HOST: {found, privileges, asked}}}}`.

    `asked`: the privileges that we granted, a list for each run that was not undone by a later one."""

    def __init__(self, name: str, args: DatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        password = pulumi.Output.secret(args.password)

        def at_each(hosts: Mapping[str, Any]) -> dict[str, Any]:
            return {
                host: {"privileges": normal(privileges, normalized), "password": password, PASSWORD_WORKS: True}
                for host, privileges in hosts.items()
            }

        whole = isinstance(args.hosts, Mapping)
        inputs: dict[str, Any] = {
            "name": args.name,
            "user": args.user,
            "charset": args.charset,
            "collation": args.collation,
            "hosts": at_each(args.hosts) if whole else pulumi.Output.from_input(args.hosts).apply(at_each),  # type: ignore[arg-type]
            "on_delete": args.on_delete,
            "adopted": None,
            "found": None,
        }
        protect = pulumi.ResourceOptions(protect=args.on_delete == REFUSE)
        super().__init__(DatabaseLifecycle(), name, inputs, pulumi.ResourceOptions.merge(protect, opts))
