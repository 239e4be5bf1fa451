"""AMQP 1.0 binary type system: bytes to values (part 1, sections 1.2 to 1.6).

Decoders take `(data, position, depth)`, the position being just behind the format code, and return
`(value, next position)`. They may run into the end of the data; the public functions turn what
that raises into `DecodeError`. Recursion is bounded by `MAX_DEPTH`, sizes by the bytes present.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable
from typing import Any

from . import types as t
from .errors import DecodeError

MAX_DEPTH = 32
# Items of an array may take no bytes at all (an array of null); those counts are bounded by this.
MAX_EMPTY_ITEMS = 128

_Decoder = Callable[[bytes, int, int], tuple[Any, int]]

_u16 = struct.Struct(">H").unpack_from
_u32 = struct.Struct(">I").unpack_from
_u64 = struct.Struct(">Q").unpack_from
_i16 = struct.Struct(">h").unpack_from
_i32 = struct.Struct(">i").unpack_from
_i64 = struct.Struct(">q").unpack_from
_f32 = struct.Struct(">f").unpack_from
_f64 = struct.Struct(">d").unpack_from

BROKEN = (
    IndexError,
    KeyError,
    TypeError,
    ValueError,
    OverflowError,
    struct.error,
    RecursionError,
)


def _unknown(data: bytes, pos: int, depth: int) -> tuple[Any, int]:
    raise DecodeError(f"Unknown format code 0x{data[pos - 1]:02x}.")


def _constant(value: Any) -> _Decoder:
    return lambda data, pos, depth: (value, pos)


def _fixed(unpack: Callable[..., tuple[Any, ...]], width: int, wrap: Any = None) -> _Decoder:
    if wrap is None:
        return lambda data, pos, depth: (unpack(data, pos)[0], pos + width)
    return lambda data, pos, depth: (wrap(unpack(data, pos)[0]), pos + width)


def _small_unsigned(wrap: Any) -> _Decoder:
    return lambda data, pos, depth: (wrap(data[pos]), pos + 1)


def _small_signed(wrap: Any = None) -> _Decoder:
    def decode(data: bytes, pos: int, depth: int) -> tuple[Any, int]:
        number = data[pos]
        if number > 127:
            number -= 256
        return (number if wrap is None else wrap(number)), pos + 1

    return decode


def _raw(width: int, wrap: Any) -> _Decoder:
    def decode(data: bytes, pos: int, depth: int) -> tuple[Any, int]:
        end = pos + width
        if end > len(data):
            raise DecodeError("A value is cut short.")
        return wrap(data[pos:end]), end

    return decode


def _boolean(data: bytes, pos: int, depth: int) -> tuple[Any, int]:
    if data[pos] > 1:
        raise DecodeError("A boolean is neither 0 nor 1.")
    return data[pos] == 1, pos + 1


def _char(data: bytes, pos: int, depth: int) -> tuple[Any, int]:
    return t.Char(chr(_u32(data, pos)[0])), pos + 4


def _uuid(data: bytes, pos: int, depth: int) -> tuple[Any, int]:
    return uuid.UUID(bytes=data[pos : pos + 16]), pos + 16


def _ends(data: bytes, pos: int, wide: bool) -> tuple[int, int]:
    """Where the content of a variable-width value begins and ends."""
    if wide:
        start = pos + 4
        end: int = start + _u32(data, pos)[0]
    else:
        start = pos + 1
        end = start + data[pos]
    if end > len(data):
        raise DecodeError("A value is longer than what holds it.")
    return start, end


def _binary(wide: bool) -> _Decoder:
    def decode(data: bytes, pos: int, depth: int) -> tuple[Any, int]:
        start, end = _ends(data, pos, wide)
        return data[start:end], end

    return decode


def _string(wide: bool) -> _Decoder:
    def decode(data: bytes, pos: int, depth: int) -> tuple[Any, int]:
        start, end = _ends(data, pos, wide)
        return data[start:end].decode(), end

    return decode


def _symbol(wide: bool) -> _Decoder:
    def decode(data: bytes, pos: int, depth: int) -> tuple[Any, int]:
        start, end = _ends(data, pos, wide)
        return t.Symbol(data[start:end].decode("ascii")), end

    return decode


def _compound(data: bytes, pos: int, wide: bool, depth: int) -> tuple[int, int, int]:
    """`(count, first item's position, end)` of a list, map or array."""
    if depth >= MAX_DEPTH:
        raise DecodeError(f"Values are nested more than {MAX_DEPTH} deep.")
    start, end = _ends(data, pos, wide)
    if wide:
        return _u32(data, start)[0], start + 4, end
    return data[start], start + 1, end


def _list(wide: bool) -> _Decoder:
    def decode(data: bytes, pos: int, depth: int) -> tuple[Any, int]:
        count, pos, end = _compound(data, pos, wide, depth)
        if count > end - pos:
            raise DecodeError("A list says it has more items than it has bytes.")
        items: list[Any] = []
        depth += 1
        for _ in range(count):
            code = data[pos]
            if code == 0x40:
                # Most fields of most message properties are null.
                items.append(None)
                pos += 1
            else:
                item, pos = DECODERS[code](data, pos + 1, depth)
                items.append(item)
        if pos != end:
            raise DecodeError("The size of a list is not that of its items.")
        return items, end

    return decode


def _map(wide: bool) -> _Decoder:
    def decode(data: bytes, pos: int, depth: int) -> tuple[Any, int]:
        count, pos, end = _compound(data, pos, wide, depth)
        if count > end - pos or count & 1:
            raise DecodeError("The count of a map is odd, or larger than its bytes allow.")
        entries = {}
        depth += 1
        for _ in range(count >> 1):
            key, pos = DECODERS[data[pos]](data, pos + 1, depth)
            value, pos = DECODERS[data[pos]](data, pos + 1, depth)
            entries[key] = value
        if pos != end:
            raise DecodeError("The size of a map is not that of its entries.")
        return entries, end

    return decode


def _array(wide: bool) -> _Decoder:
    def decode(data: bytes, pos: int, depth: int) -> tuple[Any, int]:
        count, pos, end = _compound(data, pos, wide, depth)
        if pos == end and not count:
            return t.Array(0x40), end
        code = data[pos]
        pos += 1
        descriptor = None
        if code == 0:
            descriptor, pos = DECODERS[data[pos]](data, pos + 1, depth + 1)
            code = data[pos]
            pos += 1
        widest = WIDEST.get(code)
        if widest is None:
            raise DecodeError(f"An array of unknown format code 0x{code:02x}.")
        if count > (MAX_EMPTY_ITEMS if code >> 4 == 4 else end - pos):
            raise DecodeError("An array says it has more items than it has bytes.")
        decoder = DECODERS[code]
        items = []
        depth += 1
        for _ in range(count):
            item, pos = decoder(data, pos, depth)
            items.append(item)
        if pos != end:
            raise DecodeError("The size of an array is not that of its items.")
        return t.Array(widest, items, descriptor), end

    return decode


def _described(data: bytes, pos: int, depth: int) -> tuple[Any, int]:
    if depth >= MAX_DEPTH:
        raise DecodeError(f"Values are nested more than {MAX_DEPTH} deep.")
    depth += 1
    descriptor, pos = DECODERS[data[pos]](data, pos + 1, depth)
    value, pos = DECODERS[data[pos]](data, pos + 1, depth)
    return t.Described(descriptor, value), pos


def _empty_list(data: bytes, pos: int, depth: int) -> tuple[Any, int]:
    return [], pos


# By format code; a code not in the specification raises.
DECODERS: list[_Decoder] = [_unknown] * 256
for _code, _decoder in {
    0x00: _described,
    0x40: _constant(None),
    0x41: _constant(True),
    0x42: _constant(False),
    0x43: _constant(t.UInt(0)),
    0x44: _constant(t.ULong(0)),
    0x45: _empty_list,
    0x50: _small_unsigned(t.UByte),
    0x51: _small_signed(t.Byte),
    0x52: _small_unsigned(t.UInt),
    0x53: _small_unsigned(t.ULong),
    0x54: _small_signed(t.Int),
    0x55: _small_signed(),
    0x56: _boolean,
    0x60: _fixed(_u16, 2, t.UShort),
    0x61: _fixed(_i16, 2, t.Short),
    0x70: _fixed(_u32, 4, t.UInt),
    0x71: _fixed(_i32, 4, t.Int),
    0x72: _fixed(_f32, 4, t.Float),
    0x73: _char,
    0x74: _raw(4, t.Decimal32),
    0x80: _fixed(_u64, 8, t.ULong),
    0x81: _fixed(_i64, 8),
    0x82: _fixed(_f64, 8),
    0x83: _fixed(_i64, 8, t.Timestamp),
    0x84: _raw(8, t.Decimal64),
    0x94: _raw(16, t.Decimal128),
    0x98: _uuid,
    0xA0: _binary(False),
    0xA1: _string(False),
    0xA3: _symbol(False),
    0xB0: _binary(True),
    0xB1: _string(True),
    0xB3: _symbol(True),
    0xC0: _list(False),
    0xC1: _map(False),
    0xD0: _list(True),
    0xD1: _map(True),
    0xE0: _array(False),
    0xF0: _array(True),
}.items():
    DECODERS[_code] = _decoder

# The widest format code of each one's type: what an array of that type is encoded with.
WIDEST = {
    0x40: 0x40,
    **dict.fromkeys((0x41, 0x42, 0x56), 0x56),
    **dict.fromkeys((0x43, 0x52, 0x70), 0x70),
    **dict.fromkeys((0x44, 0x53, 0x80), 0x80),
    **dict.fromkeys((0x54, 0x71), 0x71),
    **dict.fromkeys((0x55, 0x81), 0x81),
    **{code: code for code in (0x50, 0x51, 0x60, 0x61, 0x72, 0x73, 0x74)},
    **{code: code for code in (0x82, 0x83, 0x84, 0x94, 0x98)},
    **dict.fromkeys((0xA0, 0xB0), 0xB0),
    **dict.fromkeys((0xA1, 0xB1), 0xB1),
    **dict.fromkeys((0xA3, 0xB3), 0xB3),
    **dict.fromkeys((0x45, 0xC0, 0xD0), 0xD0),
    **dict.fromkeys((0xC1, 0xD1), 0xD1),
    **dict.fromkeys((0xE0, 0xF0), 0xF0),
}


def decode(data: bytes, pos: int = 0) -> tuple[Any, int]:
    """The value at `pos` and the position behind it. Raises `DecodeError`."""
    try:
        value, end = DECODERS[data[pos]](data, pos + 1, 0)
    except BROKEN as error:
        raise DecodeError(f"A value can't be decoded: {error}.") from error
    if end > len(data):
        raise DecodeError("A value is cut short.")
    return value, end


def decode_whole(data: bytes) -> Any:
    """The one value that `data` is. Raises `DecodeError`, also when bytes are left over."""
    value, end = decode(data)
    if end != len(data):
        raise DecodeError("Bytes are left over behind a value.")
    return value


def skip(data: bytes, pos: int) -> int:
    """The position behind the value at `pos`, without decoding it. Raises `DecodeError`."""
    try:
        for _ in range(2 * MAX_DEPTH):
            code = data[pos]
            pos += 1
            if code:
                break
            # A described value: its descriptor, then the value itself, which may be described too.
            pos = _behind(data, pos + 1, data[pos])
        else:
            raise DecodeError("Descriptors are nested too deep.")
        pos = _behind(data, pos, code)
    except BROKEN as error:
        raise DecodeError(f"A value can't be decoded: {error}.") from error
    if pos > len(data):
        raise DecodeError("A value is cut short.")
    return pos


_WIDTHS = {0x4: 0, 0x5: 1, 0x6: 2, 0x7: 4, 0x8: 8, 0x9: 16}


def _behind(data: bytes, pos: int, code: int) -> int:
    kind = code >> 4
    if kind in (0xA, 0xC, 0xE):
        return pos + 1 + data[pos]
    if kind in (0xB, 0xD, 0xF):
        return pos + 4 + int(_u32(data, pos)[0])
    return pos + _WIDTHS[kind]
