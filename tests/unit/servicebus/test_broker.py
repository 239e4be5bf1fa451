"""Namespaces, queues, names and keys."""

from __future__ import annotations

import asyncio

import pytest

from orchestrator.clock import ManualClock
from orchestrator.localcloud.servicebus.broker import Broker
from orchestrator.localcloud.servicebus.definitions import decode
from orchestrator.localcloud.servicebus.errors import (
    EntityNotFound,
    InvalidOperation,
    StoreCorrupt,
)
from orchestrator.localcloud.servicebus.limits import RELAXED
from orchestrator.localcloud.servicebus.model import (
    EntityStatus,
    QueueProperties,
    Right,
    StoredMessage,
)
from orchestrator.localcloud.servicebus.store.contract import Change, Definition
from orchestrator.localcloud.servicebus.store.memory import MemoryStore
from tests.unit.servicebus.world import NAMESPACE, World, send, texts


async def test_definitions_survive_a_restart(world: World) -> None:
    properties = QueueProperties(
        lock_duration=12.5,
        max_delivery_count=3,
        default_message_ttl=3600.0,
        requires_duplicate_detection=True,
        dead_letter_on_expiration=True,
        max_size_in_megabytes=2048,
        status=EntityStatus.SEND_DISABLED,
    )
    made = await world.broker.put_queue(NAMESPACE, "Parameters/One", properties)
    await world.broker.put_rule(NAMESPACE, "Reader", frozenset({Right.LISTEN}), "parameters/one")
    rules = world.broker.rules(NAMESPACE) + world.broker.rules(NAMESPACE, "Parameters/One")
    await world.restart()
    assert world.broker.namespaces() == [NAMESPACE]
    assert world.broker.queues(NAMESPACE) == [made]
    assert made.properties == properties
    assert (made.name, made.created_at) == ("Parameters/One", world.clock.time())
    again = world.broker.rules(NAMESPACE) + world.broker.rules(NAMESPACE, "Parameters/One")
    assert again == rules
    assert [rule.name for rule in again] == ["RootManageSharedAccessKey", "Reader"]


async def test_names_are_case_insensitive_and_keep_their_first_spelling(world: World) -> None:
    await world.broker.put_namespace("FIBONACCI")
    assert world.broker.namespaces() == [NAMESPACE]
    first = await world.broker.put_queue("Fibonacci", "Results", QueueProperties())
    await world.pass_time(5)
    second = await world.broker.put_queue("FIBONACCI", "RESULTS", QueueProperties())
    assert second.name == "Results"
    assert second.created_at == first.created_at
    assert second.updated_at == first.updated_at + 5
    assert world.broker.queue("fibonacci", "results") is world.broker.queue("FIBONACCI", "RESULTS")


async def test_an_address_finds_its_queue(world: World) -> None:
    queue = await world.queue("Results")
    broker = world.broker
    for host in ("fibonacci.servicebus.windows.net", "FIBONACCI.servicebus.localhost:5671"):
        assert broker.find(host, "results") is queue
    for host in ("127.0.0.1:14672", "localhost", "[::1]:14672", "", None):
        assert broker.find(host, "/RESULTS/") is queue
        assert broker.find(host, "results/$deadletterqueue") is queue.dead_letter
    assert broker.find(None, "results/$DeadLetterQueue/x") is None
    assert broker.find(None, "nothing") is None
    assert broker.find(None, "") is None
    # The namespace that the host names is meant, even where another one has the queue.
    await broker.put_namespace("another")
    assert broker.find("another.servicebus.windows.net", "results") is None
    assert broker.find("127.0.0.1", "results") is queue
    await broker.put_queue("another", "results", QueueProperties())
    assert broker.find("127.0.0.1", "results") is None
    assert broker.find("fibonacci.servicebus.windows.net", "results") is queue


async def test_a_deleted_namespace_is_gone_with_all_in_it(world: World) -> None:
    queue = await world.queue()
    await send(queue, "a")
    await world.broker.put_rule(NAMESPACE, "rule", frozenset({Right.SEND}), "q")
    assert await world.broker.delete_namespace("FIBONACCI")
    assert not await world.broker.delete_namespace(NAMESPACE)
    assert queue.deleted
    assert world.broker.find(None, "q") is None
    assert world.broker.rules(NAMESPACE) == []
    with pytest.raises(EntityNotFound):
        await world.broker.put_queue(NAMESPACE, "q", QueueProperties())
    await world.broker.put_namespace(NAMESPACE)
    assert world.broker.queues(NAMESPACE) == []
    assert world.broker.rules(NAMESPACE, "q") == []
    anew = await world.queue()
    await world.restart()
    assert world.again(anew).counts().total == 0


@pytest.mark.parametrize(
    "properties",
    [
        QueueProperties(lock_duration=4.0),
        QueueProperties(lock_duration=301.0),
        QueueProperties(max_delivery_count=0),
        QueueProperties(max_delivery_count=2001),
        QueueProperties(default_message_ttl=0.5),
        QueueProperties(duplicate_detection_window=10.0),
        QueueProperties(auto_delete_on_idle=299.0),
        QueueProperties(max_size_in_megabytes=1000),
        QueueProperties(max_message_size_in_kilobytes=102401),
    ],
)
async def test_a_setting_out_of_range_is_refused(
    memory_world: World, properties: QueueProperties
) -> None:
    with pytest.raises(InvalidOperation, match="allowed"):
        await memory_world.broker.put_queue(NAMESPACE, "q", properties)
    assert memory_world.broker.queues(NAMESPACE) == []


