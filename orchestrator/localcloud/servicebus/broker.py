"""The broker: namespaces, their queues, access keys, and the clockwork that makes things due.

One per local cloud. It owns the store; `broker.sqlite` is the truth about which namespaces,
queues and keys exist (the Resource Manager reads and writes them through this class).
"""

from __future__ import annotations

from orchestrator.clock import Clock
from orchestrator.localcloud.servicebus.limits import STRICT, Limits
from orchestrator.localcloud.servicebus.model import (
    AccessRule,
    QueueCounts,
    QueueInfo,
    QueueProperties,
    Right,
)
from orchestrator.localcloud.servicebus.queue import Queue
from orchestrator.localcloud.servicebus.store import Store

ROOT_RULE = "RootManageSharedAccessKey"


class Broker:
    """All methods but `open` and `close` run in the event loop's thread and return at once,
    unless marked async. Names are case-insensitive; the first spelling is kept."""

    limits: Limits

    def __init__(self, store: Store, clock: Clock, *, limits: Limits = STRICT) -> None:
        raise NotImplementedError

    async def open(self) -> None:
        """Load everything from the store and start the clockwork. Raises StoreCorrupt."""
        raise NotImplementedError

    async def close(self) -> None:
        """Commit what is queued and close the store. Idempotent."""
        raise NotImplementedError

    # -- namespaces ------------------------------------------------------------------------

    async def put_namespace(self, name: str) -> None:
        """Create it with its RootManageSharedAccessKey rule, durable on return; no-op if there."""
        raise NotImplementedError

    async def delete_namespace(self, name: str) -> bool:
        """Delete it with all its queues and messages; False if there was none."""
        raise NotImplementedError

    def namespaces(self) -> list[str]:
        raise NotImplementedError

    # -- queues ----------------------------------------------------------------------------

    async def put_queue(self, namespace: str, name: str, properties: QueueProperties) -> QueueInfo:
        """Create or update, durable on return. Raises EntityNotFound (namespace), InvalidOperation
        (a value out of range, or an immutable property changed)."""
        raise NotImplementedError

    async def delete_queue(self, namespace: str, name: str) -> bool:
        """Delete it with all messages; its consumers' waiters get `on_deleted`. False if none."""
        raise NotImplementedError

    def queue(self, namespace: str, name: str) -> Queue | None:
        raise NotImplementedError

    def queue_info(self, namespace: str, name: str) -> QueueInfo | None:
        raise NotImplementedError

    def queues(self, namespace: str) -> list[QueueInfo]:
        """Sorted by name; empty if there is no such namespace."""
        raise NotImplementedError

    def counts(self, namespace: str, name: str) -> QueueCounts | None:
        raise NotImplementedError

    def find(self, address_host: str | None, entity_path: str) -> Queue | None:
        """The queue that an AMQP address means.

        address_host: host of the address or of the connection (`ns.servicebus.windows.net`,
        `127.0.0.1:14672`, None); its first label names the namespace if there is one so named,
        otherwise the one namespace that has the entity. entity_path: `queue` or
        `queue/$DeadLetterQueue` in any case, leading and trailing slashes ignored.
        """
        raise NotImplementedError

    # -- shared access keys ------------------------------------------------------------------

    def rules(self, namespace: str, entity: str | None = None) -> list[AccessRule]:
        """The rules of the namespace (`entity` None) or of that queue alone."""
        raise NotImplementedError

    def rule(self, namespace: str, name: str, entity: str | None = None) -> AccessRule | None:
        """For SAS checking: look in the queue's rules first, then in the namespace's."""
        raise NotImplementedError

    async def put_rule(
        self,
        namespace: str,
        name: str,
        rights: frozenset[Right],
        entity: str | None = None,
        *,
        primary_key: str | None = None,
        secondary_key: str | None = None,
    ) -> AccessRule:
        """Create or update; keys that are not given are kept, or made at random."""
        raise NotImplementedError

    async def delete_rule(self, namespace: str, name: str, entity: str | None = None) -> bool:
        raise NotImplementedError
