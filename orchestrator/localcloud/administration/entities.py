"""What is done to queues, topics, subscriptions and rules by the administration API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orchestrator.localcloud.administration.descriptions import (
    count_details,
    describe,
    read_access_rules,
    read_rule,
    settings_of,
    times,
    write_access_rules,
    write_rule,
    write_settings,
)
from orchestrator.localcloud.administration.documents import Element
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.providers.service_bus import properties as queues
from orchestrator.localcloud.providers.service_bus import topic_properties as topics
from orchestrator.localcloud.servicebus.broker import Broker
from orchestrator.localcloud.servicebus.definitions import (
    check_message_size,
    check_tier,
    check_topics,
)
from orchestrator.localcloud.servicebus.forward_targets import check_targets
from orchestrator.localcloud.servicebus.limits import KIBIBYTE, STRICT
from orchestrator.localcloud.servicebus.model import AccessRule, QueueInfo
from orchestrator.localcloud.servicebus.topics.definitions import SubscriptionInfo, TopicInfo
from orchestrator.localcloud.servicebus.topics.rules import CorrelationFilter, Rule
from orchestrator.localcloud.xml_text import tag

_QUEUE = [
    "lockDuration",
    "maxSizeInMegabytes",
    "requiresDuplicateDetection",
    "requiresSession",
    "defaultMessageTimeToLive",
    "deadLetteringOnMessageExpiration",
    "duplicateDetectionHistoryTimeWindow",
    "maxDeliveryCount",
    "enableBatchedOperations",
]
_TOPIC = [
    "defaultMessageTimeToLive",
    "maxSizeInMegabytes",
    "requiresDuplicateDetection",
    "duplicateDetectionHistoryTimeWindow",
    "enableBatchedOperations",
]
_SUBSCRIPTION = [
    "lockDuration",
    "requiresSession",
    "defaultMessageTimeToLive",
    "deadLetteringOnMessageExpiration",
    "deadLetteringOnFilterEvaluationExceptions",
]
FILTER_COUNTS = "2024-05"
"""From this api-version on a topic tells how many filters it has."""

_LAST = ["autoDeleteOnIdle", "enablePartitioning"]


@dataclass(frozen=True, slots=True)
class Shown:
    """An entity for an Atom entry. path: below the namespace's address."""

    path: str
    title: str
    created_at: float
    updated_at: float
    description: str


