"""A client that misbehaves loses its own connection, and nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from azure.servicebus import ServiceBusMessage

from orchestrator.localcloud.amqp import performatives as p
from orchestrator.localcloud.amqp import sections as s
from orchestrator.localcloud.amqp import types as t
from orchestrator.localcloud.amqp.encode import encode
from orchestrator.localcloud.amqp.framing import EMPTY_FRAME
from orchestrator.localcloud.servicebus.front.links.receive import BATCH, ReceiverDoor
from orchestrator.localcloud.servicebus.front.peer import HELD_HIGH, WRITE_FLOOD
from tests.cloud.servicebus_bus import Bus, linked, take
from tests.cloud.servicebus_wire import Wire, request, terminus


@asynccontextmanager
async def bystander(bus: Bus) -> AsyncIterator[None]:
    """Somebody decent, whose link must go on working."""
    async with linked(bus, bus.queue(), retry_total=0) as (sender, receiver):
        yield
        await sender.send_messages(ServiceBusMessage("still here"))
        (message,) = await take(receiver, 1)
        await receiver.complete_message(message)


async def test_bad_bytes_close_their_own_connection_only(bus: Bus) -> None:
    async with bystander(bus):
        for bad, condition in (
            (b"\xff" * 64, "amqp:connection:framing-error"),
            (b"\x00\x00\x00\x10\x02\x00\x00\x01" + bytes(8), "amqp:decode-error"),
            (b"\x00\x00\x00\x0c\x02\x00\x00\x01\x00\x53\x12\x45", "amqp:invalid-field"),
        ):
            wire = await Wire.opened(bus)
            wire.write(bad)
            assert await wire.closed_with() == condition
            wire.send(0, p.CLOSE)
            assert await wire.reader.read() == b""
            await wire.drop()
        wire = await Wire.dialled(bus)
        wire.write(b"HELO there\r\n\r\n")
        assert (await wire.reader.read())[:4] == b"AMQP"
        await wire.drop()


async def test_a_wrong_key_opens_nothing(bus: Bus) -> None:
    queue = bus.queue()
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await Wire.opened(bus, key="wrong")
    assert bus.counts(queue).active == 0


async def test_a_connection_has_one_pair_of_links_to_the_token_node(bus: Bus) -> None:
    wire = await Wire.opened(bus)
    for handle, receive in ((0, True), (1, False)):
        wire.attach(handle, "$cbs", receive=receive)
        await wire.until(p.ATTACH)
    for handle, receive in ((2, True), (3, False)):
        wire.attach(handle, "$cbs", receive=receive)
        detach = await wire.until(p.DETACH)
        assert p.read_error(detach[2]).condition == "amqp:not-allowed"
    for handle, receive in ((0, True), (1, False)):
        wire.send(1, p.DETACH, t.UInt(handle), True)
        assert (await wire.until(p.DETACH))[2] is None
        wire.attach(handle, "$cbs", receive=receive, name=f"again-{handle}")
        assert (await wire.until(p.ATTACH))[5] is not None
    await wire.drop()


async def test_links_without_end_are_stopped_at_the_limit(bus: Bus) -> None:
    queue = bus.queue()
    async with bystander(bus):
        wire = await Wire.opened(bus)
        for handle in range(5001):
            # Handles are few, too; names alone make no more links.
            wire.attach(handle % 4999, queue, receive=True, name=f"l{handle}")
        # The first handle used twice ends the session with all its links.
        (error,) = await wire.until(p.END)
        assert p.read_error(error).condition == "amqp:session:handle-in-use"
        bus.until(lambda: sum(len(peer.doors) for peer in bus.front.peers) <= 8)
        await wire.drop()


async def test_a_message_without_end_holds_no_memory(bus: Bus) -> None:
    queue = bus.queue()
    async with bystander(bus):
        wire = await Wire.opened(bus)
        wire.attach(0, queue, receive=False)
        await wire.until(p.ATTACH)
        chunk = bytes(60_000)
        for _ in range(1300):
            wire.transfer(0, 0, chunk, more=True)
            await wire.writer.drain()
        fields = await wire.until(p.DETACH)
        assert p.read_error(fields[2]).condition == "amqp:link:message-size-exceeded"
        assert bus.read(lambda: all(peer._engine._partial == 0 for peer in bus.front.peers))
        await wire.drop()


async def test_one_who_never_reads_is_no_longer_read(bus: Bus) -> None:
    queue = bus.queue()
    async with linked(bus, queue) as (sender, _):
        await sender.send_messages([ServiceBusMessage(bytes(20_000)) for _ in range(10)])
    async with bystander(bus):
        wire = await Wire.opened(bus)
        wire.attach(0, f"{queue}/$management", receive=True)
        wire.attach(1, f"{queue}/$management", receive=False)
        wire.credit(0, 1_000_000)
        await wire.until(p.FLOW)
        body = {"from-sequence-number": 0, "message-count": t.Int(10)}
        number = 0
        # 200 kB of answer to each small question, and nobody reads one.
        while bus.read(lambda: all(peer._reading for peer in bus.front.peers)):
            for _ in range(50):
                wire.transfer(1, number, request("peek-message", body))
                number += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(wire.writer.drain(), 0.2)
            assert number < 5000, "it is still being read"

        def waiting() -> int:
            return max(p._transport.get_write_buffer_size() for p in bus.front.peers)  # type: ignore[union-attr]

        # One read's worth of questions more than the mark at most.
        assert bus.read(waiting) < WRITE_FLOOD + 300 * 1024 / 150 * 200_000
        await wire.drop()
    bus.until(lambda: not bus.front.peers)


async def test_one_who_asks_without_taking_answers_loses_the_link(bus: Bus) -> None:
    queue = bus.queue()
    wire = await Wire.opened(bus)
    wire.attach(0, f"{queue}/$management", receive=True)
    wire.attach(1, f"{queue}/$management", receive=False)
    await wire.until(p.FLOW)
    for number in range(1100):
        wire.transfer(1, number, request("peek-message", {}))
    fields = await wire.until(p.DETACH)
    assert p.read_error(fields[2]).condition == "amqp:resource-limit-exceeded"
    await wire.drop()


async def test_a_flood_of_messages_is_taken_at_the_stores_pace(bus: Bus) -> None:
    queue = bus.queue(max_message_size_in_kilobytes=1024)
    wire = await Wire.opened(bus)
    wire.attach(0, queue, receive=False)
    await wire.until(p.FLOW)
    message = s.section(s.DATA, bytes(60_000))
    most = 0
    for number in range(400):
        wire.transfer(0, number, message)
        if number % 20 == 0:
            await wire.writer.drain()
            most = max(most, bus.read(lambda: max(peer._held for peer in bus.front.peers)))
    last = 0
    while last < 399:
        fields = await wire.until(p.DISPOSITION)
        assert fields[3] is True
        last = fields[1] if fields[2] is None else fields[2]
    assert bus.counts(queue).active == 400
    assert most <= HELD_HIGH + 1024 * 1024
    await wire.drop()


@pytest.mark.parametrize("delete", [False, True])
async def test_a_drain_of_endless_credit_lets_others_have_their_turn(
    bus: Bus, monkeypatch: pytest.MonkeyPatch, delete: bool
) -> None:
    queue = bus.queue()
    count = 3 * BATCH
    async with linked(bus, queue) as (sender, _):
        await sender.send_messages([ServiceBusMessage("x") for _ in range(count)])
    asked = []
    for name in ("_acquire", "_take"):
        original = getattr(ReceiverDoor, name)

        def counted(door: ReceiverDoor, most: int, original: Any = original) -> Any:
            asked.append(most)
            return original(door, most)

        monkeypatch.setattr(ReceiverDoor, name, counted)
    wire = await Wire.opened(bus)
    wire.send(
        1, p.ATTACH, "drains", t.UInt(0), True, t.UByte(1 if delete else 0), t.UByte(0),
        terminus(p.SOURCE, queue), terminus(p.TARGET, "me"), None, None, t.UInt(0),
    )  # fmt: skip
    wire.send(
        1, p.FLOW, t.UInt(0), t.UInt(10_000), t.UInt(0), t.UInt(10_000), t.UInt(0), t.UInt(0),
        t.UInt(2**32 - 1), None, True,
    )  # fmt: skip
    received = 0
    code = 0
    while code != p.FLOW:
        code, fields = await wire.read()
        received += code == p.TRANSFER
    await wire.drop()
    assert received == count
    # The credit is given back: the delivery-count has run on by all of it.
    assert (fields[5], fields[6]) == (2**32 - 1, 0)
    assert max(asked) <= BATCH


async def test_heartbeats_come_as_often_as_the_client_asks(bus: Bus) -> None:
    wire = await Wire.opened(bus, idle_ms=400)
    assert await asyncio.wait_for(wire.reader.readexactly(8), 5) == EMPTY_FRAME
    assert await asyncio.wait_for(wire.reader.readexactly(8), 5) == EMPTY_FRAME
    await wire.drop()


async def test_thousands_of_connections_come_and_go_without_a_trace(bus: Bus) -> None:
    queue = bus.queue()
    stored = bus.read(lambda: bus.broker.queue("contoso", queue))
    assert stored is not None

    async def visit(number: int) -> None:
        wire = await Wire.opened(bus)
        wire.attach(0, queue, receive=True)
        wire.attach(1, queue, receive=False)
        wire.credit(0, 5)
        await wire.until(p.ATTACH)
        if number % 3 == 0:
            wire.transfer(1, 0, bytes(100), more=True)
        if number % 2:
            wire.send(0, p.CLOSE)
            await wire.until(p.CLOSE)
        await wire.drop()

    for start in range(0, 1000, 50):
        await asyncio.gather(*(visit(number) for number in range(start, start + 50)))
    bus.until(lambda: not bus.front.peers)
    assert bus.read(lambda: (len(stored._line), len(stored._listeners))) == (0, 0)


@pytest.mark.parametrize("sessions", [False, True])
async def test_a_filter_that_is_not_in_place_is_not_said_to_be(bus: Bus, sessions: bool) -> None:
    queue = bus.queue(requires_session=sessions)
    selector = t.Symbol("apache.org:selector-filter:string")
    session = t.Symbol("com.microsoft:session-filter")
    asked = {selector: t.Described(t.ULong(0x468C00000004), "x = 1")}
    kept = {session: "mine"} if sessions else {}
    source = t.Described(t.ULong(p.SOURCE), [queue, *[None] * 6, asked | kept])
    wire = await Wire.opened(bus)
    try:
        wire.send(
            1, p.ATTACH, "filtered", t.UInt(0), True, t.UByte(0), t.UByte(0), encode(source),
            terminus(p.TARGET, "me"), None, None, t.UInt(0),
        )  # fmt: skip
        answered = p.Terminus((await wire.until(p.ATTACH))[5])
    finally:
        await wire.drop()
    assert answered.address == queue
    assert answered.filters == kept
