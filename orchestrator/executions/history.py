"""Executions beyond those that Resource Manager lists: which are wanted, and joining the two."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from orchestrator.errors import OrchestratorError
from orchestrator.logs.system_log import SystemLog
from orchestrator.results import Execution

ARM_KEEPS = 100  # executions that are over, of a scheduled or event-driven job


def older(
    log: SystemLog,
    listed: Sequence[Execution],
    *,
    job: str | None,
    since: datetime | None,
    floor: datetime | None,
    always: bool,
) -> tuple[list[Execution], str]:
    """Executions that the system log tells of and `listed` has not, and why some may be missing.

    None is told twice: what is listed by its name is left out, and so is what began after the
    newest listed one of its job, which is on its way into the list.

    `floor`: nothing that began before it is wanted. `always`: ask also for jobs whose list is not
    full, and for jobs that are no more; otherwise the log is asked only where the list may have
    been cut, and its failing is told, not raised.
    """
    by_job: dict[str, list[Execution]] = {}
    for execution in listed:
        by_job.setdefault(execution.job.lower(), []).append(execution)
    bound = max((m for m in (since, floor) if m is not None), default=None)
    cut = {name: mine for name, mine in by_job.items() if _cut(mine, bound)}
    if not always and not cut:
        return [], ""
    one = job or (next(iter(cut.values()))[0].job if len(cut) == 1 and not always else None)
    try:
        found = log.executions(one, since=bound)
    except OrchestratorError as error:
        if always:
            raise
        return [], f"what Resource Manager no longer lists could not be read: {error.message}"
    names = {execution.name for execution in listed}
    kept = []
    for execution in found:
        if execution.name in names or not (always or execution.job.lower() in cut):
            continue
        newest = _newest(by_job.get(execution.job.lower(), ()))
        if newest is None or (execution.start is not None and execution.start < newest):
            kept.append(execution)
    return kept, found.partial


def _cut(mine: Sequence[Execution], bound: datetime | None) -> bool:
    """Whether a job's list may have lost executions that began at `bound` or later."""
    over = [e.start for e in mine if e.finished and e.start is not None]
    return len(over) >= ARM_KEEPS and (bound is None or min(over) > bound)


def _newest(mine: Sequence[Execution]) -> datetime | None:
    return max((e.start for e in mine if e.start is not None), default=None)
