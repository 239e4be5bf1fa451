"""Operations on any queues that happen together: all of them, or none.

Each is what its queue does anyway; only the changes that they would commit one by one are
gathered and committed as one. Where one of them cannot be, the others learn what they would of a
store that failed, and put everything back.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from orchestrator.localcloud.servicebus.context import Context
from orchestrator.localcloud.servicebus.errors import BrokerError, StoreFailed
from orchestrator.localcloud.servicebus.model import Done
from orchestrator.localcloud.servicebus.store.contract import Change, Commits, tell

_log = logging.getLogger(__name__)

Operation = Callable[[], object]
"""Does one thing to a queue. Raises BrokerError."""


class _Gathering:
    """Stands in for the store while operations say what they want of it."""

    def __init__(self, store: Commits) -> None:
        self._store = store
        self.change = Change()
        self.waiting: list[Done | None] = []

    def commit(self, change: Change, done: Done | None, *, patience: float = 0.0) -> None:
        if patience:
            # What is only noted (who has a lock, what has gone, when it was used) has happened
            # whatever becomes of the transaction.
            self._store.commit(change, done, patience=patience)
            return
        self.change.add(change)
        self.waiting.append(done)

    def depart(self, key: int) -> None:
        self._store.depart(key)

    def barrier(self, done: Done) -> None:
        self.waiting.append(done)

    def tell(self, error: BrokerError | None) -> None:
        tell((done, error) for done in self.waiting)


def carry_out(context: Context, operations: Sequence[Operation], done: Done) -> None:
    """Do all of them or none. `done(None)` once all are durable; `done(error)` with what one of
    them raised, or with StoreFull or StoreFailed, and nothing has happened."""
    store: Commits = context.store
    gathering = _Gathering(store)
    failure: BrokerError | None = None
    context.store = gathering
    context.together = gathering.change
    try:
        for operation in operations:
            operation()
    except BrokerError as error:
        # What it knows of this call would keep all that was sent until a full garbage collection.
        failure = error.with_traceback(None)
    except Exception:  # noqa: BLE001 -- else what the others hold would be held for ever
        _log.exception("an operation of a transaction failed")
        failure = BrokerError("The broker could not do it; the log has the reason.")
    finally:
        context.store = store
        context.together = None

    def finished(error: BrokerError | None) -> None:
        gathering.tell(error)
        done(error)

    def undone(_: BrokerError | None) -> None:
        gathering.tell(
            StoreFailed("Another part of the transaction failed: nothing of it is done.")
        )
        done(failure)

    if failure is None:
        store.commit(gathering.change, finished)
    else:
        store.barrier(undone)
