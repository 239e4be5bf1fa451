"""Operations on several queues that happen together, or not at all."""

from __future__ import annotations

import pytest

from orchestrator.localcloud.servicebus.broker import Broker
from orchestrator.localcloud.servicebus.errors import (
    BrokerError,
    LockLost,
    MessageTooLarge,
    StoreFailed,
    StoreFull,
)
from orchestrator.localcloud.servicebus.model import IncomingMessage, MessageState
from orchestrator.localcloud.servicebus.queue import Queue
from orchestrator.localcloud.servicebus.store.contract import Change
from orchestrator.localcloud.servicebus.topics.rules import SqlFilter
from orchestrator.localcloud.servicebus.transactions import Operation
from tests.unit.servicebus.test_store_failures import FailingStore
from tests.unit.servicebus.test_topics import bodies, subscription, topic
from tests.unit.servicebus.wire_messages import encoded
from tests.unit.servicebus.world import World, durably, send, texts, world_of


def ignored(error: BrokerError | None) -> None:
    pass


def sending(queue: Queue, text: str, **fields: object) -> Operation:
    message = IncomingMessage(text.encode(), **{"message_id": text, **fields})  # type: ignore[arg-type]
    return lambda: queue.send([message], ignored)


async def together(world: World, *operations: Operation) -> None:
    await durably(lambda done: world.broker.transact(operations, done))


async def test_all_of_it_is_durable(world: World) -> None:
    source, target = await world.queue("source"), await world.queue("target")
    await send(source, "done", "again", "later", "bad")
    done, again, later, bad = source.acquire(4)
    await together(
        world,
        lambda: source.complete_durably(done.token, ignored),
        sending(target, "result"),
        lambda: source.abandon(again.token, ignored),
        lambda: source.defer(later.token, ignored),
        lambda: source.dead_letter_message(bad.token, ignored, "why"),
        sending(target, "more"),
    )
    for _ in range(2):
        assert texts(target.peek(0, 9)) == ["result", "more"]
        assert [(m.payload, m.state) for m in source.peek(0, 9)] == [
            (b"again", MessageState.ACTIVE),
            (b"later", MessageState.DEFERRED),
        ]
        assert texts(source.dead_letter.peek(0, 9)) == ["bad"]
        await world.restart()
        source, target = world.again(source), world.again(target)
    assert source.counts().size_in_bytes == len("againlaterbad")


async def test_one_that_cannot_be_takes_the_others_back(world: World) -> None:
    source = await world.queue("source")
    target = await world.queue("target", requires_duplicate_detection=True)
    await send(source, "a", "b")
    a, b = source.acquire(2)
    source.lose(b.token)
    operations: list[Operation] = [
        sending(target, "c"),
        lambda: source.complete_durably(a.token, ignored),
        lambda: source.dead_letter_message(b.token, ignored),
    ]
    with pytest.raises(LockLost):
        await together(world, *operations)
    with pytest.raises(MessageTooLarge):
        await together(world, *operations[:2], sending(target, "x" * 300_000))
    assert target.counts().total == target.counts().size_in_bytes == 0
    assert source.locked(a.token) is a
    assert texts(source.acquire(5)) == ["b"]
    # Its id was not remembered, and its lock is good.
    await together(world, *operations[:2])
    assert texts(target.peek(0, 9)) == ["c"]
    assert texts(source.peek(0, 9)) == ["b"]


async def test_a_use_counts_whatever_becomes_of_the_transaction(world: World) -> None:
    queue = await world.queue(auto_delete_on_idle=1000.0)
    await send(queue, "a")
    await world.pass_time(500)
    with pytest.raises(LockLost):
        await together(
            world, sending(queue, "b"), lambda: queue.complete_durably(b"nobody's", ignored)
        )
    await world.settled()
    # As after a crash: nothing is stored at the end.
    await world.store.close()
    world.store = world.reopen_store()
    world.broker = Broker(world.store, world.clock)
    await world.broker.open()
    now = world.clock.time()
    assert world.again(queue).unused_since(now) == now


async def test_an_operation_that_fails_unexpectedly_holds_nothing_back(world: World) -> None:
    source = await world.queue("source", lock_duration=30.0)
    await send(source, "a")
    (a,) = source.acquire(1)

    def fails() -> None:
        raise ValueError("unexpected")

    with pytest.raises(BrokerError, match="could not"):
        await together(
            world,
            sending(source, "b"),
            lambda: source.complete_durably(a.token, ignored),
            fails,
        )
    assert source.locked(a.token) is a
    await world.pass_time(31)
    assert texts(source.acquire(5)) == ["a"]
    assert source.incoming_size == 0


