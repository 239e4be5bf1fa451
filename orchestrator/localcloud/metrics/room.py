"""The metrics of one local cloud: what measures, what remembers, what answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.clock import Clock
from orchestrator.localcloud.arm.ids import ResourceId
from orchestrator.localcloud.arm.store import ResourceStore
from orchestrator.localcloud.metrics.answer import MetricReader, Series
from orchestrator.localcloud.metrics.catalogue import NAMESPACES, Metric
from orchestrator.localcloud.metrics.history import MetricHistory
from orchestrator.localcloud.metrics.question import Question, read_question
from orchestrator.localcloud.metrics.sources import JobMeter, NamespaceMeter
from orchestrator.localcloud.servicebus.broker import Broker


class Metrics:
    """Belongs to one event loop.

    Args:
        path: The file of the history.
        clock: The time of what is measured.
        store: Knows the resources.

    Attributes:
        jobs: The meter of the runtime.
    """

    def __init__(self, path: Path, clock: Clock, store: ResourceStore) -> None:
        self._clock = clock
        self._store = store
        self._history = MetricHistory(path, clock)
        self._reader = MetricReader(self._history)
        self._namespaces: dict[str, str] = {}
        self._entities: NamespaceMeter | None = None
        self.jobs = JobMeter(self._history)

    def open(self, broker: Broker) -> None:
        """Open the history and measure a broker from now on."""
        self._history.open()
        self._entities = NamespaceMeter(self._history, broker, self._namespace)
        broker.meter = self._entities
        self._entities.everything()

    async def close(self) -> None:
        """Measure for the last time and close the history."""
        if self._entities is not None:
            self._entities.stop()
        self._history.close()

    async def look(self) -> None:
        """Measure what has changed, now; called before the clock is moved on."""
        self.jobs.look()
        if self._entities is not None:
            self._entities.look()

    async def ready(self) -> None:
        """See to it that all that has happened can be read."""
        await self.look()
        self._history.flush()

    async def answer(self, resource: ResourceId, query: Mapping[str, str]) -> dict[str, Any]:
        """What a request for the metrics of a resource is answered.

        Raises:
            ArmError: 400; it asks for what there is not.
        """
        question = read_question(resource.type, query, self._clock.now())
        await self.ready()
        region = self.region(resource)
        # In a thread: a month of many executions takes a while.
        return await asyncio.to_thread(self._reader.answer, question, resource.text, region)

    def series(self, question: Question, metric: Metric, resource: str) -> list[Series]:
        """The series of one metric, as a question asks for them; in any thread, `ready` before."""
        return self._reader.series(question, metric, resource)

    def region(self, resource: ResourceId) -> str:
        """Where a resource is, as it says itself."""
        record = self._store.record(resource.top)
        found = str(record.read().get("location", "")) if record is not None else ""
        return found.replace(" ", "").lower() or "westeurope"

    def _namespace(self, name: str) -> str | None:
        """Resource id of the namespace of that name; of one that is gone, the one it had."""
        known = self._namespaces.get(name.lower())
        if known is not None and self._store.record(known) is not None:
            return known
        for record in self._store.records(NAMESPACES):
            if record.id.name.lower() == name.lower():
                known = self._namespaces[name.lower()] = record.id.text
        return known
