"""Tokens by azure-identity, by az's and by anybody's requests."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import (
    ClientSecretCredential,
    CredentialUnavailableError,
    DefaultAzureCredential,
    ManagedIdentityCredential,
)
from azure.identity.aio import DefaultAzureCredential as AsyncDefaultAzureCredential
from azure.identity.aio import ManagedIdentityCredential as AsyncManagedIdentityCredential

from tests.cloud.wire import Wire
from tests.conftest import CloudInThread

ARM = "https://management.azure.com/.default"
GROUP = "identities"


def claims(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return decoded


@pytest.fixture(scope="module")
def jobs(cloud: CloudInThread) -> dict[str, Any]:
    """A user-assigned identity."""
    wire = Wire(cloud)
    group = f"{wire.subscription}/resourceGroups/{GROUP}"
    wire.ask("PUT", group, {"location": "westeurope"})
    path = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/jobs"
    made = wire.ask("PUT", path, {"location": "westeurope"})
    assert made.status in (200, 201)
    body: dict[str, Any] = made.body
    return body


@pytest.fixture
def machine(cloud: CloudInThread, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of the person at the machine."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", cloud.connection["identity"]["endpoint"])
    monkeypatch.setenv("IDENTITY_HEADER", cloud.connection["identity"]["header"])
    monkeypatch.delenv("AZURE_CLIENT_ID", raising=False)


@pytest.fixture
def replica(
    cloud: CloudInThread, jobs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """The environment of a replica whose job has the identity `jobs`."""
    identity = cloud.server.identity
    header = identity.replica_header([jobs["properties"]["clientId"]])
    monkeypatch.setenv("IDENTITY_ENDPOINT", cloud.connection["identity"]["endpoint"])
    monkeypatch.setenv("IDENTITY_HEADER", header)
    yield
    identity.forget_header(header)


@pytest.mark.usefixtures("machine")
def test_the_person_at_the_machine_gets_a_token_without_naming_an_identity(
    cloud: CloudInThread,
) -> None:
    with ManagedIdentityCredential() as credential:
        token = credential.get_token(ARM)
    said = claims(token.token)
    assert said["aud"] == "https://management.azure.com"
    assert said["tid"] == cloud.connection["tenant"]
    assert token.expires_on == said["exp"]


@pytest.mark.usefixtures("replica")
def test_a_replica_names_its_identity_by_client_object_or_resource_id(
    jobs: dict[str, Any],
) -> None:
    properties = jobs["properties"]
    for arguments in (
        {"client_id": properties["clientId"]},
        {"identity_config": {"resource_id": jobs["id"].upper()}},
        {"identity_config": {"object_id": properties["principalId"]}},
    ):
        with ManagedIdentityCredential(**arguments) as credential:
            said = claims(credential.get_token("https://servicebus.azure.net/.default").token)
        assert (said["appid"], said["oid"]) == (
            properties["clientId"],
            properties["principalId"],
        )
        assert said["xms_mirid"] == jobs["id"]


@pytest.mark.usefixtures("replica")
def test_default_azure_credential_passes_azure_client_id(
    jobs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_CLIENT_ID", jobs["properties"]["clientId"])
    with DefaultAzureCredential() as credential:
        assert claims(credential.get_token(ARM).token)["oid"] == jobs["properties"]["principalId"]


@pytest.mark.usefixtures("replica")
async def test_the_async_credentials_work_as_well(
    jobs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = jobs["properties"]["clientId"]
    async with AsyncManagedIdentityCredential(client_id=client) as one:
        assert claims((await one.get_token(ARM)).token)["appid"] == client
    monkeypatch.setenv("AZURE_CLIENT_ID", client)
    async with AsyncDefaultAzureCredential() as two:
        assert claims((await two.get_token(ARM)).token)["appid"] == client


@pytest.mark.usefixtures("replica")
def test_a_replica_gets_no_token_of_an_identity_that_is_not_its_jobs(cloud: CloudInThread) -> None:
    for credential in (
        ManagedIdentityCredential(client_id="00000000-0000-0000-0000-000000000000"),
        ManagedIdentityCredential(client_id=cloud.connection["application"]["client_id"]),
        ManagedIdentityCredential(),
    ):
        with credential, pytest.raises((ClientAuthenticationError, CredentialUnavailableError)):
            credential.get_token(ARM)


def _msi(cloud: CloudInThread, query: str, header: str | None, path: str = "") -> tuple[int, Any]:
    request = urllib.request.Request(
        cloud.connection["identity"]["endpoint"] + path + query, method="GET"
    )
    if header is not None:
        request.add_header("X-IDENTITY-HEADER", header)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_the_raw_answer_has_the_members_that_clients_index(cloud: CloudInThread) -> None:
    header = cloud.connection["identity"]["header"]
    status, body = _msi(cloud, "?api-version=2019-08-01&resource=https://vault.azure.net", header)
    assert status == 200
    assert set(body) >= {"access_token", "expires_on", "resource", "token_type", "client_id"}
    assert body["resource"] == "https://vault.azure.net"
    assert int(body["expires_on"]) == claims(body["access_token"])["exp"]


@pytest.mark.parametrize(
    ("query", "header", "path", "status"),
    [
        ("?resource=x", None, "", 403),
        ("?resource=x", "wrong", "", 403),
        ("", "right", "", 400),
        ("?resource=x&client_id=unknown", "right", "", 400),
        ("?resource=x&client_id=a&object_id=b", "right", "", 400),
        ("?resource=x", "right", "/further", 404),
    ],
)
def test_a_bad_request_for_a_token_says_what_is_wrong(
    cloud: CloudInThread, query: str, header: str | None, path: str, status: int
) -> None:
    if header == "right":
        header = cloud.connection["identity"]["header"]
    answered, body = _msi(cloud, query, header, path)
    assert answered == status
    assert body["statusCode"] == status
    assert body["message"]


# ------------------------------------------------------------- token endpoint ----


def test_the_application_logs_in_with_its_secret(cloud: CloudInThread) -> None:
    application = cloud.connection["application"]
    credential = ClientSecretCredential(
        cloud.connection["tenant"],
        application["client_id"],
        application["client_secret"],
        authority=cloud.connection["login"],
        disable_instance_discovery=True,
        connection_verify=cloud.ca,
    )
    with credential:
        token = credential.get_token(ARM)
    wire = Wire(cloud)
    wire.token = token.token
    assert wire.ask("GET", "/subscriptions").status == 200


def _token(cloud: CloudInThread, **fields: str) -> Any:
    wire = Wire(cloud)
    wire.token = None
    application = cloud.connection["application"]
    tenant = fields.pop("tenant", cloud.connection["tenant"])
    form = {
        "grant_type": "client_credentials",
        "scope": ARM,
        "client_id": application["client_id"],
        "client_secret": application["client_secret"],
    } | fields
    return wire.ask(
        "POST",
        f"/{tenant}/oauth2/v2.0/token",
        raw=urllib.parse.urlencode({k: v for k, v in form.items() if v}).encode(),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )


@pytest.mark.parametrize(
    ("fields", "status", "error", "code"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client", 7000215),
        ({"client_id": "unknown"}, 400, "unauthorized_client", 700016),
        ({"grant_type": "password"}, 400, "unsupported_grant_type", 70003),
        ({"grant_type": ""}, 400, "invalid_request", 900144),
        ({"scope": ""}, 400, "invalid_request", 900144),
        (
            {"scope": "https://management.azure.com/user_impersonation"},
            *(400, "invalid_scope", 1002012),
        ),
        ({"client_assertion": "a.b.c", "client_secret": ""}, 401, "invalid_client", 700027),
        ({"tenant": "elsewhere"}, 400, "invalid_request", 90002),
    ],
)
def test_a_bad_login_is_refused_as_entra_refuses_it(
    cloud: CloudInThread, fields: dict[str, str], status: int, error: str, code: int
) -> None:
    answer = _token(cloud, **fields)
    assert (answer.status, answer.body["error"], answer.body["error_codes"]) == (
        status,
        error,
        [code],
    )
    assert answer.body["error_description"].startswith(f"AADSTS{code}: ")
    assert cloud.connection["application"]["client_secret"].encode() not in answer.raw


def test_who_would_sign_in_is_told_who_is_known_here(cloud: CloudInThread) -> None:
    wire = Wire(cloud)
    wire.token = None
    base = f"/{cloud.connection['tenant']}/oauth2/v2.0"
    page = wire.ask("GET", f"{base}/authorize?client_id=x")
    device = wire.ask("POST", f"{base}/devicecode", raw=b"client_id=x")
    assert (page.status, device.status) == (400, 400)
    assert device.body["error"] == "unauthorized_client"
    for said in (page.raw.decode(), device.body["error_description"]):
        assert "az login --identity" in said


def test_discovery_leads_to_the_key_that_signs(cloud: CloudInThread) -> None:
    wire = Wire(cloud)
    wire.token = None
    base = cloud.connection["login"]
    answer = wire.ask("GET", f"/{cloud.connection['tenant']}/v2.0/.well-known/openid-configuration")
    assert answer.body["token_endpoint"].startswith(f"{base}/")
    keys = wire.ask("GET", answer.body["jwks_uri"].removeprefix(base)).body["keys"]
    assert keys[0]["kty"] == "RSA"
    assert "d" not in keys[0]
    header = json.loads(base64.urlsafe_b64decode(cloud.credential.text().split(".")[0] + "=="))
    assert header["kid"] == keys[0]["kid"]
    issuer = claims(cloud.credential.text())["iss"]
    assert issuer == answer.body["issuer"]


def test_cloud_metadata_comes_in_all_shapes(cloud: CloudInThread) -> None:
    wire = Wire(cloud)
    wire.token = None
    entry = wire.ask("GET", "/metadata/endpoints?api-version=2022-09-01").body
    assert wire.ask("GET", "/metadata/endpoints?api-version=2020-06-01").body == [entry]
    base = cloud.connection["resource_manager"]
    assert entry["name"]
    assert entry["authentication"]["loginEndpoint"] == base
    assert entry["authentication"]["audiences"][0]
    # By any other pair go-azure-sdk takes a cloud for an Azure Stack, which Terraform refuses.
    assert entry["authentication"]["tenant"] == "common"
    assert entry["authentication"]["identityProvider"] == "AAD"
    assert entry["suffixes"]["mhsmDns"] == "managedhsm.azure.net"
    assert entry["resourceManager"].startswith(base)
    # What the extension log-analytics of `az` looks for.
    assert entry["logAnalyticslogAnalyticsResourceId"] == entry["logAnalyticsResourceId"] == base
    old = wire.ask("GET", "/metadata/endpoints?api-version=2015-01-01").body
    assert old["authentication"]["audiences"]
