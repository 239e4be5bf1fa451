"""Definitions of topics and subscriptions: what may be set, and what callers are told of them."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from orchestrator.localcloud.servicebus.limits import FOREVER
from orchestrator.localcloud.servicebus.model import EntityStatus, QueueProperties
from orchestrator.localcloud.servicebus.topics.rules import Rule

SUBSCRIPTIONS = "/Subscriptions/"
"""Between a topic's name and a subscription's in the path of an entity."""


@dataclass(frozen=True, slots=True)
class TopicProperties:
    """A topic's settings; see `QueueProperties`."""

    default_message_ttl: float = FOREVER
    max_size_in_megabytes: int = 1024
    max_message_size_in_kilobytes: int | None = None
    requires_duplicate_detection: bool = False
    duplicate_detection_window: float = 600.0
    status: EntityStatus = EntityStatus.ACTIVE
    auto_delete_on_idle: float = FOREVER
    support_ordering: bool = True
    enable_batched_operations: bool = True
    enable_partitioning: bool = False
    enable_express: bool = False
    user_metadata: str | None = None

    def queue(self) -> QueueProperties:
        """As the queue engine takes them."""
        return QueueProperties(
            default_message_ttl=self.default_message_ttl,
            max_size_in_megabytes=self.max_size_in_megabytes,
            max_message_size_in_kilobytes=self.max_message_size_in_kilobytes,
            requires_duplicate_detection=self.requires_duplicate_detection,
            duplicate_detection_window=self.duplicate_detection_window,
            status=self.status,
            auto_delete_on_idle=self.auto_delete_on_idle,
            enable_batched_operations=self.enable_batched_operations,
            enable_partitioning=self.enable_partitioning,
            enable_express=self.enable_express,
        )


@dataclass(frozen=True, slots=True)
class SubscriptionProperties:
    """A subscription's settings; see `QueueProperties`. dead_letter_on_filter_errors: messages on
    which a rule fails become dead letters."""

    lock_duration: float = 60.0
    max_delivery_count: int = 10
    default_message_ttl: float = FOREVER
    requires_session: bool = False
    dead_letter_on_expiration: bool = False
    dead_letter_on_filter_errors: bool = True
    status: EntityStatus = EntityStatus.ACTIVE
    forward_to: str | None = None
    forward_dead_letters_to: str | None = None
    auto_delete_on_idle: float = FOREVER
    enable_batched_operations: bool = True
    user_metadata: str | None = None

    def queue(self, topic: TopicProperties) -> QueueProperties:
        """As the queue engine takes them; sizes are the topic's."""
        return QueueProperties(
            lock_duration=self.lock_duration,
            max_delivery_count=self.max_delivery_count,
            default_message_ttl=min(self.default_message_ttl, topic.default_message_ttl),
            requires_session=self.requires_session,
            dead_letter_on_expiration=self.dead_letter_on_expiration,
            max_size_in_megabytes=topic.max_size_in_megabytes,
            max_message_size_in_kilobytes=topic.max_message_size_in_kilobytes,
            status=self.status,
            forward_to=self.forward_to,
            forward_dead_letters_to=self.forward_dead_letters_to,
            auto_delete_on_idle=self.auto_delete_on_idle,
            enable_batched_operations=self.enable_batched_operations,
            enable_partitioning=topic.enable_partitioning,
        )


class TopicRecord(msgspec.Struct, frozen=True):
    """A topic as it is stored; number: its first of the store's queue numbers."""

    namespace: str
    name: str
    number: int
    properties: TopicProperties
    created_at: float
    updated_at: float


class SubscriptionRecord(msgspec.Struct, frozen=True):
    """A subscription with its rules as it is stored."""

    namespace: str
    topic: str
    name: str
    number: int
    properties: SubscriptionProperties
    rules: tuple[Rule, ...]
    created_at: float
    updated_at: float

    @property
    def path(self) -> str:
        return self.topic + SUBSCRIPTIONS + self.name

    def having(self, rules: tuple[Rule, ...], now: float) -> SubscriptionRecord:
        """The same with other rules."""
        return msgspec.structs.replace(self, rules=rules, updated_at=now)


@dataclass(frozen=True, slots=True)
class TopicInfo:
    """A topic's definition: name in its first spelling, settings, times (epoch seconds)."""

    namespace: str
    name: str
    properties: TopicProperties
    created_at: float
    updated_at: float


@dataclass(frozen=True, slots=True)
class SubscriptionInfo:
    """A subscription's definition; rules in order of their making."""

    namespace: str
    topic: str
    name: str
    properties: SubscriptionProperties
    rules: tuple[Rule, ...]
    created_at: float
    updated_at: float

    @property
    def path(self) -> str:
        """Of the entity, for AMQP."""
        return self.topic + SUBSCRIPTIONS + self.name