class Entities:
    """The entities of one namespace.

    host: the address that clients know it by. version: the api-version they ask in.
    """

    def __init__(self, broker: Broker, namespace: str, host: str, *, version: str) -> None:
        self._version = version
        self._broker = broker
        self._namespace = namespace
        self._host = host

    # Showing

    def queue(self, info: QueueInfo) -> Shown:
        queue = self._broker.queue(self._namespace, info.name)
        assert queue is not None
        counts = queue.counts()
        settings = queues.write_settings(info.properties)
        settings["maxMessageSizeInKilobytes"] = queue.max_message_size // 1024
        inner = (
            write_settings(settings, self._host, _QUEUE)
            + tag("SizeInBytes", counts.size_in_bytes)
            + tag("MessageCount", counts.total)
            + tag("IsAnonymousAccessible", False)
            + write_access_rules(self._broker.rules(self._namespace, info.name))
            + write_settings(settings, self._host, ["status", "forwardTo", "userMetadata"])
            + times(info.created_at, info.updated_at, queue.accessed_at())
            + tag("SupportOrdering", True)
            + count_details(counts)
            + write_settings(settings, self._host, _LAST)
            + tag("EntityAvailabilityStatus", "Available")
            + write_settings(
                settings,
                self._host,
                ["enableExpress", "forwardDeadLetteredMessagesTo", "maxMessageSizeInKilobytes"],
            )
        )
        return Shown(
            info.name,
            info.name,
            info.created_at,
            info.updated_at,
            describe("QueueDescription", inner),
        )

    def topic(self, info: TopicInfo) -> Shown:
        topic = self._broker.topic(self._namespace, info.name)
        assert topic is not None
        counts = topic.counts()
        settings = topics.write_settings(info.properties)
        settings["maxMessageSizeInKilobytes"] = topic.max_message_size // 1024
        inner = (
            write_settings(settings, self._host, _TOPIC)
            + tag("SizeInBytes", counts.size_in_bytes)
            + tag("FilteringMessagesBeforePublishing", False)
            + tag("IsAnonymousAccessible", False)
            + write_access_rules(self._broker.rules(self._namespace, info.name))
            + write_settings(settings, self._host, ["status", "userMetadata"])
            + times(info.created_at, info.updated_at, topic.accessed_at())
            + write_settings(settings, self._host, ["supportOrdering"])
            + count_details(counts)
            + tag("SubscriptionCount", len(topic.subscriptions))
            + self._filter_counts(info)
            + write_settings(settings, self._host, _LAST)
            + tag("EntityAvailabilityStatus", "Available")
            + tag("EnableSubscriptionPartitioning", False)
            + write_settings(settings, self._host, ["enableExpress", "maxMessageSizeInKilobytes"])
        )
        return Shown(
            info.name,
            info.name,
            info.created_at,
            info.updated_at,
            describe("TopicDescription", inner),
        )

    def _filter_counts(self, info: TopicInfo) -> str:
        """How many filters of a kind a topic's subscriptions have; the filters that always or
        never match are of the kind SQL."""
        if self._version < FILTER_COUNTS:
            return ""
        filters = [
            isinstance(rule.filter, CorrelationFilter)
            for one in self._broker.subscriptions(self._namespace, info.name)
            for rule in one.rules
        ]
        return tag("SqlFilterCount", filters.count(False)) + tag(
            "CorrelationFilterCount", filters.count(True)
        )

    def subscription(self, info: SubscriptionInfo) -> Shown:
        queue = self._broker.subscription(self._namespace, info.topic, info.name)
        assert queue is not None
        counts = queue.counts()
        settings = topics.write_settings(info.properties)
        inner = (
            write_settings(settings, self._host, _SUBSCRIPTION)
            + tag("MessageCount", counts.total)
            + write_settings(
                settings,
                self._host,
                ["maxDeliveryCount", "enableBatchedOperations", "status", "forwardTo"],
            )
            + times(info.created_at, info.updated_at, topics.subscription_accessed(info, queue))
            + write_settings(settings, self._host, ["userMetadata"])
            + count_details(counts)
            + write_settings(settings, self._host, ["forwardDeadLetteredMessagesTo", _LAST[0]])
            + tag("EntityAvailabilityStatus", "Available")
        )
        return Shown(
            f"{info.topic}/Subscriptions/{info.name}",
            info.name,
            info.created_at,
            info.updated_at,
            describe("SubscriptionDescription", inner),
        )

    def rule(self, info: SubscriptionInfo, rule: Rule) -> Shown:
        return Shown(
            f"{info.topic}/Subscriptions/{info.name}/Rules/{rule.name}",
            rule.name,
            rule.created_at,
            rule.created_at,
            write_rule(rule),
        )

    # Finding

    def find(self, name: str) -> QueueInfo | TopicInfo | None:
        info = self._broker.queue_info(self._namespace, name)
        return info or self._broker.topic_info(self._namespace, name)

    def find_subscription(self, topic: str, name: str) -> SubscriptionInfo:
        """Raises ArmError (404)."""
        info = self._broker.subscription_info(self._namespace, topic, name)
        if info is None:
            raise missing(f"{topic}/Subscriptions/{name}")
        return info

    def find_rule(self, topic: str, subscription: str, name: str) -> tuple[SubscriptionInfo, Rule]:
        """Raises ArmError (404)."""
        info = self.find_subscription(topic, subscription)
        for rule in info.rules:
            if rule.name.lower() == name.lower():
                return info, rule
        raise missing(f"{info.path}/Rules/{name}")

    # Changing

    async def put_entity(self, name: str, description: Element, *, update: bool) -> Shown:
        """Create or change a queue or a topic. Raises ArmError, BrokerError."""
        old = self.find(name)
        if update and old is None:
            raise missing(name)
        if not update and old is not None:
            raise _existing(name)
        rules = read_access_rules(description)
        given = settings_of(description)
        queues.check_metadata(given)
        self._check_message_size(given)
        if description.name == "QueueDescription":
            if old is not None and not isinstance(old, QueueInfo):
                raise _existing(name)
            settings = queues.read_properties(given, old.properties if old else None)
            before = old.properties if old else None
            if self._broker.limits is STRICT:
                check_tier(settings, self._namespace, self._sku, new=old is None)
            check_targets(self._broker, self._namespace, settings, before)
            await self._broker.put_queue(self._namespace, name, settings)
        elif description.name == "TopicDescription":
            if old is not None and not isinstance(old, TopicInfo):
                raise _existing(name)
            check_topics(self._namespace, self._sku)
            topic_settings = topics.read_topic(given, old.properties if old else None)
            await self._broker.put_topic(self._namespace, name, topic_settings)
        else:
            raise queues.refusal(f"{description.name} describes neither a queue nor a topic.")
        if rules is not None:
            await self._set_access_rules(name, rules)
        return self.show(name)

    @property
    def _sku(self) -> str:
        return self._broker.sku(self._namespace)

    def _check_message_size(self, given: dict[str, Any]) -> None:
        """Large messages are for Premium namespaces, and for clients of their time."""
        name = "maxMessageSizeInKilobytes"
        limits = self._broker.limits
        sku = self._sku
        if name not in given or limits is not STRICT:
            return
        kilobytes = queues.read_value(name, given[name])
        check_message_size(kilobytes, sku)
        if sku != "Premium" and kilobytes * KIBIBYTE > limits.message_size:
            raise queues.refusal(
                f"{name} may be more than {limits.message_size // KIBIBYTE} in a namespace of the "
                f"Premium tier only; this one is {sku}.",
                target=name,
            )

    def show(self, name: str) -> Shown:
        """Raises ArmError (404)."""
        info = self.find(name)
        if info is None:
            raise missing(name)
        return self.queue(info) if isinstance(info, QueueInfo) else self.topic(info)

    async def _set_access_rules(self, name: str, rules: list[AccessRule]) -> None:
        wanted = {rule.name.lower() for rule in rules}
        for rule in rules:
            await self._broker.put_rule(
                self._namespace,
                rule.name,
                rule.rights,
                name,
                primary_key=rule.primary_key or None,
                secondary_key=rule.secondary_key or None,
            )
        for present in self._broker.rules(self._namespace, name):
            if present.name.lower() not in wanted:
                await self._broker.delete_rule(self._namespace, present.name, name)

    async def put_subscription(
        self, topic: str, name: str, description: Element, *, update: bool
    ) -> Shown:
        """Raises ArmError, BrokerError."""
        old = self._broker.subscription_info(self._namespace, topic, name)
        if update and old is None:
            raise missing(f"{topic}/Subscriptions/{name}")
        if not update and old is not None:
            raise _existing(f"{topic}/Subscriptions/{name}")
        first = description.child("DefaultRuleDescription")
        rule = None
        if first is not None:
            rule = read_rule(first.value("Name") or "$Default", first)
        given = settings_of(description)
        queues.check_metadata(given)
        settings = topics.read_subscription(given, old.properties if old else None)
        before = old.properties if old else None
        check_targets(self._broker, self._namespace, settings, before)
        info = await self._broker.put_subscription(self._namespace, topic, name, settings, rule)
        return self.subscription(info)

    async def put_rule(
        self, topic: str, subscription: str, name: str, description: Element, *, update: bool
    ) -> Shown:
        """Raises ArmError, BrokerError."""
        info = self.find_subscription(topic, subscription)
        if update:
            self.find_rule(topic, subscription, name)
        made = await self._broker.put_rule_of(
            self._namespace, topic, subscription, read_rule(name, description), replace=update
        )
        return self.rule(info, made)

    async def delete(self, name: str) -> None:
        """A queue or a topic. Raises ArmError (404)."""
        if not await self._broker.delete_queue(
            self._namespace, name
        ) and not await self._broker.delete_topic(self._namespace, name):
            raise missing(name)

    async def delete_subscription(self, topic: str, name: str) -> None:
        """Raises ArmError (404)."""
        if not await self._broker.delete_subscription(self._namespace, topic, name):
            raise missing(f"{topic}/Subscriptions/{name}")

    async def delete_rule(self, topic: str, subscription: str, name: str) -> None:
        """Raises ArmError (404)."""
        self.find_rule(topic, subscription, name)
        await self._broker.delete_rule_of(self._namespace, topic, subscription, name)


def missing(path: str) -> ArmError:
    return ArmError("NotFound", f"The messaging entity '{path}' could not be found.", 404)


def _existing(path: str) -> ArmError:
    return ArmError(
        "Conflict", f"SubCode=40900. Conflict. The messaging entity '{path}' already exists.", 409
    )
