"""Whatever bytes a peer sends, the engine neither raises nor grows, and ends with an AMQP error."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.localcloud.amqp import performatives as p
from orchestrator.localcloud.amqp import types as t
from orchestrator.localcloud.amqp.connection import Limits
from orchestrator.localcloud.amqp.errors import AmqpError
from orchestrator.localcloud.amqp.events import Attaching, Disposed, Received
from orchestrator.localcloud.amqp.framing import frame
from orchestrator.localcloud.amqp.link import IncomingLink, OutgoingLink
from tests.unit.amqp.client import SOURCE, TARGET, Client
from tests.unit.amqp.values import values

SMALL = Limits(max_frame_size=1024, links=20, sessions=5, partial_bytes=10_000)


def obey(client: Client) -> None:
    """Do what an owner does with the events."""
    for event in client.events:
        if isinstance(event, Attaching):
            link = event.link
            if link.name.startswith("no"):
                link.refuse(AmqpError("amqp:not-found", "no"))
            elif isinstance(link, IncomingLink):
                link.accept(max_message_size=2000)
                link.open_window(10)
            else:
                link.accept()
        elif isinstance(event, Received):
            event.link.settle(event.delivery)
        elif isinstance(event, Disposed) and event.outcome is not None and not event.settled:
            for delivery in event.deliveries:
                event.link.settle(delivery, p.ACCEPT)
    client.events.clear()


small = st.integers(0, 3).map(t.UInt)
fields = st.one_of(
    values,
    small,
    st.booleans(),
    st.none(),
    st.sampled_from(["a", "b", "no"]),
    st.sampled_from([SOURCE, TARGET, p.ACCEPT.encode(), b"\xa0\x01t", b"\x40"]),
)
plausible: dict[int, list[st.SearchStrategy[Any]]] = {
    p.BEGIN: [st.none(), small, small, small],
    p.ATTACH: [
        st.sampled_from(["a", "b", "no"]), small, st.booleans(), st.none(), st.none(),
        st.just(SOURCE), st.just(TARGET), st.none(), st.none(), small,
    ],
    p.FLOW: [small, small, small, small, small, small, small, st.none(), st.booleans()],
    p.TRANSFER: [small, small, st.just(b"\xa0\x01t"), small, st.booleans(), st.booleans()],
    p.DISPOSITION: [st.booleans(), small, small, st.booleans(), st.just(p.ACCEPT.encode())],
    p.DETACH: [small, st.booleans()],
    p.END: [],
    p.OPEN: [st.just("x")],
    p.CLOSE: [],
}  # fmt: skip


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    code = draw(st.sampled_from(sorted(plausible)))
    parts = [draw(part if draw(st.integers(0, 19)) else fields) for part in plausible[code]]
    body = p.body(code, *parts)
    payload = draw(st.binary(max_size=40)) if code == p.TRANSFER else b""
    return frame(draw(st.integers(0, 2)), body + payload)


@settings(max_examples=400)
@given(st.lists(frames(), max_size=25))
def test_any_order_of_any_frames_is_survived(stream: list[bytes]) -> None:
    client = Client.opened(SMALL)
    for raw in stream:
        client.feed(raw)
        obey(client)
        for session in list(client.engine._sessions.values()):
            for link in list(session._links.values()):
                if isinstance(link, OutgoingLink) and link.sendable:
                    link.send(b"m", b"t")
        client.engine.take_output()
    client.engine.lost()
    assert client.engine._links == 0
    assert client.engine._partial == 0
    assert client.engine._names == {}


@settings(max_examples=300)
@given(st.lists(frames(), min_size=1, max_size=6), st.data())
def test_flipped_and_cut_bytes_are_survived(stream: list[bytes], data: st.DataObject) -> None:
    raw = bytearray(b"".join(stream))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    client = Client.opened(SMALL)
    cut = data.draw(st.integers(0, len(raw)))
    client.feed(bytes(raw[:cut]))
    obey(client)
    client.feed(bytes(raw[cut:]))
    obey(client)
    client.engine.take_output()
    client.engine.lost()
    assert client.engine._links == 0


@given(st.binary(max_size=300))
def test_any_first_bytes_are_survived(raw: bytes) -> None:
    client = Client()
    client.feed(raw)
    client.engine.take_output()


def test_what_is_held_of_an_unfinished_frame_is_bounded() -> None:
    client = Client.opened(SMALL)
    client.feed((1024).to_bytes(4, "big") + b"\x02\x00\x00\x01" + bytes(1000))
    assert len(client.engine._in._held) <= 1024
    client.feed(bytes(16))
    assert client.closing_error() == "amqp:decode-error"


def test_a_million_links_are_refused_at_the_limit() -> None:
    client = Client.opened(Limits(links=50))
    for handle in range(1000):
        client.send(1, p.ATTACH, f"l{handle}", t.UInt(handle), True, None, None, SOURCE, TARGET)
        if client.engine._links == 0:
            break
    assert handle == 50
    assert client.closing_error() == "amqp:resource-limit-exceeded"
