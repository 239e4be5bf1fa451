"""The other end of a `Connection` under test: builds frames, reads those that come back."""

from __future__ import annotations

from typing import Any

from orchestrator.localcloud.amqp import performatives as p
from orchestrator.localcloud.amqp import types as t
from orchestrator.localcloud.amqp.connection import Connection, Limits
from orchestrator.localcloud.amqp.decode import decode_whole
from orchestrator.localcloud.amqp.encode import encode
from orchestrator.localcloud.amqp.events import Attaching, Event
from orchestrator.localcloud.amqp.framing import AMQP_HEADER, SASL_HEADER, frame
from orchestrator.localcloud.amqp.link import IncomingLink, OutgoingLink

SOURCE = encode(t.Described(t.ULong(p.SOURCE), ["queue"]))
TARGET = encode(t.Described(t.ULong(p.TARGET), ["queue"]))


class Client:
    """Speaks raw AMQP to `engine`. `opened` skips to an open connection with one session."""

    def __init__(self, limits: Limits | None = None, **options: Any) -> None:
        self.engine = Connection("server", limits=limits, **options)
        self.events: list[Event] = []
        self.now = 0.0

    @classmethod
    def opened(
        cls, limits: Limits | None = None, window: int = 1000, max_frame_size: int = 4096
    ) -> Client:
        client = cls(limits)
        client.feed(SASL_HEADER + frame(0, p.body(p.SASL_INIT, t.Symbol("ANONYMOUS")), 1))
        client.feed(AMQP_HEADER)
        client.send(0, p.OPEN, "client", None, t.UInt(max_frame_size))
        client.send(1, p.BEGIN, None, t.UInt(0), t.UInt(window), t.UInt(1000))
        client.engine.take_output()
        client.events.clear()
        return client

    def feed(self, data: bytes) -> list[Event]:
        found = self.engine.receive(data, self.now)
        self.events += found
        return found

    def send(self, channel: int, code: int, *fields: Any, payload: bytes = b"") -> list[Event]:
        return self.feed(frame(channel, p.body(code, *fields) + payload))

    def received(self) -> list[tuple[int, int, list[Any], bytes]]:
        """`(channel, code, fields, payload)` of the frames that came back since last asked."""
        data = self.engine.take_output()
        found = []
        while data:
            if data[:4] == b"AMQP":
                data = data[8:]
                continue
            size = int.from_bytes(data[:4], "big")
            if size > 8:
                channel = int.from_bytes(data[6:8], "big")
                code, fields, end = p.decode_fields(data[:size], 8)
                found.append((channel, code, fields, data[end:size]))
            data = data[size:]
        return found

    def attach_sender(self, handle: int = 0, name: str = "in", **accept: Any) -> IncomingLink:
        """A link on which the client sends."""
        events = self.send(
            1, p.ATTACH, name, t.UInt(handle), False, None, None, SOURCE, TARGET, None, None,
            t.UInt(0),
        )  # fmt: skip
        (event,) = events
        assert isinstance(event, Attaching)
        assert isinstance(event.link, IncomingLink)
        event.link.accept(**accept)
        event.link.open_window(100)
        self.engine.take_output()
        return event.link

    def attach_receiver(
        self, handle: int = 1, name: str = "out", credit: int | None = None
    ) -> OutgoingLink:
        """A link on which the client receives."""
        (event,) = self.send(1, p.ATTACH, name, t.UInt(handle), True, None, None, SOURCE, TARGET)
        assert isinstance(event, Attaching)
        assert isinstance(event.link, OutgoingLink)
        event.link.accept()
        if credit is not None:
            self.flow(handle, credit)
        self.engine.take_output()
        return event.link

    def flow(
        self, handle: int, credit: int, *, seen: int = 0, drain: bool = False, window: int = 1000
    ) -> list[Event]:
        return self.send(
            1, p.FLOW, t.UInt(seen), t.UInt(window), t.UInt(0), t.UInt(1000), t.UInt(handle),
            t.UInt(seen), t.UInt(credit), None, drain,
        )  # fmt: skip

    def transfer(
        self,
        delivery: int | None,
        payload: bytes,
        *,
        handle: int = 0,
        more: bool = False,
        settled: bool = False,
        aborted: bool | None = None,
        message_format: int = 0,
        state: Any = None,
    ) -> list[Event]:
        return self.send(
            1, p.TRANSFER, t.UInt(handle), None if delivery is None else t.UInt(delivery),
            None if delivery is None else encode(str(delivery).encode()), t.UInt(message_format),
            settled, more, None, state, None, aborted, payload=payload,
        )  # fmt: skip

    def closing_error(self) -> str | None:
        """The condition of the error with which the server closed the connection, if it did."""
        for _, code, fields, _ in self.received():
            if code == p.CLOSE:
                return None if fields[0] is None else p.read_error(fields[0]).condition
        raise AssertionError("the server did not close")


def address(raw: bytes) -> Any:
    """The address of an encoded terminus; None for null."""
    value = decode_whole(raw) if raw else None
    return value.value[0] if value is not None else None
