"""Following: the lines of running executions as they are written, none twice, none left out.

Each container of each replica is read by a thread of its own; one loop hands out what they bring,
looks for replicas that have begun, opens streams anew that broke, and ends when the execution has.
Two things are mended from the stored logs: what was written before the stream's first line when
that was more than a stream tells (300 lines), and what a stream that could no longer be opened
would have told. Lines take minutes into the log workspace of Azure, so the stored ones are waited
for: a replica's earlier lines until the one with which its stream begins is stored, the end of an
execution until the system log tells of it (both kinds of rows go the same way).

Lines of several containers are put in the order of their times, by holding each for a moment.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError

from orchestrator.errors import NotReachable, OrchestratorError
from orchestrator.following.join import beginning, ending
from orchestrator.following.late import PATIENCE, LateLogs
from orchestrator.following.order import LineOrder, Wanted
from orchestrator.following.reader import Reader
from orchestrator.following.stream import (
    MOST_TAIL,
    Place,
    StreamedLine,
    Streams,
    containers_of,
    inits_of,
)
from orchestrator.logs.verbs import LogVerbs, check_grep, check_tail
from orchestrator.queries import kql
from orchestrator.results import Execution, LogLine
from orchestrator.waiting import Time, backoff

if TYPE_CHECKING:
    from orchestrator.azure.service_time import ServiceTime, Until
    from orchestrator.executions.verbs import ExecutionVerbs
    from orchestrator.logs.system_log import SystemLog

_SETTLE = 0.15  # seconds without a line after which a stream's beginning counts as told
_LIVE = 0.5  # seconds after its opening from which on a stream's lines count as written since
_CLOCKS = 5.0  # seconds by which clocks may differ, and a line be older than it seems
_OPENING = 2.0  # seconds for which others wait for a stream that is being opened
_GRACE = 5.0  # seconds that streams get to end by themselves once their execution has
_APART = 2.0  # seconds by which a stored line's time may differ from the streamed one's
_AFTER = 1.5  # seconds in which what began, or was written, before a moment is heard of after it
_TRIES = 4  # failures in a row after which it is given up


class Follower:
    """Follows one execution until it ends, or all of a job's; both at most until a moment."""

    def __init__(
        self,
        streams: Streams,
        executions: ExecutionVerbs,
        logs: LogVerbs,
        system_log: SystemLog,
        time: Time,
        there: ServiceTime,
        *,
        tail: int | None = None,
        grep: str | None = None,
        since: datetime | None = None,
        until: Until | None = None,
        stream: str | None = None,
        notice: Callable[[str], None] | None = None,
    ) -> None:
        check_tail(tail)
        self._order = LineOrder(time, Wanted(check_grep(grep), stream, since, until))
        self._since = since
        self._until = until
        self._over_since: float | None = None  # when it was seen that the moment has come
        self._system_log = system_log
        self._notice = notice or (lambda text: None)
        self._tail = MOST_TAIL if tail is None else tail
        self._whole = tail is None
        self._streams = streams
        self._executions = executions
        self._logs = logs
        self._time = time
        self._there = there
        self._readers: dict[Place, Reader] = {}
        self._news: queue.SimpleQueue[tuple[Reader, Any]] = queue.SimpleQueue()
        self._look_again = 0.0  # when the execution is asked for anew, though streams are read

    # ---------------------------------------------------------------- the two ways to follow

    def one(self, name: str) -> Iterator[LogLine]:
        """The lines of one execution; ends when it has ended and everything is told."""
        execution = self._executions.one(name, self._streams.job)
        try:
            yield from self._until_over(execution)
        finally:
            self._close()

    def all(self) -> Iterator[LogLine]:
        """The lines of every execution that runs now or begins later. Has no end but `until`.

        Executions that run side by side are told side by side.
        """
        job = self._streams.job
        current: dict[str, Execution] = {}
        over: set[str] = set()
        late: dict[str, LateLogs] = {}
        for execution in self._executions.every(job, history=False):
            if execution.finished:
                over.add(execution.name)
                if self._since and (execution.end is None or execution.end >= self._since):
                    late[execution.name] = self._late(execution)
        look_at = 0.0
        try:
            while True:
                if self._time.time() >= look_at:
                    for name in [n for n, one in late.items() if one.ready()]:
                        self._sweep(late.pop(name).execution)
                    for execution in reversed(self._executions.every(job, history=False)):
                        if execution.name not in over:
                            current[execution.name] = execution
                    for name, execution in list(current.items()):
                        self._look(execution)
                        if execution.finished and self._all_told(name):
                            if self._needs_store(execution):
                                late[name] = self._late(execution)
                            over.add(name)
                            del current[name]
                    look_at = self._time.time() + 1.0
                yield from self._hear(min(0.5, max(0.02, look_at - self._time.time())))
                if self._told_until():
                    break
            yield from self._last(current.values(), late)
        finally:
            self._close()

    # ---------------------------------------------------------------- one execution

    def _until_over(self, execution: Execution) -> Iterator[LogLine]:
        delay, failures, told = 0.1, 0, False
        over_since: float | None = None
        while True:
            try:
                self._look(execution)
                if self._wants_look(execution):
                    execution = self._executions.one(execution.name, execution.job)
                    self._look_again = self._time.time() + 1.0
                told = self._told_until()
                failures = 0
            except NotReachable:
                failures += 1
                if failures >= _TRIES:
                    raise
            heard = False
            for line in self._hear(delay):
                heard = True
                yield line
            if told:
                break
            if execution.finished:
                now = self._time.time()
                over_since = now if over_since is None else over_since
                if self._all_told(execution.name) or now - over_since > _GRACE:
                    break
                delay = 0.1
            else:
                delay = 0.1 if heard or not self._readers else min(delay * 1.3, 1.0)
        yield from self._last([execution], {})

    def _wants_look(self, execution: Execution) -> bool:
        """Whether streams no longer tell how the execution stands: none is read, or one has ended
        of a replica that ran when it was last asked for."""
        readers = self._readers.values()
        if not any(r.state == "reading" for r in readers):
            return True
        over = _over(execution)
        return self._time.time() >= self._look_again and any(
            r.state == "ended" and r.place.replica not in over and not r.goes_first for r in readers
        )

    def _told_until(self) -> bool:
        """Whether the moment has come up to which lines are asked for, and those are told that
        streams tell."""
        if self._until is None or not self._until.over():
            return False
        now = self._time.time()
        self._over_since = self._over_since or now
        if now - self._over_since > _GRACE:
            return True
        for reader in self._readers.values():
            if reader.state == "reading":
                since = reader.listening_at
                if since is None or now - since < _SETTLE or (reader.first and not reader.looks):
                    return False
            elif reader.state == "idle" and reader.failures < _TRIES:
                return False
        return now - self._over_since >= _AFTER

    def _last(
        self, executions: Iterable[Execution], late: dict[str, LateLogs]
    ) -> Iterator[LogLine]:
        """The streams are done with: tell what they still hold, and what only the store has."""
        if self._over_since is not None:
            for reader in self._readers.values():
                if reader.listening_at is not None:
                    reader.state = "ended"  # it has told all that is asked for
        self._close()
        self._rest()
        while any(r.looks for r in self._readers.values()):
            self._catch_up()
            self._time.sleep(0.1)
        yield from self._due(everything=True)
        for execution in executions:
            if self._needs_store(execution):
                if execution.finished:
                    late[execution.name] = self._late(execution)
                else:
                    self._sweep(execution)
        while late:
            for name in [name for name, one in late.items() if one.ready()]:
                self._sweep(late.pop(name).execution)
            if late:
                self._time.sleep(0.2)
        yield from self._due(everything=True)

    def _look(self, execution: Execution) -> None:
        """Find replicas that have begun, and open what is to be opened."""
        containers = containers_of(execution.raw) or self._streams.containers()
        first = inits_of(execution.raw)
        names = self._streams.replicas(execution.name)
        names += [r.name for r in execution.replicas if r.name not in names]
        for replica in names:
            for container in containers:
                place = Place(execution.job, execution.name, replica, container)
                if place not in self._readers:
                    self._readers[place] = Reader(place, goes_first=container in first)
        ended = _over(execution)
        for reader in self._readers.values():
            if reader.place.execution != execution.name or reader.state not in ("idle", "ended"):
                continue
            over = execution.finished or reader.place.replica in ended or reader.goes_first
            if reader.state == "ended" and over:
                continue
            if self._time.time() >= reader.again_at:
                self._open(reader)

    def _all_told(self, execution: str) -> bool:
        mine = [r for r in self._readers.values() if r.place.execution == execution]
        return all(not r.first and (r.state == "ended" or r.failures >= _TRIES) for r in mine)

    # ---------------------------------------------------------------- threads

    def _open(self, reader: Reader) -> None:
        reader.state = "reading"
        reader.opened_at = reader.heard_at = self._time.time()
        reader.listening_at = None
        reader.live_from = self._there.time() - _CLOCKS
        reader.reopened()
        tail = self._tail if reader.last_time is None else MOST_TAIL
        threading.Thread(
            target=self._read,
            args=(reader, tail),
            name=f"log of {reader.place.replica}",
            daemon=True,
        ).start()

    def _read(self, reader: Reader, tail: int) -> None:
        try:
            stream = self._streams.open(reader.place, tail)
            reader.stream = stream
            reader.listening_at = self._time.time()
            for line in stream.lines():
                self._news.put((reader, (line, self._time.time())))
        except (OrchestratorError, AzureError, OSError) as error:
            self._news.put((reader, error))
        except Exception as error:  # noqa: BLE001 -- a closed stream fails in ways of its own
            self._news.put((reader, NotReachable(f"The log stream broke: {error}.")))
        else:
            self._news.put((reader, None))

    def _close(self) -> None:
        for reader in self._readers.values():
            if reader.stream is not None:
                reader.stream.close()

    # ---------------------------------------------------------------- hearing

    def _hear(self, patience: float) -> Iterator[LogLine]:
        """What comes within so many seconds; comes back early when a stream ends."""
        self._catch_up()
        until = self._time.time() + patience
        busy_until = self._time.time() + max(patience, 1.0)
        while True:
            now = self._time.time()
            if now >= busy_until:
                return
            wait = until - now
            if (due_at := self._order.due_at) is not None:
                wait = min(wait, max(0.005, due_at - now))
            if any(r.first and not r.looks for r in self._readers.values()):
                wait = min(wait, 0.05)
            try:
                reader, news = self._news.get(timeout=max(0.0, wait))
            except queue.Empty:
                self._settle()
                self._catch_up()
                yield from self._due()
                if self._time.time() >= until:
                    return
                continue
            if isinstance(news, tuple):
                self._line(reader, *news)
            else:
                self._ended(reader, news)
                until = 0.0
            yield from self._due()
            if not until:
                return

    def _line(self, reader: Reader, line: StreamedLine, came_at: float) -> None:
        if not reader.is_new(line):
            return
        reader.failures = 0
        reader.heard_at = self._time.time()
        late = came_at - (reader.listening_at or came_at) >= _LIVE
        recent = line.time is None or line.time >= reader.live_from
        if reader.first and reader.looks is None and late and recent:
            # What it tells of the past came at once; by their times alone the two cannot be told
            # apart, as the stream takes a moment to open and clocks differ.
            self._begin(reader)
        if reader.first is None:
            self._tell(reader, [line])
            return
        reader.first.append(line)
        if len(reader.first) >= self._tail:
            self._begin(reader)

    def _settle(self) -> None:
        for reader in list(self._readers.values()):
            if reader.first and self._time.time() - reader.heard_at >= _SETTLE:
                self._begin(reader)

    def _begin(self, reader: Reader) -> None:
        """The stream's beginning is complete: tell it, unless more was written before it."""
        if reader.looks is not None:
            return
        first = reader.first or []
        earlier = self._since is None or (first and (first[0].time or 0) > self._since.timestamp())
        if self._whole and len(first) >= MOST_TAIL and first[0].time is not None and earlier:
            reader.looks = backoff(0.5)
            reader.look_at = 0.0
            reader.give_up_at = self._there.time() + PATIENCE
            self._catch_up()
            return
        reader.first = None
        self._tell(reader, first)

    def _catch_up(self) -> None:
        """Tell what was written before a stream's beginning, once it can be read."""
        for reader in list(self._readers.values()):
            now = self._time.time()
            if reader.looks is None or not reader.first or now < reader.look_at:
                continue
            at = reader.first[0].time or 0.0
            there = self._there.time()
            near = self._logs.stored(
                self._query(reader.place, after=at - _APART, before=at + _APART)
            )
            if beginning(reader.first, near) is None and there < reader.give_up_at:
                if not reader.look_at:
                    self._notice(
                        f"{reader.place.replica} wrote more before than its stream tells; waiting "
                        "until that is ingested (--tail N goes without it)."
                    )
                reader.look_at = now + next(reader.looks)
                continue
            stored = self._logs.stored(
                self._query(reader.place, before=at + _APART), reader.place.execution
            )
            until = beginning(reader.first, stored)
            if until is None:
                self._notice(f"Earlier lines of {reader.place.replica} may be missing.")
                until = sum(line.time.timestamp() < at for line in stored)
            for line in stored[:until]:
                self._order.put(reader, line)
            first, reader.first, reader.looks = reader.first, None, None
            self._tell(reader, first)

    def _ended(self, reader: Reader, error: Exception | None) -> None:
        now = self._time.time()
        if reader.first:
            self._begin(reader)
        reader.stream = None
        if error is None:
            reader.state = "ended"
            reader.again_at = now + 1.0
            return
        # Also for a 404: a container that has not begun has no stream yet.
        reader.failures += 1
        reader.state = "idle"
        reader.again_at = now + min(3.0, 0.05 * 2**reader.failures)

    def _rest(self) -> None:
        """What the threads have brought and nobody has heard yet."""
        while True:
            try:
                reader, news = self._news.get_nowait()
            except queue.Empty:
                break
            if isinstance(news, tuple) and reader.is_new(news[0]):
                if reader.first is not None:
                    reader.first.append(news[0])
                else:
                    self._tell(reader, [news[0]])
        for reader in list(self._readers.values()):
            if reader.first:
                self._begin(reader)

    # ---------------------------------------------------------------- telling

    def _tell(self, reader: Reader, lines: Iterable[StreamedLine]) -> None:
        place = reader.place
        for line in lines:
            reader.told(line)
            at = line.time if line.time is not None else self._time.time()
            told = LogLine(
                time=datetime.fromtimestamp(at, UTC),
                text=line.text,
                job=place.job,
                execution=place.execution,
                replica=place.replica,
                container=place.container,
                stream=line.stream,
            )
            self._order.put(reader, told)

    def _due(self, *, everything: bool = False) -> Iterator[LogLine]:
        """The lines whose turn it is: earlier ones of other containers would have come by now."""
        now = self._time.time()
        reading = [r for r in self._readers.values() if r.state == "reading"]
        if not everything:
            for reader in reading:  # a stream that is being opened tells of what was before
                if reader.first is None or reader.looks is not None:
                    continue
                since = reader.listening_at
                if since is None and now - reader.opened_at < _OPENING:
                    return
                if reader.first or (since is not None and now - since < _SETTLE):
                    return
        alone = len(reading) < 2
        yield from self._order.take(now=None if everything or alone else now)

    # ---------------------------------------------------------------- the stored lines

    def _query(
        self, place: Place, *, after: float | None = None, before: float | None = None
    ) -> str:
        return kql.console_lines(
            place.job,
            execution=place.execution,
            replica=place.replica,
            container=place.container,
            after=after,
            before=before,
        )

    def _needs_store(self, execution: Execution) -> bool:
        """Whether some of its lines have been told by no stream."""
        mine = [r for r in self._readers.values() if r.place.execution == execution.name]
        return self._whole and (not mine or any(r.state != "ended" for r in mine))

    def _late(self, execution: Execution) -> LateLogs:
        return LateLogs(execution, self._system_log, self._time, self._there, self._notice)

    def _sweep(self, execution: Execution) -> None:
        """Tell what no stream has told to its end, from the stored logs."""
        mine = [r for r in self._readers.values() if r.place.execution == execution.name]
        for reader in mine:
            if reader.state != "ended":
                after = None if reader.last_time is None else reader.last_time - _APART
                stored = self._logs.stored(self._query(reader.place, after=after), execution.name)
                for line in stored[ending(reader.last_told(), stored) :]:
                    self._order.put(reader, line)
        if not mine:
            since = self._since.timestamp() if self._since else None
            query = kql.console_lines(execution.job, execution=execution.name, after=since)
            for line in self._logs.stored(query, execution.name):
                self._order.put(None, line)


def _over(execution: Execution) -> set[str]:
    """Its replicas that have ended, as far as its record tells."""
    return {r.name for r in execution.replicas if r.exit_code is not None}
