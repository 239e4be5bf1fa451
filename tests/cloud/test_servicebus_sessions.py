"""Sessions of the local Service Bus with the unmodified azure-servicebus SDK."""

from __future__ import annotations

import asyncio

import pytest
from azure.servicebus import NEXT_AVAILABLE_SESSION, ServiceBusMessage, ServiceBusReceiveMode
from azure.servicebus.exceptions import (
    OperationTimeoutError,
    ServiceBusError,
    SessionCannotBeLockedError,
    SessionLockLostError,
)

from orchestrator.localcloud.amqp import performatives as p
from orchestrator.localcloud.amqp import types as t
from orchestrator.localcloud.amqp.decode import decode_whole
from orchestrator.localcloud.amqp.encode import encode
from orchestrator.localcloud.servicebus.front.links import session as session_link
from tests.cloud.servicebus_bus import Bus
from tests.cloud.servicebus_wire import Wire, terminus


def messages(session: str, *bodies: object) -> list[ServiceBusMessage]:
    return [ServiceBusMessage(str(body), session_id=session) for body in bodies]


async def test_a_named_session_gives_its_messages_in_order_and_no_others(bus: Bus) -> None:
    queue = bus.queue(requires_session=True)
    async with bus.aio() as client, client.get_queue_sender(queue) as sender:
        for n in range(5):
            await sender.send_messages([*messages("a", f"a{n}"), *messages("b", f"b{n}")])
        async with client.get_queue_receiver(queue, session_id="b") as receiver:
            assert receiver.session.session_id == "b"
            found = await receiver.receive_messages(10, max_wait_time=5)
            assert [str(m) for m in found] == [f"b{n}" for n in range(5)]
            assert {m.session_id for m in found} == {"b"}
            for message in found:
                await receiver.complete_message(message)
    assert bus.counts(queue).active == 5


async def test_the_next_session_is_waited_for_and_its_name_told(bus: Bus) -> None:
    queue = bus.queue(requires_session=True)
    async with bus.aio() as client, client.get_queue_sender(queue) as sender:
        receiver = client.get_queue_receiver(
            queue, session_id=NEXT_AVAILABLE_SESSION, max_wait_time=20
        )
        entering = asyncio.create_task(receiver.__aenter__())
        await sender.send_messages(messages("late", "x"))
        await entering
        try:
            assert receiver.session.session_id == "late"
            (message,) = await receiver.receive_messages(1, max_wait_time=5)
            await receiver.complete_message(message)
        finally:
            await receiver.close()
    assert bus.counts(queue).active == 0


async def test_no_session_within_the_time_is_a_timeout(bus: Bus) -> None:
    queue = bus.queue(requires_session=True)
    async with bus.aio(retry_total=0) as client:
        receiver = client.get_queue_receiver(
            queue, session_id=NEXT_AVAILABLE_SESSION, max_wait_time=1
        )
        with pytest.raises(OperationTimeoutError):
            await receiver.__aenter__()
        await receiver.close()


async def test_a_session_has_one_receiver_and_is_free_when_that_goes(bus: Bus) -> None:
    queue = bus.queue(requires_session=True)
    async with bus.aio(retry_total=0) as client, client.get_queue_sender(queue) as sender:
        await sender.send_messages(messages("s", 1, 2))
        async with client.get_queue_receiver(queue, session_id="s") as first:
            await first.receive_messages(2, max_wait_time=5)
            second = client.get_queue_receiver(queue, session_id="s")
            with pytest.raises(SessionCannotBeLockedError):
                await second.__aenter__()
            await second.close()
        async with client.get_queue_receiver(queue, session_id="s") as third:
            found = await third.receive_messages(2, max_wait_time=5)
            assert [(str(m), m.delivery_count) for m in found] == [("1", 0), ("2", 0)]


@pytest.mark.parametrize("wanted", ["s", None])
async def test_a_described_session_filter_is_answered_described(
    bus: Bus, wanted: str | None
) -> None:
    """As the standard has filters: Go's AMQP client reads no others."""
    queue = bus.queue(requires_session=True)
    async with bus.aio() as client, client.get_queue_sender(queue) as sender:
        await sender.send_messages(messages("s", "x"))
    code = t.ULong(0x137000000C)
    filters = {t.Symbol("com.microsoft:session-filter"): t.Described(code, wanted)}
    wire = await Wire.opened(bus)
    source = t.Described(t.ULong(p.SOURCE), [queue, *[None] * 6, filters])
    wire.send(
        1, p.ATTACH, "link", t.UInt(0), True, t.UByte(0), t.UByte(0), encode(source),
        terminus(p.TARGET, "me"), None, None, t.UInt(0),
    )  # fmt: skip
    attach = await wire.until(p.ATTACH)
    assert decode_whole(attach[5]).value[7] == {
        "com.microsoft:session-filter": t.Described(code, "s")
    }
    await wire.drop()


