"""An AMQP client that is not Microsoft's, qpid-proton, against the local Service Bus.

It speaks the protocol with other habits (SASL PLAIN, its own link modes and settlement), and keeps
every AMQP type apart, which the Service Bus SDKs do not.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.cloud.servicebus_bus import NAMESPACE, RULE, Bus

proton = pytest.importorskip("proton", reason="python-qpid-proton is not installed")

from proton import ConnectionException  # noqa: E402
from proton.handlers import MessagingHandler, TransactionHandler  # noqa: E402
from proton.reactor import AtLeastOnce, AtMostOnce, Container  # noqa: E402
from proton.utils import BlockingConnection, LinkDetached, SendException  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


@contextmanager
def connected(bus: Bus, key: str | None = None, **options: Any) -> Iterator[BlockingConnection]:
    connection = BlockingConnection(
        f"amqp://{bus.plain}",
        timeout=10,
        allowed_mechs="PLAIN",
        user=RULE,
        password=key or bus.key,
        **options,
    )
    try:
        yield connection
    finally:
        connection.close()


def shape(value: Any) -> Any:
    """A value with its types all the way down, comparable."""
    if isinstance(value, memoryview | bytes):
        return ("binary", bytes(value))
    if isinstance(value, dict):
        return ("map", [(shape(key), shape(item)) for key, item in value.items()])
    if isinstance(value, list):
        return ("list", [shape(item) for item in value])
    if isinstance(value, proton.Array):
        return ("array", value.type, [shape(item) for item in value.elements])
    if isinstance(value, proton.Described):
        return ("described", shape(value.descriptor), shape(value.value))
    return (type(value).__name__, value)


def active(bus: Bus, queue: str) -> int:
    counts = bus.broker.counts(NAMESPACE, queue)
    assert counts is not None
    return counts.active


def test_a_key_lets_in_by_sasl_plain_and_a_wrong_one_does_not(bus: Bus) -> None:
    queue = bus.queue()
    with connected(bus) as connection:
        connection.create_sender(queue).send(proton.Message(body="hello"))
    assert bus.counts(queue).active == 1
    with pytest.raises(ConnectionException), connected(bus, key="wrong"):
        pass


def test_without_a_token_nothing_is_opened(bus: Bus) -> None:
    queue = bus.queue()
    connection = BlockingConnection(f"amqp://{bus.plain}", timeout=10, allowed_mechs="ANONYMOUS")
    try:
        with pytest.raises(LinkDetached, match="unauthorized-access"):
            connection.create_sender(queue)
        with pytest.raises(LinkDetached, match="unauthorized-access"):
            connection.create_receiver("no-such-queue")
    finally:
        connection.close()


def test_every_amqp_type_comes_back_as_it_was_sent(bus: Bus) -> None:
    queue = bus.queue()
    properties = {
        "null": None,
        "boolean": True,
        "ubyte": proton.ubyte(255),
        "ushort": proton.ushort(65535),
        "uint": proton.uint(2**32 - 1),
        "ulong": proton.ulong(2**64 - 1),
        "byte": proton.byte(-128),
        "short": proton.short(-32768),
        "int": proton.int32(-(2**31)),
        "long": -(2**63),
        "float": proton.float32(1.5),
        "double": 0.1,
        "decimal32": proton.decimal32(0x12345678),
        "decimal64": proton.decimal64(0x123456789ABCDEF0),
        "decimal128": proton.decimal128(bytes(range(16))),
        "char": proton.char("ß"),
        "timestamp": proton.timestamp(1_700_000_000_123),
        "uuid": uuid.uuid4(),
        "binary": b"\x00\xff",
        "string": "x" * 300,
        "symbol": proton.symbol("sym"),
    }
    body = {
        "list": [1, [proton.uint(2), {"deep": proton.timestamp(3)}], None],
        "array": proton.Array(proton.UNDESCRIBED, proton.Data.INT, 1, 2, 3),
        "described": proton.Described(proton.symbol("com.example:thing"), ["a", 1]),
        **properties,
    }
    with connected(bus) as connection:
        sender = connection.create_sender(queue)
        receiver = connection.create_receiver(queue, credit=1)
        for message_id in (proton.ulong(7), uuid.uuid4(), b"binary", "text"):
            sent = proton.Message(
                body=body,
                id=message_id,
                properties=dict(properties),
                correlation_id=proton.ulong(9),
                user_id=b"me",
                group_sequence=3,
                content_type="x/y",
                content_encoding="z",
                durable=True,
                priority=7,
            )
            sender.send(sent)
            got = receiver.receive()
            receiver.accept()
            # What proton itself makes of the message, had it never left.
            kept = proton.Message()
            kept.decode(sent.encode())
            assert shape(got.body) == shape(kept.body)
            assert shape(got.properties) == shape(kept.properties)
            assert shape(got.id) == shape(kept.id)
            assert got.id == message_id
            for name in (
                "correlation_id", "user_id", "group_sequence", "content_type",
                "content_encoding", "durable", "priority",
            ):  # fmt: skip
                assert getattr(got, name) == getattr(sent, name)


def test_every_outcome_does_what_the_service_does(bus: Bus) -> None:
    queue = bus.queue()
    with connected(bus) as connection:
        sender = connection.create_sender(queue)
        for body in ("accept", "reject", "release", "modify"):
            sender.send(proton.Message(body=body))
        receiver = connection.create_receiver(queue, credit=4)
        bodies = []
        for settle in (receiver.accept, receiver.reject, None, None):
            bodies.append(receiver.receive().body)
            if settle is not None:
                settle()
            elif bodies[-1] == "release":
                receiver.release(delivered=False)
            else:
                receiver.release(delivered=True)
        assert bodies == ["accept", "reject", "release", "modify"]
        receiver.flow(2)
        again = {}
        for _ in range(2):
            message = receiver.receive()
            again[message.body] = message.delivery_count
            receiver.accept()
    assert again == {"release": 0, "modify": 1}
    assert bus.counts(queue).dead_letter == 1
    bus.until(lambda: active(bus, queue) == 0)


def test_messages_are_sent_settled_to_one_who_asks_for_it(bus: Bus) -> None:
    queue = bus.queue()
    with connected(bus) as connection:
        # A presettled send is stored, too.
        sender = connection.create_sender(queue, options=AtMostOnce())
        for number in range(10):
            sender.send(proton.Message(body=number))
    with connected(bus) as connection:
        receiver = connection.create_receiver(queue, credit=10, options=AtMostOnce())
        assert [receiver.receive().body for _ in range(10)] == list(range(10))
    assert bus.counts(queue).active == 0


def test_a_large_message_passes_a_client_with_small_frames(bus: Bus) -> None:
    queue = bus.queue()
    body = bytes(range(256)) * 900
    with connected(bus, max_frame_size=1024) as connection:
        connection.create_sender(queue).send(proton.Message(body=body))
        receiver = connection.create_receiver(queue, credit=1, options=AtLeastOnce())
        assert receiver.receive().body == body
        receiver.accept()


def test_a_dead_letter_queue_takes_no_sends(bus: Bus) -> None:
    queue = bus.queue()
    with connected(bus) as connection, pytest.raises(LinkDetached):
        connection.create_sender(f"{queue}/$deadletterqueue")


def test_a_message_that_is_none_is_refused_and_the_link_lives(bus: Bus) -> None:
    queue = bus.queue()
    with connected(bus) as connection:
        sender = connection.create_sender(queue)

        class Broken(proton.Message):  # type: ignore[misc]
            def encode(self) -> bytes:
                return b"\x00\x53\x99\x40"

            def send(self, link: Any, tag: Any = None) -> Any:
                delivery = link.delivery(tag or link.delivery_tag())
                link.stream(self.encode())
                link.advance()
                return delivery

        with pytest.raises(SendException):
            sender.send(Broken())
        sender.send(proton.Message(body="good"))
    assert bus.counts(queue).active == 1


class Transacting(MessagingHandler, TransactionHandler):
    """Commits a send and an acceptance, then aborts one of each; proton drives it by callbacks."""

    def __init__(self, bus: Bus, source: str, target: str) -> None:
        super().__init__(prefetch=0, auto_accept=False)
        self.bus, self.source, self.target = bus, source, target
        self.told: list[str] = []
        self.transaction: Any = None

    def on_start(self, event: Any) -> None:
        self.container = event.container
        self.connection = event.container.connect(
            f"amqp://{self.bus.plain}",
            allowed_mechs="PLAIN",
            user=RULE,
            password=self.bus.key,
            reconnect=False,
        )
        self.sender = event.container.create_sender(self.connection, self.target)
        self.receiver = event.container.create_receiver(self.connection, self.source)
        event.container.declare_transaction(self.connection, handler=self)

    def on_transaction_declared(self, event: Any) -> None:
        self.transaction = event.transaction
        self.receiver.flow(1)

    def on_message(self, event: Any) -> None:
        self.transaction.accept(event.delivery)
        self.transaction.send(self.sender, proton.Message(body=f"of {event.message.body}"))
        if event.message.body == "commit":
            self.transaction.commit()
        else:
            self.transaction.abort()

    def on_transaction_committed(self, event: Any) -> None:
        self.told.append("committed")
        self.container.declare_transaction(self.connection, handler=self)

    def on_transaction_aborted(self, event: Any) -> None:
        self.told.append("aborted")
        self.connection.close()

    def on_transaction_commit_failed(self, event: Any) -> None:
        self.told.append("failed")
        self.connection.close()

    on_transaction_declare_failed = on_transaction_commit_failed


def test_transactions_are_committed_and_aborted(bus: Bus) -> None:
    source, target = bus.queue(), bus.queue()
    with connected(bus) as connection:
        sender = connection.create_sender(source)
        for body in ("commit", "abort"):
            sender.send(proton.Message(body=body))
    handler = Transacting(bus, source, target)
    Container(handler).run()
    assert handler.told == ["committed", "aborted"]
    assert active(bus, target) == 1
    with connected(bus) as connection:
        receiver = connection.create_receiver(target, credit=1)
        assert receiver.receive().body == "of commit"
        receiver.accept()
    assert active(bus, source) == 1
