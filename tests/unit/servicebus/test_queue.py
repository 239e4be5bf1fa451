"""What a queue promises, on both stores (`world` runs each test twice)."""

from __future__ import annotations

import pytest

from orchestrator.localcloud.servicebus.broker import durably
from orchestrator.localcloud.servicebus.errors import (
    EntityDisabled,
    EntityNotFound,
    InvalidOperation,
    LockLost,
    MessageTooLarge,
    QuotaExceeded,
)
from orchestrator.localcloud.servicebus.model import (
    EntityStatus,
    IncomingMessage,
    QueueProperties,
    StoredMessage,
)
from orchestrator.localcloud.servicebus.structures.shelf import Shelf
from tests.unit.servicebus.world import (
    NAMESPACE,
    World,
    abandon,
    complete,
    dead_letter,
    defer,
    send,
    take,
    texts,
)


async def test_messages_come_in_order_of_their_sequence_numbers(world: World) -> None:
    queue = await world.queue()
    assert await send(queue, "a", "b") == [1, 2]
    assert await send(queue, "c") == [3]
    assert texts(queue.acquire(2)) == ["a", "b"]
    assert texts(queue.acquire(2)) == ["c"]
    assert queue.acquire(1) == []


async def test_a_message_cannot_be_received_before_its_send_is_durable(world: World) -> None:
    queue = await world.queue()
    outcome: list[object] = []
    queue.send([IncomingMessage(b"a")], outcome.append)
    assert queue.acquire(1) == []
    assert outcome == []
    await world.settled()
    assert outcome == [None]
    assert texts(queue.acquire(1)) == ["a"]


async def test_a_completed_message_is_gone_also_after_a_restart(world: World) -> None:
    queue = await world.queue()
    await send(queue, "a", "b")
    first, second = queue.acquire(2)
    await complete(queue, first)
    with pytest.raises(LockLost):
        queue.locked(first.token)
    assert queue.counts().active == 1
    await world.restart()
    queue = world.again(queue)
    assert queue.locked(second.token).message.payload == b"b"
    assert texts(queue.peek(0, 10)) == ["b"]


async def test_a_message_is_settled_only_once(world: World) -> None:
    queue = await world.queue()
    await send(queue, "a")
    (lock,) = queue.acquire(1)
    outcome: list[object] = []
    queue.complete(lock.token)
    with pytest.raises(LockLost):
        queue.complete(lock.token)
    for settle in (queue.abandon, queue.defer, queue.dead_letter_message):
        with pytest.raises(LockLost):
            settle(lock.token, outcome.append)
    with pytest.raises(LockLost):
        queue.renew(lock.token)
    with pytest.raises(LockLost):
        queue.release(lock.token)
    await world.settled()
    assert outcome == []


async def test_an_expired_lock_gives_the_message_back_with_a_higher_count(world: World) -> None:
    queue = await world.queue(lock_duration=30.0)
    await send(queue, "a", "b")
    (lock,) = queue.acquire(1)
    assert lock.message.delivery_count == 0
    assert lock.locked_until == world.clock.time() + 30
    await world.pass_time(30)
    with pytest.raises(LockLost):
        queue.complete(lock.token)
    again = queue.acquire(2)
    assert texts(again) == ["a", "b"]
    assert [lock.message.delivery_count for lock in again] == [1, 0]


async def test_a_renewed_lock_lasts_from_then_on(world: World) -> None:
    queue = await world.queue(lock_duration=30.0)
    await send(queue, "a")
    (lock,) = queue.acquire(1)
    await world.pass_time(20)
    assert queue.renew(lock.token) == world.clock.time() + 30
    await world.pass_time(29)
    await world.restart()
    queue = world.again(queue)
    await complete(queue, queue.locked(lock.token))
    assert queue.counts().active == 0


async def test_locks_and_delivery_counts_survive_a_restart(world: World) -> None:
    queue = await world.queue(lock_duration=30.0)
    await send(queue, "a", "b")
    first, second = queue.acquire(2)
    await abandon(queue, second)
    await world.restart()
    queue = world.again(queue)
    assert queue.locked(first.token).locked_until == first.locked_until
    (second_again,) = queue.acquire(2)
    assert (second_again.message.payload, second_again.message.delivery_count) == (b"b", 1)
    await world.pass_time(31)
    assert [lock.message.delivery_count for lock in queue.acquire(2)] == [1, 2]


