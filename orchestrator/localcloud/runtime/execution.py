"""One execution: as many replicas as its job asks for, until it has succeeded, failed or stopped.

A Kubernetes Job in small: at most `parallelism` replicas at a time, and never more than
completions are still wanted; the first replica that is out of retries fails the execution;
`timeout` (replicaTimeout, Kubernetes' activeDeadlineSeconds) bounds everything from the start time
on and comes before the retry limit.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from typing import Any

from orchestrator.localcloud.runtime import events, names
from orchestrator.localcloud.runtime.job import Job
from orchestrator.localcloud.runtime.model import (
    ExecutionRecord,
    ReplicaRecord,
    ReplicaState,
    RuntimeFault,
    Status,
)
from orchestrator.localcloud.runtime.replica import Failure, Parts, ReplicaRun
from orchestrator.localcloud.runtime.template import container_records

_log = logging.getLogger(__name__)


class ExecutionRun:
    """Runs one execution to its end, as a task of its own.

    Args:
        parts: The runtime's parts.
        job: The job, as it is at the start.
        record: The execution; may have replicas that are over, after a restart of the server.
        ended: Called once when the execution is over (not when the server merely stops).
    """

    def __init__(
        self,
        parts: Parts,
        job: Job,
        record: ExecutionRecord,
        ended: Callable[[ExecutionRun], None],
    ) -> None:
        self.record = record
        self.job = job
        self._parts = parts
        self._ended = ended
        self._order: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._active: dict[asyncio.Task[ReplicaState], ReplicaRun] = {}
        self._unsaved: dict[str, ReplicaRecord] = {}
        self._task: asyncio.Task[None] | None = None

    def launch(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name=f"execution {self.record.name}")

    async def stop(self) -> None:
        """Stop it for good; returns when its replicas have ended."""
        if not self.record.status.final and not self.record.stopping:
            self.record.stopping = True
            try:
                self._parts.store.save(self.record)
                if not self.record.deleted:
                    await self._parts.store.sync()
            except (sqlite3.Error, RuntimeFault) as error:
                _log.warning("the stop of %s was not saved: %s", self.record.name, error)
        if not self._order.done():
            self._order.set_result(True)
        await self.wait()

    async def leave(self) -> None:
        """The server stops: end the replicas, and leave the execution to the next server."""
        if not self._order.done():
            self._order.set_result(False)
        for run in self._active.values():
            run.stop(ReplicaState.LOST, self._parts.limits.shutdown_grace)
        await self.wait()

    async def wait(self) -> None:
        """Until it is over, or left."""
        if self._task is not None:
            await asyncio.shield(self._task)

    # ------------------------------------------------------------------ inside

    async def _run(self) -> None:
        record = self.record
        try:
            verdict = await self._supervise()
        except Exception:  # noqa: BLE001
            # Whatever the fault: nothing may say Running for ever.
            _log.exception("execution %s failed inside the local cloud", record.name)
            verdict = (Status.FAILED, *events.INTERNAL)
        if verdict is None:
            return
        record.status, record.reason, record.message = verdict
        record.ended = self._parts.clock.time()
        await self._save_for_good()
        try:
            self._parts.meter.execution(record.job_id, record.name, record.status)
            self._say()
        except Exception:  # noqa: BLE001 - it is over all the same, and runs no more
            _log.exception("the end of execution %s was not told", record.name)
        self._ended(self)

    async def _supervise(self) -> tuple[Status, str, str] | None:
        record = self.record
        clock = self._parts.clock
        done = {r.slot for r in record.replicas if r.state is ReplicaState.SUCCEEDED}
        verdict: tuple[Status, str, str] | None = None
        waited: set[asyncio.Future[Any]] = {self._order}
        deadline: asyncio.Future[None] | None = None
        late = False  # it came while the server was down: nothing is started any more
        if record.timeout is not None:
            # A span, not a moment: a clock that is set back does not make the time-out longer.
            left = record.started + record.timeout - clock.time()
            deadline = asyncio.ensure_future(clock.sleep(left))
            late = left <= 0
            waited.add(deadline)
        if record.stopping and not self._order.done():
            self._order.set_result(True)
        try:
            while True:
                if len(done) >= record.completions:
                    verdict = (Status.SUCCEEDED, "", "")
                    break
                if self._order.done():
                    if self._order.result():
                        verdict = (Status.STOPPED, *events.STOPPED)
                    break
                if late or (deadline is not None and deadline.done()):
                    verdict = (Status.FAILED, *events.DEADLINE)
                    break
                self._fill(done)
                await asyncio.wait(waited.union(self._active), return_when=asyncio.FIRST_COMPLETED)
                failure = self._collect(done)
                if failure is not None and len(done) < record.completions:
                    verdict = (Status.FAILED, failure.reason, failure.message)
                    break
        finally:
            if deadline is not None:
                deadline.cancel()
            await self._end_replicas(left=verdict is None)
        return verdict

    def _fill(self, done: set[int]) -> None:
        """Start replicas in the first free slots, as many as may run."""
        record = self.record
        busy = {run.record.slot for run in self._active.values()}
        free = (slot for slot in range(record.completions) if slot not in done | busy)
        # Never more than completions are still wanted: each slot is one of them.
        for slot in free:
            if len(self._active) >= record.parallelism:
                break
            replica = ReplicaRecord(
                name=names.replica_name(record.name),
                slot=slot,
                state=ReplicaState.RUNNING,
                created=self._parts.clock.time(),
                restarts=max((r.restarts for r in record.replicas if r.slot == slot), default=0),
                containers=container_records(record.template),
            )
            record.replicas.append(replica)
            run = ReplicaRun(self._parts, self.job, record, replica, self._save_replica)
            task = asyncio.create_task(run.run(), name=f"replica {replica.name}")
            self._active[task] = run

    def _collect(self, done: set[int]) -> Failure | None:
        """Take in the replicas that are over; why the execution has failed, if it has."""
        failure: Failure | None = None
        for task in [task for task in self._active if task.done()]:
            run = self._active.pop(task)
            state = task.result()
            if state is ReplicaState.SUCCEEDED:
                done.add(run.record.slot)
            elif state is ReplicaState.FAILED:
                failure = run.failure or Failure(*events.BACKOFF_LIMIT)
        return failure

    async def _end_replicas(self, *, left: bool) -> None:
        limits = self._parts.limits
        for run in self._active.values():
            if left:
                run.stop(ReplicaState.LOST, limits.shutdown_grace)
            else:
                run.stop(ReplicaState.STOPPED, limits.grace)
        results = await asyncio.gather(*self._active, return_exceptions=True)
        self._active.clear()
        for result in results:
            if isinstance(result, Exception):
                _log.error(
                    "a replica of %s failed while it ended", self.record.name, exc_info=result
                )

    def _save_replica(self, replica: ReplicaRecord) -> None:
        # A full disk must not kill a running replica: what could not be written is written with
        # the next step.
        self._unsaved[replica.name] = replica
        try:
            self._parts.store.save_replica(self.record.name, *self._unsaved.values())
        except sqlite3.Error as error:
            _log.warning("the state of replica %s was not saved: %s", replica.name, error)
        else:
            self._unsaved.clear()

    async def _save_for_good(self) -> None:
        store = self._parts.store
        while True:
            try:
                if self._unsaved:
                    store.save_replica(self.record.name, *self._unsaved.values())
                    self._unsaved.clear()
                store.save(self.record)
                return
            except sqlite3.Error as error:
                _log.warning("the end of execution %s was not saved: %s", self.record.name, error)
                await asyncio.sleep(1.0)

    def _say(self) -> None:
        record = self.record
        if record.status is Status.SUCCEEDED:
            reason, text = events.COMPLETED
        elif record.reason in (events.BACKOFF_LIMIT[0], events.DEADLINE[0], events.STOPPED[0]):
            reason, text = record.reason, record.message
        else:
            reason, text = "Failed", f"Job execution failed: {record.message}"
        self._parts.events.write(
            self.job,
            reason,
            text,
            execution=record.name,
            warning=record.status is Status.FAILED,
        )
