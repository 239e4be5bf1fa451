"""Topics, subscriptions and forwarding through the unmodified SDKs: Python's, sync and aio."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from azure.servicebus import NEXT_AVAILABLE_SESSION, ServiceBusMessage, ServiceBusSubQueue
from azure.servicebus.exceptions import (
    MessagingEntityNotFoundError,
    ServiceBusError,
    SessionCannotBeLockedError,
)

from orchestrator.localcloud.servicebus.topics.definitions import (
    SubscriptionProperties,
    TopicProperties,
)
from orchestrator.localcloud.servicebus.topics.rules import (
    CorrelationFilter,
    Rule,
    SqlAction,
    SqlFilter,
)
from tests.cloud.javascript_program import needs, ran
from tests.cloud.servicebus_bus import NAMESPACE, Bus


def topic(bus: Bus, name: str, **subscriptions: Rule | None) -> None:
    bus.call(bus.broker.put_topic(NAMESPACE, name, TopicProperties()))
    for subscription, rule in subscriptions.items():
        made = bus.broker.put_subscription(
            NAMESPACE, name, subscription, SubscriptionProperties(), rule
        )
        bus.call(made)


def test_each_subscription_gets_what_its_rules_say(bus: Bus) -> None:
    topic(
        bus,
        "Orders",
        everything=None,
        large=Rule("r", SqlFilter("quantity >= 10 AND sys.Label LIKE 'ord%'")),
        red=Rule("r", CorrelationFilter(label="order-red"), SqlAction("SET colour = 'red'")),
    )
    with bus.client() as client:
        with client.get_topic_sender("orders") as sender:
            sender.send_messages(
                [
                    ServiceBusMessage(
                        "one", subject="order-red", application_properties={"quantity": 1}
                    ),
                    ServiceBusMessage(
                        "many", subject="order-blue", application_properties={"quantity": 10}
                    ),
                ]
            )
        found = {}
        for name in ("everything", "large", "RED"):
            with client.get_subscription_receiver("orders", name, max_wait_time=2) as receiver:
                messages = receiver.receive_messages(5, max_wait_time=5)
                found[name] = [(str(m), m.application_properties) for m in messages]
                for message in messages:
                    receiver.complete_message(message)
    assert [text for text, _ in found["everything"]] == ["one", "many"]
    assert [text for text, _ in found["large"]] == ["many"]
    ((text, properties),) = found["RED"]
    assert text == "one"
    assert properties == {b"quantity": 1, b"colour": b"red", b"RuleName": b"r"}
    assert bus.counts("orders/subscriptions/everything").total == 0


async def test_a_subscription_has_dead_letters_and_a_topic_schedules(bus: Bus) -> None:
    topic(bus, "news", all=None)
    async with bus.aio() as client:
        async with client.get_topic_sender("news") as sender:
            await sender.send_messages(ServiceBusMessage("bad"))
            numbers = await sender.schedule_messages(
                ServiceBusMessage("never"), datetime_in(hours=1)
            )
            await sender.cancel_scheduled_messages(numbers)
        async with client.get_subscription_receiver("news", "all") as receiver:
            (message,) = await receiver.receive_messages(max_wait_time=5)
            await receiver.renew_message_lock(message)
            await receiver.dead_letter_message(message, reason="no good")
        async with client.get_subscription_receiver(
            "news", "all", sub_queue=ServiceBusSubQueue.DEAD_LETTER
        ) as receiver:
            (message,) = await receiver.receive_messages(max_wait_time=5)
            assert message.dead_letter_reason == "no good"
            assert message.dead_letter_source == "news/Subscriptions/all"
            await receiver.complete_message(message)


def datetime_in(*, hours: int) -> datetime:
    return datetime.now(UTC) + timedelta(hours=hours)


def test_a_topic_is_not_received_from_and_a_missing_subscription_is_not_found(bus: Bus) -> None:
    topic(bus, "plain", one=None)
    with bus.client(retry_total=0) as client:
        with (
            pytest.raises(ServiceBusError, match="receive from one of its subscriptions"),
            client.get_queue_receiver("plain") as receiver,
        ):
            receiver.receive_messages(max_wait_time=1)
        with (
            pytest.raises(MessagingEntityNotFoundError),
            client.get_subscription_receiver("plain", "other") as receiver,
        ):
            receiver.receive_messages(max_wait_time=1)


def test_transfer_dead_letters_are_received_from_their_sub_queue(bus: Bus) -> None:
    queue = bus.queue(forward_to="nowhere")
    with bus.client() as client:
        with client.get_queue_sender(queue) as sender:
            sender.send_messages(ServiceBusMessage("lost?"))
        bus.until(lambda: bus.broker.counts(NAMESPACE, queue).transfer_dead_letter == 1)  # type: ignore[union-attr]
        with client.get_queue_receiver(
            queue, sub_queue=ServiceBusSubQueue.TRANSFER_DEAD_LETTER
        ) as receiver:
            (message,) = receiver.receive_messages(max_wait_time=5)
            assert str(message) == "lost?"
            assert message.dead_letter_reason == "MessagingEntityNotFound"
            receiver.complete_message(message)
    assert bus.counts(queue).total == 0


@needs("@azure/service-bus")
def test_the_javascript_rule_manager_adds_lists_and_removes_rules(bus: Bus) -> None:
    topic(bus, "ruled", one=None)
    seen = ran("rules.js", bus.connection_string(), "ruled", "one")
    for rule in seen["after"]:
        rule["filter"] = {k: v for k, v in rule["filter"].items() if v is not None}
    assert seen["before"] == [
        {"name": "$Default", "filter": {"sqlExpression": "1=1"}, "action": {}}
    ]
    assert seen["after"] == [
        {
            "name": "red",
            "filter": {"subject": "red", "applicationProperties": {"kind": "paint", "n": 2}},
            "action": {},
        },
        {
            "name": "sql",
            "filter": {"sqlExpression": "quantity > 3"},
            "action": {"sqlExpression": "SET big = TRUE"},
        },
    ]
    assert seen["errors"] == ["MessagingEntityAlreadyExists", "MessagingEntityNotFound"]
    assert seen["received"] == [
        {"body": "many", "properties": {"quantity": 4, "big": True, "RuleName": "sql"}},
        {"body": "red paint", "properties": {"kind": "paint", "n": 2}},
    ]


def test_a_subscription_has_sessions_with_their_states_and_dead_letters(bus: Bus) -> None:
    bus.call(bus.broker.put_topic(NAMESPACE, "sessions", TopicProperties()))
    made = bus.broker.put_subscription(
        NAMESPACE, "sessions", "s", SubscriptionProperties(requires_session=True), None
    )
    bus.call(made)
    with bus.client(retry_total=0) as client:
        with client.get_topic_sender("sessions") as sender:
            sender.send_messages(
                [ServiceBusMessage(f"{s}{n}", session_id=s) for n in range(3) for s in "ab"]
            )
        with client.get_subscription_receiver("sessions", "s", session_id="b") as receiver:
            found = receiver.receive_messages(3, max_wait_time=5)
            assert [str(m) for m in found] == ["b0", "b1", "b2"]
            assert {m.session_id for m in found} == {"b"}
            receiver.session.set_state(b"half way")
            receiver.dead_letter_message(found[0], reason="why")
            receiver.defer_message(found[1])
            (deferred,) = receiver.receive_deferred_messages(found[1].sequence_number)
            receiver.complete_message(deferred)
            other = client.get_subscription_receiver("sessions", "s", session_id="b")
            with pytest.raises(SessionCannotBeLockedError):
                other.receive_messages(1, max_wait_time=1)
        with client.get_subscription_receiver(
            "sessions", "s", session_id=NEXT_AVAILABLE_SESSION, max_wait_time=5
        ) as receiver:
            assert receiver.session.session_id == "a"
            assert receiver.session.get_state() is None
        with client.get_subscription_receiver("sessions", "s", session_id="b") as receiver:
            assert receiver.session.get_state() == b"half way"
            (last,) = receiver.receive_messages(3, max_wait_time=5)
            assert str(last) == "b2"
        with client.get_subscription_receiver(
            "sessions", "s", sub_queue=ServiceBusSubQueue.DEAD_LETTER
        ) as receiver:
            (dead,) = receiver.receive_messages(3, max_wait_time=5)
            assert (str(dead), dead.session_id, dead.dead_letter_reason) == ("b0", "b", "why")