async def test_release_does_not_raise_the_delivery_count(world: World) -> None:
    queue = await world.queue()
    await send(queue, "a")
    (lock,) = queue.acquire(1)
    queue.release(lock.token)
    (lock,) = queue.acquire(1)
    assert lock.message.delivery_count == 0


async def test_an_abandoned_message_keeps_its_place_and_its_modified_properties(
    world: World,
) -> None:
    queue = await world.queue()
    await send(queue, "a", "b")
    (lock,) = queue.acquire(1)
    await abandon(queue, lock, b"map")
    await world.restart()
    queue = world.again(queue)
    locks = queue.acquire(2)
    assert texts(locks) == ["a", "b"]
    assert [lock.message.details.modified for lock in locks] == [b"map", None]


async def test_too_many_deliveries_end_in_the_dead_letter_queue(world: World) -> None:
    queue = await world.queue(max_delivery_count=3, lock_duration=10.0)
    await send(queue, "a", session_id="s", partition_key="s")
    for _ in range(2):
        (lock,) = queue.acquire(1)
        await abandon(queue, lock)
    queue.acquire(1)
    await world.pass_time(10)
    assert queue.acquire(1) == []
    assert queue.counts().active == 0
    assert queue.counts().dead_letter == 1
    await world.restart()
    (dead,) = world.again(queue).dead_letter.acquire(1)
    assert dead.message.payload == b"a"
    assert dead.message.delivery_count == 3
    assert dead.message.details.dead_letter_reason == "MaxDeliveryCountExceeded"
    assert dead.message.details.dead_letter_description == (
        "Message could not be consumed after 3 delivery attempts."
    )
    assert dead.message.details.dead_letter_source == "q"
    assert (dead.message.details.session_id, dead.message.details.partition_key) == ("s", "s")


async def test_abandoning_for_the_last_time_moves_the_message(world: World) -> None:
    queue = await world.queue(max_delivery_count=1)
    await send(queue, "a")
    (lock,) = queue.acquire(1)
    await abandon(queue, lock, b"map")
    assert queue.counts().dead_letter == 1
    (dead,) = queue.dead_letter.peek(0, 1)
    assert (dead.delivery_count, dead.details.modified) == (1, b"map")


async def test_a_dead_letter_keeps_reason_description_and_properties(world: World) -> None:
    queue = await world.queue()
    await send(queue, "a", "b")
    _, second = queue.acquire(2)
    await dead_letter(queue, second, "NotANumber", "It says b.", b"map")
    await world.restart()
    (dead,) = world.again(queue).dead_letter.acquire(5)
    details = dead.message.details
    assert dead.message.payload == b"b"
    assert (details.dead_letter_reason, details.dead_letter_description) == (
        "NotANumber",
        "It says b.",
    )
    assert details.modified == b"map"
    assert dead.message.details.enqueued_sequence == 2
    assert dead.message.sequence == 1


async def test_dead_letters_are_received_without_end_and_never_dead_lettered_again(
    world: World,
) -> None:
    queue = await world.queue(max_delivery_count=1, default_message_ttl=5.0)
    await send(queue, "a")
    await dead_letter(queue, queue.acquire(1)[0])
    await world.pass_time(100)
    for _ in range(4):
        (lock,) = queue.dead_letter.acquire(1)
        assert lock.message.delivery_count == 0
        await abandon(queue.dead_letter, lock)
    (lock,) = queue.dead_letter.acquire(1)
    await world.pass_time(queue.properties.lock_duration)
    (message,) = queue.dead_letter.peek(0, 5)
    assert (message.lock, message.delivery_count) == (None, 0)
    (lock,) = queue.dead_letter.acquire(1)
    with pytest.raises(InvalidOperation):
        queue.dead_letter.dead_letter_message(lock.token, lambda error: None)
    await complete(queue.dead_letter, lock)
    assert queue.counts().total == 0
    with pytest.raises(InvalidOperation, match="takes no messages"):
        queue.dead_letter.send([IncomingMessage(b"")], lambda error: None)


async def test_receive_and_delete_removes_durably(world: World) -> None:
    queue = await world.queue()
    await send(queue, "a", "b", "c")
    assert texts(await take(queue, 2)) == ["a", "b"]
    await world.restart()
    queue = world.again(queue)
    assert texts(queue.acquire(5)) == ["c"]
    assert await take(queue, 2) == []


