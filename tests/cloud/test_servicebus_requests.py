"""Requests to `$management` that the Python SDK does not make, and those of other clients."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.servicebus import ServiceBusMessage

from orchestrator.localcloud.amqp import performatives as p
from orchestrator.localcloud.amqp import sections as s
from orchestrator.localcloud.amqp import types as t
from orchestrator.localcloud.amqp.encode import encode
from orchestrator.localcloud.servicebus.topics.definitions import (
    SubscriptionProperties,
    TopicProperties,
)
from orchestrator.localcloud.servicebus.topics.rules import Rule, TrueFilter
from tests.cloud.servicebus_bus import NAMESPACE, Bus
from tests.cloud.servicebus_wire import Wire, request


def asked(bus: Bus, entity: str, *requests: tuple[str, dict[Any, Any]]) -> list[tuple[int, Any]]:
    async def ask() -> list[tuple[int, Any]]:
        wire = await Wire.opened(bus)
        try:
            return await wire.ask(f"{entity}/$management", *requests)
        finally:
            await wire.drop()

    return asyncio.run(ask())


def send(bus: Bus, queue: str, *bodies: str, **settings: Any) -> None:
    with bus.client() as client, client.get_queue_sender(queue) as sender:
        sender.send_messages([ServiceBusMessage(body, **settings) for body in bodies])


def older(bus: Bus, count: int, ago: float = 0, **more: Any) -> tuple[str, dict[Any, Any]]:
    """A batch deletion of what was enqueued before so many seconds ago."""
    before = t.Timestamp((bus.clock.time() - ago) * 1000)
    return "batch-delete-messages", {
        "message-count": t.Int(count),
        "enqueued-time-utc": before,
        **more,
    }


def test_a_peek_may_leave_out_the_bodies(bus: Bus) -> None:
    queue = bus.queue()
    send(bus, queue, "a body", application_properties={"k": 1})
    of = {"from-sequence-number": 0, "message-count": t.Int(5)}
    whole, outline = asked(
        bus,
        queue,
        ("peek-message", {**of, "omit-message-body": False}),
        ("peek-message", {**of, "omit-message-body": True}),
    )
    before = s.split(whole[1]["messages"][0]["message"])
    after = s.split(outline[1]["messages"][0]["message"])
    assert s.data_of(before.body) == [b"a body"]
    assert (after.body, after.body_kind) == (b"", 0)
    assert s.map_of(after.application_properties) == {"k": 1}
    assert after.message_annotations == before.message_annotations
    annotations = s.map_of(after.delivery_annotations)
    assert annotations["omitted-message-body-size"] == len(before.body)


async def test_a_request_is_accepted_before_it_is_answered(bus: Bus) -> None:
    """Others come too early for uamqp, which takes them for failures."""
    node = f"{bus.queue()}/$management"
    wire = await Wire.opened(bus)
    wire.attach(0, node, receive=True)
    wire.attach(1, node, receive=False)
    wire.credit(0, 10)
    await wire.until(p.FLOW)
    peek = {"from-sequence-number": 0, "message-count": t.Int(1)}
    wire.transfer(1, 0, request("peek-message", peek))
    codes = [(await wire.read())[0] for _ in range(2)]
    assert codes == [p.DISPOSITION, p.TRANSFER]
    await wire.drop()


async def test_symbols_where_strings_are_meant_are_taken_as_strings(bus: Bus) -> None:
    """A message rejected for a reason of the receiver's own broke its connection: the condition,
    a symbol, could not be stored."""
    queue = bus.queue()
    wire = await Wire.opened(bus)
    wire.attach(0, queue, receive=False)
    wire.attach(1, queue, receive=True)
    await wire.until(p.FLOW)
    wire.credit(1, 10)
    key = {t.Symbol("x-opt-partition-key"): t.Symbol("key")}
    message = s.section(s.MESSAGE_ANNOTATIONS, key) + s.section(s.DATA, b"x")
    reasons: list[list[Any]] = [
        [t.Symbol("my:condition"), "my words"],
        [
            t.Symbol("com.microsoft:dead-letter"),
            None,
            {t.Symbol("DeadLetterReason"): t.Symbol("r")},
        ],
    ]
    for number, reason in enumerate(reasons):
        wire.transfer(0, number, message)
        (_, delivery, *_) = await wire.until(p.TRANSFER)
        rejected = t.Described(t.ULong(p.REJECTED), [t.Described(t.ULong(p.ERROR), reason)])
        wire.send(1, p.DISPOSITION, True, delivery, delivery, False, encode(rejected))
        settled = await wire.until(p.DISPOSITION)
        while settled[0] is not False:
            settled = await wire.until(p.DISPOSITION)
    await wire.drop()
    with bus.client() as client, client.get_queue_receiver(queue, sub_queue="deadletter") as dead:
        found = dead.peek_messages(5)
    assert [(m.dead_letter_reason, m.dead_letter_error_description) for m in found] == [
        ("my:condition", "my words"),
        ("r", None),
    ]
    assert {m.partition_key for m in found} == {"key"}


def test_nobody_peeks_into_a_queue_that_forwards(bus: Bus) -> None:
    queue = bus.queue(forward_to=bus.queue())
    peek = "peek-message", {"from-sequence-number": 0, "message-count": t.Int(5)}
    assert asked(bus, queue, peek) == [(400, None)]
    assert asked(bus, f"{queue}/$DeadLetterQueue", peek) == [(204, None)]


def test_a_scheduled_message_shows_the_life_that_it_is_going_to_have(bus: Bus) -> None:
    queue = bus.queue(default_message_ttl=60.0)
    with bus.client() as client, client.get_queue_sender(queue) as sender:
        due = datetime.fromtimestamp(bus.clock.time() + 99, UTC)
        sender.schedule_messages(ServiceBusMessage("a", time_to_live=timedelta(hours=1)), due)
        with client.get_queue_receiver(queue) as receiver:
            (message,) = receiver.peek_messages(1)
    assert message.time_to_live == timedelta(seconds=60)


def test_messages_are_deleted_oldest_first_without_being_received(bus: Bus) -> None:
    queue = bus.queue()
    send(bus, queue, "a", "b", "c")
    bus.advance(10)
    send(bus, queue, "young")
    answers = asked(
        bus,
        queue,
        older(bus, 1, ago=5),
        older(bus, 10, ago=5),
        older(bus, 10, ago=5),
    )
    assert answers == [
        (200, {"message-count": 1}),
        (200, {"message-count": 2}),
        (200, {"message-count": 0}),
    ]
    with bus.client() as client, client.get_queue_receiver(queue) as receiver:
        assert [str(message) for message in receiver.peek_messages(5)] == ["young"]
        (message,) = receiver.receive_messages(max_wait_time=5)
        receiver.complete_message(message)
    assert bus.counts(queue).total == 0


def test_what_is_locked_deferred_or_scheduled_is_not_deleted(bus: Bus) -> None:
    queue = bus.queue()
    send(bus, queue, "deferred", "locked", "ready")
    with bus.client() as client:
        with client.get_queue_sender(queue) as sender:
            due = datetime.fromtimestamp(bus.clock.time() + 99, UTC)
            sender.schedule_messages(ServiceBusMessage("scheduled"), due)
        with client.get_queue_receiver(queue) as receiver:
            first, _ = receiver.receive_messages(2, max_wait_time=5)
            receiver.defer_message(first)
            bus.advance(1)
            assert asked(bus, queue, older(bus, 10)) == [(200, {"message-count": 1})]
            left = [str(m) for m in receiver.peek_messages(5, sequence_number=1)]
    assert left == ["deferred", "locked", "scheduled"]


def test_of_a_queue_with_sessions_only_the_accepted_session_is_emptied(bus: Bus) -> None:
    queue = bus.queue(requires_session=True)
    send(bus, queue, "a", session_id="one")
    send(bus, queue, "b", session_id="two")
    bus.advance(1)
    statuses = [
        status
        for status, _ in asked(bus, queue, older(bus, 5), older(bus, 5, **{"session-id": "one"}))
    ]
    assert statuses == [400, 410]
    assert bus.counts(queue).active == 2


@pytest.mark.parametrize(("sku", "most"), [("Basic", 500), ("Standard", 500), ("Premium", 4000)])
def test_a_batch_deletion_has_the_size_of_the_tier(
    bus: Bus, monkeypatch: pytest.MonkeyPatch, sku: str, most: int
) -> None:
    monkeypatch.setattr(bus.broker, "sku", lambda namespace: sku)
    counts = (most, 1, 0, -1, most + 1)
    answers = asked(bus, bus.queue(), *[older(bus, count) for count in counts])
    assert [status for status, _ in answers] == [200, 200, 400, 400, 400]


def test_a_partitioned_queue_has_no_batch_deletion(bus: Bus) -> None:
    (answer,) = asked(bus, bus.queue(enable_partitioning=True), older(bus, 1))
    assert answer == (400, None)


def test_rules_are_listed_by_name(bus: Bus) -> None:
    bus.call(bus.broker.put_topic(NAMESPACE, "sorted", TopicProperties()))
    bus.call(bus.broker.put_subscription(NAMESPACE, "sorted", "one", SubscriptionProperties()))
    for name in ("zebra", "Apple", "mango"):
        bus.call(bus.broker.put_rule_of(NAMESPACE, "sorted", "one", Rule(name, TrueFilter())))
    pages = asked(
        bus,
        "sorted/Subscriptions/one",
        *[("enumerate-rules", {"skip": t.Int(n), "top": t.Int(1)}) for n in range(5)],
    )
    names = [body["rules"][0]["rule-description"].value[2] for _, body in pages[:4]]
    assert names == ["$Default", "Apple", "mango", "zebra"]
    assert pages[4][0] == 204
