"""Messages over HTTP, as scripts send and receive them; the SDK stands at the other end."""

from __future__ import annotations

import json
import urllib.parse
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.servicebus import (
    ServiceBusMessage,
    ServiceBusReceivedMessage,
    ServiceBusSubQueue,
)
from azure.servicebus.amqp import AmqpAnnotatedMessage

from orchestrator.localcloud.servicebus.topics.definitions import (
    SubscriptionProperties,
    TopicProperties,
)
from tests.cloud.rest_world import BATCH, NAMESPACE, World, alone


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from alone(tmp_path_factory.mktemp("cloud"))


# Between HTTP and AMQP


def test_what_is_sent_over_http_is_received_over_amqp(world: World) -> None:
    queue = world.queue()
    world.send(
        queue,
        b"\x00 body \xff",
        {
            "Content-Type": "text/x-mine",
            "BrokerProperties": json.dumps(
                {
                    "MessageId": "m1",
                    "CorrelationId": "c1",
                    "Label": "M1",
                    "ReplyTo": "there",
                    "ReplyToSessionId": "rs",
                    "To": "here",
                    "PartitionKey": "p",
                    "TimeToLive": 10,
                    "Unknown": 1,
                }
            ),
            "Priority": '"High"',
            "Customer": '"12345,ABC"',
            "count": "5",
            "ratio": "0.5",
            "urgent": "true",
            "when": '"Sun, 06 Nov 1994 08:49:37 GMT"',
            "bare": "as it is",
            "digest": '"in small letters"',
            "letter": '"\\u00fc"',
        },
    )
    message = world.receive(queue)
    assert b"".join(message.body) == b"\x00 body \xff"
    assert len(list(message.raw_amqp_message.body)) == 1
    assert (message.message_id, message.correlation_id, message.subject) == ("m1", "c1", "M1")
    assert (message.reply_to, message.reply_to_session_id, message.to) == ("there", "rs", "here")
    assert (message.partition_key, message.content_type) == ("p", "text/x-mine")
    assert message.time_to_live == timedelta(seconds=10)
    properties = {k.decode(): v for k, v in (message.application_properties or {}).items()}
    assert properties.pop("when") == 784111777000
    assert properties == {
        "Priority": b"High",
        "Customer": b"12345,ABC",
        "count": 5,
        "ratio": 0.5,
        "urgent": True,
        "bare": b"as it is",
        "digest": b"in small letters",
        "letter": "ü".encode(),
    }


def test_what_is_sent_over_amqp_is_received_over_http(world: World) -> None:
    queue = world.queue()
    before = datetime.now(UTC).replace(microsecond=0)
    sent = ServiceBusMessage(
        b"\x00 body \xff",
        message_id="m1",
        correlation_id="c1",
        subject="M1",
        content_type="text/x-mine",
        reply_to="there",
        to="here",
        partition_key="p",
        time_to_live=timedelta(seconds=10),
        application_properties={
            "Priority": "High",
            "quoted": 'say "yes"',
            "lines": "a\r\nInjected: 1",
            "count": 5,
            "ratio": 0.5,
            "urgent": False,
            "id": uuid.UUID(int=1),
            "when": datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC),
            "has space": 1,
            "Connection": "close",
        },
    )
    world.transmit(queue, sent)
    answer = world.lock(queue)
    assert answer.body == b"\x00 body \xff"
    assert answer.headers["Content-Type"] == "text/x-mine"
    broker = answer.broker
    token = broker.pop("LockToken")
    assert answer.headers["Location"] == (f"https://{world.address}/{queue}/messages/1/{token}")
    for name, after in (("EnqueuedTimeUtc", 0), ("LockedUntilUtc", 60)):
        moment = datetime.strptime(broker.pop(name), "%a, %d %b %Y %H:%M:%S GMT")
        assert moment.replace(tzinfo=UTC) >= before + timedelta(seconds=after)
    assert broker == {
        "CorrelationId": "c1",
        "DeliveryCount": 1,
        "EnqueuedSequenceNumber": 0,
        "Label": "M1",
        "MessageId": "m1",
        "PartitionKey": "p",
        "ReplyTo": "there",
        "SequenceNumber": 1,
        "State": "Active",
        "TimeToLive": 10,
        "To": "here",
    }
    own = {"Content-Type", "Location", "BrokerProperties", "Date", "Server", "Transfer-Encoding"}
    assert {k: v for k, v in answer.headers.items() if k not in own} == {
        "Priority": '"High"',
        "quoted": '"say \\"yes\\""',
        "lines": '"a\\r\\nInjected: 1"',
        "count": "5",
        "ratio": "0.5",
        "urgent": "false",
        "id": '"00000000-0000-0000-0000-000000000001"',
        "when": '"Sun, 06 Nov 1994 08:49:37 GMT"',
    }


