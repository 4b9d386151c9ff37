"""KeystoneUser: a user, its password, its default tenant, and its roles in a tenant."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from shlex import quote
from typing import Any

import pulumi

from ..catalog import User, no_name, no_text
from ..errors import IdentityError, Problem
from ..marks import bears, marked, unmarked
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

# What Keystone itself gives a user in its default tenant.
MEMBER_ROLE = "_member_"
# What follows a role that a refresh has not found.
_MISSING = "missing"


@dataclass(frozen=True)
class KeystoneUserArgs:
    """A user of Keystone with roles in one tenant."""

    name: pulumi.Input[str]
    """The user. It is known by this name, which never changes."""
    password: pulumi.Input[str]
    """Its password."""
    tenant: pulumi.Input[str] = "service"
    """The tenant in which it has its roles. It is there already."""
    roles: pulumi.Input[Sequence[pulumi.Input[str]]] = ("admin",)
    """Its roles in the tenant; they are there already. Roles besides these are shown (`other_roles`), not removed."""
    email: pulumi.Input[str] = ""
    """Its e-mail; empty leaves it as it is."""
    enabled: pulumi.Input[bool] = True
    """Whether it may log in."""
    default_tenant: pulumi.Input[str] = ""
    """Its default tenant, in which Keystone gives it the role `_member_`; empty leaves it as it is."""


class KeystoneUserLifecycle(Lifecycle):
    """The user in the Keystone that the provider names.

    A user that was there before our first create stays on destroy, and gets its e-mail, enabled and default tenant back, and loses the
    roles that we added. Its password cannot be put back: nobody can read it. A default tenant where there was none cannot be
    taken away: v2.0 has no call for that; its role _member_ is.
    """

    kind = "Keystone user"
    identity = ("name",)
    computed = ("user_id", "adopted", "found", "other_roles")
    looked_at = ("email", "enabled", "default_tenant", "roles", PASSWORD_WORKS)

    def name_of(self, wanted: State) -> str:
        """The name of the user."""
        return str(wanted["name"])

    def problems(self, wanted: State) -> list[Problem]:
        """Empty name, password, tenant; no role."""
        problems = required_text(wanted, "name", "password", "tenant")
        for key, reason_of in (("name", no_name), ("email", no_text)):
            if reason := reason_of(known_text(wanted, key) or ""):
                problems.append(Problem(key, reason))
        roles = known_list(wanted, "roles")
        if roles is not None and not [role for role in roles if role]:
            problems.append(Problem("roles", "is empty: the user could do nothing"))
        problems += [
            Problem(
                "roles", f"has {shown(role)}, which ends as a refresh writes a role that is missing: name another one"
            )
            for role in roles or []
            if bears(role, _MISSING)
        ]
        return problems

    def make(self, wanted: State) -> dict[str, Any]:
        """Notes what is there already, then makes the user as wanted."""
        self._refuse_what_is_missing(wanted)
        identity = self.access.identity
        user = identity.find_user(wanted["name"])
        found = self._as_found(user, wanted) if user else {}
        found = self._noted(wanted, found)
        if user is None:
            if found:
                # Somebody deleted the one that was there before us: what is made now is ours.
                found = {}
                self.access.note(self.note_of(wanted), json.dumps(found))
            user = identity.create_user(wanted["name"], wanted["password"], wanted["email"], wanted["enabled"])
            self._set_default_tenant(user, wanted["default_tenant"])
            self._grant(user, wanted)
        else:
            # A run that died may have noted what there is in another tenant.
            found = self._noted_with_new_tenants(user, wanted, found)
            self._apply(user, wanted)
        return self._outputs(user, wanted, found)

    def look(self, known: State) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The user as Keystone has it; the password by trying it once."""
        identity = self.access.identity
        known = {**known, "roles": _roles_of(known)}
        user = identity.find_user(known["name"])
        if user is None:
            return None
        roles = identity.roles_of(user, known["tenant"])
        observed = {
            **known,
            "email": user.email if known["email"] else "",
            "enabled": user.enabled,
            "default_tenant": identity.tenant_name(user.default_tenant_id) if known["default_tenant"] else "",
            "roles": marked(known["roles"], set(known["roles"]) - set(roles), _MISSING),
            # A user that is disabled gets no token with any password.
            PASSWORD_WORKS: not user.enabled or self._password_works(known),
        }
        outputs = self._outputs(user, known, dict(known.get("found") or {}))
        return observed, {**outputs, REMARKS: self._remarks(user, known, outputs["other_roles"])}

    def change(self, known: State, wanted: State) -> dict[str, Any]:
        """Makes the user as wanted; roles that the stack named and no longer names are taken away, unless they were there before."""
        self._refuse_what_is_missing(wanted)
        identity = self.access.identity
        user = identity.find_user(known["name"])
        if user is None:
            return self.make(wanted)
        found = self._noted(known, dict(known.get("found") or {}))
        found = self._noted_with_new_tenants(user, wanted, found)
        self._apply(user, wanted)
        for tenant, role in sorted(_ours(known) - _ours(wanted) - _roles_in(found)):
            identity.remove_role(user, role, tenant)
        return self._outputs(user, wanted, found)

    def remove(self, known: State) -> None:
        """Deletes the user; one that was there before us is put back as it was."""
        identity = self.access.identity
        found = self._noted(known, dict(known.get("found") or {}))
        user = identity.find_user(known["name"])
        if user is not None and found:
            self._put_back(user, known, found)
        elif user is not None:
            identity.delete_user(user.id)
        self.access.forget_note(self.note_of(known))

    # ------------------------------------------------------------ steps

    def _refuse_what_is_missing(self, wanted: State) -> None:
        # Before anything is made: a tenant or role that is missing stops here.
        for tenant in self._tenants(wanted):
            self.access.identity.tenant_id(tenant)
        for role in wanted["roles"]:
            self.access.identity.role_id(role)

    def _apply(self, user: User, wanted: State) -> None:
        email = wanted["email"] or user.email
        if (user.email, user.enabled) != (email, wanted["enabled"]):
            self.access.identity.update_user(user, email, wanted["enabled"])
        self._set_default_tenant(user, wanted["default_tenant"])
        self._grant(user, wanted)
        if wanted["enabled"] and not self._password_works(wanted):
            self.access.identity.set_password(user, wanted["password"])

    def _set_default_tenant(self, user: User, tenant: str) -> None:
        if tenant and self.access.identity.tenant_name(user.default_tenant_id) != tenant:
            self.access.identity.set_default_tenant(user, tenant)

    def _grant(self, user: User, wanted: State) -> None:
        has = self.access.identity.roles_of(user, wanted["tenant"])
        for role in wanted["roles"]:
            if role not in has:
                self.access.identity.add_role(user, role, wanted["tenant"])

    def _put_back(self, user: User, known: State, found: dict[str, Any]) -> None:
        identity = self.access.identity
        self.access.keep(
            f"user {user.name}",
            "the user stays: it was there before us; its password cannot be put back, nobody can read it",
        )
        email = found["email"] if known["email"] else user.email
        if (user.email, user.enabled) != (email, found["enabled"]):
            identity.update_user(user, email, found["enabled"])
        if known["default_tenant"] and identity.tenant_name(user.default_tenant_id) != found["default_tenant"]:
            if found["default_tenant"]:
                identity.set_default_tenant(user, found["default_tenant"])
            else:
                self.access.keep(
                    f"user {user.name}",
                    f"its default tenant stays {known['default_tenant']}: it had none, and Keystone v2.0 cannot take one away",
                )
        # Keystone moves its own role with the default tenant, also away from where it was before us.
        before, member = _roles_in(found), (known["default_tenant"], MEMBER_ROLE)
        for tenant, role in sorted((_ours(known) | {member}) - before):
            identity.remove_role(user, role, tenant)
        if member in before and MEMBER_ROLE not in identity.roles_of(user, known["default_tenant"]):
            identity.add_role(user, MEMBER_ROLE, known["default_tenant"])

    # ------------------------------------------------------------ what was there

    def _as_found(self, user: User, wanted: State) -> dict[str, Any]:
        return {
            "email": user.email,
            "enabled": user.enabled,
            "default_tenant": self.access.identity.tenant_name(user.default_tenant_id),
            "roles": self._roles(user, wanted),
        }

    def _roles(self, user: User, wanted: State) -> dict[str, list[str]]:
        return {tenant: self.access.identity.roles_of(user, tenant) for tenant in self._tenants(wanted)}

    def _noted(self, state: State, found: dict[str, Any]) -> dict[str, Any]:
        return dict(json.loads(self.access.note_first(self.note_of(state), json.dumps(found))))

    def _noted_with_new_tenants(self, user: User, wanted: State, found: dict[str, Any]) -> dict[str, Any]:
        if found and not set(self._tenants(wanted)) <= set(found["roles"]):
            found["roles"] = {**self._roles(user, wanted), **found["roles"]}
            self.access.note(self.note_of(wanted), json.dumps(found))
        return found

    def _tenants(self, state: State) -> list[str]:
        return sorted({state["tenant"], state["default_tenant"]} - {""})

    def _password_works(self, state: State) -> bool:
        return self.access.identity.password_works(state["name"], state["password"])

    def _outputs(self, user: User, wanted: State, found: dict[str, Any]) -> dict[str, Any]:
        try:
            roles = self.access.identity.roles_of(user, wanted["tenant"])
        except IdentityError:
            roles = []
        others = [role for role in roles if role not in wanted["roles"]]
        return {"user_id": user.id, "adopted": bool(found), "found": found, "other_roles": others}

    def _remarks(self, user: User, known: State, other_roles: Sequence[str]) -> list[str]:
        name, tenant = shown(known["name"]), shown(known["tenant"])
        home = known["default_tenant"]
        if not home and MEMBER_ROLE in other_roles:
            # The stack may have named one before: it stays, and Keystone's role with it.
            home = self.access.identity.tenant_name(user.default_tenant_id)
        member = {MEMBER_ROLE} if known["tenant"] == home else set()
        return [
            f"The user {name} has the role {shown(role)} in the tenant {tenant}, which the stack does not name: it is left as it is. "
            f"If nobody needs it: keystone user-role-remove --user {quote(name)} --role {quote(shown(role))} --tenant {quote(tenant)}."
            for role in other_roles
            if role not in member
        ]

    def note_of(self, state: State) -> str:
        """The name of the note about what was there."""
        return f"user.{state['name']}"


