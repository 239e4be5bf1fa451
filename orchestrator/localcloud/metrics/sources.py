"""What is measured: the broker's and the runtime's doings, as metrics of their resources."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from orchestrator.localcloud.metrics.history import RETENTION, Dimensions, MetricHistory
from orchestrator.localcloud.servicebus.broker import Broker
from orchestrator.localcloud.servicebus.front.faults import SERVER_BUSY
from orchestrator.localcloud.servicebus.topics.topic import Topic

NAMESPACE_ONLY = "-NamespaceOnlyMetric-"
"""`EntityName` of what concerns a namespace as a whole (Azure's own word for it)."""

LOOK_AFTER = 0.1
"""Seconds of the machine from a change of an entity until its depth is read."""

_SERVER = frozenset({"amqp:internal-error", "com.microsoft:timeout"})
_SUB_QUEUES = ("/$deadletterqueue", "/$transfer/$deadletterqueue")

_SETTLEMENTS = {"complete": "CompleteMessage", "abandon": "AbandonMessage"}

_Event: TypeAlias = tuple[str, str, str | None, str | None]
"""(metric or "request", namespace, path, condition of a request)."""

ResourceOf = Callable[[str], str | None]
"""Name -> the resource id that has it; None: there is no such resource."""


class NamespaceMeter:
    """Measures the broker (a `servicebus.meter.Meter`).

    The depth of an entity is read a moment after it has changed, however often it has changed
    meanwhile; one that does not change costs nothing.

    Args:
        history: Takes the measurements.
        broker: Whose entities these are.
        namespace: Resource id of a Service Bus namespace, by its name.
    """

    def __init__(self, history: MetricHistory, broker: Broker, namespace: ResourceOf) -> None:
        self._history = history
        self._broker = broker
        self._namespace = namespace
        self._changed: set[tuple[str, str]] = set()
        self._counts: dict[_Event, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._connections: dict[str, int] = {}

    # ------------------------------------------------------------------ levels

    def changed(self, namespace: str, path: str) -> None:
        """Messages of an entity have come, gone or changed, or it was made or deleted."""
        self._changed.add((namespace, path))
        if self._timer is None:
            self._soon()

    def _soon(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK_AFTER, self.look)

    def look(self) -> None:
        """Read the depths of what has changed, and write down what was counted; time that is about
        to move on waits for it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        counts, self._counts = self._counts, {}
        for event, number in counts.items():
            self._write(event, number)
        changed, self._changed = self._changed, set()
        for namespace, name in {(n, _entity(path)) for n, path in changed}:
            self._measure(namespace, name)

    def everything(self) -> None:
        """Read the depths of all entities, and end those of what is gone: when the server starts,
        and when a namespace has come or gone."""
        for namespace in self._broker.namespaces():
            resource = self._namespace(namespace)
            if resource is None:
                continue
            here = {info.name for info in self._broker.queues(namespace)}
            here |= {info.name for info in self._broker.topics(namespace)}
            for name in here:
                self._measure(namespace, name)
            lower = {name.lower() for name in here}
            for metric, dimensions in self._history.levels(resource):
                entity = dict(dimensions).get("EntityName")
                if entity is not None and entity.lower() not in lower:
                    self._history.level(resource, metric, dimensions, None)

    def stop(self) -> None:
        """Read what has changed last."""
        self.look()
        for namespace in list(self._connections):
            self._connections[namespace] = 0
            self._level(namespace, "ActiveConnections", (), 0)

    def _measure(self, namespace: str, name: str) -> None:
        entity = self._broker.queue(namespace, name)
        dimensions = (("EntityName", name if entity is None else entity.path),)
        if entity is None:
            figures: Mapping[str, float | None] = dict.fromkeys(
                ("ActiveMessages", "DeadletteredMessages", "ScheduledMessages", "Messages", "Size")
            )
        else:
            counts = entity.counts()
            active, dead, scheduled = counts.active, counts.dead_letter, counts.scheduled
            if isinstance(entity, Topic):
                for one in entity.subscriptions.values():
                    of_one = one.counts()
                    active += of_one.active
                    dead += of_one.dead_letter
                    scheduled += of_one.scheduled
            figures = {
                "ActiveMessages": active,
                "DeadletteredMessages": dead,
                "ScheduledMessages": scheduled,
                "Messages": active + dead + scheduled + counts.transfer_dead_letter,
                "Size": counts.size_in_bytes,
            }
        for metric, value in figures.items():
            self._level(namespace, metric, dimensions, value)

    def _level(
        self, namespace: str, metric: str, dimensions: Dimensions, value: float | None
    ) -> None:
        resource = self._namespace(namespace)
        if resource is not None:
            self._history.level(resource, metric, dimensions, value)

    # ------------------------------------------------------------------ counts

    # Done for every message: gathered here, and made metrics of by the next look.

    def request(self, namespace: str, path: str, condition: str | None) -> None:
        """A client's request is answered; `condition`: the AMQP error, None for success."""
        self._tally(("request", namespace, path, condition), 1)

    def incoming(self, namespace: str, path: str, messages: int, size: int) -> None:
        """Messages were accepted, of so many bytes together."""
        self._tally(("IncomingMessages", namespace, path, None), messages)
        self._tally(("IncomingBytes", namespace, path, None), size)

    def outgoing(self, namespace: str, path: str, messages: int, size: int) -> None:
        """Messages were handed to a receiver."""
        self._tally(("OutgoingMessages", namespace, path, None), messages)
        self._tally(("OutgoingBytes", namespace, path, None), size)

    def settled(self, namespace: str, path: str, operation: str) -> None:
        """A received message was settled: `complete`, `abandon`, …"""
        metric = _SETTLEMENTS.get(operation)
        if metric is not None:
            self._tally((metric, namespace, path, None), 1)

    def connected(self, namespace: str) -> None:
        """A client has opened a connection."""
        self._tally(("ConnectionsOpened", namespace, None, None), 1)
        self._connections[namespace] = self._connections.get(namespace, 0) + 1
        self._level(namespace, "ActiveConnections", (), self._connections[namespace])

    def disconnected(self, namespace: str) -> None:
        """It is closed, or broken."""
        self._tally(("ConnectionsClosed", namespace, None, None), 1)
        self._connections[namespace] = max(0, self._connections.get(namespace, 0) - 1)
        self._level(namespace, "ActiveConnections", (), self._connections[namespace])

    def _tally(self, key: _Event, number: int) -> None:
        if number:
            self._counts[key] = self._counts.get(key, 0) + number
            if self._timer is None:
                self._soon()

    def _write(self, event: _Event, number: int) -> None:
        """Add so many events to the metrics that they count for."""
        metric, namespace, path, condition = event
        resource = self._namespace(namespace)
        if resource is None:
            return
        entity: Dimensions = ()
        if path is not None:
            entity = (("EntityName", _entity(path) or NAMESPACE_ONLY),)
        if metric == "request":
            self._history.add(resource, "IncomingRequests", entity, float(number))
            metric, result = _outcome(condition)
            entity = (*entity, ("OperationResult", result))
        self._history.add(resource, metric, entity, float(number))


def _outcome(condition: str | None) -> tuple[str, str]:
    """(metric, OperationResult) of a request that was answered so."""
    if condition is None:
        return "SuccessfulRequests", "Success"
    if condition == SERVER_BUSY:
        return "ThrottledRequests", "ServerBusy"
    if condition in _SERVER:
        return "ServerErrors", "InternalServerError"
    return "UserErrors", "ClientError"


@lru_cache(maxsize=4096)
def _entity(path: str) -> str:
    """The queue or topic that a path is of: `q/$DeadLetterQueue` -> `q`, `t/Subscriptions/s` ->
    `t`."""
    lower = path.lower()
    for suffix in _SUB_QUEUES[::-1]:
        if lower.endswith(suffix):
            path = path[: -len(suffix)]
            lower = path.lower()
            break
    at = lower.find("/subscriptions/")
    return path if at < 0 else path[:at]


@dataclass(slots=True)
class _Running:
    """A replica that runs: what it has asked for, and up to which minute that is measured."""

    job_id: str
    execution: str
    cores: float
    size: float
    minute: int


class JobMeter:
    """Measures executions (a `runtime.model.Meter`).

    An execution counts once in each state, in the minute in which it came to be in it.
    """

    def __init__(self, history: MetricHistory) -> None:
        self._history = history
        self._running: dict[str, _Running] = {}

    def execution(self, job_id: str, execution: str, state: str) -> None:
        """An execution is in another state now."""
        self._history.add(job_id, "Executions", _dimensions(job_id, execution, state))

    def begin(self, job_id: str, execution: str, replica: str, cores: float, size: float) -> None:
        """A replica runs; its containers have asked for so many cores and bytes together."""
        self._running[replica] = _Running(job_id, execution, cores, size, self._history.minute)
        self._requested(self._running[replica], self._history.minute)

    def end(self, replica: str) -> None:
        """It is over."""
        running = self._running.pop(replica, None)
        if running is not None:
            self._fill(running)

    def look(self) -> None:
        """Measure what runs, for every minute since the look before. Whoever reads looks first: so
        no timer is needed, however many replicas run and however far time is moved on."""
        for running in self._running.values():
            self._fill(running)

    def _fill(self, running: _Running) -> None:
        now = self._history.minute
        for minute in range(max(running.minute + 1, now - RETENTION), now + 1):
            self._requested(running, minute)
        running.minute = now

    def _requested(self, running: _Running, minute: int) -> None:
        dimensions = _dimensions(running.job_id, running.execution, "Running")
        add = self._history.add
        add(running.job_id, "RequestedCores", dimensions, running.cores, minute=minute)
        add(running.job_id, "RequestedBytes", dimensions, running.size, minute=minute)

    def restarted(self, job_id: str, execution: str, times: int) -> None:
        """Containers of an execution were started again, so many times by now."""
        self._history.add(
            job_id, "RestartCount", _dimensions(job_id, execution, "Running"), float(times)
        )

    def used(self, job_id: str, execution: str, size: int, nano_cores: float | None) -> None:
        """What a container uses: bytes, and nano cores since it was looked at last."""
        dimensions = _dimensions(job_id, execution, "Running")
        self._history.add(job_id, "UsageBytes", dimensions, float(size))
        if nano_cores is not None:
            self._history.add(job_id, "UsageNanoCores", dimensions, nano_cores)


def _dimensions(job_id: str, execution: str, state: str) -> Dimensions:
    return (
        ("state", state),
        ("jobName", job_id.rpartition("/")[2]),
        ("executionName", execution),
    )
