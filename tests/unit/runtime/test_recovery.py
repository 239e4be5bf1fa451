"""What a new server makes of what a killed one left."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.localcloud.runtime.model import RuntimeFault
from tests.unit.runtime.doubles import START, Act, House


async def test_a_running_execution_goes_on_in_a_new_replica_without_a_retry(house: House) -> None:
    job = house.add(retries=1)
    house.executor.script = lambda replica, container, run: Act(after=100)
    started = await house.runtime.start_execution(job)
    await house.advance(10)
    [(lost, _, _)] = house.executor.starts
    await house.die()
    await house.restart()
    assert house.executor.reaped == [{lost.name: [f"{lost.name}/main/0"]}]
    await house.settle()
    [(fresh, _, at)] = house.executor.starts
    assert (fresh.execution, at - START) == (started["name"], 10)
    assert fresh.name != lost.name
    assert house.sink.texts("ReplicaLost") == [
        f"Replica {lost.name} was lost because the local cloud stopped while it ran; "
        "it is replaced, which does not count as a retry"
    ]
    await house.advance(100)
    execution = house.runtime.execution(job, started["name"])
    assert execution is not None
    assert execution["properties"]["status"] == "Succeeded"
    first, second = execution["properties"]["detailedStatus"]["replicas"]
    assert first["containers"][0]["code"] == 137
    assert first["containers"][0]["additionalInformation"].startswith("ContainerStatusUnknown")
    assert second["containers"][0]["code"] == 0


async def test_retries_already_used_stay_used(house: House) -> None:
    job = house.add(retries=1)
    house.executor.script = lambda replica, container, run: Act(after=5, code=1)
    await house.runtime.start_execution(job)
    await house.advance(16)
    assert len(house.executor.starts) == 2
    await house.die()
    await house.restart()
    await house.advance(5)
    assert house.statuses(job) == ["Failed"]
    assert len(house.executor.starts) == 1


async def test_completions_reached_before_the_crash_count(house: House) -> None:
    job = house.add(trigger_config={"parallelism": 1, "replicaCompletionCount": 3})
    house.executor.script = lambda replica, container, run: Act(after=10)
    await house.runtime.start_execution(job)
    await house.advance(25)
    await house.die()
    await house.restart()
    await house.advance(10)
    assert house.statuses(job) == ["Succeeded"]
    assert len(house.executor.starts) == 1


async def test_the_time_out_goes_on_while_the_server_is_down(house: House) -> None:
    job = house.add(timeout=60)
    house.executor.script = lambda replica, container, run: Act(after=1000)
    await house.runtime.start_execution(job)
    await house.advance(10)
    await house.die()
    house.clock.jump(3600)
    await house.restart()
    await house.settle()
    [execution] = house.runtime.executions(job)
    assert execution["properties"]["status"] == "Failed"
    assert execution["properties"]["reason"] == "DeadlineExceeded"
    assert not house.executor.starts  # nothing is replaced that has no time left
    assert len(execution["properties"]["detailedStatus"]["replicas"]) == 1


async def test_a_stop_that_was_asked_for_before_the_crash_is_carried_out(house: House) -> None:
    job = house.add()
    house.executor.script = lambda replica, container, run: Act(after=1000)
    started = await house.runtime.start_execution(job)
    await house.settle()
    run = house.runtime._live[started["name"]]
    run.record.stopping = True
    house.runtime._store.save(run.record)
    await house.die()
    await house.restart()
    await house.settle()
    assert house.statuses(job) == ["Stopped"]
    assert not house.executor.starts


async def test_executions_of_a_job_deleted_before_the_crash_are_forgotten(house: House) -> None:
    job = house.add()
    house.executor.script = lambda replica, container, run: Act(after=1000)
    await house.runtime.start_execution(job)
    await house.settle()
    house.runtime._store.mark_deleted(job.lower())
    await house.die()
    await house.restart()
    assert len(house.executor.reaped) == 1
    await house.settle()
    assert house.runtime.executions(job) == []
    assert not house.executor.starts


async def test_a_clean_stop_leaves_running_executions_to_the_next_server(house: House) -> None:
    job = house.add()
    house.executor.script = lambda replica, container, run: Act(after=100)
    started = await house.runtime.start_execution(job)
    await house.advance(1)
    before = house.executor
    await house.runtime.stop()
    assert before.stops
    assert before.stops[0][1] == house.limits.shutdown_grace
    assert house.sink.reasons()[-1] == "ReplicaLost"
    await house.restart()
    assert not house.executor.reaped
    await house.advance(100)
    execution = house.runtime.execution(job, started["name"])
    assert execution is not None
    assert execution["properties"]["status"] == "Succeeded"


async def test_a_replica_that_ends_with_0_because_the_server_stops_has_not_succeeded(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = house.add()
    house.executor.script = lambda replica, container, run: Act(after=100)
    await house.runtime.start_execution(job)
    await house.settle()

    async def polite(self: object, grace: float) -> None:
        self._end(0)  # type: ignore[attr-defined]

    monkeypatch.setattr("tests.unit.runtime.doubles.ScriptedHandle.stop", polite)
    await house.runtime.stop()
    await house.restart()
    await house.settle()
    assert house.statuses(job) == ["Running"]
    assert len(house.executor.starts) == 1


async def test_finished_executions_are_still_listed_after_a_crash(house: House) -> None:
    job = house.add()
    started = await house.runtime.start_execution(job)
    await house.settle()
    before = house.runtime.executions(job)
    await house.die()
    await house.restart()
    assert house.runtime.executions(job) == before
    assert before[0]["name"] == started["name"]


async def test_a_file_that_is_no_database_is_named_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "runtime.sqlite"
    file.write_bytes(b"this is no database, and it is long enough to be read as one" * 20)
    house = House(tmp_path)
    with pytest.raises(RuntimeFault, match="orchestrator local reset") as fault:
        await house.runtime.start()
    assert fault.value.code == "StateUnreadable"
    assert str(file) in fault.value.message
    assert file.read_bytes().startswith(b"this is no database")


async def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "runtime.sqlite"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(RuntimeFault, match="version 99"):
        await House(tmp_path).runtime.start()


async def test_the_state_file_can_be_read_by_its_owner_only(house: House) -> None:
    import os

    if os.name == "posix":
        assert (house.state / "runtime.sqlite").stat().st_mode & 0o077 == 0
