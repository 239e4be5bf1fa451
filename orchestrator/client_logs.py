"""What an `Orchestrator` tells of logs: stored lines and events, live ones, KQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.nouns import Nouns
from orchestrator.quantities import Since

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.azure.service_time import Until
    from orchestrator.logs.system_log import SystemEvent, SystemEvents
    from orchestrator.queries.parts import PartsProgress
    from orchestrator.queries.result import QueryResult
    from orchestrator.queries.saved import SavedQueries, SavedQuery
    from orchestrator.results import LogLine, Logs


class LogClient(Nouns):
    """The verbs of `Orchestrator` on logs."""

    def logs(
        self,
        job: str | None = None,
        *,
        execution: str | None = None,
        since: Since = "1h",
        until: Since = None,
        tail: int | None = None,
        grep: str | None = None,
        stream: str | None = None,
    ) -> Logs:
        """Stored log lines, oldest first.

        `execution`: as in `run`; then `since` counts only if it is not the default. `until`: those
        written before then. `tail`: the last so many. `grep`: a regular expression (RE2) that the
        line's text must match somewhere. `stream`: stdout or stderr. When there are none, `state`
        of the result says why.
        """
        from orchestrator.following.late import why_none

        if execution is not None:
            execution, job = self._executions.resolve(execution, job)
            since = None if since == "1h" else since
        found = self._logs.lines(
            job, execution=execution, since=since, until=until, tail=tail, grep=grep, stream=stream
        )
        if not found and tail != 0:
            found.state = why_none(
                found.state,
                job,
                execution,
                self._executions,
                self._system_log,
                self._service_time,
            )
        return found

    def events(
        self,
        job: str | None = None,
        *,
        execution: str | None = None,
        since: Since = "1h",
        until: Since = None,
        tail: int | None = None,
        grep: str | None = None,
    ) -> SystemEvents:
        """Events of the system log (what the platform did), oldest first; as in `logs`."""
        if execution is not None:
            execution, job = self._executions.resolve(execution, job)
            since = None if since == "1h" else since
        return self._system_log.lines(
            job, execution=execution, since=since, until=until, tail=tail, grep=grep,
            time=self._time,
        )  # fmt: skip

    def follow(
        self,
        job: str | None = None,
        execution: str | None = None,
        *,
        tail: int | None = None,
        grep: str | None = None,
        since: Since = None,
        until: Since = None,
        stream: str | None = None,
        notice: Callable[[str], None] | None = None,
    ) -> Iterator[LogLine]:
        """Lines as they are written.

        With `execution` (as in `run`): its lines from the first on, ending when it has ended. With
        a job alone: the lines of its executions that run now and of those that begin later; this
        does not end by itself. `tail`: begin with the last so many lines of what was written
        before. `grep`, `stream`: as in `logs`. `since`: only lines since then; of a job also those
        of executions that are over. `until`: only lines from before then ("+10m": ten minutes from
        now), and it ends when that time has come by the service's clock. Lines that no stream tells
        any more come from the stored logs; `notice` is called with a sentence when they have to be
        waited for.
        """
        from orchestrator.arguments import since_of
        from orchestrator.errors import BadInput
        from orchestrator.following.lines import Follower
        from orchestrator.following.stream import Streams
        from orchestrator.logs.verbs import check_stream

        if execution is not None:
            execution, job = self._executions.resolve(execution, job)
        elif job is None:
            raise BadInput("Follow which job, or which execution?", "Name one of them.")
        follower = Follower(
            Streams(self._clients, self._jobs, job),
            self._executions,
            self._logs,
            self._system_log,
            self._time,
            self._service_time,
            tail=tail,
            grep=grep,
            since=since_of(since, self._time, self._clients),
            until=self._until(until),
            stream=check_stream(stream),
            notice=notice,
        )
        return follower.one(execution) if execution is not None else follower.all()

    def follow_events(
        self,
        job: str | None = None,
        execution: str | None = None,
        *,
        tail: int | None = None,
        grep: str | None = None,
        since: Since = None,
        until: Since = None,
        notice: Callable[[str], None] | None = None,
    ) -> Iterator[SystemEvent]:
        """Events of the system log as they happen, none twice, none left out.

        With `execution` (as in `run`): its events from the first on, ending when it has ended. With
        a job alone: its events from now on, or `since` a time, or from the last `tail` on; this
        does not end by itself. They come live from the job's event stream; what that does not tell
        comes from the stored ones, as soon as these are ingested. `until`, `grep`, `notice`: as in
        `follow`.
        """
        from orchestrator.arguments import since_of
        from orchestrator.errors import BadInput
        from orchestrator.following.events import EventFollower
        from orchestrator.following.stream import Streams

        if execution is not None:
            execution, job = self._executions.resolve(execution, job)
        elif job is None:
            raise BadInput("Follow which job, or which execution?", "Name one of them.")
        follower = EventFollower(
            Streams(self._clients, self._jobs, job),
            self._executions,
            self._system_log,
            self._time,
            self._service_time,
            tail=tail,
            grep=grep,
            since=since_of(since, self._time, self._clients),
            until=self._until(until),
            notice=notice,
        )
        return follower.one(execution) if execution is not None else follower.all()

    def _until(self, until: Since) -> Until | None:
        from orchestrator.arguments import moment_of
        from orchestrator.azure.service_time import Until

        moment = moment_of(until, self._time, self._clients)
        return None if moment is None else Until(moment, self._clients, self._time)

    def query(
        self,
        kql: str | SavedQuery,
        *,
        since: Since = None,
        params: Mapping[str, Any] | None = None,
        whole: bool = False,
        row_wise: bool = False,
        progress: Callable[[PartsProgress], None] | None = None,
        notice: Callable[[str], None] | None = None,
    ) -> QueryResult:
        """The answer of the log workspace to a KQL query, or to a saved one with these `params`.

        `since`: only rows whose TimeGenerated is not before it; None: all. `whole`: where the
        answer is larger than the service gives at once (500,000 rows, about 100 MB), ask for parts
        of the time since `since` and join them; only for queries that work row by row, which is
        seen by their shape or said by `row_wise`. `progress`: told how far that is; `notice`: told
        a sentence when the service asks for a pause.
        Raises QueryError, TableNotFound, BadInput.
        """
        text = kql if isinstance(kql, str) else kql.kql(params)
        return self._logs.query(
            text, since=since, whole=whole, row_wise=row_wise, progress=progress, notice=notice
        )

    @property
    def saved_queries(self) -> SavedQueries:
        """The saved queries: those that come along, and those of the project's `queries` folder."""
        from orchestrator.queries.saved import find_all

        return find_all(self.queries_folder)

    def saved_query(self, name: str) -> SavedQuery:
        """One of them. Raises NotFound, BadInput (its declaration of parameters is not right)."""
        from orchestrator.queries.saved import find

        return find(name, self.queries_folder)

    @property
    def queries_folder(self) -> Path | None:
        """The project's folder of saved queries; None without a project."""
        settings = self.settings
        return settings.folder / settings.queries_folder if settings.path else None
