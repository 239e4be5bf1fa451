"""AMQP 1.0 binary type system: values to bytes (part 1, sections 1.2 to 1.6).

Every value is written in its shortest format, except inside arrays, which have one for all items.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable
from typing import Any

from . import types as t
from .errors import EncodeError

_Encoder = Callable[[bytearray, Any], None]

_p32 = struct.Struct(">I").pack
_sized = struct.Struct(">BI").pack
_compound8 = struct.Struct(">BBB").pack
_compound32 = struct.Struct(">BII").pack


def encode(value: Any) -> bytes:
    """`value` as AMQP bytes. Raises `EncodeError` for what has no AMQP type or is out of range."""
    out = bytearray()
    write(out, value)
    return bytes(out)


def write(out: bytearray, value: Any) -> None:
    """Append `value` to `out`. Raises `EncodeError`; `out` is then worthless."""
    encoder = ENCODERS.get(type(value))
    if encoder is None:
        encoder = _by_base(value)
    try:
        encoder(out, value)
    except (struct.error, OverflowError, UnicodeEncodeError, RecursionError) as error:
        raise EncodeError(f"{type(value).__name__} can't be encoded: {error}.") from error


def _by_base(value: Any) -> _Encoder:
    # bool has no subclasses, so the order only has to put narrower types before their bases.
    for base, encoder in ENCODERS.items():
        if isinstance(value, base):
            return encoder
    raise EncodeError(f"There is no AMQP type for {type(value).__name__}.")


def raw_compound(code8: int, count: int, body: bytes | bytearray) -> bytes:
    """A list (`code8` 0xC0) or map (0xC1) of items that are encoded and joined already."""
    size = len(body)
    if size < 255 and count < 256:
        return _compound8(code8, size + 1, count) + body
    return _compound32(code8 + 0x10, size + 4, count) + body


def _null(out: bytearray, value: Any) -> None:
    out.append(0x40)


def _bool(out: bytearray, value: bool) -> None:
    out.append(0x41 if value else 0x42)


def _long(out: bytearray, value: int) -> None:
    if -128 <= value <= 127:
        out += bytes((0x55, value & 0xFF))
    else:
        out += struct.pack(">Bq", 0x81, value)


def _int(out: bytearray, value: int) -> None:
    if -128 <= value <= 127:
        out += bytes((0x54, value & 0xFF))
    else:
        out += struct.pack(">Bi", 0x71, value)


def _uint(out: bytearray, value: int) -> None:
    if value == 0:
        out.append(0x43)
    elif 0 < value < 256:
        out += bytes((0x52, value))
    else:
        out += struct.pack(">BI", 0x70, value)


def _ulong(out: bytearray, value: int) -> None:
    if value == 0:
        out.append(0x44)
    elif 0 < value < 256:
        out += bytes((0x53, value))
    else:
        out += struct.pack(">BQ", 0x80, value)


def _packed(code: int, layout: str) -> _Encoder:
    pack = struct.Struct(f">B{layout}").pack

    def encoder(out: bytearray, value: Any) -> None:
        out += pack(code, value)

    return encoder


def _char(out: bytearray, value: str) -> None:
    out += _sized(0x73, ord(value))


def _decimal(code: int, width: int) -> _Encoder:
    def encoder(out: bytearray, value: bytes) -> None:
        if len(value) != width:
            raise EncodeError(f"A decimal of {8 * width} bits needs {width} bytes.")
        out.append(code)
        out += value

    return encoder


def _uuid(out: bytearray, value: uuid.UUID) -> None:
    out.append(0x98)
    out += value.bytes


def _variable(out: bytearray, code8: int, raw: bytes) -> None:
    if len(raw) < 256:
        out += bytes((code8, len(raw)))
    else:
        out += _sized(code8 + 0x10, len(raw))
    out += raw


def _binary(out: bytearray, value: bytes | bytearray | memoryview) -> None:
    _variable(out, 0xA0, bytes(value))


def _string(out: bytearray, value: str) -> None:
    _variable(out, 0xA1, value.encode())


def _symbol(out: bytearray, value: str) -> None:
    _variable(out, 0xA3, value.encode("ascii"))


def _list(out: bytearray, value: list[Any] | tuple[Any, ...]) -> None:
    if not value:
        out.append(0x45)
        return
    body = bytearray()
    for item in value:
        write(body, item)
    out += raw_compound(0xC0, len(value), body)


def _map(out: bytearray, value: dict[Any, Any]) -> None:
    body = bytearray()
    for key, item in value.items():
        write(body, key)
        write(body, item)
    out += raw_compound(0xC1, 2 * len(value), body)


def _described(out: bytearray, value: t.Described) -> None:
    out.append(0)
    write(out, value.descriptor)
    write(out, value.value)


def _array(out: bytearray, value: t.Array) -> None:
    body = bytearray()
    if value.descriptor is not None:
        body.append(0)
        write(body, value.descriptor)
    body.append(value.code)
    try:
        item_encoder = _ITEMS[value.code]
    except KeyError:
        raise EncodeError(f"0x{value.code:02x} is not the widest format of a type.") from None
    for item in value:
        item_encoder(body, item)
    size = len(body)
    if size < 255 and len(value) < 256:
        out += _compound8(0xE0, size + 1, len(value))
    else:
        out += _compound32(0xF0, size + 4, len(value))
    out += body


# Narrower types stand before their Python bases (see `_by_base`).
ENCODERS: dict[type, _Encoder] = {
    type(None): _null,
    bool: _bool,
    t.UInt: _uint,
    t.ULong: _ulong,
    t.Int: _int,
    t.Timestamp: _packed(0x83, "q"),
    t.UByte: _packed(0x50, "B"),
    t.UShort: _packed(0x60, "H"),
    t.Byte: _packed(0x51, "b"),
    t.Short: _packed(0x61, "h"),
    t.Float: _packed(0x72, "f"),
    t.Symbol: _symbol,
    t.Char: _char,
    t.Decimal32: _decimal(0x74, 4),
    t.Decimal64: _decimal(0x84, 8),
    t.Decimal128: _decimal(0x94, 16),
    t.Described: _described,
    t.Array: _array,
    uuid.UUID: _uuid,
    int: _long,
    float: _packed(0x82, "d"),
    str: _string,
    bytes: _binary,
    bytearray: _binary,
    memoryview: _binary,
    list: _list,
    tuple: _list,
    dict: _map,
}


def _item_packed(layout: str) -> _Encoder:
    pack = struct.Struct(f">{layout}").pack

    def encoder(out: bytearray, value: Any) -> None:
        out += pack(value)

    return encoder


def _item_variable(to_bytes: Callable[[Any], bytes]) -> _Encoder:
    def encoder(out: bytearray, value: Any) -> None:
        raw = to_bytes(value)
        out += _p32(len(raw))
        out += raw

    return encoder


def _item_without_code(wide_code: int) -> _Encoder:
    """Lists, maps and arrays inside an array: the wide format, its code left out."""

    def encoder(out: bytearray, value: Any) -> None:
        if wide_code == 0xF0:
            one = bytearray()
            _array(one, value)
            start = 3 if one[0] == 0xE0 else 9
            body = bytes(one[start:])
            count = len(value)
        else:
            joined = bytearray()
            items = (
                [part for pair in value.items() for part in pair] if wide_code == 0xD1 else value
            )
            for item in items:
                write(joined, item)
            body = bytes(joined)
            count = len(items)
        out += struct.pack(">II", len(body) + 4, count) + body

    return encoder


_ITEMS: dict[int, _Encoder] = {
    0x40: lambda out, value: None,
    0x56: _item_packed("?"),
    0x50: _item_packed("B"),
    0x51: _item_packed("b"),
    0x60: _item_packed("H"),
    0x61: _item_packed("h"),
    0x70: _item_packed("I"),
    0x71: _item_packed("i"),
    0x72: _item_packed("f"),
    0x73: lambda out, value: out.extend(_p32(ord(value))),
    0x74: lambda out, value: out.extend(value),
    0x80: _item_packed("Q"),
    0x81: _item_packed("q"),
    0x82: _item_packed("d"),
    0x83: _item_packed("q"),
    0x84: lambda out, value: out.extend(value),
    0x94: lambda out, value: out.extend(value),
    0x98: lambda out, value: out.extend(value.bytes),
    0xB0: _item_variable(bytes),
    0xB1: _item_variable(str.encode),
    0xB3: _item_variable(lambda value: str(value).encode("ascii")),
    0xD0: _item_without_code(0xD0),
    0xD1: _item_without_code(0xD1),
    0xF0: _item_without_code(0xF0),
}
