"""Messages through the local Service Bus with the unmodified azure-servicebus SDK."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.servicebus import (
    ServiceBusMessage,
    ServiceBusMessageState,
    ServiceBusReceiveMode,
    ServiceBusSubQueue,
)
from azure.servicebus.amqp import AmqpAnnotatedMessage, AmqpMessageBodyType
from azure.servicebus.exceptions import (
    MessageLockLostError,
    MessageNotFoundError,
    MessageSizeExceededError,
    MessagingEntityNotFoundError,
)

from tests.cloud.servicebus_bus import NAMESPACE, Bus, linked, take, texts

DELETE = ServiceBusReceiveMode.RECEIVE_AND_DELETE
DEAD = ServiceBusSubQueue.DEAD_LETTER


async def test_one_message_a_list_and_a_batch_arrive_in_order(bus: Bus) -> None:
    queue = bus.queue()
    async with linked(bus, queue, receive_mode=DELETE) as (sender, receiver):
        await sender.send_messages(ServiceBusMessage("0"))
        await sender.send_messages(texts(*range(1, 6)))
        batch = await sender.create_message_batch()
        for message in texts(*range(6, 11)):
            batch.add_message(message)
        await sender.send_messages(batch)
        found = await take(receiver, 11)
    assert [str(message) for message in found] == [str(n) for n in range(11)]
    numbers = [message.sequence_number for message in found]
    assert numbers == sorted(set(numbers))


async def test_a_list_of_a_thousand_loses_nothing(bus: Bus) -> None:
    queue = bus.queue()
    async with linked(bus, queue) as (sender, receiver):
        await sender.send_messages(texts(*range(1000)))
        assert bus.counts(queue).active == 1000
        seen: list[str] = []
        while len(seen) < 1000:
            for message in await take(receiver, min(200, 1000 - len(seen))):
                await receiver.complete_message(message)
                seen.append(str(message))
    assert seen == [str(n) for n in range(1000)]
    assert bus.counts(queue).active == 0


async def test_every_property_comes_back_as_it_was_sent(bus: Bus) -> None:
    queue = bus.queue()
    application = {
        "text": "Grüße",
        "int": 7,
        "negative": -7,
        "float": 1.5,
        "bool": True,
        "none": None,
        "uuid": uuid.uuid4(),
        "when": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    }
    sent = ServiceBusMessage(
        b"\x00\x01body",
        application_properties=dict(application),  # type: ignore[arg-type]
        message_id="id-1",
        correlation_id="other",
        content_type="text/plain",
        subject="label",
        to="somewhere",
        reply_to="back",
        partition_key="p",
        time_to_live=timedelta(hours=1),
    )
    async with linked(bus, queue, receive_mode=DELETE) as (sender, receiver):
        await sender.send_messages(sent)
        (got,) = await take(receiver, 1)
    assert b"".join(got.body) == b"\x00\x01body"
    assert got.application_properties is not None
    decoded: dict[str, Any] = {
        name.decode() if isinstance(name, bytes) else name: value
        for name, value in got.application_properties.items()
    }
    assert decoded.pop("text") == "Grüße".encode()
    assert decoded.pop("when") == int(application["when"].timestamp() * 1000)  # type: ignore[union-attr]
    assert decoded == {k: v for k, v in application.items() if k not in ("text", "when")}
    assert (got.message_id, got.correlation_id) == ("id-1", "other")
    assert (got.content_type, got.subject) == ("text/plain", "label")
    assert (got.to, got.reply_to, got.partition_key) == ("somewhere", "back", "p")
    assert got.time_to_live == timedelta(hours=1)
    assert got.enqueued_time_utc is not None
    assert got.expires_at_utc == got.enqueued_time_utc + timedelta(hours=1)
    assert got.enqueued_sequence_number is None  # it was not forwarded


async def test_every_kind_of_body_passes_unchanged_and_gets_an_id(bus: Bus) -> None:
    queue = bus.queue()
    bodies: dict[AmqpMessageBodyType, dict[str, Any]] = {
        AmqpMessageBodyType.VALUE: {"value_body": {b"a": [1, None, 2.5]}},
        AmqpMessageBodyType.SEQUENCE: {"sequence_body": [[1, b"two"], [3.0]]},
        AmqpMessageBodyType.DATA: {"data_body": [b"one", b"two"]},
    }
    async with linked(bus, queue, receive_mode=DELETE) as (sender, receiver):
        for body in bodies.values():
            await sender.send_messages(AmqpAnnotatedMessage(**body))
        found = await take(receiver, 3)
    for (kind, body), got in zip(bodies.items(), found, strict=True):
        raw = got.raw_amqp_message
        assert raw.body_type is kind
        (expected,) = body.values()
        assert (raw.body if kind is AmqpMessageBodyType.VALUE else list(raw.body)) == expected
        assert got.message_id


async def test_complete_abandon_dead_letter_and_defer(bus: Bus) -> None:
    queue = bus.queue()
    async with linked(bus, queue) as (sender, receiver):
        await sender.send_messages(texts("complete", "abandon", "dead-letter", "defer"))
        done, again, dead, later = await take(receiver, 4)
        await receiver.complete_message(done)
        await receiver.abandon_message(again)
        await receiver.dead_letter_message(dead, reason="bad", error_description="why")
        await receiver.defer_message(later)

        (redelivered,) = await take(receiver, 1)
        assert (str(redelivered), redelivered.delivery_count) == ("abandon", 1)
        await receiver.complete_message(redelivered)

        assert later.sequence_number is not None
        (deferred,) = await receiver.receive_deferred_messages(later.sequence_number)
        assert str(deferred) == "defer"
        await receiver.complete_message(deferred)
    async with linked(bus, queue, sub_queue=DEAD) as (_, receiver):
        (buried,) = await take(receiver, 1)
        assert str(buried) == "dead-letter"
        assert buried.dead_letter_reason == "bad"
        assert buried.dead_letter_error_description == "why"
        assert buried.dead_letter_source == queue
        await receiver.complete_message(buried)
    counts = bus.counts(queue)
    assert (counts.active, counts.dead_letter) == (0, 0)


async def test_a_message_that_fails_too_often_is_dead_lettered(bus: Bus) -> None:
    queue = bus.queue(max_delivery_count=3)
    async with linked(bus, queue) as (sender, receiver):
        await sender.send_messages(ServiceBusMessage("poison"))
        for attempt in range(3):
            (message,) = await take(receiver, 1)
            assert message.delivery_count == attempt
            await receiver.abandon_message(message)
    assert (bus.counts(queue).active, bus.counts(queue).dead_letter) == (0, 1)
    async with linked(bus, queue, sub_queue=DEAD, receive_mode=DELETE) as (_, receiver):
        (dead,) = await take(receiver, 1)
    assert dead.dead_letter_reason == "MaxDeliveryCountExceeded"
    assert dead.delivery_count == 3


async def test_a_lock_is_renewed_and_when_lost_says_so(bus: Bus) -> None:
    queue = bus.queue(lock_duration=30)
    async with linked(bus, queue) as (sender, receiver):
        await sender.send_messages(ServiceBusMessage("work"))
        (message,) = await take(receiver, 1)
        first = message.locked_until_utc
        assert first is not None
        bus.advance(20)
        assert await receiver.renew_message_lock(message) > first
        bus.advance(20)
        assert bus.counts(queue).active == 1
        await receiver.renew_message_lock(message)
        bus.advance(31)
        with pytest.raises(MessageLockLostError):
            await receiver.complete_message(message)
        with pytest.raises(MessageLockLostError):
            await receiver.renew_message_lock(message)
        (again,) = await take(receiver, 1)
        assert again.delivery_count == 1
        await receiver.complete_message(again)
    assert bus.counts(queue).active == 0


async def test_a_receiver_that_goes_leaves_its_messages_locked_until_they_expire(bus: Bus) -> None:
    queue = bus.queue(lock_duration=30)
    async with linked(bus, queue) as (sender, receiver):
        await sender.send_messages(ServiceBusMessage("work"))
        (held,) = await take(receiver, 1)
    async with linked(bus, queue) as (_, receiver):
        assert not await receiver.receive_messages(1, max_wait_time=0.3)
        bus.advance(31)
        (again,) = await take(receiver, 1)
        assert again.sequence_number == held.sequence_number
        await receiver.complete_message(again)


async def test_peek_shows_messages_page_by_page_and_takes_none(bus: Bus) -> None:
    queue = bus.queue()
    async with linked(bus, queue) as (sender, receiver):
        await sender.send_messages(texts(*range(7)))
        pages = [await receiver.peek_messages(3) for _ in range(4)]
        assert [[str(m) for m in page] for page in pages] == [
            ["0", "1", "2"],
            ["3", "4", "5"],
            ["6"],
            [],
        ]
        (deferred,) = await take(receiver, 1)
        await receiver.defer_message(deferred)
        states = [m.state for m in await receiver.peek_messages(2, sequence_number=1)]
    assert states == [ServiceBusMessageState.DEFERRED, ServiceBusMessageState.ACTIVE]
    assert bus.counts(queue).active == 7


async def test_an_id_sent_twice_is_kept_once_until_the_window_ends(bus: Bus) -> None:
    queue = bus.queue(requires_duplicate_detection=True, duplicate_detection_window=60)
    async with linked(bus, queue, receive_mode=DELETE) as (sender, receiver):
        for body, name in (("first", "same"), ("second", "same"), ("other", "other")):
            await sender.send_messages(ServiceBusMessage(body, message_id=name))
        bus.advance(61)
        await sender.send_messages(ServiceBusMessage("third", message_id="same"))
        found = await take(receiver, 3)
    assert [str(m) for m in found] == ["first", "other", "third"]


async def test_scheduled_messages_come_when_due_and_can_be_cancelled(bus: Bus) -> None:
    queue = bus.queue()
    due = datetime.fromtimestamp(bus.clock.time(), UTC) + timedelta(minutes=10)
    async with linked(bus, queue, receive_mode=DELETE, retry_total=0) as (sender, receiver):
        numbers = await sender.schedule_messages(texts("kept", "cancelled"), due)
        await sender.send_messages(
            ServiceBusMessage("by annotation", scheduled_enqueue_time_utc=due)
        )
        await sender.cancel_scheduled_messages(numbers[1])
        with pytest.raises(MessageNotFoundError):
            await sender.cancel_scheduled_messages(numbers[1])
        assert (bus.counts(queue).active, bus.counts(queue).scheduled) == (0, 2)
        bus.advance(601)
        found = await take(receiver, 2)
    assert {str(m) for m in found} == {"kept", "by annotation"}
    for message in found:
        assert message.enqueued_time_utc is not None
        assert message.enqueued_time_utc >= due.replace(microsecond=0)
        assert message.scheduled_enqueue_time_utc is not None


async def test_messages_expire_and_are_dead_lettered_if_the_queue_says_so(bus: Bus) -> None:
    queue = bus.queue(dead_letter_on_expiration=True, default_message_ttl=60)
    async with linked(bus, queue, sub_queue=DEAD, receive_mode=DELETE) as (sender, receiver):
        await sender.send_messages(
            texts(
                "default",
                ServiceBusMessage("short", time_to_live=timedelta(seconds=5)),
                ServiceBusMessage("long", time_to_live=timedelta(days=1)),
            )
        )
        bus.advance(6)
        (first,) = await take(receiver, 1)
        assert (str(first), first.dead_letter_reason) == ("short", "TTLExpiredException")
        assert bus.counts(queue).active == 2
        bus.advance(60)
        rest = await take(receiver, 2)
    assert {str(m) for m in rest} == {"default", "long"}


async def test_a_message_of_several_frames_arrives_whole(bus: Bus) -> None:
    queue = bus.queue(max_message_size_in_kilobytes=1024)
    body = bytes(range(256)) * 3900
    async with linked(bus, queue, receive_mode=DELETE) as (sender, receiver):
        await sender.send_messages(ServiceBusMessage(body))
        (got,) = await take(receiver, 1)
    assert b"".join(got.body) == body


async def test_a_message_over_the_limit_is_refused_and_the_sender_goes_on(bus: Bus) -> None:
    queue = bus.queue()
    async with bus.aio(retry_total=0) as client, client.get_queue_sender(queue) as sender:
        with pytest.raises(MessageSizeExceededError):
            await sender.send_messages(ServiceBusMessage(b"x" * 300 * 1024))
        await sender.send_messages(ServiceBusMessage("small"))
    assert bus.counts(queue).active == 1


async def test_receivers_waiting_for_messages_share_them(bus: Bus) -> None:
    queue = bus.queue()
    async with linked(bus, queue) as (sender, one), linked(bus, queue) as (_, two):
        receivers = (one, two)
        waiting = [asyncio.create_task(r.receive_messages(50, max_wait_time=10)) for r in receivers]
        stored = bus.read(lambda: bus.broker.queue(NAMESPACE, queue))
        assert stored is not None
        while bus.read(lambda: len(stored._line)) < 2:
            await asyncio.sleep(0.01)
        await sender.send_messages(texts(*range(20)))
        shares = await asyncio.gather(*waiting)
        for receiver, share in zip(receivers, shares, strict=True):
            for message in share:
                await receiver.complete_message(message)
    assert sorted(int(str(m)) for share in shares for m in share) == list(range(20))
    assert all(shares)


def test_the_sync_client_sends_receives_renews_and_settles(bus: Bus) -> None:
    queue = bus.queue()
    with bus.client() as client:
        with client.get_queue_sender(queue) as sender:
            sender.send_messages(texts(*range(6)))
        with client.get_queue_receiver(queue, max_wait_time=2) as receiver:
            seen = []
            for message in receiver:
                seen.append(str(message))
                receiver.renew_message_lock(message)
                receiver.complete_message(message)
                if len(seen) == 6:
                    break
            assert receiver.peek_messages() == []
    assert seen == [str(n) for n in range(6)]
    assert bus.counts(queue).active == 0


async def test_a_queue_that_nobody_uses_is_gone_after_its_time(bus: Bus) -> None:
    queue = bus.queue(auto_delete_on_idle=300.0)
    async with linked(bus, queue) as (sender, receiver):
        await sender.send_messages(ServiceBusMessage("a"))
        (message,) = await take(receiver, 1)
        await receiver.complete_message(message)
        bus.advance(299)
        assert bus.read(lambda: bus.broker.queue(NAMESPACE, queue)) is not None
        bus.advance(301)
        bus.until(lambda: bus.broker.queue(NAMESPACE, queue) is None)
        with pytest.raises(MessagingEntityNotFoundError):
            await sender.send_messages(ServiceBusMessage("b"))


async def test_what_is_deleted_on_receipt_has_no_tag_and_no_lock(bus: Bus) -> None:
    queue = bus.queue()
    async with linked(bus, queue, receive_mode=DELETE) as (sender, receiver):
        await sender.send_messages(texts("x", "y"))
        found = await take(receiver, 2)
    assert [(m._delivery_tag or None, m.lock_token) for m in found] == [(None, None)] * 2
    assert [m.raw_amqp_message.delivery_annotations for m in found] == [{}, {}]
