"""Decimals among application properties, as the service writes them.

The service reads application properties and writes them anew with Microsoft's .NET library, which
puts the exponent of a decimal128 two bits lower than IEEE 754 does (`DecimalEncoding` of
Microsoft.Azure.Amqp), and reads both. azure-servicebus 7.15 for Python writes the one and reads
only the other: without the service in between it cannot read its own decimals. So what a .NET
`decimal` can hold (a scale of 0 to 28, 96 bits) is written as there; every other value passes
unchanged, as do decimals in bodies and annotations, which the service does not look at.
"""

from __future__ import annotations

from orchestrator.localcloud.amqp import sections as s
from orchestrator.localcloud.amqp.decode import skip

_DECIMAL128 = 0x94
_WIDTH = 16
# The first byte of an IEEE 754 decimal128 with an exponent of -28 to 0, without its sign.
_STANDARD, _DOTNET, _SIGN = 0x30, 0x0C, 0x80
_FIRST, _LAST = (6176 - 28 & 0x7F) << 1, (6176 & 0x7F) << 1
_MARKS = (bytes((_DECIMAL128, _STANDARD)), bytes((_DECIMAL128, _STANDARD | _SIGN)))


def as_dotnet_writes(section: bytes) -> bytes:
    """An application-properties section with its decimals so written; `section` itself if it has
    none. Raises DecodeError."""
    if _MARKS[0] not in section and _MARKS[1] not in section:
        return section
    count, entries = s.map_entries(section)
    start = len(section) - len(entries)
    changed = bytearray(section)
    pos = start
    for _ in range(count // 2):
        pos = skip(section, pos)
        if section[pos : pos + 1] == b"\x94" and _is_plain(section[pos + 1 : pos + 1 + _WIDTH]):
            changed[pos + 1] = _DOTNET | (section[pos + 1] & _SIGN)
        pos = skip(section, pos)
    return bytes(changed)


def _is_plain(value: bytes) -> bool:
    return (
        value[0] & ~_SIGN == _STANDARD
        and _FIRST <= value[1] <= _LAST
        and not value[1] & 1
        and value[2:4] == b"\0\0"
    )
