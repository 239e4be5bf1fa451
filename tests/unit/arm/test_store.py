"""The resource store: durable before it answers, whole or not at all."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import parse
from orchestrator.localcloud.arm.store import ResourceStore
from orchestrator.localcloud.state import StateUnreadable

G = "/subscriptions/s/resourceGroups/g"
A = parse(f"{G}/providers/N.A/things/a")
PART = parse(f"{G}/providers/N.A/things/a/parts/p")
EXTENSION = parse(f"{G}/providers/N.A/things/a/providers/N.B/notes/n")
OTHER = parse("/subscriptions/s/resourceGroups/g2/providers/N.A/things/A")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ResourceStore]:
    opened = ResourceStore(tmp_path / "arm.sqlite")
    opened.open()
    yield opened
    opened.close()


async def _fill(store: ResourceStore) -> None:
    await store.write(
        put=[(id, {"id": id.text}, f"tag-{id.name}") for id in (A, PART, EXTENSION, OTHER)]
    )


async def test_what_was_written_is_there_after_another_process_opens_the_file(
    store: ResourceStore, tmp_path: Path
) -> None:
    await _fill(store)
    # As after kill -9: nothing was closed.
    with closing(sqlite3.connect(tmp_path / "arm.sqlite")) as connection, connection:
        assert connection.execute("SELECT count(*) FROM resources").fetchone() == (4,)
    connection.close()
    again = ResourceStore(tmp_path / "arm.sqlite")
    again.open()
    assert again.get(A.text.upper()) == {"id": A.text}
    record = again.record(A)
    assert record is not None
    assert record.etag == "tag-a"
    again.close()


async def test_collections_by_group_subscription_and_parent(store: ResourceStore) -> None:
    await _fill(store)

    def ids(path: str) -> list[str]:
        return [item["id"] for item in store.collection(parse(path))]

    assert ids(f"{G}/providers/n.a/THINGS") == [A.text]
    assert ids("/subscriptions/s/providers/N.A/things") == [A.text, OTHER.text]
    assert ids(f"{A.text}/parts") == [PART.text]
    assert ids(f"{A.text}/providers/N.B/notes") == [EXTENSION.text]
    assert ids("/subscriptions/other/providers/N.A/things") == []


async def test_inside_gives_children_and_extensions_deepest_first(store: ResourceStore) -> None:
    await _fill(store)
    assert [record.id.text for record in store.inside(A)] == [EXTENSION.text, PART.text]
    assert len(store.inside(G)) == 3


async def test_what_is_read_is_a_copy(store: ResourceStore) -> None:
    await _fill(store)
    first = store.get(A)
    assert first is not None
    first["id"] = "changed"
    assert store.get(A) == {"id": A.text}


async def test_a_full_disk_is_507_and_nothing_of_the_write_is_kept(store: ResourceStore) -> None:
    await _fill(store)
    connection = store._connection
    assert connection is not None
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages}")
    big = {"id": A.text, "filler": "x" * 200_000}
    with pytest.raises(ArmError) as caught:
        await store.write(put=[(A, big, "new"), (PART, {"id": "changed"}, "new")], delete=[OTHER])
    assert (caught.value.status, caught.value.code) == (507, "InsufficientStorage")
    assert "full" in caught.value.message
    assert store.get(A) == {"id": A.text}
    assert store.get(PART) == {"id": PART.text}
    assert OTHER in store
    connection.execute("PRAGMA max_page_count=1000000")
    await store.write(put=[(A, big, "new")])
    assert store.get(A) == big


async def test_memory_follows_the_disk_even_when_the_writer_goes_away(store: ResourceStore) -> None:
    task = asyncio.create_task(store.write(put=[(A, {"id": A.text}, "t")]))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await store.write(put=[(PART, {"id": PART.text}, "t")])
    assert A in store


async def test_a_closed_store_refuses_with_503(tmp_path: Path) -> None:
    closed = ResourceStore(tmp_path / "arm.sqlite")
    closed.open()
    closed.close()
    with pytest.raises(ArmError) as caught:
        await closed.write(put=[(A, {}, "t")])
    assert caught.value.status == 503


@pytest.mark.parametrize("content", [b"not a database at all, " * 50, b"SQLite format 3\x00" * 80])
def test_a_damaged_file_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "arm.sqlite"
    path.write_bytes(content)
    with pytest.raises(StateUnreadable) as caught:
        ResourceStore(path).open()
    assert str(path) in caught.value.message
    assert "orchestrator local reset" in caught.value.hint
    assert path.read_bytes() == content


def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "arm.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE diary (entry TEXT)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StateUnreadable, match="another program"):
        ResourceStore(path).open()
    assert path.read_bytes() == before


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "arm.sqlite"
    store = ResourceStore(path)
    store.open()
    store.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(StateUnreadable, match="newer version"):
        ResourceStore(path).open()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_only_the_owner_can_read_the_file(store: ResourceStore, tmp_path: Path) -> None:
    mode = stat.S_IMODE((tmp_path / "arm.sqlite").stat().st_mode)
    assert mode == 0o600
