"""Decimals as text: of IEEE 754 (binary integer coding), and as .NET's library writes them."""

from __future__ import annotations

from decimal import Decimal

from orchestrator.localcloud.amqp import types as t

# By bytes: bits of the exponent, its bias (IEEE 754-2008, 3.5.2).
_FORMS = {4: (8, 101), 8: (10, 398), 16: (14, 6176)}
# How a decimal128 begins that .NET's `decimal` holds, and how in IEEE 754; without the sign
# (`servicebus.front.decimals`).
_DOTNET, _STANDARD, _SIGN = 0x0C, 0x30, 0x80


def decimal_text(value: t.Decimal32 | t.Decimal64 | t.Decimal128) -> str | None:
    """A decimal in digits; None for infinities, what is no number, and the other coding."""
    raw = bytes(value)
    first = raw[0]
    if len(raw) == 16 and first & ~_SIGN == _DOTNET:
        first = _STANDARD | first & _SIGN
    number = int.from_bytes(bytes((first & ~_SIGN,)) + raw[1:], "big")
    if first & 0x60 == 0x60:
        return None
    exponent_bits, bias = _FORMS[len(raw)]
    shift = 8 * len(raw) - 1 - exponent_bits
    digits = tuple(map(int, str(number & ((1 << shift) - 1))))
    return str(Decimal((first >> 7, digits, (number >> shift) - bias)))
