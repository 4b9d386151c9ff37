"""Servers that are not what they are asked as, and answers that end in their middle: each call of ours says so in one sentence."""

from __future__ import annotations

import http.server
import json
import re
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from nova_infra.catalog import User
from nova_infra.compute import Compute
from nova_infra.errors import ComputeError, ComputeSilent, IdentityError
from nova_infra.identity import Identity
from tests.error_rows import assert_printed

from .serving import serving

pytestmark = pytest.mark.usefixtures("nothing_collected")

JSON = "application/json"
USER = User("1", "nova", "", True, "")
PASSWORD = "hunter2 of the administrator"

IDENTITY_CALLS: dict[str, Callable[[Identity], Any]] = {
    "find_user": lambda it: it.find_user("nova"),
    "create_user": lambda it: it.create_user("nova", "hunter2", "", True),
    "update_user": lambda it: it.update_user(USER, "", True),
    "set_default_tenant": lambda it: it.set_default_tenant(USER, "service"),
    "set_password": lambda it: it.set_password(USER, "hunter2"),
    "password_works": lambda it: it.password_works("nova", "hunter2"),
    "delete_user": lambda it: it.delete_user("1"),
    "tenant_id": lambda it: it.tenant_id("service"),
    "tenant_name": lambda it: it.tenant_name("1"),
    "role_id": lambda it: it.role_id("admin"),
    "roles_of": lambda it: it.roles_of(USER, "service"),
    "add_role": lambda it: it.add_role(USER, "admin", "service"),
    "remove_role": lambda it: it.remove_role(USER, "admin", "service"),
    "services": lambda it: it.services("nova", "compute"),
    "services_of_type": lambda it: it.services_of_type("compute"),
    "create_service": lambda it: it.create_service("nova", "compute", "Compute"),
    "delete_service": lambda it: it.delete_service("1"),
    "endpoints": lambda it: it.endpoints(["1"]),
    "url_in_catalog": lambda it: it.url_in_catalog("compute", "regionOne"),
    "as_in_catalog": lambda it: it.as_in_catalog("http://controller:8774/v2/%(tenant_id)s"),
    "create_endpoint": lambda it: it.create_endpoint("1", "regionOne", *["http://controller:8774/v2"] * 3),
    "delete_endpoint": lambda it: it.delete_endpoint("1"),
}
COMPUTE_CALLS: dict[str, Callable[[Compute], Any]] = {
    "services": lambda it: it.services(),
    "images": lambda it: it.images(),
    "servers_on": lambda it: it.servers_on("compute1"),
    "disable": lambda it: it.disable("compute1", "nova-compute", "full"),
    "enable": lambda it: it.enable("compute1", "nova-compute"),
    "delete_service": lambda it: it.delete_service("1"),
}
# These need nothing but the token.
OF_THE_TOKEN = {"password_works", "url_in_catalog", "as_in_catalog"}
# What is deleted, set or switched gives an answer of which nobody reads anything.
UNREAD = {"update_user", "set_password", "delete_user", "delete_service", "delete_endpoint", "disable", "enable"}


def test_each_call_is_here() -> None:
    def public(kind: type) -> set[str]:
        return {name for name, each in vars(kind).items() if callable(each) and not name.startswith("_")}

    assert public(Identity) == set(IDENTITY_CALLS)
    assert public(Compute) == set(COMPUTE_CALLS)


@dataclass
class Said:
    """An answer: a status, a body, and how much of the body does not come."""

    body: bytes
    status: int = 200
    kind: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    missing: int = 0
    chunked: bool = False
    raw: bool = False


class Stub(http.server.BaseHTTPRequestHandler):
    """Answers for a token with `server.token`, for all else with `server.rest`."""

    protocol_version = "HTTP/1.1"
    # Head and body go apart: the body would wait 40 ms for the head to be acknowledged.
    disable_nagle_algorithm = True
    server: Any

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        said: Said = self.server.token if self.path.endswith("/tokens") else self.server.rest
        if said.raw:
            self.wfile.write(said.body)
            self.close_connection = True
            return
        self.send_response(said.status)
        self.send_header("Content-Type", said.kind)
        for name, value in said.headers.items():
            self.send_header(name, value)
        if said.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(said.body) + said.missing))
        self.end_headers()
        self.wfile.write(b"%x\r\n%s" % (len(said.body) + 1, said.body) if said.chunked else said.body)
        self.close_connection = bool(said.missing or said.chunked)

    do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - the names of http.server

    def log_message(self, *_words: Any) -> None:
        pass


@pytest.fixture(scope="module")
def running() -> Iterator[http.server.ThreadingHTTPServer]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stub)
    with serving(server):
        yield server


