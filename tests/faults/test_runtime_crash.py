"""kill -9 of the server while executions run, and what the next server makes of it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from orchestrator.clock import ManualClock
from orchestrator.localcloud.runtime.runtime import Runtime
from tests.faults.runtime_host import Remembering, build

ROOT = Path(__file__).parents[2]
PREFIX = "/subscriptions/0/resourceGroups/g/providers/Microsoft.App/jobs/"

# Writes its pid, says so, and ends only when it is let go.
PATIENT = """
import os, pathlib, sys, time
here = pathlib.Path.cwd()
name = os.environ["CONTAINER_APP_REPLICA_NAME"]
(here / "pids" / name).write_text(str(os.getpid()))
print("begun", name)
while not (here / "go").exists():
    time.sleep(0.02)
(here / "done" / name).touch()
"""


class Host:
    """The killed server."""

    def __init__(self, state: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.runtime_host", str(state)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.line() == "ready"

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ask(self, job: str, times: int = 1) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"start {job}\n" * times)
        self.process.stdin.flush()

    def kill(self) -> list[str]:
        """kill -9; returns what it had still answered."""
        self.process.kill()
        assert self.process.stdout is not None
        rest = self.process.stdout.read().split("\n")
        # The last line counts only when it was written whole.
        self.close()
        return [line for line in rest[:-1] if line]

    def close(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    pass
        self.process.kill()
        self.process.wait()


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    for folder in ("pids", "done"):
        (tmp_path / folder).mkdir()
    (tmp_path / "patient.py").write_text(PATIENT)
    (tmp_path / "orchestrator.toml").write_text(
        '[images.patient]\nprocess = ["{python}", "patient.py"]\n'
        '[images.quick]\nprocess = ["{python}", "-S", "-c", "print(1)"]\n'
    )
    write_jobs(tmp_path, job("patient"), job("quick"))
    yield tmp_path
    for pid in alive(tmp_path):
        psutil.Process(pid).kill()


def job(name: str, trigger: str = "Manual", **config: Any) -> dict[str, Any]:
    return {
        "id": PREFIX + name,
        "name": name,
        "properties": {
            "configuration": {"triggerType": trigger, "replicaTimeout": 600, **config},
            "template": {"containers": [{"name": name, "image": f"r.azurecr.io/{name}:1"}]},
        },
    }


def write_jobs(state: Path, *jobs: dict[str, Any]) -> None:
    (state / "jobs.json").write_text(json.dumps(jobs))


def alive(state: Path) -> list[int]:
    pids = [int(file.read_text() or 0) for file in (state / "pids").iterdir()]
    return [
        pid
        for pid in pids
        if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    ]


def wait_for(test: Callable[[], Any], seconds: float = 30) -> Any:
    end = time.monotonic() + seconds
    while not (found := test()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)
    return found


async def until(test: Callable[[], Any], seconds: float = 30) -> Any:
    async with asyncio.timeout(seconds):
        while not (found := test()):
            await asyncio.sleep(0.02)
    return found


def statuses(runtime: Runtime, name: str) -> dict[str, str]:
    return {e["name"]: e["properties"]["status"] for e in runtime.executions(PREFIX + name)}


async def test_a_running_replica_is_ended_and_started_anew(state: Path) -> None:
    host = Host(state)
    host.ask("patient")
    name = host.line()
    wait_for(lambda: list((state / "pids").iterdir()))
    [orphan] = wait_for(lambda: alive(state))
    host.kill()
    assert psutil.pid_exists(orphan), "the replica outlives its server: that is what is mended"

    sink = Remembering()
    runtime = build(state, sink)
    await runtime.start()
    try:
        assert orphan not in alive(state)
        await until(lambda: [pid for pid in alive(state) if pid != orphan])
        assert statuses(runtime, "patient") == {name: "Running"}
        assert [e.reason for e in sink.events][:2] == ["ReplicaLost", "SuccessfulCreate"]
        assert sink.events[0].execution == name
        (state / "go").touch()
        await until(lambda: statuses(runtime, "patient") == {name: "Succeeded"})
        [execution] = runtime.executions(PREFIX + "patient")
        first, second = execution["properties"]["detailedStatus"]["replicas"]
        assert first["containers"][0]["code"] == 137
        assert second["containers"][0] == {
            "name": "patient",
            "status": "Succeeded",
            "code": 0,
            "additionalInformation": "Completed",
        }
        assert [file.name for file in (state / "done").iterdir()] == [second["name"]]
    finally:
        await runtime.stop()
    assert not alive(state)


@pytest.mark.parametrize("accepted", [0, 1, 5, 12])
async def test_nothing_that_was_accepted_is_lost_at_whatever_moment(
    state: Path, accepted: int
) -> None:
    host = Host(state)
    host.ask("quick", 15)
    answered = [host.line() for _ in range(accepted)]
    answered += host.kill()
    runtime = build(state, Remembering())
    await runtime.start()
    try:
        await until(lambda: all(s == "Succeeded" for s in statuses(runtime, "quick").values()))
        assert set(answered) <= set(statuses(runtime, "quick"))
    finally:
        await runtime.stop()


async def test_killed_again_and_again_it_still_ends(state: Path) -> None:
    host = Host(state)
    host.ask("patient")
    name = host.line()
    for round_ in range(1, 4):
        wait_for(lambda n=round_: len(list((state / "pids").iterdir())) == n)  # type: ignore[misc]
        host.kill()
        host = Host(state)
    (state / "go").touch()
    wait_for(lambda: list((state / "done").iterdir()))
    host.close()
    runtime = build(state, Remembering())
    await runtime.start()
    try:
        await until(lambda: statuses(runtime, "patient")[name] == "Succeeded")
        [execution] = runtime.executions(PREFIX + "patient")
        assert len(execution["properties"]["detailedStatus"]["replicas"]) in (4, 5)
    finally:
        await runtime.stop()
    assert not alive(state)


async def test_a_schedule_keeps_its_place(state: Path) -> None:
    write_jobs(
        state,
        job("quick", "Schedule", scheduleTriggerConfig={"cronExpression": "* * * * *"}),
    )
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    first = build(state, Remembering(), clock=clock)
    await first.start()
    await clock.advance(60)
    await until(lambda: list(statuses(first, "quick").values()) == ["Succeeded"])
    await first.stop()

    # The time of the file is the manual clock's; a server on the machine's clock finds months of
    # missed minutes, makes up once, and is killed right then.
    host = Host(state)
    wait_for(lambda: len(rows(state)) >= 2)
    host.kill()
    made_up = len(rows(state))
    later = ManualClock(time.time())
    runtime = build(state, Remembering(), clock=later)
    await runtime.start()
    try:
        await until(lambda: set(statuses(runtime, "quick").values()) == {"Succeeded"})
        # A minute may have begun in between; then that one fires too, and only that one.
        assert len(rows(state)) in (made_up, made_up + 1)
        before = len(rows(state))
        await later.advance(60)
        await until(lambda: len(rows(state)) == before + 1)
    finally:
        await runtime.stop()


def rows(state: Path) -> list[str]:
    import sqlite3

    connection = sqlite3.connect(state / "runtime.sqlite", timeout=5)
    try:
        return [name for (name,) in connection.execute("SELECT name FROM executions")]
    finally:
        connection.close()


@pytest.mark.skipif(os.name != "posix", reason="a process group is POSIX's")
async def test_a_clean_stop_ends_the_replicas_and_the_next_server_goes_on(state: Path) -> None:
    runtime = build(state, Remembering())
    await runtime.start()
    name = (await runtime.start_execution(PREFIX + "patient"))["name"]
    await until(lambda: alive(state))
    await runtime.stop()
    assert not alive(state)
    (state / "go").touch()
    runtime = build(state, Remembering())
    await runtime.start()
    try:
        await until(lambda: statuses(runtime, "patient")[name] == "Succeeded")
    finally:
        await runtime.stop()
