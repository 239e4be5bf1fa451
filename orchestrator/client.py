"""`connect()` and the `Orchestrator` it gives: the library's front door.

Each method is one verb on one noun; the work is done in the module of that noun (jobs,
executions, logs, queues, infra), which is imported when it is needed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from orchestrator.client_logs import LogClient

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.alerts.verbs import AlertVerbs
    from orchestrator.doctor.findings import Findings
    from orchestrator.executions.explanation import Explanation
    from orchestrator.executions.run import Run
    from orchestrator.images import ImageVerbs
    from orchestrator.infra.verbs import InfraVerbs
    from orchestrator.metrics.verbs import MetricVerbs
    from orchestrator.planning.verbs import Drift, Plan
    from orchestrator.quantities import Since
    from orchestrator.queues.records import Queue
    from orchestrator.queues.verbs import QueueVerbs
    from orchestrator.results import Change, Changes, Execution, Executions, Job, Jobs, Step
    from orchestrator.settings import Settings
    from orchestrator.status import Status


def connect(
    profile: str | None = None, *, settings: str | os.PathLike[str] | Settings | None = None
) -> Orchestrator:
    """An `Orchestrator` for a profile of the settings.

    `profile`: its name; None takes ORCHESTRATOR_PROFILE, else the settings' default.
    `settings`: a file, or settings already read; None looks for `orchestrator.toml` in the working
    folder and its parents (or takes ORCHESTRATOR_SETTINGS).

    Nothing is contacted yet. Raises SettingsError, ProfileError.
    """
    from orchestrator.azure.profile import resolve
    from orchestrator.settings import Settings, load

    read = settings if isinstance(settings, Settings) else load(settings)
    return Orchestrator(read, resolve(read, profile))


@contextmanager
def local_cloud(
    state: str | os.PathLike[str] | None = None,
    *,
    settings: str | os.PathLike[str] | Settings | None = None,
    profile: str | None = None,
    up: bool = True,
) -> Iterator[Orchestrator]:
    """A local cloud for the length of a `with` block, and an `Orchestrator` connected to it.

    `state`: its state folder; None takes the local profile's own. One that runs there already is
    used, and left running at the end. `up`: also make what the settings say, and deploy the jobs.
    Raises what `connect` and `Orchestrator.up` raise, and NotReachable when it does not start.
    """
    from pathlib import Path

    from orchestrator.azure.profile import resolve
    from orchestrator.local_server import start, stop
    from orchestrator.settings import Settings, load

    read = settings if isinstance(settings, Settings) else load(settings)
    chosen = resolve(read, profile)
    where: Path | None = Path(state).absolute() if state is not None else None
    local, started = start(read, chosen, where)
    try:
        with Orchestrator(read, local) as orchestrator:
            if up and read.path is not None:
                orchestrator.up()
            yield orchestrator
    finally:
        if started:
            stop(local)


class Orchestrator(LogClient):
    """The jobs of one profile: deploy, start, follow, query.

    Usable as a context manager; `close()` lets go of the connections. Methods raise
    `OrchestratorError`s (see `orchestrator.errors`), and nothing else. Safe to use from several
    threads.

    `clients` and `time` replace the SDK clients and the clock, for tests.
    """

    def __repr__(self) -> str:
        return f"<Orchestrator of the profile {self.profile.name} ({self.profile.kind})>"

    # ---------------------------------------------------------------- the world

    def up(self, progress: Callable[[Step], None] | None = None) -> Changes:
        """Make everything of the settings real: deploy the template of what the jobs live in
        (`infra.deploy`), then every job. Idempotent: what is there and right is left.

        Raises SettingsNotFound without a settings file, and what `infra.deploy` and `deploy` raise.
        """
        import msgspec

        from orchestrator.errors import OrchestratorError
        from orchestrator.results import Changes

        self._check_settings("make")
        jobs = len(self.settings.jobs)

        def first(step: Step) -> None:
            total = step.total + jobs if step.total else 0
            if progress:
                progress(msgspec.structs.replace(step, total=total))

        try:
            made = self._infra.deploy(progress=first if progress else None).changes
        except OrchestratorError as error:
            if jobs:
                error.hint = (
                    f"{error.hint} The jobs were left as they were; them alone: orchestrator deploy"
                ).strip()
            raise

        def then(step: Step) -> None:
            number, total = step.number + len(made), len(made) + jobs
            if progress:
                progress(msgspec.structs.replace(step, number=number, total=total))

        deployed = self._plans.deploy(self.settings, progress=then)
        return Changes([*made, *deployed], notes=deployed.notes)

    def deploy(
        self,
        *jobs: str,
        plan_version: str | None = None,
        prune: bool = False,
        replace: bool = False,
        progress: Callable[[Step], None] | None = None,
    ) -> Changes:
        """Create or update these jobs (none named: all of the settings), saying what changed.

        `plan_version`: refuse if the live jobs or the settings have changed since that `plan`.
        `prune`: also delete what this project deployed and the settings name no more.
        `replace`: delete and make anew a job where Container Apps does not let a field be changed.

        Raises SettingsNotFound, JobNotFound, SettingsError (a secret that refers to nothing),
        Conflict (the plan is stale, or a job would be replaced).
        """
        self._check_settings("deploy")
        return self._plans.deploy(
            self.settings,
            jobs,
            plan_version=plan_version,
            prune=prune,
            replace=replace,
            progress=progress,
        )

    def plan(self, *jobs: str, prune: bool = False, version: str | None = None) -> Plan:
        """What `deploy` would do to these jobs, field by field; nothing is sent. What it would not
        refuse and will not do (an identity that is not there or lacks a role, an image that nobody
        knows) is in the `notes` of each.

        Raises SettingsNotFound, JobNotFound, SettingsError; Conflict where `version` is given and
        is not this plan's.
        """
        self._check_settings("plan")
        from functools import cache

        from orchestrator.doctor.patient import Ward

        @cache
        def ward() -> Ward:
            return Ward(self._doctors_rooms())

        return self._plans.plan(self.settings, jobs, prune=prune, version=version, ward=ward)

    def drift(self, *jobs: str) -> Drift:
        """Where live jobs differ from the settings. Raises SettingsNotFound, JobNotFound."""
        self._check_settings("compare with")
        return self._plans.drift(self.settings, jobs)

    def now(self) -> datetime:
        """The time by the service's clock (aware, UTC), by which executions and lines are told:
        this machine's may be wrong, and a local cloud's may have been moved on.

        Raises NotReachable.
        """
        return datetime.fromtimestamp(self._service_time.time(), UTC)

    def status(self) -> Status:
        """Jobs with their last executions, queue depths, endpoints."""
        from orchestrator.executions.verbs import newest_first
        from orchestrator.queues.records import Queues
        from orchestrator.status import JobStatus, JobStatuses, Status

        jobs = self.jobs()
        everything = self.executions() if jobs else ()
        statuses = []
        for job in jobs:
            mine = newest_first([e for e in everything if e.job.lower() == job.name.lower()])
            running = sum(not e.finished for e in mine)
            statuses.append(JobStatus(job=job, latest=next(iter(mine), None), running=running))
        endpoints = self._clients.endpoints
        reached = {"resource manager": endpoints.resource_manager, "logs": endpoints.logs}
        names = self._clients.names
        if names.namespace:
            host = f"{names.namespace}.{endpoints.service_bus_suffix}"
            at = f" (at {endpoints.service_bus})" if endpoints.service_bus else ""
            reached["service bus"] = host + at
        return Status(
            profile=self.profile.name,
            kind=self.profile.kind,
            resource_group=self.profile.resource_group,
            environment=names.environment or "",
            jobs=JobStatuses(statuses),
            queues=self.queues() if names.namespace else Queues(),
            endpoints=reached,
        )

    def doctor(self, *jobs: str, progress: Callable[[str], None] | None = None) -> Findings:
        """Why did a job not start, not scale, fail, or log nothing? Looks at these jobs, or at all.

        What cannot be read (no permission, say) is a finding, too. `progress`: called with what is
        looked at next. Raises JobNotFound, and NotReachable when nothing answers at all.
        """
        from orchestrator.doctor.visit import Visit

        return Visit(self._doctors_rooms(), self.settings).findings(jobs, progress)

    # ---------------------------------------------------------------- jobs

    def jobs(self) -> Jobs:
        """The jobs that exist in the resource group."""
        return self._jobs.every()

    def job(self, name: str) -> Job:
        """One of them. Raises JobNotFound."""
        return self._jobs.show(name)

    def export_job(self, name: str, form: Literal["bicep", "json", "toml"] = "bicep") -> str:
        """The live job as text to keep: Bicep or an ARM template that deploys it again, or its
        table of orchestrator.toml. Secrets' values are in none of them. Raises JobNotFound."""
        from orchestrator.jobs import export as job_export

        resource = self._jobs.resource(name)
        if form == "toml":
            known = {key.lower(): spec for key, spec in self.settings.jobs.items()}
            place = self._jobs.surroundings()
            return job_export.as_toml(resource, place, known.get(name.lower()))
        return job_export.as_json(resource) if form == "json" else job_export.as_bicep(resource)

    def delete_job(self, name: str) -> Change:
        """Delete it, executions and all. Raises JobNotFound."""
        return self._jobs.delete(name)

    def suspend(self, name: str) -> Job:
        """Let it start nothing until resumed."""
        return self._jobs.suspend(name)

    def resume(self, name: str) -> Job:
        """Undo `suspend`."""
        return self._jobs.resume(name)

    # ---------------------------------------------------------------- executions

    def start(
        self,
        job: str,
        *,
        env: Mapping[str, str] | None = None,
        args: Sequence[str] | None = None,
        command: Sequence[str] | None = None,
        image: str | None = None,
    ) -> Run:
        """Start an execution; what is given changes the job's template for this execution only.

        `env` sets these variables and keeps the others. What was perhaps misspelt is in the run's
        `notes`. Raises JobNotFound, JobSuspended, BadInput.
        """
        from orchestrator.executions.run import Run
        from orchestrator.planning.foresight import image_note

        name, notes = self._executions.start(job, env=env, args=args, command=command, image=image)
        spec = self.settings.jobs.get(job)
        if note := image_note(image or (spec.image if spec else ""), self.settings, self.profile):
            notes.append(note)
        return Run(self, name, job, notes)

    def run(self, execution: str, job: str | None = None) -> Run:
        """A handle on an execution: its name, "@latest" (with `job`), or "sender@latest"."""
        from orchestrator.executions.run import Run

        return Run(self, *self._executions.resolve(execution, job))

    def executions(
        self,
        job: str | None = None,
        *,
        status: str | Sequence[str] | None = None,
        since: Since = None,
        limit: int | None = None,
        history: bool | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Executions:
        """Executions of one job or of all, newest first.

        `status`: the service's words, in any case. `since`: those that started since then.
        `history`: Resource Manager lists the last 100 of a scheduled or event-driven job; older
        ones (`kept` is "logs") come from the system log where a list is that full (None), always,
        also those of deleted jobs (True), or never (False). `progress`: called with how many of how
        many jobs have been asked for.
        """
        return self._executions.every(
            job, status=status, since=since, limit=limit, history=history, progress=progress
        )

    def execution(self, name: str, job: str | None = None) -> Execution:
        """One execution as it is now; `name` as in `run`. Raises ExecutionNotFound."""
        return self._executions.one(name, job)

    def wait(
        self,
        execution: str,
        job: str | None = None,
        *,
        timeout: float | str | timedelta | None = None,
        poll: float | None = None,
        on_change: Callable[[Execution], None] | None = None,
    ) -> Execution:
        """Wait until an execution has ended; `execution` as in `run`, the others as in `Run.wait`.

        Raises WaitTimeout.
        """
        return self._executions.wait(
            execution, job, timeout=timeout, poll=poll, on_change=on_change
        )

    def stop(self, execution: str, job: str | None = None) -> Execution:
        """Stop it and give it back as it then is. Stopping what has ended changes nothing."""
        return self._executions.stop(execution, job)

    def stop_all(self, job: str) -> Executions:
        """Stop every running execution of a job; gives those that were stopped."""
        return self._executions.stop_all(job)

    def retry(self, execution: str, job: str | None = None) -> Run:
        """Start again with the template and overrides that an execution had; `execution` as in
        `run`. Raises InvalidRequest when its template is not kept any more, JobSuspended."""
        from orchestrator.executions.run import Run

        return Run(self, *self._executions.retry(execution, job))

    def explain(self, execution: str, job: str | None = None) -> Explanation:
        """Why an execution ended as it did: status, exit codes, its last lines, system events;
        `paragraph` says it in one. `execution` as in `run`."""
        from orchestrator.executions.explanation import explain

        found = self.execution(execution, job)
        return explain(found, self._logs, self._system_log)

    # ---------------------------------------------------------------- queues

    @property
    def queues(self) -> QueueVerbs:
        """The namespace's queues: `queues()` lists them with their depths, and
        `queues["results"]` is a handle on one and its messages."""
        return self._queues

    def queue(self, name: str) -> Queue:
        """One of them, its depths now. Raises QueueNotFound."""
        return self._queues.one(name)

    # ---------------------------------------------------------------- infrastructure

    @property
    def infra(self) -> InfraVerbs:
        """What the jobs live in: `infra.deploy()` deploys its template, `infra.what_if()` tells
        what that would change, `infra.show()` lists it, `infra.destroy()` takes it down; `build`
        and `validate` check a template."""
        return self._infra

    # ---------------------------------------------------------------- metrics

    @property
    def metrics(self) -> MetricVerbs:
        """What was measured: `metrics.job("sender")`, `metrics.queue("results")`."""
        return self._metrics

    # ---------------------------------------------------------------- alerts

    @property
    def alerts(self) -> AlertVerbs:
        """Alert rules: `alerts()` lists them, `alerts.apply()` makes those of the settings,
        `alerts.delete(name)` removes one, `alerts.history()` tells what has fired."""
        return self._alerts

    # ---------------------------------------------------------------- images

    @property
    def images(self) -> ImageVerbs:
        """The images of the settings: `images()` lists them, `images.build()` and `images.push()`
        work on a container engine."""
        from orchestrator.images import ImageVerbs

        return ImageVerbs(self.settings, self.profile, lambda: self._clients.names.registry)
