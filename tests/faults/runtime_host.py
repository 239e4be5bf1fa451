"""A runtime in a process of its own, to be killed: `python -m tests.faults.runtime_host STATE`.

STATE holds `jobs.json` and `orchestrator.toml`. Commands come line by line on standard input:
`start JOB` starts an execution; its name is printed once it is accepted.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

from orchestrator.clock import SystemClock
from orchestrator.localcloud.logs.model import ConsoleLine, SystemEvent
from orchestrator.localcloud.runtime.executor_process import ProcessExecutor
from orchestrator.localcloud.runtime.model import Json, Limits
from orchestrator.localcloud.runtime.runtime import Runtime


class JobFile:
    """The jobs of `jobs.json`."""

    def __init__(self, state: Path) -> None:
        jobs: list[Json] = json.loads((state / "jobs.json").read_text())
        self.by_id = {job["id"].lower(): job for job in jobs}

    def jobs(self) -> Iterable[Json]:
        return self.by_id.values()

    def job(self, job_id: str) -> Json | None:
        return self.by_id.get(job_id.lower())

    def named(self, name: str) -> str:
        return next(job["id"] for job in self.by_id.values() if job["name"] == name)


class Remembering:
    """A LogSink."""

    def __init__(self) -> None:
        self.lines: list[ConsoleLine] = []
        self.events: list[SystemEvent] = []

    def console(self, line: ConsoleLine) -> None:
        self.lines.append(line)

    def system(self, event: SystemEvent) -> None:
        self.events.append(event)

    def replica_started(self, execution: str, replica: str) -> None: ...

    def replica_ended(self, replica: str) -> None: ...


@contextlib.asynccontextmanager
async def environment(job: Json) -> AsyncIterator[dict[str, str]]:
    yield {}


class NoQueues:
    def length(self, namespace: str, entity: str) -> int | None:
        return None

    def names(self, namespace: str, topic: str) -> list[str] | None:
        return None


def build(state: Path, sink: Remembering, **kwargs: Any) -> Runtime:
    """A runtime over the folder, with real processes and the machine's time."""
    return Runtime(
        state=state,
        jobs=JobFile(state),
        executor=ProcessExecutor(state, state),
        logs=sink,
        clock=kwargs.pop("clock", SystemClock()),
        environment=environment,
        queues=NoQueues(),
        limits=Limits(grace=2.0, shutdown_grace=0.5, backoff=0.1),
        **kwargs,
    )


async def serve(state: Path) -> None:
    runtime = build(state, Remembering())
    await runtime.start()
    jobs = JobFile(state)
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        _, name = line.split()
        execution = await runtime.start_execution(jobs.named(name))
        print(execution["name"], flush=True)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
