"""`uniqueString` and `guid`, bit for bit as Azure computes them.

`guid` is a name-based UUID (RFC 4122, version 5) in a namespace of Azure's own. `uniqueString` is a
64-bit hash of the murmur family on two 32-bit lanes, written with the 32 letters of base 32. Both
join their arguments with hyphens. Checked against values that Azure has computed.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable

_NAMESPACE = uuid.UUID("11fb06fb-712d-4ddd-98c7-e71bbd588830")
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_MASK = 0xFFFFFFFF
_FIRST, _SECOND = 0x239B961B, 0xAB0E9789


def _rotated(value: int, count: int) -> int:
    return ((value << count) | (value >> (32 - count))) & _MASK


def _mixed(value: int) -> int:
    value ^= value >> 16
    value = value * 0x85EBCA6B & _MASK
    value ^= value >> 13
    value = value * 0xC2B2AE35 & _MASK
    return value ^ value >> 16


def _lane_one(block: int) -> int:
    return _rotated(block * _FIRST & _MASK, 15) * _SECOND & _MASK


def _lane_two(block: int) -> int:
    return _rotated(block * _SECOND & _MASK, 17) * _FIRST & _MASK


def hash64(data: bytes, seed: int = 0) -> int:
    """The hash behind `uniqueString`, and behind a template's `templateHash`."""
    one = two = seed
    whole = len(data) - len(data) % 8
    for at in range(0, whole, 8):
        one ^= _lane_one(int.from_bytes(data[at : at + 4], "little"))
        one = (_rotated(one, 19) + two) & _MASK
        one = (one * 5 + 0x561CCD1B) & _MASK
        two ^= _lane_two(int.from_bytes(data[at + 4 : at + 8], "little"))
        two = (_rotated(two, 13) + one) & _MASK
        two = (two * 5 + 0x0BCAA747) & _MASK
    if tail := data[whole:]:
        one ^= _lane_one(int.from_bytes(tail[:4], "little"))
        if len(tail) > 4:
            two ^= _lane_two(int.from_bytes(tail[4:], "little"))
    one ^= len(data)
    two ^= len(data)
    one = (one + two) & _MASK
    two = (two + one) & _MASK
    one, two = _mixed(one), _mixed(two)
    one = (one + two) & _MASK
    two = (two + one) & _MASK
    return two << 32 | one


def unique_string(texts: Iterable[str]) -> str:
    """Thirteen letters and digits, the same for the same texts."""
    value = hash64("-".join(texts).encode())
    letters = []
    for _ in range(13):
        letters.append(_LETTERS[value >> 59])
        value = value << 5 & 0xFFFFFFFFFFFFFFFF
    return "".join(letters)


def guid(texts: Iterable[str]) -> str:
    """A guid, the same for the same texts."""
    return str(uuid.uuid5(_NAMESPACE, "-".join(texts)))
