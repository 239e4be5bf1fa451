"""Event-driven jobs: looks at the rules every polling interval and starts what they ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from orchestrator.clock import Clock
from orchestrator.localcloud.runtime.events import KEDA, Events
from orchestrator.localcloud.runtime.job import Job
from orchestrator.localcloud.runtime.model import Queues, RuntimeFault
from orchestrator.localcloud.runtime.scaler import (
    Reading,
    RuleFault,
    ServiceBusRule,
    executions_to_start,
    read_rule,
    reading,
    room,
    waiting,
)

Start = Callable[[int], int]
"""Starts so many executions, durably, and returns how many; raises RuntimeFault."""


class EventTrigger:
    """Polls the rules of one job, the first time at once, as KEDA does.

    A rule that does not work is told to the system log when it begins to fail and when its reason
    changes, not at every poll; the job's other rules go on.

    Args:
        job: The job.
        clock: The time.
        events: Takes what is worth telling.
        queues: How many messages wait in an entity.
        running: Unfinished executions of the job.
        start: Starts executions.
    """

    def __init__(
        self,
        job: Job,
        *,
        clock: Clock,
        events: Events,
        queues: Queues,
        running: Callable[[], int],
        start: Start,
    ) -> None:
        self._job = job
        self._clock = clock
        self._events = events
        self._queues = queues
        self._running = running
        self._start = start
        self._rules: list[tuple[str, ServiceBusRule]] = []
        self._failing: dict[str, str] = {}

    async def run(self) -> None:
        """Poll until cancelled."""
        self._build()
        while True:
            polled = self._clock.time()
            self.poll()
            await self._clock.sleep_until(polled + self._job.polling_interval)

    def poll(self) -> int:
        """Look once, and return how many executions were started."""
        job = self._job
        readings = [found for key, rule in self._rules if (found := self._read(key, rule))]
        wanted = executions_to_start(
            readings,
            running=self._running(),
            minimum=job.min_executions,
            maximum=job.max_executions,
        )
        if not wanted:
            return 0
        try:
            started = self._start(wanted)
        except RuntimeFault as fault:
            self._report("", "KEDAJobCreateFailed", f"Failed to create job: {fault.message}")
            return 0
        self._failing.pop("", None)
        if started:
            self._events.write(job, "KEDAJobsCreated", f"Created {started} jobs", source=KEDA)
        return started

    def _build(self) -> None:
        for index, rule in enumerate(self._job.rules):
            key = f"rule {rule.name or index}"
            try:
                self._rules.append((key, read_rule(rule, self._job)))
            except RuleFault as fault:
                self._report(key, "KEDAScalerFailed", f"{key}: {fault}")
        if not self._job.rules:
            self._report("", "ScaledJobCheckFailed", "The job has no scale rule: nothing starts it")
        elif self._rules:
            self._events.write(
                self._job, "KEDAScalersStarted", "Started scalers watch", source=KEDA
            )

    def _read(self, key: str, rule: ServiceBusRule) -> Reading | None:
        if rule.identity:
            refusal = self._queues.refuses(self._job.id, rule.identity, rule.namespace, rule.entity)
            if refusal is not None:
                self._report(key, "KEDAScalerFailed", f"{key}: {refusal}")
                return None
        elif rule.key is not None:
            name, value = rule.key
            if not rule.namespace:
                home = self._queues.namespace_of_key(rule.entity, name, value)
                rule = replace(rule, namespace=home)
            refusal = self._queues.refuses_key(rule.namespace, rule.entity, name, value)
            if refusal is not None:
                self._report(key, "KEDAScalerFailed", f"{key}: {refusal}")
                return None
        length = waiting(rule, self._queues)
        if length is None:
            where = f" in namespace {rule.namespace}" if rule.namespace else ""
            self._report(key, "KEDAScalerFailed", f"{key}: {rule.label} doesn't exist{where}")
            return None
        if self._failing.pop(key, None) is not None:
            self._events.write(
                self._job, "KEDAScalersStarted", f"{key}: {rule.label} is watched", source=KEDA
            )
        return reading(rule, length, room(self._job.min_executions, self._job.max_executions))

    def _report(self, key: str, reason: str, text: str) -> None:
        if self._failing.get(key) == text:
            return
        self._failing[key] = text
        self._events.write(self._job, reason, text, warning=True, source=KEDA)
