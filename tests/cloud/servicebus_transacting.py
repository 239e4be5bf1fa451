"""A raw client of transactions as AMQP has them (part 4): declares, uses and discharges them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from orchestrator.localcloud.amqp import performatives as p
from orchestrator.localcloud.amqp import sections as s
from orchestrator.localcloud.amqp import types as t
from orchestrator.localcloud.amqp.encode import encode
from tests.cloud.servicebus_bus import Bus
from tests.cloud.servicebus_wire import Wire, terminus

COORDINATOR, SENDER, RECEIVER = 0, 1, 2
FRAME = 60_000
ACCEPTED = t.Described(t.ULong(p.ACCEPTED), [])
ABANDONED = t.Described(t.ULong(p.MODIFIED), [True, False])
DEFERRED = t.Described(t.ULong(p.MODIFIED), [False, True])
DEAD = t.Described(t.ULong(p.REJECTED), [])


def within(transaction: bytes, outcome: Any = None) -> t.Described:
    return t.Described(t.ULong(p.TRANSACTIONAL), [transaction, outcome])


class Client:
    """A connection with a coordinator; `state` is what the last disposition said."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._number = 0

    async def _state(self, *, ours: bool = True, settled: bool = True) -> Any:
        """`(kind, transaction or error's condition)` of the next disposition of what we sent, or
        else of what we received."""
        fields = await self.wire.until(p.DISPOSITION)
        while fields[0] is not ours:
            fields = await self.wire.until(p.DISPOSITION)
        assert fields[3] is settled
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

    def throw_discharge(self, transaction: bytes) -> None:
        asked = t.Described(t.ULong(p.DISCHARGE), [transaction, False])
        self.throw(COORDINATOR, s.section(s.VALUE, asked), None, settled=False)

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

    async def settle(
        self, number: int, transaction: bytes | None, outcome: Any, *, fails: bool = False
    ) -> Any:
        state = outcome if transaction is None else within(transaction, outcome)
        self.wire.send(1, p.DISPOSITION, True, t.UInt(number), t.UInt(number), False, state)
        return await self._state(ours=False, settled=fails or transaction is None)

    def throw_settlement(self, number: int, transaction: bytes, outcome: Any) -> None:
        """Settle at both ends, without asking what becomes of it."""
        state = within(transaction, outcome)
        self.wire.send(1, p.DISPOSITION, True, t.UInt(number), t.UInt(number), True, state)

    async def settled(self) -> Any:
        """What became of a message that we received."""
        return await self._state(ours=False)


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
