"""A Resource Manager without a server, for the unit tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from orchestrator.clock import ManualClock
from orchestrator.localcloud.arm.dispatch import ResourceManager
from orchestrator.localcloud.arm.ids import parse
from orchestrator.localcloud.arm.provider import Call, Provider, Reply
from orchestrator.localcloud.arm.store import ResourceStore
from orchestrator.localcloud.providers.generic import Generic
from orchestrator.localcloud.providers.managed_identity import ManagedIdentity
from orchestrator.localcloud.providers.resources import Resources

SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
TENANT = "22222222-2222-2222-2222-222222222222"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/g"
THINGS = f"{GROUP}/providers/Microsoft.Portal/dashboards"


class World:
    """Asks a Resource Manager as a client would."""

    def __init__(self, arm: ResourceManager, clock: ManualClock) -> None:
        self.arm = arm
        self.clock = clock
        self.caller = "someone"

    async def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Reply:
        address, _, query = path.partition("?")
        call = Call(
            method,
            parse(address),
            self.arm,
            body=body,
            query=dict(item.split("=", 1) for item in query.split("&") if item),
            headers=headers or {},
            claims={"oid": self.caller},
            base="https://here",
        )
        return await self.arm.dispatch(call)

    async def get(self, path: str) -> Any:
        return (await self.ask("GET", path)).body

    async def put(self, path: str, body: Any = None) -> Any:
        return (await self.ask("PUT", path, body if body is not None else {})).body

    async def group(self, name: str = "g") -> None:
        path = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{name}"
        await self.put(path, {"location": "westeurope"})


@asynccontextmanager
async def world(folder: Path, *providers: Provider) -> AsyncIterator[World]:
    """A Resource Manager on the store in `folder`, with `providers` beside the usual ones."""
    store = ResourceStore(folder / "arm.sqlite")
    store.open()
    clock = ManualClock()
    extra: Sequence[Provider] = providers
    arm = ResourceManager(
        store,
        clock,
        subscription=SUBSCRIPTION,
        tenant=TENANT,
        providers=[Resources(), ManagedIdentity(), *extra],
        fallback=Generic(),
    )
    try:
        await arm.open()
        await arm.resume()
        yield World(arm, clock)
    finally:
        await arm.close()
        store.close()
