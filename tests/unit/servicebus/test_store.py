"""The contract of a store, on each of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import UUID

import pytest

from orchestrator.localcloud.servicebus.broker import durably
from orchestrator.localcloud.servicebus.errors import StoreFailed
from orchestrator.localcloud.servicebus.model import (
    NEVER,
    Details,
    LockedMessage,
    MessageState,
    StoredMessage,
)
from orchestrator.localcloud.servicebus.store.contract import Change, Contents, Store, key_of
from orchestrator.localcloud.servicebus.store.memory import MemoryStore
from orchestrator.localcloud.servicebus.store.sqlite import SqliteStore

TOKEN = UUID("6d2ad4ab-7ba8-4b0e-9d2c-6d8b0f8f3a01").bytes_le


class Shop:
    """A store that can be closed and opened again."""

    def __init__(self, again: Callable[[], Store]) -> None:
        self._again = again
        self.store = again()

    async def reopen(self) -> Contents:
        await self.store.close()
        self.store = self._again()
        contents = await self.store.open()
        contents.messages = list(contents.messages)
        return contents

    async def commit(self, change: Change) -> None:
        await durably(lambda done: self.store.commit(change, done))


@pytest.fixture(params=["memory", "sqlite", "sqlite-in-the-loop"])
async def shop(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shop]:
    if request.param == "memory":
        memory = MemoryStore()
        shop = Shop(lambda: memory)
    else:
        unnoticed = 0.0 if request.param == "sqlite" else float("inf")
        shop = Shop(lambda: SqliteStore(tmp_path / "broker.sqlite", unnoticed=unnoticed))
    await shop.store.open()
    yield shop
    await shop.store.close()


def message(sequence: int, **fields: object) -> StoredMessage:
    defaults: dict[str, object] = {"payload": b"p", "enqueued_at": 1.5}
    return StoredMessage(sequence, **(defaults | fields))  # type: ignore[arg-type]


async def test_everything_of_a_message_comes_back(shop: Shop) -> None:
    details = Details(
        session_id="s",
        partition_key="p\u00e9",
        scheduled_at=7.25,
        enqueued_sequence=3,
        dead_letter_reason="r",
        dead_letter_description="d",
        dead_letter_source="q",
        modified=bytes(range(256)),
    )
    change = Change()
    change.put(
        4,
        message(
            9,
            payload=bytes(range(256)) * 10,
            expires_at=99.125,
            details=details,
            delivery_count=5,
            state=MessageState.SCHEDULED,
        ),
    )
    change.put(4, message(10, payload=b""))
    await shop.commit(change)
    rows = (await shop.reopen()).messages
    (row, state), (plain, _) = rows
    found = row.message()
    assert state is None
    assert row.queue == 4
    assert found.sequence == 9
    assert found.payload == bytes(range(256)) * 10
    assert (found.enqueued_at, found.expires_at) == (1.5, 99.125)
    assert found.details == details
    assert found.delivery_count == 5
    assert found.state is MessageState.SCHEDULED
    assert plain.message().payload == b""
    assert plain.message().expires_at == NEVER


async def test_what_has_departed_does_not_come_back(shop: Shop) -> None:
    """Not even where nothing deletes it, as when the process is killed; its number stays told."""
    change = Change()
    for sequence in (1, 2, 3):
        change.put(1, message(sequence))
        change.note_sequence(1, sequence)
    await shop.commit(change)
    shop.store.depart(key_of(1, 1))
    shop.store.depart(key_of(1, 3))
    for _ in range(2):
        contents = await shop.reopen()
        assert [row.message().sequence for row, _ in contents.messages] == [2]
        assert contents.last == {1: 3}


async def test_messages_come_in_order_of_queue_and_sequence(shop: Shop) -> None:
    change = Change()
    for queue, sequence in [(2, 1), (1, 7), (1, 1 << 39), (1, 2), (2**20, 1)]:
        change.put(queue, message(sequence))
    await shop.commit(change)
    rows = (await shop.reopen()).messages
    assert [(row.queue, row.message().sequence) for row, _ in rows] == [
        (1, 2),
        (1, 7),
        (1, 1 << 39),
        (2, 1),
        (2**20, 1),
    ]


async def test_the_last_update_holds_and_a_deletion_takes_it_along(shop: Shop) -> None:
    first, second = message(1), message(2)
    change = Change()
    change.put(1, first)
    change.put(1, second)
    await shop.commit(change)
    change = Change()
    lock = LockedMessage(first, TOKEN, 60.5)
    change.update(1, first, lock=lock)
    change.update(1, second, lock=LockedMessage(second, TOKEN, 61.5))
    shop.store.commit(change, None)
    change = Change()
    change.update(1, second, state=MessageState.DEFERRED, delivery_count=3, modified=b"\x00map")
    shop.store.commit(change, None)
    contents = await shop.reopen()
    (_, of_first), (_, of_second) = contents.messages
    assert of_first is not None
    assert of_second is not None
    assert (of_first.token, of_first.locked_until) == (TOKEN, 60.5)
    assert of_second.token is None
    assert (of_second.state, of_second.delivery_count, of_second.modified) == (1, 3, b"\x00map")
    change = Change()
    change.delete(1, 1)
    change.delete(1, 77)
    await shop.commit(change)
    contents = await shop.reopen()
    assert [row.message().sequence for row, _ in contents.messages] == [2]


async def test_the_highest_sequence_number_is_kept_when_its_message_is_gone(shop: Shop) -> None:
    change = Change()
    change.put(1, message(41))
    change.put(1, message(42))
    await shop.commit(change)
    change = Change()
    change.delete(1, 41)
    change.delete(1, 42)
    await shop.commit(change)
    contents = await shop.reopen()
    assert contents.messages == []
    assert contents.last == {1: 42}


async def test_history_is_remembered_and_forgotten(shop: Shop) -> None:
    change = Change()
    change.remember(1, "a", 10.0)
    change.remember(1, "b", 20.0)
    change.remember(2, "a", 30.0)
    await shop.commit(change)
    change = Change()
    change.forget(1, "a")
    shop.store.commit(change, None)
    change = Change()
    change.remember(1, "b", 25.0)
    await shop.commit(change)
    history = {tuple(row) for row in (await shop.reopen()).history}
    assert history == {(1, "b", 25.0), (2, "a", 30.0)}


async def test_definitions_are_kept_replaced_and_removed(shop: Shop) -> None:
    change = Change()
    change.define("queue", "ns|a", b'{"v":1}')
    change.define("queue", "ns|b", b'{"v":1}')
    await shop.commit(change)
    change = Change()
    change.define("queue", "ns|a", b'{"v":2}')
    change.define("queue", "ns|b", None)
    change.define("queue", "ns|never", None)
    await shop.commit(change)
    assert (await shop.reopen()).definitions == [("queue", "ns|a", b'{"v":2}')]


async def test_dropping_a_queue_takes_all_of_it_and_nothing_else(shop: Shop) -> None:
    change = Change()
    for queue in (4, 5, 6):
        change.put(queue, message(1))
        change.update(queue, message(1), delivery_count=1)
        change.remember(queue, "id", 10.0)
    await shop.commit(change)
    change = Change()
    change.drop(5)
    await shop.commit(change)
    contents = await shop.reopen()
    assert [row.queue for row, _ in contents.messages] == [4, 6]
    assert set(contents.last) == {4, 6}
    assert {row.queue for row in contents.history} == {4, 6}


async def test_callbacks_come_in_order_and_never_from_within_the_call(shop: Shop) -> None:
    order: list[int] = []
    for number in range(1, 2001):
        change = Change()
        change.put(1, message(number))
        shop.store.commit(change, lambda error, number=number: order.append(number))  # type: ignore[misc]
        assert not order or order[-1] < number
    assert order == []
    await durably(shop.store.barrier)
    assert order == list(range(1, 2001))


async def test_a_failing_callback_does_not_harm_the_others(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(error: object) -> None:
        raise ZeroDivisionError

    first, second = Change(), Change()
    first.put(1, message(1))
    second.put(1, message(2))
    shop.store.commit(first, fails)
    await durably(lambda done: shop.store.commit(second, done))
    assert "a store callback failed" in caplog.text


async def test_closing_commits_what_was_given_and_later_changes_fail(shop: Shop) -> None:
    told: list[object] = []
    change = Change()
    change.put(1, message(1))
    shop.store.commit(change, told.append)
    await shop.store.close()
    await asyncio.sleep(0)
    assert told == [None]
    late = Change()
    late.put(1, message(2))
    with pytest.raises(StoreFailed, match="closed"):
        await durably(lambda done: shop.store.commit(late, done))
    with pytest.raises(StoreFailed):
        await durably(shop.store.barrier)
    await shop.store.close()
    assert [row.message().sequence for row, _ in (await shop.reopen()).messages] == [1]
