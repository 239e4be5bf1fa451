"""Scheduled jobs: cron in UTC, five fields.

Missed fires. Microsoft documents nothing for Container Apps; its scheduled jobs are Kubernetes
CronJobs, and those (concurrency policy Allow, no starting deadline: Kubernetes, "CronJob",
"Job creation") make up for all times missed while nothing was running by *one* execution, for the
latest of them. So does this: when the local cloud was down, or the machine slept, over one or more
times, one execution starts at once. Times that pass while a job is suspended are not made up for:
nothing fires for them.

Nothing fires twice: that a time is settled is written in the same transaction as the execution
that was started for it. A clock stepped back by a correction fires nothing again; one stepped back
by more than an hour (a virtual time that was reset) starts over from where it is now.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import islice

from cronsim import CronSim, CronSimError

from orchestrator.clock import Clock
from orchestrator.localcloud.runtime.events import Events
from orchestrator.localcloud.runtime.job import Job
from orchestrator.localcloud.runtime.model import RuntimeFault
from orchestrator.localcloud.runtime.store import ExecutionStore

_log = logging.getLogger(__name__)

_COUNTED = 100
"""Missed times are counted so far, as the CronJob controller does (`TooManyMissedTimes`)."""
_STEP_BACK = 3600.0
_RETRY = 10.0
"""Seconds until a fire that could not be written is tried again: the controller's own interval."""

Fire = Callable[[float], None]
"""Starts the execution for the scheduled time given, durably, or raises RuntimeFault."""


class CronInvalid(ValueError):  # noqa: N818 - named as the field names it
    """A cron expression that the service would refuse."""


def check_cron(expression: str) -> None:
    """Check a cron expression: minute, hour, day of month, month, day of week.

    Raises:
        CronInvalid: With a sentence that says what is wrong.
    """
    fields = expression.split()
    if len(fields) != 5:
        raise CronInvalid(
            f"'{expression}' has {len(fields)} fields; a cron expression has five: "
            "minute, hour, day of month, month, day of week."
        )
    try:
        CronSim(expression, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise CronInvalid(f"'{expression}' is not a cron expression: {error}.") from error


def next_time(expression: str, after: float) -> float | None:
    """The first scheduled moment later than `after` (epoch seconds); None when there is none."""
    return next((t.timestamp() for t in CronSim(expression, _utc(after))), None)


def due(expression: str, settled: float, now: float) -> tuple[float | None, int]:
    """The latest scheduled moment in (settled, now], and how many moments came before it there.

    The count stops at 100.
    """
    if now <= settled:
        return None, 0
    # Going back from one second past now: the moment `now` itself counts.
    back = CronSim(expression, _utc(now) + timedelta(seconds=1), reverse=True)
    latest = next((t.timestamp() for t in back), None)
    if latest is None or latest <= settled:
        return None, 0
    earlier = 0
    for moment in islice(CronSim(expression, _utc(settled)), _COUNTED):
        if moment.timestamp() >= latest:
            break
        earlier += 1
    return latest, earlier


class Schedule:
    """Fires one job on time.

    Args:
        job: The job, with its cron expression.
        store: Remembers up to when the schedule is settled.
        clock: The time.
        events: Takes what is worth telling.
        fire: Starts the execution.
    """

    def __init__(
        self, job: Job, *, store: ExecutionStore, clock: Clock, events: Events, fire: Fire
    ) -> None:
        self._job = job
        self._store = store
        self._clock = clock
        self._events = events
        self._fire = fire
        self._failed = ""

    async def run(self) -> None:
        """Fire whenever it is time, until cancelled."""
        expression = self._job.cron
        try:
            check_cron(expression)
        except CronInvalid as error:
            self._events.write(
                self._job, "UnparseableSchedule", f"unparseable schedule: {error}", warning=True
            )
            return
        settled = self._settled()
        while True:
            latest, earlier = due(expression, settled, self._clock.time())
            if latest is None:
                following = next_time(expression, max(settled, self._clock.time()))
                if following is None:
                    return
                await self._clock.sleep_until(following)
                continue
            if earlier and not self._failed:
                self._say_missed(earlier, latest)
            try:
                self._fire(latest)
            except RuntimeFault as fault:
                self._say_failed(fault.message)
                await self._clock.sleep(_RETRY)
                continue
            settled, self._failed = latest, ""

    def _settled(self) -> float:
        now = self._clock.time()
        known = self._store.fired(self._job.key)
        if known is not None and known[0] == self._job.cron and known[1] <= now + _STEP_BACK:
            return known[1]
        # A new or a changed schedule begins now, and so does one whose clock was set back.
        self._store.set_fired(self._job.key, self._job.cron, now)
        return now

    def _say_failed(self, message: str) -> None:
        if message != self._failed:
            self._failed = message
            _log.warning("schedule of %s: %s", self._job.name, message)
            self._events.write(self._job, "FailedCreate", message, warning=True)

    def _say_missed(self, earlier: int, latest: float) -> None:
        count = f"more than {earlier}" if earlier >= _COUNTED else str(earlier)
        times = "time was" if earlier == 1 else "times were"
        self._events.write(
            self._job,
            "TooManyMissedTimes" if earlier >= _COUNTED else "MissedSchedule",
            f"{count} scheduled {times} missed; one execution starts for the latest time, "
            f"{_utc(latest).isoformat(timespec='seconds')}",
            warning=True,
            count=earlier,
        )


def _utc(when: float) -> datetime:
    # Down to the second: rounded to a microsecond, a moment may be one that has not come yet.
    return datetime.fromtimestamp(math.floor(when), UTC)
