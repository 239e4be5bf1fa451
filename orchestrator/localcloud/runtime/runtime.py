"""The runtime: executions of jobs, whoever or whatever starts them."""

from __future__ import annotations

from pathlib import Path

from orchestrator.clock import Clock
from orchestrator.localcloud.logs.model import LogSink
from orchestrator.localcloud.runtime.model import (
    Executor,
    JobSource,
    Json,
    Limits,
    QueueLength,
    ReplicaEnvironment,
    Trigger,
)


class Runtime:
    """Starts, watches and stops the executions of all jobs. Belongs to one event loop.

    Args:
        state: Folder for `runtime.sqlite`.
        jobs: The jobs, with their secrets.
        executor: Runs the containers.
        logs: Takes console lines and system events.
        clock: The time that cron, scaler polls, time-outs and retries follow.
        environment: Variables of a replica that belong to the platform.
        queue_length: Active messages of a queue.
        limits: Waiting times.
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
        queue_length: QueueLength,
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> None:
        raise NotImplementedError

    async def start(self) -> None:
        """Open the store, recover what an earlier server left running, and plan all jobs.

        Raises:
            RuntimeFault: `runtime.sqlite` cannot be read (code `StateUnreadable`).
        """
        raise NotImplementedError

    async def stop(self) -> None:
        """Stop all triggers and replicas. Unfinished executions go on at the next `start`."""
        raise NotImplementedError

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
            RuntimeFault: No such job (404), the job is suspended (409), or the override is not
                a template (400).
        """
        raise NotImplementedError

    async def stop_execution(self, job_id: str, execution: str) -> Json:
        """Stop one execution: SIGTERM now, SIGKILL after the grace period.

        Returns once the stop is durable and the replicas were told, not when they have ended;
        the execution then says `Stopped`. Stopping one that is over changes nothing.

        Raises:
            RuntimeFault: No such execution (404).
        """
        raise NotImplementedError

    async def stop_all(self, job_id: str) -> list[Json]:
        """Stop every running execution of a job and return those."""
        raise NotImplementedError

    def executions(self, job_id: str) -> list[Json]:
        """ARM JSON of a job's executions, newest first."""
        raise NotImplementedError

    def execution(self, job_id: str, name: str) -> Json | None:
        """ARM JSON of one execution; None when the job has none of that name (any case)."""
        raise NotImplementedError

    def replicas(self, job_id: str, name: str) -> list[Json]:
        """ARM JSON of an execution's replicas (api 2023-11-02-preview), newest first."""
        raise NotImplementedError

    def job_changed(self, job_id: str) -> None:
        """The job was created, changed, suspended or resumed: plan its trigger anew, at once."""
        raise NotImplementedError

    def job_deleted(self, job_id: str) -> None:
        """The job is gone: forget its trigger and history, stop what runs."""
        raise NotImplementedError
