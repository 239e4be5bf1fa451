"""Opening, idling and closing connections and sessions."""

from __future__ import annotations

import pytest

from orchestrator.localcloud.amqp import performatives as p
from orchestrator.localcloud.amqp import types as t
from orchestrator.localcloud.amqp.connection import Limits
from orchestrator.localcloud.amqp.encode import encode
from orchestrator.localcloud.amqp.errors import AmqpError
from orchestrator.localcloud.amqp.events import Closed, Detached, Opened
from orchestrator.localcloud.amqp.framing import AMQP_HEADER, EMPTY_FRAME, SASL_HEADER, frame
from orchestrator.localcloud.amqp.sasl import Credentials
from tests.unit.amqp.client import Client


def init(mechanism: str, response: bytes | None = None) -> bytes:
    fields = [t.Symbol(mechanism)] + ([] if response is None else [encode(response)])
    return frame(0, p.body(p.SASL_INIT, *fields), 1)


def test_a_connection_opens_byte_by_byte() -> None:
    client = Client()
    stream = (
        SASL_HEADER
        + init("ANONYMOUS")
        + AMQP_HEADER
        + frame(0, p.body(p.OPEN, "client", "host.example", t.UInt(1024)))
        + frame(3, p.body(p.BEGIN, None, t.UInt(0), t.UInt(10), t.UInt(10)))
    )
    for index in range(len(stream)):
        client.feed(stream[index : index + 1])
    output = client.engine.take_output()
    assert output.startswith(SASL_HEADER)
    assert AMQP_HEADER in output
    (opened,) = client.events
    assert isinstance(opened, Opened)
    assert (opened.hostname, opened.container_id) == ("host.example", "client")


def test_open_tells_limits_and_half_the_idle_time_out() -> None:
    client = Client(Limits(max_frame_size=2048, channel_max=7, idle_timeout=60))
    client.feed(SASL_HEADER + init("MSSBCBS") + AMQP_HEADER)
    client.received()
    client.send(0, p.OPEN, "client")
    ((_, code, fields, _),) = client.received()
    assert code == p.OPEN
    assert fields[0] == "server"
    assert fields[2:5] == [2048, 7, 30_000]


@pytest.mark.parametrize(
    ("start", "answer"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", SASL_HEADER),
        (b"AMQP\x00\x00\x09\x01", SASL_HEADER),
        (b"AMQP\x02\x01\x00\x00", SASL_HEADER),
    ],
)
def test_another_protocol_is_told_the_right_one_and_let_go(start: bytes, answer: bytes) -> None:
    client = Client()
    client.feed(start)
    assert client.engine.take_output() == answer
    assert client.engine.finished


def test_a_connection_without_sasl_is_an_anonymous_one() -> None:
    for check in (None, lambda credentials: credentials.mechanism == "ANONYMOUS"):
        client = Client(check=check)
        client.feed(AMQP_HEADER)
        assert client.engine.take_output() == AMQP_HEADER
        assert client.engine.credentials == Credentials("ANONYMOUS")
    refused = Client(check=lambda credentials: credentials.mechanism == "PLAIN")
    refused.feed(AMQP_HEADER)
    assert refused.engine.take_output() == SASL_HEADER
    assert refused.engine.finished


@pytest.mark.parametrize(
    ("first", "good"),
    [
        (init("PLAIN", b"\0key\0secret"), True),
        (init("PLAIN", b"\0key\0wrong"), False),
        (init("PLAIN", b"nonsense"), False),
        (init("PLAIN"), False),
        (init("PLAIN", b"\0\xff\0x"), False),
        (init("ANONYMOUS"), True),
        (init("GSSAPI"), False),
    ],
)
def test_sasl_lets_in_whom_the_check_lets_in(first: bytes, good: bool) -> None:
    def check(credentials: Credentials) -> bool:
        return credentials.mechanism != "PLAIN" or credentials.password == "secret"

    client = Client(check=check)
    client.feed(SASL_HEADER + first)
    *_, (_, code, fields, _) = client.received()
    assert code == p.SASL_OUTCOME
    assert (fields[0] == 0) is good
    assert client.engine.finished is not good
    assert "secret" not in repr(client.engine.credentials)


def test_heartbeats_are_sent_at_half_the_peers_time_out() -> None:
    client = Client()
    client.feed(SASL_HEADER + init("ANONYMOUS") + AMQP_HEADER)
    client.send(0, p.OPEN, "client", None, None, None, t.UInt(10_000))
    client.engine.take_output()
    assert client.engine.tick(1)[1] == pytest.approx(6)
    assert client.engine.take_output() == b""
    client.engine.tick(6)
    assert client.engine.take_output() == EMPTY_FRAME


def test_an_idle_time_out_that_cannot_be_kept_closes_the_connection() -> None:
    client = Client()
    client.feed(SASL_HEADER + init("ANONYMOUS") + AMQP_HEADER)
    client.send(0, p.OPEN, "client", None, None, None, t.UInt(1))
    assert client.closing_error() == "amqp:not-allowed"


def test_a_silent_peer_is_given_up_and_a_beating_one_is_not() -> None:
    client = Client.opened(Limits(idle_timeout=60))
    client.now = 50
    client.feed(EMPTY_FRAME)
    assert client.engine.tick(61)[0] == []
    (closed,) = client.engine.tick(110)[0]
    assert isinstance(closed, Closed)
    assert client.closing_error() == "amqp:connection:forced"


