"""Lines go in at once, come out in order, and survive what can happen to a file."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.localcloud.logs.database import Batch, LogDatabase, LogStoreError
from orchestrator.localcloud.logs.model import MAX_LINE_BYTES
from orchestrator.localcloud.logs.store import storable

from .conftest import Logs


async def test_a_query_sees_every_line_written_before_it(logs: Logs) -> None:
    for n in range(5):
        logs.line(f"line {n}")
        assert len(await logs.texts()) == n + 1


async def test_lines_of_a_replica_keep_their_order_in_a_frozen_second(logs: Logs) -> None:
    expected = [f"{n % 7} {n}" for n in range(3000)]
    for n, text in enumerate(expected):
        logs.line(text, stream="stderr" if n % 3 else "stdout")
    assert await logs.texts() == expected
    rows = await logs.rows(
        "ContainerAppConsoleLogs_CL | summarize n=count(), d=dcount(_timestamp_d), "
        "e=dcount(TimeGenerated)"
    )
    assert rows == [[3000, 3000, 3000]]


async def test_a_clock_that_steps_back_does_not_reorder_the_lines_of_a_replica(logs: Logs) -> None:
    logs.line("first")
    logs.clock.jump(-3600)
    logs.line("second")
    assert await logs.texts() == ["first", "second"]


async def test_events_of_one_moment_keep_their_order(logs: Logs) -> None:
    reasons = ["SuccessfulCreate", "Pulled", "Started", "ContainerTerminated", "Completed"]
    for reason in reasons:
        logs.event(reason)
    rows = await logs.rows(
        "ContainerAppSystemLogs_CL | order by TimeGenerated asc | project Reason_s"
    )
    assert [row[0] for row in rows] == reasons


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.text(st.characters(exclude_categories=()), max_size=40)
        | st.sampled_from(["", "\0", "\n", "\x1e", "a\x1fb", "\ue000", "\ud800", "\U0010fffe"]),
        min_size=1,
        max_size=8,
    )
)
def test_any_text_comes_back_as_it_went_in(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    """Through the joined form in which batches reach DuckDB, whatever separators a line holds."""
    database = LogDatabase(tmp_path_factory.mktemp("text") / "logs.duckdb")
    stored = [storable(text) for text in texts]
    batch = Batch(sources=[_SOURCE], times=list(range(len(texts))), owners=[0] * len(texts))
    batch.texts = stored
    database.write(batch)
    back = database.tail("e-1", "e-1-a", "c", limit=100)
    assert [line.text for line in back] == stored
    database.close()
    for before, after in zip(texts, stored, strict=True):
        if not any(0xD800 <= ord(c) <= 0xDFFF for c in before):
            assert after == before


_SOURCE = ("w", "/s", "e", "e-1", "e-1-a", "c", "", "5f0e0c1e-6a53-4f0e-9a7d-2f1f4d9e8b10", "i",
           "n", "stdout")  # fmt: skip


async def test_text_survives_the_way_through_the_query(logs: Logs) -> None:
    texts = ["NUL \0 here", 'tab\tquote"back\\slash', "é 😀 \u2028", "'; DROP TABLE console", ""]
    for text in texts:
        logs.line(text)
    assert await logs.texts() == texts


async def test_lone_surrogates_become_replacement_characters_and_pairs_are_joined(
    logs: Logs,
) -> None:
    logs.line("bad \udc80 byte")
    logs.line("pair \ud83d\ude00")
    assert await logs.texts() == ["bad \ufffd byte", "pair 😀"]


async def test_a_line_of_a_mebibyte_is_one_row_and_a_longer_one_is_cut(logs: Logs) -> None:
    logs.line("x" * MAX_LINE_BYTES)
    logs.line("y" * (MAX_LINE_BYTES + 10))
    lengths = await logs.rows(
        "ContainerAppConsoleLogs_CL | order by _timestamp_d asc | project strlen(Log_s)"
    )
    assert [row[0] for row in lengths] == [MAX_LINE_BYTES, MAX_LINE_BYTES, 10]


async def test_buffered_lines_are_written_without_being_asked_for(tmp_path: Path) -> None:
    logs = await Logs(tmp_path / "logs.duckdb", flush_delay=0.01).start()
    logs.line("soon")
    while logs.store._written == 0:
        await asyncio.sleep(0.005)
    assert _count(logs.path, tmp_path) == 1
    await logs.close()


async def test_stopping_writes_what_is_buffered(tmp_path: Path) -> None:
    first = await Logs(tmp_path / "logs.duckdb", flush_delay=60).start()
    first.line("one")
    first.event("Completed")
    await first.close()
    second = await Logs(tmp_path / "logs.duckdb").start()
    assert await second.texts() == ["one"]
    assert await second.rows("ContainerAppSystemLogs_CL | count") == [[1]]
    await second.close()


async def test_sources_of_two_runs_of_the_server_are_kept_apart(tmp_path: Path) -> None:
    for run in ("one", "two"):
        logs = await Logs(tmp_path / "logs.duckdb").start()
        logs.line(run, execution=f"sender-{run}", replica=f"sender-{run}-a")
        await logs.close()
    logs = await Logs(tmp_path / "logs.duckdb").start()
    rows = await logs.rows("ContainerAppConsoleLogs_CL | project ExecutionName_s, Log_s")
    assert sorted(rows) == [["sender-one", "one"], ["sender-two", "two"]]
    await logs.close()


async def test_the_file_is_closed_when_unused_and_opened_again_when_needed(tmp_path: Path) -> None:
    logs = await Logs(tmp_path / "logs.duckdb", idle_close=0.05).start()
    logs.line("one")
    assert await logs.texts() == ["one"]
    while logs.store._database.is_open:
        await asyncio.sleep(0.01)
    assert _count(logs.path, tmp_path) == 1
    logs.line("two")
    assert await logs.texts() == ["one", "two"]
    await logs.close()


async def test_nothing_is_opened_before_it_is_needed(tmp_path: Path) -> None:
    logs = await Logs(tmp_path / "logs.duckdb").start()
    await asyncio.sleep(0)
    await logs.close()
    assert not (tmp_path / "logs.duckdb").exists()


async def test_an_ended_replica_costs_no_memory_in_the_store(logs: Logs) -> None:
    for n in range(20):
        replica = f"sender-{n}-a"
        logs.store.replica_started(f"sender-{n}", replica)
        logs.line("x", execution=f"sender-{n}", replica=replica)
        logs.store.replica_ended(replica)
    assert not logs.store._sources
    assert not logs.store._sources_of
    assert len(await logs.texts()) == 20


# Trouble with the file


async def test_a_file_that_is_no_database_is_refused_by_name_before_duckdb_is_loaded(
    tmp_path: Path,
) -> None:
    path = tmp_path / "logs.duckdb"
    path.write_bytes(b"these are not the bytes of a database" * 100)
    with pytest.raises(LogStoreError) as refusal:
        await Logs(path).start()
    assert str(path) in refusal.value.message
    assert "orchestrator local reset" in refusal.value.hint
    assert path.read_bytes().startswith(b"these")


async def test_a_damaged_file_is_named_and_its_lines_are_kept_until_it_is_moved_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "logs.duckdb"
    # The head of a DuckDB file, then nothing that belongs there.
    path.write_bytes(b"\0" * 8 + b"DUCK" + b"\xff" * 20_000)
    logs = await Logs(path).start()
    logs.line("kept")
    with caplog.at_level(logging.ERROR):
        assert await logs.store.flush() is False
    assert str(path) in caplog.text
    path.rename(tmp_path / "damaged")
    assert await logs.store.flush() is True
    assert await logs.texts() == ["kept"]
    await logs.close()


async def test_a_file_from_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "logs.duckdb"
    database = LogDatabase(path)
    database.connection().execute("UPDATE meta SET version = 99")
    database.close()
    with pytest.raises(LogStoreError, match="newer version"):
        LogDatabase(path).connection()


async def test_lines_wait_while_another_program_holds_the_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "logs.duckdb"
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True);"
            "sys.stdin.read()",
            str(path),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    logs = await Logs(path).start()
    try:
        logs.line("patient")
        assert await logs.store.flush() is False
        assert "in use by another program" in caplog.text
    finally:
        holder.communicate(b"")
    assert await logs.texts() == ["patient"]
    await logs.close()


_FULL_DISK = """
import asyncio, logging, resource, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.unit.logs.conftest import Logs

