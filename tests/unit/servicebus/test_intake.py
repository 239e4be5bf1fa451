"""What a queue refuses of what senders bring: batches of several partitions, large properties."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import pytest

from orchestrator.clock import ManualClock
from orchestrator.localcloud.amqp import sections as s
from orchestrator.localcloud.servicebus.broker import durably
from orchestrator.localcloud.servicebus.errors import (
    InvalidOperation,
    MessageTooLarge,
    PropertiesTooLarge,
)
from orchestrator.localcloud.servicebus.front.messages import read
from orchestrator.localcloud.servicebus.limits import RELAXED, STRICT, Limits
from orchestrator.localcloud.servicebus.model import IncomingMessage
from orchestrator.localcloud.servicebus.store.memory import MemoryStore
from orchestrator.localcloud.servicebus.topics.definitions import TopicProperties
from tests.unit.servicebus.world import NAMESPACE, World

BATCHES = {
    "one partition key": [{"partition_key": "a"}, {"partition_key": "a"}],
    "several partition keys": [{"partition_key": "a"}, {"partition_key": "b"}],
    "with one and without": [{"partition_key": "a"}, {}],
    "several sessions": [{"session_id": "a"}, {"session_id": "b"}],
    "no key at all": [{"message_id": "1"}, {"message_id": "2"}],
}
REFUSED = {"several partition keys", "with one and without", "several sessions"}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    store = MemoryStore()
    made = await World(ManualClock(1000.0), store, lambda: store).start()
    yield made
    await made.broker.close()


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("kind", ["plain", "partitioned", "partitioned, detects duplicates"])
async def test_a_batch_is_of_one_partition(world: World, batch: str, kind: str) -> None:
    queue = await world.queue(
        enable_partitioning=kind != "plain", requires_duplicate_detection="detects" in kind
    )
    refused = kind != "plain" and (
        batch in REFUSED or ("detects" in kind and batch == "no key at all")
    )
    messages = [IncomingMessage(b"x", **fields) for fields in BATCHES[batch]]  # type: ignore[arg-type]
    if refused:
        with pytest.raises(InvalidOperation, match="Batching brokered messages with distinct"):
            queue.check_batch(messages, 2)
    else:
        queue.check_batch(messages, 2)


@pytest.mark.parametrize(
    ("kilobytes", "size"),
    [
        (None, STRICT.batch_size),
        (1024, STRICT.large_batch_size),
        (10 * 1024, STRICT.large_batch_size),
    ],
)
async def test_a_batch_may_have_so_many_bytes(
    world: World, kilobytes: int | None, size: int
) -> None:
    queue = await world.queue(max_message_size_in_kilobytes=kilobytes)
    messages = [IncomingMessage(b"x")]
    queue.check_batch(messages, size + STRICT.batch_slack)
    with pytest.raises(MessageTooLarge, match=f"exceeds the {size} bytes"):
        queue.check_batch(messages, size + STRICT.batch_slack + 1)


@pytest.mark.parametrize("partitioned", [True, False])
async def test_in_a_partitioned_entity_a_duplicate_has_the_same_partition_key_too(
    world: World, partitioned: bool
) -> None:
    queue = await world.queue(requires_duplicate_detection=True, enable_partitioning=partitioned)
    source = await world.queue("source", forward_to="q", enable_partitioning=partitioned)
    payload = s.section(s.PROPERTIES, ["1"]) + s.section(s.DATA, b"x")
    for _ in range(2):
        for fields in ({"partition_key": "a"}, {"partition_key": "b"}, {"session_id": "a"}, {}):
            message = IncomingMessage(payload, message_id="1", **fields)
            for entity in (queue, source):
                await durably(partial(entity.send, [message]))
        await world.settled()
        queue = world.again(queue)
        assert queue.counts().active == (3 if partitioned else 1)
        await world.restart()
        queue, source = world.again(queue), world.again(source)


@pytest.mark.parametrize("partitioned", [True, False])
async def test_a_partition_key_beside_a_session_id_is_the_same(
    world: World, partitioned: bool
) -> None:
    queue = await world.queue(enable_partitioning=partitioned)
    topic = TopicProperties(enable_partitioning=partitioned)
    await world.broker.put_topic(NAMESPACE, "events", topic)
    events = world.broker.find(None, "events")
    assert events is not None
    for entity in (queue, events):
        for same in ("a", ""):
            message = IncomingMessage(b"x", session_id=same, partition_key="a")
            entity.send([message], lambda _: None)
        other = [IncomingMessage(b"x", session_id="a", partition_key="b")]
        if partitioned:
            with pytest.raises(InvalidOperation, match="must be its session id"):
                entity.send(other, lambda _: None)
        else:
            entity.send(other, lambda _: None)


def message(**properties: object) -> IncomingMessage:
    return read(s.section(s.APPLICATION_PROPERTIES, properties) + s.section(s.VALUE, None), 0.0)


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({"small": "x", "large": "v" * (STRICT.property_size + 1)}, "'large' of a message has"),
        ({f"p{n}": "v" * 30_000 for n in range(3)}, "properties of a message have"),
        ({"n" * 70_000: 1}, "properties of a message have"),
    ],
)
async def test_large_properties_are_refused_unless_limits_are_relaxed(
    world: World, properties: dict[str, object], said: str
) -> None:
    queue = await world.queue()
    with pytest.raises(PropertiesTooLarge, match=said):
        queue.send([message(**properties)], lambda _: None)
    assert queue.counts().active == 0
    free = await other(RELAXED)
    queue = await free.queue()
    queue.send([message(**properties)], lambda _: None)
    await free.settled()
    assert queue.counts().active == 1
    await free.broker.close()


async def test_what_fits_passes(world: World) -> None:
    queue = await world.queue()
    just = "v" * STRICT.property_size
    queue.send([message(a=just, b="v" * 30_000)], lambda _: None)
    await world.settled()
    assert queue.counts().active == 1


async def other(limits: Limits) -> World:
    store = MemoryStore()
    return await World(ManualClock(1000.0), store, lambda: store, limits).start()
