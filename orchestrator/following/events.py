"""Following system events: live from the job's event stream, joined with the stored ones.

The stream tells an event at once, the log workspace minutes later on Azure. Every event of either
is told once: one of the stream and one of the store are the same when they say the same at the same
time, each being the partner of one only. So nothing is missed when the stream breaks or tells not
all (300 events of what was before), nothing is told twice when both work, and where a service has
no event stream for jobs, the store alone tells, later.
"""

from __future__ import annotations

import json
import queue
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from azure.core.exceptions import AzureError

from orchestrator.errors import NotFound, NotReachable, OrchestratorError
from orchestrator.executions.record import moment
from orchestrator.executions.verbs import ExecutionVerbs
from orchestrator.following.late import LateLogs
from orchestrator.following.stream import MOST_TAIL, OpenStream, Streams
from orchestrator.logs.system_log import ENDINGS, SystemEvent, SystemLog
from orchestrator.logs.verbs import check_grep, check_tail, execution_of
from orchestrator.queries import kql
from orchestrator.results import Execution
from orchestrator.waiting import Time, backoff

if TYPE_CHECKING:
    from orchestrator.azure.service_time import ServiceTime, Until

_APART = 2.0  # seconds by which a stored event's time may differ from the streamed one's
_SETTLE = 0.3  # seconds without an event after which the stream's beginning counts as told
_GRACE = 3.0  # seconds after an execution's end in which the stream is to tell of it
_AFTER = 1.5  # seconds in which what happened before a moment is heard of after it
_NEWEST = 1_000  # stored events of a job that one look asks for
_TRIES = 4  # failures in a row after which the stream is left alone, until the store tells more
_NOT_EVENTS = ("StartingGettingEvents", "ConnectedToEventsServer")  # the stream's own words

Source = Literal["stream", "store"]
_Key = tuple[str, str, str]


class Pairs:
    """Tells which events are new when the same ones come from two sources."""

    def __init__(self) -> None:
        self._alone: dict[Source, dict[_Key, list[float]]] = {"stream": {}, "store": {}}

    def is_new(self, event: SystemEvent, source: Source) -> bool:
        """Whether no event of the other source is this one."""
        key = (event.reason, event.text, event.replica)
        at = event.time.timestamp()
        other: Source = "store" if source == "stream" else "stream"
        waiting = self._alone[other].get(key, [])
        near = min(waiting, key=lambda time: abs(time - at), default=None)
        if near is None or abs(near - at) > _APART:
            self._alone[source].setdefault(key, []).append(at)
            return True
        waiting.remove(near)
        return False


