"""Which trigger each job has, planned anew whenever a job changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from orchestrator.localcloud.runtime.event_trigger import EventTrigger
from orchestrator.localcloud.runtime.job import Job, read_job
from orchestrator.localcloud.runtime.model import Queues, RuntimeFault, Trigger
from orchestrator.localcloud.runtime.replica import Parts
from orchestrator.localcloud.runtime.schedule import Schedule

_log = logging.getLogger(__name__)

Accept = Callable[[Job, Trigger, int, tuple[str, str, float] | None], int]
"""(job, trigger, how many, settled schedule) -> how many were started; raises RuntimeFault."""


class Triggers:
    """Keeps one task for each job that starts by itself.

    Args:
        parts: The runtime's parts.
        queues: How many messages wait in an entity.
        accept: Starts executions.
        running: (job key) -> unfinished executions.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        queues: Queues,
        accept: Accept,
        running: Callable[[str], int],
    ) -> None:
        self._parts = parts
        self._queues = queues
        self._accept = accept
        self._running = running
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def plan(self, job_id: str) -> None:
        """Plan a job anew: its old trigger ends, the one it has now begins."""
        key = job_id.lower()
        self._cancel(key)
        resource = self._parts.jobs.job(job_id)
        if resource is None:
            self._parts.store.forget_schedule(key)
            return
        try:
            job = read_job(resource)
        except RuntimeFault as fault:
            _log.warning("%s", fault.message)
            return
        if job.suspended or job.trigger != "Schedule":
            # What passes while a job is suspended, or is no scheduled one, is not made up for.
            self._parts.store.forget_schedule(key)
        if job.suspended or job.trigger == "Manual":
            return
        task = asyncio.create_task(self._guard(job), name=f"trigger {job.name}")
        self._tasks[key] = task

    def forget(self, job_id: str) -> None:
        """The job is gone."""
        self._cancel(job_id.lower())

    async def close(self) -> None:
        """End all triggers."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _cancel(self, key: str) -> None:
        task = self._tasks.pop(key, None)
        if task is not None:
            task.cancel()

    def _trigger(self, job: Job) -> Coroutine[Any, Any, None]:
        parts = self._parts
        if job.trigger == "Schedule":

            def fire(moment: float) -> None:
                self._accept(job, "Schedule", 1, (job.key, job.cron, moment))

            return Schedule(
                job, store=parts.store, clock=parts.clock, events=parts.events, fire=fire
            ).run()
        return EventTrigger(
            job,
            clock=parts.clock,
            events=parts.events,
            queues=self._queues,
            running=lambda: self._running(job.key),
            start=lambda count: self._accept(job, "Event", count, None),
        ).run()

    async def _guard(self, job: Job) -> None:
        # One job's trigger must never end another's, nor end quietly itself.
        while True:
            try:
                await self._trigger(job)
                return
            except Exception:  # noqa: BLE001
                _log.exception("the trigger of %s failed; it is tried again", job.name)
                await self._parts.clock.sleep(30.0)
