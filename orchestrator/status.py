"""Everything at a glance: the jobs with their newest executions, and the queues."""

from __future__ import annotations

from orchestrator.queues.records import Queues
from orchestrator.records import Column, Records
from orchestrator.results import Execution, Job, Record


class JobStatus(Record, frozen=True, kw_only=True):
    """A job with its newest execution (None: never ran) and how many of them run now."""

    job: Job
    latest: Execution | None = None
    running: int = 0


class JobStatuses(Records[JobStatus]):
    """Jobs at a glance."""

    noun = "jobs"
    columns = (
        Column("name", "job", "text", lambda s: s.job.name),
        Column("when", "starts", "text", lambda s: s.job.when),
        Column("state", "state", "status", lambda s: s.job.state),
        Column("running", "running", "number"),
        Column("latest", "last execution", "text", lambda s: s.latest and s.latest.name),
        Column("status", "status", "status", lambda s: s.latest and s.latest.status),
        Column("start", "started", "time", lambda s: s.latest and s.latest.start),
        Column("duration", "duration", "duration", lambda s: s.latest and s.latest.duration),
    )


class Status(Record, frozen=True, kw_only=True):
    """Everything at a glance. `endpoints`: what is reached where, without any secret."""

    profile: str
    kind: str
    resource_group: str
    environment: str
    jobs: JobStatuses
    queues: Queues
    endpoints: dict[str, str] = {}  # noqa: RUF012 -- a struct's default, copied

    def __repr__(self) -> str:
        head = f"profile {self.profile} ({self.kind}), resource group {self.resource_group}"
        return f"{head}\n\n{self.jobs!r}\n\n{self.queues!r}"

    def _repr_html_(self) -> str:
        return self.jobs._repr_html_() + self.queues._repr_html_()
