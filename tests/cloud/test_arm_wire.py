"""Resource Manager as a client without an SDK sees it: headers, error shapes, tokens."""

from __future__ import annotations

import socket
import ssl
from urllib.parse import urlsplit

import pytest

from tests.cloud.wire import Wire
from tests.conftest import CloudInThread


@pytest.fixture
def wire(cloud: CloudInThread) -> Wire:
    made = Wire(cloud)
    made.ask("PUT", f"{made.subscription}/resourcegroups/wire", {"location": "westeurope"})
    return made


def test_every_answer_carries_request_ids(wire: Wire) -> None:
    answer = wire.ask(
        "GET",
        "/subscriptions?api-version=2022-12-01",
        headers={
            "x-ms-correlation-request-id": "my-correlation",
            "x-ms-client-request-id": "my-request",
        },
    )
    assert answer.status == 200
    assert answer.headers["x-ms-request-id"]
    assert answer.headers["x-ms-correlation-request-id"] == "my-correlation"
    assert answer.headers["x-ms-client-request-id"] == "my-request"
    assert answer.body["value"][0]["id"] == wire.subscription
    assert int(answer.headers["x-ms-ratelimit-remaining-tenant-reads"]) < 250
    missing = wire.ask("DELETE", "/nowhere")
    assert int(missing.headers["x-ms-ratelimit-remaining-tenant-deletes"]) < 200


@pytest.mark.parametrize(
    ("method", "path", "raw", "status", "code"),
    [
        ("GET", "/nowhere", None, 404, "NotFound"),
        ("DELETE", "/subscriptions", None, 405, "MethodNotAllowed"),
        (
            "PUT",
            "{g}/providers/Microsoft.Portal/dashboards/x",
            b'{"properties": ',
            400,
            "InvalidRequestContent",
        ),
        (
            "PUT",
            "{g}/providers/Microsoft.Portal/dashboards/x",
            b"\xff\xfe",
            400,
            "InvalidRequestContent",
        ),
        ("PUT", "{g}/providers/Microsoft.Portal/dashboards/x", b"{}" + b" " * 5_000_000, 413, None),
        (
            "GET",
            "{g}/providers/Microsoft.Portal/dashboards/x%3Cy",
            None,
            400,
            "InvalidResourceName",
        ),
        ("GET", "{g}/providers/Microsoft.Portal/dashboards/x", None, 404, "ResourceNotFound"),
        ("GET", "{g}/providers/Microsoft.Portal/dashboards?$filter=name%20is%20x", None, 400, None),
    ],
)
def test_errors_have_azures_shape(
    wire: Wire, method: str, path: str, raw: bytes | None, status: int, code: str | None
) -> None:
    path = path.replace("{g}", f"{wire.subscription}/resourceGroups/wire")
    answer = wire.ask(method, path, raw=raw)
    assert answer.status == status
    assert answer.headers["content-type"].startswith("application/json")
    assert set(answer.error) >= {"code", "message"}
    assert code in (None, answer.error["code"])
    if status == 405:
        assert answer.headers["allow"] == "GET"


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "AuthenticationFailed"),
        ("Basic dXNlcjpwYXNz", "AuthenticationFailedInvalidHeader"),
        ("Bearer", "AuthenticationFailedInvalidHeader"),
        ("Bearer nonsense", "InvalidAuthenticationToken"),
    ],
)
def test_without_a_good_token_nothing_is_answered(
    wire: Wire, authorization: str | None, code: str
) -> None:
    wire.token = None
    headers = {"Authorization": authorization} if authorization else {}
    answer = wire.ask("GET", "/subscriptions", headers=headers)
    assert (answer.status, answer.error["code"]) == (401, code)
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith('Bearer authorization_uri="https://127.0.0.1')
    assert 'error="invalid_token"' in challenge


@pytest.mark.parametrize("path", ["/", "/subscriptions", "/subscriptions?api-version=", "{g}"])
def test_a_request_names_a_version_before_it_says_who_asks(wire: Wire, path: str) -> None:
    wire.token = None
    path = path.replace("{g}", f"{wire.subscription}/resourceGroups/wire?$top=1")
    answer = wire.ask("GET", path, version=None)
    assert (answer.status, answer.error["code"]) == (400, "MissingApiVersionParameter")
    assert wire.ask("GET", "/subscriptions?API-Version=2022-12-01").status == 401


