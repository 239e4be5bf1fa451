"""Topics, their subscriptions and rules as resources. As with queues, the broker is the truth."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import ClassVar

from orchestrator.localcloud.arm.ids import ResourceId, parse
from orchestrator.localcloud.arm.provider import JSON, Call, ResourceType
from orchestrator.localcloud.providers.service_bus.access_rules import NamespaceRules, entity_name
from orchestrator.localcloud.providers.service_bus.entity import BrokerEntity, located
from orchestrator.localcloud.providers.service_bus.properties import READ_ONLY, arm_error, refusal
from orchestrator.localcloud.providers.service_bus.topic_properties import (
    read_rule,
    read_subscription,
    read_topic,
    subscription_accessed,
    write_rule,
    write_settings,
    write_subscription,
    write_topic,
)
from orchestrator.localcloud.servicebus.broker import Broker
from orchestrator.localcloud.servicebus.definitions import (
    check_message_size,
    check_properties,
    check_queue_name,
    check_topics,
)
from orchestrator.localcloud.servicebus.errors import BrokerError, InvalidOperation
from orchestrator.localcloud.servicebus.forward_targets import check_targets
from orchestrator.localcloud.servicebus.limits import STRICT
from orchestrator.localcloud.servicebus.model import QueueCounts
from orchestrator.localcloud.servicebus.topics.definitions import (
    SubscriptionInfo,
    SubscriptionProperties,
    TopicInfo,
    TopicProperties,
)
from orchestrator.localcloud.servicebus.topics.rules import CompiledRule, Rule, check_rule_name

_READ_ONLY = (*READ_ONLY, "subscriptionCount", "isClientAffine", "clientAffineProperties")


class Topic(BrokerEntity[TopicProperties]):
    """A topic, shown with live counts."""

    type: ClassVar[str] = "Microsoft.ServiceBus/namespaces/topics"
    read_only: ClassVar[tuple[str, ...]] = _READ_ONLY

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """A namespace of the tier Basic has no topics."""
        namespace = call.id.top.name
        if old is None:
            try:
                check_topics(namespace, self._broker.sku(namespace))
            except InvalidOperation as error:
                raise arm_error(error) from error
        return await super().prepare(call, resource, old)

    def _info(self, id: ResourceId) -> TopicInfo | None:
        return self._broker.topic_info(*_topic(id))

    def _read(self, given: JSON, old: TopicProperties | None) -> TopicProperties:
        return read_topic(given, old)

    def _write(self, settings: TopicProperties) -> JSON:
        return write_settings(settings)

    def _check(self, id: ResourceId, settings: TopicProperties, *, new: bool) -> None:
        if new:
            check_queue_name(entity_name(id.name), self._broker.limits)
        sku = self._broker.sku(id.names[0])
        check_properties(settings.queue(), self._broker.limits, sku)
        if self._broker.limits is STRICT:
            check_message_size(settings.max_message_size_in_kilobytes, sku)

    async def _put(self, id: ResourceId, settings: TopicProperties) -> None:
        await self._broker.put_topic(*_topic(id), settings)

    async def _delete(self, id: ResourceId) -> None:
        await self._broker.delete_topic(*_topic(id))

    async def show(self, call: Call, resource: JSON) -> JSON:
        id = parse(resource["id"])
        info = self._info(id)
        topic = None if info is None else self._broker.topic(info.namespace, info.name)
        if info is None or topic is None:
            return resource
        resource["properties"] = write_topic(
            info,
            topic.counts(),
            len(topic.subscriptions),
            topic.max_message_size,
            topic.accessed_at(),
        )
        return located(call, id, resource)


class Subscription(BrokerEntity[SubscriptionProperties]):
    """A subscription of a topic."""

    type: ClassVar[str] = "Microsoft.ServiceBus/namespaces/topics/subscriptions"
    read_only: ClassVar[tuple[str, ...]] = _READ_ONLY

    def _info(self, id: ResourceId) -> SubscriptionInfo | None:
        return self._broker.subscription_info(*_place(id))

    def _read(self, given: JSON, old: SubscriptionProperties | None) -> SubscriptionProperties:
        return read_subscription(given, old)

    def _write(self, settings: SubscriptionProperties) -> JSON:
        return write_settings(settings)

    def _check(self, id: ResourceId, settings: SubscriptionProperties, *, new: bool) -> None:
        topic = self._broker.topic_info(*_topic(id))
        if topic is not None:
            sku = self._broker.sku(id.names[0])
            check_properties(settings.queue(topic.properties), self._broker.limits, sku)

    async def _put(self, id: ResourceId, settings: SubscriptionProperties) -> None:
        namespace, topic, name = _place(id)
        info = self._info(id)
        check_targets(self._broker, namespace, settings, info.properties if info else None)
        await self._broker.put_subscription(namespace, topic, name, settings)

    async def _delete(self, id: ResourceId) -> None:
        await self._broker.delete_subscription(*_place(id))

    async def changed(self, call: Call, resource: JSON, old: JSON | None) -> None:
        # A new subscription has a rule that nobody has put.
        await _align_rules(call, call.id, self._info(call.id))

    async def show(self, call: Call, resource: JSON) -> JSON:
        id = parse(resource["id"])
        info = self._info(id)
        if info is None:
            return resource
        queue = self._broker.subscription(*_place(id))
        counts = queue.counts() if queue else QueueCounts()
        accessed = subscription_accessed(info, queue)
        resource["properties"] = write_subscription(info, counts, accessed)
        return resource


class SubscriptionRule(ResourceType):
    """A rule of a subscription."""

    type: ClassVar[str] = "Microsoft.ServiceBus/namespaces/topics/subscriptions/rules"
    tells_system_data: ClassVar[bool] = False
    provisioning: ClassVar[bool] = False

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def _rule(self, id: ResourceId) -> Rule | None:
        info = self._broker.subscription_info(*_place(id))
        rules = () if info is None else info.rules
        return next((rule for rule in rules if rule.name.lower() == id.name.lower()), None)

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        rule = read_rule(call.id.name, resource["properties"])
        try:
            check_rule_name(rule.name)
            CompiledRule(rule)
        except BrokerError as error:
            raise refusal(str(error)) from error
        return resource

    async def apply(self, call: Call, resource: JSON, old: JSON | None) -> None:
        rule = read_rule(call.id.name, resource["properties"])
        try:
            await self._broker.put_rule_of(*_place(call.id), rule, replace=True)
        except BrokerError as error:
            raise arm_error(error) from error

    async def get(self, call: Call) -> JSON | None:
        await self._catch_up(call)
        return None if self._rule(call.id) is None else call.arm.store.get(call.id)

    async def _catch_up(self, call: Call) -> None:
        """Rules come and go over AMQP, too."""
        if call.id.parent is not None:
            info = self._broker.subscription_info(*_place(call.id))
            await _align_rules(call, call.id.parent, info)

    async def members(self, call: Call) -> Iterable[JSON]:
        await self._catch_up(call)
        rows = call.arm.store.collection(call.id)
        return [row for row in rows if self._rule(parse(row["id"])) is not None]

    async def show(self, call: Call, resource: JSON) -> JSON:
        rule = self._rule(parse(resource["id"]))
        if rule is not None:
            resource["properties"] = write_rule(rule)
        return resource

    async def foresee(self, call: Call, resource: JSON) -> JSON:
        return resource | {
            "properties": write_rule(read_rule(call.id.name, resource["properties"]))
        }

    async def deleting(self, call: Call, resource: JSON) -> None:
        try:
            await self._broker.delete_rule_of(*_place(call.id), call.id.name)
        except BrokerError as error:
            raise arm_error(error) from error


class TopicRules(NamespaceRules):
    """Shared access rules of one topic."""

    type: ClassVar[str] = "Microsoft.ServiceBus/namespaces/topics/authorizationRules"

    def _place(self, id: ResourceId) -> tuple[str, str | None]:
        return _topic(id)


def rows_of(broker: Broker, namespace: ResourceId) -> list[tuple[ResourceId, JSON]]:
    """A resource for each topic, subscription and rule that the broker has."""
    rows: list[tuple[ResourceId, JSON]] = []
    for info in broker.topics(namespace.name):
        topic = namespace.child("topics", info.name.replace("/", "~"))
        rows.append((topic, {}))
        for subscription in broker.subscriptions(namespace.name, info.name):
            id = topic.child("subscriptions", subscription.name)
            rows.append((id, {}))
            for rule in subscription.rules:
                rows.append((id.child("rules", rule.name), write_rule(rule)))
    return rows


async def _align_rules(call: Call, id: ResourceId, info: SubscriptionInfo | None) -> None:
    """A resource for each rule that has none yet."""
    rows = []
    for rule in () if info is None else info.rules:
        rule_id = id.child("rules", rule.name)
        if call.arm.store.get(rule_id) is None:
            rows.append((rule_id, _row(rule_id, rule), secrets.token_hex(8)))
    if rows:
        await call.arm.store.write(put=rows)


def _topic(id: ResourceId) -> tuple[str, str]:
    """Namespace and topic."""
    return id.names[0], entity_name(id.names[1])


def _place(id: ResourceId) -> tuple[str, str, str]:
    """Namespace, topic, subscription."""
    return *_topic(id), id.names[2]


def _row(id: ResourceId, rule: Rule) -> JSON:
    kind = "Microsoft.ServiceBus/" + "/".join(id.types)
    return {"id": id.text, "name": id.name, "type": kind, "properties": write_rule(rule)}
