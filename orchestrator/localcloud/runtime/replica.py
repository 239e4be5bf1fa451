"""One replica: its init containers one after the other, then its containers side by side.

A container that fails is started again inside the replica, after a wait that doubles each time,
as long as the replica has retries left; the replica has succeeded once every container ended with
exit code 0.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from orchestrator.clock import Clock
from orchestrator.localcloud.logs.model import ConsoleLine, LogSink
from orchestrator.localcloud.runtime import events, names
from orchestrator.localcloud.runtime.activity import Activity
from orchestrator.localcloud.runtime.events import Events
from orchestrator.localcloud.runtime.job import Job, read_job
from orchestrator.localcloud.runtime.model import (
    ContainerExit,
    ContainerHandle,
    ContainerRecord,
    ContainerState,
    ExecutionRecord,
    Executor,
    JobSource,
    Json,
    Limits,
    Meter,
    ReplicaEnvironment,
    ReplicaRecord,
    ReplicaSpec,
    ReplicaState,
    RuntimeFault,
    StartFailure,
    Stream,
)
from orchestrator.localcloud.runtime.store import ExecutionStore
from orchestrator.localcloud.runtime.template import (
    container_definition,
    container_spec,
    requested,
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What executions and replicas share: the parts of the runtime."""

    store: ExecutionStore
    jobs: JobSource
    executor: Executor
    logs: LogSink
    events: Events
    clock: Clock
    environment: ReplicaEnvironment
    limits: Limits
    meter: Meter
    activity: Activity = field(default_factory=Activity)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a replica failed, when it is not simply out of retries."""

    reason: str
    message: str


class ReplicaRun:
    """Runs one replica to its end.

    Args:
        parts: The runtime's parts.
        job: The job as it was when the execution began or was recovered.
        execution: The execution; its template and retry limit count.
        record: The replica; kept up to date, and saved by `save` at each step.
        save: Makes the record durable.
    """

    def __init__(
        self,
        parts: Parts,
        job: Job,
        execution: ExecutionRecord,
        record: ReplicaRecord,
        save: Callable[[ReplicaRecord], None],
    ) -> None:
        self.record = record
        self.failure: Failure | None = None
        self._parts = parts
        self._job = job
        self._execution = execution
        self._save = save
        self._spec = ReplicaSpec(job=job.name, execution=execution.name, name=record.name)
        self._halt = asyncio.Event()
        self._ordered: ReplicaState | None = None
        self._grace = parts.limits.grace
        self._handles: set[ContainerHandle] = set()
        self._interrupted = False
        self._hurry: set[asyncio.Task[None]] = set()

    async def run(self) -> ReplicaState:
        """Until the replica is over; its record then has its final state, and is saved."""
        record = self.record
        try:
            succeeded = await self._whole()
        except Exception:  # noqa: BLE001
            # Whatever the fault: nothing may say Running for ever.
            _log.exception("replica %s failed inside the local cloud", record.name)
            succeeded = False
            self._broken()
        # A container that was told to end may end with code 0 and its work undone.
        if succeeded and not self._interrupted:
            record.state = ReplicaState.SUCCEEDED
        else:
            record.state = self._ordered or ReplicaState.FAILED
        record.finished = self._parts.clock.time()
        self._save(record)
        if record.state is ReplicaState.LOST:
            self._event(*events.lost(record.name), warning=True)
        return record.state

    async def _whole(self) -> bool:
        """All of its life; whether every container has succeeded."""
        record, parts = self.record, self._parts
        parts.activity.begin(record.name)
        try:
            parts.logs.replica_started(self._execution.name, record.name)
            parts.meter.begin(
                self._job.id,
                self._execution.name,
                record.name,
                *requested(self._execution.template),
            )
            self._event("SuccessfulCreate", f"Created replica: {record.name}")
            async with parts.environment(self._job.resource) as platform:
                try:
                    return await self._containers(platform)
                finally:
                    await self._release()
        finally:
            parts.logs.replica_ended(record.name)
            parts.meter.end(record.name)
            parts.activity.end(record.name)

    async def _release(self) -> None:
        try:
            await self._parts.executor.release(self._spec)
        except Exception:  # noqa: BLE001 - what it left behind changes nothing of how it ended
            _log.exception("what replica %s left behind was not removed", self.record.name)

    def _broken(self) -> None:
        """A fault of the local cloud's own ended it: so do its containers that are not over."""
        reason, message = events.INTERNAL
        for container in self.record.containers:
            if container.state is ContainerState.RUNNING:
                container.state = ContainerState.FAILED
                container.finished = self._parts.clock.time()
                container.reason, container.message = reason, message
        if self._ordered is not ReplicaState.LOST:
            self._fail(Failure(reason, message))

    def stop(self, state: ReplicaState, grace: float) -> None:
        """Tell the replica to end; `run` returns once it has.

        Args:
            state: What the record shall say then: STOPPED or LOST.
            grace: Seconds from SIGTERM to SIGKILL; said again, the shorter time counts.
        """
        if self._ordered is None:
            self._ordered = state
        if self._halt.is_set() and grace < self._grace:
            for handle in self._handles:
                task = asyncio.create_task(handle.stop(grace))
                self._hurry.add(task)
                task.add_done_callback(self._hurry.discard)
        self._grace = min(self._grace, grace)
        self._halt.set()

    # ------------------------------------------------------------------ containers

    async def _containers(self, platform: Mapping[str, str]) -> bool:
        for container in self.record.containers:
            if container.init and not await self._container(container, platform):
                return False
        running = [
            asyncio.ensure_future(self._container(container, platform))
            for container in self.record.containers
            if not container.init
        ]
        try:
            return all(await asyncio.gather(*running))
        except BaseException:
            self._halt.set()
            await asyncio.gather(*running, return_exceptions=True)
            raise

    async def _container(self, container: ContainerRecord, platform: Mapping[str, str]) -> bool:
        """Run one container until it succeeds (True), or the replica is to end (False)."""
        limits = self._parts.limits
        backoff = limits.backoff
        while not self._halt.is_set():
            try:
                exit_ = await self._once(container, platform)
            except StartFailure as failure:
                self._not_started(container, failure)
                if failure.permanent:
                    self._fail(Failure(failure.reason, failure.message))
                    return False
            else:
                if exit_.code == 0:
                    return True
            if self._halt.is_set():
                return False
            if self.record.restarts >= self._execution.retry_limit:
                self._fail(None)
                return False
            self.record.restarts += 1
            container.restarts += 1
            self._save(self.record)
            self._parts.meter.restarted(self._job.id, self._execution.name, self.record.restarts)
            ran = (container.finished or 0.0) - (container.started or 0.0)
            if container.started is not None and ran >= limits.backoff_reset:
                backoff = limits.backoff
            self._event(
                "ContainerBackOff",
                f"Back-off {backoff:g} s before container '{container.name}' is restarted: retry "
                f"{self.record.restarts} of {self._execution.retry_limit}",
                container=container.name,
                warning=True,
            )
            await self._pause(backoff)
            backoff = min(backoff * 2, limits.backoff_cap)
        return False

    async def _once(self, container: ContainerRecord, platform: Mapping[str, str]) -> ContainerExit:
        parts = self._parts
        container.state = ContainerState.WAITING
        container.code = container.started = container.finished = None
        container.reason = container.message = container.mark = ""
        container.id = names.container_id()
        # Before the start: should the server die in between, the replica is known by its name.
        self._save(self.record)
        definition = container_definition(self._execution.template, container)
        spec = container_spec(
            definition,
            container.id,
            self._secrets_now(),
            self._spec,
            platform,
            self._execution.template.get("volumes"),
        )
        handle = await parts.executor.start(
            self._spec, spec, _Console(parts, self._job, self._spec, container)
        )
        container.state = ContainerState.RUNNING
        container.mark = handle.mark
        container.started = parts.clock.time()
        self._save(self.record)
        self._event(
            "ContainerStarted",
            f"Started container '{container.name}'{_unenforced(parts.executor, definition)}",
            container=container.name,
        )
        exit_ = await self._until_ended(handle)
        container.finished = parts.clock.time()
        container.code = exit_.code
        good = exit_.code == 0
        container.state = ContainerState.SUCCEEDED if good else ContainerState.FAILED
        container.reason = exit_.reason or ("Completed" if good else "ProcessExited")
        container.message = exit_.message
        self._save(self.record)
        self._event(
            "ContainerTerminated",
            f"Container '{container.name}' was terminated with exit code '{exit_.code}' "
            f"and reason '{container.reason}'" + (f": {exit_.message}" if exit_.message else ""),
            container=container.name,
            warning=not good,
        )
        return exit_

    async def _until_ended(self, handle: ContainerHandle) -> ContainerExit:
        ended = asyncio.ensure_future(handle.wait())
        halt = asyncio.ensure_future(self._halt.wait())
        self._handles.add(handle)
        try:
            await asyncio.wait((ended, halt), return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                self._interrupted = True
                await handle.stop(self._grace)
            return await ended
        except Exception:
            # Nobody hears of its end any more, so it must not be left running.
            with contextlib.suppress(Exception):
                await handle.stop(0.0)
            raise
        finally:
            self._handles.discard(handle)
            halt.cancel()
            ended.cancel()

    async def _pause(self, seconds: float) -> None:
        sleep = asyncio.ensure_future(self._parts.clock.sleep(seconds))
        halt = asyncio.ensure_future(self._halt.wait())
        try:
            with self._parts.activity.paused(self.record.name):
                await asyncio.wait((sleep, halt), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleep.cancel()
            halt.cancel()

    def _secrets_now(self) -> Job:
        # As in Kubernetes, a container sees the secrets that the job has when it starts.
        resource = self._parts.jobs.job(self._job.id)
        try:
            return self._job if resource is None else read_job(resource)
        except RuntimeFault:
            return self._job

    def _not_started(self, container: ContainerRecord, failure: StartFailure) -> None:
        container.state = ContainerState.WAITING
        container.reason = failure.reason
        container.message = failure.message
        self._save(self.record)
        self._event(failure.reason, failure.message, container=container.name, warning=True)

    def _fail(self, failure: Failure | None) -> None:
        self._ordered = self._ordered or ReplicaState.FAILED
        self.failure = failure
        self._halt.set()

    def _event(self, reason: str, text: str, *, container: str = "", warning: bool = False) -> None:
        self._parts.events.write(
            self._job,
            reason,
            text,
            execution=self._execution.name,
            replica=self.record.name,
            container=container,
            warning=warning,
        )


class _Console:
    """Gives a container's lines to the log sink."""

    def __init__(
        self,
        parts: Parts,
        job: Job,
        replica: ReplicaSpec,
        container: ContainerRecord,
    ) -> None:
        logs = parts.logs
        self._console = logs.console
        self._time = parts.clock.time
        self._meter = parts.meter
        self._tail = (
            job.name,
            replica.execution,
            replica.name,
            container.name,
            container.image,
            job.environment,
            job.id,
            container.id,
        )
        # A sink that can fall behind says so; one that cannot has neither.
        self._lagging: Callable[[], bool] | None = getattr(logs, "lagging", None)
        self._drained = getattr(logs, "drained", None)

    def line(self, stream: Stream, text: str) -> None:
        self._console(ConsoleLine(self._time(), stream, text, *self._tail))

    def behind(self) -> bool:
        return self._lagging is not None and self._lagging()

    async def ready(self) -> None:
        if self._drained is not None:
            await self._drained()

    def used(self, size: int, nano_cores: float | None) -> None:
        job_id, execution = self._tail[6], self._tail[1]
        self._meter.used(job_id, execution, size, nano_cores)


def _unenforced(executor: Executor, definition: Json) -> str:
    resources = definition.get("resources") or {}
    if not executor.unenforced or not resources:
        return ""
    asked = " and ".join(
        f"{name} {resources[name]}" for name in executor.unenforced if resources.get(name)
    )
    return f" ({executor.name}: not enforced: {asked})" if asked else ""
