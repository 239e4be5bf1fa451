"""What the service refuses of forwarding at the time when it is asked for.

A target that does not exist then (https://github.com/Azure/azure-service-bus/issues/203), and
forwarding from an entity with sessions (https://github.com/Azure/azure-service-bus/issues/317;
https://learn.microsoft.com/azure/service-bus-messaging/service-bus-auto-forwarding), and forwarding
of a queue to itself. A target that goes away later is another matter, and so are longer circles,
which nobody looks for: see `forwarding`.

.NET's client refuses before it asks when an entity's own name is the target, a subscription's too;
the wording is of its predecessor, the status assumed.
"""

from __future__ import annotations

from orchestrator.localcloud.servicebus.broker import Broker
from orchestrator.localcloud.servicebus.errors import InvalidOperation
from orchestrator.localcloud.servicebus.model import QueueProperties
from orchestrator.localcloud.servicebus.topic_definitions import SubscriptionProperties

Forwarder = QueueProperties | SubscriptionProperties


def check_targets(
    broker: Broker, namespace: str, entity: str, settings: Forwarder, old: Forwarder | None
) -> None:
    """Raises InvalidOperation. entity: the queue's or subscription's name. old: the settings so
    far; a target that they have already passes."""
    if settings.requires_session and settings.forward_to is not None:
        raise InvalidOperation(
            "SubCode=40000. Bad Request. An entity that requires sessions cannot forward its "
            "messages."
        )
    for target, before in (
        (settings.forward_to, old and old.forward_to),
        (settings.forward_dead_letters_to, old and old.forward_dead_letters_to),
    ):
        if target is None or target == before:
            continue
        name = target.strip("/")
        if isinstance(settings, QueueProperties) and name.lower() == entity.strip("/").lower():
            raise InvalidOperation(
                f"SubCode=40000. The entity '{entity}' has an auto-forwarding policy to itself: "
                "name another queue or topic."
            )
        if not (broker.queue_info(namespace, name) or broker.topic_info(namespace, name)):
            raise InvalidOperation(
                f"SubCode=40400. The auto forwarding destination entity '{name}' does not exist."
            )
