"""What the SDKs raise becomes one sentence, a next step and a truthful exit status."""

from __future__ import annotations

import json
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
import requests.exceptions
import urllib3.exceptions
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    DecodeError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
    ServiceResponseTimeoutError,
)

from orchestrator import errors
from orchestrator.azure.failures import told
from orchestrator.azure.profile import Profile, resolve
from orchestrator.errors import JobNotFound, OrchestratorError
from orchestrator.settings import check

SETTINGS = check(
    {
        "default_profile": "local",
        "profiles": {
            "local": {"kind": "local"},
            "azure": {
                "kind": "azure",
                "subscription": "11111111-2222-3333-4444-555555555555",
                "tenant": "11111111-2222-3333-4444-666666666666",
                "resource_group": "rg",
                "environment": "e",
            },
        },
    },
    Path("/project/orchestrator.toml"),
)
LOCAL = resolve(SETTINGS, "local", environ={})
AZURE = resolve(SETTINGS, "azure", environ={})


class Answer:
    """An HTTP answer as azure-core hands it on."""

    reason = "A Reason"
    content_type = "application/json"

    def __init__(self, status: int, body: Any = None, **headers: str) -> None:
        self.status_code = status
        self._body = body
        self.headers = {k.replace("_", "-"): v for k, v in headers.items()}

    def text(self, encoding: str | None = None) -> str:
        return self._body if isinstance(self._body, str) else json.dumps(self._body)

    def json(self) -> Any:
        return json.loads(self.text())


def refusal(status: int, code: str = "", message: str = "", **headers: str) -> HttpResponseError:
    body = {"error": {"code": code, "message": message}} if code or message else ""
    return HttpResponseError(response=Answer(status, body, **headers))  # type: ignore[arg-type]


def became(error: BaseException, profile: Profile = AZURE) -> OrchestratorError:
    with pytest.raises(OrchestratorError) as caught, told(profile, "start the job sender"):
        raise error
    assert caught.value.message.count("\n") == 0
    assert caught.value.message.endswith(".")
    assert "Traceback" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("status", "kind", "exit_code"),
    [
        (400, errors.InvalidRequest, 1),
        (401, errors.AuthenticationFailed, 1),
        (403, errors.PermissionDenied, 1),
        (404, errors.NotFound, 1),
        (409, errors.Conflict, 1),
        (412, errors.Conflict, 1),
        (422, errors.InvalidRequest, 1),
        (429, errors.Throttled, 1),
        (500, errors.ServiceFailed, 1),
        (503, errors.ServiceFailed, 1),
        (507, errors.StorageFull, 1),
        (200, errors.InvalidRequest, 1),  # a long-running operation that failed
    ],
)
def test_a_status_has_its_error(status: int, kind: type[OrchestratorError], exit_code: int) -> None:
    error = became(refusal(status, "SomeCode", "The service's own words"))
    assert type(error) is kind
    assert error.message == "Could not start the job sender: The service's own words."
    assert (error.code, error.status) == ("SomeCode", status)
    assert error.exit_code == exit_code


@pytest.mark.parametrize("body", ["", "<html>bad gateway</html>", "[1]", '{"error": 5}', "{}"])
def test_an_answer_that_is_no_json_keeps_its_status(body: str) -> None:
    error = became(HttpResponseError(response=Answer(502, body)))  # type: ignore[arg-type]
    assert isinstance(error, errors.ServiceFailed)
    assert error.status == 502
    assert "A Reason" in error.message


def test_a_missing_thing_gets_the_error_that_the_caller_makes_of_it() -> None:
    def missing(found: Any) -> OrchestratorError:
        assert found.code == "ResourceNotFound"
        return JobNotFound("There is no job.")

    with pytest.raises(JobNotFound), told(AZURE, "show it", missing):
        raise refusal(404, "ResourceNotFound", "gone")


def test_a_missing_resource_group_is_told_as_what_it_is() -> None:
    error = became(refusal(404, "ResourceGroupNotFound", "Resource group 'rg' could not be found"))
    assert error.hint == "Make it: orchestrator --profile azure up"


def test_throttling_says_how_long_to_wait() -> None:
    error = became(refusal(429, "TooManyRequests", "slow down", Retry_After="17"))
    assert isinstance(error, errors.Throttled)
    assert error.retry_after == 17
    assert "17 s" in error.hint


def test_an_expired_sign_in_says_how_to_sign_in() -> None:
    assert became(refusal(401)).hint.startswith("Sign in: az login --tenant 1111")
    assert "az login" not in became(refusal(401), LOCAL).hint


def test_no_token_at_all_is_an_authentication_failure() -> None:
    error = became(ClientAuthenticationError("DefaultAzureCredential failed …\nlong list"))
    assert isinstance(error, errors.AuthenticationFailed)
    assert "for want of a token" in error.message
    assert "long list" not in error.message


