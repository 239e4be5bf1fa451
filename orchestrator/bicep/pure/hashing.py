"""guid() and uniqueString(): hashes that depend on nothing but their arguments."""

from __future__ import annotations

import uuid

from orchestrator.bicep.pure.arguments import texts

# guid() is a name-based identifier (RFC 4122, version 5) in this name space
_GUID_SPACE = uuid.UUID("11fb06fb-712d-4ddd-98c7-e71bbd588830")
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_MASK = 0xFFFFFFFF


def guid(*parts: str) -> str:
    return str(uuid.uuid5(_GUID_SPACE, "-".join(texts(parts))))


def _rotate(value: int, by: int) -> int:
    return ((value << by) | (value >> (32 - by))) & _MASK


def _murmur(data: bytes) -> int:
    """The 64-bit hash (MurmurHash3's mixing over two 32-bit lanes) behind uniqueString()."""
    c1, c2 = 0x239B961B, 0xAB0E9789
    h1 = h2 = 0
    size = len(data)
    at = 0
    while at + 7 < size:
        k1 = int.from_bytes(data[at : at + 4], "little")
        k2 = int.from_bytes(data[at + 4 : at + 8], "little")
        k1 = _rotate(k1 * c1 & _MASK, 15) * c2 & _MASK
        h1 = ((_rotate(h1 ^ k1, 19) + h2) * 5 + 0x561CCD1B) & _MASK
        k2 = _rotate(k2 * c2 & _MASK, 17) * c1 & _MASK
        h2 = ((_rotate(h2 ^ k2, 13) + h1) * 5 + 0x0BCAA747) & _MASK
        at += 8
    tail = data[at:]
    if tail:
        k1 = int.from_bytes(tail[:4], "little")
        h1 ^= _rotate(k1 * c1 & _MASK, 15) * c2 & _MASK
        if len(tail) > 4:
            k2 = int.from_bytes(tail[4:], "little")
            h2 ^= _rotate(k2 * c2 & _MASK, 17) * c1 & _MASK
    h1 ^= size
    h2 ^= size
    h1 = (h1 + h2) & _MASK
    h2 = (h2 + h1) & _MASK
    h1 = _mix(h1)
    h2 = _mix(h2)
    h1 = (h1 + h2) & _MASK
    h2 = (h2 + h1) & _MASK
    return h2 << 32 | h1


def _mix(value: int) -> int:
    value = (value ^ value >> 16) * 0x85EBCA6B & _MASK
    value = (value ^ value >> 13) * 0xC2B2AE35 & _MASK
    return value ^ value >> 16


def unique_string(*parts: str) -> str:
    value = _murmur("-".join(texts(parts)).encode("utf-8"))
    found = ""
    for _ in range(13):
        found += _BASE32[value >> 59]
        value = value << 5 & 0xFFFFFFFFFFFFFFFF
    return found
