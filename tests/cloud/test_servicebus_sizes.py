"""How large a message and a batch may be, with the unmodified SDK's own idea of it."""

from __future__ import annotations

from typing import Any

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusMessageBatch, ServiceBusReceiveMode
from azure.servicebus.exceptions import MessageSizeExceededError

from orchestrator.localcloud.amqp import performatives as p
from orchestrator.localcloud.servicebus.limits import STRICT
from tests.cloud.servicebus_bus import Bus, linked, take
from tests.cloud.servicebus_wire import Wire

BATCH_SIZE = "com.microsoft:max-message-batch-size"
# Fields of an attach (AMQP 1.0 part 2, 2.7.3).
MAX_MESSAGE_SIZE, PROPERTIES = 10, 13


def fill(batch: ServiceBusMessageBatch, **properties: Any) -> int:
    """Add messages until the SDK says that the batch is full to the byte; how many there are."""
    size, count = 4096, 0
    while size:
        try:
            batch.add_message(ServiceBusMessage(bytes(size), **properties))
            count += 1
        except MessageSizeExceededError:
            size //= 2
    return count


@pytest.mark.parametrize(
    "properties",
    [
        {},
        {"partition_key": "k" * 128, "message_id": "i" * 128},
        {"application_properties": {"key": "v" * 200}, "session_id": "s" * 128},
    ],
)
async def test_a_batch_that_the_sdk_calls_full_is_taken(
    bus: Bus, properties: dict[str, Any]
) -> None:
    queue = bus.queue()
    mode = ServiceBusReceiveMode.RECEIVE_AND_DELETE
    async with linked(bus, queue, receive_mode=mode) as (sender, receiver):
        batch = await sender.create_message_batch()
        assert batch.max_size_in_bytes == STRICT.batch_size
        count = fill(batch, **properties)
        await sender.send_messages(batch)
        assert len(await take(receiver, count)) == count
    assert bus.counts(queue).active == 0


async def test_a_batch_beyond_what_is_tolerated_is_refused(bus: Bus) -> None:
    queue = bus.queue()
    async with bus.aio(retry_total=0) as client, client.get_queue_sender(queue) as sender:
        batch = ServiceBusMessageBatch(STRICT.batch_size + STRICT.batch_slack)
        fill(batch)
        with pytest.raises(MessageSizeExceededError):
            await sender.send_messages(batch)
    assert bus.counts(queue).active == 0


async def test_large_messages_make_no_larger_batch_than_a_megabyte(bus: Bus) -> None:
    queue = bus.queue(max_message_size_in_kilobytes=10 * 1024)
    async with bus.aio(retry_total=0) as client, client.get_queue_sender(queue) as sender:
        batch = await sender.create_message_batch()
        assert batch.max_size_in_bytes == STRICT.large_batch_size
        count = fill(batch)
        await sender.send_messages(batch)
        await sender.send_messages(ServiceBusMessage(bytes(5 * 1024 * 1024)))
    assert bus.counts(queue).active == count + 1


async def test_messages_of_a_premium_namespace_have_a_megabyte(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus.broker, "sku", lambda namespace: "Premium")
    queue = bus.queue()
    async with bus.aio(retry_total=0) as client, client.get_queue_sender(queue) as sender:
        assert (await sender.create_message_batch()).max_size_in_bytes == 1024 * 1024
        await sender.send_messages(ServiceBusMessage(bytes(1_000_000)))
        with pytest.raises(MessageSizeExceededError):
            await sender.send_messages(ServiceBusMessage(bytes(1024 * 1024)))
    assert bus.counts(queue).active == 1


async def test_a_link_tells_how_large_a_batch_may_be(bus: Bus) -> None:
    queue = bus.queue()
    wire = await Wire.opened(bus)
    wire.attach(0, queue, receive=False)
    answer = await wire.until(p.ATTACH)
    assert answer[MAX_MESSAGE_SIZE] == STRICT.message_size
    assert answer[PROPERTIES] == {BATCH_SIZE: STRICT.batch_size}
    await wire.drop()


async def test_a_single_message_gains_nothing(bus: Bus) -> None:
    queue = bus.queue()
    async with bus.aio(retry_total=0) as client, client.get_queue_sender(queue) as sender:
        with pytest.raises(MessageSizeExceededError):
            await sender.send_messages(ServiceBusMessage(bytes(STRICT.message_size)))
        await sender.send_messages(ServiceBusMessage(bytes(STRICT.message_size - 100)))
    assert bus.counts(queue).active == 1
