"""Keystone: users, roles, services and endpoints, behind one small interface.

The v2.0 API is what Juno's guide uses. It cannot update a service or an endpoint and does not keep names unique, so whoever
creates must look first (OS-KSADM and OS-KSCRUD extensions, Juno).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import keystoneauth1.exceptions
import keystoneauth1.session
import keystoneclient.exceptions
import requests
from keystoneauth1.access import AccessInfoV2
from keystoneauth1.identity import v2
from keystoneclient.v2_0 import client

from .catalog import EndpointRecord, ServiceRecord, User, no_name, no_text
from .errors import IdentityError
from .masking import mask
from .remote.connection import why
from .remote.http import CUT_OFF, NOT_UNDERSTOOD, cut_off, no_http
from .wording import escaped, quoted

TIMEOUT_SECONDS = 60
NO_KEYSTONE = "what answered is no Keystone"
CHECK_URL = "Check the URL (admin_url in nova:identity): it is to be that of Keystone's v2.0 admin API."


class NoKeystone(keystoneauth1.exceptions.ClientException):
    """Who was asked for a token has answered something else."""


class _Session(keystoneauth1.session.Session):
    """A session to whom an answer is a JSON object, or empty. To keystoneauth whatever has a status below 400 is one."""

    def request(self, *arguments: Any, **more: Any) -> requests.Response:
        response = super().request(*arguments, **more)
        if response.status_code < HTTPStatus.BAD_REQUEST and not _is_an_answer(response):
            raise keystoneauth1.exceptions.InvalidResponse(response)
        return response


def _is_an_answer(response: requests.Response) -> bool:
    try:
        whole = not response.content or isinstance(response.json(), dict)
    except NOT_UNDERSTOOD:
        return False
    # A redirection has been followed; 300 offers a choice, as the root of an API does.
    return whole and response.status_code < HTTPStatus.MULTIPLE_CHOICES


class _Password(v2.Password):
    """A user's login. To keystoneauth any object with `access` in it is a token."""

    def get_auth_ref(self, session: keystoneauth1.session.Session) -> AccessInfoV2:
        try:
            access = super().get_auth_ref(session)
            access.will_expire_soon()
            access.service_catalog.get_endpoints_data()
            whole = isinstance(access.auth_token, str) and bool(access.user_id)
        except keystoneauth1.exceptions.ConnectionError as error:
            if not no_http(error):
                raise
            whole = False
        except (keystoneauth1.exceptions.InvalidResponse, *NOT_UNDERSTOOD):
            whole = False
        if not whole:
            raise NoKeystone from None
        return access


