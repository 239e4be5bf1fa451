"""Python values of AMQP 1.0 types (AMQP 1.0 part 1, section 1.6).

A value keeps its AMQP type when it is decoded and encoded again. Types that Python has are plain
Python: null `None`, boolean `bool`, long `int`, double `float`, string `str`, binary `bytes`, uuid
`uuid.UUID`, list `list`, map `dict`. The others are thin subclasses, so that `UInt(3) == 3` and
`Symbol("a") == "a"`. Decimals stay the bytes they were: nobody calculates with them here.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any


class Symbol(str):
    """ASCII name from a constrained domain (`amqp:accepted:list`)."""

    __slots__ = ()


class Char(str):
    """One Unicode character (UTF-32BE on the wire)."""

    __slots__ = ()


class UByte(int):
    """0 … 2^8-1."""

    __slots__ = ()


class UShort(int):
    """0 … 2^16-1."""

    __slots__ = ()


class UInt(int):
    """0 … 2^32-1."""

    __slots__ = ()


class ULong(int):
    """0 … 2^64-1."""

    __slots__ = ()


class Byte(int):
    """-2^7 … 2^7-1."""

    __slots__ = ()


class Short(int):
    """-2^15 … 2^15-1."""

    __slots__ = ()


class Int(int):
    """-2^31 … 2^31-1. (A plain `int` is a long.)"""

    __slots__ = ()


class Timestamp(int):
    """Milliseconds since the Unix epoch, UTC."""

    __slots__ = ()


class Float(float):
    """IEEE 754 binary32. (A plain `float` is a double.)"""

    __slots__ = ()


class Decimal32(bytes):
    """IEEE 754 decimal32, its four bytes."""

    __slots__ = ()


class Decimal64(bytes):
    """IEEE 754 decimal64, its eight bytes."""

    __slots__ = ()


class Decimal128(bytes):
    """IEEE 754 decimal128, its sixteen bytes."""

    __slots__ = ()


class Described:
    """A value with a descriptor (a `ULong` or `Symbol`) that gives it a meaning."""

    __slots__ = ("descriptor", "value")

    def __init__(self, descriptor: Any, value: Any) -> None:
        self.descriptor = descriptor
        self.value = value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Described):
            return NotImplemented
        return bool(self.descriptor == other.descriptor and self.value == other.value)

    def __hash__(self) -> int:
        return hash((Described, self.descriptor))

    def __repr__(self) -> str:
        return f"Described({self.descriptor!r}, {self.value!r})"


class Array(list[Any]):
    """Values that all have the one type of `code` (its widest format code, `codec.WIDEST`).

    `descriptor` is set for an array of described values; its items are then the bare values.
    """

    __slots__ = ("code", "descriptor")

    def __init__(self, code: int, items: Iterable[Any] = (), descriptor: Any = None) -> None:
        super().__init__(items)
        self.code = code
        self.descriptor = descriptor

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Array):
            return NotImplemented
        return (
            self.code == other.code
            and self.descriptor == other.descriptor
            and list.__eq__(self, other)
        )

    __hash__ = None

    def __repr__(self) -> str:
        return f"Array(0x{self.code:02x}, {list.__repr__(self)}, {self.descriptor!r})"


def uuids(items: Iterable[uuid.UUID]) -> Array:
    """An array of uuid."""
    return Array(0x98, items)


def longs(items: Iterable[int]) -> Array:
    """An array of long."""
    return Array(0x81, items)


def timestamps(items: Iterable[int]) -> Array:
    """An array of timestamp (milliseconds)."""
    return Array(0x83, items)


def strings(items: Iterable[str]) -> Array:
    """An array of string."""
    return Array(0xB1, items)


def symbols(items: Iterable[str]) -> Array:
    """An array of symbol."""
    return Array(0xB3, items)
