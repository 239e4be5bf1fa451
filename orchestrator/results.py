"""The nouns of the library: what its calls give back.

Each is a small frozen record; several of a kind come as a `Records` sequence. `raw` is the
resource exactly as the service sent it (JSON names), and what `as_json` is made of.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

import msgspec

from orchestrator.records import Column, Kind, Records, html_table, jsonable, show

# The service's own words (azure.mgmt.appcontainers.models.JobExecutionRunningState).
ExecutionStatus: TypeAlias = str
STATUSES = ("Running", "Processing", "Succeeded", "Failed", "Stopped", "Degraded", "Unknown")
FINISHED = frozenset({"Succeeded", "Failed", "Stopped", "Degraded"})

TERMINATED = 143  # the exit code of a process that SIGTERM ended

Action = Literal["created", "updated", "replaced", "unchanged", "deleted"]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """The base of the single records: shown in a notebook as a table of two columns."""

    def details(self) -> list[tuple[str, Any, Kind]]:
        """(name, typed value, kind) of what is worth showing of this one, in order."""
        return [
            (name.replace("_", " "), value, "text")
            for name in self.__struct_fields__
            if name not in ("raw", "id") and (value := getattr(self, name)) not in (None, "")
        ]

    def as_json(self) -> dict[str, Any]:
        """A plain dict, ready for `json.dumps`."""
        return {f: jsonable(getattr(self, f)) for f in self.__struct_fields__ if f != "raw"}

    def _repr_html_(self) -> str:
        rows = [(name, show(value, kind)) for name, value, kind in self.details()]
        return html_table(["", ""], ["text", "text"], rows)


# ------------------------------------------------------------------------------- executions


class Container(Record, frozen=True, kw_only=True):
    """One container of a replica, as the execution's `detailedStatus` tells it.

    `exit_code`: None while unknown.
    """

    name: str
    status: str = ""
    exit_code: int | None = None
    reason: str = ""


class Replica(Record, frozen=True, kw_only=True):
    """One replica's containers as the execution's `detailedStatus` tells them.

    `exit_code`: of the first container that ended otherwise than 0, else 0; None while unknown.
    One that was merely told to end (143) because another had failed comes after that.
    """

    name: str
    status: str = ""
    exit_code: int | None = None
    reason: str = ""
    containers: tuple[Container, ...] = ()

    @property
    def failed(self) -> tuple[Container, ...]:
        """The containers that ended otherwise than 0; those that were told to end last."""
        wrong = [c for c in self.containers if c.exit_code]
        return tuple(sorted(wrong, key=lambda c: c.exit_code == TERMINATED))


class Execution(Record, frozen=True, kw_only=True):
    """One execution of a job, as it was when read.

    `status`: Running, Processing, Succeeded, Failed, Stopped, Degraded or Unknown.
    `start`, `end`: aware UTC; `end` is None while it runs.
    `reason`, `message`: why it ended as it did, where the service says so.
    `kept`: "" when Resource Manager lists it, "logs" when only the system log still tells of it:
    then its template and its replicas are unknown.
    """

    name: str
    job: str
    status: ExecutionStatus
    start: datetime | None = None
    end: datetime | None = None
    image: str = ""
    reason: str = ""
    message: str = ""
    replicas: tuple[Replica, ...] = ()
    kept: str = ""
    id: str = ""
    resource_group: str = ""
    raw: dict[str, Any] = {}

    @property
    def finished(self) -> bool:
        """It has ended and won't change any more."""
        return self.status in FINISHED

    @property
    def succeeded(self) -> bool:
        return self.status == "Succeeded"

    @property
    def timed_out(self) -> bool:
        """It failed because it ran longer than the job's replica time-out."""
        return self.status == "Failed" and "DeadlineExceeded" in f"{self.reason} {self.message}"

    @property
    def duration(self) -> timedelta | None:
        """From start to end; None while it runs."""
        return self.end - self.start if self.start and self.end else None

    @property
    def exit_code(self) -> int:
        """The outcome as an exit status.

        0 succeeded (or not finished), 3 failed, 4 stopped, 5 ran longer than its replica time-out.
        """
        if not self.finished or self.succeeded:
            return 0
        if self.status == "Stopped":
            return 4
        return 5 if self.timed_out else 3

    def details(self) -> list[tuple[str, Any, Kind]]:
        shown: list[tuple[str, Any, Kind]] = [
            ("execution", self.name, "text"),
            ("job", self.job, "text"),
            ("status", self.status, "status"),
            ("started", self.start, "time"),
            ("ended", self.end, "time"),
            ("duration", self.duration, "duration"),
            ("image", self.image, "text"),
            ("reason", self.reason, "text"),
            ("message", self.message, "text"),
            ("kept in", self.kept, "text"),
        ]
        for replica in self.replicas:
            code = "" if replica.exit_code is None else f", exit code {replica.exit_code}"
            why = self._beside_the_message(replica.reason)
            why = f": {why}" if why else ""
            shown.append(("replica", f"{replica.name}  {replica.status}{code}{why}", "text"))
        return [row for row in shown if row[1] not in (None, "")]

    def _beside_the_message(self, reason: str) -> str:
        """What a replica's reason says that the execution's message does not."""
        return reason.replace(self.message, "").rstrip(": ") if self.message else reason

    def as_json(self) -> dict[str, Any]:
        """The shape `az containerapp job execution show` prints."""
        return {**self.raw, "resourceGroup": self.resource_group}

    def __repr__(self) -> str:
        took = f", {show(self.duration)}" if self.duration is not None else ""
        return f"<Execution {self.name}: {self.status}{took}>"


