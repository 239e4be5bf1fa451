"""Topics, their subscriptions and rules as resources. As with queues, the broker is the truth."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import ClassVar

from orchestrator.localcloud.arm.ids import ResourceId, parse
from orchestrator.localcloud.arm.provider import JSON, Call, ResourceType
from orchestrator.localcloud.providers.service_bus_properties import (
    READ_ONLY,
    arm_error,
    check_metadata,
    refusal,
)
from orchestrator.localcloud.providers.service_bus_rules import NamespaceRules, entity_name
from orchestrator.localcloud.providers.service_bus_topic_properties import (
    read_rule,
    read_subscription,
    read_topic,
    write_rule,
    write_settings,
    write_subscription,
    write_topic,
)
from orchestrator.localcloud.servicebus.broker import Broker
from orchestrator.localcloud.servicebus.definitions import check_properties, check_queue_name
from orchestrator.localcloud.servicebus.errors import BrokerError
from orchestrator.localcloud.servicebus.model import QueueCounts
from orchestrator.localcloud.servicebus.rules import CompiledRule, Rule, check_rule_name
from orchestrator.localcloud.servicebus.topic_definitions import SubscriptionInfo, TopicInfo

_READ_ONLY = (*READ_ONLY, "subscriptionCount", "isClientAffine", "clientAffineProperties")


class Topic(ResourceType):
    """A topic: made in the broker before it is stored, shown with live counts."""

    type: ClassVar[str] = "Microsoft.ServiceBus/namespaces/topics"
    provisioning: ClassVar[bool] = False

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def _info(self, id: ResourceId) -> TopicInfo | None:
        return self._broker.topic_info(id.names[0], entity_name(id.names[1]))

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        info = self._info(call.id)
        given = {k: v for k, v in resource["properties"].items() if k not in _READ_ONLY}
        if call.method == "PATCH" and info is not None:
            given = write_settings(info.properties) | given
        check_metadata(given)
        settings = read_topic(given, info.properties if info else None)
        try:
            if info is None:
                check_queue_name(entity_name(call.id.name), self._broker.limits)
            check_properties(settings.queue(), self._broker.limits)
        except BrokerError as error:
            raise arm_error(error) from error
        return resource | {"properties": given}

    async def apply(self, call: Call, resource: JSON, old: JSON | None) -> None:
        info = self._info(call.id)
        settings = read_topic(resource["properties"], info.properties if info else None)
        try:
            await self._broker.put_topic(call.id.names[0], entity_name(call.id.names[1]), settings)
        except BrokerError as error:
            raise arm_error(error) from error

    async def get(self, call: Call) -> JSON | None:
        return None if self._info(call.id) is None else call.arm.store.get(call.id)

    async def members(self, call: Call) -> Iterable[JSON]:
        rows = call.arm.store.collection(call.id)
        return [row for row in rows if self._info(parse(row["id"])) is not None]

    async def show(self, call: Call, resource: JSON) -> JSON:
        id = parse(resource["id"])
        info = self._info(id)
        topic = None if info is None else self._broker.topic(info.namespace, info.name)
        if info is None or topic is None:
            return resource
        resource["properties"] = write_topic(
            info, topic.counts(), len(topic.subscriptions), topic.max_message_size
        )
        namespace = call.arm.store.get(id.top)
        if namespace is not None and "location" in namespace:
            resource["location"] = namespace["location"]
        return resource

    async def foresee(self, call: Call, resource: JSON) -> JSON:
        info = self._info(call.id)
        before = info.properties if info else None
        wanted = write_settings(read_topic(resource["properties"], before))
        shown = await self.show(call, resource)
        settable = write_settings(before) if before else {}
        rest = {k: v for k, v in shown["properties"].items() if k not in settable}
        return shown | {"properties": rest | wanted}

    async def deleting(self, call: Call, resource: JSON) -> None:
        try:
            await self._broker.delete_topic(call.id.names[0], entity_name(call.id.names[1]))
        except BrokerError as error:
            raise arm_error(error) from error


class Subscription(ResourceType):
    """A subscription of a topic."""

    type: ClassVar[str] = "Microsoft.ServiceBus/namespaces/topics/subscriptions"
    provisioning: ClassVar[bool] = False

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def _info(self, id: ResourceId) -> SubscriptionInfo | None:
        return self._broker.subscription_info(*_place(id))

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        info = self._info(call.id)
        given = {k: v for k, v in resource["properties"].items() if k not in _READ_ONLY}
        if call.method == "PATCH" and info is not None:
            given = write_settings(info.properties) | given
        check_metadata(given)
        settings = read_subscription(given, info.properties if info else None)
        topic = self._broker.topic_info(*_place(call.id)[:2])
        if topic is not None:
            try:
                check_properties(settings.queue(topic.properties), self._broker.limits)
            except BrokerError as error:
                raise arm_error(error) from error
        return resource | {"properties": given}

    async def apply(self, call: Call, resource: JSON, old: JSON | None) -> None:
        info = self._info(call.id)
        settings = read_subscription(resource["properties"], info.properties if info else None)
        try:
            await self._broker.put_subscription(*_place(call.id), settings)
        except BrokerError as error:
            raise arm_error(error) from error

    async def changed(self, call: Call, resource: JSON, old: JSON | None) -> None:
        # A new subscription has a rule that nobody has put.
        await _align_rules(call, call.id, self._info(call.id))

    async def get(self, call: Call) -> JSON | None:
        return None if self._info(call.id) is None else call.arm.store.get(call.id)

    async def members(self, call: Call) -> Iterable[JSON]:
        rows = call.arm.store.collection(call.id)
        return [row for row in rows if self._info(parse(row["id"])) is not None]

    async def show(self, call: Call, resource: JSON) -> JSON:
        id = parse(resource["id"])
        info = self._info(id)
        if info is None:
            return resource
        queue = self._broker.subscription(*_place(id))
        resource["properties"] = write_subscription(
            info, queue.counts() if queue else QueueCounts()
        )
        return resource

    async def foresee(self, call: Call, resource: JSON) -> JSON:
        info = self._info(call.id)
        before = info.properties if info else None
        wanted = write_settings(read_subscription(resource["properties"], before))
        shown = await self.show(call, resource)
        settable = write_settings(before) if before else {}
        rest = {k: v for k, v in shown["properties"].items() if k not in settable}
        return shown | {"properties": rest | wanted}

    async def deleting(self, call: Call, resource: JSON) -> None:
        try:
            await self._broker.delete_subscription(*_place(call.id))
        except BrokerError as error:
            raise arm_error(error) from error


class SubscriptionRule(ResourceType):
    """A rule of a subscription."""

    type: ClassVar[str] = "Microsoft.ServiceBus/namespaces/topics/subscriptions/rules"
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
        return id.names[0], entity_name(id.names[1])


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


def _place(id: ResourceId) -> tuple[str, str, str]:
    """Namespace, topic, subscription."""
    return id.names[0], entity_name(id.names[1]), id.names[2]


def _row(id: ResourceId, rule: Rule) -> JSON:
    kind = "Microsoft.ServiceBus/" + "/".join(id.types)
    return {"id": id.text, "name": id.name, "type": kind, "properties": write_rule(rule)}
