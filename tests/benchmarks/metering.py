"""What it costs to measure: the queue engine with metrics beside the same without:
`python -m tests.benchmarks.metering`.

The engine alone on the memory store, so that nothing hides the cost; with AMQP and a disk a message
costs many times as much. Nothing is asserted.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from orchestrator.clock import SystemClock
from orchestrator.localcloud.metrics.history import MetricHistory
from orchestrator.localcloud.metrics.sources import NamespaceMeter
from orchestrator.localcloud.servicebus.broker import durably
from orchestrator.localcloud.servicebus.store.memory import MemoryStore
from tests.benchmarks.broker_queue import messages, open_queue
from tests.benchmarks.measuring import Row, interleaved, table

COUNT = 20_000
BATCH = 100
RESOURCE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ServiceBus/namespaces/bench"


async def _traffic(*, measured: bool) -> float:
    """Seconds for sending and completing all messages, each told as the front tells it."""
    broker, queue = await open_queue(MemoryStore())
    batch = messages(BATCH)
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        history = MetricHistory(Path(folder) / "metrics.sqlite", SystemClock())
        history.open()
        if measured:
            broker.meter = NamespaceMeter(history, broker, lambda name: RESOURCE)
        meter = broker.meter
        began = time.perf_counter()
        for _ in range(COUNT // BATCH):
            await durably(lambda done: queue.send(batch, done))
            meter.incoming("bench", "q", BATCH, BATCH * 200)
            meter.request("bench", "q", None)
            for lock in queue.acquire(BATCH):
                queue.complete(lock.token)
                meter.request("bench", "q", None)
                meter.settled("bench", "q", "complete")
            meter.outgoing("bench", "q", BATCH, BATCH * 200)
            await asyncio.sleep(0)
        took = time.perf_counter() - began
        if isinstance(meter, NamespaceMeter):
            meter.stop()
        history.close()
    await broker.close()
    return took


def rows(runs: int) -> list[Row]:
    """The cost beside none."""
    with_metrics, without = interleaved(
        [
            lambda: asyncio.run(_traffic(measured=True)),
            lambda: asyncio.run(_traffic(measured=False)),
        ],
        runs,
    )
    return [
        Row(
            f"the queue engine, {COUNT:,} messages, measured",
            with_metrics,
            "s",
            "not measured",
            without,
        )
    ]


if __name__ == "__main__":
    print(table(rows(5)))
