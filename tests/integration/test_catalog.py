"""KeystoneUser, Service and Endpoint against a real Keystone, checked through the Juno client. Everything is applied twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from nova_infra.access import Access
from nova_infra.errors import IdentityError
from nova_infra.resources.endpoint import EndpointLifecycle
from nova_infra.resources.keystone_user import KeystoneUserLifecycle
from nova_infra.resources.service import ServiceLifecycle
from tests.nodes import Lab, setting

USER: dict[str, Any] = {
    "name": "first light",
    "password": 'p@ss: $ \\ "quoted" ünï',
    "tenant": "service",
    "roles": ["admin"],
    "email": "",
    "enabled": True,
    "default_tenant": "",
    "password_works": True,
}
SERVICE = {"name": "first", "type": "light", "description": 'It\'s "first" light'}
URL = "http://controller:9999/v2/%(tenant_id)s"
ENDPOINT = {
    "region": "regionOne",
    "service_type": "light",
    "service_name": "first",
    "public_url": URL,
    "internal_url": URL,
    "admin_url": URL,
}


@pytest.fixture
def user(access: Access) -> Iterator[KeystoneUserLifecycle]:
    lifecycle = KeystoneUserLifecycle()
    lifecycle.access = access
    yield lifecycle
    lifecycle.remove(USER)


@pytest.fixture
def service(access: Access) -> Iterator[ServiceLifecycle]:
    lifecycle = ServiceLifecycle()
    lifecycle.access = access
    yield lifecycle
    lifecycle.remove(SERVICE)


@pytest.fixture
def endpoint(access: Access, service: ServiceLifecycle) -> Iterator[EndpointLifecycle]:
    lifecycle = EndpointLifecycle()
    lifecycle.access = access
    service.make(SERVICE)
    yield lifecycle
    lifecycle.remove(ENDPOINT)


def users(lab: Lab) -> list[dict[str, str]]:
    return [row for row in lab.table("keystone user-list") if row["name"] == USER["name"]]


def services(lab: Lab) -> list[dict[str, str]]:
    return [row for row in lab.table("keystone service-list") if row["type"] == "light"]


def endpoints(lab: Lab) -> list[dict[str, str]]:
    ids = {row["id"] for row in services(lab)}
    return [row for row in lab.table("keystone endpoint-list") if row["service_id"] in ids]


def test_a_user_is_made_with_its_role_and_made_twice_is_one(lab: Lab, user: KeystoneUserLifecycle) -> None:
    first = user.make(USER)
    assert user.make(USER) == first
    assert first["adopted"] is False
    assert [row["id"] for row in users(lab)] == [first["user_id"]]
    roles = lab.table(f"keystone user-role-list --user {first['user_id']} --tenant service")
    assert [row["name"] for row in roles] == ["admin"]
    assert user.look({**USER, **first}) == ({**USER, **first}, {**first, "remarks": []})


def test_the_user_gets_a_token_with_the_password(access: Access, user: KeystoneUserLifecycle) -> None:
    user.make(USER)
    assert access.identity.password_works(USER["name"], USER["password"])
    assert not access.identity.password_works(USER["name"], "another")


def test_a_user_changed_behind_our_back_is_seen_and_repaired(lab: Lab, user: KeystoneUserLifecycle) -> None:
    wanted = {**USER, "email": "first@example.org"}
    made = user.make(wanted)
    lab.openstack(f"keystone user-password-update --pass other {made['user_id']}")
    lab.openstack(f"keystone user-update --email somebody@example.org {made['user_id']}")
    seen = user.look({**wanted, **made})
    assert seen is not None
    observed, _ = seen
    assert observed["email"] == "somebody@example.org"
    assert (observed["password"], observed["password_works"]) == (USER["password"], False)
    user.change({**observed, **made}, wanted)
    repaired = user.look({**wanted, **made})
    assert repaired is not None
    assert {key: repaired[0][key] for key in wanted} == wanted


def test_an_email_that_the_stack_does_not_name_is_left_and_is_no_drift(lab: Lab, user: KeystoneUserLifecycle) -> None:
    made = user.make(USER)
    lab.openstack(f"keystone user-update --email somebody@example.org {made['user_id']}")
    assert user.look({**USER, **made}) == ({**USER, **made}, {**made, "remarks": []})
    user.change({**USER, **made}, USER)
    assert [row["email"] for row in users(lab)] == ["somebody@example.org"]


def test_a_role_taken_away_is_given_back_and_another_one_is_left(lab: Lab, user: KeystoneUserLifecycle) -> None:
    made = user.make(USER)
    lab.openstack(
        "keystone role-get observer >/dev/null 2>&1 || keystone role-create --name observer\n"
        f"keystone user-role-remove --user {made['user_id']} --role admin --tenant service\n"
        f"keystone user-role-add --user {made['user_id']} --role observer --tenant service"
    )
    try:
        seen = user.look({**USER, **made})
        assert seen is not None
        assert seen[0]["roles"] == ["admin (missing)"]
        assert seen[1]["other_roles"] == ["observer"]
        user.change({**seen[0], **made}, USER)
        roles = lab.table(f"keystone user-role-list --user {made['user_id']} --tenant service")
        assert {row["name"] for row in roles} == {"admin", "observer"}
    finally:
        lab.openstack("keystone role-delete observer")


def test_removing_a_user_twice_is_the_same_and_one_that_was_there_before_us_stays(
    lab: Lab, user: KeystoneUserLifecycle
) -> None:
    made = user.make(USER)
    user.remove({**USER, **made})
    user.remove({**USER, **made})
    assert users(lab) == []
    lab.openstack("keystone user-create --name 'first light' --pass before")
    adopted = user.make(USER)
    assert adopted["adopted"] is True
    user.remove({**USER, **adopted})
    assert len(users(lab)) == 1
    lab.openstack("keystone user-delete 'first light'")


def test_a_tenant_or_role_that_is_missing_is_named_before_anything_is_made(
    lab: Lab, user: KeystoneUserLifecycle
) -> None:
    with pytest.raises(IdentityError, match="no tenant nowhere"):
        user.make({**USER, "tenant": "nowhere"})
    with pytest.raises(IdentityError, match="no role nobody"):
        user.make({**USER, "roles": ["nobody"]})
    assert users(lab) == []


def test_a_service_is_made_once_and_a_fitting_one_is_adopted(lab: Lab, service: ServiceLifecycle) -> None:
    made = service.make(SERVICE)
    assert service.make(SERVICE) == made
    assert [(row["id"], row["description"]) for row in services(lab)] == [(made["service_id"], SERVICE["description"])]
    assert service.look({**SERVICE, **made}) == ({**SERVICE, **made}, {**made, "remarks": []})
    service.remove({**SERVICE, **made})
    lab.openstack("keystone service-create --name first --type light --description 'by hand'")
    adopted = service.make({**SERVICE, "description": "by hand"})
    assert adopted["adopted"] is True
    service.remove({**SERVICE, **adopted})
    assert len(services(lab)) == 1
    lab.openstack("keystone service-delete first")


def test_a_new_description_keeps_every_endpoint_of_the_service(
    lab: Lab, service: ServiceLifecycle, endpoint: EndpointLifecycle
) -> None:
    made = service.make(SERVICE)
    endpoint.make(ENDPOINT)
    other = "http://controller:9999/elsewhere"
    lab.openstack(
        f"keystone endpoint-create --service-id {made['service_id']} --region elsewhere --publicurl {other} --internalurl {other} --adminurl {other}"
    )
    changed = service.change({**SERVICE, **made}, {**SERVICE, "description": "new"})
    assert changed["service_id"] != made["service_id"]
    assert [row["description"] for row in services(lab)] == ["new"]
    assert {(row["region"], row["publicurl"]) for row in endpoints(lab)} == {("regionOne", URL), ("elsewhere", other)}


def test_an_endpoint_is_made_once_and_its_urls_change_in_one_step(lab: Lab, endpoint: EndpointLifecycle) -> None:
    made = endpoint.make(ENDPOINT)
    assert endpoint.make(ENDPOINT) == made
    assert endpoint.look({**ENDPOINT, **made}) == ({**ENDPOINT, **made}, {**made, "remarks": []})
    new = {**ENDPOINT, "public_url": "http://public.example.org:9999/v2/%(tenant_id)s"}
    changed = endpoint.change({**ENDPOINT, **made}, new)
    assert changed["endpoint_id"] != made["endpoint_id"]
    assert [(row["id"], row["publicurl"]) for row in endpoints(lab)] == [(changed["endpoint_id"], new["public_url"])]


def test_an_endpoint_that_somebody_made_anew_is_found_by_region_and_service(
    lab: Lab, endpoint: EndpointLifecycle
) -> None:
    made = endpoint.make(ENDPOINT)
    (service,) = services(lab)
    lab.openstack(
        f"keystone endpoint-delete {made['endpoint_id']}\n"
        f"keystone endpoint-create --service-id {service['id']} --region regionOne --publicurl '{URL}' --internalurl '{URL}' --adminurl '{URL}'"
    )
    seen = endpoint.look({**ENDPOINT, **made})
    assert seen is not None
    assert seen[1]["endpoint_id"] == endpoints(lab)[0]["id"] != made["endpoint_id"]


def test_removing_an_endpoint_twice_is_the_same(lab: Lab, endpoint: EndpointLifecycle) -> None:
    made = endpoint.make(ENDPOINT)
    endpoint.remove({**ENDPOINT, **made})
    endpoint.remove({**ENDPOINT, **made})
    assert endpoints(lab) == []


@pytest.fixture
def member_role(lab: Lab) -> Iterator[None]:
    """Keystone makes the role _member_ with the first default tenant; the lab had none."""
    there = "_member_" in lab.openstack("keystone role-list")
    yield
    if not there:
        lab.openstack("keystone role-delete _member_", check=False)


def user_as_keystone_has_it(lab: Lab) -> dict[str, str]:
    rows = {row["Property"]: row["Value"] for row in lab.table("keystone user-get 'first light'")}
    return {key: rows.get(key, "") for key in ("email", "enabled", "tenantId")}


def role_names(lab: Lab, tenant: str) -> set[str]:
    (user,) = users(lab)
    return {row["name"] for row in lab.table(f"keystone user-role-list --user {user['id']} --tenant {tenant}")}


@pytest.mark.usefixtures("member_role")
def test_a_default_tenant_is_set_seen_by_name_and_repaired(lab: Lab, user: KeystoneUserLifecycle) -> None:
    tenants = {row["name"]: row["id"] for row in lab.table("keystone tenant-list")}
    wanted = {**USER, "default_tenant": "service"}
    made = user.make(wanted)
    assert user.make(wanted) == {**made, "other_roles": ["_member_"]}
    assert user_as_keystone_has_it(lab)["tenantId"] == tenants["service"]
    user.access.identity._client.users.update_tenant(made["user_id"], tenants["admin"])
    seen = user.look({**wanted, **made})
    assert seen is not None
    assert seen[0]["default_tenant"] == "admin"
    changed = user.change({**seen[0], **made}, wanted)
    assert user_as_keystone_has_it(lab)["tenantId"] == tenants["service"]
    assert role_names(lab, "service") == {"admin", "_member_"}
    assert user.look({**wanted, **changed}) == ({**wanted, **changed}, {**changed, "remarks": []})


@pytest.mark.usefixtures("member_role")
def test_a_user_that_was_there_before_us_is_put_back_as_it_was(lab: Lab, user: KeystoneUserLifecycle) -> None:
    lab.openstack(
        "keystone user-create --name 'first light' --pass before --email before@example.org --enabled false --tenant admin"
    )
    try:
        before, roles = user_as_keystone_has_it(lab), {each: role_names(lab, each) for each in ("admin", "service")}
        wanted = {**USER, "email": "ours@example.org", "default_tenant": "service"}
        made = user.make(wanted)
        assert made["adopted"] is True
        assert user.make(wanted) == made
        assert user.look({**wanted, **made}) == ({**wanted, **made}, {**made, "remarks": []})
        assert user_as_keystone_has_it(lab) != before
        assert role_names(lab, "service") == {"admin", "_member_"}
        for _ in range(2):
            user.remove({**wanted, **made})
            assert user_as_keystone_has_it(lab) == before
            assert {each: role_names(lab, each) for each in ("admin", "service")} == roles
    finally:
        lab.openstack("keystone user-delete 'first light'")


def test_a_service_and_an_endpoint_that_were_there_before_us_say_again_what_they_said(lab: Lab, access: Access) -> None:
    service, endpoint = ServiceLifecycle(), EndpointLifecycle()
    service.access = endpoint.access = access
    theirs = "http://theirs.example.org/%(tenant_id)s"
    elsewhere = "http://elsewhere.example.org/"
    lab.openstack(
        "keystone service-create --name first --type light --description 'by hand'\n"
        f"for it in 'regionOne {theirs}' 'elsewhere {elsewhere}'; do set -- $it\n"
        'keystone endpoint-create --service first --region $1 --publicurl "$2" --internalurl "$2" --adminurl "$2"; done'
    )

    def there() -> tuple[list[str], list[tuple[str, str]]]:
        described = [row["description"] for row in services(lab)]
        return described, sorted((row["region"], row["publicurl"]) for row in endpoints(lab))

    before = there()
    assert before == (["by hand"], [("elsewhere", elsewhere), ("regionOne", theirs)])
    try:
        made = service.make(SERVICE)
        found = endpoint.make(ENDPOINT)
        assert there() == ([SERVICE["description"]], [("elsewhere", elsewhere), ("regionOne", URL)])
        assert (made["adopted"], made["found"]) == (True, {"description": "by hand"})
        assert (found["adopted"], found["found"]["public_url"]) == (True, theirs)
        for _ in range(2):
            endpoint.remove({**ENDPOINT, **found})
            service.remove({**SERVICE, **made})
            assert there() == before
    finally:
        lab.openstack("keystone service-delete first")


def test_a_wrong_password_of_the_administrator_is_one_sentence_without_it(access: Access) -> None:
    lifecycle = KeystoneUserLifecycle()
    lifecycle.access = Access(lambda key: "not-the-password" if key == "identity_password" else access.get(key))
    with pytest.raises(IdentityError, match="adminPassword") as raised:
        lifecycle.look(USER)
    assert "not-the-password" not in str(raised.value)
    assert setting("ADMIN_PASS") not in str(raised.value)
