"""Hypothesis strategies for AMQP values, each of exactly one AMQP type."""

from __future__ import annotations

import uuid
from typing import Any

from hypothesis import strategies as st

from orchestrator.localcloud.amqp import types as t
from orchestrator.localcloud.amqp.decode import WIDEST

ascii_text = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=300)


def whole(bits: int, signed: bool) -> st.SearchStrategy[int]:
    if signed:
        return st.integers(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    return st.integers(0, (1 << bits) - 1)


SCALARS: dict[int, st.SearchStrategy[Any]] = {
    0x40: st.none(),
    0x56: st.booleans(),
    0x50: whole(8, False).map(t.UByte),
    0x60: whole(16, False).map(t.UShort),
    0x70: whole(32, False).map(t.UInt),
    0x80: whole(64, False).map(t.ULong),
    0x51: whole(8, True).map(t.Byte),
    0x61: whole(16, True).map(t.Short),
    0x71: whole(32, True).map(t.Int),
    0x81: whole(64, True),
    0x72: st.floats(width=32, allow_nan=False).map(t.Float),
    0x82: st.floats(allow_nan=False),
    0x73: st.characters(exclude_categories=["Cs"]).map(t.Char),
    0x74: st.binary(min_size=4, max_size=4).map(t.Decimal32),
    0x84: st.binary(min_size=8, max_size=8).map(t.Decimal64),
    0x94: st.binary(min_size=16, max_size=16).map(t.Decimal128),
    0x83: whole(64, True).map(t.Timestamp),
    0x98: st.binary(min_size=16, max_size=16).map(lambda raw: uuid.UUID(bytes=raw)),
    0xB0: st.binary(max_size=300),
    0xB1: st.text(max_size=300),
    0xB3: ascii_text.map(t.Symbol),
}
assert set(SCALARS) <= set(WIDEST.values())

scalars = st.one_of(*SCALARS.values())
descriptors = st.one_of(SCALARS[0x80], SCALARS[0xB3])
# Keys that stay apart as Python dictionary keys, too.
keys = st.one_of(SCALARS[0xB1], SCALARS[0x98])


def arrays_of(codes: dict[int, st.SearchStrategy[Any]]) -> st.SearchStrategy[t.Array]:
    return st.one_of(
        *(
            st.builds(t.Array, st.just(code), st.lists(items, max_size=6), st.none() | descriptors)
            for code, items in codes.items()
        )
    )


def compounds(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists = st.lists(inner, max_size=5)
    maps = st.dictionaries(keys, inner, max_size=5)
    return st.one_of(
        lists,
        maps,
        st.builds(t.Described, descriptors, inner),
        arrays_of({0xD0: lists, 0xD1: maps, 0xF0: arrays_of(SCALARS)}),
    )


values = st.recursive(st.one_of(scalars, arrays_of(SCALARS)), compounds, max_leaves=12)


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same AMQP type all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, t.Described):
        return same(one.descriptor, other.descriptor) and same(one.value, other.value)
    if isinstance(one, t.Array) and (
        one.code != other.code or not same(one.descriptor, other.descriptor)
    ):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return (
            len(one) == len(other)
            and all(map(same, one, other))
            and all(map(same, one.values(), other.values()))
        )
    return bool(one == other)
