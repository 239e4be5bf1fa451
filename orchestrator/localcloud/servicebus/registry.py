"""What the broker's definitions have in common: who is there, and how a change of it is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from orchestrator.clock import Clock
from orchestrator.localcloud.servicebus.context import Context
from orchestrator.localcloud.servicebus.definitions import (
    NAMESPACE,
    QUEUE,
    RULE,
    SUBSCRIPTION,
    TOPIC,
    USE,
    NamespaceRecord,
    QueueRecord,
)
from orchestrator.localcloud.servicebus.errors import BrokerError, EntityNotFound
from orchestrator.localcloud.servicebus.limits import Limits
from orchestrator.localcloud.servicebus.meter import Meter, Unmeasured
from orchestrator.localcloud.servicebus.model import AccessRule, Done
from orchestrator.localcloud.servicebus.queue import NUMBERS_PER_QUEUE, Queue
from orchestrator.localcloud.servicebus.store.contract import Change, Store
from orchestrator.localcloud.servicebus.topics.definitions import SubscriptionRecord, TopicRecord
from orchestrator.localcloud.servicebus.topics.topic import Subscription, Topic

_T = TypeVar("_T")


async def durably(start: Callable[[Done], _T]) -> _T:
    """Call `start(done)`, wait until it is durable, return what it returned.

    For callers that have nothing better to do meanwhile: `await durably(lambda done:
    queue.send(messages, done))`. Raises what the call or its `done` reports.
    """
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def done(error: BrokerError | None) -> None:
        if future.cancelled():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    result = start(done)
    await future
    return result


class Home:
    """A namespace in memory; everything by names in small letters.

    queues: all entities that messages lie in or pass through, by path: queues, topics and
    subscriptions.
    """

    def __init__(self, record: NamespaceRecord) -> None:
        self.name = record.name
        self.created_at = record.created_at
        self.queues: dict[str, Queue] = {}
        self.records: dict[str, QueueRecord] = {}
        self.topics: dict[str, TopicRecord] = {}
        self.subscriptions: dict[str, SubscriptionRecord] = {}
        self.rules: dict[tuple[str, str], AccessRule] = {}

    def topic(self, name: str) -> Topic | None:
        found = self.queues.get(name.lower())
        return found if isinstance(found, Topic) else None

    def subscription(self, path: str) -> Subscription | None:
        found = self.queues.get(path.lower())
        return found if isinstance(found, Subscription) else None


class Registry:
    """The base of `Broker`: all namespaces, and the one way to change a definition."""

    def __init__(self, store: Store, clock: Clock, limits: Limits) -> None:
        self.limits = limits
        self._store = store
        self._clock = clock
        self._namespaces: dict[str, Home] = {}
        self._next_number = 1
        self._context: Context | None = None
        self.meter: Meter = Unmeasured()
        # The tier of a namespace, by its name; Resource Manager knows it.
        self.sku: Callable[[str], str] = lambda namespace: "Standard"
        # Definitions change one at a time: each is durable before the next is looked at.
        self._defining = asyncio.Lock()
        self._changes: set[asyncio.Task[Any]] = set()

    def _namespace(self, name: str) -> Home:
        home = self._namespaces.get(name.lower())
        if home is None:
            raise EntityNotFound(f"The namespace {name} could not be found.")
        return home

    def _new_number(self) -> int:
        number = self._next_number
        self._next_number += NUMBERS_PER_QUEUE
        return number

    async def _in_turn(self, change: Coroutine[Any, Any, _T]) -> _T:
        """Change definitions to the end even if the caller goes away meanwhile: what is in memory
        follows what is stored."""
        return await asyncio.shield(self._start(change))

    def _start(self, change: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        task = asyncio.get_running_loop().create_task(change)
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)
        return task

    async def _commit(self, change: Change) -> None:
        await durably(lambda done: self._store.commit(change, done))

    async def _commit_deletion(self, change: Change, queues: Sequence[Queue]) -> None:
        # Closed before: nothing may be written to a queue behind its deletion.
        for queue in queues:
            queue.close()
        try:
            await self._commit(change)
        except BrokerError:
            for queue in queues:
                queue.reopen()
            raise
        for queue in queues:
            queue.announce()
            self.meter.changed(queue.namespace, queue.path)

    @staticmethod
    def _drop_entity(change: Change, home: Home, path: str) -> None:
        """Remove an entity, its definition, its access rules and all that lies in it."""
        kind = QUEUE
        if path.lower() in home.topics:
            kind = TOPIC
        elif path.lower() in home.subscriptions:
            kind = SUBSCRIPTION
        change.define(kind, definition_key(home.name, path), None)
        queue = home.queues[path.lower()]
        for number in range(queue.number, queue.number + NUMBERS_PER_QUEUE):
            change.drop(number)
            change.define(USE, str(number), None)
        queue.forget_sessions(change)
        for rule in home.rules.values():
            if is_of(rule, path):
                change.define(RULE, definition_key(home.name, rule.entity, rule.name), None)

    @staticmethod
    def _forget_entity(home: Home, path: str) -> None:
        """The same in memory, once it is durable."""
        path = path.lower()
        home.rules = {key: rule for key, rule in home.rules.items() if not is_of(rule, path)}
        del home.queues[path]
        home.records.pop(path, None)
        home.topics.pop(path, None)
        home.subscriptions.pop(path, None)

    @staticmethod
    def _drop_namespace(change: Change, home: Home) -> None:
        change.define(NAMESPACE, home.name.lower(), None)
        for path in home.queues:
            Registry._drop_entity(change, home, path)
        for rule in home.rules.values():
            change.define(RULE, definition_key(home.name, rule.entity, rule.name), None)


def definition_key(*parts: str | None) -> str:
    # '|' occurs in no name.
    return "|".join((part or "").lower() for part in parts)


def rule_key(name: str, entity: str | None) -> tuple[str, str]:
    return (entity or "").lower(), name.lower()


def is_of(rule: AccessRule, entity: str | None) -> bool:
    return (rule.entity or "").lower() == (entity or "").lower()


def always() -> bool:
    """The condition of what happens without one."""
    return True
