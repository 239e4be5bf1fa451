"""Whatever the numbers: never too many at a time, never too few, and the right verdict."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.runtime.doubles import Act, House

OUTCOMES = st.lists(st.integers(0, 4), min_size=1, max_size=7)


@settings(max_examples=60)
@given(
    failures=OUTCOMES,
    parallelism=st.integers(1, 5),
    retries=st.integers(0, 4),
    length=st.integers(0, 30),
    crash=st.booleans(),
)
def test_parallelism_completions_and_retries(
    failures: list[int], parallelism: int, retries: int, length: int, crash: bool
) -> None:
    """`failures[i]`: how often the i-th replica that starts fails before it succeeds."""

    async def scenario(state: Path) -> None:
        house = House(state)
        order: dict[str, int] = {}

        def script(replica: object, container: object, run: int) -> Act:
            name = replica.name  # type: ignore[attr-defined]
            number = order.setdefault(name, len(order)) % len(failures)
            return Act(after=length, code=1 if run < failures[number] else 0)

        house.executor.script = script
        await house.runtime.start()
        completions = len(failures)
        job = house.add(
            retries=retries,
            trigger_config={"parallelism": parallelism, "replicaCompletionCount": completions},
        )
        await house.runtime.start_execution(job)
        if crash:
            await house.advance(length / 2)
            peak = house.executor.peak
            await house.die()
            await house.restart()
            house.executor.peak = max(peak, house.executor.peak)
        await house.advance(20_000)
        [status] = house.statuses(job)
        assert house.executor.peak <= min(parallelism, completions)
        assert not house.executor.alive
        [execution] = house.runtime.executions(job)
        replicas = execution["properties"]["detailedStatus"]["replicas"]
        good = [r for r in replicas if r["containers"][0].get("code") == 0]
        if not crash:
            assert status == ("Succeeded" if max(failures) <= retries else "Failed")
        if status == "Succeeded":
            assert len(good) == completions
        else:
            assert execution["properties"]["reason"] == "BackoffLimitExceeded"
            assert len(good) < completions
        await house.runtime.stop()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(scenario(Path(folder)))


@settings(max_examples=40)
@given(
    waiting=st.integers(0, 200),
    count=st.integers(1, 20),
    minimum=st.integers(0, 5),
    maximum=st.integers(0, 12),
    length=st.integers(1, 45),
)
def test_event_executions_stay_between_minimum_and_maximum(
    waiting: int, count: int, minimum: int, maximum: int, length: int
) -> None:
    async def scenario(state: Path) -> None:
        house = House(state)
        house.executor.script = lambda replica, container, run: Act(after=length)
        house.queues["space", "results"] = waiting
        await house.runtime.start()
        rule = {
            "name": "results",
            "type": "azure-servicebus",
            "metadata": {"queueName": "results", "messageCount": str(count)},
            "auth": [{"secretRef": "key", "triggerParameter": "connection"}],
        }
        house.add(
            trigger="Event",
            secrets=[
                {
                    "name": "key",
                    "value": "Endpoint=sb://space.servicebus.windows.net/;"
                    "SharedAccessKeyName=a;SharedAccessKey=b",
                }
            ],
            trigger_config={
                "scale": {
                    "minExecutions": minimum,
                    "maxExecutions": maximum,
                    "pollingInterval": 10,
                    "rules": [rule],
                }
            },
        )
        for _ in range(12):
            await house.advance(10)
            assert len(house.executor.alive) <= maximum
        await house.settle()
        if waiting == 0 and minimum == 0:
            assert not house.executor.starts
        elif maximum:
            assert house.executor.starts
        await house.runtime.stop()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(scenario(Path(folder)))
