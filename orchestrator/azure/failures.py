"""What the SDKs raise, in this library's words: one clear sentence and the next step.

Everything that talks to a service does it inside `told(...)`, so that no exception of azure-core,
requests or the socket layer reaches a user.
"""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from orchestrator.errors import (
    AuthenticationFailed,
    Conflict,
    InvalidRequest,
    NotFound,
    NotReachable,
    OrchestratorError,
    PermissionDenied,
    ServiceFailed,
    StorageFull,
    Throttled,
)

if TYPE_CHECKING:
    from azure.core.exceptions import AzureError, HttpResponseError

    from orchestrator.azure.profile import Profile

_THIS_MACHINE = ("127.0.0.1", "::1", "localhost")
_UNANSWERED = re.compile("Failed to establish a new connection|timed out")
LOCAL_HINT = "See whether it runs: orchestrator local status; start it: orchestrator local up"


# What jobs live in and with, as services call it in their messages.
_PARTS = re.compile(r"userAssignedIdentities/|managed environment")


class Refusal:
    """What a service said when it refused: HTTP status, code, message, the whole error object."""

    __slots__ = ("body", "code", "headers", "message", "status")

    def __init__(self, error: HttpResponseError) -> None:
        response = error.response
        self.status: int | None = error.status_code
        self.headers: Mapping[str, str] = getattr(response, "headers", {})
        self.body: dict[str, Any] = _error_object(response)
        told = error.error
        self.code = str(self.body.get("code") or (told.code if told else "") or "")
        said = self.body.get("message") or (told.message if told else "") or ""
        self.message = _sentence(str(said) or str(error.reason or error.message or "no reason"))


def _error_object(response: Any) -> dict[str, Any]:
    """The `error` of the answer's JSON body, {} when it has none."""
    if response is None:
        return {}
    try:
        body = json.loads(response.text())
    except Exception:  # noqa: BLE001 -- a body that can't be read is no reason to lose the status
        return {}
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {}


def _sentence(text: str) -> str:
    line = " ".join(text.split()) or "no reason given"
    return line if line[-1] in ".!?" else f"{line}."


@contextmanager
def told(
    profile: Profile, doing: str, missing: Callable[[Refusal], OrchestratorError] | None = None
) -> Iterator[None]:
    """Turns what the SDKs raise inside into OrchestratorErrors.

    `doing`: for the sentence, as in "start the job sender". `missing`: makes the error of a 404.
    """
    from azure.core.exceptions import AzureError

    try:
        yield
    except OrchestratorError:
        raise
    except AzureError as error:
        raise translated(error, profile, doing, missing) from error
    except OSError as error:
        raise unreachable(error, profile, doing) from error


def translated(
    error: AzureError,
    profile: Profile,
    doing: str,
    missing: Callable[[Refusal], OrchestratorError] | None = None,
) -> OrchestratorError:
    """The error of this library for one of azure-core."""
    from azure.core.exceptions import (
        ClientAuthenticationError,
        DecodeError,
        HttpResponseError,
        ServiceRequestError,
        ServiceResponseError,
    )

    if isinstance(error, DecodeError):
        return ServiceFailed(
            f"Could not {doing}: the answer is not what the service speaks.",
            "A proxy or a sign-in page may have answered in its place; check the endpoints.",
        )
    if isinstance(error, HttpResponseError) and error.response is not None:
        return _refused(Refusal(error), profile, doing, missing)
    if isinstance(error, ClientAuthenticationError):
        return _no_token(error, profile, doing)
    if isinstance(error, ServiceRequestError | ServiceResponseError):
        return unreachable(error, profile, doing)
    return ServiceFailed(
        f"Could not {doing}: {_sentence(str(error).partition(chr(10))[0])}", "Try again."
    )