def test_a_peer_that_never_opens_is_given_up() -> None:
    client = Client(Limits(handshake_timeout=10))
    client.feed(SASL_HEADER)
    assert client.engine.tick(9)[1] == 10
    client.engine.tick(10)
    assert client.engine.finished


def test_close_is_answered_and_links_are_let_go() -> None:
    client = Client.opened()
    link = client.attach_sender()
    events = client.send(0, p.CLOSE)
    assert [type(event) for event in events] == [Detached, Closed]
    assert not link.attached
    assert [code for _, code, _, _ in client.received()] == [p.CLOSE]
    assert client.engine.finished


def test_a_close_from_this_side_waits_for_the_peers() -> None:
    client = Client.opened()
    client.engine.close(AmqpError("amqp:connection:forced", "stopping"))
    assert client.closing_error() == "amqp:connection:forced"
    client.transfer(0, b"on its way")
    assert not client.engine.finished
    client.send(0, p.CLOSE)
    assert client.engine.finished


def test_a_lost_transport_lets_links_go() -> None:
    client = Client.opened()
    client.attach_receiver()
    assert [type(event) for event in client.engine.lost()] == [Detached, Closed]
    assert client.engine.lost() == []


def test_end_is_answered_and_late_frames_are_tolerated() -> None:
    client = Client.opened()
    client.attach_sender()
    (detached,) = client.send(1, p.END)
    assert isinstance(detached, Detached)
    assert [code for _, code, _, _ in client.received()] == [p.END]
    assert client.send(1, p.DETACH, t.UInt(0), True) == []
    assert client.received() == []
    client.send(1, p.BEGIN, None, t.UInt(0), t.UInt(10), t.UInt(10))
    assert [code for _, code, _, _ in client.received()] == [p.BEGIN]


@pytest.mark.parametrize(
    ("channel", "code", "fields", "condition"),
    [
        (0, p.OPEN, ["again"], "amqp:not-allowed"),
        (1, p.BEGIN, [None, t.UInt(0), t.UInt(1), t.UInt(1)], "amqp:not-allowed"),
        (2, p.BEGIN, [None, None, t.UInt(1), t.UInt(1)], "amqp:invalid-field"),
        (2, p.BEGIN, [None, "x", t.UInt(1), t.UInt(1)], "amqp:invalid-field"),
        (2, p.BEGIN, [t.UShort(1), t.UInt(0), t.UInt(1), t.UInt(1)], "amqp:invalid-field"),
        (9, p.FLOW, [t.UInt(0), t.UInt(1), t.UInt(0), t.UInt(1)], "amqp:not-allowed"),
        (1, p.ATTACH, [None, t.UInt(0), True], "amqp:invalid-field"),
        (1, p.ATTACH, ["x", t.UInt(0), None], "amqp:invalid-field"),
        (1, p.ATTACH, ["x", t.UInt(0), False], "amqp:invalid-field"),
        (1, p.ATTACH, ["x", t.UInt(0), True, t.UByte(9)], "amqp:invalid-field"),
        (1, p.DISPOSITION, [True, None], "amqp:invalid-field"),
        (1, p.DISPOSITION, [True, t.UInt(0), None, True, "accepted"], "amqp:invalid-field"),
        (5000, p.BEGIN, [None, t.UInt(0), t.UInt(1), t.UInt(1)], "amqp:not-allowed"),
        (1, p.SASL_INIT, [t.Symbol("PLAIN")], "amqp:not-allowed"),
    ],
)
def test_a_wrong_frame_closes_the_connection_with_its_error(
    channel: int, code: int, fields: list[object], condition: str
) -> None:
    client = Client.opened()
    client.send(channel, code, *fields)
    assert client.closing_error() == condition


def test_anything_before_open_is_refused() -> None:
    client = Client()
    client.feed(SASL_HEADER + init("ANONYMOUS") + AMQP_HEADER)
    client.send(1, p.BEGIN, None, t.UInt(0), t.UInt(1), t.UInt(1))
    assert client.closing_error() == "amqp:illegal-state"


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00\x00\x00\x04\x02\x00\x00\x00",  # smaller than its own header
        b"\x7f\xff\xff\xff\x02\x00\x00\x00",  # larger than the maximum
        b"\x00\x00\x00\x10\x01\x00\x00\x00" + bytes(8),  # body begins inside the header
        b"\x00\x00\x00\x10\x05\x00\x00\x00" + bytes(8),  # body begins behind the end
        b"\x00\x00\x00\x0c\x02\x07\x00\x00\x00\x53\x10\x45",  # a frame of type 7
    ],
)
def test_a_broken_frame_closes_with_a_framing_error(raw: bytes) -> None:
    client = Client.opened()
    client.feed(raw)
    assert client.closing_error() == "amqp:connection:framing-error"


def test_too_many_sessions_close_the_connection() -> None:
    client = Client.opened(Limits(sessions=3))
    for channel in range(2, 6):
        client.send(channel, p.BEGIN, None, t.UInt(0), t.UInt(1), t.UInt(1))
    assert client.closing_error() == "amqp:resource-limit-exceeded"


def test_errors_always_carry_an_info_map() -> None:
    client = Client.opened()
    client.engine.close(AmqpError("amqp:internal-error", "x"))
    ((_, _, fields, _),) = client.received()
    assert fields[0].value[2] == {}
