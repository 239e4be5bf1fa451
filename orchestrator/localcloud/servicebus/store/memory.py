"""A store that forgets when the process ends; otherwise as exact as the durable one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from orchestrator.localcloud.servicebus.errors import BrokerError, StoreFailed
from orchestrator.localcloud.servicebus.model import Done
from orchestrator.localcloud.servicebus.store.contract import (
    SEQUENCE_BITS,
    Change,
    Contents,
    Definition,
    HistoryRow,
    MessageRow,
    StateRow,
    tell,
)


class MemoryStore:
    """Keeps rows in dictionaries. Opened again after `close`, it still has them."""

    def __init__(self) -> None:
        self._messages: dict[int, MessageRow] = {}
        self._states: dict[int, StateRow] = {}
        self._history: dict[tuple[int, str], float] = {}
        self._last: dict[int, int] = {}
        self._definitions: dict[tuple[str, str], bytes] = {}
        self._departed: set[int] = set()
        self._waiting: list[tuple[Change | None, Done | None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> Contents:
        self._loop = asyncio.get_running_loop()
        for key in self._departed:
            self._messages.pop(key, None)
            self._states.pop(key, None)
        self._departed.clear()
        return Contents(
            definitions=[Definition(*key, body) for key, body in self._definitions.items()],
            last=dict(self._last),
            messages=self._rows(),
            history=[HistoryRow(*key, until) for key, until in self._history.items()],
        )

    def _rows(self) -> Iterator[tuple[MessageRow, StateRow | None]]:
        for key in sorted(self._messages):
            yield self._messages[key], self._states.get(key)

    def commit(self, change: Change, done: Done | None, *, patience: float = 0.0) -> None:
        self._enqueue(change, done)

    def depart(self, key: int) -> None:
        self._departed.add(key)

    def barrier(self, done: Done) -> None:
        self._enqueue(None, done)

    def _enqueue(self, change: Change | None, done: Done | None) -> None:
        if self._loop is None:
            if done is not None:
                closed = StoreFailed("The message store is closed.")
                asyncio.get_running_loop().call_soon(done, closed)
            return
        if not self._waiting:
            self._loop.call_soon(self._commit_waiting)
        self._waiting.append((change, done))

    def _commit_waiting(self) -> None:
        group, self._waiting = self._waiting, []
        # As with the durable store, the whole group is committed before anyone is told.
        tell([(done, self._apply(change) if change else None) for change, done in group])

    def _apply(self, change: Change) -> BrokerError | None:
        for row in change.puts:
            self._messages[row.key] = row
        for state in change.states:
            if state.key in self._messages:
                self._states[state.key] = state
        for key in change.deletes:
            self._messages.pop(key, None)
            self._states.pop(key, None)
        for queue, last in change.last.items():
            self._last[queue] = max(last, self._last.get(queue, 0))
        for entry, until in change.history.items():
            if until is None:
                self._history.pop(entry, None)
            else:
                self._history[entry] = until
        for name, body in change.definitions.items():
            if body is None:
                self._definitions.pop(name, None)
            else:
                self._definitions[name] = body
        for queue in change.drops:
            self._drop(queue)
        return None

    def _drop(self, queue: int) -> None:
        for key in [key for key in self._messages if key >> SEQUENCE_BITS == queue]:
            del self._messages[key]
            self._states.pop(key, None)
        for entry in [entry for entry in self._history if entry[0] == queue]:
            del self._history[entry]
        self._last.pop(queue, None)

    async def close(self) -> None:
        if self._loop is not None:
            self._commit_waiting()
            self._loop = None
