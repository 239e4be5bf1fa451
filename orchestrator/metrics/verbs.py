"""Metrics of jobs and queues: what Azure Monitor measured.

Asked for with azure-mgmt-monitor, from the resource itself: one endpoint and the role that every
other command needs. (The metrics data plane, azure-monitor-querymetrics, wants the region's own
endpoint and a role of its own, and gains only where hundreds of resources are asked about.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from orchestrator.azure.clients import Clients
from orchestrator.azure.failures import told
from orchestrator.errors import BadInput
from orchestrator.metrics.series import MetricSeries, MetricTable
from orchestrator.quantities import (
    as_seconds,
    iso_duration,
    moment_or_distance,
    sdk_duration,
    short_duration,
)
from orchestrator.records import show
from orchestrator.waiting import Time, now

if TYPE_CHECKING:
    from orchestrator.executions.verbs import ExecutionVerbs
    from orchestrator.jobs.verbs import JobVerbs
    from orchestrator.quantities import Since
    from orchestrator.queues.verbs import QueueVerbs

AGGREGATIONS = ("Average", "Minimum", "Maximum", "Total", "Count")

# Metric -> the aggregation that says most of it. The first ones are asked for by default.
JOB_METRICS = {
    "Executions": "Total",
    "RestartCount": "Maximum",
    "RequestedCores": "Maximum",
    "UsageNanoCores": "Maximum",
    "UsageBytes": "Maximum",
    "RequestedBytes": "Maximum",
    "RxBytes": "Total",
    "TxBytes": "Total",
}
JOB_DEFAULT = ("Executions", "RestartCount", "UsageNanoCores", "UsageBytes")
QUEUE_METRICS = {
    "ActiveMessages": "Maximum",
    "DeadletteredMessages": "Maximum",
    "ScheduledMessages": "Maximum",
    "Messages": "Maximum",
    "Size": "Maximum",
    "IncomingMessages": "Total",
    "OutgoingMessages": "Total",
    "CompleteMessage": "Total",
    "AbandonMessage": "Total",
    "IncomingBytes": "Total",
    "OutgoingBytes": "Total",
    "IncomingRequests": "Total",
    "SuccessfulRequests": "Total",
    "ServerErrors": "Total",
    "UserErrors": "Total",
    "ThrottledRequests": "Total",
}
QUEUE_DEFAULT = (
    "ActiveMessages",
    "DeadletteredMessages",
    "IncomingMessages",
    "OutgoingMessages",
    "CompleteMessage",
)

GRAINS = tuple(timedelta(minutes=n) for n in (1, 5, 15, 30, 60, 360, 720, 1440))
POINTS = 90
"""Data points that a series has at most where the interval is not given."""
MOST_SERIES = 100
MOST_METRICS = 20
"""In one request (https://learn.microsoft.com/azure/azure-monitor/metrics/metrics-troubleshoot)."""

_JOBS = "Microsoft.App/jobs"
_NAMESPACES = "Microsoft.ServiceBus/namespaces"
_NOTHING_YET = (
    "No data: nothing was measured in this time; on Azure a value is there some minutes after the "
    "fact."
)
# In the order in which an execution passes through them.
_STATES = ("Running", "Processing", "Succeeded", "Failed", "Stopped", "Degraded", "Unknown")


@dataclass(frozen=True)
class _Asked:
    """One question, checked: which metrics by which aggregation, since when, how fine."""

    metrics: dict[str, str]
    timespan: str
    interval: timedelta


class MetricVerbs:
    """What was measured of one profile's jobs and queues. Nothing is contacted until asked."""

    def __init__(
        self,
        clients: Clients,
        jobs: JobVerbs,
        queues: QueueVerbs,
        executions: ExecutionVerbs,
        time: Time,
    ) -> None:
        self._clients = clients
        self._jobs = jobs
        self._queues = queues
        self._executions = executions
        self._time = time

    def __repr__(self) -> str:
        return '<metrics: metrics.job("sender"), metrics.queue("results")>'

    def job(
        self,
        name: str,
        *metrics: str,
        since: Since = "1h",
        interval: float | str | timedelta | None = None,
        aggregation: str | None = None,
    ) -> MetricTable:
        """Metrics of a job: executions by the state they came to, restarts, cpu, memory.

        `metrics`: Azure Monitor's names, such as "UsageBytes"; none: those that say most.
        `since`: how far back by the service's clock, or since a moment. `interval`: between two
        points, 1m to 1d; None: one that gives at most 90. `aggregation`: Average, Minimum, Maximum,
        Total, Count; None: what says most of each metric.
        Raises JobNotFound, BadInput.
        """
        asked = self._asked(metrics, JOB_METRICS, JOB_DEFAULT, since, interval, aggregation)
        with self._jobs.told(f"read the metrics of the job {name}", name):
            found, begin = self._read(
                self._clients.resource_id(_JOBS, name), asked, name, "state eq '*'"
            )
        # Only executions differ by their state; all else is measured while they run.
        series = [
            one if one.metric == "Executions" else _unsplit(one)
            for one in found
            if one.metric == "Executions" or one.split in ("Running", "")
        ]
        # What has never happened has no series; that is told where it was asked for.
        known = {one.metric for one in series}
        series += [
            MetricSeries(metric=m, of=name, unit="Count", aggregation=a)
            for m, a in asked.metrics.items()
            if m not in known and (metrics or m == "Executions")
        ]
        order = {state: n for n, state in enumerate(_STATES)}
        names = list(asked.metrics)
        series.sort(key=lambda s: (names.index(s.metric), order.get(s.split, 99)))
        return MetricTable(series, silence=self._silence(series, lambda: self._no_run(name, begin)))

    def queue(
        self,
        name: str,
        *metrics: str,
        since: Since = "1h",
        interval: float | str | timedelta | None = None,
        aggregation: str | None = None,
    ) -> MetricTable:
        """Metrics of a queue or topic: messages that wait, dead letters, traffic; as in `job`.

        Raises QueueNotFound, BadInput.
        """
        asked = self._asked(metrics, QUEUE_METRICS, QUEUE_DEFAULT, since, interval, aggregation)
        namespace = self._clients.names.need("namespace")
        quoted = name.replace("'", "''")
        with told(self._clients.profile, f"read the metrics of the queue {name}"):
            found, _ = self._read(
                self._clients.resource_id(_NAMESPACES, namespace),
                asked,
                name,
                f"EntityName eq '{quoted}'",
            )
        if not found:
            self._queues.one(name)  # one without traffic may have no series; one that is not, never
        known = {series.metric: _unsplit(series) for series in found}
        told_anyway = QUEUE_DEFAULT[:1] if not metrics else list(asked.metrics)
        series = [
            known.get(m) or MetricSeries(metric=m, of=name, unit="Count", aggregation=a)
            for m, a in asked.metrics.items()
            if m in known or m in told_anyway
        ]
        return MetricTable(series, silence=self._silence(series, lambda: _NOTHING_YET))

    # ---------------------------------------------------------------- what has no data

    @staticmethod
    def _silence(series: Sequence[MetricSeries], why: Callable[[], str]) -> str:
        """A sentence about series without data; `why`: about all of them."""
        names = list(dict.fromkeys(one.metric for one in series if not one.values))
        names = [n for n in names if not any(s.values for s in series if s.metric == n)]
        if not names:
            return ""
        if not any(one.values for one in series):
            return why()
        return f"No data of {', '.join(names)}: nothing of the kind was measured in this time."

    def _no_run(self, name: str, begin: datetime | None) -> str:
        """Why nothing was measured of a job since `begin`."""
        latest = self._executions.latest(name)
        if latest is None or latest.start is None:
            return f"No data: {name} has never run."
        over = latest.end or (latest.start if latest.finished else None)
        if begin is not None and over is not None and over < begin:
            return f"No data: {name} did not run in this time; it last ran at {show(over)} UTC."
        return (
            f"No data yet: {name} ran at {show(latest.start)} UTC, and on Azure a value is there "
            "some minutes after the fact."
        )

    # ---------------------------------------------------------------- inside

    def _asked(
        self,
        metrics: Sequence[str],
        known: dict[str, str],
        default: Sequence[str],
        since: Since,
        interval: float | str | timedelta | None,
        aggregation: str | None,
    ) -> _Asked:
        named = [_named(metric, list(known), "metric") for metric in metrics] or list(default)
        if aggregation is not None:
            aggregation = _named(aggregation, list(AGGREGATIONS), "aggregation")
        timespan, length = self._span(since)
        return _Asked(
            {metric: aggregation or known[metric] for metric in dict.fromkeys(named)},
            timespan,
            _grain(interval, length),
        )

    def _span(self, since: Since) -> tuple[str, timedelta]:
        """The timespan as the service reads it, and how long it is.

        A length is counted by the service's own clock (the local cloud's may be moved on).
        """
        since = "1h" if since is None else since
        here = now(self._time)
        try:
            found = moment_or_distance(since)
        except ValueError as error:
            raise BadInput(f"{error}.", "Such as 2h, or 2026-11-23T20:00Z.") from None
        length = here - found if isinstance(found, datetime) else -found
        if length <= timedelta(0):
            raise BadInput(f'"{since}" is not in the past.', "Such as 2h.")
        if length > timedelta(days=93):
            raise BadInput("Metrics are kept for 93 days.", "Ask for less: --since 30d")
        if isinstance(found, datetime):
            return f"{_stamp(found)}/{_stamp(here)}", length
        return iso_duration(length), length

    def _read(
        self, resource: str, asked: _Asked, name: str, which: str
    ) -> tuple[list[MetricSeries], datetime | None]:
        """The series, and when the time asked about begins by the service's clock."""
        found: list[MetricSeries] = []
        begin: datetime | None = None
        names = list(asked.metrics)
        for first in range(0, len(names), MOST_METRICS):
            part = names[first : first + MOST_METRICS]
            answer = self._clients.monitor.metrics.list(
                resource,
                timespan=asked.timespan,
                interval=iso_duration(asked.interval),
                metricnames=",".join(part),
                aggregation=",".join(sorted({asked.metrics[metric] for metric in part})),
                filter=which,
                top=MOST_SERIES,
            )
            interval = sdk_duration(answer.interval) or asked.interval
            begin = _begin(answer.timespan)
            for metric in answer.value:
                metric_name = str(metric.name.value)
                wanted = next(m for m in part if m.lower() == metric_name.lower())
                for series in metric.timeseries or ():
                    found.append(_series(series, metric, wanted, name, asked, interval))
        return found, begin


def _series(
    series: Any, metric: Any, wanted: str, name: str, asked: _Asked, interval: timedelta
) -> MetricSeries:
    aggregation = asked.metrics[wanted]
    points = tuple(
        (
            point.time_stamp.astimezone(UTC),
            getattr(point, aggregation.lower()),
        )
        for point in series.data or ()
    )
    return MetricSeries(
        metric=wanted,
        of=name,
        unit=str(getattr(metric.unit, "value", metric.unit)),
        aggregation=aggregation,
        split=", ".join(str(pair.value) for pair in series.metadatavalues or ()),
        interval=interval,
        points=points,
    )


def _unsplit(series: MetricSeries) -> MetricSeries:
    import msgspec

    return msgspec.structs.replace(series, split="")


def _named(word: str, known: Sequence[str], what: str) -> str:
    from difflib import get_close_matches

    for name in known:
        if name.lower() == word.lower():
            return name
    near = get_close_matches(word.lower(), [name.lower() for name in known], 1)
    meant = next((name for name in known if near and name.lower() == near[0]), "")
    raise BadInput(
        f'There is no {what} "{word}".',
        f"Did you mean {meant}?" if meant else f"There are: {', '.join(known)}.",
    )


def _grain(interval: float | str | timedelta | None, length: timedelta) -> timedelta:
    if interval is None:
        return next((g for g in GRAINS if length / g <= POINTS), GRAINS[-1])
    try:
        asked = timedelta(seconds=as_seconds(interval))
    except ValueError as error:
        raise BadInput(f"{error}.", "Such as 5m.") from None
    if asked not in GRAINS:
        allowed = ", ".join(short_duration(grain) for grain in GRAINS)
        raise BadInput(f"An interval of {short_duration(asked)} is not possible.",
                       f"It is one of {allowed}.")  # fmt: skip
    return asked


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _begin(timespan: Any) -> datetime | None:
    """Of `2026-11-24T10:00:00Z/2026-11-24T11:00:00Z`."""
    try:
        return datetime.fromisoformat(str(timespan).partition("/")[0]).astimezone(UTC)
    except ValueError:
        return None
