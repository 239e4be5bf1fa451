"""Following: the lines of running executions as they are written, none twice, none left out.

Each container of each replica is read by a thread of its own; one loop hands out what they bring,
looks for replicas that have begun, opens streams anew that broke, and ends when the execution has.
Two things are mended from the stored logs: what was written before the stream's first line when
that was more than a stream tells (300 lines), and what a stream that could no longer be opened
would have told.
"""

from __future__ import annotations

import queue
import threading
from collections import Counter, deque
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from azure.core.exceptions import AzureError

from orchestrator import kql
from orchestrator.errors import NotReachable, OrchestratorError
from orchestrator.log_stream import MOST_TAIL, OpenStream, Place, StreamedLine, Streams
from orchestrator.logs import LogVerbs, check_grep, check_tail
from orchestrator.results import Execution, LogLine
from orchestrator.waiting import Time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.executions import ExecutionVerbs

_SETTLE = 0.15  # seconds without a line after which a stream's beginning counts as told
_GRACE = 5.0  # seconds that streams get to end by themselves once their execution has
_SAME = 0.01  # seconds by which a stored line's time may differ from the streamed one's
_REMEMBERED = 2000  # lines of a stream by which a reconnection knows what it has told
_TRIES = 4  # failures in a row after which it is given up

State = Literal["idle", "reading", "ended"]


