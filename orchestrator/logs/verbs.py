"""Stored logs and KQL: what the log workspace answers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from orchestrator.arguments import moment_of, since_of
from orchestrator.azure.clients import QUERY_TIMEOUT, READ_TIMEOUT, Clients
from orchestrator.azure.failures import Refusal, told
from orchestrator.built_once import built_once
from orchestrator.errors import BadInput, NotFound, OrchestratorError, QueryError, TableNotFound
from orchestrator.queries import kql
from orchestrator.queries.result import QueryResult, QueryTable
from orchestrator.results import LogLine, Logs
from orchestrator.waiting import Time, now

if TYPE_CHECKING:
    from orchestrator.jobs.verbs import JobVerbs
    from orchestrator.quantities import Since
    from orchestrator.queries.parts import PartsProgress

_NO_TABLE = re.compile(r"[Ff]ailed to resolve table or column expression named '([^']+)'")
_TIMESPAN = re.compile(r"(-)?(?:(\d+)\.)?(\d+):(\d\d):(\d\d(?:\.\d+)?)")


class LogVerbs:
    """The verbs on the log workspace of one profile."""

    def __init__(self, clients: Clients, jobs: JobVerbs, time: Time) -> None:
        self._clients = clients
        self._jobs = jobs
        self._time = time

    @built_once
    def workspace(self) -> str:
        """The customer id of the workspace that the environment sends its logs to."""
        profile = self._clients.profile

        environment_name = self._clients.names.need("environment")

        def missing(refusal: Refusal) -> NotFound:
            return NotFound(
                f"There is no environment {environment_name} in the resource group "
                f"{profile.resource_group}, so there are no logs.",
                "Make it: orchestrator up",
                status=404,
            )

        with told(profile, "find the log workspace", missing):
            environment = self._clients.containers.managed_environments.get(
                profile.resource_group, environment_name
            ).as_dict()
        logs = (environment.get("properties") or {}).get("appLogsConfiguration") or {}
        found = (logs.get("logAnalyticsConfiguration") or {}).get("customerId")
        if not found:
            raise NotFound(
                f"The environment {environment_name} sends its logs to no workspace.",
                "Wire it to one: orchestrator up",
            )
        return str(found)

    # ---------------------------------------------------------------- any query

    def query(
        self,
        query: str,
        *,
        since: Since = None,
        whole: bool = False,
        row_wise: bool = False,
        progress: Callable[[PartsProgress], None] | None = None,
        notice: Callable[[str], None] | None = None,
    ) -> QueryResult:
        """The answer to a KQL query; the others as in `Orchestrator.query`.

        Raises QueryError, TableNotFound, BadInput.
        """
        if not query.strip():
            raise BadInput("The query is empty.", f"Such as: {kql.CONSOLE} | take 10")
        moment = self._moment(since, since_of)
        # The end lies far ahead, so that no difference between two clocks (the local cloud's can be
        # moved on) cuts off the newest rows.
        end = now(self._time) + timedelta(days=3650)
        span = (moment, end) if moment is not None else None
        if not whole:
            return self._ask(query, span)
        from orchestrator.queries.parts import LargeAnswer, span_of

        large = LargeAnswer(self._ask, self._time, progress, notice)
        return large.answer(query, span_of(self._ask, moment, None), row_wise=row_wise)

    def ask(self, query: str) -> QueryResult:
        """The answer to one of this library's own queries, whatever its rows' times are."""
        return self._ask(query, None)

    def _ask(self, query: str, span: tuple[datetime, datetime] | None) -> QueryResult:
        from azure.core.exceptions import HttpResponseError
        from azure.monitor.query import LogsQueryPartialResult

        workspace = self.workspace
        with told(self._clients.profile, "query the logs"):
            try:
                answer = self._clients.logs.query_workspace(
                    workspace,
                    query,
                    timespan=span,
                    server_timeout=QUERY_TIMEOUT,
                    read_timeout=READ_TIMEOUT + QUERY_TIMEOUT,
                )
            except HttpResponseError as error:
                if error.status_code == 400:
                    raise query_error(Refusal(error).body, query) from error
                raise
        if isinstance(answer, LogsQueryPartialResult):
            problem = answer.partial_error
            reason = str(getattr(problem, "message", "") or "the service gave a part only")
            # The sentence is at another depth where the service itself answers.
            for detail in getattr(problem, "details", None) or ():
                inner = detail.get("innererror") if isinstance(detail, Mapping) else None
                said = str((inner or {}).get("message") or "")
                if said and said not in reason:
                    reason = f"{reason.rstrip('.')}. {said}"
            return QueryResult([_table(t) for t in answer.partial_data], partial=reason)
        return QueryResult([_table(t) for t in answer.tables])

    # ---------------------------------------------------------------- console lines

    def lines(
        self,
        job: str | None = None,
        *,
        execution: str | None = None,
        since: Since = None,
        until: Since = None,
        tail: int | None = None,
        grep: str | None = None,
        stream: str | None = None,
    ) -> Logs:
        """Stored lines, oldest first. Raises JobNotFound when there is no such job, BadInput.

        When there are none, `Logs.state` is "no-table" or "none".
        """
        check_tail(tail)
        check_grep(grep)
        check_stream(stream)
        after, before = self._moment(since, since_of), self._moment(until, moment_of)
        query = kql.console_lines(
            job,
            execution=execution,
            grep=grep,
            stream=stream,
            tail=tail,
            after=after.timestamp() if after else None,
            before=before.timestamp() if before else None,
        )
        found = self.stored(query, execution)
        if not found and job is not None and self._jobs.find(job) is None:
            raise self._jobs.not_found(job)
        return found

    def _moment(
        self, given: Since, read: Callable[[Since, Time, Clients], datetime | None]
    ) -> datetime | None:
        if moment_of(given, self._time) is None:  # a wrong one is told before anything is asked
            return None
        # That of the workspace is asked for anyhow; its answer has the service's time.
        self.workspace  # noqa: B018
        return read(given, self._time, self._clients)

    def stored(self, query: str, execution: str | None = None) -> Logs:
        """The lines of a `kql.console_lines` query, oldest first; none while there is no table."""
        try:
            answer = self._ask(query, None)
        except TableNotFound:
            return Logs(state="no-table")
        lines = [_line(row, execution) for row in answer]
        return Logs(
            sorted(lines, key=lambda line: line.time),
            partial=answer.partial,
            state="" if lines else "none",
        )


def check_tail(tail: int | None) -> None:
    """Raises BadInput for a number of lines that is none."""
    if tail is not None and tail < 0:
        raise BadInput(f"A tail of {tail} lines is not possible.", "Give 0 or more.")


def check_stream(stream: str | None) -> str | None:
    """The stream's name. Raises BadInput for one that there is not."""
    if stream not in (None, "stdout", "stderr"):
        raise BadInput(f'"{stream}" is not a stream.', "It is stdout or stderr.")
    return stream


