"""Resource Manager over HTTP: one handler for every path, everything answered as JSON."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection, Mapping
from contextvars import ContextVar
from email.utils import formatdate
from typing import Any

from aiohttp import web

from orchestrator.clock import SystemClock
from orchestrator.localcloud.arm.content import MAX_BODY
from orchestrator.localcloud.arm.dispatch import ResourceManager
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import parse as parse_id
from orchestrator.localcloud.arm.provider import Call
from orchestrator.localcloud.arm.throttling import Allowance
from orchestrator.localcloud.identity import ARM_AUDIENCES, Identity, TokenError

_log = logging.getLogger(__name__)

CLIENT_MAX_SIZE = MAX_BODY
_correlation: ContextVar[str] = ContextVar("correlation", default="")


def authenticate(
    identity: Identity, request: web.Request, audiences: Collection[str], *, own: bool = True
) -> Mapping[str, Any]:
    """The claims of a request's token; for every API of the local cloud.

    Args:
        identity: Checks the token.
        request: Carries it.
        audiences: Accepted ones.
        own: Whether a token for our own address is accepted, too.

    Raises:
        ArmError: 401 in Azure's shape, with `WWW-Authenticate`.
    """
    base = f"{request.scheme}://{request.host}"
    header = request.headers.get("Authorization", "")
    kind, _, token = header.partition(" ")
    try:
        if not header:
            raise TokenError(
                "AuthenticationFailed",
                "Authentication failed. The 'Authorization' header is missing.",
            )
        if kind.lower() != "bearer" or not token.strip():
            raise TokenError(
                "AuthenticationFailedInvalidHeader",
                "Authentication failed. The 'Authorization' header is provided in an invalid "
                "format; it must be 'Bearer' and a token.",
            )
        return identity.check(token.strip(), (*audiences, base) if own else audiences)
    except TokenError as error:
        raise ArmError(
            error.code,
            error.message,
            401,
            headers={
                "WWW-Authenticate": f'Bearer authorization_uri="{base}/{identity.tenant}", '
                f'error="invalid_token", error_description="{error.message.split(".")[0]}."'
            },
        ) from None


def require_version(query: Mapping[str, str]) -> None:
    """Which version is asked for is the type's matter; that one is, is asked before who asks.

    Raises:
        ArmError: 400 MissingApiVersionParameter ("Common API errors" of Resource Manager).
    """
    if not any(name.lower() == "api-version" and value.strip() for name, value in query.items()):
        raise ArmError(
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        )


def error_response(error: ArmError) -> web.Response:
    """An error as HTTP."""
    return web.json_response(error.body(), status=error.status, headers=error.headers)


def arm_handler(arm: ResourceManager, identity: Identity, *, throttling: bool = False) -> Any:
    """The aiohttp handler that answers every Resource Manager request.

    Args:
        arm: Answers them.
        identity: Checks their tokens.
        throttling: Whether a caller who has no requests left is refused.
    """
    allowance = Allowance(SystemClock(), enforce=throttling)

    async def handle(request: web.Request) -> web.StreamResponse:
        # The service's time, which may be steered; the server would give the machine's.
        told = {"Date": formatdate(arm.clock.time(), usegmt=True)}
        try:
            require_version(request.query)
            claims = authenticate(identity, request, ARM_AUDIENCES)
            who = str(claims.get("oid", ""))
            told |= allowance.spend(who, request.method, _subscription(request))
            response = await answer(request, claims)
        except ArmError as error:
            for name, value in told.items():
                error.headers.setdefault(name, value)
            raise
        response.headers.update(told)
        return response

    async def answer(request: web.Request, claims: Mapping[str, Any]) -> web.Response:
        reply = await arm.dispatch(await _call(arm, request, claims))
        if reply.body is None:
            return web.Response(status=reply.status, headers=reply.headers)
        return web.json_response(reply.body, status=reply.status, headers=reply.headers)

    return handle


def _subscription(request: web.Request) -> str | None:
    """The subscription that a request is about."""
    parts = [part for part in request.path.split("/", 4) if part]
    return parts[1] if len(parts) > 1 and parts[0].lower() == "subscriptions" else None


async def _call(arm: ResourceManager, request: web.Request, claims: Mapping[str, Any]) -> Call:
    id = parse_id(request.rel_url.raw_path)
    try:
        raw = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise ArmError(
            "RequestContentTooLarge",
            f"The request content is larger than {MAX_BODY // 1024 // 1024} MiB.",
            413,
        ) from None
    return Call(
        method=request.method,
        id=id,
        arm=arm,
        body=arm.parse(request.method, id, raw),
        query={name.lower(): value for name, value in request.query.items()},
        headers={name.lower(): value for name, value in request.headers.items()},
        claims=claims,
        base=f"{request.scheme}://{request.host}",
        correlation=_correlation.get(),
    )


@web.middleware
async def envelope(request: web.Request, handler: Any) -> web.StreamResponse:
    """Around every request: request ids, and errors as JSON that tells nothing of the inside."""
    request_id = str(uuid.uuid4())
    correlation = request.headers.get("x-ms-correlation-request-id", request_id)[:100]
    _correlation.set(correlation)
    try:
        response: web.StreamResponse = await handler(request)
    except ArmError as error:
        response = error_response(error)
    except web.HTTPException as error:
        response = error_response(
            ArmError(
                {404: "NotFound", 405: "MethodNotAllowed", 413: "RequestContentTooLarge"}.get(
                    error.status, "BadRequest"
                ),
                f"{request.method} {request.path[:200]}: {error.reason}.",
                error.status,
                headers={name: value for name, value in error.headers.items() if name == "Allow"},
            )
        )
    except Exception:  # noqa: BLE001 - the last resort: logged, answered
        _log.exception("request %s failed: %s %s", request_id, request.method, request.path)
        response = error_response(
            ArmError(
                "InternalServerError",
                "The local cloud could not answer for a reason inside it; server.log has it "
                f"under {request_id}.",
                500,
            )
        )
    if not response.prepared:
        response.headers["x-ms-request-id"] = request_id
        response.headers["x-ms-correlation-request-id"] = correlation
        if client := request.headers.get("x-ms-client-request-id"):
            response.headers["x-ms-client-request-id"] = client[:100]
        response.headers.setdefault("Cache-Control", "no-cache")
        response.headers.setdefault("Pragma", "no-cache")
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
    return response
