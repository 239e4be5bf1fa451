"""Forwarding, on both stores (`world` runs each test twice)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.localcloud.amqp import sections as s
from orchestrator.localcloud.amqp.types import UInt
from orchestrator.localcloud.servicebus.broker import durably
from orchestrator.localcloud.servicebus.errors import (
    BrokerError,
    InvalidOperation,
    PropertiesTooLarge,
    QuotaExceeded,
    StoreFull,
)
from orchestrator.localcloud.servicebus.front.messages import read
from orchestrator.localcloud.servicebus.model import (
    EntityStatus,
    IncomingMessage,
    QueueCounts,
    QueueProperties,
    StoredMessage,
)
from orchestrator.localcloud.servicebus.queue import Queue
from orchestrator.localcloud.servicebus.store.contract import Change
from orchestrator.localcloud.servicebus.topics.definitions import (
    SubscriptionProperties,
    TopicProperties,
)
from tests.unit.servicebus.wire_messages import encoded
from tests.unit.servicebus.world import NAMESPACE, World, abandon, dead_letter, send, texts


def peeked(queue: Queue) -> list[StoredMessage]:
    return queue.peek(0, 100)


async def test_what_is_sent_to_a_forwarding_queue_arrives_where_it_points(world: World) -> None:
    first = await world.queue("first", forward_to="Last")
    last = await world.queue("last")
    await send(first, "a", "b")
    await world.settled()
    assert first.counts() == QueueCounts()
    locks = last.acquire(5)
    assert texts(locks) == ["a", "b"]
    assert [lock.message.details.enqueued_sequence for lock in locks] == [1, 2]
    await world.restart()
    assert world.again(first).counts().total == 0
    assert world.again(last).counts().active == 2


async def test_what_waited_before_the_queue_forwarded_moves_on_too(world: World) -> None:
    first, last = await world.queue("first"), await world.queue("last")
    await send(first, "a")
    await send(first, "later", scheduled_at=world.clock.time() + 30)
    await world.queue("first", forward_to="last")
    await world.settled()
    assert texts(peeked(last)) == ["a"]
    await world.pass_time(30)
    await world.settled()
    assert texts(peeked(last)) == ["a", "later"]
    assert first.counts().total == 0


async def test_nobody_receives_from_a_forwarding_queue(world: World) -> None:
    first = await world.queue("first", forward_to="last")
    with pytest.raises(InvalidOperation, match="Cannot create a message receiver on an entity"):
        first.check_receive()
    sessions = await world.queue("sessions", requires_session=True, forward_to="last")
    with pytest.raises(InvalidOperation, match="Cannot create a message receiver on an entity"):
        sessions.check_accept()


async def test_a_queue_with_sessions_forwards_too(world: World) -> None:
    first = await world.queue("first", requires_session=True)
    last = await world.queue("last", requires_session=True)
    await send(first, "a1", "a2", session_id="a")
    await send(first, "b1", session_id="b")
    held = first.accept_session("b", lambda: None)
    await world.queue("first", requires_session=True, forward_to="last")
    await world.settled()
    assert texts(peeked(last)) == ["a1", "a2"]
    first.release_session(held)
    await world.settled()
    await send(first, "a3", session_id="a")
    await world.settled()
    assert texts(last.peek_session("a", 0, 9)) == ["a1", "a2", "a3"]
    assert texts(last.peek_session("b", 0, 9)) == ["b1"]
    assert first.counts().total == 0


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (None, "MessagingEntityNotFound"),
        (QueueProperties(status=EntityStatus.DISABLED), "MessagingEntityDisabled"),
        (QueueProperties(requires_session=True), "SessionIDIsNull"),
    ],
)
async def test_what_cannot_be_forwarded_becomes_a_transfer_dead_letter(
    world: World, target: QueueProperties | None, reason: str
) -> None:
    if target is not None:
        await world.broker.put_queue(NAMESPACE, "last", target)
    first = await world.queue("first", forward_to="last")
    await send(first, "a")
    await world.settled()
    await world.restart()
    found = world.broker.find(None, "FIRST/$transfer/$deadletterqueue")
    assert found is not None
    assert world.again(first).counts() == QueueCounts(transfer_dead_letter=1, size_in_bytes=1)
    (lock,) = found.acquire(5)
    details = lock.message.details
    assert (details.dead_letter_reason, details.dead_letter_source) == (reason, "first")
    assert details.dead_letter_description


async def test_the_fifth_hop_is_one_too_many(world: World) -> None:
    for number in range(6):
        await world.queue(f"q{number}", forward_to=f"q{number + 1}" if number < 5 else None)
    await send(world.again(await world.queue("q0", forward_to="q1")), "a")
    for _ in range(6):
        await world.settled()
    counts = world.broker.counts(NAMESPACE, "q4")
    assert counts is not None
    assert counts.transfer_dead_letter == 1
    end = world.broker.counts(NAMESPACE, "q5")
    assert end is not None
    assert end.total == 0


async def test_queues_that_forward_to_each_other_come_to_an_end(world: World) -> None:
    first = await world.queue("a", forward_to="b")
    second = await world.queue("b", forward_to="a")
    await send(first, "round")
    for _ in range(8):
        await world.settled()
    counts = [first.counts(), second.counts()]
    assert sum(count.total for count in counts) == 1
    assert sum(count.transfer_dead_letter for count in counts) == 1


async def test_dead_letters_are_forwarded_with_their_reasons(world: World) -> None:
    queue = await world.queue("work", forward_dead_letters_to="graves", max_delivery_count=1)
    graves = await world.queue("graves")
    await send(queue, "a", "b")
    one, two = queue.acquire(2)
    await dead_letter(queue, one, "Bad", "because")
    await abandon(queue, two)
    await world.settled()
    assert queue.counts().total == 0
    locks = graves.acquire(5)
    assert texts(locks) == ["a", "b"]
    assert [lock.message.details.dead_letter_reason for lock in locks] == [
        "Bad",
        "MaxDeliveryCountExceeded",
    ]
    assert {lock.message.details.dead_letter_source for lock in locks} == {"work"}
    assert {lock.message.delivery_count for lock in locks} == {0}


async def test_the_life_of_a_forwarded_dead_letter_begins_anew(world: World) -> None:
    queue = await world.queue(
        "work", forward_dead_letters_to="retry", dead_letter_on_expiration=True
    )
    retry = await world.queue("retry")
    header = s.section(s.HEADER, [None, None, UInt(10_000)])
    await durably(lambda done: queue.send([read(header + encoded("x"), 1.0)], done))
    await world.pass_time(11)
    await world.settled()
    (message,) = peeked(retry)
    assert message.details.dead_letter_reason == "TTLExpiredException"
    assert message.expires_at == message.enqueued_at + 10
    await world.pass_time(11)
    assert retry.counts().active == 0


async def test_a_full_target_is_no_reason_to_lose_a_message(world: World) -> None:
    first = await world.queue("first", forward_to="last")
    last = await world.queue("last")
    last.properties = replace(last.properties, max_size_in_megabytes=0)
    await send(first, "a")
    await world.settled()
    assert texts(peeked(first.transfer_dead_letter)) == ["a"]
    assert last.counts().total == 0


async def test_what_another_entity_does_not_take_fills_the_one_on_the_way(world: World) -> None:
    way = await world.queue("way")
    way.properties = replace(way.properties, max_size_in_megabytes=1)
    message = IncomingMessage(bytes(200_000), message_id="large")

    async def pass_on() -> None:
        await durably(lambda done: way.pass_on(message, "nowhere", done))

    for _ in range(5):
        await pass_on()
    with pytest.raises(QuotaExceeded):
        await pass_on()
    assert way.counts().transfer_dead_letter == 5


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"properties_size": 64 * 1024 + 1}, PropertiesTooLarge),
        ({"message_id": "i" * 129}, InvalidOperation),
    ],
)
async def test_what_no_entity_takes_is_refused_on_the_way(
    world: World, fields: dict[str, Any], refusal: type[BrokerError]
) -> None:
    way, _ = await world.queue("way"), await world.queue("end")
    with pytest.raises(refusal):
        await durably(lambda done: way.pass_on(IncomingMessage(b"x", **fields), "end", done))
    assert way.counts().transfer_dead_letter == 0


async def test_a_message_waits_while_the_store_refuses_the_move(
    memory_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = memory_world
    first, last = await world.queue("first", forward_to="last"), await world.queue("last")
    await send(first, "a")
    apply = world.store._apply  # type: ignore[attr-defined]
    refused: list[Change] = []

    def refuse(change: Change) -> object:
        if change.puts:
            refused.append(change)
            return StoreFull("no room")
        return apply(change)

    monkeypatch.setattr(world.store, "_apply", refuse)
    await world.settled()
    assert refused
    assert (first.counts().total, last.counts().total) == (1, 0)
    monkeypatch.setattr(world.store, "_apply", apply)
    await world.pass_time(2)
    assert (first.counts().total, last.counts().total) == (0, 1)


async def test_what_follows_a_refused_move_does_not_overtake_it(
    memory_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = memory_world
    first, last = await world.queue("first", forward_to="last"), await world.queue("last")
    apply = world.store._apply  # type: ignore[attr-defined]
    refused: list[Change] = []

    def refuse_the_first_move(change: Change) -> object:
        if change.deletes and not refused:
            refused.append(change)
            return StoreFull("no room")
        return apply(change)

    monkeypatch.setattr(world.store, "_apply", refuse_the_first_move)
    await send(first, "a")
    await send(first, "b")
    await world.pass_time(2)
    assert refused
    assert texts(peeked(last)) == ["a", "b"]
    assert first.counts().total == 0


async def test_the_target_drops_duplicates(world: World) -> None:
    first = await world.queue("first", forward_to="last")
    last = await world.queue("last", requires_duplicate_detection=True)
    now = world.clock.time()
    messages: list[IncomingMessage] = [
        read(encoded(f"body {n}", message_id=name), now) for n, name in enumerate("xyx")
    ]
    await durably(lambda done: first.send(messages, done))
    await world.pass_time(2)
    assert last.counts().active == 2
    assert first.counts().total == 0


async def test_a_subscription_is_no_target(world: World) -> None:
    await world.broker.put_topic(NAMESPACE, "events", TopicProperties())
    await world.broker.put_subscription(NAMESPACE, "events", "one", SubscriptionProperties())
    first = await world.queue("first", forward_to="events/Subscriptions/one")
    await send(first, "a")
    await world.settled()
    (message,) = peeked(first.transfer_dead_letter)
    assert message.details.dead_letter_reason == "InvalidOperation"
