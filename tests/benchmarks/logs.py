"""Logs: how fast lines go in, how long queries take beside bare SQL, how late a follower is.

`python -m tests.benchmarks.logs [--lines 10000000]`. Nothing is asserted but that both ways of
asking give the same.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestrator.clock import SystemClock
from orchestrator.localcloud.logs.model import ConsoleLine
from orchestrator.localcloud.logs.query import QueryEngine
from orchestrator.localcloud.logs.store import LogStore
from orchestrator.localcloud.logs.tables import Scope
from tests.benchmarks.measuring import Row, orchestrator, table
from tests.cloud.library_world import World

WORKSPACE = "6a0e2c36-5c1a-4d0e-9f5e-0d6f6b0f7a11"
JOB = "/subscriptions/0f0f/resourceGroups/local/providers/Microsoft.App/jobs/processor"
_AT_ONCE = 50_000  # lines between two flushes, so that none is dropped
_FROM = f"FROM console c JOIN source s ON c.source = s.id WHERE s.workspace = '{WORKSPACE}'"
QUERIES = {
    "filter": (
        "ContainerAppConsoleLogs_CL | where Log_s contains_cs 'message 4711' | count",
        f"SELECT count(*) {_FROM} AND contains(c.text, 'message 4711')",
    ),
    "summarize by bin": (
        "ContainerAppConsoleLogs_CL | summarize N = count() by bin(TimeGenerated, 1m) | count",
        "SELECT count(*) FROM (SELECT time_bucket(INTERVAL 1 minute, c.time) AS t, count(*) "
        f"{_FROM} GROUP BY t)",
    ),
    "parse": (
        "ContainerAppConsoleLogs_CL | parse Log_s with * 'fibonacci(' n:long ')' * "
        "| summarize sum(n)",
        "SELECT sum(TRY_CAST(regexp_extract(c.text, 'fibonacci\\(([^)]*)\\)', 1) AS BIGINT)) "
        f"{_FROM}",
    ),
}
TALKER = """
import time
for _ in range(200):
    print(time.time_ns(), flush=True)
    time.sleep(0.02)
"""


async def stored(folder: Path, count: int) -> list[Row]:
    """Lines into a store, then queries over them."""
    clock = SystemClock()
    store = LogStore(folder / "logs.duckdb", clock, workspace_of=lambda _: WORKSPACE)
    await store.start()
    engine = QueryEngine(store, clock)
    began, first = time.perf_counter(), clock.time() - count / 1000
    for n in range(count):
        store.console(
            ConsoleLine(
                time=first + n / 1000,
                stream="stdout",
                text=f"[17] Processed message {n}: fibonacci({n % 90}) = 8",
                job="processor",
                execution=f"processor-{n // 100_000:07d}",
                replica=f"processor-{n // 100_000:07d}-x1y2z",
                container="processor",
                image="processor:1",
                environment="local",
                resource_id=JOB,
            )
        )
        if n % _AT_ONCE == _AT_ONCE - 1:
            await store.flush()
    await store.flush()
    rows = [Row(f"ingest of {count:,} lines", count / (time.perf_counter() - began), "lines/s")]
    for name, (kql, sql) in QUERIES.items():
        answers: list[Any] = [None, None]

        async def ask(kql: str = kql, answers: list[Any] = answers) -> None:
            found = await engine.execute(kql, scope=Scope(workspaces=(WORKSPACE,)))
            answers[0] = json.loads(found.json())["tables"][0]["rows"][0][0]

        async def bare(sql: str = sql, answers: list[Any] = answers) -> None:
            async with store.cursor() as cursor:
                fetched = await asyncio.to_thread(lambda: cursor.execute(sql).fetchone())
                answers[1] = fetched[0] if fetched else None

        times = [[await timed(ask), await timed(bare)] for _ in range(5)]
        assert answers[0] == answers[1], (name, answers)
        kql_time, sql_time = (statistics.median(t) for t in zip(*times, strict=True))
        rows.append(Row(name, kql_time, "s", "the same as SQL on DuckDB", sql_time, "≤ 1.5 ×"))
    await engine.close()
    await store.close()
    return rows


async def timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


def followed(folder: Path) -> Row:
    """From a line's writing by the payload to its arrival behind `logs --follow`."""
    world = World(folder)
    try:
        world.orc.up()
        run = world.orc.start("talker", command=["python3", "-S", "-c", TALKER])
        late = []
        command = orchestrator("logs", "--execution", run.name, "--follow")
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            began = time.time_ns()
            for line in process.stdout:
                now = time.time_ns()
                # Lines from before the follower listened say nothing about it.
                if int(line) > began + 1_500_000_000:
                    late.append((now - int(line)) / 1e9)
        what = f"logs --follow, from write to reader, median of {len(late)} lines"
        return Row(what, statistics.median(late), "s", goal="< 100 ms")
    finally:
        world.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.logs")
    parser.add_argument("--lines", type=int, default=10_000_000)
    lines = parser.parse_args().lines
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        rows = [followed(Path(folder) / "world")]
        rows += asyncio.run(stored(Path(folder), lines))
    print(table(rows))


if __name__ == "__main__":
    main()
