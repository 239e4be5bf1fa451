"""The live stream: from its first line to its last, none twice, none left out, nobody held up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from orchestrator.localcloud.logs import feed as feed_module
from orchestrator.localcloud.logs.feed import FeedLine
from orchestrator.localcloud.logs.stream import (
    UnknownReplicaError,
    as_json,
    as_text,
    read,
    timestamp,
)

from .conftest import Logs

NAMES = ("sender-abc1234", "sender-abc1234-x1y2z", "sender")
REPLICA = NAMES[1]


class Reader:
    """Reads a stream in the background."""

    def __init__(self, logs: Logs, *, tail: int = 300, follow: bool = True, names: Any = NAMES):
        self.lines: list[FeedLine] = []
        self._stream = read(logs.store, *names, tail=tail, follow=follow)
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for group in self._stream:
            self.lines.extend(group)

    @property
    def texts(self) -> list[str]:
        return [line.text for line in self.lines]

    async def until(self, count: int) -> None:
        while len(self.lines) < count:
            assert not self.task.done(), self.texts
            await asyncio.sleep(0)


async def test_lines_come_as_they_are_written_and_end_with_the_replica(logs: Logs) -> None:
    logs.store.replica_started(*NAMES[:2])
    reader = Reader(logs)
    for n in range(3):
        logs.line(f"line {n}")
        await reader.until(n + 1)
    logs.store.replica_ended(REPLICA)
    await reader.task
    assert reader.texts == ["line 0", "line 1", "line 2"]
    # All of it without the log file.
    assert not logs.path.exists()


async def test_a_stream_opened_late_begins_with_the_tail_it_asks_for(logs: Logs) -> None:
    for n in range(10):
        logs.line(f"line {n}")
    readers = [Reader(logs, tail=tail) for tail in (0, 3, 300)]
    await asyncio.sleep(0)
    logs.line("new")
    logs.store.replica_ended(REPLICA)
    await asyncio.gather(*(reader.task for reader in readers))
    old = [f"line {n}" for n in range(10)]
    assert [reader.texts for reader in readers] == [["new"], [*old[-3:], "new"], [*old, "new"]]


async def test_without_follow_a_stream_ends_after_the_tail(logs: Logs) -> None:
    for n in range(5):
        logs.line(f"line {n}")
    reader = Reader(logs, tail=2, follow=False)
    await reader.task
    assert reader.texts == ["line 3", "line 4"]


async def test_a_tail_longer_than_memory_holds_comes_from_the_file(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "RING_LINES", 5)
    for n in range(20):
        logs.line(f"line {n}")
    reader = Reader(logs, tail=12)
    await reader.until(12)
    logs.line("new")
    logs.store.replica_ended(REPLICA)
    await reader.task
    assert reader.texts == [*(f"line {n}" for n in range(8, 20)), "new"]


async def test_an_ended_replica_is_streamed_from_the_file_after_a_restart(tmp_path: Path) -> None:
    first = await Logs(tmp_path / "logs.duckdb").start()
    for n in range(8):
        first.line(f"line {n}", stream="stderr" if n % 2 else "stdout")
    await first.close()
    second = await Logs(tmp_path / "logs.duckdb").start()
    reader = Reader(second, tail=3)
    await reader.task
    assert [(line.text, line.stream) for line in reader.lines] == [
        ("line 5", "stderr"),
        ("line 6", "stdout"),
        ("line 7", "stderr"),
    ]
    await second.close()


async def test_containers_of_a_replica_have_streams_of_their_own(logs: Logs) -> None:
    main, side = Reader(logs, names=NAMES), Reader(logs, names=(*NAMES[:2], "side"))
    for task in (main.task, side.task):
        with pytest.raises(UnknownReplicaError):
            await task
    logs.store.replica_started(*NAMES[:2])
    main, side = Reader(logs, names=NAMES), Reader(logs, names=(*NAMES[:2], "side"))
    await asyncio.sleep(0)
    logs.line("from main")
    logs.line("from side", container="side")
    logs.store.replica_ended(REPLICA)
    await asyncio.gather(main.task, side.task)
    assert (main.texts, side.texts) == (["from main"], ["from side"])


async def test_a_replica_of_another_execution_is_not_found(logs: Logs) -> None:
    logs.line("a")
    for names in (("sender-other", *NAMES[1:]), (NAMES[0], "nobody", "sender")):
        with pytest.raises(UnknownReplicaError):
            await Reader(logs, names=names).task
    logs.store.replica_ended(REPLICA)
    with pytest.raises(UnknownReplicaError):
        await Reader(logs, names=(*NAMES[:2], "nothing")).task


async def test_a_replica_that_wrote_nothing_has_an_empty_stream(logs: Logs) -> None:
    logs.store.replica_started(*NAMES[:2])
    logs.store.replica_ended(REPLICA)
    reader = Reader(logs)
    await reader.task
    assert reader.texts == []


async def test_a_slow_reader_holds_nobody_up_and_still_gets_every_line(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "QUEUE_CHARACTERS", 2_000)
    logs.store.replica_started(*NAMES[:2])
    stream = read(logs.store, *NAMES, tail=0, follow=True)
    got: list[FeedLine] = list(await anext(stream))
    expected = []
    for burst in range(3):
        # The reader does not run while 5,000 lines are written: its queue overflows.
        for n in range(5_000):
            expected.append(f"{burst} {n}")
            logs.line(expected[-1])
        subscriptions = logs.store.feed.find(*NAMES[:2]).subscriptions["sender"]
        assert all(len(s._queue) < 100 for s in subscriptions)
        got.extend(await anext(stream))
    logs.store.replica_ended(REPLICA)
    async for group in stream:
        got.extend(group)
    assert [line.text for line in got] == expected
    assert [line.time for line in got] == sorted({line.time for line in got})


async def test_lines_that_are_nowhere_to_be_had_are_said_to_be_missing(tmp_path: Path) -> None:
    path = tmp_path / "logs.duckdb"
    logs = await Logs(path).start()
    logs.line("one")
    assert await logs.store.flush()

    def broken(_: Any) -> None:
        raise OSError(28, "No space left on device")

    write, logs.store._database.write = logs.store._database.write, broken
    stream = read(logs.store, *NAMES, tail=10, follow=True)
    got = list(await anext(stream))
    for subscription in logs.store.feed.find(*NAMES[:2]).subscriptions["sender"]:
        subscription.behind = True
        subscription._news.set()
    logs.line("two")
    logs.store.replica_ended(REPLICA)
    async for group in stream:
        got.extend(group)
    assert [line.text for line in got] == [
        "one",
        "[lines were dropped here: this stream was read too slowly]",
    ]
    logs.store._database.write = write
    await logs.close()


async def test_stream_and_table_agree_on_the_time_of_every_line(logs: Logs) -> None:
    logs.store.replica_started(*NAMES[:2])
    reader = Reader(logs)
    for n in range(50):
        logs.line(str(n))
    rows = await logs.rows(
        "ContainerAppConsoleLogs_CL | order by TimeGenerated asc | project TimeGenerated, Log_s"
    )
    logs.store.replica_ended(REPLICA)
    await reader.task
    # A datetime of an answer ends with its last digit that says something.
    streamed = [
        [timestamp(line.time).rstrip("Z").rstrip("0").rstrip(".") + "Z", line.text]
        for line in reader.lines
    ]
    assert streamed == rows


async def test_a_stream_with_nothing_to_say_gives_sign_of_life(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.localcloud.logs.stream._PULSE", 0.01)
    logs.store.replica_started(*NAMES[:2])
    stream = read(logs.store, *NAMES, tail=0, follow=True)
    groups: list[Sequence[FeedLine]] = [await anext(stream) for _ in range(4)]
    assert groups == [[], [], [], []]
    await stream.aclose()
    assert not logs.store.feed.find(*NAMES[:2]).subscriptions["sender"]


async def test_only_the_last_ended_replicas_are_remembered(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "ENDED_REPLICAS", 3)
    for n in range(10):
        logs.line("x", execution=f"sender-{n}", replica=f"sender-{n}-a")
        logs.store.replica_ended(f"sender-{n}-a")
    assert len(logs.store.feed._ended) == 3
    reader = Reader(logs, names=("sender-0", "sender-0-a", "sender"))
    await reader.task
    assert reader.texts == ["x"]


def test_the_two_outputs() -> None:
    line = FeedLine(1_767_225_600_123_456, "stderr", 'a "quoted" é line')
    assert as_text(line) == '2026-01-01T00:00:00.123456Z stderr F a "quoted" é line\n'
    assert json.loads(as_json(line)) == {
        "TimeStamp": "2026-01-01T00:00:00.123456Z",
        "Log": 'a "quoted" é line',
    }
    assert as_json(line).endswith("}\n")
    broken = FeedLine(0, "stdout", "one\ntwo")
    assert as_text(broken).splitlines() == [
        "1970-01-01T00:00:00.000000Z stdout F one",
        "1970-01-01T00:00:00.000000Z stdout F two",
    ]
