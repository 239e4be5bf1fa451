"""Partitioned entities: their sequence numbers tell the partition, and are taken back."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from azure.servicebus import ServiceBusMessage, ServiceBusReceivedMessage

from orchestrator.localcloud.servicebus.limits import PARTITIONS
from orchestrator.localcloud.servicebus.topics.definitions import (
    SubscriptionProperties,
    TopicProperties,
)
from tests.cloud.servicebus_bus import NAMESPACE, Bus, linked, take


def number(message: ServiceBusReceivedMessage) -> int:
    assert message.sequence_number is not None
    return message.sequence_number


def counts(numbers: list[int]) -> list[int]:
    return [one & (1 << 48) - 1 for one in numbers]


async def test_the_topmost_bits_of_a_number_are_the_partition(bus: Bus) -> None:
    queue = bus.queue(enable_partitioning=True)
    async with linked(bus, queue) as (sender, receiver):
        for key in ("a", "b", "a", "b", None, None, None):
            await sender.send_messages(ServiceBusMessage(str(key), partition_key=key))
        peeked = [number(m) for m in await receiver.peek_messages(4)]
        # A browser goes on after the last number that it has seen, whatever its partition.
        peeked += [number(m) for m in await receiver.peek_messages(10)]
        found = await take(receiver, 7)
        numbers = [number(message) for message in found]
        for message in found:
            await receiver.complete_message(message)
    assert numbers == peeked
    assert counts(numbers) == [1, 2, 3, 4, 5, 6, 7]
    partitions = [one >> 48 for one in numbers]
    assert partitions[0] == partitions[2]
    assert partitions[1] == partitions[3]
    assert len(set(partitions[4:])) == 3
    assert all(one in range(PARTITIONS) for one in partitions)


async def test_a_number_leads_to_its_message(bus: Bus) -> None:
    queue = bus.queue(enable_partitioning=True)
    due = datetime.fromtimestamp(time.time() + 3600, UTC)
    async with linked(bus, queue) as (sender, receiver):
        for key in ("a", "b"):
            await sender.send_messages(ServiceBusMessage(key, partition_key=key))
        found = await take(receiver, 2)
        for message in found:
            await receiver.defer_message(message)
        deferred = await receiver.receive_deferred_messages([number(m) for m in found])
        assert [str(message) for message in deferred] == ["a", "b"]
        assert [number(m) for m in deferred] == [number(m) for m in found]
        for message in deferred:
            await receiver.dead_letter_message(message)
        later = [ServiceBusMessage("c", partition_key="a"), ServiceBusMessage("d")]
        scheduled = await sender.schedule_messages(later, due)
        assert scheduled[0] >> 48 == number(found[0]) >> 48
        waiting = [number(m) for m in await receiver.peek_messages(10)]
        assert waiting == scheduled
        await sender.cancel_scheduled_messages(scheduled)
        assert await receiver.peek_messages(10) == []
    async with linked(bus, queue, sub_queue="deadletter") as (_, receiver):
        dead = await take(receiver, 2)
    assert [message.enqueued_sequence_number for message in dead] == [number(m) for m in found]


async def test_a_subscription_of_a_partitioned_topic_is_partitioned(bus: Bus) -> None:
    bus.call(bus.broker.put_topic(NAMESPACE, "parts", TopicProperties(enable_partitioning=True)))
    bus.call(bus.broker.put_subscription(NAMESPACE, "parts", "one", SubscriptionProperties()))
    bus.call(bus.broker.put_topic(NAMESPACE, "whole", TopicProperties()))
    bus.call(bus.broker.put_subscription(NAMESPACE, "whole", "one", SubscriptionProperties()))
    for topic, partitioned in (("parts", True), ("whole", False)):
        async with bus.aio() as client:
            async with client.get_topic_sender(topic) as sender:
                await sender.send_messages(ServiceBusMessage("x", session_id="some"))
            async with client.get_subscription_receiver(topic, "one") as receiver:
                (message,) = await take(receiver, 1)
                await receiver.complete_message(message)
        assert (number(message) >> 48 > 0) is partitioned
        assert message.enqueued_sequence_number == number(message)