@pytest.mark.parametrize("name", ["", "/", "-q", "q-", "a b", "a|b", "q" * 261, "q\n"])
async def test_a_queue_name_that_is_not_allowed_is_refused(memory_world: World, name: str) -> None:
    with pytest.raises(InvalidOperation, match="not allowed"):
        await memory_world.broker.put_queue(NAMESPACE, name, QueueProperties())


@pytest.mark.parametrize("name", ["", "1a", "a-", "a_b", "bus-sb", "bus-mgmt", "a" * 51])
async def test_a_namespace_name_that_is_not_allowed_is_refused(
    memory_world: World, name: str
) -> None:
    with pytest.raises(InvalidOperation, match="not allowed"):
        await memory_world.broker.put_namespace(name)


async def test_what_is_fixed_at_creation_cannot_be_changed(memory_world: World) -> None:
    await memory_world.queue(requires_session=True)
    with pytest.raises(InvalidOperation, match="requiresSession cannot be changed"):
        await memory_world.queue(requires_session=False)
    with pytest.raises(InvalidOperation, match="requiresDuplicateDetection cannot be changed"):
        await memory_world.queue(requires_session=True, requires_duplicate_detection=True)


async def test_relaxed_limits_allow_more() -> None:
    broker = Broker(MemoryStore(), ManualClock(), limits=RELAXED)
    await broker.open()
    await broker.put_namespace(NAMESPACE)
    await broker.put_queue(NAMESPACE, "q", QueueProperties(lock_duration=3600.0))
    queue = broker.queue(NAMESPACE, "q")
    assert queue is not None
    assert queue.max_message_size == 100 * 1024 * 1024
    await broker.close()


async def test_keys_are_random_secret_and_renewable(world: World) -> None:
    broker = world.broker
    await broker.put_namespace("another")
    (root,) = broker.rules(NAMESPACE)
    (other,) = broker.rules("another")
    keys = {root.primary_key, root.secondary_key, other.primary_key, other.secondary_key}
    assert len(keys) == 4
    assert not any(key in repr([root, other]) for key in keys)
    renewed = await broker.put_rule(NAMESPACE, root.name, root.rights, primary_key="new")
    assert (renewed.primary_key, renewed.secondary_key) == ("new", root.secondary_key)
    await world.restart()
    assert world.broker.rule(NAMESPACE, "rootmanagesharedaccesskey") == renewed


async def test_a_queues_rule_comes_before_the_namespaces(world: World) -> None:
    broker = world.broker
    await world.queue("a")
    await world.queue("b")
    common = await broker.put_rule(NAMESPACE, "rule", frozenset({Right.LISTEN}))
    own = await broker.put_rule(NAMESPACE, "rule", frozenset({Right.SEND}), "a")
    assert broker.rule(NAMESPACE, "RULE", "A") == own
    assert broker.rule(NAMESPACE, "rule", "b") == common
    assert await broker.delete_rule(NAMESPACE, "rule", "A")
    assert not await broker.delete_rule(NAMESPACE, "rule", "a")
    assert broker.rule(NAMESPACE, "rule", "a") == common
    with pytest.raises(EntityNotFound):
        await broker.put_rule(NAMESPACE, "rule", frozenset({Right.SEND}), "nothing")


async def test_a_change_whose_caller_went_away_is_finished(world: World) -> None:
    task = asyncio.ensure_future(world.broker.put_queue(NAMESPACE, "q", QueueProperties()))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await world.settled()
    await world.settled()
    in_memory = world.broker.find(None, "q")
    await world.restart()
    assert (in_memory is None) == (world.broker.find(None, "q") is None)
    await world.queue()
    assert world.broker.find(None, "q") is not None


async def test_queues_made_at_the_same_time_do_not_get_in_each_others_way(world: World) -> None:
    names = [f"q{number}" for number in range(30)]
    await asyncio.gather(
        *(world.broker.put_queue(NAMESPACE, name, QueueProperties()) for name in names)
    )
    for name in names:
        queue = world.broker.find(None, name)
        assert queue is not None
        await send(queue, name)
    await world.restart()
    for name in names:
        queue = world.broker.find(None, name)
        assert queue is not None
        assert texts(queue.peek(0, 10)) == [name]


@pytest.mark.parametrize(
    ("kind", "body"), [("queue", b"{}"), ("queue", b"not json"), ("surprise", b"{}")]
)
def test_a_definition_that_cannot_be_read_is_named(kind: str, body: bytes) -> None:
    with pytest.raises(StoreCorrupt, match="ns"):
        decode(Definition(kind, "ns|q", body))


async def test_messages_without_a_queue_are_not_dropped_in_silence() -> None:
    store = MemoryStore()
    await store.open()
    change = Change()
    change.put(40, StoredMessage(1, b"orphan", 0.0))
    store.commit(change, None)
    await store.close()
    with pytest.raises(StoreCorrupt, match="unknown queue"):
        await Broker(store, ManualClock()).open()
