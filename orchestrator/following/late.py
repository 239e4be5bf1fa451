"""Waiting for stored lines that are on their way: ingestion takes minutes on Azure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from orchestrator.errors import NotFound
from orchestrator.waiting import Time, backoff

if TYPE_CHECKING:
    from orchestrator.azure.service_time import ServiceTime
    from orchestrator.executions.verbs import ExecutionVerbs
    from orchestrator.logs.system_log import SystemLog
    from orchestrator.results import Execution

PATIENCE = 900.0  # seconds after which stored lines that are not there are not waited for
_QUIET = 2.0  # seconds of waiting that are not worth a word


class LateLogs:
    """An execution that is over, whose stored lines are waited for, by the service's clock.

    `time`: the pace of looking, and of words to a human.
    """

    def __init__(
        self,
        execution: Execution,
        system_log: SystemLog,
        time: Time,
        there: ServiceTime,
        notice: Callable[[str], None],
    ) -> None:
        self.execution = execution
        self._system_log = system_log
        self._time = time
        self._there = there
        self._notice = notice
        self._looks = backoff(0.3)
        self._look_at = 0.0
        self._told = False
        self._began = self._time.time()
        self._since: float | None = None  # the service's time at the first look

    def ready(self) -> bool:
        """Whether all its lines can be read, or are no longer waited for."""
        here = self._time.time()
        if here < self._look_at:
            return False
        end = self.execution.end
        now = self._there.time()  # before the look: a clock that is moved meanwhile settles more
        self._since = now if self._since is None else self._since
        if self._system_log.settled(self.execution):
            return True
        if end is not None and now - end.timestamp() > PATIENCE:
            return True  # as old as that, nothing more comes
        if now - self._since > PATIENCE:
            self._notice(f"Lines of {self.execution.name} may be missing: not ingested by now.")
            return True
        if not self._told and here - self._began >= _QUIET:
            self._told = True
            self._notice(
                f"Lines of {self.execution.name} are not in the log workspace yet; waiting for "
                "them."
            )
        self._look_at = here + next(self._looks)
        return False


def why_none(
    state: str,
    job: str | None,
    execution: str | None,
    executions: ExecutionVerbs,
    system_log: SystemLog,
    there: ServiceTime,
) -> str:
    """Why no stored lines were found: `state` as the query told it ("no-table" or "none"), or
    "late" when the execution asked for, or the job's newest, may have lines on their way.

    Nothing is on its way any more when the system log tells of the execution's end, or when that
    was long ago.
    """
    if job is None:
        return state
    try:
        found = executions.one(execution, job) if execution else executions.latest(job)
    except NotFound:
        return state
    if found is None or state == "no-table":
        return state
    if found.finished:
        over = found.end is not None and there.time() - found.end.timestamp() > PATIENCE
        if over or system_log.settled(found):
            return state
    return "late"