class EventFollower:
    """Follows the events of one execution until it has ended, or all of a job's; both at most
    until a moment."""

    def __init__(
        self,
        streams: Streams,
        executions: ExecutionVerbs,
        system_log: SystemLog,
        time: Time,
        there: ServiceTime,
        *,
        tail: int | None = None,
        grep: str | None = None,
        since: datetime | None = None,
        until: Until | None = None,
        notice: Callable[[str], None] | None = None,
    ) -> None:
        check_tail(tail)
        self._pattern = check_grep(grep)
        self._tail = tail
        self._since = since
        self._until = until
        self._over_since: float | None = None  # when it was seen that the moment has come
        self._streams = streams
        self._executions = executions
        self._system_log = system_log
        self._time = time
        self._there = there
        self._notice = notice or (lambda text: None)
        self._pairs = Pairs()
        self._news: queue.SimpleQueue[str | Exception | None] = queue.SimpleQueue()
        self._stream: OpenStream | None = None
        self._reading = False
        self._failures = 0
        self._again_at = 0.0
        self._unreachable = 0
        self._whole = True  # the stream has told all there was since its first event
        self._sent: deque[str] = deque(maxlen=MOST_TAIL)  # lines told before a reconnection
        self._expected: Counter[str] = Counter()
        self._stored: Counter[tuple[datetime, _Key]] = Counter()

    # ---------------------------------------------------------------- the two ways to follow

    def one(self, name: str) -> Iterator[SystemEvent]:
        """The events of one execution, from its first on; ends when it and they have ended."""
        execution = self._executions.one(name, self._streams.job)
        ending = False
        try:
            for event in self._beginning(name, told=True):
                ending = ending or event.reason in ENDINGS
                if self._asked(event):
                    yield event
            delays = backoff(0.5, 5.0)
            look_at = self._time.time() + next(delays)
            over_at: float | None = None
            while not (execution.finished and ending and self._complete()):
                for event in self._hear(0.2, name):
                    ending = ending or event.reason in ENDINGS
                    if self._asked(event):
                        yield event
                if not execution.finished and self._told_until():
                    yield from self._last(name)
                    return
                if execution.finished:
                    over_at = over_at or self._time.time()
                    if not self._complete() or self._time.time() - over_at > _GRACE:
                        break
                if self._time.time() >= look_at:
                    execution = self._executions.one(name, self._streams.job)
                    look_at = self._time.time() + min(next(delays), 1.0)
                    for event in self._look(name):
                        ending = ending or event.reason in ENDINGS
                        if self._asked(event):
                            yield event
            if not (ending and self._complete()):
                yield from self._late(execution)
        finally:
            self._close()

    def all(self) -> Iterator[SystemEvent]:
        """A job's events from now on, or from `since` or the last `tail` on; to `until`."""
        delays = backoff(1.0, 5.0)
        try:
            told = self._since is not None or self._tail is not None
            yield from (e for e in self._beginning(None, told=told) if self._asked(e))
            look_at = 0.0
            while True:
                yield from (e for e in self._hear(0.2, None) if self._asked(e))
                if self._time.time() >= look_at:
                    yield from (e for e in self._look(None) if self._asked(e))
                    look_at = self._time.time() + next(delays)
                if self._told_until():
                    yield from self._last(None)
                    return
        finally:
            self._close()

    def _told_until(self) -> bool:
        """Whether the moment has come up to which events are asked for, and a little more."""
        if self._until is None or not self._until.over():
            return False
        self._over_since = self._over_since or self._time.time()
        return self._time.time() - self._over_since >= _AFTER

    def _last(self, execution: str | None) -> Iterator[SystemEvent]:
        """What the store can tell now, when the moment has come."""
        yield from (e for e in self._look(execution) if self._asked(e))
        if not self._complete():
            self._notice("Events that are not ingested into the log workspace yet are not told.")

    # ---------------------------------------------------------------- what was before

    def _beginning(self, execution: str | None, *, told: bool) -> list[SystemEvent]:
        """What is stored and what the stream tells of the past, in order; all of it is known from
        here on, `told` or not."""
        before: list[SystemEvent] = []
        quiet_at = self._time.time() + _SETTLE
        self._open()
        while self._time.time() < quiet_at:
            if found := list(self._hear(0.05, execution)):
                before += found
                quiet_at = self._time.time() + _SETTLE
        before += self._look(execution)
        if len(self._sent) >= MOST_TAIL:
            self._whole = False
        before.sort(key=lambda event: event.time)
        if not told:
            return []
        if self._tail is not None:
            chosen = [event for event in before if self._asked(event)]
            return chosen[len(chosen) - min(self._tail, len(chosen)) :]
        return before

    def _asked(self, event: SystemEvent) -> bool:
        if self._since is not None and event.time < self._since:
            return False
        if self._until is not None and event.time >= self._until.moment:
            return False
        return self._pattern is None or bool(self._pattern.search(event.text))

    # ---------------------------------------------------------------- the store

    def _look(self, execution: str | None) -> list[SystemEvent]:
        """Stored events that are not known yet, oldest first."""
        many: int | None = None if execution else _NEWEST
        while True:
            query = kql.system_events(self._streams.job, execution=execution, tail=many)
            try:
                found = self._system_log.events(query)
            except NotReachable:
                self._unreachable += 1
                if self._unreachable >= _TRIES:
                    raise
                return []
            self._unreachable = 0
            rows = Counter((e.time, (e.reason, e.text, e.replica)) for e in found)
            known = any(row in self._stored for row in rows)
            if many is None or len(found) < many or known or not self._stored:
                break
            many *= 10  # so much has happened since the last look
        new = []
        for event in found:
            row = (event.time, (event.reason, event.text, event.replica))
            if rows[row] > self._stored[row]:
                self._stored[row] += 1
                if self._pairs.is_new(event, "store"):
                    new.append(event)
        return new

    def _late(self, execution: Execution) -> Iterator[SystemEvent]:
        """What the stream did not tell to its end: from the store, when it is there."""
        late = LateLogs(execution, self._system_log, self._time, self._there, self._notice)
        while not late.ready():
            yield from (e for e in self._hear(0.2, execution.name) if self._asked(e))
            yield from (e for e in self._look(execution.name) if self._asked(e))
        yield from (e for e in self._look(execution.name) if self._asked(e))

    # ---------------------------------------------------------------- the stream

    def _complete(self) -> bool:
        """Whether the stream has told all that it had to tell so far."""
        return self._whole and self._reading

    def _hear(self, patience: float, execution: str | None) -> Iterator[SystemEvent]:
        """What the stream brings within so many seconds."""
        until = self._time.time() + patience
        while True:
            if not self._reading and self._time.time() >= self._again_at:
                self._open()
            try:
                news = self._news.get(timeout=max(0.0, until - self._time.time()))
            except queue.Empty:
                return
            if isinstance(news, str):
                if (event := self._event(news, execution)) is not None:
                    yield event
            else:
                self._broken(news)
            if self._time.time() >= until:
                return

    def _event(self, line: str, execution: str | None) -> SystemEvent | None:
        """The event of a line; None for one that was told or is of another execution, and for
        what is none. One that does not say its execution is the store's to tell."""
        if self._expected[line]:
            self._expected[line] -= 1
            return None
        try:
            read: Any = json.loads(line)
        except ValueError:
            return None
        if not isinstance(read, dict) or read.get("Reason") in _NOT_EVENTS:
            return None
        at = moment(read.get("TimeStamp"))
        if at is None:
            return None
        self._failures = 0
        self._sent.append(line)
        replica = str(read.get("ReplicaName") or "")
        event = SystemEvent(
            time=at,
            reason=str(read.get("Reason") or ""),
            text=str(read.get("Msg") or ""),
            type=str(read.get("Type") or "Normal"),
            job=str(read.get("JobName") or self._streams.job),
            execution=str(read.get("ExecutionName") or (execution_of(replica) if replica else "")),
            replica=replica,
        )
        if execution is not None and event.execution != execution:
            return None
        return event if self._pairs.is_new(event, "stream") else None

    def _open(self) -> None:
        self._reading = True
        self._expected = Counter(self._sent)
        threading.Thread(target=self._read, name="events", daemon=True).start()

    def _read(self) -> None:
        try:
            self._stream = stream = self._streams.open_events(MOST_TAIL)
            for line in stream.texts():
                self._news.put(line)
        except (OrchestratorError, AzureError, OSError) as error:
            self._news.put(error)
        except Exception as error:  # noqa: BLE001 - a closed stream fails in ways of its own
            self._news.put(NotReachable(f"The event stream broke: {error}."))
        else:
            self._news.put(None)

    def _broken(self, error: Exception | None) -> None:
        """The stream has ended; the store tells what it misses until it is open again."""
        self._whole = self._reading = False
        self._failures += 1
        if isinstance(error, NotFound) and self._failures == 1:
            self._notice(
                "The service has no live event stream for this job; events are told as they are "
                "ingested into the log workspace (minutes on Azure)."
            )
        pause = 60.0 if self._failures >= _TRIES or isinstance(error, NotFound) else 0.5
        self._again_at = self._time.time() + pause * max(1, min(self._failures, _TRIES))

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
