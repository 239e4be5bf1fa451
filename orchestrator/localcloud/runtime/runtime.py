"""The runtime: executions of jobs, whoever or whatever starts them."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from orchestrator.clock import Clock
from orchestrator.localcloud.logs.model import LogSink
from orchestrator.localcloud.runtime import events, names
from orchestrator.localcloud.runtime.activity import Activity
from orchestrator.localcloud.runtime.arm_json import execution_json, replica_json
from orchestrator.localcloud.runtime.events import Events
from orchestrator.localcloud.runtime.execution import ExecutionRun
from orchestrator.localcloud.runtime.job import Job, read_job
from orchestrator.localcloud.runtime.model import (
    ContainerState,
    ExecutionRecord,
    Executor,
    JobSource,
    Json,
    Limits,
    Meter,
    Queues,
    ReplicaEnvironment,
    ReplicaState,
    RuntimeFault,
    Status,
    Trigger,
    Unmeasured,
)
from orchestrator.localcloud.runtime.replica import Parts
from orchestrator.localcloud.runtime.store import ExecutionStore, NameTaken
from orchestrator.localcloud.runtime.template import execution_template
from orchestrator.localcloud.runtime.triggers import Triggers

_log = logging.getLogger(__name__)


class Runtime:
    """Starts, watches and stops the executions of all jobs. Belongs to one event loop.

    Args:
        state: Folder for `runtime.sqlite`.
        jobs: The jobs, with their secrets.
        executor: Runs the containers.
        logs: Takes console lines and system events.
        clock: The time that cron, scaler polls, time-outs and retries follow.
        environment: Variables of a replica that belong to the platform.
        queues: How many messages wait in a queue.
        limits: Waiting times.
        meter: Is told of executions and what they use.
    """

    def __init__(
        self,
        *,
        state: Path,
        jobs: JobSource,
        executor: Executor,
        logs: LogSink,
        clock: Clock,
        environment: ReplicaEnvironment,
        queues: Queues,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        meter: Meter | None = None,
    ) -> None:
        self._jobs = jobs
        self._executor = executor
        self._clock = clock
        self._limits = limits
        self._store = ExecutionStore(state / "runtime.sqlite")
        self._events = Events(logs, clock)
        self._parts = Parts(
            store=self._store,
            jobs=jobs,
            executor=executor,
            logs=logs,
            events=self._events,
            clock=clock,
            environment=environment,
            limits=limits,
            meter=meter or Unmeasured(),
        )
        self._triggers = Triggers(
            self._parts,
            queues=queues,
            accept=self._accept_for_trigger,
            running=self._running,
        )
        self._live: dict[str, ExecutionRun] = {}
        self._live_of_job: dict[str, set[str]] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._open = False

    @property
    def activity(self) -> Activity:
        """Which replicas are at work."""
        return self._parts.activity

    # ------------------------------------------------------------------ life cycle

    async def start(self) -> None:
        """Open the store, recover what an earlier server left running, and plan all jobs.

        Raises:
            RuntimeFault: `runtime.sqlite` cannot be read (code `StateUnreadable`).
        """
        self._store.open()
        self._open = True
        await self._recover()
        for resource in list(self._jobs.jobs()):
            self._triggers.plan(str(resource.get("id", "")))

    async def stop(self) -> None:
        """Stop all triggers and replicas. Unfinished executions go on at the next `start`."""
        self._open = False
        await self._triggers.close()
        await asyncio.gather(*(run.leave() for run in list(self._live.values())))
        await asyncio.gather(*self._background)
        self._live.clear()
        self._live_of_job.clear()
        self._store.close()

    # ------------------------------------------------------------------ what clients ask for

    async def start_execution(
        self, job_id: str, override: Json | None = None, *, trigger: Trigger = "Manual"
    ) -> Json:
        """Start an execution; it is durable when this returns.

        Args:
            job_id: Resource id of the job.
            override: Body of POST …/start: `{"containers": [...], "initContainers": [...]}`, bare
                or (as the docs' example has it) inside `template`. None or empty: the job's own.
            trigger: What starts it.

        Returns:
            ARM JSON of the execution.

        Raises:
            RuntimeFault: No such job (404), the job is suspended (409), the override is not a
                template (400), or the disk is full (507).
        """
        resource = self._jobs.job(job_id)
        if resource is None:
            raise RuntimeFault("ResourceNotFound", f"There is no job {job_id}.", status=404)
        job = read_job(resource)
        if job.suspended:
            raise RuntimeFault(
                "JobSuspended",
                f"Job '{job.name}' is suspended and starts nothing; resume it first.",
                status=409,
            )
        [record] = self._accept(job, override, trigger, 1)
        accepted = execution_json(record)
        await self._store.sync()
        return accepted

    async def stop_execution(self, job_id: str, execution: str) -> Json:
        """Stop one execution: SIGTERM now, SIGKILL after the grace period.

        That it is to stop is durable before any replica is told. Returns when its replicas have
        ended, at the latest a little after the grace period; it then says `Stopped`. Stopping one
        that is over changes nothing.

        Raises:
            RuntimeFault: No such execution (404).
        """
        record = self._record(job_id, execution)
        run = self._live.get(record.name)
        if run is not None:
            await run.stop()
            record = run.record
        return execution_json(record)

    async def stop_all(self, job_id: str) -> list[Json]:
        """Stop every running execution of a job and return those, newest first."""
        runs = self._runs(job_id)
        await asyncio.gather(*(run.stop() for run in runs))
        return [execution_json(run.record) for run in reversed(runs)]

    def executions(self, job_id: str) -> list[Json]:
        """ARM JSON of a job's executions, newest first.

        All of the manual ones; of the scheduled and event-driven ones those that run and the last
        100 that are over (Microsoft Learn, "Jobs in Azure Container Apps", execution history).
        """
        return [execution_json(record) for record in self._store.executions(job_id.lower())]

    def execution(self, job_id: str, name: str) -> Json | None:
        """ARM JSON of one execution; None when the job has none of that name (any case)."""
        record = self._store.execution(job_id.lower(), name)
        return None if record is None else execution_json(record)

    def replicas(self, job_id: str, name: str) -> list[Json]:
        """ARM JSON of an execution's replicas (api 2023-11-02-preview), newest first.

        Raises:
            RuntimeFault: No such execution (404).
        """
        record = self._record(job_id, name)
        return [replica_json(record, replica) for replica in reversed(record.replicas)]

    # ------------------------------------------------------------------ what the store tells

    def job_changed(self, job_id: str) -> None:
        """The job was created, changed, suspended or resumed: plan its trigger anew, at once."""
        self._triggers.plan(job_id)

    def job_deleted(self, job_id: str) -> None:
        """The job is gone: forget its trigger and its history, stop what runs."""
        self._triggers.forget(job_id)
        self._store.mark_deleted(job_id.lower())
        for run in self._runs(job_id):
            run.record.deleted = True
            self._in_background(run.stop())

    def clock_changed(self) -> None:
        """The clock was set to another time: schedules and polls follow from there."""
        for resource in list(self._jobs.jobs()):
            job_id = str(resource.get("id", ""))
            self._store.forget_schedule(job_id.lower())
            self._triggers.plan(job_id)

    # ------------------------------------------------------------------ inside

    def _record(self, job_id: str, name: str) -> ExecutionRecord:
        record = self._store.execution(job_id.lower(), name)
        if record is None:
            job = job_id.rpartition("/")[2]
            raise RuntimeFault(
                "JobExecutionNotFound", f"Job '{job}' has no execution '{name}'.", status=404
            )
        return record

    def _runs(self, job_id: str) -> list[ExecutionRun]:
        found = [self._live[name] for name in self._live_of_job.get(job_id.lower(), ())]
        return sorted(found, key=lambda run: run.record.started)

    def _running(self, key: str) -> int:
        return len(self._live_of_job.get(key, ()))

    def _accept_for_trigger(
        self, job: Job, trigger: Trigger, count: int, fired: tuple[str, str, float] | None
    ) -> int:
        return len(self._accept(job, None, trigger, count, fired))

    def _accept(
        self,
        job: Job,
        override: Json | None,
        trigger: Trigger,
        count: int,
        fired: tuple[str, str, float] | None = None,
    ) -> list[ExecutionRecord]:
        if not self._open:
            raise RuntimeFault("ServiceUnavailable", "The local cloud is stopping.", status=503)
        template = execution_template(job, override)
        now = self._clock.time()
        records = [
            ExecutionRecord(
                job_id=job.id,
                name="",
                trigger=trigger,
                status=Status.RUNNING,
                started=now,
                template=template,
                parallelism=job.parallelism,
                completions=job.completions,
                retry_limit=job.retry_limit,
                timeout=job.timeout,
            )
            for _ in range(count)
        ]
        while True:
            for record in records:
                record.name = names.execution_name(job.name)
            try:
                self._store.add(records, bounded=trigger != "Manual", fired=fired)
                break
            except NameTaken:
                continue
        for record in records:
            self._parts.meter.execution(record.job_id, record.name, record.status)
            self._launch(job, record)
        return records

    def _launch(self, job: Job, record: ExecutionRecord) -> None:
        run = ExecutionRun(self._parts, job, record, self._ended)
        self._live[record.name] = run
        self._live_of_job.setdefault(job.key, set()).add(record.name)
        run.launch()

    def _ended(self, run: ExecutionRun) -> None:
        record = run.record
        self._live.pop(record.name, None)
        of_job = self._live_of_job.get(run.job.key)
        if of_job is not None:
            of_job.discard(record.name)
            if not of_job:
                del self._live_of_job[run.job.key]
        try:
            if record.deleted:
                self._store.purge(record.name)
            elif record.trigger != "Manual":
                self._store.trim(run.job.key, self._limits.history)
        except sqlite3.Error as error:
            _log.warning("old executions of %s were not dropped: %s", run.job.name, error)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _recover(self) -> None:
        """End the orphans of a server that was killed, and go on with its executions."""
        unfinished = self._store.unfinished()
        orphans = {
            replica.name: [container.mark for container in replica.containers if container.mark]
            for record in unfinished
            for replica in record.replicas
            if replica.state is ReplicaState.RUNNING
        }
        if orphans:
            ended = await self._executor.reap(orphans)
            _log.info("ended %d processes that an earlier server had left running", ended)
        for record in unfinished:
            resource = self._jobs.job(record.job_id)
            if record.deleted or resource is None:
                self._store.purge(record.name)
                continue
            try:
                job = read_job(resource)
            except RuntimeFault as fault:
                record.status = Status.FAILED
                record.reason, record.message = fault.code, fault.message
                record.ended = self._clock.time()
                self._store.save(record)
                self._parts.meter.execution(record.job_id, record.name, record.status)
                continue
            self._lose_replicas(job, record)
            self._launch(job, record)

    def _lose_replicas(self, job: Job, record: ExecutionRecord) -> None:
        for replica in record.replicas:
            if replica.state is not ReplicaState.RUNNING:
                continue
            replica.state = ReplicaState.LOST
            replica.finished = self._clock.time()
            for container in replica.containers:
                if container.state is ContainerState.RUNNING:
                    # What the kubelet reports of a container that it cannot find any more.
                    container.state = ContainerState.FAILED
                    container.code = 137
                    container.reason = "ContainerStatusUnknown"
                    container.message = "The container could not be located when the replica ended"
                    container.finished = replica.finished
            self._store.save_replica(record.name, replica)
            self._events.write(
                job,
                *events.lost(replica.name),
                execution=record.name,
                replica=replica.name,
                warning=True,
            )
