"""Many executions, made directly in a local cloud's stores, listed through the library.

`python -m tests.benchmarks.executions [--jobs 1000] [--each 100] [--older 20]`: so many jobs with
so many executions in Resource Manager's list, and so many older ones that only the system log tells
of.
Nothing is asserted but the counts.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestrator.client import Orchestrator
from orchestrator.localcloud.logs.model import SystemEvent
from orchestrator.localcloud.runtime.model import ExecutionRecord, Status
from tests.benchmarks.measuring import Row, ended, orchestrator, table
from tests.cloud.library_world import World

_AT_ONCE = 2_000  # events between two flushes, so that none is dropped


def many_jobs(world: World, count: int) -> list[str]:
    """Names of jobs that are like `nightly`, put into Resource Manager's store."""
    pattern = world.orc.job("nightly").raw
    profile = world.profile()
    from orchestrator.azure.clients import Clients

    clients = Clients(profile)
    names = [f"batch-{n:04d}" for n in range(count)]
    body = {key: pattern[key] for key in ("location", "properties", "identity") if key in pattern}
    for name in names:
        clients.containers.jobs.begin_create_or_update(
            profile.resource_group, name, body, polling=False
        ).result()
    clients.close()
    return names


def fill(world: World, ids: dict[str, str], each: int, older: int) -> None:
    """Executions that are over, a minute apart: the newest `each` listed, all of them logged."""
    template = world.orc.job("nightly").raw["properties"]["template"]
    first = time.time() - 60 * (each + older) - 3600

    async def write() -> None:
        server = world.cloud.server
        for job, id_ in ids.items():
            records, events = [], []
            for n in range(each + older):
                name, began = f"{job}-{n:07d}", first + 60 * n
                if n >= older:
                    records.append(
                        ExecutionRecord(
                            job_id=id_,
                            name=name,
                            trigger="Schedule",
                            status=Status.SUCCEEDED,
                            started=began,
                            ended=began + 5,
                            template=template,
                        )
                    )
                events += [(name, began, "SuccessfulCreate"), (name, began + 5, "Completed")]
            server.runtime._store.add(records, bounded=True)
            with server.runtime._store._write() as connection:
                connection.execute("UPDATE executions SET final = 1 WHERE job = ?", (id_.lower(),))
            for name, at, reason in events:
                server.logs.system(
                    SystemEvent(
                        time=at,
                        job=job,
                        execution=name,
                        replica="",
                        reason=reason,
                        text=reason,
                        type="Normal",
                        environment="local",
                        resource_id=id_,
                    )
                )
            await server.logs.flush()
            await asyncio.sleep(0)

    world.cloud.call(write(), timeout=600)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def measured(orc: Orchestrator, folder: Path, jobs: int, each: int, older: int) -> list[Row]:
    rows = []

    def row(what: str, expected: int, **options: Any) -> None:
        took, found = timed(lambda: orc.executions(**options))
        assert len(found) == expected, (what, len(found), expected, found.partial)
        rows.append(Row(f"{what}: {expected:,} executions", took, "s"))

    row("one job, listed", each, job="batch-0000", history=False)
    row("one job and its history", each + older, job="batch-0000", history=True)
    row("newest 20 of all jobs", 20, limit=20)

    def command(*arguments: str) -> float:
        words = orchestrator("executions", "list", *arguments)
        return ended(words, cwd=folder)[0]

    rows.append(Row("… as the command", command("--limit", "20"), "s"))
    csv = f"… as the command, -o csv: {jobs * each:,} executions"
    rows.append(Row(csv, command("--no-history", "-o", "csv"), "s"))
    row("all jobs, listed", jobs * each, history=False)
    whole = jobs * (each + older) if jobs * (each + older) <= 10_000 else None
    if whole:
        row("all jobs and their history", whole, history=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.executions")
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--each", type=int, default=100)
    parser.add_argument("--older", type=int, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        world = World(Path(folder))
        try:
            world.orc.up()
            names = many_jobs(world, given.jobs)
            all_ids = {job.name: job.id for job in world.orc.jobs()}
            took, _ = timed(
                lambda: fill(world, {n: all_ids[n] for n in names}, given.each, given.older)
            )
            print(f"{given.jobs:,} jobs of {given.each} + {given.older} made in {took:.1f} s\n")
            print(table(measured(world.orc, world.folder, given.jobs, given.each, given.older)))
        finally:
            world.close()


if __name__ == "__main__":
    main()
