"""Microsoft's JavaScript SDK against the local Service Bus."""

from __future__ import annotations

from tests.cloud.javascript_program import needs, ran
from tests.cloud.servicebus_bus import NAMESPACE, Bus

pytestmark = needs("@azure/service-bus")


def active(bus: Bus, queue: str) -> int:
    counts = bus.broker.counts(NAMESPACE, queue)
    assert counts is not None
    return counts.active


def test_the_javascript_sdk_sends_receives_settles_and_is_told_its_errors(bus: Bus) -> None:
    queue = bus.queue()
    seen = ran("messaging.js", bus.connection_string(), queue)
    assert seen["peeked"] == ["complete", {"json": [1, None]}, "dead-letter", "defer", "last"]
    assert seen["first"] == {
        "id": "m-1",
        "subject": "label",
        "properties": {"number": 1, "text": "x", "flag": True},
        "deliveryCount": 0,
        "state": "active",
    }
    assert seen["renewed"] is True
    assert seen["again"] == [{"json": [1, None]}, 1, {"extra": "property"}]
    assert seen["deferred"] == ["defer", {"deferred": True}]
    assert seen["dead"] == {
        "body": "dead-letter",
        "reason": "why",
        "description": "because",
        "source": queue,
        "custom": "c",
    }
    assert seen["deleted"] == ["x", "y"]
    assert seen["subscribed"] == list(range(50))
    assert seen["errors"] == [
        "MessagingEntityNotFound",
        "MessagingEntityNotFound",
        "MessageSizeExceeded",
    ]
    assert active(bus, queue) == 0


def test_the_javascript_sdk_works_by_session(bus: Bus) -> None:
    queue = bus.queue(requires_session=True)
    assert ran("sessions.js", bus.connection_string(), queue) == {
        "locked": "SessionCannotBeLocked",
        "state": {"step": 2},
        "renewed": True,
        "peeked": ["b0", "b1", "b2"],
        "named": ["b0", "b1", "b2"],
        "next": "a",
        "received": ["a0", "a1", "a2"],
        "none": "ServiceTimeout",
    }
    assert active(bus, queue) == 0


@needs("ws")
def test_the_javascript_sdk_works_over_websocket(bus: Bus) -> None:
    queue = bus.queue()
    seen = ran("websocket.js", bus.tls_connection_string(), queue, ca=bus.ca)
    assert seen == {"peeked": 2, "received": [1, 200_000]}
    assert active(bus, queue) == 0


def test_the_javascript_sdk_works_over_tls(bus: Bus) -> None:
    queue = bus.queue()
    ran("messaging.js", bus.tls_connection_string(), queue, ca=bus.ca)
    assert active(bus, queue) == 0