# As azure-identity 1.25 puts it together; the words about the connection are urllib3's.
NO_CREDENTIAL = """DefaultAzureCredential failed to retrieve a token from the included credentials.
Attempted credentials:
\tEnvironmentCredential: EnvironmentCredential authentication unavailable. Environment variables …
\tManagedIdentityCredential: HTTPConnection(host='127.0.0.1', port=42911): {why}
To mitigate this issue, please refer to the troubleshooting guidelines here at https://aka.ms/…"""
REFUSED = "Failed to establish a new connection: [Errno 111] Connection refused"


@pytest.mark.parametrize("why", [REFUSED, "Read timed out. (read timeout=300)"])
def test_an_identity_endpoint_of_a_local_cloud_that_is_gone_is_told_as_that(
    why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = ClientAuthenticationError(NO_CREDENTIAL.format(why=why))
    here = check(
        {
            "profiles": {
                "here": {
                    "kind": "azure",
                    "subscription": "11111111-2222-3333-4444-555555555555",
                    "resource_group": "rg",
                    "environment": "e",
                    "resource_manager": "https://127.0.0.1:4443",
                }
            }
        },
        Path("/project/orchestrator.toml"),
    )
    monkeypatch.setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:42911/msi/token")
    error = became(said, resolve(here, environ={}))
    assert isinstance(error, errors.NotReachable)
    assert "the local cloud does not answer at 127.0.0.1:42911" in error.message
    assert "orchestrator local up" in error.hint
    # On Azure it hides the credentials that azure-identity would have tried after it.
    error = became(said)
    assert isinstance(error, errors.AuthenticationFailed)
    assert "nothing answers at 127.0.0.1:42911" in error.message
    assert "unset IDENTITY_ENDPOINT" in error.hint
    assert "az login" in error.hint


def test_an_identity_endpoint_elsewhere_is_not_taken_for_a_local_cloud(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = ClientAuthenticationError(NO_CREDENTIAL.format(why=REFUSED))
    for endpoint in ("", "http://10.0.0.1:42911/msi/token", "http://127.0.0.1:1/msi/token"):
        monkeypatch.setenv("IDENTITY_ENDPOINT", endpoint)
        error = became(said)
        assert isinstance(error, errors.AuthenticationFailed)
        assert "unset" not in error.hint


def connection_error(cause: BaseException) -> ServiceRequestError:
    """As azure-core's requests transport nests it."""
    pool: Any = None
    retry = urllib3.exceptions.MaxRetryError(pool, "/", cause)  # type: ignore[arg-type]
    outer = requests.exceptions.ConnectionError(retry)
    return ServiceRequestError(outer, error=outer)


def refused() -> urllib3.exceptions.NewConnectionError:
    new = urllib3.exceptions.NewConnectionError(None, "refused")  # type: ignore[arg-type]
    new.__cause__ = ConnectionRefusedError(111, "Connection refused")
    return new


def test_a_local_cloud_that_does_not_answer_says_how_to_start_it() -> None:
    error = became(connection_error(refused()), LOCAL)
    assert isinstance(error, errors.NotReachable)
    assert "the local cloud does not answer" in error.message
    assert "orchestrator local up" in error.hint


def test_a_name_without_an_address_is_told() -> None:
    cause = OSError("x")
    cause.__cause__ = socket.gaierror(-2, "Name or service not known")
    error = became(connection_error(cause))
    assert isinstance(error, errors.NotReachable)
    assert "name has no address" in error.message


def test_a_certificate_that_is_not_trusted_is_told() -> None:
    error = became(connection_error(ssl.SSLCertVerificationError(1, "self-signed certificate")))
    assert "certificate is not trusted" in error.message
    assert "ca_bundle" in error.hint


def test_silence_is_told_as_silence() -> None:
    assert "no answer in time" in became(ServiceResponseTimeoutError("Read timed out.")).message


@pytest.mark.parametrize(
    "error",
    [
        ServiceResponseError("Connection aborted.", error=ConnectionResetError(104, "reset")),
        ConnectionResetError(104, "Connection reset by peer"),
        BrokenPipeError(32, "Broken pipe"),
    ],
)
def test_a_broken_connection_is_not_reachable(error: BaseException) -> None:
    assert isinstance(became(error), errors.NotReachable)


@pytest.mark.parametrize("error", [DecodeError("bad json"), AzureError("odd\nmore")])
def test_anything_else_of_azure_core_is_a_failed_service(error: AzureError) -> None:
    assert isinstance(became(error), errors.ServiceFailed)


def test_a_programming_error_is_not_dressed_up() -> None:
    with pytest.raises(ZeroDivisionError), told(AZURE, "x"):
        raise ZeroDivisionError


def test_errors_that_are_told_already_pass_through() -> None:
    original = errors.BadInput("as it is", "so")
    with pytest.raises(errors.BadInput) as caught, told(AZURE, "x"):
        raise original
    assert caught.value is original


def test_what_a_job_needs_and_nobody_made_is_made_by_up() -> None:
    message = "The user-assigned identity '/…/userAssignedIdentities/jobs' was not found."
    error = became(refusal(400, "InvalidParameterValue", message), LOCAL)
    assert isinstance(error, errors.InvalidRequest)
    assert error.hint == "Make it: orchestrator --profile local up"