# https://github.com/google/re2/wiki/Syntax, what is marked as not supported
_NOT_IN_KQL = re.compile(r"\(\?(?:[=!]|<[=!]|P=|\()|\\[1-9]")


def check_grep(grep: str | None) -> re.Pattern[str] | None:
    """The expression, compiled. Raises BadInput for one that is not regular."""
    if grep is None:
        return None
    plain = re.sub(r"\[[^\]]*\]", "", re.sub(r"\\[^1-9]", "", grep))  # without what is itself
    if _NOT_IN_KQL.search(plain):
        raise BadInput(
            f'"{grep}" is not possible: KQL, in which stored lines are asked for, knows neither '
            "look-around nor back-references.",
            "Say it without them, or sift the lines further: orchestrator logs … | grep -P",
        )
    try:
        return re.compile(grep)
    except re.error as error:
        place = f" at character {error.pos + 1}" if error.pos is not None else ""
        raise BadInput(
            f'"{grep}" is not a regular expression: {error.msg}{place}.',
            "Put a backslash before a character that is meant itself.",
        ) from None


# ------------------------------------------------------------------------------- answers


def _line(row: tuple[Any, ...], execution: str | None) -> LogLine:
    stamp, job, replica, container, stream, text = row
    return LogLine(
        time=epoch_moment(stamp),
        text=text or "",
        job=job or "",
        execution=execution_of(replica or "", execution),
        replica=replica or "",
        container=container or "",
        stream=stream or "stdout",
    )


def execution_of(replica: str, execution: str | None = None) -> str:
    """The execution that a replica is of: its name without the last part."""
    if execution and replica.startswith(execution):
        return execution
    return replica.rpartition("-")[0] or replica