@pytest.fixture
def stub(running: Any) -> Any:
    """A server at which Keystone is, and the compute API."""
    urls = {"region": "regionOne", "publicURL": f"http://127.0.0.1:{running.server_port}/v2/1", "id": "1"}
    access = {
        "token": {"id": "t", "expires": "2099-01-01T00:00:00Z", "tenant": {"id": "1", "name": "admin"}},
        "serviceCatalog": [{"name": "nova", "type": "compute", "endpoints": [urls]}],
        "user": {"id": "1", "name": "admin"},
    }
    running.token = running.rest = Said(json.dumps({"access": access}).encode())
    return running


def identity(stub: Any) -> Identity:
    return Identity(f"http://127.0.0.1:{stub.server_port}/v2.0", "admin", PASSWORD, "admin", requests.Session())


def compute(stub: Any) -> Compute:
    return Compute(identity(stub).session, "regionOne", "nova", "compute")


def refusal(kind: type[Exception], call: Callable[[Any], Any], it: Any) -> str:
    with pytest.raises(kind) as error:
        call(it)
    assert error.type is kind, "it is taken for one that does not answer"
    said = str(error.value)
    python = r"\b\w+(Error|Exception|Read)\b|\bNone\b|object|subscript|Traceback|char 0|hunter2"
    assert not re.search(python, said), said
    return said


def token(**access: Any) -> bytes:
    good = {"token": {"id": "t", "expires": "2099-01-01T00:00:00Z"}, "serviceCatalog": [], "user": {"id": "1"}}
    return json.dumps({"access": {**good, **access}}).encode()


NO_OBJECT = {
    "a page": Said(b"<html><body>It works!</body></html>", kind="text/html"),
    "a list": Said(b"[]"),
    "null": Said(b"null"),
    "a number": Said(b"7"),
    "a text": Said(b'"access"'),
    "bytes": Said(b"\xff\xfe\0{"),
    "a choice of versions": Said(b'{"versions": {"values": []}}', status=300),
    "a redirection to nowhere": Said(b"", status=302),
    "what is too deep": Said(b"[" * 100_000),
    "no HTTP": Said(b"SSH-2.0-OpenSSH_6.6\r\n", raw=True),
    "no gzip": Said(b"none", headers={"Content-Encoding": "gzip"}),
}
NO_TOKEN = {
    **NO_OBJECT,
    "an empty object": Said(b"{}"),
    "nothing": Said(b"", status=204),
    "no token": Said(b'{"access": {}}'),
    "null for a token": Said(b'{"access": null}'),
    "a token without an id": Said(token(token={})),
    "a number for a token": Said(token(token={"id": 7, "expires": "2099-01-01T00:00:00Z"})),
    "a token that ends at no time": Said(token(token={"id": "t", "expires": "soon"})),
    "a number for a catalog": Said(token(serviceCatalog=7)),
    "a catalog of numbers": Said(token(serviceCatalog=[7])),
    "endpoints that are none": Said(token(serviceCatalog=[{"type": "compute", "name": "nova", "endpoints": [7]}])),
    "no user": Said(token(user={})),
}
KINDS = ("users", "user", "tenants", "roles", "role", "OS-KSADM:services", "OS-KSADM:service", "endpoints", "endpoint")
ROWS = (*KINDS, "services", "images", "servers")
NO_RECORDS = {
    "an empty object": Said(b"{}"),
    "nothing": Said(b"", status=204),
    "numbers for records": Said(json.dumps({name: [7] for name in ROWS}).encode()),
    "null for records": Said(json.dumps(dict.fromkeys(ROWS)).encode()),
    "an object for records": Said(json.dumps({name: {"a": 1} for name in ROWS}).encode()),
}
EMPTY_RECORDS = Said(json.dumps({name: [{}] for name in ROWS}).encode())
CUT_OFF = {
    "a length that is not reached": Said(b'{"users": [', missing=10_000),
    "a part that is not reached": Said(b'{"users": [', chunked=True),
}


# One function words the answers of Keystone, another one those of the compute API. So each call meets one answer that is no object, and
# each such answer meets one call of each of the two that reads what it is answered, and one that does not. What is no record is read by
# each call in its own way.
TO_KEYSTONE, TO_NOVA = ("find_user", "delete_user"), ("services", "enable")


@pytest.mark.parametrize("name", IDENTITY_CALLS)
def test_every_call_to_keystone_says_that_something_else_answers(stub: Any, name: str) -> None:
    good = stub.token
    stub.token = NO_OBJECT["a page"]
    said = [refusal(IdentityError, IDENTITY_CALLS[name], identity(stub))]
    stub.token = good
    for answer in asked(name, OF_THE_TOKEN):
        stub.rest = answer
        said.append(refusal(IdentityError, IDENTITY_CALLS[name], identity(stub)))
    for each in said:
        assert_printed("Something else than Keystone answers", each)