def _refused(
    refusal: Refusal,
    profile: Profile,
    doing: str,
    missing: Callable[[Refusal], OrchestratorError] | None,
) -> OrchestratorError:
    status, code = refusal.status, refusal.code
    said = f"Could not {doing}: {refusal.message}"
    facts: dict[str, Any] = {"code": code, "status": status}
    if status == 401:
        return AuthenticationFailed(said, sign_in_hint(profile), **facts)
    if status == 403:
        return PermissionDenied(
            said,
            "The identity needs a role for this, such as Contributor on the resource group "
            f"{profile.resource_group}; a new assignment takes some minutes to count.",
            **facts,
        )
    if status == 404:
        if code == "ResourceGroupNotFound":
            return NotFound(said, f"Make it: orchestrator --profile {profile.name} up", **facts)
        return missing(refusal) if missing else NotFound(said, **facts)
    if status == 429:
        wait = _number(refusal.headers.get("Retry-After"))
        hint = f"Try again in {wait:g} s." if wait else "Try again in a minute."
        return Throttled(said, hint, retry_after=wait, **facts)
    if status == 507 or code in ("InsufficientStorage", "StorageFull", "DiskFull"):
        return StorageFull(
            said, "Make room and try again; what was accepted before is safe.", **facts
        )
    if status in (409, 412):
        hint = "Try again when it has ended." if "progress" in code.lower() else ""
        return Conflict(said, hint, **facts)
    if status is not None and 400 <= status < 500:
        # What a job names and nobody made yet: the first job that shares the profile's identity …
        missing_part = "was not found" in refusal.message and _PARTS.search(refusal.message)
        hint = f"Make it: orchestrator --profile {profile.name} up" if missing_part else ""
        return InvalidRequest(said, hint, **facts)
    if status is not None and status < 300:  # a long-running operation that ended badly
        return InvalidRequest(said, "", **facts)
    hint = (
        "Its log tells more: orchestrator local logs"
        if profile.kind == "local"
        else "Try again later; https://azure.status.microsoft tells of outages."
    )
    return ServiceFailed(said, hint, **facts)


def sign_in_hint(profile: Profile) -> str:
    if profile.kind == "local":
        return "The local cloud was started anew, perhaps; run the command again."
    tenant = profile.spec.tenant
    return "Sign in: az login" + (f" --tenant {tenant}" if tenant else "")


def _no_token(error: Exception, profile: Profile, doing: str) -> OrchestratorError:
    if silent := _silent_identity_endpoint(str(error)):
        manager = urlsplit(profile.spec.resource_manager or "").hostname
        if profile.kind == "local" or manager in _THIS_MACHINE:
            return NotReachable(
                f"Could not {doing}: the local cloud does not answer at {silent}.",
                "Start it: orchestrator local up; then renew this shell's variables: "
                'eval "$(orchestrator local env)"',
            )
        return AuthenticationFailed(
            f"Could not {doing}, for want of a token: nothing answers at {silent}, which "
            "IDENTITY_ENDPOINT names.",
            "It was a local cloud's, perhaps: unset IDENTITY_ENDPOINT IDENTITY_HEADER. "
            f"{sign_in_hint(profile)}",
        )
    first = str(error).partition("\n")[0]
    return AuthenticationFailed(
        f"Could not {doing}, for want of a token: {_sentence(first)}", sign_in_hint(profile)
    )


def _silent_identity_endpoint(said: str) -> str:
    """host:port of this machine's IDENTITY_ENDPOINT, if a credential says that it does not answer.

    azure-identity names the reason on one of many lines, in the words of requests and urllib3; it
    stops there, and does not ask the credentials that come after it.
    """
    endpoint = urlsplit(os.environ.get("IDENTITY_ENDPOINT", ""))
    if endpoint.hostname not in _THIS_MACHINE:
        return ""
    lines = [line for line in said.splitlines() if f"port={endpoint.port})" in line]
    return endpoint.netloc if any(_UNANSWERED.search(line) for line in lines) else ""


def unreachable(error: BaseException, profile: Profile, doing: str) -> OrchestratorError:
    local = profile.kind == "local"
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        reason = next(str(c) for c in causes if isinstance(c, ssl.SSLError))
        return NotReachable(
            f"Could not {doing}: the server's certificate is not trusted ({_brief(reason)}).",
            "The local cloud was reset, perhaps; start it anew: orchestrator local down, then up"
            if local
            else "Behind a proxy that re-signs, name its authority: ca_bundle in the profile.",
        )
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return NotReachable(
            f"Could not {doing}: the host's name has no address.",
            "Check the network, and the profile's names and endpoints.",
        )
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        if local:
            return NotReachable(f"Could not {doing}: the local cloud does not answer.", LOCAL_HINT)
        return NotReachable(
            f"Could not {doing}: the connection was refused.", "Check the profile's endpoints."
        )
    if any(isinstance(c, TimeoutError) or "timed out" in str(c).lower() for c in causes):
        return NotReachable(
            f"Could not {doing}: no answer in time.",
            LOCAL_HINT if local else "Check the network, and try again.",
        )
    return NotReachable(
        f"Could not {doing}: the connection broke ({_brief(str(causes[-1]))}).",
        LOCAL_HINT if local else "Check the network, and try again.",
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and everything it came from: causes, contexts, and exceptions among arguments."""
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        inner = [one.__cause__, one.__context__, getattr(one, "inner_exception", None)]
        inner += [getattr(one, "reason", None), *getattr(one, "args", ())]
        waiting += [e for e in inner if isinstance(e, BaseException)]


def _brief(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 160 else line[:157] + "…"


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