def test_bodies_that_are_no_data(world: World) -> None:
    queue = world.queue()
    world.transmit(
        queue,
        AmqpAnnotatedMessage(value_body={"a": [1, "b"]}),
        AmqpAnnotatedMessage(sequence_body=[[1, 2], ["c"]]),
        AmqpAnnotatedMessage(data_body=[b"one", b"two"]),
    )
    found = [world.ask("DELETE", f"{queue}/messages/head?timeout=5") for _ in range(3)]
    assert json.loads(found[0].body) == {"a": [1, "b"]}
    assert found[0].headers["Content-Type"] == "application/json"
    assert json.loads(found[1].body) == [1, 2, "c"]
    assert found[2].body == b"onetwo"


def test_what_no_header_can_have_keeps_nobody_from_the_message(world: World) -> None:
    queue = world.queue()
    odd = ["text/plain\r\nInjected: 1", "a\x00b", "a\x7fb"]
    for text in odd:
        sent = ServiceBusMessage(b"x", content_type=text, subject=text)
        sent.application_properties = {"p": text}
        world.transmit(queue, sent)
    for text in odd:
        answer = world.ask("DELETE", f"{queue}/messages/head?timeout=5")
        assert (answer.status, answer.body) == (200, b"x")
        assert json.loads(answer.headers["p"]) == answer.broker["Label"] == text
        assert not answer.headers.keys() & {"Injected", "text/plain"}
        assert answer.headers["Content-Type"] == "application/octet-stream"


def test_a_scheduled_message_waits(world: World) -> None:
    queue = world.queue()
    later = datetime.now(UTC) + timedelta(hours=1)
    for text in (later.isoformat(), later.strftime("%a, %d %b %Y %H:%M:%S GMT")):
        world.send(
            queue, "later", {"BrokerProperties": json.dumps({"ScheduledEnqueueTimeUtc": text})}
        )
    past = {"BrokerProperties": '{"ScheduledEnqueueTimeUtc": "1994-11-06T08:49:37Z"}'}
    world.send(queue, "now", past)
    assert world.ask("DELETE", f"{queue}/messages/head?timeout=5").body == b"now"
    assert world.nothing(queue)
    counts = world.broker.counts(NAMESPACE, queue)
    assert counts is not None
    assert counts.scheduled == 2


# Receiving and settling


def test_a_message_is_locked_renewed_unlocked_and_deleted(world: World) -> None:
    queue = world.queue()
    world.send(queue, "work", {"BrokerProperties": '{"MessageId": "a/b c"}'})
    first = world.lock(queue)
    assert world.nothing(queue)
    assert world.ask("POST", first.headers["Location"]).status == 200
    assert world.ask("PUT", first.headers["Location"]).status == 200
    again = world.lock(queue)
    assert (again.body, again.broker["DeliveryCount"]) == (b"work", 2)
    # The former lock is no more, and neither is one of another message.
    for method in ("PUT", "POST", "DELETE"):
        gone = world.ask(method, first.headers["Location"])
        assert (gone.status, gone.detail[:27]) == (404, "The lock supplied is invali")
    token = again.broker["LockToken"]
    other = world.ask("DELETE", f"{queue}/messages/other/{token}")
    assert (other.status, "No message was found" in other.detail) == (404, True)
    # By its id as well as by its number.
    by_id = f"{queue}/messages/{urllib.parse.quote('a/b c', safe='')}/{token.upper()}"
    assert world.ask("POST", by_id).status == 200
    assert world.ask("DELETE", by_id).status == 200
    assert world.ask("DELETE", by_id).status == 404
    assert world.nothing(queue)


def test_a_message_is_received_and_deleted_at_once(world: World) -> None:
    queue = world.queue()
    world.send(queue, "once", {"Priority": '"High"'})
    answer = world.ask("DELETE", f"{queue}/messages/head")
    assert (answer.status, answer.body) == (200, b"once")
    assert answer.headers["Priority"] == '"High"'
    assert "Location" not in answer.headers
    assert not {"LockToken", "LockedUntilUtc"} & set(answer.broker)
    empty = world.ask("DELETE", f"{queue}/messages/head?timeout=0")
    assert (empty.status, empty.body) == (204, b"")


def test_an_sdk_and_http_settle_each_other_s_locks(world: World) -> None:
    queue = world.queue()
    world.send(queue, "x")
    with world.bus() as bus, bus.get_queue_receiver(queue) as receiver:
        (message,) = receiver.receive_messages(1, max_wait_time=10)
        path = f"{queue}/messages/{message.sequence_number}/{message.lock_token}"
        assert world.ask("DELETE", path).status == 200
    assert world.nothing(queue)


