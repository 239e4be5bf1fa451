"""What the system logs tell of executions: their events, and those that ARM no longer lists.

ARM keeps the last 100 executions of a scheduled or event-driven job that are over (Microsoft
Learn, "Jobs in Azure Container Apps", execution history). The system log has an event for each
thing that happened to an execution for as long as the workspace keeps its rows, so older
executions are made up from it: name, start, end and outcome; not their template.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from orchestrator.errors import TableNotFound
from orchestrator.queries import kql
from orchestrator.records import Column, Kind, Records
from orchestrator.results import Execution, Executions, Record

if TYPE_CHECKING:
    from orchestrator.azure.clients import Clients
    from orchestrator.logs.verbs import LogVerbs
    from orchestrator.quantities import Since
    from orchestrator.waiting import Time

# The reason of an execution's last event -> its status. Of the service's own wording
# ("Job has reached the specified backoff limit"); `Failed` and `Stopped` have no reason besides.
ENDINGS = {
    "Completed": "Succeeded",
    "BackoffLimitExceeded": "Failed",
    "DeadlineExceeded": "Failed",
    "Failed": "Failed",
    "Stopped": "Stopped",
}
PAGE = 10_000  # executions that one query brings, newest first


class SystemEvent(Record, frozen=True, kw_only=True):
    """One event of the system log. `type`: Normal or Warning. `time`: aware UTC."""

    time: datetime
    reason: str
    text: str
    type: str = "Normal"
    job: str = ""
    execution: str = ""
    replica: str = ""

    def details(self) -> list[tuple[str, Any, Kind]]:
        return [("time", self.time, "time"), ("reason", self.reason, "text")]

    def __str__(self) -> str:
        return f"{self.reason}: {self.text}"


class SystemEvents(Records[SystemEvent]):
    """Events of the system log, oldest first. `partial`: why some are missing, "" when none are.

    `state`: "no-table" when the workspace has no table of them yet, else "".
    """

    noun = "system events"
    columns = (
        Column("time", "time", "time"),
        Column("type", "type", "status"),
        Column("reason", "reason"),
        Column("execution", "execution"),
        Column("replica", "replica"),
        Column("job", "job"),
        Column("text", "text"),
    )
    partial: str = ""
    state: str = ""


class SystemLog:
    """The system log of one profile's workspace. `logs` is asked for when it is needed."""

    def __init__(self, clients: Clients, logs: Callable[[], LogVerbs]) -> None:
        self._clients = clients
        self._logs = logs

    # ---------------------------------------------------------------- events

    def events(self, query: str) -> SystemEvents:
        """The events of a `kql.system_events` query, oldest first; none while there is no table."""
        from orchestrator.logs.verbs import epoch_moment

        try:
            answer = self._logs().ask(query)
        except TableNotFound:
            found = SystemEvents()
            found.state = "no-table"
            return found
        events = [
            SystemEvent(
                time=epoch_moment(at),
                job=job or "",
                execution=execution or "",
                replica=replica or "",
                type=kind or "Normal",
                reason=reason or "",
                text=text or "",
            )
            for at, job, execution, replica, kind, reason, text in answer
        ]
        made = SystemEvents(sorted(events, key=lambda event: event.time))
        made.partial = answer.partial
        return made

    def lines(
        self,
        job: str | None,
        *,
        execution: str | None,
        since: Since,
        until: Since,
        tail: int | None,
        grep: str | None,
        time: Time,
    ) -> SystemEvents:
        """Events as they are asked for; raises BadInput."""
        from orchestrator.arguments import moment_of, since_of
        from orchestrator.logs.verbs import check_grep, check_tail

        check_tail(tail)
        check_grep(grep)
        after = since_of(since, time, self._clients)
        before = moment_of(until, time, self._clients)
        return self.events(
            kql.system_events(
                job,
                execution=execution,
                grep=grep,
                tail=tail,
                after=after.timestamp() if after else None,
                before=before.timestamp() if before else None,
            )
        )

    def of(self, execution: Execution) -> SystemEvents:
        """All events of one execution."""
        return self.events(kql.system_events(execution.job, execution=execution.name))

    def settled(self, execution: Execution) -> bool:
        """Whether the event of its end can be read: then what it wrote before can be, too.

        Both kinds of rows go the same way into the workspace; the end is written last.
        """
        return any(event.reason in ENDINGS for event in self.of(execution))

    # ---------------------------------------------------------------- executions

    def executions(
        self,
        job: str | None = None,
        *,
        name: str | None = None,
        since: datetime | None = None,
    ) -> Executions:
        """Executions as the system log tells them, newest first; none while there is no table.

        `since`: a bound of their first events.
        """
        found: dict[str, Execution] = {}
        before: datetime | None = None
        while True:
            query = kql.executions_of_events(
                job, execution=name, since=since, until=before, endings=tuple(ENDINGS), most=PAGE
            )
            try:
                answer = self._logs().ask(query)
            except TableNotFound:
                return Executions()
            known = len(found)
            for row in answer:
                one = self._execution(row)
                found.setdefault(one.id, one)
            if answer.partial or len(answer) < PAGE:
                return Executions(found.values(), partial=answer.partial)
            if len(found) == known:  # a page of one moment: there is no way past it
                why = f"more than {PAGE:,} began at the same moment"
                return Executions(found.values(), partial=why)
            # The last one's moment is asked for again: others may have begun in it.
            before = min(e.start for e in found.values() if e.start is not None)

    def _execution(self, row: tuple[Any, ...]) -> Execution:
        from orchestrator.logs.verbs import epoch_moment

        job, name, first, last, *counts = row
        reason = next((r for r, n in zip(ENDINGS, counts, strict=True) if n), "")
        status = ENDINGS.get(reason, "Unknown")
        start = epoch_moment(first)
        end = epoch_moment(last) if reason else None
        resource_id = f"{self._clients.resource_id('Microsoft.App/jobs', job)}/executions/{name}"
        properties: dict[str, Any] = {"status": status, "startTime": _written(start)}
        if end is not None:
            properties["endTime"] = _written(end)
        return Execution(
            name=name,
            job=job,
            status=status,
            start=start,
            end=end,
            reason="" if reason in ("", "Completed", "Failed", "Stopped") else reason,
            id=resource_id,
            resource_group=self._clients.profile.resource_group,
            kept="logs",
            raw={
                "id": resource_id,
                "name": name,
                "type": "Microsoft.App/jobs/executions",
                "properties": properties,
                "kept": "logs",
            },
        )


def _written(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")
