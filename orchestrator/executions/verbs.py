"""Executions: start, list, wait for, stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from orchestrator.arguments import check_limit, moment_of, seconds_of, since_of, statuses
from orchestrator.azure.clients import Clients
from orchestrator.azure.failures import told
from orchestrator.errors import (
    BadInput,
    Conflict,
    ExecutionNotFound,
    InvalidRequest,
    JobNotFound,
    JobSuspended,
    NotFound,
    NotReachable,
    OrchestratorError,
    WaitTimeout,
)
from orchestrator.executions.lists import ExecutionLists
from orchestrator.executions.record import execution_record, start_template
from orchestrator.jobs.body import job_record
from orchestrator.planning.foresight import variable_notes
from orchestrator.results import Execution, Executions
from orchestrator.waiting import Time, backoff

if TYPE_CHECKING:
    from orchestrator.jobs.verbs import JobVerbs
    from orchestrator.logs.system_log import SystemLog
    from orchestrator.quantities import Since

LATEST = "@latest"
_STOP_PATIENCE = 45.0  # seconds: SIGTERM, the platform's 30 s of grace, SIGKILL, and some to spare


class ExecutionVerbs:
    """The verbs on executions of one profile."""

    def __init__(self, clients: Clients, jobs: JobVerbs, time: Time, system_log: SystemLog) -> None:
        self._clients = clients
        self._jobs = jobs
        self._time = time
        self._system_log = system_log
        self._group = clients.profile.resource_group
        self._lists = ExecutionLists(clients, jobs, time)

    # ---------------------------------------------------------------- start

    def start(
        self,
        job: str,
        *,
        env: Mapping[str, str] | None = None,
        args: Sequence[str] | None = None,
        command: Sequence[str] | None = None,
        image: str | None = None,
    ) -> tuple[str, list[str]]:
        """Start an execution; its name, and notes on variables that were perhaps misspelt.

        Raises JobNotFound, JobSuspended, BadInput.
        """
        template, notes = None, []
        if env or args is not None or command is not None or image is not None:
            resource = self._jobs.resource(job)
            template = start_template(resource, env=env, args=args, command=command, image=image)
            notes = variable_notes(job_record(resource).env, env or ())
        return self._start(job, template), notes

    def retry(self, name: str, job: str | None = None) -> tuple[str, str]:
        """Start a job again with the template that this execution had; (execution, job).

        Raises InvalidRequest for an execution whose template nobody keeps any more.
        """
        execution = self.one(name, job)
        template = (execution.raw.get("properties") or {}).get("template")
        if execution.kept or not template:
            raise InvalidRequest(
                f"The template of {execution.name} is not kept any more, so it cannot be started "
                "again as it was.",
                f"Start the job as it is now: orchestrator start {execution.job}",
            )
        again = start_template({"properties": {"template": template}})
        return self._start(execution.job, again), execution.job

    def _start(self, job: str, override: Mapping[str, Any] | None) -> str:
        template = None
        if override is not None:
            from azure.mgmt.appcontainers.models import JobExecutionTemplate

            template = JobExecutionTemplate(override)
        try:
            with self._jobs.told(f"start the job {job}", job):
                jobs = self._clients.containers.jobs
                started = jobs.begin_start(self._group, job, template).result()
        except (Conflict, InvalidRequest) as error:
            raise self._suspended(job) or error from error
        except NotReachable as error:
            raise _perhaps_started(error, job) from error
        return str(started.name)

    def _suspended(self, job: str) -> JobSuspended | None:
        try:
            suspended = self._jobs.show(job).suspended
        except OrchestratorError:
            return None
        if not suspended:
            return None
        return JobSuspended(
            f"The job {job} is suspended, so it starts nothing.",
            f"Let it start again: orchestrator jobs resume {job}",
        )

    # ---------------------------------------------------------------- read

    def every(
        self,
        job: str | None = None,
        *,
        status: str | Sequence[str] | None = None,
        since: Since = None,
        limit: int | None = None,
        history: bool | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Executions:
        """Executions of one job or of all, newest first. Raises JobNotFound, BadInput.

        The service's `$filter` knows neither status nor time, so both are sifted here.
        `history`: see `Orchestrator.executions`.
        """
        wanted = statuses(status)
        moment_of(since, self._time)  # wrong ones are told before anything is asked
        check_limit(limit)
        gone: JobNotFound | None = None
        found: list[Execution] = []
        try:
            if job is not None:
                found = self._lists.of(job)
            else:
                found = self._lists.of_all(self._jobs.names(), progress)
        except JobNotFound as error:
            if not history:
                raise
            gone = error  # the log may still tell of a job that was deleted
        after = since_of(since, self._time, self._clients)

        def sifted(executions: list[Execution]) -> list[Execution]:
            kept = [
                e
                for e in executions
                if (not wanted or e.status in wanted)
                and (after is None or (e.start is not None and e.start >= after))
            ]
            return newest_first(kept)[: limit if limit is not None else len(kept)]

        kept, partial = sifted(found), ""
        if history is not False:
            from orchestrator.executions.history import older

            enough = limit is not None and len(kept) >= limit
            more, partial = older(
                self._system_log,
                found,
                job=job,
                since=after,
                floor=kept[-1].start if enough and kept else None,
                always=bool(history),
            )
            if gone is not None and not more:
                raise gone
            kept = sifted([*kept, *more]) if more else kept
        return Executions(kept, partial=partial)

    def resolve(self, name: str, job: str | None = None) -> tuple[str, str]:
        """(execution, job) of a name, "@latest" or "sender@latest"; looks it up where it must.

        Raises ExecutionNotFound, JobNotFound, BadInput.
        """
        if name.endswith(LATEST):
            of = name.removesuffix(LATEST) or job
            if not of:
                raise BadInput(
                    "@latest of which job?", "Write sender@latest, or name the job with --job."
                )
            newest = self.latest(of)
            if newest is None:
                raise ExecutionNotFound(
                    f"The job {of} has no executions yet.", f"Start one: orchestrator start {of}"
                )
            return newest.name, of
        if job is not None:
            return name, job
        return name, self._search(name).job

    def one(self, name: str, job: str | None = None) -> Execution:
        """One execution as it is now; `name` as in `resolve`."""
        if job is None and not name.endswith(LATEST):
            return self._search(name)
        name, job = self.resolve(name, job)
        found = self._get(name, job)
        if found is None:
            found = self._remembered(name, job)
        if found is None:
            raise self._not_found(name, job)
        return found

    def _remembered(self, name: str, job: str | None = None) -> Execution | None:
        """An execution that only the system log tells of any more."""
        try:
            return next(iter(self._system_log.executions(job, name=name)), None)
        except OrchestratorError:  # then what is asked for is not there, as far as we can see
            return None

    def latest(self, job: str) -> Execution | None:
        """The job's newest execution, None when it never ran."""
        return next(iter(newest_first(self._lists.of(job))), None)

    def _get(self, name: str, job: str) -> Execution | None:
        try:
            with told(self._clients.profile, f"show the execution {name}"):
                found = self._clients.containers.job_execution(self._group, job, name)
        except NotFound as error:
            if error.code == "ResourceGroupNotFound":
                raise
            return None
        return execution_record(found.as_dict(), job)

    def _search(self, name: str) -> Execution:
        """An execution's name begins with its job's, as a rule; else all are looked through."""
        guess = name.rpartition("-")[0]
        if guess and (found := self._get(name, guess)):
            return found
        everything = self.every(history=False)
        for execution in everything:
            if execution.name == name:
                return execution
        if remembered := self._remembered(name):
            return remembered
        names = [e.name for e in everything]
        from difflib import get_close_matches

        near = get_close_matches(name, names, 1)
        if name in self._jobs.names():
            ran = any(execution.job == name for execution in everything)
            hint = f"{name} is a job, "
            hint += f"{name}@latest its newest execution." if ran else "and has not run yet."
        elif near:
            hint = f'Did you mean "{near[0]}"?'
        elif names:
            hint = f"The newest there is {names[0]}; all of them: orchestrator executions list"
        else:
            hint = "There are no executions yet; start one: orchestrator start JOB"
        raise ExecutionNotFound(f'There is no execution "{name}".', hint, status=404)

    def _not_found(self, name: str, job: str) -> NotFound:
        if self._jobs.find(job) is None:
            return self._jobs.not_found(job)
        newest = newest_first(self._lists.of(job))
        from difflib import get_close_matches

        near = get_close_matches(name, [e.name for e in newest], 1)
        if near:
            hint = f'Did you mean "{near[0]}"?'
        elif newest:
            hint = f"Its newest is {newest[0].name}."
        else:
            hint = f"It has none yet; start one: orchestrator start {job}"
        return ExecutionNotFound(f'The job {job} has no execution "{name}".', hint, status=404)

    # ---------------------------------------------------------------- wait

    def wait(
        self,
        name: str,
        job: str | None = None,
        *,
        timeout: float | str | timedelta | None = None,
        poll: float | None = None,
        on_change: Callable[[Execution], None] | None = None,
    ) -> Execution:
        """Wait until it has ended, and give it as it then is. Raises WaitTimeout."""
        name, job = self.resolve(name, job)
        limit = None if timeout is None else seconds_of(timeout)
        began = self._time.time()
        seen: Any = None
        delays = backoff() if poll is None else backoff(poll, poll)
        while True:
            execution = self.one(name, job)
            if on_change and _state(execution) != seen:
                on_change(execution)
                seen = _state(execution)
            if execution.finished:
                return execution
            delay = next(delays)
            if limit is not None:
                left = began + limit - self._time.time()
                if left <= 0:
                    raise WaitTimeout(
                        f"The execution {name} has not ended within {_written(timeout)}; it still "
                        "runs.",
                        f"Wait on: orchestrator executions wait {name}; "
                        f"stop it: orchestrator stop {name}",
                        execution=execution,
                    )
                delay = min(delay, left)
            self._time.sleep(delay)

    # ---------------------------------------------------------------- stop

    def stop(self, name: str, job: str | None = None) -> Execution:
        """Stop it and give it as it then is. What has ended is left as it is."""
        execution = self.one(name, job)
        if execution.finished:
            return execution
        with told(self._clients.profile, f"stop the execution {execution.name}"):
            self._clients.containers.jobs.begin_stop_execution(
                self._group, execution.job, execution.name
            ).result()
        return self._settled(execution)

    def stop_all(self, job: str) -> Executions:
        """Stop every running execution of the job; gives those that were stopped."""
        running = [e for e in self._lists.of(job) if not e.finished]
        if not running:
            return Executions()
        with self._jobs.told(f"stop the executions of the job {job}", job):
            self._clients.containers.jobs.begin_stop_multiple_executions(self._group, job).result()
        return Executions(self._settled(execution) for execution in newest_first(running))

    def _settled(self, execution: Execution) -> Execution:
        """The execution once it has ended, or as it is when patience has."""
        try:
            return self.wait(execution.name, execution.job, timeout=_STOP_PATIENCE)
        except WaitTimeout as timeout:
            return timeout.execution or execution


def newest_first(executions: Sequence[Execution]) -> list[Execution]:
    """By start; what has not begun is the newest."""
    future = datetime.max.replace(tzinfo=UTC)
    return sorted(executions, key=lambda e: e.start or future, reverse=True)


def _perhaps_started(error: NotReachable, job: str) -> NotReachable:
    """The error of a start: that the job may run all the same, where the request had been sent."""
    from azure.core.exceptions import ServiceResponseError

    if not isinstance(error.__cause__, ServiceResponseError):
        return error
    return NotReachable(
        error.message,
        "The job may have started all the same; look before you start it again: "
        f"orchestrator executions list --job {job}",
    )


def _state(execution: Execution) -> tuple[Any, ...]:
    return execution.status, execution.replicas


def _written(timeout: Any) -> str:
    return timeout if isinstance(timeout, str) else f"{seconds_of(timeout):g} s"
