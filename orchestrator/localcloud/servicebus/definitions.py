"""What is allowed in an entity's definition, and its form in the store."""

from __future__ import annotations

import base64
import re
import secrets
from dataclasses import fields

import msgspec

from orchestrator.localcloud.servicebus.errors import InvalidOperation, StoreCorrupt
from orchestrator.localcloud.servicebus.limits import FOREVER, Limits
from orchestrator.localcloud.servicebus.model import AccessRule, QueueProperties, Right
from orchestrator.localcloud.servicebus.store.contract import Definition
from orchestrator.localcloud.servicebus.topics.definitions import SubscriptionRecord, TopicRecord

NAMESPACE = "namespace"
QUEUE = "queue"
TOPIC = "topic"
SUBSCRIPTION = "subscription"
RULE = "rule"
SESSION = "session"
"""A session's state; its key is the queue's number, a bar, and the session id."""

USE = "use"
"""When an entity that may be deleted for want of use was last used; its key is its number."""

ROOT_RULE = "RootManageSharedAccessKey"
ALL_RIGHTS = frozenset(Right)

# https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
# The service wants six characters at least; here a namespace may be called "local".
_NAMESPACE_NAME = re.compile(r"[A-Za-z](?:[A-Za-z0-9-]{0,48}[A-Za-z0-9])?")
_ENTITY_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._~/-]*[A-Za-z0-9])?")

IMMUTABLE = ("requires_session", "requires_duplicate_detection", "enable_partitioning")
PREMIUM_KILOBYTES = 1024, 100 * 1024


class NamespaceRecord(msgspec.Struct, frozen=True):
    name: str
    created_at: float


class QueueRecord(msgspec.Struct, frozen=True):
    namespace: str
    name: str
    number: int
    properties: QueueProperties
    created_at: float
    updated_at: float


class RuleRecord(msgspec.Struct, frozen=True):
    namespace: str
    rule: AccessRule


class SessionRecord(msgspec.Struct, frozen=True):
    state: bytes
    updated_at: float


class UseRecord(msgspec.Struct, frozen=True):
    """exact: it was not used later (for sure, not only as far as was noted). accessed: see
    `Idleness.accessed_at`."""

    last_used: float
    exact: bool = False
    accessed: float | None = None


Record = NamespaceRecord | QueueRecord | TopicRecord | SubscriptionRecord | RuleRecord


def encode(record: Record | UseRecord) -> bytes:
    return msgspec.json.encode(record)


def decode(definition: Definition) -> Record:
    """Raises StoreCorrupt for what is none of them."""
    kinds: dict[str, type[Record]] = {
        NAMESPACE: NamespaceRecord,
        QUEUE: QueueRecord,
        TOPIC: TopicRecord,
        SUBSCRIPTION: SubscriptionRecord,
        RULE: RuleRecord,
    }
    try:
        record: Record = msgspec.json.decode(definition.body, type=kinds[definition.kind])
    except (KeyError, msgspec.MsgspecError) as error:
        raise StoreCorrupt(
            f"The message store holds a definition that cannot be read "
            f"({definition.kind} {definition.key}: {error}): reset the local cloud."
        ) from error
    return record


def session_record(definition: Definition) -> SessionRecord:
    """Raises StoreCorrupt for what is none."""
    try:
        return msgspec.json.decode(definition.body, type=SessionRecord)
    except msgspec.MsgspecError as error:
        raise StoreCorrupt(
            f"The message store holds a session state that cannot be read ({error}): reset the "
            "local cloud."
        ) from error


def use_record(definition: Definition) -> UseRecord:
    """Raises StoreCorrupt for what is none."""
    try:
        return msgspec.json.decode(definition.body, type=UseRecord)
    except msgspec.MsgspecError as error:
        raise StoreCorrupt(
            f"The message store holds a time of use that cannot be read ({error}): reset the "
            "local cloud."
        ) from error


def new_key() -> str:
    """A shared access key: 32 random bytes in base64, as the service makes them."""
    return base64.b64encode(secrets.token_bytes(32)).decode()


def check_namespace_name(name: str) -> None:
    """Raises InvalidOperation with the rule in words."""
    if not _NAMESPACE_NAME.fullmatch(name) or name.lower().endswith(("-sb", "-mgmt")):
        raise InvalidOperation(
            f"The namespace name {name!r} is not allowed: up to 50 letters, digits and hyphens, "
            "starting with a letter, ending with a letter or digit, not with -sb or -mgmt."
        )