class Identity:
    """Keystone's v2.0 admin API, as an administrator of a tenant.

    `url` is that of the admin API (`http://controller:35357/v2.0`); `http` makes the connections. Raises IdentityError.
    """

    def __init__(self, url: str, username: str, password: str, tenant: str, http: requests.Session) -> None:
        self.url = url.rstrip("/")
        self._account = f"{username} (tenant {tenant})"
        self._password = password
        self._http = http
        self._auth = _Password(auth_url=self.url, username=username, password=password, tenant_name=tenant)
        self.session = _Session(auth=self._auth, session=http, timeout=TIMEOUT_SECONDS)
        self._client = client.Client(session=self.session, endpoint_override=self.url)

    # ------------------------------------------------------------ users

    def find_user(self, name: str) -> User | None:
        """The user of this name (Keystone v2.0 keeps names of users unique)."""
        with self._asked("looking for the user", name):
            found = [_user(each) for each in self._client.users.list() if each.name == name]
        return found[0] if found else None

    def create_user(self, name: str, password: str, email: str, enabled: bool) -> User:
        """Makes a user without a default tenant, as the guide does."""
        self._refuse(("user", name, no_name(name)), ("e-mail", email, no_text(email)))
        with self._asked("creating the user", name, password):
            return _user(self._client.users.create(name, password=password, email=email or None, enabled=enabled))

    def update_user(self, user: User, email: str, enabled: bool) -> None:
        """Sets e-mail and enabled."""
        with self._asked("updating the user", user.name):
            self._client.users.update(user.id, name=user.name, email=email or None, enabled=enabled)

    def set_default_tenant(self, user: User, tenant: str) -> None:
        """Sets the default tenant. Keystone gives the user the role _member_ there. v2.0 has no way to take one away again."""
        with self._asked(f"setting the default tenant {tenant} of the user", user.name):
            self._client.users.update_tenant(user.id, self.tenant_id(tenant))

    def set_password(self, user: User, password: str) -> None:
        """Sets the password."""
        with self._asked("setting the password of the user", user.name, password):
            self._client.users.update_password(user.id, password)

    def password_works(self, name: str, password: str) -> bool:
        """Whether the user gets a token with this password. There is no other way to see it; ask at most once an operation.

        A token of no tenant: for one that is disabled, or in which the user has no role, Keystone refuses every password.
        """
        auth = _Password(auth_url=self.url, username=name, password=password)
        try:
            with self._asked("trying the password of the user", name, password):
                auth.get_access(_Session(session=self._http, timeout=TIMEOUT_SECONDS))
        except _Unauthorized:
            return False
        return True

    def delete_user(self, user_id: str) -> None:
        """Deletes the user; one that is gone is fine."""
        with self._asked("deleting the user", user_id), _gone_is_fine():
            self._client.users.delete(user_id)

    # ------------------------------------------------------------ tenants and roles

    def tenant_id(self, name: str) -> str:
        """The UUID of the tenant. Raises IdentityError when there is none."""
        found = self._tenants(name)
        if not found:
            raise IdentityError(
                f"Keystone at {self.url} has no tenant {escaped(name)}. Create it (keystone tenant-create --name {shlex.quote(escaped(name))}), or name another in the stack "
                "(service_tenant and default_tenant in nova:identity)."
            )
        return found[0]

    def _tenants(self, name: str) -> list[str]:
        with self._asked("looking for the tenant", name):
            return [str(tenant.id) for tenant in self._client.tenants.list() if tenant.name == name]

    def tenant_name(self, tenant_id: str) -> str:
        """The name of the tenant; of one that is gone, its UUID; nothing of nothing."""
        if not tenant_id:
            return ""
        with self._asked("looking for the tenant", tenant_id):
            found = [tenant.name for tenant in self._client.tenants.list() if tenant.id == tenant_id]
        return str(found[0]) if found else tenant_id

    def role_id(self, name: str) -> str:
        """The UUID of the role. Raises IdentityError when there is none."""
        with self._asked("looking for the role", name):
            found = [role.id for role in self._client.roles.list() if role.name == name]
        if not found:
            raise IdentityError(
                f"Keystone at {self.url} has no role {escaped(name)}. Create it (keystone role-create --name {shlex.quote(escaped(name))}), or name another in the stack "
                "(role in nova:identity)."
            )
        return str(found[0])

    def roles_of(self, user: User, tenant: str) -> list[str]:
        """The names of the user's roles in the tenant, sorted."""
        with self._asked("reading the roles of the user", user.name):
            return sorted(role.name for role in self._client.roles.roles_for_user(user.id, self.tenant_id(tenant)))

    def add_role(self, user: User, role: str, tenant: str) -> None:
        """Gives the user the role in the tenant."""
        with self._asked(f"granting the role {role} to the user", user.name):
            self._client.roles.add_user_role(user.id, self.role_id(role), self.tenant_id(tenant))

    def remove_role(self, user: User, role: str, tenant: str) -> None:
        """Takes the role away; one that is not there is fine, as is a tenant that is gone."""
        if self._tenants(tenant) and role in self.roles_of(user, tenant):
            with self._asked(f"taking the role {role} from the user", user.name), _gone_is_fine():
                self._client.roles.remove_user_role(user.id, self.role_id(role), self.tenant_id(tenant))

    # ------------------------------------------------------------ services and endpoints

    def services(self, name: str, type_: str) -> list[ServiceRecord]:
        """The services of this name and type; v2.0 does not keep them unique."""
        return [record for record in self.services_of_type(type_) if record.name == name]

    def services_of_type(self, type_: str) -> list[ServiceRecord]:
        """The services of this type, whatever their names: clients look for one by its type."""
        with self._asked("listing services of type", type_):
            return [record for record in map(_service, self._client.services.list()) if record.type == type_]

    def create_service(self, name: str, type_: str, description: str) -> ServiceRecord:
        """Makes a service record."""
        self._refuse(
            ("service", name, no_text(name)),
            ("service type", type_, no_text(type_)),
            ("description", description, no_text(description)),
        )
        with self._asked("creating the service", f"{type_}/{name}"):
            return _service(self._client.services.create(name, type_, description))

    def delete_service(self, service_id: str) -> None:
        """Deletes the service, and with it its endpoints (Keystone does that); one that is gone is fine."""
        with self._asked("deleting the service", service_id), _gone_is_fine():
            self._client.services.delete(service_id)

    def endpoints(self, service_ids: list[str]) -> list[EndpointRecord]:
        """The endpoints of these services."""
        with self._asked("listing endpoints", ""):
            return [
                record for record in map(_endpoint, self._client.endpoints.list()) if record.service_id in service_ids
            ]

    def url_in_catalog(self, type_: str, region: str) -> str:
        """The public URL that clients get for services of this type in the region, as the catalog of our own token has it; or nothing."""
        with self._asked("reading the catalog of", self._account):
            catalog = self._auth.get_access(self.session).service_catalog
            return str(next(iter(catalog.get_urls(service_type=type_, region_name=region, interface="public")), ""))

    def as_in_catalog(self, url: str) -> str:
        """The URL of an endpoint as the catalog of our own token has it."""
        with self._asked("reading the catalog of", self._account):
            access = self._auth.get_access(self.session)
            parts = {"tenant_id": access.project_id, "user_id": access.user_id}
        for name, value in parts.items():
            url = url.replace(f"%({name})s", str(value)).replace(f"$({name})s", str(value))
        return url

    def create_endpoint(self, service_id: str, region: str, public: str, internal: str, admin: str) -> EndpointRecord:
        """Makes an endpoint record."""
        self._refuse(
            ("region", region, no_text(region)),
            *(("URL", url, no_text(url)) for url in (public, internal, admin)),
        )
        with self._asked("creating the endpoint", public):
            return _endpoint(
                self._client.endpoints.create(
                    region, service_id, publicurl=public, internalurl=internal, adminurl=admin
                )
            )

    def delete_endpoint(self, endpoint_id: str) -> None:
        """Deletes the endpoint; one that is gone is fine."""
        with self._asked("deleting the endpoint", endpoint_id), _gone_is_fine():
            self._client.endpoints.delete(endpoint_id)

    def _refuse(self, *wanted: tuple[str, str, str]) -> None:
        for kind, text, reason in wanted:
            if reason:
                raise IdentityError(
                    f"Keystone at {self.url}: the {kind} {quoted(text)} is not made: it {reason}. Choose another."
                )

    @contextmanager
    def _asked(self, doing: str, name: str, *secrets: str) -> Iterator[None]:
        try:
            yield
        except (keystoneauth1.exceptions.Unauthorized, keystoneclient.exceptions.Unauthorized) as error:
            raise _Unauthorized(self._sentence(doing, name, error, secrets)) from None
        except (
            keystoneauth1.exceptions.ClientException,
            keystoneclient.exceptions.ClientException,
            *NOT_UNDERSTOOD,
        ) as error:
            raise IdentityError(self._sentence(doing, name, error, secrets)) from None

    def _sentence(self, doing: str, name: str, error: Exception, secrets: tuple[str, ...]) -> str:
        said, advice = _odd(error) or (mask(why(error), [self._password, *secrets]).rstrip("."), _advice(error))
        asked = f"{doing} {name}".strip()
        return f"Keystone at {self.url} as {self._account}: {asked} failed: {said}. {advice}"


