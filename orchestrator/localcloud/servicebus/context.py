"""What a queue needs of the broker that it belongs to: the seam between the two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.clock import Clock
from orchestrator.localcloud.servicebus.content import Content
from orchestrator.localcloud.servicebus.limits import Limits
from orchestrator.localcloud.servicebus.memory import FreedMemory
from orchestrator.localcloud.servicebus.store.contract import Change, Commits

if TYPE_CHECKING:
    from orchestrator.localcloud.servicebus.idleness import Idleness
    from orchestrator.localcloud.servicebus.lifecycle import Lifecycle
    from orchestrator.localcloud.servicebus.queue import Queue


@dataclass(slots=True)
class Context:
    """What a queue needs of its broker.

    soon: run a callable after the current ones. later: run one after so many seconds of the
    machine's time. remind: call `queue.tick()` at that moment.
    resolve: the queue, topic or subscription of that namespace and path; None if there is none.
    content: reads what a message says of itself, for those who need more than bytes.
    changed: told (namespace, path) when messages have come or gone.
    delete_idle: delete an entity, unless somebody uses it meanwhile.
    memory: told of each message that goes.
    together: while the operations of a transaction are done, what they want of the store.
    sku: the tier of a namespace.
    """

    clock: Clock
    store: Commits
    limits: Limits
    soon: Callable[[Callable[[], None]], object]
    later: Callable[[float, Callable[[], None]], object]
    remind: Callable[[Lifecycle, float], None]
    resolve: Callable[[str, str], Queue | None]
    content: Content
    changed: Callable[[str, str], None]
    delete_idle: Callable[[Idleness], None]
    memory: FreedMemory
    together: Change | None = None
    sku: Callable[[str], str] = lambda namespace: "Standard"