def check_queue_name(name: str, limits: Limits) -> None:
    """Raises InvalidOperation with the rule in words."""
    if not _ENTITY_NAME.fullmatch(name) or len(name) > limits.entity_name_length:
        raise InvalidOperation(
            f"The queue name {name!r} is not allowed: 1 to {limits.entity_name_length} letters, "
            "digits, periods, hyphens, underscores, tildes and slashes, starting and ending with "
            "a letter or digit."
        )


def check_properties(properties: QueueProperties, limits: Limits, sku: str) -> None:
    """Raises InvalidOperation naming the property and its range."""
    _in_range(
        "lockDuration", properties.lock_duration, limits.lock_duration_min, limits.lock_duration_max
    )
    _in_range("maxDeliveryCount", properties.max_delivery_count, 1, limits.delivery_count_max)
    _in_range(
        "defaultMessageTimeToLive", properties.default_message_ttl, limits.time_to_live_min, FOREVER
    )
    _in_range(
        "duplicateDetectionHistoryTimeWindow",
        properties.duplicate_detection_window,
        limits.duplicate_window_min,
        limits.duplicate_window_max,
    )
    _in_range("autoDeleteOnIdle", properties.auto_delete_on_idle, limits.auto_delete_min, FOREVER)
    sizes = limits.queue_megabytes_of(sku)
    if properties.max_size_in_megabytes not in sizes:
        allowed = ", ".join(map(str, sizes))
        raise InvalidOperation(
            f"maxSizeInMegabytes is {properties.max_size_in_megabytes}; allowed are {allowed}."
        )
    size = properties.max_message_size_in_kilobytes
    if size is not None:
        _in_range("maxMessageSizeInKilobytes", size, 1, limits.message_kilobytes_max)


def check_tier(properties: QueueProperties, namespace: str, sku: str, *, new: bool) -> None:
    """A queue of a Basic namespace has no sessions, no detection of duplicates, forwards nothing
    and is not deleted when idle ("Service Bus pricing", and what the service's users report).

    Raises:
        InvalidOperation: In the service's words.
    """
    if sku != "Basic":
        return
    wanted = {
        "RequiresSession": properties.requires_session,
        "RequiresDuplicateDetection": properties.requires_duplicate_detection,
        "ForwardTo": properties.forward_to,
        "ForwardDeadLetteredMessagesTo": properties.forward_dead_letters_to,
        "AutoDeleteOnIdle": properties.auto_delete_on_idle < FOREVER,
    }
    for name, given in wanted.items():
        if given:
            raise InvalidOperation(
                f"The property '{name}' cannot be set when {'creating' if new else 'updating'} a "
                f"Queue because the namespace '{namespace}' is using 'Basic' tier."
            )


def check_message_size(kilobytes: int | None, sku: str) -> None:
    """How large messages of a Premium namespace's entities may be made.

    Raises:
        InvalidOperation: In the service's words (azure-sdk-for-js, atomManagement.spec.ts).
    """
    least, most = PREMIUM_KILOBYTES
    if sku == "Premium" and kilobytes is not None and not least <= kilobytes <= most:
        raise InvalidOperation(
            f"The value for 'MaxMessageSizeInKilobytes' must be between {least} and {most}; it is "
            f"{kilobytes}."
        )


def check_topics(namespace: str, sku: str) -> None:
    """A Basic namespace has no topics.

    Raises:
        InvalidOperation: In the service's words.
    """
    if sku == "Basic":
        raise InvalidOperation(
            f"Cannot operate on type Topic because the namespace '{namespace}' is using 'Basic' "
            "tier."
        )


def check_unchanged(old: QueueProperties, new: QueueProperties) -> None:
    """Raises InvalidOperation if a property that is fixed at creation differs."""
    names = {field.name for field in fields(QueueProperties)}
    for name in IMMUTABLE:
        assert name in names
        if getattr(old, name) != getattr(new, name):
            words = name.split("_")
            wire = words[0] + "".join(word.title() for word in words[1:])
            raise InvalidOperation(
                f"The value of {wire} cannot be changed after the queue was created (it is "
                f"{str(getattr(old, name)).lower()}): delete the queue and create it anew."
            )


def _in_range(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise InvalidOperation(
            f"{name} is {value:g}; allowed is {least:g} to {most:g}"
            f"{' seconds' if isinstance(least, float) else ''}."
        )
