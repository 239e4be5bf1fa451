"""The broker's topics, subscriptions and rules: made, changed, deleted, found."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from orchestrator.localcloud.servicebus import definitions
from orchestrator.localcloud.servicebus.definitions import SUBSCRIPTION, TOPIC
from orchestrator.localcloud.servicebus.errors import (
    EntityAlreadyExists,
    EntityNotFound,
    InvalidOperation,
)
from orchestrator.localcloud.servicebus.registry import Home, Registry, always, definition_key
from orchestrator.localcloud.servicebus.store.contract import Change
from orchestrator.localcloud.servicebus.topics.definitions import (
    SUBSCRIPTIONS,
    SubscriptionInfo,
    SubscriptionProperties,
    SubscriptionRecord,
    TopicInfo,
    TopicProperties,
    TopicRecord,
)
from orchestrator.localcloud.servicebus.topics.rules import (
    CompiledRule,
    Rule,
    check_rule_name,
    default_rule,
)
from orchestrator.localcloud.servicebus.topics.topic import Subscription, Topic

_SUBSCRIPTION_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,48}[A-Za-z0-9_-])?")


class TopicBroker(Registry):
    """What `Broker` knows of topics. Names are case-insensitive; the first spelling is kept."""

    # -- topics ------------------------------------------------------------------------------

    async def put_topic(self, namespace: str, name: str, properties: TopicProperties) -> TopicInfo:
        """Create or update, durable on return. Raises EntityNotFound (namespace), InvalidOperation
        (a value out of range, an immutable property changed), EntityAlreadyExists (a queue is
        called so), StoreFull, StoreFailed."""
        return await self._in_turn(self._put_topic(namespace, name, properties))

    async def _put_topic(self, namespace: str, name: str, properties: TopicProperties) -> TopicInfo:
        async with self._defining:
            home = self._namespace(namespace)
            name = name.strip("/")
            definitions.check_properties(properties.queue(), self.limits, self.sku(namespace))
            old = home.topics.get(name.lower())
            now = self._clock.time()
            if old is not None:
                definitions.check_unchanged(old.properties.queue(), properties.queue())
                record = TopicRecord(
                    old.namespace, old.name, old.number, properties, old.created_at, now
                )
            else:
                definitions.check_queue_name(name, self.limits)
                _check_free(home, name)
                if len(home.queues) >= self.limits.queues_per_namespace:
                    raise InvalidOperation(
                        f"The namespace {home.name} has {len(home.queues)} entities, which is its "
                        "limit: delete one."
                    )
                record = TopicRecord(home.name, name, self._new_number(), properties, now, now)
            change = Change()
            change.define(TOPIC, definition_key(home.name, record.name), definitions.encode(record))
            await self._commit(change)
            if old is None:
                self._install_topic(record, {}).watch_idleness(now)
            else:
                home.topics[name.lower()] = record
                topic = home.topic(name)
                assert topic is not None
                topic.update(properties.queue())
                for one in topic.subscriptions.values():
                    of_it = home.subscriptions[one.path.lower()]
                    one.update(of_it.properties.queue(properties))
            return _topic_info(record)

    async def delete_topic(self, namespace: str, name: str) -> bool:
        """Delete it with its subscriptions and all messages; False if there was none."""
        return await self._in_turn(self._delete_topic(namespace, name))

    async def _delete_topic(
        self, namespace: str, name: str, only_if: Callable[[], bool] = always
    ) -> bool:
        async with self._defining:
            home = self._namespaces.get(namespace.lower())
            topic = None if home is None else home.topic(name)
            if home is None or topic is None or not only_if():
                return False
            entities = [topic, *topic.subscriptions.values()]
            change = Change()
            for entity in entities:
                self._drop_entity(change, home, entity.path)
            await self._commit_deletion(change, entities)
            for entity in entities:
                self._forget_entity(home, entity.path)
            return True

    def topic(self, namespace: str, name: str) -> Topic | None:
        """None if there is none."""
        home = self._namespaces.get(namespace.lower())
        return None if home is None else home.topic(name)

    def topic_info(self, namespace: str, name: str) -> TopicInfo | None:
        """Its definition; None if there is no such topic."""
        home = self._namespaces.get(namespace.lower())
        record = None if home is None else home.topics.get(name.lower())
        return None if record is None else _topic_info(record)

    def topics(self, namespace: str) -> list[TopicInfo]:
        """Sorted by name; empty if there is no such namespace."""
        home = self._namespaces.get(namespace.lower())
        return (
            [] if home is None else [_topic_info(home.topics[key]) for key in sorted(home.topics)]
        )

    # -- subscriptions -----------------------------------------------------------------------

    async def put_subscription(
        self,
        namespace: str,
        topic: str,
        name: str,
        properties: SubscriptionProperties,
        rule: Rule | None = None,
    ) -> SubscriptionInfo:
        """Create or update, durable on return. rule: the first one of a new subscription; without
        it, `$Default`, which takes everything. Raises EntityNotFound (namespace, topic),
        InvalidOperation, StoreFull, StoreFailed."""
        return await self._in_turn(self._put_subscription(namespace, topic, name, properties, rule))

    async def _put_subscription(
        self,
        namespace: str,
        topic: str,
        name: str,
        properties: SubscriptionProperties,
        rule: Rule | None,
    ) -> SubscriptionInfo:
        async with self._defining:
            home = self._namespace(namespace)
            of = home.topics.get(topic.lower())
            entity = home.topic(topic)
            if of is None or entity is None:
                raise EntityNotFound(f"The topic {home.name}/{topic} could not be found.")
            settings = properties.queue(of.properties)
            definitions.check_properties(settings, self.limits, self.sku(namespace))
            old = home.subscriptions.get((of.name + SUBSCRIPTIONS + name).lower())
            now = self._clock.time()
            if old is not None:
                definitions.check_unchanged(old.properties.queue(of.properties), settings)
                record = SubscriptionRecord(
                    old.namespace,
                    old.topic,
                    old.name,
                    old.number,
                    properties,
                    old.rules,
                    old.created_at,
                    now,
                )
            else:
                _check_subscription_name(name)
                if len(entity.subscriptions) >= self.limits.subscriptions_per_topic:
                    raise InvalidOperation(
                        f"The topic {of.name} has {len(entity.subscriptions)} subscriptions, which "
                        "is its limit: delete one."
                    )
                first = default_rule(now) if rule is None else _made(rule, now)
                record = SubscriptionRecord(
                    home.name, of.name, name, self._new_number(), properties, (first,), now, now
                )
            await self._commit_subscription(record)
            if old is None:
                self._install_subscription(record, {}).watch_idleness(now)
            else:
                home.subscriptions[record.path.lower()] = record
                one = home.subscription(record.path)
                assert one is not None
                one.dead_letter_on_filter_errors = properties.dead_letter_on_filter_errors
                one.update(settings)
            return _subscription_info(record)

    async def delete_subscription(self, namespace: str, topic: str, name: str) -> bool:
        """Delete it with its messages; False if there was none."""
        return await self._in_turn(self._delete_subscription(namespace, topic, name))

    async def _delete_subscription(
        self, namespace: str, topic: str, name: str, only_if: Callable[[], bool] = always
    ) -> bool:
        async with self._defining:
            home = self._namespaces.get(namespace.lower())
            path = topic + SUBSCRIPTIONS + name
            one = None if home is None else home.subscription(path)
            if home is None or one is None or not only_if():
                return False
            change = Change()
            self._drop_entity(change, home, path)
            # The topic gives it nothing any more from now on, or all again if this fails.
            await self._commit_deletion(change, [one])
            parent = home.topic(topic)
            if parent is not None:
                del parent.subscriptions[name.lower()]
            self._forget_entity(home, path)
            return True

    def subscription(self, namespace: str, topic: str, name: str) -> Subscription | None:
        """None if there is none."""
        home = self._namespaces.get(namespace.lower())
        return None if home is None else home.subscription(topic + SUBSCRIPTIONS + name)

    def subscription_info(self, namespace: str, topic: str, name: str) -> SubscriptionInfo | None:
        """Its definition; None if there is none."""
        home = self._namespaces.get(namespace.lower())
        key = (topic + SUBSCRIPTIONS + name).lower()
        record = None if home is None else home.subscriptions.get(key)
        return None if record is None else _subscription_info(record)

    def subscriptions(self, namespace: str, topic: str) -> list[SubscriptionInfo]:
        """Sorted by name; empty if there is no such topic."""
        home = self._namespaces.get(namespace.lower())
        if home is None:
            return []
        prefix = (topic + SUBSCRIPTIONS).lower()
        return [
            _subscription_info(home.subscriptions[key])
            for key in sorted(home.subscriptions)
            if key.startswith(prefix)
        ]

    # -- rules -------------------------------------------------------------------------------

    async def put_rule_of(
        self, namespace: str, topic: str, name: str, rule: Rule, *, replace: bool = False
    ) -> Rule:
        """Add a rule to a subscription, or change it where `replace`. Raises EntityNotFound
        (subscription), EntityAlreadyExists (rule), InvalidOperation (filter or action)."""
        return await self._in_turn(self._put_rule_of(namespace, topic, name, rule, replace))

    async def _put_rule_of(
        self, namespace: str, topic: str, name: str, rule: Rule, replace: bool
    ) -> Rule:
        async with self._defining:
            home, record = self._subscription_record(namespace, topic, name)
            now = self._clock.time()
            rules = list(record.rules)
            place = _index(rules, rule.name)
            if place is None:
                if len(rules) >= self.limits.rules_per_subscription:
                    raise InvalidOperation(
                        f"The subscription {record.path} has {len(rules)} rules, which "
                        "is its limit: delete one."
                    )
                made = _made(rule, now)
                rules.append(made)
            elif not replace:
                raise EntityAlreadyExists(
                    f"The messaging entity '{home.name}:{record.path}|{rules[place].name}' "
                    "already exists."
                )
            else:
                old = rules[place]
                made = _made(Rule(old.name, rule.filter, rule.action), old.created_at)
                rules[place] = made
            await self._change_rules(home, record, rules)
            return made

    async def delete_rule_of(self, namespace: str, topic: str, name: str, rule: str) -> bool:
        """Take a rule from a subscription; False if it has none so called. Raises EntityNotFound
        (subscription)."""
        return await self._in_turn(self._delete_rule_of(namespace, topic, name, rule))

    async def _delete_rule_of(self, namespace: str, topic: str, name: str, rule: str) -> bool:
        async with self._defining:
            home, record = self._subscription_record(namespace, topic, name)
            rules = list(record.rules)
            place = _index(rules, rule)
            if place is None:
                return False
            del rules[place]
            await self._change_rules(home, record, rules)
            return True

    async def _change_rules(
        self, home: Home, record: SubscriptionRecord, rules: Sequence[Rule]
    ) -> None:
        changed = record.having(tuple(rules), self._clock.time())
        await self._commit_subscription(changed)
        home.subscriptions[record.path.lower()] = changed
        one = home.subscription(record.path)
        assert one is not None
        one.set_rules(rules)
        one.watch_idleness(changed.updated_at)

    def _subscription_record(
        self, namespace: str, topic: str, name: str
    ) -> tuple[Home, SubscriptionRecord]:
        home = self._namespace(namespace)
        record = home.subscriptions.get((topic + SUBSCRIPTIONS + name).lower())
        if record is None:
            raise EntityNotFound(
                f"The subscription {home.name}/{topic}{SUBSCRIPTIONS}{name} could not be found."
            )
        return home, record

    # -- within ------------------------------------------------------------------------------

    async def _commit_subscription(self, record: SubscriptionRecord) -> None:
        change = Change()
        key = definition_key(record.namespace, record.path)
        change.define(SUBSCRIPTION, key, definitions.encode(record))
        await self._commit(change)

    def _install_topic(self, record: TopicRecord, last: dict[int, int]) -> Topic:
        assert self._context is not None
        home = self._namespaces[record.namespace.lower()]
        topic = Topic(
            self._context,
            namespace=home.name,
            path=record.name,
            number=record.number,
            properties=record.properties.queue(),
            last_sequences=last,
        )
        home.topics[record.name.lower()] = record
        home.queues[record.name.lower()] = topic
        self.meter.changed(home.name, record.name)
        return topic

    def _install_subscription(
        self, record: SubscriptionRecord, last: dict[int, int]
    ) -> Subscription:
        assert self._context is not None
        home = self._namespaces[record.namespace.lower()]
        topic = home.topic(record.topic)
        assert topic is not None
        one = Subscription(
            self._context,
            namespace=home.name,
            path=record.path,
            number=record.number,
            properties=record.properties.queue(home.topics[record.topic.lower()].properties),
            last_sequences=last,
        )
        one.dead_letter_on_filter_errors = record.properties.dead_letter_on_filter_errors
        one.set_rules(record.rules)
        home.subscriptions[record.path.lower()] = record
        home.queues[record.path.lower()] = one
        topic.subscriptions[record.name.lower()] = one
        return one


def _made(rule: Rule, now: float) -> Rule:
    """A rule to be stored. Raises InvalidOperation if it cannot work."""
    check_rule_name(rule.name)
    CompiledRule(rule)
    return Rule(rule.name, rule.filter, rule.action, now)


def _index(rules: Sequence[Rule], name: str) -> int | None:
    folded = name.lower()
    return next((at for at, rule in enumerate(rules) if rule.name.lower() == folded), None)


def _check_free(home: Home, name: str) -> None:
    if name.lower() in home.queues:
        raise EntityAlreadyExists(
            f"The messaging entity '{home.name}:{name}' already exists and is of another kind."
        )


def _check_subscription_name(name: str) -> None:
    if not _SUBSCRIPTION_NAME.fullmatch(name):
        raise InvalidOperation(
            f"The subscription name {name!r} is not allowed: 1 to 50 letters, digits, periods, "
            "hyphens and underscores, starting with a letter or digit."
        )


def _topic_info(record: TopicRecord) -> TopicInfo:
    return TopicInfo(
        record.namespace, record.name, record.properties, record.created_at, record.updated_at
    )


def _subscription_info(record: SubscriptionRecord) -> SubscriptionInfo:
    return SubscriptionInfo(
        record.namespace,
        record.topic,
        record.name,
        record.properties,
        record.rules,
        record.created_at,
        record.updated_at,
    )