def _ours(state: State) -> set[tuple[str, str]]:
    return {(state["tenant"], role) for role in _roles_of(state)}


def _roles_of(state: State) -> list[str]:
    """The roles that the stack names, also when a refresh has marked those that are missing."""
    return unmarked(state["roles"], _MISSING)


def _roles_in(found: State) -> set[tuple[str, str]]:
    return {(tenant, role) for tenant, roles in found.get("roles", {}).items() for role in roles}


def _sorted_once(roles: Sequence[str]) -> list[str]:
    return sorted(set(roles))


class KeystoneUser(Resource, module="nova", name="KeystoneUser"):
    """A user of Keystone with its roles in a tenant.

    ```python
    nova_infra.KeystoneUser(
        "user",
        nova_infra.KeystoneUserArgs(name="nova", password=config.require_secret("novaPassword")),
        opts=pulumi.ResourceOptions(provider=access),
    )
    ```
    """

    password_works: pulumi.Output[bool]
    """Whether the user gets a token with the password. False only after a refresh; plans hide the password itself."""
    user_id: pulumi.Output[str]
    """Keystone's UUID."""
    adopted: pulumi.Output[bool]
    """Whether the user was there before us; then destroy leaves it."""
    found: pulumi.Output[dict[str, Any]]
    """What was there before us, which destroy puts back: `{email, enabled, default_tenant, roles: {TENANT: [ROLE]}}`, or {}."""
    other_roles: pulumi.Output[list[str]]
    """Roles in the tenant that the stack does not name."""

    def __init__(self, name: str, args: KeystoneUserArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs: dict[str, Any] = {
            "name": args.name,
            "password": pulumi.Output.secret(args.password),
            PASSWORD_WORKS: True,
            "tenant": args.tenant,
            "roles": normal(args.roles, _sorted_once),
            "email": args.email,
            "enabled": args.enabled,
            "default_tenant": args.default_tenant,
            "user_id": None,
            "adopted": None,
            "found": None,
            "other_roles": None,
        }
        super().__init__(KeystoneUserLifecycle(), name, inputs, opts)
