"""Transactions as AMQP has them (part 4): declared, used and discharged by a raw client."""

from __future__ import annotations

import gc
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from orchestrator.localcloud.amqp import performatives as p
from orchestrator.localcloud.amqp import sections as s
from orchestrator.localcloud.amqp import types as t
from orchestrator.localcloud.amqp.encode import encode
from orchestrator.localcloud.servicebus import links_transaction
from orchestrator.localcloud.servicebus.model import IncomingMessage, QueueCounts
from tests.cloud.servicebus_bus import Bus
from tests.cloud.servicebus_wire import Wire, request, terminus

COORDINATOR, SENDER, RECEIVER = 0, 1, 2
FRAME = 60_000
ACCEPTED = t.Described(t.ULong(p.ACCEPTED), [])
ABANDONED = t.Described(t.ULong(p.MODIFIED), [True, False])
DEFERRED = t.Described(t.ULong(p.MODIFIED), [False, True])
DEAD = t.Described(t.ULong(p.REJECTED), [])


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    running = Bus(tmp_path_factory.mktemp("bus"))
    yield running
    running.close()


def within(transaction: bytes, outcome: Any = None) -> t.Described:
    return t.Described(t.ULong(p.TRANSACTIONAL), [transaction, outcome])


class Client:
    """A connection with a coordinator; `state` is what the last disposition said."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._number = 0

    async def _state(self) -> Any:
        """`(kind, transaction or error's condition)` of the next disposition."""
        fields = await self.wire.until(p.DISPOSITION)
        assert fields[3] is True
        if isinstance(fields[4], t.Described) and fields[4].descriptor == p.DECLARED:
            return p.DECLARED, fields[4].value[0]
        outcome = p.Outcome.read(fields[4])
        if outcome.error is not None:
            return outcome.kind, outcome.error.condition
        return outcome.kind, outcome.transaction

    async def attach(self, handle: int, address: str, *, receive: bool = False) -> None:
        self.wire.attach(handle, address, receive=receive)
        await self.wire.until(p.ATTACH)

    async def coordinate(self, name: str = "coordinator") -> None:
        target = encode(t.Described(t.ULong(p.COORDINATOR), []))
        self.wire.send(
            1, p.ATTACH, name, t.UInt(COORDINATOR), False, t.UByte(0), t.UByte(0),
            terminus(p.SOURCE, "me"), target, None, None, t.UInt(0),
        )  # fmt: skip
        assert (await self.wire.until(p.ATTACH))[6] == target

    async def transfer(self, handle: int, payload: bytes, state: Any = None) -> Any:
        self.throw(handle, payload, state, settled=False)
        return await self._state()

    def throw(self, handle: int, payload: bytes, state: Any, *, settled: bool = True) -> None:
        """Transfer, in frames as small as they must be, without asking what becomes of it."""
        self._number += 1
        for start in range(0, max(len(payload), 1), FRAME):
            end = start + FRAME
            self.wire.send(
                1, p.TRANSFER, t.UInt(handle), t.UInt(self._number),
                encode(self._number.to_bytes(4, "big")), t.UInt(0), settled, end < len(payload),
                None, state, payload=payload[start:end],
            )  # fmt: skip

    async def declare(self) -> bytes:
        asked = t.Described(t.ULong(p.DECLARE), [None])
        kind, transaction = await self.transfer(COORDINATOR, s.section(s.VALUE, asked))
        assert kind == p.DECLARED
        assert isinstance(transaction, bytes)
        return transaction

    async def discharge(self, transaction: Any, *, fail: bool = False) -> Any:
        asked = t.Described(t.ULong(p.DISCHARGE), [transaction, fail])
        return await self.transfer(COORDINATOR, s.section(s.VALUE, asked))

    async def post(
        self, text: bytes, transaction: bytes | None = None, handle: int = SENDER
    ) -> Any:
        state = None if transaction is None else within(transaction)
        return await self.transfer(handle, s.section(s.DATA, text), state)

    async def receive(self, count: int = 1) -> list[int]:
        """The delivery numbers of the next messages."""
        self.wire.credit(RECEIVER, count)
        return [(await self.wire.until(p.TRANSFER))[1] for _ in range(count)]

    async def settle(self, number: int, transaction: bytes, outcome: Any) -> Any:
        self.wire.send(
            1, p.DISPOSITION, True, t.UInt(number), t.UInt(number), False,
            within(transaction, outcome),
        )  # fmt: skip
        return await self._state()


@asynccontextmanager
async def client(bus: Bus) -> AsyncIterator[Client]:
    wire = await Wire.opened(bus)
    try:
        one = Client(wire)
        await one.coordinate()
        yield one
    finally:
        await wire.drop()


def ready(bus: Bus, queue: str) -> int:
    """How many messages somebody could receive."""

    def count() -> int:
        found = bus.broker.find("contoso", queue, set())
        assert found is not None
        return sum(1 for m in found.peek(0, 100) if m.lock is None and not m.state)

    return bus.read(count)


async def test_what_is_sent_and_settled_in_a_transaction_happens_when_it_is_discharged(
    bus: Bus,
) -> None:
    source, target = bus.queue(), bus.queue()
    async with client(bus) as one:
        await one.attach(SENDER, source)
        for text in (b"complete", b"abandon", b"defer", b"bury"):
            assert await one.post(text) == (p.ACCEPTED, None)
        await one.attach(RECEIVER, source, receive=True)
        await one.attach(3, target)
        numbers = await one.receive(4)
        transaction = await one.declare()
        for number, outcome in zip(numbers, (ACCEPTED, ABANDONED, DEFERRED, DEAD), strict=True):
            kind, of = await one.settle(number, transaction, outcome)
            assert of == transaction
            assert kind == outcome.descriptor
        assert await one.post(b"result", transaction, 3) == (p.ACCEPTED, transaction)
        assert await one.post(b"another", transaction, 3) == (p.ACCEPTED, transaction)
        assert bus.counts(target).active == 0
        assert (bus.counts(source).active, ready(bus, source)) == (4, 0)
        assert await one.discharge(transaction) == (p.ACCEPTED, None)
        assert bus.counts(target).active == 2
        assert (bus.counts(source).active, ready(bus, source)) == (2, 1)
        assert bus.counts(source).dead_letter == 1
        kind, error = await one.discharge(transaction)
        assert (kind, error) == (p.REJECTED, "amqp:transaction:unknown-id")


async def test_of_a_failed_transaction_nothing_is_left(bus: Bus) -> None:
    queue = bus.queue()
    async with client(bus) as one:
        await one.attach(SENDER, queue)
        await one.post(b"first")
        await one.attach(RECEIVER, queue, receive=True)
        (number,) = await one.receive()
        transaction = await one.declare()
        await one.settle(number, transaction, ACCEPTED)
        await one.post(b"never", transaction)
        assert await one.discharge(transaction, fail=True) == (p.ACCEPTED, None)
    assert (bus.counts(queue).active, ready(bus, queue)) == (1, 0)
    bus.advance(61)
    assert ready(bus, queue) == 1


async def test_one_lost_lock_takes_the_whole_transaction_with_it(bus: Bus) -> None:
    queue, target = bus.queue(), bus.queue()
    async with client(bus) as one:
        await one.attach(SENDER, queue)
        await one.attach(3, target)
        await one.post(b"a")
        await one.post(b"b")
        await one.attach(RECEIVER, queue, receive=True)
        first, second = await one.receive(2)
        transaction = await one.declare()
        await one.post(b"c", transaction, 3)
        for number in (first, second):
            await one.settle(number, transaction, ACCEPTED)
        found = bus.read(lambda: bus.broker.find("contoso", queue, set()))
        assert found is not None
        token = bus.read(lambda: found.peek(0, 5)[1].lock.token)  # type: ignore[union-attr]
        bus.read(lambda: found.lose(token))
        kind, error = await one.discharge(transaction)
        assert (kind, error) == (p.REJECTED, "amqp:transaction:rollback")
    assert bus.counts(target) == QueueCounts()
    assert bus.counts(queue).active == 2
    bus.advance(61)
    assert ready(bus, queue) == 2


async def test_a_transaction_ends_with_its_time_and_its_connection(bus: Bus) -> None:
    queue = bus.queue()
    async with client(bus) as one:
        await one.attach(SENDER, queue)
        transaction = await one.declare()
        await one.post(b"a", transaction)
        bus.advance(120)
        assert await one.post(b"b", transaction) == (p.REJECTED, "amqp:transaction:timeout")
        assert await one.discharge(transaction) == (p.REJECTED, "amqp:transaction:unknown-id")
        transaction = await one.declare()
        await one.post(b"c", transaction)
    async with client(bus) as other:
        assert await other.discharge(transaction) == (p.REJECTED, "amqp:transaction:unknown-id")
    assert bus.counts(queue).total == 0


async def test_a_transaction_whose_time_is_over_holds_nothing_of_a_silent_client(
    bus: Bus,
) -> None:
    queue = bus.queue()
    text = b"sent in a transaction that nobody ends"

    def held() -> int:
        objects = gc.get_objects()
        return sum(isinstance(o, IncomingMessage) and text in o.payload for o in objects)

    async with client(bus) as one:
        await one.attach(SENDER, queue)
        first = await one.declare()
        await one.post(text, first)
        bus.advance(60)
        await one.post(text, await one.declare())
        await one.post(text, first)
        for passed, left in ((59, 3), (1, 1), (59, 1), (1, 0)):
            bus.advance(passed)
            assert bus.read(held) == left


async def test_a_transaction_ends_with_the_link_on_which_it_was_declared(bus: Bus) -> None:
    queue = bus.queue()
    async with client(bus) as one:
        await one.attach(SENDER, queue)
        transaction = await one.declare()
        await one.post(b"a", transaction)
        one.wire.send(1, p.DETACH, t.UInt(COORDINATOR), True)
        await one.wire.until(p.DETACH)
        await one.coordinate("another")
        unknown = (p.REJECTED, "amqp:transaction:unknown-id")
        assert await one.discharge(transaction) == unknown
        assert await one.post(b"b", transaction) == unknown
        transaction = await one.declare()
        await one.post(b"c", transaction)
        assert await one.discharge(transaction) == (p.ACCEPTED, None)
    assert bus.counts(queue).active == 1


@pytest.mark.parametrize("what", ["nothing", "message", "large", "gone", "settlement"])
async def test_what_fails_untold_takes_the_whole_transaction_with_it(bus: Bus, what: str) -> None:
    queue, sessions = bus.queue(), bus.queue(requires_session=True)
    async with client(bus) as one:
        await one.attach(SENDER, queue)
        await one.post(b"first")
        await one.attach(RECEIVER, queue, receive=True)
        (number,) = await one.receive()
        await one.attach(3, sessions)
        for fail in (False, True):
            transaction = await one.declare()
            one.throw(SENDER, s.section(s.DATA, b"sent"), within(transaction))
            if what == "message":
                one.throw(3, s.section(s.DATA, b"no session"), within(transaction))
            elif what == "large" and not fail:
                one.throw(3, bytes(300_000), within(transaction))
            elif what == "gone" and not fail:
                bus.call(bus.broker.delete_queue("contoso", sessions))
                one.throw(3, s.section(s.DATA, b"never"), within(transaction))
            elif what == "settlement" and not fail:
                released = within(transaction, t.Described(t.ULong(p.RELEASED), []))
                one.wire.send(
                    1, p.DISPOSITION, True, t.UInt(number), t.UInt(number), True, released
                )  # fmt: skip
            done = await one.discharge(transaction, fail=fail)
            good = fail or what == "nothing"
            rolled_back = (p.REJECTED, "amqp:transaction:rollback")
            assert done == ((p.ACCEPTED, None) if good else rolled_back)
    assert bus.counts(queue).active == (2 if what == "nothing" else 1)


async def test_a_session_that_was_lost_takes_the_whole_transaction_with_it(bus: Bus) -> None:
    sessions, target = bus.queue(requires_session=True), bus.queue()
    in_session = s.section(s.PROPERTIES, [*[None] * 10, "mine"]) + s.section(s.DATA, b"x")
    name = t.Symbol("com.microsoft:session-filter")
    source = t.Described(t.ULong(p.SOURCE), [sessions, *[None] * 6, {name: "mine"}])
    async with client(bus) as one:
        await one.attach(SENDER, sessions)
        await one.transfer(SENDER, in_session)
        one.wire.send(
            1, p.ATTACH, "session", t.UInt(RECEIVER), True, t.UByte(0), t.UByte(0),
            encode(source), terminus(p.TARGET, "me"), None, None, t.UInt(0),
        )  # fmt: skip
        await one.wire.until(p.ATTACH)
        (number,) = await one.receive()
        await one.attach(3, target)
        transaction = await one.declare()
        await one.post(b"result", transaction, 3)
        bus.advance(61)
        one.wire.send(
            1, p.DISPOSITION, True, t.UInt(number), t.UInt(number), True,
            within(transaction, ACCEPTED),
        )  # fmt: skip
        assert await one.discharge(transaction) == (p.REJECTED, "amqp:transaction:rollback")
    assert bus.counts(target).active == 0


async def test_what_open_transactions_hold_has_a_bound(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links_transaction, "HELD_BYTES", 5000)
    queue = bus.queue()
    full = (p.REJECTED, "amqp:resource-limit-exceeded")
    large = {t.Symbol("large"): "x" * 3000}
    async with client(bus) as one:
        await one.attach(SENDER, queue)
        for _ in range(3):
            await one.post(b"a")
        await one.attach(RECEIVER, queue, receive=True)
        numbers = await one.receive(3)
        transaction = await one.declare()
        deferred = t.Described(t.ULong(p.MODIFIED), [False, True, large])
        because = t.Described(
            t.ULong(p.ERROR), [t.Symbol("com.microsoft:dead-letter"), None, large]
        )
        buried = t.Described(t.ULong(p.REJECTED), [because])
        assert (await one.settle(numbers[0], transaction, deferred))[1] == transaction
        assert await one.settle(numbers[1], transaction, buried) == full
        assert await one.post(b"x" * 3000, transaction) == full
        bus.advance(100)
        other = await one.declare()
        assert await one.post(b"x" * 3000, other) == full
        bus.advance(20)
        # The first one's time is over, and it holds nothing.
        assert await one.post(b"x" * 3000, other) == (p.ACCEPTED, other)


async def test_what_cannot_be_in_a_transaction_is_told_at_once(bus: Bus) -> None:
    queue, sessions = bus.queue(), bus.queue(requires_session=True)
    async with client(bus) as one:
        await one.attach(SENDER, queue)
        await one.attach(3, sessions)
        assert await one.post(b"a", b"nonsense") == (p.REJECTED, "amqp:transaction:unknown-id")
        transaction = await one.declare()
        assert await one.post(b"a", transaction, 3) == (p.REJECTED, "amqp:not-allowed")
        for _ in range(100):
            assert (await one.post(b"a", transaction))[0] == p.ACCEPTED
        full = (p.REJECTED, "amqp:resource-limit-exceeded")
        assert await one.post(b"a", transaction) == full
        assert await one.discharge(transaction) == (p.ACCEPTED, None)
        assert bus.counts(queue).active == 100
        for _ in range(50):
            await one.declare()
        asked = s.section(s.VALUE, t.Described(t.ULong(p.DECLARE), [None]))
        assert await one.transfer(COORDINATOR, asked) == full
        for wrong in (7, t.Described(t.ULong(99), []), None):
            kind, _ = await one.transfer(COORDINATOR, s.section(s.VALUE, wrong))
            assert kind == p.REJECTED
        assert await one.discharge(None) == (p.REJECTED, "amqp:invalid-field")


async def test_a_transaction_in_a_queue_that_detects_duplicates(bus: Bus) -> None:
    queue = bus.queue(requires_duplicate_detection=True)
    same = s.section(s.PROPERTIES, ["id"]) + s.section(s.DATA, b"x")
    async with client(bus) as one:
        await one.attach(SENDER, queue)
        for fail, count in ((True, 0), (False, 1), (False, 1)):
            transaction = await one.declare()
            for _ in range(2):
                state = within(transaction)
                assert (await one.transfer(SENDER, same, state))[0] == p.ACCEPTED
            assert (await one.discharge(transaction, fail=fail))[0] == p.ACCEPTED
            assert bus.counts(queue).active == count


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
        assert await one.discharge(transaction) == (p.ACCEPTED, None)
    assert bus.counts(queue).active == 1
