"""Requests to `$management` that are part of a transaction."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from orchestrator.localcloud.amqp import performatives as p
from orchestrator.localcloud.amqp import sections as s
from orchestrator.localcloud.amqp import types as t
from orchestrator.localcloud.amqp.encode import encode
from orchestrator.localcloud.servicebus.front.links import transaction as transaction_link
from tests.cloud.servicebus_bus import Bus
from tests.cloud.servicebus_transacting import (
    DEFERRED,
    RECEIVER,
    SENDER,
    Client,
    client,
    ready,
    within,
)
from tests.cloud.servicebus_wire import request, terminus

MANAGEMENT, ANSWERS = 8, 9
BODY = s.section(s.DATA, b"x")


class Manager:
    """Requests to the `$management` node of a queue over a client's connection."""

    def __init__(self, one: Client, queue: str) -> None:
        self._client = one
        self._node = f"{queue}/$management"

    async def open(self) -> Manager:
        await self._client.attach(MANAGEMENT, self._node)
        await self._client.attach(ANSWERS, self._node, receive=True)
        self._client.wire.credit(ANSWERS, 50)
        return self

    async def ask(
        self, operation: str, body: dict[str, Any], transaction: bytes | None
    ) -> tuple[int, Any]:
        """`(status, body)` of the answer to a request that came settled, as .NET's client does."""
        state = None if transaction is None else within(transaction)
        self._client.throw(MANAGEMENT, request(operation, body), state)
        code, payload = 0, b""
        while code != p.TRANSFER:
            code, _, payload = await self._client.wire.frame()
        parts = s.split(payload)
        status = s.map_of(parts.application_properties)["statusCode"]
        return int(status), s.value_of(parts.body)

    async def schedule(self, when: float, transaction: bytes | None) -> list[int]:
        due = {t.Symbol("x-opt-scheduled-enqueue-time"): t.Timestamp(when * 1000)}
        message = s.section(s.MESSAGE_ANNOTATIONS, due) + BODY
        entry = {"message-id": "m", "message": message}
        status, body = await self.ask("schedule-message", {"messages": [entry]}, transaction)
        assert status == 200
        return list(body["sequence-numbers"])


@asynccontextmanager
async def managed(bus: Bus, queue: str) -> AsyncIterator[tuple[Client, Manager]]:
    async with client(bus) as one:
        await one.attach(SENDER, queue)
        yield one, await Manager(one, queue).open()


async def test_scheduling_and_cancelling_are_part_of_a_transaction(bus: Bus) -> None:
    queue = bus.queue()
    later = bus.clock.time() + 100
    async with managed(bus, queue) as (one, manager):
        (kept,) = await manager.schedule(later, None)
        for fail in (True, False):
            transaction = await one.declare()
            (number,) = await manager.schedule(later, transaction)
            await manager.schedule(bus.clock.time(), transaction)
            await one.post(b"sent between", None)
            cancel = {"sequence-numbers": t.longs([kept])}
            assert (await manager.ask("cancel-scheduled-message", cancel, transaction))[0] == 200
            before = bus.counts(queue)
            assert (before.scheduled, before.active) == (1, 1 if fail else 2)
            assert await one.discharge(transaction, fail=fail) == (p.ACCEPTED, None)
        found = bus.broker.find("contoso", queue, set())
        assert found is not None
        waiting = bus.read(lambda: found.peek(0, 10))
        assert [m.sequence for m in waiting if m.state] == [number]
        assert bus.counts(queue).active == 3
        absent = await manager.ask("cancel-scheduled-message", cancel, await one.declare())
        assert absent == (404, None)
        cancel = {"sequence-numbers": t.longs([number])}
        assert (await manager.ask("cancel-scheduled-message", cancel, None))[0] == 200


@pytest.mark.parametrize("status", ["completed", "abandoned", "defered", "suspended"])
async def test_settlements_by_request_are_part_of_a_transaction(bus: Bus, status: str) -> None:
    queue = bus.queue()
    async with managed(bus, queue) as (one, manager):
        for text in (b"a", b"b"):
            await one.post(text)
        found = bus.broker.find("contoso", queue, set())
        assert found is not None
        locks = bus.read(lambda: found.acquire(2))
        tokens = t.Array(0x98, [uuid.UUID(bytes_le=lock.token) for lock in locks])
        body = {"lock-tokens": tokens, "disposition-status": status}
        for fail in (True, False):
            transaction = await one.declare()
            assert (await manager.ask("update-disposition", body, transaction))[0] == 200
            assert (bus.counts(queue).active, ready(bus, queue)) == (2, 0)
            renewed = {"lock-tokens": tokens}
            assert (await manager.ask("renew-lock", renewed, transaction))[0] == 200
            assert await one.discharge(transaction, fail=fail) == (p.ACCEPTED, None)
        counts = bus.counts(queue)
        assert counts.active == (2 if status in ("abandoned", "defered") else 0)
        assert counts.dead_letter == (2 if status == "suspended" else 0)
        assert ready(bus, queue) == (2 if status == "abandoned" else 0)
        assert (await manager.ask("update-disposition", body, await one.declare()))[0] == 410