async def test_state_is_kept_and_the_lock_renewed(bus: Bus) -> None:
    queue = bus.queue(requires_session=True)
    async with bus.aio() as client:
        async with client.get_queue_receiver(queue, session_id="s") as receiver:
            session = receiver.session
            assert await session.get_state() is None
            await session.set_state(b"\x00half way")
            bus.advance(10)
            before = session.locked_until_utc
            assert await session.renew_lock() > before
        async with client.get_queue_receiver(queue, session_id="s") as receiver:
            assert await receiver.session.get_state() == b"\x00half way"
            for nothing in (None, b""):
                await receiver.session.set_state(nothing)
                assert await receiver.session.get_state() is None
                await receiver.session.set_state(b"more")


async def test_a_lost_session_says_so_and_its_messages_count_a_delivery(bus: Bus) -> None:
    queue = bus.queue(requires_session=True, lock_duration=30)
    async with bus.aio(retry_total=0) as client, client.get_queue_sender(queue) as sender:
        await sender.send_messages(messages("s", "x"))
        async with client.get_queue_receiver(queue, session_id="s") as receiver:
            await receiver.receive_messages(1, max_wait_time=5)
            bus.advance(31)
            with pytest.raises(SessionLockLostError):
                await receiver.session.renew_lock()
        async with client.get_queue_receiver(queue, session_id="s") as receiver:
            (again,) = await receiver.receive_messages(1, max_wait_time=5)
            assert again.delivery_count == 1


async def test_an_idle_receiver_hears_of_its_lost_session_a_moment_later(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_link, "LINGER", 3600)
    queue = bus.queue(requires_session=True, lock_duration=30)
    async with bus.aio(retry_total=0) as client, client.get_queue_sender(queue) as sender:
        await sender.send_messages(messages("s", "x"))
        async with client.get_queue_receiver(queue, session_id="s") as receiver:
            (message,) = await receiver.receive_messages(1, max_wait_time=5)
            # It goes on waiting: the credit stays with the link.
            assert await receiver.receive_messages(1, max_wait_time=1) == []
            bus.advance(31)
            assert await receiver.receive_messages(1, max_wait_time=1) == []
            with pytest.raises(SessionLockLostError):
                await receiver.complete_message(message)
            async with client.get_queue_receiver(queue, session_id="s") as other:
                (again,) = await other.receive_messages(1, max_wait_time=5)
                assert again.delivery_count == 1
                await other.complete_message(again)
    assert bus.counts(queue).active == 0


async def test_the_link_of_a_lost_session_goes(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_link, "LINGER", 0)
    queue = bus.queue(requires_session=True, lock_duration=30)
    async with (
        bus.aio(retry_total=0) as client,
        client.get_queue_receiver(queue, session_id="s") as receiver,
    ):
        assert await receiver.receive_messages(1, max_wait_time=1) == []
        bus.advance(31)
        with pytest.raises(SessionLockLostError):
            await receiver.receive_messages(1, max_wait_time=5)


async def test_peek_defer_and_dead_letter_stay_within_the_session(bus: Bus) -> None:
    queue = bus.queue(requires_session=True)
    async with bus.aio() as client, client.get_queue_sender(queue) as sender:
        await sender.send_messages([*messages("a", 1), *messages("b", 2), *messages("a", 3, 4)])
        async with client.get_queue_receiver(queue, session_id="a") as receiver:
            assert [str(m) for m in await receiver.peek_messages(10)] == ["1", "3", "4"]
            one, three, four = await receiver.receive_messages(3, max_wait_time=5)
            await receiver.defer_message(one)
            await receiver.dead_letter_message(three, reason="why")
            await receiver.abandon_message(four)
            (deferred,) = await receiver.receive_deferred_messages(one.sequence_number)
            await receiver.complete_message(deferred)
            (four,) = await receiver.receive_messages(1, max_wait_time=5)
            assert (str(four), four.delivery_count) == ("4", 1)
            await receiver.complete_message(four)
    counts = bus.counts(queue)
    assert (counts.active, counts.dead_letter) == (1, 1)


async def test_receive_and_delete_works_by_session(bus: Bus) -> None:
    queue = bus.queue(requires_session=True)
    async with bus.aio() as client, client.get_queue_sender(queue) as sender:
        await sender.send_messages(messages("a", 1, 2))
        async with client.get_queue_receiver(
            queue, session_id="a", receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE
        ) as receiver:
            found = await receiver.receive_messages(2, max_wait_time=5)
            assert [str(m) for m in found] == ["1", "2"]
    assert bus.counts(queue).active == 0


@pytest.mark.parametrize("sessions", [True, False])
async def test_receivers_must_suit_the_queue(bus: Bus, sessions: bool) -> None:
    queue = bus.queue(requires_session=sessions)
    async with bus.aio(retry_total=0) as client:
        receiver = client.get_queue_receiver(queue, session_id=None if sessions else "s")
        with pytest.raises(ServiceBusError, match="session"):
            await receiver.receive_messages(1, max_wait_time=1)
        await receiver.close()


async def test_a_session_queue_refuses_a_message_without_one(bus: Bus) -> None:
    queue = bus.queue(requires_session=True)
    async with bus.aio(retry_total=0) as client, client.get_queue_sender(queue) as sender:
        with pytest.raises(ServiceBusError, match="SessionId"):
            await sender.send_messages(ServiceBusMessage("x"))