# Topics and sub-queues


def test_topics_subscriptions_and_dead_letters(world: World) -> None:
    broker = world.broker
    world.cloud.call(broker.put_topic(NAMESPACE, "Events/All", TopicProperties()))
    made = SubscriptionProperties(max_delivery_count=1)
    world.cloud.call(broker.put_subscription(NAMESPACE, "events/all", "One", made))
    world.send("events/all", "news", {"kind": '"x"'})
    below = "Events/all/Subscriptions/one"
    answer = world.lock(below)
    token = answer.broker["LockToken"]
    location = answer.headers["Location"]
    assert location == (f"https://{world.address}/events/all/subscriptions/one/messages/1/{token}")
    assert world.ask("PUT", location).status == 200
    assert world.nothing(below)
    for path in (f"{below}/$DeadLetterQueue", f"{below}/%24deadletterqueue"):
        dead = world.lock(path)
        assert dead.headers["DeadLetterReason"] == '"MaxDeliveryCountExceeded"'
        assert dead.body == b"news"
        assert world.ask("PUT", dead.headers["Location"]).status == 200
    assert world.nothing(f"{below}/$Transfer/$DeadLetterQueue")
    with world.bus() as bus:
        receiver = bus.get_subscription_receiver(
            "events/all", "one", sub_queue=ServiceBusSubQueue.DEAD_LETTER
        )
        with receiver:
            (message,) = receiver.receive_messages(1, max_wait_time=10)
            assert str(message) == "news"
    topic = world.ask("POST", "events/all/messages/head?timeout=0")
    assert (topic.status, "receive from one of its subscriptions" in topic.detail) == (405, True)
    for path in (below, f"{below}/$DeadLetterQueue"):
        assert world.ask("POST", f"{path}/messages", "x").status == 400


# Batches


def test_a_batch_is_sent_all_or_none(world: World) -> None:
    queue = world.queue()
    headers = {"Content-Type": BATCH, "Ignored": '"of a batch"'}
    entries: list[dict[str, Any]] = [
        {"Body": "first", "BrokerProperties": {"Label": "M1", "TimeToLiveTimeSpan": "0.00:00:40"}},
        {"Body": "second", "UserProperties": {"Priority": "Low", "n": 5}},
        {"Body": "third"},
    ]
    bad = [*entries, {"Body": "x", "BrokerProperties": {"TimeToLive": 0}}]
    answer = world.ask("POST", f"{queue}/messages", json.dumps(bad), headers)
    assert (answer.status, "Message 3 of the batch" in answer.detail) == (400, True)
    long = [*entries, {"Body": "x", "BrokerProperties": {"MessageId": "x" * 129}}]
    assert world.ask("POST", f"{queue}/messages", json.dumps(long), headers).status == 400
    assert world.nothing(queue)
    world.send(queue, json.dumps(entries), headers)
    with world.bus() as bus, bus.get_queue_receiver(queue) as receiver:
        found: list[ServiceBusReceivedMessage] = []
        while len(found) < 3:
            found += receiver.receive_messages(3, max_wait_time=10)
        for message in found:
            receiver.complete_message(message)
    assert [str(message) for message in found] == ["first", "second", "third"]
    assert (found[0].subject, found[0].time_to_live) == ("M1", timedelta(seconds=40))
    assert found[1].application_properties == {b"Priority": b"Low", b"n": 5}
    assert [message.application_properties for message in found[::2]] == [None, None]
    # With parameters it is no batch, as the service's documentation says.
    world.send(queue, "[]", {"Content-Type": f"{BATCH}; charset=utf-8"})
    assert world.ask("DELETE", f"{queue}/messages/head").body == b"[]"


def test_a_batch_obeys_partitions_and_sizes(world: World) -> None:
    queue = world.queue(enable_partitioning=True)
    keys = [{"Body": k, "BrokerProperties": {"PartitionKey": k}} for k in ("a", "b")]
    answer = world.ask("POST", f"{queue}/messages", json.dumps(keys), {"Content-Type": BATCH})
    assert (answer.status, "PartitionKey" in answer.detail) == (400, True)
    large = [{"Body": "x" * 100_000}] * 3
    answer = world.ask("POST", f"{queue}/messages", json.dumps(large), {"Content-Type": BATCH})
    assert answer.status == 403
    assert world.nothing(queue)


def test_duplicates_are_detected(world: World) -> None:
    queue = world.queue(requires_duplicate_detection=True)
    for body in ("first", "second"):
        world.send(queue, body, {"BrokerProperties": '{"MessageId": "same"}'})
    assert world.ask("DELETE", f"{queue}/messages/head").body == b"first"
    assert world.nothing(queue)
