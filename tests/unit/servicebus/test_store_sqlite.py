"""What only the durable store can meet: full disks, damaged files, other people's files."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import stat
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.clock import ManualClock
from orchestrator.localcloud.servicebus.broker import Broker, durably
from orchestrator.localcloud.servicebus.errors import (
    BrokerError,
    StoreCorrupt,
    StoreFailed,
    StoreFull,
)
from orchestrator.localcloud.servicebus.model import IncomingMessage, StoredMessage
from orchestrator.localcloud.servicebus.store.contract import MAX_SEQUENCE, SEQUENCE_BITS, Change
from orchestrator.localcloud.servicebus.store.sqlite import SqliteStore
from tests.unit.servicebus.world import World, abandon, complete, dead_letter, send, texts


def put(sequence: int, size: int) -> Change:
    change = Change()
    change.put(1, StoredMessage(sequence, bytes(size), 0.0))
    return change


async def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "broker.sqlite")
    await store.open()
    await durably(lambda done: store.commit(put(1, 10), done))
    if os.name == "posix":
        for file in tmp_path.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
    await store.close()


async def test_the_index_of_the_log_is_no_file_at_a_restart_and_after_a_crash(
    tmp_path: Path,
) -> None:
    state, crashed = tmp_path / "state", tmp_path / "crashed"
    state.mkdir()

    def files(folder: Path) -> list[str]:
        return sorted(file.name for file in folder.iterdir())

    for _ in range(2):
        store = SqliteStore(state / "broker.sqlite")
        await store.open()
        assert files(state) == ["broker.sqlite", "broker.sqlite-departed", "broker.sqlite-wal"]
        await store.close()
    await store.open()
    await durably(lambda done: store.commit(put(1, 10), done))
    shutil.copytree(state, crashed)
    await store.close()
    store = SqliteStore(crashed / "broker.sqlite")
    contents = await store.open()
    assert files(crashed) == ["broker.sqlite", "broker.sqlite-departed", "broker.sqlite-wal"]
    assert [row.key for row, _ in contents.messages] == [(1 << SEQUENCE_BITS) + 1]
    await store.close()


async def test_of_a_group_only_those_changes_fail_that_have_no_room(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "broker.sqlite", max_pages=60)
    await store.open()
    await durably(lambda done: store.commit(put(1, 100_000), done))
    results: dict[str, BrokerError | None] = {}

    def note(name: str, change: Change) -> None:
        store.commit(change, lambda error: results.__setitem__(name, error))

    # Given together, they form one group behind the first, which occupies the writer.
    note("small", put(2, 10))
    note("too large", put(3, 300_000))
    delete = Change()
    delete.delete(1, 1)
    note("delete", delete)
    note("fits then", put(4, 90_000))
    await durably(store.barrier)
    assert results["small"] is None
    assert isinstance(results["too large"], StoreFull)
    assert "No room is left" in str(results["too large"])
    assert results["delete"] is None
    assert results["fits then"] is None
    await store.close()
    contents = await SqliteStore(tmp_path / "broker.sqlite").open()
    assert [row.message().sequence for row, _ in contents.messages] == [2, 4]


async def full_world(folder: Path) -> World:
    """A broker whose disk has room for a few messages of 50 kB."""
    path = folder / "broker.sqlite"
    clock = ManualClock()
    store = SqliteStore(path, max_pages=80)
    return await World(clock, store, lambda: SqliteStore(path, max_pages=80)).start()


async def fill(world: World, prefix: str = "id") -> int:
    """Send until the store refuses; how many were accepted."""
    queue = world.broker.find(None, "q")
    assert queue is not None
    for accepted in range(50):
        try:
            await send(queue, f"{accepted:05}" * 10_000, message_id=f"{prefix}{accepted}")
        except StoreFull:
            return accepted
    raise AssertionError("the disk was never full")


async def test_a_full_disk_refuses_sends_and_serves_all_else(tmp_path: Path) -> None:
    world = await full_world(tmp_path)
    queue = await world.queue(requires_duplicate_detection=True)
    accepted = await fill(world)
    assert accepted > 2
    refused = f"id{accepted}"
    counts = queue.counts()
    assert counts.active == accepted
    assert counts.size_in_bytes == accepted * 50_000
    # The refused message was never seen, so that a second try is no duplicate.
    (lock,) = queue.acquire(1)
    await complete(queue, lock)
    assert await send(queue, "x" * 50_000, message_id=refused) != [0]
    # A small one may still fit; a full disk is not a broken queue.
    locks = queue.acquire(100)
    assert len(locks) == accepted
    for lock in locks:
        await complete(queue, lock)
    assert queue.counts().total == 0
    again = await fill(world, "new")
    assert again >= accepted - 1
    await world.restart()
    assert world.again(queue).counts().active == again
    await world.broker.close()


async def test_a_dead_letter_move_without_room_leaves_the_message_where_it_is(
    tmp_path: Path,
) -> None:
    world = await full_world(tmp_path)
    queue = await world.queue(max_delivery_count=1, lock_duration=10.0)
    accepted = await fill(world)
    (lock,) = queue.acquire(1)
    # The move writes the message anew before it deletes it: there is no room for both.
    with pytest.raises(StoreFull):
        await dead_letter(queue, lock, "reason")
    assert queue.locked(lock.token) is lock
    assert queue.counts().dead_letter == 0
    # The lock expires, the move is due by the broker itself, and tried again until it succeeds.
    await world.pass_time(10)
    assert queue.counts().active == accepted
    assert texts(queue.dead_letter.acquire(1)) == []
    (other,) = queue.acquire(1)
    await complete(queue, other)
    await world.pass_time(5)
    assert queue.counts().dead_letter == 1
    assert queue.counts().active == accepted - 2
    (dead,) = queue.dead_letter.peek(0, 5)
    assert dead.details.dead_letter_reason == "MaxDeliveryCountExceeded"
    await world.broker.close()


async def test_a_queue_that_cannot_be_stored_does_not_exist(tmp_path: Path) -> None:
    world = await full_world(tmp_path)
    await world.queue()
    await fill(world)
    while True:
        try:
            await send(await world.queue(), "y" * 2000, message_id=None)
        except StoreFull:
            break
    names = [f"{'n' * 200}{number}" for number in range(200)]
    made = []
    try:
        for name in names:
            await world.queue(name)
            made.append(name)
    except StoreFull:
        pass
    assert len(made) < len(names)
    await world.restart()
    assert {info.name for info in world.broker.queues("fibonacci")} == {"q", *made}
    await world.broker.close()


async def test_a_damaged_file_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "broker.sqlite"
    path.write_bytes(b"this is not a database, it is a diary" * 500)
    with pytest.raises(StoreCorrupt, match=r"broker\.sqlite"):
        await Broker(SqliteStore(path), ManualClock()).open()
    assert path.read_bytes().startswith(b"this is not a database")


async def test_a_file_with_damaged_pages_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broker.sqlite"
    store = SqliteStore(path)
    await store.open()
    for number in range(1, 200):
        store.commit(put(number, 500), None)
    await store.close()
    content = bytearray(path.read_bytes())
    for page in range(4096, len(content), 4096):
        content[page : page + 64] = b"\xff" * 64
    path.write_bytes(content)
    with pytest.raises(StoreCorrupt, match=r"broker\.sqlite"):
        await SqliteStore(path).open()


async def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broker.sqlite"
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("CREATE TABLE recipes (name TEXT)")
    other.close()
    with pytest.raises(StoreCorrupt, match="another program's database"):
        await SqliteStore(path).open()


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broker.sqlite"
    store = SqliteStore(path)
    await store.open()
    await store.close()
    with closing(sqlite3.connect(path)) as newer, newer:
        newer.execute("PRAGMA user_version=99")
    newer.close()
    with pytest.raises(StoreCorrupt, match=r"newer version \(schema 99"):
        await SqliteStore(path).open()


async def test_a_store_that_is_a_folder_or_nowhere_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed, match="cannot be opened"):
        await SqliteStore(tmp_path).open()
    with pytest.raises(StoreFailed, match="cannot be opened"):
        await SqliteStore(tmp_path / "no" / "such" / "broker.sqlite").open()


async def test_a_store_that_refuses_writes_fails_sends_and_serves_again_later(
    tmp_path: Path,
) -> None:
    world = await full_world(tmp_path)
    queue = await world.queue()
    await send(queue, "before")
    assert isinstance(world.store, SqliteStore)
    assert world.store._connection is not None
    world.store._connection.execute("PRAGMA query_only=ON")
    with pytest.raises(StoreFailed, match="could not be written") as failed:
        await send(queue, "refused")
    assert not isinstance(failed.value, StoreFull)
    (lock,) = queue.acquire(5)
    with pytest.raises(StoreFailed):
        await abandon(queue, lock)
    world.store._connection.execute("PRAGMA query_only=OFF")
    await complete(queue, lock)
    await send(queue, "after")
    await world.restart()
    assert texts(world.again(queue).peek(0, 5)) == ["after"]
    await world.broker.close()


async def test_senders_share_a_commit(tmp_path: Path) -> None:
    world = await World(
        ManualClock(), SqliteStore(tmp_path / "b.sqlite"), lambda: SqliteStore(tmp_path / "b")
    ).start()
    queue = await world.queue()
    commits = 0

    def count(statement: str) -> None:
        nonlocal commits
        commits += statement == "COMMIT"

    assert isinstance(world.store, SqliteStore)
    assert world.store._connection is not None
    world.store._connection.set_trace_callback(count)
    await asyncio.gather(
        *(
            durably(lambda done, n=n: queue.send([IncomingMessage(b"%d" % n)], done))  # type: ignore[misc]
            for n in range(200)
        )
    )
    assert queue.counts().active == 200
    assert commits < 20
    await world.broker.close()


async def test_what_nobody_waits_for_is_written_after_its_patience(tmp_path: Path) -> None:
    path = tmp_path / "broker.sqlite"
    store = SqliteStore(path)
    await store.open()
    await durably(lambda done: store.commit(put(1, 10), done, patience=0.001))
    # The store keeps its file to itself: what a crash would leave is looked at.
    found = tmp_path / "found"
    found.mkdir()
    for file in tmp_path.glob("broker.sqlite*"):
        shutil.copy(file, found)
    assert not list(found.glob("*-shm"))
    with closing(sqlite3.connect(found / "broker.sqlite")) as reader, reader:
        assert reader.execute("SELECT count(*) FROM messages").fetchone() == (1,)
    reader.close()
    await store.close()


async def test_patient_changes_share_a_transaction_with_the_next_that_is_awaited(
    tmp_path: Path,
) -> None:
    store = SqliteStore(tmp_path / "broker.sqlite")
    await store.open()
    assert store._connection is not None
    statements: list[str] = []
    store._connection.set_trace_callback(statements.append)
    for number in range(1, 50):
        store.commit(put(number, 10), None, patience=3600.0)
    await asyncio.sleep(0.01)
    assert statements == []
    await durably(lambda done: store.commit(put(50, 10), done))
    assert statements.count("COMMIT") == 1
    await store.close()
    contents = await SqliteStore(store.path).open()
    assert len(list(contents.messages)) == 50


async def test_only_a_group_that_somebody_waits_for_is_forced_to_the_disk(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "broker.sqlite")
    await store.open()
    assert store._connection is not None
    levels: list[str] = []

    def note(statement: str) -> None:
        if statement.startswith("PRAGMA synchronous"):
            levels.append(statement.partition("=")[2])

    store._connection.set_trace_callback(note)
    await durably(lambda done: store.commit(put(1, 10), done, patience=0.001))
    await durably(lambda done: store.commit(put(2, 10), done))
    assert levels == ["NORMAL", "FULL"]
    await store.close()


async def test_what_is_deleted_in_runs_and_alone_is_gone_and_nothing_else(tmp_path: Path) -> None:
    gone = {1, 2, 3, 4, 7, 9, 10, 12, 13, 14, 640, *range(700, 1300)}
    store = SqliteStore(tmp_path / "broker.sqlite")
    await store.open()
    for queue in (1, 2):
        change = Change()
        change.put(queue, *(StoredMessage(number, b"m", 0.0) for number in range(1, 1501)))
        await durably(lambda done, change=change: store.commit(change, done))
    change = Change()
    change.delete(1, *sorted(gone, key=lambda number: number % 7))
    await durably(lambda done: store.commit(change, done))
    await store.close()
    contents = await store.open()
    left: dict[int, list[int]] = {queue: [] for queue in (1, 2)}
    for row, _ in contents.messages:
        left[row.queue].append(row.key & MAX_SEQUENCE)
    assert left == {1: [n for n in range(1, 1501) if n not in gone], 2: list(range(1, 1501))}
    await store.close()


async def committed(store: SqliteStore, change: Change) -> None:
    await durably(lambda done: store.commit(change, done))


async def writers(path: Path, unnoticed: float, *changes: Change) -> list[bool]:
    """For each change, whether the event loop's thread wrote it (and not the store's)."""
    store = SqliteStore(path, unnoticed=unnoticed)
    await store.open()
    assert store._connection is not None
    threads: list[int] = []
    store._connection.set_trace_callback(lambda _: threads.append(threading.get_ident()))
    found = []
    for change in changes:
        threads.clear()
        await committed(store, change)
        (thread,) = set(threads)
        found.append(thread == threading.get_ident())
    await store.close()
    return found


async def test_small_groups_are_committed_in_the_loop_where_the_disk_is_fast(
    tmp_path: Path,
) -> None:
    many = Change()
    many.put(1, *(StoredMessage(number, b"m", 0.0) for number in range(10, 1000)))
    changes = [put(1, 10), many, put(2000, 1_000_000), put(2001, 10)]
    fast = await writers(tmp_path / "fast.sqlite", float("inf"), *changes)
    assert fast == [True, False, False, True]
    slow = await writers(tmp_path / "slow.sqlite", 0.0, *changes)
    assert slow == [False, False, False, False]


@pytest.mark.parametrize("unnoticed", [0.0, float("inf")])
async def test_what_waits_while_the_thread_writes_is_committed_after_it(
    tmp_path: Path, unnoticed: float
) -> None:
    store = SqliteStore(tmp_path / "broker.sqlite", unnoticed=unnoticed)
    await store.open()
    order: list[int] = []
    finished = asyncio.Event()

    def note(number: int) -> Callable[[BrokerError | None], None]:
        def done(error: BrokerError | None) -> None:
            assert error is None
            order.append(number)
            if len(order) == 60:
                finished.set()

        return done

    for number in range(1, 61):
        # Every third is large, hence the thread's; those behind it come while it writes.
        store.commit(put(number, 300_000 if number % 3 == 0 else 10), note(number))
        await asyncio.sleep(0)
    await asyncio.wait_for(finished.wait(), 60)
    assert order == list(range(1, 61))
    await store.close()
    assert len(list((await SqliteStore(store.path).open()).messages)) == 60


async def test_the_last_number_of_a_queue_outlives_every_message_of_it(tmp_path: Path) -> None:
    # It is in its message, and written elsewhere only when that goes: in each way that it can go.
    path = tmp_path / "broker.sqlite"
    for first in (1, 11, 21):
        store = SqliteStore(path)
        last = (await store.open()).last
        assert last == ({} if first == 1 else {1: first - 1, 2: first - 1})
        for number in range(first, first + 10):
            for queue in (1, 2):
                change = Change()
                change.put(queue, StoredMessage(number, b"m", 0.0))
                if first == 21:
                    change.delete(queue, number)  # gone in the transaction in which it came
                await committed(store, change)
        if first == 11:
            await store.close()  # the next one finds it in the messages alone
            store = SqliteStore(path)
            assert (await store.open()).last == {1: 20, 2: 20}
        change = Change()
        for queue in (1, 2):
            change.delete(queue, *range(first, first + 10))
        await committed(store, change)
        await store.close()
    contents = await SqliteStore(path).open()
    assert list(contents.messages) == []
    assert contents.last == {1: 30, 2: 30}


async def test_a_start_gives_back_to_the_disk_what_a_long_queue_has_left(tmp_path: Path) -> None:
    path = tmp_path / "broker.sqlite"
    store = SqliteStore(path)
    await store.open()
    await durably(lambda done: store.commit(put(1, 100), done))
    for sequence in range(2, 42):
        change = put(sequence, 1_000_000)
        await durably(lambda done, change=change: store.commit(change, done))  # type: ignore[misc]
    gone = Change()
    gone.delete(1, *range(2, 42))
    await durably(lambda done: store.commit(gone, done))
    await store.close()
    assert path.stat().st_size > 40_000_000

    store = SqliteStore(path)
    contents = await store.open()
    assert path.stat().st_size < 1_000_000
    assert [row.message().payload for row, _ in contents.messages] == [bytes(100)]
    await store.close()


async def test_a_start_shrinks_nothing_where_there_is_no_room_for_it(tmp_path: Path) -> None:
    path = tmp_path / "broker.sqlite"
    store = SqliteStore(path)
    await store.open()
    for sequence in range(1, 42):
        change = put(sequence, 1_000_000)
        await durably(lambda done, change=change: store.commit(change, done))  # type: ignore[misc]
    gone = Change()
    gone.delete(1, *range(2, 42))
    await durably(lambda done: store.commit(gone, done))
    await store.close()

    class NoRoom(sqlite3.Connection):
        def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:  # type: ignore[override]
            if sql == "VACUUM":
                raise sqlite3.OperationalError("database or disk is full")
            return super().execute(sql, *parameters)

    store = SqliteStore(path)
    connect = sqlite3.connect
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, factory=NoRoom, **k))
        contents = await store.open()
    assert [row.message().payload for row, _ in contents.messages] == [bytes(1_000_000)]
    await store.close()
