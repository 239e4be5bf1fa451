"""Messages over HTTP, as scripts send and receive them; the SDK stands at the other end."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
import urllib.parse
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from azure.servicebus import (
    ServiceBusClient,
    ServiceBusMessage,
    ServiceBusReceivedMessage,
    ServiceBusSubQueue,
)
from azure.servicebus.amqp import AmqpAnnotatedMessage

from orchestrator.localcloud.servicebus.model import EntityStatus, QueueProperties, Right
from orchestrator.localcloud.servicebus.queue import Queue
from orchestrator.localcloud.servicebus.topic_definitions import (
    SubscriptionProperties,
    TopicProperties,
)
from tests.cloud.servicebus_signature import signature
from tests.conftest import CloudInThread

NAMESPACE = "over-http"
ROOT = "RootManageSharedAccessKey"
BATCH = "application/vnd.microsoft.servicebus.json"


class Answer:
    """What a request got."""

    def __init__(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status = status
        self.headers = dict(headers)
        self.body = body

    @property
    def broker(self) -> dict[str, Any]:
        """The BrokerProperties."""
        found: dict[str, Any] = json.loads(self.headers["BrokerProperties"])
        return found

    @property
    def detail(self) -> str:
        """What an error says; its status is checked."""
        root = ElementTree.fromstring(self.body)
        assert root.tag == "Error"
        assert root.findtext("Code") == str(self.status)
        return root.findtext("Detail") or ""


class World:
    """A namespace of its own cloud, spoken to with nothing but HTTP."""

    def __init__(self, cloud: CloudInThread) -> None:
        self.cloud = cloud
        self.address = cloud.connection["resource_manager"].removeprefix("https://")
        self.context = ssl.create_default_context(cafile=cloud.ca)
        self.broker = cloud.server.broker
        cloud.call(self.broker.put_namespace(NAMESPACE))
        rule = self.broker.rule(NAMESPACE, ROOT)
        assert rule is not None
        self.key = rule.primary_key
        amqp = cloud.connection["service_bus"]["amqp"]
        self.connection_string = (
            f"Endpoint=sb://{amqp};SharedAccessKeyName={ROOT};SharedAccessKey={self.key};"
            "UseDevelopmentEmulator=true"
        )

    def queue(self, **properties: Any) -> str:
        name = f"queue-{uuid.uuid4().hex[:8]}"
        self.update(name, **properties)
        return name

    def update(self, name: str, **properties: Any) -> None:
        made = QueueProperties(**properties)
        self.cloud.call(self.broker.put_queue(NAMESPACE, name, made))

    def found(self, name: str) -> Queue:
        queue = self.broker.find(NAMESPACE, name)
        assert queue is not None
        return queue

    def sas(self, resource: str = "", rule: str = ROOT, key: str = "") -> str:
        target = f"https://{self.address}/{resource}"
        return signature(target, rule, key or self.key, time.time() + 600)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        headers: dict[str, str] | None = None,
        *,
        token: str | None = None,
        address: str | None = None,
        secure: bool = True,
    ) -> Answer:
        """One request; path is below the host, `token` "" for none."""
        given = {"Content-Length": "0"} if body is None else {}
        if token != "":
            given["Authorization"] = token or self.sas()
        connection: http.client.HTTPConnection
        if secure:
            connection = http.client.HTTPSConnection(
                address or self.address, timeout=30, context=self.context
            )
        else:
            connection = http.client.HTTPConnection(address or self.address, timeout=30)
        if path.startswith("https://"):
            parts = urllib.parse.urlsplit(path)
            assert parts.netloc == (address or self.address)
            path = parts.path.lstrip("/")
        try:
            data = body.encode() if isinstance(body, str) else body
            connection.request(method, f"/{path}", data, {**given, **(headers or {})})
            response = connection.getresponse()
            return Answer(response.status, response.getheaders(), response.read())
        finally:
            connection.close()

    def connect(self, address: str, *, secure: bool = True) -> socket.socket:
        """A bare connection."""
        host, _, port = address.partition(":")
        opened = socket.create_connection((host, int(port)), timeout=30)
        return self.context.wrap_socket(opened, server_hostname=host) if secure else opened

    def send(self, queue: str, body: bytes | str, headers: dict[str, str] | None = None) -> None:
        answer = self.ask("POST", f"{queue}/messages", body, headers)
        assert (answer.status, answer.body) == (201, b""), answer.body

    def lock(self, queue: str) -> Answer:
        """Peek-lock what must be there."""
        answer = self.ask("POST", f"{queue}/messages/head?timeout=10")
        assert answer.status == 201, answer.body
        return answer

    def nothing(self, queue: str) -> bool:
        return self.ask("POST", f"{queue}/messages/head?timeout=0").status == 204

    def bus(self) -> ServiceBusClient:
        return ServiceBusClient.from_connection_string(self.connection_string)

    def receive(self, queue: str, **options: Any) -> ServiceBusReceivedMessage:
        """The next message over AMQP; completed."""
        with self.bus() as bus, bus.get_queue_receiver(queue, **options) as receiver:
            (message,) = receiver.receive_messages(1, max_wait_time=10)
            receiver.complete_message(message)
            return message

    def transmit(self, queue: str, *messages: Any) -> None:
        """Send over AMQP."""
        with self.bus() as bus, bus.get_queue_sender(queue) as sender:
            sender.send_messages(list(messages))

    def until_waiting(self, queue: str, count: int) -> None:
        """Until so many receivers stand in the queue's line."""

        async def waiting() -> int:
            return len(self.found(queue)._line)

        self.cloud.until(lambda: self.cloud.call(waiting()) == count)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudInThread]:
    """A cloud with this namespace only: on loopback the address alone does not name one."""
    running = CloudInThread(tmp_path_factory.mktemp("cloud"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def world(cloud: CloudInThread) -> World:
    return World(cloud)


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


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_receive_waits_for_a_message(world: World, method: str) -> None:
    queue = world.queue()
    found: list[Answer] = []
    waiting = threading.Thread(
        target=lambda: found.append(world.ask(method, f"{queue}/messages/head"))
    )
    waiting.start()
    world.until_waiting(queue, 1)
    world.send(queue, "at last")
    waiting.join(30)
    assert [answer.body for answer in found] == [b"at last"]
    world.until_waiting(queue, 0)


@pytest.mark.parametrize("method", ["POST", "DELETE"])
@pytest.mark.parametrize(
    ("port", "size"), [("https", 0), ("amqps", 0), ("amqp", 0), ("https", 1_000_000)]
)
def test_a_client_that_goes_takes_no_message(
    world: World, method: str, port: str, size: int
) -> None:
    queue = world.queue()
    address = world.cloud.connection["service_bus"].get(port, world.address)
    opened = world.connect(address, secure=port != "amqp")
    token = signature(f"https://{address}/", ROOT, world.key, time.time() + 600)
    opened.sendall(
        f"{method} /{queue}/messages/head HTTP/1.1\r\nHost: {address}\r\n"
        f"Authorization: {token}\r\nContent-Length: {size}\r\n\r\n".encode()
        + bytes(size)
    )
    world.until_waiting(queue, 1)
    opened.close()
    world.until_waiting(queue, 0)
    world.send(queue, "for whoever is there")
    assert world.lock(queue).broker["DeliveryCount"] == 1


def test_what_a_connection_says_next_is_heard_after_a_wait(world: World) -> None:
    """Two requests at once on one connection: the second waits for the first's answer."""
    queue = world.queue()
    opened = world.connect(world.address)
    head = (
        f"DELETE /{queue}/messages/head?timeout=20 HTTP/1.1\r\nHost: {world.address}\r\n"
        f"Authorization: {world.sas()}\r\nContent-Length: 0\r\n\r\n"
    ).encode()
    opened.sendall(head)
    world.until_waiting(queue, 1)
    opened.sendall(head)
    world.send(queue, "one")
    world.send(queue, "two")
    seen = b""
    while not seen.endswith(b"two\r\n0\r\n\r\n"):
        part = opened.recv(4096)
        assert part, seen
        seen += part
    opened.close()
    assert seen.index(b"one") < seen.index(b"two")


def test_a_queue_that_is_deleted_or_closed_ends_the_waiting(world: World) -> None:
    queue = world.queue()
    found: list[Answer] = []

    def wait() -> threading.Thread:
        thread = threading.Thread(
            target=lambda: found.append(world.ask("POST", f"{queue}/messages/head"))
        )
        thread.start()
        world.until_waiting(queue, 1)
        return thread

    waiting = wait()
    world.update(queue, status=EntityStatus.RECEIVE_DISABLED)
    waiting.join(30)
    world.update(queue)
    waiting = wait()
    world.cloud.call(world.broker.delete_queue(NAMESPACE, queue))
    waiting.join(30)
    assert [answer.status for answer in found] == [403, 410]


def test_a_server_that_stops_lets_nobody_wait(tmp_path: Path) -> None:
    world = World(CloudInThread(tmp_path / "cloud"))
    queue = world.queue()
    found: list[Answer] = []
    waiting = threading.Thread(
        target=lambda: found.append(world.ask("POST", f"{queue}/messages/head"))
    )
    waiting.start()
    world.until_waiting(queue, 1)
    world.cloud.stop()
    waiting.join(30)
    (answer,) = found
    assert answer.status == 503
    assert "try again" in answer.detail


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


# What is refused


def test_what_is_wrong_is_told(world: World) -> None:
    queue = world.queue()
    missing = world.ask("POST", "nowhere/messages", "x")
    assert (missing.status, "could not be found" in missing.detail) == (410, True)
    for method in ("POST", "DELETE"):
        assert world.ask(method, "nowhere/messages/head?timeout=0").status == 410
        for timeout in ("soon", "-1", "1.5", "9" * 20):
            path = f"{queue}/messages/head?timeout={timeout}"
            assert world.ask(method, path).status == 400
    for method in ("PUT", "POST", "DELETE"):
        assert world.ask(method, f"nowhere/messages/1/{uuid.uuid4()}").status == 410
        assert world.ask(method, f"{queue}/messages/1/{uuid.uuid4()}").status == 404
    bad = world.ask("POST", f"{queue}/messages", "x", {"BrokerProperties": "{'Label': 'a'}"})
    assert bad.status == 400
    assert bad.detail == (
        "The value '{'Label': 'a'}' of the HTTP header 'BrokerProperties' is invalid."
    )
    both = {"BrokerProperties": '{"SessionId": "a", "PartitionKey": "b"}'}
    assert world.ask("POST", f"{queue}/messages", "x", both).status == 400
    world.update(queue, status=EntityStatus.DISABLED)
    assert world.ask("POST", f"{queue}/messages", "x").status == 403
    assert world.ask("POST", f"{queue}/messages/head?timeout=0").status == 403
    assert world.ask("PUT", f"{queue}/messages/head", "x").status != 201


def test_a_session_is_had_over_amqp_only(world: World) -> None:
    queue = world.queue(requires_session=True)
    bare = world.ask("POST", f"{queue}/messages", "x")
    assert (bare.status, "SessionId was not set" in bare.detail) == (400, True)
    world.send(queue, "x", {"BrokerProperties": '{"SessionId": "s"}'})
    for method in ("POST", "DELETE"):
        refused = world.ask(method, f"{queue}/messages/head?timeout=0")
        assert refused.status == 405
        assert refused.detail.startswith(
            "It is not possible for an entity that requires sessions to create a non-sessionful"
        )
    assert world.receive(queue, session_id="s").session_id == "s"


def test_a_message_may_be_as_large_as_the_queue_takes(world: World) -> None:
    queue = world.queue()
    world.send(queue, b"x" * (256 * 1024 - 100))
    assert len(world.ask("DELETE", f"{queue}/messages/head").body) == 256 * 1024 - 100
    for size in (256 * 1024, 256 * 1024 + 1, 3 * 1024 * 1024):
        refused = world.ask("POST", f"{queue}/messages", b"x" * size)
        assert (refused.status, "exceeds" in refused.detail) == (403, True)
    assert world.nothing(queue)


def test_a_large_message_where_the_queue_takes_it_on_every_port(world: World) -> None:
    queue = world.queue(max_message_size_in_kilobytes=4096)
    body = b"\x00\xff" * 1_500_000
    bus = world.cloud.connection["service_bus"]
    for address, secure in ((world.address, True), (bus["amqps"], True), (bus["amqp"], False)):
        token = signature(f"https://{address}/", ROOT, world.key, time.time() + 600)
        options: dict[str, Any] = {"token": token, "address": address, "secure": secure}
        sent = world.ask("POST", f"{queue}/messages", body, **options)
        assert sent.status == 201, sent.body
        got = world.ask("POST", f"{queue}/messages/head", **options)
        assert got.body == body
        place = got.headers["Location"]
        assert place.startswith(f"http{'s' if secure else ''}://{address}/{queue}/messages/")
        path = urllib.parse.urlsplit(place).path.lstrip("/")
        assert world.ask("DELETE", path, **options).status == 200


def test_an_upload_that_breaks_off_sends_nothing(world: World) -> None:
    queue = world.queue()
    for more in (
        b"Content-Length: 1000\r\n\r\nhalf",
        b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf",
    ):
        opened = world.connect(world.address)
        opened.sendall(
            f"POST /{queue}/messages HTTP/1.1\r\nHost: {world.address}\r\n"
            f"Authorization: {world.sas()}\r\n".encode()
            + more
        )
        opened.close()
    world.send(queue, "whole")
    assert world.ask("DELETE", f"{queue}/messages/head").body == b"whole"
    assert world.nothing(queue)


# Who may


def test_a_request_needs_a_token_with_the_right(world: World) -> None:
    queue = world.queue()
    other = world.queue()
    cloud = world.cloud
    for rule, right in (("sender", Right.SEND), ("listener", Right.LISTEN)):
        cloud.call(world.broker.put_rule(NAMESPACE, rule, frozenset({right})))
        cloud.call(world.broker.put_rule(NAMESPACE, f"own-{rule}", frozenset({right}), queue))

    def sas(rule: str, resource: str = "") -> str:
        found = world.broker.rule(NAMESPACE, rule, queue)
        assert found is not None
        return world.sas(resource, rule, found.primary_key)

    send = ("POST", f"{queue}/messages")
    receive = ("POST", f"{queue}/messages/head?timeout=0")
    for token in ("", "Bearer nonsense", "SharedAccessSignature sr=x", world.sas(key="A" * 44)):
        for method, path in (send, receive):
            refused = world.ask(method, path, "x", token=token)
            assert refused.status == 401
            assert refused.detail
    for token in (
        sas("sender"),
        sas("sender", queue),
        sas("own-sender", queue),
        sas("own-sender", f"{queue}/messages"),
    ):
        assert world.ask(*send, "x", token=token).status == 201
        refused = world.ask(*receive, token=token)
        assert refused.status == 401
    assert "'Listen' claim(s)" in world.ask(*receive, token=sas("sender")).detail
    assert "'Send' claim(s)" in world.ask(*send, "x", token=sas("listener")).detail
    for token in (sas("listener"), sas("own-listener", queue)):
        answer = world.ask(*receive, token=token)
        assert answer.status == 201
        for method in ("POST", "DELETE"):
            assert world.ask(method, answer.headers["Location"], token=token).status == 200
    narrow = sas("own-sender", queue)
    assert world.ask("POST", f"{other}/messages", "x", token=narrow).status == 401
    bearer = world.cloud.credential.get_token("https://servicebus.azure.net/.default").token
    assert world.ask(*send, "x", token=f"Bearer {bearer}").status == 201
    wrong = world.cloud.credential.text()
    assert world.ask(*send, "x", token=f"Bearer {wrong}").status == 401


@pytest.mark.parametrize(
    "token",
    [
        "SharedAccessSignature sr={}&sig=%C3%A9&se=2000000000&skn={}",
        "SharedAccessSignature sr={}&sig=x&se=\u00c2\u00b2&skn={}",  # a small 2 in UTF-8
        f"SharedAccessSignature sr={{}}&sig=x&se={'9' * 5000}&skn={{}}",
        "Bearer \u00ff",
    ],
)
def test_a_token_that_nobody_can_have_made_is_refused(world: World, token: str) -> None:
    given = token.format(urllib.parse.quote(f"https://{world.address}/", safe=""), ROOT)
    assert world.ask("POST", f"{world.queue()}/messages", "x", token=given).status == 401


def test_a_key_of_one_entity_opens_no_other_by_what_the_host_is_called(world: World) -> None:
    own, other = world.queue(), world.queue()
    made = world.broker.put_rule(NAMESPACE, "own", frozenset({Right.MANAGE}), own)
    token = world.sas(own, "own", world.cloud.call(made).primary_key)
    assert world.ask("POST", f"{own}/messages", "x", token=token).status == 201
    asked = (("POST", f"{other}/messages"), ("GET", f"{other}?api-version=2021-05"))
    for host in (f"{world.address}/{own}", f"{world.address}/{own}?", f"x@{world.address}/{own}"):
        for method, path in asked:
            answer = world.ask(method, path, None, {"Host": host}, token=token)
            assert answer.status == 400
    assert world.found(other).counts().total == 0


def test_a_namespace_has_a_host_of_its_own(world: World) -> None:
    queue = world.queue()
    port = world.address.rpartition(":")[2]
    bearer = world.cloud.credential.get_token("https://servicebus.azure.net/.default").token
    for host, status in (
        (f"{NAMESPACE}.servicebus.localhost:{port}", 201),
        (f"{NAMESPACE}.servicebus.windows.net", 201),
        (f"other.servicebus.localhost:{port}", 404),
    ):
        answer = world.ask(
            "POST", f"{queue}/Messages/?api-version=2015-01", "x", {"Host": host},
            token=f"Bearer {bearer}",
        )  # fmt: skip
        assert answer.status == status, answer.body
    token = signature(f"http://{NAMESPACE}.servicebus.windows.net/{queue}", ROOT, world.key, 2e9)
    own = {"Host": f"{NAMESPACE}.servicebus.windows.net"}
    answer = world.ask("POST", f"{queue}/messages/head", None, own, token=token)
    assert answer.headers["Location"].startswith(
        f"https://{NAMESPACE}.servicebus.windows.net/{queue}/messages/"
    )


def test_of_several_namespaces_the_host_or_the_key_names_one(world: World) -> None:
    queue = world.queue()
    bearer = world.cloud.credential.get_token("https://servicebus.azure.net/.default").token
    send = ("POST", f"{queue}/messages", "x")
    world.cloud.call(world.broker.put_namespace("another"))
    try:
        answer = world.ask(*send, token=f"Bearer {bearer}")
        assert answer.status == 404
        assert f"another, {NAMESPACE}" in answer.detail
        assert "the header Host: <namespace>.servicebus.windows.net" in answer.detail
        own = {"Host": f"{NAMESPACE}.servicebus.windows.net"}
        assert world.ask(*send, own, token=f"Bearer {bearer}").status == 201
        assert world.ask(*send).status == 201
    finally:
        world.cloud.call(world.broker.delete_namespace("another"))


def test_resource_manager_keeps_what_is_its_own(world: World) -> None:
    answer = world.ask("POST", "subscriptions/x/messages?api-version=2021-11-01", "x", token="")
    assert answer.status == 401
    assert "error" in json.loads(answer.body)


def test_faults_strike_here_too(world: World) -> None:
    queue = world.queue()
    faults = world.cloud.server.faults
    world.send(queue, "x")
    locked = world.lock(queue)
    try:
        faults.add({"kind": "server-busy", "on": "send", "queue": queue, "count": 1})
        busy = world.ask("POST", f"{queue}/messages", "x")
        assert (busy.status, "try again" in busy.detail) == (503, True)
        faults.add({"kind": "lock-lost", "on": "complete", "queue": queue, "count": 1})
        assert world.ask("DELETE", locked.headers["Location"]).status == 404
        faults.add({"kind": "disconnect", "on": "send", "queue": queue, "count": 1})
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            world.ask("POST", f"{queue}/messages", "unsent")
        faults.add({"kind": "status", "status": 429, "on": f"POST /{queue}/messages", "count": 1})
        assert world.ask("POST", f"{queue}/messages", "x").status == 429
    finally:
        faults.clear()
    assert world.lock(queue).broker["DeliveryCount"] == 2
    assert world.nothing(queue)