def _odd(error: Exception) -> tuple[str, str] | None:
    """What is said, and what to do, where nobody has answered as Keystone does."""
    if cut_off(error):
        return (
            CUT_OFF,
            "Run the same command again; where it happens again, Keystone's log says why (/var/log/keystone on its machine).",
        )
    kinds = (NoKeystone, keystoneauth1.exceptions.InvalidResponse, *NOT_UNDERSTOOD)
    return (NO_KEYSTONE, CHECK_URL) if isinstance(error, kinds) or no_http(error) else None


def _advice(error: Exception) -> str:
    status = getattr(error, "http_status", 0) or 0
    if status == HTTPStatus.UNAUTHORIZED:
        return (
            "Keystone does not let this account in: check its name and tenant (admin_user and admin_tenant in nova:identity) and its password "
            "(adminPassword)."
        )
    if status == HTTPStatus.FORBIDDEN:
        return "The account may not do that: give it the role of an administrator in its tenant, or name another (admin_user in nova:identity)."
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "That is Keystone's own failure: its log says why (/var/log/keystone on its machine). Then run the same command again."
    if isinstance(error, keystoneauth1.exceptions.ConnectionError):
        return "Check the URL (admin_url in nova:identity), and that Keystone runs there."
    return CHECK_URL


class _Unauthorized(IdentityError):  # noqa: N818
    """Keystone does not accept the name or the password."""


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    try:
        yield
    except (keystoneclient.exceptions.NotFound, keystoneauth1.exceptions.NotFound):
        return


def _user(resource: Any) -> User:
    return User(
        resource.id,
        resource.name,
        getattr(resource, "email", None) or "",
        bool(resource.enabled),
        getattr(resource, "tenantId", None) or "",
    )


def _service(resource: Any) -> ServiceRecord:
    return ServiceRecord(resource.id, resource.name or "", resource.type, getattr(resource, "description", None) or "")


def _endpoint(resource: Any) -> EndpointRecord:
    # v2.0 demands a public URL only: somebody's endpoint may lack the others.
    internal, admin = (getattr(resource, name, None) or "" for name in ("internalurl", "adminurl"))
    return EndpointRecord(resource.id, resource.service_id, resource.region, resource.publicurl, internal, admin)
