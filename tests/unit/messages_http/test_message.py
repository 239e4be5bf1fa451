"""Messages made of requests, and answers made of messages."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest

from orchestrator.localcloud.amqp import sections as s
from orchestrator.localcloud.amqp import types as t
from orchestrator.localcloud.messages_http.message import (
    Shown,
    compose,
    compose_batch,
    message_id,
    show,
)
from orchestrator.localcloud.messages_http.properties import BrokerProperties, PropertyError
from orchestrator.localcloud.servicebus.front.messages import read
from orchestrator.localcloud.servicebus.model import Details, LockedMessage, StoredMessage

NOW = 1_800_000_000.0


def shown(payload: bytes, **fields: Any) -> Shown:
    return show(StoredMessage(3, read(payload, NOW).payload, NOW, **fields), 3)


def with_body(*sections: bytes) -> bytes:
    return s.section(s.PROPERTIES, ["id"]) + b"".join(sections)


def test_a_message_has_its_properties_where_amqp_has_them() -> None:
    broker = BrokerProperties(
        message_id="m",
        correlation_id="c",
        label="l",
        session_id="s",
        partition_key="s",
        via_partition_key="v",
        reply_to="r",
        reply_to_session_id="rs",
        to="t",
        ttl=90.5,
        scheduled_at=NOW + 60,
    )
    made = compose(b"\x00body", "text/plain", broker, {"p": 1}, NOW)
    assert (made.message_id, made.session_id, made.partition_key) == ("m", "s", "s")
    assert (made.ttl, made.scheduled_at) == (90.5, NOW + 60)
    parts = s.split(made.payload)
    assert s.list_of(parts.properties, 13) == [
        "m", None, "t", "l", "r", "c", "text/plain", None, None, None, "s", None, "rs",
    ]  # fmt: skip
    assert s.map_of(parts.message_annotations)["x-opt-via-partition-key"] == "v"
    assert s.map_of(parts.application_properties) == {"p": 1}
    assert (parts.body_kind, s.data_of(parts.body)) == (s.DATA, [b"\x00body"])


def test_a_message_without_an_id_gets_one() -> None:
    made = compose(b"", None, BrokerProperties(), {}, NOW)
    assert made.message_id is None  # nothing to find duplicates by
    stored = StoredMessage(1, made.payload, NOW)
    assert UUID(message_id(stored) or "").version == 4


@pytest.mark.parametrize("ttl", [0.0001, 90.0, 50 * 86400.0, 400_000 * 86400.0])
def test_any_time_to_live_is_kept_as_far_as_time_goes(ttl: float) -> None:
    made = compose(b"", None, BrokerProperties(ttl=ttl), {}, NOW)
    assert made.ttl == pytest.approx(max(ttl, 0.001))
    far = compose(b"", None, BrokerProperties(ttl=9e11), {}, NOW)
    assert far.ttl is not None
    assert far.ttl > 7_000 * 365 * 86400


def test_what_no_section_can_hold_is_refused() -> None:
    with pytest.raises(PropertyError):
        compose(b"", "text/plän", BrokerProperties(), {}, NOW)


def test_a_batch() -> None:
    document = json.dumps(
        [
            {"Body": "one", "BrokerProperties": {"Label": "M1", "TimeToLiveTimeSpan": "0:0:40"}},
            {"Body": "ä", "UserProperties": {"Priority": "Low", "n": 5}},
            {"Body": "AAE=", "IsBodyBase64Encoded": True},
        ]
    )
    first, second, third = compose_batch(document.encode(), NOW)
    assert first.ttl == 40
    parts = s.split(second.payload)
    assert s.map_of(parts.application_properties) == {"Priority": "Low", "n": 5}
    assert s.data_of(parts.body) == ["ä".encode()]
    assert s.data_of(s.split(third.payload).body) == [b"\x00\x01"]


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b"[5]",
        b'[{"Body": 5}]',
        b'[{"Body": "\\ud800"}]',
        b'[{"Body": "?", "IsBodyBase64": true}]',
        b'[{"Body": "a", "BrokerProperties": "b"}]',
        b'[{"Body": "a"}, {"Body": "b", "BrokerProperties": {"TimeToLive": 0}}]',
        b"[" * 5000,
    ],
)
def test_no_batch(document: bytes) -> None:
    with pytest.raises(PropertyError):
        compose_batch(document, NOW)


def test_an_answer_tells_what_the_broker_knows() -> None:
    payload = (
        s.section(s.HEADER, [None, None, t.UInt(10_000)])
        + s.section(s.PROPERTIES, ["id", None, "to", "label", "reply", "corr", t.Symbol("a/b")])
        + s.section(s.APPLICATION_PROPERTIES, {"Priority": "High", "bad name": 1})
        + s.section(s.DATA, b"x")
        + s.section(s.DATA, b"y")
    )
    token = UUID("7da9cfd5-40d5-4bb1-8d64-ec5a52e1c547")
    message = StoredMessage(2, payload, NOW, NOW + 10)
    found = show(message, message.sequence, LockedMessage(message, token.bytes_le, NOW + 60))
    assert found.body == b"xy"
    assert found.content_type == "a/b"
    assert found.headers == {"Priority": '"High"'}
    assert found.broker == {
        "CorrelationId": "corr",
        "DeliveryCount": 1,
        "EnqueuedSequenceNumber": 0,
        "EnqueuedTimeUtc": "Fri, 15 Jan 2027 08:00:00 GMT",
        "Label": "label",
        "LockToken": str(token),
        "LockedUntilUtc": "Fri, 15 Jan 2027 08:01:00 GMT",
        "MessageId": "id",
        "ReplyTo": "reply",
        "SequenceNumber": 2,
        "State": "Active",
        "TimeToLive": 10,
        "To": "to",
    }
    assert list(found.broker) == sorted(found.broker)


def test_a_dead_letter_says_why() -> None:
    details = Details(
        dead_letter_reason="Bad", dead_letter_description="it was", dead_letter_source="q",
        enqueued_sequence=7,
    )  # fmt: skip
    payload = s.section(s.HEADER, [None, None, t.UInt(5000)]) + with_body(s.section(s.DATA, b""))
    found = shown(payload, details=details, delivery_count=2)
    assert found.headers == {
        "DeadLetterReason": '"Bad"',
        "DeadLetterErrorDescription": '"it was"',
    }
    assert (found.broker["DeliveryCount"], found.broker["EnqueuedSequenceNumber"]) == (3, 7)
    assert found.broker["TimeToLive"] == 5
    assert shown(with_body()).broker["TimeToLive"] == 922337203685.4775807


@pytest.mark.parametrize(
    ("sections", "body", "content_type"),
    [
        ((), b"", None),
        ((s.section(s.VALUE, b"\x00"),), b"\x00", None),
        ((s.section(s.VALUE, "ä"),), "ä".encode(), "text/plain; charset=utf-8"),
        ((s.section(s.VALUE, {"a": [t.Int(1), None]}),), b'{"a": [1, null]}', "application/json"),
        ((s.section(s.VALUE, None),), b"null", "application/json"),
        (
            (s.section(s.SEQUENCE, [1, b"b"]), s.section(s.SEQUENCE, [t.Symbol("c")])),
            b'[1, "Yg==", "c"]',
            "application/json",
        ),
    ],
)
def test_bodies(sections: tuple[bytes, ...], body: bytes, content_type: str | None) -> None:
    found = shown(with_body(*sections))
    assert (found.body, found.content_type) == (body, content_type)


def test_ids_of_other_types_are_text() -> None:
    for given, text in ((t.ULong(5), "5"), (UUID(int=1), str(UUID(int=1))), (b"\xff", "ff")):
        payload = s.section(s.PROPERTIES, [given]) + s.section(s.DATA, b"")
        assert shown(payload).broker["MessageId"] == text


def test_what_the_broker_has_not_looked_at_stops_nobody() -> None:
    odd = s.section(s.PROPERTIES, ["id"]) + s.section(s.APPLICATION_PROPERTIES, ["no map"])
    found = shown(odd + s.section(s.DATA, b"x"))
    assert (found.headers, found.body) == ({}, b"x")
    odd = with_body(s.section(s.SEQUENCE, {"no": "list"}))
    assert shown(odd).body == s.section(s.SEQUENCE, {"no": "list"})