def epoch_moment(stamp: Any) -> datetime:
    """`_timestamp_d`, epoch seconds (or milliseconds, as some workspaces have it)."""
    seconds = float(stamp or 0)
    if seconds > 1e11:
        seconds /= 1000
    return datetime.fromtimestamp(seconds, UTC)


def _table(table: Any) -> QueryTable:
    names = list(table.columns)
    types = [str(kind) for kind in table.columns_types]
    rows = [
        tuple(_value(value, kind) for value, kind in zip(row, types, strict=True))
        for row in table.rows
    ]
    return QueryTable(rows, names=names, types=types, name=str(table.name))


def _value(value: Any, kind: str) -> Any:
    if value is None or kind in ("string", "guid"):
        return value
    if kind == "dynamic" and isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    if kind in ("real", "decimal") and not isinstance(value, float):
        return _number(value)
    if kind == "datetime" and isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if kind == "timespan":
        return timespan(value)
    if kind == "bool":
        return bool(value)
    return value


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def timespan(value: Any) -> timedelta | str | None:
    """Kusto's `[-][d.]hh:mm:ss[.fffffff]` as a timedelta; what is not one stays as it is."""
    if isinstance(value, timedelta):
        return value
    text = str(value)
    if text in ("None", ""):
        return None
    match = _TIMESPAN.fullmatch(text)
    if not match:
        return text
    sign, days, hours, minutes, seconds = match.groups()
    span = timedelta(
        days=int(days or 0), hours=int(hours), minutes=int(minutes), seconds=float(seconds)
    )
    return -span if sign else span


# ------------------------------------------------------------------------------- wrong queries


# The service tells the place of what it cannot parse only; our own also that of names, in words.
_PLACE = re.compile(r"\(line (\d+), position (\d+)\)")
_NAMED = re.compile(r"named '([^']+)'")


def _where(query: str, name: str) -> tuple[int | None, int | None]:
    """Line and column, from 1, where a name stands first; None where it does not."""
    found = re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", query)
    if found is None:
        return None, None
    before = query[: found.start()]
    return before.count("\n") + 1, found.start() - (before.rfind("\n") + 1) + 1


def query_error(error: Mapping[str, Any], query: str) -> OrchestratorError:
    """The error for what the service said of a query: its innermost sentence, and the place.

    Shape of the answer: "Azure Monitor Log Analytics API errors"; `innererror` nests, and the
    innermost one has the sentence, the line and the position (from 1), and the token.
    """
    inner: Mapping[str, Any] = error
    while isinstance(inner.get("innererror"), dict):
        inner = inner["innererror"]
    message = " ".join(str(inner.get("message") or error.get("message") or "").split())
    end = "" if message[-1:] in (".", "?", "!") else "."
    code = str(inner.get("code") or error.get("code") or "")
    if match := _NO_TABLE.search(message):
        return _no_table(match[1], code)
    line, column = inner.get("line"), inner.get("pos")
    if not isinstance(line, int) or not isinstance(column, int):
        line = column = None
        if place := _PLACE.search(message):
            line, column = int(place[1]), int(place[2])
        elif named := _NAMED.search(message):
            line, column = _where(query, named[1])
    hint = _pointed(query, line, column) if line and column is not None else ""
    return QueryError(
        f"The query is not right: {message}{end}",
        hint or "KQL is described at https://learn.microsoft.com/kusto/query",
        code=code,
        status=400,
        line=line,
        column=column,
    )


def _no_table(name: str, code: str) -> TableNotFound:
    known = name in kql.TABLES
    near = "" if known else next(iter(get_close_matches(name, kql.TABLES, 1)), "")
    if near:
        hint = f"Did you mean {near}?"
    else:
        hint = (
            "A table comes into being with its first row: start a job, and on Azure wait some "
            "minutes."
        )
    return TableNotFound(
        f'There is no table or column "{name}"{" yet" if known else ""} in the log workspace.',
        hint,
        code=code,
        status=400,
    )


def _pointed(query: str, line: int, column: int) -> str:
    """The query's line with a caret under the place."""
    lines = query.splitlines()
    if not 1 <= line <= len(lines):
        return ""
    return f"{lines[line - 1]}\n{' ' * max(0, column - 1)}^"