async def test_a_deletion_of_the_old_looks_at_no_more_than_it_deletes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = await world.queue()
    await send(queue, "a", "b")
    await world.pass_time(10)
    between = world.clock.time() - 5
    await send(queue, *(str(number) for number in range(100)))
    popped: list[StoredMessage | None] = []
    pop = Shelf.pop_ready

    def counted(shelf: Shelf) -> StoredMessage | None:
        popped.append(pop(shelf))
        return popped[-1]

    monkeypatch.setattr(Shelf, "pop_ready", counted)
    deleted: list[list[str]] = []
    for _ in range(2):
        queue.delete_older(between, 50, lambda messages, _: deleted.append(texts(messages)))
        await world.settled()
    assert deleted == [["a", "b"], []]
    assert len(popped) == 4
    assert texts(queue.acquire(2)) == ["0", "1"]


async def test_dead_letters_are_deleted_by_when_they_came_to_their_queue(world: World) -> None:
    queue = await world.queue()
    await send(queue, "old")
    await world.pass_time(10)
    await send(queue, "new")
    old, new = queue.acquire(2)
    for lock in (new, old):
        await dead_letter(queue, lock)
    deleted: list[list[str]] = []
    queue.dead_letter.delete_older(
        world.clock.time() - 5, 9, lambda messages, _: deleted.append(texts(messages))
    )
    await world.settled()
    assert deleted == [["old"]]
    assert texts(queue.dead_letter.acquire(9)) == ["new"]


async def test_a_taken_message_is_nobody_elses_while_its_deletion_is_on_the_way(
    world: World,
) -> None:
    queue = await world.queue()
    await send(queue, "a")
    got: list[object] = []
    assert queue.take(1, lambda messages, error: got.append((texts(messages), error))) == 1
    assert queue.acquire(1) == []
    await world.settled()
    assert got == [(["a"], None)]


async def test_peek_pages_over_all_states(world: World) -> None:
    queue = await world.queue()
    await send(queue, *"abcdef")
    locks = queue.acquire(3)
    await complete(queue, locks[1])
    await defer(queue, locks[2])
    assert texts(queue.peek(0, 3)) == ["a", "c", "d"]
    assert texts(queue.peek(5, 3)) == ["e", "f"]
    assert queue.peek(7, 3) == []
    assert texts(queue.peek(0, 0)) == []


async def test_a_duplicate_is_acknowledged_and_dropped_within_the_window(world: World) -> None:
    queue = await world.queue(requires_duplicate_detection=True, duplicate_detection_window=60.0)
    assert await send(queue, "a", "b", "a") == [1, 2, 0]
    assert len(await take(queue, 5)) == 2
    await world.pass_time(59)
    await world.restart()
    queue = world.again(queue)
    assert await send(queue, "a") == [0]
    assert await send(queue, "", message_id=None) == [3]
    assert await send(queue, "", message_id=None) == [4]
    await world.pass_time(1)
    assert await send(queue, "a") == [5]
    await world.pass_time(59)
    assert await send(queue, "a") == [0]


async def test_a_duplicate_of_a_send_under_way_is_acknowledged_after_it(world: World) -> None:
    queue = await world.queue(requires_duplicate_detection=True)
    order: list[str] = []
    queue.send([IncomingMessage(b"1", "id")], lambda error: order.append(f"first {error}"))
    queue.send([IncomingMessage(b"2", "id")], lambda error: order.append(f"second {error}"))
    await world.settled()
    assert order == ["first None", "second None"]
    assert texts(queue.acquire(5)) == ["1"]


async def test_sequence_numbers_go_on_after_a_restart_of_an_empty_queue(world: World) -> None:
    queue = await world.queue()
    await send(queue, *"abc")
    await take(queue, 3)
    await world.restart()
    assert await send(world.again(queue), "d") == [4]


async def test_the_quota_refuses_and_room_made_is_room(memory_world: World) -> None:
    queue = await memory_world.queue(max_message_size_in_kilobytes=1024 * 100)
    half = IncomingMessage(bytes(64 * 1024 * 1024))
    for _ in range(15):
        await durably(lambda done: queue.send([half], done))
    with pytest.raises(QuotaExceeded, match="1024 MB"):
        queue.send([half, half], lambda error: None)
    await dead_letter(queue, queue.acquire(1)[0])
    with pytest.raises(QuotaExceeded):
        queue.send([half, half], lambda error: None)
    await complete(queue.dead_letter, queue.dead_letter.acquire(1)[0])
    await durably(lambda done: queue.send([half, half], done))
    assert queue.counts().size_in_bytes == 1024 * 1024 * 1024


