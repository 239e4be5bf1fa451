"""How the local cloud is steered over HTTP: its clock and its faults.

No API of Azure's: paths under `/local/` of the identity listener, for the person at the machine,
who sends the `X-IDENTITY-HEADER` of `cloud.json`. A replica's header does not do.

    GET  /local/clock              how the clock stands
    POST /local/clock/advance      {"seconds": 300, "patience": 30, "timeout": 60, "wait": true}
    POST /local/clock/rate         {"rate": 60}
    POST /local/clock/freeze
    POST /local/clock/reset
    GET  /local/faults             the faults there are
    POST /local/faults             {"kind": "status", "on": "GET */jobs/*", "status": 429, …}
    DELETE /local/faults[/{id}]
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from orchestrator.localcloud.identity import Identity
from orchestrator.localcloud.identity_http import is_owner
from orchestrator.localcloud.steering.faults import Faults
from orchestrator.localcloud.steering.refusal import SteeringRefused
from orchestrator.localcloud.steering.time_control import PATIENCE, TimeControl

Handler = Callable[[web.Request], Awaitable[Any]]


class SteeringApi:
    """The routes; see the module."""

    def __init__(self, identity: Identity, time: TimeControl, faults: Faults) -> None:
        self._identity = identity
        self._time = time
        self._faults = faults

    def add_routes(self, app: web.Application) -> None:
        """Put the paths on `app`."""
        add = app.router.add_route
        add("GET", "/local/clock", self._guard(self._show_clock))
        add("POST", "/local/clock/advance", self._guard(self._advance))
        add("POST", "/local/clock/rate", self._guard(self._rate))
        add("POST", "/local/clock/freeze", self._guard(self._freeze))
        add("POST", "/local/clock/reset", self._guard(self._reset))
        add("GET", "/local/faults", self._guard(self._list_faults))
        add("POST", "/local/faults", self._guard(self._add_fault))
        add("DELETE", "/local/faults", self._guard(self._clear_faults))
        add("DELETE", "/local/faults/{id}", self._guard(self._remove_fault))

    def _guard(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                if not is_owner(self._identity, request):
                    raise SteeringRefused(
                        "Only the person at the machine may steer the local cloud: send the "
                        "X-IDENTITY-HEADER of its cloud.json.",
                        403,
                    )
                return web.json_response(await handler(request))
            except SteeringRefused as error:
                return web.json_response({"error": {"message": error.message}}, status=error.status)

        return handle

    # ------------------------------------------------------------------ clock

    async def _show_clock(self, request: web.Request) -> dict[str, Any]:
        return self._time.show()

    async def _advance(self, request: web.Request) -> dict[str, Any]:
        body = await body_of(request)
        seconds = number(body, "seconds")
        patience = number(body, "patience", PATIENCE)
        if patience < 0:
            raise SteeringRefused("'patience' is a number of seconds of at least 0.")
        timeout = None if body.get("timeout") is None else number(body, "timeout")
        if timeout is not None and timeout < 0:
            raise SteeringRefused("'timeout' is a number of seconds of at least 0.")
        task = self._time.begin_advance(seconds, patience, timeout)
        if body.get("wait", True):
            # The clock moves on although the client may go away.
            completed = await asyncio.shield(task)
            return self._time.show() | {"completed": completed}
        await asyncio.sleep(0)
        if task.done():
            task.result()
        return self._time.show()

    async def _rate(self, request: web.Request) -> dict[str, Any]:
        self._time.set_rate(number(await body_of(request), "rate"))
        return self._time.show()

    async def _freeze(self, request: web.Request) -> dict[str, Any]:
        self._time.freeze()
        return self._time.show()

    async def _reset(self, request: web.Request) -> dict[str, Any]:
        self._time.reset()
        return self._time.show()

    # ------------------------------------------------------------------ faults

    async def _list_faults(self, request: web.Request) -> dict[str, Any]:
        return {"value": [fault.as_json() for fault in self._faults.all()]}

    async def _add_fault(self, request: web.Request) -> dict[str, Any]:
        return self._faults.add(await body_of(request)).as_json()

    async def _clear_faults(self, request: web.Request) -> dict[str, Any]:
        return {"removed": self._faults.clear()}

    async def _remove_fault(self, request: web.Request) -> dict[str, Any]:
        return self._faults.remove(request.match_info["id"]).as_json()


async def body_of(request: web.Request) -> dict[str, Any]:
    """The JSON object of a request. Raises SteeringRefused."""
    try:
        body = json.loads(await request.read() or b"{}")
    except (ValueError, UnicodeDecodeError):
        raise SteeringRefused("The request body is not JSON.") from None
    if not isinstance(body, dict):
        raise SteeringRefused("The request body is not a JSON object.")
    return body


def number(body: dict[str, Any], name: str, default: float | None = None) -> float:
    """A finite number of a body. Raises SteeringRefused."""
    value = body.get(name, default)
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not abs(value) < float("inf")
    ):
        raise SteeringRefused(f"The body needs the number '{name}'.")
    return float(value)
