"""Messages between the wire and the queue engine."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.localcloud.amqp import sections as s
from orchestrator.localcloud.amqp import types as t
from orchestrator.localcloud.amqp.errors import DecodeError
from orchestrator.localcloud.servicebus.front.messages import (
    BATCH_FORMAT,
    merged,
    read,
    read_transfer,
    write,
)
from orchestrator.localcloud.servicebus.model import (
    NEVER,
    Details,
    LockedMessage,
    MessageState,
    StoredMessage,
)
from tests.unit.amqp.values import values

NOW = 1_800_000_000.0


def message(
    properties: list[Any] | None = None,
    annotations: dict[str, Any] | None = None,
    header: list[Any] | None = None,
    application: dict[str, Any] | None = None,
    body: bytes = b"body",
) -> bytes:
    parts = []
    if header is not None:
        parts.append(s.section(s.HEADER, header))
    if annotations is not None:
        named = {t.Symbol(name): value for name, value in annotations.items()}
        parts.append(s.section(s.MESSAGE_ANNOTATIONS, named))
    if properties is not None:
        parts.append(s.section(s.PROPERTIES, properties))
    if application is not None:
        parts.append(s.section(s.APPLICATION_PROPERTIES, application))
    return b"".join(parts) + s.section(s.DATA, body)


def stored(payload: bytes, details: Details | None = None, **options: Any) -> StoredMessage:
    return StoredMessage(7, payload, NOW, details=details or Details(), **options)


def delivered(one: StoredMessage) -> s.Sections:
    return s.split(
        write(one, one.sequence, LockedMessage(one, uuid.UUID(int=1).bytes_le, NOW + 30))
    )


def test_what_the_engine_decides_by_is_read() -> None:
    properties = ["id", *[None] * 9, "session"]
    annotations = {
        "x-opt-partition-key": "p",
        "x-opt-scheduled-enqueue-time": t.Timestamp(int(NOW * 1000) + 5000),
    }
    got = read(message(properties, annotations, [None, None, t.UInt(90_000)]), NOW)
    assert (got.message_id, got.session_id, got.partition_key) == ("id", "session", "p")
    assert (got.ttl, got.scheduled_at) == (90.0, NOW + 5)


def test_a_message_is_kept_byte_for_byte() -> None:
    raw = message(["id"], {"mine": 1}, [True], {"k": t.UShort(1)})
    assert read(raw, NOW).payload == raw


def test_delivery_annotations_reach_the_receiver_with_the_lock_token() -> None:
    mine = {t.Symbol("hop"): 1, t.Symbol("x-opt-lock-token"): uuid.UUID(int=7)}
    kept = read(message(["id"]) + s.section(s.DELIVERY_ANNOTATIONS, mine), NOW).payload
    assert s.map_of(s.split(write(stored(kept), 1)).delivery_annotations) == {"hop": 1}
    token = uuid.uuid4()
    locked = write(stored(kept), 1, LockedMessage(stored(kept), token.bytes_le, NOW + 30))
    assert s.map_of(s.split(locked).delivery_annotations) == {"hop": 1, "x-opt-lock-token": token}


def test_an_ordinary_delivery_says_no_more_than_the_service_does() -> None:
    # What the SDK's own tests of a received message count.
    one = stored(message(["id"]))
    token = uuid.uuid4()
    plain, locked = (
        s.split(write(one, one.sequence)),
        s.split(write(one, one.sequence, LockedMessage(one, token.bytes_le, NOW + 30))),
    )
    assert set(s.map_of(plain.message_annotations)) == {
        "x-opt-sequence-number",
        "x-opt-enqueued-time",
    }
    assert s.map_of(plain.delivery_annotations) == {}
    assert set(s.map_of(locked.message_annotations)) == {
        "x-opt-sequence-number",
        "x-opt-enqueued-time",
        "x-opt-locked-until",
    }
    assert s.map_of(locked.delivery_annotations) == {"x-opt-lock-token": token}


def test_a_missing_id_is_made() -> None:
    got = read(message(), NOW)
    parts = s.split(got.payload)
    assert len(s.list_of(parts.properties, 13)[0]) == 32
    # One that the service made is none that the sender could repeat.
    assert got.message_id is None


def test_what_only_the_service_says_is_dropped_from_a_message_sent_again() -> None:
    annotations = {"x-opt-sequence-number": 5, "x-opt-locked-until": t.Timestamp(1), "mine": "x"}
    got = read(message(["id"], annotations), NOW)
    assert s.map_of(s.split(got.payload).message_annotations) == {"mine": "x"}


def test_equal_ids_have_equal_keys_and_ids_of_other_types_have_others() -> None:
    ids = ["1", t.ULong(1), b"1", uuid.UUID(int=1), "\0ULong:5301"]
    keys = [read(message([one]), NOW).message_id for one in ids]
    assert len(set(keys)) == len(ids)
    assert [read(message([one]), NOW).message_id for one in ids] == keys


@pytest.mark.parametrize(
    ("ttl", "expiry", "creation", "seconds"),
    [
        (None, None, None, None),
        (0, None, None, None),
        (1500, None, None, 1.5),
        (None, 10_000, 4_000, 6.0),
        (None, NOW * 1000 + 2000, None, 2.0),
        (5_000, 99_000, 0, 5.0),
        # Longer than a header can say.
        (0xFFFFFFFF, 10**13, 0, 10**10),
        (None, 1, None, 0.001),
    ],
)
def test_the_time_to_live_is_the_headers_or_the_absolute_one(
    ttl: int | None, expiry: float | None, creation: int | None, seconds: float | None
) -> None:
    properties: list[Any] = ["id", *[None] * 7]
    properties.append(None if expiry is None else t.Timestamp(int(expiry)))
    properties.append(None if creation is None else t.Timestamp(creation))
    header = [None, None, None if ttl is None else t.UInt(ttl)]
    assert read(message(properties, header=header), NOW).ttl == seconds


def test_a_batch_is_its_messages() -> None:
    inner = [message([f"id-{n}"], body=b"%d" % n) for n in range(3)]
    envelope = s.section(s.PROPERTIES, ["envelope"]) + b"".join(
        s.section(s.DATA, one) for one in inner
    )
    assert [one.payload for one in read_transfer(envelope, BATCH_FORMAT, NOW)] == inner
    (single,) = read_transfer(envelope, 0, NOW)
    assert single.message_id == "envelope"


@pytest.mark.parametrize("body", [s.section(s.VALUE, "x"), b"", s.section(s.DATA, b"\xff")])
def test_a_batch_of_something_else_is_refused(body: bytes) -> None:
    with pytest.raises(DecodeError):
        read_transfer(body, BATCH_FORMAT, NOW)


@given(st.dictionaries(st.text(max_size=9), values, max_size=3), values, st.binary(max_size=99))
def test_what_was_sent_is_delivered_bit_by_bit(
    application: dict[str, Any], annotation: Any, body: bytes
) -> None:
    raw = message(["id"], {"mine": annotation}, application=application, body=body)
    before, after = s.split(raw), delivered(stored(read(raw, NOW).payload))
    for section in ("properties", "application_properties", "body"):
        assert getattr(after, section) == getattr(before, section)
    _, entries = s.map_entries(before.message_annotations)
    assert entries in after.message_annotations


def test_a_delivery_tells_the_messages_place_and_times() -> None:
    one = stored(
        message(["id"]),
        Details(enqueued_sequence=3, dead_letter_source="queue"),
        state=MessageState.DEFERRED,
    )
    assert s.map_of(delivered(one).message_annotations) == {
        "x-opt-sequence-number": 7,
        "x-opt-enqueue-sequence-number": 3,
        "x-opt-enqueued-time": int(NOW * 1000),
        "x-opt-message-state": 1,
        "x-opt-locked-until": int((NOW + 30) * 1000),
        "x-opt-deadletter-source": "queue",
    }
    peeked = s.map_of(s.split(write(one, one.sequence)).message_annotations)
    assert "x-opt-locked-until" not in peeked


@pytest.mark.parametrize(
    ("state", "told"),
    [(MessageState.ACTIVE, 2), (MessageState.SCHEDULED, 2), (MessageState.DEFERRED, 1)],
)
def test_a_message_that_had_to_wait_says_so_for_life(state: MessageState, told: int) -> None:
    one = stored(message(["id"]), Details(scheduled_at=NOW - 5), state=state)
    assert s.map_of(delivered(one).message_annotations)["x-opt-message-state"] == told


@pytest.mark.parametrize("count", [0, 1, 255, 256, 2000])
@pytest.mark.parametrize("header", [None, [True, t.UByte(7), None, None, t.UInt(99)]])
def test_the_header_tells_earlier_failures(count: int, header: list[Any] | None) -> None:
    one = stored(message(["id"], header=header), delivery_count=count)
    found = s.list_of(delivered(one).header, 5)
    assert found[:4] == ([None] * 4 if header is None else [True, 7, None, None])
    assert found[4] == count


def test_the_header_tells_the_time_to_live_that_holds() -> None:
    one = stored(message(["id"], header=[None, None, t.UInt(99_000)]), expires_at=NOW + 5)
    assert s.list_of(delivered(one).header, 5)[2] == 5000
    endless = stored(message(["id"], header=[None, None, t.UInt(99_000)]), expires_at=NEVER)
    assert s.list_of(delivered(endless).header, 5)[2] is None
    dead = stored(endless.payload, Details(dead_letter_source="queue"), expires_at=NEVER)
    assert s.list_of(delivered(dead).header, 5)[2] == 99_000


def test_settlements_change_application_properties_and_nothing_else() -> None:
    first = stored(message(["id"], application={"kept": t.UByte(1), "changed": "old"}))
    modified = merged(first, {t.Symbol("changed"): "new", "added": 2})
    second = stored(first.payload, Details(modified=modified))
    modified = merged(second, {"added": t.UInt(3)})
    third = stored(
        first.payload,
        Details(modified=modified, dead_letter_reason="r", dead_letter_description="d"),
    )
    assert s.map_of(delivered(third).application_properties) == {
        "kept": 1,
        "changed": "new",
        "added": 3,
        "DeadLetterReason": "r",
        "DeadLetterErrorDescription": "d",
    }
    assert merged(third, {}) is None
