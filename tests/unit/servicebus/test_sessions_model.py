"""First in, first out within a session, whatever receivers, time and restarts do."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.clock import ManualClock
from orchestrator.localcloud.servicebus.model import LockedMessage
from orchestrator.localcloud.servicebus.queue import Queue
from orchestrator.localcloud.servicebus.store.memory import MemoryStore
from orchestrator.localcloud.servicebus.structures.session_shelf import SessionLock
from tests.unit.servicebus.world import World, abandon, complete, send, texts

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.sampled_from("abc")),
        st.tuples(st.just("accept"), st.just("")),
        st.tuples(
            st.sampled_from(["receive", "complete", "abandon", "let go"]), st.sampled_from("abc")
        ),
        st.tuples(st.just("wait"), st.sampled_from(["10", "31"])),
        st.tuples(st.just("restart"), st.just("")),
    ),
    min_size=10,
    max_size=60,
)


@settings(max_examples=80)
@given(STEPS)
def test_each_session_is_had_by_one_and_in_order(steps: list[tuple[str, str]]) -> None:
    asyncio.run(_live(steps))


async def _live(steps: list[tuple[str, str]]) -> None:
    store = MemoryStore()
    world = await World(ManualClock(1000.0), store, lambda: store).start()
    queue = await world.queue(requires_session=True, lock_duration=30.0, max_delivery_count=500)
    # What was sent of each session and is not completed, in order.
    left: dict[str, list[str]] = {name: [] for name in "abc"}
    locks: dict[str, SessionLock] = {}
    held: dict[str, list[LockedMessage]] = {name: [] for name in "abc"}
    serial = 0
    for what, which in steps:
        if what == "send":
            serial += 1
            await send(queue, str(serial), session_id=which)
            left[which].append(str(serial))
        elif what == "accept":
            got = await _next(world, queue)
            for lock in got:
                assert lock.session_id not in locks
                assert left[lock.session_id]
                locks[lock.session_id] = lock
        elif what == "wait":
            await world.pass_time(float(which))
            for name in [name for name, lock in locks.items() if lock.over]:
                del locks[name]
                held[name].clear()
        elif what == "restart":
            await world.restart()
            queue = world.again(queue)
            locks.clear()
            for messages in held.values():
                messages.clear()
        elif which in locks:
            await _hold(queue, what, locks, held[which], left[which], which)
        for name, lock in locks.items():
            assert not lock.over, name
    assert queue.counts().active == sum(map(len, left.values()))
    for name, expected in left.items():
        assert texts(queue.peek_session(name, 0, 100)) == expected
    await world.broker.close()


async def _next(world: World, queue: Queue) -> list[SessionLock]:
    got: list[SessionLock] = []
    waiter = queue.await_session(got.append, lambda: None)
    await world.settled()
    waiter.cancel()
    return got


async def _hold(
    queue: Queue,
    what: str,
    locks: dict[str, SessionLock],
    held: list[LockedMessage],
    left: list[str],
    which: str,
) -> None:
    if what == "receive":
        taken = texts(held)
        expected = [text for text in left if text not in taken][:1]
        found = queue.acquire_of(locks[which], 1)
        assert texts(found) == expected
        held += found
    elif what == "let go":
        queue.release_session(locks.pop(which))
        held.clear()
    elif held:
        message = held.pop(0)
        if what == "complete":
            left.remove(message.message.payload.decode())
            await complete(queue, message)
        else:
            await abandon(queue, message)
