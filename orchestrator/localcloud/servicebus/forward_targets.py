"""What the service refuses of forwarding at the time when it is asked for.

A target that does not exist then (https://github.com/Azure/azure-service-bus/issues/203), so also a
queue that is to be made and names itself; and forwarding from an entity with sessions to a queue
(https://github.com/Azure/azure-service-bus/issues/317 and 660). To a topic it may forward, and a
queue may be changed to forward to itself: azure-servicebus has tests of both, recorded against the
service. A target that goes away later is another matter, and so are circles, this shortest one
among them, which nobody looks for: see `forwarding`.
"""

from __future__ import annotations

from orchestrator.localcloud.servicebus.broker import Broker
from orchestrator.localcloud.servicebus.errors import InvalidOperation
from orchestrator.localcloud.servicebus.model import QueueProperties
from orchestrator.localcloud.servicebus.topics.definitions import SubscriptionProperties

Forwarder = QueueProperties | SubscriptionProperties


def check_targets(
    broker: Broker, namespace: str, settings: Forwarder, old: Forwarder | None
) -> None:
    """Raises InvalidOperation. old: the settings so far; a target that they have already passes."""
    onward = (settings.forward_to or "").strip("/")
    if settings.requires_session and broker.queue_info(namespace, onward):
        raise InvalidOperation(
            "SubCode=40000. Bad Request. An entity that requires sessions cannot forward its "
            "messages to a queue."
        )
    for target, before in (
        (settings.forward_to, old and old.forward_to),
        (settings.forward_dead_letters_to, old and old.forward_dead_letters_to),
    ):
        if target is None or target == before:
            continue
        name = target.strip("/")
        if not (broker.queue_info(namespace, name) or broker.topic_info(namespace, name)):
            raise InvalidOperation(
                f"SubCode=40400. The auto forwarding destination entity '{name}' does not exist."
            )
