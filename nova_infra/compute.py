"""The compute API (v2) of the deployed service: what its services report, images, and what runs on a host."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import keystoneauth1.adapter
import keystoneauth1.exceptions
import keystoneauth1.session

from .errors import ComputeError, ComputeSilent
from .identity import CHECK_URL, NO_KEYSTONE, NoKeystone
from .masking import mask
from .remote.connection import why
from .remote.http import CUT_OFF, NOT_UNDERSTOOD, cut_off, no_http


@dataclass(frozen=True)
class ServiceReport:
    """A row of `nova service-list`. `updated_at` is when it last reported, empty before its first report."""

    id: str
    binary: str
    host: str
    zone: str
    status: str
    state: str
    updated_at: str
    disabled_reason: str


@dataclass(frozen=True)
class Image:
    """A row of `nova image-list`."""

    id: str
    name: str
    status: str
    server: str


@dataclass(frozen=True)
class Server:
    """An instance."""

    id: str
    name: str
    status: str


class Compute:
    """The compute API, found in Keystone's catalog by type, name and region. Raises ComputeError, and ComputeSilent where nobody answers."""

    def __init__(
        self, session: keystoneauth1.session.Session, region: str, service_name: str, service_type: str
    ) -> None:
        self.region = region
        self._adapter = keystoneauth1.adapter.Adapter(
            session, service_type=service_type, service_name=service_name, interface="public", region_name=region
        )
        self.clock_ahead: float | None = None
        """By how many seconds nova-api's clock is ahead of ours; None before its first answer."""

    def services(self, host: str = "") -> list[ServiceReport]:
        """What `nova service-list` shows, of all hosts or of one, sorted by host and binary."""
        with self._asked("listing its services"):
            rows = self._get("/os-services", **({"host": host} if host else {}))["services"]
            reports = [
                ServiceReport(
                    id=str(row.get("id", "")),
                    binary=row["binary"],
                    host=row["host"],
                    zone=row["zone"],
                    status=row["status"],
                    state=row["state"],
                    updated_at=row.get("updated_at") or "",
                    disabled_reason=row.get("disabled_reason") or "",
                )
                for row in rows
            ]
            return sorted(reports, key=lambda report: (report.host, report.binary))

    def images(self) -> list[Image]:
        """What `nova image-list` shows: the image service as the compute service sees it, sorted by name."""
        with self._asked("listing images"):
            rows = self._get("/images/detail")["images"]
            # Glance keeps images without a name, too.
            images = [
                Image(row["id"], row["name"] or "", row["status"], (row.get("server") or {}).get("id", ""))
                for row in rows
            ]
            return sorted(images, key=lambda image: image.name)

    def servers_on(self, host: str) -> list[Server]:
        """The instances on a compute host, of every tenant."""
        with self._asked(f"listing the instances on {host}"):
            rows = self._get("/servers/detail", all_tenants="1", host=host)["servers"]
            # Not every release filters by `host` for every policy; the attribute of each row decides.
            here = [row for row in rows if row.get("OS-EXT-SRV-ATTR:host", host) == host]
            return [Server(row["id"], row["name"], row["status"]) for row in here]

    def disable(self, host: str, binary: str, reason: str) -> None:
        """No new instance is scheduled on the host."""
        with self._asked(f"disabling {binary} on {host}"):
            body = {"host": host, "binary": binary, "disabled_reason": reason}
            self._adapter.put("/os-services/disable-log-reason", json=body)

    def enable(self, host: str, binary: str) -> None:
        """New instances may be scheduled on the host again."""
        with self._asked(f"enabling {binary} on {host}"):
            self._adapter.put("/os-services/enable", json={"host": host, "binary": binary})

    def delete_service(self, service_id: str) -> None:
        """Removes the record of a service; one that is gone is fine. Juno checks nothing: look for instances first."""
        with self._asked(f"deleting the service record {service_id}"):
            try:
                self._adapter.delete(f"/os-services/{service_id}")
            except keystoneauth1.exceptions.NotFound:
                return

    def _get(self, path: str, **parameters: str) -> Any:
        try:
            return self._answer(path, parameters)
        except (keystoneauth1.exceptions.EndpointNotFound, keystoneauth1.exceptions.ConnectFailure):
            # The catalog comes with the token, and that may be older than the endpoint.
            self._adapter.invalidate()
            return self._answer(path, parameters)

    def _answer(self, path: str, parameters: dict[str, str]) -> Any:
        response = self._adapter.get(path, params=parameters)
        # A date that is none says nothing about nova's clock.
        with suppress(ValueError, TypeError, OverflowError):
            self.clock_ahead = parsedate_to_datetime(response.headers.get("Date", "")).timestamp() - time.time()
        return response.json()

    @contextmanager
    def _asked(self, doing: str) -> Iterator[None]:
        try:
            yield
        except keystoneauth1.exceptions.ConnectionError as error:
            answered = cut_off(error) or no_http(error)
            raise (ComputeError if answered else ComputeSilent)(self._sentence(doing, error)) from None
        except (keystoneauth1.exceptions.ClientException, *NOT_UNDERSTOOD) as error:
            raise ComputeError(self._sentence(doing, error)) from None

    def _sentence(self, doing: str, error: Exception) -> str:
        said, advice = _odd(error) or (mask(_said(error)).rstrip("."), self._advice(error))
        return f"The compute API in region {self.region}: {doing} failed: {said}. {advice}"

    def _advice(self, error: Exception) -> str:
        if isinstance(error, keystoneauth1.exceptions.EndpointNotFound):
            return "Correct the service's name and type and the region, or make its service and endpoint in Keystone first."
        if isinstance(error, keystoneauth1.exceptions.ConnectFailure):
            return "Check that nova-api runs there (service nova-api status); its log is /var/log/nova/nova-api.log on the controller."
        if isinstance(error, keystoneauth1.exceptions.Unauthorized):
            keystone = getattr(self._adapter.session.auth, "auth_url", None)
            if keystone and str(error.url).startswith(keystone):
                return "Keystone does not let the administrator in: check the name, the tenant and the password (adminPassword)."
            return (
                "It does not accept Keystone's token: check [keystone_authtoken] in nova.conf (identity_uri, admin_user, admin_password) and "
                "/var/log/nova/nova-api.log on the controller."
            )
        return "Look at /var/log/nova/nova-api.log on the controller."


def _odd(error: Exception) -> tuple[str, str] | None:
    """What is said, and what to do, where nobody has answered as the compute API does."""
    if cut_off(error):
        return (
            CUT_OFF,
            "Run the same command again; where it happens again, /var/log/nova/nova-api.log on the controller says why.",
        )
    if isinstance(error, NoKeystone):
        return NO_KEYSTONE, CHECK_URL
    if isinstance(error, (keystoneauth1.exceptions.InvalidResponse, *NOT_UNDERSTOOD)) or no_http(error):
        return (
            "what answered is no compute API",
            "Check the public URL of nova's endpoint (public_url in nova:endpoint), and that nova-api listens there.",
        )
    return None


def _said(error: Exception) -> str:
    response: Any = getattr(error, "response", None)
    if response is None:
        return why(error)
    try:
        # {"computeFault": {"message": ..., "code": 500}}
        (fault,) = response.json().values()
        text = " ".join(fault["message"].split())
    except NOT_UNDERSTOOD:
        text = " ".join(response.text[:300].split())
    return f"HTTP {response.status_code} from {response.url}: {text}"
