"""The broker's limits as one table of data.

`STRICT` holds the Service Bus *Standard* tier's numbers, and what *Premium* has more; source:
https://learn.microsoft.com/azure/service-bus-messaging/service-bus-quotas. `RELAXED` lifts what
only protects Microsoft's machines, for users who want a local queue without those ceilings.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.localcloud.durations import LONGEST

KIBIBYTE = 1024
MEBIBYTE = 1024 * 1024
FOREVER = LONGEST


@dataclass(frozen=True, slots=True)
class Limits:
    """Ceilings; sizes in bytes, times in seconds."""

    message_size: int = 256 * KIBIBYTE
    # In a Premium namespace, unless an entity asks for more or less
    # (https://learn.microsoft.com/azure/service-bus-messaging/service-bus-premium-messaging).
    message_size_premium: int = MEBIBYTE
    # A whole batch may be as large as one message (Standard tier).
    batch_size: int = 256 * KIBIBYTE
    # A batch for an entity with large messages (Premium), whatever one message may have.
    large_batch_size: int = MEBIBYTE
    # What a batch may have beyond that. Microsoft's Python SDK (azure-servicebus 7.15,
    # ServiceBusMessageBatch.add_message) counts the messages of a batch and not the envelope around
    # them: 54 bytes and more, as the envelope repeats properties of the first message. A batch it
    # calls full is therefore larger than the link's max-message-size; it is announced unchanged.
    batch_slack: int = 4 * KIBIBYTE
    # What maxMessageSizeInKilobytes of a queue may ask for (Premium: 100 MB).
    message_kilobytes_max: int = 100 * 1024
    lock_duration_min: float = 5.0
    lock_duration_max: float = 300.0
    delivery_count_max: int = 2000
    time_to_live_min: float = 1.0
    duplicate_window_min: float = 20.0
    duplicate_window_max: float = 7 * 86400.0
    auto_delete_min: float = 300.0
    message_id_length: int = 128
    session_id_length: int = 128
    # One application property, and everything before a message's body together.
    property_size: int = 32 * KIBIBYTE
    properties_size: int = 64 * KIBIBYTE
    session_state_size: int = 256 * KIBIBYTE
    entity_name_length: int = 260
    queues_per_namespace: int = 10_000
    subscriptions_per_topic: int = 2000
    rules_per_subscription: int = 2000
    # maxSizeInMegabytes that a queue of the Standard tier may ask for, and one of Premium besides.
    queue_megabytes: tuple[int, ...] = (1024, 2048, 3072, 4096, 5120)
    queue_megabytes_premium: tuple[int, ...] = (10240, 20480, 40960, 81920)
    peek_batch: int = 250
    # Messages of one batch deletion, in a Premium namespace and in others
    # (https://learn.microsoft.com/azure/service-bus-messaging/batch-delete).
    delete_batch_premium: int = 4000
    delete_batch: int = 500
    forward_hops: int = 4

    def message_size_of(self, sku: str) -> int:
        """Bytes of one message where an entity of a namespace of that tier says nothing of it."""
        return max(self.message_size, self.message_size_premium if sku == "Premium" else 0)

    def queue_megabytes_of(self, sku: str) -> tuple[int, ...]:
        """What maxSizeInMegabytes may be in a namespace of that tier."""
        more = self.queue_megabytes_premium if sku == "Premium" else ()
        return tuple(dict.fromkeys(self.queue_megabytes + more))

    def delete_batch_of(self, sku: str) -> int:
        """Messages of one batch deletion in a namespace of that tier."""
        return self.delete_batch_premium if sku == "Premium" else self.delete_batch


PARTITIONS = 16
"""Of a partitioned entity (Standard tier): it holds so many times the size that it asks for."""

STRICT = Limits()
RELAXED = Limits(
    message_size=100 * MEBIBYTE,
    batch_size=100 * MEBIBYTE,
    large_batch_size=100 * MEBIBYTE,
    lock_duration_min=1.0,
    lock_duration_max=86400.0,
    session_state_size=100 * MEBIBYTE,
    queue_megabytes=(1024, 2048, 3072, 4096, 5120, 10240, 20480, 40960, 81920),
    queues_per_namespace=1_000_000,
    subscriptions_per_topic=100_000,
    rules_per_subscription=100_000,
    message_id_length=100_000,
    session_id_length=100_000,
    property_size=100 * MEBIBYTE,
    properties_size=100 * MEBIBYTE,
    auto_delete_min=1.0,
    duplicate_window_min=1.0,
    delivery_count_max=2**31 - 1,
    peek_batch=10_000,
    delete_batch=4000,
)

BY_NAME = {"strict": STRICT, "relaxed": RELAXED}
"""The tables that settings choose between."""