class Executions(Records[Execution]):
    """Executions, newest first. `partial`: why older ones may be missing, "" when none are."""

    noun = "executions"
    columns: tuple[Column, ...] = (
        Column("name", "execution"),
        Column("job", "job"),
        Column("status", "status", "status"),
        Column("start", "started", "time"),
        Column("end", "ended", "time"),
        Column("duration", "duration", "duration"),
        Column("reason", "reason"),
    )

    def __init__(self, items: Iterable[Execution] = (), *, partial: str = "") -> None:
        super().__init__(items)
        self.partial = partial
        if any(e.kept for e in self._items):  # said only where there is something to tell apart
            self.columns = (*type(self).columns, Column("kept", "kept in"))

    def plot(
        self,
        kind: Literal["timeline", "histogram"] = "timeline",
        path: str | os.PathLike[str] | None = None,
    ) -> Any:
        """Draw them: a timeline with a lane for each job, or how long they took; the figure.

        `path`: also write it there (.png, .svg, .pdf). Needs matplotlib
        (`pip install "aca-orchestrator[notebook]"`). Raises OrchestratorError without it, BadInput
        for a kind of file that there is not, and when there is nothing to draw.
        """
        from orchestrator.executions.plot import draw
        from orchestrator.waiting import SystemTime, now

        return draw(list(self._items), kind, path, now(SystemTime()))


# ------------------------------------------------------------------------------- jobs


class Job(Record, frozen=True, kw_only=True):
    """A job as the service has it.

    `trigger`: manual, schedule or event. `timeout`: the replica time-out. `memory`: as written,
    "0.5Gi". `env`: variable -> value, or "secret:<name>" for a reference.
    `state`: Ready, Progressing or Suspended; `provisioning`: Succeeded, InProgress, Failed, …
    """

    name: str
    trigger: str
    image: str = ""
    cpu: float | None = None
    memory: str = ""
    parallelism: int = 1
    completions: int = 1
    retries: int = 0
    timeout: timedelta | None = None
    cron: str = ""
    scale: str = ""
    state: str = ""
    provisioning: str = ""
    env: dict[str, str] = {}
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    id: str = ""
    resource_group: str = ""
    raw: dict[str, Any] = {}

    @property
    def when(self) -> str:
        """What starts it, in a few words: `by hand`, the cron expression, or the scale rules."""
        return {"schedule": self.cron, "event": self.scale}.get(self.trigger, "by hand")

    @property
    def suspended(self) -> bool:
        return self.state == "Suspended"

    def details(self) -> list[tuple[str, Any, Kind]]:
        shown: list[tuple[str, Any, Kind]] = [
            ("job", self.name, "text"),
            ("trigger", self.trigger, "text"),
            ("starts", self.when, "text"),
            ("image", self.image, "text"),
            ("cpu", self.cpu, "number"),
            ("memory", self.memory, "text"),
            ("parallelism", self.parallelism, "number"),
            ("completions", self.completions, "number"),
            ("retries", self.retries, "number"),
            ("time-out", self.timeout, "duration"),
            ("state", self.state, "status"),
            ("provisioning", self.provisioning, "status"),
            ("command", " ".join(self.command), "text"),
            ("args", " ".join(self.args), "text"),
            ("secrets", ", ".join(self.secrets), "text"),
        ]
        shown += [(f"env {name}", value, "text") for name, value in self.env.items()]
        return [row for row in shown if row[1] not in (None, "")]

    def as_json(self) -> dict[str, Any]:
        """The shape `az containerapp job show` prints."""
        return {**self.raw, "resourceGroup": self.resource_group}

    def __repr__(self) -> str:
        state = f", {self.state}" if self.state and self.state != "Ready" else ""
        return f"<Job {self.name}: {self.trigger}, {self.image}{state}>"


