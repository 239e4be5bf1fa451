"""Sessions of the queue engine, on both stores, under a clock that stands still."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from orchestrator.localcloud.servicebus.broker import durably
from orchestrator.localcloud.servicebus.errors import (
    InvalidOperation,
    MessageNotFound,
    MessageTooLarge,
    SessionCannotBeLocked,
    SessionLockLost,
)
from orchestrator.localcloud.servicebus.model import EntityStatus
from orchestrator.localcloud.servicebus.queue import Queue
from orchestrator.localcloud.servicebus.structures.session_shelf import SessionLock
from tests.unit.servicebus.world import World, abandon, complete, defer, send, texts


def ignore() -> None:
    pass


async def next_session(world: World, queue: Queue) -> SessionLock | None:
    got: list[SessionLock] = []
    waiter = queue.await_session(got.append, ignore)
    await world.settled()
    waiter.cancel()
    return got[0] if got else None


async def keep(queue: Queue, lock: SessionLock, state: bytes | None) -> None:
    await durably(lambda done: queue.set_session_state(lock, state, done))


async def test_a_session_gives_its_own_messages_in_order(world: World) -> None:
    queue = await world.queue(requires_session=True)
    for n in range(3):
        await send(queue, f"a{n}", session_id="a")
        await send(queue, f"b{n}", session_id="b")
    lock = queue.accept_session("b", ignore)
    found = queue.acquire_of(lock, 10)
    assert texts(found) == ["b0", "b1", "b2"]
    await abandon(queue, found[1])
    await complete(queue, found[0])
    assert texts(queue.acquire_of(lock, 10)) == ["b1"]
    assert texts(queue.peek_session("a", 0, 2)) == ["a0", "a1"]
    assert queue.counts().active == 5


async def test_a_session_is_one_receivers_only(world: World) -> None:
    queue = await world.queue(requires_session=True)
    lock = queue.accept_session("a", ignore)
    with pytest.raises(SessionCannotBeLocked):
        queue.accept_session("a", ignore)
    queue.release_session(lock)
    with pytest.raises(SessionLockLost):
        queue.acquire_of(lock, 1)
    queue.accept_session("a", ignore)


async def test_the_next_session_goes_to_who_waits_longest(world: World) -> None:
    queue = await world.queue(requires_session=True)
    got: list[tuple[str, str]] = []
    for name in ("first", "second"):

        def granted(lock: SessionLock, name: str = name) -> None:
            got.append((name, lock.session_id))

        queue.await_session(granted, ignore)
    await send(queue, "1", session_id="a")
    await send(queue, "2", session_id="a")
    await world.settled()
    assert got == [("first", "a")]
    await send(queue, "3", session_id="b")
    await world.settled()
    assert got == [("first", "a"), ("second", "b")]


async def test_a_session_without_ready_messages_is_not_to_be_had(world: World) -> None:
    queue = await world.queue(requires_session=True)
    await send(queue, "1", session_id="a")
    lock = queue.accept_session("a", ignore)
    (message,) = queue.acquire_of(lock, 1)
    await complete(queue, message)
    queue.release_session(lock)
    assert await next_session(world, queue) is None


async def test_letting_go_counts_no_delivery_and_losing_does(world: World) -> None:
    queue = await world.queue(requires_session=True, lock_duration=30.0)
    await send(queue, "1", "2", session_id="a")
    lock = queue.accept_session("a", ignore)
    queue.acquire_of(lock, 2)
    queue.release_session(lock)
    lost: list[bool] = []
    lock = queue.accept_session("a", lambda: lost.append(True))
    found = queue.acquire_of(lock, 2)
    assert [m.message.delivery_count for m in found] == [0, 0]
    await world.pass_time(31)
    assert lost == [True]
    with pytest.raises(SessionLockLost):
        queue.renew_session(lock)
    lock = queue.accept_session("a", ignore)
    again = queue.acquire_of(lock, 2)
    assert [m.message.delivery_count for m in again] == [1, 1]
    assert texts(again) == ["1", "2"]


async def test_renewing_the_session_keeps_its_messages(world: World) -> None:
    queue = await world.queue(requires_session=True, lock_duration=30.0)
    await send(queue, "1", session_id="a")
    lock = queue.accept_session("a", ignore)
    (message,) = queue.acquire_of(lock, 1)
    for _ in range(3):
        await world.pass_time(20)
        until = queue.renew_session(lock)
        assert until == message.until == world.clock.time() + 30
    with pytest.raises(InvalidOperation):
        queue.renew(message.token)
    await complete(queue, message)


async def test_a_message_lost_too_often_is_dead_lettered(world: World) -> None:
    queue = await world.queue(requires_session=True, lock_duration=30.0, max_delivery_count=2)
    await send(queue, "1", "2", session_id="a")
    for _ in range(2):
        queue.acquire_of(queue.accept_session("a", ignore), 1)
        await world.pass_time(31)
    counts = queue.counts()
    assert (counts.active, counts.dead_letter) == (1, 1)
    assert texts(queue.dead_letter.acquire(5)) == ["1"]


async def test_nobody_gets_a_session_while_a_message_of_it_is_on_its_way_back(
    world: World,
) -> None:
    queue = await world.queue(requires_session=True)
    await send(queue, "1", "2", session_id="a")
    lock = queue.accept_session("a", ignore)
    (first,) = queue.acquire_of(lock, 1)
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    queue.abandon(first.token, lambda _: done.set_result(None))
    queue.release_session(lock)
    with pytest.raises(SessionCannotBeLocked):
        queue.accept_session("a", ignore)
    await done
    await world.settled()
    assert texts(queue.acquire_of(queue.accept_session("a", ignore), 2)) == ["1", "2"]


async def test_deferred_messages_are_the_sessions(world: World) -> None:
    queue = await world.queue(requires_session=True)
    (number,) = await send(queue, "1", session_id="a")
    lock = queue.accept_session("a", ignore)
    (message,) = queue.acquire_of(lock, 1)
    await defer(queue, message)
    other = queue.accept_session("b", ignore)
    with pytest.raises(MessageNotFound):
        queue.acquire_deferred([number], other)
    with pytest.raises(InvalidOperation):
        queue.acquire_deferred([number])
    (found,) = queue.acquire_deferred([number], lock)
    queue.release_session(lock)
    lock = queue.accept_session("a", ignore)
    (found,) = queue.acquire_deferred([number], lock)
    await complete(queue, found)
    assert queue.counts().active == 0


async def test_a_restart_frees_sessions_and_keeps_messages_and_state(world: World) -> None:
    queue = await world.queue(requires_session=True)
    await send(queue, "1", "2", session_id="a|b")
    lock = queue.accept_session("a|b", ignore)
    (first, _) = queue.acquire_of(lock, 2)
    await abandon(queue, first)
    await keep(queue, lock, b"\x00\xff half way")
    await world.restart()
    queue = world.again(queue)
    lock = queue.accept_session("a|b", ignore)
    assert queue.session_state(lock) == b"\x00\xff half way"
    found = queue.acquire_of(lock, 2)
    assert texts(found) == ["1", "2"]
    assert found[0].message.delivery_count == 1
    await keep(queue, lock, None)
    await world.restart()
    queue = world.again(queue)
    assert queue.session_state(queue.accept_session("a|b", ignore)) is None


async def test_a_deleted_queues_states_are_gone(world: World) -> None:
    queue = await world.queue(requires_session=True)
    await keep(queue, queue.accept_session("a", ignore), b"old")
    await world.broker.delete_queue(queue.namespace, queue.path)
    queue = await world.queue(requires_session=True)
    assert queue.session_state(queue.accept_session("a", ignore)) is None
    await world.restart()
    queue = world.again(queue)
    assert queue.session_ids(0.0, 0, 10) == []


async def test_sessions_are_listed_by_messages_or_by_change_of_state(world: World) -> None:
    queue = await world.queue(requires_session=True)
    await send(queue, "1", session_id="b")
    await send(queue, "2", session_id="a")
    await keep(queue, queue.accept_session("c", ignore), b"x")
    assert queue.session_ids(None, 0, 10) == ["a", "b"]
    assert queue.session_ids(None, 1, 10) == ["b"]
    assert queue.session_ids(world.clock.time() - 1, 0, 10) == ["c"]
    assert queue.session_ids(world.clock.time(), 0, 10) == []


async def test_a_state_has_its_limit(world: World) -> None:
    queue = await world.queue(requires_session=True)
    lock = queue.accept_session("a", ignore)
    with pytest.raises(MessageTooLarge):
        await keep(queue, lock, bytes(world.limits.session_state_size + 1))


async def test_sessions_used_up_are_forgotten(memory_world: World) -> None:
    queue = await memory_world.queue(requires_session=True)
    for n in range(50):
        await send(queue, "x", session_id=str(n))
        lock = queue.accept_session(str(n), ignore)
        (message,) = queue.acquire_of(lock, 1)
        await complete(queue, message)
        queue.release_session(lock)
    shelf: Any = queue._shelf
    assert not shelf.sessions
    assert not shelf.available
    assert not shelf.locks


async def test_expired_messages_are_not_handed_out_and_free_their_session(world: World) -> None:
    queue = await world.queue(requires_session=True)
    await send(queue, "1", session_id="a", ttl=5.0)
    await world.pass_time(6)
    assert await next_session(world, queue) is None
    assert queue.counts().active == 0


async def test_a_disabled_queue_gives_no_sessions_until_it_is_enabled(world: World) -> None:
    queue = await world.queue(requires_session=True)
    got: list[SessionLock] = []
    queue.await_session(got.append, ignore)
    await world.queue(requires_session=True, status=EntityStatus.DISABLED)
    await world.queue(requires_session=True, status=EntityStatus.SEND_DISABLED)
    assert not got
    await world.queue(requires_session=True)
    await send(queue, "1", session_id="a")
    await world.settled()
    assert [lock.session_id for lock in got] == ["a"]


async def test_the_empty_name_is_a_sessions_name(world: World) -> None:
    queue = await world.queue(requires_session=True)
    await send(queue, "x", session_id="")
    with pytest.raises(InvalidOperation, match="SessionId was not set"):
        await send(queue, "y")
    with pytest.raises(InvalidOperation, match="partition key"):
        await send(queue, "z", session_id="a", partition_key="b")
    await world.restart()
    queue = world.again(queue)
    lock = await next_session(world, queue)
    assert lock is not None
    assert (lock.session_id, texts(queue.acquire_of(lock, 9))) == ("", ["x"])
