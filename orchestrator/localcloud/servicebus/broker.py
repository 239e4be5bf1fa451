"""The broker: namespaces, their queues, access keys, and the clockwork that makes things due.

One per local cloud. It owns the store; `broker.sqlite` is the truth about which namespaces,
queues and keys exist (the Resource Manager reads and writes them through this class).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator, Sequence

from orchestrator.clock import Clock
from orchestrator.localcloud.servicebus import definitions
from orchestrator.localcloud.servicebus.broker_keys import KeyBroker
from orchestrator.localcloud.servicebus.clockwork import Clockwork
from orchestrator.localcloud.servicebus.content import Content
from orchestrator.localcloud.servicebus.context import Context
from orchestrator.localcloud.servicebus.definitions import (
    ALL_RIGHTS,
    NAMESPACE,
    QUEUE,
    ROOT_RULE,
    SESSION,
    USE,
    NamespaceRecord,
    QueueRecord,
    new_key,
)
from orchestrator.localcloud.servicebus.errors import (
    BrokerError,
    EntityAlreadyExists,
    InvalidOperation,
    StoreCorrupt,
)
from orchestrator.localcloud.servicebus.idleness import Idleness
from orchestrator.localcloud.servicebus.limits import STRICT, Limits
from orchestrator.localcloud.servicebus.memory import FreedMemory
from orchestrator.localcloud.servicebus.model import (
    DEAD_LETTER_SUFFIX,
    TRANSFER_DEAD_LETTER_SUFFIX,
    AccessRule,
    Done,
    QueueCounts,
    QueueInfo,
    QueueProperties,
)
from orchestrator.localcloud.servicebus.queue import NUMBERS_PER_QUEUE, Queue
from orchestrator.localcloud.servicebus.registry import (
    Home,
    always,
    definition_key,
    durably,
    rule_key,
)
from orchestrator.localcloud.servicebus.store.contract import Change, Contents, Store
from orchestrator.localcloud.servicebus.topics.definitions import (
    SUBSCRIPTIONS,
    SubscriptionRecord,
    TopicRecord,
)
from orchestrator.localcloud.servicebus.topics.topic import Subscription, Topic
from orchestrator.localcloud.servicebus.transactions import Operation, carry_out

__all__ = ["Broker", "durably"]

_log = logging.getLogger(__name__)

_SUBSCRIPTION_OF_DEAD_LETTERS = f"{DEAD_LETTER_SUFFIX}{SUBSCRIPTIONS}".lower()


class Broker(KeyBroker):
    """All methods but those marked async return at once; all run in the event loop's thread.
    Names are case-insensitive; the first spelling is kept."""

    limits: Limits

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        limits: Limits = STRICT,
        content: Content | None = None,
    ) -> None:
        """content: how messages are encoded; AMQP 1.0 when left out."""
        if content is None:
            from orchestrator.localcloud.servicebus.front.content import AmqpContent

            content = AmqpContent()
        self._content = content
        super().__init__(store, clock, limits)
        self._clockwork = Clockwork(clock)

    async def open(self) -> None:
        """Load everything from the store and start the clockwork.

        Raises StoreCorrupt, StoreFailed.
        """
        contents = await self._store.open()
        self._context = Context(
            clock=self._clock,
            store=self._store,
            limits=self.limits,
            soon=asyncio.get_running_loop().call_soon,
            later=asyncio.get_running_loop().call_later,
            remind=self._clockwork.remind,
            resolve=self.queue,
            content=self._content,
            changed=lambda namespace, path: self.meter.changed(namespace, path),
            delete_idle=self._delete_idle,
            memory=FreedMemory(asyncio.get_running_loop().call_later),
            sku=lambda namespace: self.sku(namespace),
        )
        try:
            self._restore(contents, self._context)
        except BaseException:
            await self._store.close()
            raise
        self._clockwork.start()

    def transact(self, operations: Sequence[Operation], done: Done) -> None:
        """Do all of these, or none; see `carry_out`."""
        assert self._context is not None
        carry_out(self._context, operations, done)

    async def close(self) -> None:
        """Commit what is queued and close the store. Idempotent."""
        self._clockwork.stop()
        self._write_departures()
        for part in self._parts():
            part.note_last_use()
        await self._store.close()

    def _restore(self, contents: Contents, context: Context) -> None:
        sessions = [entry for entry in contents.definitions if entry.kind == SESSION]
        uses = [entry for entry in contents.definitions if entry.kind == USE]
        records = [
            definitions.decode(entry)
            for entry in contents.definitions
            if entry.kind not in (SESSION, USE)
        ]
        # A subscription is made in its topic.
        records.sort(key=lambda record: isinstance(record, SubscriptionRecord))
        by_number: dict[int, Queue] = {}
        updated: list[tuple[Queue, float]] = []
        for record in records:
            if isinstance(record, NamespaceRecord):
                self._namespaces[record.name.lower()] = Home(record)
        for record in records:
            if isinstance(record, NamespaceRecord):
                continue
            if record.namespace.lower() not in self._namespaces:
                raise _corrupt(f"a definition in an unknown namespace {record.namespace}")
            if isinstance(record, QueueRecord):
                queue = Queue(
                    context,
                    namespace=record.namespace,
                    path=record.name,
                    number=record.number,
                    properties=record.properties,
                    last_sequences=contents.last,
                )
                self._install(record, queue)
            elif isinstance(record, TopicRecord):
                queue = self._install_topic(record, contents.last)
            elif isinstance(record, SubscriptionRecord):
                if self.topic(record.namespace, record.topic) is None:
                    raise _corrupt(f"a subscription of an unknown topic {record.topic}")
                queue = self._install_subscription(record, contents.last)
            else:
                namespace = self._namespaces[record.namespace.lower()]
                namespace.rules[rule_key(record.rule.name, record.rule.entity)] = record.rule
                continue
            by_number.update((part.number, part) for part in queue.parts)
            updated.append((queue, record.updated_at))
            self._next_number = max(self._next_number, record.number + NUMBERS_PER_QUEUE)
        for entry in sessions:
            number, _, session_id = entry.key.partition("|")
            holder = by_number.get(int(number))
            if holder is not None:
                holder.restore_session(session_id, definitions.session_record(entry))
        for row, state in contents.messages:
            owner = by_number.get(row.queue)
            if owner is None:
                raise _corrupt(f"a message of an unknown queue (number {row.queue})")
            owner.restore(row, state)
        for seen in contents.history:
            if seen.queue in by_number:
                by_number[seen.queue].remember(seen.message_id, seen.until)
        for queue, when in updated:
            queue.watch_idleness(when)
        for entry in uses:
            used = by_number.get(int(entry.key))
            if used is not None:
                used.restore_use(definitions.use_record(entry))

    def clock_set_back(self) -> None:
        """The clock shows an earlier time than before: locks end no later than they may."""
        for part in self._parts():
            part.clock_set_back()

    def _parts(self) -> Iterator[Queue]:
        """All queues and their sub-queues."""
        for namespace in self._namespaces.values():
            for queue in namespace.queues.values():
                yield from queue.parts

    def _write_departures(self) -> None:
        for part in self._parts():
            part.write_departures()

    async def written(self) -> None:
        """Until everything that has been begun is written, and told to whoever waits for it."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._write_departures()
        # Whether it could be written is told to those who wrote it.
        self._store.barrier(lambda error: None if done.done() else done.set_result(None))
        await done

    # -- namespaces ------------------------------------------------------------------------

    async def put_namespace(self, name: str) -> None:
        """Create it with its RootManageSharedAccessKey rule, durable on return; no-op if there.

        Raises InvalidOperation (name), StoreFull, StoreFailed.
        """
        return await self._in_turn(self._put_namespace(name))

    async def _put_namespace(self, name: str) -> None:
        async with self._defining:
            if name.lower() in self._namespaces:
                return
            definitions.check_namespace_name(name)
            record = NamespaceRecord(name, self._clock.time())
            rule = AccessRule(ROOT_RULE, ALL_RIGHTS, new_key(), new_key())
            change = Change()
            change.define(NAMESPACE, name.lower(), definitions.encode(record))
            self._define_rule(change, name, rule)
            await self._commit(change)
            namespace = Home(record)
            namespace.rules[rule_key(ROOT_RULE, None)] = rule
            self._namespaces[name.lower()] = namespace

    async def delete_namespace(self, name: str) -> bool:
        """Delete it with all its queues and messages; False if there was none."""
        return await self._in_turn(self._delete_namespace(name))

    async def _delete_namespace(self, name: str) -> bool:
        async with self._defining:
            namespace = self._namespaces.get(name.lower())
            if namespace is None:
                return False
            change = Change()
            self._drop_namespace(change, namespace)
            await self._commit_deletion(change, list(namespace.queues.values()))
            del self._namespaces[name.lower()]
            return True

    def namespaces(self) -> list[str]:
        """Their names, sorted."""
        return sorted(namespace.name for namespace in self._namespaces.values())

    def namespace_created_at(self, name: str) -> float:
        """Epoch seconds. Raises EntityNotFound."""
        return self._namespace(name).created_at

    # -- queues ----------------------------------------------------------------------------

    async def put_queue(self, namespace: str, name: str, properties: QueueProperties) -> QueueInfo:
        """Create or update, durable on return. Raises EntityNotFound (namespace), InvalidOperation
        (a value out of range, or an immutable property changed), StoreFull, StoreFailed."""
        return await self._in_turn(self._put_queue(namespace, name, properties))

    async def _put_queue(self, namespace: str, name: str, properties: QueueProperties) -> QueueInfo:
        async with self._defining:
            home = self._namespace(namespace)
            name = name.strip("/")
            definitions.check_properties(properties, self.limits, self.sku(namespace))
            old = home.records.get(name.lower())
            now = self._clock.time()
            if old is not None:
                definitions.check_unchanged(old.properties, properties)
                record = QueueRecord(
                    old.namespace, old.name, old.number, properties, old.created_at, now
                )
            else:
                definitions.check_queue_name(name, self.limits)
                if name.lower() in home.queues:
                    raise EntityAlreadyExists(
                        f"The messaging entity '{home.name}:{name}' already exists and is a topic."
                    )
                if len(home.queues) >= self.limits.queues_per_namespace:
                    raise InvalidOperation(
                        f"The namespace {home.name} has {len(home.queues)} queues, which is its "
                        "limit: delete one."
                    )
                record = QueueRecord(home.name, name, self._new_number(), properties, now, now)
            change = Change()
            key = definition_key(home.name, record.name)
            change.define(QUEUE, key, definitions.encode(record))
            await self._commit(change)
            if old is not None:
                home.records[name.lower()] = record
                home.queues[name.lower()].update(properties)
            else:
                assert self._context is not None
                queue = Queue(
                    self._context,
                    namespace=home.name,
                    path=record.name,
                    number=record.number,
                    properties=properties,
                )
                self._install(record, queue)
                queue.watch_idleness(now)
            return _info(record)

    def _delete_idle(self, entity: Idleness) -> None:
        """Delete an entity that nobody has used for long enough."""
        self._start(self._delete_unused(entity))

    async def _delete_unused(self, entity: Idleness) -> None:
        namespace, path = entity.namespace, entity.path
        try:
            if isinstance(entity, Topic):
                gone = await self._delete_topic(namespace, path, entity.is_idle)
            elif isinstance(entity, Subscription):
                topic, _, name = path.partition(SUBSCRIPTIONS)
                gone = await self._delete_subscription(namespace, topic, name, entity.is_idle)
            else:
                gone = await self._delete_queue(namespace, path, entity.is_idle)
        except BrokerError as error:
            _log.warning("%s/%s is idle and could not be deleted: %s", namespace, path, error)
            return
        if gone:
            _log.info("deleted %s/%s, which was idle (autoDeleteOnIdle)", namespace, path)

    async def delete_queue(self, namespace: str, name: str) -> bool:
        """Delete it with all messages; who subscribed to it is told. False if there was none."""
        return await self._in_turn(self._delete_queue(namespace, name))

    async def _delete_queue(
        self, namespace: str, name: str, only_if: Callable[[], bool] = always
    ) -> bool:
        async with self._defining:
            home = self._namespaces.get(namespace.lower())
            if home is None or name.lower() not in home.records or not only_if():
                return False
            change = Change()
            self._drop_entity(change, home, name)
            await self._commit_deletion(change, [home.queues[name.lower()]])
            self._forget_entity(home, name)
            return True

    def queue(self, namespace: str, name: str) -> Queue | None:
        """The queue, not its sub-queue; also the topic or the subscription (`topic/Subscriptions/
        name`) of that path; None if there is none."""
        home = self._namespaces.get(namespace.lower())
        return None if home is None else home.queues.get(name.lower())

    def queue_info(self, namespace: str, name: str) -> QueueInfo | None:
        """Its definition; None if there is no such queue."""
        home = self._namespaces.get(namespace.lower())
        record = None if home is None else home.records.get(name.lower())
        return None if record is None else _info(record)

    def queues(self, namespace: str) -> list[QueueInfo]:
        """Sorted by name; empty if there is no such namespace."""
        home = self._namespaces.get(namespace.lower())
        records = [] if home is None else [home.records[key] for key in sorted(home.records)]
        return [_info(record) for record in records]

    def counts(self, namespace: str, name: str) -> QueueCounts | None:
        """Live figures; None if there is no such queue."""
        queue = self.queue(namespace, name)
        return None if queue is None else queue.counts()

    def find(
        self, address_host: str | None, entity_path: str, among: Collection[str] = ()
    ) -> Queue | None:
        """The queue, topic or subscription that an AMQP address means.

        address_host: host of the address or of the connection (`ns.servicebus.windows.net`,
        `127.0.0.1:14672`, None); its first label names the namespace if there is one so named,
        otherwise the one namespace that has the entity, of those named in `among` where it names
        some (folded; those that the keys of a connection are of). entity_path: `queue`,
        `topic` or `topic/Subscriptions/name`; of a queue or a subscription also with
        `/$DeadLetterQueue` or `/$Transfer/$DeadLetterQueue` behind it; in any case, leading and
        trailing slashes ignored.
        """
        path = entity_path.strip("/").lower()
        before, again, subscription = path.rpartition(_SUBSCRIPTION_OF_DEAD_LETTERS)
        if again and before.endswith(f"{SUBSCRIPTIONS.lower()}{subscription}"):
            # How @azure/service-bus 1.x names a subscription's dead letters.
            path = before + DEAD_LETTER_SUFFIX.lower()
        name = path.removesuffix(DEAD_LETTER_SUFFIX.lower())
        transfer = path.endswith(TRANSFER_DEAD_LETTER_SUFFIX.lower())
        if transfer:
            name = path.removesuffix(TRANSFER_DEAD_LETTER_SUFFIX.lower())
        label = (address_host or "").split(":")[0].split(".")[0].lower()
        if label in self._namespaces:
            queue = self._namespaces[label].queues.get(name)
        else:
            found = [
                home.queues[name]
                for folded, home in self._namespaces.items()
                if name in home.queues and (not among or folded in among)
            ]
            queue = found[0] if len(found) == 1 else None
        if queue is None or name == path:
            return queue
        if isinstance(queue, Topic):
            return None
        return queue.transfer_dead_letter if transfer else queue.dead_letter

    # -- within ------------------------------------------------------------------------------

    def _install(self, record: QueueRecord, queue: Queue) -> None:
        home = self._namespaces[record.namespace.lower()]
        home.records[record.name.lower()] = record
        home.queues[record.name.lower()] = queue
        self.meter.changed(home.name, record.name)


def _corrupt(what: str) -> StoreCorrupt:
    return StoreCorrupt(f"The message store is damaged (it holds {what}): reset the local cloud.")


def _info(record: QueueRecord) -> QueueInfo:
    return QueueInfo(
        record.namespace, record.name, record.properties, record.created_at, record.updated_at
    )