def test_a_token_for_another_api_is_refused(wire: Wire, cloud: CloudInThread) -> None:
    wire.token = cloud.credential.text("https://servicebus.azure.net")
    answer = wire.ask("GET", "/subscriptions")
    assert (answer.status, answer.error["code"]) == (401, "InvalidAuthenticationTokenAudience")


@pytest.mark.parametrize(
    "audience", ["https://management.core.windows.net/", "https://management.azure.com/", "own"]
)
def test_every_name_of_this_api_is_an_audience(
    wire: Wire, cloud: CloudInThread, audience: str
) -> None:
    own = cloud.connection["resource_manager"]
    wire.token = cloud.credential.text(own if audience == "own" else audience)
    assert wire.ask("GET", "/subscriptions").status == 200


def test_ids_work_in_any_case_and_with_doubled_slashes(wire: Wire) -> None:
    path = f"{wire.subscription}/resourceGroups/wire/providers/Microsoft.Portal/dashboards/Thing"
    assert wire.ask("PUT", path, {"tags": None}).status == 200
    odd = path.replace("Microsoft.Portal/", "microsoft.portal//").replace(
        "Groups/wire", "groups/WIRE"
    )
    answer = wire.ask("GET", odd + "?api-version=1999-01-01")
    assert answer.status == 200
    assert answer.body["id"] == path
    assert "tags" not in answer.body
    assert wire.ask("HEAD", path).status == 204


def test_names_of_properties_are_read_in_any_case_as_az_sends_them(wire: Wire) -> None:
    path = f"{wire.subscription}/resourceGroups/wire/providers/Microsoft.App/managedEnvironments/e"
    profile = {"workloadProfileType": "Consumption", "Name": "Consumption"}
    body = {"location": "westeurope", "properties": {"workloadProfiles": [profile]}}
    answer = wire.ask("PUT", path, body)
    assert answer.status == 201
    assert answer.body["properties"]["workloadProfiles"] == [
        {"workloadProfileType": "Consumption", "name": "Consumption"}
    ]
    # `az` demands the header, and sleeps by the header of the last status it reads.
    status = wire.ask("GET", urlsplit(answer.headers["azure-asyncoperation"]).path)
    assert status.body["status"] == "Succeeded"
    assert int(status.headers["retry-after-ms"]) <= 1000


def test_what_is_not_http_is_survived(wire: Wire, cloud: CloudInThread) -> None:
    address = urlsplit(cloud.connection["resource_manager"])
    where = (address.hostname or "", address.port or 0)
    for content in (b"\x00\x01\x02\x03" * 100, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"):
        with socket.create_connection(where, timeout=5) as link:
            link.sendall(content)
            link.shutdown(socket.SHUT_WR)
            while link.recv(4096):
                pass
    context = ssl.create_default_context(cafile=cloud.ca)
    with (
        socket.create_connection(where, timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as link,
    ):
        link.sendall(b"NONSENSE\r\n\r\n")
        assert b" 400 " in link.recv(4096).splitlines()[0]
    assert wire.ask("GET", "/subscriptions").status == 200


def test_a_fault_inside_is_told_without_its_inside(
    wire: Wire, cloud: CloudInThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("password=hunter2 in /home/user")

    monkeypatch.setattr(cloud.server.arm.store, "of_type", broken)
    answer = wire.ask("GET", f"{wire.subscription}/resourceGroups")
    assert (answer.status, answer.error["code"]) == (500, "InternalServerError")
    assert answer.headers["x-ms-request-id"] in answer.error["message"]
    assert b"hunter2" not in answer.raw
    assert b"RuntimeError" not in answer.raw


def test_certificates_of_the_wrong_authority_are_not_ours(cloud: CloudInThread) -> None:
    address = urlsplit(cloud.connection["resource_manager"])
    with (
        socket.create_connection((address.hostname, address.port), timeout=5) as plain,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        ssl.create_default_context().wrap_socket(plain, server_hostname="127.0.0.1")
