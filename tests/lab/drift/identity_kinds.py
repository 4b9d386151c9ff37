"""What can become of nova's user in Keystone."""

from __future__ import annotations

from collections.abc import Callable

from tests.lab.drift.kinds import MANAGED, NOVA_IS_SILENT, Kind
from tests.lab.drift.masked import SOMEBODY_ELSES
from tests.nodes import Lab, setting

AREA = "KeystoneUser"
USER = "nova-user"
EMAIL = MANAGED["identity"]["email"]
# The command line of the guide's client has nothing for it; the client itself has.
ANOTHER_DEFAULT_TENANT = """/opt/lab-clients/bin/python - <<'end'
import os
from keystoneclient.v2_0 import client
keystone = client.Client(
    username=os.environ["OS_USERNAME"], password=os.environ["OS_PASSWORD"],
    tenant_name=os.environ["OS_TENANT_NAME"], auth_url=os.environ["OS_AUTH_URL"],
)
user = keystone.users.find(name="nova")
keystone.users.update_tenant(user.id, keystone.tenants.find(name="admin").id)
end"""


def caused_by(command: str) -> Callable[[Lab], object]:
    return lambda lab: lab.openstack(f"{command} >/dev/null")


def details(lab: Lab) -> dict[str, str]:
    return {row["Property"]: row["Value"] for row in lab.table("keystone user-get nova")}


def roles(lab: Lab) -> set[str]:
    return {row["name"] for row in lab.table("keystone user-role-list --user nova --tenant service")}


def the_user_gets_a_token(lab: Lab) -> None:
    lab.openstack(
        f"OS_USERNAME=nova OS_PASSWORD={setting('NOVA_PASS')} OS_TENANT_NAME=service keystone token-get >/dev/null"
    )


def the_user_is_as_the_stack_says(lab: Lab) -> None:
    (service,) = [row["id"] for row in lab.table("keystone tenant-list") if row["name"] == "service"]
    user = details(lab)
    assert (user["email"], user["enabled"], user["tenantId"]) == (EMAIL, "True", service)
    assert "admin" in roles(lab)
    the_user_gets_a_token(lab)


def the_extra_role_is_left(lab: Lab) -> None:
    assert {"admin", "audit"} <= roles(lab)


GONE = Kind(
    "the user is gone",
    cause=caused_by("keystone user-delete nova"),
    after=the_user_is_as_the_stack_says,
    gone=[USER],
    may_say=NOVA_IS_SILENT,
)
DISABLED = Kind(
    "the user is disabled",
    cause=caused_by("keystone user-update --enabled false nova"),
    after=the_user_is_as_the_stack_says,
    shows={USER: {"enabled": ("true", "false")}},
    may_say=NOVA_IS_SILENT,
)
EMAIL_CHANGED = Kind(
    "the e-mail is changed",
    cause=caused_by("keystone user-update --email somebody@example.org nova"),
    after=the_user_is_as_the_stack_says,
    shows={USER: {"email": (f'"{EMAIL}"', '"somebody@example.org"')}},
)
PASSWORD = Kind(
    "the password is changed",
    cause=caused_by(f"keystone user-password-update --pass {SOMEBODY_ELSES} nova"),
    after=the_user_gets_a_token,
    shows={USER: {"password_works": ("true", "false")}},
    may_say=NOVA_IS_SILENT,
)
ROLE_TAKEN = Kind(
    "a role is taken away",
    cause=caused_by("keystone user-role-remove --user nova --role admin --tenant service"),
    after=the_user_is_as_the_stack_says,
    shows={USER: {"roles[0]": ('"admin"', '"admin (missing)"')}},
    may_say=NOVA_IS_SILENT,
)
EXTRA_ROLE = Kind(
    "a role more",
    cause=caused_by(
        "keystone role-create --name audit; keystone user-role-add --user nova --role audit --tenant service"
    ),
    after=the_extra_role_is_left,
    said={USER: "The user nova has the role audit in the tenant service"},
    advice="If nobody needs it: keystone user-role-remove --user nova --role audit --tenant service.",
    follows={USER: ["other_roles"]},
    undo=caused_by("keystone role-delete audit"),
)
DEFAULT_TENANT = Kind(
    "the default tenant is changed",
    cause=lambda lab: lab.openstack(ANOTHER_DEFAULT_TENANT),
    after=the_user_is_as_the_stack_says,
    shows={USER: {"default_tenant": ('"service"', '"admin"')}},
)
KINDS = [GONE, DISABLED, EMAIL_CHANGED, PASSWORD, ROLE_TAKEN, EXTRA_ROLE, DEFAULT_TENANT]
