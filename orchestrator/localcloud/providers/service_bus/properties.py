"""A queue's properties: from the wire's JSON to the broker's, and back.

Names, defaults and ranges are those of `Microsoft.ServiceBus/namespaces/queues` (REST reference,
api-version 2021-11-01 and later). The wording of refusals follows what users of the service have
published.
"""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.durations import read_duration, write_duration
from orchestrator.localcloud.servicebus.errors import (
    BrokerError,
    EntityAlreadyExists,
    EntityNotFound,
    QuotaExceeded,
    StoreError,
)
from orchestrator.localcloud.servicebus.limits import PARTITIONS
from orchestrator.localcloud.servicebus.model import (
    EntityStatus,
    QueueCounts,
    QueueInfo,
    QueueProperties,
)

JSON = dict[str, Any]

# What the service shows for a queue that nobody has touched yet.
NEVER_ACCESSED = "0001-01-01T00:00:00Z"

DURATIONS = {
    "lockDuration": "lock_duration",
    "defaultMessageTimeToLive": "default_message_ttl",
    "duplicateDetectionHistoryTimeWindow": "duplicate_detection_window",
    "autoDeleteOnIdle": "auto_delete_on_idle",
}
NUMBERS = {
    "maxDeliveryCount": "max_delivery_count",
    "maxSizeInMegabytes": "max_size_in_megabytes",
    "maxMessageSizeInKilobytes": "max_message_size_in_kilobytes",
}
SWITCHES = {
    "requiresSession": "requires_session",
    "requiresDuplicateDetection": "requires_duplicate_detection",
    "deadLetteringOnMessageExpiration": "dead_letter_on_expiration",
    "enableBatchedOperations": "enable_batched_operations",
    "enablePartitioning": "enable_partitioning",
    "enableExpress": "enable_express",
}
NAMES = {
    "forwardTo": "forward_to",
    "forwardDeadLetteredMessagesTo": "forward_dead_letters_to",
    "userMetadata": "user_metadata",
}
# Fixed when the queue is created; a PUT that leaves one out keeps it.
# What cannot be changed, and how the service says so
# (https://learn.microsoft.com/azure/service-bus-messaging/service-bus-resource-manager-exceptions;
# of partitioning the tests of azservicebus for Go).
_UNCHANGEABLE = "The value for the {} property of an existing {{}} cannot be changed."
IMMUTABLE = {
    "requiresSession": _UNCHANGEABLE.format("RequiresSession"),
    "requiresDuplicateDetection": _UNCHANGEABLE.format("requires duplicate detection"),
    "enablePartitioning": "Partitioning cannot be changed for {}. ",
}
READ_ONLY = (
    "countDetails",
    "createdAt",
    "updatedAt",
    "accessedAt",
    "sizeInBytes",
    "messageCount",
)
METADATA_LENGTH = 1024

_STATUSES = {status.lower(): status for status in EntityStatus}


def refusal(message: str, *, target: str | None = None) -> ArmError:
    """400 as the service words it."""
    return ArmError("BadRequest", f"SubCode=40000. {message}", 400, target=target)


def arm_error(error: BrokerError) -> ArmError:
    """A broker's refusal as Resource Manager's."""
    if isinstance(error, StoreError):
        return ArmError("InsufficientStorage", error.message, 507)
    if isinstance(error, EntityNotFound):
        return ArmError("NotFound", error.message, 404)
    if isinstance(error, QuotaExceeded | EntityAlreadyExists):
        return ArmError("Conflict", error.message, 409)
    return refusal(error.message)


def parse_duration(text: Any, name: str) -> float:
    """Seconds of an ISO 8601 duration of days to seconds.

    Raises:
        ArmError: 400, naming the property.
    """
    try:
        return read_duration(text, name)
    except ValueError as error:
        raise refusal(str(error), target=name) from None


def read_properties(given: JSON, old: QueueProperties | None) -> QueueProperties:
    """The broker's settings of a PUT's `properties`; what is left out has its default.

    Ranges are the broker's to check. `old`: the queue as it is, None for a new one.

    Raises:
        ArmError: 400, naming the property that is of the wrong kind or cannot be changed.
    """
    values: JSON = {}
    for name, field in DURATIONS.items():
        if name in given:
            values[field] = parse_duration(given[name], name)
    for name, field in NUMBERS.items():
        if name in given:
            values[field] = _number(given[name], name)
    for name, field in SWITCHES.items():
        if name in given:
            values[field] = _switch(given[name], name)
        elif old is not None and name in IMMUTABLE:
            values[field] = getattr(old, field)
    for name, field in NAMES.items():
        if given.get(name):
            values[field] = _text(given[name], name)
    if "status" in given:
        values["status"] = _status(given["status"])
    unscale(values)
    new = QueueProperties(**values)
    if old is not None:
        for name, words in IMMUTABLE.items():
            if getattr(old, SWITCHES[name]) != getattr(new, SWITCHES[name]):
                raise refusal(words.format("Queue"), target=name)
    return new


