"""Messages are sliced without being decoded, and appended to without being changed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.localcloud.amqp import sections as s
from orchestrator.localcloud.amqp import types as t
from orchestrator.localcloud.amqp.encode import encode
from orchestrator.localcloud.amqp.errors import DecodeError
from tests.unit.amqp.values import keys, values

entries = st.dictionaries(keys, values, max_size=4)


def test_each_section_is_given_as_it_was() -> None:
    raw = {
        "header": s.section(s.HEADER, [True]),
        "delivery_annotations": s.section(s.DELIVERY_ANNOTATIONS, {t.Symbol("a"): 1}),
        "message_annotations": s.section(s.MESSAGE_ANNOTATIONS, {t.Symbol("b"): 1}),
        "properties": s.section(s.PROPERTIES, ["id"]),
        "application_properties": s.section(s.APPLICATION_PROPERTIES, {"k": "v"}),
        "body": s.section(s.DATA, b"one") + s.section(s.DATA, b"two"),
        "footer": s.section(s.FOOTER, {t.Symbol("c"): 1}),
    }
    parts = s.split(b"".join(raw.values()))
    assert {name: getattr(parts, name) for name in raw} == raw
    assert parts.body_kind == s.DATA
    assert s.data_of(parts.body) == [b"one", b"two"]
    assert s.list_of(parts.properties, 13)[0] == "id"
    assert s.map_of(parts.application_properties) == {"k": "v"}


def test_long_and_symbolic_descriptors_are_understood() -> None:
    value = encode(b"x")
    long = b"\x00\x80" + (0x75).to_bytes(8, "big") + value
    symbolic = b"\x00" + encode(t.Symbol("amqp:data:binary")) + value
    for body in (long, symbolic):
        assert s.data_of(s.split(body).body) == [b"x"]


@given(entries, entries)
def test_entries_are_appended_behind_those_that_are_there(
    before: dict[Any, Any], more: dict[Any, Any]
) -> None:
    raw = s.section(s.MESSAGE_ANNOTATIONS, before)
    count, content = s.map_entries(raw)
    added = b"".join(encode(part) for pair in more.items() for part in pair)
    whole = s.map_section(s.MESSAGE_ANNOTATIONS, count + 2 * len(more), content + added)
    assert s.map_of(whole) == {**before, **more}
    assert content in whole


def test_the_order_of_sections_is_not_insisted_on() -> None:
    # Microsoft's Python SDK writes the delivery annotations last.
    last = s.section(s.DELIVERY_ANNOTATIONS, {t.Symbol("d"): 1})
    parts = s.split(s.section(s.DATA, b"x") + s.section(s.FOOTER, {}) + last)
    assert parts.delivery_annotations == last
    assert s.data_of(parts.body) == [b"x"]


@pytest.mark.parametrize(
    "raw",
    [
        b"\x75",
        b"\x00\x53\x99\x40",  # no such section
        s.section(s.DATA, b"x") + s.section(s.FOOTER, {}) + s.section(s.DATA, b"y"),
        s.section(s.HEADER, []) * 2,
        s.section(s.VALUE, 1) * 2,
        s.section(s.DATA, b"x") + s.section(s.VALUE, 1),
        s.section(s.DATA, b"x")[:-1],
    ],
)
def test_what_is_no_message_is_refused(raw: bytes) -> None:
    with pytest.raises(DecodeError):
        s.split(raw)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_decode_error(raw: bytes) -> None:
    try:
        parts = s.split(raw)
        s.map_of(parts.application_properties)
        s.list_of(parts.properties, 13)
        s.map_entries(parts.message_annotations)
    except DecodeError:
        return


@pytest.mark.parametrize("size", [0, 10, 255, 256, 5000])
@pytest.mark.parametrize("fields", [1, 2, 13])
def test_a_plain_message_is_known_by_its_id(size: int, fields: int) -> None:
    message = s.section(s.PROPERTIES, ["näme", *[None] * (fields - 1)]) + s.section(
        s.DATA, bytes(size)
    )
    assert s.sole_id(message) == "näme"
    # Cut anywhere, or with anything behind it, it is looked at closely.
    assert all(s.sole_id(message[:cut]) is None for cut in range(0, len(message), 7))
    assert s.sole_id(message + b"\x40") is None
    assert s.sole_id(message + s.section(s.DATA, b"more")) is None


@pytest.mark.parametrize(
    "message",
    [
        b"",
        s.section(s.PROPERTIES, ["id"]),
        s.section(s.PROPERTIES, [None, "user"]) + s.section(s.DATA, b""),
        s.section(s.PROPERTIES, ["id", None, "to"]) + s.section(s.DATA, b""),
        s.section(s.PROPERTIES, ["x" * 300]) + s.section(s.DATA, b""),
        s.section(s.PROPERTIES, ["id"]) + s.section(s.VALUE, "text"),
        s.section(s.HEADER, [True]) + s.section(s.PROPERTIES, ["id"]) + s.section(s.DATA, b""),
        b"\x00\x53\x73\xc0\x03\x01\xa1\xff" + s.section(s.DATA, b""),
        b"\x00\x53\x73\xc0\x03\x00\xa1\x00" + s.section(s.DATA, b""),
        b"\x00\x53\x73\xc0\x04\x01\xa1\x01\xff" + s.section(s.DATA, b""),
    ],
)
def test_any_other_message_is_looked_at_closely(message: bytes) -> None:
    assert s.sole_id(message) is None


@pytest.mark.parametrize("size", [0, 1, 2, 3, 255, 256, 70_000])
@pytest.mark.parametrize("head", [b"", s.section(s.PROPERTIES, ["id"]) + s.section(s.HEADER, [])])
@pytest.mark.parametrize("foot", [b"", s.section(s.FOOTER, {t.Symbol("a"): 1})])
def test_a_batch_gives_its_messages(size: int, head: bytes, foot: bytes) -> None:
    contents = [b"first", b"x" * size, b"last", b""]
    envelope = head + b"".join(s.section(s.DATA, content) for content in contents) + foot
    assert s.batch_of(envelope) == contents
    assert s.data_of(s.split(envelope).body) == contents


@pytest.mark.parametrize(
    "envelope",
    [
        b"",
        s.section(s.VALUE, "text"),
        s.section(s.VALUE, "text") + s.section(s.DATA, b"m"),
        s.section(s.DATA, b"m") + s.section(s.HEADER, []) + s.section(s.DATA, b"m"),
        s.section(s.HEADER, []) + s.section(s.HEADER, []) + s.section(s.DATA, b"m"),
        s.section(0x33, []) + s.section(s.DATA, b"m"),
        s.section(s.DATA, b"m" * 300)[:-1],
        s.section(s.DATA, b"m")[:-1],
        s.section(s.DATA, b"m") + b"\x00\x53\x75",
    ],
)
def test_an_envelope_that_is_no_batch_is_refused(envelope: bytes) -> None:
    with pytest.raises(DecodeError):
        s.batch_of(envelope)
