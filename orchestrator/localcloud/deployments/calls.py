"""A deployment as a client of the Resource Manager: it sends requests and waits for operations.

Nothing here goes past `dispatch`: what a template deploys is checked, stored and shown as if its
author had sent each resource by hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from orchestrator.localcloud.arm.errors import ArmError, revived
from orchestrator.localcloud.arm.ids import ResourceId, parse
from orchestrator.localcloud.arm.provider import JSON, Call, Reply

if TYPE_CHECKING:
    from orchestrator.localcloud.arm.dispatch import ResourceManager

TRIES = 5
_TRANSIENT = (429, 503)


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf requests are made; kept, so that a deployment goes on after a restart."""

    claims: Mapping[str, Any] = field(default_factory=dict)
    base: str = "https://localhost"
    correlation: str = ""
    stack: str = ""

    @classmethod
    def of(cls, call: Call) -> Caller:
        """Whoever has sent a request."""
        kept = ("oid", "appid", "tid", "idtyp", "sub", "upn", "aud")
        claims = {name: call.claims[name] for name in kept if name in call.claims}
        return cls(claims, call.base, call.correlation, call.stack)

    def stored(self) -> JSON:
        """As JSON."""
        return asdict(self)

    @classmethod
    def read(cls, stored: JSON) -> Caller:
        """From JSON."""
        return cls(**stored)


class Client:
    """Requests of one deployment."""

    def __init__(self, arm: ResourceManager, caller: Caller) -> None:
        self._arm = arm
        self._caller = caller

    async def send(
        self, method: str, id: ResourceId | str, body: Any = None, *, api_version: str = ""
    ) -> Reply:
        """One request, sent again when it is to be tried later.

        Raises:
            ArmError: It is refused.
        """
        target = parse(id) if isinstance(id, str) else id
        for tries in range(TRIES):
            call = Call(
                method,
                target,
                self._arm,
                body=body,
                query={"api-version": api_version} if api_version else {},
                claims=self._caller.claims,
                base=self._caller.base,
                correlation=self._caller.correlation,
                stack=self._caller.stack,
            )
            try:
                return await self._arm.dispatch(call)
            except ArmError as error:
                if error.status not in _TRANSIENT or tries == TRIES - 1:
                    raise
                await asyncio.sleep(_seconds(error.headers, 0.2 * 2**tries))
        raise AssertionError

    async def finish(self, method: str, id: ResourceId, body: Any, api_version: str) -> Reply:
        """One request, and the operation it starts to its end.

        Raises:
            ArmError: It is refused, or the operation fails.
        """
        reply = await self.send(method, id, body, api_version=api_version)
        link = reply.headers.get("Azure-AsyncOperation")
        if link is not None:
            await self._until_over(link)
        elif reply.status == 202 and (link := reply.headers.get("Location")):
            while True:
                if (await self._follow(link)).status != 202:
                    break
                await asyncio.sleep(0.05)
        return reply

    async def _until_over(self, link: str) -> None:
        pause = 0.02
        while True:
            answer = (await self._follow(link)).body
            status = str(answer.get("status", "")).lower()
            if status in ("failed", "canceled"):
                raise revived(answer.get("error") or {"code": status.title(), "message": status})
            if status == "succeeded":
                return
            await asyncio.sleep(pause)
            pause = min(0.25, pause * 1.5)

    async def _follow(self, link: str) -> Reply:
        parts = urlsplit(link)
        query = dict(parse_qsl(parts.query))
        return await self.send("GET", parts.path, api_version=query.get("api-version", ""))


def _seconds(headers: Mapping[str, str], default: float) -> float:
    lower = {name.lower(): value for name, value in headers.items()}
    try:
        if "retry-after-ms" in lower:
            return min(30.0, float(lower["retry-after-ms"]) / 1000)
        return min(30.0, float(lower.get("retry-after", default)))
    except ValueError:
        return default
