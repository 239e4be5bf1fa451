"""Long-running operations: what `Azure-AsyncOperation` and `Location` point at.

An operation is kept durably, so that a caller who polls across a restart of the server gets its
answer. Sources: ARM RPC "Asynchronous operations"; which header which client reads, and that
`Retry-After: 0` means 30 s to the SDKs while `retry-after-ms` is honoured, was found by running
them.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from orchestrator.clock import Clock
from orchestrator.localcloud.arm.errors import ArmError, not_found, revived
from orchestrator.localcloud.arm.ids import ResourceId
from orchestrator.localcloud.arm.provider import JSON, Call, Reply
from orchestrator.localcloud.arm.store import ResourceStore

_log = logging.getLogger(__name__)

POLL = {"retry-after-ms": "100"}
KEEP = 24 * 3600
"""Seconds for which a finished operation can be asked for."""

CANCELED = ("DeploymentCanceled",)
"""Codes of errors that mean: stopped because somebody asked for it."""

_QUICK = 0.25

STATUSES = "operationStatuses"
RESULTS = "operationResults"


class Operations:
    """The long-running operations of the Resource Manager."""

    def __init__(self, store: ResourceStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()

    def finished(self, id: ResourceId, *, result: Any = None, kind: str = "") -> JSON:
        """The record of an operation that is over already; store it with the change it is about.

        Args:
            id: The resource it was about.
            result: What a GET of its `Location` answers (None: 204).
            kind: A word for what it does, to find it again after a restart.
        """
        now = self._clock.time()
        record: JSON = {
            "id": str(uuid.uuid4()),
            "resource": id.text,
            "kind": kind,
            "status": "Succeeded",
            "created": now,
            "ended": now,
        }
        if result is not None:
            record["result"] = result
        return record

    async def start(self, id: ResourceId, kind: str, work: Callable[[], Awaitable[Any]]) -> JSON:
        """Start `work` in the background; its return value is the operation's result.

        Whoever starts operations of a kind must go on with those of `unfinished(kind)` after a
        restart.
        """
        record = self.finished(id, kind=kind) | {"status": "InProgress"}
        del record["ended"]
        await self._store.write(operations=[record])
        task = self.resume(record, work)
        # What is quick is over before the caller asks for the first time.
        await asyncio.wait([task], timeout=_QUICK)
        return record

    def resume(self, record: JSON, work: Callable[[], Awaitable[Any]]) -> asyncio.Task[None]:
        """Run the work of a stored operation (again)."""
        task = asyncio.create_task(self._run(record, work), name=f"operation {record['kind']}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def unfinished(self, kind: str) -> list[JSON]:
        """Operations of a kind that a server's end has interrupted."""
        return [
            record
            for record in self._store.operations()
            if record["status"] == "InProgress" and record["kind"] == kind
        ]

    async def _run(self, record: JSON, work: Callable[[], Awaitable[Any]]) -> None:
        outcome: JSON
        try:
            result = await work()
            outcome = {"status": "Succeeded"} | ({} if result is None else {"result": result})
        except asyncio.CancelledError:
            raise
        except ArmError as error:
            status = "Canceled" if error.code in CANCELED else "Failed"
            outcome = {"status": status, "error": error.inner()}
        except Exception:  # noqa: BLE001 - the last resort: logged, kept
            _log.exception("operation %s (%s) failed", record["id"], record["kind"])
            outcome = {
                "status": "Failed",
                "error": {
                    "code": "InternalServerError",
                    "message": "The operation failed for a reason inside the local cloud; "
                    f"server.log has it under {record['id']}.",
                },
            }
        done = record | outcome | {"ended": self._clock.time()}
        try:
            await self._store.write(operations=[done])
        except ArmError as error:
            _log.error("operation %s cannot be written: %s", record["id"], error.message)

    async def sweep(self) -> None:
        """Forget what nobody will ask for any more."""
        limit = self._clock.time() - KEEP
        old = [
            record["id"]
            for record in self._store.operations()
            if record["status"] != "InProgress" and record["created"] < limit
        ]
        if old:
            await self._store.write(forget=old)

    async def close(self) -> None:
        """Stop what runs; it goes on after the next start."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ------------------------------------------------------------ over the wire ----

    def link(self, call: Call, id: ResourceId, record: JSON, what: str) -> str:
        """The address of an operation; `what` is STATUSES or RESULTS."""
        scope = f"/subscriptions/{id.subscription}" if id.subscription else ""
        namespace = id.namespace or "Microsoft.Resources"
        version = call.query.get("api-version", "2024-11-01")
        return (
            f"{call.base}{scope}/providers/{namespace}/locations/global/"
            f"{what}/{record['id']}?api-version={version}"
        )

    def async_operation(self, call: Call, id: ResourceId, record: JSON) -> dict[str, str]:
        """Headers that lead a caller of PUT or PATCH to the operation's status."""
        return {"Azure-AsyncOperation": self.link(call, id, record, STATUSES)} | POLL

    def location(self, call: Call, id: ResourceId, record: JSON) -> dict[str, str]:
        """Headers that lead a caller to the operation's result."""
        return {"Location": self.link(call, id, record, RESULTS)} | POLL

    def answer(self, call: Call, name: str, what: str) -> Reply:
        """A GET of an operation.

        Raises:
            ArmError: 404 for one that is not, or no longer, known; at a `Location` also the error
                the operation ended with.
        """
        record = self._store.operation(name)
        if record is None:
            raise not_found(f"{call.id.namespace}/locations/{what}/{name}")
        busy = record["status"] == "InProgress"
        # `az` sleeps once more after an answer that says it is over, by that answer's header.
        if what.lower() == STATUSES.lower():
            body: JSON = {
                "id": call.id.text,
                "name": name,
                "status": record["status"],
                "startTime": iso(record["created"]),
                "resourceId": record["resource"],
            }
            if "ended" in record:
                body["endTime"] = iso(record["ended"])
            if "error" in record:
                body["error"] = record["error"]
            if isinstance(record.get("result"), dict):
                body["properties"] = {"output": record["result"]}
            return Reply(body, 200, dict(POLL))
        if busy:
            target = parse_link(call)
            return Reply(None, 202, {"Location": target} | POLL)
        if "error" in record:
            raise revived(record["error"])
        result = record.get("result")
        return Reply(result, 200 if result is not None else 204)


def parse_link(call: Call) -> str:
    """The address that was asked, to be asked again."""
    version = call.query.get("api-version", "2024-11-01")
    return f"{call.base}{call.id.text}?api-version={version}"


def iso(moment: float) -> str:
    """Epoch seconds as ARM writes times: `2026-01-01T00:00:00.0000000Z`."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