async def test_a_store_that_refuses_it_leaves_everything_as_it_was(tmp_path: object) -> None:
    world = world_of("memory", tmp_path)  # type: ignore[arg-type]
    store = world.store = FailingStore()
    await world.start()
    queue = await world.queue()
    await send(queue, "a")
    (lock,) = queue.acquire(1)
    operations = (sending(queue, "b"), lambda: queue.complete_durably(lock.token, ignored))
    store.broken = True
    with pytest.raises(StoreFull):
        await together(world, *operations)
    assert texts(queue.peek(0, 9)) == ["a"]
    assert queue.locked(lock.token) is lock
    store.broken = False
    await together(world, *operations)
    assert texts(queue.acquire(5)) == ["b"]
    await world.broker.close()


async def test_what_is_sent_to_a_topic_and_to_a_queue_that_forwards_arrives(world: World) -> None:
    await topic(world)
    some = await subscription(world, "some", SqlFilter("n > 1"))
    events = world.broker.find(None, "events")
    assert events is not None
    end = await world.queue("end")
    first = await world.queue("first", forward_to="end")
    payload = encoded("many", {"n": 2})
    await together(
        world,
        lambda: events.send([IncomingMessage(payload)], ignored),
        sending(first, "moves"),
    )
    await world.settled()
    assert bodies(some) == ["many"]
    assert texts(end.peek(0, 9)) == ["moves"]


class RefusingOnce(FailingStore):
    """Refuses one change when it is `broken`."""

    def _apply(self, change: Change) -> BrokerError | None:
        refused = super()._apply(change)
        self.broken = False
        return refused


async def test_what_repeats_a_send_that_may_fail_yet_is_not_taken_for_stored(
    tmp_path: object,
) -> None:
    world = world_of("memory", tmp_path)  # type: ignore[arg-type]
    store = world.store = RefusingOnce()
    await world.start()
    queue = await world.queue(requires_duplicate_detection=True)
    other = await world.queue("other")
    told: list[BrokerError | None] = []
    store.broken = True
    queue.send([IncomingMessage(b"a", "a")], told.append)
    world.broker.transact((sending(queue, "a"), sending(other, "b")), told.append)
    await world.settled()
    assert [type(error) for error in told] == [StoreFull, StoreFailed]
    assert queue.counts().total == other.counts().total == 0
    # What is durable, or in the transaction itself, may be repeated.
    twice = sending(queue, "a"), sending(queue, "a")
    await together(world, *twice)
    await together(world, *twice, sending(other, "b"))
    assert (texts(queue.peek(0, 9)), texts(other.peek(0, 9))) == (["a"], ["b"])
    await world.broker.close()


async def test_numbers_given_beforehand_are_used_once_also_after_a_restart(world: World) -> None:
    queue = await world.queue()
    due = world.clock.time() + 60

    def message(text: str, ahead: float = 60) -> IncomingMessage:
        return IncomingMessage(text.encode(), message_id=text, scheduled_at=due - 60 + ahead)

    reserved = queue.reserve_numbers(3)
    await send(queue, "between")
    messages = [message("first"), message("past", -1), message("second")]
    numbers: list[int] = []

    def schedule() -> None:
        numbers.extend(queue.send(messages, ignored, reserved))

    await together(world, schedule)
    between = reserved[-1] + 1
    # Of the one whose time has come already nobody needs the number.
    assert numbers == [reserved[0], between + 1, reserved[2]]
    for _ in range(2):
        waiting = [m.sequence for m in queue.peek(0, 9) if m.state]
        assert waiting == [reserved[0], reserved[2]]
        await world.restart()
        queue = world.again(queue)
    await durably(lambda done: queue.cancel_scheduled([reserved[0]], done))
    for lock in queue.acquire(9):
        await durably(lambda done, token=lock.token: queue.complete_durably(token, done))
    await world.restart()
    queue = world.again(queue)
    (newest,) = await send(queue, "newest")
    assert newest > between + 1
    await world.pass_time(61)
    assert [m.sequence for m in queue.peek(0, 9)] == [newest, newest + 1]
