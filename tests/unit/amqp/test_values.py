"""The type system: every value comes back as it went, and bad bytes never do harm."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from azure.servicebus._pyamqp._decode import _DECODE_BY_CONSTRUCTOR
from azure.servicebus._pyamqp._encode import encode_value
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.localcloud.amqp import types as t
from orchestrator.localcloud.amqp.decode import MAX_DEPTH, decode, decode_whole, skip
from orchestrator.localcloud.amqp.encode import encode
from orchestrator.localcloud.amqp.errors import DecodeError, EncodeError
from tests.unit.amqp.values import same, values


@given(values)
def test_a_value_comes_back_with_its_type(value: Any) -> None:
    encoded = encode(value)
    assert same(decode_whole(encoded), value)


@given(values, st.binary(max_size=8))
def test_skipping_ends_where_decoding_ends(value: Any, rest: bytes) -> None:
    encoded = encode(value)
    assert skip(encoded + rest, 0) == decode(encoded + rest)[1] == len(encoded)


@given(values)
def test_a_value_cut_short_is_refused(value: Any) -> None:
    encoded = encode(value)
    for length in range(len(encoded)):
        with pytest.raises(DecodeError):
            decode_whole(encoded[:length])
        with pytest.raises(DecodeError):
            skip(encoded[:length], 0)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_a_decode_error(data: bytes) -> None:
    for read in (decode_whole, lambda raw: skip(raw, 0)):
        try:
            read(data)
        except DecodeError:
            continue


@given(values, st.data())
def test_a_value_with_one_byte_changed_gives_a_value_or_a_decode_error(
    value: Any, data: st.DataObject
) -> None:
    encoded = bytearray(encode(value))
    index = data.draw(st.integers(0, len(encoded) - 1))
    encoded[index] = data.draw(st.integers(0, 255))
    try:
        decode_whole(bytes(encoded))
    except DecodeError:
        return


# The wire formats of the specification's own tables (part 1, section 1.6).
@pytest.mark.parametrize(
    ("encoded", "value"),
    [
        ("40", None),
        ("41", True),
        ("42", False),
        ("5601", True),
        ("5600", False),
        ("50ff", t.UByte(255)),
        ("60ffff", t.UShort(65535)),
        ("43", t.UInt(0)),
        ("52ff", t.UInt(255)),
        ("70ffffffff", t.UInt(2**32 - 1)),
        ("44", t.ULong(0)),
        ("53ff", t.ULong(255)),
        ("80ffffffffffffffff", t.ULong(2**64 - 1)),
        ("5180", t.Byte(-128)),
        ("618000", t.Short(-32768)),
        ("54ff", t.Int(-1)),
        ("7180000000", t.Int(-(2**31))),
        ("55ff", -1),
        ("818000000000000000", -(2**63)),
        ("723fc00000", t.Float(1.5)),
        ("823ff8000000000000", 1.5),
        ("730001f600", t.Char("\U0001f600")),
        ("83000000e8d4a51000", t.Timestamp(10**12)),
        ("98" + "0f" * 16, uuid.UUID(bytes=b"\x0f" * 16)),
        ("a003000102", b"\0\1\2"),
        ("b0000000020001", b"\0\1"),
        ("a102c3bc", "ü"),
        ("b100000002c3bc", "ü"),
        ("a30161", t.Symbol("a")),
        ("b30000000161", t.Symbol("a")),
        ("45", []),
        ("c003024041", [None, True]),
        ("d000000006000000024041", [None, True]),
        ("c1050254015402", {t.Int(1): t.Int(2)}),
        ("d100000008000000025401" + "5402", {t.Int(1): t.Int(2)}),
        ("e0040270" + "00", None),
        ("e00a0270" + "00000001" + "00000002", t.Array(0x70, [t.UInt(1), t.UInt(2)])),
        ("f00000000d0000000270" + "0000000100000002", t.Array(0x70, [t.UInt(1), t.UInt(2)])),
        ("e0020040", t.Array(0x40)),
        ("e00100", t.Array(0x40)),
        ("0053244" + "5", t.Described(t.ULong(0x24), [])),
    ],
)
def test_every_format_code_decodes_as_specified(encoded: str, value: Any) -> None:
    data = bytes.fromhex(encoded)
    if encoded.startswith("e004"):
        with pytest.raises(DecodeError):
            decode_whole(data)
    else:
        assert same(decode_whole(data), value)


@pytest.mark.parametrize(
    "encoded",
    [
        "",
        "3f",  # no such format code
        "5602",  # a boolean of 2
        "d0ffffffff00000000",  # larger than what holds it
        "d000000008ffffffff40404040",  # more items than bytes
        "c10301" + "4040",  # an odd map
        "f0000000050fffffff40",  # a quarter of a billion nulls in ten bytes
        "a101ff",  # not UTF-8
        "a301ff",  # not ASCII
        "7300110000",  # beyond Unicode
        "c1050245" + "405440",  # a list as a key
    ],
)
def test_bytes_that_mean_nothing_are_refused(encoded: str) -> None:
    with pytest.raises(DecodeError):
        decode_whole(bytes.fromhex(encoded))


def test_nesting_is_bounded() -> None:
    fits: Any = None
    for _ in range(MAX_DEPTH):
        fits = [fits]
    assert same(decode_whole(encode(fits)), fits)
    for deeper in (encode([fits]), b"\x00" * 100_000 + b"\x53\x24\x45", b"\x00\x53\x24" * 50_000):
        with pytest.raises(DecodeError):
            decode_whole(deeper)


@pytest.mark.parametrize(
    "value",
    [2**63, t.UInt(-1), t.UByte(256), object(), {1, 2}, t.Symbol("ü"), t.Decimal32(b"12345")],
)
def test_what_no_type_can_carry_is_refused(value: Any) -> None:
    with pytest.raises(EncodeError):
        encode(value)


def test_the_azure_sdk_reads_what_is_written_here() -> None:
    value = {
        "a": [1, "x", b"y", None, True, 1.5],
        "b": t.Timestamp(5),
        "c": t.uuids([uuid.UUID(int=7)]),
    }
    encoded = memoryview(encode(value))
    _, found = _DECODE_BY_CONSTRUCTOR[encoded[0]](encoded[1:])
    assert found == {
        b"a": [1, b"x", b"y", None, True, 1.5],
        b"b": 5,
        b"c": [uuid.UUID(int=7)],
    }


def test_what_the_azure_sdk_writes_is_read_here() -> None:
    out = bytearray()
    encode_value(out, {"TYPE": "MAP", "VALUE": [({"TYPE": "STRING", "VALUE": "k"}, 7)]})
    assert decode_whole(bytes(out)) == {"k": 7}
