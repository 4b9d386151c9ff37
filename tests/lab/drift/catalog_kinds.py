"""What can become of nova's service and endpoint in Keystone's catalog. v2.0 changes a record by deleting it and making another."""

from __future__ import annotations

from collections.abc import Callable

from tests.lab.drift.kinds import CHECK, NOVA_IS_SILENT, Kind
from tests.nodes import Lab

AREA = "Service and Endpoint"
SERVICE, ENDPOINT = "nova-service", "nova-endpoint"
URL = "http://controller:8774/v2/%(tenant_id)s"
ELSEWHERE = "http://192.0.2.7:8774/v2/%(tenant_id)s"
# Nova was not to be found while the refresh asked for it.
ASKED_AGAIN = {CHECK: {"look_again": ("false", "true")}}
# Shell functions in the words of the guide.
ID = "id() { awk -F '|' -v name=\"$1\" '$0 ~ name { gsub(/ /, \"\", $2); print $2; exit }'; }"
SERVICE_ID = "service=$(keystone service-list | id ' compute ')"
ENDPOINT_ID = "endpoint=$(keystone endpoint-list | id $service)"


def caused_by(*commands: str) -> Callable[[Lab], object]:
    script = "\n".join(["exec >/dev/null", "set -e", ID, *commands])
    return lambda lab: lab.openstack(script)


def create(*, of_clients: str = URL, admin: str = URL) -> str:
    return (
        "keystone endpoint-create --region regionOne --service-id $service "
        f"--publicurl '{of_clients}' --internalurl '{of_clients}' --adminurl '{admin}'"
    )


def service(lab: Lab) -> dict[str, str]:
    (row,) = [row for row in lab.table("keystone service-list") if row["type"] == "compute"]
    return row


def endpoints(lab: Lab) -> list[dict[str, str]]:
    uuid = service(lab)["id"]
    return [row for row in lab.table("keystone endpoint-list") if row["service_id"] == uuid]


def one_record_of_each_as_the_stack_says(lab: Lab) -> None:
    assert service(lab)["description"] == "OpenStack Compute"
    (endpoint,) = endpoints(lab)
    assert (endpoint["region"], endpoint["publicurl"], endpoint["internalurl"], endpoint["adminurl"]) == (
        "regionOne",
        URL,
        URL,
        URL,
    )


def what_is_said_of_the_second_endpoint(lab: Lab) -> str:
    """Which of both clients get, as the ordinary client says it, and how the other is deleted."""
    (got,) = [
        row["Value"]
        for row in lab.table("keystone endpoint-get --service compute")
        if row["Property"] == "compute.publicURL"
    ]
    (other,) = [row["id"] for row in endpoints(lab) if row["publicurl"] == ELSEWHERE]
    whose = "that one" if got.startswith("http://192.0.2.7:8774/") else "that of the stack"
    return f"Clients get {whose} ({got}). If nobody needs it: keystone endpoint-delete {other}."


def the_second_endpoint_is_left(lab: Lab) -> None:
    assert sorted(row["publicurl"] for row in endpoints(lab)) == sorted([URL, ELSEWHERE])


SERVICE_GONE = Kind(
    "the service is gone, and its endpoint with it",
    cause=caused_by(SERVICE_ID, "keystone service-delete $service"),
    after=one_record_of_each_as_the_stack_says,
    gone=[SERVICE, ENDPOINT],
    shows=ASKED_AGAIN,
    said=NOVA_IS_SILENT,
)
ENDPOINT_GONE = Kind(
    "the endpoint is gone",
    cause=caused_by(SERVICE_ID, ENDPOINT_ID, "keystone endpoint-delete $endpoint"),
    after=one_record_of_each_as_the_stack_says,
    gone=[ENDPOINT],
    shows=ASKED_AGAIN,
    said=NOVA_IS_SILENT,
)
DESCRIPTION = Kind(
    "the description is changed",
    cause=caused_by(
        SERVICE_ID,
        "keystone service-delete $service",
        "keystone service-create --name nova --type compute --description 'Our cloud'",
        SERVICE_ID,
        create(),
    ),
    after=one_record_of_each_as_the_stack_says,
    shows={SERVICE: {"description": ('"OpenStack Compute"', '"Our cloud"')}},
    follows={SERVICE: ["service_id"], ENDPOINT: ["endpoint_id"]},
)
URL_CHANGED = Kind(
    "a URL is changed",
    cause=caused_by(SERVICE_ID, ENDPOINT_ID, "keystone endpoint-delete $endpoint", create(admin=ELSEWHERE)),
    after=one_record_of_each_as_the_stack_says,
    shows={ENDPOINT: {"admin_url": (f'"{URL}"', f'"{ELSEWHERE}"')}},
    follows={ENDPOINT: ["endpoint_id"]},
)
# Nova itself is not found any more.
URLS_OF_CLIENTS = Kind(
    "the URLs that clients get are changed",
    cause=caused_by(SERVICE_ID, ENDPOINT_ID, "keystone endpoint-delete $endpoint", create(of_clients=ELSEWHERE)),
    after=one_record_of_each_as_the_stack_says,
    shows={
        ENDPOINT: {"public_url": (f'"{URL}"', f'"{ELSEWHERE}"'), "internal_url": (f'"{URL}"', f'"{ELSEWHERE}"')},
    },
    follows={ENDPOINT: ["endpoint_id"]},
    said=NOVA_IS_SILENT,
)
SECOND_ENDPOINT = Kind(
    "a second endpoint of the same region and service",
    cause=caused_by(SERVICE_ID, create(of_clients=ELSEWHERE)),
    after=the_second_endpoint_is_left,
    # Which of both is Keystone's choice.
    said={ENDPOINT: "it is left as it is. Clients get that "},
    names=what_is_said_of_the_second_endpoint,
    may_say=NOVA_IS_SILENT,
    follows={ENDPOINT: ["other_records"]},
    undo=caused_by(
        SERVICE_ID, f"keystone endpoint-delete $(keystone endpoint-list | grep $service | grep -F '{ELSEWHERE}' | id .)"
    ),
)
KINDS = [SERVICE_GONE, ENDPOINT_GONE, DESCRIPTION, URL_CHANGED, URLS_OF_CLIENTS, SECOND_ENDPOINT]