logging.basicConfig(stream=sys.stdout, format="%(message)s")

async def main():
    logs = await Logs(Path({path!r})).start()
    logs.line("before")
    assert await logs.store.flush()
    # As good as a full disk: no file may grow any further.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    for n in range(20):
        logs.line("meanwhile %d " % n + "x" * 1000)
    assert await logs.store.flush() is False
    logs.line("still accepted")
    assert await logs.store.flush() is False
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert await logs.store.flush() is True
    texts = await logs.texts()
    assert texts[0] == "before" and texts[-1] == "still accepted", texts
    assert len(texts) == 22, len(texts)
    await logs.close()
    print("all kept")

asyncio.run(main())
"""


@pytest.mark.skipif(os.name != "posix", reason="file size limits are POSIX's")
def test_a_full_disk_loses_no_line_and_is_said(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[3])
    script = _FULL_DISK.format(root=root, path=str(tmp_path / "logs.duckdb"))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert "all kept" in done.stdout, done.stdout + done.stderr
    assert "cannot be written" in done.stdout
    assert "written to" in done.stdout


_KILLED = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.unit.logs.conftest import Logs

async def main():
    logs = await Logs(Path({path!r})).start()
    n = int(sys.argv[1])
    while True:
        for _ in range(50):
            logs.line(f"line {{n}}")
            n += 1
        await logs.store.flush()
        print(n, flush=True)

asyncio.run(main())
"""


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX's")
def test_what_was_written_survives_kill_9_again_and_again(tmp_path: Path) -> None:
    root, path = str(Path(__file__).parents[3]), tmp_path / "logs.duckdb"
    script = _KILLED.format(root=root, path=str(path))
    written = 0
    for _ in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", script, str(written)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        for _ in range(4):
            written = int(child.stdout.readline())
        os.kill(child.pid, signal.SIGKILL)
        for rest in child.stdout:
            written = int(rest)
        child.wait()
        database = LogDatabase(path)
        with database.cursor() as cursor:
            texts = [row[0] for row in cursor.execute("SELECT text FROM console").fetchall()]
        database.close()
        # Every line that was said to be written, once; whole batches of what came after.
        assert texts[:written] == [f"line {n}" for n in range(written)]
        assert len(texts) % 50 == 0
        written = len(texts)
        child.stdout.close()


async def test_a_full_buffer_drops_the_newest_lines_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("orchestrator.localcloud.logs.store.BUFFER_LINES", 10)
    logs = await Logs(tmp_path / "logs.duckdb", flush_delay=60).start()
    for n in range(15):
        logs.line(str(n))
    assert "buffer is full" in caplog.text
    assert await logs.texts() == [str(n) for n in range(10)]
    assert "5 log lines were dropped" in caplog.text
    logs.line("again")
    assert (await logs.texts())[-1] == "again"
    await logs.close()


def _count(path: Path, folder: Path) -> int:
    """Rows of the file, read by another process."""
    code = (
        "import duckdb, sys; "
        "print(duckdb.connect(sys.argv[1]).execute('select count(*) from console').fetchone()[0])"
    )
    copy = folder / "copy.duckdb"
    copy.write_bytes(path.read_bytes())
    wal = path.with_name(f"{path.name}.wal")
    if wal.exists():
        (folder / "copy.duckdb.wal").write_bytes(wal.read_bytes())
    done = subprocess.run(
        [sys.executable, "-c", code, str(copy)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)
