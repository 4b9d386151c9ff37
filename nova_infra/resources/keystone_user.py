"""KeystoneUser: a user, its password, and its roles in a tenant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from ..errors import IdentityError, Problem
from ..identity import User
from .lifecycle import Lifecycle, Resource, State, required_text

ANOTHER_PASSWORD = "another password"  # noqa: S105 - what is shown instead of one


@dataclass(frozen=True)
class KeystoneUserArgs:
    """A user of Keystone with roles in one tenant. Roles besides these are shown (`other_roles`), not removed.

    An empty `email` leaves the user's as it is.
    """

    name: str
    password: pulumi.Input[str]
    tenant: str = "service"
    roles: Sequence[str] = ("admin",)
    email: str = ""
    enabled: bool = True


class KeystoneUserLifecycle(Lifecycle):
    """The user in the Keystone that the provider names."""

    kind = "Keystone user"
    identity = ("name",)
    computed = ("user_id", "adopted", "other_roles")

    def name_of(self, wanted: State) -> str:
        """The name of the user."""
        return str(wanted["name"])

    def problems(self, wanted: State) -> list[Problem]:
        """Empty name, password, tenant; no role."""
        problems = required_text(wanted, "name", "password", "tenant")
        if not wanted["roles"]:
            problems.append(Problem("roles", "is empty: the user could do nothing"))
        return problems

    def make(self, wanted: State) -> dict[str, Any]:
        """Notes whether the user is there already, then makes it as wanted."""
        identity = self.access.identity
        # Before anything is made: a tenant or role that is missing stops here.
        identity.tenant_id(wanted["tenant"])
        for role in wanted["roles"]:
            identity.role_id(role)
        user = identity.find_user(wanted["name"])
        noted = self.access.note_first(self._note(wanted), "found" if user else "new")
        if user is None:
            user = identity.create_user(wanted["name"], wanted["password"], wanted["email"], wanted["enabled"])
            self._grant(user, wanted)
        else:
            self._apply(user, wanted)
        return self._outputs(user, wanted, adopted=noted == "found")

    def look(self, known: State) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The user as Keystone has it; the password by trying it once."""
        identity = self.access.identity
        user = identity.find_user(known["name"])
        if user is None:
            return None
        roles = identity.roles_of(user, known["tenant"])
        observed = {
            **known,
            "email": user.email if known["email"] else "",
            "enabled": user.enabled,
            "roles": [role for role in known["roles"] if role in roles],
            # A user that is disabled or has no role gets no token with any password.
            "password": known["password"]
            if not (user.enabled and roles) or self._password_works(known)
            else ANOTHER_PASSWORD,
        }
        return observed, self._outputs(user, known, adopted=bool(known.get("adopted")))

    def change(self, known: State, wanted: State) -> dict[str, Any]:
        """Makes the user as wanted; roles that the stack named and no longer names are taken away."""
        identity = self.access.identity
        user = identity.find_user(known["name"])
        if user is None:
            return self.make(wanted)
        self._apply(user, wanted)
        before = {(known["tenant"], role) for role in known["roles"]}
        for tenant, role in sorted(before - {(wanted["tenant"], role) for role in wanted["roles"]}):
            identity.remove_role(user, role, tenant)
        return self._outputs(user, wanted, adopted=bool(known.get("adopted")))

    def remove(self, known: State) -> None:
        """Deletes the user, unless it was there before us."""
        if not known.get("adopted"):
            user = self.access.identity.find_user(known["name"])
            if user is not None:
                self.access.identity.delete_user(user.id)
        self.access.forget_note(self._note(known))

    def _apply(self, user: User, wanted: State) -> None:
        email = wanted["email"] or user.email
        if (user.email, user.enabled) != (email, wanted["enabled"]):
            self.access.identity.update_user(user, email, wanted["enabled"])
        self._grant(user, wanted)
        if wanted["enabled"] and not self._password_works(wanted):
            self.access.identity.set_password(user, wanted["password"])

    def _grant(self, user: User, wanted: State) -> None:
        has = self.access.identity.roles_of(user, wanted["tenant"])
        for role in wanted["roles"]:
            if role not in has:
                self.access.identity.add_role(user, role, wanted["tenant"])

    def _password_works(self, state: State) -> bool:
        return self.access.identity.password_works(state["name"], state["password"], state["tenant"])

    def _outputs(self, user: User, wanted: State, *, adopted: bool) -> dict[str, Any]:
        try:
            roles = self.access.identity.roles_of(user, wanted["tenant"])
        except IdentityError:
            roles = []
        others = [role for role in roles if role not in wanted["roles"]]
        return {"user_id": user.id, "adopted": adopted, "other_roles": others}

    def _note(self, state: State) -> str:
        return f"user.{state['name']}"


class KeystoneUser(Resource, module="nova", name="KeystoneUser"):
    """A user of Keystone with its roles in a tenant.

    nova_infra.KeystoneUser(
        "user",
        nova_infra.KeystoneUserArgs(name="nova", password=config.require_secret("novaPassword")),
        opts=pulumi.ResourceOptions(provider=access),
    )
    """

    user_id: pulumi.Output[str]
    """Keystone's UUID."""
    adopted: pulumi.Output[bool]
    """Whether the user was there before us; then destroy leaves it."""
    other_roles: pulumi.Output[list[str]]
    """Roles in the tenant that the stack does not name."""

    def __init__(self, name: str, args: KeystoneUserArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs = {
            "name": args.name,
            "password": pulumi.Output.secret(args.password),
            "tenant": args.tenant,
            "roles": sorted(args.roles),
            "email": args.email,
            "enabled": args.enabled,
            "user_id": None,
            "adopted": None,
            "other_roles": None,
        }
        super().__init__(KeystoneUserLifecycle(), name, inputs, opts)