def unscale(values: JSON) -> None:
    """Read the size of an entity: 0 asks for the default, as Terraform's azurerm provider does
    where none is configured; of a partitioned one it may be as it is shown, that of all parts."""
    size = values.get("max_size_in_megabytes")
    if size == 0:
        del values["max_size_in_megabytes"]
        return
    if values.get("enable_partitioning") and isinstance(size, int) and size % PARTITIONS == 0:
        asked = size // PARTITIONS
        if asked and asked % 1024 == 0:
            values["max_size_in_megabytes"] = asked


def scale(body: JSON) -> JSON:
    """Show that size."""
    if body.get("enablePartitioning"):
        body["maxSizeInMegabytes"] *= PARTITIONS
    return body


def check_metadata(given: JSON) -> None:
    """Raises ArmError where `userMetadata` is no text of at most 1024 characters."""
    text = given.get("userMetadata")
    if text is None:
        return
    if len(_text(text, "userMetadata")) > METADATA_LENGTH:
        raise refusal(
            f"The property 'userMetadata' has {len(text)} characters; allowed are "
            f"{METADATA_LENGTH}.",
            target="userMetadata",
        )


def write_settings(settings: QueueProperties) -> JSON:
    """The part of a queue's `properties` that can be set; nothing in it is null."""
    body: JSON = {name: getattr(settings, field) for name, field in SWITCHES.items()}
    body |= {name: write_duration(getattr(settings, field)) for name, field in DURATIONS.items()}
    body |= {name: getattr(settings, field) for name, field in (NUMBERS | NAMES).items()}
    body["status"] = str(settings.status)
    return scale({name: value for name, value in body.items() if value is not None})


def write_properties(
    info: QueueInfo, counts: QueueCounts, message_size: int, accessed_at: float | None
) -> JSON:
    """A queue's `properties` as the service shows them; nothing in it is null.

    message_size: bytes that one message may have. accessed_at: epoch seconds; None for never.
    """
    return write_settings(info.properties) | {
        "maxMessageSizeInKilobytes": message_size // 1024,
        "createdAt": moment(info.created_at),
        "updatedAt": moment(info.updated_at),
        "accessedAt": accessed(accessed_at),
        "sizeInBytes": counts.size_in_bytes,
        "messageCount": counts.total,
        "countDetails": {
            "activeMessageCount": counts.active,
            "deadLetterMessageCount": counts.dead_letter,
            "scheduledMessageCount": counts.scheduled,
            "transferMessageCount": counts.transfer,
            "transferDeadLetterMessageCount": counts.transfer_dead_letter,
        },
    }


def accessed(seconds: float | None) -> str:
    """`accessedAt`: epoch seconds as `moment`; None for never."""
    return NEVER_ACCESSED if seconds is None else moment(seconds)


def moment(seconds: float) -> str:
    """Epoch seconds as RFC 3339 in UTC with milliseconds."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


def read_value(name: str, value: Any) -> Any:
    """One setting by its name on the wire, as the broker has it; None for an empty name.

    Raises:
        ArmError: 400, naming the property.
    """
    if name in DURATIONS:
        return parse_duration(value, name)
    if name in NUMBERS:
        return _number(value, name)
    if name == "status":
        return _status(value)
    if name in NAMES:
        return _text(value, name) if value else None
    return _switch(value, name)


def _number(value: Any, name: str) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise refusal(f"The property '{name}' must be a whole number.", target=name)
    return value


def _switch(value: Any, name: str) -> bool:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise refusal(f"The property '{name}' must be true or false.", target=name)
    return value


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise refusal(f"The property '{name}' must be a text.", target=name)
    return value


def _status(value: Any) -> EntityStatus:
    status = _STATUSES.get(value.lower()) if isinstance(value, str) else None
    if status is None:
        allowed = ", ".join(EntityStatus)
        raise refusal(
            f"The status {value!r} is not one that a queue can be set to: {allowed}.",
            target="status",
        )
    return status


assert {*DURATIONS.values(), *NUMBERS.values(), *SWITCHES.values(), *NAMES.values(), "status"} == {
    field.name for field in fields(QueueProperties)
}, "every setting of a queue has its name on the wire"
