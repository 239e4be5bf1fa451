"""A fault of the local cloud's own ends what it concerns, as a failure, and nothing else."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from orchestrator.localcloud.runtime.model import Json
from tests.unit.runtime.doubles import Act, House


class BrokenError(Exception):
    """What nobody has thought of."""


def start_raises(house: House) -> None:
    async def start(*given: Any) -> Any:
        raise BrokenError

    house.executor.start = start  # type: ignore[method-assign]


def waiting_raises(house: House) -> None:
    start = house.executor.start

    async def wait() -> Any:
        raise BrokenError

    async def started(*given: Any) -> Any:
        handle = await start(*given)
        handle.wait = wait  # type: ignore[method-assign]
        return handle

    house.executor.start = started  # type: ignore[method-assign]


def environment_raises(house: House) -> None:
    @contextlib.asynccontextmanager
    async def environment(job: Json) -> AsyncIterator[Any]:
        raise BrokenError
        yield {}

    object.__setattr__(house.runtime._parts, "environment", environment)


def log_raises(house: House) -> None:
    def started(execution: str, replica: str) -> None:
        raise BrokenError

    house.sink.replica_started = started  # type: ignore[method-assign]


FAULTS = [start_raises, waiting_raises, environment_raises, log_raises]


@pytest.mark.parametrize("fault", FAULTS)
async def test_nothing_says_running_for_ever(
    house: House, fault: Callable[[House], None], caplog: pytest.LogCaptureFixture
) -> None:
    two = [{"name": name, "image": "r.azurecr.io/x:1"} for name in ("main", "side")]
    job = house.add(containers=two, retries=3)
    house.executor.script = lambda replica, container, run: Act(after=600)
    healthy = await house.runtime.start_execution(house.add("healthy"))
    await house.settle()
    before = dict(vars(house.executor)), dict(vars(house.sink)), house.runtime._parts.environment
    fault(house)
    started = await house.runtime.start_execution(job)
    await house.settle()
    execution = house.runtime.execution(job, started["name"])
    assert execution is not None
    properties = execution["properties"]
    assert properties["status"] == "Failed"
    [replica] = properties["detailedStatus"]["replicas"]
    assert "Running" not in [container["status"] for container in replica["containers"]]
    assert any("server.log" in text for text in house.sink.texts("Failed"))
    assert "failed inside the local cloud" in caplog.text
    # Nobody waits for it any more, no program of it runs, and the others go on.
    assert house.runtime.activity.busy == {r for r in house.sink.open if "healthy" in r}
    assert [mark for mark in house.executor.alive if "healthy" not in mark] == []
    for target, known in zip((house.executor, house.sink), before[:2], strict=True):
        for name in set(vars(target)) - set(known):
            delattr(target, name)
    object.__setattr__(house.runtime._parts, "environment", before[2])
    house.executor.script = lambda replica, container, run: Act()
    await house.runtime.start_execution(job)
    await house.advance(600)
    assert house.statuses(job) == ["Succeeded", "Failed"]
    assert (
        house.runtime.execution(job.replace("sender", "healthy"), healthy["name"])[  # type: ignore[index]
            "properties"
        ]["status"]
        == "Succeeded"
    )


async def test_what_cannot_be_cleared_away_changes_nothing_of_the_outcome(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    async def release(replica: Any) -> None:
        raise BrokenError

    house.executor.release = release  # type: ignore[method-assign]
    job = house.add()
    await house.runtime.start_execution(job)
    await house.settle()
    assert house.statuses(job) == ["Succeeded"]
    assert "was not removed" in caplog.text


async def test_an_end_that_cannot_be_told_is_an_end(house: House) -> None:
    job = house.add()

    def system(event: Any) -> None:
        if event.reason == "Completed":
            raise BrokenError

    house.sink.system = system  # type: ignore[method-assign]
    await house.runtime.start_execution(job)
    await house.settle()
    assert house.statuses(job) == ["Succeeded"]
    assert house.runtime._running(job.lower()) == 0