async def test_a_request_that_cannot_be_undone_is_not_part_of_a_transaction(bus: Bus) -> None:
    queue = bus.queue()
    async with managed(bus, queue) as (one, manager):
        await one.post(b"kept")
        transaction = await one.declare()
        old = {"message-count": 1, "enqueued-time-utc": t.Timestamp(4e12)}
        assert (await manager.ask("batch-delete-messages", old, transaction))[0] == 400
        peek = {"from-sequence-number": 0, "message-count": 1}
        status, body = await manager.ask("peek-message", peek, transaction)
        assert (status, len(body["messages"])) == (200, 1)
        unknown = await one.transfer(MANAGEMENT, BODY, within(b"nonsense"))
        assert unknown == (p.REJECTED, "amqp:transaction:unknown-id")
        assert await manager.ask("peek-message", peek, b"nonsense") == (400, None)
        assert await one.discharge(transaction) == (p.ACCEPTED, None)
    assert bus.counts(queue).active == 1


async def test_a_settled_request_that_nobody_can_read_takes_the_transaction_with_it(
    bus: Bus,
) -> None:
    queue = bus.queue()
    async with managed(bus, queue) as (one, _):
        transaction = await one.declare()
        await one.post(b"sent", transaction)
        one.throw(MANAGEMENT, b"no message", within(transaction))
        assert await one.discharge(transaction) == (p.REJECTED, "amqp:transaction:rollback")
    assert bus.counts(queue).total == 0


async def test_what_cancellations_hold_in_a_transaction_has_a_bound(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction_link, "HELD_BYTES", 20_000)
    queue = bus.queue()
    async with managed(bus, queue) as (one, manager):
        numbers = await manager.schedule(bus.clock.time() + 100, None)
        transaction = await one.declare()
        for times, status in ((2000, 200), (2000, 400)):
            cancel = {"sequence-numbers": t.longs(numbers * times)}
            answer = await manager.ask("cancel-scheduled-message", cancel, transaction)
            assert answer[0] == status
        assert await one.discharge(transaction) == (p.ACCEPTED, None)
    assert bus.counts(queue).scheduled == 0


async def test_a_deferred_message_and_its_sessions_state_are_part_of_a_transaction(
    bus: Bus,
) -> None:
    queue = bus.queue(requires_session=True)
    in_session = s.section(s.PROPERTIES, [*[None] * 10, "mine"]) + BODY
    name = t.Symbol("com.microsoft:session-filter")
    source = t.Described(t.ULong(p.SOURCE), [queue, *[None] * 6, {name: "mine"}])
    async with managed(bus, queue) as (one, manager):
        await one.transfer(SENDER, in_session)
        one.wire.send(
            1, p.ATTACH, "session", t.UInt(RECEIVER), True, t.UByte(0), t.UByte(0),
            encode(source), terminus(p.TARGET, "me"), None, None, t.UInt(0),
        )  # fmt: skip
        await one.wire.until(p.ATTACH)
        (number,) = await one.receive()
        await one.settle(number, None, DEFERRED)
        session = {"session-id": "mine"}
        fetch = {
            "sequence-numbers": t.longs([1]),
            "receiver-settle-mode": t.UInt(1),
            **session,
        }
        status, found = await manager.ask("receive-by-sequence-number", fetch, None)
        assert status == 200
        tokens = t.Array(0x98, [found["messages"][0]["lock-token"]])
        done = {"lock-tokens": tokens, "disposition-status": "completed", **session}
        for fail in (True, False):
            transaction = await one.declare()
            assert (await manager.ask("update-disposition", done, transaction))[0] == 200
            state = {"session-state": b"after", **session}
            assert (await manager.ask("set-session-state", state, transaction))[0] == 200
            kept = await manager.ask("get-session-state", session, transaction)
            assert kept == (200, {"session-state": None})
            assert await one.discharge(transaction, fail=fail) == (p.ACCEPTED, None)
        kept = await manager.ask("get-session-state", session, None)
        assert kept == (200, {"session-state": b"after"})
        again = await manager.ask("update-disposition", done, await one.declare())
        assert again[0] == 410
    assert bus.counts(queue).total == 0