class Jobs(Records[Job]):
    """Jobs, by name."""

    noun = "jobs"
    columns = (
        Column("name", "job"),
        Column("trigger", "trigger", "category"),
        Column("when", "starts"),
        Column("image", "image"),
        Column("cpu", "cpu", "number"),
        Column("memory", "memory"),
        Column("timeout", "time-out", "duration"),
        Column("state", "state", "status"),
    )


# ------------------------------------------------------------------------------- changes


class FieldChange(Record, frozen=True, kw_only=True):
    """One field that differs: `path` in the settings' words (`env.MESSAGE_COUNT`), None: absent.

    A secret's values are shown as "(hidden)".
    """

    path: str
    old: Any = None
    new: Any = None

    def __str__(self) -> str:
        return f"{self.path}: {_field(self.old)} → {_field(self.new)}"


def _field(value: Any) -> str:
    """A field's value as it is written: words of a list behind each other, the empty text seen."""
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    return "(none)" if value is None else '""' if value == "" else str(value)


class Change(Record, frozen=True, kw_only=True):
    """What was done to one thing.

    `kind`: job, queue, namespace, environment, identity, workspace, resource group, role, …
    """

    name: str
    kind: str
    action: Action
    fields: tuple[FieldChange, ...] = ()

    def __repr__(self) -> str:
        return f"<Change {self.kind} {self.name}: {self.action}>"


class Changes(Records[Change]):
    """What `deploy` or `up` did, thing by thing, in the order it was done.

    `notes`: what was done and was perhaps not meant so, such as a job whose image nobody knows.
    """

    noun = "changes"
    columns = (
        Column("kind", "kind"),
        Column("name", "name"),
        Column("action", "action", "status"),
        Column("fields", "what changed", "text", lambda c: "; ".join(str(f) for f in c.fields)),
    )

    def __init__(self, items: Iterable[Change] = (), *, notes: Sequence[str] = ()) -> None:
        super().__init__(items)
        self.notes = tuple(notes)


class Step(Record, frozen=True, kw_only=True):
    """Progress of `up` or `deploy`: given to the progress callback when a step starts and ends.

    `title`: what is being done ("queue parameters"). `number` of `total`, counted from 1.
    `change`: None when the step starts, what it did when it has ended. `seconds`: how long it took
    then, where somebody says so.
    """

    title: str
    number: int
    total: int
    change: Change | None = None
    seconds: float | None = None


# ------------------------------------------------------------------------------- logs


class LogLine(Record, frozen=True, kw_only=True):
    """One line that a container wrote.

    `time`: when it was written, aware UTC. `stream`: stdout or stderr.
    """

    time: datetime
    text: str
    job: str = ""
    execution: str = ""
    replica: str = ""
    container: str = ""
    stream: str = "stdout"

    def __str__(self) -> str:
        return self.text


class Logs(Records[LogLine]):
    """Log lines, oldest first. `partial`: why some are missing, "" when none are.

    `state`: when there are no lines, why: "no-table" (the workspace has no row of any container
    yet), "late" (the execution's end is not ingested yet), "none" (nothing was written that is
    asked for); "" when there are some.
    """

    noun = "log lines"
    columns = (
        Column("time", "time", "time"),
        Column("job", "job"),
        Column("execution", "execution"),
        Column("replica", "replica"),
        Column("stream", "stream", "status"),
        Column("text", "text"),
    )

    def __init__(
        self, items: Iterable[LogLine] = (), *, partial: str = "", state: str = ""
    ) -> None:
        super().__init__(items)
        self.partial = partial
        self.state = state

    def text(self) -> str:
        """The lines' texts alone, as the containers wrote them."""
        return "\n".join(line.text for line in self)
