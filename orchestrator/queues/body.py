"""From a queue of the settings to the resource that Service Bus wants, and what differs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.errors import Conflict
from orchestrator.quantities import iso_duration, parse_iso_duration, parse_queue_size
from orchestrator.results import FieldChange

if TYPE_CHECKING:
    from orchestrator.settings import QueueSpec

IMMUTABLE = {"requiresDuplicateDetection": "duplicate_detection", "requiresSession": "sessions"}
WORDS = {
    "lockDuration": "lock_duration",
    "maxDeliveryCount": "max_delivery_count",
    "deadLetteringOnMessageExpiration": "dead_letter_on_expiration",
    "requiresSession": "sessions",
    "requiresDuplicateDetection": "duplicate_detection",
    "duplicateDetectionHistoryTimeWindow": "duplicate_detection",
    "defaultMessageTimeToLive": "time_to_live",
    "maxSizeInMegabytes": "max_size",
}


def resource_name(queue: str) -> str:
    """A queue's name in Resource Manager, where a slash ends a name: `orders~eu` of `orders/eu`.

    So does Service Bus; no queue has `~` in its own name
    (https://github.com/Azure/azure-resource-manager-schemas/issues/230).
    """
    return queue.replace("/", "~")


def queue_properties(spec: QueueSpec) -> dict[str, Any]:
    """The properties of a queue resource that the settings speak of."""
    properties: dict[str, Any] = {
        "lockDuration": iso_duration(spec.lock_duration),
        "maxDeliveryCount": spec.max_delivery_count,
        "deadLetteringOnMessageExpiration": spec.dead_letter_on_expiration,
        "requiresSession": spec.sessions,
        "requiresDuplicateDetection": spec.duplicate_detection is not None,
    }
    if spec.duplicate_detection is not None:
        properties["duplicateDetectionHistoryTimeWindow"] = iso_duration(spec.duplicate_detection)
    if spec.time_to_live is not None:
        properties["defaultMessageTimeToLive"] = iso_duration(spec.time_to_live)
    if spec.max_size is not None:
        properties["maxSizeInMegabytes"] = parse_queue_size(spec.max_size)
    return properties


def queue_changes(
    name: str, live: Mapping[str, Any], wanted: Mapping[str, Any]
) -> tuple[FieldChange, ...]:
    """What differs. Raises Conflict for what Service Bus lets nobody change on a live queue."""
    changes = []
    for key, new in wanted.items():
        old = live.get(key)
        if _plain(old) == _plain(new):
            continue
        if key in IMMUTABLE and old is not None:
            raise immutable(name, key, old, new)
        changes.append(FieldChange(path=WORDS[key], old=old, new=new))
    return tuple(changes)


def immutable(name: str, key: str, old: Any, new: Any) -> Conflict:
    """The error for a property that Service Bus lets nobody change on a live queue."""
    return Conflict(
        f"The queue {name} was made with {IMMUTABLE[key]} {_on(old)}, and Service Bus does not let "
        f"that be changed to {_on(new)}.",
        f"Set it as it is, or delete the queue {name} (its messages are lost) and run "
        "orchestrator up again.",
    )


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return parse_iso_duration(value)
        except ValueError:
            return value
    return value


def _on(value: Any) -> str:
    return "on" if value else "off"
