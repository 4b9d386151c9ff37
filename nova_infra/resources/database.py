"""Database: a schema, its user at each of the user's hosts, privileges and password."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi

from ..errors import Problem, Refused
from ..masking import fingerprint
from ..mysql import ALL, GRANT_OPTION, Schema, password_matches
from .lifecycle import Lifecycle, Resource, State, required_text

REFUSE, KEEP, DROP = "refuse", "keep", "drop"


@dataclass(frozen=True)
class DatabaseArgs:
    """A schema and its user.

    `hosts` maps each host of the user to its privileges on the schema. `on_delete`: `refuse` (the default, also Pulumi's
    `protect`), `keep` (destroy leaves the schema and the user) or `drop`. It acts once an `up` has stored it.
    """

    name: str
    user: str
    password: pulumi.Input[str]
    hosts: Mapping[str, Sequence[str]] = field(default_factory=lambda: {"localhost": [ALL], "%": [ALL]})
    charset: str = "utf8"
    collation: str = "utf8_general_ci"
    on_delete: str = REFUSE


class DatabaseLifecycle(Lifecycle):
    """Schema, users and grants on the server that the provider names."""

    kind = "database"
    identity = ("name",)
    computed = ("adopted", "found_hosts")
    kept_in_state = frozenset({"on_delete"})
    rename = "dump it, add a database with the new name, run `pulumi up`, load the dump, and remove the old one"

    def name_of(self, wanted: State) -> str:
        """The name of the schema."""
        return str(wanted["name"])

    def problems(self, wanted: State) -> list[Problem]:
        """Empty names and passwords, an unknown on_delete."""
        problems = required_text(wanted, "name", "user")
        if wanted.get("on_delete") not in (REFUSE, KEEP, DROP):
            problems.append(
                Problem("on_delete", f"is {wanted.get('on_delete')!r}; it can be {REFUSE}, {KEEP} or {DROP}")
            )
        if not wanted["hosts"]:
            problems.append(Problem("hosts", "is empty: the user could not log in from anywhere"))
        problems += [
            Problem(f"hosts[{host}].password", "is empty")
            for host, at in wanted["hosts"].items()
            if at["password"] == ""
        ]
        return problems

    def make(self, wanted: State) -> dict[str, Any]:
        """Notes what is there already, then makes it as wanted."""
        server = self.access.database
        found = {
            "schema": server.schema(wanted["name"]) is not None,
            "hosts": sorted(server.password_hashes(wanted["user"])),
        }
        noted = json.loads(self.access.note_first(self._note(wanted), json.dumps(found)))
        self._apply(wanted)
        return {"adopted": noted["schema"], "found_hosts": noted["hosts"]}

    def look(self, known: State) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The schema's defaults, and for each host the privileges and whether the password is ours."""
        server = self.access.database
        name, user = known["name"], known["user"]
        schema = server.schema(name)
        if schema is None:
            return None
        hashes = server.password_hashes(user)
        observed = {
            **known,
            "charset": schema.charset,
            "collation": schema.collation,
            "hosts": {
                host: {
                    "privileges": server.privileges(user, host, name),
                    "password": wanted["password"]
                    if password_matches(hashes[host], wanted["password"])
                    else f"another ({fingerprint(hashes[host], self.access.fingerprint_key)})",
                }
                for host, wanted in known["hosts"].items()
                if host in hashes
            },
        }
        return observed, self._outputs(known)

    def change(self, known: State, wanted: State) -> dict[str, Any]:
        """Makes it as wanted; a host that is no longer named loses our privileges, and the user there when it has no others."""
        self._apply(wanted)
        for host in set(known["hosts"]) - set(wanted["hosts"]):
            self._remove_user(known, host)
        if known["user"] != wanted["user"]:
            for host in known["hosts"]:
                self._remove_user(known, host)
        return self._outputs(known)

    def remove(self, known: State) -> None:
        """Drops schema and user when the stack said so; what we found and what others share stays."""
        if known["on_delete"] == REFUSE:
            raise Refused(
                f"The database {known['name']} is not dropped. To drop it with its data, set on_delete to {DROP} (or {KEEP}, which leaves it), "
                "run `pulumi up`, then run this again."
            )
        if known["on_delete"] == DROP:
            if not known.get("adopted"):
                self.access.database.drop_schema(known["name"])
            for host in known["hosts"]:
                self._remove_user(known, host)
        self.access.forget_note(self._note(known))

    def _apply(self, wanted: State) -> None:
        server = self.access.database
        name, user = wanted["name"], wanted["user"]
        defaults, schema = Schema(wanted["charset"], wanted["collation"]), server.schema(name)
        if schema is None:
            server.create_schema(name, defaults)
        elif schema != defaults:
            server.alter_schema(name, defaults)
        hashes = server.password_hashes(user)
        for host, at in wanted["hosts"].items():
            if host not in hashes:
                server.create_user(user, host, at["password"])
            elif not password_matches(hashes[host], at["password"]):
                server.set_password(user, host, at["password"])
            privileges, granted = set(at["privileges"]), set(server.privileges(user, host, name))
            # ALL holds the single ones: they are not taken away on the way to it.
            too_much = granted & {GRANT_OPTION} - privileges if ALL in privileges else granted - privileges
            if too_much:
                server.revoke(user, host, name, too_much)
            missing = privileges - set(server.privileges(user, host, name))
            if missing:
                server.grant(user, host, name, missing)

    def _remove_user(self, known: State, host: str) -> None:
        server = self.access.database
        name, user = known["name"], known["user"]
        if host in self._outputs(known)["found_hosts"]:
            return
        if server.schemas_of(user, host) - {name}:
            # Others share the user: it stays, without what was ours.
            granted = server.privileges(user, host, name)
            if granted:
                server.revoke(user, host, name, granted)
        else:
            server.drop_user(user, host)

    def _outputs(self, known: State) -> dict[str, Any]:
        return {"adopted": bool(known.get("adopted")), "found_hosts": list(known.get("found_hosts") or [])}

    def _note(self, state: State) -> str:
        return f"database.{state['name']}"


class Database(Resource, module="nova", name="Database"):
    """A schema in MariaDB with its user.

    nova_infra.Database(
        "database",
        nova_infra.DatabaseArgs(name="nova", user="nova", password=config.require_secret("novaDatabasePassword")),
        opts=pulumi.ResourceOptions(provider=access),
    )
    """

    adopted: pulumi.Output[bool]
    """Whether the schema was there before us; then destroy leaves it."""
    found_hosts: pulumi.Output[list[str]]
    """The user's hosts that were there before us; destroy leaves the user there."""

    def __init__(self, name: str, args: DatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs = {
            "name": args.name,
            "user": args.user,
            "charset": args.charset,
            "collation": args.collation,
            "hosts": {
                host: {"privileges": sorted(privileges), "password": pulumi.Output.secret(args.password)}
                for host, privileges in args.hosts.items()
            },
            "on_delete": args.on_delete,
            "adopted": None,
            "found_hosts": None,
        }
        protect = pulumi.ResourceOptions(protect=args.on_delete == REFUSE)
        super().__init__(DatabaseLifecycle(), name, inputs, pulumi.ResourceOptions.merge(protect, opts))