class _Reader:
    """One container's stream across reconnections: what it has told, and where it stands."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.state: State = "idle"
        self.stream: OpenStream | None = None
        self.failures = 0
        self.again_at = 0.0
        self.opened_at = 0.0
        self.first: list[StreamedLine] | None = []  # held back until the beginning is told
        self.heard_at = 0.0
        self.last_time: float | None = None
        self._recent: deque[StreamedLine] = deque(maxlen=_REMEMBERED)
        self._known: Counter[str] = Counter()

    def reopened(self) -> None:
        """What was told is expected again, once."""
        self._known = Counter(line.mark for line in self._recent)

    def is_new(self, line: StreamedLine) -> bool:
        """Whether the line was not told before a reconnection."""
        if self._known[line.mark]:
            self._known[line.mark] -= 1
            return False
        return True

    def told(self, line: StreamedLine) -> None:
        self._recent.append(line)
        if line.time is not None:
            self.last_time = max(line.time, self.last_time or 0.0)

    def last_told(self) -> Counter[tuple[str, str]]:
        """(stream, text) of the lines told last: those a stored line near `last_time` may be."""
        border = (self.last_time or 0.0) - _SAME
        return Counter((i.stream, i.text) for i in self._recent if (i.time or 0.0) >= border)


class Follower:
    """Follows one execution until it ends, or all of a job's without end."""

    def __init__(
        self,
        streams: Streams,
        executions: ExecutionVerbs,
        logs: LogVerbs,
        time: Time,
        *,
        tail: int | None = None,
        grep: str | None = None,
    ) -> None:
        check_tail(tail)
        self._pattern = check_grep(grep)
        self._tail = MOST_TAIL if tail is None else tail
        self._whole = tail is None
        self._streams = streams
        self._executions = executions
        self._logs = logs
        self._time = time
        self._readers: dict[Place, _Reader] = {}
        self._news: queue.SimpleQueue[tuple[_Reader, Any]] = queue.SimpleQueue()
        self._containers: list[str] = []

    # ---------------------------------------------------------------- the two ways to follow

    def one(self, name: str) -> Iterator[LogLine]:
        """The lines of one execution; ends when it has ended and everything is told."""
        execution = self._executions.one(name, self._streams.job)
        try:
            yield from self._until_over(execution)
        finally:
            self._close()

    def all(self) -> Iterator[LogLine]:
        """The lines of every execution that runs now or begins later. Does not end by itself.

        Executions that run side by side are told side by side.
        """
        job = self._streams.job
        current: dict[str, Execution] = {}
        over = {e.name for e in self._executions.every(job) if e.finished}
        look_at = 0.0
        try:
            while True:
                if self._time.time() >= look_at:
                    for execution in reversed(self._executions.every(job)):
                        if execution.name not in over:
                            current[execution.name] = execution
                    for name, execution in list(current.items()):
                        self._look(execution)
                        if execution.finished and self._all_told(name):
                            yield from self._swept(execution)
                            over.add(name)
                            del current[name]
                    look_at = self._time.time() + 1.0
                yield from self._hear(min(0.5, max(0.02, look_at - self._time.time())))
        finally:
            self._close()

    # ---------------------------------------------------------------- one execution

    def _until_over(self, execution: Execution) -> Iterator[LogLine]:
        delay, failures = 0.1, 0
        over_since: float | None = None
        while True:
            try:
                self._look(execution)
                if not any(r.state == "reading" for r in self._readers.values()):
                    execution = self._executions.one(execution.name, execution.job)
                failures = 0
            except NotReachable:
                failures += 1
                if failures >= _TRIES:
                    raise
            heard = False
            for line in self._hear(delay):
                heard = True
                yield line
            if execution.finished:
                now = self._time.time()
                over_since = now if over_since is None else over_since
                if self._all_told(execution.name) or now - over_since > _GRACE:
                    break
                delay = 0.1
            else:
                delay = 0.1 if heard or not self._readers else min(delay * 1.3, 1.0)
        self._close()
        yield from self._rest()
        yield from self._swept(execution)

    def _look(self, execution: Execution) -> None:
        """Find replicas that have begun, and open what is to be opened."""
        if not self._containers:
            self._containers = self._streams.containers()
        names = self._streams.replicas(execution.name)
        names += [r.name for r in execution.replicas if r.name not in names]
        for replica in names:
            for container in self._containers:
                place = Place(execution.job, execution.name, replica, container)
                if place not in self._readers:
                    self._readers[place] = _Reader(place)
        ended = {r.name for r in execution.replicas if r.exit_code is not None}
        for reader in self._readers.values():
            if reader.place.execution != execution.name or reader.state not in ("idle", "ended"):
                continue
            if reader.state == "ended" and (execution.finished or reader.place.replica in ended):
                continue
            if self._time.time() >= reader.again_at:
                self._open(reader)

    def _all_told(self, execution: str) -> bool:
        mine = [r for r in self._readers.values() if r.place.execution == execution]
        return all(not r.first and (r.state == "ended" or r.failures >= _TRIES) for r in mine)

    # ---------------------------------------------------------------- threads

    def _open(self, reader: _Reader) -> None:
        reader.state = "reading"
        reader.opened_at = reader.heard_at = self._time.time()
        tail = self._tail if reader.last_time is None else MOST_TAIL
        threading.Thread(
            target=self._read,
            args=(reader, tail),
            name=f"log of {reader.place.replica}",
            daemon=True,
        ).start()

    def _read(self, reader: _Reader, tail: int) -> None:
        try:
            stream = self._streams.open(reader.place, tail)
            reader.stream = stream
            reader.reopened()
            for line in stream.lines():
                self._news.put((reader, line))
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
        until = self._time.time() + patience
        while True:
            left = until - self._time.time()
            opening = any(r.first for r in self._readers.values())
            try:
                reader, news = self._news.get(
                    timeout=max(0.0, min(left, 0.05 if opening else left))
                )
            except queue.Empty:
                yield from self._settled()
                if self._time.time() >= until:
                    return
                continue
            if isinstance(news, StreamedLine):
                yield from self._line(reader, news)
            else:
                yield from self._ended(reader, news)
                return

    def _line(self, reader: _Reader, line: StreamedLine) -> Iterator[LogLine]:
        if not reader.is_new(line):
            return
        reader.failures = 0
        reader.heard_at = self._time.time()
        if reader.first is None:
            yield from self._tell(reader, [line])
            return
        reader.first.append(line)
        live = line.time is not None and line.time >= reader.opened_at
        if live or len(reader.first) >= self._tail:
            yield from self._begin(reader)

    def _settled(self) -> Iterator[LogLine]:
        for reader in list(self._readers.values()):
            if reader.first and self._time.time() - reader.heard_at >= _SETTLE:
                yield from self._begin(reader)

    def _begin(self, reader: _Reader) -> Iterator[LogLine]:
        """The stream's beginning is complete: tell it, and before it what did not fit in it."""
        first, reader.first = reader.first or [], None
        if self._whole and len(first) >= MOST_TAIL and first[0].time is not None:
            border = first[0].time
            same = Counter(
                (line.stream, line.text) for line in first if (line.time or 0) <= border + _SAME
            )
            yield from self._stored(reader.place, same, before=border)
        yield from self._tell(reader, first)

    def _ended(self, reader: _Reader, error: Exception | None) -> Iterator[LogLine]:
        now = self._time.time()
        if reader.first:
            yield from self._begin(reader)
        reader.stream = None
        if error is None:
            reader.state = "ended"
            reader.again_at = now + 1.0
            return
        # Also for a 404: a container that has not begun has no stream yet.
        reader.failures += 1
        reader.state = "idle"
        reader.again_at = now + min(3.0, 0.05 * 2**reader.failures)

    def _rest(self) -> Iterator[LogLine]:
        """What the threads have brought and nobody has heard yet."""
        for reader in list(self._readers.values()):
            if reader.first:
                yield from self._begin(reader)
        while True:
            try:
                reader, news = self._news.get_nowait()
            except queue.Empty:
                return
            if isinstance(news, StreamedLine) and reader.is_new(news):
                yield from self._tell(reader, [*(reader.first or []), news])
                reader.first = None

    # ---------------------------------------------------------------- telling

    def _tell(self, reader: _Reader, lines: Iterable[StreamedLine]) -> Iterator[LogLine]:
        place = reader.place
        for line in lines:
            reader.told(line)
            if self._pattern is None or self._pattern.search(line.text):
                at = line.time if line.time is not None else self._time.time()
                yield LogLine(
                    time=datetime.fromtimestamp(at, UTC),
                    text=line.text,
                    job=place.job,
                    execution=place.execution,
                    replica=place.replica,
                    container=place.container,
                    stream=line.stream,
                )

    def _stored(
        self,
        place: Place,
        told: Counter[tuple[str, str]],
        *,
        before: float | None = None,
        after: float | None = None,
    ) -> Iterator[LogLine]:
        """Stored lines of one container, less those that its stream has `told` at the border."""
        border = before if before is not None else after
        query = kql.console_lines(
            place.job,
            execution=place.execution,
            replica=place.replica,
            container=place.container,
            before=before,
            after=after - _SAME if after is not None else None,
        )
        for line in self._logs.stored(query, place.execution):
            key = (line.stream, line.text)
            if border is not None and abs(line.time.timestamp() - border) <= _SAME and told[key]:
                told[key] -= 1
            elif self._pattern is None or self._pattern.search(line.text):
                yield line

    def _swept(self, execution: Execution) -> Iterator[LogLine]:
        """What no stream has told to its end: from the stored logs."""
        if not self._whole:
            return
        mine = [r for r in self._readers.values() if r.place.execution == execution.name]
        for reader in mine:
            if reader.state != "ended":
                yield from self._stored(reader.place, reader.last_told(), after=reader.last_time)
        if not mine:
            query = kql.console_lines(execution.job, execution=execution.name)
            for line in self._logs.stored(query, execution.name):
                if self._pattern is None or self._pattern.search(line.text):
                    yield line