@pytest.mark.parametrize("name", COMPUTE_CALLS)
def test_every_call_to_the_compute_api_says_that_something_else_answers(stub: Any, name: str) -> None:
    good = stub.token
    stub.token = NO_OBJECT["a page"]
    assert BLAMES_KEYSTONE in refusal(ComputeError, COMPUTE_CALLS[name], compute(stub))
    stub.token = good
    for answer in [*asked(name), *([] if name in UNREAD else [EMPTY_RECORDS])]:
        stub.rest = answer
        said = refusal(ComputeError, COMPUTE_CALLS[name], compute(stub))
        assert_printed("Something else than the compute API answers", said)


BLAMES_KEYSTONE = "what answered is no Keystone. Check the URL (admin_url in nova:identity)"


def asked(name: str, of_the_token: Container[str] = ()) -> list[Said]:
    """What a call is answered: no object where it asks for more than a token, and no records where it reads some."""
    if name in of_the_token:
        return []
    return [NO_OBJECT["a page"], *([] if name in UNREAD else NO_RECORDS.values())]


@pytest.mark.parametrize("answer", NO_TOKEN)
def test_who_gives_no_token_is_no_keystone_and_the_compute_api_is_not_blamed(stub: Any, answer: str) -> None:
    stub.token = NO_TOKEN[answer]
    said = refusal(IdentityError, IDENTITY_CALLS["find_user"], identity(stub))
    assert_printed("Something else than Keystone answers", said)
    assert BLAMES_KEYSTONE in refusal(ComputeError, COMPUTE_CALLS["services"], compute(stub))


@pytest.mark.parametrize("answer", NO_OBJECT)
def test_who_gives_a_token_and_no_object_is_no_keystone_and_no_compute_api(stub: Any, answer: str) -> None:
    stub.rest = NO_OBJECT[answer]
    for name in TO_KEYSTONE:
        said = refusal(IdentityError, IDENTITY_CALLS[name], identity(stub))
        assert_printed("Something else than Keystone answers", said)
    for name in TO_NOVA:
        said = refusal(ComputeError, COMPUTE_CALLS[name], compute(stub))
        assert_printed("Something else than the compute API answers", said)


@pytest.mark.parametrize("part", ["token", "rest"])
@pytest.mark.parametrize("answer", CUT_OFF)
def test_an_answer_that_is_cut_off_is_said_to_be_that_and_somebody_has_answered(
    stub: Any, answer: str, part: str
) -> None:
    setattr(stub, part, CUT_OFF[answer])
    for name in TO_KEYSTONE:
        said = refusal(IdentityError, IDENTITY_CALLS[name], identity(stub))
        assert_printed("An answer of Keystone is cut off", said)
    for name in TO_NOVA:
        said = refusal(ComputeError, COMPUTE_CALLS[name], compute(stub))
        assert_printed("An answer of the compute API is cut off", said)


def test_who_hangs_up_without_a_word_has_not_answered(stub: Any) -> None:
    stub.rest = Said(b"", raw=True)
    with pytest.raises(ComputeSilent):
        compute(stub).services()


def test_an_error_that_is_a_page_is_one_line(stub: Any) -> None:
    stub.rest = Said(b"<html>\n  <h1>502</h1>\n</html>", status=502, kind="text/html")
    assert "HTTP 502 from" in refusal(ComputeError, COMPUTE_CALLS["services"], compute(stub)).partition("\n")[0]
    stub.rest = Said(b"[]", status=500)
    assert "\n" not in refusal(ComputeError, COMPUTE_CALLS["services"], compute(stub))


def test_an_image_without_a_name_is_an_image(stub: Any) -> None:
    images = [{"id": "2", "name": "cirros", "status": "ACTIVE"}, {"id": "1", "name": None, "status": "QUEUED"}]
    stub.rest = Said(json.dumps({"images": images}).encode(), headers={"Date": "soon"})
    assert [each.name for each in compute(stub).images()] == ["", "cirros"]


def test_an_endpoint_of_somebody_may_have_a_public_url_only(stub: Any) -> None:
    endpoint = {"id": "1", "service_id": "1", "region": "regionOne", "publicurl": "http://controller:9292"}
    stub.rest = Said(json.dumps({"endpoints": [endpoint]}).encode())
    (found,) = identity(stub).endpoints(["1"])
    assert (found.public_url, found.internal_url, found.admin_url) == ("http://controller:9292", "", "")
