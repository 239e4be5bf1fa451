"""The entities among which the crash machine sends, and how they forward.

in (detects duplicates) ─┐                    ┌─ dead letters ─> graves
fan (topic) ─ s1 ────────┴─> work ────────────┘
          └── s2
sess-in ─> sess (sessions)
lost ─> (no such queue)
"""

from __future__ import annotations

from typing import Any

from orchestrator.localcloud.servicebus.broker import Broker
from orchestrator.localcloud.servicebus.model import QueueProperties
from orchestrator.localcloud.servicebus.topics.definitions import (
    SubscriptionProperties,
    TopicProperties,
)

NAMESPACE = "crash"
LOCK = 30.0
LONG = 7 * 86400.0
_FAILING = {"lock_duration": LOCK, "max_delivery_count": 2, "dead_letter_on_expiration": True}
QUEUES: dict[str, dict[str, Any]] = {
    "graves": _FAILING,
    "work": {**_FAILING, "forward_dead_letters_to": "graves"},
    "in": {
        "forward_to": "work",
        "requires_duplicate_detection": True,
        "duplicate_detection_window": LONG,
        "dead_letter_on_expiration": True,
    },
    "sess": {**_FAILING, "requires_session": True},
    "sess-in": {"forward_to": "sess", "requires_session": True, "dead_letter_on_expiration": True},
    "lost": {"forward_to": "nowhere", "dead_letter_on_expiration": True},
}
SUBSCRIPTIONS: dict[str, dict[str, Any]] = {
    "s1": {"forward_to": "work", "dead_letter_on_expiration": True},
    "s2": _FAILING,
}
SIMPLE = ("work", "graves", "fan/Subscriptions/s2")
DEAD, TRANSFER = "/$DeadLetterQueue", "/$Transfer/$DeadLetterQueue"
ENTITIES = (*QUEUES, *(f"fan/Subscriptions/{name}" for name in SUBSCRIPTIONS))
PLACES = ("fan", *(name + part for name in ENTITIES for part in ("", DEAD, TRANSFER)))
RECEIVABLE = (*SIMPLE, "graves" + DEAD, "sess" + DEAD, "in" + TRANSFER, "lost" + TRANSFER)
SESSIONS = ("a", "b")


async def define(broker: Broker) -> None:
    """Make all of them."""
    await broker.put_namespace(NAMESPACE)
    for name, properties in QUEUES.items():
        await broker.put_queue(NAMESPACE, name, QueueProperties(**properties))
    await broker.put_topic(NAMESPACE, "fan", TopicProperties())
    for name, properties in SUBSCRIPTIONS.items():
        made = SubscriptionProperties(**properties)
        await broker.put_subscription(NAMESPACE, "fan", name, made)
