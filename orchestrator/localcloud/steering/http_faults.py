"""Faults of the HTTP listeners: a middleware that delays, refuses, or breaks off.

`/local/…`, by which faults are removed, is never struck.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Middleware

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import parse as parse_id
from orchestrator.localcloud.steering.faults import Fault, Faults

_LOGIN = re.compile(
    r"/(?:.*/)?(?:oauth2|\.well-known|discovery)/|/metadata/|/common/", re.IGNORECASE
)
_VERBS = {"GET": "read", "HEAD": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete"}
_CODES = {
    400: "BadRequest",
    401: "AuthenticationFailed",
    403: "AuthorizationFailed",
    404: "NotFound",
    408: "RequestTimeout",
    409: "Conflict",
    412: "PreconditionFailed",
    429: "TooManyRequests",
    500: "InternalServerError",
    502: "BadGateway",
    503: "ServiceUnavailable",
    504: "GatewayTimeout",
}


def fault_middleware(faults: Faults, room: str = "") -> Middleware:
    """The middleware of one listener; `room` names all its operations, "" tells them apart."""

    async def answer(request: web.Request, handler: Any) -> web.StreamResponse:
        response: web.StreamResponse = await handler(request)
        return response

    @web.middleware
    async def strike(request: web.Request, handler: Any) -> web.StreamResponse:
        if not faults.all() or request.path.startswith("/local/"):
            return await answer(request, handler)
        names = operation_names(request.method, request.rel_url.raw_path, room)
        for fault in faults.strike(("latency",), names, every=True):
            await asyncio.sleep(fault.delay)
        for fault in faults.strike(("status", "drop"), names):
            if fault.kind == "status":
                return _refusal(request, fault, room)
            if fault.after:
                await answer(request, handler)
            return _broken_off(request)
        return await answer(request, handler)

    return strike


def operation_names(method: str, path: str, room: str = "") -> tuple[str, ...]:
    """What an operation is called in a fault's `on`."""
    names = [f"{method} {path}", path]
    if room:
        return (*names, room)
    if path.startswith("/v1/"):
        return (*names, "logs")
    if path.rstrip("/").lower().endswith("/logstream"):
        return (*names, "logstream")
    if _LOGIN.match(path):
        return (*names, "login")
    names.append("arm")
    try:
        id_ = parse_id(path)
    except ArmError:
        return tuple(names)
    kind = id_.type
    if not kind and id_.subscription is not None:
        kind = "Microsoft.Resources/subscriptions" + ("/resourceGroups" if id_.group else "")
    if kind:
        names.append(f"{kind}/{_VERBS.get(method, 'action')}")
    return tuple(names)


def _refusal(request: web.Request, fault: Fault, room: str) -> web.Response:
    code = _CODES[fault.status]
    message = f"{request.method} was refused by the fault {fault.id} of the local cloud."
    body: dict[str, Any] = {"error": {"code": code, "message": message}}
    if room == "identity":
        body = {"statusCode": fault.status, "message": message}
    headers = {}
    if fault.retry_after is not None:
        headers["Retry-After"] = f"{fault.retry_after:g}"
    return web.json_response(body, status=fault.status, headers=headers)


def _broken_off(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    # Nobody gets it: the connection is gone.
    return web.Response(status=500)