async def test_a_message_above_the_limit_is_refused_with_its_whole_batch(world: World) -> None:
    queue = await world.queue()
    assert queue.max_message_size == 256 * 1024
    with pytest.raises(MessageTooLarge, match="262145"):
        queue.send(
            [IncomingMessage(b"ok"), IncomingMessage(bytes(256 * 1024 + 1))], lambda error: None
        )
    await world.settled()
    assert queue.counts().total == 0


@pytest.mark.parametrize(
    ("status", "sends", "receives"),
    [
        (EntityStatus.ACTIVE, True, True),
        (EntityStatus.SEND_DISABLED, False, True),
        (EntityStatus.RECEIVE_DISABLED, True, False),
        (EntityStatus.DISABLED, False, False),
    ],
)
async def test_the_status_says_what_is_allowed(
    world: World, status: EntityStatus, sends: bool, receives: bool
) -> None:
    queue = await world.queue()
    await send(queue, "a")
    assert await world.queue(status=status) is queue
    if sends:
        await send(queue, "b")
    else:
        with pytest.raises(EntityDisabled, match=status):
            queue.send([IncomingMessage(b"b")], lambda error: None)
    if receives:
        assert queue.acquire(1)
    else:
        with pytest.raises(EntityDisabled, match=status):
            queue.acquire(1)


async def test_a_disabled_queue_keeps_what_somebody_has_received(world: World) -> None:
    queue = await world.queue()
    await send(queue, "a", "b", "c")
    deferred, locked = queue.acquire(2)
    await durably(lambda done: queue.defer(deferred.token, done))
    await world.queue(status=EntityStatus.RECEIVE_DISABLED)
    with pytest.raises(EntityDisabled, match="ReceiveDisabled"):
        queue.complete(locked.token)
    with pytest.raises(EntityDisabled):
        queue.dead_letter_message(locked.token, lambda error: None)
    with pytest.raises(EntityDisabled):
        queue.acquire_deferred([deferred.message.sequence])
    # Looking is allowed, and so is what keeps the message here.
    assert len(queue.peek(0, 10)) == 3
    assert queue.renew(locked.token) > 0
    await world.queue(status=EntityStatus.ACTIVE)
    queue.complete(locked.token)
    assert queue.counts().active == 2


async def test_a_session_queue_wants_session_ids(world: World) -> None:
    queue = await world.queue(requires_session=True)
    with pytest.raises(InvalidOperation, match="SessionId was not set"):
        queue.send([IncomingMessage(b"a")], lambda error: None)
    with pytest.raises(InvalidOperation, match="requires sessions"):
        queue.acquire(1)


async def test_a_deleted_queue_is_gone_with_its_messages(world: World) -> None:
    queue = await world.queue()
    await send(queue, "a", "b")
    await dead_letter(queue, queue.acquire(1)[0])
    told: list[bool] = []
    queue.dead_letter.subscribe(lambda: told.append(queue.dead_letter.deleted))
    assert await world.broker.delete_queue(NAMESPACE, "Q")
    assert told == [True]
    assert not await world.broker.delete_queue(NAMESPACE, "q")
    with pytest.raises(EntityNotFound):
        queue.send([IncomingMessage(b"")], lambda error: None)
    with pytest.raises(EntityNotFound):
        queue.dead_letter.acquire(1)
    anew = await world.queue()
    assert anew.counts().total == 0
    await send(anew, "c")
    await world.restart()
    assert texts(world.again(anew).peek(0, 5)) == ["c"]
    assert world.again(anew).dead_letter.peek(0, 5) == []


async def test_a_change_of_settings_is_durable_and_heard_of(world: World) -> None:
    queue = await world.queue(lock_duration=30.0)
    heard: list[float] = []
    stop = queue.subscribe(lambda: heard.append(queue.properties.lock_duration))
    await world.broker.put_queue(NAMESPACE, "Q", QueueProperties(lock_duration=45.0))
    stop()
    await world.broker.put_queue(NAMESPACE, "Q", QueueProperties(lock_duration=50.0))
    assert heard == [45.0]
    await world.restart()
    info = world.broker.queue_info(NAMESPACE, "q")
    assert info is not None
    assert (info.name, info.properties.lock_duration) == ("q", 50.0)
